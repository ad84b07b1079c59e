#include "base/error.h"
#include "base/json.h"
#include "data/dataset.h"
#include "verify/grid.h"
#include "verify/verify.h"

#include <string.h>

/* 1D-ARC: {"test": [{"input": [...], "output": [...]}]} */
static int read_test_output(const struct problem *p, struct grid *out)
{
	json_t *row = NULL;
	int     found;

	if (!p->row || json_parse("row", p->row, strlen(p->row), &row) != OK)
		return 0;
	found = grid_of_json(
	        json_object_get(json_array_get(dataset_column(row, "test"), 0), "output"),
	        GRID_NUMBERS, out);
	json_decref(row);
	return found;
}

static int verify_arc_read_gold(const struct problem *p, struct grid *out)
{
	return p->answer ? grid_read(span_of(p->answer), GRID_NUMBERS, out)
	                 : read_test_output(p, out);
}

VERIFY_CHECK(verify_arc_check)
{
	struct grid gold;

	(void)spec;
	return verify_arc_read_gold(p, &gold)
	               ? OK
	               : error_set(ERR_INPUT, "the answer must be a grid of numbers (0 1 2 ..., a "
	                                      "line a row, or lists), or stand in "
	                                      "test[0].output of the row");
}

/* The number of right cells; 0 if the shapes differ. */
static int count_right(const struct grid *gold, const struct grid *g)
{
	int right = 0;

	if (gold->n != g->n)
		return 0;
	for (int i = 0; i < g->n; i++) {
		if (gold->cell[i].row != g->cell[i].row)
			return 0;
		right += gold->cell[i].value == g->cell[i].value;
	}
	return right;
}

VERIFY_SCORE(verify_arc)
{
	struct grid gold, got;
	struct span result;

	*out = (struct score){0};
	span_result(verify_text(c), &result);
	out->parsed = grid_find(result, GRID_NUMBERS, &got);
	if (!out->parsed || !verify_arc_read_gold(p, &gold))
		return OK;
	verify_mark(out, grid_equal(&gold, &got),
	            spec->options.partial * count_right(&gold, &got) / gold.n);
	return OK;
}
