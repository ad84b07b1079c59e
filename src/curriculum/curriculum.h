/* curriculum.h - which problems next.
 *
 * A method sees problem numbers, the arms they belong to, difficulties and outcomes; never a
 * prompt, a completion or a weight. The loop of a step:
 *
 *     curriculum_pick       n problem numbers; again in the same step when dynamic sampling
 *                           rejected some
 *     curriculum_observe    once: what came of all of them, those that were rejected too
 *     curriculum_metrics    what was drawn and what came of it, arm by arm (arm_stats.h)
 *
 * An arm is a group of problems between which a method does not distinguish: a category, a level,
 * or each pair of them (curriculum.categories). Outcomes come from training problems alone.
 * Evaluation never calls curriculum_observe, so nothing of held-out problems can steer what is
 * sampled.
 *
 * The advantage of an outcome is, for each completion i, |A_i| of the group-standardised reward
 *
 *     A_i = (R_i - mean) / std,  std unbiased;  0 for all when the rewards are equal or fewer than
 *                                               two are usable;  NaN where R_i is unusable
 *
 * of the verifiers' rewards, before filtering, overlong shaping, KL and whitening, whatever
 * algorithm trains on the group. sec and dump were published with GRPO, whose advantage this is; it
 * is the same on every token of a completion, so that the mean over its tokens of |A_t| is |A_i|.
 * Other algorithms have other scales (without std the same group gives about half as much;
 * whitening gives 0.8 to all arms together), under which the published temperatures would mean
 * something else.
 *
 * All state is a few named numbers: curriculum_save gives them as JSON, curriculum_load takes them
 * back, and the picks that follow are the same as if nothing had happened in between. Chance is
 * keyed (rng.h) by the seed and by numbers in that state, so nothing else has to be restored.
 *
 * A pick may name a problem twice (dump does so at any time, the others only where one pass ends
 * and the next begins); each is a group of its own.
 *
 * To add a method: one file with a struct curriculum_kind, one row in curriculum.c. */
#ifndef CURRICULUM_CURRICULUM_H
#define CURRICULUM_CURRICULUM_H

#include "base/memory.h"
#include "base/option.h"

#include <jansson.h>
#include <stdint.h>

/* what is known of a problem before it is tried; its number is its place in the array */
struct curriculum_item {
	const char *arm;        /* name of its arm, borrowed; NULL: "all" */
	double      difficulty; /* NaN: unknown */
};

struct curriculum_outcome { /* of one group */
	int item;
	int n_rollouts;
	/* share of right ones among those that were judged; NaN when none was */
	double        accuracy;
	const double *advantage; /* [n_rollouts] |A_i| as above; NaN: counts nowhere */
};

struct curriculum_options {    /* each method's header says which it reads */
	const char      *kind; /* name of a row of the table in curriculum.c */
	uint64_t         seed;
	struct text_list categories; /* whoever makes the items names their arms after these */
	double           alpha, temperature, exploration;
	int              keep_unsampled, count_prompts, window;
	int              steps_per_level, levels, cumulative, hard_first;
};

extern const struct option_table curriculum_options_table; /* the room curriculum */

struct curriculum;

/* Copies nothing of the items but what the method needs; they must stay valid until
 * curriculum_free. ERR_INPUT: an unknown kind (the message lists those there are), no problems, or
 * a kind that needs more of the items. */
int  curriculum_new(const struct curriculum_options *o, const struct curriculum_item *items, int n,
                    struct curriculum **out);
void curriculum_free(struct curriculum *c); /* NULL is fine */

void curriculum_pick(struct curriculum *c, int n, int *picked /* [n] */);
/* n may be 0: a step without outcomes */
void curriculum_observe(struct curriculum *c, const struct curriculum_outcome *outcomes, int n);

/* *out is an owned object {"kind", "problems", ...}. Loading refuses the state of another kind or
 * of another number of problems, and leaves the curriculum as it was. `place` names the file in
 * messages. */
int curriculum_save(const struct curriculum *c, json_t **out);
int curriculum_load(struct curriculum *c, const char *place, const json_t *state);

/* Adds "curriculum/NAME": number to an object of metrics. */
int curriculum_metrics(const struct curriculum *c, json_t *metrics);

/* Arms by number, in the order of arms.h. curriculum_probabilities writes the probability [arms]
 * that each draw of the next pick takes an arm; 0 when the method has no such number. */
int         curriculum_arms(const struct curriculum *c);
const char *curriculum_arm_name(const struct curriculum *c, int arm);
int         curriculum_probabilities(struct curriculum *c, double *P);

/* Kind by kind, for the config's choices and help; NULL past the last. */
const char *curriculum_kind_name(int i);
const char *curriculum_kind_help(int i);
/* whether it goes by outcomes, so that it is useless without any */
int    curriculum_kind_learns(const char *kind);
double curriculum_kind_temperature(const char *kind); /* its default */

/* ---- for the methods ---- */

struct arms; /* arms.h */

/* what a method starts from; valid as long as the curriculum */
struct curriculum_problems {
	const struct curriculum_item *items; /* [n] */
	int                           n;
	const struct arms            *arms;
	struct curriculum_options    *options;
};

/* State is the method's own struct. create() sets *state before anything can fail, so that
 * destroy() frees what there is after an error, too. save() and metrics() add to an object. What
 * lies in scratch lives until the return. */
struct curriculum_kind {
	const char *name, *help;
	int         learns;
	double      temperature; /* where none is set: that of the released configuration */
	int (*create)(const struct curriculum_problems *p, void **state);
	void (*destroy)(void *state);
	void (*pick)(void *state, int n, int *picked);
	/* or NULL */
	void (*observe)(void *state, const struct curriculum_outcome *outcomes, int n);
	/* or NULL */
	void (*probabilities)(void *state, double *P);
	int (*save)(const void *state, struct arena *scratch, json_t *object);
	/* on an error the state is as before */
	int (*load)(void *state, struct arena *scratch, const char *place, const json_t *object);
	/* or NULL */
	int (*metrics)(const void *state, json_t *object);
};

#endif
