/* A GGUF file as a user has one: generated from, trained from, resumed, exported again. */
#include "run.h"

static char sources[PATH_MAX];

static void take_seed(const char *name)
{
	size_t n;
	char   path[PATH_MAX + 64], *data;

	snprintf(path, sizeof path, "%s/tests/fuzz/corpus/gguf/%s", sources, name);
	data = read_all(path, &n);
	assert_ok(file_write("model.gguf", data, n));
	free(data);
}

/* The same log-probabilities, printed with all digits. */
static void same_logprobs(const char *a, const char *b)
{
	write_text("ids.jsonl", "{\"ids\": [7, 0, 1, 2, 3, 9, 10, 5, 6]}\n");
	hone_ok("logprobs %s < ids.jsonl > a.jsonl", a);
	hone_ok("logprobs %s < ids.jsonl > b.jsonl", b);
	shell("cmp a.jsonl b.jsonl");
}

static void an_export_computes_the_same_bits(void **state)
{
	(void)state;
	take_seed("llama-q4_1");
	hone_ok("export model.gguf folder");
	hone_ok("export model.gguf f32.gguf");
	hone_ok("export folder again.gguf");
	same_logprobs("model.gguf", "folder");
	same_logprobs("model.gguf", "f32.gguf");
	same_logprobs("folder", "again.gguf");
	hone_ok("generate f32.gguf --prompt 'ab c' --max-tokens 4");
	hone_ok("inspect model.gguf");
	assert_says("stdout", "blk.0.attn_q.weight                          Q4_1     [32, 32]");
	assert_says("stdout", "llama, layers 1, width 32");
}

static void what_cannot_be_exported_is_refused_and_nothing_is_left(void **state)
{
	(void)state;
	take_seed("qwen3-q5_1");
	assert_int_equal(hone("export model.gguf new.gguf --dtype q4_k"), 2);
	assert_says("stderr", "--dtype q4_k");
	assert_int_equal(hone("export model.gguf new.gguf --dtype iq4_xs"), 2);
	assert_says("stderr", "--dtype iq4_xs");
	assert_int_equal(hone("export model.gguf new --dtype q8_0"), 2);
	assert_int_equal(hone("export model.gguf model.gguf"), 2);
	assert_says("stderr", "model.gguf is there already");
	assert_int_equal(hone("export missing.gguf new.gguf"), 2);
	assert_says("stderr", "missing.gguf: cannot open it");
	assert_false(file_exists("new.gguf") || file_exists("new"));
}

static void a_run_from_a_file_resumes_and_its_checkpoint_is_a_folder(void **state)
{
	(void)state;
	static const char run[] = "sft a.yaml model.path=model.gguf data.chat=never";

	take_seed("qwen2-q4_0");
	write_text("rows.jsonl", "{\"prompt\": \"ab\", \"answer\": \"c\"}\n"
	                         "{\"prompt\": \"1\", \"answer\": \"2\"}\n");
	write_text("a.yaml", "data: {train: rows.jsonl}\nsft: {batch_size: 2}\n"
	                     "rollout: {max_completion_length: 4}\nrun: {max_steps: 2}\n");
	hone_ok("%s run.output_dir=runs/whole", run);
	hone_ok("%s run.output_dir=runs/parts run.max_steps=1", run);
	hone_ok("%s run.output_dir=runs/parts --resume", run);
	same_logprobs("runs/whole/checkpoint-2", "runs/parts/checkpoint-2");
	hone_ok("export runs/whole trained.gguf");
	same_logprobs("runs/whole/checkpoint-2", "trained.gguf");
	hone_ok("%s run.output_dir=runs/lora model.lora_r=4", run);
	hone_ok("export runs/lora adapter.gguf");
	hone_ok("export runs/lora merged.gguf --merged");
	hone_ok("merge runs/lora merged");
	same_logprobs("merged", "merged.gguf");
	take_seed("llama-q4_1");
	assert_int_equal(
	        hone("%s run.output_dir=runs/lora model.lora_r=4 run.max_steps=3 --resume", run),
	        2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(an_export_computes_the_same_bits),
	        TEST(what_cannot_be_exported_is_refused_and_nothing_is_left),
	        TEST(a_run_from_a_file_resumes_and_its_checkpoint_is_a_folder),
	};
	if (!realpath(".", sources))
		return 1;
	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
