#include "text/template_parts.h"

#include <stdio.h>

int template_error_at(int line, const char *format, va_list list)
{
	char what[512];

	vsnprintf(what, sizeof what, format, list);
	return error_set(ERR_INPUT, "template, line %d: %s", line, what);
}

int template_error(const struct template_run *r, const char *format, ...)
{
	va_list list;
	int     status;

	va_start(list, format);
	status = template_error_at(r->line, format, list);
	va_end(list);
	return status;
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
