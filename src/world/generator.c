#include "world/generator.h"

#include "base/error.h"
#include "base/fingerprint.h"
#include "data/overlap.h"
#include "world/environment.h"
#include "world/generate.h"

#include <math.h>
#include <string.h>

#define DIGITS "0123456789"

static const struct generator table[] = {
        {"addition", "two numbers of LEVEL digits, added column by column", "digits", 1, 12,
         DIGITS "+=,#", "numeric", generate_addition, NULL},
        {"countdown", "reach a target with LEVEL numbers, each used once", "numbers", 2, 6,
         DIGITS "+-*/()=,>:#", "countdown", generate_countdown, NULL},
        {"knights_knaves", "LEVEL people, each a knight or a knave, in signs", "people", 2,
         KNIGHTS_GENERATED_MAX, "ABCDEFGHIJKLMNabcdefghijklmn01:,?!&|>=()+-#", "knights_knaves",
         generate_knights, generate_knights_convert},
        {"knights_words", "the same puzzles in words", "people", 2, KNIGHTS_GENERATED_MAX,
         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" DIGITS " ,.:?\"()\n",
         "knights_knaves", generate_knights_words, NULL},
        {"sequence", "LEVEL more numbers of an arithmetic progression modulo 9", "numbers", 1, 9,
         DIGITS ",:", "sequence", generate_sequence, NULL},
        {"nav", "a corridor of LEVEL rooms, keys and doors, in turns", "rooms", 1, 12,
         DIGITS "abcdefkr :+-.!?<>\n", "environment", generate_nav, NULL},
        {"household", "find, treat and put away, in turns", "step of size", 1, 6,
         DIGITS "ABCDabcdefghoptwg :+-*=!?<>\n", "environment", generate_household, NULL},
        {"shop", "search a catalogue and buy what is wanted, in turns", "step of wishes", 1, 6,
         DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXabcdrgbwmnosiy +-!?<>\n", "environment", generate_shop,
         NULL},
};

enum {
	N_ROWS = sizeof table / sizeof table[0],
	/* of one problem: a part that holds one content in a hundred is missed with a chance of
	 * 4e-5 */
	DRAWS_MAX = 1000,
	MISSES_MAX = 4000 /* problems in a row that stand in the set already */
};

const struct generator *generator_at(int i)
{
	return i >= 0 && i < N_ROWS ? &table[i] : NULL;
}

static const char *generator_name_at(int i)
{
	return i < N_ROWS ? table[i].name : NULL;
}

int generator_find(const char *name, const struct generator **out)
{
	*out = NULL;
	for (int i = 0; i < N_ROWS; i++)
		if (!strcmp(table[i].name, name)) {
			*out = &table[i];
			return OK;
		}
	return error_unknown("generator", name, generator_name_at);
}

int generator_converter(const char *name, dataset_convert **out)
{
	const struct generator *g;

	*out = NULL;
	if (!name)
		return OK;
	TRY(generator_find(name, &g));
	*out = g->convert;
	return *out ? OK
	            : error_set(ERR_INPUT,
	                        "data.convert: \"%s\" knows no published rows; only knights_knaves "
	                        "does",
	                        name);
}

static int check_level(const struct generator *g, int level)
{
	if (level >= g->level_min && level <= g->level_max)
		return OK;
	return error_set(ERR_INPUT, "%s has levels %d to %d (%s), not %d", g->name, g->level_min,
	                 g->level_max, g->level, level);
}

static int is_held_out(uint64_t content)
{
	return rng_below((struct rng_key){.seed = content, .purpose = RNG_HELD_OUT}, 0,
	                 GENERATOR_HELD_OUT_OF) == 0;
}

/* Draws until the problem lies in the part asked for; gives back the memory of those that do
 * not. */
static int draw_from_part(const struct generator *g, const struct generator_request *q,
                          struct arena *a, struct problem *out)
{
	const struct problem empty = *out;

	for (struct generator_request draw = *q; draw.draw < DRAWS_MAX; draw.draw++) {
		struct arena_mark mark = arena_mark(a);
		uint64_t          content;
		TRY(g->make(&draw, a, out, &content));
		if (is_held_out(content) == q->held_out)
			return OK;
		arena_release(a, mark);
		*out = empty;
	}
	return error_set(ERR_INPUT, "%s of level %d has no %s problems: take another level",
	                 g->name, q->level, q->held_out ? "held-out" : "training");
}

int generator_make(const struct generator *g, const struct generator_request *q, struct arena *a,
                   struct problem *out)
{
	*out = (struct problem){.difficulty = q->level};
	TRY(check_level(g, q->level));
	TRY(arena_print(a, &out->id, "%s/%d/%llu/%u", g->name, q->level,
	                (unsigned long long)q->seed, q->index));
	TRY(arena_print(a, &out->category, "%s/%d", g->name, q->level));
	TRY(draw_from_part(g, q, a, out));
	if (!environment_has(out)) /* there the same words may be said of another world */
		overlap_mark(out);
	return OK;
}

/* ---- data sets ---- */

/* what stands in a held-out set already: an open hash table, at most half full */
struct seen {
	uint64_t *slot; /* [size] 0: free */
	uint64_t  size;
};

/* Of the prompt; and of the oracle's episode, where several worlds begin with the same
 * observation. */
static uint64_t number_of(const struct problem *p)
{
	uint64_t h = fingerprint_text(FINGERPRINT_EMPTY, p->prompt);

	return environment_has(p) ? fingerprint_text(h, p->answer) : h;
}

/* 1 when it was there already. */
static int add_seen(struct seen *s, uint64_t number)
{
	uint64_t i = number % s->size;

	number += number == 0;
	while (s->slot[i] && s->slot[i] != number)
		i = (i + 1) % s->size;
	if (s->slot[i])
		return 1;
	s->slot[i] = number;
	return 0;
}

static int count_level(const struct dataset *d, int level)
{
	int n = 0;

	for (int i = 0; i < d->n; i++)
		n += d->problems[i].difficulty == level;
	return n;
}

/* The problem of index *next, or of the first one behind it that is not in the set yet; *next is
 * then the index behind that. */
static int generator_add_problem(const struct generator *g, struct generator_request *q,
                                 struct seen *seen, struct dataset *out)
{
	for (int misses = 0; misses < MISSES_MAX && q->index < UINT32_MAX; misses++) {
		struct arena_mark mark = arena_mark(&out->arena);
		struct problem    p;
		TRY(generator_make(g, q, &out->arena, &p));
		q->index++;
		if (!q->held_out || !add_seen(seen, number_of(&p))) {
			out->problems[out->n++] = p;
			return OK;
		}
		arena_release(&out->arena, mark);
	}
	return error_set(ERR_INPUT,
	                 "%s of level %d has only %d different held-out problems (about a quarter "
	                 "of its problems), and more are "
	                 "asked for: lower count, or give this level a row of its own",
	                 g->name, q->level, count_level(out, q->level));
}

static int generator_fill(const struct generator *g, const struct generator_range *r,
                          struct dataset *out)
{
	struct generator_request q = {.seed = r->seed,
	                              .index = r->first,
	                              .error_rate = r->error_rate,
	                              .held_out = r->held_out};
	struct seen              seen = {.size = r->held_out ? 2 * (uint64_t)r->count : 0};
	int                      levels = r->level_max - r->level_min + 1, status = OK;

	TRY(mem_take((size_t)r->count, "the problems", &out->problems));
	TRY(mem_take((size_t)seen.size, "the problems that are held out", &seen.slot));
	while (status == OK && out->n < r->count) {
		q.level = r->level_min + out->n % levels;
		status = generator_add_problem(g, &q, &seen, out);
	}
	mem_free(seen.slot);
	return status;
}

int generator_dataset(const struct generator *g, const struct generator_range *r,
                      struct dataset *out)
{
	int status;

	*out = (struct dataset){0};
	TRY(check_level(g, r->level_min));
	TRY(check_level(g, r->level_max));
	if (r->level_min > r->level_max)
		return error_set(ERR_INPUT, "levels %d to %d: the first is larger", r->level_min,
		                 r->level_max);
	if (r->count < 1 || (uint64_t)r->first + (uint64_t)r->count > UINT32_MAX)
		return error_set(ERR_INPUT,
		                 "%d problems from index %u: there must be one or more, with "
		                 "indices below 2^32",
		                 r->count, r->first);
	if (!(r->error_rate >= 0 && r->error_rate <= 1))
		return error_set(ERR_INPUT, "an error rate of %g: it must be from 0 to 1",
		                 r->error_rate);
	status = generator_fill(g, r, out);
	if (status != OK)
		dataset_free(out);
	return status;
}

/* ---- shared by the generators ---- */

static struct rng_stream stream(const struct generator_request *q, uint32_t sample)
{
	return (struct rng_stream){.key = {.seed = q->seed,
	                                   .purpose = RNG_GENERATE,
	                                   .step = (uint32_t)q->level,
	                                   .item = q->index,
	                                   .sample = 2 * q->draw + sample}};
}

struct rng_stream generate_puzzle_stream(const struct generator_request *q)
{
	return stream(q, 0);
}

struct rng_stream generate_error_stream(const struct generator_request *q)
{
	return stream(q, 1);
}

int generate_content(const char *family, struct text *t, uint64_t *content)
{
	int status = text_status(t);

	*content =
	        fingerprint_text(fingerprint_text(FINGERPRINT_EMPTY, family), t->n ? t->data : "");
	text_free(t);
	return status;
}

int generate_errs(struct rng_stream *errors, double rate)
{
	return rng_next_double(errors) < rate;
}

int generate_take(int status, struct arena *a, struct text *t, const char **out)
{
	if (status == OK)
		status = text_status(t);
	if (status == OK)
		status = arena_copy(a, t->n ? t->data : "", t->n, out);
	text_free(t);
	return status;
}

int generate_worked(int status, struct arena *a, struct text *worked, struct problem *out)
{
	const char **list = NULL;

	if (status == OK)
		status = arena_take(a, 1, "a worked solution", &list);
	TRY(generate_take(status, a, worked, list));
	out->demonstrations = list;
	out->n_demonstrations = 1;
	return OK;
}
