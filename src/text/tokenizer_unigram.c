/* tokenizer_unigram.c - the Unigram model of sentencepiece (Kudo 2018, arXiv:1804.10959). Of all
 * ways to write a word as tokens it takes the one with the highest sum of scores, found from left
 * to right (Viterbi):
 *
 *     best[0] = 0     best[e] = max over tokens word[s .. e) of best[s] + score(token)
 *
 * A character that is not a token becomes the unknown token and costs the lowest score minus 10.
 * Adjacent unknown tokens become one. Of equal sums the one with the earlier start wins, as in the
 * library, whose additions are the same one by one.
 *
 * Cost: each place of the word reads on as long as some token matches, so O(n * longest token) at
 * worst. */
#include "base/error.h"
#include "text/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

struct unigram_node { /* the best way to the end of this byte */
	double score;
	int    id, start; /* of its last token; start < 0: unreachable */
	/* on the best way to the end of the word: the end of the token that starts here */
	int next;
};

static const double unigram_unk_penalty = 10;

/* The library reads a number by rounding its digits to one whole number and multiplying or dividing
 * that by a power of ten. The result is not always the nearest double, and a tie may depend on it.
 * The digits are the shortest that read back, as the library writes them. */
double unigram_score(double written)
{
	char     digits[40], *e, *end;
	int      precision = 14, exponent, n = 0;
	uint64_t whole = 0;
	double   power = 1, x;

	do
		snprintf(digits, sizeof digits, "%.*e", precision, written);
	while (strtod(digits, NULL) != written && ++precision < 17);
	e = strchr(digits, 'e');
	if (!e)
		return written; /* not finite */
	exponent = atoi(e + 1);
	for (end = e; end[-1] == '0';)
		end--;
	for (const char *p = digits; p < end; p++)
		if (*p >= '0' && *p <= '9') {
			whole = 10 * whole + (uint64_t)(*p - '0');
			n++;
		}
	exponent -= n - 1;
	if (whole == 0 || exponent < -300 || exponent > 300)
		return written;
	snprintf(digits, sizeof digits, "1e%d", abs(exponent));
	power = strtod(digits, NULL);
	x = exponent < 0 ? (double)whole / power : (double)whole * power;
	return written < 0 ? -x : x;
}

/* ---- the tokens by their bytes ---- */

static int unigram_by_bytes(const void *p, const void *q, void *text)
{
	struct slice a = ((const struct slice *)text)[*(const int *)p],
	             b = ((const struct slice *)text)[*(const int *)q];
	int order = memcmp(a.s, b.s, a.n < b.n ? a.n : b.n);

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* unk_score = lowest score - unigram_unk_penalty; sorted and first serve the search by bytes. */
int unigram_finish(struct arena *a, struct unigram *u, const struct slice_map *ids)
{
	double lowest = u->score[0];
	int    i = 0;

	TRY(arena_take(a, (size_t)u->n, "the vocabulary of a tokenizer", &u->sorted));
	for (int id = 0; id < u->n; id++) {
		lowest = u->score[id] < lowest ? u->score[id] : lowest;
		if (u->text[id].n && slice_map_find(ids, u->text[id]) == id)
			u->sorted[u->n_sorted++] = id;
	}
	u->unk_score = lowest - unigram_unk_penalty;
	qsort_r(u->sorted, (size_t)u->n_sorted, sizeof *u->sorted, unigram_by_bytes,
	        (void *)(uintptr_t)u->text);
	for (int byte = 0; byte <= 256; byte++) {
		while (i < u->n_sorted && (unsigned char)u->text[u->sorted[i]].s[0] < byte)
			i++;
		u->first[byte] = i;
	}
	for (int byte = 0; byte < 256; byte++) {
		char name[8];
		snprintf(name, sizeof name, "<0x%02X>", (unsigned)byte);
		u->byte_id[byte] = slice_map_find(ids, slice_of(name));
	}
	return OK;
}

/* Among sorted[low..high-1], which share their first k bytes and are longer than k, finds the first
 * whose byte k is at least `byte`. */
static int unigram_bound(const struct unigram *u, int low, int high, size_t k, int byte)
{
	while (low < high) {
		int middle = low + (high - low) / 2;
		if ((unsigned char)u->text[u->sorted[middle]].s[k] < byte)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- a word ---- */

static void unigram_offer(struct unigram_node *node, double score, int id, int start)
{
	if (node->start >= 0 && !(score > node->score))
		return;
	*node = (struct unigram_node){.score = score, .id = id, .start = start};
}

/* Offers every token that starts at `start`. Returns whether one of them is exactly the character
 * of `length` bytes. */
static int unigram_offer_tokens(const struct unigram *u, struct slice word, int start,
                                size_t length, struct unigram_node *nodes)
{
	const char *s = word.s + start;
	size_t      n = word.n - (size_t)start, k = 1;
	int low = u->first[(unsigned char)*s], high = u->first[(unsigned char)*s + 1], single = 0;

	for (;; k++) {
		if (low < high && u->text[u->sorted[low]].n == k) {
			int id = u->sorted[low++];
			unigram_offer(&nodes[start + (int)k], u->score[id] + nodes[start].score, id,
			              start);
			single |= k == length;
		}
		if (low == high || k == n)
			return single;
		low = unigram_bound(u, low, high, k, (unsigned char)s[k]);
		high = unigram_bound(u, low, high, k, (unsigned char)s[k] + 1);
	}
}

/* Viterbi: best[end] = max over tokens of best[start] + score of the token. An unknown character
 * costs unk_score. */
static int unigram_forward(const struct unigram *u, struct slice word, struct unigram_node *nodes)
{
	nodes[0] = (struct unigram_node){.id = -1, .start = -1};
	for (size_t i = 1; i <= word.n; i++)
		nodes[i] = nodes[0];
	for (size_t start = 0, length; start < word.n; start += length) {
		int32_t c;
		length = utf8_take(word.s + start, word.n - start, &c);
		if (unigram_offer_tokens(u, word, (int)start, length, nodes))
			continue;
		if (u->unk < 0)
			return error_set(ERR_INPUT,
			                 "the tokenizer has no token for \"%.*s\", and no unknown "
			                 "one (unk_id)",
			                 (int)length, word.s + start);
		unigram_offer(&nodes[start + length], u->unk_score + nodes[start].score, u->unk,
		              (int)start);
	}
	return OK;
}

/* Adds a token. A text that is not a token becomes its bytes, if all of them are tokens, else the
 * unknown token. */
static int unigram_put(const struct unigram *u, const struct slice_map *ids, struct slice text,
                       struct ids *out)
{
	int known = slice_map_find(ids, text), bytes = u->byte_fallback;

	if (known >= 0 && known < u->n)
		return ids_add(out, &known, 1);
	for (size_t i = 0; i < text.n; i++)
		bytes = bytes && u->byte_id[(unsigned char)text.s[i]] >= 0;
	if (!bytes)
		return ids_add(out, &u->unk, 1);
	for (size_t i = 0; i < text.n; i++)
		TRY(ids_add(out, &u->byte_id[(unsigned char)text.s[i]], 1));
	return OK;
}

/* Links the best way from left to right. Adjacent unknown tokens become one. */
static void unigram_link(const struct unigram *u, struct unigram_node *nodes, int n)
{
	for (int end = n, start; end > 0; end = start) {
		start = nodes[end].start;
		while (nodes[end].id == u->unk && start > 0 && nodes[start].id == u->unk)
			start = nodes[start].start;
		nodes[start].next = end;
	}
}

static int unigram_reserve(struct unigram_work *w, size_t n)
{
	if (n > TOKENIZER_WORD_MAX / 4)
		return error_set(
		        ERR_INPUT,
		        "a word of %zu bytes is too long to be split into tokens; shorten the text",
		        n);
	return mem_room(&w->nodes, &w->n_nodes, n, "the tokens of a word");
}

void unigram_work_free(struct unigram_work *w)
{
	mem_free(w->nodes);
	*w = (struct unigram_work){0};
}

int unigram_encode(const struct unigram *u, const struct slice_map *ids, struct slice word,
                   struct unigram_work *w, struct ids *out)
{
	TRY(unigram_reserve(w, word.n + 1));
	TRY(unigram_forward(u, word, w->nodes));
	unigram_link(u, w->nodes, (int)word.n);
	for (int at = 0, end; at < (int)word.n; at = end) {
		end = w->nodes[at].next;
		TRY(unigram_put(u, ids, (struct slice){word.s + at, (size_t)(end - at)}, out));
	}
	return OK;
}
