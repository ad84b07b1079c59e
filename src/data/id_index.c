#include "data/id_index.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

int id_index_new(int n, struct arena *a, struct id_index *out)
{
	out->n = n;
	return arena_take(a, (size_t)n, "the ids of a data set", &out->entries);
}

static int by_id(const void *a, const void *b)
{
	const struct id_entry *x = a, *y = b;
	int                    c = strcmp(x->id, y->id);

	return c ? c : (x->item > y->item) - (x->item < y->item);
}

void id_index_sort(struct id_index *x)
{
	qsort(x->entries, (size_t)x->n, sizeof *x->entries, by_id);
}

int id_index_find(const struct id_index *x, const char *id)
{
	/* the first entry that is not before the id lies in low .. high */
	int low = 0, high = x->n;

	while (low < high) {
		int middle = low + (high - low) / 2;
		if (strcmp(x->entries[middle].id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < x->n && !strcmp(x->entries[low].id, id) ? x->entries[low].item : -1;
}

const struct id_entry *id_index_twice(const struct id_index *x)
{
	for (int i = 1; i < x->n; i++)
		if (!strcmp(x->entries[i - 1].id, x->entries[i].id))
			return &x->entries[i - 1];
	return NULL;
}
