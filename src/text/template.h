/* template.h - the part of Jinja that chat templates use. It renders a template and its variables
 * as Jinja2 3 does with the settings that chat templates assume (trim_blocks, lstrip_blocks, tojson
 * without escapes, raise_exception, loop controls).
 *
 *     text        {{ expression }}   {% statement %}   {# comment #}, with - and + at their ends
 *     statements  if elif else, for (with if, else, several targets), break, continue, set (also of
 *                 namespaces and of blocks), macro, call, filter, generation
 *     operators   + - * / // % ~, == != < <= > >=, in, and or not, a if b else c, a.b, a.0, a[b],
 *                 a[b:c:d], calls with keywords and *list
 *     filters     abs capitalize default dictsort first float indent int items join last length
 *                 list lower map max min reject rejectattr replace reverse round safe select
 *                 selectattr sort string sum title tojson trim unique upper
 *     tests       boolean defined divisibleby equalto even false float greaterthan in integer
 *                 iterable lessthan mapping none number odd sequence string true undefined, and ==
 *                 != < <= > >= eq ne lt le gt ge
 *     functions   dict namespace range raise_exception strftime_now
 *     methods     of texts: capitalize count endswith find index isdigit islower isspace isupper
 *                 join lower lstrip partition removeprefix removesuffix replace rfind rindex
 *                 rpartition rsplit rstrip split splitlines startswith strip title upper; of
 *                 mappings: get items keys values; of lists: count index
 *
 * Arguments are checked as Python checks them: too many, too few, an unknown one and one given
 * twice are errors. Anything not listed here is an error that names it and its line. A template is
 * untrusted code, so its work is bounded: TEMPLATE_STEPS steps, TEMPLATE_BYTES bytes of values and
 * output, a fixed depth. Rendering fails when a bound is exceeded. A template sees nothing but its
 * variables. */
#ifndef TEXT_TEMPLATE_H
#define TEXT_TEMPLATE_H

#include "base/file.h"

#include <jansson.h>
#include <stdint.h>

enum {
	TEMPLATE_SOURCE_MAX = 1 << 20,
	TEMPLATE_STEPS = 4000000,
	TEMPLATE_BYTES = 64 << 20,
	TEMPLATE_DEPTH = 200
};

struct template;

/* Parses text[0..n-1]. ERR_INPUT gives the line of what is wrong or not supported. */
int  template_parse(const char *text, size_t n, struct template **out);
void template_free(struct template *t);

/* ADDS the rendered text to *out; on error *out is as before. `variables` is an object. `now` is
 * what strftime_now (UTC) returns, in seconds since 1970. When it is negative that function is not
 * defined and templates use their built-in date, so that a run does not depend on its day. */
int template_render(const struct template *t, const json_t *variables, int64_t now,
                    struct text *out);

#endif
