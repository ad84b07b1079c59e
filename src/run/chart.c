#include "run/chart.h"

#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <utf8proc.h>

enum { WIDTH = 420, HEIGHT = 220, LEFT = 58, RIGHT = 410, TOP = 8, BOTTOM = 194 };
enum { BUCKETS = 150, STRIPS = 40, TICKS = 5 };
#define NOISE 1e-6

const char chart_style[] =
        ":root{color-scheme:light "
        "dark;--page:#fff;--ink:#1b1f24;--soft:#636c76;--grid:#e4e8ec;--right:#1a7f37;--wrong:#"
        "c62f3a;"
        "--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#cc79a7;--c4:#e69f00;--c5:#56b4e9;--c6:#"
        "8a7500;--c7:#4a525a}"
        "@media "
        "(prefers-color-scheme:dark){:root{--page:#14171b;--ink:#e4e8ec;--soft:#98a1ab;--grid:#"
        "2b3138;--right:#4cc269;--wrong:#ff7b80;"
        "--c0:#4aa8e0;--c1:#ff8140;--c2:#2fc79b;--c3:#e59ac6;--c4:#ffb733;--c5:#9bdcff;--c6:#"
        "f0e442;--c7:#a9b3bd}}"
        "figure{margin:0}figcaption{font-weight:600}figcaption "
        "small{font-weight:400;color:var(--soft);margin-left:.5em}"
        "svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:var(--soft)}"
        ".grid{stroke:var(--grid);stroke-width:1}.line{fill:none;stroke:var(--c);stroke-width:1.8;"
        "stroke-linejoin:round}"
        ".raw{stroke-width:1;opacity:.28}.bar{stroke:var(--c);stroke-width:1.2}.dot{fill:var(--c)}."
        "band{fill:var(--c);opacity:.75}"
        ".shade{fill:var(--c);opacity:.16}.strip{fill:var(--ink);opacity:0}.strip:hover{opacity:."
        "09}"
        ".d1{stroke-dasharray:6 3}.d2{stroke-dasharray:2 3}.d3{stroke-dasharray:8 3 2 3}"
        ".k0{--c:var(--c0)}.k1{--c:var(--c1)}.k2{--c:var(--c2)}.k3{--c:var(--c3)}.k4{--c:var(--c4)}"
        ".k5{--c:var(--c5)}.k6{--c:var(--c6)}.k7{"
        "--c:var(--c7)}"
        ".legend{display:flex;flex-wrap:wrap;gap:0 1em;font-size:12px;color:var(--soft)}.legend "
        "span{overflow-wrap:anywhere}"
        ".legend svg{display:inline-block;width:22px;height:8px;margin-right:.4em}";

void chart_add_escaped(struct text *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		utf8proc_int32_t c;
		utf8proc_ssize_t left = n - i < 8 ? (utf8proc_ssize_t)(n - i) : 8;
		utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)s + i, left, &c);
		int shown = size > 0 && (c >= 32 || c == '\n' || c == '\t') && c != 0xfffe &&
		            c != 0xffff;

		if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')
			text_print(out, "&#%d;", (int)c);
		else if (shown)
			text_add(out, s + i, (size_t)size);
		else
			text_add(out, "\xef\xbf\xbd", 3);
		i += size > 0 ? (size_t)size : 1;
	}
}

static void chart_add_name(struct text *out, const char *s)
{
	chart_add_escaped(out, s, strlen(s));
}

void chart_add_json_text(struct text *out, const char *s, size_t n)
{
	struct text t = {0};

	json_add_string(&t, s, n);
	for (size_t i = 0; i < t.n; i++)
		if (strchr("<>&", t.data[i]))
			text_print(out, "\\u%04x", t.data[i]);
		else
			text_add(out, t.data + i, 1);
	out->failed |= t.failed;
	text_free(&t);
}

void chart_add_json_real(struct text *out, double x)
{
	if (isfinite(x))
		text_print(out, "%.6g", x);
	else
		text_print(out, "null");
}

/* ---- axes ---- */

struct axis {
	double low, high, step; /* ticks at the multiples of step from low to high */
	double from, to;        /* where low and high lie in the picture */
};

static double at(const struct axis *a, double v)
{
	return a->from + (v - a->low) / (a->high - a->low) * (a->to - a->from);
}

/* The 1, 2 or 5 times a power of ten that divides the span into about TICKS parts. */
double chart_nice_step(double span)
{
	double power = pow(10, floor(log10(span / TICKS))), part = span / TICKS / power;

	return power * (part > 5 ? 10 : part > 2 ? 5 : part > 1 ? 2 : 1);
}

/* A span that is nothing to look at is opened, so that a constant lies in the middle, one that is
 * not negative on an axis that begins with 0, and noise is no trend. `noise` is the span below
 * which values of the order of 1 are taken for equal: rounding of single precision, where they have
 * noise at all. */
static void open_span(struct axis *a, double noise)
{
	double largest = fmax(fabs(a->low), fabs(a->high)), span = a->high - a->low;

	if (span > largest * fmax(noise, 1e-9) && span > noise && span >= 1e-290)
		return;
	if (largest <= noise || largest < 1e-280) { /* 0, as far as can be told */
		a->low = 0;
		a->high = 1;
	} else {
		double middle = a->low + span / 2;
		a->low = fmin(0, 2 * middle);
		a->high = fmax(0, 2 * middle);
	}
}

static struct axis x_axis(const struct chart *c)
{
	struct axis a = {INFINITY, -INFINITY, 0, LEFT, RIGHT};

	for (int k = 0; k < c->n_lines; k++) {
		const struct line *l = &c->lines[k];
		if (l->n == 0)
			continue;
		a.low = fmin(a.low, l->points[0].x);
		a.high = fmax(a.high, l->points[l->n - 1].x);
	}
	if (!(a.high > a.low)) { /* one place: in the middle */
		a.low -= 1;
		a.high += 1;
	}
	a.step = fmax(1, chart_nice_step(a.high - a.low));
	return a;
}

static struct axis y_axis(const struct chart *c)
{
	struct axis a = {INFINITY, -INFINITY, 0, BOTTOM, TOP};

	for (int k = 0; k < c->n_lines; k++)
		for (int i = 0; i < c->lines[k].n; i++) {
			const struct point *p = &c->lines[k].points[i];
			a.low = fmin(a.low, p->y - p->error);
			a.high = fmax(a.high, p->y + p->error);
		}
	open_span(&a, c->exact ? 0 : NOISE);
	a.step = chart_nice_step(a.high - a.low);
	a.low = floor(a.low / a.step) * a.step;
	a.high = ceil(a.high / a.step) * a.step;
	return a;
}

/* 20000 as 20k and 1500000 as 1.5M, so that neighbours do not touch. */
static void add_tick(double v, struct text *out)
{
	int size = fabs(v) >= 1e6 && fabs(v) < 1e12 ? 2 : fabs(v) >= 1e4 && fabs(v) < 1e6 ? 1 : 0;

	text_print(out, "%.10g%s", v / (double[]){1, 1e3, 1e6}[size],
	           (const char *[]){"", "k", "M"}[size]);
}

/* -0 + 0.0 is 0, without the sign. */
static void chart_add_grid(const struct axis *x, const struct axis *y, struct text *out)
{
	for (double k = ceil(x->low / x->step - 1e-6) + 0.0;
	     k * x->step <= x->high + 1e-6 * x->step; k++) {
		/* a label at the right edge ends there, not beyond the picture */
		double v = at(x, k * x->step);
		text_print(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">",
		           v > RIGHT - 8 ? WIDTH - 2.0 : v, BOTTOM + 18,
		           v > RIGHT - 8 ? "end" : "middle");
		add_tick(k * x->step, out);
		text_print(out, "</text>\n");
	}
	for (double k = ceil(y->low / y->step - 1e-6) + 0.0;
	     k * y->step <= y->high + 1e-6 * y->step; k++) {
		double v = at(y, k * y->step);
		text_print(out,
		           "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>",
		           LEFT, RIGHT, v, v);
		text_print(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.10g</text>\n",
		           LEFT - 6, v + 4, k * y->step);
	}
}

/* ---- numbers for the page's script ---- */

/* Points first .. last-1 of bucket b, out of at most `buckets`. */
static int bucket_start(int n, int buckets, int b)
{
	return (int)((int64_t)n * b / buckets);
}

/* Which points of the line are given: all, or the lowest and highest of each bucket. */
static int chart_pick(const struct line *l, int *picked)
{
	int buckets = CHART_DATA_MAX / 2, n = 0;

	if (l->n <= CHART_DATA_MAX) {
		for (int i = 0; i < l->n; i++)
			picked[i] = i;
		return l->n;
	}
	for (int b = 0; b < buckets; b++) {
		int first = bucket_start(l->n, buckets, b),
		    last = bucket_start(l->n, buckets, b + 1), low = first, high = first;
		for (int i = first; i < last; i++) {
			low = l->points[i].y < l->points[low].y ? i : low;
			high = l->points[i].y > l->points[high].y ? i : high;
		}
		picked[n++] = low < high ? low : high;
		if (low != high)
			picked[n++] = low < high ? high : low;
	}
	return n;
}

/* "key":[...]; an x is written as its distance from the one before it. */
static void chart_add_column(const struct line *l, const int *picked, int n, char key,
                             struct text *out)
{
	double last = 0;

	text_print(out, ",\"%c\":[", key);
	for (int i = 0; i < n; i++) {
		const struct point *p = &l->points[picked[i]];
		if (i)
			text_add(out, ",", 1);
		chart_add_json_real(out, key == 'x' ? p->x - last : key == 'y' ? p->y : p->error);
		last = p->x;
	}
	text_add(out, "]", 1);
}

static void chart_add_data(const struct chart *c, const char *kind, struct text *out)
{
	int picked[CHART_DATA_MAX];

	text_print(out,
	           "<script type=\"application/json\">{\"kind\":\"%s\",\"x\":\"%s\","
	           "\"lines\":[",
	           kind, c->x ? c->x : "step");
	for (int k = 0; k < c->n_lines; k++) {
		const struct line *l = &c->lines[k];
		int                n = chart_pick(l, picked), errors = 0;
		for (int i = 0; i < n; i++)
			errors |= l->points[picked[i]].error > 0;
		text_print(out, "%s{\"c\":%d,\"d\":%d,\"r\":%d,\"n\":", k ? "," : "",
		           l->colour % CHART_COLOURS, l->dash % 4, l->run);
		chart_add_json_text(out, l->name, strlen(l->name));
		chart_add_column(l, picked, n, 'x', out);
		chart_add_column(l, picked, n, 'y', out);
		if (errors)
			chart_add_column(l, picked, n, 'e', out);
		text_add(out, "}", 1);
	}
	text_print(out, "]}</script>\n");
}

/* ---- frame and legend ---- */

static void begin(const struct chart *c, struct text *out)
{
	text_print(out, "<figure><figcaption>");
	chart_add_name(out, c->title);
	text_print(out, "<small");
	if (c->help) {
		text_print(out, " title=\"");
		chart_add_name(out, c->help);
		text_print(out, "\"");
	}
	text_print(out, ">");
	chart_add_name(out, c->unit);
	text_print(out, "</small></figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\">\n", WIDTH,
	           HEIGHT + (c->x ? 14 : 0));
}

/* kind: how the page's script draws it. */
static void chart_end(const struct chart *c, const char *kind, struct text *out)
{
	text_print(out, "</svg>\n");
	if (c->n_lines > 1) {
		text_print(out, "<div class=\"legend\">");
		for (int k = 0; k < c->n_lines; k++) {
			const struct line *l = &c->lines[k];
			text_print(out,
			           "<span><svg viewBox=\"0 0 22 8\"><path class=\"line k%d d%d\" "
			           "d=\"M0 4H22\"/></svg>",
			           l->colour % CHART_COLOURS, l->dash % 4);
			chart_add_name(out, l->name);
			text_print(out, "</span>");
		}
		text_print(out, "</div>\n");
	}
	chart_add_data(c, kind, out);
	text_print(out, "</figure>\n");
}

/* ---- lines ---- */

static int is_few(const struct line *l)
{
	int errors = 0;

	for (int i = 0; i < l->n && !errors; i++)
		errors = l->points[i].error > 0;
	return l->n <= CHART_FEW || errors;
}

static void begin_path(const struct line *l, const char *kind, struct text *out)
{
	text_print(out, "<path class=\"line%s k%d d%d\" d=\"", kind, l->colour % CHART_COLOURS,
	           l->dash % 4);
}

static void add_vertex(const struct axis *x, const struct axis *y, double px, double py, int first,
                       struct text *out)
{
	text_print(out, "%c%.1f %.1f", first ? 'M' : 'L', at(x, px), at(y, py));
}

static void add_marks(const struct line *l, const struct axis *x, const struct axis *y,
                      struct text *out)
{
	begin_path(l, "", out);
	for (int i = 0; i < l->n; i++)
		add_vertex(x, y, l->points[i].x, l->points[i].y, i == 0, out);
	text_print(out, "\"/>\n<g class=\"k%d\">", l->colour % CHART_COLOURS);
	for (int i = 0; i < l->n; i++) {
		const struct point *p = &l->points[i];
		double              px = at(x, p->x);
		if (p->error > 0)
			text_print(out,
			           "<line class=\"bar\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
			           "y2=\"%.1f\"/>",
			           px, px, at(y, p->y - p->error), at(y, p->y + p->error));
		text_print(out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\"/>", px,
		           at(y, p->y));
	}
	text_print(out, "</g>\n");
}

static void add_raw(const struct line *l, const char *kind, const struct axis *x,
                    const struct axis *y, struct text *out)
{
	int buckets = l->n < BUCKETS ? l->n : BUCKETS;

	begin_path(l, kind, out);
	for (int b = 0; b < buckets; b++) {
		int first = bucket_start(l->n, buckets, b),
		    last = bucket_start(l->n, buckets, b + 1), low = first, high = first;
		for (int i = first; i < last; i++) {
			low = l->points[i].y < l->points[low].y ? i : low;
			high = l->points[i].y > l->points[high].y ? i : high;
		}
		int early = low < high ? low : high, late = low < high ? high : low;
		add_vertex(x, y, l->points[early].x, l->points[early].y, b == 0, out);
		if (late != early)
			add_vertex(x, y, l->points[late].x, l->points[late].y, 0, out);
	}
	text_print(out, "\"/>\n");
}

static void add_average(const struct line *l, const struct axis *x, const struct axis *y,
                        struct text *out)
{
	int    buckets = l->n < BUCKETS ? l->n : BUCKETS, b = 0;
	double decay = exp(-30.0 / l->n), weight = 0, mean = 0;

	begin_path(l, "", out);
	for (int i = 0; i < l->n; i++) {
		weight = 1 + decay * weight;
		mean += (l->points[i].y - mean) / weight;
		if (i + 1 == bucket_start(l->n, buckets, b + 1))
			add_vertex(x, y, l->points[i].x, mean, b++ == 0, out);
	}
	text_print(out, "\"/>\n");
}

/* ---- values under the mouse ---- */

static int chart_add_value(const struct line *l, double low, double high, int *next, double *at_x,
                           struct text *out)
{
	const struct point *p = NULL;

	for (; *next < l->n && l->points[*next].x < high; ++*next)
		if (l->points[*next].x >= low)
			p = &l->points[*next];
	if (!p)
		return 0;
	*at_x = p->x;
	text_print(out, "\n");
	chart_add_name(out, l->name);
	text_print(out, ": %.5g", p->y);
	if (p->error > 0)
		text_print(out, " \xc2\xb1 %.2g", p->error);
	return 1;
}

/* One invisible strip per place that has points, centred on it. The title shows the last point of
 * each line within. */
static void add_strips(const struct chart *c, const struct axis *x, struct text *out)
{
	struct text title = {0};
	int         longest = 2, next[CHART_LINES_MAX] = {0};

	assert(c->n_lines <= CHART_LINES_MAX);
	for (int k = 0; k < c->n_lines; k++)
		longest = c->lines[k].n > longest ? c->lines[k].n : longest;
	int    strips = longest < STRIPS ? longest : STRIPS;
	double width = (x->high - x->low) / (strips - 1);

	for (int s = 0; s < strips; s++) {
		double low = x->low + (s - 0.5) * width, step = 0;
		int    values = 0;
		title.n = 0;
		for (int k = 0; k < c->n_lines; k++)
			values += chart_add_value(&c->lines[k], low, low + width, &next[k], &step,
			                          &title);
		if (!values || !title.n)
			continue;
		double from = fmax(LEFT, at(x, low)), to = fmin(RIGHT, at(x, low + width));
		text_print(out,
		           "<rect class=\"strip\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" "
		           "height=\"%d\"><title>",
		           from, TOP, to - from, BOTTOM - TOP);
		chart_add_name(out, c->x ? c->x : "step");
		text_print(out, " %.10g", step);
		text_add(out, title.data, title.n);
		text_print(out, "</title></rect>\n");
	}
	out->failed |= title.failed;
	text_free(&title);
}

void chart_add(const struct chart *c, struct text *out)
{
	struct axis x = x_axis(c), y = y_axis(c);

	begin(c, out);
	chart_add_grid(&x, &y, out);
	for (int k = 0; k < c->n_lines; k++) {
		const struct line *l = &c->lines[k];
		if (l->n == 0)
			continue;
		if (is_few(l)) {
			add_marks(l, &x, &y, out);
		} else if (c->exact) {
			add_raw(l, "", &x, &y, out);
		} else {
			add_raw(l, " raw", &x, &y, out);
			add_average(l, &x, &y, out);
		}
	}
	add_strips(c, &x, out);
	chart_end(c, c->exact ? "exact" : "noisy", out);
}

/* ---- bands ---- */

static void add_shade(const struct line *l, const struct axis *x, const struct axis *y,
                      struct text *out)
{
	text_print(out, "<path class=\"shade k%d\" d=\"", l->colour % CHART_COLOURS);
	for (int i = 0; i < l->n; i++)
		add_vertex(x, y, l->points[i].x, l->points[i].y + l->points[i].error, i == 0, out);
	for (int i = l->n - 1; i >= 0; i--)
		add_vertex(x, y, l->points[i].x, l->points[i].y - l->points[i].error, 0, out);
	text_print(out, "Z\"/>\n");
}

void chart_add_bands(const struct chart *c, struct text *out)
{
	struct axis x = x_axis(c), y = y_axis(c);

	begin(c, out);
	chart_add_grid(&x, &y, out);
	for (int k = 0; k < c->n_lines; k++)
		add_shade(&c->lines[k], &x, &y, out);
	for (int k = 0; k < c->n_lines; k++)
		add_raw(&c->lines[k], "", &x, &y, out);
	if (c->x) {
		text_print(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">", RIGHT, HEIGHT + 10);
		chart_add_name(out, c->x);
		text_print(out, "</text>\n");
	}
	add_strips(c, &x, out);
	chart_end(c, "bands", out);
}

/* ---- shares ---- */

/* The sums of lines 0 .. k-1 and of all lines over the points of a bucket. */
static double chart_share_below(const struct chart *c, int k, int first, int last)
{
	double below = 0, all = 0;

	for (int j = 0; j < c->n_lines; j++)
		for (int i = first; i < last; i++) {
			double y = c->lines[j].points[i].y;
			all += y;
			below += j < k ? y : 0;
		}
	return all > 0 ? below / all : 0;
}

static void chart_add_band(const struct chart *c, int k, const struct axis *x, const struct axis *y,
                           struct text *out)
{
	const struct line *l = &c->lines[k];
	int                buckets = l->n < BUCKETS ? l->n : BUCKETS;
	double             all_below = chart_share_below(c, k, 0, l->n),
	       all_upto = chart_share_below(c, k + 1, 0, l->n);

	text_print(out, "<path class=\"band k%d\" d=\"", l->colour % CHART_COLOURS);
	/* along the upper edge, and back along the lower one */
	for (int side = 0; side < 2; side++)
		for (int i = 0; i < buckets; i++) {
			int b = side ? buckets - 1 - i : i, first = bucket_start(l->n, buckets, b),
			    last = bucket_start(l->n, buckets, b + 1);
			add_vertex(x, y, l->points[last - 1].x,
			           chart_share_below(c, k + !side, first, last), !side && i == 0,
			           out);
		}
	text_print(out, "Z\"><title>");
	chart_add_name(out, l->name);
	text_print(out, ": %.1f%%</title></path>\n", 100 * (all_upto - all_below));
}

void chart_add_shares(const struct chart *c, struct text *out)
{
	struct axis x = x_axis(c), y = {0, 1, 0.25, BOTTOM, TOP};

	begin(c, out);
	for (int k = 0; k < c->n_lines; k++)
		chart_add_band(c, k, &x, &y, out);
	chart_add_grid(&x, &y, out);
	chart_end(c, "shares", out);
}
