#include "model/packing.h"

#include "base/error.h"

#include <assert.h>
#include <string.h>

/* A tree: sequences first .. first+count-1 on one prompt. A tree of one sequence is a single
 * segment. */
struct tree {
	int first, count, n_tokens;
};

/* The last completion token is predicted, but nothing is predicted from it: it is not computed
 * on. */
static int completion_inputs(const struct sequence *s)
{
	return s->n_completion - 1;
}

/* The tree that starts at sequence `first` and ends before `end`. */
static struct tree next_tree(const struct sequence *seqs, int first, int end, int share)
{
	const struct sequence *s = &seqs[first];
	struct tree            t = {
	                   .first = first, .count = 1, .n_tokens = s->n_prompt + completion_inputs(s)};

	for (int i = first + 1; share && i < end; i++) {
		int more = completion_inputs(&seqs[i]);
		if (seqs[i].prompt != s->prompt || seqs[i].n_prompt != s->n_prompt ||
		    t.n_tokens + more > TREE_TOKENS)
			break;
		t.n_tokens += more;
		t.count++;
	}
	return t;
}

int packing_plan(const struct sequence *seqs, int n, int share, struct arena *a,
                 struct unit_range **units, int *n_units)
{
	struct unit_range *u;
	int                count = 0;

	TRY(arena_take(a, (size_t)n, "the gradient units", &u));
	for (int i = 0; i < n;) {
		struct tree t = next_tree(seqs, i, n, share);
		if (count && u[count - 1].n_tokens + t.n_tokens <= UNIT_TOKENS) {
			u[count - 1].count += t.count;
			u[count - 1].n_tokens += t.n_tokens;
		} else {
			u[count] = (struct unit_range){.first = i,
			                               .count = t.count,
			                               .n_tokens = t.n_tokens,
			                               .number = (uint32_t)count};
			count++;
		}
		i += t.count;
	}
	*units = u;
	*n_units = count;
	return OK;
}

/* ---- packing ---- */

static int pages_of(int n_tokens)
{
	return (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;
}

/* Upper bounds of what a packing holds. */
struct packing_room {
	size_t tokens, targets, segments, page_ids;
};

static struct packing_room packing_measure(const struct sequence   *seqs,
                                           const struct unit_range *units, int count)
{
	struct packing_room r = {0};

	for (int u = 0; u < count; u++)
		for (int i = 0; i < units[u].count; i++) {
			const struct sequence *s = &seqs[units[u].first + i];
			r.targets += (size_t)s->n_completion;
			r.segments += 2;
			r.page_ids += (size_t)pages_of(s->n_prompt) +
			              (size_t)pages_of(s->n_prompt + s->n_completion);
		}
	for (int u = 0; u < count; u++)
		r.tokens += (size_t)units[u].n_tokens;
	return r;
}

static int packing_allocate(struct packing *b, int **pages, const struct packing_room *r,
                            int n_units, struct arena *a)
{
	size_t bounds = (size_t)n_units + 1;

	TRY(arena_take(a, r->tokens, "the tokens of a packing", &b->token));
	TRY(arena_take(a, r->tokens, "the tokens of a packing", &b->position));
	TRY(arena_take(a, r->segments, "the segments of a packing", &b->segments));
	TRY(arena_take(a, r->targets, "the targets of a packing", &b->row));
	TRY(arena_take(a, r->targets, "the targets of a packing", &b->target));
	TRY(arena_take(a, bounds, "the units of a packing", &b->unit_token));
	TRY(arena_take(a, bounds, "the units of a packing", &b->unit_target));
	TRY(arena_take(a, bounds, "the units of a packing", &b->unit_segment));
	return arena_take(a, r->page_ids, "the pages of a packing", pages);
}

/* Opens a segment at the end of the packing: full pages of the parent, then pages of its own. */
static void open_segment(struct packing *b, int parent, int position, int count, int **pages)
{
	struct segment *s = &b->segments[b->n_segments++];
	int             shared = position / PAGE_TOKENS;
	int             n_pages = pages_of(position + count);

	assert(count > 0 && parent < b->n_segments - 1);
	assert(position ==
	       (parent < 0 ? 0 : b->segments[parent].position + b->segments[parent].count));
	*s = (struct segment){.first = b->n_tokens,
	                      .count = count,
	                      .position = position,
	                      .parent = parent,
	                      .pages = *pages};
	*pages += n_pages;
	for (int i = 0; i < n_pages; i++)
		s->pages[i] = i < shared ? b->segments[parent].pages[i] : b->n_pages++;
}

static void packing_add_tokens(struct packing *b, const int *tokens, int n, int position)
{
	for (int i = 0; i < n; i++) {
		b->token[b->n_tokens] = tokens[i];
		b->position[b->n_tokens++] = position + i;
	}
}

/* The first target is predicted by the last prompt token, the others by the completion token before
 * them. */
static void add_targets(struct packing *b, const struct sequence *s, int row_prompt,
                        int row_completion)
{
	assert(row_prompt < b->n_tokens && row_completion + s->n_completion - 1 <= b->n_tokens);
	for (int i = 0; i < s->n_completion; i++) {
		b->row[b->n_targets] = i ? row_completion + i - 1 : row_prompt;
		b->target[b->n_targets++] = s->completion[i];
	}
}

static void add_single(struct packing *b, const struct sequence *s, int **pages)
{
	int completion;

	open_segment(b, -1, 0, s->n_prompt + completion_inputs(s), pages);
	packing_add_tokens(b, s->prompt, s->n_prompt, 0);
	completion = b->n_tokens;
	packing_add_tokens(b, s->completion, completion_inputs(s), s->n_prompt);
	add_targets(b, s, completion - 1, completion);
}

static void add_tree(struct packing *b, const struct sequence *seqs, int count, int **pages)
{
	int root = b->n_segments, n_prompt = seqs->n_prompt, prompt_end;

	open_segment(b, -1, 0, n_prompt, pages);
	packing_add_tokens(b, seqs->prompt, n_prompt, 0);
	prompt_end = b->n_tokens;
	for (int i = 0; i < count; i++) {
		int completion = b->n_tokens, n = completion_inputs(&seqs[i]);
		if (n) /* a completion of one token is all target */
			open_segment(b, root, n_prompt, n, pages);
		packing_add_tokens(b, seqs[i].completion, n, n_prompt);
		add_targets(b, &seqs[i], prompt_end - 1, completion);
	}
}

static void add_unit(struct packing *b, const struct sequence *seqs, const struct unit_range *u,
                     int share, int **pages)
{
	int end = u->first + u->count;

	for (int i = u->first; i < end;) {
		struct tree t = next_tree(seqs, i, end, share);
		if (t.count == 1)
			add_single(b, &seqs[i], pages);
		else
			add_tree(b, &seqs[i], t.count, pages);
		i += t.count;
	}
}

int packing_build(const struct sequence *seqs, const struct unit_range *units, int count, int share,
                  struct arena *a, struct packing *out)
{
	struct packing_room room = packing_measure(seqs, units, count);
	struct packing      b = {.n_units = count, .first_unit = units->number};
	int                *pages;

	TRY(packing_allocate(&b, &pages, &room, count, a));
	for (int u = 0; u < count; u++) {
		add_unit(&b, seqs, &units[u], share, &pages);
		b.unit_token[u + 1] = b.n_tokens;
		b.unit_target[u + 1] = b.n_targets;
		b.unit_segment[u + 1] = b.n_segments;
		assert(b.n_tokens - b.unit_token[u] == units[u].n_tokens);
	}
	assert((size_t)b.n_tokens == room.tokens && (size_t)b.n_targets == room.targets);
	*out = b;
	return OK;
}
