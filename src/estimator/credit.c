#include "estimator/credit.h"

#include "base/error.h"
#include "math/real.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RANGE_EPS 1e-8 /* equation 4.2 */

struct stretch {
	int    row, first, count;
	double entropy, advantage; /* means over its tokens */
	double e, bonus;           /* e: exp(-k h), then g */
};

struct segments {
	struct stretch *items; /* in the order of the tokens */
	double         *scratch;
	int             n;
};

/* ---- which rows count ---- */

struct credit_member { /* a row, for sorting by group */
	int64_t group;
	int     row;
};

static int by_group(const void *a, const void *b)
{
	const struct credit_member *x = a, *y = b;

	return x->group != y->group ? (x->group > y->group) - (x->group < y->group)
	                            : (x->row > y->row) - (x->row < y->row);
}

static int has_advantage(const struct rows *rows, int row, const float *advantage)
{
	for (int t = rows->offset[row]; t < rows->offset[row + 1]; t++)
		if (rows->trained[t] && advantage[t] != 0)
			return 1;
	return 0;
}

static int usable(double reward)
{
	return fabs(reward) <= 1e30;
}

/* Writes counts [R], and how many rows stand in groups without any advantage. */
static int choose_rows(const struct credit_options *o, const struct credit_batch *b,
                       const float *advantage, struct arena *a, unsigned char *counts,
                       struct credit_stats *stats)
{
	int                   R = b->rows.n;
	struct credit_member *m = arena_alloc(a, (size_t)R, sizeof *m);

	if (!m)
		return ERR_INPUT;
	for (int r = 0; r < R; r++)
		m[r] = (struct credit_member){b->group[r], r};
	qsort(m, (size_t)R, sizeof *m, by_group);
	for (int first = 0, end; first < R; first = end) {
		int any = 0;
		for (end = first; end < R && m[end].group == m[first].group; end++)
			any |= has_advantage(&b->rows, m[end].row, advantage);
		for (int i = first; i < end; i++)
			counts[m[i].row] = usable(b->reward[m[i].row]) &&
			                   (any || o->zero_variance == ZERO_VARIANCE_SHAPE);
		stats->rows_zero += any ? 0 : end - first;
	}
	return OK;
}

/* ---- segments ---- */

static void add_token(struct segments *s, const struct credit_batch *b, int row, int t, int opens,
                      const float *advantage)
{
	struct stretch *last;

	if (opens)
		s->items[s->n++] = (struct stretch){.row = row, .first = t};
	last = &s->items[s->n - 1];
	last->count++;
	last->entropy += (double)b->entropy[t];
	last->advantage += (double)advantage[t];
}

static void cut_row(struct segments *s, const struct credit_batch *b, int row,
                    const float *advantage)
{
	int before = s->n, open = 0;

	for (int t = b->rows.offset[row]; t < b->rows.offset[row + 1]; t++) {
		if (b->rows.trained[t])
			add_token(s, b, row, t, !open, advantage);
		open = b->rows.trained[t] && !(b->segment_end && b->segment_end[t]);
	}
	for (int i = before; i < s->n; i++) {
		s->items[i].entropy /= s->items[i].count;
		s->items[i].advantage /= s->items[i].count;
	}
}

static int cut(const struct credit_batch *b, const unsigned char *counts, const float *advantage,
               struct arena *a, struct segments *s, struct credit_stats *stats)
{
	size_t T = (size_t)(b->rows.offset[b->rows.n] - b->rows.offset[0]);

	*s = (struct segments){arena_alloc(a, T, sizeof *s->items),
	                       arena_alloc(a, T, sizeof *s->scratch), 0};
	if (!s->items || !s->scratch)
		return ERR_INPUT;
	for (int r = 0; r < b->rows.n; r++) {
		int before = s->n;
		if (counts[r])
			cut_row(s, b, r, advantage);
		stats->rows += s->n > before;
	}
	stats->segments = s->n;
	return OK;
}

static int credit_shuffle(struct segments *s, struct rng_key key, struct arena *a)
{
	uint32_t *from = arena_alloc(a, (size_t)s->n, sizeof *from);

	if (!from)
		return ERR_INPUT;
	rng_permutation(key, (uint32_t)s->n, from);
	for (int i = 0; i < s->n; i++)
		s->scratch[i] = s->items[from[i]].entropy;
	for (int i = 0; i < s->n; i++)
		s->items[i].entropy = s->scratch[i];
	return OK;
}

/* ---- the equations ---- */

static int credit_ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of the numbers in scratch, which are sorted by this. */
static double mean_of_scratch(struct segments *s)
{
	double sum = 0;

	qsort(s->scratch, (size_t)s->n, sizeof *s->scratch, credit_ascending);
	for (int i = 0; i < s->n; i++)
		sum += s->scratch[i];
	return sum / s->n;
}

static void measure_entropy(struct segments *s, struct credit_stats *stats)
{
	for (int i = 0; i < s->n; i++)
		s->scratch[i] = s->items[i].entropy;
	stats->entropy_mean = mean_of_scratch(s);
	stats->entropy_min = s->scratch[0];
	stats->entropy_max = s->scratch[s->n - 1];
}

static double normalised(const struct stretch *segment, const struct credit_stats *stats)
{
	return (segment->entropy - stats->entropy_min) /
	       (stats->entropy_max - stats->entropy_min + RANGE_EPS);
}

static void scale(const struct credit_options *o, struct segments *s, struct credit_stats *stats)
{
	double mean;

	for (int i = 0; i < s->n; i++)
		s->scratch[i] = s->items[i].e = real_exp(-o->k * normalised(&s->items[i], stats));
	mean = mean_of_scratch(s);
	stats->g_min = s->scratch[0] / mean;
	stats->g_max = s->scratch[s->n - 1] / mean;
	for (int i = 0; i < s->n; i++)
		s->items[i].e /= mean;
}

static void add_bonus(const struct credit_options *o, struct segments *s,
                      struct credit_stats *stats)
{
	for (int i = 0; i < s->n; i++) {
		int has_next = i + 1 < s->n && s->items[i + 1].row == s->items[i].row;
		s->items[i].bonus =
		        has_next ? o->zeta * real_exp(-o->k_bonus *
		                                      normalised(&s->items[i + 1], stats))
		                 : 0;
		s->scratch[i] = s->items[i].bonus;
	}
	stats->bonus = mean_of_scratch(s);
}

static void centre(struct segments *s, struct credit_stats *stats)
{
	for (int i = 0; i < s->n; i++)
		s->scratch[i] = s->items[i].advantage * s->items[i].e + s->items[i].bonus;
	stats->shift = mean_of_scratch(s);
}

static void write_advantages(const struct segments *s, const struct credit_batch *b,
                             const unsigned char *counts, double shift, float *advantage)
{
	for (int r = 0; r < b->rows.n; r++)
		for (int t = b->rows.offset[r]; !counts[r] && t < b->rows.offset[r + 1]; t++)
			advantage[t] = 0;
	for (int i = 0; i < s->n; i++)
		for (int t = s->items[i].first; t < s->items[i].first + s->items[i].count; t++)
			advantage[t] =
			        (float)(advantage[t] * s->items[i].e + s->items[i].bonus - shift);
}

static int modulate(const struct credit_options *o, const struct credit_batch *b,
                    struct rng_key key, struct arena *a, float *advantage,
                    struct credit_stats *stats)
{
	unsigned char  *counts = arena_alloc(a, (size_t)b->rows.n, sizeof *counts);
	struct segments s;

	if (!counts)
		return ERR_INPUT;
	TRY(choose_rows(o, b, advantage, a, counts, stats));
	TRY(cut(b, counts, advantage, a, &s, stats));
	if (s.n > 0) {
		if (o->shuffle)
			TRY(credit_shuffle(&s, key, a));
		measure_entropy(&s, stats);
		scale(o, &s, stats);
		add_bonus(o, &s, stats);
		centre(&s, stats);
	}
	write_advantages(&s, b, counts, stats->shift, advantage);
	return OK;
}

int credit_apply(const struct credit_options *o, const struct credit_batch *b, struct rng_key key,
                 struct arena *a, float *advantage, struct credit_stats *stats)
{
	struct arena_mark mark = arena_mark(a);
	int               status = OK;

	*stats = (struct credit_stats){0};
	if (o->empg)
		status = modulate(o, b, key, a, advantage, stats);
	arena_release(a, mark);
	return status;
}
