/* generate.h - what the generators share. Private to src/world; generator.h describes the texts. */
#ifndef WORLD_GENERATE_H
#define WORLD_GENERATE_H

#include "base/file.h"
#include "base/rng.h"
#include "world/generator.h"
#include "world/knights.h"

/* *content: a number for what the prompt means, the same for two problems that a model would solve
 * as one (generate_content). */
#define GENERATE(name) \
	int name(const struct generator_request *q, struct arena *a, struct problem *out, \
	         uint64_t *content)

GENERATE(generate_addition);
GENERATE(generate_countdown);
GENERATE(generate_knights);
GENERATE(generate_knights_words);
GENERATE(generate_sequence);
GENERATE(generate_nav);
GENERATE(generate_household);
GENERATE(generate_shop);
int generate_knights_convert(const char *place, const json_t *row, struct arena *a,
                             struct problem *out);

/* The number of a text that says what a problem of this family asks; frees the text. */
int generate_content(const char *family, struct text *t, uint64_t *content);

/* Two streams of random numbers for each draw of a problem: what it is, and where its worked
 * solution errs. */
struct rng_stream generate_puzzle_stream(const struct generator_request *q);
struct rng_stream generate_error_stream(const struct generator_request *q);
int               generate_errs(struct rng_stream *errors, double rate);

/* Moves a text into the arena and frees it. `status` is that of the work so far: an error is
 * returned as it is, and the text only freed. So one line after another can end a generator. */
int generate_take(int status, struct arena *a, struct text *t, const char **out);

/* The same for the only demonstration. */
int generate_worked(int status, struct arena *a, struct text *worked, struct problem *out);

#endif
