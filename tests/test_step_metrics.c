/* The table of metrics against what runs log: small jobs of every part, each key of each line. */
#include "run.h"
#include "small_model.h"

#include "rl/job_config.h"
#include "rl/step_metrics.h"

static const char job_text[] =
        "data:\n"
        "  generate: [{name: sequence, levels: 1-3, count: 30}]\n"
        "  eval_generate: [{name: sequence, levels: 1-2, count: 9, seed: 1}]\n"
        "task: {reward: sequence}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "optim: {learning_rate: 1e-2, num_minibatches: 2}\n"
        "run: {max_steps: 3, save_steps: 0, eval_steps: 2, tensorboard: false}\n";
static const char new_world[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 16, n_layers: 2, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: 24, "
        "n_positions: 96}\n"
        "sft: {batch_size: 8}\n";
static const char old_world[] = "model: {path: warm}\n";
static const char world_text[] =
        "data:\n"
        "  generate: [{name: nav, levels: 1, count: 20}]\n"
        "task: {reward: environment}\n"
        "rollout: {num_generations: 2, prompts_per_step: 2, max_completion_length: 60}\n"
        "run: {max_steps: 2, save_steps: 0, tensorboard: false}\n";

/* Says nothing of every third completion. */
static const char judge[] = "n=0\n"
                            "while IFS= read -r line; do\n"
                            "  n=$((n + 1))\n"
                            "  case $((n % 3)) in 0) echo '{\"error\": \"no\"}';; "
                            "*) echo '{\"reward\": 1}';; esac\n"
                            "done\n";

static const struct logged_run {
	const char *name, *line; /* "train new.yaml algorithm=ppo" */
} runs[] = {
        {"grpo", "train new.yaml loss.beta=0.1 loss.num_iterations=2 run.eval_samples=4"},
        {"dapo", "train new.yaml algorithm=dapo loss.dynamic_sampling_max_batches=2"},
        {"ppo", "train new.yaml algorithm=ppo"},
        {"kl", "train new.yaml loss.beta=0.1 loss.kl_placement=reward loss.kl_estimator=k1 "
               "loss.kl_controller=adaptive loss.kl_target=0.1"},
        {"masks", "train new.yaml loss.off_policy_mask=0.01 loss.top_entropy=0.5 "
                  "loss.num_iterations=2"},
        {"entropy", "train new.yaml loss.use_adaptive_entropy=true"},
        {"guide", "train old.yaml guidance.kind=guide guidance.trigger_accuracy=0.5 "
                  "guidance.template='{prompt}?{hint}:'"},
        {"empg", "train old.yaml credit.kind=empg"},
        {"sequential", "train new.yaml curriculum.kind=sequential"},
        {"easy", "train new.yaml curriculum.kind=easy_to_hard curriculum.steps_per_level=1"},
        {"sec", "train new.yaml curriculum.kind=sec curriculum.categories='[difficulty]'"},
        {"replay", "train new.yaml rollout.source=rollouts.jsonl loss.mismatch=token_truncate"},
        {"sources", "train new.yaml data.eval_generate='[{name: sequence, count: 9}, "
                    "{name: addition, count: 3}]' task.eval_reward=exact"},
        {"command", "train new.yaml task.reward=command task.verifier.command='sh judge.sh'"},
        {"world", "train old-world.yaml"},
        {"sft", "sft new.yaml sft.batch_size=8"},
};

static char seen[1000], docs[PATH_MAX];

static int holds(const struct config *c, const char *when)
{
	int holds;

	assert_ok(config_when_holds(c, when, &holds));
	return holds;
}

static const char *when_of(const struct metric_row *row)
{
	return row->when ? row->when : "always";
}

/* What the table says must be there in any case is there. */
static void assert_whole(const char *run, int line, const struct config *c, json_t *o)
{
	for (int i = 0; i < step_metrics.n; i++) {
		const struct metric_row *row = &step_metrics.rows[i];
		if ((row->lines & line) && row->value.type != METRIC_NOWHERE &&
		    row->per.type == METRIC_NOWHERE && row->if_any.type == METRIC_NOWHERE &&
		    holds(c, row->when) && !json_object_get(o, row->name))
			fail_msg("%s: a line without %s", run, row->name);
	}
}

static void assert_line(const struct logged_run *run, const struct config *c, json_t *o)
{
	int         line = json_object_get(o, "eval/pass@1") ? LINE_EVAL
	                   : !strncmp(run->line, "train", 5) ? LINE_TRAIN
	                                                     : LINE_SFT;
	const char *name;
	json_t     *value;

	json_object_foreach(o, name, value)
	{
		const struct metric_row *row = metric_table_find(&step_metrics, name);
		if (!row)
			fail_msg("%s: %s is no row of the table", run->name, name);
		if (!(row->lines & line))
			fail_msg("%s: %s stands in a line of another kind", run->name, name);
		if (!holds(c, row->when))
			fail_msg("%s: %s is there, but not %s", run->name, name, when_of(row));
		seen[row - step_metrics.rows] = 1;
	}
	assert_whole(run->name, line, c, o);
}

static void assert_logged(const struct logged_run *run)
{
	struct job_config c;
	char              path[PATH_MAX];
	size_t            n;
	char             *text;
	int               lines = 0;

	hone_ok("%s run.output_dir=%s", run->line, run->name);
	snprintf(path, sizeof path, "%s", in_folder(run->name, "config.yaml"));
	assert_ok(job_config_load(path, NULL, 0, &c));
	text = read_all(in_folder(run->name, "metrics.jsonl"), &n);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
		json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(o);
		assert_line(run, &c.base, o);
		json_decref(o);
	}
	assert_true(lines >= 2);
	free(text);
	config_free(&c.base);
}

/* Every key has a row that says when it is there, and no row is of what nobody logs. */
static void what_runs_log_is_what_the_table_says(void **state)
{
	(void)state;
	int missing = 0;

	hone_ok("rollouts new.yaml --steps 4 --output rollouts.jsonl run.seed=7");
	hone_ok("sft new.yaml sft.batch_size=16 sft.hint_rate=0.5 "
	        "guidance.template='{prompt}?{hint}:' run.max_steps=200 run.output_dir=before "
	        "run.eval_steps=0");
	hone_ok("sft new-world.yaml run.max_steps=60 run.output_dir=warm");
	for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
		assert_logged(&runs[i]);
	for (int i = 0; i < step_metrics.n; i++)
		if (!seen[i]) {
			print_message("no run logs %s\n", step_metrics.rows[i].name);
			missing++;
		}
	assert_int_equal(missing, 0);
}

static void the_page_of_metrics_is_what_the_program_prints(void **state)
{
	(void)state;
	size_t n, m;
	char  *page = read_all(docs, &n), *printed;

	hone_ok("train --help-metrics");
	printed = read_all("stdout", &m);
	if (strcmp(page, printed))
		fail_msg("docs/metrics.md is not what hone train --help-metrics prints: make docs");
	free(page);
	free(printed);
}

/* Every `word` of the page that looks like an option or a metric is one. */
static void assert_words_exist(const char *name, const char *text)
{
	static const char *const rooms[] = {"task.",   "loss.",       "guidance.", "credit.",
	                                    "critic.", "curriculum.", "rollout.",  "optim.",
	                                    "run.",    "compute.",    "data.",     "model."};
	char                     word[200];

	for (const char *at = text; (at = strchr(at, '`')); at = strchr(at + 1, '`') + 1) {
		snprintf(word, sizeof word, "%.*s", (int)strcspn(at + 1, "`: "), at + 1);
		if (strchr(word, '/') && strncmp(word, "tensor", 6) &&
		    !metric_table_find(&step_metrics, word))
			fail_msg("%s: there is no metric %s", name, word);
		for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
			if (!strncmp(word, rooms[i], strlen(rooms[i])) &&
			    schema_find(&job_schema, word) < 0)
				fail_msg("%s: there is no option %s", name, word);
	}
}

static void rows_are_whole_and_name_options_and_metrics_that_exist(void **state)
{
	(void)state;
	for (int i = 0; i < step_metrics.n; i++) {
		const struct metric_row *row = &step_metrics.rows[i];
		assert_non_null(row->unit);
		assert_non_null(row->help);
		assert_true(row->lines != 0);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(row->name, step_metrics.rows[k].name);
		assert_words_exist(row->name, row->help);
		if (row->watch)
			assert_words_exist(row->name, row->watch);
	}
}

/* Only whole names count, a family's member may be anything, and one of its own goes first. */
static void a_name_has_the_row_of_its_own_or_its_family(void **state)
{
	(void)state;
	static const struct {
		const char *name, *row;
	} cases[] = {{"eval/pass@1", "eval/pass@1"},
	             {"eval/pass@1_stderr", "eval/pass@1_stderr"},
	             {"eval/pass@16", "eval/pass@<k>"},
	             {"eval/a/b <c>/pass@1", "eval/<name>/pass@1"},
	             {"eval//pass@1", "eval/<name>/pass@1"},
	             {"rewards/math/std", "rewards/<verifier>/std"},
	             {"rewards/math", NULL},
	             {"reward ", NULL},
	             {"", NULL}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct metric_row *row = metric_table_find(&step_metrics, cases[i].name);
		if (!cases[i].row)
			assert_null(row);
		else
			assert_string_equal(row ? row->name : "none", cases[i].row);
	}
}

/* TRL's count of tokens has the prompts in it, once for each completion; num_tokens has not. */
static void prompts_count_in_the_tokens_seen(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		int         completions;
	} cases[] = {{"train one.yaml", 4},
	             {"train one.yaml guidance.kind=guide guidance.trigger_accuracy=1 "
	              "guidance.template='{prompt}{hint}'",
	              4},
	             {"sft one.yaml sft.batch_size=3", 3}};

	write_text("one.jsonl", "{\"prompt\": \"1,2:9,1\", \"answer\": \"3\", \"hint\": "
	                        "\"123\"}\n");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		double last = 0;
		char  *text;
		size_t n;
		hone_ok("%s data.generate=[] data.train=one.jsonl run.eval_steps=0 "
		        "rollout.prompts_per_step=1 optim.num_minibatches=1 run.output_dir=one",
		        cases[i].line);
		text = read_all("one/metrics.jsonl", &n);
		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
			json_t *o = json_loads(line, 0, NULL);
			double  tokens = json_number_value(json_object_get(o, "num_tokens")),
			       all = json_number_value(json_object_get(o, "num_input_tokens_seen"));
			/* 7 characters, and 10 with the hint */
			last += 7 * cases[i].completions + (i == 1 ? 10 * 4 : 0);
			assert_true(tokens > 0 && all == tokens + last);
			json_decref(o);
		}
		assert_true(last > 0);
		free(text);
		shell("rm -r one");
	}
}

static void write_texts(const char *name, const char *first, const char *rest)
{
	char text[4096];

	snprintf(text, sizeof text, "%s%s", first, rest);
	write_text(name, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(what_runs_log_is_what_the_table_says),
	        TEST(the_page_of_metrics_is_what_the_program_prints),
	        TEST(rows_are_whole_and_name_options_and_metrics_that_exist),
	        TEST(a_name_has_the_row_of_its_own_or_its_family),
	        TEST(prompts_count_in_the_tokens_seen)};

	if (!realpath("docs/metrics.md", docs)) {
		perror("docs/metrics.md: run from the root of the tree");
		return 1;
	}
	run_in_temporary_folder();
	write_texts("new.yaml", small_model_new, job_text);
	write_texts("old.yaml", small_model_old, job_text);
	write_texts("one.yaml", small_model_new, job_text);
	write_texts("new-world.yaml", new_world, world_text);
	write_texts("old-world.yaml", old_world, world_text);
	write_text("judge.sh", judge);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
