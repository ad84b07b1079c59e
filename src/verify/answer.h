/* answer.h - compares a short result with the answer.
 *
 *     TEXT     the same bytes, except for white space around them
 *     DENSE    the same bytes, except for white space anywhere: grids, assignments "A=1, B=2"
 *     NUMBER   both are one number and nothing else, of the same value: 43, 43., -1,234.50, 6e3,
 *              3/4
 *     LIST     the same items in the same order. Brackets around the list and quotes around items
 *              do not count. Commas separate items if there are any, else white space. Two
 *              numbers are the same item when they are equal as numbers
 *     SET      a list in any order
 *
 * Numbers are equal when |x - answer| <= absolute + relative |answer|; with both 0 this is exact.
 * Everything is bounded: a list has at most ANSWER_ITEMS items, a number that is compared with a
 * tolerance 64 characters. */
#ifndef VERIFY_ANSWER_H
#define VERIFY_ANSWER_H

#include "base/option.h"
#include "verify/span.h"

enum { ANSWER_ITEMS = 512 };
enum answer_form { ANSWER_TEXT, ANSWER_DENSE, ANSWER_NUMBER, ANSWER_LIST, ANSWER_SET };

struct answer_rule { /* all zero: the same text */
	enum answer_form form;
	int              ignore_case;
	double           absolute, relative;
};

int answer_equal(const struct answer_rule *rule, struct span gold, struct span result);

extern const struct choice answer_forms[]; /* "text", "dense", ... */

#endif
