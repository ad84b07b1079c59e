#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_MAX = 2048 };

static _Thread_local char message[MESSAGE_MAX];
static _Thread_local int  code_last, cause_last;

static int set(int code, int cause, const char *format, va_list args)
{
	char text[MESSAGE_MAX]; /* the arguments may point into the old message */

	vsnprintf(text, sizeof text, format, args);
	memcpy(message, text, sizeof message);
	cause_last = cause;
	return code_last = code;
}

int error_set(int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(code, 0, format, args);
	va_end(args);
	return code;
}

int error_memory(const char *what, ...)
{
	char    for_what[MESSAGE_MAX / 2];
	va_list args;

	va_start(args, what);
	vsnprintf(for_what, sizeof for_what, what, args);
	va_end(args);
	return error_because(ENOMEM,
	                     "out of memory: %s; make the model, the batch or the lengths smaller",
	                     for_what);
}

int error_because(int cause, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(cause == ENOMEM ? ERR_MEMORY : ERR_INPUT, cause, format, args);
	va_end(args);
	return code_last;
}

int error_system(const char *path, const char *doing)
{
	int cause = errno;

	if (cause == ENOMEM)
		return error_memory("cannot %s: %s", doing, path);
	return error_because(cause, "%s: cannot %s: %s", path, doing, strerror(cause));
}

int error_cause(void)
{
	return cause_last;
}

int error_exit_status(int status)
{
	return status == ERR_MEMORY ? ERR_INPUT : status;
}

int error_context(const char *format, ...)
{
	char    text[MESSAGE_MAX];
	va_list args;
	size_t  n;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	n = strlen(text);
	if (n + 3 < sizeof text) { /* what does not fit is cut off at the end */
		size_t room = sizeof text - n - 3, length = strlen(message);
		memcpy(text + n, ": ", 2);
		memmove(text + n + 2, message, length < room ? length : room);
		text[n + 2 + (length < room ? length : room)] = 0;
	}
	memcpy(message, text, sizeof message);
	return code_last;
}

int error_unknown(const char *what, const char *name, const char *(*name_at)(int i))
{
	char   known[MESSAGE_MAX / 2] = "";
	size_t n = 0;

	for (int i = 0; name_at(i) && n < sizeof known; i++)
		n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "",
		                      name_at(i));
	return error_set(ERR_INPUT, "no %s \"%.64s\"; there are: %s", what, name, known);
}

const char *error_message(void)
{
	return message;
}
