#include "base/file.h"
#include "markup.h"
#include "rl/job_config.h"
#include "rl/step_metrics.h"
#include "run/chart.h"
#include "run/report.h"
#include "run/series.h"
#include "test.h"

#include <unistd.h>

struct place {
	char folder[64], page[96];
};

static void put(const struct place *p, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", p->folder, name);
	if (strstr(name, ".gz"))
		assert_ok(file_write_gzip(path, text, strlen(text)));
	else
		assert_ok(file_write(path, text, strlen(text)));
}

static struct place make_place(void)
{
	struct place p = {"/tmp/test-report-XXXXXX", ""};
	char         samples[96];

	assert_non_null(mkdtemp(p.folder));
	snprintf(p.page, sizeof p.page, "%s/report.html", p.folder);
	snprintf(samples, sizeof samples, "%s/samples", p.folder);
	assert_ok(file_make_folders(samples));
	return p;
}

/* Steps 1 .. n with rewards and timings, and an evaluation before and after them. */
static void put_run(const struct place *p, int n)
{
	struct text t = {0};

	text_print(&t, "{\"step\": 0, \"eval/pass@1\": 0.25, \"eval/pass@1_stderr\": 0.0625, "
	               "\"eval/sums & <b>/pass@1\": 0.5}\n");
	for (int i = 1; i <= n; i++)
		text_print(&t,
		           "{\"step\": %d, \"reward\": %.4f, \"entropy\": %.4f, \"kl\": null, "
		           "\"grad_norm\": %g, \"learning_rate\": 1e-06, "
		           "\"clip_ratio/low_mean\": %.4f, \"clip_ratio/high_mean\": 0.01, "
		           "\"step_time\": 2.5, "
		           "\"timing_s/rollout\": 1.5, \"timing_s/forward\": 0.25, "
		           "\"timing_s/backward\": 0.75}\n",
		           i, 0.9 - 0.6 * exp(-i / 40.0) + 0.05 * sin(i * i),
		           2 * exp(-i / 90.0) + 0.1 * sin(7.0 * i),
		           i == 57 ? 9.5 : 1 + 0.3 * sin(3.0 * i), 0.02 + 0.01 * sin(5.0 * i));
	text_print(&t,
	           "{\"step\": %d, \"eval/pass@1\": 0.75, \"eval/pass@1_stderr\": 0.03125, "
	           "\"eval/sums & <b>/pass@1\": 0.875}\n",
	           n);
	put(p, "metrics.jsonl", t.data);
	text_free(&t);
}

static char *written(const struct place *p)
{
	struct bytes page;

	assert_ok(file_read(p->page, 1 << 24, &page));
	assert_int_equal(strlen(page.data), page.n);
	return page.data;
}

static char *report_of(const struct place *p)
{
	const char *runs[] = {p->folder};

	assert_ok(report_write(runs, 1,
	                       &(struct report_files){.page = p->page,
	                                              .schema = &job_schema,
	                                              .metrics = &step_metrics}));
	return written(p);
}

static void leave(const struct place *p, char *page)
{
	mem_free(page);
	assert_ok(file_remove_folder(p->folder));
}

static int count(const char *s, const char *part)
{
	int n = 0;

	for (; (s = strstr(s, part)); s += strlen(part))
		n++;
	return n;
}

static void the_check_of_tags_sees_what_is_wrong(void **state)
{
	(void)state;
	assert_true(is_well_formed("<html><p a=\"1>2\">x &#38;<br/></p></html>"));
	assert_false(is_well_formed("<html><p></html></p>"));
	assert_false(is_well_formed("<html><p></html>"));
	assert_false(is_well_formed("<html>a < b</html>"));
	assert_false(is_well_formed("<html>a & b</html>"));
}

static void a_page_has_the_charts_of_what_was_logged_and_no_others(void **state)
{
	(void)state;
	struct place p = make_place();

	put_run(&p, 120);
	char *page = report_of(&p);
	assert_true(is_well_formed(page));
	assert_non_null(strstr(page, "<figcaption>Held-out pass@1<"));
	assert_non_null(strstr(page, "<figcaption>Reward<"));
	assert_non_null(strstr(page, "<figcaption>Clipped ratios<"));
	assert_non_null(strstr(page, "<figcaption>Where the time goes<"));
	assert_non_null(strstr(page, "<figcaption>sums &#38; &#60;b&#62;<"));
	assert_null(strstr(page, "<figcaption>KL<"));
	assert_null(strstr(page, "<figcaption>Length<"));
	assert_null(strstr(page, "Completions of"));
	assert_non_null(strstr(page, ">0</text>"));
	assert_null(strstr(page, ">-0<"));
	assert_int_equal(count(page, "<figure>"), 9);
	leave(&p, page);
}

static void the_table_has_the_first_and_last_pass_rate_with_errors(void **state)
{
	(void)state;
	struct place p = make_place();

	put_run(&p, 40);
	char *page = report_of(&p);
	assert_non_null(strstr(page,
	                       "<td>40</td><td>0.25 <small>\xc2\xb1 0.062</small></td><td>0.75 "
	                       "<small>\xc2\xb1 0.031</small></td>"));
	leave(&p, page);
}

static void a_schedule_is_drawn_as_it_is_and_noise_with_its_average(void **state)
{
	(void)state;
	struct place p = make_place();

	put_run(&p, 120);
	char *page = report_of(&p), *rate = strstr(page, "<figcaption>Learning rate"),
	     *noise = strstr(page, "<figcaption>Gradient norm");
	assert_non_null(rate);
	assert_non_null(noise);
	*strstr(rate, "</figure>") = 0;
	assert_null(strstr(rate, "line raw"));
	*strstr(noise, "</figure>") = 0;
	assert_non_null(strstr(noise, "line raw"));
	assert_int_equal(count(noise, "L"), 2 * 119);
	leave(&p, page);
}

static void long_runs_make_no_longer_pages(void **state)
{
	(void)state;
	struct place p = make_place();

	put_run(&p, 1000);
	char  *page = report_of(&p);
	size_t some = strlen(page);
	mem_free(page);
	put_run(&p, 10000);
	page = report_of(&p);
	assert_true(strlen(page) < some * 5 / 4);
	assert_non_null(strstr(page, "<td>10000</td>"));
	leave(&p, page);
}

/* Every chart of the table and the largest samples that a run keeps. */
static void a_page_of_a_thousand_steps_stays_below_a_megabyte(void **state)
{
	(void)state;
	struct place p = make_place();
	struct text  t = {0};

	for (int i = 1; i <= 1000; i++) {
		text_print(&t, "{\"step\": %d, \"num_tokens\": %d", i, 1234 * i);
		for (int m = 0; m < step_metrics.n; m++)
			if (step_metrics.rows[m].chart && !strchr(step_metrics.rows[m].name, '<'))
				text_print(&t, ", \"%s\": %.17g", step_metrics.rows[m].name,
				           fabs(sin(i * (m + 1))));
		text_print(&t, "}\n");
	}
	put(&p, "metrics.jsonl", t.data);
	for (int step = 0; step <= 1000; step += 20) {
		char name[64];
		t.n = 0;
		for (int i = 0; i < 16; i++)
			text_print(&t,
			           "{\"step\": %d, \"problem\": \"p%d\", \"prompt\": "
			           "\"%d%05000d\", \"completion\": \"%020000d\"}\n",
			           step, i, i, 0, 0);
		snprintf(name, sizeof name, "samples/step-%d.jsonl.gz", step);
		put(&p, name, t.data);
	}
	text_free(&t);
	char *page = report_of(&p);
	assert_true(is_well_formed(page));
	assert_true(strlen(page) < 1000000);
	assert_int_equal(count(page, "\"s\":980,"), 256 / 51);
	leave(&p, page);
}

static void a_living_run_says_so_and_a_finished_one_does_not(void **state)
{
	(void)state;
	struct place        p = make_place();
	const char         *runs[] = {p.folder};
	struct report_files files = {
	        .page = p.page, .schema = &job_schema, .metrics = &step_metrics, .last_step = 100};

	put_run(&p, 40);
	assert_ok(report_write(runs, 1, &files));
	char *page = written(&p);
	assert_non_null(strstr(page, "{\"live\":1,\"last\":100,\"step\":40,"));
	mem_free(page);
	page = report_of(&p);
	assert_non_null(strstr(page, "{\"live\":0,"));
	leave(&p, page);
}

/* The numbers that the script draws from, every point of them. */
static void the_numbers_stand_beside_each_picture(void **state)
{
	(void)state;
	struct place p = make_place();

	put(&p, "metrics.jsonl",
	    "{\"step\": 2, \"reward\": 0.5, \"num_tokens\": 10, \"step_time\": 1.5}\n"
	    "{\"step\": 3, \"reward\": 0.25, \"num_tokens\": 30, \"step_time\": 0.5}\n"
	    "{\"step\": 7, \"reward\": 1, \"num_tokens\": 70, \"step_time\": 2}\n");
	char *page = report_of(&p);
	assert_non_null(strstr(page, "\"x\":[2,1,4],\"y\":[0.5,0.25,1]}]}</script>"));
	assert_non_null(strstr(page, ",\"x\":[2,1,4],\"t\":[10,20,40],\"s\":[1.5,0.5,2]}]}"));
	leave(&p, page);
}

static void the_head_says_what_the_run_is_of(void **state)
{
	(void)state;
	struct place p = make_place();

	put(&p, "metrics.jsonl",
	    "{\"step\": 1, \"reward\": 0, \"num_tokens\": 500, \"step_time\": 4}\n");
	put(&p, "config.yaml", "model: {path: models/<b>}\ndata: {train: [a.jsonl]}\n");
	put(&p, "provenance.jsonl",
	    "{\"from_step\": 1, \"version\": \"0.1\", \"commit\": \"old\", \"cpu\": \"x\"}\n"
	    "{\"from_step\": 2, \"version\": \"9.9\", \"commit\": \"abc\", \"cpu\": \"Zen\"}\n");
	char *page = report_of(&p);
	assert_true(is_well_formed(page));
	assert_non_null(strstr(page, "<dt>model</dt><dd>models/&#60;b&#62;</dd>"));
	assert_non_null(strstr(page, "<dt>data</dt><dd>[a.jsonl]</dd>"));
	assert_non_null(strstr(page, "<dt>tokens</dt><dd>500, 125 a second</dd>"));
	assert_non_null(strstr(page, "<dt>hone</dt><dd>9.9, abc</dd>"));
	assert_non_null(strstr(page, "<dt>machine</dt><dd>Zen</dd>"));
	assert_non_null(strstr(page, "<summary>config.yaml</summary>"));
	leave(&p, page);
}

static void several_runs_share_each_chart_and_have_a_legend(void **state)
{
	(void)state;
	struct place a = make_place(), b = make_place();
	const char  *runs[] = {a.folder, b.folder};

	put_run(&a, 50);
	put_run(&b, 80);
	assert_ok(report_write(runs, 2,
	                       &(struct report_files){.page = a.page,
	                                              .schema = &job_schema,
	                                              .metrics = &step_metrics}));
	char *page = written(&a);
	assert_true(is_well_formed(page));
	assert_int_equal(count(page, "<figcaption>Reward<"), 1);
	assert_int_equal(count(page, "<figcaption>Where the time goes<"), 2);
	assert_non_null(strstr(page, "class=\"legend\""));
	leave(&a, page);
	leave(&b, NULL);
}

static void hostile_text_stays_text(void **state)
{
	(void)state;
	struct place p = make_place();

	put_run(&p, 3);
	put(&p, "samples/step-2.jsonl.gz",
	    "{\"step\": 2, \"problem\": \"<img src=x onerror=alert(1)>\", \"prompt\": "
	    "\"</pre><script>alert(1)</script>\", "
	    "\"completion\": \"a\\u0000\\u0001b & 'c' \\\"d\\\"\", \"answer\": \"<\", \"reward\": "
	    "null, \"accuracy\": 0, \"tokens\": 3, "
	    "\"stop\": \"eos\"}\n");
	char *page = report_of(&p);
	assert_true(is_well_formed(page));
	assert_null(strstr(page, "<script>alert"));
	assert_null(strstr(page, "<img"));
	assert_int_equal(count(page, "<script"), count(page, "</script>"));
	assert_non_null(strstr(page, "&#60;script&#62;alert(1)&#60;/script&#62;"));
	assert_non_null(strstr(page, "a\xef\xbf\xbd\xef\xbf\xbd"
	                             "b &#38; &#39;c&#39; &#34;d&#34;"));
	leave(&p, page);
}

static void invalid_bytes_become_a_sign(void **state)
{
	(void)state;
	struct text t = {0};

	chart_add_escaped(&t, "a\xffz\xc3", 4);
	assert_string_equal(t.data, "a\xef\xbf\xbdz\xef\xbf\xbd");
	text_free(&t);
}

static void the_first_and_the_last_samples_stand_side_by_side(void **state)
{
	(void)state;
	struct place p = make_place();
	const char  *row = "{\"problem\": \"p\", \"prompt\": \"1+1=\", \"completion\": \"%s\", "
	                   "\"right\": %s}\n";
	char         text[256];

	put_run(&p, 3);
	for (int i = 0; i < 3; i++) {
		char name[64];
		snprintf(name, sizeof name, "samples/step-%d.jsonl.gz", (int[]){9, 10, 200}[i]);
		snprintf(text, sizeof text, row, (const char *[]){"three", "between", "two"}[i],
		         i == 2 ? "true" : "false");
		put(&p, name, text);
	}
	char *page = report_of(&p);
	assert_true(is_well_formed(page));
	assert_int_equal(count(page, "<section>"), 2);
	assert_true(strstr(page, "wrong</b>") < strstr(page, "<pre>three</pre>"));
	assert_true(strstr(page, "<pre>three</pre>") < strstr(page, "right</b>"));
	assert_true(strstr(page, "right</b>") < strstr(page, "<pre>two</pre>"));
	assert_null(strstr(page, "<pre>between</pre>"));
	/* the script has all of them, the prompt once */
	assert_non_null(
	        strstr(page, "{\"kept\":3,\"prompts\":[\"1+1=\"],\"rows\":[{\"s\":9,\"k\":0,"));
	assert_non_null(strstr(page, "\"c\":\"between\""));
	assert_non_null(strstr(page, "{\"s\":200,\"k\":1,"));
	leave(&p, page);
}

static void a_long_sample_is_cut_between_characters(void **state)
{
	(void)state;
	struct place p = make_place();
	struct text  t = {0};

	put_run(&p, 3);
	text_print(&t, "{\"completion\": \"x");
	for (int i = 0; i < 5000; i++)
		text_print(&t, "\xc3\xa4");
	text_print(&t, "\"}\n");
	put(&p, "samples/step-1.jsonl.gz", t.data);
	text_free(&t);
	char *page = report_of(&p);
	assert_null(strstr(page, "\xef\xbf\xbd"));
	assert_non_null(strstr(page, "and 6002 bytes more"));
	leave(&p, page);
}

static void a_step_logged_again_replaces_what_followed_it(void **state)
{
	(void)state;
	struct place p = make_place();

	put(&p, "metrics.jsonl",
	    "{\"step\": 1, \"reward\": 0.125}\n{\"step\": 2, \"reward\": 77}\n{\"step\": 2, "
	    "\"reward\": 0.375}\n");
	char *page = report_of(&p);
	assert_null(strstr(page, "77"));
	assert_non_null(strstr(page, ">0.4</text>"));
	assert_null(strstr(page, ">80</text>"));
	assert_non_null(strstr(page, ": 0.375"));
	leave(&p, page);
}

/* A name of 255 bytes, cut to fit behind itself, would be its own error. */
static void only_the_error_of_its_name_stands_beside_a_mean(void **state)
{
	(void)state;
	static struct series_run run;
	const struct series     *s;
	struct text              t = {0};
	char                     name[256];
	struct place             p = make_place();

	memset(name, 'x', 255);
	name[255] = 0;
	text_print(&t,
	           "{\"step\": 1, \"%s\": 0.5, \"y\": 3, \"y_stderr\": 0.25, \"%sx\": 2, "
	           "\"%sx_stderr\": 0.125}\n",
	           name, name, name);
	put(&p, "metrics.jsonl", t.data);
	assert_ok(series_read(p.folder, &run));
	assert_non_null(s = series_find(&run, name));
	assert_close(s->points[0].error, 0, 0);
	assert_close(series_find(&run, "y")->points[0].error, 0.25, 0);
	assert_close(run.series[4].points[0].error, 0.125, 0);
	series_free(&run);
	text_free(&t);
	leave(&p, NULL);
}

static void extreme_values_make_finite_coordinates(void **state)
{
	(void)state;
	struct place p = make_place();

	put(&p, "metrics.jsonl",
	    "{\"step\": 1, \"reward\": 1e308, \"loss\": -1e30, \"entropy\": 5, \"kl\": 1e-320, "
	    "\"grad_norm\": 1000000000.0}\n"
	    "{\"step\": 2, \"reward\": -1e308, \"loss\": 1e30, \"entropy\": 5, \"kl\": 0, "
	    "\"grad_norm\": 1000000000.0000001}\n");
	char *page = report_of(&p);
	assert_true(is_well_formed(page));
	assert_null(strstr(page, "nan"));
	assert_null(strstr(page, "inf"));
	assert_null(strstr(page, "<figcaption>Reward<"));
	assert_int_equal(count(page, "<figure>"), 4);
	leave(&p, page);
}

/* Two arms; the hard one is drawn in the second half only. Held out: both, and a level that is
 * never trained on. */
static void put_curriculum(const struct place *p, int n, const char *hard)
{
	struct text t = {0};

	text_print(&t,
	           "{\"step\": 0, \"eval/s/1/pass@1\": 0.5, \"eval/s/%s/pass@1\": 0.25, "
	           "\"eval/s/9/pass@1\": 0}\n",
	           hard);
	for (int i = 1; i <= n; i++) {
		int late = i > n / 2;
		text_print(&t,
		           "{\"step\": %d, \"curriculum/entropy\": 0.5, "
		           "\"curriculum/s/1/probability\": 0.5, \"curriculum/s/1/count\": %d, ",
		           i, late ? 2 : 8);
		text_print(&t,
		           "\"curriculum/s/1/advantage\": 0.75, \"curriculum/s/1/accuracy\": 0.5, "
		           "\"curriculum/s/%s/count\": %d",
		           hard, late ? 6 : 0);
		if (late)
			text_print(&t,
			           ", \"curriculum/s/%s/advantage\": 0.25, "
			           "\"curriculum/s/%s/accuracy\": 0.125",
			           hard, hard);
		text_print(&t, "}\n");
	}
	text_print(&t,
	           "{\"step\": %d, \"eval/s/1/pass@1\": 0.5, \"eval/s/%s/pass@1\": 0.5, "
	           "\"eval/s/9/pass@1\": 0.125}\n",
	           n, hard);
	put(p, "metrics.jsonl", t.data);
	text_free(&t);
}

static void a_curriculum_is_one_picture_of_shares_accuracies_and_signal(void **state)
{
	(void)state;
	struct place p = make_place();

	put_curriculum(&p, 100, "2");
	char *page = report_of(&p), *picture = strstr(page, "<h2>Curriculum of ");
	assert_true(is_well_formed(page));
	assert_non_null(picture);
	assert_non_null(strstr(picture, "<figcaption>What was sampled<"));
	assert_non_null(strstr(picture, "<figcaption>Held-out problems<"));
	assert_non_null(strstr(picture, "<figcaption>Training problems<"));
	assert_non_null(strstr(picture, "<figcaption>Signal<"));
	assert_non_null(strstr(picture, ">9 (not trained)</text>"));
	assert_non_null(strstr(picture, "<title>step 1\n2: 0.0%\n1: 100.0%</title>"));
	assert_non_null(strstr(picture, "<title>step 100\n2: 75.0%\n1: 25.0%</title>"));
	/* nothing is said of an arm that was not sampled */
	assert_non_null(strstr(picture, "<title>step 1\n1: 50.0%</title>"));
	assert_non_null(strstr(picture, "<title>step 100\n2: 12.5%\n1: 50.0%</title>"));
	assert_non_null(strstr(picture, "<title>step 100\n2: 0.250\n1: 0.750</title>"));
	assert_int_equal(count(picture, "<path class=\"band\""), 2);
	/* what is not of an arm keeps its chart, the rest has none */
	assert_int_equal(count(page, "<figcaption>Entropy of the curriculum<"), 1);
	assert_null(strstr(page, "<figcaption>s/1/"));
	leave(&p, page);
}

static void without_several_arms_there_is_no_picture_of_a_curriculum(void **state)
{
	(void)state;
	struct place p = make_place();

	put(&p, "metrics.jsonl",
	    "{\"step\": 1, \"reward\": 0, \"curriculum/all/count\": 8, "
	    "\"curriculum/all/accuracy\": 0.5}\n");
	char *page = report_of(&p);
	assert_true(is_well_formed(page));
	assert_null(strstr(page, "<h2>Curriculum"));
	leave(&p, page);
}

static void a_curriculum_of_any_length_and_of_any_names_is_drawn(void **state)
{
	(void)state;
	static const char *const names[] = {
	        "<b>&'x", "a name that is much longer than its label may be",
	        "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"};
	struct place p = make_place();
	size_t       some = 0;

	for (int i = 0; i < 3; i++)
		for (int n = 1; n <= 10000; n *= 100) {
			put_curriculum(&p, n, names[i]);
			char *page = report_of(&p);
			assert_true(is_well_formed(page));
			assert_non_null(strstr(page, "<h2>Curriculum of "));
			assert_null(strstr(page, "nan"));
			assert_null(strstr(page, "inf"));
			assert_null(strstr(page, "\xef\xbf\xbd"));
			some = n == 100 ? strlen(page) : some;
			assert_true(n <= 100 || strlen(page) < 3 * some);
			mem_free(page);
		}
	leave(&p, NULL);
}

static void what_cannot_be_read_is_named_and_the_old_page_stays(void **state)
{
	(void)state;
	struct place p = make_place();
	const char  *runs[] = {p.folder};

	put(&p, "report.html", "old");
	assert_error(report_write(runs, 1,
	                          &(struct report_files){.page = p.page,
	                                                 .schema = &job_schema,
	                                                 .metrics = &step_metrics}),
	             ERR_INPUT, "metrics.jsonl: there is no such file");
	put(&p, "metrics.jsonl", "{\"step\": 1}\n{\"step\": \n");
	assert_error(report_write(runs, 1,
	                          &(struct report_files){.page = p.page,
	                                                 .schema = &job_schema,
	                                                 .metrics = &step_metrics}),
	             ERR_INPUT, "metrics.jsonl:2");
	put(&p, "metrics.jsonl", "[1]\n");
	assert_error(report_write(runs, 1,
	                          &(struct report_files){.page = p.page,
	                                                 .schema = &job_schema,
	                                                 .metrics = &step_metrics}),
	             ERR_INPUT, "not a JSON object");
	assert_error(report_write(runs, 0,
	                          &(struct report_files){.page = p.page,
	                                                 .schema = &job_schema,
	                                                 .metrics = &step_metrics}),
	             ERR_INPUT, "1 to");
	char *page = written(&p);
	assert_string_equal(page, "old");
	leave(&p, page);
}

static void a_lack_of_memory_is_an_error_and_leaks_nothing(void **state)
{
	(void)state;
	struct place p = make_place();
	const char  *runs[] = {p.folder};
	int          failures = 0, status = ERR_INPUT;

	put_curriculum(&p, 3, "2");
	put(&p, "samples/step-1.jsonl.gz", "{\"completion\": \"x\"}\n");
	for (long n = 1; n < 1000 && status != OK; n++) {
		mem_fail_at(n);
		status = report_write(runs, 1,
		                      &(struct report_files){.page = p.page,
		                                             .schema = &job_schema,
		                                             .metrics = &step_metrics});
		mem_fail_at(0);
		assert_true(status == OK || status == ERR_MEMORY);
		failures += status != OK;
	}
	assert_int_equal(status, OK);
	assert_true(failures > 10);
	char *page = written(&p);
	assert_true(is_well_formed(page));
	leave(&p, page);
}

/* Every number of a picture's vertical axis, lowest first; how many. */
static int axis_of(const char *page, const char *title, double *out)
{
	const char *at = strstr(page, title), *end = at ? strstr(at, "</figure>") : NULL;
	int         n = 0;

	assert_non_null(end);
	while ((at = strstr(at, "<text x=\"52\"")) && at < end && n < 20) {
		at = strchr(at, '>') + 1;
		out[n++] = atof(at);
	}
	return n;
}

static int axis_holds(const char *page, const char *title, double low, double high)
{
	double ticks[20];
	int    n = axis_of(page, title, ticks), found = 0;

	for (int i = 0; i < n; i++)
		found |= ticks[i] == low ? 1 : ticks[i] == high ? 2 : ticks[i] < low ? 4 : 0;
	return found == 3;
}

/* Rewards of 1 on an axis from 0 to 2, none of the share without signal, 0, below 0; a loss of 5e-9
 * and entropies that differ in the ninth digit are no trend: they are as flat as a constant. */
static void constants_and_rounding_are_no_trend(void **state)
{
	(void)state;
	struct place p = make_place();
	struct text  t = {0};

	for (int i = 1; i <= 40; i++)
		text_print(&t,
		           "{\"step\": %d, \"reward\": 1, \"frac_reward_zero_std\": 0, \"loss\": "
		           "%g, \"entropy\": %.17g, "
		           "\"learning_rate\": 1e-7, "
		           "\"grad_norm\": -2}\n",
		           i, 5e-9 * (i % 7 - 3), 0.7 + 1e-9 * (i % 5));
	put(&p, "metrics.jsonl", t.data);
	text_free(&t);
	char *page = report_of(&p);

	assert_true(axis_holds(page, ">Reward<", 0, 2));
	assert_true(axis_holds(page, ">Groups without a signal<", 0, 1));
	assert_true(axis_holds(page, ">Loss<", 0, 1));
	assert_true(axis_holds(page, ">Entropy<", 0, 1.5));
	assert_true(axis_holds(page, ">Learning rate<", 0, 2e-7));
	assert_true(axis_holds(page, ">Gradient norm<", -4, 0));
	leave(&p, page);
}

/* What rises from 0 to 1e-5, as a KL does, is drawn. */
static void a_small_trend_is_drawn_all_the_same(void **state)
{
	(void)state;
	struct place p = make_place();
	struct text  t = {0};

	for (int i = 0; i <= 40; i++)
		text_print(&t, "{\"step\": %d, \"kl\": %g}\n", i, 1e-5 * i / 40);
	put(&p, "metrics.jsonl", t.data);
	text_free(&t);
	char *page = report_of(&p);

	assert_true(axis_holds(page, ">KL<", 0, 1e-5));
	leave(&p, page);
}

TEST_MAIN(TEST(constants_and_rounding_are_no_trend), TEST(a_small_trend_is_drawn_all_the_same),
          TEST(the_check_of_tags_sees_what_is_wrong),
          TEST(a_page_has_the_charts_of_what_was_logged_and_no_others),
          TEST(the_table_has_the_first_and_last_pass_rate_with_errors),
          TEST(a_schedule_is_drawn_as_it_is_and_noise_with_its_average),
          TEST(long_runs_make_no_longer_pages),
          TEST(a_page_of_a_thousand_steps_stays_below_a_megabyte),
          TEST(a_living_run_says_so_and_a_finished_one_does_not),
          TEST(the_numbers_stand_beside_each_picture), TEST(the_head_says_what_the_run_is_of),
          TEST(several_runs_share_each_chart_and_have_a_legend), TEST(hostile_text_stays_text),
          TEST(invalid_bytes_become_a_sign),
          TEST(the_first_and_the_last_samples_stand_side_by_side),
          TEST(a_long_sample_is_cut_between_characters),
          TEST(a_step_logged_again_replaces_what_followed_it),
          TEST(only_the_error_of_its_name_stands_beside_a_mean),
          TEST(extreme_values_make_finite_coordinates),
          TEST(a_curriculum_is_one_picture_of_shares_accuracies_and_signal),
          TEST(without_several_arms_there_is_no_picture_of_a_curriculum),
          TEST(a_curriculum_of_any_length_and_of_any_names_is_drawn),
          TEST(what_cannot_be_read_is_named_and_the_old_page_stays),
          TEST(a_lack_of_memory_is_an_error_and_leaks_nothing))
