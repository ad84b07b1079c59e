/* id_index.h - from the id (or another name) of a row to its number: one sort, then 20 comparisons
 * in a million rows.
 *
 * Ids are how samples, recorded rollouts and messages name a problem. */
#ifndef DATA_ID_INDEX_H
#define DATA_ID_INDEX_H

#include "base/memory.h"

struct id_entry {
	const char *id; /* borrowed */
	int         item;
};

struct id_index {
	struct id_entry *entries; /* [n] by id, the same ids by item */
	int              n;
};

/* Room for n entries in the arena: fill them in any order, then sort. */
int  id_index_new(int n, struct arena *a, struct id_index *out);
void id_index_sort(struct id_index *x);

/* the first item of that id, or -1 */
int id_index_find(const struct id_index *x, const char *id);
/* an entry whose id the next one has, too, or NULL */
const struct id_entry *id_index_twice(const struct id_index *x);

#endif
