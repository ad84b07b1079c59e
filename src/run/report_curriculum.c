#include "run/report_curriculum.h"

#include "base/error.h"
#include "base/memory.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 640, HEIGHT = 272, LEFT = 44, TOP = 8, BOTTOM = 236, LABEL_GAP = 13, LETTER = 7 };
enum { FEW = 5, ARMS_MAX = 32, CATEGORIES_MAX = 32, PLACES = 240, STRIPS = 60, LABEL_MAX = 48 };

const char report_curriculum_style[] =
        ".curriculum{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr)"
        ");gap:1.2em 1.6em}"
        ".curriculum .band{opacity:.86;stroke:var(--page);stroke-width:.7}.curriculum "
        ".line{stroke-width:2}"
        ".curriculum .label{fill:var(--c);font-weight:600}.curriculum .dash{stroke-dasharray:5 3}"
        ".curriculum .pale{stroke-width:1;opacity:.5}.curriculum .in{fill:#fff;font-weight:600}";

/* ---- arms ---- */

enum quantity { SAMPLED, ACCURACY, ADVANTAGE, QUANTITIES };
static const char *const quantity_suffix[QUANTITIES] = {"/count", "/accuracy", "/advantage"};

struct report_curriculum_arm {
	char                 name[128]; /* as in the metrics */
	char                 label[LABEL_MAX];
	char                 colour[8];          /* "#rrggbb" */
	const struct series *metric[QUANTITIES]; /* NULL: never logged */
	/* [steps+1] over the steps before: count; count times value */
	double *sum[QUANTITIES];
	double *weight[QUANTITIES]; /* [steps+1] count where the value was logged */
};

struct category { /* of the held-out problems */
	char                 name[128], label[LABEL_MAX];
	const char          *colour; /* borrowed from an arm; NULL: of none */
	const struct series *metric;
};

struct picture {
	const struct series_run     *run;
	struct report_curriculum_arm arms[ARMS_MAX];
	int                          n_arms;
	struct category              categories[CATEGORIES_MAX];
	int                          n_categories;
	const struct point          *steps;   /* [n] their x */
	int                          n, half; /* a window has half steps on either side */
	double                      *block;
};

/* The ARM of curriculum/ARM/suffix, or the CATEGORY of eval/CATEGORY/pass@1. */
static int middle(const char *metric, const char *begin, const char *end, char name[128])
{
	size_t n = strlen(metric), first = strlen(begin), last = strlen(end);

	if (n <= first + last || n - first - last >= 128 || strncmp(metric, begin, first) ||
	    strcmp(metric + n - last, end))
		return 0;
	snprintf(name, 128, "%.*s", (int)(n - first - last), metric + first);
	return 1;
}

static const struct series *report_curriculum_find(const struct picture *p, const char *arm,
                                                   const char *suffix)
{
	char name[256];

	snprintf(name, sizeof name, "curriculum/%s%s", arm, suffix);
	for (int i = 0; i < p->run->n; i++)
		if (!strcmp(p->run->series[i].name, name))
			return &p->run->series[i];
	return NULL;
}

static int same_steps(const struct series *a, const struct series *b)
{
	for (int i = 0; a->n == b->n && i < a->n; i++)
		if (a->points[i].x != b->points[i].x || a->points[i].y < 0)
			return 0;
	return a->n == b->n;
}

/* Blue over green and amber to red; all of a lightness that shows on white and on black. */
static void set_colour(double place, char out[8])
{
	static const unsigned char stops[][3] = {{0x3f, 0x62, 0xc6}, {0x2a, 0x9b, 0xb8},
	                                         {0x45, 0xa8, 0x5c}, {0xc8, 0xa0, 0x25},
	                                         {0xdf, 0x74, 0x33}, {0xc2, 0x2e, 0x4e}};
	double                     x = place * 5;
	int                        i = x >= 5 ? 4 : (int)x;

	x -= i;
	snprintf(out, 8, "#%02x%02x%02x",
	         (int)(stops[i][0] + x * (stops[i + 1][0] - stops[i][0])) & 255,
	         (int)(stops[i][1] + x * (stops[i + 1][1] - stops[i][1])) & 255,
	         (int)(stops[i][2] + x * (stops[i + 1][2] - stops[i][2])) & 255);
}

static int find_arms(struct picture *p)
{
	for (int i = 0; i < p->run->n && p->n_arms < ARMS_MAX; i++) {
		struct report_curriculum_arm *arm = &p->arms[p->n_arms];
		if (!middle(p->run->series[i].name, "curriculum/", quantity_suffix[SAMPLED],
		            arm->name) ||
		    p->run->series[i].n == 0)
			continue;
		for (int m = 0; m < QUANTITIES; m++)
			arm->metric[m] = report_curriculum_find(p, arm->name, quantity_suffix[m]);
		if (!same_steps(arm->metric[SAMPLED],
		                p->n_arms ? p->arms[0].metric[SAMPLED] : arm->metric[SAMPLED]))
			return 0;
		p->n_arms++;
	}
	for (int a = 0; a < p->n_arms; a++)
		set_colour(p->n_arms > 1 ? (double)a / (p->n_arms - 1) : 0, p->arms[a].colour);
	return p->n_arms >= 2;
}

static int report_curriculum_by_name(const void *a, const void *b)
{
	return strverscmp(((const struct category *)a)->name, ((const struct category *)b)->name);
}

/* A category has the colour of the arm of its name. Where no name is an arm's, arms and categories
 * part the problems differently, and the categories get the colours in their own order. */
static void find_categories(struct picture *p)
{
	int known = 0;

	for (int i = 0; i < p->run->n && p->n_categories < CATEGORIES_MAX; i++) {
		struct category *c = &p->categories[p->n_categories];
		c->metric = &p->run->series[i];
		p->n_categories += p->run->series[i].n > 0 &&
		                   middle(p->run->series[i].name, "eval/", "/pass@1", c->name);
	}
	qsort(p->categories, (size_t)p->n_categories, sizeof *p->categories,
	      report_curriculum_by_name);
	for (int i = 0; i < p->n_categories; i++)
		for (int a = 0; a < p->n_arms; a++)
			if (!strcmp(p->categories[i].name, p->arms[a].name)) {
				p->categories[i].colour = p->arms[a].colour;
				known++;
			}
	for (int i = 0; !known && i < p->n_categories; i++)
		p->categories[i].colour = p->arms[i * (p->n_arms - 1) /
		                                  (p->n_categories > 1 ? p->n_categories - 1 : 1)]
		                                  .colour;
}

/* Bytes up to the last '/' that all names share. */
static int shared_prefix(const struct picture *p)
{
	const char *first = p->arms[0].name;
	int         shared = (int)strlen(first);

	for (int i = 0; i < p->n_arms + p->n_categories; i++) {
		const char *name =
		        i < p->n_arms ? p->arms[i].name : p->categories[i - p->n_arms].name;
		int n = 0;
		while (n < shared && name[n] == first[n])
			n++;
		shared = n;
	}
	while (shared > 0 && first[shared - 1] != '/')
		shared--;
	return shared;
}

static void set_label(const char *name, const char *more, char label[LABEL_MAX])
{
	int kept = 12;

	if (strlen(name) <= 15)
		kept = (int)strlen(name);
	while (kept > 0 && name[kept] && (name[kept] & 0xc0) == 0x80)
		kept--;
	snprintf(label, LABEL_MAX, "%.*s%s%s", kept, name, name[kept] ? "\xe2\x80\xa6" : "", more);
}

static void set_labels(struct picture *p, int prefix)
{
	for (int a = 0; a < p->n_arms; a++)
		set_label(p->arms[a].name + prefix, "", p->arms[a].label);
	for (int i = 0; i < p->n_categories; i++)
		set_label(p->categories[i].name + prefix,
		          p->categories[i].colour ? "" : " (not trained)", p->categories[i].label);
}

/* ---- averages over windows ---- */

static void report_curriculum_accumulate(struct report_curriculum_arm *arm, enum quantity m, int n)
{
	const struct series *count = arm->metric[SAMPLED], *value = arm->metric[m];

	for (int i = 0, v = 0; i < n; i++) {
		double weight = 0, y = 0;
		while (value && v < value->n && value->points[v].x < count->points[i].x)
			v++;
		if (value && v < value->n && value->points[v].x == count->points[i].x) {
			weight = count->points[i].y;
			y = m == SAMPLED ? 1 : value->points[v].y;
		}
		arm->sum[m][i + 1] = arm->sum[m][i] + weight * y;
		arm->weight[m][i + 1] = arm->weight[m][i] + weight;
	}
}

static int make_sums(struct picture *p)
{
	size_t  each = (size_t)p->n + 1;
	double *next;

	TRY(mem_take(each * QUANTITIES * 2 * (size_t)p->n_arms, "the picture of a curriculum",
	             &p->block));
	next = p->block;
	for (int a = 0; a < p->n_arms; a++)
		for (int m = 0; m < QUANTITIES; m++) {
			p->arms[a].sum[m] = next;
			p->arms[a].weight[m] = next + each;
			next += 2 * each;
			report_curriculum_accumulate(&p->arms[a], m, p->n);
		}
	return OK;
}

static double report_curriculum_within(const struct picture *p, const double *sums, int i)
{
	int low = i - p->half < 0 ? 0 : i - p->half,
	    high = i + p->half + 1 > p->n ? p->n : i + p->half + 1;

	return sums[high] - sums[low];
}

/* NaN when nothing was sampled in the window. */
static double report_curriculum_value_at(const struct picture *p, int a, enum quantity m, int i)
{
	double weight = report_curriculum_within(p, p->arms[a].weight[m], i);

	return weight > 0 ? report_curriculum_within(p, p->arms[a].sum[m], i) / weight : NAN;
}

static double report_curriculum_share_below(const struct picture *p, int a, int i)
{
	double below = 0, all = 0;

	for (int k = 0; k < p->n_arms; k++) {
		double s = report_curriculum_within(p, p->arms[k].sum[SAMPLED], i);
		all += s;
		below += k < a ? s : 0;
	}
	return all > 0 ? below / all : 0;
}

/* The step that place 0 .. n_places-1 stands for. */
static int places(const struct picture *p)
{
	return p->n < PLACES ? p->n : PLACES;
}

static int report_curriculum_step_of(const struct picture *p, int place)
{
	int n = places(p);

	return n > 1 ? (int)((int64_t)place * (p->n - 1) / (n - 1)) : 0;
}

/* ---- axes ---- */

struct frame {
	double x_low, x_high, y_high; /* y from 0 */
	int    right;                 /* end of the axis; behind it the labels */
};

static double x_at(const struct frame *f, double x)
{
	return LEFT + (x - f->x_low) / (f->x_high - f->x_low) * (f->right - LEFT);
}

static double y_at(const struct frame *f, double y)
{
	return BOTTOM - y / f->y_high * (BOTTOM - TOP);
}

static void report_curriculum_add_grid(const struct frame *f, int percent, struct text *out)
{
	double dx = fmax(1, chart_nice_step(f->x_high - f->x_low)), dy = chart_nice_step(f->y_high);

	for (double k = ceil(f->x_low / dx - 1e-6) + 0.0; k * dx <= f->x_high + 1e-6 * dx; k++)
		text_print(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.10g</text>\n",
		           x_at(f, k * dx), BOTTOM + 17, k * dx);
	for (double k = 0; k * dy <= f->y_high * (1 + 1e-6); k++) {
		double y = y_at(f, k * dy);
		text_print(out,
		           "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>",
		           LEFT, f->right, y, y);
		text_print(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.10g%s</text>\n",
		           LEFT - 6, y + 4, percent ? 100 * k * dy : k * dy, percent ? "%" : "");
	}
}

static void report_curriculum_add_text(struct text *out, const char *s)
{
	chart_add_escaped(out, s, strlen(s));
}

static void begin_panel(const char *title, const char *unit, struct text *out)
{
	text_print(out,
	           "<figure><figcaption>%s<small>%s</small></figcaption>\n<svg viewBox=\"0 0 %d "
	           "%d\" role=\"img\">\n",
	           title, unit, WIDTH, HEIGHT);
}

static void end_panel(const struct frame *f, struct text *out)
{
	text_print(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">step</text></svg></figure>\n",
	           f->right, BOTTOM + 31);
}

/* ---- labels at the ends of lines ---- */

struct label {
	const char *text, *colour; /* colour NULL: ink */
	double      x, y;          /* x: where its line ends */
};

static int by_height(const void *a, const void *b)
{
	double x = ((const struct label *)a)->y, y = ((const struct label *)b)->y;

	return (x > y) - (x < y);
}

static void add_label(const struct label *l, struct text *out)
{
	text_print(out, "<text class=\"label\" style=\"--c:%s\" x=\"%.1f\" y=\"%.1f\">",
	           l->colour ? l->colour : "var(--ink)", l->x + 8, l->y + 4);
	report_curriculum_add_text(out, l->text);
	text_print(out, "</text>\n");
}

/* Draws those of lines that end before the others, and leaves the rest in labels[0..n-1]; returns
 * how many. */
static int add_early_labels(struct label *labels, int n, const struct frame *f, struct text *out)
{
	int left = 0;

	for (int i = 0; i < n; i++)
		if (labels[i].x < f->right - 2 * LETTER)
			add_label(&labels[i], out);
		else
			labels[left++] = labels[i];
	return left;
}

/* Pushed apart downwards, then back up from the bottom, so that none hides another while there is
 * room. */
static void add_labels(struct label *labels, int n, const struct frame *f, struct text *out)
{
	double gap, floor_ = BOTTOM;

	n = add_early_labels(labels, n, f, out);
	gap = n > 1 ? fmin(LABEL_GAP, (double)(BOTTOM - TOP) / (n - 1)) : LABEL_GAP;
	qsort(labels, (size_t)n, sizeof *labels, by_height);
	for (int i = 1; i < n; i++)
		labels[i].y = fmax(labels[i].y, labels[i - 1].y + gap);
	for (int i = n - 1; i >= 0; i--, floor_ -= gap)
		labels[i].y = fmin(labels[i].y, floor_);
	for (int i = 0; i < n; i++)
		add_label(&labels[i], out);
}

/* ---- what was sampled ---- */

static void report_curriculum_add_band(const struct picture *p, const struct frame *f, int a,
                                       struct text *out)
{
	int n = places(p);

	text_print(out, "<path class=\"band\" style=\"--c:%s\" d=\"", p->arms[a].colour);
	/* along the upper edge, and back along the lower one */
	for (int side = 0; side < 2; side++)
		for (int k = 0; k < n; k++) {
			int i = report_curriculum_step_of(p, side ? n - 1 - k : k);
			text_print(out, "%c%.1f %.1f", side || k ? 'L' : 'M',
			           x_at(f, p->steps[i].x),
			           y_at(f, report_curriculum_share_below(p, a + !side, i)));
		}
	text_print(out, "Z\"/>\n");
}

/* Height of a band at a place, as a share. */
static double height_at(const struct picture *p, int a, int place)
{
	int i = report_curriculum_step_of(p, place);

	return report_curriculum_share_below(p, a + 1, i) - report_curriculum_share_below(p, a, i);
}

/* The middle of the longest stretch of places in which a band has nine tenths of its greatest
 * height; *best is that height. */
static int widest_place(const struct picture *p, int a, double *best)
{
	int n = places(p), margin = n / 16, longest = 0, middle_place = n / 2;

	*best = 0;
	for (int k = margin; k < n - margin; k++)
		*best = fmax(*best, height_at(p, a, k));
	for (int k = margin, length = 0; k < n - margin; k++) {
		length = height_at(p, a, k) >= .9 * *best ? length + 1 : 0;
		if (length > longest) {
			longest = length;
			middle_place = k - length / 2;
		}
	}
	return middle_place;
}

/* Its name inside of a band, where there is most room, if it is high enough there. */
static void name_band(const struct picture *p, const struct frame *f, int a, struct text *out)
{
	double best;
	int    place = widest_place(p, a, &best), i = report_curriculum_step_of(p, place);

	if (best * (BOTTOM - TOP) < 16)
		return;
	text_print(out, "<text class=\"in\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
	           x_at(f, p->steps[i].x),
	           y_at(f, report_curriculum_share_below(p, a, i) + height_at(p, a, place) / 2) +
	                   4);
	report_curriculum_add_text(out, p->arms[a].label);
	text_print(out, "</text>\n");
}

static void add_hover(const struct picture *p, const struct frame *f, enum quantity m,
                      struct text *out)
{
	int    strips = p->n < STRIPS ? p->n : STRIPS;
	double width = (double)(f->right - LEFT) / strips;

	for (int s = 0; s < strips; s++) {
		int    i = strips > 1 ? (int)((int64_t)s * (p->n - 1) / (strips - 1)) : 0;
		double from = fmax(LEFT, x_at(f, p->steps[i].x) - width / 2),
		       to = fmin(f->right, x_at(f, p->steps[i].x) + width / 2);
		text_print(out,
		           "<rect class=\"strip\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" "
		           "height=\"%d\"><title>step %.10g",
		           from, TOP, to - from, BOTTOM - TOP, p->steps[i].x);
		for (int a = p->n_arms - 1; a >= 0; a--) {
			double v = m == SAMPLED ? report_curriculum_share_below(p, a + 1, i) -
			                                  report_curriculum_share_below(p, a, i)
			                        : report_curriculum_value_at(p, a, m, i);
			if (isnan(v))
				continue;
			text_print(out, "\n");
			report_curriculum_add_text(out, p->arms[a].label);
			if (m == ADVANTAGE)
				text_print(out, ": %.3f", v);
			else
				text_print(out, ": %.1f%%", 100 * v);
		}
		text_print(out, "</title></rect>\n");
	}
}

static void add_sampled(const struct picture *p, const struct frame *f, struct text *out)
{
	struct label labels[ARMS_MAX];
	int          n = 0;

	begin_panel("What was sampled", "share of the problems drawn", out);
	for (int a = 0; a < p->n_arms; a++)
		report_curriculum_add_band(p, f, a, out);
	report_curriculum_add_grid(f, 1, out);
	for (int a = 0; a < p->n_arms; a++)
		name_band(p, f, a, out);
	for (int a = 0; a < p->n_arms; a++) {
		double low = report_curriculum_share_below(p, a, p->n - 1),
		       high = report_curriculum_share_below(p, a + 1, p->n - 1);
		if (high - low > .004)
			labels[n++] = (struct label){p->arms[a].label, p->arms[a].colour, f->right,
			                             y_at(f, (low + high) / 2)};
	}
	add_labels(labels, n, f, out);
	add_hover(p, f, SAMPLED, out);
	end_panel(f, out);
}

/* ---- lines ---- */

struct report_curriculum_curve { /* an average of an arm, where its window has `least` problems */
	int           arm;
	enum quantity what;
	int           least;
};

/* *label gets the last value. */
static void report_curriculum_add_path(const struct picture *p, const struct frame *f,
                                       struct report_curriculum_curve c, struct label *label,
                                       struct text *out)
{
	const struct report_curriculum_arm *arm = &p->arms[c.arm];
	int                                 pen = 0;

	text_print(out, "<path class=\"line%s\" style=\"--c:%s\" d=\"M0 0",
	           c.least > 1 ? "" : " pale", arm->colour);
	for (int k = 0; k < places(p); k++) {
		int    i = report_curriculum_step_of(p, k);
		double v = report_curriculum_value_at(p, c.arm, c.what, i);
		int    drawn =
		        !isnan(v) && report_curriculum_within(p, arm->weight[c.what], i) >= c.least;
		if (drawn) {
			double x = x_at(f, p->steps[i].x), y = y_at(f, v);
			text_print(out, "%c%.1f %.1f", pen ? 'L' : 'M', x, y);
			*label = (struct label){arm->label, arm->colour, x, y};
		}
		pen = drawn;
	}
	text_print(out, "\"/>\n");
}

static void report_curriculum_add_line(const struct picture *p, const struct frame *f, int a,
                                       enum quantity m, struct label *label, struct text *out)
{
	struct label strong;

	report_curriculum_add_path(p, f, (struct report_curriculum_curve){a, m, 1}, label, out);
	report_curriculum_add_path(p, f, (struct report_curriculum_curve){a, m, FEW}, &strong, out);
}

static void add_quantity(const struct picture *p, const struct frame *f, enum quantity m,
                         const char *title, const char *unit, struct text *out)
{
	struct label labels[ARMS_MAX];
	int          n = 0;

	begin_panel(title, unit, out);
	report_curriculum_add_grid(f, m == ACCURACY, out);
	for (int a = 0; a < p->n_arms; a++) {
		labels[n].text = NULL;
		report_curriculum_add_line(p, f, a, m, &labels[n], out);
		n += labels[n].text != NULL;
	}
	add_labels(labels, n, f, out);
	add_hover(p, f, m, out);
	end_panel(f, out);
}

static double largest(const struct picture *p, enum quantity m)
{
	double most = 0;

	for (int a = 0; a < p->n_arms; a++)
		for (int k = 0; k < places(p); k++) {
			double v = report_curriculum_value_at(p, a, m,
			                                      report_curriculum_step_of(p, k));
			most = v > most ? v : most;
		}
	return most;
}

/* ---- held out ---- */

static void add_category(const struct category *c, const struct frame *f, struct text *out)
{
	const char *colour = c->colour ? c->colour : "var(--ink)";

	text_print(out, "<g style=\"--c:%s\"><path class=\"line%s\" d=\"", colour,
	           c->colour ? "" : " dash");
	for (int i = 0; i < c->metric->n; i++)
		text_print(out, "%c%.1f %.1f", i ? 'L' : 'M', x_at(f, c->metric->points[i].x),
		           y_at(f, c->metric->points[i].y));
	text_print(out, "\"/>\n");
	for (int i = 0; i < c->metric->n; i++) {
		const struct point *q = &c->metric->points[i];
		double              x = x_at(f, q->x);
		if (q->error > 0)
			text_print(out,
			           "<line class=\"bar\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
			           "y2=\"%.1f\"/>",
			           x, x, y_at(f, fmin(1, q->y + q->error)),
			           y_at(f, fmax(0, q->y - q->error)));
		text_print(out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"><title>",
		           x, y_at(f, q->y));
		report_curriculum_add_text(out, c->label);
		text_print(out, ", step %.10g: %.1f%% \xc2\xb1 %.1f</title></circle>\n", q->x,
		           100 * q->y, 100 * q->error);
	}
	text_print(out, "</g>\n");
}

static void add_held_out(const struct picture *p, const struct frame *f, struct text *out)
{
	struct label labels[CATEGORIES_MAX];

	begin_panel("Held-out problems", "pass@1 by category \xc2\xb1 standard error", out);
	report_curriculum_add_grid(f, 1, out);
	for (int i = 0; i < p->n_categories; i++) {
		const struct category *c = &p->categories[i];
		add_category(c, f, out);
		const struct point *last = &c->metric->points[c->metric->n - 1];
		labels[i] = (struct label){c->label, c->colour, x_at(f, last->x), y_at(f, last->y)};
	}
	add_labels(labels, p->n_categories, f, out);
	end_panel(f, out);
}

/* ---- the picture ---- */

static int longest_label(const struct picture *p)
{
	int longest = 0;

	for (int i = 0; i < p->n_arms + p->n_categories; i++) {
		int n = (int)strlen(i < p->n_arms ? p->arms[i].label
		                                  : p->categories[i - p->n_arms].label);
		longest = n > longest ? n : longest;
	}
	return longest < 24 ? longest : 24;
}

/* One x for all panels: of the steps, and of the evaluations before and behind them. */
static struct frame frame_of(const struct picture *p)
{
	struct frame f = {p->steps[0].x, p->steps[p->n - 1].x, 1,
	                  WIDTH - 20 - LETTER * longest_label(p)};

	for (int i = 0; i < p->n_categories; i++) {
		const struct series *m = p->categories[i].metric;
		f.x_low = fmin(f.x_low, m->points[0].x);
		f.x_high = fmax(f.x_high, m->points[m->n - 1].x);
	}
	if (f.x_high <= f.x_low)
		f.x_high = f.x_low + 1;
	return f;
}

static void add_heading(const struct picture *p, int prefix, struct text *out)
{
	text_print(out, "<h2>Curriculum of ");
	report_curriculum_add_text(out, p->run->folder);
	text_print(out, "</h2>\n<p class=\"soft\">");
	if (prefix) {
		text_print(out, "Labels leave out ");
		chart_add_escaped(out, p->arms[0].name, (size_t)prefix);
		text_print(out, ". ");
	}
	if (p->half)
		text_print(out,
		           "Averages over %d steps, pale where they rest on fewer than %d "
		           "problems; held-out values as they are. ",
		           2 * p->half + 1, FEW);
	text_print(out,
	           "Cool colours are easy arms, warm ones hard.</p>\n<div class=\"curriculum\">\n");
}

static void add_panels(const struct picture *p, struct text *out)
{
	struct frame unit = frame_of(p), signal = unit;
	double       most = largest(p, ADVANTAGE), step = chart_nice_step(most > 0 ? most : 1);

	signal.y_high = step * ceil((most > 0 ? most : 1) / step);
	add_sampled(p, &unit, out);
	if (p->n_categories)
		add_held_out(p, &unit, out);
	add_quantity(p, &unit, ACCURACY, "Training problems", "accuracy by arm", out);
	if (most > 0)
		add_quantity(p, &signal, ADVANTAGE, "Signal", "mean |advantage| by arm", out);
	text_print(out, "</div>\n");
}

int report_curriculum_add(const struct series_run *run, struct text *out)
{
	struct picture *p;
	int             prefix, status = OK;

	TRY(mem_take(1, "the picture of a curriculum", &p));
	p->run = run;
	if (find_arms(p)) {
		p->steps = p->arms[0].metric[SAMPLED]->points;
		p->n = p->arms[0].metric[SAMPLED]->n;
		p->half = (p->n + 15) / 30;
		find_categories(p);
		prefix = shared_prefix(p);
		set_labels(p, prefix);
		status = make_sums(p);
		if (status == OK) {
			add_heading(p, prefix, out);
			add_panels(p, out);
		}
	}
	mem_free(p->block);
	mem_free(p);
	return status;
}
