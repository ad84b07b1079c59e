/* report_page.h - what the pages that hone writes are made of beside their content: style and
 * script, in files of their own (report.css, report.js), which are built into the program. */
#ifndef RUN_REPORT_PAGE_H
#define RUN_REPORT_PAGE_H

#include "base/text.h"

/* At file scope: the bytes of a file, seen from the root of the tree, with a 0 behind them. The
 * Makefile makes the object file anew when one of them changes. */
#define REPORT_PAGE_FILE(name, path) \
	__asm__(".section .rodata\n.global " #name "\n" #name ":\n.incbin \"" path \
	        "\"\n.byte 0\n.previous\n")

extern const char report_page_css[], report_page_js[];

/* <!DOCTYPE ...> to <body>, without the title's heading. `style`: CSS behind the common one. The
 * page may run its own script and nothing else, and asks no network. */
void report_page_begin(const char *title, const char *const *styles, struct text *out);
/* The script, </body></html>. */
void report_page_end(const char *script, struct text *out);

#endif
