#include "base/terminal.h"

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* The character at s: its bytes, and its code; 0 bytes where it is no UTF-8. */
static size_t terminal_character(const unsigned char *s, size_t n, uint32_t *code)
{
	size_t length = s[0] < 0x80                   ? 1
	                : s[0] >= 0xC2 && s[0] < 0xE0 ? 2
	                : s[0] >= 0xE0 && s[0] < 0xF0 ? 3
	                : s[0] >= 0xF0 && s[0] < 0xF5 ? 4
	                                              : 0;

	if (length == 0 || length > n)
		return 0;
	*code = length == 1 ? s[0] : s[0] & (0x7Fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
		*code = *code << 6 | (s[i] & 0x3F);
	}
	/* a longer spelling of another one */
	if ((length == 3 && *code < 0x800) || (length == 4 && *code < 0x10000))
		return 0;
	return length;
}

static int terminal_is_control(uint32_t c)
{
	return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0) ||
	       (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E ||
	       c == 0x200F;
}

void terminal_show(struct text *t, const char *s, size_t n)
{
	const unsigned char *byte = (const unsigned char *)s;
	uint32_t             code = 0;

	for (size_t i = 0, length; i < n; i += length) {
		length = terminal_character(byte + i, n - i, &code);
		if (length && !terminal_is_control(code)) {
			text_add(t, s + i, length);
			continue;
		}
		length = length ? length : 1;
		for (size_t k = 0; k < length; k++)
			text_print(t, "\\x%02x", byte[i + k]);
	}
}

static void terminal_put(FILE *f, const char *s, size_t n)
{
	struct text t = {0};

	terminal_show(&t, s, n);
	if (t.data && !t.failed)
		fwrite(t.data, 1, t.n, f);
	text_free(&t);
}

void terminal_vprint(FILE *f, const char *format, va_list args)
{
	char *all = NULL;
	int   n = vasprintf(&all, format, args);

	if (n < 0)
		return;
	terminal_put(f, all, (size_t)n);
	free(all);
}

void terminal_print(FILE *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	terminal_vprint(f, format, args);
	va_end(args);
}

void terminal_write(FILE *f, const char *s, size_t n)
{
	if (isatty(fileno(f)))
		terminal_put(f, s, n);
	else
		fwrite(s, 1, n, f);
}
