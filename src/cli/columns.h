/* columns.h - two growing texts side by side on a terminal.
 *
 *     columns_add(&c, side, s, n)    more of one text
 *     columns_print(&c, 0)           the rows that are whole on both sides
 *     columns_print(&c, 1)           what is left, when both texts are over
 *
 * Lines break at blanks. A character counts as one place, so wide ones move the border. */
#ifndef CLI_COLUMNS_H
#define CLI_COLUMNS_H

#include "base/text.h"

struct columns {
	int         width;    /* of each side, in characters */
	struct text side[2];  /* owned; control characters shown */
	size_t      shown[2]; /* bytes of it on the screen already */
};

/* The width of a column on standard output; 0 when it is no terminal or too narrow for two. */
int  columns_width(void);
void columns_add(struct columns *c, int side, const char *s, size_t n);
void columns_print(struct columns *c, int is_over);
void columns_free(struct columns *c);

#endif
