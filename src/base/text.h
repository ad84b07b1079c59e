/* text.h - a text that grows. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>

struct text {
	/* owned; a 0 stands behind the last byte once anything was added; NULL when empty */
	char  *data;
	size_t n, capacity;
	/* an allocation failed: the text is incomplete; check once at the end with text_status */
	int failed;
};
void text_add(struct text *t, const char *s, size_t n);
void text_print(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* OK, or the error of the allocation that failed */
int text_status(const struct text *t);
/* as file_write; an incomplete text is not written */
int  text_write(const struct text *t, const char *path);
void text_free(struct text *t);

#endif
