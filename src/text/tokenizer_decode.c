/* tokenizer_decode.c - decoders turn token strings back into text. An empty token counts: it ends a
 * run of bytes, and it may be the first token. */
#include "base/error.h"
#include "text/tokenizer_parts.h"

#include <ctype.h>
#include <string.h>

int byte_level_decode(struct slice token, char *out, size_t *n)
{
	int32_t c;

	*n = 0;
	for (size_t i = 0; i < token.n;) {
		int byte;
		i += utf8_take(token.s + i, token.n - i, &c);
		byte = byte_level_byte(c);
		if (byte < 0)
			return 0;
		out[(*n)++] = (char)byte;
	}
	return 1;
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c)    ? c - '0'
	       : isxdigit((unsigned char)c) ? (c | 0x20) - 'a' + 10
	                                    : -1;
}

int byte_token(struct slice token)
{
	int high, low;

	if (token.n != 6 || memcmp(token.s, "<0x", 3) != 0 || token.s[5] != '>')
		return -1;
	high = hex_digit(token.s[3]);
	low = hex_digit(token.s[4]);
	return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* Allocates room for all token strings in a row. */
static int block_new(const struct pieces *in, struct arena *a, char **out)
{
	size_t n = 1;

	for (size_t i = 0; i < in->n; i++)
		n += in->at[i].text.n;
	return arena_take(a, n, "a text to be decoded", out);
}

/* A token with a character outside the byte alphabet stands for itself. */
int decode_byte_level(const struct tokenizer_decoder *d, const struct pieces *in, struct arena *a,
                      struct pieces *out)
{
	char        *block;
	size_t       n = 0, more;
	struct slice text;

	(void)d;
	TRY(block_new(in, a, &block));
	for (size_t i = 0; i < in->n; i++) {
		text = in->at[i].text;
		if (!byte_level_decode(text, block + n, &more)) {
			memcpy(block + n, text.s, text.n);
			more = text.n;
		}
		n += more;
	}
	TRY(utf8_repair((struct slice){block, n}, a, &text));
	return pieces_put(out, text.s, text.n, 0);
}

int decode_replace(const struct tokenizer_decoder *d, const struct pieces *in, struct arena *a,
                   struct pieces *out)
{
	for (size_t i = 0; i < in->n; i++) {
		struct slice text;
		TRY(slice_replace(in->at[i].text, d->from, d->to, a, &text));
		TRY(pieces_put(out, text.s, text.n, 0));
	}
	return OK;
}

/* The bytes of a run become one text if they are UTF-8; otherwise each byte becomes U+FFFD. */
static int add_run(struct slice run, struct arena *a, struct pieces *out)
{
	char *marks;

	if (run.n == 0)
		return OK;
	if (utf8_is_valid(run))
		return pieces_put(out, run.s, run.n, 0);
	TRY(arena_take(a, 3 * run.n, "a text to be decoded", &marks));
	for (size_t i = 0; i < run.n; i++)
		memcpy(marks + 3 * i, "\xEF\xBF\xBD", 3);
	return pieces_put(out, marks, 3 * run.n, 0);
}

/* Collects runs of <0xXX> tokens; any other token ends the run. */
int decode_byte_fallback(const struct tokenizer_decoder *d, const struct pieces *in,
                         struct arena *a, struct pieces *out)
{
	char        *block;
	struct slice run;

	(void)d;
	TRY(block_new(in, a, &block));
	run = (struct slice){block, 0};
	for (size_t i = 0; i < in->n; i++) {
		int byte = byte_token(in->at[i].text);
		if (byte >= 0) {
			block[run.n + (size_t)(run.s - block)] = (char)byte;
			run.n++;
			continue;
		}
		TRY(add_run(run, a, out));
		run = (struct slice){run.s + run.n, 0};
		TRY(pieces_put(out, in->at[i].text.s, in->at[i].text.n, 0));
	}
	return add_run(run, a, out);
}

int decode_fuse(const struct tokenizer_decoder *d, const struct pieces *in, struct arena *a,
                struct pieces *out)
{
	char  *block;
	size_t n = 0;

	(void)d;
	TRY(block_new(in, a, &block));
	for (size_t i = 0; i < in->n; i++) {
		memcpy(block + n, in->at[i].text.s, in->at[i].text.n);
		n += in->at[i].text.n;
	}
	return pieces_put(out, block, n, 0);
}

/* Marks become spaces. In the first token they vanish if encoding added one. */
int decode_metaspace(const struct tokenizer_decoder *d, const struct pieces *in, struct arena *a,
                     struct pieces *out)
{
	for (size_t i = 0; i < in->n; i++) {
		struct slice text, to = i == 0 && d->start ? (struct slice){"", 0} : d->to;
		TRY(slice_replace(in->at[i].text, d->from, to, a, &text));
		TRY(pieces_put(out, text.s, text.n, 0));
	}
	return OK;
}

int decode_strip(const struct tokenizer_decoder *d, const struct pieces *in, struct arena *a,
                 struct pieces *out)
{
	size_t k = d->from.n;

	(void)a;
	for (size_t i = 0; i < in->n; i++) {
		struct slice text = in->at[i].text;
		for (int j = 0; j < d->start && text.n >= k && !memcmp(text.s, d->from.s, k); j++)
			text = (struct slice){text.s + k, text.n - k};
		for (int j = 0;
		     j < d->stop && text.n >= k && !memcmp(text.s + text.n - k, d->from.s, k); j++)
			text.n -= k;
		TRY(pieces_put(out, text.s, text.n, 0));
	}
	return OK;
}

static int piece_of_bytes(struct slice token, struct arena *a, struct slice *out)
{
	char  *bytes;
	size_t n;

	TRY(arena_take(a, token.n + 1, "the bytes of a word", &bytes));
	if (byte_level_decode(token, bytes, &n))
		*out = (struct slice){bytes, n};
	return OK;
}

static int piece_of_fallback(struct slice token, struct arena *a, struct slice *out)
{
	char *byte;

	if (byte_token(token) < 0)
		return OK;
	TRY(arena_take(a, 1, "a text to be decoded", &byte));
	*byte = (char)byte_token(token);
	*out = (struct slice){byte, 1};
	return OK;
}

int decoder_piece(const struct tokenizer_decoder *decoders, int n, struct slice token,
                  struct arena *a, struct slice *out)
{
	*out = token;
	for (int i = 0; i < n; i++) {
		const struct tokenizer_decoder *d = &decoders[i];
		if (d->run == decode_replace || d->run == decode_metaspace)
			TRY(slice_replace(*out, d->from, d->to, a, out));
		else if (d->run == decode_byte_fallback)
			TRY(piece_of_fallback(*out, a, out));
		else if (d->run == decode_byte_level)
			TRY(piece_of_bytes(*out, a, out));
	}
	return OK;
}
