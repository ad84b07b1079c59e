/* verify.h - the functions behind the rows of verifier.c. Private to src/verify; verifier.h says
 * what they promise. */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include "verify/span.h"
#include "verify/verifier.h"

#include <jansson.h>

#define VERIFY_SCORE(name) \
	int name(const struct reward_spec *spec, const struct problem *p, \
	         const struct completion *c, struct score *out)
#define VERIFY_CHECK(name) int name(const struct reward_spec *spec, const struct problem *p)

static inline struct span verify_text(const struct completion *c)
{
	return (struct span){c->text, c->n < COMPLETION_MAX ? c->n : COMPLETION_MAX};
}

/* The full mark 1, or what else it earns. */
static inline void verify_mark(struct score *out, int right, double otherwise)
{
	out->right = right;
	out->reward = right ? 1 : otherwise;
}

/* The column of a row, or where the row has none, of its ground_truth, metadata, extra_info or
 * reward_model.ground_truth. */
const json_t *verify_column(const json_t *row, const char *name);

/* verify_text.c: plain text */

/* The text, or its marked answer, says the same as the gold, in the sense of options.compare
 * (answer.h). An empty gold is nobody's answer. */
VERIFY_SCORE(verify_exact);

/* The same in any case; what is marked may wear \\text{...}, $, **, quotes and a full stop. */
VERIFY_SCORE(verify_zebra);
VERIFY_CHECK(verify_has_answer);

/* Dense: with g the gold, each character up to the first wrong one earns 1/(len(g)+1), and so does
 * ending right behind it by the end token. White space counts; an empty gold earns nothing. (The
 * task of the digit-completion checkpoint.) */
VERIFY_SCORE(verify_sequence);

/* 1 within length; outside it falls linearly to 0 over length_slack. */
VERIFY_SCORE(verify_length);
VERIFY_CHECK(verify_length_check);

/* ---- stories ---- */

VERIFY_SCORE(verify_contains); /* the word stands in the text, as a whole word in any case */
VERIFY_CHECK(verify_has_word);
/* finished, and the last visible character closes a sentence that has a letter or a digit */
VERIFY_SCORE(verify_ends);
/* no sentence comes twice, whatever its case and punctuation; needs one sentence */
VERIFY_SCORE(verify_no_repeat);
/* all three, in three different words at least; otherwise partial x the share of them, 0 with
 * fewer words */
VERIFY_SCORE(verify_story);

/* verify_format.c: the text matches options.pattern, and it is nothing but the blocks of
 * options.tags, each once, in their order, around something visible. Where the prompt ends with the
 * first of the tags, as the template of a reasoning model leaves it, the completion goes on behind
 * it and must not open it again; a pattern that names that tag sees it before the text. */
VERIFY_SCORE(verify_format);
VERIFY_CHECK(verify_format_check);
int  verify_format_open(struct reward_spec *spec); /* compiles options.pattern */
void verify_format_close(struct reward_spec *spec);

/* verify_numeric.c: the last number of the marked answer, or of the text, equals the gold's as an
 * exact fraction, where arithmetic.h says what the last number is: it has its sign and all that
 * touches it. */
VERIFY_SCORE(verify_numeric);
VERIFY_CHECK(verify_numeric_check);

/* verify_math.c: the answer equals the gold as mathematics (formula.h says when). Where it stands
 * in a completion and in a gold: statement.h. A gold that does not equal itself when it is given as
 * an answer is refused by the check. */
VERIFY_SCORE(verify_math);
VERIFY_CHECK(verify_math_check);
int verify_math_same(const struct reward_spec *spec, const struct completion *a,
                     const struct completion *b, int *same); /* do both say the same? */

/* verify_countdown.c: an expression of + - * / and parentheses that uses each given number once and
 * gives the target, in exact fractions. It is the marked answer (first line) or the whole text; "=
 * TARGET" may follow it. Numbers and target are the columns `numbers` (or `nums`) and `target`, at
 * the top of the row or in ground_truth, metadata, extra_info, reward_model.ground_truth.
 * options.format_score is for an expression over the given numbers, each once, with another value;
 * numbers left out or added earn nothing. */
VERIFY_SCORE(verify_countdown);
VERIFY_CHECK(verify_countdown_check);

/* verify_knights.c: who is a knight and who is a knave. A gold of letters ("AbC": A and C are
 * knights) wants the same letters as the marked answer or the whole text. A gold in words ("(1)
 * Amelia is a knight ...") wants "NAME is a ROLE" for each of its names: the last such claim about
 * each; in a marked answer two different claims about one person are wrong. A sentence that asks,
 * supposes, doubts or reports ("if", "suppose", "says", a question mark) claims nothing. */
VERIFY_SCORE(verify_knights);
VERIFY_CHECK(verify_knights_check);

/* verify_sudoku.c: a full grid that keeps the givens and has each of 1 .. n once in every row,
 * column and box, whether or not it is the stored solution. The puzzle is the column `puzzle`, at
 * the top of the row or in one of the columns verify_column looks in: n x n cells, n = 4 .. 25, 0 .
 * _ for an empty one. Boxes are h x n/h, h the largest divisor of n up to its root (2 x 2, 2 x 3, 3
 * x 3, 4 x 4). The answer is the marked one or the last grid of the text; a cell too few or too
 * many and it is none. With options.partial: times the share of the empty cells that are as in the
 * gold, where not all is right; cells that are missing are wrong. */
VERIFY_SCORE(verify_sudoku);
VERIFY_CHECK(verify_sudoku_check);

/* verify_arc.c: the same grid as the gold: as many rows, and in each the same numbers. The gold is
 * the answer, or the column test[0].output. With options.partial: times the share of cells that are
 * right, where the shape is. */
VERIFY_SCORE(verify_arc);
VERIFY_CHECK(verify_arc_check);

/* verify_procedural.c: rows of the 59 tasks of reasoning-gym in one data set, each judged by the
 * rule of its task; the task is the column `task`, source_dataset or data_source. The table there
 * says which rule. An answer is the marked one or the whole text. */
VERIFY_SCORE(verify_procedural);
VERIFY_CHECK(verify_procedural_check);

/* Rules for tasks with many right answers; the row holds the puzzle. 1 or 0. */
typedef int verify_rule(const json_t *row, struct span answer);
/* verify_plans.c */
verify_rule plan_jugs, plan_hanoi, plan_path, plan_lock;
/* verify_arrangements.c */
verify_rule arrange_queens, arrange_colours, arrange_palindrome, arrange_fraction;

/* verify_command.c: what the user's program says, a line of JSON in and a line out (program.h):
 *
 *     {"completion": "...", "finished": true, "tokens": 12, "id": "...", "prompt": ..., "answer":
 *     "...", all other columns of the row}
 *     {"reward": 0.5}      optionally "right": true or false; without it, right is a reward of 1 or
 *                          more. optionally "parsed": false, where it found no answer; other keys
 *                          are free
 *     {"error": "..."}     it can say nothing about this one */
VERIFY_SCORE(verify_command);
int verify_command_open(struct reward_spec *spec);

/* verify_environment.c: the actions are played again (environment.h), and the reward is that of the
 * episode. Parsed: the episode came to an end. */
VERIFY_SCORE(verify_environment);
VERIFY_CHECK(verify_environment_check);

#endif
