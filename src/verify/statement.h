/* statement.h - where the answer stands in a completion, and in a gold.
 *
 * A completion: what stands before the last </think> is no answer, and neither is a <think> that is
 * never closed. In the rest, the first of
 *
 *     1. the last \boxed{...} or \fbox{...} that is closed, with a minus sign before it; boxes that
 *        follow each other, parted by "and", "or", a comma or nothing, are one list. A box that an
 *        operator or a digit touches is part of a formula, and then there is no answer
 *     2. <answer>...</answer>, #### ...
 *     3. behind the last "answer is", "answer:", "**Final Answer**:" or a heading "Answer", to the
 *        end of the sentence; of "The volume is 120" what follows "is"
 *     4. the whole text when it is no prose
 *     5. the last $...$, \(...\) or \[...\]
 *     6. the last [...]
 *     7. the last number that is announced: behind "is", "=", ":", "are", "it's"
 *
 * In 3, 5 and 7 words like "not", "more than" or "either" in the same sentence make it no answer.
 *
 * A gold is a box (here an open one may end with the text), what answer tags hold, what follows
 * ####, or the whole text: nothing is cut from it. */
#ifndef VERIFY_STATEMENT_H
#define VERIFY_STATEMENT_H

#include "verify/span.h"

enum { STATEMENT_PIECES = 16, STATEMENT_STEPS = 64 };

struct statement {
	struct span piece[STATEMENT_PIECES]; /* several boxes: a list */
	int         n;
	long        steps; /* bytes looked at: at most STATEMENT_STEPS for each of the text */
};

int statement_of_completion(struct span text, struct statement *out); /* 0: there is no answer */
int statement_of_gold(struct span text, struct statement *out);

#endif
