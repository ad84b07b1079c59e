/* LoRA, as a user runs it: what learns, what stands still, what is written, and what is refused.
 * That the numbers are right is in test_model.c. */
#include "model/adapter_folder.h"
#include "model/folder.h"
#include "run.h"

static const char common[] =
        "data:\n"
        "  generate: [{name: sequence, levels: 1-3, count: 40}]\n"
        "  eval_generate: [{name: sequence, levels: 2, count: 5, first: 1000}]\n"
        "task: {reward: sequence}\n"
        "algorithm: grpo\n"
        "loss: {beta: 0.05, num_iterations: 2}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "optim: {learning_rate: 1e-2, num_minibatches: 2}\n"
        "sft: {batch_size: 8}\n"
        "run: {max_steps: 10, save_steps: 3, save_total_limit: 0, eval_steps: 4}\n";
static const char warm[] = "extends: common.yaml\n"
                           "model:\n"
                           "  tokenizer: chars\n"
                           "  init: {width: 16, n_layers: 2, n_heads: 2, n_kv_heads: 1, "
                           "head_width: 8, ff_width: 24, n_positions: 32}\n"
                           "run: {max_steps: 40, save_steps: 0, eval_steps: 0}\n";
static const char lora[] = "extends: common.yaml\n"
                           "model: {path: base, lora_r: 3, lora_alpha: 6}\n";

static void run(const char *command, const char *folder, const char *settings)
{
	hone_ok("%s run.output_dir=%s %s", command, folder, settings);
}

/* Adapters and moments of two runs after ten steps. */
static void assert_same_run(const char *a, const char *b)
{
	assert_true(same_bytes(in_folder(a, "checkpoint-10/adapter_model.safetensors"),
	                       in_folder(b, "checkpoint-10/adapter_model.safetensors")));
	assert_true(same_bytes(in_folder(a, "checkpoint-10/optimizer.safetensors"),
	                       in_folder(b, "checkpoint-10/optimizer.safetensors")));
}

/* A metric of the first step that has it */
static double first_metric(const char *folder, const char *name)
{
	FILE  *f = fopen(in_folder(folder, "metrics.jsonl"), "r");
	char   line[8192];
	double value = NAN;

	assert_non_null(f);
	while (isnan(value) && fgets(line, sizeof line, f)) {
		json_t *row = json_loads(line, 0, NULL);
		if (json_is_number(json_object_get(row, name)))
			value = json_number_value(json_object_get(row, name));
		json_decref(row);
	}
	fclose(f);
	return value;
}

/* What the model says about some text: the numbers that `hone logprobs` prints. The caller frees
 * them. */
static double *logprobs(const char *line, int n)
{
	double *out = calloc((size_t)n, sizeof *out);
	json_t *row, *list;
	char   *text;
	size_t  size;

	write_text("ids", "{\"ids\": [3, 4, 5, 6, 7, 8, 3, 5, 4, 4]}\n");
	assert_int_equal(hone("logprobs %s < ids", line), 0);
	text = read_all("stdout", &size);
	row = json_loads(text, 0, NULL);
	list = json_object_get(row, "logprobs");
	assert_int_equal(json_array_size(list), n);
	for (int i = 0; i < n; i++)
		out[i] = json_number_value(json_array_get(list, (size_t)i));
	json_decref(row);
	free(text);
	return out;
}

enum { N_LOGPROBS = 9 };
static double largest_difference(const char *a, const char *b)
{
	double *x = logprobs(a, N_LOGPROBS), *y = logprobs(b, N_LOGPROBS), most = 0;

	for (int i = 0; i < N_LOGPROBS; i++)
		most = fmax(most, fabs(x[i] - y[i]));
	free(x);
	free(y);
	return most;
}

/* ---- what learns ---- */

static void check_start(const struct safetensors *s, const struct safetensors_entry *e)
{
	float *x = malloc(e->count * sizeof *x), bound = 1 / sqrtf((float)e->dims[1]);
	double square = 0;

	assert_ok(safetensors_read(s, e, x));
	for (size_t i = 0; i < e->count; i++) {
		assert_true(strstr(e->name, ".lora_A.") ? fabsf(x[i]) <= bound : x[i] == 0);
		square += (double)x[i] * (double)x[i];
	}
	if (strstr(e->name, ".lora_A.")) /* variance of a uniform number: bound^2 / 3 */
		assert_close(square / (double)e->count / (double)(bound * bound), 1.0 / 3, 0.15);
	free(x);
}

static void a_new_adapter_is_uniform_in_A_and_zero_in_B(void **state)
{
	(void)state;
	struct safetensors s;

	run("train lora.yaml", "new", "run.max_steps=0");
	run("train lora.yaml", "new-seed", "run.max_steps=0 run.seed=1");
	assert_ok(safetensors_open("new/checkpoint-0/adapter_model.safetensors", &s));
	assert_int_equal(s.n, 2 * 7 * 2);
	for (size_t i = 0; i < s.n; i++)
		check_start(&s, &s.entries[i]);
	safetensors_close(&s);
	assert_false(same_bytes("new/checkpoint-0/adapter_model.safetensors",
	                        "new-seed/checkpoint-0/adapter_model.safetensors"));
	assert_close(largest_difference("new", "base"), 0, 0);
}

static void the_adapter_learns_alone(void **state)
{
	(void)state;
	struct safetensors s;

	shell("cp -r base base-before");
	run("train lora.yaml", "train", "");
	assert_says("stdout", "stand still");
	assert_false(file_says("stdout", "  reference "));
	shell("diff -r base base-before && rm -r base-before");
	assert_false(file_exists("train/checkpoint-10/model.safetensors"));
	assert_ok(safetensors_open("train/checkpoint-10/optimizer.safetensors", &s));
	assert_int_equal(s.n, 2 * 2 * 7 * 2);
	for (size_t i = 0; i < s.n; i++)
		assert_non_null(strstr(s.entries[i].name, ".lora_"));
	safetensors_close(&s);
	assert_true(largest_difference("train", "base") > 1e-3);
}

static void training_meets_the_probabilities_that_sampling_saw(void **state)
{
	(void)state;
	FILE *f = fopen("train/metrics.jsonl", "r");
	char  line[8192];
	int   n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		json_t *row = json_loads(line, 0, NULL),
		       *difference = json_object_get(row, "sampling/sampling_logp_difference/max");
		if (json_object_get(row, "loss")) {
			assert_true(json_is_number(difference) &&
			            json_number_value(difference) == 0);
			n++;
		}
		json_decref(row);
	}
	fclose(f);
	assert_int_equal(n, 10);
}

static void only_the_named_projections_are_adapted(void **state)
{
	(void)state;
	struct safetensors s;

	run("sft lora.yaml", "two",
	    "'model.lora_target_modules=[v_proj, up_proj]' model.use_rslora=true run.max_steps=2 "
	    "run.eval_steps=0");
	assert_ok(safetensors_open("two/checkpoint-2/adapter_model.safetensors", &s));
	assert_int_equal(s.n, 2 * 2 * 2);
	for (size_t i = 0; i < s.n; i++)
		assert_true(strstr(s.entries[i].name, ".v_proj.") ||
		            strstr(s.entries[i].name, ".up_proj."));
	safetensors_close(&s);
	assert_says("two/checkpoint-2/adapter_config.json", "\"use_rslora\": true");
	assert_says("two/checkpoint-2/adapter_config.json", "[\"v_proj\", \"up_proj\"]");
}

/* ---- exactness ---- */

static void speed_settings_change_no_bit(void **state)
{
	(void)state;
	static const char *const settings[] = {"compute.threads=3 rollout.batch_size=1",
	                                       "compute.micro_batch_tokens=1",
	                                       "compute.micro_batch_tokens=100 compute.threads=2 "
	                                       "compute.recompute=on"};

	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
		run("train lora.yaml", "varied", settings[i]);
		assert_same_run("train", "varied");
		shell("rm -r varied");
	}
}

static void killed_it_resumes_to_the_same_bits(void **state)
{
	(void)state;
	static const char *const commands[] = {"train lora.yaml", "sft lora.yaml",
	                                       "train lora.yaml algorithm=ppo loss.beta=0.05 "
	                                       "critic.network=shared critic.learning_rate=1e-2"};

	for (int c = 0; c < 3; c++) {
		char  line[256];
		pid_t pid;
		run(commands[c], "whole", "");
		snprintf(line, sizeof line, "%s run.output_dir=killed", commands[c]);
		pid = hone_start("%s", line);
		wait_for_lines(pid, "killed/metrics.jsonl", 5);
		kill(pid, SIGKILL);
		hone_end(pid);
		run(commands[c], "killed", "--resume compute.threads=2");
		assert_same_run("whole", "killed");
		shell("rm -r whole killed");
	}
}

/* ---- references ---- */

/* The reference of a new adapter is its model: seen through the same weights, named, or as a second
 * copy of it. */
static void the_reference_is_the_model_without_the_adapter(void **state)
{
	(void)state;
	shell("cp -r base copy");
	run("train lora.yaml", "named", "model.reference=base");
	assert_false(file_says("stdout", "  reference "));
	run("train lora.yaml", "copied", "model.reference=copy");
	assert_says("stdout", "  reference ");
	assert_same_run("train", "named");
	assert_same_run("train", "copied");
}

static void an_adapter_goes_on_from_where_it_was(void **state)
{
	(void)state;
	static const char one[] = "model.path=base model.adapter=train run.save_steps=0 "
	                          "loss.num_iterations=1 optim.num_minibatches=1";
	char              settings[256];

	run("train common.yaml", "on", one);
	assert_close(first_metric("on", "kl"), 0, 0); /* its reference is where it started from */
	run("train common.yaml", "on-0", "model.path=base model.adapter=train run.max_steps=0");
	assert_true(same_bytes("on-0/checkpoint-0/adapter_model.safetensors",
	                       "train/checkpoint-10/adapter_model.safetensors"));
	assert_close(largest_difference("on-0", "train"), 0, 0);
	snprintf(settings, sizeof settings, "%s model.reference=base run.max_steps=1", one);
	run("train common.yaml", "on-base", settings);
	/* under its own start it is exactly 0 */
	assert_true(first_metric("on-base", "kl") > 0.001);
	snprintf(settings, sizeof settings, "%s model.reference=train", one);
	run("train common.yaml", "on-start", settings);
	assert_same_run("on", "on-start");
}

/* ---- as a model ---- */

static void merged_it_is_the_same_model(void **state)
{
	(void)state;
	assert_int_equal(hone("merge train merged"), 0);
	assert_true(largest_difference("merged", "train") < 1e-5);
	assert_int_equal(hone("generate merged --prompt 1 --max-tokens 3"), 0);
	assert_int_equal(hone("merge train merged"), 2);
	assert_says("stderr", "is there already");
	assert_int_equal(hone("merge merged again"), 2);
	assert_says("stderr", "a model already");
	assert_false(file_exists("again"));
}

static void without_a_tokenizer_it_uses_its_models(void **state)
{
	(void)state;
	shell("cp -r train/checkpoint-10 bare && rm bare/tokenizer*.json bare/manifest.json && mv "
	      "base elsewhere");
	assert_int_equal(hone("generate bare --prompt 1 --max-tokens 3"), 2);
	assert_says("stderr", "name its folder or GGUF file with --base");
	assert_int_equal(hone("generate bare --prompt 1 --max-tokens 3 --base elsewhere"), 0);
	assert_close(largest_difference("bare --base elsewhere", "train --base elsewhere"), 0, 0);
	shell("mv elsewhere base");
	assert_int_equal(hone("logprobs base --base base < ids"), 2);
	assert_says("stderr", "this is none");
	assert_int_equal(hone("inspect train"), 0);
	assert_says("stdout",
	            "rank 3, alpha 6, on q_proj k_proj v_proj o_proj gate_proj up_proj down_proj");
}

/* Recorded answers know that an adapter sampled them. */
static void replay_knows_the_adapter(void **state)
{
	(void)state;
	assert_int_equal(hone("rollouts common.yaml model.path=base model.adapter=train --steps 2 "
	                      "--output rolled.jsonl"),
	                 0);
	run("train common.yaml", "replay",
	    "model.path=base model.adapter=train rollout.source=rolled.jsonl run.max_steps=1");
	assert_false(file_says("stdout", "other weights sampled them"));
	run("train lora.yaml", "replay-other", "rollout.source=rolled.jsonl run.max_steps=1");
	assert_says("stdout", "other weights sampled them");
}

/* ---- refusals ---- */

static void settings_that_contradict_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *line, *part;
	} table[] = {
	        {"train warm.yaml model.lora_r=3", "model.lora_r"},
	        {"train lora.yaml model.adapter=train", "model.lora_r makes a new adapter"},
	        {"train common.yaml model.path=base model.lora_alpha=3", "model.lora_alpha"},
	        {"train common.yaml model.path=train",
	         "holds an adapter; name it in model.adapter"},
	        {"train lora.yaml 'model.lora_target_modules=[lm_head]'",
	         "no projection is named \"lm_head\""},
	        {"train lora.yaml algorithm=ppo critic.network=own", "critic.network own"},
	        {"train lora.yaml model.lora_r=5000", "model.lora_r"},
	        {"train common.yaml model.path=base model.adapter=base", "adapter_config.json"},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		assert_int_equal(hone("%s run.output_dir=refused", table[i].line), 2);
		assert_says("stderr", table[i].part);
		assert_false(file_exists("refused"));
	}
	assert_int_equal(hone("train lora.yaml run.output_dir=train model.lora_alpha=7 --resume"),
	                 2);
	assert_says("stderr", "model.lora_alpha: 6 -> 7");
}

static void hostile_configs_are_refused_by_their_key(void **state)
{
	(void)state;
	static const struct {
		const char *edit, *part;
	} table[] = {
	        {"s/\"LORA\"/\"IA3\"/", "\"peft_type\""},
	        {"s/\"r\": 3/\"r\": 4/", "adapter_config.json and the model make it [4, 16]"},
	        {"s/\"r\": 3/\"r\": 0/", "\"r\""},
	        {"s/\"r\": 3/\"r\": -3/", "\"r\""},
	        {"s/\"r\": 3/\"r\": 1000000000/", "\"r\""},
	        {"s/\"r\": 3/\"r\": 4096/", "asks for"},
	        {"s/\"r\": 3/\"r\": \"3\"/", "\"r\""},
	        {"s/\"lora_alpha\": 6/\"lora_alpha\": 0/", "\"lora_alpha\""},
	        {"s/\"lora_alpha\": 6/\"lora_alpha\": 1e300/", "\"lora_alpha\""},
	        {"s/\"lora_alpha\": 6/\"lora_alpha\": null/", "\"lora_alpha\""},
	        {"s/\"q_proj\", //", "is not part of the adapter"},
	        {"s/\"q_proj\"/\"lm_head\"/",
	         "\"target_modules\": no projection is named \"lm_head\""},
	        {"s/\"q_proj\"/7/", "\"target_modules\""},
	        {"s/\"target_modules\": .*/\"target_modules\": [],/",
	         "\"target_modules\" names no projection"},
	        {"s/\"target_modules\": .*/\"target_modules\": \".*_proj\",/",
	         "\"target_modules\" is a pattern"},
	        {"s/\"bias\": \"none\"/\"bias\": \"all\"/", "\"bias\""},
	        {"s/\"init_lora_weights\": true/\"init_lora_weights\": \"pissa\"/",
	         "\"init_lora_weights\""},
	        {"s/\"fan_in_fan_out\": false/\"fan_in_fan_out\": true/", "\"fan_in_fan_out\""},
	        {"s/\"bias\"/\"use_dora\": true, \"bias\"/", "\"use_dora\""},
	        {"s/\"bias\"/\"rank_pattern\": {\"q_proj\": 8}, \"bias\"/", "\"rank_pattern\""},
	        {"s/\"bias\"/\"modules_to_save\": [\"lm_head\"], \"bias\"/", "\"modules_to_save\""},
	        {"s/\"bias\"/\"layers_to_transform\": [0], \"bias\"/", "\"layers_to_transform\""},
	        {"s/\"peft_type\": \"LORA\",//", "\"peft_type\""},
	        {"s/.*/[/", "adapter_config.json"},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		shell("rm -rf bad && cp -r train/checkpoint-10 bad && sed -i '%s' "
		      "bad/adapter_config.json",
		      table[i].edit);
		assert_int_equal(hone("logprobs bad < ids"), 2);
		assert_says("stderr", table[i].part);
	}
	shell("sed -i 's/\"bias\"/\"use_dora\": false, \"rank_pattern\": {}, \"modules_to_save\": "
	      "null, \"bias\"/' "
	      "train/checkpoint-10/adapter_config.json");
	assert_int_equal(hone("logprobs train/checkpoint-10 < ids"), 0);
}

/* The adapter of `train` with one change, as the folder "bad". */
enum change { MISSING, EXTRA, TRANSPOSED, NOT_FINITE, CUT };
static void write_bad(enum change change)
{
	struct model_shape      shape;
	struct weights          base;
	struct matmul          *mm;
	struct adapter         *a;
	struct adapter_options  o;
	struct arena            arena = {0};
	const char             *name;
	struct safetensors_item items[64] = {0};
	size_t                  n;

	assert_ok(matmul_new(&(struct matmul_options){"reference", "f32", "strict", NULL, NULL},
	                     &mm));
	assert_ok(folder_read_shape("base/checkpoint-40", &shape));
	assert_ok(folder_read_weights("base/checkpoint-40", &shape, &base));
	assert_ok(adapter_folder_read_options("train/checkpoint-10", &o, &arena, &name));
	assert_ok(adapter_folder_read("train/checkpoint-10", &o, &base, mm, 0, &a));
	n = (size_t)a->weights.n_tensors;
	for (size_t i = 0; i < n; i++) {
		struct tensor *t = &a->weights.tensors[i];
		items[i] =
		        (struct safetensors_item){.name = t->name,
		                                  .n_dims = 2,
		                                  .dims = {(uint64_t)t->rows, (uint64_t)t->columns},
		                                  .data = a->weights.data + t->offset};
	}
	if (change == EXTRA) {
		items[n] = items[0];
		items[n++].name = "base_model.model.lm_head.lora_A.weight";
	}
	if (change == TRANSPOSED) {
		items[0].dims[0] = (uint64_t)a->weights.tensors[0].columns;
		items[0].dims[1] = (uint64_t)a->weights.tensors[0].rows;
	}
	if (change == NOT_FINITE)
		a->weights.data[a->weights.tensors[1].offset + 2] = NAN;
	shell("rm -rf bad && cp -r train/checkpoint-10 bad");
	assert_ok(safetensors_write("bad/adapter_model.safetensors", SAFETENSORS_F32,
	                            items + (change == MISSING), n - (change == MISSING)));
	if (change == CUT)
		shell("truncate -s -4 bad/adapter_model.safetensors");
	adapter_free(a);
	weights_free(&base);
	matmul_free(mm);
	arena_free(&arena);
}

static void hostile_weights_are_refused_by_their_tensor(void **state)
{
	(void)state;
	static const struct {
		enum change change;
		const char *part;
	} table[] = {
	        {MISSING, "layers.0.self_attn.q_proj.lora_A.weight\" is missing"},
	        {EXTRA, "\"base_model.model.lm_head.lora_A.weight\" is not part of the adapter"},
	        {TRANSPOSED,
	         "layers.0.self_attn.q_proj.lora_A.weight\" holds 48 numbers in 2 dimensions"},
	        {NOT_FINITE, "holds nan at index 2"},
	        {CUT, "is it cut off?"},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		write_bad(table[i].change);
		assert_int_equal(hone("logprobs bad < ids"), 2);
		assert_says("stderr", table[i].part);
		assert_int_equal(hone("train common.yaml model.path=base model.adapter=bad "
		                      "run.output_dir=refused"),
		                 2);
		assert_says("stderr", table[i].part);
	}
	shell("rm bad/adapter_model.safetensors");
	assert_int_equal(hone("logprobs bad < ids"), 2);
	assert_says("stderr", "bad/adapter_model.safetensors");
}

/* An adapter of another model does not fit. */
static void another_models_adapter_is_refused(void **state)
{
	(void)state;
	run("sft warm.yaml", "wide", "model.init.ff_width=32 run.max_steps=0");
	assert_int_equal(hone("logprobs train --base wide < ids"), 2);
	assert_says("stderr", "adapter_config.json and the model make it");
	run("sft warm.yaml", "deep", "model.init.n_layers=3 run.max_steps=0");
	assert_int_equal(hone("logprobs train --base deep < ids"), 2);
	assert_says("stderr", "layers.2.self_attn.q_proj.lora_A.weight\" is missing");
	run("sft warm.yaml", "flat", "model.init.n_layers=1 run.max_steps=0");
	assert_int_equal(hone("logprobs train --base flat < ids"), 2);
	assert_says("stderr", "is not part of the adapter");
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(a_new_adapter_is_uniform_in_A_and_zero_in_B),
	                                   TEST(the_adapter_learns_alone),
	                                   TEST(training_meets_the_probabilities_that_sampling_saw),
	                                   TEST(only_the_named_projections_are_adapted),
	                                   TEST(speed_settings_change_no_bit),
	                                   TEST(killed_it_resumes_to_the_same_bits),
	                                   TEST(the_reference_is_the_model_without_the_adapter),
	                                   TEST(an_adapter_goes_on_from_where_it_was),
	                                   TEST(merged_it_is_the_same_model),
	                                   TEST(without_a_tokenizer_it_uses_its_models),
	                                   TEST(replay_knows_the_adapter),
	                                   TEST(settings_that_contradict_are_refused),
	                                   TEST(hostile_configs_are_refused_by_their_key),
	                                   TEST(hostile_weights_are_refused_by_their_tensor),
	                                   TEST(another_models_adapter_is_refused)};

	run_in_temporary_folder();
	write_text("common.yaml", common);
	write_text("warm.yaml", warm);
	write_text("lora.yaml", lora);
	if (hone("sft warm.yaml run.output_dir=base")) {
		fputs("no model to begin with\n", stderr);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
