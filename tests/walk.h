/* walk.h - for tests that go through every option of the schema: how each is set to another value,
 * where its condition holds, in a run of two steps with a few thousand weights.
 *
 *     walk_prepare()                                 writes the files and the models that the runs
 *                                                    read
 *     walk_setting(&walk[i], "0.5", t)               " 'loss.gamma=0.5'": the option at another
 *                                                    value, for a line of shell
 *     walk_run(&walk[i], seconds, settings, folder)  exit status of `hone COMMAND FILE WITH
 *                                                    settings` into a folder, in so many seconds of
 *                                                    CPU
 *     walk_digest(folder)                            of weights, moments, samples, metrics without
 *                                                    times, and which files there are
 *
 * An option of the schema without a row fails tests/test_config.c. */
#ifndef WALK_H
#define WALK_H

#include "run.h"

#include "rl/job_config.h"

#include <dirent.h>

struct walk_row {
	const char *path; /* of the option; data.generate[].seed for one of a list's rows */
	/* another one than what it has by default or in `with`; NULL: see `reason` */
	const char *value;
	const char *with; /* settings beside which it is read, as a line of shell */
	const char *file; /* the config; NULL: init.yaml */
	/* of such an option: its value in the run to compare with; NULL: it is left out there */
	const char *plain;
	/* of options in rows: the list with %s where the option goes: "[{name: addition%s}]" */
	const char *list;
	const char *command; /* NULL: train */
	/* settings under which nothing reads it: of each option that has a condition; "": the
	 * plain config */
	const char *without;
	const char *reason; /* operational: why no file shows it */
	/* that the run with the other value ends with: an option whose effect is to stop */
	int status;
};

/* ---- the table ---- */

#define PATH(p) .path = p
#define PARROT .file = "parrot.yaml"
#define FROM .file = "from.yaml"
#define FILES_ONLY "data.generate=[] data.train=q.jsonl run.eval_steps=0"
#define LEVELS " 'data.generate=[{name: sequence, levels: 1-3, count: 20}]'"
#define SAYS " task.eval_reward=length" /* which keeps task.verifier.length of the file read */
#define OFF_POLICY "loss.num_iterations=3 optim.learning_rate=0.05 "
#define GUIDE \
	"guidance.kind=guide data.generate=[] data.train=q.jsonl guidance.trigger_accuracy=1 " \
	"guidance.form=mixed "

/* clang-format off */
static const struct walk_row walk[] = {
	{PATH("model.path"), "second", .file = "alone.yaml"},
	{PATH("model.tokenizer"), "chars:0123456789,:+=x"},
	{PATH("model.reference"), "second", FROM, .with = "loss.beta=0.1", .without = "loss.beta=0"},
	{PATH("model.sync_ref_model"), "true", .with = "loss.beta=0.1", .without = "loss.beta=0"},
	{PATH("model.ref_model_mixup_alpha"), "0.1", .with = "loss.beta=0.1 model.sync_ref_model=true model.ref_model_sync_steps=1", .without = "loss.beta=0.1"},
	{PATH("model.ref_model_sync_steps"), "1", .with = "loss.beta=0.1 model.sync_ref_model=true", .without = "loss.beta=0.1"},
	{PATH("model.adapter"), "adapter", FROM, .without = ""},
	{PATH("model.lora_r"), "2", FROM, .without = ""},
	{PATH("model.lora_alpha"), "8", FROM, .with = "model.lora_r=2", .without = ""},
	{PATH("model.use_rslora"), "true", FROM, .with = "model.lora_r=2", .without = ""},
	{PATH("model.lora_target_modules"), "[q_proj]", FROM, .with = "model.lora_r=2", .without = ""},
	{PATH("model.init.width"), "24", .without = "model.path=first"},
	{PATH("model.init.n_layers"), "2", .without = "model.path=first"},
	{PATH("model.init.n_heads"), "4", .without = "model.path=first"},
	{PATH("model.init.n_kv_heads"), "2", .without = "model.path=first"},
	{PATH("model.init.head_width"), "12", .without = "model.path=first"},
	{PATH("model.init.ff_width"), "32", .without = "model.path=first"},
	{PATH("model.init.n_positions"), "40", .without = "model.path=first"},
	{PATH("model.init.rope_theta"), "100", .without = "model.path=first"},
	{PATH("model.init.tied"), "false", .without = "model.path=first"},

	{PATH("data.train"), "[q.jsonl, q2.jsonl]", .with = FILES_ONLY},
	{PATH("data.train[].file"), "[{file: q2.jsonl}]", .with = FILES_ONLY},
	{PATH("data.train[].name"), "x", .list = "[{file: q.jsonl%s}]", .with = FILES_ONLY},
	{PATH("data.train[].reward"), "sequence", .list = "[{file: q.jsonl%s}]", .with = FILES_ONLY},
	{PATH("data.train[].category"), "z", .list = "[{file: q2.jsonl%s}, {file: q.jsonl, category: u}]", .with = FILES_ONLY " curriculum.kind=dump"},
	{PATH("data.train[].prompt_column"), "q", .list = "[{file: q.jsonl%s}]", .with = FILES_ONLY},
	{PATH("data.train[].answer_column"), "other", .list = "[{file: q.jsonl%s}]", .with = FILES_ONLY " task.reward=sequence" SAYS},
	{PATH("data.train[].category_column"), "kind", .list = "[{file: q.jsonl%s}]", .with = FILES_ONLY " curriculum.kind=dump"},
	{PATH("data.train[].id_column"), "name", .list = "[{file: q.jsonl%s}]", .with = FILES_ONLY},
	{PATH("data.train[].prompt_template"), "\"{prompt}=\"", .list = "[{file: q.jsonl%s}]", .with = FILES_ONLY},
	{PATH("data.train[].weight"), "3", .list = "[{file: q2.jsonl%s}, {file: q2.jsonl, name: b, weight: 1}]", .plain = "1", .with = FILES_ONLY},
	{PATH("data.generate"), "[{name: sequence, levels: 2}]"},
	{PATH("data.generate[].name"), "[{name: addition}]"},
	{PATH("data.generate[].reward"), "numeric", .list = "[{name: sequence, count: 20%s}]"},
	{PATH("data.generate[].levels"), "2", .list = "[{name: sequence, count: 20%s}]"},
	{PATH("data.generate[].count"), "30", .list = "[{name: sequence%s}]"},
	{PATH("data.generate[].seed"), "1", .list = "[{name: sequence, count: 20%s}]"},
	{PATH("data.generate[].first"), "100", .list = "[{name: sequence, count: 20%s}]"},
	{PATH("data.generate[].error_rate"), "1", .list = "[{name: addition, count: 20%s}]", .command = "sft"},
	{PATH("data.generate[].weight"), "3", .list = "[{name: sequence, count: 20%s}, {name: sequence, seed: 1, count: 20, weight: 1}]", .plain = "1"},
	{PATH("data.eval"), "q.jsonl"},
	{PATH("data.eval[].file"), "[{file: q.jsonl}]"},
	{PATH("data.eval[].name"), "x", .list = "[{file: q.jsonl%s}]"},
	{PATH("data.eval[].reward"), "sequence", .list = "[{file: q.jsonl%s}]"},
	{PATH("data.eval[].category"), "z", .list = "[{file: q2.jsonl%s}, {file: q.jsonl, category: u}]"},
	{PATH("data.eval[].prompt_column"), "q", .list = "[{file: q.jsonl%s}]"},
	{PATH("data.eval[].answer_column"), "other", .list = "[{file: q.jsonl%s}]"},
	{PATH("data.eval[].category_column"), "kind", .list = "[{file: q.jsonl%s}]"},
	{PATH("data.eval[].id_column"), "name", .list = "[{file: q.jsonl%s}]"},
	{PATH("data.eval[].prompt_template"), "\"{prompt}=\"", .list = "[{file: q.jsonl%s}]"},
	{PATH("data.eval_generate"), "[{name: sequence, count: 3, levels: 2}]"},
	{PATH("data.eval_generate[].name"), "[{name: addition, count: 2}]"},
	{PATH("data.eval_generate[].reward"), "sequence", .list = "[{name: sequence, count: 2%s}]"},
	{PATH("data.eval_generate[].levels"), "2", .list = "[{name: sequence, count: 2%s}]"},
	{PATH("data.eval_generate[].count"), "3", .list = "[{name: sequence%s}]", .plain = "2"},
	{PATH("data.eval_generate[].seed"), "1", .list = "[{name: sequence, count: 2%s}]"},
	{PATH("data.eval_generate[].first"), "100", .list = "[{name: sequence, count: 2%s}]"},
	{PATH("data.prompt_column"), "q", .with = FILES_ONLY, .without = ""},
	{PATH("data.answer_column"), "other", .with = FILES_ONLY " task.reward=sequence" SAYS, .without = ""},
	{PATH("data.category_column"), "kind", .with = FILES_ONLY " curriculum.kind=dump", .without = ""},
	{PATH("data.id_column"), "name", .with = FILES_ONLY, .without = ""},
	{PATH("data.prompt_template"), "{prompt}=", .with = FILES_ONLY, .without = ""},
	{PATH("data.chat"), "always", .file = "alone.yaml", .with = "model.path=chat data.chat=ready"},
	{PATH("data.system_prompt"), "12", .file = "alone.yaml", .with = "model.path=chat data.chat=always", .without = "data.chat=ready"},
	{PATH("data.chat_template_kwargs"), "{k: 12}", .file = "alone.yaml", .with = "model.path=chat data.chat=always", .without = "data.chat=ready"},
	{PATH("data.chat_date"), "2031-01-01", .file = "alone.yaml", .with = "model.path=chat data.chat=always 'data.chat_template_kwargs={d: 1}'", .without = "data.chat=ready"},
	{PATH("data.max_prompt_length"), "7", .with = FILES_ONLY},
	{PATH("data.answer_list"), "all", PARROT, .with = "data.train=golds.jsonl task.reward=math", .without = ""},
	{PATH("data.unreadable_answers"), "error", .with = "data.generate=[] data.train=unreadable.jsonl task.reward=numeric data.unreadable_answers=drop" SAYS, .status = 2},
	{PATH("data.overlong_prompts"), "error", .with = FILES_ONLY " data.max_prompt_length=7", .status = 2},
	{PATH("data.max_problems"), "3"},
	{PATH("data.eval_max_problems"), "1", .with = "'data.eval_generate=[{name: sequence, count: 4}]'", .without = "data.eval_generate=[]"},
	{PATH("data.convert"), "knights_knaves", .with = "data.generate=[] data.train=signs.jsonl model.tokenizer=chars", .without = ""},

	{PATH("task.reward"), "sequence", .with = SAYS},
	{PATH("task.rewards"), "[{name: length}, {name: sequence}]", .with = "task.reward= 'task.rewards=[{name: length}]'"},
	{PATH("task.rewards[].name"), "[{name: sequence}]", .with = "task.reward= 'task.rewards=[{name: length}]' task.eval_reward=length"},
	{PATH("task.rewards[].weight"), "2", .list = "[{name: length%s}, {name: sequence}]", .with = "task.reward="},
	{PATH("task.eval_reward"), "sequence"},
	{PATH("task.permute_rewards"), "true", .without = "rollout.source=answers.jsonl"},
	{PATH("task.token_rewards"), "true", .with = "task.reward=sequence task.eval_reward=length", .without = "rollout.source=answers.jsonl"},
	{PATH("task.verifier.compare"), "dense", PARROT, .with = "data.train=letters.jsonl task.reward=exact task.verifier.ignore_case=true", .without = ""},
	{PATH("task.verifier.tolerance"), "0.2", PARROT, .with = "data.train=number.jsonl task.reward=exact task.verifier.compare=number", .without = "task.reward=exact"},
	{PATH("task.verifier.relative_tolerance"), "0.02", PARROT, .with = "data.train=number.jsonl task.reward=exact task.verifier.compare=number", .without = "task.reward=exact"},
	{PATH("task.verifier.ignore_case"), "true", PARROT, .with = "data.train=letters.jsonl task.reward=exact", .without = ""},
	{PATH("task.verifier.decimals"), "1", PARROT, .with = "data.train=number.jsonl task.reward=math", .without = ""},
	{PATH("task.verifier.interval_relations"), "false", PARROT, .with = "data.train=interval.jsonl task.reward=math", .without = ""},
	{PATH("task.verifier.partial"), "0.5", PARROT, .with = "data.train=knights.jsonl task.reward=knights_knaves", .without = ""},
	{PATH("task.verifier.format_score"), "0.3", PARROT, .with = "data.train=countdown.jsonl task.reward=countdown", .without = ""},
	{PATH("task.verifier.pattern"), "d.g", PARROT, .with = "data.train=words.jsonl task.reward=format task.verifier.pattern=cat", .without = ""},
	{PATH("task.verifier.tags"), "think", PARROT, .with = "data.train=words.jsonl task.reward=format task.verifier.pattern=dog", .without = ""},
	{PATH("task.verifier.word"), "dog", PARROT, .with = "data.train=words.jsonl task.reward=contains", .without = ""},
	{PATH("task.verifier.length"), "2-4", .without = "task.reward=numeric"},
	{PATH("task.verifier.length_slack"), "2", .without = "task.reward=numeric"},
	{PATH("task.verifier.length_in_characters"), "true", .without = "task.reward=numeric"},
	{PATH("task.verifier.command"), "sh half.sh 1", .with = "task.reward=command 'task.verifier.command=sh half.sh'" SAYS, .reason = "the same program by another line gives the same rewards", .without = ""},
	{PATH("task.verifier.command_timeout"), NULL, .reason = "time alone", .without = ""},
	{PATH("task.verifier.command_startup"), NULL, .reason = "time alone", .without = ""},
	{PATH("task.verifier.command_workers"), NULL, .reason = "programs at once: time alone", .without = ""},
	{PATH("task.environment.command"), "sh echo.sh", .with = "rollout.stop=[]", .without = "rollout.source=answers.jsonl"},
	{PATH("task.environment.timeout"), NULL, .reason = "time alone", .without = ""},
	{PATH("task.environment.startup"), NULL, .reason = "time alone", .without = ""},
	{PATH("task.environment.turns"), "1", .with = "'task.environment.command=sh echo.sh'", .without = ""},
	{PATH("task.environment.action_end"), "1", .with = "'task.environment.command=sh echo.sh'", .without = ""},
	{PATH("task.environment.template"), "={observation}", .with = "'task.environment.command=sh echo.sh'", .without = ""},
	{PATH("task.verifier.command_on_error"), "zero", .with = "task.reward=command 'task.verifier.command=sh half.sh'" SAYS, .without = ""},

	{PATH("algorithm"), "rloo"},
	{PATH("loss.baseline"), "batch", .with = "loss.scale_rewards=none"},
	{PATH("loss.baseline_value"), "0.3", .with = "loss.scale_rewards=none loss.baseline=constant", .without = ""},
	{PATH("loss.positive_share"), "0.3", FROM, .with = "rollout.source=answers.jsonl algorithm=topr loss.baseline=constant", .without = "loss.baseline=constant"},
	{PATH("loss.signed_rewards"), "true", .with = "loss.scale_rewards=none loss.baseline=none"},
	{PATH("loss.scale_rewards"), "batch"},
	{PATH("loss.multi_objective_aggregation"), "normalize_then_sum", .with = "task.reward= 'task.rewards=[{name: length}, {name: sequence, weight: 3}]' loss.baseline=none loss.scale_rewards=none"},
	{PATH("loss.resample"), "pow"},
	{PATH("loss.resample_power"), "50", .with = "loss.resample=pow task.verifier.length=1-3 task.verifier.length_slack=5", .without = ""},
	{PATH("loss.whiten"), "true"},
	{PATH("loss.advantage_eps"), "0.5", .without = "loss.scale_rewards=none"},
	{PATH("loss.gamma"), "0.9"},
	{PATH("loss.lam"), "0.5", .with = "algorithm=ppo critic.head_std=1", .without = ""},
	{PATH("loss.importance_sampling_level"), "sequence", .with = OFF_POLICY},
	{PATH("loss.clip"), "cap", .with = OFF_POLICY},
	{PATH("loss.epsilon"), "0.01", .with = OFF_POLICY, .without = "algorithm=reinforce"},
	{PATH("loss.epsilon_high"), "0.01", .with = OFF_POLICY, .without = "algorithm=sapo"},
	{PATH("loss.delta"), "1.03", .with = OFF_POLICY "loss.epsilon=0.02 loss.epsilon_high=0.02", .without = ""},
	{PATH("loss.tau_positive"), "3", .with = OFF_POLICY "algorithm=sapo", .without = ""},
	{PATH("loss.tau_negative"), "3", .with = OFF_POLICY "algorithm=sapo", .without = ""},
	{PATH("loss.positive_low"), "0", .with = OFF_POLICY "algorithm=topr", .without = ""},
	{PATH("loss.positive_high"), "3", .with = OFF_POLICY "algorithm=topr", .without = ""},
	{PATH("loss.negative_low"), "0.99", .with = OFF_POLICY "algorithm=topr", .without = ""},
	{PATH("loss.negative_high"), "3", .with = OFF_POLICY "algorithm=topr", .without = ""},
	{PATH("loss.mismatch"), "token_truncate", FROM, .with = "rollout.source=answers.jsonl model.path=second", .without = ""},
	{PATH("loss.mismatch_min"), "0.99", FROM, .with = "rollout.source=answers.jsonl model.path=second loss.mismatch=token_mask", .without = ""},
	{PATH("loss.mismatch_max"), "1.01", FROM, .with = "rollout.source=answers.jsonl model.path=second loss.mismatch=token_truncate", .without = ""},
	{PATH("loss.mismatch_normalise"), "true", FROM, .with = "rollout.source=answers.jsonl model.path=second loss.mismatch=token_truncate", .without = ""},
	{PATH("loss.mismatch_moment"), "1e-6", FROM, .with = "rollout.source=answers.jsonl model.path=second loss.mismatch=second_moment", .without = ""},
	{PATH("loss.vespo_k_pos"), "5", .with = OFF_POLICY "algorithm=vespo", .without = ""},
	{PATH("loss.vespo_lambda_pos"), "9", .with = OFF_POLICY "algorithm=vespo", .without = ""},
	{PATH("loss.vespo_k_neg"), "9", .with = OFF_POLICY "algorithm=vespo", .without = ""},
	{PATH("loss.vespo_lambda_neg"), "9", .with = OFF_POLICY "algorithm=vespo", .without = ""},
	{PATH("loss.proximal"), "1", .with = OFF_POLICY},
	{PATH("loss.positive_nll"), "0.5"},
	{PATH("loss.echo"), "0.5", .with = "'data.generate=[{name: nav, levels: 1, count: 20}]' 'data.eval_generate=[{name: nav, levels: 1, count: 2}]' task.reward=environment" SAYS " model.tokenizer=chars model.init.n_positions=128"},
	{PATH("loss.covariance"), "kl", .with = OFF_POLICY},
	{PATH("loss.covariance_ratio"), "0.9", .with = OFF_POLICY "loss.covariance=kl", .without = ""},
	{PATH("loss.covariance_low"), "-9", .with = "loss.covariance=clip loss.covariance_ratio=0.9", .without = ""},
	{PATH("loss.covariance_high"), "0.01", .with = "loss.covariance=clip loss.covariance_ratio=0.9 loss.covariance_low=-9", .without = ""},
	{PATH("loss.covariance_coef"), "3", .with = OFF_POLICY "loss.covariance=kl loss.covariance_ratio=0.5", .without = ""},
	{PATH("loss.off_policy_mask"), "0.001", .with = OFF_POLICY},
	{PATH("loss.top_entropy"), "0.5"},
	{PATH("loss.loss_type"), "token_mean"},
	{PATH("loss.beta"), "0.5", FROM, .with = "model.reference=second loss.beta=0.1"},
	{PATH("loss.kl_placement"), "reward", FROM, .with = "model.reference=second loss.beta=0.1", .without = "loss.beta=0"},
	{PATH("loss.kl_estimator"), "k2", FROM, .with = "model.reference=second loss.beta=0.1", .without = "loss.beta=0"},
	{PATH("loss.kl_controller"), "adaptive", FROM, .with = "model.reference=second loss.beta=0.1 loss.kl_placement=reward", .without = "loss.beta=0.1 loss.kl_placement=loss"},
	{PATH("loss.kl_target"), "100", FROM, .with = "model.reference=second loss.beta=0.1 loss.kl_placement=reward loss.kl_controller=adaptive", .without = ""},
	{PATH("loss.kl_horizon"), "10", FROM, .with = "model.reference=second loss.beta=0.1 loss.kl_placement=reward loss.kl_controller=adaptive", .without = ""},
	{PATH("loss.use_bias_correction_kl"), "true", FROM, .with = "model.reference=second loss.beta=0.1", .without = "loss.beta=0.1 loss.kl_placement=reward"},
	{PATH("loss.entropy_coef"), "0.1"},
	{PATH("loss.use_adaptive_entropy"), "true", .with = "loss.entropy_coef=0.1", .without = "rollout.source=answers.jsonl"},
	{PATH("loss.entropy_target"), "100", .with = "loss.use_adaptive_entropy=true loss.entropy_coef=0.1", .without = ""},
	{PATH("loss.entropy_coef_delta"), "0.2", .with = "loss.use_adaptive_entropy=true loss.entropy_target=100", .without = ""},
	{PATH("loss.entropy_coef_min"), "0.1", .with = "loss.use_adaptive_entropy=true loss.entropy_target=100", .without = ""},
	{PATH("loss.entropy_coef_max"), "0.001", .with = "loss.use_adaptive_entropy=true loss.entropy_target=100", .without = ""},
	{PATH("loss.overlong"), "mask"},
	{PATH("loss.mask_truncated_completions"), "true"},
	{PATH("loss.overlong_buffer"), "4", .with = "loss.overlong=shape", .without = "loss.overlong=mask"},
	{PATH("loss.overlong_penalty"), "0.5", .with = "loss.overlong=shape", .without = "loss.overlong=mask"},
	{PATH("loss.dynamic_sampling"), "true", .with = "task.verifier.length=1-5"},
	{PATH("loss.dynamic_sampling_max_batches"), "1", .with = "loss.dynamic_sampling=true task.reward=sequence" SAYS, .without = ""},
	{PATH("loss.num_iterations"), "2"},

	{PATH("guidance.kind"), "guide", .with = "data.generate=[] data.train=q.jsonl", .without = "rollout.source=answers.jsonl"},
	{PATH("guidance.form"), "replace", .with = GUIDE, .without = ""},
	{PATH("guidance.trigger_accuracy"), "0", .with = GUIDE, .without = ""},
	{PATH("guidance.num_guided"), "2", .with = GUIDE, .without = ""},
	{PATH("guidance.template"), "{prompt}+{hint}", .with = GUIDE, .without = ""},
	{PATH("guidance.denominator"), "plain", .with = GUIDE, .without = ""},
	{PATH("guidance.clip"), "none", .with = GUIDE, .without = ""},
	{PATH("guidance.squash"), "0.3", .with = GUIDE, .without = ""},
	{PATH("guidance.squash_percentile"), "0.2", .with = GUIDE, .without = "guidance.kind=guide guidance.squash=1"},
	{PATH("guidance.power"), "0.5", .with = GUIDE "guidance.clip=power", .without = ""},
	{PATH("credit.kind"), "empg"},
	{PATH("credit.segments"), "turn", .with = "credit.kind=empg", .without = ""},
	{PATH("credit.k"), "2", .with = "credit.kind=empg", .without = ""},
	{PATH("credit.k_bonus"), "3", .with = "credit.kind=empg", .without = ""},
	{PATH("credit.zeta"), "0.5", .with = "credit.kind=empg", .without = ""},
	{PATH("credit.zero_variance"), "zero", .with = "credit.kind=empg task.verifier.length=1-6", .without = ""},
	{PATH("credit.shuffle"), "true", .with = "credit.kind=empg", .without = ""},
	{PATH("curriculum.kind"), "sequential", .without = "rollout.source=answers.jsonl"},
	{PATH("curriculum.categories"), "[difficulty]", .with = "curriculum.kind=dump" LEVELS, .without = "rollout.source=answers.jsonl"},
	{PATH("curriculum.temperature"), "0.5", .with = "curriculum.kind=sec" LEVELS, .without = ""},
	{PATH("curriculum.alpha"), "0.9", .with = "curriculum.kind=sec" LEVELS, .without = ""},
	{PATH("curriculum.unsampled"), "keep", .with = "curriculum.kind=sec run.max_steps=5 'data.generate=[{name: sequence, levels: 1-9, count: 20}]'", .without = ""},
	{PATH("curriculum.window"), "1", .with = "curriculum.kind=dump" LEVELS, .without = ""},
	{PATH("curriculum.count"), "prompts", .with = "curriculum.kind=dump" LEVELS, .without = ""},
	{PATH("curriculum.exploration"), "5", .with = "curriculum.kind=dump" LEVELS, .without = ""},
	{PATH("curriculum.steps_per_level"), "1", .with = "curriculum.kind=easy_to_hard" LEVELS, .without = ""},
	{PATH("curriculum.levels"), "2", .with = "curriculum.kind=easy_to_hard curriculum.steps_per_level=1" LEVELS, .without = ""},
	{PATH("curriculum.cumulative"), "true", .with = "curriculum.kind=easy_to_hard curriculum.steps_per_level=1" LEVELS, .without = ""},
	{PATH("curriculum.order"), "hard_first", .with = "curriculum.kind=easy_to_hard" LEVELS, .without = ""},

	{PATH("rollout.num_generations"), "3"},
	{PATH("rollout.prompts_per_step"), "3"},
	{PATH("rollout.max_completion_length"), "5"},
	{PATH("rollout.temperature"), "0.7"},
	{PATH("rollout.top_p"), "0.5", .without = "rollout.temperature=0"},
	{PATH("rollout.top_k"), "2", .without = "rollout.temperature=0"},
	{PATH("rollout.min_p"), "0.8", .without = "rollout.temperature=0"},
	{PATH("rollout.stop"), "[\",\"]", .without = "rollout.source=answers.jsonl data.eval_generate=[]"},
	{PATH("rollout.batch_size"), NULL, .reason = "sequences decoded at once: speed and memory alone (tests/test_job.c)"},
	{PATH("rollout.speculate"), NULL, .reason = "guesses that come true change speed alone (tests/test_speculate.c)"},
	{PATH("rollout.share_prompt"), NULL, .reason = "a prompt of a group is computed once: speed alone (tests/test_job.c)"},
	{PATH("rollout.source"), "answers.jsonl", FROM},
	{PATH("rollout.curation"), "one_positive", FROM, .with = "rollout.source=answers.jsonl loss.baseline=none loss.scale_rewards=none", .without = ""},
	{PATH("rollout.max_negatives"), "1", FROM, .with = "rollout.source=answers.jsonl loss.signed_rewards=true", .without = ""},

	{PATH("optim.learning_rate"), "2e-2"},
	{PATH("optim.lr_scheduler_type"), "linear"},
	{PATH("optim.min_lr_rate"), "0.5", .with = "optim.lr_scheduler_type=cosine_with_min_lr", .without = ""},
	{PATH("optim.warmup_steps"), "1", .with = "optim.lr_scheduler_type=linear", .without = ""},
	{PATH("optim.warmup_ratio"), "0.5", .with = "optim.lr_scheduler_type=linear", .without = ""},
	{PATH("optim.weight_decay"), "0.1"},
	{PATH("optim.adam_beta1"), "0.8"},
	{PATH("optim.adam_beta2"), "0.9"},
	{PATH("optim.adam_epsilon"), "1e-3"},
	{PATH("optim.max_grad_norm"), "0.01"},
	{PATH("optim.num_minibatches"), "2"},
	{PATH("critic.network"), "shared", .with = "algorithm=ppo", .without = ""},
	{PATH("critic.learning_rate"), "1e-2", .with = "algorithm=ppo", .without = ""},
	{PATH("critic.vf_coef"), "1", .with = "algorithm=ppo critic.network=shared critic.head_std=1", .without = ""},
	{PATH("critic.cliprange_value"), "0.001", .with = "algorithm=ppo loss.num_iterations=3 critic.learning_rate=0.01", .without = ""},
	{PATH("critic.head_std"), "1", .with = "algorithm=ppo", .without = ""},
	{PATH("critic.warmup_steps"), "1", .with = "algorithm=ppo", .without = ""},

	{PATH("compute.threads"), NULL, .reason = "speed alone (tests/test_job.c)"},
	{PATH("compute.backend"), NULL, .reason = "who computes the products; which bits that changes depends on the machine"},
	{PATH("compute.precision"), "bf16"},
	{PATH("compute.head_precision"), "f32", .with = "compute.precision=bf16", .without = ""},
	{PATH("compute.numerics"), NULL, .reason = "which bits it changes depends on the backend"},
	{PATH("compute.order"), "tile", .with = "compute.precision=bf16", .plain = "pair", .without = ""},
	{PATH("compute.micro_batch_tokens"), NULL, .reason = "speed and memory alone (tests/test_job.c)"},
	{PATH("compute.recompute"), NULL, .reason = "speed and memory alone (tests/test_bits.c)"},
	{PATH("compute.memory_limit_gb"), "1e-6", .status = 2},
	{PATH("run.output_dir"), NULL, .reason = "every run of this test sets it"},
	{PATH("run.max_steps"), "3"},
	{PATH("run.num_train_epochs"), "0.2"},
	{PATH("run.seed"), "1"},
	{PATH("run.logging_steps"), NULL, .reason = "lines on the screen"},
	{PATH("run.save_steps"), "1"},
	{PATH("run.save_total_limit"), "1", .with = "run.save_steps=1"},
	{PATH("run.save_only_model"), "true"},
	{PATH("run.save_dtype"), "bf16", .with = "run.save_only_model=true", .without = ""},
	{PATH("run.save_samples"), "1"},
	{PATH("run.tensorboard"), "true"},
	{PATH("run.check_steps"), NULL, .reason = "of several ranks (tests/test_ranks_job.c)"},
	{PATH("run.log_ranks"), NULL, .reason = "lines on the screen"},
	{PATH("run.watchdog_seconds"), NULL, .reason = "of jobs that hang (tests/test_watchdog.c)"},
	{PATH("run.eval_steps"), "2", .without = "data.eval_generate=[]"},
	{PATH("run.eval_on_start"), "false", .without = ""},
	{PATH("run.eval_samples"), "2", .without = "data.eval_generate=[]"},
	{PATH("run.eval_k"), "2", .with = "run.eval_samples=3", .without = "data.eval_generate=[]"},
	{PATH("run.eval_temperature"), "0", .without = "data.eval_generate=[]"},
	{PATH("run.eval_top_p"), "0.3", .without = "run.eval_temperature=0"},
	{PATH("run.metric_for_best_model"), "eval/mean_length", .with = "run.max_steps=4"},
	{PATH("run.greater_is_better"), "false", .with = "run.max_steps=6 run.eval_samples=16 run.metric_for_best_model=eval/reward", .without = ""},
	{PATH("run.patience"), "1", .with = "run.max_steps=6 run.eval_samples=16 run.metric_for_best_model=eval/reward", .without = ""},
	{PATH("sft.batch_size"), "5", .command = "sft"},
	{PATH("sft.hint_rate"), "0.5", .command = "sft", .with = "data.generate=[] data.train=q.jsonl"},
};
/* clang-format on */
enum { WALK_ROWS = sizeof walk / sizeof *walk };

static inline const struct walk_row *walk_row_of(const char *path)
{
	for (int i = 0; i < WALK_ROWS; i++)
		if (!strcmp(walk[i].path, path))
			return &walk[i];
	return NULL;
}

/* ---- what the runs read ---- */

#define WALK_REST \
	"task: {reward: length, verifier: {length: 1-3, length_slack: 4}}\n" \
	"rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n" \
	"optim: {learning_rate: 1e-2}\n" \
	"sft: {batch_size: 4}\n" \
	"compute: {memory_limit_gb: 0.3}\n"
#define WALK_RUN "run: {max_steps: 2, save_steps: 0, eval_steps: 1, tensorboard: false}\n"

static const struct {
	const char *name, *text;
} walk_files[] = {
        {"init.yaml", "model:\n"
                      "  tokenizer: \"chars:0123456789,:+=\\n\"\n"
                      "  init: {width: 16, n_layers: 1, n_heads: 2, n_kv_heads: 1, head_width: 8, "
                      "ff_width: 24, n_positions: 32}\n"
                      "data:\n"
                      "  generate: [{name: sequence, count: 20}]\n"
                      "  eval_generate: [{name: sequence, count: 2}]\n" WALK_REST WALK_RUN},
        {"from.yaml", "model: {path: first}\n"
                      "data:\n"
                      "  generate: [{name: sequence, count: 20}]\n"
                      "  eval_generate: [{name: sequence, count: 2}]\n" WALK_REST WALK_RUN},
        /* The same without held-out problems. */
        {"alone.yaml",
         "model: {path: first}\ndata: {generate: [{name: sequence, count: 20}]}\n" WALK_REST
         "run: {max_steps: 2, save_steps: 0, tensorboard: false}\n"},
        /* A model that says what it has learned by heart: what verifiers can be asked about. */
        {"parrot-sft.yaml", "model:\n"
                            "  tokenizer: \"chars:0123456789,:+=<>-[].abcdefgxyzAYDos BkK\"\n"
                            "  init: {width: 32, n_layers: 1, n_heads: 2, n_kv_heads: 1, "
                            "head_width: 16, ff_width: 48, n_positions: 32}\n"
                            "data: {train: parrot.jsonl}\n"
                            "rollout: {max_completion_length: 12}\n"
                            "sft: {batch_size: 6}\n"
                            "optim: {learning_rate: 1e-2}\n"
                            "run: {max_steps: 150, save_steps: 0, tensorboard: false}\n"},
        {"parrot.yaml", "model: {path: parrot}\n"
                        "rollout: {num_generations: 4, prompts_per_step: 2, max_completion_length: "
                        "12, temperature: 0.5}\n"
                        "run: {max_steps: 1, save_steps: 0, tensorboard: false}\n"},
        {"parrot.jsonl", "{\"prompt\": \"a\", \"answer\": \"12.4\"}\n"
                         "{\"prompt\": \"b\", \"answer\": \"Yes\"}\n"
                         "{\"prompt\": \"c\", \"answer\": \"1+2\"}\n"
                         "{\"prompt\": \"d\", \"answer\": \"-2<=x<=7\"}\n"
                         "{\"prompt\": \"e\", \"answer\": \"A dog.\"}\n"
                         "{\"prompt\": \"f\", \"answer\": \"Ab\"}\n"},
        {"number.jsonl",
         "{\"prompt\": \"a\", \"answer\": \"12.5\"}\n{\"prompt\": \"a\", \"answer\": \"12.44\"}\n"},
        {"golds.jsonl", "{\"prompt\": \"a\", \"answer\": [\"12.4\", \"7\"]}\n{\"prompt\": \"a\", "
                        "\"answer\": \"12.5\"}\n"},
        {"letters.jsonl",
         "{\"prompt\": \"b\", \"answer\": \"yes\"}\n{\"prompt\": \"b\", \"answer\": \"Y es\"}\n"},
        {"interval.jsonl",
         "{\"prompt\": \"d\", \"answer\": \"[-2, 7]\"}\n{\"prompt\": \"d\", \"answer\": \"x\"}\n"},
        {"countdown.jsonl",
         "{\"prompt\": \"c\", \"answer\": \"2*2\", \"numbers\": [1, 2], \"target\": 2}\n"},
        {"knights.jsonl",
         "{\"prompt\": \"f\", \"answer\": \"AB\"}\n{\"prompt\": \"f\", \"answer\": \"ab\"}\n"},
        {"words.jsonl", "{\"prompt\": \"e\", \"answer\": \"x\", \"word\": \"cat\"}\n{\"prompt\": "
                        "\"e\", \"answer\": \"x\", \"word\": \"dogs\"}\n"},

        {"q.jsonl", "{\"prompt\": \"1,2:9,1\", \"q\": \"7\", \"answer\": \"3\", \"other\": \"12\", "
                    "\"kind\": \"x\", \"name\": \"one\", "
                    "\"hint\": \"3\"}\n"
                    "{\"prompt\": \"2,3:9,1,5\", \"q\": \"8\", \"answer\": \"14\", \"other\": "
                    "\"5\", \"kind\": \"y\", \"name\": \"two\", "
                    "\"hint\": \"1\"}\n"
                    "{\"prompt\": \"4:5\", \"q\": \"9\", \"answer\": \"14\", \"other\": \"4\", "
                    "\"kind\": \"y\", \"name\": \"three\", "
                    "\"hint\": \"1\"}\n"},
        {"q2.jsonl", "{\"prompt\": \"7:1,1\", \"q\": \"7\", \"answer\": \"2\", \"other\": \"1\", "
                     "\"kind\": \"x\"}\n"
                     "{\"prompt\": \"7:1\", \"q\": \"7\", \"answer\": \"4\", \"other\": \"1\", "
                     "\"kind\": \"y\"}\n"},
        {"unreadable.jsonl", "{\"prompt\": \"7:1,1\", \"answer\": \"2\"}\n{\"prompt\": \"7:1,2\", "
                             "\"answer\": \"three\"}\n"},
        {"signs.jsonl", "{\"quiz\": \"1\", \"prompt\": \"4\", \"answer\": \"5\", \"names\": "
                        "[\"Zoey\", \"Oliver\"], \"solution\": [true, false], "
                        "\"statements\": \"(('not', ('telling-truth', 1)), ('and', "
                        "('telling-truth', 0), ('telling-truth', 1)))\", "
                        "\"solution_text\": \"(1) Zoey is a knight (2) Oliver is a knave\"}\n"},
        {"half.sh", "while read line; do case $line in *'\"tokens\":1,'* | *'\"tokens\": 1,'*) "
                    "echo '{\"error\": \"short\"}';; *) echo "
                    "'{\"reward\": 0.5}';; esac; done\n"},
        {"echo.sh", "while read line; do echo '{\"observation\": \"+\"}'; done\n"},
        {"template.jinja", "{% for m in messages %}{{ m.content }}={% endfor %}{{ k }}{% if d %}{{ "
                           "date_string[7:] }}{% endif %}"},
};

static inline void walk_prepare(void)
{
	for (size_t i = 0; i < sizeof walk_files / sizeof *walk_files; i++)
		write_text(walk_files[i].name, walk_files[i].text);
	hone_ok("sft init.yaml run.output_dir=first run.max_steps=3");
	hone_ok("sft init.yaml run.output_dir=second run.max_steps=9");
	hone_ok("sft from.yaml run.output_dir=adapter run.max_steps=3 model.lora_r=2");
	hone_ok("sft parrot-sft.yaml run.output_dir=parrot");
	hone_ok("rollouts from.yaml --steps 3 --output answers.jsonl");
	shell("cp -r first/checkpoint-3 chat && cp template.jinja chat/chat_template.jinja && rm "
	      "-f chat/manifest.json");
}

/* ---- running ---- */

#define WALK_LINE 4096

/* The key of a row's option and what stands behind "[]." of it, or NULL. */
static inline const char *walk_inner(const struct walk_row *row, char key[128])
{
	const char *inner = strstr(row->path, "[].");

	snprintf(key, 128, "%.*s", inner ? (int)(inner - row->path) : 127, row->path);
	return inner ? inner + 3 : NULL;
}

/* Writes " 'key=value'". With a value of NULL the list of row->list without the option, or
 * nothing. */
static inline void walk_setting(const struct walk_row *row, const char *value, char line[WALK_LINE])
{
	char        key[128], option[512] = "";
	const char *inner = walk_inner(row, key), *at = row->list ? strstr(row->list, "%s") : NULL;

	*line = 0;
	value = value ? value : row->plain;
	if (inner && at) {
		if (value)
			snprintf(option, sizeof option, ", %s: %s", inner, value);
		snprintf(line, WALK_LINE, " '%s=%.*s%s%s'", key, (int)(at - row->list), row->list,
		         option, at + 2);
	} else if (value) {
		snprintf(line, WALK_LINE, " '%s=%s'", key, value);
	}
}

static inline int walk_run(const struct walk_row *row, int seconds, const char *settings,
                           const char *folder)
{
	const char *command = row->command ? row->command : "train";

	return hone_within(seconds, "%s %s run.output_dir=%s compute.threads=1 %s %s", command,
	                   row->file ? row->file : "init.yaml", folder, row->with ? row->with : "",
	                   settings);
}

/* ---- digests ---- */

static inline uint64_t walk_hash(uint64_t h, const void *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const unsigned char *)data)[i]) * 0x100000001b3u;
	return h;
}

/* Files that hold the config, the time, the kernels, or checksums of such. */
static inline int walk_is_about_itself(const char *name)
{
	static const char *const names[] = {"config.yaml",   "report.html",  "trainer_state.json",
	                                    "manifest.json", "verifier.log", "provenance.jsonl"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i], name))
			return 1;
	return strncmp(name, "events.", 7) == 0;
}

static inline uint64_t walk_hash_metrics(uint64_t h, const char *path)
{
	FILE  *f = fopen(path, "r");
	char  *line = NULL;
	size_t capacity = 0;

	assert_non_null(f);
	while (getline(&line, &capacity, f) > 0) {
		json_t     *row = json_loads(line, 0, NULL), *value;
		const char *key;
		void       *next;
		char       *text;
		assert_non_null(row);
		json_object_foreach_safe(row, next, key, value)
		{
			if (is_timing(key))
				json_object_del(row, key);
		}
		text = json_dumps(row, JSON_REAL_PRECISION(17) | JSON_SORT_KEYS);
		h = walk_hash(h, text, strlen(text));
		free(text);
		json_decref(row);
	}
	free(line);
	fclose(f);
	return h;
}

static inline uint64_t walk_hash_folder(uint64_t h, const char *folder)
{
	struct dirent **entries;
	int             n = scandir(folder, &entries, NULL, alphasort);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		char        path[PATH_MAX];
		struct stat st;
		snprintf(path, sizeof path, "%s/%s", folder, name);
		if (*name != '.' && stat(path, &st) == 0) {
			size_t size = 0;
			char  *data;
			/* events: and then the time */
			h = walk_hash(h, name, strncmp(name, "events.", 7) ? strlen(name) : 7);
			if (S_ISDIR(st.st_mode)) {
				h = walk_hash_folder(h, path);
			} else if (!strcmp(name, "metrics.jsonl")) {
				h = walk_hash_metrics(h, path);
			} else if (!walk_is_about_itself(name)) {
				data = read_all(path, &size);
				h = walk_hash(h, data, size);
				free(data);
			}
		}
		free(entries[i]);
	}
	free(entries);
	return h;
}

static inline uint64_t walk_digest(const char *folder)
{
	return walk_hash_folder(0xcbf29ce484222325u, folder);
}

#endif
