/* answer.h - when two short answers say the same.
 *
 *     TEXT     the same bytes, but for white space around them
 *     DENSE    the same bytes but for white space anywhere: grids, assignments "A=1, B=2"
 *     NUMBER   both are one number and nothing else, of the same value: 43, 43., -1,234.50, 6e3,
 *              3/4
 *     LIST     the same items in the same order; brackets around the list and quotes around items
 *              fall away. Where a comma stands, commas part the items, else white space. Two
 *              numbers are the same item when they are equal as numbers
 *     SET      a list in any order
 *
 * Numbers are equal when |x - y| <= absolute + relative |gold|; with both 0 exactly, digit by
 * digit. Everything is bounded: a list has at most ANSWER_ITEMS items, a number that is compared
 * with a tolerance 64 characters. */
#ifndef VERIFY_ANSWER_H
#define VERIFY_ANSWER_H

#include "base/option.h"
#include "verify/span.h"

enum { ANSWER_ITEMS = 512 };
enum answer_form { ANSWER_TEXT, ANSWER_DENSE, ANSWER_NUMBER, ANSWER_LIST, ANSWER_SET };

struct answer_rule { /* zero: the same text */
	enum answer_form form;
	int              ignore_case; /* letters in any case */
	double           absolute, relative;
};

int answer_equal(const struct answer_rule *rule, struct span gold, struct span answer);

extern const struct choice answer_forms[]; /* "text", "dense", ... */

#endif
