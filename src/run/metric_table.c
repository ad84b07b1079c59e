#include "run/metric_table.h"

#include "base/error.h"
#include "run/metrics.h"

#include <string.h>

/* ---- names ---- */

const char *metric_table_member(const struct metric_row *row, const char *name, size_t *n)
{
	const char *open = strchr(row->name, '<'), *close = open ? strchr(open, '>') : NULL;
	size_t      all = strlen(name), before, after;

	if (!close)
		return NULL;
	before = (size_t)(open - row->name);
	after = strlen(close + 1);
	if (all < before + after || strncmp(name, row->name, before) ||
	    strcmp(name + all - after, close + 1))
		return NULL;
	*n = all - before - after;
	return name + before;
}

const struct metric_row *metric_table_find(const struct metric_table *t, const char *name)
{
	size_t n;

	for (int i = 0; i < t->n; i++)
		if (!strcmp(t->rows[i].name, name))
			return &t->rows[i];
	for (int i = 0; i < t->n; i++)
		if (metric_table_member(&t->rows[i], name, &n))
			return &t->rows[i];
	return NULL;
}

int metric_table_is_timed(const struct metric_row *row)
{
	size_t n = strlen(row->unit);

	return !strcmp(row->unit, "seconds") || (n > 2 && !strcmp(row->unit + n - 2, "/s"));
}

/* ---- a line of the log ---- */

static double metric_read(const struct metric_place *p, const void *statistics)
{
	const char *at = (const char *)statistics + p->offset;

	return p->type == METRIC_INT ? *(const int *)at : *(const double *)at;
}

/* Whether the place is given and nothing was counted there. */
static int counted_none(const struct metric_place *p, const void *statistics)
{
	return p->type != METRIC_NOWHERE && !(metric_read(p, statistics) > 0);
}

/* Whether the row has a number in this kind of line, and where something was counted. */
static int metric_is_counted(const struct metric_row *row, int line, const void *statistics)
{
	return row->lines & line && row->value.type != METRIC_NOWHERE &&
	       !counted_none(&row->per, statistics) && !counted_none(&row->if_any, statistics);
}

int metric_table_fill(const struct metric_table *t, int line, const struct config *c,
                      const void *statistics, struct metrics *m)
{
	for (int i = 0; i < t->n; i++) {
		const struct metric_row *row = &t->rows[i];
		double                   value;
		int                      holds = 1;
		if (!metric_is_counted(row, line, statistics))
			continue;
		if (row->when)
			TRY(config_when_holds(c, row->when, &holds));
		if (!holds)
			continue;
		value = metric_read(&row->value, statistics);
		if (row->per.type != METRIC_NOWHERE)
			value /= metric_read(&row->per, statistics);
		metrics_add(m, row->name, value);
	}
	return OK;
}

/* ---- for people ---- */

/* A mean whose error is logged beside it is drawn with it (run/series.h). */
static int metric_has_error(const struct metric_table *t, const struct metric_row *row)
{
	size_t n = strlen(row->name);

	for (int i = 0; i < t->n; i++) /* of a family, too */
		if (!strncmp(t->rows[i].name, row->name, n) &&
		    !strcmp(t->rows[i].name + n, "_stderr"))
			return 1;
	return 0;
}

/* "nats, mean over trained tokens", "share of groups" */
static void metric_add_unit(const struct metric_row *row, struct text *out)
{
	int share = !strcmp(row->unit, "share");

	text_print(out, "%s", row->unit);
	if (row->of)
		text_print(out, "%s%s",
		           share        ? " of "
		           : *row->unit ? ", mean over "
		                        : "mean over ",
		           row->of);
}

void metric_table_caption(const struct metric_table *t, const struct metric_row *row,
                          struct text *out)
{
	metric_add_unit(row, out);
	if (metric_has_error(t, row))
		text_print(out, " \xc2\xb1 standard error");
}

void metric_table_words(const struct metric_row *row, struct text *out)
{
	text_print(out, "%s%s%s", row->help, row->watch ? " *Watch:* " : "",
	           row->watch ? row->watch : "");
}

enum { COLUMNS = 100, INDENT = 2 };

/* ADDS the words of `words` as an item of a list, in lines of at most COLUMNS. */
static void metric_markdown_item(const char *words, struct text *out)
{
	size_t column = INDENT, n;

	text_print(out, "- ");
	for (; *words; words += n + strspn(words + n, " ")) {
		n = strcspn(words, " ");
		if (column > INDENT && column + 1 + n > COLUMNS) {
			text_print(out, "\n  ");
			column = INDENT;
		}
		text_print(out, "%s%.*s", column > INDENT ? " " : "", (int)n, words);
		column += n + (column > INDENT);
	}
	text_print(out, "\n");
}

static void metric_markdown_lines(const struct metric_table *t, int lines, struct text *out)
{
	const char *between = "";

	for (int i = 0; i < t->n_lines; i++)
		if (lines >> i & 1) {
			text_print(out, "%s%s", between, t->lines[i]);
			between = ", ";
		}
}

static void metric_markdown_row(const struct metric_table *t, const struct metric_row *row,
                                struct text *out)
{
	struct text words = {0};

	text_print(&words, "`%s` (", row->name);
	metric_markdown_lines(t, row->lines, &words);
	if (*row->unit || row->of)
		text_print(&words, "; ");
	metric_add_unit(row, &words);
	if (row->when)
		text_print(&words, "; when `%s`", row->when);
	if (row->given)
		text_print(&words, "; %s", row->given);
	text_print(&words, "): ");
	metric_table_words(row, &words);
	if (words.data)
		metric_markdown_item(words.data, out);
	out->failed |= words.failed;
	text_free(&words);
}

void metric_table_markdown(const struct metric_table *t, struct text *out)
{
	for (int i = 0; i < t->n; i++) {
		if (t->rows[i].section)
			text_print(out, "\n## %s\n\n", t->rows[i].section);
		metric_markdown_row(t, &t->rows[i], out);
	}
}
