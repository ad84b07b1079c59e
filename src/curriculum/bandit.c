#include "curriculum/bandit.h"

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/rng.h"
#include "curriculum/deck.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { DRAW_ARM, DRAW_MEMBER }; /* two independent numbers for each draw */

int bandit_new(const struct curriculum_problems *p, struct bandit *out)
{
	size_t n = (size_t)p->arms->n;

	*out = (struct bandit){
	        .arms = p->arms, .seed = p->options->seed, .temperature = p->options->temperature};
	TRY(mem_take(n, "the scores of a curriculum", &out->score));
	TRY(mem_take(n, "the probabilities of a curriculum", &out->probability));
	return mem_take(n, "the probabilities of a curriculum", &out->up_to);
}

void bandit_free(struct bandit *b)
{
	mem_free(b->score);
	mem_free(b->probability);
	mem_free(b->up_to);
	*b = (struct bandit){0};
}

void bandit_settle(struct bandit *b)
{
	double sum = 0;

	if (b->settled)
		return;
	arms_softmax(b->score, b->temperature, b->arms->n, b->probability);
	for (int a = 0; a < b->arms->n; a++) {
		assert(b->probability[a] >= 0 && b->probability[a] <= 1);
		b->up_to[a] = sum += b->probability[a]; /* P_0 + ... + P_a */
	}
	assert(sum > 0);
	b->settled = 1;
}

static struct rng_key bandit_key_of(const struct bandit *b, int64_t draw, uint32_t what)
{
	return (struct rng_key){b->seed, RNG_CURRICULUM, (uint32_t)(draw >> 32), what, 0};
}

/* The first arm a with u < P_0 + ... + P_a, by bisection. u is scaled to the sum as it was rounded,
 * so that the last arm's end is never missed; an arm of probability 0 is never drawn. */
int bandit_draw(struct bandit *b)
{
	int    low = 0, high = b->arms->n - 1;
	double u;

	bandit_settle(b);
	u = rng_double(bandit_key_of(b, b->draws, DRAW_ARM), (uint32_t)b->draws) * b->up_to[high];
	while (low < high) {
		int middle = low + (high - low) / 2;
		if (u < b->up_to[middle])
			high = middle;
		else
			low = middle + 1;
	}
	b->draws++;
	assert(b->probability[low] > 0);
	return low;
}

int bandit_below(const struct bandit *b, int n)
{
	assert(n > 0 && b->draws > 0);
	return (int)rng_below(bandit_key_of(b, b->draws - 1, DRAW_MEMBER), (uint32_t)(b->draws - 1),
	                      (uint32_t)n);
}

void bandit_probabilities(struct bandit *b, double *P)
{
	bandit_settle(b);
	memcpy(P, b->probability, (size_t)b->arms->n * sizeof *P);
}

int bandit_save(const struct bandit *b, json_t *object)
{
	char hash[17];

	snprintf(hash, sizeof hash, "%016" PRIx64, b->arms->hash);
	if (json_object_set_new(object, "draws", json_integer(b->draws)) |
	    json_object_set_new(object, "arms", json_string(hash)))
		return error_memory("the state of the curriculum");
	return OK;
}

int bandit_load(struct bandit *b, const char *place, const json_t *object)
{
	const char *hash;
	char        mine[17];

	snprintf(mine, sizeof mine, "%016" PRIx64, b->arms->hash);
	TRY(json_get_text(place, object, "arms", JSON_REQUIRED, &hash));
	if (strcmp(hash, mine) != 0)
		return error_set(ERR_INPUT,
		                 "%s: the run was started on problems of other categories; resume "
		                 "it on the same data",
		                 place);
	return json_get_int(place, object, "draws", JSON_REQUIRED, json_range(0, DECK_POSITION_MAX),
	                    &b->draws);
}
