#include "rl/job_config.h"
#include "run/config_yaml.h"
#include "run/schema.h"
#include "run/value.h"
#include "walk.h"

#include <unistd.h>

static int parse(const char *text, const char *override, struct job_config *out)
{
	return job_config_parse("test.yaml", text, strlen(text), &override, override != NULL, out);
}

static char *resolved(const struct job_config *c)
{
	struct text t = {0};

	assert_ok(config_resolved(&c->base, &t));
	return t.data;
}

static void every_option_has_help_a_valid_default_and_a_line_in_the_documents(void **state)
{
	(void)state;
	const struct option *o;
	struct text          markdown = {0}, help = {0};
	struct job_config    c;

	options_markdown(&job_schema, &markdown);
	options_help(&job_schema, &help, NULL);
	assert_ok(parse("", NULL, &c));
	for (int i = 0; (o = schema_at(&job_schema, i)); i++) {
		char code[128];
		snprintf(code, sizeof code, "| `%s` |", o->path);
		assert_non_null(strstr(markdown.data, code));
		assert_non_null(strstr(help.data, o->path));
		assert_true(strlen(o->help) > 4);
		assert_int_equal(schema_find(&job_schema, o->path), i);
	}
	assert_non_null(strstr(markdown.data, "| `task.rewards[].weight` |"));
	assert_true(strlen(markdown.data) > 5000);
	text_free(&markdown);
	text_free(&help);
	config_free(&c.base);
}

/* "a|b" names values that the option can have. */
static int words_exist(const struct option *o, const char *words)
{
	for (size_t n; option_word(o, 0) && *words; words += n + (words[n] == '|')) {
		const char *word;
		int         i = 0;
		n = strcspn(words, "|");
		while ((word = option_word(o, i)) && (strlen(word) != n || strncmp(word, words, n)))
			i++;
		if (!word)
			return 0;
	}
	return 1;
}

static void every_condition_names_options_and_words_that_exist(void **state)
{
	(void)state;
	const struct option *o;

	for (int i = 0; (o = schema_at(&job_schema, i)); i++) {
		char              copy[256], *comparison = copy, *next;
		const char *const separators[] = {" and ", " or "};
		snprintf(copy, sizeof copy, "%s", o->when ? o->when : "");
		for (int k = 0; k < 2; k++)
			for (char *at; (at = strstr(copy, separators[k]));)
				memset(at, '\n', strlen(separators[k]));
		for (; *comparison; comparison = next + strspn(next, "\n")) {
			char *equals = strchr(comparison, '=');
			next = comparison + strcspn(comparison, "\n");
			if (*next)
				*next++ = 0;
			assert_non_null(equals);
			*equals = 0;
			equals[-1] = equals[-1] == '!' ? 0 : equals[-1];
			if (strcmp(comparison, "task.verifiers") &&
			    schema_find(&job_schema, comparison) < 0)
				fail_msg("%s: its condition names %s, which is no option", o->path,
				         comparison);
			if (schema_find(&job_schema, comparison) >= 0 &&
			    !words_exist(
			            schema_at(&job_schema, schema_find(&job_schema, comparison)),
			            equals + 1))
				fail_msg("%s: %s is never %s", o->path, comparison, equals + 1);
		}
	}
}

static const char *value_in_test(void *context, const char *path)
{
	static const char *const values[][2] = {{"loss.beta", "0"},
	                                        {"loss.clip", "hard"},
	                                        {"data.chat", NULL},
	                                        {"run.seed", "1|2"}};

	(void)context;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		if (!strcmp(values[i][0], path))
			return values[i][1];
	fail_msg("%s was asked for", path);
	return NULL;
}

static void a_condition_is_an_or_of_ands(void **state)
{
	(void)state;
	static const struct {
		const char *when;
		int         holds;
	} cases[] = {
	        {NULL, 1},
	        {"loss.beta=0", 1},
	        {"loss.beta!=0", 0},
	        {"loss.clip=soft|hard", 1},
	        {"loss.clip!=soft|hard", 0},
	        {"run.seed=2|3", 1},
	        {"data.chat=never", 1}, /* unset: not decided yet */
	        {"loss.beta=0 and loss.clip=hard", 1},
	        {"loss.beta=0 and loss.clip=soft", 0},
	        {"loss.beta=1 and loss.clip=hard", 0},
	        {"loss.beta=1 or loss.clip=hard", 1},
	        {"loss.beta=0 or loss.clip=soft", 1},
	        {"loss.beta=1 or loss.clip=soft", 0},
	        {"loss.beta=1 and loss.clip=hard or run.seed=1", 1},
	        {"run.seed=1 or loss.beta=1 and loss.clip=hard", 1},
	        {"run.seed=3 or loss.beta=0 and loss.clip=soft", 0},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (schema_when_holds(&job_schema, cases[i].when, value_in_test, NULL) !=
		    cases[i].holds)
			fail_msg("%s: not %d", cases[i].when, cases[i].holds);
}

/* Calls f with each option, those of lists' rows too: data.train[].file. */
static void each_option(void (*f)(const char *path, const struct option *o))
{
	const struct option *o;

	for (int i = 0; (o = schema_at(&job_schema, i)); i++) {
		f(o->path, o);
		for (int k = 0; o->rows && k < o->rows->n; k++) {
			char path[128];
			snprintf(path, sizeof path, "%s[].%s", o->path, o->rows->options[k].path);
			f(path, &o->rows->options[k]);
		}
	}
}

static void has_row(const char *path, const struct option *o)
{
	(void)o;
	if (!walk_row_of(path))
		fail_msg("%s: say in tests/walk.h how it is set to another value, and beside what",
		         path);
}

static void every_option_has_a_row(void **state)
{
	(void)state;
	each_option(has_row);
}

static void options_help_of_a_room_shows_that_room_alone(void **state)
{
	(void)state;
	struct text t = {0};

	options_help(&job_schema, &t, "optim");
	assert_non_null(strstr(t.data, "optim.learning_rate"));
	assert_null(strstr(t.data, "rollout."));
	text_free(&t);
}

static void values_reach_their_fields(void **state)
{
	(void)state;
	struct job_config c;

	assert_ok(parse("model:\n  init: {width: 64, rope_theta: 5e5, tied: false}\n"
	                "data:\n  train: [a.jsonl, \"b c.jsonl\"]\n  eval: {file: one.jsonl, name: "
	                "held, prompt_template: \"Q: {prompt}\"}\n"
	                "  generate:\n    - {name: countdown, levels: 2-4, count: 50}\n    - name: "
	                "addition\n"
	                "task:\n  rewards:\n    - {name: numeric, weight: .5}\n    - {name: "
	                "format}\n  verifier: {tags: \"think,answer\"}\n"
	                "algorithm: dapo\nloss: {epsilon_high: 0.28}\n"
	                "rollout: {stop: \"\\n\", top_k: -1}\n",
	                NULL, &c));
	assert_int_equal(c.model.init.width, 64);
	assert_int_equal(c.model.init.tied, 0);
	assert_close(c.model.init.rope_theta, 5e5, 0);
	assert_int_equal(c.data.train.n, 2);
	assert_string_equal(c.data.train.items[1].file, "b c.jsonl");
	assert_string_equal(c.data.train.items[1].category, "");
	assert_string_equal(c.data.eval.items[0].name, "held");
	assert_string_equal(c.data.eval.items[0].prompt_template, "Q: {prompt}");
	assert_int_equal(c.data.eval.n, 1);
	assert_int_equal(c.data.generate.n, 2);
	assert_string_equal(c.data.generate.items[0].name, "countdown");
	assert_int_equal(c.data.generate.items[0].levels.high, 4);
	assert_int_equal(c.data.generate.items[1].count, 1000);
	assert_close(c.task.rewards.items[0].weight, 0.5, 0);
	assert_string_equal(c.task.verifier.tags, "think,answer");
	assert_close(c.task.rewards.items[1].weight, 1, 0);
	assert_string_equal(c.algorithm, "dapo");
	assert_close(c.loss.epsilon_high, 0.28, 0);
	assert_string_equal(c.rollout.stop.items[0], "\n");
	assert_string_equal(c.run.output_dir, "runs/test");
	config_free(&c.base);
}

static void an_unset_option_can_be_told_from_one_set_to_zero(void **state)
{
	(void)state;
	struct job_config c;

	assert_ok(parse("loss: {epsilon: 0, beta: }", NULL, &c));
	assert_true(config_is_set(&c.base, "loss.epsilon"));
	assert_false(config_is_set(&c.base, "loss.beta"));
	assert_false(config_is_set(&c.base, "loss.epsilon_high"));
	assert_true(c.loss.epsilon_high == 0);
	assert_string_equal(config_where(&c.base, "loss.epsilon"), "test.yaml:1");
	config_free(&c.base);
}

/* What a resolved config lists may cease to be read by what stands beside it; what a user wrote may
 * not. */
static void a_resolved_config_gives_way_where_it_is_overridden(void **state)
{
	(void)state;
	const char *text = "data: {eval: a}\nrun: {eval_top_p: 0.5}",
	           *greedy = "run.eval_temperature=0";
	struct job_config c;
	char             *one;

	assert_error(parse(text, greedy, &c), ERR_INPUT, "run.eval_top_p is set, but");
	assert_ok(parse(text, NULL, &c));
	one = resolved(&c);
	config_free(&c.base);
	assert_ok(parse(one, greedy, &c));
	assert_false(config_is_set(&c.base, "run.eval_top_p"));
	assert_true(config_is_set(&c.base, "run.eval_samples"));
	mem_free(one);
	config_free(&c.base);
}

static void an_algorithm_lays_its_defaults_under_what_the_user_wrote(void **state)
{
	(void)state;
	struct job_config c;

	assert_ok(parse("loss: {epsilon: 0.1, dynamic_sampling_max_batches: 7}", NULL, &c));
	assert_ok(config_set_if_unset(&c.base, "algorithm grpo", "loss.epsilon", "0.2"));
	assert_ok(config_set_if_unset(&c.base, "algorithm grpo", "loss.epsilon_high", "0.3"));
	assert_close(c.loss.epsilon, 0.1, 0);
	assert_close(c.loss.epsilon_high, 0.3, 0);
	assert_ok(config_set_if_unset(&c.base, "algorithm grpo", "loss.beta", "0.04"));
	assert_ok(config_check(&c.base));
	assert_ok(config_set_if_unset(&c.base, "algorithm grpo", "loss.dynamic_sampling", "false"));
	assert_error(
	        config_check(&c.base), ERR_INPUT,
	        "test.yaml:1: loss.dynamic_sampling_max_batches is set, but it is read only when");
	config_free(&c.base);
}

static void a_default_that_nothing_would_read_is_not_laid_down(void **state)
{
	(void)state;
	struct job_config c;

	assert_ok(parse("loss: {beta: 0}", NULL, &c));
	assert_ok(config_set_if_unset(&c.base, "algorithm grpo", "model.reference", "folder"));
	assert_false(config_is_set(&c.base, "model.reference"));
	assert_ok(config_check(&c.base));
	config_free(&c.base);
}

static void the_name_of_trl_for_masking_becomes_the_policy(void **state)
{
	(void)state;
	struct job_config c;

	assert_ok(parse("loss: {mask_truncated_completions: true}", NULL, &c));
	assert_int_equal(c.loss.overlong, OVERLONG_MASK);
	assert_false(config_is_set(&c.base, "loss.mask_truncated_completions"));
	config_free(&c.base);
}

static const char *const valid[] = {
        "",
        "# only a comment\n",
        "algorithm: dapo\nloss:\n  epsilon: 0.2\n  overlong: shape\n  overlong_buffer: 12\n",
        "model: {path: weights/x, tokenizer: \"chars:0123456789+= \\n\"}\n",
        "rollout:\n  stop: [\"\\n\\n\", \"a: b\", \"#x\", \"- y\", yes, \"null\", \"1e5\", "
        "\"\\u2028\\u0085\\x7f\\uFEFF\", "
        "\"\xC3\xA9\xF0\x9F\x99\x82\"]\n",
        "task:\n  rewards:\n  - {name: length, weight: -1e-3}\n  - {name: format}\n  verifier:\n   "
        " pattern: '^<a>.*\\\\d \"x\"$'\n    "
        "length: 3-9\n",
        "task: {reward: exact, eval_reward: numeric}\noptim: {warmup_ratio: 0.1, "
        "lr_scheduler_type: cosine_with_min_lr, min_lr_rate: "
        "0.1}\n",
        "data: {train: [a.jsonl, {file: b.jsonl, category: x, prompt_template: \"{prompt}\\n\"}], "
        "eval: [{file: c.jsonl, name: c}, "
        "\"true\"]}\n",
        "data:\n  generate: {name: countdown, levels: \"3\"}\n  train: a.jsonl\n  prompt_template: "
        "|\n    Q: {prompt}\n    A:\n",
        "loss: {mask_truncated_completions: true, dynamic_sampling: true, "
        "dynamic_sampling_max_batches: 3}\n",
        "run: {seed: 2147483647, max_steps: 0}\noptim: {learning_rate: 0.1234567890123456789}\n",
};

static void a_resolved_config_reads_back_as_itself(void **state)
{
	(void)state;

	for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++) {
		struct job_config c, again;
		struct text       diff = {0};
		char             *one, *two;
		assert_ok(parse(valid[i], NULL, &c));
		one = resolved(&c);
		assert_ok(parse(one, NULL, &again));
		two = resolved(&again);
		assert_string_equal(one, two);
		assert_int_equal(config_differences(&c.base, &again.base, &diff), 0);
		mem_free(one);
		mem_free(two);
		config_free(&c.base);
		config_free(&again.base);
	}
}

/* Every byte sequence that is UTF-8 without NUL must survive; here all code points of two pages and
 * some of each further one. */
static void every_character_survives_the_resolved_config(void **state)
{
	(void)state;
	struct text       override = {0};
	struct job_config c, again;
	char             *text;

	text_print(&override, "data.prompt_template={prompt}");
	for (unsigned p = 1; p < 0x110000; p += p < 0x3000    ? 1
	                                        : p < 0xFFF0  ? 97
	                                        : p < 0x10010 ? 1
	                                                      : 4099) {
		char s[5] = {0};
		if (p >= 0xD800 && p < 0xE000)
			continue;
		if (p < 0x80)
			s[0] = (char)p;
		else if (p < 0x800)
			s[0] = (char)(0xC0 | p >> 6), s[1] = (char)(0x80 | (p & 63));
		else if (p < 0x10000)
			s[0] = (char)(0xE0 | p >> 12), s[1] = (char)(0x80 | (p >> 6 & 63)),
			s[2] = (char)(0x80 | (p & 63));
		else
			s[0] = (char)(0xF0 | p >> 18), s[1] = (char)(0x80 | (p >> 12 & 63)),
			s[2] = (char)(0x80 | (p >> 6 & 63)), s[3] = (char)(0x80 | (p & 63));
		text_add(&override, s, strlen(s));
	}
	assert_ok(parse("data: {train: a.jsonl}", override.data, &c));
	text = resolved(&c);
	assert_ok(parse(text, NULL, &again));
	assert_string_equal(c.data.prompt_template, again.data.prompt_template);
	assert_string_equal(c.data.prompt_template,
	                    override.data + strlen("data.prompt_template="));
	mem_free(text);
	text_free(&override);
	config_free(&c.base);
	config_free(&again.base);
}

static void later_settings_win_and_lists_are_replaced_whole(void **state)
{
	(void)state;
	struct job_config c;
	const char *const text = "optim: {learning_rate: 1}\nrollout: {stop: [c]}\n";
	const char *const overrides[] = {"optim.learning_rate=3e-4", "rollout.stop=[a, \"b\\n\"]",
	                                 "data.train=x y.jsonl", "optim.learning_rate=2e-4",
	                                 "data.prompt_template={prompt} = ?"};

	assert_ok(job_config_parse("t.yaml", text, strlen(text), overrides, 5, &c));
	assert_close(c.optim.schedule.learning_rate, 2e-4, 0);
	assert_int_equal(c.rollout.stop.n, 2);
	assert_string_equal(c.rollout.stop.items[1], "b\n");
	assert_string_equal(c.data.train.items[0].file, "x y.jsonl");
	assert_string_equal(c.data.prompt_template, "{prompt} = ?");
	assert_string_equal(config_where(&c.base, "optim.learning_rate"), "command line");
	config_free(&c.base);
}

/* ---- files ---- */

static char folder[64];

static const char *put(const char *name, const char *text)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	assert_ok(file_write(path, text, strlen(text)));
	return path;
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/hone-test-config-%d", (int)getpid());
	return file_make_folders(folder);
}

static int remove_folder(void **state)
{
	(void)state;
	return file_remove_folder(folder);
}

static void a_file_inherits_from_the_one_it_extends(void **state)
{
	(void)state;
	struct job_config c;
	const char       *override = "rollout.top_p=0.9";

	put("base.yaml", "rollout: {temperature: 0.7, top_p: 0.5, top_k: 3}\nrun: {seed: 4}\n");
	put("middle.yaml", "extends: base.yaml\nrollout: {top_k: 5}\n");
	assert_ok(job_config_load(
	        put("leaf.yaml", "rollout: {temperature: 0.9}\nextends: middle.yaml\n"), &override,
	        1, &c));
	assert_close(c.rollout.temperature, 0.9, 0);
	assert_close(c.rollout.top_p, 0.9, 0);
	assert_int_equal(c.rollout.top_k, 5);
	assert_int_equal(c.run.seed, 4);
	assert_string_equal(c.run.output_dir, "runs/leaf");
	assert_non_null(strstr(config_where(&c.base, "run.seed"), "base.yaml:2"));
	config_free(&c.base);
	assert_ok(job_config_load(put("qwen2.5-0.5b.yaml", "extends: leaf.yaml\n"), NULL, 0, &c));
	assert_string_equal(c.run.output_dir, "runs/qwen2.5-0.5b"); /* only the ending goes */
	config_free(&c.base);
}

static void extends_that_cannot_work_says_who_extends_whom(void **state)
{
	(void)state;
	struct job_config c;

	put("one.yaml", "extends: two.yaml\n");
	put("two.yaml", "run: {seed: 1}\nextends: one.yaml\n");
	assert_error(job_config_load(put("in.yaml", "extends: one.yaml\n"), NULL, 0, &c), ERR_INPUT,
	             "two.yaml:2: extends goes in a circle");
	assert_error(job_config_load(put("self.yaml", "extends: self.yaml\n"), NULL, 0, &c),
	             ERR_INPUT, "self.yaml:1: extends goes in a circle");
	assert_error(job_config_load(put("lost.yaml", "\n\nextends: nowhere.yaml\n"), NULL, 0, &c),
	             ERR_INPUT, "lost.yaml:3: extends: ");
	assert_error(job_config_load(put("list.yaml", "extends: [a]\n"), NULL, 0, &c), ERR_INPUT,
	             "list.yaml:1: extends must name one file");
	put("bad.yaml", "run: {sed: 1}\n");
	assert_error(job_config_load(put("use.yaml", "extends: bad.yaml\n"), NULL, 0, &c),
	             ERR_INPUT, "bad.yaml:1: run.sed is not an option");
	for (int i = 0; i <= CONFIG_EXTENDS_MAX; i++) {
		char name[32], text[64];
		snprintf(name, sizeof name, "chain%d.yaml", i);
		snprintf(text, sizeof text, i ? "extends: chain%d.yaml\n" : "run: {seed: %d}\n",
		         i ? i - 1 : 1);
		put(name, text);
	}
	assert_error(job_config_load(put("top.yaml", "extends: chain8.yaml\n"), NULL, 0, &c),
	             ERR_INPUT, "more than 8 files");
	assert_ok(job_config_load(put("top.yaml", "extends: chain6.yaml\n"), NULL, 0, &c));
	config_free(&c.base);
	assert_error(job_config_load("/nonexistent.yaml", NULL, 0, &c), ERR_INPUT,
	             "/nonexistent.yaml: cannot open it");
	assert_error(job_config_load("/tmp", NULL, 0, &c), ERR_INPUT, "not a regular file");
}

/* ---- mistakes ---- */

static const struct {
	const char *text, *override, *message;
} mistakes[] = {
        /* unknown keys */
        {"loss: {epsilonn: 0.2}", 0,
         "test.yaml:1: loss.epsilonn is not an option; did you mean loss.epsilon?"},
        {"run: {seed: 1}\n\nlearning_rate: 1e-3", 0,
         "test.yaml:3: learning_rate is not an option; did you mean optim.learning_rate?"},
        {"rollout:\n  num_generation: 4", 0,
         "test.yaml:2: rollout.num_generation is not an option; did you mean "
         "rollout.num_generations?"},
        {"optim: {num_generations: 4}", 0,
         "optim.num_generations is not an option; there is rollout.num_generations"},
        {"xyzzy: 4", 0, "test.yaml:1: xyzzy is not an option; see docs/options.md"},
        {"task: {rewards: [{nam: exact}]}", 0,
         "test.yaml:1: task.rewards[0].nam is not an option; did you mean name?"},
        {"", "loss.betaa=1", "command line: loss.betaa is not an option; did you mean loss.beta?"},
        {"<<: 3", 0, "<< is not an option"},
        /* shape */
        {"loss: 3", 0, "test.yaml:1: loss is a single value, but must be a map of options"},
        {"loss: [1]", 0, "loss is a list, but must be a map"},
        {"loss.epsilon: 0.2", 0, "test.yaml:1: write loss.epsilon as maps inside one another"},
        {"[a, b]", 0, "the file holds a list"},
        {"hello", 0, "the file holds a single value"},
        {"optim: {learning_rate: [1]}", 0,
         "optim.learning_rate is a list, but must be a single value"},
        {"optim: {learning_rate: {a: 1}}", 0,
         "optim.learning_rate is a map, but must be a single value"},
        {"data: {train: {a: b}}", 0, "test.yaml:1: data.train[0].a is not an option"},
        {"data: {train: [a, [b]]}", 0, "data.train is a list, but must be a list of texts or maps"},
        {"data:\n  train:\n    - a\n    - \"\"", 0,
         "test.yaml:4: data.train[1].file must not be empty"},
        {"task: {rewards: [exact]}", 0,
         "task.rewards is a single value, but must be a list of maps"},
        {"data: {train: [{name: a}]}", 0, "test.yaml:1: data.train[0].file is missing"},
        {"data: {train: [{file: a, catgory: b}]}", 0,
         "data.train[0].catgory is not an option; did you mean category?"},
        {"rollout: {stop: [\"\"]}", 0, "rollout.stop: entry 1 is empty"},
        {"task:\n  rewards:\n    - name: exact\n    - weight: 2", 0,
         "test.yaml:4: task.rewards[1].name is missing"},
        /* YAML */
        {"run: {seed: 1, seed: 2}", 0, "test.yaml:1: the key seed stands here for the second time"},
        {"run: &a {seed: 1}", 0, "anchors"},
        {"run: *a", 0, "aliases"},
        {"run: {seed: !!int 1}", 0, "tags"},
        {"run: !x {seed: 1}", 0, "tags"},
        {"run: {seed: 1}\n---\nrun: {seed: 2}", 0, "test.yaml:2: a second document"},
        {"run: {seed: 1", 0, "test.yaml:2: not valid YAML"},
        {"run:\n\tseed: 1", 0, "test.yaml:2: not valid YAML"},
        {"run: {output_dir: \"a\\0b\"}", 0, "NUL byte"},
        {"run: {output_dir: \"\xff\"}", 0, "not UTF-8"},
        {"? [a]\n: b", 0, "a key must be a text"},
        {"a: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", 0, "nested deeper than 16"},
        /* types */
        {"run: {seed: 1.5}", 0, "run.seed is 1.5, but must be an integer"},
        {"run: {seed: 010}", 0, "run.seed is 010, but must be an integer"},
        {"run: {seed: 0x10}", 0, "run.seed is 0x10, but must be an integer"},
        {"run: {seed: \"1\"}", 0, "run.seed is \"1\", but must be an integer"},
        {"run: {seed: }", 0, "run.seed is empty, but must be an integer"},
        {"run: {seed: null}", 0, "run.seed is null, but must be an integer"},
        {"run: {seed: 1 2}", 0, "run.seed is 1 2, but must be an integer"},
        {"run: {seed: 99999999999999999999}", 0,
         "run.seed is 99999999999999999999, outside 0 .. 2147483647"},
        {"optim: {learning_rate: fast}", 0, "optim.learning_rate is fast, but must be a number"},
        {"optim: {learning_rate: .nan}", 0, "optim.learning_rate is .nan, but must be a number"},
        {"optim: {learning_rate: 1:30}", 0, "optim.learning_rate is 1:30, but must be a number"},
        {"optim: {learning_rate: 1e999}", 0, "optim.learning_rate is 1e999, outside"},
        {"optim:\n  learning_rate: 1,5", 0, "optim.learning_rate is 1,5, but must be a number"},
        {"run: {tensorboard: yes}", 0, "run.tensorboard is yes, but must be true or false"},
        {"run: {tensorboard: 1}", 0, "run.tensorboard is 1, but must be true or false"},
        {"data: {generate: {name: a, levels: 3-1}}", 0,
         "data.generate[0].levels is 3-1, but must be an integer or a range"},
        {"data: {generate: {name: a, levels: 1-}}", 0,
         "data.generate[0].levels is 1-, but must be"},
        /* bounds and choices */
        {"rollout: {temperature: -1}", 0, "rollout.temperature is -1, outside 0 .. 100"},
        {"rollout: {temperature: 1e-38}", 0,
         "rollout.temperature is 1e-38, too near to 0; write 0, or 0.001 or more"},
        {"optim: {learning_rate: -1e-300}", 0, "optim.learning_rate is -1e-300, outside 0 .. 10"},
        {"optim: {learning_rate: 1e-400}", 0, "optim.learning_rate is 1e-400, too near to 0"},
        {"", "rollout.top_p=0", "command line: rollout.top_p is 0, outside 1e-06 .. 1"},
        {"rollout: {num_generations: 0}", 0, "rollout.num_generations is 0, outside 1 .. 65536"},
        {"", "rollout.top_p=1.01", "command line: rollout.top_p is 1.01, outside 1e-06 .. 1"},
        {"algorithm: ppo2", 0, "algorithm is ppo2, but must be one of reinforce|rloo|"},
        {"algorithm: grp", 0, "algorithm is grp, but must be one of"},
        {"loss: {kl_estimator: k4}", 0, "loss.kl_estimator is k4, but must be one of k1|k2|k3"},
        {"compute: {backend: cuda}", 0,
         "compute.backend is cuda, but must be one of auto|amx|avx512|avx2|openblas|reference"},
        {"data: {prompt_column: \"\"}", 0, "data.prompt_column must not be empty"},
        {"data: {generate: [{name: addition, levels: 1-101}]}", 0,
         "data.generate[0].levels is 1-101, outside 0 .. 100"},
        /* what nothing reads */
        {"credit: {kind: none, clip: 1}", 0, "credit.clip is not an option"},
        {"loss: {beta: 0}\nmodel: {reference: a}", 0,
         "test.yaml:2: model.reference is set, but it is read only when loss.beta!=0"},
        {"model: {path: a, init: {width: 8}}", 0,
         "model.init.width is set, but it is read only when model.path="},
        {"loss:\n  dynamic_sampling: false\n  dynamic_sampling_max_batches: 3", 0,
         "test.yaml:3: loss.dynamic_sampling_max_batches is set, but"},
        {"task: {rewards: [{name: exact}], verifier: {tags: a}}", 0,
         "test.yaml:1: task.verifier.tags is set, but it is read only when task.verifiers=format"},
        {"optim: {min_lr_rate: 0.1}", 0,
         "optim.min_lr_rate is set, but it is read only when optim.lr_scheduler_type="},
        {"", "run.eval_on_start=false",
         "command line: run.eval_on_start is set, but it is read only when run.eval_steps!=0"},
        {"run: {eval_steps: 1}", 0,
         "run.eval_steps is set, but it is read only when data.eval!=[] or data.eval_generate!=[]"},
        {"data: {train: a}\noptim: {warmup_steps: 10}", 0,
         "optim.warmup_steps is set, but it is read only when optim.lr_scheduler_type!="},
        {"data: {generate: {name: addition}, prompt_template: \"{prompt}\"}", 0,
         "data.prompt_template is set, but it is read only when"},
        {"data: {eval: a}\nrun: {eval_temperature: 0, eval_top_p: 0.5}", 0,
         "run.eval_top_p is set, but it is read only when"},
        {"data: {chat: ready, system_prompt: a}", 0,
         "data.system_prompt is set, but it is read only when data.chat!=ready"},
        {"task: {reward: exact, verifier: {tolerance: 1}}", 0,
         "task.verifier.tolerance is set, but it is read only when"},
        {"guidance: {kind: guide, squash: 1, squash_percentile: 0.5}", 0,
         "guidance.squash_percentile is set, but"},
        /* together */
        {"data: {train: a, prompt_template: no place}", 0,
         "test.yaml:1: data.prompt_template is \"no place\", which holds neither {prompt}"},
        {"data: {train: [a, {file: b, prompt_template: \"{ prompt}\"}]}", 0,
         "data.train[1].prompt_template is \"{ prompt}\", which"},
        {"run: {eval_k: 8, eval_samples: 4}\ndata: {eval: a}", 0,
         "run.eval_k (8) must be at most run.eval_samples (4)"},
        {"task: {reward: exact, rewards: [{name: exact}]}", 0,
         "task.rewards stands beside task.reward"},
        {"optim: {lr_scheduler_type: cosine, warmup_steps: 3, warmup_ratio: 0.1}", 0,
         "optim.warmup_ratio stands beside optim.warmup_steps"},
        {"loss: {mask_truncated_completions: true, overlong: keep}", 0, "stands beside"},
        {"model: {init: {n_heads: 4, n_kv_heads: 3}}", 0, "model.init.n_kv_heads (3) must divide"},
        {"model: {init: {head_width: 7}}", 0, "must be even"},
        {"rollout: {max_completion_length: 512}", 0, "leaves no room for a prompt"},
        /* the command line */
        {"", "nonsense", "command line: nonsense is not of the form key.path=value"},
        {"", "=3", "command line: =3 is not of the form"},
        {"", "loss=3", "command line: loss is a room"},
        {"", "rollout.stop=[a", "not valid YAML"},
        {"", "run.seed=", "command line: run.seed is empty"},
        {"", "run.output_dir=\xff", "not UTF-8"},
};

static void a_mistake_is_named_with_file_line_key_and_the_way_out(void **state)
{
	(void)state;

	for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
		struct job_config c;
		if (parse(mistakes[i].text, mistakes[i].override, &c) != ERR_INPUT)
			fail_msg("mistake %zu was accepted: %s %s", i, mistakes[i].text,
			         mistakes[i].override ? mistakes[i].override : "");
		if (!strstr(error_message(), mistakes[i].message))
			fail_msg("mistake %zu says \"%s\", expected \"%s\"", i, error_message(),
			         mistakes[i].message);
	}
}

static void a_config_that_is_too_large_is_refused_before_it_is_built(void **state)
{
	(void)state;
	static char       text[YAML_BYTES_MAX + 2];
	struct job_config c;

	memset(text, '#', sizeof text - 1);
	assert_error(parse(text, NULL, &c), ERR_INPUT, "more than the 1048576");
	memset(text, '[', YAML_BYTES_MAX);
	text[YAML_BYTES_MAX] = 0;
	assert_error(parse(text, NULL, &c), ERR_INPUT, "nested deeper");
	for (int i = 0; i < YAML_BYTES_MAX; i++)
		text[i] = i ? "x,"[i % 2 == 0] : '[';
	assert_error(parse(text, NULL, &c), ERR_INPUT, "more than 20000 values");
}

static void what_must_be_given_is_asked_for(void **state)
{
	(void)state;
	const char *const data[] = {"data.train", "data.generate", NULL};
	struct job_config c;

	assert_ok(parse("data: {train: []}", NULL, &c));
	assert_error(config_require(&c.base, data), ERR_INPUT,
	             "test.yaml: data.train or data.generate must be given");
	config_free(&c.base);
	assert_ok(parse("data: {generate: {name: addition}}", NULL, &c));
	assert_ok(config_require(&c.base, data));
	config_free(&c.base);
}

static void only_options_that_decide_the_result_differ_for_a_resumed_run(void **state)
{
	(void)state;
	struct job_config a, b;
	struct text       t = {0};

	assert_ok(parse("run: {seed: 1, max_steps: 10}\nloss: {beta: 0.1}\nmodel: {reference: x}",
	                NULL, &a));
	assert_ok(parse(
	        "run: {seed: 1, max_steps: 20, output_dir: elsewhere}\ncompute: {threads: 3}\n"
	        "model: {reference: x}\nloss: {beta: 0.1}",
	        NULL, &b));
	assert_int_equal(config_differences(&a.base, &b.base, &t), 0);
	config_free(&b.base);
	assert_ok(parse("run: {seed: 2}\nloss: {beta: 0}", NULL, &b));
	assert_int_equal(config_differences(&a.base, &b.base, &t), 4);
	assert_string_equal(
	        t.data,
	        "model.reference: x -> (not read)\nmodel.sync_ref_model: false -> (not read)\n"
	        "loss.beta: 0.1 -> 0\nrun.seed: 1 -> 2\n");
	text_free(&t);
	config_free(&a.base);
	config_free(&b.base);
}

static void a_failed_allocation_is_an_error_and_leaks_nothing(void **state)
{
	(void)state;
	const char *text =
	        "task:\n  rewards:\n  - {name: exact}\nloss: {mask_truncated_completions: true}\n";
	struct job_config c;
	int               failures = 0, status;

	for (int n = 1; n < 100; n++) {
		mem_fail_at(n);
		status = parse(text, NULL, &c);
		mem_fail_at(0);
		assert_true(status == OK || status == ERR_MEMORY);
		if (status == OK)
			config_free(&c.base);
		failures += status != OK;
	}
	assert_true(failures > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(every_option_has_help_a_valid_default_and_a_line_in_the_documents),
	        TEST(every_condition_names_options_and_words_that_exist),
	        TEST(every_option_has_a_row),
	        TEST(a_condition_is_an_or_of_ands),
	        TEST(a_resolved_config_gives_way_where_it_is_overridden),
	        TEST(options_help_of_a_room_shows_that_room_alone),
	        TEST(values_reach_their_fields),
	        TEST(an_unset_option_can_be_told_from_one_set_to_zero),
	        TEST(an_algorithm_lays_its_defaults_under_what_the_user_wrote),
	        TEST(a_default_that_nothing_would_read_is_not_laid_down),
	        TEST(the_name_of_trl_for_masking_becomes_the_policy),
	        TEST(a_resolved_config_reads_back_as_itself),
	        TEST(every_character_survives_the_resolved_config),
	        TEST(later_settings_win_and_lists_are_replaced_whole),
	        TEST(a_file_inherits_from_the_one_it_extends),
	        TEST(extends_that_cannot_work_says_who_extends_whom),
	        TEST(a_mistake_is_named_with_file_line_key_and_the_way_out),
	        TEST(a_config_that_is_too_large_is_refused_before_it_is_built),
	        TEST(what_must_be_given_is_asked_for),
	        TEST(only_options_that_decide_the_result_differ_for_a_resumed_run),
	        TEST(a_failed_allocation_is_an_error_and_leaks_nothing),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
