#include "data/mixture.h"

#include "base/error.h"
#include "base/rng.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Entries of each source; their sum, or 0 when there are too many. */
static int mixture_count_entries(const struct mixture_source *sources, int n, int *count,
                                 int *largest)
{
	double sum = 0, entries = 0, all = 0;

	for (int s = 0; s < n; s++) {
		assert(sources[s].n > 0 && sources[s].weight > 0);
		sum += sources[s].weight;
	}
	for (int s = 0; s < n; s++)
		if (sources[s].n * (sum / sources[s].weight) > entries) {
			entries = sources[s].n * (sum / sources[s].weight);
			*largest = s;
		}
	if (!(entries <= MIXTURE_MAX))
		return 0;
	for (int s = 0; s < n; s++) {
		count[s] = (int)fmax(sources[s].n, round(entries * (sources[s].weight / sum)));
		all += count[s];
	}
	return all <= MIXTURE_MAX ? (int)all : 0;
}

struct mixture_place { /* of an entry: (2 j + 1) / (2 m) of the way through the pass */
	struct mixture_entry entry;
	int64_t              j, m;
};

static int by_place(const void *a, const void *b)
{
	const struct mixture_place *x = a, *y = b;
	int64_t                     left = (2 * x->j + 1) * y->m, right = (2 * y->j + 1) * x->m;

	return left != right ? (left > right) - (left < right) : x->entry.source - y->entry.source;
}

/* Writes the m entries of a source. */
static int lay_out(int source, int n, int m, uint64_t seed, struct arena *a,
                   struct mixture_place *out)
{
	uint32_t *order;

	TRY(arena_take(a, (size_t)n, "the order of a source", &order));
	rng_permutation((struct rng_key){seed, RNG_MIXTURE, 0, (uint32_t)source, 0}, (uint32_t)n,
	                order);
	for (int j = 0; j < m; j++) {
		int whole = j < m / n * n;
		out[j] = (struct mixture_place){{source, whole ? j % n : (int)order[j % n]}, j, m};
	}
	return OK;
}

int mixture_plan(const struct mixture_source *sources, int n_sources, uint64_t seed,
                 struct arena *a, struct mixture *out, int *largest)
{
	struct mixture_place *places;
	struct arena_mark     mark;
	int                   at = 0;

	*out = (struct mixture){0};
	*largest = 0;
	TRY(arena_take(a, (size_t)n_sources, "the sources of a mixture", &out->count));
	out->n = mixture_count_entries(sources, n_sources, out->count, largest);
	if (out->n == 0)
		return error_set(ERR_INPUT,
		                 "one pass over the mixture would have more than %d entries",
		                 MIXTURE_MAX);
	TRY(arena_take(a, (size_t)out->n, "the entries of a mixture", &out->entries));
	mark = arena_mark(a);
	TRY(arena_take(a, (size_t)out->n, "the entries of a mixture", &places));
	for (int s = 0; s < n_sources; at += out->count[s++])
		TRY(lay_out(s, sources[s].n, out->count[s], seed, a, places + at));
	qsort(places, (size_t)out->n, sizeof *places, by_place);
	for (int i = 0; i < out->n; i++)
		out->entries[i] = places[i].entry;
	arena_release(a, mark);
	return OK;
}
