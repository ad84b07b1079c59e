/* span.h - pieces of text that are not ours to change, and where in a completion the answer stands.
 *
 * A span is borrowed, may hold NUL bytes, and nothing stands behind it that may be read. All scans
 * are linear.
 *
 * Where the answer stands. The LAST of these markers in the text counts, whatever its kind:
 *
 *     \boxed{...}                 what the braces hold (nested braces are fine); nothing when they
 *                                 are never closed: the end is missing
 *     <answer>...</answer>        what the tags hold; to the end of the text when the tag is never
 *                                 closed
 *     ####  ...                   four or more '#': what follows
 *     ...#...                     fewer '#' with no white space on either side ("+7#825", not "#
 *                                 Sum", not "horse #12"), or first in the text ("#825"): what
 *                                 follows
 *     answer: ...                 in any case: what follows */
#ifndef VERIFY_SPAN_H
#define VERIFY_SPAN_H

#include <stddef.h>

struct span {
	const char *s;
	size_t      n;
};

struct span span_of(const char *text);   /* up to its 0; an empty span for NULL */
struct span span_trim(struct span a);    /* without white space and NUL bytes at both ends */
struct span span_undress(struct span a); /* ... and without $, `, ** and full stops */
struct span span_from(struct span a, size_t at);
struct span span_line(struct span a); /* the first line that is not blank */
int         span_equal(struct span a, struct span b);
int         span_equal_nocase(struct span a, struct span b); /* ASCII letters in any case */
int         span_starts(struct span a, const char *prefix);
int         span_starts_nocase(struct span a, const char *prefix);

enum answer_kind { ANSWER_UNMARKED, ANSWER_CLOSED, ANSWER_OPEN };

/* The marked answer: CLOSED when braces or tags bound it, OPEN when it runs on to the end of the
 * text, and the whole text when UNMARKED. Not trimmed. */
enum answer_kind span_answer(struct span text, struct span *answer);

#endif
