/* prompts.h - the problems of a data set as the model sees them: rendered and tokenized once, before the first step.
 *
 *     text       the problem's prompt, with what the tokenizer's post-processor puts around it (a leading <s>, say); of a list of messages what the
 *                model's chat template makes of them, ready for an answer, and nothing around it (model/chat.h). A prompt that is a text can be
 *                made the user's message (data.chat), and messages that begin with no system message can be given one (data.system_prompt)
 *     ids        what every step uses; text is never tokenized again
 *
 * A prompt that is longer than the limit is left out, counted and named, or an error (data.overlong_prompts); it is never cut. */
#ifndef RL_PROMPTS_H
#define RL_PROMPTS_H

#include "model/tokenizer.h"
#include "rl/record.h"
#include "task/problem.h"

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
	int                    n_long;
};

enum prompts_chat {
	CHAT_NEVER,
	CHAT_AUTO,   /* texts become messages where the model has a chat template */
	CHAT_ALWAYS, /* texts become messages */
	CHAT_READY /* the contents of messages, one behind another, and texts are tokenized as they are: somebody has rendered them already */
};
enum prompts_chat prompts_chat_find(const char *name); /* "never", ...; asserts that it is one */

struct prompts_options {
	const struct tokenizer *tokenizer;
	int                     max_prompt_length;
	int                     refuse_long; /* a longer prompt is an error */
	enum prompts_chat       chat;
	const char             *system; /* NULL: none */
};

/* ERR_INPUT when no problem is left, or a prompt cannot be rendered (its id is named). */
int prompts_render(const struct problem *problems, int n, const struct prompts_options *o, struct arena *a, struct prompts *out);

/* ADDS ": 12 left out, their prompts being too long: a (900 tokens), b (513), ..."; nothing when there are none. */
void prompts_add_longs(const struct prompts *p, struct text *out);

/* The same problems with their hints: contexts [plain->n], of 0 tokens where a problem has none or the whole is too long. In the template {prompt} and
 * {hint} stand for themselves; of a list of messages {prompt} is the last one's content, in whose place the whole is put. ERR_INPUT when one of the two is
 * missing in the template, or no problem can be hinted at. */
int prompts_hinted(const struct prompts *plain, const char *template, const struct prompts_options *o, struct arena *a,
                   struct prompts *out);

#endif
