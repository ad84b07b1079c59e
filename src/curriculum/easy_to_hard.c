#include "curriculum/easy_to_hard.h"

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "curriculum/arms.h"
#include "curriculum/deck.h"
#include "curriculum/numbers.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct easy_to_hard {
	const struct curriculum_problems *problems;
	int                              *sorted; /* [n] problems by level */
	/* [n] of the deck in use; another level's deck shuffles anew */
	uint32_t    *order;
	struct deck *levels; /* [n_levels] */
	int          n_levels;
	int64_t      step;
};

/* ---- levels ---- */

struct keyed {
	double key;
	int    item;
};

static int by_key_then_item(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->item > y->item) - (x->item < y->item);
}

static int easy_to_hard_check(const struct curriculum_problems *p)
{
	for (int i = 0; i < p->n; i++)
		if (!isfinite(p->items[i].difficulty))
			return error_set(ERR_INPUT,
			                 "curriculum.kind easy_to_hard: problem %d of the data "
			                 "(counted from 1) has no difficulty; give every "
			                 "row the column difficulty",
			                 i + 1);
	if (p->options->levels > p->n)
		return error_set(ERR_INPUT,
		                 "curriculum.levels is %d, but there are only %d problems",
		                 p->options->levels, p->n);
	return OK;
}

static int ends_level(const struct curriculum_options *o, const struct keyed *sorted, int n, int i,
                      int level)
{
	if (i + 1 == n)
		return 1;
	return o->levels ? i + 1 == (int)((int64_t)n * (level + 1) / o->levels)
	                 : sorted[i + 1].key != sorted[i].key;
}

/* Where each level ends in sorted[n]; writes at most n ends and returns how many. */
static int find_levels(const struct curriculum_options *o, const struct keyed *sorted, int n,
                       int *end)
{
	int levels = 0;

	for (int i = 0; i < n; i++)
		if (ends_level(o, sorted, n, i, levels))
			end[levels++] = i + 1;
	return levels;
}

/* A deck a level; with `cumulative` each begins at the first problem. */
static int make_levels(struct easy_to_hard *e, const int *end)
{
	const struct curriculum_options *o = e->problems->options;

	TRY(mem_take((size_t)e->n_levels, "the levels of a curriculum", &e->levels));
	for (int l = 0; l < e->n_levels; l++) {
		int first = l && !o->cumulative ? end[l - 1] : 0;
		assert(end[l] > (l ? end[l - 1] : 0)); /* no level is empty */
		e->levels[l] = (struct deck){.seed = o->seed,
		                             .number = (uint32_t)l,
		                             .members = e->sorted + first,
		                             .n = end[l] - first,
		                             .order = e->order};
	}
	return OK;
}

/* The problems sorted by difficulty, ties by number, and cut into levels. */
static int sort_levels(struct easy_to_hard *e, struct arena *scratch)
{
	const struct curriculum_problems *p = e->problems;
	struct keyed                     *sorted;
	int                              *end;

	TRY(arena_take(scratch, (size_t)p->n, "the levels of a curriculum", &sorted));
	TRY(arena_take(scratch, (size_t)p->n, "the levels of a curriculum", &end));
	TRY(mem_take((size_t)p->n, "the levels of a curriculum", &e->sorted));
	for (int i = 0; i < p->n; i++)
		sorted[i] = (struct keyed){p->options->hard_first ? -p->items[i].difficulty
		                                                  : p->items[i].difficulty,
		                           i};
	qsort(sorted, (size_t)p->n, sizeof *sorted, by_key_then_item);
	for (int i = 0; i < p->n; i++)
		e->sorted[i] = sorted[i].item;
	e->n_levels = find_levels(p->options, sorted, p->n, end);
	return make_levels(e, end);
}

/* ---- the method ---- */

static void easy_to_hard_destroy(void *state)
{
	struct easy_to_hard *e = state;

	mem_free(e->sorted);
	mem_free(e->order);
	mem_free(e->levels);
	mem_free(e);
}

static int easy_to_hard_create(const struct curriculum_problems *p, void **state)
{
	struct easy_to_hard *e;
	struct arena         scratch = {0};
	int                  status;

	TRY(easy_to_hard_check(p));
	TRY(mem_take(1, "the curriculum from easy to hard", &e));
	*state = e;
	e->problems = p;
	TRY(mem_take((size_t)p->n, "the order of the problems", &e->order));
	status = sort_levels(e, &scratch);
	arena_free(&scratch);
	return status;
}

/* min(step / steps_per_level, last) */
static int level_of(const struct easy_to_hard *e)
{
	int64_t level = e->step / e->problems->options->steps_per_level;

	return level < e->n_levels ? (int)level : e->n_levels - 1;
}

static void easy_to_hard_pick(void *state, int n, int *picked)
{
	struct easy_to_hard *e = state;
	struct deck         *deck = &e->levels[level_of(e)];

	for (int i = 0; i < n; i++)
		picked[i] = deck_deal(deck);
}

/* The decks share their order, so the next level's first deal shuffles. */
static void easy_to_hard_observe(void *state, const struct curriculum_outcome *outcomes, int n)
{
	struct easy_to_hard *e = state;

	(void)outcomes, (void)n;
	e->step++;
}

static void easy_to_hard_probabilities(void *state, double *P)
{
	const struct easy_to_hard *e = state;
	const struct deck         *deck = &e->levels[level_of(e)];
	const struct arms         *arms = e->problems->arms;

	memset(P, 0, (size_t)arms->n * sizeof *P);
	for (int i = 0; i < deck->n; i++)
		P[arms->of[deck->members[i]]]++;
	for (int a = 0; a < arms->n; a++)
		P[a] /= deck->n;
}

static int easy_to_hard_save(const void *state, struct arena *scratch, json_t *object)
{
	const struct easy_to_hard *e = state;
	int64_t                   *position;

	TRY(arena_take(scratch, (size_t)e->n_levels, "the positions of the decks", &position));
	for (int l = 0; l < e->n_levels; l++)
		position[l] = e->levels[l].position;
	TRY(numbers_save_int(object, "positions", position, e->n_levels));
	if (json_object_set_new(object, "step", json_integer(e->step)) != 0)
		return error_memory("the state of the curriculum");
	return OK;
}

static int easy_to_hard_load(void *state, struct arena *scratch, const char *place,
                             const json_t *object)
{
	struct easy_to_hard *e = state;
	int64_t             *position;

	TRY(arena_take(scratch, (size_t)e->n_levels, "the positions of the decks", &position));
	TRY(numbers_load_int(place, object, "positions", DECK_POSITION_MAX, e->n_levels, position));
	TRY(json_get_int(place, object, "step", JSON_REQUIRED, json_range(0, DECK_POSITION_MAX),
	                 &e->step));
	for (int l = 0; l < e->n_levels; l++) {
		e->levels[l].position = position[l];
		e->levels[l].shuffled = 0;
	}
	return OK;
}

static int easy_to_hard_metrics(const void *state, json_t *object)
{
	const struct easy_to_hard *e = state;

	if (json_object_set_new(object, "curriculum/level", json_integer(level_of(e) + 1)) != 0)
		return error_memory("the metrics of the curriculum");
	return OK;
}

const struct curriculum_kind curriculum_easy_to_hard = {
        .name = "easy_to_hard",
        .help = "level by level, so many steps each",
        .create = easy_to_hard_create,
        .destroy = easy_to_hard_destroy,
        .pick = easy_to_hard_pick,
        .observe = easy_to_hard_observe,
        .probabilities = easy_to_hard_probabilities,
        .save = easy_to_hard_save,
        .load = easy_to_hard_load,
        .metrics = easy_to_hard_metrics,
};
