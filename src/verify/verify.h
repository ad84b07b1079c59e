/* verify.h - the functions behind the rows of verifier.c. Private to src/verify; verifier.h gives
 * their contract. */
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

/* The reward is 1 for a right completion, else `otherwise`. */
static inline void verify_mark(struct score *out, int right, double otherwise)
{
	out->right = right;
	out->reward = right ? 1 : otherwise;
}

/* The column of a data row or, if it has none, of the row's ground_truth, metadata, extra_info or
 * reward_model.ground_truth. */
const json_t *verify_column(const json_t *row, const char *name);

/* verify_text.c: plain text */

/* The marked result, or the whole text, equals the answer in the sense of options.compare
 * (answer.h). Nothing equals an empty answer. */
VERIFY_SCORE(verify_exact);

/* The same, ignoring case; \\text{...}, $, **, quotes and a full stop around a marked result do not
 * count. */
VERIFY_SCORE(verify_zebra);
VERIFY_CHECK(verify_has_answer);

/* Dense: with g the answer, each character before the first wrong one earns 1/(len(g)+1), and so
 * does ending right behind g with the end token. White space counts; an empty answer earns nothing.
 * (The task of the digit-completion checkpoint.) */
VERIFY_SCORE(verify_sequence);

/* 1 within options.length; outside, the reward falls linearly to 0 over length_slack. */
VERIFY_SCORE(verify_length);
VERIFY_CHECK(verify_length_check);

/* ---- stories ---- */

VERIFY_SCORE(verify_contains); /* the text has the word as a whole word, in any case */
VERIFY_CHECK(verify_has_word);
/* finished, and the last visible character closes a sentence that has a letter or a digit */
VERIFY_SCORE(verify_ends);
/* no sentence comes twice, ignoring case and punctuation; there must be one */
VERIFY_SCORE(verify_no_repeat);
/* all three, with at least three different words; otherwise partial x the share of the three, and 0
 * with fewer words */
VERIFY_SCORE(verify_story);

/* verify_format.c: the text matches options.pattern, and it consists of the blocks of options.tags,
 * each once, in that order, around something visible. When the prompt ends with the first tag, as
 * the template of a reasoning model may leave it, the completion continues behind the tag and must
 * not open it again; a pattern that names that tag sees it in front of the text. */
VERIFY_SCORE(verify_format);
VERIFY_CHECK(verify_format_check);
int  verify_format_open(struct reward_spec *spec); /* compiles options.pattern */
void verify_format_close(struct reward_spec *spec);

/* verify_numeric.c: the last number of the marked result, or of the text, equals that of the answer
 * as an exact fraction. arithmetic.h says what the last number is: its sign and everything attached
 * to it count. */
VERIFY_SCORE(verify_numeric);
VERIFY_CHECK(verify_numeric_check);

/* verify_math.c: the result equals the answer as mathematics (formula.h says when; statement.h says
 * where both are found). The check refuses an answer that a completion with the same text would not
 * match. */
VERIFY_SCORE(verify_math);
VERIFY_CHECK(verify_math_check);
int verify_math_same(const struct reward_spec *spec, const struct completion *a,
                     const struct completion *b, int *same); /* are their results equal? */

/* verify_countdown.c: an expression of + - * / and parentheses that uses each given number once and
 * equals the target, in exact fractions. It is the marked result (its first line) or the whole
 * text; "= TARGET" may follow it. Numbers and target are the columns `numbers` (or `nums`) and
 * `target`, at the top of the data row or in ground_truth, metadata, extra_info,
 * reward_model.ground_truth. An expression that uses each number once but has another value earns
 * options.format_score; one that omits or adds numbers earns nothing. */
VERIFY_SCORE(verify_countdown);
VERIFY_CHECK(verify_countdown_check);

/* verify_knights.c: who is a knight and who is a knave. An answer of letters ("AbC": A and C are
 * knights) needs the same letters as the marked result or the whole text. An answer in words ("(1)
 * Amelia is a knight ...") needs "NAME is a ROLE" for each of its names, and the last such claim
 * about a person counts. In a marked result, two different claims about one person are wrong. A
 * sentence that asks, supposes, doubts or reports ("if", "suppose", "says", a question mark) makes
 * no claim. */
VERIFY_SCORE(verify_knights);
VERIFY_CHECK(verify_knights_check);

/* verify_sudoku.c: a full grid that keeps the givens and has each of 1 .. n once in every row,
 * column and box, whether or not it is the stored solution. The puzzle is the column `puzzle`, at
 * the top of the data row or in one of the columns that verify_column looks in: n x n cells, n = 4
 * .. 25, with 0 . _ for an empty one. Boxes are h x n/h, where h is the largest divisor of n up to
 * its root (2 x 2, 2 x 3, 3 x 3, 4 x 4). The result is the marked one or the last grid of the text;
 * with too few or too many cells it is not one. If not everything is right, options.partial is paid
 * times the share of empty cells that are as in the answer; missing cells are wrong. */
VERIFY_SCORE(verify_sudoku);
VERIFY_CHECK(verify_sudoku_check);

/* verify_arc.c: the same grid as the answer, with as many rows and the same numbers in each. The
 * answer is the problem's or the column test[0].output. If only the shape is right, options.partial
 * is paid times the share of right cells. */
VERIFY_SCORE(verify_arc);
VERIFY_CHECK(verify_arc_check);

/* verify_procedural.c: rows of the 59 tasks of reasoning-gym in one data set, each judged by the
 * rule of its task. The column `task`, source_dataset or data_source names the task, and a table
 * there gives its rule. The result is the marked one or the whole text. */
VERIFY_SCORE(verify_procedural);
VERIFY_CHECK(verify_procedural_check);

/* Rules for tasks with many right results; the data row holds the puzzle. Each returns 1 or 0. */
typedef int verify_rule(const json_t *row, struct span result);
/* verify_plans.c */
verify_rule plan_jugs, plan_hanoi, plan_path, plan_lock;
/* verify_arrangements.c */
verify_rule arrange_queens, arrange_colours, arrange_palindrome, arrange_fraction;

/* verify_command.c: the verdict of the user's program, a line of JSON in and a line out
 * (program.h):
 *
 *     {"completion": "...", "finished": true, "tokens": 12, "id": "...", "prompt": ...,
 *      "answer": "...", all other columns of the data row}
 *     {"reward": 0.5}      optionally "right": true or false (default: whether the reward is 1 or
 *                          more) and "parsed": false if it found no result; other keys are free
 *     {"error": "..."}     it has no verdict on this one */
VERIFY_SCORE(verify_command);
int verify_command_open(struct reward_spec *spec);

/* verify_environment.c: replays the actions (environment.h); the reward is that of the episode.
 * What a program of the user's played has its verdict (environment_program.h), and is not asked
 * again. Parsed: the episode ended. */
VERIFY_SCORE(verify_environment);
VERIFY_CHECK(verify_environment_check);

#endif
