#include "curriculum/uniform.h"

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "curriculum/arms.h"
#include "curriculum/deck.h"

struct uniform {
	const struct curriculum_problems *problems;
	struct deck                       deck;
};

static void uniform_destroy(void *state)
{
	struct uniform *u = state;

	mem_free(u->deck.order);
	mem_free(u);
}

static int uniform_create(const struct curriculum_problems *p, void **state)
{
	struct uniform *u;

	TRY(mem_take(1, "the uniform curriculum", &u));
	*u = (struct uniform){p, {.seed = p->options->seed, .n = p->n}};
	*state = u;
	return mem_take((size_t)p->n, "the order of the problems", &u->deck.order);
}

static void uniform_pick(void *state, int n, int *picked)
{
	struct uniform *u = state;

	for (int i = 0; i < n; i++)
		picked[i] = deck_deal(&u->deck);
}

static void uniform_probabilities(void *state, double *P)
{
	const struct uniform *u = state;

	for (int a = 0; a < u->problems->arms->n; a++)
		P[a] = (double)u->problems->arms->items[a].n / u->problems->n;
}

static int uniform_save(const void *state, struct arena *scratch, json_t *object)
{
	const struct uniform *u = state;

	(void)scratch;
	if (json_object_set_new(object, "position", json_integer(u->deck.position)) != 0)
		return error_memory("the state of the curriculum");
	return OK;
}

static int uniform_load(void *state, struct arena *scratch, const char *place, const json_t *object)
{
	struct uniform *u = state;

	(void)scratch;
	return json_get_int(place, object, "position", JSON_REQUIRED,
	                    json_range(0, DECK_POSITION_MAX), &u->deck.position);
}

static int uniform_metrics(const void *state, json_t *object)
{
	const struct uniform *u = state;

	if (json_object_set_new(object, "curriculum/epoch",
	                        json_real((double)u->deck.position / u->deck.n)) != 0)
		return error_memory("the metrics of the curriculum");
	return OK;
}

const struct curriculum_kind curriculum_uniform = {
        .name = "uniform",
        .help = "every problem once per epoch, shuffled",
        .create = uniform_create,
        .destroy = uniform_destroy,
        .pick = uniform_pick,
        .probabilities = uniform_probabilities,
        .save = uniform_save,
        .load = uniform_load,
        .metrics = uniform_metrics,
};
