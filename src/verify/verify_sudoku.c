#include "base/error.h"
#include "base/json.h"
#include "verify/grid.h"
#include "verify/verify.h"

#include <string.h>

enum { PUZZLE_MIN = 4, PUZZLE_MAX = 25, PUZZLE_DIGITS = 9 };

struct puzzle {
	int             n, height; /* of the grid, of a box */
	enum grid_style style;     /* of its solutions */
	struct grid     given;     /* 0: empty */
};

/* The n of a grid of n x n cells; 0 if the size is not allowed. */
static int size_of(const struct grid *g, int low, int high)
{
	for (int n = low; n <= high; n++)
		if (g->n == n * n)
			return n;
	return 0;
}

static int box_height(int n)
{
	int height = 1;

	for (int h = 1; h * h <= n; h++)
		if (n % h == 0)
			height = h;
	return height;
}

static int is_in_range(const struct grid *g, int low, int high)
{
	for (int i = 0; i < g->n; i++)
		if (g->cell[i].value < low || g->cell[i].value > high)
			return 0;
	return 1;
}

static int read_puzzle_at(const json_t *v, struct puzzle *out)
{
	out->style = GRID_DIGITS;
	out->n = grid_of_json(v, GRID_DIGITS, &out->given)
	                 ? size_of(&out->given, PUZZLE_MIN, PUZZLE_DIGITS)
	                 : 0;
	if (!out->n) {
		out->style = GRID_NUMBERS;
		out->n = grid_of_json(v, GRID_NUMBERS, &out->given)
		                 ? size_of(&out->given, PUZZLE_DIGITS + 1, PUZZLE_MAX)
		                 : 0;
	}
	out->height = box_height(out->n);
	return out->n && is_in_range(&out->given, 0, out->n);
}

static int read_puzzle(const struct problem *p, struct puzzle *out)
{
	json_t *row = NULL;
	int     found;

	if (!p->row || json_parse("row", p->row, strlen(p->row), &row) != OK)
		return 0;
	found = read_puzzle_at(verify_column(row, "puzzle"), out);
	json_decref(row);
	return found;
}

VERIFY_CHECK(verify_sudoku_check)
{
	struct puzzle puzzle;
	struct grid   gold;

	if (!read_puzzle(p, &puzzle))
		return error_set(ERR_INPUT,
		                 "the row needs a \"puzzle\" of n x n cells, n from %d to %d, each "
		                 "0 (empty) to n",
		                 PUZZLE_MIN, PUZZLE_MAX);
	if (spec->options.partial > 0 &&
	    (!p->answer || !grid_read(span_of(p->answer), puzzle.style, &gold) ||
	     gold.n != puzzle.given.n))
		return error_set(ERR_INPUT,
		                 "partial credit needs the solution as the answer of the row");
	return OK;
}

/* ---- the rules ---- */

static int keeps_givens(const struct puzzle *p, const struct grid *g)
{
	for (int i = 0; i < g->n; i++)
		if (p->given.cell[i].value && p->given.cell[i].value != g->cell[i].value)
			return 0;
	return 1;
}

/* Each value 1 .. n must come once in every row, column and box. Each of these sets has one bit per
 * value. */
static int keeps_rules(const struct puzzle *p, const struct grid *g)
{
	unsigned row[PUZZLE_MAX] = {0}, column[PUZZLE_MAX] = {0}, box[PUZZLE_MAX] = {0};
	int      n = p->n, width = n / p->height;

	for (int i = 0; i < g->n; i++) {
		int      y = i / n, x = i % n, b = y / p->height * p->height + x / width;
		unsigned bit = 1u << g->cell[i].value;
		if ((row[y] | column[x] | box[b]) & bit)
			return 0;
		row[y] |= bit;
		column[x] |= bit;
		box[b] |= bit;
	}
	return 1;
}

static int is_solution(const struct puzzle *p, const struct grid *g)
{
	return g->n == p->given.n && is_in_range(g, 1, p->n) && keeps_givens(p, g) &&
	       keeps_rules(p, g);
}

/* The share of the empty cells that are as in the answer. */
static double share_right(const struct puzzle *p, const struct grid *gold, const struct grid *g)
{
	int empty = 0, right = 0;

	for (int i = 0; i < gold->n; i++) {
		if (p->given.cell[i].value)
			continue;
		empty++;
		right += i < g->n && g->cell[i].value == gold->cell[i].value;
	}
	return empty ? (double)right / empty : 0;
}

/* The rules decide what is right; the stored answer matters only for partial credit. */
VERIFY_SCORE(verify_sudoku)
{
	struct puzzle puzzle;
	struct grid   gold, got;
	struct span   result;

	*out = (struct score){0};
	if (!read_puzzle(p, &puzzle))
		return OK;
	span_result(verify_text(c), &result);
	if (!grid_find(result, puzzle.style, &got) || got.n > puzzle.given.n)
		return OK;
	out->parsed = got.n == puzzle.given.n;
	verify_mark(out, is_solution(&puzzle, &got), 0);
	if (!out->right && spec->options.partial > 0 && p->answer &&
	    grid_read(span_of(p->answer), puzzle.style, &gold) && gold.n == puzzle.given.n)
		out->reward = spec->options.partial * share_right(&puzzle, &gold, &got);
	return OK;
}
