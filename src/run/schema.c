#include "run/schema.h"

#include "run/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- how a row is written ----
 *
 *     INT(field, default, least, most, "help", .when = "...", .flags = FREE_ON_RESUME)
 *
 * The field of HOME is also the path of the option; _Generic refuses, at compile time, a field of
 * another type. */

#define N(a) (int)(sizeof(a) / sizeof(a)[0])
#define BIG 2147483647 /* of an int */
#define REQUIRED OPTION_REQUIRED

enum { WHEN_MAX = 256 }; /* bytes of a condition */

/* clang-format off */
#define PLACE(field, type) offsetof(HOME, field) + _Generic(((HOME *)0)->field, type: 0)
#define BOUNDED(kind, ctype, field, standard_, least_, most_, help_, ...) \
	{ \
		.path = #field, .type = kind, .standard = standard_, .least = least_, .most = most_, .offset = PLACE(field, ctype), \
		.help = help_, __VA_ARGS__ \
	}

#define INT(...) BOUNDED(OPTION_INT, int, __VA_ARGS__, )
#define REAL(...) BOUNDED(OPTION_REAL, double, __VA_ARGS__, )
#define TEXT(...) BOUNDED(OPTION_TEXT, const char *, __VA_ARGS__, )
#define JSON(...) BOUNDED(OPTION_JSON, const char *, __VA_ARGS__, )
#define RANGE(...) BOUNDED(OPTION_RANGE, struct int_range, __VA_ARGS__, )
#define TEXTS(...) BOUNDED(OPTION_TEXTS, struct text_list, __VA_ARGS__, )
#define BOOL(field, standard_, help_, ...) \
	{ \
		.path = #field, .type = OPTION_BOOL, .standard = standard_, .offset = PLACE(field, int), .help = help_, __VA_ARGS__ \
	}
#define CHOICE(field, standard_, choices_, help_, ...) \
	{ \
		.path = #field, .type = OPTION_CHOICE, .standard = standard_, .choices = choices_, .offset = PLACE(field, const char *), \
		.help = help_, __VA_ARGS__ \
	}
#define ROWS(field, rows_, most_, help_) \
	{ \
		.path = #field, .type = OPTION_ROWS, .standard = "[]", .most = most_, .offset = offsetof(HOME, field), .help = help_, \
		.rows = rows_ \
	}

#define WEIGHT_HELP "share of what is drawn, relative to the other weights; 0: every source by its number of problems"

#define HOME struct generator_config
#define GENERATOR \
	TEXT(name, REQUIRED, 1, 100, "countdown, knights_knaves, addition, sequence, ..."), \
	TEXT(reward, "", 0, 100, "the verifier of its problems, instead of those under task"), \
	RANGE(levels, "1", 0, 100, "difficulty, or a range of them such as 1-3"), \
	INT(count, "1000", 1, 1e8, "problems, spread evenly over the levels"), \
	INT(seed, "0", 0, BIG, "another seed gives other problems"), \
	INT(first, "0", 0, 1e9, "number of the first problem")
static const struct option generator_options[] = {
	GENERATOR,
	REAL(error_rate, "0", 0, 1, "share of wrong steps in worked solutions: an imperfect corpus for hone sft"),
	REAL(weight, "0", 0, 1e6, WEIGHT_HELP),
};
static const struct option eval_generator_options[] = {GENERATOR};
static const struct option_rows generator_rows = {generator_options, N(generator_options), sizeof(struct generator_config), 0};
static const struct option_rows eval_generator_rows = {eval_generator_options, N(eval_generator_options), sizeof(struct generator_config), 0};

#undef HOME
#define HOME struct source_config
#define SOURCE \
	TEXT(file, REQUIRED, 1, 4000, "rows of JSON, plain or gzip"), \
	TEXT(name, "", 0, 100, "name of the file in tables and messages; empty: the file's name up to its first dot"), \
	TEXT(reward, "", 0, 100, "the verifier of its problems, instead of those under task"), \
	TEXT(category, "", 0, 200, "category of rows that have none"), \
	TEXT(prompt_column, "", 0, 200, "for this file, as data.prompt_column; empty: as there"), \
	TEXT(answer_column, "", 0, 200, "for this file, as data.answer_column; empty: as there"), \
	TEXT(category_column, "", 0, 200, "for this file, as data.category_column; empty: as there"), \
	TEXT(id_column, "", 0, 200, "for this file, as data.id_column; empty: as there"), \
	TEXT(prompt_template, "", 0, 100000, "for this file, as data.prompt_template; empty: as there")
static const struct option source_options[] = {SOURCE, REAL(weight, "0", 0, 1e6, WEIGHT_HELP)}, eval_source_options[] = {SOURCE};
static const struct option_rows source_rows = {source_options, N(source_options), sizeof(struct source_config), 1};
static const struct option_rows eval_source_rows = {eval_source_options, N(eval_source_options), sizeof(struct source_config), 1};

#undef HOME
#define HOME struct reward_config
static const struct option reward_options[] = {
	TEXT(name, REQUIRED, 1, 100, "the verifier"),
	REAL(weight, "1", -1e6, 1e6, "the reward is the weighted sum over the list"),
};
static const struct option_rows reward_rows = {reward_options, N(reward_options), sizeof(struct reward_config), 0};

#define ALGORITHMS "reinforce|rloo|reinforce_pp|grpo|dr_grpo|dapo|gspo|cispo|ppo|gmpo|sapo|" \
	"topr|topr_naive|topr_positives|topr_is|topr_tis"

/* Conditions that several options share. */
#define FILES "data.train!=[] or data.eval!=[]"
#define HELD_OUT "data.eval!=[] or data.eval_generate!=[]"
#define SAMPLED "rollout.source=" /* not replayed */
#define CLIPPED "loss.clip=hard|cap|cap_absolute|log or guidance.clip=hard"

#undef HOME
#define HOME struct config
const struct option schema[] = {
	TEXT(model.path, "", 0, 4000, "folder in the Hugging Face layout; empty: random weights of the shape model.init"),
	TEXT(model.tokenizer, "", 0, 4000,
	     "folder or tokenizer.json; chars:ALPHABET makes one of single characters; empty: the model's own"),
	TEXT(model.reference, "", 0, 4000, "folder of the frozen reference model; empty: the weights that the run starts from",
	     .when = "loss.beta!=0"),
	TEXT(model.adapter, "", 0, 4000, "folder of a LoRA adapter of this model, or a run of one, to continue from; only the adapter learns", .when = "model.path!="),
	INT(model.lora_r, "0", 0, 4096, "rank of a new LoRA adapter, and only the adapter learns; 0: none, the model itself learns",
	    .when = "model.path!="),
	REAL(model.lora_alpha, "32", 1e-6, 1e6, "scales what the adapter adds by lora_alpha / lora_r", .when = "model.lora_r!=0"),
	BOOL(model.use_rslora, "false", "scales by lora_alpha / sqrt(lora_r) instead", .when = "model.lora_r!=0"),
	TEXTS(model.lora_target_modules, "[]", 0, 7,
	      "projections that get an adapter; empty: all of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj",
	      .when = "model.lora_r!=0"),
	INT(model.init.width, "128", 2, 65536, "width of the residual stream", .when = "model.path="),
	INT(model.init.n_layers, "4", 1, 1000, "layers", .when = "model.path="),
	INT(model.init.n_heads, "4", 1, 1024, "query heads", .when = "model.path="),
	INT(model.init.n_kv_heads, "4", 1, 1024, "key and value heads; divides n_heads", .when = "model.path="),
	INT(model.init.head_width, "32", 2, 1024, "width of one head; even", .when = "model.path="),
	INT(model.init.ff_width, "384", 1, 262144, "width of the feed-forward part", .when = "model.path="),
	INT(model.init.n_positions, "512", 2, 1 << 20, "longest sequence", .when = "model.path="),
	REAL(model.init.rope_theta, "10000", 1, 1e9, "base of the rotary angles", .when = "model.path="),
	BOOL(model.init.tied, "true", "the output projection is the embedding", .when = "model.path="),

	ROWS(data.train, &source_rows, 1000, "problems to train on: files, as names or as maps"),
	ROWS(data.generate, &generator_rows, 100, "generated problems to train on, never those that can be held out (src/world/generator.h)"),
	ROWS(data.eval, &eval_source_rows, 1000, "held-out problems: files, as names or as maps; hone eval reports each file"),
	ROWS(data.eval_generate, &eval_generator_rows, 100, "generated held-out problems, each once; by construction data.generate can make none of them, whatever its numbers and seeds"),
	TEXT(data.prompt_column, "prompt", 1, 200, "column with the prompt: a string or a list of messages", .when = FILES),
	TEXT(data.answer_column, "", 0, 200,
	     "column with the answer, a.b for one inside another; empty: the first of answer, solution, ground_truth, label, "
	     "reward_model.ground_truth, ground_truth.target", .when = FILES),
	TEXT(data.category_column, "category", 1, 200,
	     "column by which curricula and evaluation group the problems; category also finds data_source and dataset", .when = FILES),
	TEXT(data.id_column, "", 0, 200, "column with the id; empty: the first of id, unique_id, otherwise FILE:LINE; line: always FILE:LINE", .when = FILES),
	TEXT(data.prompt_template, "{prompt}", 1, 100000, "text around each prompt; {prompt} stands for it", .when = FILES),
	CHOICE(data.chat, "auto", "never|auto|always|ready",
	       "applies the model's chat template to string prompts, too; auto: where the model has one; "
	       "ready: prompts are rendered already, and neither template nor special tokens are added"),
	TEXT(data.system_prompt, "", 0, 100000, "system message for messages that begin with none; empty: none", .when = "data.chat!=ready"),
	JSON(data.chat_template_kwargs, "", 0, 100000,
	     "variables of the chat template, such as {enable_thinking: false}; a row's own column chat_template_kwargs takes precedence",
	     .when = "data.chat!=ready"),
	TEXT(data.chat_date, "2024-07-26", 0, 10,
	     "the date for a chat template that asks for it (strftime_now, date_string): always the same, so that a run does not depend on "
	     "the day; empty: none",
	     .when = "data.chat!=ready"),
	INT(data.max_prompt_length, "512", 1, 1 << 20, "tokens; a longer prompt is never cut"),
	CHOICE(data.answer_list, "any", "any|all",
	       "an answer that is a list: any of its items is right, or all of them together are the answer", .when = FILES),
	CHOICE(data.unreadable_answers, "error", "error|drop",
	       "problems whose answer the verifier cannot use: an error, or left out, counted and named"),
	CHOICE(data.overlong_prompts, "drop", "drop|error", "prompts that are longer than that, and in hone sft prompts without room for their worked completion: left out, counted and named, or an error"),
	INT(data.max_problems, "0", 0, BIG, "uses only so many training problems, the first ones; 0: all"),
	INT(data.eval_max_problems, "0", 0, BIG, "uses only so many held-out problems of each file or generator, the first ones; 0: all",
	    .when = HELD_OUT, .flags = FREE_ON_RESUME),
	TEXT(data.convert, "", 0, 100, "generator that rewrites published rows in its own compact text: knights_knaves", .when = FILES),

	TEXT(task.reward, "", 0, 100, "the verifier, when there is one with weight 1"),
	ROWS(task.rewards, &reward_rows, 32, "several verifiers with weights; instead of task.reward"),
	TEXT(task.eval_reward, "", 0, 100, "the verifier that decides what is right, in training and held out; empty: the first of the rewards that judges content (docs/verifiers.md)"),
	BOOL(task.permute_rewards, "false",
	     "control experiment that must not learn: rewards are shuffled among the completions of the same problem before training", .when = SAMPLED),
	BOOL(task.token_rewards, "false",
	     "pays each token by how much the reward rises with it, instead of paying all at the end; for dense verifiers; the algorithm's baseline stays", .when = SAMPLED),
	CHOICE(task.verifier.compare, "text", "text|dense|number|list|set",
	       "how completion and answer are compared: as text, text without white space, one number, a list, a list in any order", .when = "task.verifiers=exact"),
	REAL(task.verifier.tolerance, "0", 0, 1e9, "numbers that differ by no more are equal; for compare number, list and set",
	     .when = "task.verifiers=exact and task.verifier.compare=number|list|set"),
	REAL(task.verifier.relative_tolerance, "0", 0, 1, "the same, as a share of the answer", .when = "task.verifiers=exact and task.verifier.compare=number|list|set"),
	BOOL(task.verifier.ignore_case, "false", "ignores the case of letters", .when = "task.verifiers=exact and task.verifier.compare!=number"),
	INT(task.verifier.decimals, "0", 0, 15, "numbers that are equal when rounded to so many decimals are equal; 0: only equal numbers",
	    .when = "task.verifiers=math"),
	BOOL(task.verifier.interval_relations, "true", "-2 <= x <= 7 equals x in [-2, 7]", .when = "task.verifiers=math"),
	REAL(task.verifier.partial, "0", 0, 1, "partial credit: this times the share that is right", .when = "task.verifiers=knights_knaves|story|sudoku|arc"),
	REAL(task.verifier.format_score, "0", 0, 1, "the reward of an expression that is well formed but wrong", .when = "task.verifiers=countdown"),
	TEXT(task.verifier.pattern, "", 0, 10000, "regular expression (PCRE2) that must occur", .when = "task.verifiers=format"),
	TEXT(task.verifier.tags, "", 0, 1000, "blocks that must come in this order, such as think,answer", .when = "task.verifiers=format"),
	TEXT(task.verifier.word, "", 0, 1000, "the word; empty: the column word of the row", .when = "task.verifiers=contains|story"),
	RANGE(task.verifier.length, "1-1000", 0, 1e6, "tokens of a good length", .when = "task.verifiers=length"),
	INT(task.verifier.length_slack, "0", 0, 1e6, "tokens over which the reward fades outside that range", .when = "task.verifiers=length"),
	BOOL(task.verifier.length_in_characters, "false", "counts bytes of the text instead of tokens", .when = "task.verifiers=length"),
	TEXT(task.verifier.command, "", 0, 4096, "a program of your own and its words: JSON lines in, JSON lines out (src/verify/verify.h)",
	     .when = "task.verifiers=command"),
	REAL(task.verifier.command_timeout, "10", 0.001, 86400, "seconds a reply may take",
	     .when = "task.verifiers=command"),
	REAL(task.verifier.command_startup, "30", 0, 86400, "further seconds for the first reply of a fresh program",
	     .when = "task.verifiers=command"),
	INT(task.verifier.command_workers, "1", 1, 64, "programs at once, for as many threads", .when = "task.verifiers=command",
	    .flags = FREE_ON_RESUME),
	CHOICE(task.verifier.command_on_error, "leave_out", "leave_out|stop|zero",
	       "a completion without a verdict: counts nowhere, ends the job, or gets 0", .when = "task.verifiers=command"),

	CHOICE(algorithm, "grpo", ALGORITHMS, "the row of the algorithm table; options under loss override its parts"),

	CHOICE(loss.baseline, NULL, "none|batch|group|leave_one_out|constant|critic", "what is subtracted from the reward"),
	REAL(loss.baseline_value, NULL, -1e6, 1e6, "the constant, on the scale of the signed rewards", .when = "loss.baseline=constant"),
	REAL(loss.positive_share, "0", 0, 0.999999,
	     "choose the constant so that good completions make up this share of the weight of rollout.source; 0: off", .when = "loss.baseline=constant and rollout.source!="),
	BOOL(loss.signed_rewards, NULL, "rewards 0 .. 1 become -1 .. 1"),
	CHOICE(loss.scale_rewards, NULL, "none|group|batch", "standard deviation that divides the advantage"),
	BOOL(loss.whiten, NULL, "advantages of all tokens of the batch to mean 0, variance 1"),
	REAL(loss.advantage_eps, NULL, 0, 1, "added to the standard deviation of scale_rewards", .when = "loss.scale_rewards!=none"),
	REAL(loss.gamma, NULL, 0, 1, "discount per token"),
	REAL(loss.lam, NULL, 0, 1, "GAE's lambda: 1 trusts the reward, 0 the critic", .when = "loss.baseline=critic"),
	CHOICE(loss.importance_sampling_level, NULL, "none|token|sequence|sequence_sum",
	       "what the ratio is computed over; sequence is normalised by the length"),
	CHOICE(loss.clip, NULL, "none|hard|cap|cap_absolute|log|soft|taper",
	       "hard: PPO's clipped surrogate; cap: CISPO's capped weight; log: GMPO's; soft: SAPO's gate; taper: TOPR's limits"),
	REAL(loss.epsilon, NULL, 0, 1, "ratios below 1 - epsilon are clipped; set alone it sets epsilon_high too", .when = CLIPPED),
	REAL(loss.epsilon_high, NULL, 0, 1e6, "ratios above 1 + epsilon_high are clipped; with cap_absolute the cap itself", .when = CLIPPED),
	REAL(loss.delta, NULL, 0, 1e6, "two-sided or dual clip: cap of the ratio where the advantage is negative; 0: off", .when = "loss.clip=hard"),
	REAL(loss.tau_positive, NULL, 0, 1e6, "how fast the soft gate fades, A > 0", .when = "loss.clip=soft"),
	REAL(loss.tau_negative, NULL, 0, 1e6, "the same, A <= 0", .when = "loss.clip=soft"),
	REAL(loss.positive_low, NULL, 0, 1e9, "least weight of a completion with A >= 0", .when = "loss.clip=taper"),
	REAL(loss.positive_high, NULL, 0, 1e9, "largest weight of a completion with A >= 0", .when = "loss.clip=taper"),
	REAL(loss.negative_low, NULL, 0, 1e9, "least weight of a completion with A < 0", .when = "loss.clip=taper"),
	REAL(loss.negative_high, NULL, 0, 1e9, "largest weight of a completion with A < 0", .when = "loss.clip=taper"),
	CHOICE(loss.mismatch, NULL, "none|token_truncate|token_mask|sequence_truncate|sequence_mask|sequence_mean_mask",
	       "correction of replayed rollouts by the policy of the step over the one that sampled", .when = "rollout.source!= or compute.numerics=fast"),
	REAL(loss.mismatch_min, NULL, 0, 1, "masks: a smaller ratio drops the token or completion; truncation: the least weight", .when = "loss.mismatch!=none"),
	REAL(loss.mismatch_max, NULL, 1, 1e9, "masks: a larger ratio drops it; truncation: the largest weight", .when = "loss.mismatch!=none"),
	BOOL(loss.mismatch_normalise, NULL, "divides the weights by their mean", .when = "loss.mismatch!=none"),
	REAL(loss.off_policy_mask, NULL, 0, 1e6,
	     "leaves out completions with A < 0 that became rarer by more than this, in nats per token; 0: off"),
	REAL(loss.top_entropy, NULL, 0, 1, "trains only this share of the tokens, those with the highest entropy; 1: all"),
	CHOICE(loss.loss_type, NULL, "sequence_mean|grpo|token_mean|dapo|sequence_sum|constant|dr_grpo",
	       "weights of the tokens; grpo, dapo and dr_grpo are TRL's names of sequence_mean, token_mean and constant"),
	REAL(loss.beta, NULL, 0, 1e3, "coefficient of the KL divergence from the reference; 0: no reference model"),
	CHOICE(loss.kl_placement, NULL, "reward|token_reward|loss", "where the KL divergence enters", .when = "loss.beta!=0"),
	CHOICE(loss.kl_estimator, NULL, "k1|k2|k3|k3+", "its estimator; k3+: value of k3, gradient of k2", .when = "loss.beta!=0"),
	CHOICE(loss.kl_controller, NULL, "fixed|adaptive", "KL in the reward: keep loss.beta, or steer it towards loss.kl_target", .when = "loss.beta!=0 and loss.kl_placement=reward|token_reward"),
	REAL(loss.kl_target, NULL, 0, 1e6, "nats per token", .when = "loss.kl_controller=adaptive"),
	REAL(loss.kl_horizon, NULL, 1, 1e12, "completions over which loss.beta changes by at most a fifth", .when = "loss.kl_controller=adaptive"),
	BOOL(loss.use_bias_correction_kl, NULL, "KL in the loss: times the ratio of the token, or of the completion where importance_sampling_level says so, with gradient", .when = "loss.beta!=0 and loss.kl_placement=loss"),
	REAL(loss.entropy_coef, NULL, -1e3, 1e3, "coefficient of the mean entropy of the trained tokens (of those that top_entropy keeps), which is added as a bonus"),
	CHOICE(loss.overlong, NULL, "keep|mask|shape", "truncated completions: keep them, or mask them from the loss; shape: a soft penalty on long completions"),
	BOOL(loss.mask_truncated_completions, NULL, "TRL's name for loss.overlong: mask"),
	INT(loss.overlong_buffer, NULL, 0, 1 << 20, "tokens over which the penalty grows; 0: a fifth of rollout.max_completion_length", .when = "loss.overlong=shape"),
	REAL(loss.overlong_penalty, NULL, 0, 1e6, "the full penalty", .when = "loss.overlong=shape"),
	BOOL(loss.dynamic_sampling, NULL, "replaces groups whose completions are all right or all wrong by other problems"),
	INT(loss.dynamic_sampling_max_batches, "10", 1, 1000, "most batches sampled for one step", .when = "loss.dynamic_sampling!=false"),
	INT(loss.num_iterations, NULL, 1, 1000, "passes over each batch of rollouts"),

	CHOICE(guidance.kind, "none", "none|guide", "help for groups in which every completion failed", .when = SAMPLED),
	CHOICE(guidance.form, "replace", "replace|mixed|mixin",
	       "the guided completions replace the plain ones; join them; replace them, with the wrong ones as plain rows", .when = "guidance.kind=guide"),
	REAL(guidance.trigger_accuracy, "0", 0, 1, "a group is guided when at most this share of it is right; 0: all wrong, 1: always", .when = "guidance.kind=guide"),
	INT(guidance.num_guided, "0", 0, 65536, "guided completions per problem; 0: as rollout.num_generations", .when = "guidance.kind=guide"),
	TEXT(guidance.template, "{prompt}{hint}", 1, 100000, "the prompt with the hint in it, for guided completions and for sft.hint_rate; of messages the last one", .when = "guidance.kind=guide or sft.hint_rate!=0"),
	CHOICE(guidance.denominator, "hinted", "hinted|plain", "of the ratio of guided tokens: as sampled, or without the hint, as if they were on policy (an ablation)",
	       .when = "guidance.kind=guide"),
	CHOICE(guidance.clip, "squash", "squash|none|hard|power", "how the ratio of guided tokens is kept in bounds", .when = "guidance.kind=guide"),
	REAL(guidance.squash, "0", 0, 1e6, "g of q/(q + g); 0: the percentile of the completion's ratios", .when = "guidance.clip=squash"),
	REAL(guidance.squash_percentile, "0.9", 0, 1, "which one", .when = "guidance.clip=squash and guidance.squash=0"),
	REAL(guidance.power, "1", 0, 10, "of clip: power", .when = "guidance.clip=power"),
	CHOICE(credit.kind, "none", "none|empg", "how the advantage is spread over a completion; empg: by the entropies of its segments"),
	CHOICE(credit.segments, "newline", "newline|turn",
	       "what a segment is: a line, or everything the model writes between two observations", .when = "credit.kind=empg"),
	REAL(credit.k, "1", 0, 100, "how much more the confident segments count; 0: all alike", .when = "credit.kind=empg"),
	REAL(credit.k_bonus, "1", 0, 100, "how fast the bonus fades with the entropy of the next segment", .when = "credit.kind=empg"),
	REAL(credit.zeta, "0.1", 0, 100, "factor of the bonus for a confident next segment; 0: none", .when = "credit.kind=empg"),
	CHOICE(credit.zero_variance, "shape", "shape|zero",
	       "groups without any advantage: shaped by entropies alone as published, or left at 0", .when = "credit.kind=empg"),
	BOOL(credit.shuffle, "false", "control experiment: shuffles the entropies among the segments of the batch",
	     .when = "credit.kind=empg"),
	CHOICE(curriculum.kind, "uniform", "uniform|sequential|easy_to_hard|sec|dump",
	       "which problems come next; see docs/methods", .when = SAMPLED),
	TEXTS(curriculum.categories, "category", 0, 8,
	      "columns that divide the problems into arms; [category, difficulty]: one arm of each pair; []: a single arm", .when = SAMPLED),
	REAL(curriculum.temperature, NULL, 0, 1e3, "of the softmax over the arms; 0: the best arm alone; unset: 1 for sec, 0.1 for dump",
	     .when = "curriculum.kind=sec|dump"),
	REAL(curriculum.alpha, "0.5", 0, 1, "share of the newest step in the value of an arm", .when = "curriculum.kind=sec"),
	CHOICE(curriculum.unsampled, "decay", "decay|keep",
	       "value of an arm without a completion in the step: decay towards 0 as in the released code, or keep it",
	       .when = "curriculum.kind=sec"),
	INT(curriculum.window, "300", 1, 1000000, "how many of the newest completions of an arm count", .when = "curriculum.kind=dump"),
	CHOICE(curriculum.count, "responses", "responses|prompts",
	       "what the exploration bonus counts: completions as in the released code, problems as in the paper",
	       .when = "curriculum.kind=dump"),
	REAL(curriculum.exploration, "1", 0, 1e3, "factor of the exploration bonus; 0: none", .when = "curriculum.kind=dump"),
	INT(curriculum.steps_per_level, "50", 1, BIG, "steps of a level before the next one comes; the last level stays",
	    .when = "curriculum.kind=easy_to_hard"),
	INT(curriculum.levels, "0", 0, BIG, "parts of equally many problems by difficulty; 0: a level is one difficulty",
	    .when = "curriculum.kind=easy_to_hard"),
	BOOL(curriculum.cumulative, "false", "earlier levels stay in the mix", .when = "curriculum.kind=easy_to_hard"),
	CHOICE(curriculum.order, "easy_first", "easy_first|hard_first", "hard_first: the levels backwards, a negative control",
	       .when = "curriculum.kind=easy_to_hard"),

	INT(rollout.num_generations, "8", 1, 65536, "completions sampled per problem"),
	INT(rollout.prompts_per_step, "16", 1, 1 << 20, "problems per step"),
	INT(rollout.max_completion_length, "256", 1, 1 << 20, "most tokens of a completion"),
	REAL(rollout.temperature, "1", 0, 100, "0: greedy", .tiny = 1e-3),
	REAL(rollout.top_p, "1", 1e-6, 1, "samples from the smallest set of tokens with this probability; 1: off", .when = "rollout.temperature!=0"),
	INT(rollout.top_k, "0", -1, BIG, "samples from the k likeliest tokens; 0 or -1: off", .when = "rollout.temperature!=0"),
	REAL(rollout.min_p, "0", 0, 1, "samples from tokens at least this many times as likely as the likeliest; 0: off", .when = "rollout.temperature!=0"),
	TEXTS(rollout.stop, "[]", 0, 32, "texts that end a completion, besides the end token", .when = SAMPLED " or " HELD_OUT),
	INT(rollout.batch_size, "64", 1, 65536, "completions decoded at once; changes only speed and memory", .flags = FREE_ON_RESUME),
	BOOL(rollout.share_prompt, "true", "computes the prompt of a group once while decoding; changes only speed and memory", .flags = FREE_ON_RESUME),

	TEXT(rollout.source, "", 0, 4000, "rollouts recorded by hone rollouts, to train on instead of sampling; empty: sample"),
	CHOICE(rollout.curation, "all", "all|balanced|one_positive",
	       "what is kept of each group of the source; balanced: as many right as wrong completions; one_positive: the first right one and the wrong ones",
	       .when = "rollout.source!="),
	INT(rollout.max_negatives, "0", 0, BIG, "most bad completions kept of each group of the source; 0: all", .when = "rollout.source!="),

	REAL(optim.learning_rate, "1e-6", 0, 10, "the peak"),
	CHOICE(optim.lr_scheduler_type, "constant", "constant|constant_with_warmup|linear|cosine|cosine_with_min_lr", "as transformers names them"),
	REAL(optim.min_lr_rate, "0", 0, 1,
	     "share of the peak at which it ends", .when = "optim.lr_scheduler_type=cosine_with_min_lr"),
	INT(optim.warmup_steps, "0", 0, BIG, "steps over which the rate rises from 0", .when = "optim.lr_scheduler_type!=constant"),
	REAL(optim.warmup_ratio, "0", 0, 1, "the same as a share of run.max_steps", .when = "optim.lr_scheduler_type!=constant"),
	REAL(optim.weight_decay, "0", 0, 10, "decoupled"),
	REAL(optim.adam_beta1, "0.9", 0, 0.999999, "decay of the first moment"),
	REAL(optim.adam_beta2, "0.999", 0, 0.99999999, "decay of the second moment"),
	REAL(optim.adam_epsilon, "1e-8", 1e-15, 1, "added to the root of the second moment"),
	REAL(optim.max_grad_norm, "1", 0, 1e9, "clip of the gradient's global norm; 0: off"),
	INT(optim.num_minibatches, "1", 1, 65536, "updates per pass over a batch of rollouts"),

	CHOICE(critic.network, "own", "own|shared",
	       "own: a second network that starts as a copy of the policy; shared: a head on the policy's", .when = "loss.baseline=critic"),
	REAL(critic.learning_rate, "1e-5", 0, 10, "the peak; it follows optim.lr_scheduler_type", .when = "loss.baseline=critic"),
	REAL(critic.vf_coef, "0.1", 0, 1e6, "weight of the value loss in the shared layers", .when = "critic.network=shared"),
	REAL(critic.cliprange_value, "0.5", 0, 1e6, "values are clipped to this distance from those before the first update; 0: off",
	     .when = "loss.baseline=critic"),
	REAL(critic.head_std, "0", 0, 100, "of the value head's weights at the start; 0: every value starts at 0", .when = "loss.baseline=critic"),
	INT(critic.warmup_steps, "0", 0, BIG, "first steps in which only the critic learns", .when = "loss.baseline=critic"),

	INT(compute.threads, "0", 0, 4096, "0: all cores this process may use; changes no bit of the result", .flags = FREE_ON_RESUME),
	CHOICE(compute.backend, "auto", "auto|avx512|avx2|onednn|openblas|reference", "matrix products; avx512, avx2 and reference give the same bits; auto: the fastest that this CPU has"),
	CHOICE(compute.precision, "f32", "f32", "of matrix products; weights and sums stay f32"),
	CHOICE(compute.numerics, "strict", "strict|fast", "strict: the same bits for any batch, threads, micro-batch and resume"),
	INT(compute.micro_batch_tokens, "8192", 1, 1 << 24,
	     "tokens in memory at once while training; changes no bit of the result", .flags = FREE_ON_RESUME),
	REAL(compute.memory_limit_gb, "0", 0, 1e6, "refuse a job whose bill is larger; 0: what the machine has", .flags = FREE_ON_RESUME),

	TEXT(run.output_dir, "", 0, 3000, "the run folder; empty: runs/NAME of the config file", .flags = FREE_ON_RESUME),
	INT(run.max_steps, "100", 0, BIG, "steps of the run", .flags = FREE_ON_RESUME),
	INT(run.seed, "0", 0, BIG, "all randomness is keyed by it"),
	INT(run.logging_steps, "1", 1, BIG, "prints a line every so many steps; metrics.jsonl has every step", .flags = FREE_ON_RESUME),
	INT(run.save_steps, "50", 0, BIG, "a checkpoint every so many steps; 0: only at the end", .flags = FREE_ON_RESUME),
	INT(run.save_total_limit, "2", 0, BIG, "checkpoints kept; 0: all", .flags = FREE_ON_RESUME),
	INT(run.save_samples, "16", 0, 1 << 20,
	     "completions written to samples/ at each evaluation and at the last step; 0: none", .flags = FREE_ON_RESUME),
	BOOL(run.tensorboard, "true", "write events files", .flags = FREE_ON_RESUME),
	INT(run.eval_steps, "0", 0, BIG,
	     "evaluate on the held-out problems every so many steps and at the end; 0: never", .when = HELD_OUT, .flags = FREE_ON_RESUME),
	BOOL(run.eval_on_start, "true", "evaluates before the first step, too", .when = "run.eval_steps!=0", .flags = FREE_ON_RESUME),
	INT(run.eval_samples, "1", 1, 65536, "completions per held-out problem", .when = HELD_OUT, .flags = FREE_ON_RESUME),
	INT(run.eval_k, "0", 0, 65536, "the k of pass@k; 0: as run.eval_samples", .when = HELD_OUT, .flags = FREE_ON_RESUME),
	REAL(run.eval_temperature, "1", 0, 100, "0: greedy; where it is not set, hone eval takes the model's generation_config.json", .tiny = 1e-3,
	     .when = HELD_OUT, .flags = FREE_ON_RESUME),
	REAL(run.eval_top_p, "1", 1e-6, 1, "as rollout.top_p, for held-out problems", .when = "run.eval_temperature!=0", .flags = FREE_ON_RESUME),
	TEXT(run.metric_for_best_model, "", 0, 79,
	     "a metric of the evaluations, as eval/pass@1: each time it is better than before, a checkpoint is saved and stays until another is "
	     "best, beside those of run.save_total_limit; empty: none",
	     .when = "run.eval_steps!=0", .flags = FREE_ON_RESUME),
	BOOL(run.greater_is_better, "true", "whether a larger value of it is better", .when = "run.metric_for_best_model!=", .flags = FREE_ON_RESUME),

	INT(sft.batch_size, "32", 1, 1 << 20, "sequences per step of hone sft"),
	REAL(sft.hint_rate, "0", 0, 1, "share of the prompts of hone sft that carry their hint, as guidance.template says"),
};
/* clang-format on */
const int schema_n = N(schema);
_Static_assert(N(schema) <= CONFIG_OPTIONS_MAX, "struct config has a place for every row");

int schema_find(const char *path)
{
	for (int i = 0; i < schema_n; i++)
		if (!strcmp(schema[i].path, path))
			return i;
	return -1;
}

/* ---- the nearest known key ---- */

enum { PATH_MAX_COMPARED = 63 };

static int least_of(int a, int b, int c)
{
	return a < b ? (a < c ? a : c) : (b < c ? b : c);
}

/* Levenshtein's distance of the first 63 bytes, where it can be less than `limit`; otherwise
 * `limit`. */
static int edit_distance(const char *a, const char *b, int limit)
{
	int row[PATH_MAX_COMPARED + 1], m = (int)strnlen(a, PATH_MAX_COMPARED),
	                                n = (int)strnlen(b, PATH_MAX_COMPARED);

	if (m - n >= limit || n - m >= limit)
		return limit;
	for (int j = 0; j <= n; j++)
		row[j] = j;
	for (int i = 0; i < m; i++) {
		int diagonal = row[0];
		row[0] = i + 1;
		for (int j = 0; j < n; j++) {
			int above = row[j + 1];
			row[j + 1] = least_of(row[j] + 1, above + 1, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	return row[n];
}

static const char *leaf(const char *path)
{
	const char *dot = strrchr(path, '.');
	return dot ? dot + 1 : path;
}

static size_t room_length(const char *path)
{
	return strcspn(path, ".");
}

static int same_room(const char *a, const char *b)
{
	size_t n = room_length(a);
	return n == room_length(b) && !strncmp(a, b, n);
}

static int is_room_of(const struct option *rows, int n, const char *path)
{
	for (int i = 0; strchr(path, '.') && i < n; i++)
		if (strchr(rows[i].path, '.') && same_room(rows[i].path, path))
			return 1;
	return 0;
}

/* In a room that there is, only its own options are near. Where the room is missing or none, the
 * right leaf counts as one typing error. */
const char *schema_nearest(const struct option *rows, int n, const char *path)
{
	const char *best = NULL;
	int         best_distance = 4, has_room = is_room_of(rows, n, path);

	for (int i = 0; i < n; i++) {
		int whole = edit_distance(path, rows[i].path, best_distance);
		int last =
		        has_room ? whole
		                 : 1 + edit_distance(leaf(path), leaf(rows[i].path), best_distance);
		int distance = whole < last ? whole : last;
		if (has_room && !same_room(rows[i].path, path))
			continue;
		if (distance < best_distance && distance < (int)strlen(leaf(path))) {
			best = rows[i].path;
			best_distance = distance;
		}
	}
	return best;
}

const char *schema_elsewhere(const char *path)
{
	for (int i = 0; i < schema_n; i++)
		if (!strcmp(leaf(schema[i].path), leaf(path)))
			return schema[i].path;
	return NULL;
}

/* ---- conditions ---- */

static const char *schema_next_word(const char *words)
{
	const char *bar = strchr(words, '|');
	return bar ? bar + 1 : NULL;
}

/* Whether "a|b" and "b|c" have a word in common; "" is the one word "". */
static int words_meet(const char *a, const char *b)
{
	for (; a; a = schema_next_word(a))
		for (const char *w = b; w; w = schema_next_word(w))
			if (strcspn(a, "|") == strcspn(w, "|") && !strncmp(a, w, strcspn(a, "|")))
				return 1;
	return 0;
}

/* The part of a condition before `word` (" and ", " or "), copied; returns what stands behind the
 * word, NULL behind the last part. */
static const char *next_part(const char *when, const char *word, char part[WHEN_MAX])
{
	const char *end = strstr(when, word);

	snprintf(part, WHEN_MAX, "%.*s", (int)(end ? end - when : WHEN_MAX - 1), when);
	return end ? end + strlen(word) : NULL;
}

/* "PATH=a|b" or "PATH!=a|b". */
static int comparison_holds(const char *comparison, option_lookup *value, const void *context)
{
	char        path[WHEN_MAX];
	const char *equals = strchr(comparison, '='), *got;
	int         negated = equals[-1] == '!', row;

	snprintf(path, sizeof path, "%.*s", (int)(equals - comparison) - negated, comparison);
	row = schema_find(path);
	if (row >= 0 && !schema_when_holds(schema[row].when, value, context))
		return 0;
	got = value(context, path);
	return !got || words_meet(got, equals + 1) != negated;
}

static int all_hold(const char *comparisons, option_lookup *value, const void *context)
{
	char comparison[WHEN_MAX];

	while (comparisons) {
		comparisons = next_part(comparisons, " and ", comparison);
		if (!comparison_holds(comparison, value, context))
			return 0;
	}
	return 1;
}

int schema_when_holds(const char *when, option_lookup *value, const void *context)
{
	char part[WHEN_MAX];
	int  holds = when == NULL;

	while (when && !holds) {
		when = next_part(when, " or ", part);
		holds = all_hold(part, value, context);
	}
	return holds;
}

/* ---- the table as text ---- */

static int has_bounds(const struct option *o)
{
	return o->type == OPTION_INT || o->type == OPTION_REAL || o->type == OPTION_RANGE;
}

static void add_bounds(struct text *t, const struct option *o)
{
	if (o->type == OPTION_CHOICE) {
		for (const char *c = o->choices; *c; c++)
			text_print(t, *c == '|' ? ", " : "%c", *c);
	} else if (has_bounds(o)) {
		if (o->tiny > 0)
			text_print(t, "0 or ");
		text_print(t, o->most >= BIG ? "at least %.10g" : "%.10g to %.10g",
		           o->tiny > 0 ? o->tiny : o->least, o->most);
	}
}

static const char *type_name(enum option_type type)
{
	static const char *const names[] = {[OPTION_INT] = "integer",
	                                    [OPTION_REAL] = "number",
	                                    [OPTION_BOOL] = "true or false",
	                                    [OPTION_TEXT] = "text",
	                                    [OPTION_CHOICE] = "one of",
	                                    [OPTION_RANGE] = "integer or range",
	                                    [OPTION_TEXTS] = "list of texts",
	                                    [OPTION_ROWS] = "list of maps",
	                                    [OPTION_JSON] = "map"};
	return names[type];
}

static const char *default_name(const struct option *o)
{
	if (!o->standard)
		return "from the algorithm";
	return !strcmp(o->standard, OPTION_REQUIRED) ? "required"
	       : *o->standard                        ? o->standard
	                                             : "empty";
}

static void markdown_row(struct text *t, const struct option *o, const char *prefix)
{
	text_print(t, "| `%s%s` | %s", prefix, o->path, type_name(o->type));
	if (has_bounds(o))
		text_add(t, ", ", 2);
	else if (o->type == OPTION_CHOICE)
		text_add(t, " ", 1);
	add_bounds(t, o);
	text_print(t, " | %s | %s", default_name(o), o->help);
	if (o->when) {
		text_print(t, " (when `");
		for (const char *c = o->when; *c; c++)
			text_print(t, *c == '|' ? "\\%c" : "%c", *c); /* a bar would end the cell */
		text_print(t, "`)");
	}
	text_print(t, "%s |\n", o->flags & FREE_ON_RESUME ? " ↻" : "");
	for (int i = 0; o->rows && i < o->rows->n; i++) {
		char inner[128];
		snprintf(inner, sizeof inner, "%s%s[].", prefix, o->path);
		markdown_row(t, &o->rows->options[i], inner);
	}
}

void options_markdown(struct text *t)
{
	text_print(t, "# Options\n\nMade by `make docs` from the table in `src/run/schema.c`; do "
	              "not edit.\n\n"
	              "A config is YAML; `extends: other.yaml` inherits from another file, "
	              "`key.path=value` on the command line overrides.\n"
	              "An option marked ↻ may differ when a run is resumed. \"From the "
	              "algorithm\": the row of the algorithm table gives it,\n"
	              "and a config overrides it.\n");
	for (int i = 0; i < schema_n; i++) {
		if (i == 0 || !same_room(schema[i - 1].path, schema[i].path))
			text_print(t,
			           "\n## %.*s\n\n| option | type | default | what it does "
			           "|\n|---|---|---|---|\n",
			           (int)room_length(schema[i].path), schema[i].path);
		markdown_row(t, &schema[i], "");
	}
}

static void help_row(struct text *t, const struct option *o, int indent)
{
	text_print(t, "%*s%-*s  %s [", indent, "", 34 - indent, o->path, o->help);
	add_bounds(t, o);
	text_print(t, "%s%s]\n", has_bounds(o) || o->choices ? "; " : "", default_name(o));
	for (int i = 0; o->rows && i < o->rows->n; i++)
		help_row(t, &o->rows->options[i], indent + 4);
}

void options_help(struct text *t, const char *room)
{
	for (int i = 0; i < schema_n; i++)
		if (!room || (strlen(room) == room_length(schema[i].path) &&
		              !strncmp(room, schema[i].path, strlen(room))))
			help_row(t, &schema[i], 2);
}
