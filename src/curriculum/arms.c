#include "curriculum/arms.h"

#include "base/error.h"
#include "base/fingerprint.h"
#include "base/memory.h"
#include "base/real.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *arms_name_of(const struct curriculum_item *item)
{
	return item->arm ? item->arm : "all";
}

/* ---- finding the arms ---- */

struct arms_member {
	const char *name;
	int         item;
};

static int by_name_then_item(const void *a, const void *b)
{
	const struct arms_member *x = a, *y = b;
	int                       order = strcmp(x->name, y->name);

	return order ? order : (x->item > y->item) - (x->item < y->item);
}

static int by_difficulty_then_name(const void *a, const void *b)
{
	const struct arm *x = a, *y = b;
	int               order;

	if (isnan(x->difficulty) != isnan(y->difficulty))
		return isnan(x->difficulty) ? 1 : -1;
	if (x->difficulty != y->difficulty && !isnan(x->difficulty))
		return x->difficulty < y->difficulty ? -1 : 1;
	order = strverscmp(x->name, y->name);
	return order ? order : strcmp(x->name, y->name);
}

/* Over the known ones, in ascending order, so that the order of the problems leaves no trace in the
 * last bit. */
static int arms_compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double mean_difficulty(const struct curriculum_item *items, const int *members, int n,
                              double *scratch)
{
	double sum = 0;
	int    known = 0;

	for (int i = 0; i < n; i++)
		if (isfinite(items[members[i]].difficulty))
			scratch[known++] = items[members[i]].difficulty;
	qsort(scratch, (size_t)known, sizeof *scratch, arms_compare_doubles);
	for (int i = 0; i < known; i++)
		sum += scratch[i];
	return known ? sum / known : NAN;
}

static int count_names(const struct arms_member *sorted, int n)
{
	int names = 0;

	for (int i = 0; i < n; i++)
		names += i == 0 || strcmp(sorted[i].name, sorted[i - 1].name) != 0;
	return names;
}

/* Members and items of each arm; `sorted` holds the problems by name of arm, then by number. */
static void arms_fill(struct arms *a, const struct curriculum_item *items,
                      const struct arms_member *sorted, double *scratch)
{
	for (int i = 0, end, arm = 0; i < a->n_problems; i = end, arm++) {
		for (end = i; end < a->n_problems && !strcmp(sorted[end].name, sorted[i].name);
		     end++)
			a->members[end] = sorted[end].item;
		a->items[arm] = (struct arm){sorted[i].name, 0, a->members + i, end - i};
		a->items[arm].difficulty = mean_difficulty(items, a->members + i, end - i, scratch);
	}
	qsort(a->items, (size_t)a->n, sizeof *a->items, by_difficulty_then_name);
	a->hash = FINGERPRINT_EMPTY;
	for (int arm = 0; arm < a->n; arm++) {
		const struct arm *x = &a->items[arm];
		a->hash = fingerprint_text(a->hash, x->name);
		a->hash = fingerprint_bytes(a->hash, x->members, (size_t)x->n * sizeof *x->members);
		for (int i = 0; i < x->n; i++)
			a->of[x->members[i]] = arm;
	}
}

static int arms_find(const struct curriculum_item *items, int n, struct arena *a, struct arms *out)
{
	const char         *what = "the arms of a curriculum";
	struct arms_member *sorted;
	double             *scratch;

	TRY(arena_take(a, (size_t)n, what, &sorted));
	TRY(arena_take(a, (size_t)n, what, &scratch));
	for (int i = 0; i < n; i++)
		sorted[i] = (struct arms_member){arms_name_of(&items[i]), i};
	qsort(sorted, (size_t)n, sizeof *sorted, by_name_then_item);
	out->n = count_names(sorted, n);
	TRY(mem_take((size_t)out->n, what, &out->items));
	TRY(mem_take((size_t)n, what, &out->members));
	TRY(mem_take((size_t)n, what, &out->of));
	arms_fill(out, items, sorted, scratch);
	return OK;
}

int arms_new(const struct curriculum_item *items, int n, struct arms *out)
{
	struct arena scratch = {0};
	int          status;

	assert(n > 0);
	*out = (struct arms){.n_problems = n};
	status = arms_find(items, n, &scratch, out);
	arena_free(&scratch);
	return status;
}

void arms_free(struct arms *a)
{
	mem_free(a->items);
	mem_free(a->members);
	mem_free(a->of);
	*a = (struct arms){0};
}

void arms_softmax(const double *score, double temperature, int n, double *P)
{
	double best = -INFINITY, sum = 0;

	assert(n > 0 && temperature >= 0);
	for (int i = 0; i < n; i++)
		best = score[i] > best ? score[i] : best;
	for (int i = 0; i < n; i++) {
		P[i] = temperature > 0 ? real_exp((score[i] - best) / temperature)
		                       : score[i] == best;
		sum += P[i];
	}
	for (int i = 0; i < n; i++)
		P[i] /= sum;
}
