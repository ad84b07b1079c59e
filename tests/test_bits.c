/* The bits of small runs of every part, against a table: whoever moves code without changing what
 * it does changes none of them, and every CPU gives them.
 *
 * scripts/cross has them from a program for aarch64, too.
 *
 * A run that is meant to change its bits: HONE_BITS=write make test T=bits writes
 * tests/data/bits.tsv anew; commit it with the reason. */
#include "run.h"
#include "small_model.h"

#include <zlib.h>

static const char job_text[] =
        "data:\n"
        "  generate: [{name: sequence, levels: 1-3, count: 30}]\n"
        "  eval_generate: [{name: sequence, levels: 1-3, count: 9, seed: 1}]\n"
        "task: {reward: sequence}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "optim: {learning_rate: 1e-2, num_minibatches: 2}\n"
        "run: {max_steps: 3, save_steps: 0, eval_steps: 2, tensorboard: false}\n";

#define PAIRS "compute.precision=bf16 compute.order=pair"
#define TILES "compute.precision=bf16 compute.order=tile"

/* A world that answers back: every turn ends in an observation. */
static const char nav_model[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 128}\n";
static const char nav_job[] =
        "data:\n"
        "  generate: [{name: nav, levels: 1, count: 30}]\n"
        "task: {reward: environment}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 24}\n"
        "optim: {learning_rate: 1e-2, num_minibatches: 2}\n"
        "run: {max_steps: 3, save_steps: 0, tensorboard: false}\n";

static const struct bits_run {
	/* the command's config: new.yaml begins with random weights, old.yaml after a little SFT */
	const char *name, *command, *settings;
} runs[] = {
        {"reinforce", "train new.yaml", "algorithm=reinforce"},
        {"rloo", "train new.yaml", "algorithm=rloo"},
        {"reinforce_pp", "train new.yaml", "algorithm=reinforce_pp"},
        {"grpo", "train new.yaml", "algorithm=grpo loss.num_iterations=2"},
        {"dr_grpo", "train new.yaml", "algorithm=dr_grpo"},
        {"dapo", "train new.yaml", "algorithm=dapo loss.dynamic_sampling_max_batches=2"},
        {"gspo", "train new.yaml", "algorithm=gspo"},
        {"cispo", "train new.yaml", "algorithm=cispo"},
        {"ppo", "train new.yaml", "algorithm=ppo"},
        {"ppo-shared", "train new.yaml",
         "algorithm=ppo critic.network=shared critic.warmup_steps=1"},
        {"gmpo", "train new.yaml", "algorithm=gmpo"},
        {"sapo", "train new.yaml", "algorithm=sapo"},
        {"topr", "train new.yaml", "algorithm=topr"},
        {"luspo", "train new.yaml", "algorithm=luspo"},
        {"vespo", "train new.yaml", "algorithm=vespo"},
        {"dppo_tv", "train new.yaml", "algorithm=dppo_tv loss.epsilon=0.001"},
        {"dppo_kl", "train new.yaml", "algorithm=dppo_kl loss.epsilon=0.0001"},
        {"dro", "train new.yaml", "algorithm=dro"},
        {"clip_cov", "train new.yaml",
         "algorithm=clip_cov loss.covariance_ratio=0.2 loss.covariance_low=0"},
        {"kl_cov", "train new.yaml", "algorithm=kl_cov loss.covariance_ratio=0.2"},
        {"positive-nll", "train new.yaml", "algorithm=ppo loss.positive_nll=0.1"},
        {"kl-abs", "train new.yaml", "algorithm=grpo loss.beta=0.1 loss.kl_estimator=abs"},
        {"gdpo", "train new.yaml",
         "algorithm=gdpo task.reward= 'task.rewards=[{name: sequence}, {name: length, weight: "
         "0.5}]' task.verifier.length=1-4"},
        {"pf-ppo", "train old.yaml", "algorithm=ppo loss.resample=pow"},
        {"echo", "train nav.yaml", "algorithm=grpo loss.echo=0.1"},
        {"bnpo", "train new.yaml", "algorithm=bnpo"},
        {"opo", "train new.yaml", "algorithm=opo"},
        {"maxrl", "train new.yaml", "algorithm=maxrl"},
        {"gpg", "train new.yaml", "algorithm=gpg"},
        {"grpo_passk", "train new.yaml", "algorithm=grpo_passk"},
        {"token-sum", "train new.yaml", "algorithm=grpo loss.loss_type=token_sum"},
        {"prompt-mean", "train new.yaml", "algorithm=grpo loss.loss_type=prompt_mean"},
        {"kl", "train new.yaml", "algorithm=grpo loss.beta=0.1 loss.entropy_coef=0.01"},
        {"kl-reward", "train new.yaml",
         "algorithm=grpo loss.beta=0.1 loss.kl_placement=reward loss.kl_estimator=k1"},
        {"off-policy-mask", "train new.yaml",
         "algorithm=grpo loss.num_iterations=2 loss.off_policy_mask=0.01"},
        {"top-entropy", "train new.yaml", "algorithm=grpo loss.top_entropy=0.5"},
        {"token-rewards", "train new.yaml", "algorithm=grpo task.token_rewards=true"},
        {"guide", "train old.yaml",
         "optim.learning_rate=1e-3 guidance.kind=guide guidance.trigger_accuracy=0.5 "
         "guidance.template='{prompt}?{hint}:'"},
        {"guide-mixed", "train old.yaml",
         "optim.learning_rate=1e-3 guidance.kind=guide guidance.trigger_accuracy=0.5 "
         "guidance.form=mixed "
         "guidance.template='{prompt}?{hint}:'"},
        {"empg", "train old.yaml", "credit.kind=empg"},
        {"sequential", "train new.yaml", "curriculum.kind=sequential"},
        {"easy-to-hard", "train new.yaml",
         "curriculum.kind=easy_to_hard curriculum.steps_per_level=1"},
        {"sec", "train new.yaml", "curriculum.kind=sec curriculum.categories='[difficulty]'"},
        {"dump", "train new.yaml", "curriculum.kind=dump curriculum.categories='[difficulty]'"},
        {"cosine", "train new.yaml",
         "optim.lr_scheduler_type=cosine_with_min_lr optim.min_lr_rate=0.1 optim.warmup_steps=1 "
         "optim.weight_decay=0.1"},
        /* second moments on both sides of the smallest normal number */
        {"denormals", "train new.yaml", "optim.max_grad_norm=1e-15"},
        {"sft", "sft new.yaml", "sft.batch_size=8"},
        {"lora", "train old.yaml", "model.lora_r=2"},
        /* in both orders of sums, whatever this CPU would take */
        {"bf16", "train new.yaml", PAIRS},
        {"bf16-head-f32", "train new.yaml",
         PAIRS " compute.head_precision=f32 loss.entropy_coef=0.01"},
        {"bf16-ppo", "train new.yaml", PAIRS " algorithm=ppo loss.beta=0.1"},
        {"bf16-lora", "train old.yaml", PAIRS " model.lora_r=2"},
        {"bf16-sft", "sft new.yaml", PAIRS " sft.batch_size=8"},
        {"bf16-tiles", "train new.yaml", TILES},
        {"bf16-tiles-head-f32", "train new.yaml",
         TILES " compute.head_precision=f32 loss.entropy_coef=0.01"},
        {"bf16-tiles-ppo", "train new.yaml", TILES " algorithm=ppo loss.beta=0.1"},
        {"bf16-tiles-lora", "train old.yaml", TILES " model.lora_r=2"},
        {"bf16-tiles-sft", "sft new.yaml", TILES " sft.batch_size=8"},
        {"replay", "train new.yaml", "algorithm=topr rollout.source=rollouts.jsonl"},
        {"replay-tis", "train new.yaml",
         "rollout.source=rollouts.jsonl loss.mismatch=token_truncate"},
        {"replay-m2po", "train new.yaml",
         "algorithm=m2po rollout.source=rollouts.jsonl loss.mismatch_moment=1e-4"},
};
static char table_path[PATH_MAX]; /* found before the test leaves the tree's root */
enum { N_RUNS = sizeof runs / sizeof *runs, LINE = 160 };

static unsigned file_bits(const char *path)
{
	size_t   n;
	char    *data = read_all(path, &n);
	unsigned crc = (unsigned)crc32(0, (const unsigned char *)data, (unsigned)n);

	free(data);
	return crc;
}

/* Every metric of every step but the timings, in the order of their names. */
static unsigned metrics_bits(const char *path)
{
	size_t   n;
	char    *text = read_all(path, &n);
	unsigned crc = 0;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		json_t     *o = json_loads(line, 0, NULL), *value;
		const char *name;
		void       *next;
		char       *kept;
		assert_non_null(o);
		json_object_foreach_safe(o, next, name, value) if (is_timing(name))
		        json_object_del(o, name);
		kept = json_dumps(o, JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
		crc = (unsigned)crc32(crc, (const unsigned char *)kept, (unsigned)strlen(kept));
		free(kept);
		json_decref(o);
	}
	free(text);
	return crc;
}

/* NAME, then the bits of weights, moments and metrics of the run with some more settings. */
static void bits_with(const struct bits_run *r, const char *more, char *line)
{
	static int  n_runs;
	char        folder[64];
	const char *weights = strstr(r->settings, "lora_r")
	                              ? "checkpoint-3/adapter_model.safetensors"
	                              : "checkpoint-3/model.safetensors";

	snprintf(folder, sizeof folder, "runs/%s-%d", r->name, n_runs++);
	hone_ok("%s run.output_dir=%s %s %s", r->command, folder, r->settings, more);
	snprintf(line, LINE, "%s\t%08x\t%08x\t%08x\n", r->name,
	         file_bits(in_folder(folder, weights)),
	         file_bits(in_folder(folder, "checkpoint-3/optimizer.safetensors")),
	         metrics_bits(in_folder(folder, "metrics.jsonl")));
}

static void bits_of(const struct bits_run *r, char *line)
{
	bits_with(r, "", line);
}

/* Models and completions that some runs begin with. */
static void prepare(void)
{
	hone_ok("rollouts new.yaml --steps 4 --output rollouts.jsonl run.seed=7");
	hone_ok("sft new.yaml sft.batch_size=16 sft.hint_rate=0.5 "
	        "guidance.template='{prompt}?{hint}:' run.max_steps=200 "
	        "run.output_dir=before "
	        "run.eval_steps=0");
}

static void small_runs_of_every_part_keep_their_bits(void **state)
{
	(void)state;
	size_t n;
	int    writing = getenv("HONE_BITS") != NULL, differ = 0;
	char  *table = writing ? NULL : read_all(table_path, &n), lines[N_RUNS][LINE];

	for (int i = 0; i < N_RUNS; i++)
		bits_of(&runs[i], lines[i]);
	for (int i = 0; i < N_RUNS && table; i++)
		if (!strstr(table, lines[i])) {
			differ++;
			print_message("now %s", lines[i]);
		}
	free(table);
	if (writing) {
		FILE *f = fopen(table_path, "w");
		assert_non_null(f);
		for (int i = 0; i < N_RUNS; i++)
			fputs(lines[i], f);
		fclose(f);
	}
	assert_int_equal(differ, 0);
}

/* The same runs with other ways to spend memory: layers computed again, and passes of one unit, or
 * of a few. */
static void layers_computed_again_give_the_same_bits(void **state)
{
	(void)state;
	size_t n;
	char  *table, line[LINE];
	int    differ = 0;

	if (getenv("HONE_PROGRAM"))
		skip(); /* an emulator needs a minute for it, and the order of sums is the same */
	table = read_all(table_path, &n);
	for (int i = 0; i < N_RUNS; i++) {
		bits_with(&runs[i],
		          i % 2 ? "compute.recompute=on"
		                : "compute.recompute=on compute.micro_batch_tokens=1",
		          line);
		if (!strstr(table, line)) {
			differ++;
			print_message("with layers computed again %s", line);
		}
	}
	free(table);
	assert_int_equal(differ, 0);
}

/* Every kernel that this CPU has against plain C: the same weights, moments and metrics. */
static void kernels_train_as_the_formula(const char *kind, const char *products)
{
	static const char *const backends[] = {"reference", "avx2", "avx512", "amx"};
	char                     want[LINE] = "", got[LINE], settings[160], name[48];

	for (int i = 0; i < 4; i++) {
		if (hone("train new.yaml run.max_steps=0 run.output_dir=try-%s-%s "
		         "compute.backend=%s %s",
		         kind, backends[i], backends[i], products) != 0)
			continue; /* not on this CPU */
		snprintf(name, sizeof name, "grpo-%s-%s", kind, backends[i]);
		snprintf(settings, sizeof settings,
		         "algorithm=grpo loss.num_iterations=2 compute.backend=%s %s", backends[i],
		         products);
		bits_of(&(struct bits_run){name, "train new.yaml", settings}, got);
		print_message("%s", got);
		if (i == 0)
			strcpy(want, got);
		assert_string_equal(strchr(got, '\t'), strchr(want, '\t'));
	}
}

static void every_kernel_and_the_scalar_formula_train_the_same_bits(void **state)
{
	(void)state;
	kernels_train_as_the_formula("f32", "compute.precision=f32");
	kernels_train_as_the_formula("pairs", PAIRS);
	kernels_train_as_the_formula("tiles", TILES);
}

int main(void)
{
	char                    text[2048];
	const struct CMUnitTest tests[] = {
	        TEST(small_runs_of_every_part_keep_their_bits),
	        TEST(layers_computed_again_give_the_same_bits),
	        TEST(every_kernel_and_the_scalar_formula_train_the_same_bits)};

	if (!realpath("tests/data", table_path)) {
		perror("tests/data: run from the root of the tree");
		return 1;
	}
	strcat(table_path, "/bits.tsv");
	run_in_temporary_folder();
	snprintf(text, sizeof text, "%s%s", small_model_new, job_text);
	write_text("new.yaml", text);
	snprintf(text, sizeof text, "%s%s", small_model_old, job_text);
	write_text("old.yaml", text);
	snprintf(text, sizeof text, "%s%s", nav_model, nav_job);
	write_text("nav.yaml", text);
	prepare();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
