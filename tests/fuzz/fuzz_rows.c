/* Rows of data sets: what is accepted, written out and read again, is the same problem. The first
 * byte chooses options. */
#include "fuzz.h"

#include "data/dataset.h"
#include "world/generate.h"

#include <math.h>

static const struct dataset_options choices[] = {
        {0},
        {.answer_optional = 1, .prompt_optional = 1},
        {.prompt_column = "a.b",
         .answer_column = "c.d",
         .category_column = "e",
         .difficulty_column = "f",
         .id_column = "g"},
        {.prompt_template = "{prompt} {hint} {skills} {x.y}", .answer_optional = 1},
        {.convert = generate_knights_convert},
        {.problems_max = 2, .answer_optional = 1},
};

static int same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static int same_texts(const char *const *a, int n_a, const char *const *b, int n_b)
{
	int same = n_a == n_b;

	for (int i = 0; i < n_a && same; i++)
		same = same_text(a[i], b[i]);
	return same;
}

static int same_question(const struct problem *a, const struct problem *b)
{
	int same = same_text(a->prompt, b->prompt) && a->n_messages == b->n_messages;

	for (int i = 0; i < a->n_messages && same; i++)
		same = same_text(a->messages[i].role, b->messages[i].role) &&
		       same_text(a->messages[i].content, b->messages[i].content);
	return same;
}

static int same_problem(const struct problem *a, const struct problem *b)
{
	return same_question(a, b) && same_text(a->id, b->id) && same_text(a->answer, b->answer) &&
	       same_text(a->category, b->category) &&
	       (a->difficulty == b->difficulty || (isnan(a->difficulty) && isnan(b->difficulty))) &&
	       same_text(a->hint, b->hint) && same_text(a->rubric, b->rubric) &&
	       same_texts(a->skills, a->n_skills, b->skills, b->n_skills) &&
	       same_texts(a->demonstrations, a->n_demonstrations, b->demonstrations,
	                  b->n_demonstrations);
}

static void write_and_read(const struct problem *p)
{
	static const struct dataset_options options = {.answer_optional = 1};
	struct text                         t = {0};
	struct arena                        a = {0};
	struct problem                      again;

	PROMISE(dataset_add_row(&t, p) == OK);
	PROMISE(dataset_read_row("again", t.data, t.n - 1, &options, &a, &again) == OK);
	PROMISE(same_problem(p, &again));
	arena_free(&a);
	text_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct dataset_options *options =
	        &choices[n ? data[0] % (sizeof choices / sizeof *choices) : 0];
	const char    *path = fuzz_file(0, data + (n > 0), n - (n > 0));
	struct dataset d;

	if (dataset_read(&path, 1, options, &d) == OK) {
		PROMISE(d.n > 0);
		for (int i = 0; i < d.n; i++)
			if (d.problems[i].prompt || d.problems[i].n_messages)
				write_and_read(&d.problems[i]);
		dataset_free(&d);
	} else {
		PROMISE(strstr(error_message(), path) || strstr(error_message(), "two problems"));
	}
	return 0;
}
