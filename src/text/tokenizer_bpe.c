/* tokenizer_bpe.c - byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909): a word starts as
 * single bytes or characters; the adjacent pair of the lowest rank is merged, the leftmost first,
 * until no pair has a rank.
 *
 * When no merge ends with the left symbol of a pair and continues with the right one, no merge can
 * ever cross that seam. The word is cut there, and its segments are merged one after another. (In
 * the sentencepiece kind a whole text is one word, and these cuts give roughly its words.) The
 * symbols of a segment are a linked list and the candidates a heap: O(n log n) for n symbols,
 * whatever they are. */
#include "base/error.h"
#include "text/tokenizer_parts.h"

#include <string.h>

struct bpe_symbol {
	int id, previous, next; /* id < 0: merged into the symbol to its left; -1 ends the list */
	int start;              /* where it begins in the word, while it is unmerged */
};
/* A candidate is rank << 32 | place: the symbol at that place and its right neighbour may merge
 * into the token of that rank. */

/* ---- the merges ---- */

int bpe_merges_new(struct arena *a, size_t n, struct bpe *b)
{
	size_t size = 16;

	while (size < 2 * n)
		size *= 2;
	b->mask = size - 1;
	TRY(arena_take(a, size, "the merges of a tokenizer", &b->merges));
	TRY(arena_take(a, n, "the merges of a tokenizer", &b->made));
	for (size_t i = 0; i < size; i++)
		b->merges[i].id = -1;
	return OK;
}

static struct bpe_merge *merge_slot(const struct bpe *b, int left, int right)
{
	uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;

	for (size_t i = (h ^ h >> 32) & b->mask;; i = (i + 1) & b->mask) {
		struct bpe_merge *m = &b->merges[i];
		if (m->id < 0 || (m->left == left && m->right == right))
			return m;
	}
}

void bpe_merges_put(struct bpe *b, int left, int right, int rank, int id)
{
	*merge_slot(b, left, right) = (struct bpe_merge){left, right, rank, id};
	b->made[rank] = id;
}

/* ---- where merges may cross: a set of pairs of unmerged symbols, as hashed bits; two pairs that
 * share a bit only cost time ---- */

enum { JOINT_BITS = 1 << 18 };

static uint32_t joint(int left, int right)
{
	uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;

	return (uint32_t)(h >> 40) % JOINT_BITS;
}

static int may_join(const struct bpe *b, int left, int right)
{
	uint32_t bit = joint(left, right);

	return b->joints[bit / 64] >> bit % 64 & 1;
}

/* The unmerged symbol at the end (or beginning) of a merged token; -1 when its text does not
 * say. */
static int end_symbol(const struct bpe *b, int id, int last)
{
	struct slice key = b->keys.text[id], unit = key;
	int32_t      c;

	if (!key.n || id == b->unk || (b->byte_fallback && byte_token(key) >= 0))
		return -1; /* an unmerged symbol that its own text does not give */
	if (b->byte_level)
		return b->byte_id[(unsigned char)key.s[last ? key.n - 1 : 0]];
	for (size_t i = 0; i < key.n; i += unit.n) {
		unit.s = key.s + i;
		unit.n = utf8_take(unit.s, key.n - i, &c);
		if (!last)
			break;
	}
	return slice_map_find(&b->keys, unit);
}

int bpe_find_joints(struct arena *a, struct bpe *b)
{
	TRY(arena_take(a, JOINT_BITS / 64, "the merges of a tokenizer", &b->joints));
	for (size_t i = 0; i <= b->mask; i++) {
		const struct bpe_merge *m = &b->merges[i];
		int                     left = m->id < 0 ? 0 : end_symbol(b, m->left, 1),
		    right = m->id < 0 ? 0 : end_symbol(b, m->right, 0);
		uint32_t bit = joint(left, right);
		if (left < 0 || right < 0) {
			memset(b->joints, 0xFF, JOINT_BITS / 8);
			break;
		}
		if (m->id >= 0)
			b->joints[bit / 64] |= (uint64_t)1 << bit % 64;
	}
	return OK;
}

/* ---- the heap: four children per node, side by side in memory, because the heap of a long word is
 * larger than the caches ---- */

static void heap_push(struct bpe_work *w, uint64_t candidate)
{
	size_t i = w->n_heap++;

	for (size_t up; i && candidate < w->heap[up = (i - 1) / 4]; i = up, w->steps++)
		w->heap[i] = w->heap[up];
	w->heap[i] = candidate;
}

static uint64_t heap_pop(struct bpe_work *w)
{
	uint64_t *heap = w->heap, top = heap[0], last = heap[--w->n_heap];
	size_t    i = 0;

	for (size_t below; (below = 4 * i + 1) < w->n_heap; i = below, w->steps++) {
		size_t end = below + 4 < w->n_heap ? below + 4 : w->n_heap;
		for (size_t k = below + 1; k < end; k++)
			below = heap[k] < heap[below] ? k : below;
		if (heap[below] >= last)
			break;
		heap[i] = heap[below];
	}
	heap[i] = last;
	return top;
}

/* ---- a word ---- */

static int reserve_symbols(struct bpe_work *w, size_t n)
{
	if (n > TOKENIZER_WORD_MAX)
		return error_set(
		        ERR_INPUT,
		        "a word of %zu bytes is too long to be split into tokens; shorten the text",
		        n);
	return mem_room(&w->symbols, &w->n_symbols, n, "the symbols of a word");
}

static int reserve_heap(struct bpe_work *w, size_t n)
{
	return mem_room(&w->heap, &w->n_candidates, n, "the merges of a word");
}

void bpe_work_free(struct bpe_work *w)
{
	mem_free(w->symbols);
	mem_free(w->heap);
	*w = (struct bpe_work){0};
}

static int add_symbol(struct bpe_work *w, int n, int id, size_t start)
{
	w->symbols[n] = (struct bpe_symbol){id, n - 1, n + 1, (int)start};
	return n + 1;
}

/* Adds the byte tokens of a character that has no token. Returns n unchanged when one of them is
 * missing. */
static int add_bytes(const struct bpe *b, struct bpe_work *w, int n, struct slice character,
                     size_t start)
{
	int first = n;

	for (size_t i = 0; i < character.n; i++) {
		int id = b->byte_id[(unsigned char)character.s[i]];
		if (id < 0)
			return first;
		n = add_symbol(w, n, id, start);
	}
	return n;
}

/* Writes the word as a list of symbols, bytes or characters, and returns how many. An unknown token
 * is held back until the next known one, so that fuse_unk can join several; byte tokens do not
 * release it (as in the library). */
static int symbols_of(const struct bpe *b, struct slice word, struct bpe_work *w)
{
	int    n = 0, unknown = 0;
	size_t since = 0; /* where the held-back unknown token begins */

	for (size_t i = 0, length; i < word.n; i += length) {
		struct slice unit = {word.s + i, 1};
		int32_t      c;
		int          id, more;

		if (!b->byte_level)
			unit.n = utf8_take(unit.s, word.n - i, &c);
		length = unit.n;
		id = b->byte_level ? b->byte_id[(unsigned char)*unit.s]
		                   : slice_map_find(&b->keys, unit);
		if (id >= 0) {
			if (unknown)
				n = add_symbol(w, n, b->unk, since);
			unknown = 0;
			n = add_symbol(w, n, id, i);
			continue;
		}
		more = b->byte_fallback ? add_bytes(b, w, n, unit, i) : n;
		if (more == n && b->unk >= 0) {
			if (unknown && !b->fuse_unk)
				more = add_symbol(w, n, b->unk, since);
			if (!unknown || !b->fuse_unk)
				since = i;
			unknown = 1;
		}
		n = more;
	}
	return unknown ? add_symbol(w, n, b->unk, since) : n;
}

static void consider(const struct bpe *b, struct bpe_work *w, int at)
{
	const struct bpe_symbol *left = &w->symbols[at];
	const struct bpe_merge  *m = merge_slot(b, left->id, w->symbols[left->next].id);

	if (m->id >= 0)
		heap_push(w, (uint64_t)m->rank << 32 | (uint32_t)at);
}

/* Skips a candidate whose symbols have changed since, unless the new pair makes the same token, as
 * the library does. */
static void merge_symbols(const struct bpe *b, struct bpe_work *w)
{
	while (w->n_heap) {
		uint64_t           top = heap_pop(w);
		int                at = (int)(top & UINT32_MAX), id = b->made[top >> 32];
		struct bpe_symbol *left = &w->symbols[at], *right;

		if (left->id < 0 || left->next < 0)
			continue;
		right = &w->symbols[left->next];
		if (merge_slot(b, left->id, right->id)->id != id)
			continue;
		left->id = id;
		left->next = right->next;
		right->id = -1;
		if (left->next >= 0) {
			w->symbols[left->next].previous = at;
			consider(b, w, at);
		}
		if (left->previous >= 0)
			consider(b, w, left->previous);
	}
}

/* Merges the symbols first..last, which no merge joins to their neighbours. */
static int merge_segment(const struct bpe *b, int first, int last, struct bpe_work *w,
                         struct ids *out)
{
	/* one candidate per pair at first, then at most two per merge */
	TRY(reserve_heap(w, 3 * (size_t)(last - first + 1)));
	w->symbols[first].previous = w->symbols[last].next = -1;
	w->n_heap = 0;
	for (int i = first; i < last; i++)
		consider(b, w, i);
	merge_symbols(b, w);
	for (int i = first; i >= 0; i = w->symbols[i].next)
		TRY(ids_add(out, &w->symbols[i].id, 1));
	return OK;
}

/* The token that equals the word, or -1. */
static int whole_token(const struct bpe *b, struct slice word)
{
	int id = word.n <= b->longest ? slice_map_find(&b->keys, word) : -1;

	return id >= 0 && b->whole[id] ? id : -1;
}

/* Cuts the word where no merge can ever join two symbols and merges each segment on its own: the
 * result is the same and the heaps are shorter. */
static int merge_word(const struct bpe *b, struct slice word, struct bpe_work *w, struct ids *out)
{
	int n, id;

	TRY(reserve_symbols(w, word.n));
	w->steps = 0;
	n = symbols_of(b, word, w);
	for (int first = 0, last = 0; first < n; first = ++last) {
		size_t start = (size_t)w->symbols[first].start, end = word.n;
		while (last + 1 < n && may_join(b, w->symbols[last].id, w->symbols[last + 1].id))
			last++;
		if (last + 1 < n)
			end = (size_t)w->symbols[last + 1].start;
		id = first == last ? w->symbols[first].id
		                   : whole_token(b, (struct slice){word.s + start, end - start});
		TRY(id >= 0 ? ids_add(out, &id, 1) : merge_segment(b, first, last, w, out));
	}
	return OK;
}

/* Most words are tokens, and those cost one look-up. The table is const; a cache of words would
 * need locks. */
int bpe_encode(const struct bpe *b, struct slice word, struct bpe_work *w, struct ids *out)
{
	int id = word.n <= b->longest ? slice_map_find(&b->keys, word) : -1;

	if (id >= 0 && (b->ignore_merges || b->whole[id]))
		return ids_add(out, &id, 1);
	return merge_word(b, word, w, out);
}

int bpe_find_whole(struct bpe *b, int n_ids)
{
	struct bpe_work work = {0};
	struct ids      ids = {0};
	int             status = OK;

	for (int id = 0; status == OK && id < n_ids; id++) {
		struct slice key = b->keys.text[id];
		if (!key.n)
			continue;
		ids.n = 0;
		status = merge_word(b, key, &work, &ids);
		b->whole[id] = ids.n == 1 && ids.id[0] == id;
	}
	bpe_work_free(&work);
	ids_free(&ids);
	return status;
}
