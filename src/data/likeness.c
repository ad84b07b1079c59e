#include "data/likeness.h"

#include "base/error.h"
#include "base/fingerprint.h"
#include "data/overlap.h"

#include <string.h>

/* ---- grams of a question ---- */

/* a walk over the texts of a problem; a gram may begin in one message and end in the next */
struct grams {
	const struct problem *p;
	int                   part; /* 0: the prompt; i > 0: message i - 1 */
	const unsigned char  *at;   /* in the text of the part; NULL: not begun */
	uint64_t              words[LIKENESS_GRAM];
	int                   n;
};

static const unsigned char *text_of(const struct problem *p, int part)
{
	const char *s = part == 0 ? p->prompt
	                : strcmp(p->messages[part - 1].role, "system")
	                        ? p->messages[part - 1].content
	                        : "";

	return (const unsigned char *)(s ? s : "");
}

enum { WIDE = 0xe3 }; /* first byte of the characters from U+3000 on */

static int likeness_is_word(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c >= 0x80;
}

static uint64_t likeness_add_byte(uint64_t h, unsigned char c)
{
	unsigned char small = c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;

	return fingerprint_bytes(h, &small, 1);
}

/* The word at *s, which is moved behind it. */
static uint64_t read_word(const unsigned char **s)
{
	const unsigned char *t = *s;
	uint64_t             h = FINGERPRINT_EMPTY;
	int                  wide = *t >= WIDE;

	do
		h = likeness_add_byte(h, *t++);
	while (wide ? (*t & 0xc0) == 0x80 : likeness_is_word(*t) && *t < WIDE);
	*s = t;
	return h;
}

static int likeness_next_word(struct grams *g, uint64_t *out)
{
	for (;;) {
		while (*g->at && !likeness_is_word(*g->at))
			g->at++;
		if (*g->at)
			break;
		if (g->part == g->p->n_messages)
			return 0;
		g->at = text_of(g->p, ++g->part);
	}
	*out = read_word(&g->at);
	return 1;
}

static struct grams grams_of(const struct problem *p)
{
	return (struct grams){.p = p, .at = text_of(p, 0)};
}

/* 0 at the end; otherwise the fingerprint of the next gram, which is never 0. */
static uint64_t next_gram(struct grams *g)
{
	uint64_t word, h = FINGERPRINT_EMPTY;

	do {
		if (!likeness_next_word(g, &word))
			return 0;
		memmove(g->words, g->words + 1, sizeof g->words - sizeof *g->words);
		g->words[LIKENESS_GRAM - 1] = word;
	} while (++g->n < LIKENESS_GRAM);
	for (int i = 0; i < LIKENESS_GRAM; i++)
		h = (h ^ g->words[i]) * UINT64_C(0x9e3779b97f4a7c15) ^ h >> 32;
	return h ? h : 1;
}

/* ---- the table of held-out grams ---- */

enum { SEVERAL = -1 };

struct likeness_entry {
	uint64_t gram;    /* 0: free */
	int      owner;   /* number of the held-out question that has it, or SEVERAL */
	int      seen;    /* by the training question of this number last; -1: by none yet */
	int      trained; /* training questions that have it */
};

struct table {
	struct likeness_entry *entries;
	size_t                 mask;
};

static struct likeness_entry *likeness_place_of(const struct table *t, uint64_t gram)
{
	size_t i = (gram ^ gram >> 29) & t->mask;

	while (t->entries[i].gram && t->entries[i].gram != gram)
		i = (i + 1) & t->mask;
	return &t->entries[i];
}

static int same_question(const struct problem *p, const struct problem *q)
{
	return p->question[0] == q->question[0] && p->question[1] == q->question[1];
}

/* A gram that the same question has again has one owner still. */
static void add_grams(struct table *t, const struct problem *held_out, int i)
{
	struct grams g = grams_of(&held_out[i]);

	for (uint64_t gram; (gram = next_gram(&g));) {
		struct likeness_entry *e = likeness_place_of(t, gram);
		if (!e->gram)
			*e = (struct likeness_entry){.gram = gram, .owner = i, .seen = -1};
		else if (e->owner != i && e->owner != SEVERAL &&
		         !same_question(&held_out[e->owner], &held_out[i]))
			e->owner = SEVERAL;
	}
}

static int make_table(const struct problem *held_out, int n, struct arena *a, struct table *out)
{
	size_t grams = 0, size = 64;

	for (int i = 0; i < n; i++)
		for (struct grams g = grams_of(&held_out[i]); next_gram(&g);)
			grams++;
	while (size < 2 * grams)
		size *= 2;
	out->mask = size - 1;
	TRY(arena_take(a, size, "the word sequences of held-out questions", &out->entries));
	for (int i = 0; i < n; i++)
		add_grams(out, held_out, i);
	return OK;
}

static void count_trained(const struct table *t, const struct problem *train, int k)
{
	struct grams g = grams_of(train);

	for (uint64_t gram; (gram = next_gram(&g));) {
		struct likeness_entry *e = likeness_place_of(t, gram);
		e->trained += e->gram && e->seen != k;
		e->seen = k;
	}
}

static int likeness_is_own(const struct likeness_entry *e)
{
	return e->gram && e->owner != SEVERAL && e->trained <= LIKENESS_COMMON;
}

/* ---- the best training question of each held-out one ---- */

struct match {
	int own; /* grams */
	/* those of them that the training question `with` has, which is gone through */
	int hits, with;
	int best, best_with;
};

static void count_own(struct table *t, struct match *matches)
{
	for (size_t i = 0; i <= t->mask; i++) {
		if (likeness_is_own(&t->entries[i]))
			matches[t->entries[i].owner].own++;
		t->entries[i].seen = -1;
	}
}

/* ADDS one training question: of each held-out question, how many of its own word sequences that
 * question has. */
static void match(const struct table *t, const struct problem *train, int k, struct match *matches)
{
	struct grams g = grams_of(train);

	for (uint64_t gram; (gram = next_gram(&g));) {
		struct likeness_entry *e = likeness_place_of(t, gram);
		struct match          *m;
		if (!likeness_is_own(e) || e->seen == k)
			continue;
		e->seen = k;
		m = &matches[e->owner];
		m->hits = m->with == k ? m->hits + 1 : 1;
		m->with = k;
		if (m->hits > m->best) {
			m->best = m->hits;
			m->best_with = k;
		}
	}
}

/* [n] 1 where a training problem asks what one before it asks: its grams count once. */
static int find_repeats(const struct problem *train, int n, struct arena *a, unsigned char **out)
{
	struct overlaps twice;

	TRY(arena_take(a, (size_t)n, "questions asked twice", out));
	TRY(overlap_within(train, n, a, &twice));
	for (int i = 0; i < twice.n; i++)
		(*out)[twice.items[i].problem - train] = 1;
	return OK;
}

static int match_all(const struct problem *train, int n, struct table *t, struct arena *a,
                     struct match *matches)
{
	unsigned char *repeats;

	TRY(find_repeats(train, n, a, &repeats));
	for (int k = 0; k < n; k++)
		if (!repeats[k])
			count_trained(t, &train[k], k);
	count_own(t, matches);
	for (int k = 0; k < n; k++)
		if (!repeats[k])
			match(t, &train[k], k, matches);
	return OK;
}

int likeness_between(const struct problem *train, int n_train, const struct problem *held_out,
                     int n_held_out, struct arena *a, struct likenesses *out)
{
	struct match *matches;
	struct table  t;

	*out = (struct likenesses){0};
	TRY(arena_take(a, (size_t)n_held_out, "questions that are alike", &out->items));
	TRY(arena_take(a, (size_t)n_held_out, "questions that are alike", &matches));
	for (int i = 0; i < n_held_out; i++)
		matches[i].with = -1;
	TRY(make_table(held_out, n_held_out, a, &t));
	TRY(match_all(train, n_train, &t, a, matches));
	for (int i = 0; i < n_held_out; i++) {
		const struct match *m = &matches[i];
		double              share = m->own >= LIKENESS_OWN ? (double)m->best / m->own : 0;
		if (share > LIKENESS_SHARE && !same_question(&held_out[i], &train[m->best_with]))
			out->items[out->n++] =
			        (struct likeness){&held_out[i], &train[m->best_with], share};
	}
	return OK;
}
