/* guidance.h - help for problems on which the model fails: completions sampled under a hint,
 * learned without it (Guide, arXiv:2506.13923).
 *
 *     plain      K completions of x ~ pi_old(.|x). At most the share trigger_accuracy of them is
 *                right (0: none is), and the problem has a hint h
 *     guided     M completions ~ pi_old(.|x+h), scored by the same verifier
 *     form       makes one group of the two, which is what advantages, dynamic sampling and updates
 *                see
 *
 *         replace   the M guided completions (the released code). Kept when some of them are right
 *                   and some are not
 *         mixed     the K plain and the M guided completions (the paper, as reported). Kept when a
 *                   guided completion is right
 *         mixin     the M guided completions, the wrong ones overwritten by wrong plain ones in
 *                   turn (in the code, unused). Kept as mixed
 *
 *     A group that is not kept stays as it was sampled. Accuracy is the share of right completions;
 *     partial credit does not count (record.h).
 *
 * A guided completion is trained under x: the hint is in none of the ids that the gradient is taken
 * on. Its ratio, token by token, is
 *
 *     r_t = pi(o_t | x, o_<t) / pi_old(o_t | x, h, o_<t)
 *
 * whose denominator is the log-probability recorded while sampling: exact, so no second pass
 * computes it. The ratio is not 1 before any update; how it is kept in bounds is a rule of its own,
 * guided_clip in objective.h. For an ablation the denominator can be pi_old(o_t | x, o_<t), as if
 * the completions had been sampled without the hint: one pass over the guided rows, and the ratio
 * is 1 before any update (plain_denominator in learn.h).
 *
 * Metrics, the curriculum and the diagnosis go by the plain completions; guided tokens count in
 * num_tokens. Guided completions have random keys of their own purpose, so a step without failed
 * groups is bit for bit a step without guidance. */
#ifndef RL_GUIDANCE_H
#define RL_GUIDANCE_H

#include "base/option.h"
#include "rl/rollout.h"

enum guidance_form { GUIDANCE_REPLACE, GUIDANCE_MIXED, GUIDANCE_MIXIN };

struct guidance_options {         /* beside those that bound guided rows (algorithm.h) */
	int                guide; /* 0: no guidance */
	enum guidance_form form;
	double             trigger_accuracy;
	int                num_guided; /* 0: as many as plain ones */
	const char *template;
	int plain_denominator;
};
extern const struct choice       guidance_forms[];
extern const struct option_table guidance_options_table; /* the room guidance */

struct guidance {
	int                num_generations; /* M; 0: no guidance */
	enum guidance_form form;
	double             trigger_accuracy;
	/* x+h of each training problem, by its number; contexts[i].n is 0 where there is no hint */
	struct prompts hinted;
};

struct guidance_stats {      /* sums over the groups of a step */
	double failed;       /* at most trigger_accuracy */
	double without_hint; /* of those, not to be helped */
	double kept;         /* groups that became another one */
	/* guided ones; all of them, kept or not; tokens that the model wrote */
	double completions, right, tokens;
	double seen; /* their tokens with those of their prompts */
};

/* Whether the completions failed. A group with one of which it is unknown did not. */
int guidance_failed(const struct guidance *g, const struct group *plain);

/* Guided completions for the picked problems, unscored: as rollout_sample, under x+h and trained
 * under x, which is the prompt of the picks. */
int guidance_sample(const struct guidance *g, struct decoder *d, const struct rollout_sampling *o,
                    const struct rollout_picks *picks, struct arena *a, struct groups *guided);

/* Writes the group of the form from both, once scored; *kept = 0 and *out = *plain when there is
 * nothing to learn from the guided completions. */
int guidance_merge(const struct guidance *g, const struct group *plain, const struct group *guided,
                   struct arena *a, struct group *out, int *kept);

#endif
