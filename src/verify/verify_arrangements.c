/* verify_arrangements.c - puzzles with many right arrangements, checked by their rules. The puzzles
 * are those of reasoning-gym (github.com/open-thought/reasoning-gym). */
#include "base/error.h"
#include "base/json.h"
#include "verify/verify.h"

#include <ctype.h>
#include <string.h>

/* ---- queens: a board of _ and Q with blanks between them, one row per line ---- */

enum { BOARD_MAX = 64 };

struct board {
	int  n;                           /* rows */
	char cell[BOARD_MAX * BOARD_MAX]; /* [n x n] */
};

static int is_board_line(struct span line)
{
	for (size_t i = 0; i < line.n; i++)
		if (i % 2 ? line.s[i] != ' ' : line.s[i] != '_' && line.s[i] != 'Q')
			return 0;
	return line.n % 2;
}

/* A square board and nothing else. */
static int read_board(struct span text, struct board *out)
{
	size_t columns = 0, rows = 0;

	for (text = span_trim(text); text.n; text = span_trim(text)) {
		struct span line = span_line(text);
		columns = rows ? columns : (line.n + 1) / 2;
		if (!is_board_line(line) || columns > BOARD_MAX || (line.n + 1) / 2 != columns ||
		    rows == columns)
			return 0;
		for (size_t i = 0; i < columns; i++)
			out->cell[rows * columns + i] = line.s[2 * i];
		rows++;
		text = span_from(text, (size_t)(line.s - text.s) + line.n);
	}
	out->n = (int)rows;
	return rows && rows == columns;
}

/* The board at the end of the question. */
static int read_question(const json_t *row, struct board *out)
{
	struct span text = span_trim(span_of(json_string_value(json_object_get(row, "question"))));
	size_t      start = text.n;

	while (start) {
		size_t at = start - 1;
		while (at && text.s[at - 1] != '\n')
			at--;
		if (!is_board_line(span_trim((struct span){text.s + at, start - at})))
			break;
		start = at ? at - 1 : 0;
	}
	return read_board(span_from(text, start), out);
}

/* The given queens stay; each row has one, and none shares a column or a diagonal with another. */
int arrange_queens(const json_t *row, struct span result)
{
	struct board given, b;
	int          queens[BOARD_MAX], n;

	if (!read_question(row, &given) || !read_board(result, &b) || b.n != given.n)
		return 0;
	n = b.n;
	for (int y = 0; y < n; y++) {
		queens[y] = -1;
		for (int x = 0; x < n; x++) {
			if (given.cell[y * n + x] == 'Q' && b.cell[y * n + x] != 'Q')
				return 0;
			if (b.cell[y * n + x] == 'Q' && queens[y] >= 0)
				return 0;
			queens[y] = b.cell[y * n + x] == 'Q' ? x : queens[y];
		}
		if (queens[y] < 0)
			return 0;
		for (int above = 0; above < y; above++)
			if (queens[above] == queens[y] || queens[above] - queens[y] == y - above ||
			    queens[y] - queens[above] == y - above)
				return 0;
	}
	return 1;
}

/* ---- a colouring: {"0": 1, "1": 2} ---- */

static const json_t *colour_of(const json_t *colouring, const json_t *vertex)
{
	char name[24];

	snprintf(name, sizeof name, "%lld", (long long)json_integer_value(vertex));
	return json_object_get(colouring,
	                       json_is_string(vertex) ? json_string_value(vertex) : name);
}

static int verify_arrangements_is_among(const json_t *list, const json_t *v)
{
	const json_t *item;
	size_t        i;

	json_array_foreach(list, i, item) if (json_equal(item, v)) return 1;
	return 0;
}

static int is_coloured(const json_t *puzzle, const json_t *colouring)
{
	const json_t *colours = json_object_get(puzzle, "color_options"), *v;
	size_t        i;

	if (json_array_size(json_object_get(puzzle, "vertices")) == 0)
		return 0;
	json_array_foreach(
	        json_object_get(puzzle, "vertices"), i,
	        v) if (!verify_arrangements_is_among(colours, colour_of(colouring, v))) return 0;
	json_array_foreach(json_object_get(puzzle, "edges"), i,
	                   v) if (json_equal(colour_of(colouring, json_array_get(v, 0)),
	                                     colour_of(colouring, json_array_get(v, 1)))) return 0;
	return 1;
}

int arrange_colours(const json_t *row, struct span result)
{
	json_t *colouring = NULL;
	int     right;

	if (json_parse("the result", result.s, result.n, &colouring) != OK)
		return 0;
	right = is_coloured(verify_column(row, "puzzle"), colouring);
	json_decref(colouring);
	return right;
}

/* ---- a palindrome of all the letters, in any case ---- */

/* Every letter is used once, and the text reads the same from both ends. */
int arrange_palindrome(const json_t *row, struct span result)
{
	const json_t *letters = verify_column(row, "letters"), *letter;
	int           left[256] = {0};
	size_t        i;

	if (result.n == 0 || result.n != json_array_size(letters))
		return 0;
	json_array_foreach(letters, i, letter)
	{
		const char *s = json_string_value(letter);
		if (!s || !s[0] || s[1])
			return 0;
		left[tolower((unsigned char)s[0])]++;
	}
	for (i = 0; i < result.n; i++) {
		int c = tolower((unsigned char)result.s[i]);
		if (left[c]-- == 0 || c != tolower((unsigned char)result.s[result.n - 1 - i]))
			return 0;
	}
	return 1;
}

/* ---- a fraction in its lowest terms: 3/4 or \frac{3}{4}, the last one of the result ---- */

enum { DIGITS_MAX = 18 };

/* The value of the digits at the start of the span, and their number; -1 when there are none or too
 * many. */
static int64_t verify_arrangements_read_digits(struct span a, size_t *n)
{
	int64_t value = 0;

	for (*n = 0; *n < a.n && isdigit((unsigned char)a.s[*n]); ++*n)
		value = *n < DIGITS_MAX ? 10 * value + (a.s[*n] - '0') : -1;
	return *n > 0 && *n <= DIGITS_MAX ? value : -1;
}

/* Does a fraction start at text[i]? In LaTeX "}{" separates its parts and \frac{ comes before. */
static int fraction_at(struct span text, size_t i, int64_t *over, int64_t *under)
{
	size_t      n, m;
	struct span rest;

	if (i && isdigit((unsigned char)text.s[i - 1]))
		return 0;
	*over = verify_arrangements_read_digits(span_from(text, i), &n);
	rest = span_from(text, i + n);
	if (i >= 5 && span_starts_nocase(span_from(text, i - 5), "frac{") &&
	    span_starts(rest, "}{"))
		rest = span_from(rest, 2);
	else if (span_starts(rest, "/"))
		rest = span_from(rest, 1);
	else
		return 0;
	*under = verify_arrangements_read_digits(rest, &m);
	return *over >= 0 && *under > 0;
}

int arrange_fraction(const json_t *row, struct span result)
{
	int64_t over, under;

	for (size_t i = result.n; i-- > 0;)
		if (isdigit((unsigned char)result.s[i]) && fraction_at(result, i, &over, &under))
			return over == json_integer_value(
			                       verify_column(row, "simplified_numerator")) &&
			       under == json_integer_value(
			                        verify_column(row, "simplified_denominator"));
	return 0;
}
