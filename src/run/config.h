/* config.h - what a job is: every option of every room, read from YAML and from key=value on the
 * command line.
 *
 *     struct config c;
 *     TRY(config_load("configs/demo.yaml", overrides, n_overrides, &c));
 *     ... c.optim.learning_rate ...
 *     config_free(&c);
 *
 * The options themselves (type, default, bounds, help, when each is read) stand in one table,
 * schema.c. Precedence, later wins: the defaults, the file named by `extends`, the file, the
 * command line. A list given later replaces the earlier one as a whole. An unknown key, a wrong
 * type, a value out of bounds, and an option that nothing would read (guidance.clip beside
 * guidance.kind: none) are errors that name file, line, key and the way out.
 *
 * Options without a default ("from the algorithm" in docs/options.md) are unset unless somebody
 * sets them: their field is 0 or NULL and config_is_set() is 0. The algorithm's row gives their
 * value, with config_set_if_unset(), so that the resolved config shows what was used.
 *
 * The resolved config lists every option that is read, in the order of the table. Loading it again
 * gives the same text. Where what is given beside it makes that one of its options is no longer
 * read, the option goes without a word: nobody wrote it by hand. */
#ifndef RUN_CONFIG_H
#define RUN_CONFIG_H

#include "base/file.h"
#include "base/memory.h"

#include <stdint.h>

enum { CONFIG_OPTIONS_MAX = 192, CONFIG_EXTENDS_MAX = 8 };

struct text_list {
	const char **items;
	int          n;
};

struct int_range { /* low <= high; written "2" or "1-3" */
	int low, high;
};

struct generator_config { /* one row of data.generate */
	const char      *name, *reward;
	struct int_range levels;
	int              count, seed, first;
	double           error_rate, weight;
};

/* one row of data.train or data.eval; empty texts: as the options of data say */
struct source_config {
	const char *file, *name, *reward, *category, *prompt_column, *answer_column,
	        *category_column, *id_column, *prompt_template;
	double weight;
};

struct source_list {
	struct source_config *items;
	int                   n;
};

struct reward_config { /* one row of task.rewards */
	const char *name;
	double      weight;
};

struct config_model {
	const char      *path, *tokenizer, *reference, *adapter;
	int              lora_r, use_rslora;
	double           lora_alpha;
	struct text_list lora_target_modules;
	struct {
		int    width, n_layers, n_heads, n_kv_heads, head_width, ff_width, n_positions;
		double rope_theta;
		int    tied;
	} init;
};

struct config_data {
	struct source_list train, eval;
	struct {
		struct generator_config *items;
		int                      n;
	} generate, eval_generate;
	const char *prompt_column, *answer_column, *category_column, *id_column, *prompt_template,
	        *chat, *system_prompt, *chat_template_kwargs, *chat_date, *overlong_prompts,
	        *unreadable_answers, *answer_list, *convert;
	int max_prompt_length, max_problems, eval_max_problems;
};

struct config_task {
	const char *reward, *eval_reward;
	int         permute_rewards, token_rewards;
	struct {
		struct reward_config *items;
		int                   n;
	} rewards;
	struct { /* one set for all verifiers */
		const char *pattern, *tags, *word, *compare, *command, *command_on_error;
		double      partial, format_score, tolerance, relative_tolerance, command_timeout,
		        command_startup;
		struct int_range length;
		int ignore_case, decimals, interval_relations, length_slack, length_in_characters,
		        command_workers;
	} verifier;
};

/* the parts of the algorithm, each under the name that estimator/algorithm.h has for it; see
 * rl/recipe.c */
struct config_loss {
	const char *baseline, *scale_rewards, *importance_sampling_level, *clip, *loss_type,
	        *kl_placement, *kl_estimator, *kl_controller, *overlong, *mismatch;
	double advantage_eps, gamma, lam, kl_target, kl_horizon, epsilon, epsilon_high, delta, beta,
	        entropy_coef, overlong_penalty, baseline_value, positive_share, tau_positive,
	        tau_negative, positive_low, positive_high, negative_low, negative_high,
	        mismatch_min, mismatch_max, off_policy_mask, top_entropy;
	int whiten, mask_truncated_completions, overlong_buffer, dynamic_sampling,
	        dynamic_sampling_max_batches, num_iterations, signed_rewards,
	        use_bias_correction_kl, mismatch_normalise;
};

struct config_guidance {
	const char *kind, *form, *template, *denominator, *clip;
	double      trigger_accuracy, squash, squash_percentile, power;
	int         num_guided;
};

struct config_curriculum {
	const char      *kind, *unsampled, *count, *order;
	struct text_list categories;
	double           alpha, temperature, exploration;
	int              window, steps_per_level, levels, cumulative;
};

struct config_credit {
	const char *kind, *segments, *zero_variance;
	double      k, k_bonus, zeta;
	int         shuffle;
};

struct config_critic {
	const char *network;
	double      learning_rate, vf_coef, cliprange_value, head_std;
	int         warmup_steps;
};

struct config_rollout {
	int num_generations, prompts_per_step, max_completion_length, top_k, batch_size,
	        share_prompt;
	double           temperature, top_p, min_p;
	struct text_list stop;
	const char      *source, *curation;
	int              max_negatives;
};

struct config_optim {
	double learning_rate, min_lr_rate, warmup_ratio, weight_decay, adam_beta1, adam_beta2,
	        adam_epsilon, max_grad_norm;
	const char *lr_scheduler_type;
	int         warmup_steps, num_minibatches;
};

struct config_compute {
	int         threads, micro_batch_tokens;
	const char *backend, *precision, *numerics;
	double      memory_limit_gb;
};

struct config_run {
	const char *output_dir;
	int max_steps, seed, save_steps, save_total_limit, logging_steps, eval_steps, eval_samples,
	        eval_k, eval_on_start, save_samples, tensorboard;
	double      eval_temperature, eval_top_p;
	const char *metric_for_best_model;
	int         greater_is_better;
};

struct config_sft {
	int    batch_size;
	double hint_rate;
};

struct config {
	struct config_model      model;
	struct config_data       data;
	struct config_task       task;
	const char              *algorithm;
	struct config_loss       loss;
	struct config_critic     critic;
	struct config_guidance   guidance;
	struct config_credit     credit;
	struct config_curriculum curriculum;
	struct config_rollout    rollout;
	struct config_optim      optim;
	struct config_compute    compute;
	struct config_run        run;
	struct config_sft        sft;

	const char *name; /* the file, for messages */
	/* by row of the table: "demo.yaml:12" of who set it; NULL: the default stands */
	const char *where[CONFIG_OPTIONS_MAX];
	char        laid[CONFIG_OPTIONS_MAX]; /* 1: by config_set_if_unset */
	/* name of the resolved config among its files, or NULL */
	const char  *resolved;
	struct arena arena; /* owns every text and list */
};

/* Overrides are "key.path=value"; lists and rows are written as YAML (rollout.stop=["\n", "."]),
 * texts as they are. On an error nothing is owned. */
int  config_load(const char *path, const char *const *overrides, int n, struct config *out);
int  config_parse(const char *name, const char *text, size_t n_text, const char *const *overrides,
                  int n, struct config *out);
void config_free(struct config *c);

/* Sets one option afterwards in the name of `who` ("algorithm dapo"). The second only if nobody has
 * set it and it is read, so that a row of defaults can be laid under what the user wrote. Call
 * config_check() when done: it finds options that now nothing reads, refuses those that the user
 * set and takes back those of the row. */
int config_set(struct config *c, const char *who, const char *path, const char *value);
int config_set_if_unset(struct config *c, const char *who, const char *path, const char *value);
int config_check(struct config *c);

/* Whether a condition of schema.h holds, such as "loss.beta!=0"; NULL always does. */
int config_when_holds(const struct config *c, const char *when);

/* asserts that the path is in the table */
int config_is_set(const struct config *c, const char *path);
/* "demo.yaml:12", "command line" or "default"; borrowed */
const char *config_where(const struct config *c, const char *path);

/* ERR_INPUT unless one of the paths (NULL ends them) has another value than its default:
 * "data.train or data.generate must be given". */
int config_require(const struct config *c, const char *const *paths);

int config_resolved(const struct config *c, struct text *out); /* YAML */
/* FNV-1a of the options that a resumed run may not change */
uint64_t config_hash(const struct config *c);

/* Options in which `now` differs from `then`, one "key: then -> now" a line, only those that a
 * resumed run may not change. */
/* the number of lines */
int config_differences(const struct config *then, const struct config *now, struct text *out);

#endif
