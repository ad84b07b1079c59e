/* verifier.h - is this completion right? One table of small checks, and their weighted sum.
 *
 * A verifier reads the completion and the gold of its problem and gives a reward, usually in [0,
 * 1], and says whether the completion is *right*: the full mark. Credit for a part
 * (options.partial, format_score, the dense verifiers) is reward and never right. What is said of
 * the problem is taken from the completion alone; where several stand in it, the last one counts
 * (span.h says where an answer stands). A completion is hostile until shown otherwise: any bytes,
 * NUL too; up to COMPLETION_MAX of them are looked at, in linear time and bounded memory, and
 * nothing is written but the verdict, so any number of threads may score at once.
 *
 * To add one: a function in verify_*.c, its line in verify.h, its row in verifier.c, its cases in
 * tests/test_verifier.c. */
#ifndef VERIFY_VERIFIER_H
#define VERIFY_VERIFIER_H

#include "base/file.h"
#include "base/option.h"
#include "data/problem.h"
#include "verify/answer.h"
#include "verify/program.h"

#include <stddef.h>

enum { REWARD_PARTS = 8, COMPLETION_MAX = 1 << 20, PROMPT_END_MAX = 256 };

struct completion {
	const char *text; /* [n] borrowed; without the end token */
	size_t      n;
	int         finished; /* it ended by its end token or a stop text, not because it was cut */
	int         n_tokens;
	/* how the prompt ended, as the model got it: PROMPT_END_MAX bytes or less; empty where
	 * that is not known */
	struct span prompt_end;
};

/* What becomes of a completion on which the user's program could say nothing. It is counted in any
 * case.
 *     LEAVE_OUT   its reward is NaN: it counts nowhere     STOP   the same, and reward_score ends
 *                                                          the job     ZERO   its reward is 0 */
enum command_on_error { COMMAND_LEAVE_OUT, COMMAND_STOP, COMMAND_ZERO };

/* One set of options serves all verifiers of a reward. Zero is each one's default. */
struct verifier_options {
	struct answer_rule compare; /* exact: what the same answer is */
	int64_t            target;  /* countdown: > 0: of rows that name none */
	/* knights_knaves, story, sudoku, arc: times the share that is right, when not all is */
	double partial;
	/* countdown: for an expression that is well formed but wrong */
	double format_score;
	/* math: > 0: numbers that round to the same are equal */
	int decimals;
	int strict_relations; /* math: -2 <= x <= 7 is not x in [-2, 7] */
	/* format: PCRE2, searched in the whole completion; '.' matches a newline */
	const char *pattern;
	/* format: "think,answer": these blocks, each once, in this order, around everything */
	const char *tags;
	/* contains, story: the word; NULL takes the column "word" of the row */
	const char      *word;
	struct int_range length;       /* length: of a good one, in tokens */
	int              length_slack; /* 0: none */
	/* length: bytes of the text instead of tokens */
	int                    length_in_characters;
	struct program_options command;  /* command: the program */
	enum command_on_error  on_error; /* command */
};

struct reward_spec;

struct score {
	double reward;
	int    right;  /* the full mark of the verifier; partial credit, however large, is not */
	int    parsed; /* an answer was found, right or wrong */
	int    failed; /* there is no verdict; the reward is what options.on_error says */
};

struct verifier { /* one row; static, never freed */
	const char *name;
	const char *help; /* one line */
	int         form; /* it judges how a completion looks, not what it says */

	/* Writes *out; on a shortage of memory an error. */
	int (*score)(const struct reward_spec *spec, const struct problem *p,
	             const struct completion *c, struct score *out);

	/* Has the problem what this verifier reads? The message says what is missing; the place is
	 * put before it. NULL: nothing needed. */
	int (*check)(const struct reward_spec *spec, const struct problem *p);
};

/* row i; NULL past the last */
const struct verifier *verifier_at(int i);
/* an error names the rows there are */
int verifier_find(const char *name, const struct verifier **out);

/* ---- several, weighted ---- */

struct reward_spec { /* const once it is open; share it between threads */
	/* the first n_common score problems that name no verifier; the others are for those that
	 * name them */
	int                     n, n_common;
	const struct verifier  *verifier[REWARD_PARTS];
	double                  weight[REWARD_PARTS];
	struct verifier_options options;
	void                   *pattern; /* the compiled options.pattern; owned */
	/* the running options.command, where a verifier is it; owned */
	struct program *command;
};

struct verdict {
	/* sum of weight x part.reward; of a verifier of the problem's own just its reward */
	double reward;
	int    right, parsed; /* of the part that decides (verifier_for) */
	int    failed;        /* of any part */
	/* [spec.n] unweighted; reward NaN where a verifier does not apply */
	struct score part[REWARD_PARTS];
};

/* `weights` NULL: all 1. The texts of the options are borrowed until verifier_close. */
int verifier_open(struct reward_spec *spec, const char *const *names, const double *weights, int n,
                  const struct verifier_options *options);
/* for problems that name it; nothing to do when it is there */
int  verifier_add(struct reward_spec *spec, const char *name);
void verifier_close(struct reward_spec *spec);

/* The one that decides whether a completion is right: the first that scores the problem and is not
 * one of form (format, length, ends, no_repeat); where all are, the first. So with task.rewards of
 * format and math, right is what math says, whatever either weighs. */
const struct verifier *verifier_for(const struct reward_spec *spec, const struct problem *p);

/* the same of a list of names, n > 0; unknown ones are passed over */
const char *verifier_deciding(const char *const *names, int n);

/* call once per problem, before a run starts */
int verifier_check(const struct reward_spec *spec, const struct problem *p);
int verifier_score(const struct reward_spec *spec, const struct problem *p,
                   const struct completion *c, struct verdict *out);

/* Whether two completions give the same answer to a problem. Verifiers that find an answer in a
 * gold as they find it in a completion (numeric, math) decide themselves: 1/2 is 0.5. For the
 * others the marked answers (span.h) are compared as options.compare says. */
int verifier_same(const struct reward_spec *spec, const struct problem *p,
                  const struct completion *a, const struct completion *b, int *same);

/* A row of `hone score`: {"completion", "answer", further columns; optionally "finished" (default
 * true), "tokens" and "prompt_end"}. ADDS {"reward": x, "right": true, "components": {NAME: x,
 * ...}, "parsed": true} and a newline. */
int verifier_score_row(const struct reward_spec *spec, const char *place, const char *line,
                       size_t n, struct text *out);

#endif
