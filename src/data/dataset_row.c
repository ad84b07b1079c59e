#include "base/error.h"
#include "base/json.h"
#include "data/dataset_parts.h"
#include "data/overlap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- finding columns ---- */

static const char *const answer_columns[] = {"answer",
                                             "solution",
                                             "ground_truth",
                                             "label",
                                             "reward_model.ground_truth",
                                             "ground_truth.target",
                                             NULL};
static const char *const id_columns[] = {"id", "unique_id", NULL};
static const char *const category_columns[] = {"category", "data_source", "dataset", NULL};

/* One part of a path, n bytes: a member, or of a list the item of that number. */
static const json_t *dataset_row_member(const json_t *v, const char *part, size_t n)
{
	size_t digits = strspn(part, "0123456789");

	if (!json_is_array(v))
		return json_object_getn(v, part, n);
	return digits == n && n > 0 && n < 10 ? json_array_get(v, (size_t)atol(part)) : NULL;
}

const json_t *dataset_column(const json_t *row, const char *path)
{
	const json_t *v = json_object_get(row, path);

	while (!v) {
		const char *dot = strchr(path, '.');
		if (!dot)
			break;
		row = dataset_row_member(row, path, (size_t)(dot - path));
		path = dot + 1;
		v = dataset_row_member(row, path, strlen(path));
	}
	return json_is_null(v) ? NULL : v;
}

/* The first of the columns that is there and that is no object. */
static const json_t *first_column(const json_t *row, const char *const *names, const char **name)
{
	for (; *names; names++) {
		const json_t *v = dataset_column(row, *names);
		if (v && !json_is_object(v)) {
			*name = *names;
			return v;
		}
	}
	return NULL;
}

const json_t *dataset_chosen_column(const struct reader *r, const char *chosen,
                                    const char *const *names, const char **name)
{
	*name = chosen;
	return chosen ? dataset_column(r->row, chosen) : first_column(r->row, names, name);
}

enum { COLUMNS_SHOWN = 12 };

/* A member that is a list of objects: where the rows are, when the file is one object around them.
 * NULL: there is none. */
static const char *list_of_rows(const json_t *row)
{
	const char *key;
	json_t     *v;

	json_object_foreach((json_t *)(uintptr_t)row, key,
	                    v) if (json_array_size(v) > 0 &&
	                           json_is_object(json_array_get(v, 0))) return key;
	return NULL;
}

/* ADDS the columns of the row, the first of them. */
static void dataset_row_add_columns(const json_t *row, struct text *t)
{
	const char *key;
	json_t     *v;
	int         shown = 0;

	json_object_foreach((json_t *)(uintptr_t)row, key, v) if (shown++ < COLUMNS_SHOWN)
	        text_print(t, "%s%.80s", shown > 1 ? ", " : "; the row has ", key);
	text_print(t, "%s", shown > COLUMNS_SHOWN ? ", ..." : "");
}

int dataset_missing_column(const struct reader *r, const char *what, const char *chosen,
                           const char *const *names)
{
	struct text t = {0};
	const char *rows = list_of_rows(r->row);
	int         status;

	if (chosen) {
		text_print(&t, "%s: the %s column \"%s\" is missing", r->place, what, chosen);
	} else {
		text_print(&t, "%s: no %s (looked for ", r->place, what);
		for (int i = 0; names[i]; i++)
			text_print(&t, "%s%s", i ? ", " : "", names[i]);
		text_print(&t, "); name its column with data.%s_column", what);
	}
	dataset_row_add_columns(r->row, &t);
	if (rows && !strcmp(what, "prompt"))
		text_print(&t,
		           "; if the rows are the items of \"%.80s\", take them out of there: jq "
		           "-c '.[\"%.80s\"][]'",
		           rows, rows);
	status = text_status(&t);
	if (status == OK)
		status = error_set(ERR_INPUT, "%s", t.data);
	text_free(&t);
	return status;
}

/* ---- values as text ---- */

int dataset_copy_string(const struct reader *r, const char *name, const json_t *v, const char **out)
{
	const char *s = json_string_value(v);
	size_t      n = json_string_length(v);

	if (strlen(s) != n)
		return error_set(ERR_INPUT, "%s: \"%s\" has a NUL byte in it", r->place, name);
	if (r->halves && strstr(s, "\xEF\xBF\xBD"))
		return error_set(ERR_INPUT,
		                 "%s: \"%s\" has half of a surrogate pair in it (such as \\ud83d "
		                 "alone), which is no text; fix the row, or "
		                 "take it out",
		                 r->place, name);
	return arena_copy(r->arena, s, n, out);
}

static int copy_json(const struct reader *r, const json_t *v, const char **out)
{
	char *s = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	int   status = s ? arena_copy(r->arena, s, strlen(s), out)
	                 : error_memory("a value of %s", r->place);

	free(s);
	return status;
}

static int copy_real(const struct reader *r, const json_t *v, const char **out)
{
	struct text t = {0};
	int         status;

	json_add_real(&t, json_real_value(v));
	if (!t.failed && !strpbrk(t.data, ".en"))
		text_add(&t, ".0", 2);
	status = text_status(&t);
	if (status == OK)
		status = arena_copy(r->arena, t.data, t.n, out);
	text_free(&t);
	return status;
}

int dataset_copy_value(const struct reader *r, const char *name, const json_t *v, const char **out)
{
	if (json_is_string(v))
		return dataset_copy_string(r, name, v, out);
	if (json_is_real(v))
		return copy_real(r, v, out);
	if (json_is_integer(v) || json_is_boolean(v) || json_is_array(v))
		return copy_json(r, v, out);
	return error_set(ERR_INPUT, "%s: \"%s\" must be a text, a number or a list", r->place,
	                 name);
}

static int dataset_row_read_text(const struct reader *r, const char *name, const char **out)
{
	const json_t *v = dataset_column(r->row, name);

	return v ? dataset_copy_value(r, name, v, out) : OK;
}

/* A text, or a list of texts. */
static int dataset_row_read_texts(const struct reader *r, const char *name, const char *const **out,
                                  int *n_out)
{
	const json_t *v = dataset_column(r->row, name);
	size_t        n = json_is_array(v) ? json_array_size(v) : 1;
	const char  **texts;

	if (!v || n == 0)
		return OK;
	TRY(arena_take(r->arena, n, "the texts of a row", &texts));
	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_is_array(v) ? json_array_get(v, i) : v;
		if (!json_is_string(one))
			return error_set(ERR_INPUT, "%s: \"%s\" must be a text or a list of texts",
			                 r->place, name);
		TRY(dataset_copy_string(r, name, one, &texts[i]));
	}
	*out = texts;
	*n_out = (int)n;
	return OK;
}

/* ---- a row ---- */

/* A template that does not ask for {prompt} makes rows without a prompt usable. */
static int template_needs_prompt(const struct dataset_options *o)
{
	return !o->prompt_template || strstr(o->prompt_template, "{prompt}") != NULL;
}

static int dataset_row_read_answer(const struct reader *r, struct problem *p)
{
	const char   *name;
	const json_t *v =
	        dataset_chosen_column(r, r->options->answer_column, answer_columns, &name);

	if (v)
		return dataset_take_answer(r, name, v, p);
	return r->options->answer_optional
	               ? OK
	               : dataset_missing_column(r, "answer", r->options->answer_column,
	                                        answer_columns);
}

/* 1.0, as an integer comes out of a table that once had a gap in the column. */
static int is_whole(double x)
{
	return fabs(x) < 9007199254740992.0 && x == floor(x);
}

/* A number that is whole becomes the text of the integer; without a column the id stays NULL. */
static int read_id(const struct reader *r, struct problem *p)
{
	const char   *name;
	const json_t *v;

	if (r->options->id_column && !strcmp(r->options->id_column, "line"))
		return OK;
	v = dataset_chosen_column(r, r->options->id_column, id_columns, &name);
	if (!v && r->options->id_column)
		return dataset_missing_column(r, "id", name, id_columns);
	if (!v)
		return OK;
	if (json_is_real(v) && is_whole(json_real_value(v)))
		return arena_print(r->arena, &p->id, "%.0f", json_real_value(v));
	if (!json_is_string(v) && !json_is_integer(v))
		return error_set(ERR_INPUT,
		                 "%s: \"%s\" must be a text or an integer; data.id_column names "
		                 "another column, or line for FILE:LINE",
		                 r->place, name);
	return dataset_copy_value(r, name, v, &p->id);
}

static int read_category(const struct reader *r, struct problem *p)
{
	p->category = r->options->category;
	if (r->options->category_column)
		return dataset_row_read_text(r, r->options->category_column, &p->category);
	for (const char *const *name = category_columns; *name; name++) {
		const json_t *v = dataset_column(r->row, *name);
		if (v && !json_is_object(v))
			return dataset_row_read_text(r, *name, &p->category);
	}
	return OK;
}

double dataset_difficulty(const json_t *v)
{
	const char *text = json_string_value(v);
	char       *end;
	double      x;

	if (!text)
		return json_is_number(v) ? json_number_value(v) : NAN;
	x = strtod(text, &end);
	return *text && !*end && strspn(text, "+-.0123456789eE") == strlen(text) && isfinite(x)
	               ? x
	               : NAN;
}

static int read_labels(const struct reader *r, struct problem *p)
{
	const struct dataset_options *o = r->options;
	const char *difficulty = o->difficulty_column ? o->difficulty_column : "difficulty";

	p->difficulty = dataset_difficulty(dataset_column(r->row, difficulty));
	TRY(dataset_read_template_values(r, p));
	TRY(read_category(r, p));
	TRY(dataset_row_read_text(r, "hint", &p->hint));
	TRY(dataset_row_read_text(r, "rubric", &p->rubric));
	TRY(dataset_row_read_texts(r, "skills", &p->skills, &p->n_skills));
	return dataset_row_read_texts(r, "demonstrations", &p->demonstrations,
	                              &p->n_demonstrations);
}

static int convert_row(const struct reader *r, struct problem *p)
{
	TRY(r->options->convert(r->place, r->row, r->arena, p));
	overlap_mark(p);
	return OK;
}

static int dataset_row_read_row(const struct reader *r, struct problem *p)
{
	if (!json_is_object(r->row))
		return error_set(ERR_INPUT, "%s: expected one JSON object a line", r->place);
	TRY(read_id(r, p));
	if (r->options->convert)
		return convert_row(r, p);
	if (template_needs_prompt(r->options))
		TRY(dataset_read_prompt(r, p));
	overlap_mark(p);
	if (r->options->prompt_template)
		TRY(dataset_shape_prompt(r, p));
	if (!template_needs_prompt(r->options))
		overlap_mark(p);
	TRY(dataset_row_read_answer(r, p));
	return read_labels(r, p);
}

/* JSON as it is, or as it becomes once what writers write and JSON does not have is mended. */
static int parse_row(struct reader *r, const char *line, size_t n, struct text *mended)
{
	int status = json_parse(r->place, line, n, &r->row);

	if (status != ERR_INPUT || dataset_mend(line, n, mended, &r->halves) == 0)
		return status;
	TRY(text_status(mended));
	return json_parse(r->place, mended->data, mended->n, &r->row);
}

int dataset_read_row(const char *place, const char *line, size_t n,
                     const struct dataset_options *options, struct arena *a, struct problem *out)
{
	struct reader r = {.place = place, .options = options, .arena = a};
	struct text   mended = {0};
	int           status;

	*out = (struct problem){.difficulty = NAN};
	status = parse_row(&r, line, n, &mended);
	if (status == OK)
		status = dataset_row_read_row(&r, out);
	if (status == OK)
		status = mended.n ? arena_copy(a, mended.data, mended.n, &out->row)
		                  : arena_copy(a, line, n, &out->row);
	json_decref(r.row);
	text_free(&mended);
	return status;
}
