#include "run/report.h"

#include "base/error.h"
#include "base/json.h"
#include "run/chart.h"
#include "run/compare.h"
#include "run/report_charts.h"
#include "run/report_curriculum.h"
#include "run/samples.h"
#include "run/series.h"

#include <assert.h>
#include <dirent.h>
#include <math.h>
#include <string.h>

/* Beyond SAMPLED_MAX runs, completions and curricula are not shown. */
enum { RUNS_MAX = 1000, SAMPLED_MAX = 8 };
enum { SAMPLES_LINE_MAX = 1 << 22, SAMPLES_SHOWN = 6, SAMPLE_TEXT_MAX = 4000 };

/* ---- the table of runs ---- */

static void report_add_text(struct text *out, const char *s)
{
	chart_add_escaped(out, s, strlen(s));
}

static void report_add_cell(const struct point *p, struct text *out)
{
	text_print(out, "<td>");
	if (p)
		text_print(out, fabs(p->y) < 1e4 || fabs(p->y) > 1e15 ? "%.4g" : "%.0f", p->y);
	else
		text_print(out, "\xe2\x80\x93");
	if (p && p->error > 0)
		text_print(out, " <small>\xc2\xb1 %.2g</small>", p->error);
	text_print(out, "</td>");
}

static const struct point *first_point(const struct series_run *run, const char *metric)
{
	const struct series *s = series_find(run, metric);
	return s && s->n ? &s->points[0] : NULL;
}

static const struct point *last_point(const struct series_run *run, const char *metric)
{
	const struct series *s = series_find(run, metric);
	return s && s->n ? &s->points[s->n - 1] : NULL;
}

static const struct column {
	const char *heading, *metric;
	const struct point *(*pick)(const struct series_run *run, const char *metric);
} columns[] = {
        {"first pass@1", "eval/pass@1", first_point},
        {"last pass@1", "eval/pass@1", last_point},
        {"reward", "reward", last_point},
        {"accuracy", "accuracy", last_point},
        {"loss", "loss", last_point},
        {"entropy", "entropy", last_point},
        {"KL", "kl", last_point},
        {"length", "completions/mean_length", last_point},
        {"tokens", "num_tokens", last_point},
        {"s / step", "step_time", last_point},
};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

static void add_table(const struct series_run *runs, int n, struct text *out)
{
	text_print(out, "<div class=\"wide\"><table><tr><th>run</th><th>step</th>");
	for (int c = 0; c < N_COLUMNS; c++)
		text_print(out, "<th>%s</th>", columns[c].heading);
	text_print(out, "</tr>\n");
	for (int r = 0; r < n; r++) {
		text_print(out, "<tr><td class=\"name\">");
		report_add_text(out, runs[r].folder);
		text_print(out, "</td><td>%.0f</td>", runs[r].last_step);
		for (int c = 0; c < N_COLUMNS; c++)
			report_add_cell(columns[c].pick(&runs[r], columns[c].metric), out);
		text_print(out, "</tr>\n");
	}
	text_print(out, "</table></div>\n");
}

/* ---- curricula ---- */

/* Of each run, or, where arms have several, of the first run of each. */
static int add_curricula(const struct series_run *runs, int n, const struct compare_summary *c,
                         struct text *out)
{
	int repeats = n > 1 && compare_has_repeats(c), shown = repeats ? c->n_arms : n;

	for (int i = 0; i < shown && i < SAMPLED_MAX; i++)
		TRY(report_curriculum_add(repeats ? c->runs[c->arms[i].runs[0]].log : &runs[i],
		                          out));
	return OK;
}

/* ---- samples ---- */

/* Smallest and largest N of samples/step-N.jsonl.gz; 0 when there is none. */
static int find_samples(const char *folder, int *first, int *last)
{
	char           path[FILE_PATH_MAX];
	struct dirent *entry;
	int            found = 0;

	if (snprintf(path, sizeof path, "%s/samples", folder) >= (int)sizeof path)
		return 0;
	DIR *d = opendir(path);
	while (d && (entry = readdir(d))) {
		int step = samples_step(entry->d_name);
		if (step < 0)
			continue;
		*first = found && *first < step ? *first : step;
		*last = found && *last > step ? *last : step;
		found = 1;
	}
	if (d)
		closedir(d);
	return found;
}

static void add_long_text(const json_t *row, const char *key, struct text *out)
{
	const char *s = json_string_value(json_object_get(row, key));
	size_t      n = json_string_length(json_object_get(row, key)), shown = n;

	if (n > SAMPLE_TEXT_MAX)
		/* not within a character */
		for (shown = SAMPLE_TEXT_MAX; (s[shown] & 0xc0) == 0x80; shown--)
			;
	text_print(out, "<pre>");
	if (s)
		chart_add_escaped(out, s, shown);
	if (shown < n)
		text_print(out, " <i>\xe2\x80\xa6 and %zu bytes more</i>", n - shown);
	text_print(out, "</pre>");
}

static void report_add_number(const json_t *row, const char *key, const char *format,
                              struct text *out)
{
	const json_t *value = json_object_get(row, key);

	text_print(out, " \xc2\xb7 %s ", format);
	if (json_is_number(value))
		text_print(out, "%.4g", json_number_value(value));
	else
		text_print(out, "\xe2\x80\x93");
}

static void report_add_verdict(const json_t *row, struct text *out)
{
	const json_t *right = json_object_get(row, "right");
	/* of older files */
	double accuracy = json_number_value(json_object_get(row, "accuracy"));

	if (!json_is_boolean(right) && !json_is_number(json_object_get(row, "accuracy")))
		text_print(out, "<b>? unknown</b>");
	else if (json_is_true(right) || accuracy >= 1)
		text_print(out, "<b class=\"right\">\xe2\x9c\x93 right</b>");
	else
		text_print(out, "<b class=\"wrong\">\xe2\x9c\x97 wrong</b>");
}

static void report_add_sample(const json_t *row, struct text *out)
{
	const char *problem = json_string_value(json_object_get(row, "problem")),
	           *stop = json_string_value(json_object_get(row, "stop"));
	const char *answer = json_string_value(json_object_get(row, "answer"));

	text_print(out, "<article><p>");
	report_add_verdict(row, out);
	text_print(out, " \xc2\xb7 ");
	report_add_text(out, problem ? problem : "");
	report_add_number(row, "reward", "reward", out);
	report_add_number(row, "tokens", "tokens", out);
	text_print(out, " \xc2\xb7 ");
	report_add_text(out, stop ? stop : "");
	text_print(out, "</p><details open=\"open\"><summary>prompt</summary>");
	add_long_text(row, "prompt", out);
	text_print(out, "</details><div class=\"completion\">");
	add_long_text(row, "completion", out);
	text_print(out, "</div>");
	if (answer) {
		text_print(out, "<p>expected: <code>");
		report_add_text(out, answer);
		text_print(out, "</code></p>");
	}
	text_print(out, "</article>\n");
}

static int add_sample_rows(const char *path, struct lines *in, struct text *out)
{
	const char *line;
	size_t      n;

	for (int shown = 0; shown < SAMPLES_SHOWN; shown++) {
		json_t *row;
		TRY(lines_next(in, &line, &n));
		if (!line)
			break;
		TRY(json_parse(path, line, n, &row));
		report_add_sample(row, out);
		json_decref(row);
	}
	return OK;
}

static int add_sample_file(const char *folder, int step, struct text *out)
{
	char          path[FILE_PATH_MAX];
	struct lines *in;
	int           status;

	if (snprintf(path, sizeof path, "%s/samples/step-%d.jsonl.gz", folder, step) >=
	    (int)sizeof path)
		return error_set(ERR_INPUT, "%s: the path is too long", folder);
	TRY(lines_open(path, SAMPLES_LINE_MAX, &in));
	text_print(out, "<section><h3>step %d</h3>\n", step);
	status = add_sample_rows(path, in, out);
	text_print(out, "</section>\n");
	lines_close(in);
	return status;
}

static int add_samples(const char *folder, struct text *out)
{
	int first = 0, last = 0;

	if (!find_samples(folder, &first, &last))
		return OK;
	text_print(out, "<h2>Completions of ");
	report_add_text(out, folder);
	text_print(out, "</h2>\n<div class=\"samples\">\n");
	TRY(add_sample_file(folder, first, out));
	if (last != first)
		TRY(add_sample_file(folder, last, out));
	text_print(out, "</div>\n");
	return OK;
}

/* ---- the page ---- */

static const char page_style[] =
        "body{background:var(--page);color:var(--ink);font:14px/1.45 "
        "system-ui,sans-serif;max-width:1340px;margin:1.5em auto;padding:0 1em}"
        "h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}h3{font-size:1em;color:var(--soft)}."
        "soft{color:var(--soft)}"
        ".wide{overflow-x:auto;margin-bottom:1.2em}table{border-collapse:collapse;font-variant-"
        "numeric:tabular-nums}"
        "th,td{padding:.3em .8em;text-align:right;border-bottom:1px solid "
        "var(--grid);white-space:nowrap}"
        "th{color:var(--soft);font-weight:500}th:first-child,.name{text-align:left}td.name{white-"
        "space:normal;overflow-wrap:anywhere;min-"
        "width:10em;max-width:30em}"
        "small{color:var(--soft)}"
        ".charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(360px,1fr));gap:1.6em "
        "2em;margin-top:2em}"
        ".broad{grid-template-columns:repeat(auto-fill,minmax(520px,1fr))}"
        ".samples{display:grid;grid-template-columns:1fr 1fr;gap:2em}section{min-width:0}"
        "article{border-top:1px solid var(--grid);padding:.3em 0 .8em}p{margin:.4em 0}"
        "pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.2em 0;padding:.4em "
        ".7em;border-left:3px solid "
        "var(--grid);font-size:12.5px}"
        ".completion pre{border-left-color:var(--c0)}summary{color:var(--soft);cursor:pointer}"
        ".right{color:var(--right)}.wrong{color:var(--wrong)}"
        "@media (max-width:760px){.samples{grid-template-columns:1fr}}";

static void begin_page(const char *title, struct text *out)
{
	text_print(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
	                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
	                "'none'; style-src 'unsafe-inline'\"/>\n"
	                "<meta name=\"viewport\" content=\"width=device-width, "
	                "initial-scale=1\"/>\n<title>");
	report_add_text(out, title);
	text_print(out, "</title>\n<style>%s%s%s</style></head>\n<body>\n<h1>", chart_style,
	           report_curriculum_style, page_style);
	report_add_text(out, title);
	text_print(out, "</h1>\n");
}

static int add_page(const struct metric_table *metrics, const struct series_run *runs, int n,
                    struct compare_summary *c, struct text *out)
{
	char title[128];

	if (n == 1)
		snprintf(title, sizeof title, "%.100s", runs[0].folder);
	else
		snprintf(title, sizeof title, "%d runs", n);
	begin_page(title, out);
	if (n > 1)
		TRY(compare_html(c, out));
	text_print(out, n > 1 ? "<h2>Runs</h2>\n" : "");
	add_table(runs, n, out);
	TRY(report_charts_add(metrics, runs, n, c, out));
	TRY(add_curricula(runs, n, c, out));
	for (int r = 0; r < n && n <= SAMPLED_MAX; r++)
		TRY(add_samples(runs[r].folder, out));
	text_print(out, "</body></html>\n");
	return text_status(out);
}

static int report_write_all(const struct series_run *runs, int n, struct compare_summary *c,
                            const struct report_files *files)
{
	struct text page = {0}, json = {0};
	int         status = add_page(files->metrics, runs, n, c, &page);

	if (status == OK && files->markdown) {
		compare_markdown(c, files->markdown);
		status = text_status(files->markdown);
	}
	if (status == OK && files->json) {
		compare_json(c, &json);
		status = text_write(&json, files->json);
	}
	if (status == OK)
		status = text_write(&page, files->page);
	text_free(&page);
	text_free(&json);
	return status;
}

int report_write(const char *const *runs, int n, const struct report_files *files)
{
	struct series_run     *read;
	struct compare_summary c;
	int                    status = OK;

	assert(files->metrics);
	if (n < 1 || n > RUNS_MAX)
		return error_set(ERR_INPUT, "a report shows 1 to %d runs, not %d", RUNS_MAX, n);
	TRY(mem_take((size_t)n, "the runs of a report", &read));
	for (int r = 0; r < n && status == OK; r++)
		status = series_read(runs[r], &read[r]);
	if (status == OK)
		status = compare_open(files->schema, read, n, &c);
	if (status == OK) {
		status = report_write_all(read, n, &c, files);
		compare_close(&c);
	}
	for (int r = 0; r < n; r++)
		series_free(&read[r]);
	mem_free(read);
	return status;
}
