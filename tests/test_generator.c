#include "task/generator.h"

#include "base/file.h"
#include "task/knights.h"
#include "task/verifier.h"
#include "test.h"

/* What the generator's own verifier gives for a text. */
static double score(const struct generator *g, const struct problem *p, const char *text)
{
	struct reward_spec spec;
	struct verdict     v;

	assert_ok(verifier_open(&spec, &g->verifier, NULL, 1, NULL));
	assert_ok(verifier_check(&spec, p));
	assert_ok(verifier_score(&spec, p, &(struct completion){.text = text, .n = strlen(text), .finished = 1}, &v));
	verifier_close(&spec);
	return v.reward;
}

static void make(const struct generator *g, int level, uint32_t index, double error_rate, struct arena *a, struct problem *out)
{
	assert_ok(generator_make(g, &(struct generator_request){.level = level, .seed = 11, .index = index, .error_rate = error_rate}, a,
	                         out));
}

static int is_over(const char *text, const char *alphabet)
{
	return text[strspn(text, alphabet)] == 0;
}

static void every_answer_and_worked_solution_scores_one(void **state)
{
	(void)state;
	const struct generator *g;
	struct arena            a = {0};

	for (int i = 0; (g = generator_at(i)); i++)
		for (int level = g->level_min; level <= g->level_max; level++)
			for (uint32_t index = 0; index < 400; index++) {
				struct problem p;
				arena_reset(&a);
				make(g, level, index, 0, &a, &p);
				assert_close(score(g, &p, p.answer), 1, 0);
				assert_true(is_over(p.prompt, g->alphabet));
				assert_true(is_over(p.answer, g->alphabet));
				assert_true(is_over(p.hint, g->alphabet));
				for (int j = 0; j < p.n_demonstrations; j++) {
					assert_close(score(g, &p, p.demonstrations[j]), 1, 0);
					assert_true(is_over(p.demonstrations[j], g->alphabet));
				}
			}
	arena_free(&a);
}

static void the_texts_stay_as_they_are(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int         level;
		uint32_t    index;
		double      error_rate;
		const char *prompt, *worked;
	} golden[] = {
	        {"addition", 3, 1, 0, "459+775=", "9+5+0=14,5+7+1=13,4+7+1=12#1234"},
	        {"addition", 3, 1, 0.5, "459+775=", "9+5+0=15,5+7+1=13,4+7+1=02#235"},
	        {"countdown", 3, 0, 0, "1,15,2>30:", "2*15=30,1*30=30#1*2*15"},
	        {"countdown", 3, 1, 0.5, "20,12,8>76:", "20-8=12,12*12=144#12*(20-8)"},
	        {"knights_knaves", 3, 0, 0, "A:A,B:A=C,C:c&B?", "ABCA1+B1=1+C0&1-ABcA1+B1=0-AbCA1+b1=1-AbcA1+b1=0+c1&0+#Abc"},
	        {"knights_knaves", 3, 1, 0.5, "A:b=c,B:C>c,C:C=b?", "ABCA0=0-ABcA0=1+B0>1+c0=0+#ABc"},
	        {"sequence", 4, 0, 0, "4,4:9,4", "4,4,4,4"},
	        {"sequence", 4, 1, 0.5, "2,3:9,4", "7,9,2,2"},
	        {"nav", 3, 0, 0, "<3a f:aec>", "k\n<+>a\n<c:bfe>k\n<+>f\n<-:ecf>c\n"},
	        {"household", 3, 0, 0, "<cg2 A12c B34h>", "o1\n<1:->gB\n<B>o3\n<3:->o4\n<4:gd>tg\n<+>gA\n<A>c\n<*>p2\n"},
	        {"shop", 4, 0, 0, "<cb o7 3>", "scb\n<Acb5 Ecb2 Icb9>iA\n<n 2>iE\n<o 123>3\n<+>y\n"},
	        {"nav", 3, 1, 0.5, "<3d c:fdb>", "r\n<!>k\n<+>f\n<.>f\n<!>r\n<-:fdb>f\n<.>r\n"},
	};
	struct arena a = {0};

	for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
		const struct generator *g;
		struct problem          p;
		assert_ok(generator_find(golden[i].name, &g));
		make(g, golden[i].level, golden[i].index, golden[i].error_rate, &a, &p);
		assert_string_equal(p.prompt, golden[i].prompt);
		assert_string_equal(p.demonstrations[0], golden[i].worked);
	}
	arena_free(&a);
}

static void errors_make_worked_solutions_wrong_at_their_rate_and_change_nothing_else(void **state)
{
	(void)state;
	const struct generator *g;
	struct arena            a = {0};

	for (int i = 0; (g = generator_at(i)); i++) {
		double right[3] = {0};
		for (uint32_t index = 0; index < 200; index++) {
			static const double rate[3] = {0, 0.15, 1};
			struct problem      p[3];
			arena_reset(&a);
			for (int j = 0; j < 3; j++) {
				make(g, 4, index, rate[j], &a, &p[j]);
				assert_string_equal(p[j].prompt, p[0].prompt);
				assert_string_equal(p[j].answer, p[0].answer);
				right[j] += score(g, &p[j], p[j].demonstrations[0]) == 1;
			}
		}
		assert_close(right[0], 200, 0);
		assert_true(right[1] < 185 && right[1] > 20); /* (1 - 0.15)^steps, with 1 to about 30 steps */
		assert_true(right[2] < 20);
	}
	arena_free(&a);
}

static void a_problem_does_not_depend_on_what_else_is_made(void **state)
{
	(void)state;
	const struct generator *g;

	for (int i = 0; (g = generator_at(i)); i++) {
		struct generator_range all = {.level_min = 2, .level_max = 4, .seed = 11, .count = 30, .error_rate = 0.2};
		struct generator_range one = {.level_min = 3, .level_max = 3, .seed = 11, .first = 7, .count = 1, .error_rate = 0.2};
		struct dataset         many, single;
		assert_ok(generator_dataset(g, &all, &many));
		assert_ok(generator_dataset(g, &one, &single));
		assert_string_equal(many.problems[7].id, single.problems[0].id);
		assert_string_equal(many.problems[7].prompt, single.problems[0].prompt);
		assert_string_equal(many.problems[7].demonstrations[0], single.problems[0].demonstrations[0]);
		assert_string_equal(many.problems[7].row, single.problems[0].row);
		assert_ok(dataset_index(many.problems, many.n, &many.arena, &many.ids));
		dataset_free(&single);
		one.seed = 12;
		assert_ok(generator_dataset(g, &one, &single));
		assert_string_not_equal(many.problems[7].prompt, single.problems[0].prompt);
		dataset_free(&single);
		dataset_free(&many);
	}
}

static void problems_written_as_rows_keep_what_their_verifier_reads(void **state)
{
	(void)state;
	const struct generator *g;
	struct arena            a = {0};

	for (int i = 0; (g = generator_at(i)); i++) {
		struct dataset_options o = {0};
		struct problem         p, again;
		struct text            row = {0};
		make(g, 4, 3, 0, &a, &p);
		assert_ok(dataset_add_row(&row, &p));
		assert_ok(dataset_read_row("row", row.data, row.n, &o, &a, &again));
		assert_string_equal(again.id, p.id);
		assert_string_equal(again.prompt, p.prompt);
		assert_close(score(g, &again, p.demonstrations[0]), 1, 0);
		text_free(&row);
	}
	arena_free(&a);
}

/* An independent look at a prompt of two people's claims: brute force over the signs themselves. */
static int sign_is_true(const char *s, const char *people)
{
	int left, right;

	if (*s == '!')
		return strchr(people, s[1]) == NULL;
	left = strchr(people, s[0]) != NULL;
	if (s[1] == ',' || s[1] == '?')
		return left;
	right = strchr(people, s[2]) != NULL;
	return s[1] == '&' ? left && right : s[1] == '|' ? left || right : s[1] == '>' ? !left || right : left == right;
}

static int prompt_fits(const char *prompt, const char *people)
{
	const char *s = prompt;

	for (int i = 0; people[i]; i++) {
		if (sign_is_true(s + 2, people) != (people[i] < 'a'))
			return 0;
		s = strpbrk(s, ",?") + 1;
	}
	return *s == 0;
}

static void a_thousand_puzzles_have_one_solution_each(void **state)
{
	(void)state;
	const struct generator *g;
	struct arena            a = {0};

	assert_ok(generator_find("knights_knaves", &g));
	for (uint32_t index = 0; index < 1000; index++) {
		struct problem p;
		int            n = 2 + (int)index % 4, solutions = 0;
		arena_reset(&a);
		make(g, n, index, 0, &a, &p);
		for (unsigned k = 0; k < 1u << n; k++) {
			char people[KNIGHTS_MAX + 1] = {0};
			for (int i = 0; i < n; i++)
				people[i] = (char)((k >> i & 1 ? 'A' : 'a') + i);
			if (!prompt_fits(p.prompt, people))
				continue;
			assert_string_equal(people, p.answer);
			solutions++;
		}
		assert_int_equal(solutions, 1);
	}
	arena_free(&a);
}

static void worked_solutions_are_short_enough_to_learn(void **state)
{
	(void)state;
	const struct generator *g;
	struct arena            a = {0};
	size_t                  longest[6] = {0};

	assert_ok(generator_find("knights_knaves", &g));
	for (uint32_t index = 0; index < 400; index++) {
		struct problem p;
		int            n = 2 + (int)index % 4;
		arena_reset(&a);
		make(g, n, index, 0, &a, &p);
		if (strlen(p.demonstrations[0]) > longest[n])
			longest[n] = strlen(p.demonstrations[0]);
	}
	assert_true(longest[3] <= 140);
	assert_true(longest[5] <= 600);
	arena_free(&a);
}

static void signs_and_words_of_one_key_are_the_same_puzzle(void **state)
{
	(void)state;
	const struct generator *signs, *words;
	struct arena            a = {0};

	assert_ok(generator_find("knights_knaves", &signs));
	assert_ok(generator_find("knights_words", &words));
	for (uint32_t index = 0; index < 400; index++) {
		struct problem s, w;
		make(signs, 4, index, 0, &a, &s);
		make(words, 4, index, 0, &a, &w);
		const char *line = w.answer;
		for (int i = 0; i < 4; i++, line = strchr(line, '\n') ? strchr(line, '\n') + 1 : line)
			assert_int_equal(s.answer[i] < 'a', strncmp(strstr(line, " is a ") + 6, "knight", 6) == 0);
	}
	arena_free(&a);
}

static void formal_puzzles_that_are_not_well_formed_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} cases[] = {
	        {"", "an opening bracket"},
	        {"(", "a claim"},
	        {"(('lying', 0), ('lying', 0)", "the end of the list"},
	        {"(('lying', 0),)", "a claim"},
	        {"(('lying', 0))", "the next claim"},
	        {"(('lying', 2), ('lying', 0))", "one of the people"},
	        {"(('lying', 99999999999999999999), ('lying', 0))", "one of the people"},
	        {"(('lying', -1), ('lying', 0))", "the number of a person"},
	        {"(('lying'), ('lying', 0))", "a comma and a person"},
	        {"(('lies', 0), ('lying', 0))", "telling-truth"},
	        {"(('lyin", "telling-truth"},
	        {"((lying, 0), ('lying', 0))", "the quoted name"},
	        {"(('not',), ('lying', 0))", "a claim"},
	        {"(('not'), ('lying', 0))", "more parts"},
	        {"(('and', ('lying', 0)), ('lying', 0))", "more parts"},
	        {"(('->', ('lying', 0), ('lying', 0), ('lying', 0)), ('lying', 0))", "the end of this claim"},
	        {"(('lying', 0), ('lying', 0), ('lying', 0))", "more claims than people"},
	        {"(('lying', 0), ('lying', 0)) x", "nothing more"},
	        {"(('lying', 0, ('lying', 0))", "a closing bracket"},
	        {"(('not',('not',('not',('not',('not',('not',('not',('not',('not',('lying',0))))))))))", "nested less deeply"},
	};
	struct arena          a = {0};
	struct knights_puzzle p;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_error(knights_parse("rows.jsonl:3", cases[i].text, 2, &a, &p), ERR_INPUT, cases[i].message);
	assert_error(knights_parse("x", "()", 0, &a, &p), ERR_INPUT, "0 people");
	assert_ok(knights_parse("x", "[[\"and\", [\"lying\", 1], [\"not\", [\"or\", [\"lying\", 0], [\"lying\", 1]]]], [\"lying\", 0]]", 2,
	                        &a, &p));
	struct text t = {0};
	knights_add_puzzle(&t, &p);
	assert_string_equal(t.data, "A:b&!(a|b),B:a?");
	text_free(&t);
	arena_free(&a);
}

static void all_published_puzzles_become_signs(void **state)
{
	(void)state;
	const char             *paths[] = {"data/knights-knaves/3ppl_train.jsonl.gz", "data/knights-knaves/4ppl_test.jsonl.gz",
	                                   "data/knights-knaves/5ppl_test.jsonl.gz"};
	struct dataset_options  o = {.convert = "knights_knaves"};
	const struct generator *g;
	struct dataset          d;

	assert_ok(generator_find("knights_knaves", &g));
	assert_ok(dataset_read(paths, 3, &o, &d));
	assert_int_equal(d.n, 500);
	for (int i = 0; i < d.n; i++) {
		assert_true(prompt_fits(d.problems[i].prompt, d.problems[i].answer));
		assert_close(score(g, &d.problems[i], d.problems[i].demonstrations[0]), 1, 0);
	}
	dataset_free(&d);
}

static void wrong_requests_are_refused(void **state)
{
	(void)state;
	const struct generator *g;
	struct dataset          d;
	struct problem          p;
	struct arena            a = {0};
	struct generator_range  good = {.level_min = 1, .level_max = 3, .count = 1}, r;

	assert_error(generator_find("chess", &g), ERR_INPUT, "no generator \"chess\"; there are: addition");
	assert_ok(generator_find("addition", &g));
	assert_error(generator_make(g, &(struct generator_request){.level = 13}, &a, &p), ERR_INPUT, "levels 1 to 12 (digits), not 13");
	r = good, r.level_min = 0;
	assert_error(generator_dataset(g, &r, &d), ERR_INPUT, "not 0");
	r = good, r.level_min = 4;
	assert_error(generator_dataset(g, &r, &d), ERR_INPUT, "the first is larger");
	r = good, r.count = 0;
	assert_error(generator_dataset(g, &r, &d), ERR_INPUT, "one or more");
	r = good, r.first = UINT32_MAX, r.count = 2;
	assert_error(generator_dataset(g, &r, &d), ERR_INPUT, "2^32");
	r = good, r.error_rate = NAN;
	assert_error(generator_dataset(g, &r, &d), ERR_INPUT, "error rate");
	arena_free(&a);
}

static void memory_that_runs_out_is_an_error_and_leaks_nothing(void **state)
{
	(void)state;
	const struct generator *g;
	int                     failures = 0;

	for (int i = 0; (g = generator_at(i)); i++)
		for (long n = 1; n < 12; n++) {
			struct arena   a = {0};
			struct problem p;
			mem_fail_at(n);
			if (generator_make(g, &(struct generator_request){.level = 3}, &a, &p) != OK)
				failures++;
			mem_fail_at(0);
			arena_free(&a);
		}
	assert_true(failures >= 10);
}

TEST_MAIN(TEST(every_answer_and_worked_solution_scores_one), TEST(the_texts_stay_as_they_are),
          TEST(errors_make_worked_solutions_wrong_at_their_rate_and_change_nothing_else),
          TEST(a_problem_does_not_depend_on_what_else_is_made), TEST(problems_written_as_rows_keep_what_their_verifier_reads),
          TEST(a_thousand_puzzles_have_one_solution_each), TEST(worked_solutions_are_short_enough_to_learn),
          TEST(signs_and_words_of_one_key_are_the_same_puzzle), TEST(formal_puzzles_that_are_not_well_formed_are_refused),
          TEST(all_published_puzzles_become_signs), TEST(wrong_requests_are_refused),
          TEST(memory_that_runs_out_is_an_error_and_leaks_nothing))
