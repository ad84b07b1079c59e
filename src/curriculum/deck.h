/* deck.h - problems dealt in shuffled passes: each once before any comes twice, in an order that
 * depends on (seed, deck, pass) alone.
 *
 *     position   0 1 2 ... n-1 | n ... 2n-1 | ...        pass = position / n
 *     problem    members[order_pass[position mod n]]     order_pass: the permutation keyed (seed,
 *                                                        RNG_ORDER, pass, number of the deck)
 *
 * The whole state is the position. A deck that is used up begins its next pass by itself. */
#ifndef CURRICULUM_DECK_H
#define CURRICULUM_DECK_H

#include <stdint.h>

struct deck {
	uint64_t   seed;
	uint32_t   number;  /* decks of one curriculum differ in it */
	const int *members; /* [n] borrowed; NULL: 0 .. n-1 */
	int        n;
	uint32_t  *order; /* [n] the caller's memory */
	int64_t    position;
	int64_t    shuffled; /* 1 + the pass that `order` belongs to; 0: none yet */
};

/* Beyond what any run draws; keeps a damaged file from an overflow. */
#define DECK_POSITION_MAX (INT64_C(1) << 52)

int deck_deal(struct deck *d);

#endif
