#include "curriculum/uniform.h"

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/rng.h"

struct uniform {
	const struct curriculum_problems *problems;
	int64_t                           position;
	int64_t                           epoch; /* that `order` belongs to; -1: none yet */
	uint32_t                         *order; /* [n] */
};

/* Beyond what any run draws; keeps a damaged file from an overflow. */
#define POSITION_MAX (INT64_C(1) << 52)

static void destroy(void *state)
{
	struct uniform *u = state;

	mem_free(u->order);
	mem_free(u);
}

static int create(const struct curriculum_problems *p, void **state)
{
	struct uniform *u = mem_alloc(1, sizeof *u, "the uniform curriculum");

	if (!u)
		return ERR_INPUT;
	*u = (struct uniform){p, 0, -1, mem_alloc((size_t)p->n, sizeof(uint32_t), "the order of the problems")};
	if (!u->order) {
		mem_free(u);
		return ERR_INPUT;
	}
	*state = u;
	return OK;
}

static int next(struct uniform *u)
{
	int64_t n = u->problems->n, epoch = u->position / n;

	if (epoch != u->epoch) {
		rng_permutation((struct rng_key){u->problems->seed, RNG_ORDER, (uint32_t)epoch, 0, 0}, (uint32_t)n, u->order);
		u->epoch = epoch;
	}
	return (int)u->order[u->position++ % n];
}

static void pick(void *state, int n, int *picked)
{
	for (int i = 0; i < n; i++)
		picked[i] = next(state);
}

static void observe(void *state, const struct curriculum_outcome *outcomes, int n)
{
	(void)state, (void)outcomes, (void)n;
}

static int save(const void *state, json_t *object)
{
	const struct uniform *u = state;

	if (json_object_set_new(object, "position", json_integer(u->position)) != 0)
		return error_set(ERR_INPUT, "out of memory for the state of the curriculum");
	return OK;
}

static int load(void *state, const char *place, const json_t *object)
{
	struct uniform *u = state;

	return json_get_int(place, object, "position", JSON_REQUIRED, 0, POSITION_MAX, &u->position);
}

static int metrics(const void *state, json_t *object)
{
	const struct uniform *u = state;

	if (json_object_set_new(object, "curriculum/epoch", json_real((double)u->position / u->problems->n)) != 0)
		return error_set(ERR_INPUT, "out of memory for the metrics of the curriculum");
	return OK;
}

const struct curriculum_kind curriculum_uniform = {
        .name = "uniform",
        .help = "every problem once per epoch, shuffled",
        .create = create,
        .destroy = destroy,
        .pick = pick,
        .observe = observe,
        .save = save,
        .load = load,
        .metrics = metrics,
};
