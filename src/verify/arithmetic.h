/* arithmetic.h - reads the last number of a text with everything attached to it: sign, fraction,
 * exponent, "million", and the sum that it is part of.
 *
 *     so there are - 7          -7             10-7                      3
 *     1 / 7,  \frac17           1/7            3 \times 10^{2}           300
 *     7 1/2,  7\frac12          15/2           7 million                 7000000
 *     -\boxed{7}                -7             18%, 18 percent           0.18
 *     48/2 = 24, so $24$ eggs   24             7 km/h, 7 cm^2, 7-year    7
 *
 * A line is cut into tokens (arithmetic_token.h). The number that counts is the last one of the
 * marked result (span.h); without a marker, the last one of the last line that has a number. Its
 * formula is the longest run of tokens around it that nothing ends: a word, "=" or a full stop ends
 * it. The value is that of the formula, as an exact fraction. Some formulas have no value: x^7, 7x,
 * 2(7), \sqrt7, |7|, 7!, 6:7, +-7, and "6 or 7", "6, 7", "x > 7", "not 7", "at least 7", where the
 * number alone would say something else than the text. A unit or a currency is not part of the
 * value.
 *
 * Not read: numbers in words; digits other than 0 .. 9; what an earlier line says about the number
 * ("minus", newline, "7"); "half of 7" and the like beyond a short list; sums of units ("1 hour and
 * 30 minutes" is 30). */
#ifndef VERIFY_ARITHMETIC_H
#define VERIFY_ARITHMETIC_H

#include "verify/number.h"
#include "verify/span.h"

/* Writes the value to *out, which the caller has initialised. Returns 0 when there is no number or
 * its formula has no value. The cost is linear in the text. */
int arithmetic_last(struct span text, struct number *out);

#endif
