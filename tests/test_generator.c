#include "world/generator.h"

#include "base/file.h"
#include "test.h"
#include "verify/verifier.h"
#include "world/generate.h"
#include "world/knights.h"

/* What the generator's own verifier gives for a text. */
static double score(const struct generator *g, const struct problem *p, const char *text)
{
	struct reward_spec spec;
	struct verdict     v;

	assert_ok(verifier_open(&spec, &g->verifier, NULL, 1, NULL));
	assert_ok(verifier_check(&spec, p));
	assert_ok(verifier_score(
	        &spec, p, &(struct completion){.text = text, .n = strlen(text), .finished = 1},
	        &v));
	verifier_close(&spec);
	return v.reward;
}

static void make(const struct generator *g, int level, uint32_t index, double error_rate,
                 struct arena *a, struct problem *out)
{
	assert_ok(generator_make(
	        g,
	        &(struct generator_request){
	                .level = level, .seed = 11, .index = index, .error_rate = error_rate},
	        a, out));
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
		int         held_out;
	} golden[] = {
	        {"addition", 3, 1, 0, "459+775=", "9+5+0=14,5+7+1=13,4+7+1=12#1234", 1},
	        {"addition", 3, 1, 0.5, "459+775=", "9+5+0=15,5+7+1=13,4+7+1=02#235", 1},
	        {"countdown", 3, 0, 0, "1,15,2>30:", "2*15=30,1*30=30#1*2*15", 0},
	        {"countdown", 3, 1, 0.5, "20,12,8>76:", "20-8=12,12*12=144#12*(20-8)", 0},
	        {"knights_knaves", 3, 0, 0, "A:A,B:A=C,C:c&B?",
	         "ABCA1+B1=1+C0&1-ABcA1+B1=0-AbCA1+b1=1-AbcA1+b1=0+c1&0+#Abc", 0},
	        {"knights_knaves", 3, 1, 0.5, "A:b=c,B:C>c,C:C=b?",
	         "ABCA0=0-ABcA0=1+B0>1+c0=0+#ABc", 0},
	        {"sequence", 4, 0, 0, "4,4:9,4", "4,4,4,4", 1},
	        {"sequence", 4, 1, 0.5, "2,3:9,4", "7,9,2,2", 0},
	        {"nav", 3, 0, 0, "<3a f:aec>", "k\n<+>a\n<c:bfe>k\n<+>f\n<-:ecf>c\n", 0},
	        {"household", 3, 0, 0, "<cg2 A12c B34h>",
	         "o1\n<1:->gB\n<B>o3\n<3:->o4\n<4:gd>tg\n<+>gA\n<A>c\n<*>p2\n", 0},
	        {"shop", 4, 0, 0, "<cb o7 3>", "scb\n<Acb5 Ecb2 Icb9>iA\n<n 2>iE\n<o 123>3\n<+>y\n",
	         0},
	        {"nav", 3, 1, 0.5, "<3d c:fdb>", "r\n<!>k\n<+>f\n<.>f\n<!>r\n<-:fdb>f\n<.>r\n", 0},
	};
	struct arena a = {0};

	for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
		const struct generator *g;
		struct problem          p;
		assert_ok(generator_find(golden[i].name, &g));
		assert_ok(generator_make(
		        g,
		        &(struct generator_request){.level = golden[i].level,
		                                    .seed = 11,
		                                    .index = golden[i].index,
		                                    .error_rate = golden[i].error_rate,
		                                    .held_out = golden[i].held_out},
		        &a, &p));
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
		/* (1 - 0.15)^steps, with 1 to about 30 steps */
		assert_true(right[1] < 185 && right[1] > 20);
		assert_true(right[2] < 20);
	}
	arena_free(&a);
}

static void a_problem_does_not_depend_on_what_else_is_made(void **state)
{
	(void)state;
	const struct generator *g;

	for (int i = 0; (g = generator_at(i)); i++) {
		struct generator_range all = {
		        .level_min = 2, .level_max = 4, .seed = 11, .count = 30, .error_rate = 0.2};
		struct generator_range one = {.level_min = 3,
		                              .level_max = 3,
		                              .seed = 11,
		                              .first = 7,
		                              .count = 1,
		                              .error_rate = 0.2};
		struct dataset         many, single;
		assert_ok(generator_dataset(g, &all, &many));
		assert_ok(generator_dataset(g, &one, &single));
		assert_string_equal(many.problems[7].id, single.problems[0].id);
		assert_string_equal(many.problems[7].prompt, single.problems[0].prompt);
		assert_string_equal(many.problems[7].demonstrations[0],
		                    single.problems[0].demonstrations[0]);
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
	return s[1] == '&'   ? left && right
	       : s[1] == '|' ? left || right
	       : s[1] == '>' ? !left || right
	                     : left == right;
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
		for (int i = 0; i < 4;
		     i++, line = strchr(line, '\n') ? strchr(line, '\n') + 1 : line)
			assert_int_equal(s.answer[i] < 'a',
			                 strncmp(strstr(line, " is a ") + 6, "knight", 6) == 0);
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
	        {"(('->', ('lying', 0), ('lying', 0), ('lying', 0)), ('lying', 0))",
	         "the end of this claim"},
	        {"(('lying', 0), ('lying', 0), ('lying', 0))", "more claims than people"},
	        {"(('lying', 0), ('lying', 0)) x", "nothing more"},
	        {"(('lying', 0, ('lying', 0))", "a closing bracket"},
	        {"(('not',('not',('not',('not',('not',('not',('not',('not',('not',('lying',0)))))))"
	         ")))",
	         "nested less deeply"},
	};
	struct arena          a = {0};
	struct knights_puzzle p;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_error(knights_parse("rows.jsonl:3", cases[i].text, 2, &a, &p), ERR_INPUT,
		             cases[i].message);
	assert_error(knights_parse("x", "()", 0, &a, &p), ERR_INPUT, "0 people");
	assert_ok(knights_parse("x",
	                        "[[\"and\", [\"lying\", 1], [\"not\", [\"or\", [\"lying\", 0], "
	                        "[\"lying\", 1]]]], [\"lying\", 0]]",
	                        2, &a, &p));
	struct text t = {0};
	knights_add_puzzle(&t, &p);
	assert_string_equal(t.data, "A:b&!(a|b),B:a?");
	text_free(&t);
	arena_free(&a);
}

static void all_published_puzzles_become_signs(void **state)
{
	(void)state;
	const char             *paths[] = {"data/knights-knaves/3ppl_train.jsonl.gz",
	                                   "data/knights-knaves/4ppl_test.jsonl.gz",
	                                   "data/knights-knaves/5ppl_test.jsonl.gz"};
	struct dataset_options  o = {.convert = generate_knights_convert};
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

/* ---- what is held out ---- */

enum { SAME_MAX = 64 };

/* The forms in which a prompt could be asked again without being another problem, the prompt itself
 * among them; how many. */
static int same_questions(const struct generator *g, const struct problem *p, char (*out)[256])
{
	const char *rest;
	int         n = 0, x[2];

	snprintf(out[n++], 256, "%.255s", p->prompt);
	if (!strcmp(g->name, "addition")) {
		rest = strchr(p->prompt, '+');
		snprintf(out[n++], 256, "%.*s+%.*s=", (int)strlen(rest) - 2, rest + 1,
		         (int)(rest - p->prompt), p->prompt);
	} else if (!strcmp(g->name, "sequence")) {
		assert_int_equal(sscanf(p->prompt, "%d,%d", &x[0], &x[1]), 2);
		for (int level = 0; level < 10; level++)
			for (int k = 0; k < 4; k++) {
				int first = x[0] % 9 + 9 * (k & 1),
				    second = x[1] % 9 + 9 * (k >> 1);
				if (first < 10 && second < 10)
					snprintf(out[n++], 256, "%d,%d:9,%d", first, second, level);
			}
	} else if (!strcmp(g->name, "countdown")) {
		rest = strrchr(p->prompt, '>');
		/* every rotation */
		for (const char *at = p->prompt; (at = memchr(at, ',', (size_t)(rest - at))); at++)
			snprintf(out[n++], 256, "%.*s,%.*s%s", (int)(rest - at) - 1, at + 1,
			         (int)(at - p->prompt), p->prompt, rest);
	} else if (!strcmp(g->name, "knights_knaves") && p->prompt[2] && !strchr(p->prompt, 'C') &&
	           !strchr(p->prompt, 'c')) {
		rest = strstr(p->prompt, ",B:");
		snprintf(out[n], 256, "A:%.*s,B:%.*s?", (int)strlen(rest) - 4, rest + 3,
		         (int)(rest - p->prompt) - 2, p->prompt + 2);
		/* two people change names, and with them their places */
		for (char *c = out[n]; *c; c++)
			if (c == out[n] || c[1] != ':')
				*c = strchr("ABab", *c) && c[1] != ':' ? (char)(*c ^ 3) : *c;
		n++;
	}
	return n;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What is learned from `seed` and what is held out of `other`, at one level. In a world both prompt
 * and oracle's way must agree. */
static void assert_disjoint(const struct generator *g, const struct dataset *train,
                            const struct dataset *held_out)
{
	const char **list = calloc((size_t)train->n, sizeof *list);
	char(*same)[256] = calloc(SAME_MAX, sizeof *same);

	assert_true(list && same);
	for (int i = 0; i < train->n; i++)
		list[i] = train->problems[i].prompt;
	qsort(list, (size_t)train->n, sizeof *list, by_text);
	for (int i = 0; i < held_out->n; i++) {
		const struct problem *p = &held_out->problems[i];
		int                   n = same_questions(g, p, same);
		assert_true(n <= SAME_MAX);
		for (int k = 0; k < n; k++) {
			const char *key = same[k];
			if (strcmp(g->verifier, "environment")) {
				assert_null(bsearch(&key, list, (size_t)train->n, sizeof *list,
				                    by_text));
				continue;
			}
			for (int t = 0; t < train->n; t++)
				assert_false(!strcmp(train->problems[t].prompt, p->prompt) &&
				             !strcmp(train->problems[t].answer, p->answer));
		}
	}
	free(list);
	free(same);
}

static void what_is_held_out_is_never_trained_on_whatever_is_asked_for(void **state)
{
	(void)state;
	const struct generator *g;

	for (int i = 0; (g = generator_at(i)); i++)
		for (int level = g->level_min; level <= g->level_max; level++)
			for (uint64_t seed = 0; seed < 3; seed++) {
				struct generator_range learned = {.level_min = level,
				                                  .level_max = level,
				                                  .seed = seed,
				                                  .count = 600,
				                                  .error_rate = seed / 2.0};
				struct generator_range held_out = {.level_min = level,
				                                   .level_max = level,
				                                   .seed = seed / 2,
				                                   .count = 26,
				                                   .held_out = 1};
				struct dataset         train, test;
				assert_ok(generator_dataset(g, &learned, &train));
				assert_ok(generator_dataset(g, &held_out, &test));
				assert_int_equal(train.n, 600);
				assert_int_equal(test.n, 26);
				assert_disjoint(g, &train, &test);
				dataset_free(&train);
				dataset_free(&test);
			}
}

/* Words and signs ask the same puzzles, so they part them alike: the same key gives puzzles of the
 * same roles in both parts. */
static void words_and_signs_are_parted_alike(void **state)
{
	(void)state;
	const struct generator *signs, *words;
	struct arena            a = {0};

	assert_ok(generator_find("knights_knaves", &signs));
	assert_ok(generator_find("knights_words", &words));
	for (uint32_t index = 0; index < 200; index++) {
		struct generator_request q = {.level = 4, .seed = 3, .index = index, .held_out = 1};
		struct problem           s, w;
		assert_ok(generator_make(signs, &q, &a, &s));
		assert_ok(generator_make(words, &q, &a, &w));
		const char *line = w.answer;
		for (int i = 0; i < 4;
		     i++, line = strchr(line, '\n') ? strchr(line, '\n') + 1 : line)
			assert_int_equal(s.answer[i] < 'a',
			                 strncmp(strstr(line, " is a ") + 6, "knight", 6) == 0);
	}
	arena_free(&a);
}

static void a_held_out_set_has_each_problem_once_or_is_refused(void **state)
{
	(void)state;
	const struct generator *g;
	struct generator_range  r = {.level_min = 1, .level_max = 1, .count = 36, .held_out = 1};
	struct dataset          d;

	assert_ok(generator_find("addition", &g));
	assert_ok(generator_dataset(g, &r, &d));
	for (int i = 0; i < d.n; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(d.problems[i].prompt, d.problems[k].prompt);
	dataset_free(&d);
	r.count = 37;
	assert_error(generator_dataset(g, &r, &d), ERR_INPUT,
	             "addition of level 1 has only 36 different held-out problems");
	r.level_max = 2, r.count = 71; /* the levels take turns: the first one has 36 */
	assert_ok(generator_dataset(g, &r, &d));
	dataset_free(&d);
	r.count = 73;
	assert_error(generator_dataset(g, &r, &d), ERR_INPUT, "addition of level 1 has only 36");
	r.held_out = 0, r.count = 400; /* what is learned may come again */
	assert_ok(generator_dataset(g, &r, &d));
	assert_int_equal(d.n, 400);
	dataset_free(&d);
}

/* A quarter of the contents, within four standard errors. */
static void a_quarter_is_held_out(void **state)
{
	(void)state;
	const struct generator *g;
	struct arena            a = {0};
	int                     same = 0;

	assert_ok(generator_find("addition", &g));
	for (uint32_t index = 0; index < 4000; index++) {
		struct problem p[2];
		arena_reset(&a);
		/* the first draw of both is the same: it lies in one of the parts */
		for (int held_out = 0; held_out < 2; held_out++)
			assert_ok(generator_make(g,
			                         &(struct generator_request){.level = 6,
			                                                     .index = index,
			                                                     .held_out = held_out},
			                         &a, &p[held_out]));
		struct problem first = p[0];
		uint64_t       content;
		assert_ok(g->make(&(struct generator_request){.level = 6, .index = index}, &a,
		                  &first, &content));
		same += !strcmp(first.prompt, p[1].prompt);
		assert_true(!strcmp(first.prompt, p[0].prompt) !=
		            !strcmp(first.prompt, p[1].prompt));
	}
	assert_true(abs(same - 1000) < 4 * 27);
	arena_free(&a);
}

static void wrong_requests_are_refused(void **state)
{
	(void)state;
	const struct generator *g;
	struct dataset          d;
	struct problem          p;
	struct arena            a = {0};
	struct generator_range  good = {.level_min = 1, .level_max = 3, .count = 1}, r;

	assert_error(generator_find("chess", &g), ERR_INPUT,
	             "no generator \"chess\"; there are: addition");
	assert_ok(generator_find("addition", &g));
	assert_error(generator_make(g, &(struct generator_request){.level = 13}, &a, &p), ERR_INPUT,
	             "levels 1 to 12 (digits), not 13");
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
			int            status;
			mem_fail_at(n);
			status = generator_make(g, &(struct generator_request){.level = 3}, &a, &p);
			mem_fail_at(0);
			if (status != OK)
				assert_memory(status, "");
			failures += status != OK;
			arena_free(&a);
		}
	assert_true(failures >= 10);
}

TEST_MAIN(TEST(every_answer_and_worked_solution_scores_one), TEST(the_texts_stay_as_they_are),
          TEST(errors_make_worked_solutions_wrong_at_their_rate_and_change_nothing_else),
          TEST(a_problem_does_not_depend_on_what_else_is_made),
          TEST(problems_written_as_rows_keep_what_their_verifier_reads),
          TEST(a_thousand_puzzles_have_one_solution_each),
          TEST(worked_solutions_are_short_enough_to_learn),
          TEST(signs_and_words_of_one_key_are_the_same_puzzle),
          TEST(formal_puzzles_that_are_not_well_formed_are_refused),
          TEST(all_published_puzzles_become_signs),
          TEST(what_is_held_out_is_never_trained_on_whatever_is_asked_for),
          TEST(words_and_signs_are_parted_alike),
          TEST(a_held_out_set_has_each_problem_once_or_is_refused), TEST(a_quarter_is_held_out),
          TEST(wrong_requests_are_refused),
          TEST(memory_that_runs_out_is_an_error_and_leaks_nothing))
