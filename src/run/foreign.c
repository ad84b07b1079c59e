#include "run/foreign.h"

#include <string.h>

#define TRL FOREIGN_TRL
#define VERL FOREIGN_VERL
/* TrainingArguments, which TRL's configs inherit, and GenerationConfig */
#define HF FOREIGN_TRANSFORMERS
#define LLAMA FOREIGN_LLAMA_CPP

#define NO_VLLM "hone samples by itself, with the probabilities that it trains"
#define NO_GPU "hone computes on CPUs; see compute.threads"
#define NO_HUB "hone reaches no network: copy the run folder"
#define NO_SHARDS \
	"each process holds the model; compute.micro_batch_tokens bounds the memory of training"
#define RANKS_LAUNCHED "ranks come from --ranks, mpirun or srun (docs/commands.md)"
#define ADAMW "the optimizer is AdamW; see optim.adam_beta1"
#define READ_ONCE "problems are read once, before the first step"
#define PIECES "the head is always computed in pieces that fit the cache"
#define MICRO "in tokens; it changes no bit of the result"
#define F32 "weights and sums are f32; products may be bf16, see compute.precision"

/* clang-format off */
const struct foreign foreign[] = {
	/* rollouts and batches */
	{"num_generations", TRL, "rollout.num_generations", NULL},
	{"rollout.n", VERL, "rollout.num_generations", NULL},
	{"num_generations_eval", TRL, "run.eval_samples", NULL},
	{"max_completion_length", TRL, "rollout.max_completion_length", NULL},
	{"max_response_length", VERL, "rollout.max_completion_length", NULL},
	{"max_new_tokens", HF, "rollout.max_completion_length", NULL},
	{"n_predict", LLAMA, "rollout.max_completion_length", NULL},
	{"max_length", HF | TRL, "rollout.max_completion_length", "of the completion alone; data.max_prompt_length is that of the prompt"},
	{"max_seq_length", TRL, "rollout.max_completion_length", "of the completion alone; data.max_prompt_length is that of the prompt"},
	{"max_prompt_length", TRL | VERL, "data.max_prompt_length", "longer prompts are left out and named, never cut"},
	{"n_ctx", LLAMA, "data.max_prompt_length", "the context is the model's own"},
	{"ctx_size", LLAMA, "data.max_prompt_length", "the context is the model's own"},
	{"per_device_train_batch_size", TRL | HF, "rollout.prompts_per_step", "in problems, each with rollout.num_generations completions; sft.batch_size for hone sft"},
	{"train_batch_size", VERL, "rollout.prompts_per_step", "sft.batch_size for hone sft"},
	{"gen_batch_size", VERL, "rollout.prompts_per_step", NULL},
	{"batch_size", HF, "rollout.prompts_per_step", "sft.batch_size for hone sft, rollout.batch_size for how many completions are decoded at once"},
	{"generation_batch_size", TRL, "rollout.prompts_per_step", "in problems, each with rollout.num_generations completions"},
	{"per_device_eval_batch_size", TRL | HF, "rollout.batch_size", "how many completions are decoded at once"},
	{"val_batch_size", VERL, "rollout.batch_size", "how many completions are decoded at once"},
	{"gradient_accumulation_steps", TRL | HF, "optim.num_minibatches", "a step is one update over all of rollout.prompts_per_step, in micro-batches that memory allows; more updates of it are minibatches"},
	{"steps_per_generation", TRL, "optim.num_minibatches", NULL},
	{"ppo_mini_batch_size", VERL, "optim.num_minibatches", "how many there are, not how large they are"},
	{"num_mini_batches", TRL, "optim.num_minibatches", NULL},
	{"ppo_micro_batch_size", VERL, "compute.micro_batch_tokens", MICRO},
	{"ppo_micro_batch_size_per_gpu", VERL, "compute.micro_batch_tokens", MICRO},
	{"ppo_max_token_len_per_gpu", VERL, "compute.micro_batch_tokens", "it changes no bit of the result"},
	{"log_prob_micro_batch_size_per_gpu", VERL, "compute.micro_batch_tokens", MICRO},
	{"use_dynamic_bsz", VERL, NULL, "micro-batches are always cut by tokens, see compute.micro_batch_tokens"},
	{"auto_find_batch_size", HF, "compute.micro_batch_tokens", "the bill at the start says what a job needs"},
	{"ppo_epochs", VERL, "loss.num_iterations", NULL},
	{"num_ppo_epochs", TRL, "loss.num_iterations", NULL},
	{"num_iterations", TRL, "loss.num_iterations", NULL},

	/* sampling */
	{"temperature", TRL | VERL | HF | LLAMA, "rollout.temperature", "run.eval_temperature for held-out problems"},
	{"temp", LLAMA, "rollout.temperature", NULL},
	{"top_p", TRL | VERL | HF | LLAMA, "rollout.top_p", "run.eval_top_p for held-out problems"},
	{"top_k", TRL | VERL | HF | LLAMA, "rollout.top_k", NULL},
	{"min_p", TRL | HF | LLAMA, "rollout.min_p", NULL},
	{"do_sample", HF | VERL, "rollout.temperature", "0 is greedy"},
	{"val_kwargs.temperature", VERL, "run.eval_temperature", NULL},
	{"val_kwargs.top_p", VERL, "run.eval_top_p", NULL},
	{"val_kwargs.n", VERL, "run.eval_samples", NULL},
	{"stop_strings", HF, "rollout.stop", NULL},
	{"reverse_prompt", LLAMA, "rollout.stop", NULL},
	{"repetition_penalty", TRL | HF, NULL, "training samples from the model as it is: a penalty would make other log-probabilities than those trained; hone generate and hone eval apply that of generation_config.json"},
	{"repeat_penalty", LLAMA, NULL, "training samples from the model as it is: a penalty would make other log-probabilities than those trained; hone generate and hone eval apply that of generation_config.json"},
	{"num_beams", HF, NULL, "completions are sampled, or greedy with rollout.temperature 0"},
	{"mirostat", LLAMA, NULL, "there are rollout.temperature, rollout.top_p, rollout.top_k and rollout.min_p"},
	{"generation_kwargs", TRL, NULL, "set rollout.temperature, rollout.top_p, rollout.top_k, rollout.min_p and rollout.stop"},
	{"cache_implementation", TRL, NULL, "there is one cache of keys and values, in pages"},
	{"use_vllm", TRL, NULL, NO_VLLM},
	{"vllm_mode", TRL, NULL, NO_VLLM},
	{"vllm_model_impl", TRL, NULL, NO_VLLM},
	{"vllm_enable_sleep_mode", TRL, NULL, NO_VLLM},
	{"vllm_structured_outputs_regex", TRL, NULL, "completions are not constrained; task.verifier.pattern can reward a form"},
	{"vllm_server_base_url", TRL, NULL, NO_VLLM},
	{"vllm_server_host", TRL, NULL, NO_VLLM},
	{"vllm_server_port", TRL, NULL, NO_VLLM},
	{"vllm_server_timeout", TRL, NULL, NO_VLLM},
	{"vllm_group_port", TRL, NULL, NO_VLLM},
	{"vllm_gpu_memory_utilization", TRL, NULL, NO_GPU},
	{"gpu_memory_utilization", VERL, NULL, NO_GPU},
	{"vllm_max_model_length", TRL, NULL, "the context is the model's own; see rollout.max_completion_length"},
	{"vllm_tensor_parallel_size", TRL, NULL, NO_SHARDS},
	{"tensor_model_parallel_size", VERL, NULL, NO_SHARDS},
	{"use_transformers_continuous_batching", TRL, NULL, "sequences always leave and enter the batch as they end; see rollout.batch_size"},
	{"transformers_continuous_batching_config", TRL, NULL, "sequences always leave and enter the batch as they end; see rollout.batch_size"},
	{"use_transformers_paged", TRL, NULL, "the cache of keys and values is always in pages"},
	{"rollout.name", VERL, NULL, NO_VLLM},
	{"max_num_seqs", VERL, "rollout.batch_size", NULL},
	{"max_num_batched_tokens", VERL, "rollout.batch_size", "in completions"},
	{"enforce_eager", VERL, NULL, "there are no graphs to capture"},
	{"free_cache_engine", VERL, NULL, "sampling and training share one memory"},
	{"calculate_log_probs", VERL, NULL, "the log-probability of every token is recorded as it is sampled"},

	/* the loss */
	{"adv_estimator", VERL, "algorithm", "opo, gpg and grpo_passk are rows; loss.baseline and loss.scale_rewards override an advantage"},
	{"loss_mode", VERL, "algorithm", "vanilla is grpo, geo_mean gmpo; dppo_tv, dppo_kl, gspo, sapo, gpg, clip_cov, kl_cov, dro and cispo are rows"},
	{"beta", TRL, "loss.beta", "the KL coefficient; those of Adam are optim.adam_beta1 and optim.adam_beta2"},
	{"kl_coef", VERL | TRL, "loss.beta", NULL},
	{"kl_loss_coef", VERL, "loss.beta", NULL},
	{"init_kl_coef", TRL, "loss.beta", NULL},
	{"use_kl_loss", VERL, "loss.beta", "0 is no KL term; loss.kl_placement loss puts it into the loss"},
	{"use_kl_in_reward", VERL, "loss.kl_placement", "reward or token_reward, with a loss.beta above 0"},
	{"kl_loss_type", VERL, "loss.kl_estimator", "low_var_kl is k3, kl is k1, mse is k2, abs is abs"},
	{"kl_penalty", VERL, "loss.kl_estimator", "low_var_kl is k3, kl is k1, mse is k2, abs is abs"},
	{"kl_ctrl.type", VERL, "loss.kl_controller", NULL},
	{"target_kl", VERL, "loss.kl_target", "of loss.kl_controller adaptive"},
	{"horizon", VERL, "loss.kl_horizon", "of loss.kl_controller adaptive"},
	{"use_bias_correction_kl", TRL, "loss.use_bias_correction_kl", NULL},
	{"epsilon", TRL, "loss.epsilon", NULL},
	{"epsilon_high", TRL, "loss.epsilon_high", NULL},
	{"delta", TRL, "loss.delta", NULL},
	{"cliprange", TRL, "loss.epsilon", NULL},
	{"clip_range", TRL, "loss.epsilon", NULL},
	{"clip_ratio", VERL, "loss.epsilon", NULL},
	{"clip_ratio_low", VERL, "loss.epsilon", NULL},
	{"clip_ratio_high", VERL, "loss.epsilon_high", NULL},
	{"clip_ratio_c", VERL, "loss.delta", NULL},
	{"sapo_temperature_neg", TRL, "loss.tau_negative", NULL},
	{"sapo_temperature_pos", TRL, "loss.tau_positive", NULL},
	{"vespo_k_pos", TRL, "loss.vespo_k_pos", "of algorithm vespo"},
	{"vespo_lambda_pos", TRL, "loss.vespo_lambda_pos", "of algorithm vespo"},
	{"vespo_k_neg", TRL, "loss.vespo_k_neg", "of algorithm vespo"},
	{"vespo_lambda_neg", TRL, "loss.vespo_lambda_neg", "of algorithm vespo"},
	{"importance_sampling_level", TRL, "loss.importance_sampling_level", NULL},
	{"loss_type", TRL, "loss.loss_type", "its grpo, dapo, dr_grpo and bnpo; the other words are rows of algorithm"},
	{"loss_agg_mode", VERL, "loss.loss_type", "token-mean is update_token_mean, token-sum token_sum, seq-mean-token-mean sequence_mean, seq-mean-token-sum sequence_sum"},
	{"scale_rewards", TRL, "loss.scale_rewards", "group, batch or none"},
	{"norm_adv_by_std_in_grpo", VERL, "loss.scale_rewards", "group or none"},
	{"whiten_rewards", TRL, "loss.whiten", "of the advantages"},
	{"gamma", TRL | VERL, "loss.gamma", NULL},
	{"lam", TRL | VERL, "loss.lam", NULL},
	{"cliprange_value", TRL | VERL, "critic.cliprange_value", NULL},
	{"vf_coef", TRL, "critic.vf_coef", NULL},
	{"critic_warmup", VERL, "critic.warmup_steps", NULL},
	{"critic.lr", VERL, "critic.learning_rate", NULL},
	{"critic.optim.lr", VERL, "critic.learning_rate", NULL},
	{"entropy_coeff", VERL, "loss.entropy_coef", NULL},
	{"ent_coef", TRL, "loss.entropy_coef", NULL},
	{"entropy_coef", TRL, "loss.entropy_coef", NULL},
	{"use_adaptive_entropy", TRL, "loss.use_adaptive_entropy", NULL},
	{"entropy_coef_min", TRL, "loss.entropy_coef_min", NULL},
	{"entropy_coef_max", TRL, "loss.entropy_coef_max", NULL},
	{"entropy_coef_delta", TRL, "loss.entropy_coef_delta", NULL},
	{"entropy_target", TRL, "loss.entropy_target", NULL},
	{"top_entropy_quantile", TRL, "loss.top_entropy", NULL},
	{"mask_truncated_completions", TRL, "loss.mask_truncated_completions", NULL},
	{"overlong_buffer.enable", VERL, "loss.overlong", "shape"},
	{"overlong_buffer.len", VERL, "loss.overlong_buffer", NULL},
	{"overlong_buffer.penalty_factor", VERL, "loss.overlong_penalty", NULL},
	{"filter_groups.enable", VERL, "loss.dynamic_sampling", NULL},
	{"filter_groups.max_num_gen_batches", VERL, "loss.dynamic_sampling_max_batches", NULL},
	{"off_policy_mask_threshold", TRL, "loss.off_policy_mask", NULL},
	{"vllm_importance_sampling_correction", TRL, "loss.mismatch", "sampling and training have the same probabilities here; it corrects replayed rollouts"},
	{"vllm_importance_sampling_mode", TRL, "loss.mismatch", NULL},
	{"vllm_importance_sampling_clip_max", TRL, "loss.mismatch_max", NULL},
	{"vllm_importance_sampling_clip_min", TRL, "loss.mismatch_min", NULL},
	{"vllm_importance_sampling_cap", TRL, "loss.mismatch_max", NULL},
	{"tis_imp_ratio_cap", VERL, "loss.mismatch_max", "with loss.mismatch token_truncate"},
	{"sync_ref_model", TRL, "model.sync_ref_model", NULL},
	{"ref_model_mixup_alpha", TRL, "model.ref_model_mixup_alpha", NULL},
	{"ref_model_sync_steps", TRL, "model.ref_model_sync_steps", NULL},
	{"router_aux_loss_coef", TRL, NULL, "models with a mixture of experts are not read"},
	{"disable_dropout", TRL, NULL, "there is no dropout"},

	/* rewards and data */
	{"reward_funcs", TRL, "task.reward", "the name of a verifier, or task.verifier.command for a program of your own"},
	{"reward_weights", TRL, "task.rewards", "a list of names and weights"},
	{"multi_objective_aggregation", TRL, "loss.multi_objective_aggregation", NULL},
	{"custom_reward_function", VERL, "task.verifier.command", "a program that reads and writes lines of JSON, with task.reward command"},
	{"reward_model.path", VERL, "task.verifier.command", "rewards come from verifiers; a program of your own may ask a model"},
	{"dataset_name", TRL, "data.train", "a file of JSON lines on this machine"},
	{"train_file", HF, "data.train", NULL},
	{"train_files", VERL, "data.train", "JSON lines; Parquet is converted before"},
	{"val_files", VERL, "data.eval", "JSON lines; Parquet is converted before"},
	{"prompt_key", VERL, "data.prompt_column", NULL},
	{"reward_fn_key", VERL, "data.category_column", NULL},
	{"filter_overlong_prompts", VERL, "data.overlong_prompts", "drop"},
	{"truncation", VERL | HF, "data.overlong_prompts", "prompts are never cut"},
	{"data.shuffle", VERL, "curriculum.kind", "uniform shuffles every epoch, sequential does not"},
	{"shuffle_dataset", TRL, "curriculum.kind", "uniform shuffles every epoch, sequential does not"},
	{"remove_unused_columns", TRL | HF, NULL, "all columns are kept, and verifiers may read them"},
	{"pad_to_multiple_of", TRL, NULL, "nothing is padded"},
	{"max_tool_calling_iterations", TRL, "task.environment.turns", "of task.environment.command"},
	{"tools", TRL, "task.environment.command", "a program that answers the model's actions (docs/environments.md)"},
	{"environment_factory", TRL, "task.environment.command", "a program that answers the model's actions (docs/environments.md)"},
	{"rollout_func", TRL, "task.environment.command", "a program that answers the model's actions (docs/environments.md)"},
	{"packing", TRL, NULL, "sequences are always packed, without a token of padding"},
	{"system_prompt", HF | LLAMA, "data.system_prompt", NULL},
	{"chat_template", HF | LLAMA, "data.chat", "the template is the model's own"},

	/* the model */
	{"model_name_or_path", TRL | HF, "model.path", "a folder on this machine"},
	{"pretrained_model_name_or_path", HF, "model.path", "a folder on this machine"},
	{"model_init_kwargs", TRL, "model.path", "a folder on this machine"},
	{"partial_pretrain", VERL, "model.path", "a folder on this machine"},
	{"trust_remote_code", TRL | HF, NULL, "a model folder is data: no code of it is run"},
	{"lora_r", TRL, "model.lora_r", NULL},
	{"lora_rank", VERL, "model.lora_r", NULL},
	{"lora_alpha", TRL | VERL, "model.lora_alpha", NULL},
	{"lora_dropout", TRL, NULL, "there is no dropout"},
	{"target_modules", VERL | TRL, "model.lora_target_modules", NULL},
	{"use_peft", TRL, "model.lora_r", "above 0"},
	{"load_in_4bit", TRL | HF, NULL, F32},
	{"load_in_8bit", TRL | HF, NULL, F32},
	{"torch_dtype", HF, "compute.precision", F32},
	{"bf16", TRL | HF, "compute.precision", "bf16; weights, moments and sums stay f32"},
	{"fp16", HF, "compute.precision", F32},
	{"n_gpu_layers", LLAMA, NULL, NO_GPU},
	{"threads", LLAMA, "compute.threads", NULL},

	/* the optimizer */
	{"learning_rate", TRL | HF, "optim.learning_rate", NULL},
	{"lr", VERL, "optim.learning_rate", NULL},
	{"optim.weight_decay", VERL, "optim.weight_decay", NULL},
	{"lr_scheduler_kwargs", TRL | HF, "optim.min_lr_rate", NULL},
	{"min_lr_ratio", VERL, "optim.min_lr_rate", NULL},
	{"warmup_style", VERL, "optim.lr_scheduler_type", NULL},
	{"lr_warmup_steps", VERL, "optim.warmup_steps", "with an optim.lr_scheduler_type that warms up"},
	{"lr_warmup_steps_ratio", VERL, "optim.warmup_ratio", "with an optim.lr_scheduler_type that warms up"},
	{"num_warmup_steps", HF, "optim.warmup_steps", "with an optim.lr_scheduler_type that warms up"},
	{"optim.optimizer", VERL, NULL, ADAMW},
	{"betas", VERL, "optim.adam_beta1", "and optim.adam_beta2"},
	{"grad_clip", VERL, "optim.max_grad_norm", NULL},
	{"clip_grad", VERL, "optim.max_grad_norm", NULL},
	{"gradient_checkpointing", TRL | HF, "compute.recompute", "auto: where memory is short; changes no bit of the result"},
	{"enable_gradient_checkpointing", VERL, "compute.recompute", "auto: where memory is short; changes no bit of the result"},
	{"use_remove_padding", VERL, NULL, "nothing is padded"},
	{"use_liger_kernel", TRL | HF, NULL, NO_GPU},
	{"torch_empty_cache_steps", TRL, NULL, NO_GPU},
	{"fsdp_config", VERL | HF, NULL, NO_SHARDS},
	{"deepspeed", HF, NULL, NO_SHARDS},
	{"ulysses_sequence_parallel_size", VERL, NULL, NO_SHARDS},

	/* the run */
	{"num_train_epochs", TRL | HF, "run.num_train_epochs", NULL},
	{"total_epochs", VERL, "run.num_train_epochs", NULL},
	{"total_training_steps", VERL, "run.max_steps", NULL},
	{"test_freq", VERL, "run.eval_steps", NULL},
	{"save_freq", VERL, "run.save_steps", NULL},
	{"eval_strategy", HF, "run.eval_steps", "0 is never"},
	{"evaluation_strategy", HF, "run.eval_steps", "0 is never"},
	{"save_strategy", HF, "run.save_steps", "0 is at the end alone"},
	{"logging_strategy", HF, "run.logging_steps", NULL},
	{"logging_first_step", HF, "run.logging_steps", "metrics.jsonl has every step"},
	{"val_before_train", VERL, "run.eval_on_start", NULL},
	{"max_actor_ckpt_to_keep", VERL, "run.save_total_limit", NULL},
	{"default_local_dir", VERL, "run.output_dir", NULL},
	{"project_name", VERL, "run.output_dir", NULL},
	{"experiment_name", VERL, "run.output_dir", NULL},
	{"run_name", HF, "run.output_dir", NULL},
	{"report_to", TRL | HF, "run.tensorboard", "metrics.jsonl and report.html are always written"},
	{"logger", VERL, "run.tensorboard", "metrics.jsonl and report.html are always written"},
	{"logging_dir", HF, "run.output_dir", "logs lie in the run folder"},
	{"log_completions", TRL, "run.save_samples", NULL},
	{"num_completions_to_print", TRL, "run.save_samples", NULL},
	{"log_multimodal", TRL, NULL, "models of text alone are read"},
	{"log_unique_prompts", TRL, "run.save_samples", "one completion of each problem"},
	{"log_completions_hub_repo", TRL, NULL, NO_HUB},
	{"push_to_hub", HF, NULL, NO_HUB},
	{"resume_from_checkpoint", HF, NULL, "add --resume to the command"},
	{"resume_mode", VERL, NULL, "add --resume to the command"},
	{"load_best_model_at_end", HF, "run.metric_for_best_model", "the best checkpoint is kept; nothing is loaded at the end"},
	{"dataloader_num_workers", HF | VERL, NULL, READ_ONCE},
	{"nnodes", VERL, NULL, RANKS_LAUNCHED},
	{"n_gpus_per_node", VERL, "compute.threads", NO_GPU},
	{"no_cuda", HF, NULL, NO_GPU},
	{"use_cpu", HF, NULL, NO_GPU},

	/* the rest of TRL's GRPOConfig and of TrainingArguments */
	{"cast_lm_head_to_fp32", TRL, "compute.head_precision", "f32, beside compute.precision bf16"},
	{"ds3_gather_for_generation", TRL, NULL, NO_SHARDS},
	{"chat_template_kwargs", TRL | HF, "data.chat_template_kwargs", NULL},
	{"output_dir", HF, "run.output_dir", NULL},
	{"max_steps", HF, "run.max_steps", NULL},
	{"logging_steps", HF, "run.logging_steps", NULL},
	{"save_steps", HF, "run.save_steps", NULL},
	{"save_total_limit", HF, "run.save_total_limit", NULL},
	{"eval_steps", HF, "run.eval_steps", NULL},
	{"eval_on_start", HF, "run.eval_on_start", NULL},
	{"metric_for_best_model", HF, "run.metric_for_best_model", NULL},
	{"greater_is_better", HF, "run.greater_is_better", NULL},
	{"weight_decay", HF, "optim.weight_decay", NULL},
	{"adam_beta1", HF, "optim.adam_beta1", NULL},
	{"adam_beta2", HF, "optim.adam_beta2", NULL},
	{"adam_epsilon", HF, "optim.adam_epsilon", NULL},
	{"max_grad_norm", HF, "optim.max_grad_norm", NULL},
	{"lr_scheduler_type", HF | VERL, "optim.lr_scheduler_type", NULL},
	{"warmup_steps", HF, "optim.warmup_steps", NULL},
	{"seed", HF, "run.seed", NULL},
	{"data_seed", HF, "run.seed", "all randomness is keyed by it"},
	{"full_determinism", HF | VERL, "compute.numerics", "strict, the default"},
	{"optim_args", HF, NULL, ADAMW},
	{"optim_target_modules", HF, NULL, ADAMW},
	{"label_smoothing_factor", HF, NULL, "there is no label smoothing"},
	{"neftune_noise_alpha", HF, NULL, "no noise is added to the embeddings"},
	{"tf32", HF, NULL, F32},
	{"bf16_full_eval", HF, NULL, F32},
	{"fp16_full_eval", HF, NULL, F32},
	{"activation_checkpointing", HF, "compute.recompute", "auto: where memory is short; changes no bit of the result"},
	{"activation_checkpointing_kwargs", HF, "compute.recompute", "auto: where memory is short; changes no bit of the result"},
	{"gradient_checkpointing_kwargs", HF, "compute.recompute", "auto: where memory is short; changes no bit of the result"},
	{"torch_compile", HF, NULL, "hone is compiled already"},
	{"torch_compile_backend", HF, NULL, "hone is compiled already"},
	{"torch_compile_mode", HF, NULL, "hone is compiled already"},
	{"liger_kernel_config", HF, NULL, NO_GPU},
	{"use_cache", HF, NULL, "keys and values are always cached while decoding"},
	{"average_tokens_across_devices", HF, NULL, "divisors of the loss are always counts of the whole step"},
	{"log_on_each_node", HF, NULL, RANKS_LAUNCHED},
	{"save_on_each_node", HF, NULL, RANKS_LAUNCHED},
	{"local_rank", HF, NULL, RANKS_LAUNCHED},
	{"accelerator_config", HF, NULL, RANKS_LAUNCHED},
	{"ddp_backend", HF, NULL, RANKS_LAUNCHED},
	{"ddp_timeout", HF, NULL, RANKS_LAUNCHED},
	{"ddp_find_unused_parameters", HF, NULL, RANKS_LAUNCHED},
	{"ddp_bucket_cap_mb", HF, NULL, RANKS_LAUNCHED},
	{"ddp_broadcast_buffers", HF, NULL, RANKS_LAUNCHED},
	{"ddp_static_graph", HF, NULL, RANKS_LAUNCHED},
	{"fsdp", HF, NULL, NO_SHARDS},
	{"parallelism_config", HF, NULL, NO_SHARDS},
	{"log_level", HF, NULL, "cautions and errors are always said"},
	{"log_level_replica", HF, NULL, "cautions and errors are always said"},
	{"debug", HF, NULL, "cautions and errors are always said"},
	{"disable_tqdm", HF, NULL, "progress is drawn on a terminal alone; elsewhere a line for run.logging_steps"},
	{"logging_nan_inf_filter", HF, NULL, "an update whose gradient is not finite is left out and counted"},
	{"include_num_input_tokens_seen", HF, NULL, "metrics.jsonl always has num_input_tokens_seen"},
	{"project", HF, NULL, NO_HUB},
	{"trackio_space_id", HF, NULL, NO_HUB},
	{"trackio_bucket_id", HF, NULL, NO_HUB},
	{"trackio_static_space_id", HF, NULL, NO_HUB},
	{"hub_model_id", HF, NULL, NO_HUB},
	{"hub_strategy", HF, NULL, NO_HUB},
	{"hub_token", HF, NULL, NO_HUB},
	{"hub_private_repo", HF, NULL, NO_HUB},
	{"hub_always_push", HF, NULL, NO_HUB},
	{"hub_revision", HF, NULL, NO_HUB},
	{"eval_delay", HF, "run.eval_on_start", "false leaves out the first evaluation"},
	{"prediction_loss_only", HF, NULL, "evaluation samples completions and asks the verifier; see run.eval_samples"},
	{"include_for_metrics", HF, NULL, "evaluation samples completions and asks the verifier; see run.eval_samples"},
	{"batch_eval_metrics", HF, NULL, "evaluation samples completions and asks the verifier; see run.eval_samples"},
	{"eval_accumulation_steps", HF, NULL, "evaluation samples completions and asks the verifier; see run.eval_samples"},
	{"eval_do_concat_batches", HF, NULL, "evaluation samples completions and asks the verifier; see run.eval_samples"},
	{"eval_use_gather_object", HF, NULL, "evaluation samples completions and asks the verifier; see run.eval_samples"},
	{"save_only_model", HF, "run.save_only_model", NULL},
	{"early_stopping_patience", HF, "run.patience", NULL},
	{"early_stopping_threshold", HF, NULL, "any improvement counts; see run.patience"},
	{"enable_jit_checkpoint", HF, NULL, "a signal always saves"},
	{"ignore_data_skip", HF, NULL, "a resumed run gives the bits of one that never stopped"},
	{"restore_callback_states_from_checkpoint", HF, NULL, "a resumed run gives the bits of one that never stopped"},
	{"dataloader_drop_last", HF, NULL, READ_ONCE},
	{"dataloader_pin_memory", HF, NULL, READ_ONCE},
	{"dataloader_persistent_workers", HF, NULL, READ_ONCE},
	{"dataloader_prefetch_factor", HF, NULL, READ_ONCE},
	{"dataloader_multiprocessing_context", HF, NULL, READ_ONCE},
	{"dataloader_in_order", HF, NULL, READ_ONCE},
	{"train_sampling_strategy", HF, "curriculum.kind", "uniform shuffles every epoch, sequential does not"},
	{"label_names", HF, "data.answer_column", NULL},
	{"length_column_name", HF, NULL, "lengths are counted"},
	{"skip_memory_metrics", HF, NULL, "the bill at the start says what a job needs"},
	{"do_train", HF, NULL, "the command says it: hone train, hone eval, hone generate"},
	{"do_eval", HF, NULL, "the command says it: hone train, hone eval, hone generate"},
	{"do_predict", HF, NULL, "the command says it: hone train, hone eval, hone generate"},

	/* the rest of verl's ppo_trainer.yaml that users set */
	{"prompt_length", VERL, "data.max_prompt_length", NULL},
	{"response_length", VERL, "rollout.max_completion_length", NULL},
	{"rollout.mode", VERL, NULL, NO_VLLM},
	{"rollout.seed", VERL, "run.seed", "all randomness is keyed by it"},
	{"data.seed", VERL, "run.seed", "all randomness is keyed by it"},
	{"data_loader_seed", VERL, "run.seed", "all randomness is keyed by it"},
	{"rollout.dtype", VERL, "compute.precision", F32},
	{"model_dtype", VERL, "compute.precision", F32},
	{"fsdp_config.dtype", VERL, "compute.precision", F32},
	{"ignore_eos", VERL, NULL, "a completion ends with the end token; see rollout.stop"},
	{"max_model_len", VERL, NULL, "the context is the model's own; see rollout.max_completion_length"},
	{"enable_prefix_caching", VERL, "rollout.share_prompt", "within a group"},
	{"enable_chunked_prefill", VERL, NULL, "prompts are computed in pieces that fit the memory"},
	{"load_format", VERL, NULL, "sampling and training share one memory"},
	{"data_parallel_size", VERL, NULL, NO_SHARDS},
	{"expert_parallel_size", VERL, NULL, NO_SHARDS},
	{"pipeline_model_parallel_size", VERL, NULL, NO_SHARDS},
	{"fsdp_size", VERL, NULL, NO_SHARDS},
	{"param_offload", VERL, NULL, "all of it is in main memory"},
	{"optimizer_offload", VERL, NULL, "all of it is in main memory"},
	{"log_prob_micro_batch_size", VERL, "compute.micro_batch_tokens", MICRO},
	{"log_prob_max_token_len_per_gpu", VERL, "compute.micro_batch_tokens", MICRO},
	{"forward_micro_batch_size", VERL, "compute.micro_batch_tokens", MICRO},
	{"forward_micro_batch_size_per_gpu", VERL, "compute.micro_batch_tokens", MICRO},
	{"forward_max_token_len_per_gpu", VERL, "compute.micro_batch_tokens", MICRO},
	{"log_prob_use_dynamic_bsz", VERL, NULL, "micro-batches are always cut by tokens, see compute.micro_batch_tokens"},
	{"multi_turn.enable", VERL, "task.environment.command", "a program that answers the model's actions (docs/environments.md)"},
	{"max_assistant_turns", VERL, "task.environment.turns", "of task.environment.command"},
	{"max_user_turns", VERL, "task.environment.turns", "of task.environment.command"},
	{"tool_config_path", VERL, "task.environment.command", "a program that answers the model's actions (docs/environments.md)"},
	{"function_tool_path", VERL, "task.environment.command", "a program that answers the model's actions (docs/environments.md)"},
	{"default_agent_loop", VERL, "task.environment.command", "a program that answers the model's actions (docs/environments.md)"},
	{"agent.num_workers", VERL, NULL, "problems with an environment are played in turns"},
	{"tau_pos", VERL, "loss.tau_positive", NULL},
	{"tau_neg", VERL, "loss.tau_negative", NULL},
	{"clip_cov_ratio", VERL, "loss.covariance_ratio", "of algorithm clip_cov"},
	{"clip_cov_lb", VERL, "loss.covariance_low", "of algorithm clip_cov"},
	{"clip_cov_ub", VERL, "loss.covariance_high", "of algorithm clip_cov"},
	{"kl_cov_ratio", VERL, "loss.covariance_ratio", "of algorithm kl_cov"},
	{"ppo_kl_coef", VERL, "loss.covariance_coef", "of algorithm kl_cov"},
	{"dro_beta", VERL, "loss.proximal", "of algorithm dro"},
	{"loss_scale_factor", VERL, "loss.loss_type", "constant divides by rollout.max_completion_length"},
	{"calculate_entropy", VERL, NULL, "the entropy is always measured"},
	{"use_fused_kernels", VERL, NULL, PIECES},
	{"use_liger", VERL, NULL, PIECES},
	{"entropy_from_logits_with_chunking", VERL, NULL, PIECES},
	{"entropy_checkpointing", VERL, NULL, PIECES},
	{"use_torch_compile", VERL, NULL, "hone is compiled already"},
	{"actor.strategy", VERL, NULL, NO_SHARDS},
	{"critic.strategy", VERL, NULL, NO_SHARDS},
	{"save_contents", VERL, "run.save_only_model", "true leaves out what a resume needs"},
	{"load_contents", VERL, NULL, "a resume takes all that a checkpoint holds"},
	{"tokenizer_path", VERL, "model.tokenizer", NULL},
	{"data.tokenizer", VERL, "model.tokenizer", NULL},
	{"custom_chat_template", VERL, "data.chat", "the template is the model's own"},
	{"apply_chat_template_kwargs", VERL, "data.chat_template_kwargs", NULL},
	{"override_config", VERL, NULL, "the shape is the model's own; see model.path"},
	{"external_lib", VERL, NULL, "a model folder is data: no code of it is run"},
	{"lora_adapter_path", VERL, "model.adapter", NULL},
	{"lora.rank", VERL, "model.lora_r", NULL},
	{"lora.alpha", VERL, "model.lora_alpha", NULL},
	{"lora.dropout", VERL, NULL, "there is no dropout"},
	{"exclude_modules", VERL, "model.lora_target_modules", "those that get an adapter"},
	{"optimizer_impl", VERL, NULL, ADAMW},
	{"override_optimizer_config", VERL, NULL, ADAMW},
	{"num_cycles", VERL, NULL, "a cosine falls once; see optim.lr_scheduler_type"},
	{"train_max_samples", VERL, "data.max_problems", NULL},
	{"val_max_samples", VERL, "data.eval_max_problems", NULL},
	{"validation_shuffle", VERL, NULL, "held-out problems keep their order"},
	{"return_raw_chat", VERL, NULL, "all columns are kept, and verifiers may read them"},
	{"return_full_prompt", VERL, NULL, "all columns are kept, and verifiers may read them"},
	{"image_key", VERL, NULL, "models of text alone are read"},
	{"video_key", VERL, NULL, "models of text alone are read"},
	{"audio_key", VERL, NULL, "models of text alone are read"},
	{"custom_cls", VERL, NULL, "rows of JSON are read; see data.prompt_column"},
	{"reward_manager", VERL, "task.reward", "the name of a verifier"},
	{"reward_model.enable", VERL, "task.verifier.command", "rewards come from verifiers; a program of your own may ask a model"},
	{"reward_model.model_path", VERL, "task.verifier.command", "rewards come from verifiers; a program of your own may ask a model"},
	{"sandbox_fusion", VERL, "task.verifier.command", "a program of your own may run code"},
	{"critic.enable", VERL, "loss.baseline", "critic, as in algorithm ppo"},
	{"rollout_is", VERL, "loss.mismatch", "token_truncate or sequence_truncate"},
	{"rollout_is_threshold", VERL, "loss.mismatch_max", NULL},
	{"rollout_rs", VERL, "loss.mismatch", "token_mask, sequence_mask or sequence_mean_mask"},
	{"rollout_rs_threshold", VERL, "loss.mismatch_max", "and loss.mismatch_min"},
	{"rollout_is_batch_normalize", VERL, "loss.mismatch_normalise", NULL},
	{"bypass_mode", VERL, NULL, "the recorded log-probabilities are always the denominator; see loss.mismatch"},
	{"filter_groups.metric", VERL, NULL, "groups go whose completions are all right or all wrong; see loss.dynamic_sampling"},
	{"use_pf_ppo", VERL, "loss.resample", "pow, max_min or max_random, as its reweight_method"},
	{"distillation.enabled", VERL, NULL, "there is no distillation yet"},
	{"log_val_generations", VERL, "run.save_samples", NULL},
	{"rollout_data_dir", VERL, "run.save_samples", NULL},
	{"validation_data_dir", VERL, "run.save_samples", NULL},
	{"resume_from_path", VERL, NULL, "add --resume to the command"},
	{"val_only", VERL, NULL, "hone eval evaluates"},
	{"balance_batch", VERL, NULL, RANKS_LAUNCHED},
	{"max_critic_ckpt_to_keep", VERL, "run.save_total_limit", "a checkpoint holds the critic, too"},
	{"trainer.device", VERL, NULL, NO_GPU},
	{"ray_kwargs", VERL, NULL, RANKS_LAUNCHED},
	{"nccl_timeout", VERL, NULL, RANKS_LAUNCHED},
	{"hybrid_engine", VERL, NULL, RANKS_LAUNCHED},
};
/* clang-format on */
const int foreign_n = sizeof foreign / sizeof *foreign;

static int same_letter(char a, char b)
{
	return a == b || (a == '-' && b == '_');
}

/* Whether the path is the name, or ends with it behind a dot. */
static int foreign_ends_with(const char *path, const char *name)
{
	size_t n = strlen(path), m = strlen(name);

	if (n < m || (n > m && path[n - m - 1] != '.'))
		return 0;
	for (size_t i = 0; i < m; i++)
		if (!same_letter(path[n - m + i], name[i]))
			return 0;
	return 1;
}

const struct foreign *foreign_find(const char *path)
{
	const struct foreign *best = NULL;

	while (*path == '-')
		path++;
	for (int i = 0; i < foreign_n; i++)
		if (foreign_ends_with(path, foreign[i].name) &&
		    (!best || strlen(foreign[i].name) > strlen(best->name)))
			best = &foreign[i];
	return best;
}

static const char *const programs[] = {"TRL", "verl", "transformers", "llama.cpp"};

void foreign_print(const struct foreign *f, struct text *out)
{
	int n = 0;

	text_print(out, "%s is a name of ", f->name);
	for (int i = 0; i < 4; i++)
		if (f->from & 1 << i)
			text_print(out, "%s%s", n++ ? ", " : "", programs[i]);
	if (f->key)
		text_print(out, "; here it is %s", f->key);
	if (f->text)
		text_print(out, ": %s", f->text);
}

void foreign_markdown(int from, struct text *out)
{
	const char *program = from == FOREIGN_TRL ? "TRL" : "verl";
	/* TRL's configs inherit TrainingArguments */
	const int wanted = from == FOREIGN_TRL ? FOREIGN_TRL | FOREIGN_TRANSFORMERS : from;

	text_print(out,
	           "# From %s\n\nMade by `make docs` from the table in `src/run/foreign.c`; do not "
	           "edit. Options with the same name here are "
	           "listed too.\n[options.md](options.md) says what each option does and what its "
	           "default is.%s\n\n| %s | hone | "
	           "|\n|---|---|---|\n",
	           program,
	           from == FOREIGN_TRL ? "\nThe names of transformers, whose TrainingArguments TRL "
	                                 "inherits, stand here too. Its `optim` is "
	                                 "always AdamW here."
	                               : "",
	           program);
	for (int i = 0; i < foreign_n; i++)
		if (foreign[i].from & wanted)
			text_print(out, "| `%s` | %s%s%s | %s |\n", foreign[i].name,
			           foreign[i].key ? "`" : "",
			           foreign[i].key ? foreign[i].key : "not needed",
			           foreign[i].key ? "`" : "",
			           foreign[i].text ? foreign[i].text : "");
}
