/* problems.h - the problems of a run, from the files and generators that its config names: read,
 * mixed, and looked over.
 *
 *     source     one file of data.train or data.eval, or one row of data.generate or
 *                data.eval_generate; they stand in the order files, generators
 *     problems   those of all sources, one source behind the other; problem.source says which
 *
 *     mixture    when the sources have weights: prompts that stand in the list more than once, in
 *                fixed shares (data/mixture.h). All sources have a weight or none; without, each
 *                problem stands there once
 *
 * A set keeps its sources: every text of a problem lives there. */
#ifndef RL_PROBLEMS_H
#define RL_PROBLEMS_H

#include "data/dataset.h"
#include "rl/job_config.h"
#include "rl/prompts.h"
#include "verify/verifier.h"

struct problem_source {
	/* of the row, or the file's name up to its first dot, with its folders where two are the
	 * same; of a generator its name */
	const char    *name;
	const char    *file;     /* NULL: generated */
	double         weight;   /* 0: none */
	const char    *verifier; /* of its problems; NULL: the run's */
	struct dataset data;
	/* problems whose prompts are used; places that they have in the list of prompts */
	int n, entries;
};

struct unreadable {                     /* a problem that was left out */
	const char *id, *reason, *file; /* file NULL: it was generated */
	int         line;
};

struct problem_set {
	struct problem_source *sources; /* [n_sources] in the arena */
	int                    n_sources;
	struct problem        *problems; /* [n] in the arena */
	int                    n;
	struct unreadable     *unreadable; /* [n_unreadable] whose gold the verifier cannot use */
	int                    n_unreadable;
	struct prompts         prompts; /* from problems_render on */
};

/* data.max_problems bounds the training problems in all, data.eval_max_problems those of each
 * held-out source. ERR_INPUT when a file cannot be read, when two problems of a set have the same
 * id, and when there is nothing to train on. Free with problems_free in any case. */
int  problems_read_train(const struct job_config *c, struct arena *a, struct problem_set *out);
int  problems_read_eval(const struct job_config *c, struct arena *a, struct problem_set *out);
void problems_free(struct problem_set *set);

/* The verifiers that sources have of their own. */
int problems_add_verifiers(const struct problem_set *set, struct reward_spec *spec);

/* Leaves problems out that a verifier cannot use, when data.unreadable_answers is drop; otherwise
 * they are the error, counted, the first one in full. The second spec may be NULL. ERR_INPUT, too,
 * when none is left. */
int problems_check(const struct job_config *c, const struct reward_spec *spec,
                   const struct reward_spec *other, struct arena *a, struct problem_set *set);

/* The prompts as the model sees them; of a set without problems none. */
int problems_render(const struct prompts_options *o, struct arena *a, struct problem_set *set);

/* prompts_leave_out, before they are mixed. */
int problems_leave_out(const struct prompts_options *o, const int *tokens, struct arena *a,
                       struct problem_set *set);

/* Lays the prompts out in the shares that the weights of the sources ask for; without weights they
 * stay as they are. */
int problems_mix(const struct job_config *c, struct arena *a, struct problem_set *set);
int problems_weighted(const struct problem_set *set);

/* How the config wants prompts: data.chat and what stands beside it, and as long as
 * data.max_prompt_length and the model's positions allow. */
struct prompts_options problems_prompts(const struct job_config *c, const struct tokenizer *t,
                                        int n_positions);

/* ERR_INPUT where data.system_prompt or data.chat_template_kwargs is set and no prompt of the two
 * sets takes it: they are texts outside of any chat template, or, for the first, begin with a
 * system message of their own. `other` may be NULL. */
int problems_check_chat(const struct job_config *c, const struct prompts_options *o,
                        const struct problem_set *set, const struct problem_set *other);

#endif
