#include "world/environment.h"

#include "base/error.h"
#include "base/json.h"
#include "data/dataset.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct environment_kind *const table[] = {&environment_nav, &environment_household,
                                                       &environment_shop};

enum { N_ROWS = sizeof table / sizeof table[0], ORACLE_TURNS_MAX = 1000 };

const struct environment_kind *environment_at(int i)
{
	return i >= 0 && i < N_ROWS ? table[i] : NULL;
}

void observation_add(struct observation *o, const char *format, ...)
{
	va_list list;
	int     n;

	va_start(list, format);
	n = vsnprintf(o->text + o->n, sizeof o->text - o->n, format, list);
	va_end(list);
	assert(n >= 0 && o->n + (size_t)n < sizeof o->text);
	o->n += (size_t)n;
}

/* ---- opening ---- */

/* How many actions the oracle takes, played on a copy. */
static int oracle_turns(const struct environment_kind *kind, const void *state, void *copy)
{
	double reward = 0;

	memcpy(copy, state, kind->state_bytes);
	for (int turn = 1; turn < ORACLE_TURNS_MAX; turn++) {
		struct observation o = {.n = 0};
		char               action[ACTION_MAX];
		kind->oracle(copy, action);
		if (kind->step(copy, action, strlen(action), &o, &reward)) {
			assert(reward == 1);
			return turn;
		}
	}
	assert(!"an oracle that never arrives");
	return ORACLE_TURNS_MAX;
}

int environment_new(const struct environment_kind *kind, struct environment_key key,
                    struct arena *a, struct environment *out)
{
	int               level = key.level;
	struct rng_stream s = {.key = {.seed = key.seed,
	                               .purpose = RNG_GENERATE,
	                               .step = (uint32_t)level,
	                               .item = key.index,
	                               .sample = 2 * key.draw}};
	void             *copy;
	int               turns;

	*out = (struct environment){.kind = kind};
	TRY(arena_take_bytes(a, 1, kind->state_bytes, "a world", &copy));
	TRY(arena_take_bytes(a, 1, kind->state_bytes, "a world", &out->state));
	if (level < kind->level_min || level > kind->level_max)
		return error_set(ERR_INPUT, "the environment %s has levels %d to %d, not %d",
		                 kind->name, kind->level_min, kind->level_max, level);
	kind->reset(out->state, level, &s);
	turns = oracle_turns(kind, out->state, copy);
	out->turns_max = turns + turns / 8 + 2;
	return OK;
}

static const char *environment_name_at(int i)
{
	return i < N_ROWS ? table[i]->name : NULL;
}

/* The world that the row's "environment" names: it is computed again from kind, level, seed,
 * index and draw. */
static int open_row(const char *place, const json_t *row, struct arena *a, struct environment *out)
{
	const json_t *e = dataset_column(row, "environment");
	const char   *name;
	int64_t       level, seed, index, draw = 0;

	if (!json_is_object(e))
		return error_set(ERR_INPUT,
		                 "%s: its row has no column \"environment\" with kind, level, seed "
		                 "and index",
		                 place);
	TRY(json_get_text(place, e, "kind", JSON_REQUIRED, &name));
	TRY(json_get_int(place, e, "level", JSON_REQUIRED, json_range(INT32_MIN, INT32_MAX),
	                 &level));
	TRY(json_get_int(place, e, "seed", JSON_REQUIRED, json_range(INT64_MIN, INT64_MAX), &seed));
	TRY(json_get_int(place, e, "index", JSON_REQUIRED, json_range(0, UINT32_MAX), &index));
	TRY(json_get_int(place, e, "draw", JSON_OPTIONAL, json_range(0, ENVIRONMENT_DRAWS_MAX),
	                 &draw));
	for (int i = 0; i < N_ROWS; i++)
		if (!strcmp(table[i]->name, name))
			return environment_new(table[i],
			                       (struct environment_key){.level = (int)level,
			                                                .seed = (uint64_t)seed,
			                                                .index = (uint32_t)index,
			                                                .draw = (uint32_t)draw},
			                       a, out);
	error_unknown("environment", name, environment_name_at);
	return error_context("%s", place);
}

int environment_open(const struct problem *p, struct arena *a, struct environment *out)
{
	const char *id = p->id ? p->id : "the problem", *text = p->row ? p->row : "{}";
	json_t     *row;
	int         status;

	TRY(json_parse(id, text, strlen(text), &row));
	status = open_row(id, row, a, out);
	json_decref(row);
	return status;
}

int environment_has(const struct problem *p)
{
	json_t *row = NULL;
	int     has;

	if (!p->row || !strstr(p->row, "\"environment\"") ||
	    json_parse("row", p->row, strlen(p->row), &row) != OK)
		return 0;
	has = json_is_string(json_object_get(dataset_column(row, "environment"), "kind"));
	json_decref(row);
	return has;
}

/* ---- playing ---- */

/* No action of any kind is longer than ACTION_MAX or has bytes other than letters and digits. */
static int is_action(const char *action, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((action[i] >= 'a' && action[i] <= 'z') ||
		      (action[i] >= 'A' && action[i] <= 'Z') ||
		      (action[i] >= '0' && action[i] <= '9')))
			return 0;
	return n > 0 && n < ACTION_MAX;
}

void environment_step(struct environment *e, const char *action, size_t n, struct observation *out)
{
	double reward = 0;

	assert(!e->done);
	*out = (struct observation){.n = 0};
	if (n && action[n - 1] == '\n')
		n--;
	if (is_action(action, n))
		e->done = e->kind->step(e->state, action, n, out, &reward);
	else
		observation_add(out, "<?>");
	if (e->done)
		e->reward = reward;
	e->turns++;
	e->done |= e->turns >= e->turns_max;
	if (e->done)
		*out = (struct observation){.n = 0};
}

static void piece(struct environment_piece *pieces, int *n_pieces, int observation, size_t first,
                  size_t end)
{
	if (first == end)
		return;
	if (pieces)
		pieces[*n_pieces] = (struct environment_piece){observation, first, end - first};
	++*n_pieces;
}

int environment_read(struct environment *e, const char *text, size_t n, struct arena *a,
                     struct environment_piece **pieces, int *n_pieces)
{
	struct environment_piece *list = NULL;
	int                       count = 0;
	size_t                    at = 0;

	if (pieces)
		TRY(arena_take(a, 2 * (size_t)e->turns_max + 2, "the turns of an episode", &list));
	while (!e->done) {
		const char        *end = n > at ? memchr(text + at, '\n', n - at) : NULL;
		size_t             next = end ? (size_t)(end - text) + 1 : n;
		struct observation o;
		if (!end)
			break;
		environment_step(e, text + at, next - at, &o);
		piece(list, &count, 0, at, next);
		at = next;
		if (n - at < o.n || memcmp(text + at, o.text, o.n) != 0)
			break;
		piece(list, &count, 1, at, at + o.n);
		at += o.n;
	}
	piece(list, &count, 0, at, n);
	if (pieces) {
		*pieces = list;
		*n_pieces = count;
	}
	return OK;
}
