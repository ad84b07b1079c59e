#include "estimator/credit.h"

#include "base/error.h"
#include "base/real.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define RANGE_EPS 1e-8 /* equation 4.2 */

struct stretch {
	int    row, first, count;
	double entropy, advantage; /* means over its tokens */
	double g, bonus;           /* g: exp(-k h) at first, without its mean */
};

struct credit_job {
	const struct credit_options *o;
	struct batch                *b;
	struct arena                *a;
	struct credit_stats         *stats;
	unsigned char               *counts;  /* [R] 1: the segments of the row count */
	struct stretch              *items;   /* [n] segments, in the order of the tokens */
	double                      *scratch; /* [n] */
	int                          n;
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

static int has_advantage(const struct batch *b, int row)
{
	for (int t = b->offset[row]; t < b->offset[row + 1]; t++)
		if (b->trained[t] && b->advantage[t] != 0)
			return 1;
	return 0;
}

static int usable(double reward)
{
	return fabs(reward) <= 1e30;
}

/* Writes counts, and how many rows stand in groups without any advantage. */
static int choose_rows(struct credit_job *j)
{
	const struct batch   *b = j->b;
	int                   R = b->n, shape = j->o->zero_variance == ZERO_VARIANCE_SHAPE;
	struct credit_member *m;

	TRY(arena_take(j->a, (size_t)R, "the rows by group", &m));
	for (int r = 0; r < R; r++)
		m[r] = (struct credit_member){b->group[r], r};
	qsort(m, (size_t)R, sizeof *m, by_group);
	for (int first = 0, end; first < R; first = end) {
		int any = 0;
		for (end = first; end < R && m[end].group == m[first].group; end++)
			any |= has_advantage(b, m[end].row);
		for (int i = first; i < end; i++)
			j->counts[m[i].row] = usable(b->reward[m[i].row]) && (any || shape);
		j->stats->rows_zero += any ? 0 : end - first;
	}
	return OK;
}

/* ---- segments ---- */

static int ends_segment(const struct credit_job *j, int t)
{
	return j->o->line_end && j->o->line_end[j->b->id[t]];
}

static void add_token(struct credit_job *j, int row, int t, int opens)
{
	struct stretch *last;

	if (opens)
		j->items[j->n++] = (struct stretch){.row = row, .first = t};
	last = &j->items[j->n - 1];
	assert(last->row == row && last->first + last->count == t);
	last->count++;
	last->entropy += (double)j->b->entropy[t];
	last->advantage += (double)j->b->advantage[t];
}

/* The segments of one row, with the means H_s and A_s over their tokens. */
static void cut_row(struct credit_job *j, int row)
{
	const struct batch *b = j->b;
	int                 before = j->n, open = 0;

	for (int t = b->offset[row]; t < b->offset[row + 1]; t++) {
		if (b->trained[t])
			add_token(j, row, t, !open);
		open = b->trained[t] && !ends_segment(j, t);
	}
	for (int i = before; i < j->n; i++) {
		j->items[i].entropy /= j->items[i].count;
		j->items[i].advantage /= j->items[i].count;
	}
}

static void cut(struct credit_job *j)
{
	for (int r = 0; r < j->b->n; r++) {
		int before = j->n;
		if (j->counts[r])
			cut_row(j, r);
		j->stats->rows += j->n > before;
	}
	j->stats->segments = j->n;
}

static int credit_shuffle(struct credit_job *j, struct rng_key key)
{
	uint32_t *from;

	TRY(arena_take(j->a, (size_t)j->n, "the order of the segments", &from));
	rng_permutation(key, (uint32_t)j->n, from);
	for (int i = 0; i < j->n; i++)
		j->scratch[i] = j->items[from[i]].entropy;
	for (int i = 0; i < j->n; i++)
		j->items[i].entropy = j->scratch[i];
	return OK;
}

/* ---- the equations ---- */

static int credit_ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of the numbers in scratch, which are sorted by this. */
static double mean_of_scratch(struct credit_job *j)
{
	double sum = 0;

	qsort(j->scratch, (size_t)j->n, sizeof *j->scratch, credit_ascending);
	for (int i = 0; i < j->n; i++)
		sum += j->scratch[i];
	return sum / j->n;
}

static void measure_entropy(struct credit_job *j)
{
	for (int i = 0; i < j->n; i++)
		j->scratch[i] = j->items[i].entropy;
	j->stats->entropy_mean = mean_of_scratch(j);
	j->stats->entropy_min = j->scratch[0];
	j->stats->entropy_max = j->scratch[j->n - 1];
}

/* h_s = (H_s - min H) / (max H - min H + 1e-8) */
static double normalised(const struct stretch *segment, const struct credit_stats *stats)
{
	return (segment->entropy - stats->entropy_min) /
	       (stats->entropy_max - stats->entropy_min + RANGE_EPS);
}

/* g_s = exp(-k h_s) / mean over segments of exp(-k h) */
static void scale(struct credit_job *j)
{
	double mean;

	for (int i = 0; i < j->n; i++) {
		double e = real_exp(-j->o->k * normalised(&j->items[i], j->stats));
		j->scratch[i] = j->items[i].g = e;
	}
	mean = mean_of_scratch(j);
	j->stats->g_min = j->scratch[0] / mean;
	j->stats->g_max = j->scratch[j->n - 1] / mean;
	for (int i = 0; i < j->n; i++)
		j->items[i].g /= mean;
}

/* b_s = zeta exp(-k_bonus h_next), 0 for the last segment of a row */
static void add_bonus(struct credit_job *j)
{
	for (int i = 0; i < j->n; i++) {
		struct stretch *next = i + 1 < j->n ? &j->items[i + 1] : NULL;
		double          bonus = 0;
		if (next && next->row == j->items[i].row)
			bonus = j->o->zeta * real_exp(-j->o->k_bonus * normalised(next, j->stats));
		j->scratch[i] = j->items[i].bonus = bonus;
	}
	j->stats->bonus = mean_of_scratch(j);
}

/* The mean over segments of A_s g_s + b_s, which is subtracted. */
static void centre(struct credit_job *j)
{
	for (int i = 0; i < j->n; i++)
		j->scratch[i] = j->items[i].advantage * j->items[i].g + j->items[i].bonus;
	j->stats->shift = mean_of_scratch(j);
}

/* A_t <- A_t g_s + b_s - shift; 0 in rows that do not count */
static void write_advantages(const struct credit_job *j)
{
	float *A = j->b->advantage;

	for (int r = 0; r < j->b->n; r++)
		for (int t = j->b->offset[r]; !j->counts[r] && t < j->b->offset[r + 1]; t++)
			A[t] = 0;
	for (int i = 0; i < j->n; i++) {
		const struct stretch *s = &j->items[i];
		for (int t = s->first; t < s->first + s->count; t++)
			A[t] = (float)(A[t] * s->g + s->bonus - j->stats->shift);
	}
}

/* Scratch, then the equations of the header in their order. */
static int modulate(struct credit_job *j, struct rng_key key)
{
	size_t T = (size_t)(j->b->offset[j->b->n] - j->b->offset[0]);

	TRY(arena_take(j->a, (size_t)j->b->n, "the rows that count", &j->counts));
	TRY(arena_take(j->a, T, "the segments of the batch", &j->items));
	TRY(arena_take(j->a, T, "the segments of the batch", &j->scratch));
	TRY(choose_rows(j));
	cut(j);
	if (j->n > 0) {
		if (j->o->shuffle)
			TRY(credit_shuffle(j, key));
		measure_entropy(j);
		scale(j);
		add_bonus(j);
		centre(j);
	}
	write_advantages(j);
	return OK;
}

int credit_apply(const struct credit_options *o, struct batch *b, struct rng_key key,
                 struct arena *a, struct credit_stats *stats)
{
	struct credit_job j = {.o = o, .b = b, .a = a, .stats = stats};
	struct arena_mark mark = arena_mark(a);
	int               status = OK;

	assert(!o->empg || (b->advantage && b->entropy && b->group && b->reward));
	*stats = (struct credit_stats){0};
	if (o->empg)
		status = modulate(&j, key);
	arena_release(a, mark);
	return status;
}

/* ---- options ---- */

static const struct choice credit_kinds[] = {{"none", 0, NULL}, {"empg", 1, NULL}, {0}};
static const struct choice credit_segment_words[] = {
        {"newline", CREDIT_LINES, NULL}, {"turn", CREDIT_TURNS, NULL}, {0}};
static const struct choice zero_variances[] = {
        {"shape", ZERO_VARIANCE_SHAPE, NULL}, {"zero", ZERO_VARIANCE_ZERO, NULL}, {0}};

#define HOME struct credit_options
#define ROOM "credit."
/* clang-format off */
static const struct option credit_options[] = {
	CHOICE_AS("kind", empg, "none", credit_kinds,
	     "how the advantage is spread over a completion; empg: by the entropies of its "
	     "segments"),
	CHOICE(segments, "newline", credit_segment_words,
	       "what a segment is: a line, or everything the model writes between two observations",
	       .when = "credit.kind=empg"),
	REAL(k, "1", 0, 100, "how much more the confident segments count; 0: all alike",
	     .when = "credit.kind=empg"),
	REAL(k_bonus, "1", 0, 100, "how fast the bonus fades with the entropy of the next segment",
	     .when = "credit.kind=empg"),
	REAL(zeta, "0.1", 0, 100, "factor of the bonus for a confident next segment; 0: none",
	     .when = "credit.kind=empg"),
	CHOICE(zero_variance, "shape", zero_variances,
	       "groups without any advantage: shaped by entropies alone as published, or left at 0",
	       .when = "credit.kind=empg"),
	BOOL(shuffle, "false",
	     "control experiment: shuffles the entropies among the segments of the batch",
	     .when = "credit.kind=empg"),
};
/* clang-format on */
const struct option_table credit_options_table = OPTION_TABLE(credit_options);
