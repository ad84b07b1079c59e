/* curriculum.h - which problems next.
 *
 * A method sees problem numbers, categories, difficulties and outcomes; never a prompt, an answer or a weight. The loop of a step:
 *
 *     curriculum_pick       n problem numbers; again in the same step when dynamic sampling rejected some
 *     curriculum_observe    what came of them
 *
 * All state is a few named numbers: curriculum_save gives them as JSON, curriculum_load takes them back, and the picks that follow are the same as if
 * nothing had happened in between. Chance is keyed (rng.h) by the seed and by numbers in that state, so nothing else has to be restored.
 *
 * A pick may name a problem twice (uniform does so only where one epoch ends and the next begins); each is a group of its own.
 *
 * To add a method: one file with a struct curriculum_kind, one row in curriculum.c. */
#ifndef CURRICULUM_CURRICULUM_H
#define CURRICULUM_CURRICULUM_H

#include <jansson.h>
#include <stdint.h>

struct curriculum_item {      /* what is known of a problem before it is tried; its number is its place in the array */
	const char *category; /* borrowed; or NULL */
	double      difficulty;
};

struct curriculum_outcome { /* of one group */
	int    item;
	int    n_rollouts;
	double reward;    /* mean of the valid ones; NaN when there is none */
	double accuracy;  /* mean; NaN when unknown */
	double advantage; /* mean of |A| over the trained tokens of the group */
};

struct curriculum_options {
	const char *kind; /* name of a row of the table in curriculum.c */
	uint64_t    seed;
};

struct curriculum;

/* Copies nothing of the items but what the method needs; they must stay valid until curriculum_free. n > 0.
 * ERR_INPUT: unknown kind (the message lists those there are), no problems, memory. */
int  curriculum_new(const struct curriculum_options *o, const struct curriculum_item *items, int n, struct curriculum **out);
void curriculum_free(struct curriculum *c); /* NULL is fine */

void curriculum_pick(struct curriculum *c, int n, int *picked /* [n] */);
void curriculum_observe(struct curriculum *c, const struct curriculum_outcome *outcomes, int n);

/* *out is an owned object {"kind", "problems", ...}. Loading refuses the state of another kind or of another number of problems, and leaves
 * the curriculum as it was. `place` names the file in messages. */
int curriculum_save(const struct curriculum *c, json_t **out);
int curriculum_load(struct curriculum *c, const char *place, const json_t *state);

/* Adds "curriculum/NAME": number to an object of metrics. */
int curriculum_metrics(const struct curriculum *c, json_t *metrics);

/* Kind by kind, for the config's choices and help; NULL past the last. */
const char *curriculum_kind_name(int i);
const char *curriculum_kind_help(int i);

/* ---- for the methods ---- */

struct curriculum_problems {                 /* what a method starts from; valid as long as the curriculum */
	const struct curriculum_item *items; /* [n] */
	int                           n;
	uint64_t                      seed;
};

struct curriculum_kind { /* state is the method's own struct, owned by it; save and metrics add to an object; 0 or a status */
	const char *name, *help;
	int (*create)(const struct curriculum_problems *p, void **state);
	void (*destroy)(void *state);
	void (*pick)(void *state, int n, int *picked);
	void (*observe)(void *state, const struct curriculum_outcome *outcomes, int n);
	int (*save)(const void *state, json_t *object);
	int (*load)(void *state, const char *place, const json_t *object);
	int (*metrics)(const void *state, json_t *object);
};

#endif
