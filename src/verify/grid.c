#include "verify/grid.h"

#include <ctype.h>
#include <string.h>

struct grid_reader {
	struct grid    *grid;
	enum grid_style style;
	int             row;   /* of the next cell */
	int             begun; /* the row has a cell already */
};

static void end_row(struct grid_reader *r)
{
	r->row += r->begun;
	r->begun = 0;
}

static int grid_add_cell(struct grid_reader *r, int value)
{
	if (r->grid->n == GRID_CELLS_MAX || value > GRID_VALUE_MAX)
		return 0;
	r->grid->cell[r->grid->n++] = (struct grid_cell){(short)r->row, (short)value};
	r->begun = 1;
	return 1;
}

/* Reads the number or digit at the start of the span. Returns its length, or 0 when it is too
 * large. */
static size_t read_cell(struct grid_reader *r, struct span a)
{
	size_t n = 0;
	int    value = 0;

	if (r->style == GRID_DIGITS)
		return grid_add_cell(r, isdigit((unsigned char)a.s[0]) ? a.s[0] - '0' : 0);
	for (; n < a.n && isdigit((unsigned char)a.s[n]); n++)
		if ((value = 10 * value + (a.s[n] - '0')) > GRID_VALUE_MAX)
			return 0;
	return grid_add_cell(r, value) ? n : 0;
}

static int is_cell(enum grid_style style, char c)
{
	return isdigit((unsigned char)c) || (style == GRID_DIGITS && (c == '.' || c == '_'));
}

static int grid_is_gap(char c)
{
	return c && strchr(" \t\r\v\f,;|&[]()\"'", c) != NULL;
}

/* Is the line a rule such as ----+----, with at least one of these signs and no cell? */
static int is_rule(struct span line)
{
	int signs = 0;

	for (size_t i = 0; i < line.n; i++) {
		signs += line.s[i] && strchr("+-=", line.s[i]) != NULL;
		if (!grid_is_gap(line.s[i]) && !(line.s[i] && strchr("+-=", line.s[i])))
			return 0;
	}
	return signs > 0;
}

/* Reads cells and gaps; ] and \\ end a row of the grid. Returns 0 when something else is there. */
static int grid_read_line(struct grid_reader *r, struct span line)
{
	if (is_rule(line))
		return 1;
	for (size_t i = 0; i < line.n;) {
		size_t n = 1;
		if (is_cell(r->style, line.s[i]))
			n = read_cell(r, span_from(line, i));
		else if (span_starts(span_from(line, i), "\\\\"))
			n = 2;
		else if (!grid_is_gap(line.s[i]))
			return 0;
		if (n == 0)
			return 0;
		if (line.s[i] == ']' || line.s[i] == '\\')
			end_row(r);
		i += n;
	}
	end_row(r);
	return 1;
}

/* The line that ends before text[end], without its newline. */
static struct span line_before(struct span text, size_t end)
{
	size_t start = end;

	while (start && text.s[start - 1] != '\n')
		start--;
	return (struct span){text.s + start, end - start};
}

int grid_read(struct span text, enum grid_style style, struct grid *out)
{
	struct grid_reader r = {.grid = out, .style = style};

	out->n = 0;
	text = span_trim(text);
	while (text.n) {
		const char *end = memchr(text.s, '\n', text.n);
		struct span line = {text.s, end ? (size_t)(end - text.s) : text.n};
		if (!grid_read_line(&r, line))
			return 0;
		text = span_from(text, line.n + 1);
	}
	return out->n > 0;
}

/* A blank line or a rule between rows belongs to the block. */
int grid_find(struct span text, enum grid_style style, struct grid *out)
{
	size_t end, start;

	text = span_trim(text);
	end = start = text.n;
	/* goes up to the last line that is a row, then to the first line of its block */
	for (int inside = 0;;) {
		struct span line = line_before(text, start);
		size_t      at = (size_t)(line.s - text.s);
		int         row = grid_read(line, style, out),
		    open = row || is_rule(line) || span_trim(line).n == 0;
		if (inside && !open)
			break;
		if (!inside && row)
			end = start;
		inside |= row;
		start = at;
		if (start == 0)
			break;
		start--;
	}
	return grid_read((struct span){text.s + start, end - start}, style, out);
}

/* Adds lists of any depth; each innermost list is a row. */
static int grid_add_list(struct grid_reader *r, const json_t *list)
{
	size_t        i;
	const json_t *item;

	json_array_foreach(list, i, item)
	{
		json_int_t value = json_integer_value(item);
		if (json_is_array(item)) {
			end_row(r);
			if (!grid_add_list(r, item))
				return 0;
			end_row(r);
		} else if (!json_is_integer(item) || value < 0 || value > GRID_VALUE_MAX ||
		           !grid_add_cell(r, (int)value)) {
			return 0;
		}
	}
	return 1;
}

int grid_of_json(const json_t *v, enum grid_style style, struct grid *out)
{
	struct grid_reader r = {.grid = out, .style = style};

	out->n = 0;
	if (json_is_string(v))
		return grid_read((struct span){json_string_value(v), json_string_length(v)}, style,
		                 out);
	return json_is_array(v) && grid_add_list(&r, v) && out->n > 0;
}

int grid_equal(const struct grid *a, const struct grid *b)
{
	return a->n == b->n && memcmp(a->cell, b->cell, (size_t)a->n * sizeof a->cell[0]) == 0;
}
