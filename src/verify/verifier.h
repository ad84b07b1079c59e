/* verifier.h - is this completion right? One table of small checks, and their weighted sum.
 *
 * A verifier reads a completion and the answer of its problem. It gives a reward, usually in [0,
 * 1], and says whether the completion is *right*, which means the full mark. Partial credit
 * (options.partial, format_score, the dense verifiers) is reward and never right. The result is
 * taken from the completion alone; when it marks several, the last one counts (span.h).
 *
 * A completion is untrusted: it may hold any bytes, NUL included. At most COMPLETION_MAX of them
 * are looked at, in linear time and bounded memory. Only the verdict is written, so any number of
 * threads may score at once.
 *
 * To add one: a function in verify_*.c, its line in verify.h, its row in verifier.c, its cases in
 * tests/test_verifier.c. */
#ifndef VERIFY_VERIFIER_H
#define VERIFY_VERIFIER_H

#include "base/ending.h"
#include "base/file.h"
#include "base/option.h"
#include "base/program.h"
#include "data/problem.h"
#include "verify/answer.h"

#include <stddef.h>

enum { REWARD_PARTS = 8, COMPLETION_MAX = 1 << 20, PROMPT_END_MAX = 256 };

struct completion {
	const char *text; /* [n] borrowed; without the end token */
	size_t      n;
	int         finished; /* 1: ended by its end token or a stop text; 0: cut off */
	int         n_tokens;
	/* the last PROMPT_END_MAX bytes of the prompt that the model saw, or fewer; empty if
	 * unknown */
	struct span prompt_end;
	/* what a program that played it says; NULL or all 0: none did */
	const struct world_outcome *outcome;
};

/* What happens to a completion for which the user's program had no verdict. It is counted in any
 * case.
 *
 *     LEAVE_OUT   its reward is NaN, so it counts nowhere
 *     STOP        the same, and reward_score ends the job
 *     ZERO        its reward is 0 */
enum command_on_error { COMMAND_LEAVE_OUT, COMMAND_STOP, COMMAND_ZERO };

/* One set of options for all verifiers of a reward. Every default is zero. */
struct verifier_options {
	struct answer_rule compare; /* exact: how result and answer are compared */
	int64_t            target;  /* countdown: > 0: the target of rows without one */
	/* knights_knaves, story, sudoku, arc: times the share that is right, if not everything
	 * is */
	double partial;
	/* countdown: for an expression that is well formed but wrong */
	double format_score;
	/* math: > 0: numbers are equal if they round to the same */
	int decimals;
	int strict_relations; /* math: 1: -2 <= x <= 7 does not equal [-2, 7] */
	/* format: PCRE2, searched in the whole completion; '.' matches a newline */
	const char *pattern;
	/* format: "think,answer": these blocks, each once, in this order, around everything */
	const char *tags;
	/* contains, story: the word; NULL: the column "word" of the data row */
	const char      *word;
	struct int_range length;       /* length: a good length, in tokens */
	int              length_slack; /* tokens over which the reward fades; 0: none */
	/* length: counts bytes of the text instead of tokens */
	int                    length_in_characters;
	struct program_options command;  /* command: the program */
	enum command_on_error  on_error; /* command, and of what `world` plays */
	/* plays all problems that name no environment of their own; borrowed; NULL: none does */
	struct program *world;
};

struct reward_spec;

struct score {
	double reward;
	int    right;  /* the full mark; partial credit, however large, is not right */
	int    parsed; /* a result was found, right or wrong */
	int    failed; /* there is no verdict; options.on_error decides the reward */
};

struct verifier { /* one row; static, never freed */
	const char *name;
	const char *help; /* one line */
	int         form; /* 1: judges how a completion looks, not what it says */

	/* Writes *out. The only error is a lack of memory. */
	int (*score)(const struct reward_spec *spec, const struct problem *p,
	             const struct completion *c, struct score *out);

	/* Checks that the problem has what this verifier reads; the message says what is missing
	 * and the caller adds the place. NULL: nothing is needed. */
	int (*check)(const struct reward_spec *spec, const struct problem *p);
};

/* row i; NULL past the last */
const struct verifier *verifier_at(int i);
/* an unknown name is an error that lists the known ones */
int verifier_find(const char *name, const struct verifier **out);

/* ---- several, weighted ---- */

struct reward_spec { /* const once open; threads may share it */
	/* the first n_common score problems that name no verifier; the others score the problems
	 * that name them */
	int                     n, n_common;
	const struct verifier  *verifier[REWARD_PARTS];
	double                  weight[REWARD_PARTS];
	struct verifier_options options;
	void                   *pattern; /* the compiled options.pattern; owned */
	/* runs options.command, if the verifier command is used; owned */
	struct program *command;
};

struct verdict {
	/* sum of weight x part.reward; when the problem names its verifier, that one's reward */
	double reward;
	int    right, parsed; /* of the part that decides (verifier_for) */
	int    failed;        /* of any part */
	/* [spec.n] unweighted; the reward is NaN if the verifier does not apply */
	struct score part[REWARD_PARTS];
};

/* `weights` NULL: all 1. The texts of the options are borrowed until verifier_close. */
int verifier_open(struct reward_spec *spec, const char *const *names, const double *weights, int n,
                  const struct verifier_options *options);
/* adds a verifier for the problems that name it, unless the spec has it already */
int  verifier_add(struct reward_spec *spec, const char *name);
void verifier_close(struct reward_spec *spec);

/* The verifier that decides whether a completion is right: the first that scores the problem and
 * does not judge form (as format, length, ends, no_repeat do); if all judge form, the first. So
 * with task.rewards of format and math, math decides what is right, whatever the weights are. */
const struct verifier *verifier_for(const struct reward_spec *spec, const struct problem *p);

/* the same for a list of names, n > 0; skips unknown ones */
const char *verifier_deciding(const char *const *names, int n);

/* call it once per problem, before a run starts */
int verifier_check(const struct reward_spec *spec, const struct problem *p);
int verifier_score(const struct reward_spec *spec, const struct problem *p,
                   const struct completion *c, struct verdict *out);

/* Whether two completions give the same result. Verifiers that read an answer as they read a
 * completion (numeric, math) decide themselves: 1/2 is 0.5. For the others the marked results
 * (span.h) are compared as options.compare says. */
int verifier_same(const struct reward_spec *spec, const struct problem *p,
                  const struct completion *a, const struct completion *b, int *same);

/* Scores a row of `hone score`: {"completion", "answer", further columns; optionally "finished"
 * (default true), "tokens" and "prompt_end"}. ADDS {"reward": x, "right": true, "components":
 * {NAME: x, ...}, "parsed": true} and a newline. */
int verifier_score_row(const struct reward_spec *spec, const char *place, const char *line,
                       size_t n, struct text *out);

#endif
