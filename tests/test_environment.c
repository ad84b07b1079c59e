#include "world/environment.h"

#include "test.h"
#include "verify/verifier.h"
#include "world/generator.h"

enum { SEEDS = 300 };

static void open_level(const struct environment_kind *kind, int level, uint32_t index,
                       struct arena *a, struct environment *e)
{
	assert_ok(environment_new(
	        kind, (struct environment_key){.level = level, .seed = 7, .index = index}, a, e));
}

static void oracle_action(const struct environment *e, char action[ACTION_MAX])
{
	e->kind->oracle(e->state, action);
	assert_in_range(strlen(action), 1, ACTION_MAX - 1);
}

static int is_observation(const struct observation *o)
{
	size_t n = strlen(o->text);

	return n == o->n && n >= 3 && o->text[0] == '<' && strcspn(o->text + 1, "<>\n") == n - 2 &&
	       o->text[n - 1] == '>';
}

static void the_oracle_wins_everywhere_within_its_turns(void **state)
{
	(void)state;
	const struct environment_kind *kind;
	struct arena                   a = {0};

	for (int i = 0; (kind = environment_at(i)); i++)
		for (int level = kind->level_min; level <= kind->level_max; level++)
			for (uint32_t index = 0; index < SEEDS; index++) {
				struct environment e;
				struct observation o;
				char               action[ACTION_MAX];
				arena_reset(&a);
				open_level(kind, level, index, &a, &e);
				while (!e.done) {
					oracle_action(&e, action);
					environment_step(&e, action, strlen(action), &o);
					assert_true(e.done ? o.n == 0 : is_observation(&o));
					assert_string_not_equal(o.text, "<!>");
					assert_string_not_equal(o.text, "<?>");
				}
				assert_close(e.reward, 1, 0);
				assert_true(e.turns <= e.turns_max - 2);
			}
	arena_free(&a);
}

/* After any wandering the oracle still gets there: it goes on from any state. */
static void the_oracle_goes_on_from_wherever_one_strayed(void **state)
{
	(void)state;
	const struct environment_kind *kind;
	struct arena                   a = {0};

	for (int i = 0; (kind = environment_at(i)); i++)
		for (int level = kind->level_min; level <= kind->level_max; level++)
			for (uint32_t index = 0; index < SEEDS; index++) {
				struct rng_stream  s = {.key = {.seed = 3,
				                                .purpose = RNG_TEST,
				                                .step = (uint32_t)level,
				                                .item = index}};
				struct environment e;
				struct observation o;
				char               action[ACTION_MAX];
				arena_reset(&a);
				open_level(kind, level, index, &a, &e);
				e.turns_max = 200;
				for (int turn = 0; !e.done && turn < 20; turn++) {
					kind->stray(e.state, &s, action);
					environment_step(&e, action, strlen(action), &o);
					assert_true(e.done || is_observation(&o));
				}
				if (e.done) /* bought the wrong article, or got there by luck */
					continue;
				while (!e.done) {
					oracle_action(&e, action);
					environment_step(&e, action, strlen(action), &o);
				}
				assert_close(e.reward, 1, 0);
			}
	arena_free(&a);
}

static void hostile_actions_get_an_observation_that_says_so(void **state)
{
	(void)state;
	static char                    huge[1 << 20];
	const struct environment_kind *kind;
	struct arena                   a = {0};
	const struct {
		const char *text;
		size_t      n;
	} hostile[] = {{"", 0},          {"\n", 1},
	               {"\0", 1},        {"k\0", 2},
	               {"\0k\n", 3},     {"k k", 3},
	               {"<+>", 3},       {"%s%n%d", 6},
	               {"\xff\xfe", 2},  {huge, sizeof huge},
	               {"o3 ", 3},       {"aaaaaaaaaaaaaaaaaaaaaaa", 23},
	               {"k\nk\n", 4},    {"i\x80\n", 3},
	               {"g\xc3\xa9", 3}, {"-1", 2},
	               {"t\0", 2},       {"s ", 2}};

	memset(huge, 'a', sizeof huge);
	for (int i = 0; (kind = environment_at(i)); i++) {
		struct environment e;
		struct observation o;
		open_level(kind, kind->level_max, 0, &a, &e);
		e.turns_max = 1000;
		for (size_t h = 0; h < sizeof hostile / sizeof hostile[0]; h++) {
			environment_step(&e, hostile[h].text, hostile[h].n, &o);
			assert_string_equal(o.text, "<?>");
		}
		assert_int_equal(e.turns, sizeof hostile / sizeof hostile[0]);
	}
	arena_free(&a);
}

/* Every one- and two-letter action anywhere: never a crash, always an observation, and no reward
 * out of range. */
static void every_short_action_is_answered(void **state)
{
	(void)state;
	const struct environment_kind *kind;
	struct arena                   a = {0};

	for (int i = 0; (kind = environment_at(i)); i++)
		for (uint32_t index = 0; index < 20; index++) {
			struct environment e, start;
			open_level(kind, kind->level_max, index, &a, &start);
			e = start;
			assert_ok(arena_take_bytes(&a, 1, kind->state_bytes, "a world", &e.state));
			for (int x = 0; x < 256; x++)
				for (int y = 0; y < 256; y += x < 128 ? 1 : 17) {
					const char         action[2] = {(char)x, (char)y};
					struct observation o;
					if (e.done || y == 0)
						memcpy(e.state, start.state, kind->state_bytes);
					e.done = 0, e.turns = 0;
					environment_step(&e, action, y == 0 ? 1 : 2, &o);
					assert_true(e.done || is_observation(&o));
					assert_true(e.reward >= 0 && e.reward <= 1);
				}
		}
	arena_free(&a);
}

static void turns_run_out_without_reward(void **state)
{
	(void)state;
	const struct environment_kind *kind;
	struct arena                   a = {0};

	for (int i = 0; (kind = environment_at(i)); i++) {
		struct environment e;
		struct observation o;
		open_level(kind, kind->level_min, 1, &a, &e);
		for (int turn = 0; turn < e.turns_max; turn++) {
			assert_false(e.done);
			environment_step(&e, "zz", 2, &o);
		}
		assert_true(e.done);
		assert_int_equal(o.n, 0);
		assert_close(e.reward, 0, 0);
	}
	arena_free(&a);
}

static double play_nav(const char *const *actions, const char *const *observations, struct arena *a)
{
	struct environment e;
	struct observation o = {.n = 0};

	assert_ok(environment_new(&environment_nav, (struct environment_key){.level = 2, .seed = 7},
	                          a, &e));
	e.turns_max = 100;
	e.kind->look(e.state, &o);
	assert_string_equal(o.text, observations[0]);
	for (int i = 0; actions[i]; i++) {
		assert_false(e.done);
		environment_step(&e, actions[i], strlen(actions[i]), &o);
		assert_string_equal(o.text, observations[i + 1]);
	}
	return e.done ? e.reward : -1;
}

static void the_texts_of_a_corridor_are_as_documented(void **state)
{
	(void)state;
	struct arena a = {0};
	const char  *straight[] = {"k", "b", "c", NULL},
	           *straight_seen[] = {"<2b c:abc>", "<+>", "<-:fac>", ""};
	const char *round_about[] = {"b", "c", "r", "k", "k", "a", "b",
	                             "r", "b", "f", "r", "c", NULL},
	           *round_about_seen[] = {"<2b c:abc>", "<-:fac>", "<!>", "<c:abc>", "<+>",
	                                  "<!>",        "<.>",     "<!>", "<-:abc>", "<-:fac>",
	                                  "<.>",        "<-:fac>", ""};

	assert_close(play_nav(straight, straight_seen, &a), 1, 0);
	assert_close(play_nav(round_about, round_about_seen, &a), 1, 0);
	arena_free(&a);
}

static void make(const char *name, int level, uint32_t index, struct arena *a, struct problem *p)
{
	const struct generator *g;

	assert_ok(generator_find(name, &g));
	assert_ok(generator_make(
	        g, &(struct generator_request){.level = level, .seed = 7, .index = index}, a, p));
}

static void pieces_of_an_episode_are_its_actions_and_observations(void **state)
{
	(void)state;
	struct arena a = {0};

	for (int i = 0; i < 3; i++) {
		struct problem            p;
		struct environment        e;
		struct environment_piece *pieces;
		int                       n;
		size_t                    at = 0;
		const char               *text;
		make(environment_at(i)->name, 4, 5, &a, &p);
		text = p.demonstrations[0];
		assert_true(environment_has(&p));
		assert_ok(environment_open(&p, &a, &e));
		assert_ok(environment_read(&e, text, strlen(text), &a, &pieces, &n));
		assert_true(e.done);
		assert_int_equal(n, 2 * e.turns - 1);
		for (int j = 0; j < n; j++) {
			assert_int_equal(pieces[j].first, at);
			assert_int_equal(pieces[j].observation, j % 2);
			assert_int_equal(text[at] == '<', j % 2);
			at += pieces[j].n;
			assert_int_equal(text[at - 1], j % 2 ? '>' : '\n');
		}
		assert_int_equal(at, strlen(text));
	}
	arena_free(&a);
}

static double verify(const struct problem *p, const char *text, size_t n)
{
	const char        *name = "environment";
	struct reward_spec spec;
	struct verdict     v;

	assert_ok(verifier_open(&spec, &name, NULL, 1, NULL));
	assert_ok(verifier_check(&spec, p));
	assert_ok(verifier_score(&spec, p,
	                         &(struct completion){.text = text, .n = n, .finished = 1}, &v));
	verifier_close(&spec);
	return v.reward;
}

/* Whoever writes its own observations is found out: what follows them does not count. */
static void invented_observations_earn_nothing(void **state)
{
	(void)state;
	struct arena   a = {0};
	struct problem p;
	char           text[512];

	make("nav", 3, 2, &a, &p);
	snprintf(text, sizeof text, "%s", p.demonstrations[0]);
	assert_close(verify(&p, text, strlen(text)), 1, 0);
	strchr(text, '+')[0] = '-';
	assert_close(verify(&p, text, strlen(text)), 0, 0);
	assert_close(verify(&p, text, 0), 0, 0);
	/* the last action has not ended */
	assert_close(verify(&p, p.demonstrations[0], strlen(p.demonstrations[0]) - 1), 0, 0);
	snprintf(text, sizeof text, "%sx\n<k>", p.demonstrations[0]);
	assert_close(verify(&p, text, strlen(text)), 1, 0); /* nothing counts behind the end */
	arena_free(&a);
}

static void a_purchase_is_worth_the_share_of_the_wishes_it_meets(void **state)
{
	(void)state;
	struct arena a = {0};
	int          count[5] = {0};

	for (uint32_t index = 0; index < SEEDS; index++) {
		struct problem p;
		char           text[64];
		double         reward;
		make("shop", 4, index, &a, &p); /* colour, material, price, size: quarters */
		const char *seen = strchr(p.demonstrations[0], '<'), *end = strchr(seen, '>');
		int         n = snprintf(text, sizeof text, "s%.2s\n%.*s", p.prompt + 1,
		                         (int)(end + 1 - seen), seen);
		struct environment e;
		struct observation o;
		char               look[3] = {'i', seen[1], 0};
		assert_ok(environment_open(&p, &a, &e));
		environment_step(&e, text, 3, &o);
		assert_memory_equal(o.text, seen, o.n);
		environment_step(&e, look, 2, &o);
		snprintf(text + n, sizeof text - (size_t)n, "%s\n%sy\n", look, o.text);
		reward = verify(&p, text, strlen(text));
		assert_close(reward * 4, floor(reward * 4), 0);
		assert_true(reward < 1); /* no size was chosen */
		count[(int)(reward * 4)]++;
	}
	assert_true(count[1] > 10 && count[2] > 10 && count[3] > 10);
	arena_free(&a);
}

static int says(struct environment *e, const char *action, const char *answer)
{
	struct observation o;

	environment_step(e, action, strlen(action), &o);
	return !strcmp(o.text, answer);
}

/* A corridor by its doors alone, an object taken from the first place looked at, an article bought
 * unseen: none of that is possible without the hint. */
static void a_hint_spares_the_search(void **state)
{
	(void)state;
	const struct environment_kind *kind;
	struct arena                   a = {0};

	for (int i = 0; (kind = environment_at(i)); i++)
		for (int level = kind->level_min; level <= kind->level_max; level++)
			for (uint32_t index = 0; index < 50; index++) {
				struct environment e;
				struct observation seen = {.n = 0};
				char               hint[ACTION_MAX], action[ACTION_MAX] = "";
				open_level(kind, level, index, &a, &e);
				kind->look(e.state, &seen);
				kind->hint(e.state, hint);
				e.turns_max = 200;
				if (kind == &environment_nav) {
					assert_int_equal(strlen(hint), level);
					for (int room = 0; room < level; room++) {
						says(&e, "k", "<+>");
						action[0] = hint[room];
						says(&e, action, "");
					}
					assert_close(e.reward, 1, 0);
				} else if (kind == &environment_household) {
					const char room[] = {'g', (char)('A' + (hint[0] - '1') / 2),
					                     0},
					           look[] = {'o', hint[0], 0};
					const char take[] = {'t', seen.text[2], 0};
					says(&e, room, "");
					says(&e, look, "");
					assert_true(says(&e, take, "<+>"));
				} else {
					const char item[] = {'i', hint[0], 0},
					           size[] = {seen.text[strlen(seen.text) - 2], 0};
					for (says(&e, (char[]){'s', seen.text[1], seen.text[2], 0},
					          "");
					     says(&e, item, "<!>");)
						says(&e, "n", "");
					says(&e, size, "<+>");
					says(&e, "y", "");
					assert_close(e.reward, 1, 0);
				}
			}
	arena_free(&a);
}

static void rows_that_name_no_environment_are_refused(void **state)
{
	(void)state;
	struct arena       a = {0};
	struct environment e;
	struct problem     p = {.id = "x"};

#define ROW(text) (p.row = (text), &p)
	assert_false(environment_has(ROW("{}")));
	assert_error(environment_open(ROW("{}"), &a, &e), ERR_INPUT, "no column \"environment\"");
	assert_error(environment_open(ROW("{\"environment\": 3}"), &a, &e), ERR_INPUT,
	             "no column \"environment\"");
	assert_error(environment_open(ROW("{\"environment\": {\"kind\": \"maze\", \"level\": 1, "
	                                  "\"seed\": 1, \"index\": 1}}"),
	                              &a, &e),
	             ERR_INPUT, "no environment \"maze\"");
	assert_error(environment_open(ROW("{\"environment\": {\"kind\": \"nav\", \"level\": 13, "
	                                  "\"seed\": 1, \"index\": 1}}"),
	                              &a, &e),
	             ERR_INPUT, "levels 1 to 12");
	assert_error(environment_open(ROW("{\"environment\": {\"kind\": \"nav\", \"level\": 1, "
	                                  "\"seed\": 1, \"index\": -1}}"),
	                              &a, &e),
	             ERR_INPUT, "index");
	assert_error(environment_open(ROW("{\"environment\": {\"kind\": \"nav\"}}"), &a, &e),
	             ERR_INPUT, "level");
	arena_free(&a);
}

TEST_MAIN(TEST(the_oracle_wins_everywhere_within_its_turns),
          TEST(the_oracle_goes_on_from_wherever_one_strayed),
          TEST(hostile_actions_get_an_observation_that_says_so),
          TEST(every_short_action_is_answered), TEST(turns_run_out_without_reward),
          TEST(the_texts_of_a_corridor_are_as_documented),
          TEST(pieces_of_an_episode_are_its_actions_and_observations),
          TEST(invented_observations_earn_nothing),
          TEST(a_purchase_is_worth_the_share_of_the_wishes_it_meets),
          TEST(a_hint_spares_the_search), TEST(rows_that_name_no_environment_are_refused))
