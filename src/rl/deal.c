#include "rl/deal.h"

#include "base/error.h"
#include "base/ranks.h"
#include "base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int deal_lengths_new(int n, struct arena *a, struct deal_lengths *out)
{
	*out = (struct deal_lengths){.n = n};
	return arena_take(a, (size_t)n, "the lengths of completions", &out->tokens);
}

int deal_is_mine(const struct group *g)
{
	return g->owner == ranks_number();
}

/* ---- dealing ---- */

static int64_t deal_cost(const struct deal_lengths *lengths, const struct group *g)
{
	int64_t expected = 1;

	if (lengths && lengths->count)
		expected = (lengths->sum + lengths->count - 1) / lengths->count;
	if (lengths && lengths->tokens[g->item])
		expected = lengths->tokens[g->item];
	return g->rollouts[0].sampled_under->n + g->n * expected;
}

struct deal_share {
	int64_t cost;
	int     group;
};

/* The costliest first; of equal ones the earlier. */
static int deal_by_cost(const void *a, const void *b)
{
	const struct deal_share *x = a, *y = b;

	if (x->cost != y->cost)
		return x->cost < y->cost ? 1 : -1;
	return x->group - y->group;
}

static int deal_least(const int64_t *load, int n)
{
	int least = 0;

	for (int r = 1; r < n; r++)
		if (load[r] < load[least])
			least = r;
	return least;
}

int deal_costs(const int64_t *cost, int n, int ranks, struct arena *a, int *owner)
{
	struct deal_share *shares;
	int64_t           *load;

	TRY(arena_take(a, (size_t)n, "the costs of the groups", &shares));
	TRY(arena_take(a, (size_t)ranks, "the loads of the ranks", &load));
	for (int g = 0; g < n; g++)
		shares[g] = (struct deal_share){cost[g], g};
	qsort(shares, (size_t)n, sizeof *shares, deal_by_cost);
	for (int i = 0; i < n; i++) {
		int rank = deal_least(load, ranks);
		owner[shares[i].group] = rank;
		load[rank] += shares[i].cost;
	}
	return OK;
}

int deal_groups(const struct deal_lengths *lengths, struct group *groups, int n, struct arena *a)
{
	int64_t *cost;
	int     *owner;

	TRY(arena_take(a, (size_t)n, "the costs of the groups", &cost));
	TRY(arena_take(a, (size_t)n, "the owners of the groups", &owner));
	for (int g = 0; g < n; g++)
		cost[g] = deal_cost(lengths, &groups[g]);
	TRY(deal_costs(cost, n, ranks_count(), a, owner));
	for (int g = 0; g < n; g++)
		groups[g].owner = owner[g];
	return OK;
}

/* ---- gathering ---- */

static size_t deal_tokens(const struct rollout *r)
{
	return (size_t)r->n;
}

static size_t deal_spans(const struct rollout *r)
{
	return (size_t)r->n_spans;
}

static size_t deal_text(const struct rollout *r)
{
	return r->text ? r->n_text + 1 : 0;
}

static size_t deal_rise(const struct rollout *r)
{
	return r->rise ? (size_t)r->n : 0;
}

static size_t deal_components(const struct rollout *r)
{
	return (size_t)r->n_components;
}

/* What a rollout points to, but for its contexts. */
static const struct deal_column {
	size_t at, element; /* of the pointer in the struct; bytes */
	size_t (*count)(const struct rollout *r);
} columns[] = {
        {offsetof(struct rollout, ids), sizeof(int), deal_tokens},
        {offsetof(struct rollout, trained), 1, deal_tokens},
        {offsetof(struct rollout, logp), sizeof(float), deal_tokens},
        {offsetof(struct rollout, entropy), sizeof(float), deal_tokens},
        {offsetof(struct rollout, spans), sizeof(struct completion_span), deal_spans},
        {offsetof(struct rollout, text), 1, deal_text},
        {offsetof(struct rollout, rise), sizeof(double), deal_rise},
        {offsetof(struct rollout, components), sizeof(double), deal_components},
};
enum { DEAL_COLUMNS = sizeof columns / sizeof *columns };

static void deal_add(const struct rollout *r, struct text *out)
{
	text_add(out, (const char *)r, sizeof *r);
	for (int c = 0; c < DEAL_COLUMNS; c++) {
		const char *data;
		size_t      n = columns[c].count(r) * columns[c].element;
		memcpy(&data, (const char *)r + columns[c].at, sizeof data);
		if (n)
			text_add(out, data, n);
	}
}

static void deal_read(struct ranks_piece *from, void *out, size_t n)
{
	assert(n <= from->n); /* the same program wrote it */
	memcpy(out, from->data, n);
	from->data = (char *)from->data + n;
	from->n -= n;
}

static int deal_take(struct ranks_piece *from, struct arena *a, struct rollout *r)
{
	const struct rollout blank = *r;

	deal_read(from, r, sizeof *r);
	r->sampled_under = blank.sampled_under;
	r->trained_under = blank.trained_under;
	for (int c = 0; c < DEAL_COLUMNS; c++) {
		size_t n = columns[c].count(r) * columns[c].element;
		char  *data = NULL;
		if (n) {
			TRY(arena_take(a, n, "a completion of another rank", &data));
			deal_read(from, data, n);
		}
		memcpy((char *)r + columns[c].at, &data, sizeof data);
	}
	return OK;
}

static int deal_take_groups(struct ranks_piece *from, struct group *groups, int n, struct arena *a)
{
	for (int g = 0; g < n; g++)
		for (int i = 0; i < groups[g].n && !deal_is_mine(&groups[g]); i++)
			TRY(deal_take(&from[groups[g].owner], a, &groups[g].rollouts[i]));
	return OK;
}

/* Gives the own groups, takes the others'. */
static int deal_swap(struct group *groups, int n, struct arena *scratch, struct arena *a)
{
	struct text         own = {0};
	struct ranks_piece *in;
	int                 status;

	TRY(arena_take(scratch, (size_t)ranks_count(), "the completions of the ranks", &in));
	for (int g = 0; g < n; g++)
		for (int i = 0; i < groups[g].n && deal_is_mine(&groups[g]); i++)
			deal_add(&groups[g].rollouts[i], &own);
	status = text_status(&own);
	if (status == OK)
		status = ranks_gather("completions", own.data, own.n, scratch, in);
	text_free(&own);
	return status == OK ? deal_take_groups(in, groups, n, a) : status;
}

static void deal_remember(const struct group *g, struct deal_lengths *lengths)
{
	int64_t tokens = 0;

	for (int i = 0; i < g->n; i++)
		tokens += g->rollouts[i].n;
	lengths->tokens[g->item] = (int)((tokens + g->n - 1) / g->n);
	lengths->sum += tokens;
	lengths->count += g->n;
}

int deal_gather(struct deal_lengths *lengths, struct group *groups, int n, struct arena *a)
{
	struct arena scratch = {0};
	int          status = ranks_count() > 1 ? deal_swap(groups, n, &scratch, a) : OK;

	arena_free(&scratch);
	for (int g = 0; status == OK && lengths && g < n; g++)
		deal_remember(&groups[g], lengths);
	return status;
}
