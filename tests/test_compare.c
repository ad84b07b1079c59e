/* Arms of an experiment: how runs are grouped, paired and measured, against numbers worked by
 * hand. */
#include "run.h"

#include "rl/job_config.h"
#include "rl/step_metrics.h"
#include "run/compare.h"
#include "run/report.h"

enum { EVALS = 6 };

/* An evaluation of value + rise * step at steps 0, 10 .. 50, with tokens_a_step tokens a step. */
static void put_run(const char *folder, const char *config, int seed, double value, double rise,
                    int tokens_a_step)
{
	struct text t = {0}, c = {0};
	char        path[256];

	assert_ok(file_make_folders(folder));
	for (int i = 0; i < EVALS; i++)
		text_print(&t,
		           "{\"step\": %d, \"eval/pass@1\": %.17g, \"reward\": %.17g, "
		           "\"num_tokens\": %d, \"step_time\": 2}\n",
		           10 * i, value + rise * 10 * i, value, 10 * i * tokens_a_step);
	snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
	write_text(path, t.data);
	text_print(&c, "%srun: {seed: %d, output_dir: %s, save_steps: %d}\n", config, seed, folder,
	           seed + 1);
	snprintf(path, sizeof path, "%s/config.yaml", folder);
	write_text(path, c.data);
	text_free(&t);
	text_free(&c);
}

struct opened {
	struct series_run      logs[16];
	struct compare_summary c;
	int                    n;
};

static struct opened *open_runs(int n, const char *const *folders)
{
	struct opened *o = calloc(1, sizeof *o);

	assert_non_null(o);
	o->n = n;
	for (int i = 0; i < n; i++)
		assert_ok(series_read(folders[i], &o->logs[i]));
	assert_ok(compare_open(&job_schema, o->logs, n, NULL, &o->c));
	return o;
}

static void leave(struct opened *o)
{
	compare_close(&o->c);
	for (int i = 0; i < o->n; i++)
		series_free(&o->logs[i]);
	free(o);
}

static const struct compared_pair *find_pair(const struct compare_summary *c, enum measure m)
{
	for (int i = 0; i < c->n_pairs; i++)
		if (c->pairs[i].measure == m)
			return &c->pairs[i];
	return NULL;
}

static void runs_are_grouped_by_what_they_learn_with(void **state)
{
	(void)state;
	static const char *const folders[] = {"g/a/seed-0", "g/b/seed-0", "g/a/seed-1",
	                                      "g/b/seed-1", "g/lone",     "g/d/seed-0"};

	put_run(folders[0], "algorithm: grpo\nloss: {beta: 0}\ncompute: {threads: 1}\n", 0, 0, 0,
	        1);
	put_run(folders[1], "algorithm: grpo\nloss: {beta: 0.5}\n", 0, 0, 0, 1);
	/* threads change nothing */
	put_run(folders[2], "algorithm: grpo\nloss: {beta: 0}\ncompute: {threads: 7}\n", 1, 0, 0,
	        1);
	put_run(folders[3], "algorithm: grpo\nloss: {beta: 0.5}\n", 1, 0, 0, 1);
	put_run(folders[4], "algorithm: rloo\nloss: {beta: 0}\n", 0, 0, 0, 1);
	put_run(folders[5], "algorithm: grpo\nrollout: {stop: [\"a\", b]}\n", 0, 0, 0, 1);
	struct opened *o = open_runs(6, folders);

	assert_int_equal(o->c.n_arms, 4);
	assert_true(compare_has_repeats(&o->c));
	assert_string_equal(o->c.arms[0].name, "a");
	assert_int_equal(o->c.arms[0].n, 2);
	assert_int_equal(o->c.arms[0].runs[1], 2);
	assert_string_equal(o->c.arms[0].differs, "algorithm=grpo, loss.beta=0");
	assert_string_equal(o->c.arms[1].name, "b");
	assert_string_equal(o->c.arms[2].name, "algorithm=rloo, loss.beta=0");
	assert_string_equal(o->c.arms[3].differs, "algorithm=grpo, rollout.stop=[\"a\", b]");
	assert_string_equal(o->c.runs[3].seed, "1");
	leave(o);
}

/* b rises twice as fast a step, but spends four times the tokens: at equal tokens it is behind. */
static void measures_at_equal_steps_and_at_equal_tokens(void **state)
{
	(void)state;
	static const char *const folders[] = {"m/a/seed-0", "m/b/seed-0"};

	/* 0.1, 0.14 .. 0.3; 500 tokens */
	put_run(folders[0], "loss: {beta: 0}\n", 0, 0.1, 0.004, 10);
	/* 0.1, 0.18 .. 0.5; 2000 tokens */
	put_run(folders[1], "loss: {beta: 1}\n", 0, 0.1, 0.008, 40);
	struct opened *o = open_runs(2, folders);

	assert_close(o->c.tokens, 500, 0);
	assert_close(o->c.runs[0].measure[MEASURE_FINAL], 0.3, 1e-12);
	assert_close(o->c.runs[0].measure[MEASURE_LAST_FIVE], 0.22, 1e-12);
	assert_close(o->c.runs[0].measure[MEASURE_AT_TOKENS], 0.3, 1e-12);
	assert_close(o->c.runs[1].measure[MEASURE_FINAL], 0.5, 1e-12);
	/* 500 tokens are step 12.5: 0.1 + 0.008 x 12.5 */
	assert_close(o->c.runs[1].measure[MEASURE_AT_TOKENS], 0.2, 1e-12);
	assert_close(o->c.runs[1].tokens, 2000, 0);
	assert_close(o->c.runs[1].seconds, 12, 0);
	assert_true(find_pair(&o->c, MEASURE_FINAL)->statistics.difference.mean > 0);
	assert_true(find_pair(&o->c, MEASURE_AT_TOKENS)->statistics.difference.mean < 0);
	assert_int_equal(find_pair(&o->c, MEASURE_FINAL)->statistics.verdict, VERDICT_TOO_FEW);
	leave(o);
}

static void put_seeds(int n, const char **folders)
{
	static char  names[16][32];
	const double noise[] = {0.05, -0.02, 0, 0.03, -0.04},
	             effect[] = {0.02, 0.01, 0.03, 0.02, 0.02};

	for (int i = 0; i < n; i++)
		for (int arm = 0; arm < 2; arm++) {
			char *name = names[2 * i + arm];
			snprintf(name, sizeof names[0], "p/%s/seed-%d", arm ? "with" : "without",
			         i);
			put_run(name, arm ? "loss: {beta: 1}\n" : "loss: {beta: 0}\n", i,
			        0.5 + noise[i] + arm * effect[i], 0, 10);
			folders[2 * i + arm] = name;
		}
}

static void seeds_are_paired_in_whatever_order_they_come(void **state)
{
	(void)state;
	const char *folders[10], *swap;

	put_seeds(5, folders);
	swap = folders[1], folders[1] = folders[7], folders[7] = swap;
	struct opened              *o = open_runs(10, folders);
	const struct compared_pair *p = find_pair(&o->c, MEASURE_LAST_FIVE);

	assert_int_equal(o->c.n_arms, 2);
	assert_int_equal(p->statistics.difference.n, 5);
	assert_close(p->statistics.difference.mean, 0.02, 1e-12);
	assert_close(p->statistics.difference.deviation, sqrt(0.0002 / 4), 1e-12);
	assert_int_equal(p->statistics.positive, 5);
	assert_int_equal(p->statistics.verdict, VERDICT_ABOVE);
	leave(o);
}

static void a_curve_is_the_mean_with_its_t_interval(void **state)
{
	(void)state;
	const char   *folders[10];
	struct point *points;
	int           n;

	put_seeds(5, folders);
	struct opened *o = open_runs(10, folders);
	assert_ok(compare_curve(&o->c, 0, "eval/pass@1", 0, &points, &n));
	assert_int_equal(n, EVALS);
	assert_close(points[3].x, 30, 0);
	assert_close(points[3].y, 0.504, 1e-12);
	/* deviation of 5, -2, 0, 3, -4 hundredths: mean 0.4, squares 54 - 0.8 = 53.2, / 4 */
	assert_close(points[3].error, 2.131847 * sqrt(53.2 / 4 / 5) / 100, 1e-7);
	assert_ok(compare_curve(&o->c, 0, "eval/pass@1", 1, &points, &n));
	assert_close(points[n - 1].x, 500, 0);
	assert_close(points[n - 1].y, 0.504, 1e-12);
	assert_ok(compare_curve(&o->c, 0, "nothing", 0, &points, &n));
	assert_int_equal(n, 0);
	leave(o);
}

static void the_report_says_what_it_can_and_that_two_seeds_are_too_few(void **state)
{
	(void)state;
	const char         *folders[10];
	struct text         markdown = {0};
	struct report_files files = {.page = "page.html",
	                             .json = "numbers.json",
	                             .markdown = &markdown,
	                             .schema = &job_schema,
	                             .metrics = &step_metrics,
	                             .question = {"without", "last_five"}};
	json_t             *json;

	put_seeds(5, folders);
	assert_ok(report_write(folders, 10, &files));
	assert_non_null(strstr(markdown.data, "| without | 5 | 50.4 ["));
	assert_non_null(
	        strstr(markdown.data, "| with \xe2\x88\x92 without | last five | 5 | +2.0 |"));
	assert_non_null(strstr(markdown.data, "| 5 / 0 | 0.003 | 0.003 | above |"));
	assert_null(strstr(markdown.data, "| final | 5 |"));
	assert_non_null(strstr(markdown.data, "2 other differences stand in the page."));
	assert_null(strstr(markdown.data, "Too few"));
	assert_ok(json_read("numbers.json", 1 << 20, &json));
	assert_int_equal(json_array_size(json_object_get(json, "pairs")), 3);
	assert_string_equal(json_string_value(json_object_get(
	                            json_array_get(json_object_get(json, "pairs"), 0), "verdict")),
	                    "above");
	assert_int_equal(json_array_size(json_object_get(
	                         json_array_get(json_object_get(json, "arms"), 0), "runs")),
	                 5);
	json_decref(json);
	assert_says("page.html", "class=\"shade k1\"");
	assert_says("page.html", "at equal generated tokens");
	assert_says("page.html", "<figcaption>Against without<small>held-out pass@1, last five");
	assert_says("page.html", "<g class=\"above\"><text class=\"name\"");
	assert_says("page.html", "<details><summary>2 other differences");
	text_free(&markdown);

	put_seeds(2, folders);
	assert_ok(report_write(folders, 4, &files));
	assert_non_null(
	        strstr(markdown.data, "Too few seeds to say anything: 2 where a verdict needs 5"));
	assert_non_null(strstr(markdown.data, "too few seeds (2 of 5)"));
	assert_null(strstr(markdown.data, "above"));
	text_free(&markdown);
}

/* Of three arms the second is the baseline: two differences from it, in its direction, are the
 * family; p-values worked by hand. */
static void the_family_is_every_arm_against_the_declared_baseline(void **state)
{
	(void)state;
	/* last five = value + 60 * rise; differences from arm 1 of seeds 0 .. 4 */
	static const double above[] = {0.05, 0.06, 0.04, 0.07, 0.05},
	                    near[] = {0.02, -0.01, 0.02, 0.01, 0.00};
	const char                   *folders[15];
	char                          names[15][32];
	const struct compare_question q = {"loss.beta=0.2", "last_five"};
	struct opened                *o = calloc(1, sizeof *o);

	o->n = 15;
	for (int i = 0; i < 15; i++) {
		char   config[32];
		int    seed = i % 5, arm = i / 5;
		double value = 0.3 + 0.01 * seed +
		               (arm == 0   ? above[seed]
		                : arm == 2 ? near[seed]
		                           : 0);
		snprintf(names[i], sizeof names[i], "three-%d-%d", arm, seed);
		snprintf(config, sizeof config, "loss: {beta: 0.%d}\n", arm + 1);
		folders[i] = names[i];
		put_run(names[i], config, seed, value, 0, 10);
		assert_ok(series_read(folders[i], &o->logs[i]));
	}
	assert_ok(compare_open(&job_schema, o->logs, 15, &q, &o->c));
	assert_int_equal(o->c.baseline, 1);
	assert_int_equal(o->c.n_pairs, 9);
	for (int i = 0; i < 9; i++) {
		assert_int_equal(o->c.pairs[i].is_of_family, i < 2);
		assert_true(o->c.pairs[i].b == 1 || (o->c.pairs[i].a == 2 && o->c.pairs[i].b == 0));
		assert_int_equal(isnan(o->c.pairs[i].holm), i >= 2);
	}
	/* t = 0.054 / (0.011402 / sqrt 5) = 10.59 and 0.008 / (0.013038 / sqrt 5) = 1.372, df 4 */
	assert_close(o->c.pairs[0].statistics.p, 0.000449, 2e-6);
	assert_close(o->c.pairs[0].holm, 2 * o->c.pairs[0].statistics.p, 1e-12);
	assert_close(o->c.pairs[1].statistics.p, 0.2420, 1e-3);
	assert_close(o->c.pairs[1].holm, o->c.pairs[1].statistics.p, 1e-12);
	assert_int_equal(compare_verdict(&o->c.pairs[0]), VERDICT_ABOVE);
	assert_int_equal(compare_verdict(&o->c.pairs[1]), VERDICT_NOT_SHOWN);
	leave(o);
}

/* p = 0.090 is a sign by itself, and twice that among two is none. */
static void a_sign_that_the_correction_takes_away_is_not_shown(void **state)
{
	(void)state;
	struct compared_pair pair = {.is_of_family = 1, .holm = 0.18};

	pair.statistics.verdict = VERDICT_ABOVE;
	assert_int_equal(compare_verdict(&pair), VERDICT_NOT_SHOWN);
	pair.holm = 0.09;
	assert_int_equal(compare_verdict(&pair), VERDICT_ABOVE);
	pair = (struct compared_pair){.holm = NAN};
	pair.statistics.verdict = VERDICT_BELOW;
	assert_int_equal(compare_verdict(&pair), VERDICT_BELOW);
}

static void a_baseline_or_measure_that_is_not_there_is_named(void **state)
{
	(void)state;
	const char         *folders[10];
	struct report_files files = {.page = "none.html",
	                             .schema = &job_schema,
	                             .metrics = &step_metrics,
	                             .question = {"nobody", NULL}};

	put_seeds(2, folders);
	assert_error(report_write(folders, 4, &files), ERR_INPUT,
	             "no arm is called \"nobody\"; there are: ");
	files.question = (struct compare_question){NULL, "best"};
	assert_error(report_write(folders, 4, &files), ERR_INPUT,
	             "no measure \"best\"; there are: final, last_five, at_tokens");
	assert_false(file_exists("none.html"));
}

static void a_curve_over_tokens_that_stand_still_is_a_point(void **state)
{
	(void)state;
	const char    *folders[] = {"still"};
	struct opened *o;
	struct point  *p;
	int            n;

	put_run("still", "", 0, 0.5, 0.01, 0);
	o = open_runs(1, folders);
	assert_ok(compare_curve(&o->c, 0, "eval/pass@1", 1, &p, &n));
	assert_int_equal(n, 1);
	assert_close(p[0].x, 0, 0);
	leave(o);
}

static void a_config_that_is_no_map_is_named(void **state)
{
	(void)state;
	const char         *folders[] = {"listed"};
	struct report_files files = {
	        .page = "listed.html", .schema = &job_schema, .metrics = &step_metrics};

	put_run("listed", "", 0, 0.5, 0, 1);
	write_text("listed/config.yaml", "- a\n");
	assert_error(report_write(folders, 1, &files), ERR_INPUT,
	             "listed/config.yaml: the file holds a list, but must hold a map");
	assert_false(file_exists("listed.html"));
}

static void a_lack_of_memory_is_an_error_and_leaks_nothing(void **state)
{
	(void)state;
	const char         *folders[10];
	struct text         markdown = {0};
	struct report_files files = {.page = "short.html",
	                             .json = "short.json",
	                             .markdown = &markdown,
	                             .schema = &job_schema,
	                             .metrics = &step_metrics};
	int                 failures = 0, status = ERR_INPUT;

	put_seeds(2, folders);
	for (long n = 1; n < 2000 && status != OK; n++) {
		mem_fail_at(n);
		text_free(&markdown);
		markdown = (struct text){0};
		status = report_write(folders, 4, &files);
		mem_fail_at(0);
		assert_true(status == OK || status == ERR_MEMORY);
		failures += status != OK;
	}
	assert_int_equal(status, OK);
	assert_true(failures > 10);
	text_free(&markdown);
}

/* A warm start of each seed's own, in a path that says so, and a prompt of 150 characters: an arm
 * each, with a name that a legend holds. */
static void paths_of_a_seed_make_no_arm_and_long_differences_no_name(void **state)
{
	(void)state;
	static const char *const folders[] = {"l/a/seed-0", "l/a/seed-13", "l/x/y-1",   "l/x/y-2",
	                                      "l/z/y-1",    "l/q/seed-1",  "l/r/seed-2"};
	char                     config[400], prompt[151];

	memset(prompt, 'p', 150);
	prompt[150] = 0;
	put_run(folders[0], "model: {path: w/seed-0}\nrollout: {source: w/seed-0.jsonl}\n", 0, 0, 0,
	        1);
	put_run(folders[1], "model: {path: w/seed-13}\nrollout: {source: w/seed-13.jsonl}\n", 13, 0,
	        0, 1);
	for (int i = 0; i < 3; i++) {
		snprintf(config, sizeof config,
		         "model: {path: w/seed-1}\ndata: {system_prompt: \"%s%d\"}\n", prompt, i);
		put_run(folders[2 + i], config, 0, 0, 0, 1);
	}
	/* not their own seed: two arms */
	put_run(folders[5], "model: {path: w/seed-10}\n", 1, 0, 0, 1);
	put_run(folders[6], "model: {path: w/seed-20}\n", 2, 0, 0, 1);
	struct opened *o = open_runs(7, folders);
	struct text    t = {0};

	assert_int_equal(o->c.n_arms, 6);
	assert_int_equal(o->c.arms[0].n, 2);
	assert_string_equal(o->c.arms[0].name, "a");
	assert_string_equal(o->c.arms[1].name, "y-1");
	assert_string_equal(o->c.arms[2].name, "y-2");
	assert_string_equal(o->c.arms[3].name, "arm 4"); /* y-1 is taken */
	compare_markdown(&o->c, &t);
	assert_non_null(strstr(t.data, "\ny-2: model.path=w/seed-1, data.system_prompt="));
	assert_null(strstr(t.data, "| model.path"));
	text_free(&t);
	leave(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(runs_are_grouped_by_what_they_learn_with),
	        TEST(the_family_is_every_arm_against_the_declared_baseline),
	        TEST(a_sign_that_the_correction_takes_away_is_not_shown),
	        TEST(a_baseline_or_measure_that_is_not_there_is_named),
	        TEST(measures_at_equal_steps_and_at_equal_tokens),
	        TEST(seeds_are_paired_in_whatever_order_they_come),
	        TEST(a_curve_is_the_mean_with_its_t_interval),
	        TEST(the_report_says_what_it_can_and_that_two_seeds_are_too_few),
	        TEST(a_curve_over_tokens_that_stand_still_is_a_point),
	        TEST(paths_of_a_seed_make_no_arm_and_long_differences_no_name),
	        TEST(a_config_that_is_no_map_is_named),
	        TEST(a_lack_of_memory_is_an_error_and_leaks_nothing)};

	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
