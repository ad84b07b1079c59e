/* Questions that come twice, and what a run says of its data before it starts. */
#include "base/rng.h"
#include "data/dataset.h"
#include "data/overlap.h"
#include "run.h"

static struct problem asked(const char *prompt)
{
	struct problem p = {.id = prompt, .prompt = prompt};

	overlap_mark(&p);
	return p;
}

static int same(const struct problem *p, const struct problem *q)
{
	struct arena    a = {0};
	struct overlaps o;
	int             n;

	assert_ok(overlap_between(p, 1, q, 1, &a, &o));
	n = o.n;
	arena_free(&a);
	return n;
}

static void case_and_white_space_make_no_other_question(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		int         same;
	} cases[] = {
	        {"What is 2+2?", "what  is\n\t2+2?\r\n", 1},
	        {" x", "x", 1},
	        {"A\fb\vc", "a b c", 1},
	        {"2+2?", "2 + 2?", 0},
	        {"ab", "a b", 0},
	        {"What is 2+2?", "What is 2+2", 0},
	        {"\xC3\x84pfel", "\xC3\xA4pfel", 0}, /* only ASCII letters become small */
	        {"x", "y", 0},
	        {"", "   ", 1},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct problem p = asked(cases[i].a), q = asked(cases[i].b);
		if (same(&p, &q) != cases[i].same)
			fail_msg("\"%s\" and \"%s\" are %s question", cases[i].a, cases[i].b,
			         cases[i].same ? "not the same" : "the same");
	}
}

/* The 128-bit FNV-1a of "", "a" and "foobar" as its authors publish them. */
static void the_fingerprint_is_fnv(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t    high, low;
	} vectors[] = {{"", 0x6c62272e07bb0142, 0x62b821756295c58d},
	               {"a", 0xd228cb696f1a8caf, 0x78912b704e4a8964},
	               {"foobar", 0x343e1662793c64bf, 0x6f0d3597ba446f18}};

	for (size_t i = 0; i < 3; i++) {
		struct problem p = asked(vectors[i].text);
		assert_true(p.question[0] == vectors[i].high && p.question[1] == vectors[i].low);
	}
}

static void read_rows(const char *text, const struct dataset_options *o, struct dataset *d)
{
	const char *path = "rows.jsonl";

	write_text(path, text);
	assert_ok(dataset_read(&path, 1, o, d));
}

static void templates_messages_and_systems_make_no_other_question(void **state)
{
	(void)state;
	struct dataset_options shaped = {.prompt_template = "Q: {prompt}\nA:"};
	struct dataset         plain, other;

	read_rows("{\"prompt\": \"1+1?\", \"answer\": \"2\"}\n{\"prompt\": \"3+3?\", \"answer\": "
	          "\"6\"}\n",
	          &shaped, &plain);
	assert_string_equal(plain.problems[0].prompt, "Q: 1+1?\nA:");
	read_rows("{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"}, {\"role\": "
	          "\"user\", \"content\": \"1+1?\"}], "
	          "\"answer\": \"2\"}\n",
	          NULL, &other);
	assert_true(same(&plain.problems[0], &other.problems[0]));
	assert_false(same(&plain.problems[1], &other.problems[0]));
	dataset_free(&plain);
	dataset_free(&other);
}

/* What the prompt has begun of the completion is no part of what is asked; a turn before the last
 * question is. */
static void a_completion_that_is_begun_makes_no_other_question(void **state)
{
	(void)state;
	struct dataset d;

	read_rows("{\"prompt\": [{\"role\": \"user\", \"content\": \"1+1?\"}], \"answer\": \"2\"}\n"
	          "{\"prompt\": [{\"role\": \"user\", \"content\": \"1+1?\"}, {\"role\": "
	          "\"assistant\", \"content\": \"It is\"}], \"answer\": \"2\"}\n"
	          "{\"prompt\": [{\"role\": \"user\", \"content\": \"0+0?\"}, {\"role\": "
	          "\"assistant\", \"content\": \"0\"}, {\"role\": \"user\", \"content\": "
	          "\"1+1?\"}], \"answer\": \"2\"}\n",
	          NULL, &d);
	assert_int_equal(d.n, 3);
	assert_true(same(&d.problems[0], &d.problems[1]));
	assert_false(same(&d.problems[0], &d.problems[2]));
	dataset_free(&d);
}

enum { MANY = 300, BIG = 100000 };

static void all_pairs_are_found_and_no_other(void **state)
{
	(void)state;
	static struct problem p[MANY];
	static char           texts[MANY][8];
	struct arena          a = {0};
	struct overlaps       o;
	int                   at = 0;

	for (int i = 0; i < MANY; i++) {
		snprintf(texts[i], sizeof texts[i], "%u",
		         rng_below((struct rng_key){1, RNG_TEST, 0, 0, 0}, (uint32_t)i, 200));
		p[i] = asked(texts[i]);
	}
	assert_ok(overlap_within(p, MANY, &a, &o));
	for (int i = 0; i < MANY; i++) {
		int first = 0;
		while (strcmp(texts[first], texts[i]))
			first++;
		if (first == i)
			continue;
		assert_true(at < o.n && o.items[at].problem == &p[i] &&
		            o.items[at].same_as == &p[first]);
		at++;
	}
	assert_int_equal(at, o.n);
	assert_in_range(o.n, 50, 250);
	arena_free(&a);
}

/* A comparison of all pairs would not come to an end. */
static void a_hundred_thousand_problems_are_compared(void **state)
{
	(void)state;
	struct problem *p = calloc(BIG, sizeof *p);
	char           *texts = calloc(BIG, 400);
	struct arena    a = {0};
	struct overlaps o;

	assert_true(p && texts);
	for (int i = 0; i < BIG; i++) {
		memset(texts + 400L * i, 'x', 380);
		snprintf(texts + 400L * i + 380, 20, "%d", i % (BIG - 7));
		p[i] = (struct problem){.id = "p", .prompt = texts + 400L * i};
	}
	for (int i = 0; i < BIG; i++)
		overlap_mark(&p[i]);
	assert_ok(overlap_within(p, BIG, &a, &o));
	assert_int_equal(o.n, 7);
	arena_free(&a);
	free(texts);
	free(p);
}

/* ---- a run ---- */

static void a_run_names_what_is_twice_held_out_and_trained_too_long_or_unreadable(void **state)
{
	(void)state;
	write_text(
	        "train.jsonl",
	        "{\"prompt\": \"12\", \"answer\": \"2\"}\n{\"prompt\": \"13\", \"answer\": \"3\"}\n"
	        "{\"prompt\": \" 12 \", \"answer\": \"2\"}\n{\"id\": \"long\", \"prompt\": "
	        "\"123456789\", \"answer\": \"9\"}\n");
	write_text("eval.jsonl", "{\"prompt\": \"14\", \"answer\": \"4\"}\n{\"prompt\": \"13\\n\", "
	                         "\"answer\": \"3\"}\n");
	write_text("job.yaml",
	           "model:\n  tokenizer: \"chars:0123456789 \\n\"\n"
	           "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, "
	           "ff_width: 24, n_positions: 16}\n"
	           "data: {train: train.jsonl, eval: eval.jsonl, max_prompt_length: 5}\n"
	           "task: {reward: exact}\nrollout: {num_generations: 2, prompts_per_step: 2, "
	           "max_completion_length: 2}\n"
	           "run: {max_steps: 1, save_steps: 0, eval_steps: 1, tensorboard: false}\n");
	assert_int_equal(hone("train job.yaml"), 0);
	assert_says("stdout",
	            "training problems: 1 left out, their prompts being too long: long (9 tokens)");
	assert_says("stdout",
	            "1 of 4 training problems ask what one before them asks: train:3 = train:1");
	assert_says("stdout", "caution: 1 of 2 held-out problems are trained on: eval:2 = train:2");
	assert_says("runs/job/data.json", "{\"id\": \"long\", \"tokens\": 9}");
	assert_says("runs/job/data.json", "{\"id\": \"eval:2\", \"same_as\": \"train:2\"}");
	assert_says("runs/job/data.json", "{\"id\": \"train:3\", \"same_as\": \"train:1\"}");
	shell("echo '{\"id\": \"wordy\", \"prompt\": \"15\", \"answer\": \"five\"}' >> "
	      "train.jsonl");
	assert_int_equal(hone("train job.yaml task.reward=numeric run.output_dir=wordy"), 2);
	assert_says("stderr", "train.jsonl:5: problem wordy: verifier numeric: the answer \"five\" "
	                      "has no number in it");
	assert_int_equal(hone("train job.yaml task.reward=numeric run.output_dir=wordy "
	                      "data.unreadable_answers=drop"),
	                 0);
	assert_says("stdout",
	            "training problems: 1 left out, their answers being unreadable: wordy");
	assert_says(
	        "wordy/data.json",
	        "{\"id\": \"wordy\", \"reason\": \"problem wordy: verifier numeric: the answer");
	shell("echo '{\"prompt\": \"1\", \"answer\": \"five\"}' > train.jsonl");
	assert_int_equal(hone("train job.yaml task.reward=numeric run.output_dir=none "
	                      "data.unreadable_answers=drop"),
	                 2);
	assert_says("stderr", "no problem is left, all 1 were dropped");
	write_text("train.jsonl",
	           "{\"id\": \"long\", \"prompt\": \"123456789\", \"answer\": \"9\"}\n");
	assert_int_equal(hone("train job.yaml data.overlong_prompts=error run.output_dir=strict"),
	                 2);
	assert_says("stderr", "problem long: its prompt has 9 tokens, more than 5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(case_and_white_space_make_no_other_question),
	        TEST(the_fingerprint_is_fnv),
	        TEST(templates_messages_and_systems_make_no_other_question),
	        TEST(a_completion_that_is_begun_makes_no_other_question),
	        TEST(all_pairs_are_found_and_no_other),
	        TEST(a_hundred_thousand_problems_are_compared),
	        TEST(a_run_names_what_is_twice_held_out_and_trained_too_long_or_unreadable),
	};

	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
