#include "base/error.h"
#include "base/json.h"
#include "data/dataset_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const own_columns[] = {"id",         "prompt", "answer", "category",
                                          "difficulty", "hint",   "rubric", "demonstrations",
                                          "skills",     NULL};

static void dataset_write_add_string(struct text *t, const char *s)
{
	json_add_string(t, s, strlen(s));
}

static void add_key(struct text *t, const char *key)
{
	if (t->n && t->data[t->n - 1] != '{')
		text_add(t, ", ", 2);
	dataset_write_add_string(t, key);
	text_add(t, ": ", 2);
}

static void add_member(struct text *t, const char *key, const char *s)
{
	if (!s)
		return;
	add_key(t, key);
	dataset_write_add_string(t, s);
}

static void dataset_write_add_list(struct text *t, const char *key, const char *const *list, int n)
{
	if (n == 0)
		return;
	add_key(t, key);
	for (int i = 0; i < n; i++) {
		text_add(t, i ? ", " : "[", i ? 2 : 1);
		dataset_write_add_string(t, list[i]);
	}
	text_add(t, "]", 1);
}

/* One that says more than role and content is written as it came. */
static void dataset_write_add_message(struct text *t, const struct message *m)
{
	if (m->json) {
		text_print(t, "%s", m->json);
		return;
	}
	text_add(t, "{", 1);
	add_member(t, "role", m->role);
	add_member(t, "content", m->content);
	text_add(t, "}", 1);
}

static void add_prompt(struct text *t, const struct problem *p)
{
	add_member(t, "prompt", p->prompt);
	if (p->n_messages == 0)
		return;
	add_key(t, "prompt");
	for (int i = 0; i < p->n_messages; i++) {
		text_add(t, i ? ", " : "[", i ? 2 : 1);
		dataset_write_add_message(t, &p->messages[i]);
	}
	text_add(t, "]", 1);
}

/* Whether the column is written as a field of the problem: a difficulty on a scale that is not read
 * is none. */
static int dataset_write_is_own(const char *key, const json_t *v)
{
	if (!strcmp(key, "difficulty") && isnan(dataset_difficulty(v)))
		return 0;
	for (const char *const *name = own_columns; *name; name++)
		if (!strcmp(*name, key))
			return 1;
	return 0;
}

/* The columns that are no field of the problem, as they were read. */
static int add_other_columns(struct text *t, const struct problem *p)
{
	json_t     *row, *v;
	const char *key;

	if (!p->row)
		return OK;
	TRY(json_parse(p->id, p->row, strlen(p->row), &row));
	json_object_foreach(row, key, v)
	{
		char *s;
		if (dataset_write_is_own(key, v))
			continue;
		s = json_dumps(v, JSON_ENCODE_ANY);
		if (!s) {
			json_decref(row);
			return error_memory("the column \"%.64s\" of a row", key);
		}
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
	if (p->n_answers) { /* a list: its text is JSON */
		add_key(t, "answer");
		text_add(t, p->answer, strlen(p->answer));
	} else
		add_member(t, "answer", p->answer);
	add_member(t, "category", p->category);
	if (!isnan(p->difficulty)) {
		add_key(t, "difficulty");
		json_add_real(t, p->difficulty);
	}
	add_member(t, "hint", p->hint);
	dataset_write_add_list(t, "demonstrations", p->demonstrations, p->n_demonstrations);
	add_member(t, "rubric", p->rubric);
	dataset_write_add_list(t, "skills", p->skills, p->n_skills);
	TRY(add_other_columns(t, p));
	text_add(t, "}\n", 2);
	return text_status(t);
}

int dataset_add_columns(struct text *t, const struct problem *p, const char *const *without)
{
	struct text line = {0};
	json_t     *row = NULL;
	char       *rest = NULL;
	int         status = dataset_add_row(&line, p);

	if (status == OK)
		status = json_parse("row", line.data, line.n, &row);
	for (int i = 0; status == OK && without[i]; i++)
		json_object_del(row, without[i]);
	if (status == OK && json_object_size(row) > 0 && !(rest = json_dumps(row, JSON_COMPACT)))
		status = error_memory("the columns of a row");
	if (rest) {
		text_add(t, ", ", 2);
		text_add(t, rest + 1, strlen(rest) - 2);
	}
	free(rest);
	json_decref(row);
	text_free(&line);
	return status == OK ? text_status(t) : status;
}
