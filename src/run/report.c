#include "run/report.h"

#include "base/error.h"
#include "run/chart.h"
#include "run/compare.h"
#include "run/report_charts.h"
#include "run/report_curriculum.h"
#include "run/report_head.h"
#include "run/report_page.h"
#include "run/report_samples.h"
#include "run/series.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Beyond SAMPLED_MAX runs, completions and curricula are not shown. */
enum { RUNS_MAX = 1000, SAMPLED_MAX = 8 };

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

/* ---- the page ---- */

enum { AXIS_POINTS = 400 };

/* "key":[...] of at most AXIS_POINTS steps of num_tokens: each number as its distance from the one
 * before. */
static void report_add_axis(const struct series *tokens, const double *y, char key,
                            struct text *out)
{
	double last = 0;
	int    n = tokens->n, stride = n / AXIS_POINTS + 1;

	text_print(out, ",\"%c\":[", key);
	for (int i = 0; i < n; i += i + stride < n || i == n - 1 ? stride : n - 1 - i) {
		double value = y ? y[i] : key == 'x' ? tokens->points[i].x : tokens->points[i].y;
		if (i)
			text_add(out, ",", 1);
		text_print(out, "%.10g", value - last);
		last = value;
	}
	text_add(out, "]", 1);
}

/* Steps, and the tokens and seconds by then: the script's other axes. */
static int report_add_axes(const struct series_run *run, struct text *out)
{
	const struct series *tokens = series_find(run, "num_tokens"),
	                    *time = series_find(run, "step_time");
	double *seconds, sum = 0;

	text_print(out, "{\"n\":");
	chart_add_json_text(out, run->folder, strlen(run->folder));
	if (tokens && tokens->n) {
		TRY(mem_take((size_t)tokens->n, "the seconds of a run", &seconds));
		for (int i = 0, t = 0; i < tokens->n; i++) {
			for (; time && t < time->n && time->points[t].x <= tokens->points[i].x; t++)
				sum += time->points[t].y;
			seconds[i] = sum;
		}
		report_add_axis(tokens, NULL, 'x', out);
		report_add_axis(tokens, NULL, 't', out);
		if (time)
			report_add_axis(tokens, seconds, 's', out);
		mem_free(seconds);
	}
	text_add(out, "}", 1);
	return OK;
}

static int report_add_page_data(const struct series_run *runs, int n,
                                const struct report_files *files, struct text *out)
{
	text_print(out,
	           "<script type=\"application/json\" id=\"page\">{\"live\":%d,\"last\":%d,"
	           "\"step\":%.0f,\"runs\":[",
	           files->last_step > 0, files->last_step, n == 1 ? runs[0].last_step : 0.0);
	for (int r = 0; r < n; r++) {
		text_print(out, r ? ",\n" : "");
		TRY(report_add_axes(&runs[r], out));
	}
	text_print(out, "]}</script>\n");
	return OK;
}

static int report_add_top(const struct series_run *runs, int n, struct compare_summary *c,
                          struct text *out)
{
	static const char *const styles[] = {chart_style, report_curriculum_style,
	                                     compare_forest_style, report_page_css, NULL};
	char                     title[128];

	if (n == 1)
		snprintf(title, sizeof title, "%.100s", runs[0].folder);
	else
		snprintf(title, sizeof title, "%d runs", n);
	report_page_begin(title, styles, out);
	text_print(out, "<header><h1>");
	report_add_text(out, title);
	text_print(out, "</h1><p id=\"live\" role=\"status\"></p></header>\n<main>\n");
	return n == 1 ? report_head_add(c, &c->runs[0], out) : compare_html(c, out);
}

static int add_page(const struct series_run *runs, int n, struct compare_summary *c,
                    const struct report_files *files, struct text *out)
{
	int shown = n < SAMPLED_MAX ? n : SAMPLED_MAX,
	    samples = files->samples ? files->samples : REPORT_SAMPLES;

	TRY(report_add_top(runs, n, c, out));
	text_print(out, n > 1 ? "<h2>Runs</h2>\n" : "");
	add_table(runs, n, out);
	text_print(out,
	           "<div><div id=\"tools\"></div>\n"); /* it stays in sight as long as they are */
	TRY(report_charts_add(files->metrics, runs, n, c, out));
	text_print(out, "</div>\n");
	TRY(add_curricula(runs, n, c, out));
	for (int r = 0; r < n && n <= SAMPLED_MAX; r++)
		TRY(report_samples_add(runs[r].folder, (samples + shown - 1) / shown, out));
	for (int r = 0; r < n && n > 1 && n <= SAMPLED_MAX; r++) {
		text_print(out, "<h2>");
		report_add_text(out, runs[r].folder);
		text_print(out, "</h2>\n");
		TRY(report_head_add(c, &c->runs[r], out));
	}
	text_print(out, "</main>\n");
	TRY(report_add_page_data(runs, n, files, out));
	report_page_end(report_page_js, out);
	return text_status(out);
}

static int report_write_all(const struct series_run *runs, int n, struct compare_summary *c,
                            const struct report_files *files)
{
	struct text page = {0}, json = {0};
	int         status = add_page(runs, n, c, files, &page);

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
		status = compare_open(files->schema, read, n, &files->question, &c);
	if (status == OK) {
		status = report_write_all(read, n, &c, files);
		compare_close(&c);
	}
	for (int r = 0; r < n; r++)
		series_free(&read[r]);
	mem_free(read);
	return status;
}
