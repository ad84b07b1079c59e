#include "model/slices.h"

#include "base/error.h"
#include "base/ranks.h"
#include "base/shares.h"

static int64_t slices_work(const void *of, uint32_t tensor)
{
	const struct weights *w = of;

	return (int64_t)w->tensors[tensor].count;
}

static struct shares_of slices_shares(const struct weights *w)
{
	return (struct shares_of){(uint32_t)w->n_tensors, slices_work, w};
}

/* Where a tensor begins; the last one is followed by the end of the vector. */
static size_t slices_border(const struct weights *w, uint32_t tensor)
{
	return tensor < (uint32_t)w->n_tensors ? w->tensors[tensor].offset : w->n;
}

int slices_cut(const struct weights *w, struct arena *a, struct weights_span **out)
{
	struct shares_of shares = slices_shares(w);
	int              R = ranks_count();
	uint32_t        *first;

	TRY(arena_take(a, (size_t)R + 1, "the slices of the ranks", &first));
	TRY(arena_take(a, (size_t)R, "the slices of the ranks", out));
	shares_cut(&shares, R, 1, first);
	for (int r = 0; r < R; r++) {
		size_t begin = slices_border(w, first[r]), end = slices_border(w, first[r + 1]);
		(*out)[r] = (struct weights_span){begin, end - begin};
	}
	return OK;
}

size_t slices_largest(const struct weights *w)
{
	struct shares_of shares = slices_shares(w);

	return (size_t)shares_cut(&shares, ranks_count(), 1, NULL);
}
