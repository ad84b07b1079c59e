#include "cli/rows.h"

#include "base/error.h"
#include "base/terminal.h"
#include "data/dataset.h"

#include <stdio.h>
#include <string.h>

enum { ROW_MAX = 64 << 20 };

struct rows_line {
	size_t      number;
	const char *text;
	size_t      n;
};

static int rows_reply_to(rows_reply *reply, void *context, struct rows_line line, struct text *out)
{
	char    place[40];
	json_t *row;
	int     status;

	snprintf(place, sizeof place, "line %zu", line.number);
	TRY(json_parse(place, line.text, line.n, &row));
	status = json_is_object(row) ? reply(context, place, row, out)
	                             : error_set(ERR_INPUT, "%s: expected a JSON object", place);
	json_decref(row);
	return status != OK ? status : text_status(out);
}

struct rows_count {
	size_t bad, first_bad; /* rows; the line of the first */
};

/* Replies to one row; only what is no fault of the row is an error. */
static int rows_next(rows_reply *reply, void *context, struct rows_line row, struct text *out,
                     struct rows_count *count)
{
	int status;

	out->n = 0;
	text_add(out, "{", 1);
	status = rows_reply_to(reply, context, row, out);
	if (status == ERR_MEMORY || status == STOPPED)
		return status;
	if (status != OK) {
		count->first_bad = count->bad++ ? count->first_bad : row.number;
		out->n = 0;
		text_print(out, "{\"line\": %zu, \"error\": ", row.number);
		json_add_string(out, error_message(), strlen(error_message()));
	}
	text_add(out, "}\n", 2);
	TRY(text_status(out));
	terminal_write(stdout, out->data, out->n);
	return OK;
}

int rows_run(rows_reply *reply, void *context)
{
	struct lines     *in;
	struct rows_line  row;
	struct rows_count count = {0};
	struct text       out = {0};
	int               status;

	TRY(lines_open("-", ROW_MAX, &in));
	while ((status = lines_next(in, &row.text, &row.n)) == OK && row.text) {
		row.number = lines_number(in);
		if (row.n > 0)
			status = rows_next(reply, context, row, &out, &count);
		if (status != OK)
			break;
	}
	text_free(&out);
	lines_close(in);
	if (status == OK && count.bad)
		status = error_set(ERR_INPUT,
		                   "%zu rows failed, the first in line %zu; their lines of output "
		                   "say why",
		                   count.bad, count.first_bad);
	return status;
}

int rows_get_ids(const char *place, const json_t *row, int n_vocab, struct arena *a, int **ids,
                 int *n)
{
	const json_t *list = json_object_get(row, "ids");

	if (!json_is_array(list))
		return error_set(ERR_INPUT, "%s: \"ids\" must be a list of token ids", place);
	*n = (int)json_array_size(list);
	TRY(arena_take(a, (size_t)*n, "token ids", ids));
	for (int i = 0; i < *n; i++) {
		const json_t *v = json_array_get(list, (size_t)i);
		json_int_t    id = json_integer_value(v);
		if (!json_is_integer(v) || id < 0 || id >= n_vocab)
			return error_set(ERR_INPUT,
			                 "%s: \"ids\"[%d] is not a token id from 0 to %d", place, i,
			                 n_vocab - 1);
		(*ids)[i] = (int)id;
	}
	return OK;
}

int rows_print_problem(const struct problem *p)
{
	struct text t = {0};
	int         status = dataset_add_row(&t, p);

	if (status == OK)
		terminal_write(stdout, t.data, t.n);
	text_free(&t);
	return status;
}
