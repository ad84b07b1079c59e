/* Rollouts on disk: written, replayed to the bit, and refused with a reason when something is wrong
 * with them. */
#include "rl/replay.h"

#include "run.h"

#define CONFIG_TEXT \
	"model:\n" \
	"  tokenizer: \"chars:0123456789,:+=\"\n" \
	"  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, ff_width: " \
	"24, n_positions: 32}\n" \
	"data: {generate: [{name: sequence, count: 12}]}\n" \
	"task: {reward: length, verifier: {length: 1-3, length_slack: 4}}\n" \
	"algorithm: topr\n" \
	"rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n" \
	"optim: {learning_rate: 1e-2}\n" \
	"run: {max_steps: 1, save_steps: 0}\n"

static void collect_once(const char *name, const char *settings)
{
	if (!file_exists(name) && hone("rollouts job.yaml --output %s %s", name, settings) != 0)
		fail_msg("rollouts %s: %s", settings, read_all("stderr", &(size_t){0}));
}

static void train(const char *folder, const char *settings)
{
	if (hone("train job.yaml run.output_dir=%s %s", folder, settings) != 0)
		fail_msg("train %s: %s", settings, read_all("stderr", &(size_t){0}));
}

static int same_weights(const char *a, const char *b, int step)
{
	char x[128], y[128];

	snprintf(x, sizeof x, "%s/checkpoint-%d/model.safetensors", a, step);
	snprintf(y, sizeof y, "%s/checkpoint-%d/model.safetensors", b, step);
	return same_bytes(x, y);
}

static void one_replayed_step_gives_the_bits_of_the_sampled_one(void **state)
{
	(void)state;
	static const char *const algorithms[] = {
	        "topr",
	        "grpo",
	        "grpo" /* replayed: with a correction, which fresh answers do not need */,
	        "gmpo",
	        "topr_is",
	        "rloo",
	        "ppo",
	        "sapo loss.top_entropy=0.3 optim.num_minibatches=2"};

	collect_once("one.jsonl.gz", "--steps 1");
	for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
		char a[32], b[32], settings[128];
		snprintf(a, sizeof a, "sampled-%zu", i);
		snprintf(b, sizeof b, "replayed-%zu", i);
		snprintf(settings, sizeof settings, "algorithm=%s", algorithms[i]);
		train(a, settings);
		snprintf(settings, sizeof settings,
		         "algorithm=%s rollout.source=one.jsonl.gz compute.threads=2%s",
		         algorithms[i], i == 2 ? " loss.mismatch=sequence_mask" : "");
		train(b, settings);
		assert_true(same_weights(a, b, 1));
	}
	/* or else nothing was learned, and nothing compared */
	for (size_t i = 1; i < sizeof algorithms / sizeof *algorithms; i++) {
		char a[32];
		snprintf(a, sizeof a, "sampled-%zu", i);
		/* the same again, and importance sampling of fresh answers, are nothing to be
		 * seen */
		if (i != 2 && i != 4)
			assert_false(same_weights("sampled-0", a, 1));
	}
	assert_true(same_weights("sampled-1", "sampled-2", 1) &&
	            same_weights("sampled-0", "sampled-4", 1));
}

/* The line of metrics, without what the clock and the choice of problems put there. */
static char *logged(const char *folder)
{
	size_t n;

	shell("sed -E 's/, "
	      "\"((timing_s|tokens_per_second)\\/[a-z]*|step_time|curriculum\\/"
	      "[^\"]*|dynamic_sampling\\/batches)\": "
	      "[-+.e0-9]*//g' "
	      "%s/metrics.jsonl > logged",
	      folder);
	return read_all("logged", &n);
}

/* Turns, observations, the parts of the reward: nothing that a step logs gets lost on the way
 * through the file. */
static void a_replayed_step_logs_what_the_sampled_one_did(void **state)
{
	(void)state;
	static const char *const settings[] = {
	        "task.rewards='[{name: length}, {name: sequence, weight: 0.5}]' task.reward= "
	        "algorithm=grpo",
	        "data.generate='[{name: nav, levels: 2, count: 12}]' task.reward= "
	        "task.rewards='[{name: environment}, {name: length}]' "
	        "model.tokenizer=chars model.init.n_positions=120 "
	        "rollout.max_completion_length=60 algorithm=grpo credit.kind=empg "
	        "credit.segments=turn"};

	for (int i = 0; i < 2; i++) {
		char set[32], line[512], *sampled, *replayed;
		snprintf(set, sizeof set, "logged-%d.jsonl", i);
		snprintf(line, sizeof line, "%s --steps 1", settings[i]);
		collect_once(set, line);
		train(i ? "episodes" : "parts-of-it", settings[i]);
		snprintf(line, sizeof line, "%s rollout.source=%s", settings[i], set);
		train(i ? "episodes-2" : "parts-of-it-2", line);
		sampled = logged(i ? "episodes" : "parts-of-it");
		replayed = logged(i ? "episodes-2" : "parts-of-it-2");
		assert_non_null(
		        strstr(sampled, i ? "completions/mean_turns" : "rewards/sequence/mean"));
		assert_string_equal(sampled, replayed);
		free(sampled);
		free(replayed);
	}
}

static void plain_and_compressed_files_hold_the_same(void **state)
{
	(void)state;
	collect_once("one.jsonl.gz", "--steps 1");
	collect_once("one.jsonl", "--steps 1");
	shell("gzip -dc one.jsonl.gz | cmp - one.jsonl");
	assert_int_equal(count_lines("one.jsonl"), 1 + 4 * 4);
}

static void without_a_number_of_steps_every_problem_is_met(void **state)
{
	(void)state;
	collect_once("all.jsonl", "");
	assert_int_equal(count_lines("all.jsonl"), 1 + 12 * 4);
	shell("test $(grep -o '\"problem\": \"[^\"]*\"' all.jsonl | sort -u | wc -l) = 12");
}

static void a_replay_resumes_to_the_same_bits(void **state)
{
	(void)state;
	collect_once("all.jsonl", "");
	train("whole", "rollout.source=all.jsonl run.max_steps=8 optim.num_minibatches=2");
	train("parts", "rollout.source=all.jsonl run.max_steps=5 optim.num_minibatches=2");
	train("parts", "rollout.source=all.jsonl run.max_steps=8 optim.num_minibatches=2 --resume "
	               "compute.micro_batch_tokens=1");
	assert_true(same_weights("whole", "parts", 8));
	assert_says("whole/metrics.jsonl", "ratio/negative_weight_mean");
}

/* From the second step on the answers are stale: the correction then weighs, and the weights are
 * others. */
static void corrections_act_as_soon_as_the_policy_has_moved(void **state)
{
	(void)state;
	collect_once("one.jsonl.gz", "--steps 1");
	train("bypass",
	      "algorithm=grpo rollout.source=one.jsonl.gz run.max_steps=3 run.save_steps=1");
	train("tis", "algorithm=grpo rollout.source=one.jsonl.gz run.max_steps=3 run.save_steps=1 "
	             "run.save_total_limit=0 "
	             "loss.mismatch=token_truncate loss.mismatch_max=1.0001");
	assert_false(same_weights("bypass", "tis", 3));
	assert_says("tis/metrics.jsonl", "mismatch/weight_mean");
}

/* ---- order ---- */

enum { GROUPS = 5 };

static void picked(struct replay *r, int step, int P, int *items)
{
	struct arena  a = {0};
	struct groups out;

	assert_ok(groups_new(P, &a, &out));
	assert_ok(replay_pick(r, 7, step, P, &a, &out));
	for (int i = 0; i < P; i++) {
		items[i] = out.items[i].item;
		assert_int_equal(out.items[i].id, i);
		assert_true(i == 0 || items[i] >= items[i - 1]); /* the order of the file */
	}
	arena_free(&a);
}

static struct replay replay_of(struct group *groups, uint32_t *order)
{
	for (int i = 0; i < GROUPS; i++)
		groups[i] = (struct group){.item = i};
	return (struct replay){.groups = groups, .n = GROUPS, .order = order, .order_epoch = -1};
}

static void every_epoch_holds_every_group_once_in_another_order(void **state)
{
	(void)state;
	struct group  groups[GROUPS];
	uint32_t      order[GROUPS];
	struct replay r = replay_of(groups, order);
	int           seen[GROUPS] = {0}, items[4 * GROUPS], first[10], different = 0;

	/* two of five at a time: the third step reaches into the next epoch */
	for (int step = 0; step < 10; step++) {
		picked(&r, step, 2, items);
		seen[items[0]]++, seen[items[1]]++;
		first[step] = items[0];
	}
	for (int i = 0; i < GROUPS; i++)
		assert_int_equal(seen[i], 4);
	for (int step = 9; step >= 0; step--) { /* asked in any order, as after a resume */
		picked(&r, step, 2, items);
		assert_int_equal(items[0], first[step]);
		different += step >= 5 && first[step] != first[step - 5];
	}
	assert_true(different > 0);
	picked(&r, 3, 4 * GROUPS, items); /* more than there are */
}

/* Three groups, two a step: step 3 has gone through the file twice. */
static void a_replay_counts_its_epochs(void **state)
{
	(void)state;
	collect_once("three.jsonl", "--steps 1 rollout.prompts_per_step=3");
	train("epochs", "rollout.source=three.jsonl rollout.prompts_per_step=2 run.max_steps=3");
	assert_says("epochs/metrics.jsonl", "\"curriculum/epoch\": 0.6666");
	assert_says("epochs/metrics.jsonl", "\"curriculum/epoch\": 1.3333");
	assert_says("epochs/metrics.jsonl", "\"curriculum/epoch\": 2");
}

static void what_learning_edits_does_not_reach_the_next_epoch(void **state)
{
	(void)state;
	unsigned char  trained[2] = {1, 1};
	struct rollout rollout = {.n = 2, .trained = trained, .reward = 1};
	struct group   groups[1] = {{.n = 1, .rollouts = &rollout}};
	uint32_t       order[1];
	struct replay  r = {.groups = groups, .n = 1, .order = order, .order_epoch = -1};
	struct arena   a = {0};
	struct groups  out;

	assert_ok(groups_new(1, &a, &out));
	assert_ok(replay_pick(&r, 0, 0, 1, &a, &out));
	out.items[0].rollouts[0].reward = -5;
	out.items[0].rollouts[0].penalty = -1;
	assert_true(rollout.reward == 1 && rollout.penalty == 0);
	arena_free(&a);
}

/* ---- curation ---- */

/* One group of six, two of them right, set by hand in a file whose completions are real; the wrong
 * ones earn a half for their form. */
static void write_six(void)
{
	collect_once("six.jsonl", "--steps 1 rollout.prompts_per_step=1 rollout.num_generations=6");
	shell("sed -E 's/\"reward\": [^,]*, \"right\": [a-z]*/\"reward\": 0.5, \"right\": false/' "
	      "six.jsonl | "
	      "sed -E '3s/0.5, \"right\": false/1, \"right\": true/;5s/0.5, \"right\": false/1, "
	      "\"right\": true/' > set.jsonl");
	assert_true(file_says("set.jsonl", "\"right\": true"));
}

/* Good is right, whatever sign the algorithm gives to a reward. */
static void curation_keeps_what_it_says(void **state)
{
	(void)state;
	static const struct {
		const char *settings, *says;
	} want[] = {
	        {"", "6 completions in 1 groups, 33.3% of them good"},
	        {"algorithm=grpo", "6 completions in 1 groups, 33.3% of them good"},
	        {"rollout.curation=balanced", "4 completions in 1 groups, 50.0% of them good"},
	        {"algorithm=grpo rollout.curation=balanced",
	         "4 completions in 1 groups, 50.0% of them good"},
	        {"algorithm=rloo rollout.max_negatives=1",
	         "3 completions in 1 groups, 66.7% of them good"},
	        {"rollout.curation=one_positive", "5 completions in 1 groups, 20.0% of them good"},
	        {"algorithm=grpo rollout.curation=one_positive rollout.max_negatives=2",
	         "3 completions in 1 groups, 33.3% of them good"},
	        {"loss.baseline=constant loss.positive_share=0.15",
	         "baseline 0.478261, so that good completions make up 0.15"},
	};

	write_six();
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		char folder[32], settings[256];
		snprintf(folder, sizeof folder, "curated-%zu", i);
		snprintf(settings, sizeof settings,
		         "rollout.source=%s rollout.num_generations=6 %s", "set.jsonl",
		         want[i].settings);
		train(folder, settings);
		assert_says("stdout", want[i].says);
	}
}

/* ---- what is wrong ---- */

static void a_bad_file_is_refused_with_its_line_and_its_reason(void **state)
{
	(void)state;
	static const struct {
		const char *damage, *says;
	} bad[] = {
	        {"head -c 700 one.jsonl.gz", "bad.jsonl"},
	        {"head -n 9 one.jsonl",
	         "8 completions, but its header promises 16; was it cut off?"},
	        {"sed 's/\"completions\": 16/\"completions\": 2147483647/' one.jsonl",
	         "16 completions, but its header promises 2147483647"},
	        {"head -c 3000 one.jsonl", "not valid JSON"},
	        {"cat one.jsonl one.jsonl", "bad.jsonl:18: more completions than the 16"},
	        {"tail -n +2 one.jsonl", "bad.jsonl:1: not a data set of rollouts"},
	        {"true", "the file is empty"},
	        {"sed 's/\"hone_rollouts\": 2/\"hone_rollouts\": 1/' one.jsonl", "hone_rollouts"},
	        {"sed 's/\"vocabulary\": 17/\"vocabulary\": 18/' one.jsonl",
	         "bad.jsonl:1: sampled from a model with 18 tokens"},
	        {"sed -E 's/\"tokenizer\": \"./\"tokenizer\": \"z/' one.jsonl",
	         "bad.jsonl:1: sampled with another tokenizer"},
	        {"sed 's/\"temperature\": 1/\"temperature\": 0.5/' one.jsonl",
	         "sampled at temperature 0.5"},
	        {"sed -E '4s/\"ids\": \\[[0-9]+/\"ids\": [17/' one.jsonl",
	         "bad.jsonl:4: \"ids\"[0] is no id of the model's vocabulary"},
	        {"sed -E '4s/\"ids\": \\[[0-9]+/\"ids\": [-1/' one.jsonl",
	         "bad.jsonl:4: \"ids\"[0] is no id"},
	        {"sed -E '4s/\"ids\": \\[[^]]*/\"ids\": [/' one.jsonl",
	         "bad.jsonl:4: \"ids\" is empty"},
	        {"sed -E '4s/\"logp\": \\[/\"logp\": [-1,/' one.jsonl",
	         "bad.jsonl:4: \"logp\" has"},
	        {"sed -E '4s/\"logp\": \\[[^],]*/\"logp\": [3/' one.jsonl",
	         "bad.jsonl:4: \"logp\"[0] is not a number from"},
	        {"sed -E '4s/\"entropy\": \\[[^],]*/\"entropy\": [\"x\"/' one.jsonl",
	         "bad.jsonl:4: \"entropy\"[0] is not a number"},
	        {"sed -E '4s/\"logp\"/\"logq\"/' one.jsonl",
	         "bad.jsonl:4: the list \"logp\" is missing"},
	        {"sed -E '4s/\"reward\"/\"rewards\"/' one.jsonl", "bad.jsonl:4"},
	        {"sed -E '4s/\"stop\": \"[a-z]*/\"stop\": \"late/' one.jsonl",
	         "bad.jsonl:4: \"stop\" is \"late\""},
	        {"sed -E '4s/\"problem\": \"/\"problem\": \"x/' one.jsonl",
	         "is not among the training problems"},
	        {"sed -E '4s/\"prompt\": \\[/\"prompt\": [4,/' one.jsonl",
	         "was asked with other tokens"},
	        {"sed -E '1s/\"verifiers\": \\[[^]]*\\]/\"verifiers\": 3/' one.jsonl",
	         "bad.jsonl:1: the list \"verifiers\" is missing"},
	        {"sed -E '4s/\"components\": \\[/\"components\": [1,/' one.jsonl",
	         "bad.jsonl:4: \"components\" has 2 entries, but the header"},
	        {"sed -E '4s/\"reward\"/\"spans\": [[\"turn\",0,1],[\"turn\",0,1]], \"reward\"/' "
	         "one.jsonl",
	         "bad.jsonl:4: an entry of \"spans\""},
	        {"sed -E '4s/\"reward\"/\"spans\": [[\"turn\",0,99]], \"reward\"/' one.jsonl",
	         "bad.jsonl:4: an entry of \"spans\""},
	        {"sed -E '4s/\"reward\"/\"spans\": [[\"move\",0,1]], \"reward\"/' one.jsonl",
	         "bad.jsonl:4: an entry of \"spans\""},
	        {"sed -E '3s/\"group\": 0/\"group\": x/' one.jsonl", "bad.jsonl:3: not valid JSON"},
	};

	collect_once("one.jsonl", "--steps 1");
	collect_once("one.jsonl.gz", "--steps 1");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		shell("%s > bad.jsonl", bad[i].damage);
		assert_int_equal(hone("train job.yaml run.output_dir=bad rollout.source=bad.jsonl"),
		                 2);
		assert_says("stderr", bad[i].says);
		assert_false(file_exists("bad"));
	}
}

static void settings_that_a_replay_does_not_read_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *line, *says;
	} bad[] = {
	        {"train job.yaml run.output_dir=bad rollout.source=nowhere.jsonl", "nowhere.jsonl"},
	        {"train job.yaml run.output_dir=bad rollout.source=one.jsonl algorithm=dapo",
	         "loss.dynamic_sampling acts on completions as they"},
	        {"train job.yaml run.output_dir=bad rollout.source=one.jsonl "
	         "curriculum.kind=sequential",
	         "curriculum.kind is set, but it is read only when rollout.source="},
	        {"train job.yaml run.output_dir=bad rollout.source=one.jsonl "
	         "task.permute_rewards=true",
	         "task.permute_rewards is set, but it is read only when rollout.source="},
	        {"train job.yaml run.output_dir=bad rollout.source=one.jsonl "
	         "rollout.num_generations=3",
	         "rollout.num_generations is 3, but the completions of one.jsonl were sampled with "
	         "4"},
	        {"train job.yaml run.output_dir=bad rollout.source=one.jsonl rollout.top_p=0.5",
	         "rollout.top_p is 0.5, but the completions of one.jsonl were sampled with 1"},
	        {"train job.yaml run.output_dir=bad rollout.source=one.jsonl task.reward= "
	         "'task.rewards=[{name: length}, {name: numeric}]'",
	         "its rewards were given by "},
	        {"train job.yaml run.output_dir=bad rollout.source=one.jsonl "
	         "rollout.temperature=0.7",
	         "set rollout.temperature to it"},
	        {"train job.yaml run.output_dir=bad rollout.source=one.jsonl "
	         "rollout.max_completion_length=1",
	         "a completion of"},
	        {"train job.yaml run.output_dir=bad rollout.curation=balanced",
	         "rollout.curation is set, but it is read only when"},
	        {"train job.yaml run.output_dir=bad rollout.curation=best",
	         "rollout.curation is best"},
	        {"train job.yaml run.output_dir=bad rollout.max_negatives=-1",
	         "rollout.max_negatives is -1"},
	        {"train job.yaml run.output_dir=bad loss.positive_share=0.2",
	         "loss.positive_share is set, but it is read only when"},
	        {"train job.yaml run.output_dir=bad loss.baseline=constant loss.positive_share=0.2",
	         "loss.positive_share is set, but it is read only when"},
	        {"train job.yaml run.output_dir=bad loss.baseline=constant loss.positive_share=1",
	         "loss.positive_share is 1, outside 0"},
	        {"train job.yaml run.output_dir=bad rollout.source=one.jsonl "
	         "loss.baseline=constant loss.positive_share=0.2 "
	         "loss.baseline_value=0.5",
	         "leave one of them out"},
	        {"rollouts job.yaml --output one.jsonl", "one.jsonl is there already"},
	        {"rollouts job.yaml --output new.jsonl rollout.source=one.jsonl",
	         "would be replayed, not sampled"},
	        {"rollouts job.yaml --output new.jsonl guidance.kind=guide",
	         "a data set of rollouts holds plain completions"},
	        {"train job.yaml run.output_dir=bad rollout.source=one.jsonl guidance.kind=guide",
	         "guidance.kind is set, but it is read only when"},
	        {"rollouts", "usage: hone rollouts CONFIG"},
	        {"rollouts job.yaml --output nowhere/new.jsonl --steps 1", "nowhere/new.jsonl"},
	};

	collect_once("one.jsonl", "--steps 1");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (hone("%s", bad[i].line) != 2)
			fail_msg("%s: was not refused", bad[i].line);
		assert_says("stderr", bad[i].says);
		assert_false(file_exists("bad") || file_exists("new.jsonl"));
	}
}

/* Rewards 0 and 1 without a baseline are supervised learning in disguise: the start of the run says
 * so. */
static void the_start_warns_of_rewards_that_make_it_supervised(void **state)
{
	(void)state;
	train("warned", "loss.signed_rewards=false");
	assert_says("stdout", "caution: rewards that are never negative");
	train("signed", "");
	assert_false(file_says("stdout", "caution"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(one_replayed_step_gives_the_bits_of_the_sampled_one),
	        cmocka_unit_test(a_replayed_step_logs_what_the_sampled_one_did),
	        cmocka_unit_test(plain_and_compressed_files_hold_the_same),
	        cmocka_unit_test(without_a_number_of_steps_every_problem_is_met),
	        cmocka_unit_test(a_replay_resumes_to_the_same_bits),
	        cmocka_unit_test(corrections_act_as_soon_as_the_policy_has_moved),
	        cmocka_unit_test(every_epoch_holds_every_group_once_in_another_order),
	        cmocka_unit_test(a_replay_counts_its_epochs),
	        cmocka_unit_test(what_learning_edits_does_not_reach_the_next_epoch),
	        cmocka_unit_test(curation_keeps_what_it_says),
	        cmocka_unit_test(a_bad_file_is_refused_with_its_line_and_its_reason),
	        cmocka_unit_test(settings_that_a_replay_does_not_read_are_refused),
	        cmocka_unit_test(the_start_warns_of_rewards_that_make_it_supervised)};

	run_in_temporary_folder();
	write_text("job.yaml", CONFIG_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
