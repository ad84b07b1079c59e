#include "run/report.h"

#include "base/error.h"
#include "base/json.h"
#include "run/chart.h"
#include "run/compare.h"
#include "run/report_curriculum.h"
#include "run/samples.h"
#include "run/series.h"

#include <dirent.h>
#include <math.h>
#include <string.h>

/* Beyond them a run is in the tables only, and its answers and curriculum are not shown. */
enum { RUNS_MAX = 1000, DRAWN_MAX = 32, SAMPLED_MAX = 8 };
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

/* ---- the charts ---- */

enum { PARTS_MAX = 3, NOISY = 0, EXACT = 1 };
static const struct plot {
	const char *title, *unit;
	struct {
		const char *metric, *label;
	} parts[PARTS_MAX];
	int exact; /* as in struct chart */
} plots[] = {
        {"Held-out pass@1",
         "fraction right \xc2\xb1 standard error",
         {{"eval/pass@1", "pass@1"}},
         NOISY},
        {"Reward", "mean of a step", {{"reward", "reward"}}, NOISY},
        {"Accuracy", "fraction right, training problems", {{"accuracy", "accuracy"}}, NOISY},
        {"Reward spread",
         "standard deviation",
         {{"reward_std", "of all"}, {"reward_group_std", "within groups"}},
         NOISY},
        {"Groups without a signal",
         "fraction with equal rewards",
         {{"frac_reward_zero_std", "equal"}},
         NOISY},
        {"Entropy", "nats per token", {{"entropy", "entropy"}}, NOISY},
        {"KL", "nats per token, to the reference", {{"kl", "KL"}}, NOISY},
        {"Length",
         "tokens",
         {{"completions/mean_length", "training"}, {"eval/mean_length", "held-out"}},
         NOISY},
        {"Cut completions",
         "fraction that hit the limit",
         {{"completions/clipped_ratio", "training"}, {"eval/clipped_ratio", "held-out"}},
         NOISY},
        {"Clipped ratios",
         "fraction of tokens",
         {{"clip_ratio/low_mean", "low"}, {"clip_ratio/high_mean", "high"}},
         NOISY},
        {"Sampler and learner",
         "largest difference of log-probabilities",
         {{"sampling/sampling_logp_difference/max", "difference"}},
         NOISY},
        {"Gradient norm", "before clipping", {{"grad_norm", "norm"}}, NOISY},
        {"Loss", "", {{"loss", "loss"}}, NOISY},
        {"Learning rate", "", {{"learning_rate", "rate"}}, EXACT},
        {"Time of a step", "seconds", {{"step_time", "step"}}, NOISY},
};

/* Metrics whose names are not known beforehand: a chart for each that begins and ends so. */
static const struct family {
	const char *begin, *end, *unit;
} families[] = {
        {"eval/", "/pass@1", "held-out pass@1 \xc2\xb1 standard error"},
        {"rewards/", "/mean", "mean of a verifier, before weighting"},
        {"curriculum/", "", "curriculum"},
};

/* One run: a colour per part. Several: a colour per run, a dash per part. */
static void add_plot(const struct series_run *runs, int n, const struct plot *plot,
                     struct text *out)
{
	struct line  lines[DRAWN_MAX * PARTS_MAX];
	char         names[DRAWN_MAX * PARTS_MAX][300];
	struct chart chart = {
	        .title = plot->title, .unit = plot->unit, .lines = lines, .exact = plot->exact};
	int n_parts = 0;

	while (n_parts < PARTS_MAX && plot->parts[n_parts].metric)
		n_parts++;
	for (int r = 0; r < n; r++)
		for (int p = 0; p < n_parts; p++) {
			const struct series *s = series_find(&runs[r], plot->parts[p].metric);
			char                *name = names[chart.n_lines];
			const char          *label = plot->parts[p].label;
			if (!s || s->n == 0)
				continue;
			snprintf(name, sizeof names[0], "%.200s%s%.80s",
			         n > 1 ? runs[r].folder : "", n > 1 && n_parts > 1 ? ", " : "",
			         n == 1 || n_parts > 1 ? label : "");
			lines[chart.n_lines++] =
			        (struct line){name, s->points, s->n, n > 1 ? r : p, n > 1 ? p : 0};
		}
	if (chart.n_lines)
		chart_add(&chart, out);
}

static int report_belongs(const struct family *f, const char *name)
{
	size_t n = strlen(name), begin = strlen(f->begin), last = strlen(f->end);

	return n > begin + last && !strncmp(name, f->begin, begin) &&
	       !strcmp(name + n - last, f->end);
}

static void add_family(const struct series_run *runs, int n, const struct family *f,
                       struct text *out)
{
	for (int r = 0; r < n; r++)
		for (int i = 0; i < runs[r].n; i++) {
			const char *name = runs[r].series[i].name;
			size_t      begin = strlen(f->begin);
			char        title[128];
			int         seen = 0;
			for (int earlier = 0; earlier < r && !seen; earlier++)
				seen = series_find(&runs[earlier], name) != NULL;
			if (seen || !report_belongs(f, name) || report_curriculum_draws(name))
				continue;
			snprintf(title, sizeof title, "%.*s",
			         (int)(strlen(name) - begin - strlen(f->end)), name + begin);
			add_plot(runs, n, &(struct plot){title, f->unit, {{name, title}}, NOISY},
			         out);
		}
}

static const char *const timings[] = {"rollout", "reward",   "reference",
                                      "forward", "backward", "optimizer"};
enum { N_TIMINGS = sizeof timings / sizeof *timings };

static int can_be_stacked(const struct series *s, const struct line *on)
{
	if (!s || s->n == 0 || (on && on->n != s->n))
		return 0;
	for (int i = 0; i < s->n; i++)
		if (s->points[i].y < 0 || (on && on->points[i].x != s->points[i].x))
			return 0;
	return 1;
}

static void add_timings(const struct series_run *run, int alone, struct text *out)
{
	struct line  lines[N_TIMINGS];
	char         name[64];
	struct chart chart = {.title = "Where the time goes",
	                      .unit = alone ? "share of a step" : run->folder,
	                      .lines = lines,
	                      .exact = EXACT};

	for (int i = 0; i < N_TIMINGS; i++) {
		snprintf(name, sizeof name, "timing_s/%s", timings[i]);
		const struct series *s = series_find(run, name);
		if (can_be_stacked(s, chart.n_lines ? lines : NULL))
			lines[chart.n_lines++] = (struct line){timings[i], s->points, s->n, i, 0};
	}
	if (chart.n_lines)
		chart_add_shares(&chart, out);
}

static void add_run_charts(const struct series_run *runs, int n, struct text *out)
{
	n = n < DRAWN_MAX ? n : DRAWN_MAX;
	for (size_t i = 0; i < sizeof plots / sizeof *plots; i++)
		add_plot(runs, n, &plots[i], out);
	for (int r = 0; r < n; r++)
		add_timings(&runs[r], n == 1, out);
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		add_family(runs, n, &families[i], out);
}

/* Where arms have several runs: a line and a band for each arm. What the first run logged stands
 * for all in the families. */
static int add_arm_charts(struct compare_summary *c, const struct series_run *first,
                          struct text *out)
{
	/* the first two stand above, beside the tables */
	for (size_t i = 2; i < sizeof plots / sizeof *plots; i++)
		for (int p = 0; p < PARTS_MAX && plots[i].parts[p].metric; p++)
			TRY(compare_chart(c, plots[i].title,
			                  p ? plots[i].parts[p].label : plots[i].unit,
			                  plots[i].parts[p].metric, 0, out));
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		for (int k = 0; k < first->n; k++)
			if (report_belongs(&families[i], first->series[k].name) &&
			    !report_curriculum_draws(first->series[k].name))
				TRY(compare_chart(c, first->series[k].name, families[i].unit,
				                  first->series[k].name, 0, out));
	return OK;
}

static int add_charts(const struct series_run *runs, int n, struct compare_summary *c,
                      struct text *out)
{
	int status = OK;

	text_print(out, "<div class=\"charts\">\n");
	if (n > 1 && compare_has_repeats(c))
		status = add_arm_charts(c, &runs[0], out);
	else
		add_run_charts(runs, n, out);
	text_print(out, "</div>\n");
	return status;
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

static int add_page(const struct series_run *runs, int n, struct compare_summary *c,
                    struct text *out)
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
	TRY(add_charts(runs, n, c, out));
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
	int         status = add_page(runs, n, c, &page);

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

	if (n < 1 || n > RUNS_MAX)
		return error_set(ERR_INPUT, "a report shows 1 to %d runs, not %d", RUNS_MAX, n);
	read = mem_alloc((size_t)n, sizeof *read, "the runs of a report");
	if (!read)
		return ERR_INPUT;
	for (int r = 0; r < n && status == OK; r++)
		status = series_read(runs[r], &read[r]);
	if (status == OK)
		status = compare_open(read, n, &c);
	if (status == OK) {
		status = report_write_all(read, n, &c, files);
		compare_close(&c);
	}
	for (int r = 0; r < n; r++)
		series_free(&read[r]);
	mem_free(read);
	return status;
}
