/* likeness.h - held-out questions that stand almost word for word in a training question: with an
 * instruction before or behind it, or a name changed. What is the same but for case and white space
 * is overlap.h's.
 *
 *     word        a run of ASCII letters (small), digits and characters below U+3000; a character
 *                 from U+3000 on is a word by itself
 *     gram        LIKENESS_GRAM words that follow each other; a question of n words has n -
 *                 LIKENESS_GRAM + 1 of them
 *     own         a gram of one held-out question and of at most LIKENESS_COMMON training ones;
 *                 what more of them have in common is wording ("How many ... in total?", an
 *                 instruction, the frame of a puzzle) and says nothing
 *     share       of the own grams of a held-out question, those that a training question has, too
 *     alike       share > LIKENESS_SHARE; reported is the training question with the largest share,
 *                 the first of several
 *
 * Grams of eight words and half of the question are Tulu 3's measure (arXiv:2411.15124), which
 * counts words and has no notion of own ones. A question with fewer than LIKENESS_OWN own grams is
 * compared with none. A changed number breaks the eight grams around it: in a question of 45 words
 * the share is 0.8.
 *
 * Grams are compared by 64 bits. The table has those of the held-out questions, 48 bytes each at
 * most; training questions are gone through twice, so the time is linear in the bytes of both. */
#ifndef DATA_LIKENESS_H
#define DATA_LIKENESS_H

#include "base/memory.h"
#include "data/problem.h"

enum { LIKENESS_GRAM = 8, LIKENESS_OWN = 4, LIKENESS_COMMON = 4 };
#define LIKENESS_SHARE 0.5

struct likeness {
	const struct problem *problem, *like; /* held out, trained on */
	double                share;
};

struct likenesses {
	struct likeness *items; /* [n] in the order of the held-out problems */
	int              n;
};

int likeness_between(const struct problem *train, int n_train, const struct problem *held_out,
                     int n_held_out, struct arena *a, struct likenesses *out);

#endif
