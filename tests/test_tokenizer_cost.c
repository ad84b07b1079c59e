/* No input is slow. What can be counted is counted: moves in the heap of BPE, characters that the
 * scanners look at. The rest (regular expressions, normal forms, added tokens) is held to processor
 * time, with a wide margin. */
#include "base/file.h"
#include "base/rng.h"
#include "test.h"
#include "text/tokenizer_parts.h"

#include <time.h>
#include <unistd.h>

/* The scanners once more, with a look-up of a class that counts. */
static size_t looks;

static enum char_class counted_take(const char *s, size_t n, size_t *length)
{
	looks++;
	return char_class_take(s, n, length);
}

#define char_class_take counted_take
#include "text/tokenizer_split.c"
#undef char_class_take

#define DATA "tests/data/tokenizers/"

static struct tokenizer *load(const char *path)
{
	struct tokenizer *t;

	assert_ok(tokenizer_load(path, &t));
	return t;
}

static char *repeated(const char *unit, size_t n)
{
	size_t length = strlen(unit);
	char  *text = malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		text[i] = unit[i % length];
	text[n] = 0;
	return text;
}

/* ---- BPE ---- */

/* Merges that make the heap work: doubling, alternating ends, a chain in which each merge makes the
 * next one possible, everything with everything. */
static const char *const greedy[] = {
        "\"a\":0,\"aa\":1,\"aaaa\":2,\"aaaaaaaa\":3},\"merges\":[\"a a\",\"aa aa\",\"aaaa aaaa\"]",
        "\"a\":0,\"aa\":1,\"aaa\":2,\"aaaa\":3},\"merges\":[\"aa a\",\"a aa\",\"aa aa\",\"a a\"]",
        "\"a\":0,\"b\":1,\"ab\":2,\"ba\":3,\"aba\":4,\"abab\":5,\"baba\":6},\"merges\":[\"ab "
        "ab\",\"ba ba\",\"b a\",\"a b\",\"ab a\"]",
        "\"a\":0,\"b\":1,\"aa\":2,\"bb\":3,\"ab\":4,\"ba\":5},\"merges\":[\"b b\",\"b a\",\"a "
        "b\",\"a a\"]",
};

/* n symbols make at most n - 1 candidates and two more for each of at most n - 1 merges; each
 * enters and leaves a heap of that size once. */
static void assert_few_moves(const struct bpe *b, const char *place, const char *text, size_t n)
{
	struct bpe_work w = {0};
	struct ids      ids = {0};
	double          most = 2 * 3.0 * (double)n * log2(3.0 * (double)n);

	assert_ok(bpe_encode(b, (struct slice){text, n}, &w, &ids));
	assert_true(ids.n > 0);
	if ((double)w.steps > most)
		fail_msg("%s: %zu moves for %zu bytes, more than %.0f", place, w.steps, n, most);
	bpe_work_free(&w);
	ids_free(&ids);
}

static void a_word_of_n_symbols_costs_n_log_n_moves_whatever_is_in_it(void **state)
{
	(void)state;
	static const char *const units[] = {"a", "ab", "aab", "b", "abbabaab"};
	char                     path[64];
	struct text              json = {0};

	snprintf(path, sizeof path, "/tmp/hone-test-%d-cost.json", (int)getpid());
	for (size_t i = 0; i < sizeof greedy / sizeof *greedy; i++) {
		struct tokenizer *t;
		json.n = 0;
		text_print(&json,
		           "{\"model\":{\"type\":\"BPE\",\"unk_token\":\"a\",\"vocab\":{%s}}",
		           greedy[i]);
		assert_ok(file_write(path, json.data, json.n));
		t = load(path);
		for (size_t k = 0; k < sizeof units / sizeof *units; k++)
			for (size_t n = 1 << 12; n <= 1 << 20; n *= 4) {
				char *text = repeated(units[k], n);
				assert_few_moves(&t->bpe, units[k], text, n);
				free(text);
			}
		tokenizer_free(t);
	}
	unlink(path);
	text_free(&json);
}

static void the_published_merges_too(void **state)
{
	(void)state;
	static const char *const files[] = {DATA "gpt2.json.gz", DATA "qwen2.5.json.gz",
	                                    DATA "stories260k"};
	struct rng_stream        s = {.key = {.seed = 1, .purpose = RNG_TEST}};
	size_t                   n = 1 << 18;
	char                    *text = malloc(n);

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct tokenizer *t = load(files[i]);
		for (size_t k = 0; k < n; k++)
			text[k] = (char)rng_next_between(&s, 'a', 'z');
		assert_few_moves(&t->bpe, files[i], text, n);
		memset(text, '=', n);
		assert_few_moves(&t->bpe, files[i], text, n);
		tokenizer_free(t);
	}
	free(text);
}

/* ---- scanners ---- */

static size_t looks_for(const struct splitter *s, const char *unit, size_t n)
{
	struct arena      a = {0};
	struct split_work w = {.memory = &a};
	struct pieces     words = {0};
	char             *text = repeated(unit, n);

	looks = 0;
	assert_ok(s->run(s, &w, (struct slice){text, n}, &words));
	pieces_free(&words);
	arena_free(&a);
	free(text);
	return looks;
}

/* Each character belongs to one word; it is looked at when that word begins or grows, as what ends
 * the word before, and once more where a run of spaces is searched for newlines first. */
static void scanners_look_at_each_character_a_few_times(void **state)
{
	(void)state;
	static const char *const     units[] = {"a",     " ",    "\n",           "1",
	                                        "'",     "!",    "\t",           " \n",
	                                        "\n ",   "  a",  "a'",           "'s",
	                                        "' ",    " 1",   "a1",           " !",
	                                        "!\n",   "\r\n", " \n  \n   a",  "\xC3\xA9",
	                                        "'ll ",  "12 ",  "\"'",          "\n\na",
	                                        "  \n ", "    ", "\xE2\x80\xA8", " \xE2\x80\xA8"};
	static const struct splitter own[] = {{.run = split_gpt2},
	                                      {.run = split_llama, .digits = 3},
	                                      {.run = split_llama, .digits = 1},
	                                      {.run = split_digits}};

	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		for (size_t k = 0; k < sizeof units / sizeof *units; k++)
			for (size_t n = 1 << 10; n <= 1 << 20; n *= 4)
				if (looks_for(&own[i], units[k], n) > 5 * n + 8)
					fail_msg("scanner %zu, \"%s\": %zu looks at %zu bytes", i,
					         units[k], looks_for(&own[i], units[k], n), n);
}

/* A run of spaces with one newline in front, one behind and one in the middle: what is searched
 * must not be searched again for each word. */
static void a_newline_far_away_is_found_once(void **state)
{
	(void)state;
	static const struct splitter own = {.run = split_llama, .digits = 3};
	struct split_work            w = {0};
	struct pieces                words = {0};
	size_t                       n = 1 << 18;
	char                        *text = repeated(" ", n);

	text[0] = text[n / 2] = text[n - 2] = '\n';
	text[n - 1] = 'a';
	looks = 0;
	assert_ok(own.run(&own, &w, (struct slice){text, n}, &words));
	assert_true(looks <= 5 * n);
	pieces_free(&words);
	free(text);
}

/* ---- processor time ---- */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double encoding_time(const struct tokenizer *t, const char *unit, size_t n)
{
	char      *text = repeated(unit, n);
	struct ids ids = {0};
	double     start = seconds();

	assert_ok(tokenizer_encode(t, text, n, 0, &ids));
	start = seconds() - start;
	ids_free(&ids);
	free(text);
	return start;
}

/* Eight times the text: a quadratic method would take 64 times as long. The floor keeps the clock's
 * grain out of it. */
static void the_time_for_a_text_grows_with_its_length(void **state)
{
	(void)state;
	static const char *const units[] = {
	        "a",
	        " ",
	        "\n",
	        "ab",
	        "1",
	        "'",
	        "\xFF",
	        " \n",
	        "\xC3\xA9",
	        "\xE2\x96\x81",
	        "\xF0\x9F\x98\x80", /* the last ones as bytes */
	        "a\xCC\x81",
	        "\xCC\x81\xCC\xA3",
	        "\xCC\x81\xCC\xA3\xCC\xB4\xD6\x9A",
	        "e\xCC\xA3\xCC\x82", /* marks to order and compose */
	        "<",
	        "<|",
	        "<|endoftext|",
	        "<|endoftext|>",
	        " <|endoftext|>  ",
	        "<|im_",
	        "<s",
	        "[UNK", /* added tokens and what is nearly one */
	};
	static const char *const files[] = {
	        DATA "gpt2.json.gz", DATA "nfc-split-qwen.json.gz", DATA "split-deepseek.json.gz",
	        DATA "stories260k",  DATA "strip-added.json.gz",    DATA "minipile-4096.json.gz"};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct tokenizer *t = load(files[i]);
		for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
			double small = encoding_time(t, units[k], 1 << 15),
			       large = encoding_time(t, units[k], 1 << 18);
			if (large > 30 * (small + 0.01))
				fail_msg("%s, \"%s\": %.3f s for 32 kB, %.3f s for 256 kB",
				         files[i], units[k], small, large);
		}
		tokenizer_free(t);
	}
}

TEST_MAIN(TEST(a_word_of_n_symbols_costs_n_log_n_moves_whatever_is_in_it),
          TEST(the_published_merges_too), TEST(scanners_look_at_each_character_a_few_times),
          TEST(a_newline_far_away_is_found_once), TEST(the_time_for_a_text_grows_with_its_length))
