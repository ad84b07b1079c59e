/* A reference that follows the policy: formula, limits, a resume that changes no bit. */
#include "model/safetensors.h"
#include "run.h"

static const char config[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 32}\n"
        "data:\n"
        "  generate: [{name: sequence, levels: 1-3, count: 30}]\n"
        "task: {reward: length, verifier: {length: 1-3, length_slack: 4}}\n"
        "loss: {beta: 0.1}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "optim: {learning_rate: 2e-2}\n"
        "run: {max_steps: 7, save_steps: 2, save_total_limit: 0, tensorboard: false}\n";

static double kl_of(const char *folder, int step)
{
	char  *text = metrics_without_times(folder);
	double value = -1;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *o = json_loads(line, 0, NULL);
		if (json_integer_value(json_object_get(o, "step")) == step)
			value = json_number_value(json_object_get(o, "kl"));
		json_decref(o);
	}
	free(text);
	return value;
}

static void a_copy_of_the_policy_is_at_no_distance_from_it(void **state)
{
	(void)state;
	hone_ok("train r.yaml run.output_dir=still");
	hone_ok("train r.yaml run.output_dir=copy model.sync_ref_model=true "
	        "model.ref_model_sync_steps=1 model.ref_model_mixup_alpha=1");
	hone_ok("train r.yaml run.output_dir=rare model.sync_ref_model=true "
	        "model.ref_model_sync_steps=3 model.ref_model_mixup_alpha=1");
	hone_ok("train r.yaml run.output_dir=none model.sync_ref_model=true "
	        "model.ref_model_sync_steps=1 model.ref_model_mixup_alpha=0");
	for (int step = 1; step <= 7; step++) {
		assert_true(kl_of("copy", step) == 0);
		assert_int_equal(kl_of("still", step) > 0, step > 1);
		/* just after a sync */
		assert_int_equal(kl_of("rare", step) == 0, step % 3 == 1);
		assert_true(kl_of("none", step) == kl_of("still", step));
	}
	assert_true(same_bytes("none/checkpoint-7/model.safetensors",
	                       "still/checkpoint-7/model.safetensors"));
	assert_false(file_exists("still/checkpoint-7/reference.safetensors"));
	shell("rm -r copy rare none");
}

static float *tensor_of(const char *path, const char *name, size_t *n)
{
	struct safetensors              s;
	const struct safetensors_entry *e;
	float                          *x;

	assert_ok(safetensors_open(path, &s));
	e = safetensors_find(&s, name);
	assert_non_null(e);
	*n = e->count;
	x = malloc(*n * sizeof *x);
	assert_non_null(x);
	assert_ok(safetensors_read(&s, e, x));
	safetensors_close(&s);
	return x;
}

static void it_is_the_mixture_that_the_header_says(void **state)
{
	(void)state;
	static const char *const names[] = {"model.embed_tokens.weight",
	                                    "model.layers.0.self_attn.k_proj.weight",
	                                    "model.norm.weight"};

	shell("sed 's,tokenizer: chars,path: still/checkpoint-7,; /init:/d' r.yaml > from.yaml");
	hone_ok("train from.yaml run.output_dir=mixed run.max_steps=2 model.sync_ref_model=true "
	        "model.ref_model_sync_steps=2 model.ref_model_mixup_alpha=0.3");
	for (int i = 0; i < 3; i++) {
		size_t n, m, k;
		float *start = tensor_of("still/checkpoint-7/model.safetensors", names[i], &n),
		      *policy = tensor_of("mixed/checkpoint-2/model.safetensors", names[i], &m),
		      *is = tensor_of("mixed/checkpoint-2/reference.safetensors", names[i], &k);
		int moved = 0;
		assert_true(n == m && n == k);
		for (size_t j = 0; j < n; j++) {
			volatile float keep = (1 - 0.3f) * start[j], mix = 0.3f * policy[j];
			assert_true(is[j] == keep + mix);
			moved += is[j] != start[j];
		}
		assert_true(moved > 0);
		free(start);
		free(policy);
		free(is);
	}
	shell("rm -r mixed");
}

static const char following[] =
        "model.sync_ref_model=true model.ref_model_sync_steps=2 model.ref_model_mixup_alpha=0.3";

static void assert_same(const char *a, const char *b)
{
	char *x = metrics_without_times(a), *y = metrics_without_times(b);

	assert_string_equal(x, y);
	free(x);
	free(y);
	assert_true(same_bytes(in_folder(a, "checkpoint-7/model.safetensors"),
	                       in_folder(b, "checkpoint-7/model.safetensors")));
	assert_true(same_bytes(in_folder(a, "checkpoint-7/reference.safetensors"),
	                       in_folder(b, "checkpoint-7/reference.safetensors")));
}

static void a_resumed_run_has_the_reference_of_one_that_never_stopped(void **state)
{
	(void)state;
	hone_ok("train r.yaml run.output_dir=whole %s", following);
	for (int first = 1; first < 7; first += 2) {
		hone_ok("train r.yaml run.output_dir=parts %s run.max_steps=%d", following, first);
		hone_ok("train r.yaml run.output_dir=parts %s --resume", following);
		shell("rm -rf parts/checkpoint-%d", first % 2 ? first : 99);
		assert_same("whole", "parts");
		shell("rm -r parts");
	}
	for (int lines = 1; lines < 7; lines += 2) {
		pid_t pid = hone_start("train r.yaml run.output_dir=killed %s", following);
		while (!file_exists("killed/metrics.jsonl") ||
		       count_lines("killed/metrics.jsonl") < lines)
			usleep(1000);
		kill(pid, SIGKILL);
		hone_end(pid);
		hone_ok("train r.yaml run.output_dir=killed %s --resume", following);
		assert_same("whole", "killed");
		shell("rm -r killed");
	}
	hone_ok("train r.yaml run.output_dir=ranks %s --ranks 2 compute.threads=2", following);
	assert_same("whole", "ranks");
}

static void an_adapter_has_no_reference_that_follows(void **state)
{
	(void)state;
	assert_int_equal(hone("train from.yaml run.output_dir=lora model.lora_r=2 %s", following),
	                 2);
	assert_says("stderr", "cannot follow an adapter");
}

/* A checkpoint whose reference is not that of this model. */
static void a_reference_of_another_shape_is_refused(void **state)
{
	(void)state;
	hone_ok("train r.yaml run.output_dir=other %s run.max_steps=2", following);
	shell("cp other/checkpoint-2/optimizer.safetensors other/checkpoint-2/reference.safetensors"
	      " && rm other/checkpoint-2/manifest.json");
	assert_int_equal(hone("train r.yaml run.output_dir=other %s --resume", following), 2);
	shell("sed 's,width: 16,width: 24,' r.yaml > wide.yaml");
	hone_ok("train wide.yaml run.output_dir=wide run.max_steps=1");
	assert_int_equal(hone("train r.yaml run.output_dir=off model.reference=wide %s", following),
	                 2);
	assert_says("stderr", "the reference has another shape");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_copy_of_the_policy_is_at_no_distance_from_it),
	        TEST(it_is_the_mixture_that_the_header_says),
	        TEST(a_resumed_run_has_the_reference_of_one_that_never_stopped),
	        TEST(an_adapter_has_no_reference_that_follows),
	        TEST(a_reference_of_another_shape_is_refused),
	};

	run_in_temporary_folder();
	write_text("r.yaml", config);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
