/* unit.h - the unit of a number: cm, km/h, square feet, dollars, percent, degrees, apples.
 *
 * A unit is a product of powers of names, such as {cm: 2} or {km: 1, hour: -1}, times a whole
 * number for words like dozen and million. All spellings of a unit share one name ("cm",
 * "centimeters").
 *
 * Two units are equal when their names and powers are. Nothing is converted, so 1 km is not 1000 m.
 * An unknown word names a thing that is counted, unless it changes what the number means ("not",
 * "more", "halves"): then the words are not a unit. */
#ifndef VERIFY_UNIT_H
#define VERIFY_UNIT_H

#include "verify/span.h"

enum { UNIT_FACTORS = 6, UNIT_NAME = 32 };

struct unit {
	int n; /* 0: none */
	struct {
		char name[UNIT_NAME];
		int  power;
	} factor[UNIT_FACTORS];
	long times; /* 12 for dozen; 1 */
};

struct unit unit_none(void);
int         unit_equal(const struct unit *a, const struct unit *b);
int         unit_is_empty(const struct unit *a); /* no name; `times` may still count */

/* Multiplies the unit by word^power. `counted`: an unknown word counts as a thing. Returns 0 when
 * the word is not a unit or there are too many. */
int unit_add(struct unit *u, struct span word, int power, int counted);

/* in the table; in any case if it has several letters */
int unit_is_known(struct span word);
int unit_changes_meaning(struct span word); /* "not", "more", "half", ... */

/* "square", "sq", "cubic" before a unit: 2, 3; else 0. */
int unit_dimension(struct span word);

#endif
