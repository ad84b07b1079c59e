#include "run/report_head.h"

#include "base/error.h"
#include "base/json.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { HEAD_FILE_MAX = 1 << 20, HEAD_CONFIG_MAX = 1 << 16, HEAD_VALUE_MAX = 300 };

static void head_add_escaped(const char *s, struct text *out)
{
	size_t n = strlen(s), shown = n > HEAD_VALUE_MAX ? HEAD_VALUE_MAX : n;

	while (shown < n && ((unsigned char)s[shown] & 0xc0) == 0x80)
		shown--;
	chart_add_escaped(out, s, shown);
	text_print(out, shown < n ? "\xe2\x80\xa6" : "");
}

static void head_begin(const char *name, struct text *out)
{
	text_print(out, "<div><dt>%s</dt><dd>", name);
}

static void head_end(struct text *out)
{
	text_print(out, "</dd></div>\n");
}

/* YAML's quotes around a text go. */
static void head_add(const char *name, const char *value, struct text *out)
{
	size_t n = value ? strlen(value) : 0;

	if (n == 0 || !strcmp(value, "[]") || !strcmp(value, "\"\""))
		return;
	head_begin(name, out);
	if (n > 2 && n < HEAD_VALUE_MAX && *value == '"' && value[n - 1] == '"')
		chart_add_escaped(out, value + 1, n - 2);
	else
		head_add_escaped(value, out);
	head_end(out);
}

/* Of the run's config; NULL where it does not say. */
static const char *head_value(const struct compare_summary *c, const struct compared_run *run,
                              const char *path)
{
	int row = schema_find(c->schema, path);

	return row >= 0 && run->value[row] && *run->value[row] ? run->value[row] : NULL;
}

static void head_add_config(const struct compare_summary *c, const struct compared_run *run,
                            struct text *out)
{
	static const struct {
		const char *name, *path;
	} facts[] = {{"model", "model.path"},
	             {"data", "data.train"},
	             {"generated data", "data.generate"},
	             {"held out", "data.eval"},
	             {"verifier", "task.reward"},
	             {"algorithm", "algorithm"},
	             {"learning rate", "optim.learning_rate"},
	             {"seed", "run.seed"},
	             {"precision", "compute.precision"}};

	if (!head_value(c, run, "model.path") && head_value(c, run, "model.init.width")) {
		head_begin("model", out);
		text_print(out, "new, %s layers of width ",
		           head_value(c, run, "model.init.n_layers")
		                   ? head_value(c, run, "model.init.n_layers")
		                   : "?");
		head_add_escaped(head_value(c, run, "model.init.width"), out);
		head_end(out);
	}
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
		head_add(facts[i].name, head_value(c, run, facts[i].path), out);
}

/* Steps, tokens, time. */
static void head_add_work(const struct compared_run *run, struct text *out)
{
	double s = run->seconds;

	head_begin("steps", out);
	text_print(out, "%.0f", run->log->last_step);
	head_end(out);
	if (run->tokens > 0) {
		head_begin("tokens", out);
		text_print(out, "%.0f", run->tokens);
		if (s > 0)
			text_print(out, ", %.4g a second", run->tokens / s);
		head_end(out);
	}
	if (s > 0) {
		head_begin("time in steps", out);
		if (s >= 3600)
			text_print(out, "%.0f h %.0f min", floor(s / 3600),
			           floor(fmod(s, 3600) / 60));
		else if (s >= 60)
			text_print(out, "%.0f min %.0f s", floor(s / 60), fmod(s, 60));
		else
			text_print(out, "%.1f s", s);
		head_end(out);
	}
}

static void head_add_date(const char *path, struct text *out)
{
	struct stat st;
	struct tm   when;
	char        text[64];

	if (stat(path, &st) != 0 || !gmtime_r(&st.st_mtime, &when) ||
	    !strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &when))
		return;
	head_add("last step", text, out);
}

/* The program that wrote the newest steps. */
static void head_add_program(const char *path, struct text *out)
{
	struct bytes b;
	const char  *line;
	json_t      *row = NULL;
	const char  *version = NULL, *commit = NULL;

	if (!file_exists(path) || file_read(path, HEAD_FILE_MAX, &b) != OK)
		return;
	while (b.n && b.data[b.n - 1] == '\n')
		b.data[--b.n] = 0;
	line = strrchr(b.data, '\n');
	line = line ? line + 1 : b.data;
	if (json_parse(path, line, strlen(line), &row) == OK) {
		version = json_string_value(json_object_get(row, "version"));
		commit = json_string_value(json_object_get(row, "commit"));
	}
	if (version) {
		head_begin("hone", out);
		head_add_escaped(version, out);
		text_print(out, commit ? ", " : "");
		head_add_escaped(commit ? commit : "", out);
		head_end(out);
	}
	head_add("machine", json_string_value(json_object_get(row, "cpu")), out);
	head_add("kernels", json_string_value(json_object_get(row, "kernels")), out);
	json_decref(row);
	bytes_free(&b);
}

static void head_add_file(const char *path, struct text *out)
{
	struct bytes b;

	if (!file_exists(path) || file_read(path, HEAD_CONFIG_MAX, &b) != OK)
		return;
	text_print(out, "<details><summary>config.yaml</summary><pre>");
	chart_add_escaped(out, b.data, b.n);
	text_print(out, "</pre></details>\n");
	bytes_free(&b);
}

int report_head_add(const struct compare_summary *c, const struct compared_run *run,
                    struct text *out)
{
	struct arena a = {0};
	const char  *metrics, *provenance, *config;
	int          status = file_path(&a, run->log->folder, "metrics.jsonl", &metrics);

	if (status == OK)
		status = file_path(&a, run->log->folder, "provenance.jsonl", &provenance);
	if (status == OK)
		status = file_path(&a, run->log->folder, "config.yaml", &config);
	if (status == OK) {
		text_print(out, "<dl class=\"facts\">\n");
		head_add_config(c, run, out);
		head_add_work(run, out);
		head_add_date(metrics, out);
		head_add_program(provenance, out);
		text_print(out, "</dl>\n");
		head_add_file(config, out);
	}
	arena_free(&a);
	return status;
}
