/* span.h - borrowed pieces of text, and the result that a completion marks.
 *
 * A span may contain NUL bytes, and nothing behind it may be read. All scans are linear.
 *
 * The *result* of a completion is what it gives as its answer. The LAST of these markers in the
 * text counts, whatever its kind:
 *
 *     \boxed{...}                 the text in the braces (they nest); empty when they are never
 *                                 closed, because the end is missing
 *     <answer>...</answer>        the text between the tags; to the end of the text when the tag is
 *                                 never closed
 *     ####  ...                   four or more '#': the text behind
 *     ...#...                     fewer '#' with no white space on either side ("+7#825", not "#
 *                                 Sum", not "horse #12"), or at the start of the text ("#825"): the
 *                                 text behind
 *     answer: ...                 in upper or lower case: the text behind */
#ifndef VERIFY_SPAN_H
#define VERIFY_SPAN_H

#include <stddef.h>

struct span {
	const char *s;
	size_t      n;
};

struct span span_of(const char *text);   /* up to its 0; an empty span for NULL */
struct span span_trim(struct span a);    /* drops white space and NUL bytes at both ends */
struct span span_undress(struct span a); /* also drops $, `, ** and full stops there */
struct span span_from(struct span a, size_t at);
struct span span_line(struct span a); /* the first line that is not blank */
int         span_equal(struct span a, struct span b);
int         span_equal_nocase(struct span a, struct span b); /* ASCII letters in any case */
int         span_starts(struct span a, const char *prefix);
int         span_starts_nocase(struct span a, const char *prefix);

enum span_mark { SPAN_UNMARKED, SPAN_CLOSED, SPAN_OPEN };

/* Finds the marked result. CLOSED: braces or tags bound it. OPEN: it runs to the end of the text.
 * UNMARKED: it is the whole text. It is not trimmed. */
enum span_mark span_result(struct span text, struct span *result);

#endif
