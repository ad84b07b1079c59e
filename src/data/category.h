/* category.h - the name under which a problem is counted, from one column of its row or from
 * several.
 *
 *     columns {category}                  "addition/2"
 *     columns {category, difficulty}      "countdown/3"       the values, joined by "/"
 *     no columns                          "all"
 *
 * Columns are category and difficulty, or any other of the row that holds a text, a number or a
 * boolean (a.b for one inside another). */
#ifndef DATA_CATEGORY_H
#define DATA_CATEGORY_H

#include "base/memory.h"
#include "data/problem.h"

/* *out is borrowed from the problem or the arena. A missing category counts as "all"; any other
 * missing column is ERR_INPUT, naming problem and column. */
int category_name(const struct problem *p, const char *const *columns, int n, struct arena *a,
                  const char **out);

#endif
