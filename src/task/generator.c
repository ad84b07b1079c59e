#include "task/generator.h"

#include "base/error.h"
#include "task/environment.h"
#include "task/generate.h"
#include "task/overlap.h"

#include <math.h>
#include <string.h>

#define DIGITS "0123456789"

static const struct generator table[] = {
        {"addition", "two numbers of LEVEL digits, added column by column", "digits", 1, 12, DIGITS "+=,#", "numeric", generate_addition,
         NULL},
        {"countdown", "reach a target with LEVEL numbers, each used once", "numbers", 2, 6, DIGITS "+-*/()=,>:#", "countdown",
         generate_countdown, NULL},
        {"knights_knaves", "LEVEL people, each a knight or a knave, in signs", "people", 2, KNIGHTS_GENERATED_MAX,
         "ABCDEFGHIJKLMNabcdefghijklmn01:,?!&|>=()+-#", "knights_knaves", generate_knights, generate_knights_convert},
        {"knights_words", "the same puzzles in words", "people", 2, KNIGHTS_GENERATED_MAX,
         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" DIGITS " ,.:?\"()\n", "knights_knaves", generate_knights_words, NULL},
        {"sequence", "LEVEL more numbers of an arithmetic progression modulo 9", "numbers", 0, 9, DIGITS ",:", "sequence",
         generate_sequence, NULL},
        {"nav", "a corridor of LEVEL rooms, keys and doors, in turns", "rooms", 1, 12, DIGITS "abcdefkr :+-.!?<>\n", "environment",
         generate_nav, NULL},
        {"household", "find, treat and put away, in turns", "step of size", 1, 6, DIGITS "ABCDabcdefghoptwg :+-*=!?<>\n", "environment",
         generate_household, NULL},
        {"shop", "search a catalogue and buy what is wanted, in turns", "step of wishes", 1, 6,
         DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXabcdrgbwmnosiy +-!?<>\n", "environment", generate_shop, NULL},
};

enum { N_ROWS = sizeof table / sizeof table[0] };

const struct generator *generator_at(int i)
{
	return i >= 0 && i < N_ROWS ? &table[i] : NULL;
}

static const char *name_at(int i)
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
	return error_unknown("generator", name, name_at);
}

static int check_level(const struct generator *g, int level)
{
	if (level >= g->level_min && level <= g->level_max)
		return OK;
	return error_set(ERR_INPUT, "%s has levels %d to %d (%s), not %d", g->name, g->level_min, g->level_max, g->level, level);
}

int generator_make(const struct generator *g, const struct generator_request *q, struct arena *a, struct problem *out)
{
	*out = (struct problem){.difficulty = q->level};
	TRY(check_level(g, q->level));
	out->id = arena_format(a, "%s/%d/%llu/%u", g->name, q->level, (unsigned long long)q->seed, q->index);
	out->category = arena_format(a, "%s/%d", g->name, q->level);
	if (!out->id || !out->category)
		return ERR_INPUT;
	TRY(g->make(q, a, out));
	if (!environment_has(out)) /* there the same words may be said of another world */
		overlap_mark(out);
	return OK;
}

static int fill(const struct generator *g, const struct generator_range *r, struct dataset *out)
{
	int levels = r->level_max - r->level_min + 1;

	out->problems = mem_alloc((size_t)r->count, sizeof out->problems[0], "the problems");
	if (!out->problems)
		return ERR_INPUT;
	for (; out->n < r->count; out->n++) {
		struct generator_request q = {.level = r->level_min + out->n % levels,
		                              .seed = r->seed,
		                              .index = r->first + (uint32_t)out->n,
		                              .error_rate = r->error_rate};
		TRY(generator_make(g, &q, &out->arena, &out->problems[out->n]));
	}
	return OK;
}

int generator_dataset(const struct generator *g, const struct generator_range *r, struct dataset *out)
{
	int status;

	*out = (struct dataset){0};
	TRY(check_level(g, r->level_min));
	TRY(check_level(g, r->level_max));
	if (r->level_min > r->level_max)
		return error_set(ERR_INPUT, "levels %d to %d: the first is larger", r->level_min, r->level_max);
	if (r->count < 1 || (uint64_t)r->first + (uint64_t)r->count > UINT32_MAX)
		return error_set(ERR_INPUT, "%d problems from index %u: there must be one or more, with indices below 2^32", r->count,
		                 r->first);
	if (!(r->error_rate >= 0 && r->error_rate <= 1))
		return error_set(ERR_INPUT, "an error rate of %g: it must be from 0 to 1", r->error_rate);
	status = fill(g, r, out);
	if (status != OK)
		dataset_free(out);
	return status;
}

/* ---- shared by the generators ---- */

static struct rng_stream stream(const struct generator_request *q, uint32_t sample)
{
	return (struct rng_stream){
	        .key = {.seed = q->seed, .purpose = RNG_GENERATE, .step = (uint32_t)q->level, .item = q->index, .sample = sample}};
}

struct rng_stream generate_puzzle_stream(const struct generator_request *q)
{
	return stream(q, 0);
}

struct rng_stream generate_error_stream(const struct generator_request *q)
{
	return stream(q, 1);
}

int generate_errs(struct rng_stream *errors, double rate)
{
	return rng_next_double(errors) < rate;
}

int generate_take(struct arena *a, struct text *t, const char **out)
{
	int status = text_status(t);

	*out = status == OK ? arena_text(a, t->n ? t->data : "", t->n) : NULL;
	text_free(t);
	return *out ? OK : ERR_INPUT;
}

int generate_worked(struct arena *a, struct text *worked, struct problem *out)
{
	const char **list = arena_alloc(a, 1, sizeof *list);

	if (!list) {
		text_free(worked);
		return ERR_INPUT;
	}
	TRY(generate_take(a, worked, list));
	out->demonstrations = list;
	out->n_demonstrations = 1;
	return OK;
}
