/* Held-out questions that stand almost word for word in a training question. */
#include "base/rng.h"
#include "data/likeness.h"
#include "data/overlap.h"
#include "run.h"

static struct problem asked(const char *prompt)
{
	struct problem p = {.id = prompt, .prompt = prompt};

	overlap_mark(&p);
	return p;
}

/* The share of one held-out question in one training question; 0: not alike. */
static double share_of(const char *train, const char *held_out)
{
	struct problem    t = asked(train), h = asked(held_out);
	struct arena      a = {0};
	struct likenesses l;
	double            share;

	assert_ok(likeness_between(&t, 1, &h, 1, &a, &l));
	share = l.n ? l.items[0].share : 0;
	arena_free(&a);
	return share;
}

#define DUCKS "Janet has 16 ducks and sells each of their eggs for 2 dollars at the market"

static void an_instruction_case_and_signs_make_no_difference(void **state)
{
	(void)state;
	static const struct {
		const char *train, *held_out;
		double      share;
	} cases[] = {
	        {DUCKS ". Think step by step, and put the answer behind ####.", DUCKS, 1},
	        {"Solve this: " DUCKS, DUCKS, 1},
	        {"JANET has: 16 ducks -- and sells each of their eggs; for 2 dollars (at the "
	         "market!)",
	         DUCKS, 1},
	        /* overlap.h's */
	        {DUCKS, DUCKS, 0},
	        /* that, too */
	        {"janet  has 16 ducks and sells each of their eggs for 2 dollars at the market ",
	         DUCKS, 0},
	        {"Anna has 16 ducks and sells each of their eggs for 2 dollars at the market",
	         DUCKS, 8.0 / 9},
	        {"Janet has 17 ducks and sells each of their eggs for 2 dollars at the market",
	         DUCKS, 6.0 / 9},
	        /* 1 of 9 */
	        {"Janet has 16 ducks and sells each of her eggs for 2 dollars at the market", DUCKS,
	         0},
	        /* 3 grams */
	        {"one two three four five six seven eight nine ten!",
	         "one two three four five six seven eight nine ten", 0},
	        {"one two three four five six seven eight nine ten x eleven?",
	         "one two three four five six seven eight nine ten x eleven", 1},
	        {"问:小明有三个苹果和五个梨,他一共有多少水果?请一步一步想。",
	         "小明有三个苹果和五个梨,他一共有多少水果?", 1},
	        {"问:小红有三个苹果和五个梨,他一共有多少水果?",
	         "小明有三个苹果和五个梨,他一共有多少水果?", 10.0 / 12},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		double share = share_of(cases[i].train, cases[i].held_out);
		if (fabs(share - cases[i].share) > 1e-12)
			fail_msg("\"%s\" in \"%s\": share %g, not %g", cases[i].held_out,
			         cases[i].train, share, cases[i].share);
	}
}

static void messages_are_one_text_without_the_systems(void **state)
{
	(void)state;
	struct message m[] = {
	        {.role = "system", .content = "One two three four."},
	        {.role = "user", .content = "Janet has 16 ducks and sells each of"},
	        {.role = "assistant", .content = "Yes?"},
	        {.role = "user", .content = "their eggs for 2 dollars at the market"}};
	struct problem t = asked("Janet has 16 ducks and sells each of yes their eggs for 2 "
	                         "dollars at the market today"),
	               h = {.id = "h", .messages = m, .n_messages = 4};
	struct arena      a = {0};
	struct likenesses l;

	overlap_mark(&h);
	assert_ok(likeness_between(&t, 1, &h, 1, &a, &l));
	assert_int_equal(l.n, 1);
	assert_true(l.items[0].share == 1);
	arena_free(&a);
}

/* ---- against the definition, word by word ---- */

enum { QUESTIONS = 60, WORDS = 40, PIECES = 30, GRAM_CHARS = 4 * LIKENESS_GRAM };

struct words { /* of a question; each has three letters */
	char w[WORDS][4];
	int  n;
	char text[WORDS * 4 + 1];
};

static uint32_t draw(uint32_t *at, uint32_t below)
{
	return rng_below((struct rng_key){7, RNG_TEST, 1, 0, 0}, (*at)++, below);
}

/* Questions are laid together of pieces of 7 to 12 words: each stands in some five of them, three
 * in many, some twice in one; and questions come twice. */
static void make_questions(struct words *q, int n, uint32_t *at)
{
	for (int i = 0; i < n; i++) {
		if (i > 0 && draw(at, 8) == 0) {
			q[i] = q[draw(at, (uint32_t)i)];
			continue;
		}
		q[i] = (struct words){0};
		while (q[i].n < WORDS / 2 + (int)draw(at, WORDS / 2)) {
			uint32_t piece = draw(at, 3) ? draw(at, PIECES) : draw(at, 3);
			for (uint32_t k = 0; k < 7 + piece % 6 && q[i].n < WORDS; k++)
				snprintf(q[i].w[q[i].n++], 4, "%c%c%c", 'a' + (int)(piece % 26),
				         'a' + (int)(piece / 26), 'a' + (int)k);
		}
		for (int k = 0; k < q[i].n; k++)
			snprintf(q[i].text + 4 * k, 5, "%s ", q[i].w[k]);
	}
}

static int has_gram(const struct words *q, const char *gram)
{
	for (int k = 0; k + LIKENESS_GRAM <= q->n; k++)
		if (!strncmp(q->text + 4 * k, gram, GRAM_CHARS))
			return 1;
	return 0;
}

static int repeats(const struct words *q, int i)
{
	for (int k = 0; k < i; k++)
		if (!strcmp(q[k].text, q[i].text))
			return 1;
	return 0;
}

static int is_own_gram(const struct words *held_out, int i, const struct words *train,
                       const char *gram)
{
	int trained = 0;

	for (int k = 0; k < QUESTIONS; k++)
		if (has_gram(&held_out[k], gram) && strcmp(held_out[k].text, held_out[i].text))
			return 0;
	for (int k = 0; k < QUESTIONS; k++)
		trained += !repeats(train, k) && has_gram(&train[k], gram);
	return trained <= LIKENESS_COMMON;
}

static double definition(const struct words *held_out, int i, const struct words *train, int *with)
{
	int own = 0, hits[QUESTIONS] = {0}, best = 0;

	for (int k = 0; k + LIKENESS_GRAM <= held_out[i].n; k++) {
		const char *gram = held_out[i].text + 4 * k;
		int         first = 1;
		for (int j = 0; j < k; j++)
			first &= strncmp(held_out[i].text + 4 * j, gram, GRAM_CHARS) != 0;
		if (!first || !is_own_gram(held_out, i, train, gram))
			continue;
		own++;
		for (int t = 0; t < QUESTIONS; t++)
			hits[t] += !repeats(train, t) && has_gram(&train[t], gram);
	}
	for (int t = 0; t < QUESTIONS; t++)
		if (hits[t] > hits[best])
			best = t;
	*with = best;
	return own >= LIKENESS_OWN && !repeats(held_out, i) &&
	                       strcmp(train[best].text, held_out[i].text)
	               ? (double)hits[best] / own
	               : 0;
}

static void random_questions_are_alike_as_the_definition_says(void **state)
{
	(void)state;
	static struct words   train[QUESTIONS], held_out[QUESTIONS];
	static struct problem t[QUESTIONS], h[QUESTIONS];
	struct arena          a = {0};
	uint32_t              at = 0;
	int                   found = 0;

	for (int round = 0; round < 20; round++) {
		struct likenesses l;
		int               next = 0;
		make_questions(train, QUESTIONS, &at);
		make_questions(held_out, QUESTIONS, &at);
		for (int i = 0; i < QUESTIONS; i++) {
			t[i] = asked(train[i].text);
			h[i] = asked(held_out[i].text);
		}
		assert_ok(likeness_between(t, QUESTIONS, h, QUESTIONS, &a, &l));
		for (int i = 0; i < QUESTIONS; i++) {
			int    with;
			double share = definition(held_out, i, train, &with);
			if (share <= LIKENESS_SHARE)
				continue;
			assert_true(next < l.n && l.items[next].problem == &h[i]);
			assert_true(l.items[next].share == share);
			assert_ptr_equal(l.items[next].like, &t[with]);
			next++;
		}
		assert_int_equal(next, l.n);
		found += l.n;
	}
	assert_in_range(found, 20, 1000);
	arena_free(&a);
}

/* A comparison of all pairs would not come to an end. */
static void a_hundred_thousand_problems_are_compared(void **state)
{
	(void)state;
	enum { BIG = 100000, BYTES = 400 };
	struct problem   *p = calloc(BIG, sizeof *p);
	char             *texts = calloc(BIG, BYTES);
	struct arena      a = {0};
	struct likenesses l;

	assert_true(p && texts);
	for (int i = 0; i < BIG; i++) {
		char    *s = texts + (size_t)BYTES * (size_t)i;
		uint32_t at = (uint32_t)i * 64;
		for (int k = 0; k < 60; k++)
			s += snprintf(s, 8, "%u ", draw(&at, 100000));
		p[i] = (struct problem){.id = "p", .prompt = texts + (size_t)BYTES * (size_t)i};
		overlap_mark(&p[i]);
	}
	assert_ok(likeness_between(p, BIG, p, 1000, &a, &l));
	assert_int_equal(l.n, 0);
	arena_free(&a);
	free(texts);
	free(p);
}

static void a_run_names_them(void **state)
{
	(void)state;
	write_text("train.jsonl", "{\"prompt\": \"a b c d e f g h i j k l m n\", \"answer\": "
	                          "\"1\"}\n{\"prompt\": \"n m l k j i h g f e d "
	                          "c b a\", \"answer\": \"2\"}\n");
	write_text("eval.jsonl", "{\"prompt\": \"n m l k j i h g f e d c b\", \"answer\": "
	                         "\"2\"}\n{\"prompt\": \"b a b a b a b a b a b a "
	                         "b\", \"answer\": \"1\"}\n");
	write_text("job.yaml",
	           "model:\n  tokenizer: \"chars:abcdefghijklmn 12\"\n"
	           "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, "
	           "ff_width: 24, n_positions: 40}\n"
	           "data: {train: train.jsonl, eval: eval.jsonl}\n"
	           "task: {reward: exact}\nrollout: {num_generations: 2, prompts_per_step: 2, "
	           "max_completion_length: 2}\n"
	           "run: {max_steps: 1, save_steps: 0, eval_steps: 1, tensorboard: false}\n");
	hone_ok("train job.yaml");
	assert_says("stdout", "caution: 1 of 2 held-out problems stand almost word for word in "
	                      "training: eval:1 ~ train:2 (100%)\n");
	assert_says("runs/job/data.json", "\"likenesses\": [\n  {\"id\": \"eval:1\", \"like\": "
	                                  "\"train:2\", \"share\": 1.0000}]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(an_instruction_case_and_signs_make_no_difference),
	        TEST(messages_are_one_text_without_the_systems),
	        TEST(random_questions_are_alike_as_the_definition_says),
	        TEST(a_hundred_thousand_problems_are_compared),
	        TEST(a_run_names_them),
	};

	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
