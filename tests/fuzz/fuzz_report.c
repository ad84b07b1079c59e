/* Three run folders as `hone report` reads them: log a, config 0, log b, config 1, config 2,
 * answers, with NUL bytes between them. Run 0 and 2 have log a, run 1 has log b, run 0 the answers;
 * a config of no bytes is none. Numbers are finite or NaN, the JSON is JSON, and the page is
 * well-formed, with one script, the program's own, and data for it. */
#include "fuzz.h"

#include "base/json.h"
#include "markup.h"
#include "rl/job_config.h"
#include "rl/step_metrics.h"
#include "run/compare.h"
#include "run/report.h"

#include <math.h>

/* a page costs twenty times as much as the comparison */
enum { RUNS = 3, SAMPLES = 2 * RUNS, PAGE_ONE_IN = 16 };

static char        folder[RUNS][80];
static const char *folders[RUNS];

/* File `slot` stands in run `run` as `name`. */
static void place(int run, const char *name, int slot)
{
	char path[32];

	snprintf(path, sizeof path, "%d/%s", run, name);
	fuzz_link(path, slot);
}

static void make_folders(void)
{
	for (int r = 0; r < RUNS; r++) {
		snprintf(folder[r], sizeof folder[r], "%s/%d", fuzz_folder(), r);
		folders[r] = folder[r];
		PROMISE(file_make_folders(folders[r]) == OK);
		place(r, "metrics.jsonl", r % 2);
	}
	PROMISE(file_make_folders(fuzz_path("0/samples")) == OK);
	place(0, "samples/step-7.jsonl.gz", SAMPLES);
}

static void put_config(int run, struct fuzz_part text)
{
	char name[32];

	snprintf(name, sizeof name, "%d/config.yaml", run);
	unlink(fuzz_path(name));
	if (text.n) {
		fuzz_file(2 + run, text.s, text.n);
		place(run, "config.yaml", 2 + run);
	}
}

static int is_known_or_nan(double x)
{
	return isfinite(x) || isnan(x);
}

static void check_numbers(const struct compare_summary *c)
{
	int n_runs = 0;

	PROMISE(c->n_runs == RUNS && c->n_arms > 0 && c->n_arms <= RUNS);
	for (int k = 0; k < c->n_arms; k++) {
		PROMISE(c->arms[k].n > 0 && *c->arms[k].name);
		n_runs += c->arms[k].n;
	}
	PROMISE(n_runs == RUNS);
	for (int r = 0; r < RUNS; r++) {
		PROMISE(is_known_or_nan(c->runs[r].tokens) && isfinite(c->runs[r].seconds));
		for (int m = 0; m < N_MEASURES; m++)
			PROMISE(is_known_or_nan(c->runs[r].measure[m]));
	}
	for (int i = 0; i < c->n_pairs; i++) {
		const struct statistics_pairs *s = &c->pairs[i].statistics;
		PROMISE(s->difference.n > 0 && s->positive + s->negative <= s->difference.n &&
		        isfinite(s->difference.mean));
		PROMISE(s->difference.n == 1 ||
		        (s->at_95.low <= s->at_90.low && s->at_90.low <= s->at_90.high &&
		         s->at_90.high <= s->at_95.high));
		PROMISE(s->verdict == VERDICT_TOO_FEW);
	}
}

static void check_curves(struct compare_summary *c)
{
	static const char *const metrics[] = {"eval/pass@1", "reward"};

	for (int k = 0; k < c->n_arms; k++)
		for (int i = 0; i < 4; i++) {
			struct point *p;
			int           n;
			PROMISE(compare_curve(c, k, metrics[i / 2], i % 2, &p, &n) == OK &&
			        n <= COMPARE_POINTS);
			for (int j = 0; j < n; j++)
				PROMISE(isfinite(p[j].x) && isfinite(p[j].y) && p[j].error >= 0 &&
				        isfinite(p[j].error) && (j == 0 || p[j - 1].x < p[j].x));
		}
}

static void check_texts(const struct compare_summary *c)
{
	struct text json = {0}, markdown = {0};
	json_t     *value;

	compare_json(c, &json);
	compare_markdown(c, &markdown);
	PROMISE(text_status(&json) == OK && text_status(&markdown) == OK);
	PROMISE(json_parse("the comparison", json.data, json.n, &value) == OK);
	PROMISE(json_array_size(json_object_get(value, "arms")) == (size_t)c->n_arms);
	PROMISE(json_array_size(json_object_get(value, "pairs")) == (size_t)c->n_pairs);
	json_decref(value);
	text_free(&json);
	text_free(&markdown);
}

static void compare(void)
{
	static struct series_run logs[RUNS];
	struct compare_summary   c;
	int                      status = OK;

	fuzz_forget_message();
	memset(logs, 0, sizeof logs);
	for (int r = 0; r < RUNS && status == OK; r++)
		status = series_read(folders[r], &logs[r]);
	if (status == OK)
		status = compare_open(&job_schema, logs, RUNS, NULL, &c);
	if (status == OK) {
		check_numbers(&c);
		check_curves(&c);
		check_texts(&c);
		compare_close(&c);
	} else {
		PROMISE(strstr(error_message(), fuzz_folder()));
	}
	for (int r = 0; r < RUNS; r++)
		series_free(&logs[r]);
}

/* The page's own script stands once; every other one holds numbers for it, JSON that no text of a
 * run ends early. */
static void check_scripts(const char *page)
{
	static const char plain[] = "<script>", data[] = "<script type=\"application/json\"";
	int               n_plain = 0;

	for (const char *at = page, *end; (at = strstr(at, "<script")); at = end) {
		json_t *value;
		end = strstr(at, "</script>");
		PROMISE(end);
		n_plain += !strncmp(at, plain, strlen(plain));
		if (!strncmp(at, plain, strlen(plain)))
			continue;
		PROMISE(!strncmp(at, data, strlen(data)));
		at = strchr(at, '>') + 1;
		PROMISE(json_parse("a script's data", at, (size_t)(end - at), &value) == OK);
		json_decref(value);
	}
	PROMISE(n_plain == 1);
}

static void write_page(int n)
{
	struct report_files files = {
	        .page = fuzz_path("page.html"), .schema = &job_schema, .metrics = &step_metrics};
	struct bytes b;

	if (report_write(folders, n, &files) != OK) {
		PROMISE(strstr(error_message(), fuzz_folder()));
		return;
	}
	PROMISE(file_read(files.page, 1 << 26, &b) == OK);
	PROMISE(is_well_formed(b.data) && !strstr(b.data, "=\"nan") && !strstr(b.data, "=\"inf"));
	check_scripts(b.data);
	bytes_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const size_t     whole = n;
	struct fuzz_part part[RUNS + 2];

	if (!folders[0])
		make_folders();
	for (int i = 0; i < RUNS + 2; i++)
		part[i] = fuzz_next(&data, &n);
	fuzz_file(0, part[0].s, part[0].n);
	fuzz_file(1, part[2].s, part[2].n);
	put_config(0, part[1]);
	put_config(1, part[3]);
	put_config(2, part[4]);
	fuzz_file(SAMPLES, data, n);
	compare();
	if (whole % PAGE_ONE_IN == 0)
		write_page(whole / PAGE_ONE_IN % 2 ? 1 : RUNS);
	return 0;
}
