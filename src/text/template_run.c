#include "text/template_parts.h"

#include <stdarg.h>
#include <stdio.h>

int template_error(const struct template_run *r, const char *format, ...)
{
	char    what[512];
	va_list list;

	va_start(list, format);
	vsnprintf(what, sizeof what, format, list);
	va_end(list);
	return error_set(ERR_INPUT, "template, line %d: %s", r->line, what);
}

int template_steps(struct template_run *r, size_t n)
{
	if (n >= (size_t)(TEMPLATE_STEPS - r->steps))
		return template_error(r, "more than %d steps: does it end at all?", TEMPLATE_STEPS);
	r->steps += (int)n;
	return OK;
}

int template_bytes(struct template_run *r, size_t n)
{
	if (n >= TEMPLATE_BYTES - r->bytes)
		return template_error(r, "more than %d bytes of texts and values", TEMPLATE_BYTES);
	r->bytes += n;
	return OK;
}
