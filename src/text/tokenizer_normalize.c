/* tokenizer_normalize.c - normalizers: Unicode normal forms (utf8proc), Prepend, Replace. */
#include "base/error.h"
#include "text/tokenizer_parts.h"

#include <string.h>
#include <utf8proc.h>

int tokenizer_normalize(const struct tokenizer *t, struct slice in, struct arena *a,
                        struct slice *out)
{
	*out = in;
	for (int i = 0; i < t->n_normalizers; i++)
		TRY(t->normalizers[i].run(&t->normalizers[i], *out, a, out));
	return OK;
}

int slice_prepend(struct slice in, struct slice what, struct arena *a, struct slice *out)
{
	char *to;

	TRY(arena_take(a, what.n + in.n, "a text to be encoded", &to));
	memcpy(to, what.s, what.n);
	memcpy(to + what.n, in.s, in.n);
	*out = (struct slice){to, what.n + in.n};
	return OK;
}

int normalize_prepend(const struct normalizer *n, struct slice in, struct arena *a,
                      struct slice *out)
{
	*out = in;
	return in.n ? slice_prepend(in, n->to, a, out) : OK;
}

int normalize_replace(const struct normalizer *n, struct slice in, struct arena *a,
                      struct slice *out)
{
	return slice_replace(in, n->from, n->to, a, out);
}

/* Counts first, so that the new text is allocated once. */
int slice_replace(struct slice in, struct slice from, struct slice to, struct arena *a,
                  struct slice *out)
{
	size_t      count = 0, n;
	const char *end = in.s + in.n, *p, *hit;
	char       *put;

	for (p = in.s; (hit = slice_find((struct slice){p, (size_t)(end - p)}, from));
	     p = hit + from.n)
		count++;
	*out = in;
	if (!count)
		return OK;
	n = in.n - count * from.n + count * to.n;
	if (n > TOKENIZER_WORD_MAX)
		return error_set(ERR_INPUT,
		                 "replacing \"%.*s\" makes a text of %zu bytes, which is too long",
		                 (int)from.n, from.s, n);
	TRY(arena_take(a, n, "a text to be encoded", &put));
	*out = (struct slice){put, n};
	for (p = in.s; count--; p = hit + from.n) {
		hit = slice_find((struct slice){p, (size_t)(end - p)}, from);
		put = mempcpy(put, p, (size_t)(hit - p));
		if (to.n)
			put = mempcpy(put, to.s, to.n);
	}
	memcpy(put, p, (size_t)(end - p));
	return OK;
}

/* ---- normal forms ---- */

/* No character below U+00A0 (U+0300 for NFC) changes under a normal form, so most texts need no
 * work. */
static int is_normal(const struct normalizer *n, struct slice in)
{
	/* first byte of U+0300, of U+0080 */
	int limit = n->compose && !n->compatible ? 0xCC : 0xC2;

	for (size_t i = 0; i < in.n; i++)
		if ((unsigned char)in.s[i] >= limit)
			return 0;
	return 1;
}

/* Writes the code points of the decomposition, character by character, not yet in canonical order.
 * *out has room for *n. */
static int decompose(const struct normalizer *form, struct slice in, struct arena *a, int32_t **out,
                     size_t *n)
{
	utf8proc_option_t options =
	        UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (form->compatible ? UTF8PROC_COMPAT : 0);
	utf8proc_ssize_t more;
	/* worst: 18 from the 3 bytes of U+FDFA, 3 from the 2 of U+0390 */
	size_t  capacity = (form->compatible ? 6 : 2) * in.n + 32;
	int32_t c;
	int     last = 0;

	*n = 0;
	TRY(arena_take(a, capacity, "a text to be encoded", out));
	for (size_t i = 0; i < in.n;) {
		i += utf8_take(in.s + i, in.n - i, &c);
		if (unicode_is_inert(c)) {
			(*out)[(*n)++] = c;
			continue;
		}
		more = utf8proc_decompose_char(c, *out + *n, (utf8proc_ssize_t)(capacity - *n),
		                               options, &last);
		if (more < 0 || (size_t)more > capacity - *n)
			return error_set(ERR_FAILED, "utf8proc cannot decompose U+%04X: %s",
			                 (unsigned)c,
			                 more < 0 ? utf8proc_errmsg(more) : "too long");
		*n += (size_t)more;
	}
	return OK;
}

static int combining_class(int32_t c)
{
	int class = utf8proc_get_property(c)->combining_class;

	return class && !unicode_is_inert(c) ? class : 0;
}

/* The number of combining marks at the start of c. */
static size_t run_of_marks(const int32_t *c, size_t n)
{
	size_t run = 0;

	while (run < n && combining_class(c[run]))
		run++;
	return run;
}

/* Sorts one run of combining marks by class, stably. It is a counting sort, because a run may be as
 * long as the text. */
static void sort_marks(int32_t *c, size_t n, int32_t *copy)
{
	size_t place[256] = {0}, at = 0;

	memcpy(copy, c, n * sizeof *c);
	for (size_t i = 0; i < n; i++)
		place[combining_class(c[i])]++;
	for (int k = 0; k < 256; k++) {
		size_t count = place[k];
		place[k] = at;
		at += count;
	}
	for (size_t i = 0; i < n; i++)
		c[place[combining_class(copy[i])]++] = copy[i];
}

/* Sorts each run of combining marks. The scratch memory is as large as the longest run. */
static int canonical_order(int32_t *c, size_t n, struct arena *a)
{
	size_t   longest = 0, run;
	int32_t *copy;

	for (size_t i = 0; i < n; i += run + 1) {
		run = run_of_marks(c + i, n - i);
		longest = run > longest ? run : longest;
	}
	if (longest < 2)
		return OK;
	TRY(arena_take(a, longest, "a text to be encoded", &copy));
	for (size_t i = 0; i < n; i += run + 1) {
		run = run_of_marks(c + i, n - i);
		if (run > 1)
			sort_marks(c + i, run, copy);
	}
	return OK;
}

/* Composes in place, piece by piece between inert characters. */
static int compose(int32_t *c, size_t *n)
{
	size_t put = 0;

	for (size_t i = 0, start = 0; i <= *n; start = ++i) {
		utf8proc_ssize_t composed;
		while (i < *n && !unicode_is_inert(c[i]))
			i++;
		composed = utf8proc_normalize_utf32(c + start, (utf8proc_ssize_t)(i - start),
		                                    UTF8PROC_STABLE | UTF8PROC_COMPOSE);
		if (composed < 0)
			return error_set(ERR_FAILED, "utf8proc cannot compose: %s",
			                 utf8proc_errmsg(composed));
		memmove(c + put, c + start, (size_t)composed * sizeof *c);
		put += (size_t)composed;
		if (i < *n)
			c[put++] = c[i];
	}
	*n = put;
	return OK;
}

/* Decomposes, puts marks into canonical order and, for NFC and NFKC, composes again. */
int normalize_form(const struct normalizer *form, struct slice in, struct arena *a,
                   struct slice *out)
{
	int32_t *c;
	size_t   n, bytes = 0;
	char    *to;

	*out = in;
	if (is_normal(form, in))
		return OK;
	TRY(decompose(form, in, a, &c, &n));
	TRY(canonical_order(c, n, a));
	if (form->compose)
		TRY(compose(c, &n));
	TRY(arena_take(a, 4 * n, "a text to be encoded", &to));
	for (size_t i = 0; i < n; i++)
		bytes += (size_t)utf8proc_encode_char(c[i], (utf8proc_uint8_t *)to + bytes);
	*out = (struct slice){to, bytes};
	return OK;
}
