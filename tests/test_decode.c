#include "model/decode.h"

#include "base/threads.h"
#include "model/draft.h"
#include "model/head.h"
#include "test.h"

/* A model of a few thousand weights, large enough that completions differ; prompts longer and
 * shorter than a page. */
enum { N_PROMPTS = 5, G = 6, N = N_PROMPTS * G, MAX_NEW = 70, V = 29 };
static const int prompt_length[N_PROMPTS] = {3, 64, 1, 90, 130};

static struct matmul *mm;
static struct model  *model;
static int            prompt[N_PROMPTS][130];
static int            eos = 7;

static const char *precision = "f32";

static int setup(void **state)
{
	(void)state;
	const struct model_shape    shape = {.n_layers = 2,
	                                     .width = 24,
	                                     .n_heads = 4,
	                                     .n_kv_heads = 2,
	                                     .head_width = 6,
	                                     .ff_width = 40,
	                                     .n_vocab = V,
	                                     .n_positions = 256,
	                                     .rope_theta = 10000,
	                                     .norm_eps = 1e-5,
	                                     .tied = 1,
	                                     .bos = -1,
	                                     .eos = {7},
	                                     .n_eos = 1};
	const struct matmul_options options = {
	        .backend = "auto", .precision = precision, .numerics = "strict"};
	struct weights w;

	threads_set(2);
	assert_ok(matmul_new(&options, &mm));
	assert_ok(weights_new(&shape, &w));
	weights_init(&w, 5);
	for (size_t i = 0; i < w.n; i++)
		/* far from uniform, so that completions end by themselves now and then */
		w.data[i] *= 8;
	assert_ok(model_new(&w, mm, 0, &model));
	for (int p = 0; p < N_PROMPTS; p++)
		for (int i = 0; i < prompt_length[p]; i++)
			prompt[p][i] = (int)rng_below(
			        (struct rng_key){3, RNG_TEST, 0, (uint32_t)p, 0}, (uint32_t)i, V);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	model_free(model);
	matmul_free(mm);
	return 0;
}

struct completions {
	struct arena          arena;
	struct decode_request requests[N];
	struct decode_result  results[N];
};

static void complete_with(struct completions *a, int slots, const struct decode_options *o)
{
	struct decoder *d;

	memset(a, 0, sizeof *a);
	for (int i = 0; i < N; i++)
		a->requests[i] = (struct decode_request){
		        .prompt = prompt[i / G],
		        .n_prompt = prompt_length[i / G],
		        .max_new = MAX_NEW,
		        .key = {11, RNG_SAMPLE, 1, (uint32_t)(i / G), (uint32_t)(i % G)}};
	assert_ok(decoder_new(model, slots, 130 + MAX_NEW, &d));
	assert_ok(decode_run(d, o, a->requests, N, &a->arena, a->results));
	decoder_free(d);
}

static void complete(struct completions *a, int slots, int share, float temperature)
{
	const struct decode_options o = {.sampling = {.temperature = temperature, .top_p = 1},
	                                 .eos = &eos,
	                                 .n_eos = 1,
	                                 .share_prompt = share};

	complete_with(a, slots, &o);
}

static void assert_same_bits(const struct completions *a, const struct completions *b)
{
	for (int i = 0; i < N; i++) {
		const struct decode_result *x = &a->results[i], *y = &b->results[i];
		assert_int_equal(x->n, y->n);
		assert_int_equal(x->stop, y->stop);
		assert_memory_equal(x->ids, y->ids, (size_t)x->n * sizeof *x->ids);
		assert_memory_equal(x->logp, y->logp, (size_t)x->n * sizeof *x->logp);
		assert_memory_equal(x->entropy, y->entropy, (size_t)x->n * sizeof *x->entropy);
	}
}

static void a_completion_is_the_same_whatever_else_is_in_the_batch(void **state)
{
	(void)state;
	const int          slots[] = {1, 2, 7, 64};
	struct completions all, other;
	int                different_lengths = 0;

	complete(&all, N, 1, 1);
	for (int i = 1; i < N; i++)
		different_lengths += all.results[i].n != all.results[0].n;
	/* sequences do leave early; otherwise this test would prove little */
	assert_true(different_lengths > 5);
	for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
		for (int share = 0; share < 2; share++) {
			complete(&other, slots[i], share, 1);
			assert_same_bits(&all, &other);
			arena_free(&other.arena);
		}
	arena_free(&all.arena);
}

static void a_completion_is_the_same_on_any_number_of_threads(void **state)
{
	(void)state;
	const int          threads[] = {1, 3, 8};
	struct completions two, other;

	complete(&two, 9, 1, 1);
	for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
		threads_set(threads[i]);
		complete(&other, 9, 1, 1);
		assert_same_bits(&two, &other);
		arena_free(&other.arena);
	}
	threads_set(2);
	arena_free(&two.arena);
}

/* The promise of the project: what the trainer computes for a token is what was recorded when it
 * was sampled, bit for bit. */
static void trained_log_probabilities_are_the_sampled_ones(void **state)
{
	(void)state;
	struct completions a;
	struct sequence    seqs[N];
	struct unit_range *units;
	int                n_units, checked = 0;

	complete(&a, 8, 1, 0.7f);
	for (int i = 0; i < N; i++)
		seqs[i] = (struct sequence){prompt[i / G], prompt_length[i / G], a.results[i].ids,
		                            a.results[i].n};
	for (int share = 0; share < 2; share++) {
		assert_ok(packing_plan(seqs, N, share, &a.arena, &units, &n_units));
		for (int u = 0; u < n_units; u++) {
			struct packing     b;
			struct kv_cache    cache;
			struct head_result r;
			float             *hidden;
			size_t             n;
			int                k = 0;
			assert_ok(packing_build(seqs, units + u, 1, share, &a.arena, &b));
			assert_ok(model_cache_new(model, 1, b.n_pages, &cache));
			n = (size_t)b.n_targets;
			assert_ok(arena_take(&a.arena, (size_t)b.n_tokens * 24, "a test", &hidden));
			assert_ok(arena_take(&a.arena, n, "a test", &r.logp));
			assert_ok(arena_take(&a.arena, n, "a test", &r.entropy));
			assert_ok(arena_take(&a.arena, n, "a test", &r.lse));
			assert_ok(model_forward(model, &b, &cache, NULL, &a.arena, hidden));
			assert_ok(head_forward(&(struct head_input){model, &b, hidden, 0.7f},
			                       &a.arena, &r));
			for (int i = units[u].first; i < units[u].first + units[u].count; i++) {
				size_t bytes = (size_t)a.results[i].n * sizeof(float);
				assert_memory_equal(r.logp + k, a.results[i].logp, bytes);
				assert_memory_equal(r.entropy + k, a.results[i].entropy, bytes);
				k += a.results[i].n;
			}
			assert_int_equal(k, b.n_targets);
			checked += k;
			kv_cache_free(&cache);
		}
	}
	assert_true(checked > 200);
	arena_free(&a.arena);
}

/* Answers back after every token: much behind the first, a little behind every third. */
static int act_back(void *calls, int request, struct decode_result *r, int *go_on)
{
	static const int words[45] = {1, 2, 3, 5, 8, 13, 21, 7, 28, 9, 10, 19, 0, 20, 4};
	int              n = r->n == 1 ? 39 + request % 7 : r->n % 3 ? 0 : 2;

	++*(int *)calls;
	if (r->n + n < MAX_NEW)
		decode_append(r, words, n);
	*go_on = r->n < MAX_NEW;
	return OK;
}

/* The longer texts are more than is read at once, so with reread some have to wait while others go
 * on. */
static void a_completion_that_goes_on_is_the_same_with_pages_kept_or_read_again(void **state)
{
	(void)state;
	int                   every[V], calls = 0, more = 0;
	struct decode_options o = {.sampling = {.temperature = 1, .top_p = 1},
	                           .eos = every,
	                           .n_eos = V,
	                           .share_prompt = 1,
	                           .listener = {act_back, &calls}};
	const int             slots[] = {1, 7, 64};
	struct completions    all, other;

	for (int i = 0; i < V; i++)
		every[i] = i;
	complete_with(&all, N, &o);
	for (int i = 0; i < N; i++) {
		const struct decode_result *r = &all.results[i];
		int                         sampled = 0;
		for (int t = 0; t < r->n; t++)
			sampled += r->logp[t] < 0;
		assert_int_equal(r->n, MAX_NEW);
		assert_true(r->logp[0] < 0 && r->logp[1] == 0 && r->entropy[1] == 0);
		more += sampled;
	}
	assert_int_equal(more, calls); /* told of every token, and no other was sampled */
	for (o.reread = 0; o.reread < 2; o.reread++)
		for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
			complete_with(&other, slots[i], &o);
			assert_same_bits(&all, &other);
			arena_free(&other.arena);
		}
	arena_free(&all.arena);
}

static int refuse(void *context, int request, struct decode_result *r, int *go_on)
{
	(void)context, (void)r, (void)go_on;
	return error_set(ERR_INPUT, "the world of %d broke", request);
}

/* ---- speculation ---- */

/* What the completions of each group were, to guess from; the last half of each is another text. */
static void guess_from(const struct completions *all, int *earlier, struct decode_request *q)
{
	for (int p = 0, n; p < N_PROMPTS; p++, earlier += n) {
		n = 0;
		for (int i = p * G; i < (p + 1) * G; i++) {
			earlier[n++] = DRAFT_START;
			for (int k = 0; k < all->results[i].n; k++)
				earlier[n++] = (all->results[i].ids[k] + (k % 16 == 15)) % V;
		}
		for (int i = p * G; i < (p + 1) * G; i++) {
			q[i].earlier = earlier;
			q[i].n_earlier = n;
		}
	}
}

/* The same completions with guesses, of which some come true and some do not, in a decoder of so
 * many slots. */
static void assert_guesses_change_nothing(const struct completions *all, int slots,
                                          struct decode_options o)
{
	static int            earlier[N * (MAX_NEW + 1)];
	struct completions    other = {.arena = {0}};
	struct decode_guesses guesses;
	struct decoder       *d;

	o.speculate = 1;
	memcpy(other.requests, all->requests, sizeof other.requests);
	guess_from(all, earlier, other.requests);
	assert_ok(decoder_new(model, slots, 130 + MAX_NEW, &d));
	assert_ok(decode_run(d, &o, other.requests, N, &other.arena, other.results));
	guesses = decoder_guesses(d);
	assert_same_bits(all, &other);
	if (slots < 8)
		assert_true(guesses.right > 100 && guesses.made > guesses.right + 50);
	decoder_free(d);
	arena_free(&other.arena);
}

static void guesses_change_no_bit_of_a_completion(void **state)
{
	(void)state;
	const int             slots[] = {1, 2, 7, 64};
	int                   calls = 0;
	const struct penalty  penalty = {.repetition = 1.3, .ngram = 6};
	struct decode_options o = {.eos = &eos, .n_eos = 1, .share_prompt = 1};
	const struct {
		float                  temperature;
		const struct penalty  *penalty;
		struct decode_listener listener;
	} ways[] = {{1, NULL, {0}},
	            {0, NULL, {0}},
	            {0.7f, &penalty, {0}},
	            {1, NULL, {act_back, &calls}}};

	for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
		struct completions all;
		o.sampling = (struct sampling){.temperature = ways[w].temperature, .top_p = 1};
		o.penalty = ways[w].penalty;
		o.listener = ways[w].listener;
		complete_with(&all, N, &o);
		for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
			for (o.reread = 0; o.reread < 2; o.reread++)
				assert_guesses_change_nothing(&all, slots[i], o);
		o.reread = 0;
		arena_free(&all.arena);
	}
}

static void an_error_of_the_listener_is_the_error_of_the_run(void **state)
{
	(void)state;
	const struct decode_options o = {.sampling = {.temperature = 1, .top_p = 1},
	                                 .listener = {refuse, NULL}};
	struct decode_request       q = {
	              .prompt = prompt[0], .n_prompt = 3, .max_new = 5, .key = {1, RNG_SAMPLE, 0, 0, 0}};
	struct decode_result r;
	struct arena         arena = {0};
	struct decoder      *d;

	assert_ok(decoder_new(model, 2, 20, &d));
	assert_error(decode_run(d, &o, &q, 1, &arena, &r), ERR_INPUT, "the world of 0 broke");
	decoder_free(d);
	arena_free(&arena);
}

static void greedy_completions_ignore_the_key(void **state)
{
	(void)state;
	struct completions a;

	complete(&a, 16, 1, 0);
	for (int i = 0; i < N; i++) {
		const struct decode_result *first = &a.results[i / G * G], *r = &a.results[i];
		assert_int_equal(r->n, first->n);
		assert_memory_equal(r->ids, first->ids, (size_t)r->n * sizeof *r->ids);
	}
	arena_free(&a.arena);
}

static void samples_of_one_prompt_differ(void **state)
{
	(void)state;
	struct completions a;
	int                differ = 0;

	complete(&a, 16, 1, 1);
	for (int i = 1; i < G; i++)
		differ += a.results[i].n != a.results[0].n ||
		          memcmp(a.results[i].ids, a.results[0].ids,
		                 (size_t)a.results[0].n * sizeof(int)) != 0;
	assert_true(differ >= G - 2);
	arena_free(&a.arena);
}

static void a_completion_says_why_it_ended(void **state)
{
	(void)state;
	struct completions a;
	int                count[STOP_REASONS] = {0};

	complete(&a, 16, 1, 1);
	for (int i = 0; i < N; i++) {
		const struct decode_result *r = &a.results[i];
		count[r->stop]++;
		assert_true(r->stop == STOP_EOS ? r->ids[r->n - 1] == eos : r->n == MAX_NEW);
		for (int t = 0; t < r->n - 1; t++)
			assert_int_not_equal(r->ids[t], eos);
	}
	assert_true(count[STOP_EOS] > 0);
	arena_free(&a.arena);
}

static void a_nan_in_the_weights_is_reported_and_not_sampled(void **state)
{
	(void)state;
	const struct decode_options o = {.sampling = {.temperature = 1, .top_p = 1},
	                                 .eos = &eos,
	                                 .n_eos = 1,
	                                 .share_prompt = 1};
	struct decode_request       q = {
	              .prompt = prompt[0], .n_prompt = 3, .max_new = 5, .key = {1, RNG_SAMPLE, 0, 0, 0}};
	struct decode_result r;
	struct arena         arena = {0};
	struct decoder      *d;
	float *gain = &model->weights.data[model->weights.norm_final.gain], kept = *gain;

	*gain = NAN;
	assert_ok(decoder_new(model, 2, 20, &d));
	assert_error(decode_run(d, &o, &q, 1, &arena, &r), ERR_FAILED, "not finite");
	*gain = kept;
	decoder_free(d);
	arena_free(&arena);
}

static const char *letter_of(const struct tokenizer *t, int id, size_t *n)
{
	(void)t;
	*n = 1;
	return id % 2 ? "x" : "z";
}

/* A completion that cannot be looked through for its stop text must not go on as if it had none. */
static void short_memory_while_looking_for_stop_texts_is_no_draw(void **state)
{
	(void)state;
	const char *const           stops[] = {"y"};
	const struct decode_options o = {.sampling = {.temperature = 1, .top_p = 1},
	                                 .eos = &eos,
	                                 .stop = stops,
	                                 .n_stop = 1,
	                                 .piece = letter_of};
	const struct decode_request q = {.prompt = prompt[0],
	                                 .n_prompt = 3,
	                                 .max_new = MAX_NEW,
	                                 .key = {11, RNG_SAMPLE, 1, 0, 0}};
	struct decoder             *d;
	int                         stop_texts = 0, status = ERR_MEMORY;

	assert_ok(decoder_new(model, 1, 3 + MAX_NEW, &d));
	for (long n = 1; status != OK; n++) {
		struct arena         arena = {0};
		struct decode_result r;
		mem_fail_at(n);
		status = decode_run(d, &o, &q, 1, &arena, &r);
		mem_fail_at(0);
		if (status != OK)
			assert_memory(status, "");
		stop_texts += status != OK && strstr(error_message(), "the stop texts of request");
		arena_free(&arena);
	}
	assert_true(stop_texts > 1);
	decoder_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(a_completion_is_the_same_whatever_else_is_in_the_batch),
	        TEST(a_completion_is_the_same_on_any_number_of_threads),
	        TEST(trained_log_probabilities_are_the_sampled_ones),
	        TEST(a_completion_that_goes_on_is_the_same_with_pages_kept_or_read_again),
	        TEST(guesses_change_no_bit_of_a_completion),
	        TEST(an_error_of_the_listener_is_the_error_of_the_run),
	        TEST(greedy_completions_ignore_the_key),
	        TEST(samples_of_one_prompt_differ),
	        TEST(a_completion_says_why_it_ended),
	        TEST(a_nan_in_the_weights_is_reported_and_not_sampled),
	        TEST(short_memory_while_looking_for_stop_texts_is_no_draw),
	};
	int failed = cmocka_run_group_tests_name("f32", tests, setup, teardown);

	precision = "bf16";
	return failed + cmocka_run_group_tests_name("bf16", tests, setup, teardown);
}
