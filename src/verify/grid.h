/* grid.h - tables of whole numbers, as puzzles and models write them.
 *
 *     GRID_NUMBERS   0 0 2 14      [[0, 1], [2, 3]]      numbers are separated; a row ends with its
 *                                                        line, with ']' or with "\\"
 *     GRID_DIGITS    3102          |3 1|. _|             each digit is a cell; '.' and '_' are 0,
 *                                                        the empty cell
 *
 * Blanks and , ; | & [ ] ( ) " ' may separate cells. Lines without a cell (----+----) may also
 * contain + - =. Any other text is not a grid. All scans are linear. */
#ifndef VERIFY_GRID_H
#define VERIFY_GRID_H

#include "verify/span.h"

#include <jansson.h>

enum { GRID_CELLS_MAX = 1024, GRID_VALUE_MAX = 9999 };
enum grid_style { GRID_NUMBERS, GRID_DIGITS };

struct grid_cell {
	short row, value;
};

struct grid {
	int n; /* cells, in reading order */
	/* rows count from 0; lines without a cell do not count */
	struct grid_cell cell[GRID_CELLS_MAX];
};

/* Reads a text that is one grid and nothing else; 0 when it is not, or has no cell. */
int grid_read(struct span text, enum grid_style style, struct grid *out);

/* Reads the text as a grid, or else its last block of lines that are a grid. */
int grid_find(struct span text, enum grid_style style, struct grid *out);

/* Reads a text as above, a list of numbers, or a list of such lists. */
int grid_of_json(const json_t *v, enum grid_style style, struct grid *out);

int grid_equal(const struct grid *a, const struct grid *b); /* the same cells in the same rows */

#endif
