#include "run/compare.h"

#include <math.h>
#include <string.h>

enum {
	FOREST_ROW = 30,
	FOREST_LEFT = 210,
	FOREST_RIGHT = 560,
	FOREST_WIDTH = 760,
	FOREST_TOP = 26
};

const char compare_forest_style[] =
        ".forest{max-width:900px;margin:1em 0;overflow-x:auto}.forest svg{min-width:560px}.forest "
        "svg text{font-size:12px}"
        ".forest svg .name{fill:var(--ink)}.forest .zero{stroke:var(--soft);stroke-dasharray:3 3}"
        ".forest .thin{stroke:var(--c);stroke-width:1.5}.forest .thick{stroke:var(--c);"
        "stroke-width:5;opacity:.55}.forest .dot{fill:var(--c)}"
        ".forest .said{font-weight:600;fill:var(--ink)}.forest .above{--c:var(--right)}"
        ".forest .below{--c:var(--wrong)}.forest .open{--c:var(--soft)}";

struct forest {
	double low, high, step; /* percent */
};

static double forest_at(const struct forest *f, double percent)
{
	return FOREST_LEFT + (percent - f->low) / (f->high - f->low) * (FOREST_RIGHT - FOREST_LEFT);
}

static void forest_reach(double x, struct forest *f)
{
	if (!isfinite(x))
		return;
	f->low = fmin(f->low, 100 * x);
	f->high = fmax(f->high, 100 * x);
}

/* 0 is always on it. */
static struct forest forest_of(const struct compare_summary *c, int n)
{
	struct forest f = {0, 0, 1};

	for (int i = 0; i < n; i++) {
		const struct statistics_pairs *s = &c->pairs[i].statistics;
		forest_reach(s->difference.mean, &f);
		forest_reach(s->at_95.low, &f);
		forest_reach(s->at_95.high, &f);
	}
	if (f.high - f.low < 1e-9)
		f.high = 1;
	f.step = chart_nice_step(f.high - f.low);
	f.low = floor(f.low / f.step) * f.step;
	f.high = ceil(f.high / f.step) * f.step;
	return f;
}

static void forest_add_axis(const struct forest *f, int bottom, struct text *out)
{
	for (double k = ceil(f->low / f->step - 1e-6) + 0.0;
	     k * f->step <= f->high + 1e-6 * f->step; k++) {
		double x = forest_at(f, k * f->step);
		text_print(out, "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>",
		           k == 0 ? "zero" : "grid", x, x, FOREST_TOP - 6, bottom);
		text_print(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s%.10g</text>\n",
		           x, bottom + 16, k > 0 ? "+" : "", k * f->step);
	}
}

static void forest_add_bar(const struct forest *f, const struct statistics_interval *i,
                           const char *kind, double y, struct text *out)
{
	if (isfinite(i->low))
		text_print(out,
		           "<line class=\"%s\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
		           kind, forest_at(f, 100 * i->low), forest_at(f, 100 * i->high), y, y);
}

static void forest_add_row(const struct compare_summary *c, const struct forest *f, int row,
                           struct text *out)
{
	static const char *const       said[] = {"too few seeds", "above", "below", "not shown"};
	static const char *const       kind[] = {"open", "above", "below", "open"};
	const struct compared_pair    *p = &c->pairs[row];
	const struct statistics_pairs *s = &p->statistics;
	enum statistics_verdict        v = compare_verdict(p);
	double                         y = FOREST_TOP + FOREST_ROW * (row + 0.5),
	       x = forest_at(f, 100 * s->difference.mean);
	const char *name = c->arms[p->a].name;

	text_print(out,
	           "<g class=\"%s\"><text class=\"name\" x=\"%d\" y=\"%.1f\" "
	           "text-anchor=\"end\">",
	           kind[v], FOREST_LEFT - 12, y + 4);
	chart_add_escaped(out, name, strlen(name));
	text_print(out, "</text>");
	forest_add_bar(f, &s->at_90, "thick", y, out);
	forest_add_bar(f, &s->at_95, "thin", y, out);
	text_print(out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>", x, y);
	text_print(out, "<text x=\"%d\" y=\"%.1f\">%+.1f%s", FOREST_RIGHT + 14, y + 4,
	           100 * s->difference.mean, isnan(p->holm) ? "" : ", p ");
	if (!isnan(p->holm))
		text_print(out, p->holm < 0.001 ? "&#60; 0.001" : "%.3f", p->holm);
	text_print(out, " <tspan class=\"said\">%s</tspan></text></g>\n", said[v]);
}

void compare_forest_add(const struct compare_summary *c, struct text *out)
{
	struct forest f;
	int           n = 0, bottom;

	while (n < c->n_pairs && c->pairs[n].is_of_family)
		n++;
	if (n == 0)
		return;
	f = forest_of(c, n);
	bottom = FOREST_TOP + FOREST_ROW * n;
	text_print(out, "<figure class=\"forest\"><figcaption>Against ");
	chart_add_escaped(out, c->arms[c->baseline].name, strlen(c->arms[c->baseline].name));
	text_print(out,
	           "<small>held-out pass@1, %s: difference in points, thick 90%%, thin 95%% "
	           "interval; p by Holm for %d %s</small></figcaption>\n"
	           "<svg viewBox=\"0 0 %d %d\" role=\"img\">\n",
	           compare_measure_name[c->asked], n, n == 1 ? "difference" : "differences",
	           FOREST_WIDTH, bottom + 24);
	forest_add_axis(&f, bottom, out);
	for (int i = 0; i < n; i++)
		forest_add_row(c, &f, i, out);
	text_print(out, "</svg></figure>\n");
}
