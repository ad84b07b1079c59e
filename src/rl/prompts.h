/* prompts.h - the problems of a data set as the model sees them: rendered and tokenized once, before the first step.
 *
 *     text       the problem's prompt, with what the tokenizer's post-processor puts around it (a leading <s>, say); of a list of messages what the
 *                model's chat template makes of them, ready for an answer, and nothing around it (model/chat.h)
 *     ids        what every step uses; text is never tokenized again
 *
 * A prompt that is longer than the limit is left out, counted and named; it is never cut. */
#ifndef RL_PROMPTS_H
#define RL_PROMPTS_H

#include "model/tokenizer.h"
#include "rl/record.h"
#include "task/problem.h"

struct prompts {
	int                    n;          /* problems that are used */
	const struct problem **problems;   /* [n] borrowed from the data set */
	struct context        *contexts;   /* [n] in the arena */
	int                    longest;    /* tokens of the longest one */
	int                    n_long;     /* left out */
	const char            *first_long; /* id of the first of them, or NULL */
};

/* ERR_INPUT when no problem is left, or a prompt cannot be rendered (its id is named). */
int prompts_render(const struct problem *problems, int n, const struct tokenizer *t, int max_prompt_length, struct arena *a,
                   struct prompts *out);

/* The same problems with their hints: contexts [plain->n], of 0 tokens where a problem has none or the whole is too long. In the template {prompt} and
 * {hint} stand for themselves; of a list of messages {prompt} is the last one's content, in whose place the whole is put. ERR_INPUT when one of the two is
 * missing in the template, or no problem can be hinted at. */
int prompts_hinted(const struct prompts *plain, const char *template, const struct tokenizer *t, int max_prompt_length, struct arena *a,
                   struct prompts *out);

#endif
