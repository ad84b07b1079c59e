#include "base/error.h"
#include "data/dataset_parts.h"

#include <ctype.h>
#include <string.h>

/* Length of the name in "{name}" at s, or 0. */
static size_t field_length(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[1 + n]) || s[1 + n] == '_' || s[1 + n] == '.')
		n++;
	return s[1 + n] == '}' ? n : 0;
}

static int dataset_template_add_value(const struct reader *r, const char *name, const json_t *v,
                                      struct text *t)
{
	const char *s;

	if (!json_is_array(v)) {
		TRY(dataset_copy_value(r, name, v, &s));
		text_add(t, s, strlen(s));
		return OK;
	}
	for (size_t i = 0; i < json_array_size(v); i++) {
		TRY(dataset_copy_value(r, name, json_array_get(v, i), &s));
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
		return error_set(
		        ERR_INPUT,
		        "%s: the row has no column \"%s\", which data.prompt_template asks for",
		        r->place, name);
	return dataset_template_add_value(r, name, v, t);
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
		status = error_set(ERR_INPUT, "%s: data.prompt_template gives an empty prompt",
		                   r->place);
	if (status == OK)
		status = arena_copy(r->arena, t.data, t.n, out);
	text_free(&t);
	return status;
}

int dataset_shape_prompt(const struct reader *r, struct problem *p)
{
	struct message *m;

	if (p->n_messages == 0)
		return fill_template(r, p->prompt, &p->prompt);
	TRY(arena_take(r->arena, (size_t)p->n_messages, "the messages of a prompt", &m));
	memcpy(m, p->messages, (size_t)p->n_messages * sizeof *m);
	p->messages = m;
	m += problem_asking(p);
	return fill_template(r, m->content, &m->content);
}
