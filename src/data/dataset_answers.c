#include "base/error.h"
#include "base/json.h"
#include "data/dataset_parts.h"

#include <string.h>

/* Texts, numbers and truth values; lists in lists are grids and the like, one value for those who
 * read them. */
static int answers_are_plain(const json_t *list)
{
	const json_t *v;
	size_t        i;

	json_array_foreach(list, i, v) if (!json_is_string(v) && !json_is_number(v) &&
	                                   !json_is_boolean(v)) return 0;
	return 1;
}

/* "a, b, c" */
static int answers_join(const struct reader *r, const char *const *items, int n, const char **out)
{
	struct text t = {0};
	int         status;

	for (int i = 0; i < n; i++)
		text_print(&t, "%s%s", i ? ", " : "", items[i]);
	status = text_status(&t);
	if (status == OK)
		status = arena_copy(r->arena, t.data, t.n, out);
	text_free(&t);
	return status;
}

int dataset_take_answer(const struct reader *r, const char *name, const json_t *v,
                        struct problem *p)
{
	size_t       n = json_array_size(v);
	const char **items;

	if (json_is_array(v) && n == 0)
		return error_set(ERR_INPUT, "%s: the answer \"%s\" is an empty list", r->place,
		                 name);
	TRY(dataset_copy_value(r, name, v, &p->answer));
	if (!json_is_array(v) || !answers_are_plain(v))
		return OK;
	TRY(arena_take(r->arena, n + 1, "the answers of a row", &items));
	for (size_t i = 0; i < n; i++)
		TRY(dataset_copy_value(r, name, json_array_get(v, i), &items[i]));
	TRY(answers_join(r, items, (int)n, &items[n]));
	if (r->options->join_answers) {
		p->answer = items[n];
		return OK;
	}
	p->answers = items;
	p->n_answers = (int)n + (n > 1);
	return OK;
}
