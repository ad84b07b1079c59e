#include "data/overlap.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

/* ---- the fingerprint ---- */

struct fnv { /* of the normalised text so far */
	unsigned __int128 hash;
	int               blank; /* white space came, and text before it */
	int               any;
};

static const unsigned __int128 fnv_basis =
        (unsigned __int128)0x6c62272e07bb0142u << 64 | 0x62b821756295c58du;
static const unsigned __int128 fnv_prime = (unsigned __int128)1 << 88 | 0x13b;

static void overlap_add_byte(struct fnv *f, unsigned char c)
{
	f->hash = (f->hash ^ c) * fnv_prime;
}

static void overlap_add_text(struct fnv *f, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == ' ' || (c >= '\t' && c <= '\r')) {
			f->blank = f->any;
			continue;
		}
		if (f->blank)
			overlap_add_byte(f, ' ');
		f->blank = 0;
		f->any = 1;
		overlap_add_byte(f, c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
	}
}

void overlap_mark(struct problem *p)
{
	struct fnv f = {.hash = fnv_basis};

	if (p->prompt)
		overlap_add_text(&f, p->prompt);
	for (int i = 0; i < p->n_messages && i <= problem_asking(p); i++)
		if (strcmp(p->messages[i].role, "system")) {
			overlap_add_text(&f, p->messages[i].content);
			overlap_add_text(&f, "\n");
		}
	p->question[0] = (uint64_t)(f.hash >> 64);
	p->question[1] = (uint64_t)f.hash;
}

/* ---- equal ones ---- */

static int is_marked(const struct problem *p)
{
	return p->question[0] || p->question[1];
}

static int compare_questions(const struct problem *p, const struct problem *q)
{
	for (int i = 0; i < 2; i++)
		if (p->question[i] != q->question[i])
			return p->question[i] < q->question[i] ? -1 : 1;
	return 0;
}

static int by_question(const void *a, const void *b)
{
	const struct problem *p = *(const struct problem *const *)a,
	                     *q = *(const struct problem *const *)b;
	int c = compare_questions(p, q);

	return c ? c : (p > q) - (p < q);
}

/* The problems by question, equal ones in their order. */
static int sorted(const struct problem *p, int n, struct arena *a, const struct problem ***out)
{
	const struct problem **list;

	TRY(arena_take(a, (size_t)n, "the order of the questions", &list));
	for (int i = 0; i < n; i++)
		list[i] = &p[i];
	qsort(list, (size_t)n, sizeof *list, by_question);
	*out = list;
	return OK;
}

/* The first of the sorted problems with the question of p; NULL when there is none. */
static const struct problem *first_with(const struct problem *const *list, int n,
                                        const struct problem *p)
{
	int low = 0, high = n;

	while (low < high) {
		int middle = low + (high - low) / 2;
		if (compare_questions(list[middle], p) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && compare_questions(list[low], p) == 0 ? list[low] : NULL;
}

int overlap_between(const struct problem *train, int n_train, const struct problem *held_out,
                    int n_held_out, struct arena *a, struct overlaps *out)
{
	const struct problem **list;

	*out = (struct overlaps){0};
	TRY(sorted(train, n_train, a, &list));
	TRY(arena_take(a, (size_t)n_held_out, "questions that overlap", &out->items));
	for (int i = 0; i < n_held_out; i++) {
		const struct problem *first =
		        is_marked(&held_out[i]) ? first_with(list, n_train, &held_out[i]) : NULL;
		if (first && first != &held_out[i])
			out->items[out->n++] = (struct overlap){&held_out[i], first};
	}
	return OK;
}

int overlap_within(const struct problem *p, int n, struct arena *a, struct overlaps *out)
{
	return overlap_between(p, n, p, n, a, out);
}
