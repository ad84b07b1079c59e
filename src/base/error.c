#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_MAX = 2048 };

static _Thread_local char message[MESSAGE_MAX];
static _Thread_local int  code_last;

int error_set(int code, const char *format, ...)
{
	char    text[MESSAGE_MAX]; /* the arguments may point into the old message */
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	memcpy(message, text, sizeof message);
	return code_last = code;
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
	snprintf(text + n, sizeof text - n, ": %s", message);
	memcpy(message, text, sizeof message);
	return code_last;
}

const char *error_message(void)
{
	return message;
}
