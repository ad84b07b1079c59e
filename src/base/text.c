#include "base/text.h"

#include "base/error.h"
#include "base/file.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

enum { TEXT_MIN = 256 };

static int text_reserve(struct text *t, size_t more)
{
	size_t want = t->n + more + 1;

	if (t->failed)
		return 0;
	want = want < TEXT_MIN ? TEXT_MIN : want;
	t->failed = mem_room(&t->data, &t->capacity, want, "a text") != OK;
	return !t->failed;
}

void text_add(struct text *t, const char *s, size_t n)
{
	if (!text_reserve(t, n))
		return;
	memcpy(t->data + t->n, s, n);
	t->n += n;
	t->data[t->n] = 0;
}

void text_print(struct text *t, const char *format, ...)
{
	va_list args, again;
	int     n;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(n >= 0);
	if (text_reserve(t, (size_t)n)) {
		vsnprintf(t->data + t->n, (size_t)n + 1, format, again);
		t->n += (size_t)n;
	}
	va_end(again);
}

int text_status(const struct text *t)
{
	return t->failed ? error_memory("a text of %zu bytes", t->n) : OK;
}

int text_write(const struct text *t, const char *path)
{
	TRY(text_status(t));
	return file_write(path, t->data, t->n);
}

void text_free(struct text *t)
{
	mem_free(t->data);
	*t = (struct text){0};
}
