#include "verify/task_options.h"

struct verifier_options task_verifier_options(const struct task_options *t)
{
	struct verifier_options o = t->verifier;

	o.strict_relations = !t->interval_relations;
	o.pattern = *o.pattern ? o.pattern : NULL;
	o.tags = *o.tags ? o.tags : NULL;
	o.word = *o.word ? o.word : NULL;
	return o;
}

const char *task_judge(const struct task_options *t)
{
	const char *names[REWARD_PARTS];
	int         n = t->rewards.n < REWARD_PARTS ? t->rewards.n : REWARD_PARTS;

	for (int i = 0; i < n; i++)
		names[i] = t->rewards.items[i].name;
	return *t->eval_reward ? t->eval_reward : n ? verifier_deciding(names, n) : t->reward;
}

/* ---- options ---- */

/* clang-format off */
#define HOME struct task_reward
#define ROOM ""
static const struct option reward_options[] = {
	TEXT(name, OPTION_REQUIRED, 1, 100, "the verifier"),
	REAL(weight, "1", -1e6, 1e6, "the reward is the weighted sum over the list"),
};
static const struct option_table reward_rows = OPTION_TABLE(reward_options);
#undef HOME
#undef ROOM
/* clang-format on */

static const struct choice on_errors[] = {{"leave_out", COMMAND_LEAVE_OUT, NULL},
                                          {"stop", COMMAND_STOP, NULL},
                                          {"zero", COMMAND_ZERO, NULL},
                                          {0}};

#define PLAYED "task.environment.command!="

#define HOME struct task_options
#define ROOM "task."
/* clang-format off */
static const struct option task_options[] = {
	TEXT(reward, "", 0, 100, "the verifier, when there is one with weight 1"),
	ROWS(rewards, &reward_rows, 32, "several verifiers with weights; instead of task.reward"),
	TEXT(eval_reward, "", 0, 100,
	     "the verifier that decides what is right, in training and held out; empty: the "
	     "first of the rewards that judges content (docs/verifiers.md)"),
	BOOL(permute_rewards, "false",
	     "control experiment that must not learn: rewards are shuffled among the completions "
	     "of the same problem before training", .when = "rollout.source="),
	BOOL(token_rewards, "false",
	     "pays each token by how much the reward rises with it, instead of paying all at the "
	     "end; for dense verifiers; the algorithm's baseline stays", .when = "rollout.source="),
	CHOICE_AS("verifier.compare", verifier.compare.form, "text", answer_forms,
	     "how completion and answer are compared: as text, text without white space, one "
	     "number, a list, a list in any order", .when = "task.verifiers=exact"),
	REAL_AS("verifier.tolerance", verifier.compare.absolute, "0", 0, 1e9,
	        "numbers that differ by no more are equal; for compare number, list and set",
	        .when = "task.verifiers=exact and task.verifier.compare=number|list|set"),
	REAL_AS("verifier.relative_tolerance", verifier.compare.relative, "0", 0, 1,
	        "the same, as a share of the answer",
	        .when = "task.verifiers=exact and task.verifier.compare=number|list|set"),
	BOOL_AS("verifier.ignore_case", verifier.compare.ignore_case, "false",
	        "ignores the case of letters",
	        .when = "task.verifiers=exact and task.verifier.compare!=number"),
	INT(verifier.decimals, "0", 0, 15,
	    "numbers that are equal when rounded to so many decimals are equal; 0: only equal "
	    "numbers", .when = "task.verifiers=math"),
	BOOL_AS("verifier.interval_relations", interval_relations, "true",
	        "-2 <= x <= 7 equals x in [-2, 7]", .when = "task.verifiers=math"),
	REAL(verifier.partial, "0", 0, 1, "partial credit: this times the share that is right",
	     .when = "task.verifiers=knights_knaves|story|sudoku|arc"),
	REAL(verifier.format_score, "0", 0, 1,
	     "the reward of an expression that is well formed but wrong",
	     .when = "task.verifiers=countdown"),
	TEXT(verifier.pattern, "", 0, 10000, "regular expression (PCRE2) that must occur",
	     .when = "task.verifiers=format"),
	TEXT(verifier.tags, "", 0, 1000,
	     "blocks that must come in this order, such as think,answer",
	     .when = "task.verifiers=format"),
	TEXT(verifier.word, "", 0, 1000, "the word; empty: the column word of the row",
	     .when = "task.verifiers=contains|story"),
	RANGE(verifier.length, "1-1000", 0, 1e6, "tokens of a good length",
	      .when = "task.verifiers=length"),
	INT(verifier.length_slack, "0", 0, 1e6,
	    "tokens over which the reward fades outside that range",
	    .when = "task.verifiers=length"),
	BOOL(verifier.length_in_characters, "false", "counts bytes of the text instead of tokens",
	     .when = "task.verifiers=length"),
	TEXT_AS("verifier.command", verifier.command.line, "", 0, 4096,
	        "a program of your own and its words: JSON lines in, JSON lines out "
	        "(src/verify/verify.h)", .when = "task.verifiers=command"),
	REAL_AS("verifier.command_timeout", verifier.command.timeout, "10", 0.001, 86400,
	        "seconds a reply may take", .when = "task.verifiers=command"),
	REAL_AS("verifier.command_startup", verifier.command.startup, "30", 0, 86400,
	        "further seconds for the first reply of a fresh program",
	        .when = "task.verifiers=command"),
	INT_AS("verifier.command_workers", verifier.command.workers, "1", 1, 64,
	       "programs at once, for as many threads", .when = "task.verifiers=command",
	       .flags = FREE_ON_RESUME),
	CHOICE_AS("verifier.command_on_error", verifier.on_error, "leave_out", on_errors,
	     "a completion without a verdict: counts nowhere, ends the job, or gets 0",
	     .when = "task.verifiers=command or task.environment.command!="),
	TEXT_AS("environment.command", environment.command.line, "", 0, 4096,
	        "a program of your own that answers the model's actions: tools, a game, a "
	        "simulator (docs/environments.md); every problem whose row names no environment is "
	        "played with it", .when = "rollout.source="),
	REAL_AS("environment.timeout", environment.command.timeout, "10", 0.001, 86400,
	        "seconds an answer may take", .when = PLAYED),
	REAL_AS("environment.startup", environment.command.startup, "30", 0, 86400,
	        "further seconds for the first answer of a fresh program", .when = PLAYED),
	INT_AS("environment.turns", environment.turns, "8", 1, 100000,
	       "most actions of an episode", .when = PLAYED),
	TEXT_AS("environment.action_end", environment.action_end, "\n", 0, 100,
	        "text that ends an action, as the end token does; empty: the end token alone",
	        .when = PLAYED),
	TEXT_AS("environment.template", environment.template, "{observation}\n", 0, 10000,
	        "what is put in for an observation: markup of the chat, for example, around "
	        "{observation}", .when = PLAYED),
};
/* clang-format on */
const struct option_table task_options_table = OPTION_TABLE(task_options);
