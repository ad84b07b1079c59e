#include "curriculum/deck.h"

#include "base/rng.h"

#include <assert.h>

int deck_deal(struct deck *d)
{
	int64_t  pass = d->position / d->n;
	uint32_t card;

	assert(d->n > 0 && d->position >= 0);
	if (d->shuffled != pass + 1) {
		rng_permutation((struct rng_key){d->seed, RNG_ORDER, (uint32_t)pass, d->number, 0},
		                (uint32_t)d->n, d->order);
		d->shuffled = pass + 1;
	}
	card = d->order[d->position++ % d->n];
	return d->members ? d->members[card] : (int)card;
}
