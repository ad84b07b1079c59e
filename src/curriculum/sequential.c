#include "curriculum/sequential.h"

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "curriculum/deck.h"

struct sequential {
	int     n;
	int64_t position;
};

static int sequential_create(const struct curriculum_problems *p, void **state)
{
	struct sequential *s;

	TRY(mem_take(1, "the sequential curriculum", &s));
	*s = (struct sequential){p->n, 0};
	*state = s;
	return OK;
}

static void sequential_pick(void *state, int n, int *picked)
{
	struct sequential *s = state;

	for (int i = 0; i < n; i++)
		picked[i] = (int)(s->position++ % s->n);
}

static int sequential_save(const void *state, struct arena *scratch, json_t *object)
{
	const struct sequential *s = state;

	(void)scratch;
	if (json_object_set_new(object, "position", json_integer(s->position)) != 0)
		return error_memory("the state of the curriculum");
	return OK;
}

static int sequential_load(void *state, struct arena *scratch, const char *place,
                           const json_t *object)
{
	struct sequential *s = state;

	(void)scratch;
	return json_get_int(place, object, "position", JSON_REQUIRED,
	                    json_range(0, DECK_POSITION_MAX), &s->position);
}

static int sequential_metrics(const void *state, json_t *object)
{
	const struct sequential *s = state;

	if (json_object_set_new(object, "curriculum/epoch",
	                        json_real((double)s->position / s->n)) != 0)
		return error_memory("the metrics of the curriculum");
	return OK;
}

const struct curriculum_kind curriculum_sequential = {
        .name = "sequential",
        .help = "the order of the data",
        .create = sequential_create,
        .destroy = mem_free,
        .pick = sequential_pick,
        .save = sequential_save,
        .load = sequential_load,
        .metrics = sequential_metrics,
};
