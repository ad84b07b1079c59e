/* terminal.h - text that came from files, shown to a person.
 *
 * An id, a category, a path or a message may hold control characters, and a terminal obeys them:
 * colours, titles, a line that rewrites itself, keys that were never pressed. So what the program
 * says goes through here: control characters but newline and tab (also DEL, those of U+0080 to
 * U+009F, and the ones that turn the direction of a line around), and bytes that are no UTF-8, are
 * shown as \x1b. */
#ifndef BASE_TERMINAL_H
#define BASE_TERMINAL_H

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

/* ADDS the text with control characters shown. */
void terminal_show(struct text *t, const char *s, size_t n);

/* As fprintf, shown. */
void terminal_print(FILE *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
void terminal_vprint(FILE *f, const char *format, va_list args)
        __attribute__((format(printf, 2, 0)));

/* Data: shown where f is a terminal, byte for byte where it is a file or a pipe. */
void terminal_write(FILE *f, const char *s, size_t n);

#endif
