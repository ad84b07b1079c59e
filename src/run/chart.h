/* chart.h - line charts and stacked areas as inline SVG, without scripts.
 *
 * A line of many points is drawn twice: faint as it is (the lowest and highest point of each
 * bucket, so no spike is lost), and strong as its moving average. The average forgets over a
 * thirtieth of the line and starts unbiased:
 *
 *     w_i = 1 + d w_{i-1},  s_i = s_{i-1} + (y_i - s_{i-1}) / w_i,  d = exp(-30 / n)
 *
 * A line of few points, or one with errors, is drawn as points with error bars and no average.
 * Hovering shows the values, as <title>. Beside the picture stand its numbers, as JSON in a script
 * element that no browser runs: the page's script draws from them (report.js), and a page without
 * one loses nothing but that. A line of more than CHART_DATA_MAX points has there the lowest and
 * highest of each bucket. Colours come from the page: chart_style has them for light
 * and dark, after Okabe and Ito's palette, which most colour-blind readers can tell apart. What is
 * written is well-formed XML whatever the names hold. */
#ifndef RUN_CHART_H
#define RUN_CHART_H

#include "base/file.h"

enum { CHART_COLOURS = 8, CHART_FEW = 30, CHART_LINES_MAX = 96, CHART_DATA_MAX = 1000 };

struct point {
	/* y is drawn as y +- error; 0: no bar. All finite, magnitudes up to CHART_LARGEST */
	double x, y, error;
};
#define CHART_LARGEST 1e30

struct line {
	const char         *name;   /* in the legend, which is there from two lines on */
	const struct point *points; /* [n] x ascending */
	int                 n;
	int                 colour, dash; /* any numbers >= 0: they wrap around */
	int                 run;          /* whose tokens and seconds its steps are; -1: of none */
};

struct chart {
	const char        *title, *unit;
	const char        *help;    /* shown when the mouse rests on the unit; NULL: nothing */
	const struct line *lines;   /* [n_lines]; at least one has a point */
	int                n_lines; /* up to CHART_LINES_MAX */
	int                exact;   /* no averages: the values have no noise */
	/* what runs along the horizontal axis; NULL: "step", which is not written */
	const char *x;
};

extern const char chart_style[]; /* CSS, for the page's <style> */

void chart_add(const struct chart *c, struct text *out); /* ADDS one <figure> */

/* Lines as they are, each on a pale band from y - error to y + error: a mean and its interval. ADDS
 * one <figure>. */
void chart_add_bands(const struct chart *c, struct text *out);

/* Line k is a band, stacked on those before it, and drawn as its share of the sum at that x. All
 * lines have the same x; no y is negative. */
void chart_add_shares(const struct chart *c, struct text *out);

/* The 1, 2 or 5 times a power of ten that divides the span into about five parts. */
double chart_nice_step(double span);

void chart_add_escaped(
        struct text *out, const char *s,
        size_t n); /* for text and attributes; invalid UTF-8 and control characters become U+FFFD */

/* The same inside of a JSON string in a script element: nothing of it can end either. */
void chart_add_json_text(struct text *out, const char *s, size_t n);
/* Six digits; NaN and infinities as null. */
void chart_add_json_real(struct text *out, double x);

#endif
