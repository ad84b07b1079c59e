/* tokenizer_text.c - what every stage of a tokenizer needs: lists of slices, a map from strings to
 * ids, UTF-8, character classes. */
#include "base/error.h"
#include "text/tokenizer_parts.h"

#include <string.h>

struct slice slice_of(const char *s)
{
	return (struct slice){s, strlen(s)};
}

/* Does not use memmem, because under ASan memmem checks the whole rest of the text for every hit.
 * `what` is short, so the cost stays linear. */
const char *slice_find(struct slice in, struct slice what)
{
	const char *end = in.s + in.n, *p = in.s;

	for (; in.n && (size_t)(end - p) >= what.n; p++) {
		p = memchr(p, *what.s, (size_t)(end - p) - what.n + 1);
		if (!p || !memcmp(p, what.s, what.n))
			return p;
	}
	return NULL;
}

int pieces_add(struct pieces *p, const char *s, size_t n, int mark)
{
	return n ? pieces_put(p, s, n, mark) : OK;
}

int pieces_put(struct pieces *p, const char *s, size_t n, int mark)
{
	TRY(mem_room(&p->at, &p->capacity, p->n + 1, "the words of a text"));
	p->at[p->n++] = (struct piece){{s, n}, mark};
	return OK;
}

void pieces_free(struct pieces *p)
{
	mem_free(p->at);
	*p = (struct pieces){0};
}

int ids_add(struct ids *ids, const int *id, size_t n)
{
	if (!n)
		return OK;
	TRY(mem_room(&ids->id, &ids->capacity, ids->n + n, "the ids of a text"));
	memcpy(ids->id + ids->n, id, n * sizeof *id);
	ids->n += n;
	return OK;
}

void ids_free(struct ids *ids)
{
	mem_free(ids->id);
	*ids = (struct ids){0};
}

/* ---- the map ---- */

/* n is a constant, so that this compiles to one instruction */
static uint64_t tokenizer_text_load(const char *s, size_t n)
{
	uint64_t word = 0;

	memcpy(&word, s, n);
	return word;
}

/* Eight bytes at a time are multiplied and folded. Any hash would do: it decides places, never
 * results. */
static uint64_t hash_bytes(struct slice key)
{
	uint64_t h = key.n * 0x9E3779B97F4A7C15u, tail = 0;

	for (size_t i = 0; i + 8 < key.n; i += 8) {
		h = (h ^ tokenizer_text_load(key.s + i, 8)) * 0xD6E8FEB86659FD93u;
		h ^= h >> 32;
	}
	/* reads the last eight bytes, some of them again, instead of copying an unknown number */
	if (key.n >= 8)
		tail = tokenizer_text_load(key.s + key.n - 8, 8);
	else if (key.n >= 4)
		tail = tokenizer_text_load(key.s, 4) | tokenizer_text_load(key.s + key.n - 4, 4)
		                                               << 32;
	else if (key.n)
		tail = tokenizer_text_load(key.s, 1) |
		       tokenizer_text_load(key.s + key.n / 2, 1) << 8 |
		       tokenizer_text_load(key.s + key.n - 1, 1) << 16;
	h = (h ^ tail) * 0xD6E8FEB86659FD93u;
	return h ^ h >> 32;
}

int slice_map_new(struct arena *a, size_t n, const struct slice *text, struct slice_map *out)
{
	size_t size = 16;

	while (size < 2 * n)
		size *= 2;
	out->mask = size - 1;
	out->text = text;
	return arena_take(a, size, "the vocabulary of a tokenizer", &out->slot);
}

static size_t map_slot(const struct slice_map *m, struct slice key)
{
	size_t i = hash_bytes(key) & m->mask;

	for (; m->slot[i]; i = (i + 1) & m->mask) {
		struct slice have = m->text[m->slot[i] - 1];
		if (have.n == key.n && !memcmp(have.s, key.s, key.n))
			break;
	}
	return i;
}

void slice_map_put(struct slice_map *m, int id)
{
	m->slot[map_slot(m, m->text[id])] = id + 1;
}

int slice_map_find(const struct slice_map *m, struct slice key)
{
	return m->slot[map_slot(m, key)] - 1;
}

/* ---- UTF-8 ---- */

/* Lengths and bounds of the second byte: Unicode 15, table 3-7. */
size_t utf8_take(const char *text, size_t n, int32_t *c)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t               length = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
	unsigned             low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
	unsigned             high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
	int32_t              value = s[0] & (0x7F >> length);

	*c = s[0];
	if (s[0] < 0x80)
		return 1;
	*c = -1;
	if (s[0] < 0xC2 || s[0] > 0xF4)
		return 1;
	for (size_t i = 1; i < length; i++) {
		if (i >= n || s[i] < low || s[i] > high)
			return i;
		value = value << 6 | (s[i] & 0x3F);
		low = 0x80;
		high = 0xBF;
	}
	*c = value;
	return length;
}

/* The number of bytes before the first ill-formed part. */
static size_t valid_prefix(struct slice in)
{
	int32_t c;
	size_t  i = 0;

	while (i < in.n) {
		uint64_t eight;
		if (in.n - i >= 8) {
			memcpy(&eight, in.s + i, 8);
			if (!(eight & 0x8080808080808080u)) {
				i += 8;
				continue;
			}
		}
		size_t length = utf8_take(in.s + i, in.n - i, &c);
		if (c < 0)
			return i;
		i += length;
	}
	return i;
}

int utf8_is_valid(struct slice in)
{
	return valid_prefix(in) == in.n;
}

/* Replaces each maximal ill-formed part by U+FFFD. */
int utf8_repair(struct slice in, struct arena *a, struct slice *out)
{
	size_t  i = valid_prefix(in), n = i;
	int32_t c;
	char   *to;

	*out = in;
	if (i == in.n)
		return OK;
	/* an ill-formed byte becomes the 3 bytes of U+FFFD */
	TRY(arena_take(a, 3 * in.n, "a text to be encoded", &to));
	memcpy(to, in.s, i);
	while (i < in.n) {
		size_t length = utf8_take(in.s + i, in.n - i, &c);
		if (c < 0)
			memcpy(to + n, "\xEF\xBF\xBD", 3);
		else
			memcpy(to + n, in.s + i, length);
		n += c < 0 ? 3 : length;
		i += length;
	}
	*out = (struct slice){to, n};
	return OK;
}

/* ---- classes ---- */

enum char_class char_class_take(const char *s, size_t n, size_t *length)
{
	unsigned char byte = (unsigned char)*s;
	int32_t       c;

	if (byte < 0x80) {
		*length = 1;
		if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z')
			return CHAR_LETTER;
		if (byte >= '0' && byte <= '9')
			return CHAR_NUMBER;
		return byte == ' ' || (byte >= '\t' && byte <= '\r') ? CHAR_SPACE : CHAR_OTHER;
	}
	*length = utf8_take(s, n, &c);
	return char_class_of(c);
}

/* ---- the alphabet of byte-level BPE ---- */

/* Bytes that are printable in Latin-1 stand for themselves. The other 68 become, in order, U+0100,
 * U+0101, ... */
static int stands_for_itself(int byte)
{
	return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

int byte_level_char(int byte)
{
	if (stands_for_itself(byte))
		return byte;
	if (byte <= ' ')
		return 0x100 + byte;
	return byte == 0xAD ? 0x143 : 0x121 + byte - 0x7F;
}

int byte_level_byte(int32_t c)
{
	if (c >= 0 && c < 0x100)
		return stands_for_itself(c) ? c : -1;
	if (c >= 0x100 && c <= 0x120)
		return c - 0x100;
	if (c >= 0x121 && c <= 0x142)
		return c - 0x121 + 0x7F;
	return c == 0x143 ? 0xAD : -1;
}
