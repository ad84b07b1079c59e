#include "run/report_samples.h"

#include "base/error.h"
#include "base/json.h"
#include "run/chart.h"
#include "run/samples.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	SAMPLES_LINE_MAX = 1 << 22,
	SAMPLES_SHOWN = 6,
	SAMPLE_TEXT_MAX = 4000,
	SAMPLE_TEXT_MIN = 300
};

static void samples_add_escaped(struct text *out, const char *s)
{
	chart_add_escaped(out, s, strlen(s));
}

/* ---- which steps ---- */

struct samples_steps {
	int   *step; /* [n] ascending */
	size_t n, capacity;
};

static int samples_ascending(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static int samples_list(const char *folder, struct arena *a, struct samples_steps *out)
{
	char          *path;
	struct dirent *entry;
	DIR           *d;
	int            status = OK;

	TRY(file_path(a, folder, "samples", &path));
	d = opendir(path);
	while (d && status == OK && (entry = readdir(d))) {
		int step = samples_step(entry->d_name);
		if (step < 0)
			continue;
		status = arena_room(a, &out->step, &out->capacity, out->n + 1, "the kept steps");
		if (status == OK)
			out->step[out->n++] = step;
	}
	if (d)
		closedir(d);
	if (status == OK && out->n)
		qsort(out->step, out->n, sizeof *out->step, samples_ascending);
	return status;
}

/* ---- without a script ---- */

static void samples_add_long(const json_t *row, const char *key, struct text *out)
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

static void samples_add_number(const json_t *row, const char *key, const char *format,
                               struct text *out)
{
	const json_t *value = json_object_get(row, key);

	text_print(out, " \xc2\xb7 %s ", format);
	if (json_is_number(value))
		text_print(out, "%.4g", json_number_value(value));
	else
		text_print(out, "\xe2\x80\x93");
}

static void samples_add_verdict(const json_t *row, struct text *out)
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

static void samples_add_row(const json_t *row, struct text *out)
{
	const char *problem = json_string_value(json_object_get(row, "problem")),
	           *stop = json_string_value(json_object_get(row, "stop"));
	const char *answer = json_string_value(json_object_get(row, "answer"));

	text_print(out, "<article><p>");
	samples_add_verdict(row, out);
	text_print(out, " \xc2\xb7 ");
	samples_add_escaped(out, problem ? problem : "");
	samples_add_number(row, "reward", "reward", out);
	samples_add_number(row, "tokens", "tokens", out);
	text_print(out, " \xc2\xb7 ");
	samples_add_escaped(out, stop ? stop : "");
	text_print(out, "</p><details open=\"open\"><summary>prompt</summary>");
	samples_add_long(row, "prompt", out);
	text_print(out, "</details><div class=\"completion\">");
	samples_add_long(row, "completion", out);
	text_print(out, "</div>");
	if (answer) {
		text_print(out, "<p>expected: <code>");
		samples_add_escaped(out, answer);
		text_print(out, "</code></p>");
	}
	text_print(out, "</article>\n");
}

static int samples_add_rows(const char *path, struct lines *in, struct text *out)
{
	const char *line;
	size_t      n;

	for (int shown = 0; shown < SAMPLES_SHOWN; shown++) {
		json_t *row;
		TRY(lines_next(in, &line, &n));
		if (!line)
			break;
		TRY(json_parse(path, line, n, &row));
		samples_add_row(row, out);
		json_decref(row);
	}
	return OK;
}

static int samples_add_file(const char *folder, int step, struct text *out)
{
	char          path[FILE_PATH_MAX];
	struct lines *in;
	int           status;

	if (snprintf(path, sizeof path, "%s/samples/step-%d.jsonl.gz", folder, step) >=
	    (int)sizeof path)
		return error_set(ERR_INPUT, "%s: the path is too long", folder);
	TRY(lines_open(path, SAMPLES_LINE_MAX, &in));
	text_print(out, "<section><h3>step %d</h3>\n", step);
	status = samples_add_rows(path, in, out);
	text_print(out, "</section>\n");
	lines_close(in);
	return status;
}

/* ---- for the script ---- */

struct samples_json {
	struct text rows, prompts;
	json_t     *known; /* the number of each prompt */
	size_t      most;  /* bytes of a text */
	int         n;
};

/* "key":"...", cut between characters. */
static void samples_json_text(struct samples_json *j, const char *key, const char *s, size_t n)
{
	size_t shown = n;

	if (!s)
		return;
	if (n > j->most)
		for (shown = j->most; shown && (s[shown] & 0xc0) == 0x80; shown--)
			;
	text_print(&j->rows, ",\"%s\":", key);
	chart_add_json_text(&j->rows, s, shown);
	if (shown < n)
		text_print(&j->rows, ",\"%s_more\":%zu", key, n - shown);
}

static void samples_json_member(struct samples_json *j, const json_t *row, const char *key,
                                const char *as)
{
	const json_t *s = json_object_get(row, key);

	samples_json_text(j, as, json_string_value(s), json_string_length(s));
}

/* Each prompt is given once. */
static int samples_json_prompt(struct samples_json *j, const char *s)
{
	json_t *number = json_object_get(j->known, s);
	size_t  n = strlen(s);

	if (!number) {
		text_print(&j->prompts, json_object_size(j->known) ? "," : "");
		if (n > j->most)
			for (n = j->most; n && (s[n] & 0xc0) == 0x80; n--)
				;
		chart_add_json_text(&j->prompts, s, n);
		if (json_object_set_new(j->known, s,
		                        json_integer((json_int_t)json_object_size(j->known))))
			return error_memory("the prompts of a report");
		number = json_object_get(j->known, s);
	}
	text_print(&j->rows, ",\"p\":%d", (int)json_integer_value(number));
	return OK;
}

static void samples_json_components(struct samples_json *j, const json_t *components)
{
	const char *name;
	json_t     *value;
	int         n = 0;

	json_object_foreach((json_t *)(uintptr_t)components, name, value)
	{
		text_print(&j->rows, n++ ? "," : ",\"v\":{");
		chart_add_json_text(&j->rows, name, strlen(name));
		text_add(&j->rows, ":", 1);
		chart_add_json_real(&j->rows,
		                    json_is_number(value) ? json_number_value(value) : (double)NAN);
	}
	text_print(&j->rows, n ? "}" : "");
}

static int samples_json_row(struct samples_json *j, int step, const json_t *row)
{
	const json_t *right = json_object_get(row, "right"),
	             *reward = json_object_get(row, "reward"),
	             *old = json_object_get(row, "accuracy"); /* of older files */
	const char *prompt = json_string_value(json_object_get(row, "prompt"));
	int         mark = json_is_boolean(right) ? json_is_true(right)
	                   : json_is_number(old)  ? json_number_value(old) >= 1
	                                          : -1;

	text_print(&j->rows, "%s{\"s\":%d,\"k\":%d,\"t\":%d,\"r\":", j->n++ ? ",\n" : "", step,
	           mark, (int)json_number_value(json_object_get(row, "tokens")));
	chart_add_json_real(&j->rows,
	                    json_is_number(reward) ? json_number_value(reward) : (double)NAN);
	samples_json_member(j, row, "problem", "i");
	samples_json_member(j, row, "category", "g");
	samples_json_member(j, row, "completion", "c");
	samples_json_member(j, row, "answer", "a");
	samples_json_member(j, row, "stop", "e");
	samples_json_components(j, json_object_get(row, "components"));
	TRY(samples_json_prompt(j, prompt ? prompt : ""));
	text_print(&j->rows, "}");
	return OK;
}

/* The first n of a step. */
static int samples_json_file(struct samples_json *j, const char *path, int step, int n)
{
	struct lines *in;
	const char   *line;
	size_t        length;
	json_t       *row;
	int           status;

	TRY(lines_open(path, SAMPLES_LINE_MAX, &in));
	status = lines_next(in, &line, &length);
	for (int i = 0; status == OK && line && i < n; i++) {
		status = json_parse(path, line, length, &row);
		if (status == OK) {
			status = samples_json_row(j, step, row);
			json_decref(row);
		}
		if (status == OK)
			status = lines_next(in, &line, &length);
	}
	lines_close(in);
	return status;
}

static int samples_json_files(struct samples_json *j, const char *folder,
                              const struct samples_steps *steps, int n)
{
	struct arena a = {0};
	int          files = (int)steps->n < n ? (int)steps->n : n, status = OK;

	for (int i = 0; status == OK && i < files; i++) {
		/* the first and the last are among them */
		int at = files > 1 ? (int)((int64_t)i * ((int64_t)steps->n - 1) / (files - 1)) : 0;
		char *path;
		status = arena_print(&a, &path, "%s/samples/step-%d.jsonl.gz", folder,
		                     steps->step[at]);
		if (status == OK)
			status = samples_json_file(j, path, steps->step[at], n / files);
	}
	arena_free(&a);
	return status;
}

static int samples_add_json(const char *folder, const struct samples_steps *steps, int n,
                            struct text *out)
{
	struct samples_json j = {.known = json_object()};
	int                 status = j.known ? OK : error_memory("the prompts of a report");

	j.most = REPORT_SAMPLES_BYTES / (size_t)n / 2;
	j.most = j.most < SAMPLE_TEXT_MIN ? SAMPLE_TEXT_MIN : j.most;
	j.most = j.most > SAMPLE_TEXT_MAX ? SAMPLE_TEXT_MAX : j.most;
	if (status == OK)
		status = samples_json_files(&j, folder, steps, n);
	if (status == OK)
		status = text_status(&j.rows);
	if (status == OK)
		status = text_status(&j.prompts);
	if (status == OK && j.n)
		text_print(out,
		           "<script type=\"application/json\" class=\"rows\">{\"kept\":%zu,"
		           "\"prompts\":[%s],\"rows\":[%s]}</script>\n",
		           steps->n, j.prompts.data, j.rows.data);
	json_decref(j.known);
	text_free(&j.rows);
	text_free(&j.prompts);
	return status;
}

/* ---- all of it ---- */

static int samples_add_section(const char *folder, const struct samples_steps *steps, int n,
                               struct text *out)
{
	int first = steps->step[0], last = steps->step[steps->n - 1];

	text_print(out, "<h2>Completions of ");
	samples_add_escaped(out, folder);
	text_print(out, "</h2>\n<div class=\"explorer\">\n<div class=\"samples\">\n");
	TRY(samples_add_file(folder, first, out));
	if (last != first)
		TRY(samples_add_file(folder, last, out));
	text_print(out, "</div>\n");
	TRY(samples_add_json(folder, steps, n, out));
	text_print(out, "</div>\n");
	return OK;
}

int report_samples_add(const char *folder, int n, struct text *out)
{
	struct arena         a = {0};
	struct samples_steps steps = {0};
	int                  status = n > 0 ? samples_list(folder, &a, &steps) : OK;

	if (status == OK && steps.n)
		status = samples_add_section(folder, &steps, n, out);
	arena_free(&a);
	return status;
}
