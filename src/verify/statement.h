/* statement.h - finds the result that a completion states, and the formula of an answer.
 *
 * In a completion, the text up to the last </think> does not count, and a <think> that is never
 * closed leaves no result. In the rest, the first of these counts:
 *
 *     1. the last \boxed{...} or \fbox{...} that is closed, with a minus sign before it. Boxes that
 *        follow each other, separated by "and", "or", a comma or nothing, are one list. A box that
 *        touches an operator or a digit is part of a formula, and then there is no result
 *     2. <answer>...</answer>, #### ...
 *     3. the text behind the last "answer is", "answer:", "**Final Answer**:" or a heading
 *        "Answer", to the end of the sentence; in "The volume is 120", the text behind "is"
 *     4. the whole text, if it is not prose
 *     5. the last $...$, \(...\) or \[...\]
 *     6. the last [...]
 *     7. the last number that is announced by "is", "=", ":", "are", "it's"
 *
 * In 3, 5 and 7 there is no result if the sentence has words like "not", "more than" or "either".
 *
 * An answer is a box (an open one may end with the text), the text in answer tags, the text behind
 * ####, or the whole text. Nothing is cut from it. */
#ifndef VERIFY_STATEMENT_H
#define VERIFY_STATEMENT_H

#include "verify/span.h"

enum { STATEMENT_PIECES = 16, STATEMENT_STEPS = 64 };

struct statement {
	struct span piece[STATEMENT_PIECES]; /* several boxes: a list */
	int         n;
	long        steps; /* bytes looked at; at most STATEMENT_STEPS per byte of the text */
};

int statement_of_completion(struct span text, struct statement *out); /* 0: there is no result */
int statement_of_gold(struct span text, struct statement *out);

#endif
