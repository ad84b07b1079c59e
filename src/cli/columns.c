#include "cli/columns.h"

#include "base/terminal.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMN_LEAST = 38 };
static const char columns_border[] = " | ";

int columns_width(void)
{
	struct winsize size;
	int            width;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
		return 0;
	width = (size.ws_col - (int)strlen(columns_border)) / 2;
	return width < COLUMN_LEAST ? 0 : width;
}

void columns_add(struct columns *c, int side, const char *s, size_t n)
{
	terminal_show(&c->side[side], s, n);
}

/* One line of a side: its bytes, its characters, and the bytes to step over, which include the
 * blank or the newline at its end. */
struct column_line {
	size_t n, next;
	int    n_characters;
};

/* The next line of a side. 0 when it is not whole yet: it may grow, unless is_over. */
static int column_line(const struct columns *c, int side, int is_over, struct column_line *out)
{
	const char        *s = c->side[side].data + c->shown[side];
	size_t             n = c->side[side].n - c->shown[side];
	struct column_line blank = {0};

	*out = (struct column_line){0};
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\n') {
			out->next = i + 1;
			return 1;
		}
		if (((unsigned char)s[i] & 0xC0) == 0x80) {
			out->n = i + 1;
			continue;
		}
		if (s[i] == ' ')
			blank = (struct column_line){i, i + 1, out->n_characters};
		if (out->n_characters == c->width) {
			out->n = out->next = i;
			*out = blank.next ? blank : *out;
			return 1;
		}
		out->n_characters++;
		out->n = i + 1;
	}
	out->next = n;
	return is_over && n > 0;
}

/* Prints rows while both sides have a line; when both texts are over, while one of them has. */
void columns_print(struct columns *c, int is_over)
{
	for (;;) {
		struct column_line left, right;
		int                a = column_line(c, 0, is_over, &left);
		int                b = column_line(c, 1, is_over, &right);
		if (is_over ? !a && !b : !a || !b)
			break;
		left = a ? left : (struct column_line){0};
		right = b ? right : (struct column_line){0};
		if (left.n)
			fwrite(c->side[0].data + c->shown[0], 1, left.n, stdout);
		printf("%*s%s", c->width - left.n_characters, "", columns_border);
		if (right.n)
			fwrite(c->side[1].data + c->shown[1], 1, right.n, stdout);
		putchar('\n');
		c->shown[0] += left.next;
		c->shown[1] += right.next;
	}
	fflush(stdout);
}

void columns_free(struct columns *c)
{
	text_free(&c->side[0]);
	text_free(&c->side[1]);
}
