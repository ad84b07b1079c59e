#include "model/packing.h"

#include "test.h"

enum { N_MOST = 8 };

static int prompt_a[200], prompt_b[5000], completions[N_MOST][5000];

/* Tokens tell where they are from: prompts count from 1000 and 2000, completion i from 10000 * (i +
 * 1). */
static void fill(void)
{
	for (int i = 0; i < 200; i++)
		prompt_a[i] = 1000 + i;
	for (int i = 0; i < 5000; i++)
		prompt_b[i] = 20000 + i;
	for (int s = 0; s < N_MOST; s++)
		for (int i = 0; i < 5000; i++)
			completions[s][i] = 100000 * (s + 1) + i;
}

static struct sequence on_a(int s, int n_completion)
{
	return (struct sequence){.prompt = prompt_a,
	                         .n_prompt = 200,
	                         .completion = completions[s],
	                         .n_completion = n_completion};
}

static struct sequence on_b(int s, int n_prompt, int n_completion)
{
	return (struct sequence){.prompt = prompt_b,
	                         .n_prompt = n_prompt,
	                         .completion = completions[s],
	                         .n_completion = n_completion};
}

static struct packing build(const struct sequence *seqs, int n, int share, struct arena *a)
{
	struct unit_range *units;
	struct packing     b;
	int                n_units;

	assert_ok(packing_plan(seqs, n, share, a, &units, &n_units));
	assert_ok(packing_build(seqs, units, n_units, share, a, &b));
	return b;
}

/* The text that a segment ends, read back through its parents. */
static int text_of(const struct packing *b, int segment, int *out)
{
	const struct segment *s = &b->segments[segment];
	int                   n = s->parent < 0 ? 0 : text_of(b, s->parent, out);

	assert_int_equal(n, s->position);
	for (int i = 0; i < s->count; i++) {
		assert_int_equal(b->position[s->first + i], n);
		out[n++] = b->token[s->first + i];
	}
	return n;
}

static int segment_of(const struct packing *b, int token)
{
	int s = 0;

	while (token >= b->segments[s].first + b->segments[s].count)
		s++;
	return s;
}

/* Whatever the packing: before each target stands, in its text, exactly the sequence up to it. */
static void check_targets(const struct packing *b, const struct sequence *seqs, int n)
{
	static int text[10000];
	int        at = 0;

	for (int i = 0; i < n; i++)
		for (int j = 0; j < seqs[i].n_completion; j++, at++) {
			int row = b->row[at], before = b->position[row] + 1;
			assert_int_equal(b->target[at], seqs[i].completion[j]);
			assert_int_equal(before, seqs[i].n_prompt + j);
			assert_true(text_of(b, segment_of(b, row), text) >= before);
			assert_memory_equal(text, seqs[i].prompt,
			                    sizeof(int) * (size_t)seqs[i].n_prompt);
			assert_memory_equal(text + seqs[i].n_prompt, seqs[i].completion,
			                    sizeof(int) * (size_t)j);
		}
	assert_int_equal(at, b->n_targets);
}

static void every_target_is_predicted_from_its_own_text(void **state)
{
	struct arena    a = {0};
	struct sequence seqs[] = {on_a(0, 3),    on_a(1, 1),      on_a(2, 150),
	                          on_b(3, 7, 1), on_b(4, 64, 70), on_b(5, 64, 2)};

	(void)state;
	for (int share = 0; share < 2; share++) {
		struct packing b = build(seqs, 6, share, &a);
		check_targets(&b, seqs, 6);
	}
	arena_free(&a);
}

static void a_shared_prompt_stands_once_and_last_tokens_are_left_out(void **state)
{
	struct arena    a = {0};
	struct sequence seqs[] = {on_a(0, 3), on_a(1, 1), on_a(2, 5)};
	struct packing  b;

	(void)state;
	b = build(seqs, 3, 1, &a);
	assert_int_equal(b.n_tokens, 200 + 2 + 0 + 4);
	/* the prompt and the two completions of more than one token */
	assert_int_equal(b.n_segments, 3);
	b = build(seqs, 3, 0, &a);
	assert_int_equal(b.n_tokens, 202 + 200 + 204);
	assert_int_equal(b.n_segments, 3);
	assert_int_equal(b.segments[1].parent, -1);
	arena_free(&a);
}

static void children_share_full_pages_and_own_the_rest(void **state)
{
	struct arena    a = {0};
	struct sequence seqs[] = {on_a(0, 3), on_a(1, 100)};
	struct packing  b;
	const int      *root, *first, *second;

	(void)state;
	b = build(seqs, 2, 1, &a);
	root = b.segments[0].pages;
	first = b.segments[1].pages;
	second = b.segments[2].pages;
	for (int i = 0; i < 3; i++) { /* 200 prompt tokens: 3 full pages and 8 tokens */
		assert_int_equal(first[i], root[i]);
		assert_int_equal(second[i], root[i]);
	}
	assert_int_equal(b.n_pages, 4 + 1 + 2);
	assert_int_equal(root[3], 3);
	assert_int_equal(first[3], 4);
	assert_int_equal(second[3], 5);
	assert_int_equal(second[4], 6);
	arena_free(&a);
}

static void units_fill_up_to_their_limit_and_a_large_tree_stands_alone(void **state)
{
	struct arena       a = {0};
	struct unit_range *units;
	int                n;
	struct sequence    seqs[] = {on_b(0, 256, 1), on_b(1, 255, 2), on_b(2, 1, 1),
	                             on_b(3, 600, 1), on_b(4, 2, 1),   on_b(5, 511, 1)};

	(void)state;
	assert_ok(packing_plan(seqs, 6, 0, &a, &units, &n));
	assert_int_equal(n, 5);
	assert_int_equal(units[0].count, 2); /* 256 + 256 tokens */
	assert_int_equal(units[0].n_tokens, UNIT_TOKENS);
	assert_int_equal(units[1].count, 1); /* nothing joins what is followed by a large one */
	assert_int_equal(units[2].n_tokens, 600);
	assert_int_equal(units[3].first, 4);
	assert_int_equal(units[3].n_tokens, 2);
	arena_free(&a);
}

static void a_group_beyond_the_largest_tree_becomes_several(void **state)
{
	struct arena       a = {0};
	struct unit_range *units;
	int                n;
	struct sequence    seqs[] = {on_b(0, 2000, 1001), on_b(1, 2000, 1001), on_b(2, 2000, 1001),
	                             on_b(3, 2000, 97), on_b(4, 2000, 4900)};
	struct packing     b;

	(void)state;
	assert_ok(packing_plan(seqs, 5, 1, &a, &units, &n));
	assert_int_equal(n, 3);
	assert_int_equal(units[0].n_tokens, 4000);
	assert_int_equal(units[1].n_tokens, 3096);
	assert_int_equal(units[2].n_tokens, 6899);
	b = build(seqs, 5, 1, &a);
	check_targets(&b, seqs, 5);
	arena_free(&a);
}

/* Packing one unit at a time gives the same tokens, targets and (shifted) rows as packing all. */
static void micro_batches_are_pieces_of_the_whole(void **state)
{
	struct arena       a = {0};
	struct unit_range *units;
	struct packing     all, part;
	int                n;
	struct sequence    seqs[] = {on_a(0, 300),    on_a(1, 1),      on_a(2, 150),
	                             on_b(3, 400, 1), on_b(4, 64, 70), on_b(5, 64, 2)};

	(void)state;
	assert_ok(packing_plan(seqs, 6, 1, &a, &units, &n));
	assert_true(n > 1);
	assert_ok(packing_build(seqs, units, n, 1, &a, &all));
	assert_int_equal(all.unit_segment[n], all.n_segments);
	for (int u = 0; u < n; u++) {
		assert_ok(packing_build(seqs, units + u, 1, 1, &a, &part));
		assert_int_equal(part.n_tokens, all.unit_token[u + 1] - all.unit_token[u]);
		assert_int_equal(part.n_tokens, units[u].n_tokens);
		assert_int_equal(part.n_targets, all.unit_target[u + 1] - all.unit_target[u]);
		assert_int_equal(part.n_segments, all.unit_segment[u + 1] - all.unit_segment[u]);
		assert_memory_equal(part.token, all.token + all.unit_token[u],
		                    sizeof(int) * (size_t)part.n_tokens);
		assert_memory_equal(part.position, all.position + all.unit_token[u],
		                    sizeof(int) * (size_t)part.n_tokens);
		for (int i = 0; i < part.n_targets; i++)
			assert_int_equal(part.row[i],
			                 all.row[all.unit_target[u] + i] - all.unit_token[u]);
	}
	arena_free(&a);
}

static void short_memory_is_an_error(void **state)
{
	struct arena       a = {0};
	struct unit_range *units;
	int                n;
	struct sequence    seqs[] = {on_a(0, 3)};

	(void)state;
	mem_fail_at(1);
	assert_memory(packing_plan(seqs, 1, 0, &a, &units, &n), "the gradient units");
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(every_target_is_predicted_from_its_own_text),
	        TEST(a_shared_prompt_stands_once_and_last_tokens_are_left_out),
	        TEST(children_share_full_pages_and_own_the_rest),
	        TEST(units_fill_up_to_their_limit_and_a_large_tree_stands_alone),
	        TEST(a_group_beyond_the_largest_tree_becomes_several),
	        TEST(micro_batches_are_pieces_of_the_whole),
	        TEST(short_memory_is_an_error),
	};

	fill();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
