#include "run/report.h"

#include "base/error.h"
#include "base/json.h"
#include "run/chart.h"

#include <dirent.h>
#include <math.h>
#include <string.h>

enum { RUNS_MAX = 32, LINES_MAX = 2000000, SERIES_MAX = 1024 };
enum { METRICS_LINE_MAX = 1 << 16, SAMPLES_LINE_MAX = 1 << 22, SAMPLES_SHOWN = 6, SAMPLE_TEXT_MAX = 4000 };

/* ---- a run's metrics, one series per name ---- */

struct series {
	char         *name;   /* owned */
	struct point *points; /* [n], owned; x, the step, strictly ascending */
	int           n, capacity;
};

struct run {
	const char   *folder; /* borrowed */
	struct series series[SERIES_MAX];
	int           n;
	double        last_step;
};

static void free_run(struct run *run)
{
	for (int i = 0; i < run->n; i++) {
		mem_free(run->series[i].name);
		mem_free(run->series[i].points);
	}
}

static const struct series *find(const struct run *run, const char *name)
{
	for (int i = 0; i < run->n; i++)
		if (!strcmp(run->series[i].name, name))
			return &run->series[i];
	return NULL;
}

/* Lines repeat the names in one order, so the search begins behind the series found last. NULL with a message. */
static struct series *find_or_make(struct run *run, const char *name, int *cursor)
{
	for (int i = 0; i < run->n; i++) {
		int k = (*cursor + 1 + i) % run->n;
		if (!strcmp(run->series[k].name, name))
			return &run->series[*cursor = k];
	}
	if (run->n == SERIES_MAX) {
		error_set(ERR_INPUT, "%s/metrics.jsonl: more than %d different metrics; is this a run's log?", run->folder, SERIES_MAX);
		return NULL;
	}
	struct series *s = &run->series[ *cursor = run->n];
	s->name = mem_text(name, strlen(name));
	run->n += s->name != NULL;
	return s->name ? s : NULL;
}

/* A step that comes again replaces what was logged from there on: the run was taken up from before it. */
static int add_point(struct series *s, double step, double value)
{
	while (s->n && s->points[s->n - 1].x >= step)
		s->n--;
	if (s->n == s->capacity) {
		int           capacity = s->capacity ? 2 * s->capacity : 64;
		struct point *points =
		        mem_grow(s->points, (size_t)s->capacity, (size_t)capacity, sizeof *points, "the metrics of a report");
		if (!points)
			return ERR_INPUT;
		s->points = points;
		s->capacity = capacity;
	}
	s->points[s->n++] = (struct point){step, value, 0};
	return OK;
}

static int can_be_drawn(const json_t *value)
{
	return json_is_number(value) && fabs(json_number_value(value)) <= CHART_LARGEST;
}

static int add_row(struct run *run, json_t *row)
{
	const json_t *step = json_object_get(row, "step");
	const char   *name;
	json_t       *value;
	int           cursor = -1;

	if (!can_be_drawn(step))
		return OK;
	run->last_step = json_number_value(step);
	json_object_foreach(row, name, value)
	{
		if (!can_be_drawn(value))
			continue;
		struct series *s = find_or_make(run, name, &cursor);
		if (!s)
			return ERR_INPUT;
		TRY(add_point(s, run->last_step, json_number_value(value)));
	}
	return OK;
}

static int read_line(struct run *run, const char *path, size_t number, const char *line, size_t n)
{
	char    place[FILE_PATH_MAX + 32];
	json_t *row;
	int     status;

	snprintf(place, sizeof place, "%s:%zu", path, number);
	if (number > LINES_MAX)
		return error_set(ERR_INPUT, "%s: more than %d lines; shorten the log", path, LINES_MAX);
	TRY(json_parse(place, line, n, &row));
	status = json_is_object(row) ? add_row(run, row) : error_set(ERR_INPUT, "%s: not a JSON object", place);
	json_decref(row);
	return status;
}

/* Beside each mean its error, where they were logged for the same step. */
static void join_errors(struct run *run)
{
	char name[256];

	for (int i = 0; i < run->n; i++) {
		struct series       *mean = &run->series[i];
		const struct series *error;
		snprintf(name, sizeof name, "%s_stderr", mean->name);
		error = find(run, name);
		for (int k = 0, e = 0; error && k < mean->n; k++) {
			while (e < error->n && error->points[e].x < mean->points[k].x)
				e++;
			if (e < error->n && error->points[e].x == mean->points[k].x)
				mean->points[k].error = fmax(0, error->points[e].y);
		}
	}
}

static int read_run(const char *folder, struct run *run)
{
	char          path[FILE_PATH_MAX];
	struct lines *in;
	const char   *line;
	size_t        n;
	int           status;

	run->folder = folder;
	if (snprintf(path, sizeof path, "%s/metrics.jsonl", folder) >= (int)sizeof path)
		return error_set(ERR_INPUT, "%s: the path is too long", folder);
	if (!file_exists(path))
		return error_set(ERR_INPUT, "%s: there is no such file; give the folder of a run (its run.output_dir)", path);
	TRY(lines_open(path, METRICS_LINE_MAX, &in));
	while ((status = lines_next(in, &line, &n)) == OK && line) {
		status = n ? read_line(run, path, lines_number(in), line, n) : OK;
		if (status != OK)
			break;
	}
	lines_close(in);
	join_errors(run);
	return status;
}

/* ---- the table of runs ---- */

static void add_text(struct text *out, const char *s)
{
	chart_add_escaped(out, s, strlen(s));
}

static void add_cell(const struct point *p, struct text *out)
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

static const struct point *first_point(const struct run *run, const char *metric)
{
	const struct series *s = find(run, metric);
	return s && s->n ? &s->points[0] : NULL;
}

static const struct point *last_point(const struct run *run, const char *metric)
{
	const struct series *s = find(run, metric);
	return s && s->n ? &s->points[s->n - 1] : NULL;
}

static const struct column {
	const char *heading, *metric;
	const struct point *(*pick)(const struct run *run, const char *metric);
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

static void add_table(const struct run *runs, int n, struct text *out)
{
	text_print(out, "<div class=\"wide\"><table><tr><th>run</th><th>step</th>");
	for (int c = 0; c < N_COLUMNS; c++)
		text_print(out, "<th>%s</th>", columns[c].heading);
	text_print(out, "</tr>\n");
	for (int r = 0; r < n; r++) {
		text_print(out, "<tr><td class=\"name\">");
		add_text(out, runs[r].folder);
		text_print(out, "</td><td>%.0f</td>", runs[r].last_step);
		for (int c = 0; c < N_COLUMNS; c++)
			add_cell(columns[c].pick(&runs[r], columns[c].metric), out);
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
        {"Held-out pass@1", "fraction right \xc2\xb1 standard error", {{"eval/pass@1", "pass@1"}}, NOISY},
        {"Reward", "mean of a step", {{"reward", "reward"}}, NOISY},
        {"Accuracy", "fraction right, training problems", {{"accuracy", "accuracy"}}, NOISY},
        {"Reward spread", "standard deviation within groups", {{"reward_std", "spread"}}, NOISY},
        {"Groups without a signal", "fraction with equal rewards", {{"frac_reward_zero_std", "equal"}}, NOISY},
        {"Entropy", "nats per token", {{"entropy", "entropy"}}, NOISY},
        {"KL", "nats per token, to the reference", {{"kl", "KL"}}, NOISY},
        {"Length", "tokens", {{"completions/mean_length", "answers"}, {"eval/mean_length", "held-out answers"}}, NOISY},
        {"Cut answers",
         "fraction that hit the limit",
         {{"completions/clipped_ratio", "training"}, {"eval/clipped_ratio", "held-out"}},
         NOISY},
        {"Clipped ratios", "fraction of tokens", {{"clip_ratio/low_mean", "low"}, {"clip_ratio/high_mean", "high"}}, NOISY},
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
static void add_plot(const struct run *runs, int n, const struct plot *plot, struct text *out)
{
	struct line  lines[RUNS_MAX * PARTS_MAX];
	char         names[RUNS_MAX * PARTS_MAX][300];
	struct chart chart = {plot->title, plot->unit, lines, 0, plot->exact};
	int          n_parts = 0;

	while (n_parts < PARTS_MAX && plot->parts[n_parts].metric)
		n_parts++;
	for (int r = 0; r < n; r++)
		for (int p = 0; p < n_parts; p++) {
			const struct series *s = find(&runs[r], plot->parts[p].metric);
			char                *name = names[chart.n_lines];
			const char          *label = plot->parts[p].label;
			if (!s || s->n == 0)
				continue;
			snprintf(name, sizeof names[0], "%.200s%s%.80s", n > 1 ? runs[r].folder : "", n > 1 && n_parts > 1 ? ", " : "",
			         n == 1 || n_parts > 1 ? label : "");
			lines[chart.n_lines++] = (struct line){name, s->points, s->n, n > 1 ? r : p, n > 1 ? p : 0};
		}
	if (chart.n_lines)
		chart_add(&chart, out);
}

static int belongs(const struct family *f, const char *name)
{
	size_t n = strlen(name), begin = strlen(f->begin), last = strlen(f->end);

	return n > begin + last && !strncmp(name, f->begin, begin) && !strcmp(name + n - last, f->end);
}

static void add_family(const struct run *runs, int n, const struct family *f, struct text *out)
{
	for (int r = 0; r < n; r++)
		for (int i = 0; i < runs[r].n; i++) {
			const char *name = runs[r].series[i].name;
			size_t      begin = strlen(f->begin);
			char        title[128];
			int         seen = 0;
			for (int earlier = 0; earlier < r && !seen; earlier++)
				seen = find(&runs[earlier], name) != NULL;
			if (seen || !belongs(f, name))
				continue;
			snprintf(title, sizeof title, "%.*s", (int)(strlen(name) - begin - strlen(f->end)), name + begin);
			add_plot(runs, n, &(struct plot){title, f->unit, {{name, title}}, NOISY}, out);
		}
}

static const char *const timings[] = {"rollout", "reward", "reference", "forward", "backward", "optimizer"};
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

static void add_timings(const struct run *run, int alone, struct text *out)
{
	struct line  lines[N_TIMINGS];
	char         name[64];
	struct chart chart = {"Where the time goes", alone ? "share of a step" : run->folder, lines, 0, EXACT};

	for (int i = 0; i < N_TIMINGS; i++) {
		snprintf(name, sizeof name, "timing_s/%s", timings[i]);
		const struct series *s = find(run, name);
		if (can_be_stacked(s, chart.n_lines ? lines : NULL))
			lines[chart.n_lines++] = (struct line){timings[i], s->points, s->n, i, 0};
	}
	if (chart.n_lines)
		chart_add_shares(&chart, out);
}

static void add_charts(const struct run *runs, int n, struct text *out)
{
	text_print(out, "<div class=\"charts\">\n");
	for (size_t i = 0; i < sizeof plots / sizeof *plots; i++)
		add_plot(runs, n, &plots[i], out);
	for (int r = 0; r < n; r++)
		add_timings(&runs[r], n == 1, out);
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		add_family(runs, n, &families[i], out);
	text_print(out, "</div>\n");
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
		int step, used = 0;
		if (sscanf(entry->d_name, "step-%9d.jsonl.gz%n", &step, &used) != 1 || !used || entry->d_name[used])
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
		for (shown = SAMPLE_TEXT_MAX; (s[shown] & 0xc0) == 0x80; shown--) /* not within a character */
			;
	text_print(out, "<pre>");
	if (s)
		chart_add_escaped(out, s, shown);
	if (shown < n)
		text_print(out, " <i>\xe2\x80\xa6 and %zu bytes more</i>", n - shown);
	text_print(out, "</pre>");
}

static void add_number(const json_t *row, const char *key, const char *format, struct text *out)
{
	const json_t *value = json_object_get(row, key);

	text_print(out, " \xc2\xb7 %s ", format);
	if (json_is_number(value))
		text_print(out, "%.4g", json_number_value(value));
	else
		text_print(out, "\xe2\x80\x93");
}

static void add_verdict(const json_t *row, struct text *out)
{
	const json_t *accuracy = json_object_get(row, "accuracy");

	if (!json_is_number(accuracy))
		text_print(out, "<b>? unknown</b>");
	else if (json_number_value(accuracy) >= 1)
		text_print(out, "<b class=\"right\">\xe2\x9c\x93 right</b>");
	else
		text_print(out, "<b class=\"wrong\">\xe2\x9c\x97 wrong</b>");
}

static void add_sample(const json_t *row, struct text *out)
{
	const char *problem = json_string_value(json_object_get(row, "problem")), *stop = json_string_value(json_object_get(row, "stop"));
	const char *answer = json_string_value(json_object_get(row, "answer"));

	text_print(out, "<article><p>");
	add_verdict(row, out);
	text_print(out, " \xc2\xb7 ");
	add_text(out, problem ? problem : "");
	add_number(row, "reward", "reward", out);
	add_number(row, "tokens", "tokens", out);
	text_print(out, " \xc2\xb7 ");
	add_text(out, stop ? stop : "");
	text_print(out, "</p><details open=\"open\"><summary>prompt</summary>");
	add_long_text(row, "prompt", out);
	text_print(out, "</details><div class=\"completion\">");
	add_long_text(row, "completion", out);
	text_print(out, "</div>");
	if (answer) {
		text_print(out, "<p>expected: <code>");
		add_text(out, answer);
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
		add_sample(row, out);
		json_decref(row);
	}
	return OK;
}

static int add_sample_file(const char *folder, int step, struct text *out)
{
	char          path[FILE_PATH_MAX];
	struct lines *in;
	int           status;

	if (snprintf(path, sizeof path, "%s/samples/step-%d.jsonl.gz", folder, step) >= (int)sizeof path)
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
	text_print(out, "<h2>Answers of ");
	add_text(out, folder);
	text_print(out, "</h2>\n<div class=\"samples\">\n");
	TRY(add_sample_file(folder, first, out));
	if (last != first)
		TRY(add_sample_file(folder, last, out));
	text_print(out, "</div>\n");
	return OK;
}

/* ---- the page ---- */

static const char page_style[] =
        "body{background:var(--page);color:var(--ink);font:14px/1.45 system-ui,sans-serif;max-width:1340px;margin:1.5em auto;padding:0 1em}"
        "h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}h3{font-size:1em;color:var(--soft)}"
        ".wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
        "th,td{padding:.3em .8em;text-align:right;border-bottom:1px solid var(--grid);white-space:nowrap}"
        "th{color:var(--soft);font-weight:500}th:first-child,.name{text-align:left}small{color:var(--soft)}"
        ".charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(360px,1fr));gap:1.6em 2em;margin-top:2em}"
        ".samples{display:grid;grid-template-columns:1fr 1fr;gap:2em}section{min-width:0}"
        "article{border-top:1px solid var(--grid);padding:.3em 0 .8em}p{margin:.4em 0}"
        "pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.2em 0;padding:.4em .7em;border-left:3px solid "
        "var(--grid);font-size:12.5px}"
        ".completion pre{border-left-color:var(--c0)}summary{color:var(--soft);cursor:pointer}"
        ".right{color:var(--right)}.wrong{color:var(--wrong)}"
        "@media (max-width:760px){.samples{grid-template-columns:1fr}}";

static void begin_page(const char *title, struct text *out)
{
	text_print(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
	                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
	                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>");
	add_text(out, title);
	text_print(out, "</title>\n<style>%s%s</style></head>\n<body>\n<h1>", chart_style, page_style);
	add_text(out, title);
	text_print(out, "</h1>\n");
}

static int add_page(const struct run *runs, int n, struct text *out)
{
	char title[128];

	if (n == 1)
		snprintf(title, sizeof title, "%.100s", runs[0].folder);
	else
		snprintf(title, sizeof title, "%d runs", n);
	begin_page(title, out);
	add_table(runs, n, out);
	add_charts(runs, n, out);
	for (int r = 0; r < n; r++)
		TRY(add_samples(runs[r].folder, out));
	text_print(out, "</body></html>\n");
	return text_status(out);
}

int report_write(const char *const *runs, int n, const char *path)
{
	struct text page = {0};
	int         status = OK;

	if (n < 1 || n > RUNS_MAX)
		return error_set(ERR_INPUT, "a report shows 1 to %d runs, not %d", RUNS_MAX, n);
	struct run *read = mem_alloc((size_t)n, sizeof *read, "the runs of a report");
	if (!read)
		return ERR_INPUT;
	for (int r = 0; r < n && status == OK; r++)
		status = read_run(runs[r], &read[r]);
	if (status == OK)
		status = add_page(read, n, &page);
	if (status == OK)
		status = file_write(path, page.data, page.n);
	for (int r = 0; r < n; r++)
		free_run(&read[r]);
	mem_free(read);
	text_free(&page);
	return status;
}
