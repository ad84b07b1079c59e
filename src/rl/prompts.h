/* prompts.h - the problems of a data set as the model sees them: rendered and tokenized once,
 * before the first step.
 *
 *     text       a string prompt is tokenized with what the tokenizer's post-processor puts around
 *                it (a leading <s>, say). A list of messages goes through the model's chat
 *                template, with nothing around it (text/chat.h). Where the model has a template, a
 *                string prompt becomes the user's message (data.chat). Messages that do not begin
 *                with a system message can be given one (data.system_prompt). Where the last
 *                message is the assistant's, the completion goes on from it
 *     template   sees the messages, the row's tools and chat_template_kwargs, those of the run
 *                where the row has none of that name, and the run's day
 *     ids        what every step uses; text is never tokenized again
 *
 * A prompt that is longer than the limit is left out, counted and named, or an error
 * (data.overlong_prompts); it is never cut. One that leaves less room than a completion may take is
 * counted and named. */
#ifndef RL_PROMPTS_H
#define RL_PROMPTS_H

#include "data/data_options.h"
#include "data/problem.h"
#include "estimator/record.h"
#include "text/tokenizer.h"

struct long_prompt {
	const char *id;
	int         tokens;
};

struct prompts {
	int                    n;        /* problems that are used */
	const struct problem **problems; /* [n] borrowed from the data set */
	struct context        *contexts; /* [n] in the arena */
	int                    longest;  /* tokens of the longest one */
	struct long_prompt    *longs;    /* [n_long] those left out */
	/* worked_too: some are too long only with their worked completions */
	int n_long, worked_too;
	/* [n_tight] those that leave fewer positions than wanted; their tokens are what is left */
	struct long_prompt *tights;
	int                 n_tight;
	/* the model's, and tokens of a completion; 0: nobody asked */
	int positions, wanted;

	const char *shown; /* [n_shown] the first prompt, decoded again with its special tokens */
	size_t      n_shown;
	const char *manner; /* how texts became prompts: "in the model's chat template" */
};

struct prompts_options {
	const struct tokenizer *tokenizer;
	int                     max_prompt_length;
	int                     refuse_long; /* a longer prompt is an error */
	enum data_chat          chat;
	const char             *system; /* NULL: none */
	/* JSON text of an object: variables of the chat template; NULL: none */
	const char *kwargs;
	/* "2024-07-26", which templates are told; NULL: none */
	const char *day;
	/* of the model; tokens of a completion. 0: nothing is said of room */
	int positions, wanted;
};

/* ERR_INPUT when no problem is left, or a prompt cannot be rendered (its id is named). */
int prompts_render(const struct problem *problems, int n, const struct prompts_options *o,
                   struct arena *a, struct prompts *out);

/* ADDS ": 12 left out, their prompts being too long: a (900 tokens), b (513), ..."; nothing when
 * there are none. */
void prompts_add_longs(const struct prompts *p, struct text *out);

/* Leaves out those [p->n] whose tokens are not 0: their lengths, with the worked completions that
 * are to be learned. ERR_INPUT when none is left. */
int prompts_leave_out(const int *tokens, const struct prompts_options *o, struct arena *a,
                      struct prompts *p);

/* ADDS the first prompt exactly as the model gets it, on one line, and how it came about: 'first
 * prompt, a:1 in the model's chat template, 23 tokens: "<|im_start|>user\n..."'. The middle of a
 * long one is left out. */
void prompts_add_first(const struct prompts *p, struct text *out);

/* ADDS "caution: 12 WHAT leave less than ..." and its ids; nothing when there are none. */
void prompts_add_tights(const char *what, const struct prompts *p, struct text *out);

/* The same problems with their hints: contexts [plain->n], of 0 tokens where a problem has none or
 * the whole is too long. In the template {prompt} and {hint} stand for themselves; of a list of
 * messages {prompt} is the content of the last one that is not the assistant's, in whose place the
 * whole is put. ERR_INPUT when one of the two is missing in the template, or no problem can be
 * hinted at. */
int prompts_hinted(const struct prompts         *plain, const char *template,
                   const struct prompts_options *o, struct arena *a, struct prompts *out);

#endif
