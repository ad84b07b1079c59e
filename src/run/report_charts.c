#include "run/report_charts.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* Beyond them a run is in the tables only. */
enum { DRAWN_MAX = 32, PARTS_MAX = 8, TITLE_MAX = 128 };

/* ---- charts as the table has them ---- */

/* A row of the table, or one member of a family. */
struct plot_part {
	const struct metric_row *row;
	const char              *metric, *label;
};

struct plot {
	char             title[TITLE_MAX];
	struct text      caption, help;
	struct plot_part parts[PARTS_MAX];
	int              n_parts;
};

static int is_family(const struct metric_row *row)
{
	return strchr(row->name, '<') != NULL;
}

/* Whether no row above has the same chart. */
static int begins_chart(const struct metric_table *t, int row)
{
	for (int i = 0; i < row && t->rows[row].chart; i++)
		if (t->rows[i].chart && !is_family(&t->rows[i]) &&
		    !strcmp(t->rows[i].chart, t->rows[row].chart))
			return 0;
	return t->rows[row].chart != NULL;
}

static void plot_add_part(struct plot *p, const struct metric_row *row, const char *metric)
{
	if (p->n_parts < PARTS_MAX)
		p->parts[p->n_parts++] =
		        (struct plot_part){row, metric, row->label ? row->label : metric};
}

/* Caption and help of the part, or, where the parts are drawn together, of the first one. */
static void plot_words(const struct metric_table *t, int part, struct plot *p)
{
	const struct metric_row *row = p->parts[part].row;

	p->caption.n = p->help.n = 0;
	if (part > 0)
		text_print(&p->caption, "%s: ", p->parts[part].label);
	metric_table_caption(t, row, &p->caption);
	metric_table_words(row, &p->help);
}

static void plot_of_row(const struct metric_table *t, int row, struct plot *p)
{
	p->n_parts = 0;
	snprintf(p->title, sizeof p->title, "%s", t->rows[row].chart);
	for (int i = row; i < t->n; i++)
		if (t->rows[i].chart && !strcmp(t->rows[i].chart, t->rows[row].chart))
			plot_add_part(p, &t->rows[i], t->rows[i].name);
	plot_words(t, 0, p);
}

static void plot_of_member(const struct metric_table *t, const struct metric_row *row,
                           const char *metric, struct plot *p)
{
	size_t      n;
	const char *member = metric_table_member(row, metric, &n);

	p->n_parts = 0;
	snprintf(p->title, sizeof p->title, "%.*s", (int)n, member);
	plot_add_part(p, row, metric);
	plot_words(t, 0, p);
}

static void plot_free(struct plot *p)
{
	text_free(&p->caption);
	text_free(&p->help);
}

/* A chart of the plot, without a line yet. */
static struct chart chart_of(const struct plot *p)
{
	return (struct chart){.title = p->title,
	                      .unit = p->caption.data ? p->caption.data : "",
	                      .help = p->help.data,
	                      .exact = p->parts[0].row->drawn != METRIC_NOISY};
}

/* ---- runs ---- */

static void add_plot(const struct series_run *runs, int n, const struct plot *p, struct text *out)
{
	struct line  lines[CHART_LINES_MAX];
	char         names[CHART_LINES_MAX][300];
	struct chart chart = chart_of(p);

	for (int r = 0; r < n; r++)
		for (int i = 0; i < p->n_parts && chart.n_lines < CHART_LINES_MAX; i++) {
			const struct series *s = series_find(&runs[r], p->parts[i].metric);
			char                *name = names[chart.n_lines];
			int                  several = n > 1, labelled = n == 1 || p->n_parts > 1;
			if (!s || s->n == 0)
				continue;
			snprintf(name, sizeof names[0], "%.200s%s%.80s",
			         several ? runs[r].folder : "", several && labelled ? ", " : "",
			         labelled ? p->parts[i].label : "");
			lines[chart.n_lines++] = (struct line){
			        name, s->points, s->n, several ? r : i, several ? i : 0, r};
		}
	chart.lines = lines;
	if (chart.n_lines)
		chart_add(&chart, out);
}

static int can_be_stacked(const struct series *s, const struct line *on)
{
	if (!s || s->n == 0 || (on && on->n != s->n))
		return 0;
	for (int i = 0; i < s->n; i++)
		if (s->points[i].y < 0 || (on && on->points[i].x != s->points[i].x))
			return 0;
	return 1;
}

static void charts_add_shares(const struct series_run *run, int alone, const struct plot *p,
                              struct text *out)
{
	struct line  lines[PARTS_MAX];
	struct chart chart = chart_of(p);

	chart.unit = alone ? "share of a step" : run->folder;
	chart.help = NULL;
	for (int i = 0; i < p->n_parts; i++) {
		const struct series *s = series_find(run, p->parts[i].metric);
		if (can_be_stacked(s, chart.n_lines ? lines : NULL))
			lines[chart.n_lines++] =
			        (struct line){p->parts[i].label, s->points, s->n, i, 0, 0};
	}
	chart.lines = lines;
	if (chart.n_lines)
		chart_add_shares(&chart, out);
}

/* A chart for each member that any of the runs logged. */
static void add_family(const struct metric_table *t, const struct metric_row *row,
                       const struct series_run *runs, int n, struct plot *p, struct text *out)
{
	for (int r = 0; r < n; r++)
		for (int i = 0; i < runs[r].n; i++) {
			const char *name = runs[r].series[i].name;
			int         seen = metric_table_find(t, name) != row;
			for (int earlier = 0; earlier < r && !seen; earlier++)
				seen = series_find(&runs[earlier], name) != NULL;
			if (seen)
				continue;
			plot_of_member(t, row, name, p);
			add_plot(runs, n, p, out);
		}
}

static void add_run_charts(const struct metric_table *t, const struct series_run *runs, int n,
                           struct plot *p, struct text *out)
{
	n = n < DRAWN_MAX ? n : DRAWN_MAX;
	for (int i = 0; i < t->n; i++) {
		if (!begins_chart(t, i))
			continue;
		if (is_family(&t->rows[i])) {
			add_family(t, &t->rows[i], runs, n, p, out);
			continue;
		}
		plot_of_row(t, i, p);
		if (t->rows[i].drawn != METRIC_SHARE)
			add_plot(runs, n, p, out);
		else
			for (int r = 0; r < n; r++)
				charts_add_shares(&runs[r], n == 1, p, out);
	}
}

/* ---- arms ---- */

/* What the first run logged of a family stands for all. */
static int add_arm_family(const struct metric_table *t, const struct metric_row *row,
                          const struct series_run *first, struct compare_summary *c, struct plot *p,
                          struct text *out)
{
	for (int i = 0; i < first->n; i++) {
		if (metric_table_find(t, first->series[i].name) != row)
			continue;
		plot_of_member(t, row, first->series[i].name, p);
		struct chart like = chart_of(p);
		like.title = first->series[i].name;
		TRY(compare_chart(c, &like, first->series[i].name, 0, out));
	}
	return OK;
}

static int add_arm_charts(const struct metric_table *t, const struct series_run *first,
                          struct compare_summary *c, struct plot *p, struct text *out)
{
	for (int i = 0; i < t->n; i++) {
		if (!begins_chart(t, i) || compare_shows(t->rows[i].name) ||
		    t->rows[i].drawn == METRIC_SHARE)
			continue;
		if (is_family(&t->rows[i])) {
			TRY(add_arm_family(t, &t->rows[i], first, c, p, out));
			continue;
		}
		plot_of_row(t, i, p);
		for (int k = 0; k < p->n_parts; k++) {
			plot_words(t, k, p);
			struct chart like = chart_of(p);
			TRY(compare_chart(c, &like, p->parts[k].metric, 0, out));
		}
	}
	return OK;
}

int report_charts_add(const struct metric_table *t, const struct series_run *runs, int n,
                      struct compare_summary *c, struct text *out)
{
	struct plot p = {.n_parts = 0};
	int         status = OK;

	text_print(out, "<div class=\"charts\">\n");
	if (n > 1 && compare_has_repeats(c))
		status = add_arm_charts(t, &runs[0], c, &p, out);
	else
		add_run_charts(t, runs, n, &p, out);
	text_print(out, "</div>\n");
	out->failed |= p.caption.failed | p.help.failed;
	plot_free(&p);
	return status;
}
