/* Templates: what published ones render to, text by text, and what a hostile one may not do. */
#include "base/json.h"
#include "test.h"
#include "text/template.h"

static const char folder[] = "tests/data/chat-templates";

static const int64_t day = 1736942400; /* 2025-01-15 12:00:00 */

static int render(const char *source, size_t n, const json_t *variables, int64_t now,
                  struct text *out)
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
	if (!strncmp(error, raised, strlen(raised)) &&
	    !strstr(error_message(), error + strlen(raised)))
		fail_msg("%s: %s, expected %s", place, error_message(), error);
}

static void check_case(const json_t *row, const char *place)
{
	const char *name = json_string_value(json_object_get(row, "template")),
	           *text = json_string_value(json_object_get(row, "template_text"));
	const char *target = json_string_value(json_object_get(row, "target")),
	           *id = json_string_value(json_object_get(row, "case"));
	int64_t      now = id && strstr(id, "SmolLM3") ? 1752105600 : day; /* 2025-07-10 */
	struct bytes source = {0};
	struct text  got = {0};
	int          status;

	if (!text)
		read_source(name, &source);
	status = render(text ? text : source.data, text ? strlen(text) : source.n,
	                json_object_get(row, "data"), now, &got);
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

/* ---- small ones, as Jinja2 renders them ---- */

static const char variables[] =
        "{\"s\": \"  a,b,c \", \"u\": \"\\u00e9t\\u00e9 \\u3000\", \"n\": 7, \"x\": 2.5, \"t\": "
        "true, \"z\": null, "
        "\"l\": [3, 1, 2], \"e\": [],"
        " \"m\": {\"k\": \"v\", \"items\": 1, \"d\": {\"e\": [1, {\"f\": null}]}},"
        " \"ms\": [{\"role\": \"user\", \"c\": 1}, {\"role\": \"tool\"}, {\"role\": \"user\", "
        "\"c\": 0}]}";

static int render_small(const char *source, struct text *out)
{
	json_t *data;
	int     status;

	assert_ok(json_parse("variables", variables, strlen(variables), &data));
	status = render(source, strlen(source), data, -1, out);
	json_decref(data);
	return status;
}

static const struct {
	const char *source, *target;
} small[] = {
#include "data/chat-templates/small.inc"
};

static void small_templates_render_as_jinja_renders_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
		struct text got = {0};
		if (render_small(small[i].source, &got) != OK)
			fail_msg("%s: %s", small[i].source, error_message());
		if (strcmp(got.data ? got.data : "", small[i].target))
			fail_msg("%s\nrendered as  %s\nexpected     %s", small[i].source,
			         got.data ? got.data : "", small[i].target);
		text_free(&got);
	}
}

/* ---- what is not there ---- */

static void what_is_not_supported_is_named_with_its_line(void **state)
{
	(void)state;
	static const struct {
		const char *source, *part;
	} table[] = {
	        {"a\nb\n{% include 'x' %}", "line 3: the statement \"include\""},
	        {"{% import 'os' as os %}", "\"import\""},
	        {"{% raw %}x{% endraw %}", "\"raw\""},
	        {"{% endif %}", "\"endif\""},
	        {"{% if t %}x", "the template ends where \"elif\" is expected"},
	        {"{% if t %}x{% endfor %}", "\"endfor\""},
	        {"{% for a in l recursive %}{% endfor %}", "recursive"},
	        {"{{ 1", "a tag does not end"},
	        {"{# 1", "a comment does not end"},
	        {"{{ 'a }}", "a text in quotes does not end"},
	        {"{{ 1 + }}", "the end of the tag where a value is expected"},
	        {"{{ 2 ** 9 }}", "powers"},
	        {"{{ f(**m) }}", "**"},
	        {"{{ a @ b }}", "\"@\""},
	        {"{{ 99999999999999999999 }}", "too large"},
	        {"{{ 9223372036854775807 + 1 }}", "too large"},
	        {"{{ 1 // 0 }}", "division by 0"},
	        {"{{ n % 0 }}", "division by 0"},
	        {"{{ 1 / 0 }}", "division by 0"},
	        {"{{ '\\ud800' }}", "surrogate"},
	        {"{{ s | frobnicate }}", "the filter \"frobnicate\""},
	        {"{{ s is frobnicated }}", "the test \"frobnicated\""},
	        {"{{ s.format(1) }}", "\"format\""},
	        {"{{ s.__class__.__mro__ }}", "\"__class__\" is undefined"},
	        {"{{ l.append(1) }}", "\"append\""},
	        {"{{ frobnicate() }}", "\"frobnicate\""},
	        {"{{ strftime_now('%Y') }}", "\"strftime_now\""},
	        {"{{ nothing.at.all }}", "\"nothing\" is undefined"},
	        {"{{ e[0].role }}", "undefined"},
	        {"{{ nothing + 'a' }}", "\"nothing\" is undefined"},
	        {"{{ 'a' + 1 }}", "a text and a number"},
	        {"{{ n.x() }}", "\"x\""},
	        {"{{ n | length }}", "has no length"},
	        {"{{ z | length }}", "none has no length"},
	        {"{% for a in n %}{% endfor %}", "has no elements"},
	        {"{% for a, b in [[1]] %}{% endfor %}", "values for more names"},
	        {"{% set n.x = 1 %}", "not a namespace"},
	        {"{{ {l: 1} }}", "cannot be a key"},
	        {"{{ range }}", "cannot be printed"},
	        {"{{ nothing | tojson }}", "no form in JSON"},
	        {"{{ l[::0] }}", "steps of 0"},
	        {"{{ l['a':] }}", "whole numbers"},
	        {"{{ 1 in 'a' }}", "cannot be in a text"},
	        {"{{ l < 1 }}", "no order"},
	        {"{{ s.split('') }}", "empty"},
	        {"{{ raise_exception('no such role') }}", "line 1: no such role"},
	        {"{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "takes 1 arguments"},
	        {"{{ s.upper('z') }}", "upper takes at most 0 arguments"},
	        {"{{ s.split(',', sep=',') }}", "split is given \"sep\" twice"},
	        {"{{ s.replace(',') }}", "replace needs 2 arguments"},
	        {"{{ ms | sort(attribute='c') }}", "have no order"},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct text got = {0};
		assert_error(render_small(table[i].source, &got), ERR_INPUT, table[i].part);
		assert_int_equal(got.n, 0);
		text_free(&got);
	}
}

/* Jinja2 refuses each of these: wrong arguments, orders that there are not, calls of what cannot be
 * called. */
static void what_jinja_refuses_is_refused(void **state)
{
	(void)state;
	static const char *const refused[] = {
#include "data/chat-templates/refused.inc"
	};

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct text got = {0};
		if (render_small(refused[i], &got) == OK)
			fail_msg("%s was rendered as %s", refused[i], got.data ? got.data : "");
		assert_non_null(strstr(error_message(), "line 1: "));
		text_free(&got);
	}
}

/* ---- hostile ones ---- */

static void hostile_templates_end_soon_with_an_error(void **state)
{
	(void)state;
	static const struct {
		const char *source, *part;
	} table[] = {
	        {"{% for a in range(4000000) %}{% endfor %}", "more than"},
	        {"{% for a in range(3000) %}{% for b in range(3000) %}{% endfor %}{% endfor %}",
	         "more than"},
	        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested too deeply"},
	        {"{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ "
	         "g() }}",
	         "nested too deeply"},
	        {"{{ 'a' * 1000000000000 }}", "more than"},
	        {"{{ 'ab' * 9223372036854775807 }}", "more than"},
	        {"{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x "
	         "%}{% endfor %}",
	         "more than"},
	        {"{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x "
	         "%}{% endfor %}",
	         "more than"},
	        {"{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x "
	         "%}{% endfor %}",
	         "more than"},
	        {"{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, "
	         "ns.x] %}{% endfor %}{{ ns.x }}",
	         "more than"},
	        {"{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, "
	         "ns.x] %}{% endfor %}{{ ns.x | tojson }}",
	         "more than"},
	        {"{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(99) %}{% set ns.x = "
	         "[ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] "
	         "%}{% endfor %}"
	         "{{ ns.x == ns.y }}",
	         "more than"},
	        {"{% set a = range(100000) | list %}{% for i in range(99) %}{% set b = a | sort "
	         "%}{% endfor %}",
	         "more than"},
	        {"{% set a = range(100000) | list %}{{ a | unique | list }}", "more than"},
	        {"{% set a = 'ab' * 1000000 %}{% for i in range(999) %}{{ a.rfind('ba' * 5000) "
	         "}}{% endfor %}",
	         "more than"},
	        {"{% set a = 'ab' * 1000000 %}{% for i in range(999) %}{{ a.rsplit('ba' * 5000) "
	         "}}{% endfor %}",
	         "more than"},
	        {"{% set a = 'a' * 3000000 %}{{ a.replace('', a) }}", "more than"},
	        {"{% set a = '\\n' * 5000000 %}{{ a.splitlines() }}", "more than"},
	        {"{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}",
	         NULL},
	        {"{% macro f() %}{{ caller() }}{% call f() %}x{% endcall %}{% endmacro %}{% call "
	         "f() %}y{% endcall %}",
	         "nested too deeply"},
	        {"{% set ns = namespace(x=[1]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] "
	         "%}{% endfor %}{{ ns.x }}",
	         "nested too deeply"},
	        {"{% set ns = namespace(x=[1]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] "
	         "%}{% endfor %}{{ ns.x | tojson }}",
	         "nested too deeply"},
	        {"{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(9999) %}{% set ns.x = "
	         "[ns.x] %}{% set ns.y = [ns.y] %}{% endfor "
	         "%}"
	         "{{ ns.x == ns.y }}",
	         "nested too deeply"},
	        {"{% set a = 'a' * 3000000 %}{{ a.replace('a', a) }}", "more than"},
	        {"{% set a = 'a' * 3000000 %}{{ a | list }}", "more than"},
	        {"{% set a = '\\n a' * 3000000 %}{{ a | indent(64) }}", "more than"},
	        {"{% set a = 'ab' * 1000000 %}{% for i in range(99999) %}{{ 'zz' in a }}{% endfor "
	         "%}",
	         "more than"},
	        {"{% set a = 'a' * 100000 %}{% for i in range(99999) %}{{ a }}{% endfor %}",
	         "more than"},
	        {"{% set a = 'a ' * 1000000 %}{% for i in range(999) %}{% set b = a.strip('a ') "
	         "%}{% endfor %}",
	         "more than"},
	        {"{{ 'a'.join(range(4000000)) }}", "more than"},
	        {"{% set m = {} %}{% for i in range(99999) %}{% set l = m.get(i) %}{{ l }}{% "
	         "endfor %}{{ range(99999) | map('string') | "
	         "join }}",
	         NULL},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct text got = {0};
		int         status = render_small(table[i].source, &got);
		if (table[i].part && (status == OK || !strstr(error_message(), table[i].part)))
			fail_msg("%s: status %d, %s, expected \"%s\"", table[i].source, status,
			         status == OK ? "" : error_message(), table[i].part);
		text_free(&got);
	}
}

/* `open` many times, a middle, `close` as often. */
static int render_nest(const char *open, const char *middle, const char *close, int times)
{
	struct text source = {0}, got = {0};
	int         status;

	for (int i = 0; i < times; i++)
		text_add(&source, open, strlen(open));
	text_add(&source, middle, strlen(middle));
	for (int i = 0; i < times; i++)
		text_add(&source, close, strlen(close));
	status = render_small(source.data, &got);
	text_free(&source);
	text_free(&got);
	return status;
}

static void deep_nesting_is_an_error_and_no_crash(void **state)
{
	(void)state;
	static const struct {
		const char *open, *middle, *close;
	} table[] = {
	        {"{{ ", "(", ")"},
	        {"{% if t %}", "x", "{% endif %}"},
	        {"{% for a in [1] %}", "x", "{% endfor %}"},
	        {"{% set a %}", "x", "{% endset %}"},
	        {"{% macro f() %}", "x", "{% endmacro %}"},
	        {"{% filter trim %}", "x", "{% endfilter %}"},
	        {"{% call f() %}", "x", "{% endcall %}"},
	};
	static const struct {
		const char *first, *open, *middle, *close, *last;
	} inside[] = {
	        {"{{ ", "(", "1", ")", " }}"},         {"{{ ", "[", "1", "]", " }}"},
	        {"{{ ", "{1: ", "1", "}", " }}"},      {"{{ ", "not ", "1", "", " }}"},
	        {"{{ ", "- ", "1", "", " }}"},         {"{{ ", "1 if t else ", "1", "", " }}"},
	        {"{{ 1", " + 1", "", "", " }}"},       {"{{ m", ".d", "", "", " }}"},
	        {"{{ m", "['d']", "", "", " }}"},      {"{{ s", "|trim", "", "", " }}"},
	        {"{{ s", " is string", "", "", " }}"}, {"{{ t", " and t", "", "", " }}"},
	        {"{{ range", "(1)", "", "", " }}"},    {"{{ 1", " < 2", "", "", " }}"},
	        {"{{ s[", "l[", "0", "]", "] }}"},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		assert_int_equal(render_nest(table[i].open, table[i].middle, table[i].close, 30000),
		                 ERR_INPUT);
	for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
		struct text source = {0}, got = {0};
		text_print(&source, "%s", inside[i].first);
		for (int k = 0; k < 30000; k++)
			text_print(&source, "%s", inside[i].open);
		text_print(&source, "%s", inside[i].middle);
		for (int k = 0; k < 30000; k++)
			text_print(&source, "%s", inside[i].close);
		text_print(&source, "%s", inside[i].last);
		if (render_small(source.data, &got) == OK)
			fail_msg("%s%s... was rendered", inside[i].first, inside[i].open);
		text_free(&source);
		text_free(&got);
	}
}

static void a_long_chain_of_elif_is_no_nesting(void **state)
{
	(void)state;
	struct text source = {0}, got = {0};

	text_print(&source, "{%% if n == -1 %%}");
	for (int i = 0; i < 20000; i++)
		text_print(&source, "{%% elif n == %d %%}%d", i + 3, i);
	text_print(&source, "{%% else %%}x{%% endif %%}");
	assert_ok(render_small(source.data, &got));
	assert_string_equal(got.data, "4");
	text_free(&source);
	text_free(&got);
}

TEST_MAIN(TEST(published_templates_render_to_the_exact_text),
          TEST(templates_of_many_other_models_do_too),
          TEST(small_templates_render_as_jinja_renders_them),
          TEST(what_is_not_supported_is_named_with_its_line), TEST(what_jinja_refuses_is_refused),
          TEST(hostile_templates_end_soon_with_an_error),
          TEST(deep_nesting_is_an_error_and_no_crash), TEST(a_long_chain_of_elif_is_no_nesting))
