#include "rl/earlier.h"

#include "base/error.h"
#include "base/memory.h"
#include "model/draft.h"

#include <assert.h>
#include <string.h>

int earlier_new(int n_problems, struct earlier *out)
{
	*out = (struct earlier){.n = n_problems};
	return mem_take((size_t)n_problems, "earlier completions", &out->items);
}

void earlier_free(struct earlier *e)
{
	for (int i = 0; e->items && i < e->n; i++)
		mem_free(e->items[i].ids);
	mem_free(e->items);
	*e = (struct earlier){0};
}

int earlier_remember(struct earlier *e, const struct group *g)
{
	struct earlier_group *item = &e->items[g->item], new = {0};
	size_t                n = 0;

	assert(g->item < e->n);
	for (int i = 0; i < g->n; i++)
		n += 1 + (size_t)g->rollouts[i].n;
	if (e->tokens - (size_t)item->n + n > EARLIER_TOKENS)
		return OK;
	TRY(mem_take(n, "earlier completions", &new.ids));
	for (int i = 0; i < g->n; i++) {
		const struct rollout *r = &g->rollouts[i];
		new.ids[new.n++] = DRAFT_START;
		memcpy(new.ids + new.n, r->ids, (size_t)r->n * sizeof *r->ids);
		new.n += r->n;
	}
	e->tokens += n - (size_t)item->n;
	mem_free(item->ids);
	*item = new;
	return OK;
}
