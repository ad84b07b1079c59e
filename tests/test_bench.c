/* `hone bench`: its output is whole, and counts what it says that it counts. How fast this machine
 * is, no test asks. */
#include "cli/bench.h"

#include "math/machine.h"
#include "math/matmul.h"
#include "model/published.h"
#include "run.h"

static json_t *bench_json(const char *words)
{
	char   *text;
	size_t  n;
	json_t *out;

	hone_ok("bench tiny/checkpoint-1 --json --seconds 0 %s", words);
	text = read_all("stdout", &n);
	out = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!out)
		fail_msg("this is no JSON object: %s", text);
	free(text);
	return out;
}

static const char *word(const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));

	assert_true(text && *text);
	return text;
}

static double number(const json_t *row, const char *name)
{
	assert_true(json_is_number(json_object_get(row, name)));
	return json_number_value(json_object_get(row, name));
}

static int count_of(const json_t *all, const char *what, const char *precision)
{
	const json_t *row;
	size_t        i;
	int           n = 0;

	json_array_foreach(json_object_get(all, "figures"), i, row) n +=
	        !strncmp(word(row, "what"), what, strlen(what)) &&
	        !strcmp(word(row, "precision"), precision);
	return n;
}

static int length(const json_t *all)
{
	return (int)json_array_size(json_object_get(all, "figures"));
}

static void every_figure_has_a_unit_a_limit_and_a_fraction_of_it(void **state)
{
	(void)state;
	json_t       *all = bench_json("--full");
	const json_t *row;
	size_t        i;

	assert_true(number(all, "threads") >= 1 && number(all, "memory_mib") > 1);
	assert_true(number(all, "share") > 0 && number(all, "share") <= 1);
	word(all, "cpu");
	word(all, "kernels");
	json_array_foreach(json_object_get(all, "figures"), i, row)
	{
		double fraction = number(row, "fraction");
		word(row, "unit");
		assert_non_null(strstr("fma dpbf16 AMX read", word(row, "of")));
		assert_true(number(row, "value") > 0 && number(row, "seconds") > 0);
		if (!(fraction > 0 && fraction <= 1.2))
			fail_msg("%s: %g of what the machine can do", word(row, "what"), fraction);
	}
	json_decref(all);
}

static void all_families_are_measured_in_both_precisions(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		int         full, short_;
	} families[] = {{"products", 21, 9}, {"prefill", 1, 1},   {"decode", 4, 2},
	                {"head", 3, 3},      {"attention", 3, 3}, {"training step", 1, 1},
	                {"GRPO step", 1, 0}};
	static const char *const precisions[] = {"f32", "bf16"};
	json_t                  *full = bench_json("--full"), *brief = bench_json("");

	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		for (int p = 0; p < 2; p++) {
			assert_int_equal(count_of(full, families[i].what, precisions[p]),
			                 families[i].full);
			assert_int_equal(count_of(brief, families[i].what, precisions[p]),
			                 families[i].short_);
		}
	json_decref(full);
	json_decref(brief);
}

static void one_precision_or_one_family_can_be_asked_for(void **state)
{
	(void)state;
	int     machine, with_head;
	json_t *all = bench_json("--only machine");

	machine = length(all);
	/* by one thread and by all, or by one alone */
	assert_true(machine == (2 + matmul_cpu_has_bf16() + matmul_cpu_has_amx()) *
	                               (number(all, "threads") > 1 ? 2 : 1));
	json_decref(all);
	all = bench_json("--only head --precision bf16");
	with_head = length(all);
	assert_int_equal(with_head, machine + 3);
	assert_int_equal(count_of(all, "head", "bf16"), 3);
	json_decref(all);
	all = bench_json("--only grpo --precision f32 --threads 1");
	assert_int_equal(count_of(all, "GRPO step", "f32"), 1);
	assert_true(number(all, "threads") == 1);
	json_decref(all);
	setenv("OMP_NUM_THREADS", "1", 1);
	all = bench_json("--only machine");
	assert_true(number(all, "threads") == 1);
	json_decref(all);
	assert_int_equal(hone("bench tiny/checkpoint-1 --only hed"), 2);
	assert_says("stderr", "'hed'; choose machine, products");
	assert_int_equal(hone("bench tiny/checkpoint-1 --seconds x"), 2);
	assert_says("stderr", "--seconds wants a number");
	assert_int_equal(hone("bench tiny/checkpoint-1 --precision f16"), 2);
	assert_says("stderr", "compute.precision is f16");
}

static void the_text_has_the_rows_of_the_object(void **state)
{
	(void)state;
	json_t       *all = bench_json("--only products");
	const json_t *row;
	size_t        i;

	hone_ok("bench tiny/checkpoint-1 --seconds 0 --only products");
	json_array_foreach(json_object_get(all, "figures"), i, row)
	{
		assert_says("stdout", word(row, "what"));
		assert_says("stdout", word(row, "unit"));
	}
	json_decref(all);
}

/* ---- what is counted ---- */

/* What one machine measured gives the same tables again, here or elsewhere; one rank is the
 * measure of all. */
static void a_step_on_many_ranks_is_told_from_figures(void **state)
{
	(void)state;
	json_t *all = bench_json("--only ranks --precision f32 --threads 1");

	json_decref(all);
	shell("mv stdout figures.json");
	hone_ok("bench tiny/checkpoint-1 --only ranks --figures figures.json --precision f32");
	assert_says("stdout", "64 prompts x 8, 128 + about 128 tokens");
	shell("awk '$1 == 1 && NF == 8 { n++; bad += $7 != \"100.0%%\" || $4 > 0 || $8 > 0 }\n"
	      "$1 ~ /^[0-9]+$/ && $1 > 1 && NF == 8 { bad += $4 <= 0 }\n"
	      "END { exit bad || n != 5 }' stdout");
	shell("grep -v memory stdout > tables");
	hone_ok("bench tiny/checkpoint-1 --only ranks --figures figures.json --precision f32");
	shell("grep -v memory stdout > again");
	assert_true(same_bytes("tables", "again"));
	assert_int_equal(hone("bench --only head --figures figures.json"), 2);
	write_text("none.json", "{\"figures\": []}");
	assert_int_equal(hone("bench tiny/checkpoint-1 --only ranks --figures none.json"), 2);
	assert_says("stderr", "there is no figure");
}

static struct bench by_hand; /* a machine of 1000 FLOP/s, 2000 and 8000 in bf16, 100 bytes/s */

static const struct bench_figure *figure(double products, double floats, double bytes)
{
	by_hand.n_figures = 0;
	bench_add(&by_hand, "x", "rows/s", 8, &(struct bench_work){products, floats, bytes}, 4);
	return by_hand.figures;
}

static void open_precision(const char *precision, const char *order)
{
	const struct matmul_options o = {
	        .backend = "reference", .precision = precision, .numerics = "fast", .order = order};

	matmul_free(by_hand.mm);
	assert_ok(matmul_new(&o, &by_hand.mm));
}

static void a_fraction_is_the_least_time_over_the_time(void **state)
{
	(void)state;
	by_hand = (struct bench){.fma = 1000, .dot = 2000, .amx = 8000, .read = 100, .quiet = 1};
	open_precision("f32", NULL);
	assert_close(figure(2000, 1000, 100)->fraction, 0.75, 1e-12);
	assert_string_equal(by_hand.figures->limit, "fma");
	assert_close(by_hand.figures->value, 2, 1e-12);
	assert_close(figure(2000, 1000, 350)->fraction, 0.875, 1e-12);
	assert_string_equal(by_hand.figures->limit, "read");
	open_precision("bf16", "pair");
	assert_close(figure(2000, 1000, 100)->fraction, 0.5, 1e-12);
	assert_string_equal(by_hand.figures->limit, "dpbf16");
	open_precision("bf16", "tile");
	assert_close(figure(8000, 1000, 100)->fraction, 0.5, 1e-12);
	assert_string_equal(by_hand.figures->limit, "AMX");
	by_hand.amx = 0;
	assert_close(figure(2000, 1000, 100)->fraction, 0.75, 1e-12);
	assert_string_equal(by_hand.figures->limit, "fma");
	open_precision("bf16", "pair");
	by_hand.dot = 0; /* without the instruction f32 fma bounds bf16 too */
	assert_close(figure(2000, 1000, 100)->fraction, 0.75, 1e-12);
	assert_string_equal(by_hand.figures->limit, "fma");
	matmul_free(by_hand.mm);
}

static void the_work_of_a_token_is_two_for_each_weight(void **state)
{
	(void)state;
	by_hand = (struct bench){.shape = *published_shape("SmolLM2-135M"), .quiet = 1};
	/* 134,515,008 weights less the embedding and 61 norms */
	assert_close(bench_linear(&by_hand.shape), 134515008 - 49152.0 * 576 - 61 * 576, 0);
	open_precision("bf16", "pair");
	struct bench_work layers = bench_layers(&by_hand, 3, 10), head = bench_logits(&by_hand, 3);
	assert_close(layers.products, 6 * 106168320.0, 0);
	assert_close(layers.bytes, 2 * 106168320.0, 0);
	assert_close(layers.floats, 3 * 10 * 4.0 * 30 * 576, 0);
	assert_close(head.products, 6 * 49152.0 * 576, 0);
	open_precision("f32", NULL);
	assert_close(bench_logits(&by_hand, 3).floats, 6 * 49152.0 * 576, 0);
	assert_close(bench_layers(&by_hand, 3, 10).bytes, 4 * 106168320.0, 0);
	matmul_free(by_hand.mm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(every_figure_has_a_unit_a_limit_and_a_fraction_of_it),
	        TEST(all_families_are_measured_in_both_precisions),
	        TEST(one_precision_or_one_family_can_be_asked_for),
	        TEST(the_text_has_the_rows_of_the_object),
	        TEST(a_step_on_many_ranks_is_told_from_figures),
	        TEST(a_fraction_is_the_least_time_over_the_time),
	        TEST(the_work_of_a_token_is_two_for_each_weight)};

	run_in_temporary_folder();
	write_text("tiny.yaml",
	           "model:\n"
	           "  tokenizer: \"chars:0123456789,:+=\"\n"
	           "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8,"
	           " ff_width: 24, n_positions: 256}\n"
	           "data: {generate: [{name: sequence, count: 2}]}\n"
	           "task: {reward: length, verifier: {length: 1-3}}\n"
	           "rollout: {num_generations: 2, prompts_per_step: 1, max_completion_length: 2}\n"
	           "run: {max_steps: 1, output_dir: tiny, save_steps: 0}\n");
	hone_ok("train tiny.yaml");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
