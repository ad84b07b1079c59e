/* What messages name is there: keys in all texts of the program, and what names of other programs
 * are called here. */
#include "rl/job_config.h"
#include "run/foreign.h"
#include "run/schema.h"
#include "test.h"

#include <ctype.h>
#include <glob.h>

/* ---- keys in texts ---- */

/* Of the option in this row of the schema; NULL past the last. */
static const char *path_of(int row)
{
	const struct option *o = schema_at(&job_schema, row);

	return o ? o->path : NULL;
}

/* How room.key words begin that are no options: files, tensors, and what stands for several
 * options. */
static const char *const others[] = {"data.json",    "model.safetensors", "model.norm",
                                     "model.layers", "task.verifiers",    "model.embed_tokens",
                                     "model.vocab",  "model.merges",      "critic.safetensors"};

static int is_room(const char *word, size_t n)
{
	for (int i = 0; path_of(i); i++)
		if (strchr(path_of(i), '.') && strcspn(path_of(i), ".") == n &&
		    !strncmp(path_of(i), word, n))
			return 1;
	return 0;
}

/* An option, a room within a room (model.init), or an option of a list's rows behind its list. */
static int is_key(const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (!strncmp(others[i], word, strlen(others[i])))
			return 1;
	for (int i = 0; path_of(i); i++)
		if (!strncmp(path_of(i), word, n) && (path_of(i)[n] == 0 || path_of(i)[n] == '.'))
			return 1;
	return 0;
}

static int is_part(char c)
{
	return islower((unsigned char)c) || isdigit((unsigned char)c) || c == '_';
}

/* Counts the room.key words of a text that name no option. */
static int strangers(const char *text, const char *where)
{
	int n = 0;

	for (const char *s = text; *s; s++) {
		char   word[128];
		size_t length = 0;
		if (!islower((unsigned char)*s) ||
		    (s > text && (is_part(s[-1]) || strchr("./-", s[-1]))))
			continue;
		while (is_part(s[length]) || (s[length] == '.' && is_part(s[length + 1])))
			length++;
		snprintf(word, sizeof word, "%.*s", (int)length, s);
		if (strchr(word, '.') && s[length] != '/' && is_room(word, strcspn(word, ".")) &&
		    !is_key(word)) {
			print_error("%s: \"%.60s\" names %s, which is no option\n", where, text,
			            word);
			n++;
		}
		s += length - 1;
	}
	return n;
}

/* The literals of a C file, those that follow one another joined. */
static int strangers_in_file(const char *path)
{
	struct bytes b;
	struct text  literal = {0};
	int          n = 0, joined = 0;

	assert_ok(file_read(path, 1 << 24, &b));
	for (const char *s = b.data, *end = b.data + b.n; s < end; s++) {
		if (s[0] == '/' && s + 1 < end && s[1] == '/')
			s = memchr(s, '\n', (size_t)(end - s));
		else if (s[0] == '/' && s + 1 < end && s[1] == '*')
			s = strstr(s + 2, "*/") + 1;
		else if (s[0] == '\'')
			s += s[1] == '\\' ? 3 : 2;
		else if (s[0] == '"') {
			if (!joined)
				literal.n = 0;
			for (s++; *s != '"'; s++)
				if (*s == '\\')
					text_add(&literal, " ", s++ != NULL);
				else
					text_add(&literal, s, 1);
			joined = 1;
			continue;
		} else if (!isspace((unsigned char)*s) && joined) {
			joined = 0;
			n += literal.data ? strangers(literal.data, path) : 0;
		}
	}
	text_free(&literal);
	bytes_free(&b);
	return n;
}

static void every_key_in_a_text_of_the_program_is_an_option(void **state)
{
	(void)state;
	static const char *const patterns[] = {"src/*/*.c", "src/*/*.h"};
	int                      n = 0, files = 0;

	for (int p = 0; p < 2; p++) {
		glob_t found;
		assert_int_equal(glob(patterns[p], 0, NULL, &found), 0);
		for (size_t i = 0; i < found.gl_pathc; i++, files++)
			/* whose names are others': see below */
			if (!strstr(found.gl_pathv[i], "foreign.c"))
				n += strangers_in_file(found.gl_pathv[i]);
		globfree(&found);
	}
	assert_true(files > 200);
	assert_int_equal(n, 0);
	assert_int_equal(
	        strangers("set run.max_stepz, or data.train[0].file, runs/data.x, model.init",
	                  "here"),
	        1);
	assert_int_equal(strangers("loss.beta: loss.gama", "here"), 1);
}

/* ---- names of others ---- */

static void what_a_name_of_another_program_is_called_here_exists(void **state)
{
	(void)state;
	int n = 0;

	assert_true(foreign_n >= 60);
	for (int i = 0; i < foreign_n; i++) {
		const struct foreign *f = &foreign[i];
		if (f->key && schema_find(&job_schema, f->key) < 0)
			fail_msg("%s becomes %s, which is no option", f->name, f->key);
		if (!f->key && !f->text)
			fail_msg("%s becomes nothing, and nothing is said", f->name);
		n += f->text ? strangers(f->text, f->name) : 0;
		if (foreign_find(f->name) != f)
			fail_msg("%s stands in the table twice", f->name);
		assert_true(f->from > 0 && f->from < 16);
	}
	assert_int_equal(n, 0);
}

/* Said wherever the name stands: at the top, in a room of ours, on the command line. A name that is
 * ours too is near itself. */
static void a_name_of_another_program_is_answered_with_ours(void **state)
{
	(void)state;
	for (int i = 0; i < foreign_n; i++) {
		const struct foreign *f = &foreign[i];
		char                  text[256], says[128];
		const char           *override = text;
		struct job_config     c;
		if (schema_find(&job_schema, f->name) >= 0)
			continue;
		snprintf(text, sizeof text, "%s=1", f->name);
		snprintf(says, sizeof says, "%s", f->key ? f->key : f->text);
		assert_error(job_config_parse("t.yaml", "", 0, &override, 1, &c), ERR_INPUT, says);
		if (strchr(f->name, '.'))
			continue;
		snprintf(text, sizeof text, "\n%s: {a: 1}\n", f->name);
		assert_error(job_config_parse("t.yaml", text, strlen(text), NULL, 0, &c), ERR_INPUT,
		             says);
		assert_non_null(strstr(error_message(), "t.yaml:2: "));
	}
}

static void configs_of_others_are_answered_at_the_first_name_that_is_known(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} cases[] = {
	        {"actor_rollout_ref:\n  model:\n    x: 1\n  rollout:\n    n: 4\n",
	         "t.yaml:5: actor_rollout_ref.rollout.n is not an option; rollout.n is "
	         "a name of verl; here it is rollout.num_generations"},
	        {"algorithm:\n  adv_estimator: grpo\n",
	         "t.yaml:2: algorithm.adv_estimator is not an option; adv_estimator is a name of "
	         "verl; here it "
	         "is algorithm"},
	        {"algorithm: {name: grpo}",
	         "t.yaml:1: algorithm is a map, but must be a single value"},
	        {"trainer: {total_epochs: 3}", "here it is run.num_train_epochs"},
	        {"optim: {lr: 1e-6}", "lr is a name of verl; here it is optim.learning_rate"},
	        {"actor: {optim: {lr: 1e-6}}", "here it is optim.learning_rate"},
	        {"critic: {lr: 1e-6}", "here it is critic.learning_rate"},
	        {"per-device-train-batch-size: 8", "here it is rollout.prompts_per_step"},
	        {"model: {load_in_4bit: true}",
	         "load_in_4bit is a name of TRL, transformers: weights"},
	        {"use_vllm: true", "use_vllm is a name of TRL: hone samples by itself"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct job_config c;
		assert_error(job_config_parse("t.yaml", cases[i].text, strlen(cases[i].text), NULL,
		                              0, &c),
		             ERR_INPUT, cases[i].says);
	}
}

/* ---- did you mean ---- */

/* A word of each room, and with one letter more, in every other room: what is meant is of that
 * room, or nothing is meant. */
static void no_option_of_another_room_is_meant(void **state)
{
	(void)state;
	for (int room = 0; path_of(room); room++) {
		size_t n = strcspn(path_of(room), ".");
		if (!path_of(room)[n] ||
		    (room && !strncmp(path_of(room - 1), path_of(room), n + 1)))
			continue;
		for (int i = 0; i < 2 * schema_n(&job_schema); i++) {
			char        path[128];
			const char *dot = strrchr(path_of(i / 2), '.'), *near;
			snprintf(path, sizeof path, "%.*s%s%s", (int)n, path_of(room),
			         dot ? dot : ".algorithm", i % 2 ? "x" : "");
			near = schema_nearest(&job_schema, path);
			if (near && strncmp(near, path_of(room), n + 1))
				fail_msg("%s: %s is meant, which is of another room", path, near);
		}
	}
	assert_string_equal(schema_nearest(&job_schema, "optm.learning_rate"),
	                    "optim.learning_rate");
	assert_string_equal(schema_nearest(&job_schema, "optimiser.learning_rate"),
	                    "optim.learning_rate");
	assert_string_equal(schema_nearest(&job_schema, "learning_rat"), "optim.learning_rate");
	assert_string_equal(schema_nearest(&job_schema, "optim.learning_rat"),
	                    "optim.learning_rate");
}

/* ---- the pages ---- */

static void the_pages_for_users_of_others_are_made_from_the_table(void **state)
{
	(void)state;
	static const struct {
		int         from;
		const char *path, *names[8];
	} pages[] = {
	        {FOREIGN_TRL,
	         "docs/from-trl.md",
	         {"`per_device_train_batch_size`", "`vllm_mode`", "`beta` | `loss.beta`",
	          "`report_to`"}},
	        {FOREIGN_VERL,
	         "docs/from-verl.md",
	         {"`rollout.n` | `rollout.num_generations`", "`kl_loss_type`", "`nnodes`"}},
	};

	for (int i = 0; i < 2; i++) {
		struct text  page = {0};
		struct bytes b;
		foreign_markdown(pages[i].from, &page);
		assert_ok(file_read(pages[i].path, 1 << 20, &b));
		if (b.n != page.n || memcmp(b.data, page.data, page.n))
			fail_msg("%s is not what the table says: run make docs", pages[i].path);
		for (int k = 0; k < 8 && pages[i].names[k]; k++)
			assert_non_null(strstr(page.data, pages[i].names[k]));
		bytes_free(&b);
		text_free(&page);
	}
}

TEST_MAIN(TEST(every_key_in_a_text_of_the_program_is_an_option),
          TEST(what_a_name_of_another_program_is_called_here_exists),
          TEST(a_name_of_another_program_is_answered_with_ours),
          TEST(configs_of_others_are_answered_at_the_first_name_that_is_known),
          TEST(no_option_of_another_room_is_meant),
          TEST(the_pages_for_users_of_others_are_made_from_the_table))
