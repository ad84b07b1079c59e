#include "task/dataset.h"

#include "base/error.h"
#include "base/json.h"
#include "task/generator.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const prompt_columns[] = {"prompt", "messages", "question", "problem", "input", NULL};
static const char *const answer_columns[] = {
        "answer", "solution", "ground_truth", "label", "reward_model.ground_truth", "ground_truth.target", NULL};
static const char *const own_columns[] = {"id",   "prompt", "answer",         "category", "difficulty",
                                          "hint", "rubric", "demonstrations", "skills",   NULL};

struct reader { /* of one row */
	const char                   *place;
	const json_t                 *row;
	const struct dataset_options *options;
	struct arena                 *arena;
};

/* ---- finding columns ---- */

const json_t *dataset_column(const json_t *row, const char *path)
{
	const json_t *v = json_object_get(row, path);

	while (!v && json_is_object(row)) {
		const char *dot = strchr(path, '.');
		if (!dot)
			break;
		row = json_object_getn(row, path, (size_t)(dot - path));
		path = dot + 1;
		v = json_object_get(row, path);
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

static const json_t *chosen_column(const struct reader *r, const char *chosen, const char *const *names, const char **name)
{
	*name = chosen;
	return chosen ? dataset_column(r->row, chosen) : first_column(r->row, names, name);
}

/* ---- values as text ---- */

static int copy_string(const struct reader *r, const char *name, const json_t *v, const char **out)
{
	const char *s = json_string_value(v);
	size_t      n = json_string_length(v);

	if (strlen(s) != n)
		return error_set(ERR_INPUT, "%s: \"%s\" has a NUL byte in it", r->place, name);
	*out = arena_text(r->arena, s, n);
	return *out ? OK : ERR_INPUT;
}

static int copy_json(const struct reader *r, const json_t *v, const char **out)
{
	char *s = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

	*out = s ? arena_text(r->arena, s, strlen(s)) : NULL;
	free(s);
	return *out ? OK : error_set(ERR_INPUT, "%s: out of memory", r->place);
}

static int copy_real(const struct reader *r, const json_t *v, const char **out)
{
	struct text t = {0};

	json_add_real(&t, json_real_value(v));
	if (text_status(&t) == OK && !strpbrk(t.data, ".en"))
		text_add(&t, ".0", 2);
	*out = text_status(&t) == OK ? arena_text(r->arena, t.data, t.n) : NULL;
	text_free(&t);
	return *out ? OK : ERR_INPUT;
}

static int copy_value(const struct reader *r, const char *name, const json_t *v, const char **out)
{
	if (json_is_string(v))
		return copy_string(r, name, v, out);
	if (json_is_real(v))
		return copy_real(r, v, out);
	if (json_is_integer(v) || json_is_boolean(v) || json_is_array(v))
		return copy_json(r, v, out);
	return error_set(ERR_INPUT, "%s: \"%s\" must be a text, a number or a list", r->place, name);
}

static int read_text(const struct reader *r, const char *name, const char **out)
{
	const json_t *v = dataset_column(r->row, name);

	return v ? copy_value(r, name, v, out) : OK;
}

/* A text, or a list of texts. */
static int read_texts(const struct reader *r, const char *name, const char *const **out, int *n_out)
{
	const json_t *v = dataset_column(r->row, name);
	size_t        n = json_is_array(v) ? json_array_size(v) : 1;
	const char  **texts;

	if (!v)
		return OK;
	texts = arena_alloc(r->arena, n, sizeof *texts);
	if (!texts)
		return ERR_INPUT;
	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_is_array(v) ? json_array_get(v, i) : v;
		if (!json_is_string(one))
			return error_set(ERR_INPUT, "%s: \"%s\" must be a text or a list of texts", r->place, name);
		TRY(copy_string(r, name, one, &texts[i]));
	}
	*out = texts;
	*n_out = (int)n;
	return OK;
}

/* ---- the prompt ---- */

static int read_message(const struct reader *r, const json_t *v, size_t i, struct message *m)
{
	const json_t *role = json_object_get(v, "role"), *content = json_object_get(v, "content");

	if (!json_is_string(role) || !json_is_string(content))
		return error_set(ERR_INPUT, "%s: message %zu of the prompt needs \"role\" and \"content\", both texts", r->place, i);
	TRY(copy_string(r, "role", role, &m->role));
	return copy_string(r, "content", content, &m->content);
}

/* The assistant's last word is what a model should say, not what it is asked. */
static int split_off_reply(const struct reader *r, struct problem *p)
{
	const char **reply;

	if (p->n_messages == 0 || strcmp(p->messages[p->n_messages - 1].role, "assistant"))
		return OK;
	reply = arena_alloc(r->arena, 1, sizeof *reply);
	if (!reply)
		return ERR_INPUT;
	*reply = p->messages[--p->n_messages].content;
	p->demonstrations = reply;
	p->n_demonstrations = 1;
	return OK;
}

static int read_messages(const struct reader *r, const char *name, const json_t *list, struct problem *p)
{
	size_t          n = json_array_size(list);
	struct message *m = arena_alloc(r->arena, n, sizeof *m);

	if (!m)
		return ERR_INPUT;
	for (size_t i = 0; i < n; i++)
		TRY(read_message(r, json_array_get(list, i), i, &m[i]));
	p->messages = m;
	p->n_messages = (int)n;
	TRY(split_off_reply(r, p));
	return p->n_messages ? OK : error_set(ERR_INPUT, "%s: \"%s\" asks nothing: it needs a message of the user", r->place, name);
}

static int prompt_missing(const struct reader *r)
{
	if (r->options->prompt_optional)
		return OK;
	if (r->options->prompt_column)
		return error_set(ERR_INPUT, "%s: the prompt column \"%s\" is missing", r->place, r->options->prompt_column);
	return error_set(ERR_INPUT,
	                 "%s: no prompt (looked for prompt, messages, question, problem, input); name its column with data.prompt_column",
	                 r->place);
}

static int read_prompt(const struct reader *r, struct problem *p)
{
	const char   *name;
	const json_t *v = chosen_column(r, r->options->prompt_column, prompt_columns, &name);

	if (!v)
		return prompt_missing(r);
	if (json_is_array(v))
		return read_messages(r, name, v, p);
	if (!json_is_string(v))
		return error_set(ERR_INPUT, "%s: the prompt \"%s\" must be a text or a list of messages", r->place, name);
	if (json_string_length(v) == 0)
		return error_set(ERR_INPUT, "%s: the prompt \"%s\" is empty", r->place, name);
	return copy_string(r, name, v, &p->prompt);
}

/* ---- the template ---- */

/* Length of the name in "{name}" at s, or 0. */
static size_t field_length(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[1 + n]) || s[1 + n] == '_' || s[1 + n] == '.')
		n++;
	return s[1 + n] == '}' ? n : 0;
}

static int add_value(const struct reader *r, const char *name, const json_t *v, struct text *t)
{
	const char *s;

	if (!json_is_array(v)) {
		TRY(copy_value(r, name, v, &s));
		text_add(t, s, strlen(s));
		return OK;
	}
	for (size_t i = 0; i < json_array_size(v); i++) {
		TRY(copy_value(r, name, json_array_get(v, i), &s));
		text_print(t, "%s%s", i ? ", " : "", s);
	}
	return OK;
}

static int add_field(const struct reader *r, const char *name, const char *prompt, struct text *t)
{
	const json_t *v = dataset_column(r->row, name);

	if (!strcmp(name, "prompt") && prompt) {
		text_add(t, prompt, strlen(prompt));
		return OK;
	}
	if (!v)
		return error_set(ERR_INPUT, "%s: the row has no column \"%s\", which data.prompt_template asks for", r->place, name);
	return add_value(r, name, v, t);
}

static int add_template(const struct reader *r, const char *prompt, struct text *t)
{
	for (const char *s = r->options->prompt_template; *s;) {
		size_t n = *s == '{' ? field_length(s) : 0;
		char   name[128];

		if (n == 0 || n >= sizeof name) {
			text_add(t, s++, 1);
			continue;
		}
		memcpy(name, s + 1, n);
		name[n] = 0;
		TRY(add_field(r, name, prompt, t));
		s += n + 2;
	}
	return text_status(t);
}

static int fill_template(const struct reader *r, const char *prompt, const char **out)
{
	struct text t = {0};
	int         status = add_template(r, prompt, &t);

	if (status == OK && t.n == 0)
		status = error_set(ERR_INPUT, "%s: data.prompt_template gives an empty prompt", r->place);
	if (status == OK) {
		*out = arena_text(r->arena, t.data, t.n);
		status = *out ? OK : ERR_INPUT;
	}
	text_free(&t);
	return status;
}

static int shape_prompt(const struct reader *r, struct problem *p)
{
	struct message *m;

	if (p->n_messages == 0)
		return fill_template(r, p->prompt, &p->prompt);
	m = arena_alloc(r->arena, (size_t)p->n_messages, sizeof *m);
	if (!m)
		return ERR_INPUT;
	memcpy(m, p->messages, (size_t)p->n_messages * sizeof *m);
	p->messages = m;
	return fill_template(r, m[p->n_messages - 1].content, &m[p->n_messages - 1].content);
}

/* A template that does not ask for {prompt} makes rows without a prompt usable. */
static int template_needs_prompt(const struct dataset_options *o)
{
	return !o->prompt_template || strstr(o->prompt_template, "{prompt}") != NULL;
}

/* ---- a row ---- */

static int read_answer(const struct reader *r, struct problem *p)
{
	const char   *name;
	const json_t *v = chosen_column(r, r->options->answer_column, answer_columns, &name);

	if (v)
		return copy_value(r, name, v, &p->answer);
	if (r->options->answer_optional)
		return OK;
	if (r->options->answer_column)
		return error_set(ERR_INPUT, "%s: the answer column \"%s\" is missing", r->place, r->options->answer_column);
	return error_set(ERR_INPUT,
	                 "%s: no answer (looked for answer, solution, ground_truth, label, reward_model.ground_truth, "
	                 "ground_truth.target); name its column with "
	                 "data.answer_column",
	                 r->place);
}

static int read_id(const struct reader *r, struct problem *p)
{
	const char   *name = r->options->id_column ? r->options->id_column : "id";
	const json_t *v = dataset_column(r->row, name);

	if (!v)
		return OK;
	if (!json_is_string(v) && !json_is_integer(v))
		return error_set(ERR_INPUT, "%s: \"%s\" must be a text or an integer", r->place, name);
	return copy_value(r, name, v, &p->id);
}

static int read_labels(const struct reader *r, struct problem *p)
{
	const struct dataset_options *o = r->options;
	const char                   *difficulty = o->difficulty_column ? o->difficulty_column : "difficulty";
	const json_t                 *v = dataset_column(r->row, difficulty);

	TRY(read_text(r, o->category_column ? o->category_column : "category", &p->category));
	TRY(read_text(r, "hint", &p->hint));
	TRY(read_text(r, "rubric", &p->rubric));
	TRY(read_texts(r, "skills", &p->skills, &p->n_skills));
	TRY(read_texts(r, "demonstrations", &p->demonstrations, &p->n_demonstrations));
	if (v && !json_is_number(v))
		return error_set(ERR_INPUT, "%s: \"%s\" must be a number", r->place, difficulty);
	if (v)
		p->difficulty = json_number_value(v);
	return OK;
}

static int convert_row(const struct reader *r, struct problem *p)
{
	const struct generator *g;

	TRY(generator_find(r->options->convert, &g));
	if (!g->convert)
		return error_set(ERR_INPUT, "data.convert: \"%s\" knows no published rows; only knights_knaves does", g->name);
	return g->convert(r->place, r->row, r->arena, p);
}

static int read_row(const struct reader *r, struct problem *p)
{
	if (!json_is_object(r->row))
		return error_set(ERR_INPUT, "%s: expected one JSON object a line", r->place);
	TRY(read_id(r, p));
	if (r->options->convert)
		return convert_row(r, p);
	if (template_needs_prompt(r->options))
		TRY(read_prompt(r, p));
	if (r->options->prompt_template)
		TRY(shape_prompt(r, p));
	TRY(read_answer(r, p));
	return read_labels(r, p);
}

int dataset_read_row(const char *place, const char *line, size_t n, const struct dataset_options *options, struct arena *a,
                     struct problem *out)
{
	struct reader r = {.place = place, .options = options, .arena = a};
	json_t       *row;
	int           status;

	*out = (struct problem){.difficulty = NAN};
	if (n >= 4 && !memcmp(line, "PAR1", 4))
		return error_set(ERR_INPUT, "%s: this is a Parquet file; write it as JSONL first", place);
	TRY(json_parse(place, line, n, &row));
	r.row = row;
	status = read_row(&r, out);
	json_decref(row);
	TRY(status);
	out->row = arena_text(a, line, n);
	return out->row ? OK : ERR_INPUT;
}

/* ---- files ---- */

static int is_blank(const char *line, size_t n)
{
	while (n && isspace((unsigned char)line[n - 1]))
		n--;
	return n == 0;
}

static int make_room(struct dataset *d, int *capacity)
{
	int             want = *capacity ? 2 * *capacity : 256;
	struct problem *p;

	if (d->n < *capacity)
		return OK;
	if (*capacity > INT_MAX / 2)
		return error_set(ERR_INPUT, "more than %d problems in one data set", *capacity);
	p = mem_grow(d->problems, (size_t)*capacity, (size_t)want, sizeof *p, "the problems");
	if (!p)
		return ERR_INPUT;
	d->problems = p;
	*capacity = want;
	return OK;
}

/* "folder/train.jsonl.gz" -> "train" */
static char *default_id(struct arena *a, const char *path, size_t line)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return arena_format(a, "%.*s:%zu", (int)strcspn(name, "."), name, line);
}

static int read_line(const char *path, const char *line, size_t n, size_t number, const struct dataset_options *o, struct dataset *d)
{
	struct problem *p = &d->problems[d->n];
	char            place[512];

	snprintf(place, sizeof place, "%s:%zu", path, number);
	TRY(dataset_read_row(place, line, n, o, &d->arena, p));
	p->line = number > INT_MAX ? INT_MAX : (int)number;
	if (!p->id)
		p->id = default_id(&d->arena, path, number);
	if (!p->id)
		return ERR_INPUT;
	d->n++;
	return OK;
}

static int is_full(const struct dataset *d, const struct dataset_options *o)
{
	return o->problems_max > 0 && d->n >= o->problems_max;
}

static int read_lines(struct lines *in, const char *path, const struct dataset_options *o, struct dataset *d, int *capacity)
{
	const char *line;
	size_t      n;
	int         before = d->n;

	while (!is_full(d, o)) {
		TRY(lines_next(in, &line, &n));
		if (!line)
			break;
		if (is_blank(line, n))
			continue;
		TRY(make_room(d, capacity));
		TRY(read_line(path, line, n, lines_number(in), o, d));
	}
	if (d->n == before && !is_full(d, o))
		return error_set(ERR_INPUT, "%s: no rows in it", path);
	return OK;
}

static int read_file(const char *path, const struct dataset_options *o, struct dataset *d, int *capacity)
{
	struct lines *in;
	int           status;

	TRY(lines_open(path, DATASET_LINE_MAX, &in));
	status = read_lines(in, path, o, d, capacity);
	lines_close(in);
	return status;
}

int dataset_read(const char *const *paths, int n_paths, const struct dataset_options *options, struct dataset *out)
{
	static const struct dataset_options defaults = {0};
	int                                 capacity = 0, status = OK;

	*out = (struct dataset){0};
	for (int i = 0; i < n_paths && status == OK; i++)
		status = read_file(paths[i], options ? options : &defaults, out, &capacity);
	if (status == OK)
		status = dataset_check_ids(out);
	if (status != OK)
		dataset_free(out);
	return status;
}

void dataset_free(struct dataset *d)
{
	mem_free(d->problems);
	arena_free(&d->arena);
	*d = (struct dataset){0};
}

static int compare_ids(const void *a, const void *b)
{
	const struct problem *p = *(const struct problem *const *)a, *q = *(const struct problem *const *)b;
	int                   c = strcmp(p->id, q->id);

	return c ? c : (p > q) - (p < q);
}

int dataset_check_ids(const struct dataset *d)
{
	const struct problem **sorted = mem_alloc((size_t)d->n, sizeof(const struct problem *), "the ids of the problems");
	int                    status = OK;

	if (!sorted)
		return ERR_INPUT;
	for (int i = 0; i < d->n; i++)
		sorted[i] = &d->problems[i];
	qsort(sorted, (size_t)d->n, sizeof(const struct problem *), compare_ids);
	for (int i = 1; i < d->n && status == OK; i++)
		if (!strcmp(sorted[i - 1]->id, sorted[i]->id))
			status = error_set(ERR_INPUT, "two problems have the id \"%s\" (lines %d and %d); ids must differ", sorted[i]->id,
			                   sorted[i - 1]->line, sorted[i]->line);
	mem_free(sorted);
	return status;
}

/* ---- writing ---- */

static void add_string(struct text *t, const char *s)
{
	json_add_string(t, s, strlen(s));
}

static void add_key(struct text *t, const char *key)
{
	if (t->n && t->data[t->n - 1] != '{')
		text_add(t, ", ", 2);
	add_string(t, key);
	text_add(t, ": ", 2);
}

static void add_member(struct text *t, const char *key, const char *s)
{
	if (!s)
		return;
	add_key(t, key);
	add_string(t, s);
}

static void add_list(struct text *t, const char *key, const char *const *list, int n)
{
	if (n == 0)
		return;
	add_key(t, key);
	for (int i = 0; i < n; i++) {
		text_add(t, i ? ", " : "[", i ? 2 : 1);
		add_string(t, list[i]);
	}
	text_add(t, "]", 1);
}

static void add_prompt(struct text *t, const struct problem *p)
{
	add_member(t, "prompt", p->prompt);
	if (p->n_messages == 0)
		return;
	add_key(t, "prompt");
	for (int i = 0; i < p->n_messages; i++) {
		text_add(t, i ? ", {" : "[{", i ? 3 : 2);
		add_member(t, "role", p->messages[i].role);
		add_member(t, "content", p->messages[i].content);
		text_add(t, "}", 1);
	}
	text_add(t, "]", 1);
}

static int is_own(const char *key)
{
	for (const char *const *name = own_columns; *name; name++)
		if (!strcmp(*name, key))
			return 1;
	return 0;
}

static int add_other_columns(struct text *t, const struct problem *p)
{
	json_t     *row, *v;
	const char *key;

	if (!p->row)
		return OK;
	TRY(json_parse(p->id, p->row, strlen(p->row), &row));
	json_object_foreach(row, key, v)
	{
		char *s = is_own(key) ? NULL : json_dumps(v, JSON_ENCODE_ANY);
		if (!s)
			continue;
		add_key(t, key);
		text_add(t, s, strlen(s));
		free(s);
	}
	json_decref(row);
	return OK;
}

int dataset_add_row(struct text *t, const struct problem *p)
{
	text_add(t, "{", 1);
	add_member(t, "id", p->id);
	add_prompt(t, p);
	add_member(t, "answer", p->answer);
	add_member(t, "category", p->category);
	if (!isnan(p->difficulty)) {
		add_key(t, "difficulty");
		json_add_real(t, p->difficulty);
	}
	add_member(t, "hint", p->hint);
	add_list(t, "demonstrations", p->demonstrations, p->n_demonstrations);
	add_member(t, "rubric", p->rubric);
	add_list(t, "skills", p->skills, p->n_skills);
	TRY(add_other_columns(t, p));
	text_add(t, "}\n", 2);
	return text_status(t);
}
