/* Templates: what published ones render to, text by text, and what a hostile one may not do. */
#include "base/clock.h"
#include "base/json.h"
#include "model/template.h"
#include "test.h"

static const char folder[] = "tests/data/chat-templates";

static const int64_t day = 1736942400; /* 2025-01-15 12:00:00 */

static int render(const char *source, size_t n, const json_t *variables, int64_t now, struct text *out)
{
	struct template *t;
	int              status;

	TRY(template_parse(source, n, &t));
	status = template_render(t, variables, now, out);
	template_free(t);
	return status;
}

/* ---- published templates ---- */

static void read_source(const char *name, struct bytes *out)
{
	char path[256];

	snprintf(path, sizeof path, "%s/templates/%s.jinja", folder, name);
	assert_ok(file_read(path, TEMPLATE_SOURCE_MAX, out));
}

/* `error` is what Jinja2 says; ours differs in words but where the template itself speaks. */
static void check_error(const json_t *row, int status, const char *place)
{
	static const char raised[] = "TemplateError: ";
	const char       *error = json_string_value(json_object_get(row, "error"));

	if (status == OK)
		fail_msg("%s: rendered, expected the error %s", place, error);
	if (!strncmp(error, raised, strlen(raised)) && !strstr(error_message(), error + strlen(raised)))
		fail_msg("%s: %s, expected %s", place, error_message(), error);
}

static void check_case(const json_t *row, const char *place)
{
	const char *name = json_string_value(json_object_get(row, "template")),
	           *text = json_string_value(json_object_get(row, "template_text"));
	const char  *target = json_string_value(json_object_get(row, "target")), *id = json_string_value(json_object_get(row, "case"));
	int64_t      now = id && strstr(id, "SmolLM3") ? 1752105600 : day; /* 2025-07-10 */
	struct bytes source = {0};
	struct text  got = {0};
	int          status;

	if (!text)
		read_source(name, &source);
	status = render(text ? text : source.data, text ? strlen(text) : source.n, json_object_get(row, "data"), now, &got);
	if (!target)
		check_error(row, status, place);
	else if (status != OK)
		fail_msg("%s (%s): %s", place, id, error_message());
	else if (strcmp(got.data ? got.data : "", target))
		fail_msg("%s (%s): rendered as\n%s\nexpected\n%s", place, id, got.data, target);
	text_free(&got);
	bytes_free(&source);
}

static int check_file(const char *name)
{
	struct lines *in;
	const char   *line;
	char          path[256], place[320];
	size_t        n;
	int           rows = 0;

	snprintf(path, sizeof path, "%s/cases/%s.jsonl.gz", folder, name);
	assert_ok(lines_open(path, 1 << 24, &in));
	for (;;) {
		json_t *row;
		assert_ok(lines_next(in, &line, &n));
		if (!line)
			break;
		snprintf(place, sizeof place, "%s:%zu", path, lines_number(in));
		assert_ok(json_parse(place, line, n, &row));
		check_case(row, place);
		json_decref(row);
		rows++;
	}
	lines_close(in);
	return rows;
}

static void published_templates_render_to_the_exact_text(void **state)
{
	(void)state;
	assert_int_equal(check_file("qwen2.5"), 34);
	assert_int_equal(check_file("qwen3-0.6b"), 40);
	assert_int_equal(check_file("qwen2"), 30);
	assert_int_equal(check_file("llama3"), 26);
	assert_int_equal(check_file("llama3.2-3b"), 32);
	assert_int_equal(check_file("smollm2"), 42);
}

static void templates_of_many_other_models_do_too(void **state)
{
	(void)state;
	assert_int_equal(check_file("huggingface.js"), 24);
}

TEST_MAIN(TEST(published_templates_render_to_the_exact_text), TEST(templates_of_many_other_models_do_too))
