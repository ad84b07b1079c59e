#include "rl/job.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/threads.h"
#include "model/adapter_folder.h"
#include "model/folder.h"
#include "rl/recipe.h"
#include "run/checkpoint.h"
#include "run/events.h"
#include "task/category.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { STATE_MAX = 1 << 28 }; /* of trainer_state.json: dump keeps up to 6 KB an arm */

/* ---- tokenizer and model ---- */

static void mark_characters(const char *s, unsigned char *seen)
{
	for (; s && *s; s++)
		seen[(unsigned char)*s] = 1;
}

static void mark_problem(const struct problem *p, int with_hint, unsigned char *seen)
{
	mark_characters(p->prompt, seen);
	mark_characters(p->answer, seen);
	for (int i = 0; i < p->n_demonstrations; i++)
		mark_characters(p->demonstrations[i], seen);
	if (with_hint)
		mark_characters(p->hint, seen);
}

/* The characters of all problems, in the order of their codes. */
static int collect_alphabet(struct job *job, char *out)
{
	unsigned char seen[256] = {0};
	int           n = 0, hints = job->config.sft.hint_rate > 0 || strcmp(job->config.guidance.kind, "none");

	if (hints)
		mark_characters(job->config.guidance.template, seen);

	for (int i = 0; i < job->train.n; i++)
		mark_problem(&job->train.problems[i], hints, seen);
	for (int i = 0; i < job->eval.n; i++)
		mark_problem(&job->eval.problems[i], hints, seen);
	for (int c = 1; c < 256; c++) {
		if (seen[c] && c >= 128)
			return error_set(
			        ERR_INPUT,
			        "%s: model.tokenizer: the problems hold characters beyond ASCII; name the alphabet: chars:ALPHABET",
			        config_where(&job->config, "model.tokenizer"));
		if (seen[c])
			out[n++] = (char)c;
	}
	out[n] = 0;
	return OK;
}

static int open_tokenizer(struct job *job, const char *model_folder)
{
	static const struct tokenizer_special specials[] = {{"pad", "<pad>"}, {"eos", "<eos>"}, {"unk", "<unk>"}};
	const char                           *name = job->config.model.tokenizer;
	char                                  alphabet[256];

	if (!strcmp(name, "chars")) {
		TRY(collect_alphabet(job, alphabet));
		return tokenizer_chars(alphabet, specials, 3, &job->tokenizer);
	}
	if (!strncmp(name, "chars:", 6))
		return tokenizer_chars(name + 6, specials, 3, &job->tokenizer) == OK
		               ? OK
		               : error_context("%s: model.tokenizer", config_where(&job->config, "model.tokenizer"));
	if (!*name && !model_folder)
		return error_set(ERR_INPUT,
		                 "%s: model.tokenizer: a model made from model.init needs one: chars (the characters of the problems), "
		                 "chars:ALPHABET or a folder",
		                 config_where(&job->config, "model.tokenizer"));
	return tokenizer_load(*name ? name : model_folder, &job->tokenizer);
}

static int init_weights(struct job *job, struct weights *out)
{
	const struct config_model *c = &job->config.model;
	struct model_shape         s = {.n_layers = c->init.n_layers,
	                                .width = c->init.width,
	                                .n_heads = c->init.n_heads,
	                                .n_kv_heads = c->init.n_kv_heads,
	                                .head_width = c->init.head_width,
	                                .ff_width = c->init.ff_width,
	                                .n_vocab = tokenizer_size(job->tokenizer),
	                                .n_positions = c->init.n_positions,
	                                .rope_theta = c->init.rope_theta,
	                                .norm_eps = 1e-5,
	                                .tied = c->init.tied,
	                                .bos = tokenizer_role(job->tokenizer, "bos")};

	s.eos[0] = tokenizer_role(job->tokenizer, "eos");
	s.n_eos = s.eos[0] >= 0;
	TRY(weights_new(&s, out));
	weights_init(out, (uint64_t)job->config.run.seed);
	return OK;
}

static int load_weights(const char *folder, struct weights *out)
{
	struct model_shape s;

	TRY(folder_read_shape(folder, &s));
	return folder_read_weights(folder, &s, out);
}

static int check_vocabulary(const struct job *job, const struct model_shape *s)
{
	if (tokenizer_size(job->tokenizer) > s->n_vocab)
		return error_set(ERR_INPUT, "the tokenizer has ids up to %d, but the model's vocab_size is %d: they do not belong together",
		                 tokenizer_size(job->tokenizer) - 1, s->n_vocab);
	if (s->n_eos == 0)
		return error_set(ERR_INPUT, "the model has no eos_token_id: an answer could never end");
	return OK;
}

static int copy_weights(const struct weights *from, struct weights *to)
{
	TRY(weights_new(&from->shape, to));
	memcpy(to->data, from->data, from->n * sizeof *from->data);
	return OK;
}

/* The same weights, packed once for both, under another adapter or none. */
static int view_reference(struct job *job, const char *adapter_folder)
{
	struct adapter_options o;
	struct adapter        *adapter = NULL;
	const char            *base;

	if (adapter_folder) {
		TRY(adapter_folder_read_options(adapter_folder, &o, &job->arena, &base));
		TRY(adapter_folder_read(adapter_folder, &o, &job->model->weights, job->mm, 0, &adapter));
	}
	if (model_view(job->model, adapter, &job->reference) == OK)
		return OK;
	adapter_free(adapter);
	return ERR_INPUT;
}

static int copy_reference(struct job *job, const char *folder)
{
	const struct weights *start = &job->model->weights;
	struct weights        w = {0};
	int                   status;

	TRY(folder ? load_weights(folder, &w) : copy_weights(start, &w));
	status = w.shape.n_vocab == start->shape.n_vocab
	                 ? model_new(&w, job->mm, 0, &job->reference)
	                 : error_set(ERR_INPUT,
	                             "model.reference: its vocabulary is not the model's; log-probabilities could not be compared");
	weights_free(&w);
	return status;
}

/* The frozen reference: a folder of its own, or what the run starts from (also after a resume): `adapter` is the folder of the adapter that
 * it goes on with, or NULL. Where an adapter learns, only another model costs a second copy. */
static int open_reference(struct job *job, const char *adapter)
{
	char *folder = NULL;
	int   is_adapter, is_base;

	if (job->kind == JOB_SFT || !algorithm_needs_reference(&job->algorithm))
		return OK;
	if (*job->config.model.reference)
		TRY(checkpoint_resolve(job->config.model.reference, &job->arena, &folder));
	is_adapter = folder && adapter_folder_is(folder);
	is_base = folder && job->model_folder && !strcmp(folder, job->model_folder);
	if (is_adapter || (job->model->adapter && (!folder || is_base)))
		return view_reference(job, is_adapter ? folder : is_base ? NULL : adapter);
	return copy_reference(job, folder);
}

static int adapter_options(const struct job *job, struct adapter_options *out)
{
	const struct config_model *c = &job->config.model;

	*out = (struct adapter_options){.rank = c->lora_r, .alpha = c->lora_alpha, .rslora = c->use_rslora};
	if (c->lora_target_modules.n == 0)
		out->targets = (1u << ADAPTER_TARGETS) - 1;
	for (int i = 0; i < c->lora_target_modules.n; i++) {
		unsigned bit;
		if (adapter_target(c->lora_target_modules.items[i], &bit) != OK)
			return error_context("%s: model.lora_target_modules", config_where(&job->config, "model.lora_target_modules"));
		out->targets |= bit;
	}
	return OK;
}

/* A new adapter, or one to go on with; *folder: where that lies, or NULL. */
static int open_adapter(struct job *job, char **folder)
{
	const struct config_model *c = &job->config.model;
	struct model              *m = job->model;
	struct adapter_options     o;
	const char                *base;

	if (*c->adapter && c->lora_r)
		return error_set(ERR_INPUT,
		                 "%s: model.lora_r makes a new adapter, but model.adapter goes on with one, which has its rank; "
		                 "leave one of them out",
		                 config_where(&job->config, "model.lora_r"));
	if (*c->adapter) {
		TRY(checkpoint_resolve(c->adapter, &job->arena, folder));
		TRY(adapter_folder_read_options(*folder, &o, &job->arena, &base));
		return adapter_folder_read(*folder, &o, &m->weights, job->mm, 1, &m->adapter);
	}
	if (!c->lora_r)
		return OK;
	TRY(adapter_options(job, &o));
	TRY(adapter_new(&o, &m->weights, job->mm, 1, &m->adapter));
	adapter_init(m->adapter, (uint64_t)job->config.run.seed);
	return adapter_pack(m->adapter);
}

static int open_weights(struct job *job)
{
	const char    *folder = job->model_folder;
	struct weights w = {0};
	int            status;

	if (folder && adapter_folder_is(folder))
		return error_set(ERR_INPUT,
		                 "%s: model.path: %s holds an adapter; name it in model.adapter, and the model that it belongs to here",
		                 config_where(&job->config, "model.path"), folder);
	status = folder ? load_weights(folder, &w) : init_weights(job, &w);
	if (status == OK)
		status = check_vocabulary(job, &w.shape);
	if (status == OK)
		status = model_new(&w, job->mm, 1, &job->model);
	weights_free(&w);
	return status;
}

static int open_model(struct job *job)
{
	const struct config *c = &job->config;
	char                *adapter = NULL;

	TRY(matmul_new(&(struct matmul_options){c->compute.backend, c->compute.precision, c->compute.numerics}, &job->mm));
	if (*c->model.path)
		TRY(checkpoint_resolve(c->model.path, &job->arena, &job->model_folder));
	TRY(open_tokenizer(job, job->model_folder));
	TRY(open_weights(job));
	TRY(open_adapter(job, &adapter));
	return open_reference(job, adapter);
}

/* ---- verifiers ---- */

struct verifier_options job_verifier_options(const struct config_task *t)
{
	const struct answer_rule rule = {
	        .ignore_case = t->verifier.ignore_case, .absolute = t->verifier.tolerance, .relative = t->verifier.relative_tolerance};
	struct verifier_options o = {.compare = rule,
	                             .decimals = t->verifier.decimals,
	                             .interval_relations = t->verifier.interval_relations,
	                             .partial = t->verifier.partial,
	                             .format_score = t->verifier.format_score,
	                             .pattern = *t->verifier.pattern ? t->verifier.pattern : NULL,
	                             .tags = *t->verifier.tags ? t->verifier.tags : NULL,
	                             .word = *t->verifier.word ? t->verifier.word : NULL,
	                             .length_min = t->verifier.length.low,
	                             .length_max = t->verifier.length.high,
	                             .length_slack = t->verifier.length_slack,
	                             .length_in_characters = t->verifier.length_in_characters,
	                             .command = {.line = t->verifier.command,
	                                         .timeout = t->verifier.command_timeout,
	                                         .startup = t->verifier.command_startup,
	                                         .workers = t->verifier.command_workers}};
	const char             *on_error = t->verifier.command_on_error;

	o.on_error = !strcmp(on_error, "stop") ? COMMAND_STOP : !strcmp(on_error, "zero") ? COMMAND_ZERO : COMMAND_LEAVE_OUT;
	answer_form_find(t->verifier.compare, &o.compare.form); /* the schema has checked it */
	return o;
}

static int open_reward(struct job *job)
{
	const struct config_task *t = &job->config.task;
	struct verifier_options   o = job_verifier_options(t);
	static const char *const  either[] = {"task.reward", "task.rewards", NULL};
	const char               *names[REWARD_PARTS], *eval, *key = t->rewards.n ? "task.rewards" : "task.reward";
	double                    weights[REWARD_PARTS];
	int                       n = t->rewards.n;

	o.command.log =
	        file_join(&job->arena, job->config.run.output_dir, "verifier.log"); /* the folder is there before the first answer */
	if (!o.command.log)
		return ERR_INPUT;
	TRY(config_require(&job->config, either));
	if (t->token_rewards && t->permute_rewards)
		return error_set(
		        ERR_INPUT,
		        "%s: task.token_rewards pays each answer's own tokens, so with task.permute_rewards the control would learn; "
		        "leave one of them out",
		        config_where(&job->config, "task.token_rewards"));
	if (t->token_rewards && *t->verifier.command)
		return error_set(
		        ERR_INPUT,
		        "%s: task.token_rewards would ask the command about every beginning of every answer; leave one of them out",
		        config_where(&job->config, "task.token_rewards"));
	if (n > REWARD_PARTS)
		return error_set(ERR_INPUT, "%s: task.rewards: %d verifiers, at most %d", config_where(&job->config, "task.rewards"), n,
		                 REWARD_PARTS);
	for (int i = 0; i < n; i++) {
		names[i] = t->rewards.items[i].name;
		weights[i] = t->rewards.items[i].weight;
	}
	if (n == 0) {
		names[0] = t->reward;
		weights[n++] = 1;
	}
	eval = *t->eval_reward ? t->eval_reward : names[0];
	if (verifier_open(&job->reward, names, weights, n, &o) != OK)
		return error_context("%s: %s", config_where(&job->config, key), key);
	if (verifier_open(&job->eval_reward, &eval, NULL, 1, &o) != OK)
		return error_context("%s: task.eval_reward", config_where(&job->config, "task.eval_reward"));
	TRY(problems_add_verifiers(&job->train, &job->reward));
	TRY(problems_add_verifiers(&job->train, &job->eval_reward));
	TRY(problems_add_verifiers(&job->eval, &job->eval_reward));
	TRY(problems_check(&job->config, &job->reward, &job->eval_reward, &job->arena, &job->train));
	return problems_check(&job->config, &job->eval_reward, NULL, &job->arena, &job->eval);
}

/* ---- learning and sampling ---- */

static int int_min(int a, int b)
{
	return a < b ? a : b;
}

static int render(struct job *job)
{
	const struct prompts_options o = problems_prompts(&job->config, job->tokenizer, job->model->weights.shape.n_positions);

	TRY(problems_render(&o, &job->arena, &job->train));
	TRY(problems_render(&o, &job->arena, &job->eval));
	return findings_collect(&job->train, &job->eval, &job->arena, &job->findings);
}

static int open_guidance(struct job *job)
{
	const struct config_guidance *g = &job->config.guidance;
	int                           guided = job->kind == JOB_TRAIN && strcmp(g->kind, "none");
	const struct prompts_options  o = problems_prompts(&job->config, job->tokenizer, job->model->weights.shape.n_positions);

	if (guided && job->replay.n)
		return error_set(ERR_INPUT,
		                 "%s: guidance.kind guide samples anew where answers failed, but rollout.source replays recorded ones",
		                 config_where(&job->config, "guidance.kind"));
	if (guided)
		job->guidance = (struct guidance){.num_generations = g->num_guided ? g->num_guided : job->config.rollout.num_generations,
		                                  .form = guidance_form_find(g->form),
		                                  .trigger_accuracy = g->trigger_accuracy};
	if (!guided && !(job->kind == JOB_SFT && job->config.sft.hint_rate > 0))
		return OK;
	if (prompts_hinted(&job->train.prompts, g->template, &o, &job->arena, &job->guidance.hinted) != OK)
		return error_context("%s", config_where(&job->config, guided ? "guidance.kind" : "sft.hint_rate"));
	return OK;
}

static int int_max(int a, int b)
{
	return a > b ? a : b;
}

static int longest_sequence(const struct job *job)
{
	int prompt = int_max(int_max(job->train.prompts.longest, job->eval.prompts.longest), job->guidance.hinted.longest);

	return int_min(prompt + job->config.rollout.max_completion_length, job->model->weights.shape.n_positions);
}

static int open_rollouts(struct job *job)
{
	const struct config_rollout *r = &job->config.rollout;
	const struct model_shape    *s = &job->model->weights.shape;

	job->rollout = (struct rollout_options){
	        .decode = {.sampling = {(float)r->temperature, r->top_k, (float)r->top_p, (float)r->min_p},
	                   .eos = s->eos,
	                   .n_eos = s->n_eos,
	                   .stop = r->stop.items,
	                   .n_stop = r->stop.n,
	                   .tokenizer = job->tokenizer,
	                   .share_prompt = r->share_prompt},
	        .num_generations = r->num_generations,
	        .max_completion_length = r->max_completion_length,
	        .n_positions = s->n_positions,
	        .seed = (uint64_t)job->config.run.seed,
	        .purpose = RNG_SAMPLE,
	};
	if (job->kind == JOB_TRAIN && r->temperature == 0)
		return error_set(
		        ERR_INPUT,
		        "%s: rollout.temperature is 0: greedy answers to one problem are all the same, so there is nothing to compare",
		        config_where(&job->config, "rollout.temperature"));
	if (job->kind == JOB_TRAIN || job->eval.n > 0)
		TRY(decoder_new(job->model, r->batch_size, longest_sequence(job), &job->decoder));
	return OK;
}

/* The default of the temperature depends on the kind: the released configurations of both. */
static int curriculum_options(struct job *job, struct curriculum_options *out)
{
	const struct config_curriculum *c = &job->config.curriculum;

	if (job->kind == JOB_SFT && curriculum_kind_learns(c->kind))
		return error_set(ERR_INPUT,
		                 "%s: curriculum.kind %s goes by the rewards of sampled answers, and hone sft samples none; take uniform, "
		                 "sequential or easy_to_hard",
		                 config_where(&job->config, "curriculum.kind"), c->kind);
	TRY(config_set_if_unset(&job->config, "curriculum.kind", "curriculum.temperature", !strcmp(c->kind, "dump") ? "0.1" : "1"));
	*out = (struct curriculum_options){.kind = c->kind,
	                                   .seed = (uint64_t)job->config.run.seed,
	                                   .alpha = c->alpha,
	                                   .temperature = c->temperature,
	                                   .exploration = c->exploration,
	                                   .keep_unsampled = !strcmp(c->unsampled, "keep"),
	                                   .count_prompts = !strcmp(c->count, "prompts"),
	                                   .window = c->window,
	                                   .steps_per_level = c->steps_per_level,
	                                   .levels = c->levels,
	                                   .cumulative = c->cumulative,
	                                   .hard_first = !strcmp(c->order, "hard_first")};
	return OK;
}

static int open_curriculum(struct job *job)
{
	const struct text_list   *columns = &job->config.curriculum.categories;
	struct curriculum_options o;
	int                       n = job->train.prompts.n;
	struct curriculum_item   *items = arena_alloc(&job->arena, (size_t)n, sizeof *items);

	if (!items)
		return ERR_INPUT;
	TRY(curriculum_options(job, &o));
	for (int i = 0; i < n; i++) {
		const struct problem *p = job->train.prompts.problems[i];
		items[i].difficulty = p->difficulty;
		if (category_name(p, columns->items, columns->n, &job->arena, &items[i].arm) != OK)
			return error_context("%s: curriculum.categories", config_where(&job->config, "curriculum.categories"));
	}
	return curriculum_new(&o, items, n, &job->curriculum);
}

static enum curation curation_of(const char *name)
{
	return !strcmp(name, "balanced") ? CURATION_BALANCED : !strcmp(name, "one_positive") ? CURATION_ONE_POSITIVE : CURATION_ALL;
}

/* The constant that gives good answers the wanted share of the weight (TOPR). */
static int choose_baseline(struct job *job)
{
	double share = job->config.loss.positive_share,
	       p = job->replay.n_answers ? (double)job->replay.n_good / job->replay.n_answers : NAN;

	if (share == 0)
		return OK;
	if (job->replay.n == 0)
		return error_set(ERR_INPUT,
		                 "%s: loss.positive_share reads the share of good answers from rollout.source, which is not set; set it, "
		                 "or loss.baseline_value instead",
		                 config_where(&job->config, "loss.positive_share"));
	if (job->algorithm.baseline_value != 0)
		return error_set(ERR_INPUT,
		                 "%s: loss.positive_share chooses the constant that loss.baseline_value sets; leave one of them out",
		                 config_where(&job->config, "loss.positive_share"));
	if (p == 0 || p == 1)
		return error_set(ERR_INPUT, "%s: %s answers are good, so no baseline gives them the share %g", job->replay.path,
		                 p == 0 ? "no" : "all", share);
	job->algorithm.baseline_value = advantage_baseline_for(p, share);
	return OK;
}

static int refuse_beside_replay(const struct job *job)
{
	const char *key = strcmp(job->config.curriculum.kind, "uniform") ? "curriculum.kind" : NULL;

	if (problems_weighted(&job->train))
		return error_set(
		        ERR_INPUT,
		        "%s: the weights of data.train choose what is sampled, but rollout.source replays what was; leave them out",
		        config_where(&job->config, "data.train"));
	if (job->algorithm.dynamic_sampling)
		key = "loss.dynamic_sampling";
	if (job->config.task.permute_rewards)
		key = "task.permute_rewards";
	if (job->config.task.token_rewards)
		key = "task.token_rewards";
	return key ? error_set(ERR_INPUT,
	                       "%s: %s acts on answers as they are sampled, but rollout.source replays recorded ones; leave it out",
	                       config_where(&job->config, key), key)
	           : OK;
}

static int open_replay(struct job *job)
{
	const struct config_rollout *r = &job->config.rollout;
	const struct replay_options  o = {.model = job->model,
	                                  .tokenizer = job->tokenizer,
	                                  .prompts = &job->train.prompts,
	                                  .reward = &job->reward,
	                                  .temperature = (float)r->temperature,
	                                  .max_completion_length = r->max_completion_length,
	                                  .n_positions = job->model->weights.shape.n_positions,
	                                  .signed_rewards = job->algorithm.signed_rewards,
	                                  .curation = curation_of(r->curation),
	                                  .max_negatives = r->max_negatives};

	if (job->kind == JOB_TRAIN && *r->source) {
		TRY(refuse_beside_replay(job));
		TRY(replay_open(r->source, &o, &job->replay));
	}
	return choose_baseline(job);
}

static int open_schedule(const struct job *job, double learning_rate, struct schedule *out)
{
	const struct config_optim    *o = &job->config.optim;
	const struct schedule_options s = {.name = o->lr_scheduler_type,
	                                   .learning_rate = learning_rate,
	                                   .warmup_steps = o->warmup_steps,
	                                   .warmup_ratio = o->warmup_ratio,
	                                   .min_lr_rate = o->min_lr_rate,
	                                   .total_steps = job->config.run.max_steps};

	return schedule_new(&s, out);
}

static int open_critic(struct job *job)
{
	const struct config_critic *c = &job->config.critic;
	struct critic_options       o = {.own = !strcmp(c->network, "own"),
	                                 .vf_coef = c->vf_coef,
	                                 .cliprange_value = c->cliprange_value,
	                                 .warmup_steps = c->warmup_steps,
	                                 .head_std = c->head_std,
	                                 .seed = (uint64_t)job->config.run.seed};

	if (job->algorithm.baseline != BASELINE_CRITIC)
		return OK;
	if (o.own && job->model->adapter)
		return error_set(ERR_INPUT,
		                 "%s: critic.network own trains a second network in full, which is what an adapter saves; set shared",
		                 config_where(&job->config, "critic.network"));
	TRY(open_schedule(job, c->learning_rate, &o.schedule));
	TRY(critic_new(&o, &job->policy, &job->critic));
	job->learn.critic = &job->critic;
	return OK;
}

/* Which tokens hold a newline, alone or among other characters. */
static int find_line_ends(struct job *job, const unsigned char **out)
{
	int            V = job->model->weights.shape.n_vocab, status = OK;
	unsigned char *line_end = arena_alloc(&job->arena, (size_t)V, sizeof *line_end);
	struct text    t = {0};

	if (!line_end)
		return ERR_INPUT;
	for (int id = 0; id < V && id < tokenizer_size(job->tokenizer) && status == OK; id++) {
		t.n = 0;
		status = tokenizer_decode(job->tokenizer, &id, 1, 1, &t);
		line_end[id] = status == OK && t.n > 0 && memchr(t.data, '\n', t.n) != NULL;
	}
	text_free(&t);
	*out = line_end;
	return status;
}

static int open_credit(struct job *job)
{
	const struct config_credit *c = &job->config.credit;

	if (job->kind != JOB_TRAIN || !strcmp(c->kind, "none"))
		return OK;
	job->learn.credit =
	        (struct credit_options){.empg = 1,
	                                .k = c->k,
	                                .k_bonus = c->k_bonus,
	                                .zeta = c->zeta,
	                                .zero_variance = strcmp(c->zero_variance, "zero") ? ZERO_VARIANCE_SHAPE : ZERO_VARIANCE_ZERO,
	                                .shuffle = c->shuffle};
	return strcmp(c->segments, "newline") ? OK : find_line_ends(job, &job->learn.credit.line_end);
}

static int open_learning(struct job *job)
{
	const struct config_optim  *o = &job->config.optim;
	const struct policy_options p = {.micro_batch_tokens = job->config.compute.micro_batch_tokens,
	                                 .share_prompt = job->config.rollout.share_prompt,
	                                 .temperature = job->kind == JOB_SFT ? 1 : (float)job->config.rollout.temperature,
	                                 .optimizer = {o->adam_beta1, o->adam_beta2, o->adam_epsilon, o->weight_decay, o->max_grad_norm}};

	TRY(open_schedule(job, o->learning_rate, &job->schedule));
	job->learn = (struct learn_options){.algorithm = job->algorithm,
	                                    .num_minibatches = o->num_minibatches,
	                                    .plain_denominator = !strcmp(job->config.guidance.denominator, "plain"),
	                                    .stale = job->replay.n > 0 || strcmp(job->config.compute.numerics, "strict") != 0,
	                                    .seed = (uint64_t)job->config.run.seed};
	TRY(policy_new(job->model, &p, &job->policy));
	TRY(open_credit(job));
	return open_critic(job);
}

/* Supervised learning is the plain score function with advantage 1 on every answer token: minus the mean log-probability. */
static int open_algorithm(struct job *job)
{
	if (job->kind == JOB_TRAIN)
		return recipe_algorithm(&job->config, &job->algorithm);
	job->algorithm = *algorithm_find("reinforce");
	job->algorithm.loss_type = TOKEN_MEAN;
	return OK;
}

/* ---- the bill ---- */

static size_t bill_line(struct text *out, const char *what, size_t bytes)
{
	if (bytes)
		text_print(out, "  %-34s %9.1f MiB\n", what, (double)bytes / (1 << 20));
	return bytes;
}

/* The most that one update holds: every answer as long as it may be, to the longest prompts. */
static struct policy_load largest_update(const struct job *job)
{
	const struct config *c = &job->config;
	int                  answers = job->replay.n ? job->replay.largest : c->rollout.num_generations + job->guidance.num_generations;
	int                  longest = longest_sequence(job), answer = int_min(c->rollout.max_completion_length, longest - 1);
	int                  prompt = longest - answer, per_tree;
	int                  groups = (c->rollout.prompts_per_step + c->optim.num_minibatches - 1) / c->optim.num_minibatches, trees;

	if (job->kind == JOB_SFT)
		return (struct policy_load){c->sft.batch_size * longest, c->sft.batch_size, longest, longest};
	if (!c->rollout.share_prompt)
		return (struct policy_load){groups * answers * longest, groups * answers, longest, answer};
	per_tree = int_min(answers, int_max(1, (TREE_TOKENS - prompt) / answer));
	trees = (answers + per_tree - 1) / per_tree; /* of a group */
	return (struct policy_load){groups * (trees * prompt + answers * answer), groups * trees, prompt + per_tree * answer,
	                            per_tree * answer};
}

size_t job_bill(const struct job *job, struct text *out)
{
	const struct config      *c = &job->config;
	const struct model_shape *s = &job->model->weights.shape;
	struct policy_load        load = largest_update(job);
	size_t                    sum = 0;

	sum += bill_line(out, "model, packed twice", model_bytes(s, job->mm, 1));
	sum += bill_line(out, "adapter", job->model->adapter ? adapter_bytes(job->model->adapter, 1) : 0);
	sum += bill_line(out, "reference", job->reference && !job->reference->is_view ? model_bytes(s, job->mm, 0) : 0);
	sum += bill_line(out, "moments, gradients, activations", policy_bytes(&job->policy, &load));
	sum += bill_line(out, "critic", job->learn.critic ? critic_bytes(&job->critic, &load) : 0);
	sum += bill_line(out, "keys, values and logits of decoding",
	                 job->decoder ? decoder_bytes(s, c->rollout.batch_size, longest_sequence(job)) : 0);
	bill_line(out, "in all, at most", sum);
	return sum;
}

static int check_memory(const struct job *job)
{
	struct text bill = {0};
	double limit = job->config.compute.memory_limit_gb * 1e9, machine = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
	double sum = (double)job_bill(job, &bill);
	int    status = OK;

	if (limit == 0)
		limit = machine;
	if (sum > limit)
		status = error_set(ERR_INPUT,
		                   "the job may need %.1f GB, more than %.1f GB; lower compute.micro_batch_tokens, rollout.batch_size or "
		                   "the lengths:\n%s",
		                   sum * 1e-9, limit * 1e-9, bill.data);
	text_free(&bill);
	return status;
}

/* ---- opening and closing ---- */

static int open_all(struct job *job)
{
	TRY(open_algorithm(job));
	TRY(problems_read_train(&job->config, &job->arena, &job->train));
	TRY(problems_read_eval(&job->config, &job->arena, &job->eval));
	TRY(open_model(job));
	if (job->kind == JOB_TRAIN || job->eval.n > 0)
		TRY(open_reward(job));
	TRY(render(job));
	TRY(open_replay(job));
	TRY(problems_mix(&job->config, &job->arena, &job->train));
	TRY(open_guidance(job));
	TRY(open_learning(job));
	TRY(open_rollouts(job));
	TRY(open_curriculum(job));
	return check_memory(job);
}

int job_open(enum job_kind kind, const char *config_path, const char *const *overrides, int n_overrides, struct job *out)
{
	int status;

	*out = (struct job){.kind = kind, .first_eval = {NAN, NAN}, .last_eval = {NAN, NAN}, .saved_step = -1, .started = clock_seconds()};
	TRY(config_load(config_path, overrides, n_overrides, &out->config));
	threads_set(out->config.compute.threads);
	status = open_all(out);
	if (status != OK)
		job_close(out);
	return status;
}

void job_close(struct job *job)
{
	curriculum_free(job->curriculum);
	replay_close(&job->replay);
	decoder_free(job->decoder);
	critic_free(&job->critic);
	policy_free(&job->policy);
	model_free(job->reference);
	model_free(job->model);
	matmul_free(job->mm);
	tokenizer_free(job->tokenizer);
	verifier_close(&job->reward);
	verifier_close(&job->eval_reward);
	problems_free(&job->train);
	problems_free(&job->eval);
	metrics_log_close(&job->log);
	file_unlock(&job->run_lock);
	events_close(job->events);
	config_free(&job->config);
	arena_free(&job->arena);
	arena_free(&job->step_arena);
	*job = (struct job){0};
}

/* ---- saving ---- */

static int add_state(const struct job *job, json_t *state, struct text *config)
{
	json_t *curriculum;
	int     bad;

	TRY(curriculum_save(job->curriculum, &curriculum));
	TRY(config_resolved(&job->config, config));
	bad = json_object_set_new(state, "format", json_integer(1)) | json_object_set_new(state, "step", json_integer(job->step)) |
	      json_object_set_new(state, "optimizer_step", json_integer((json_int_t)job->policy.optimizer.step)) |
	      json_object_set_new(state, "num_tokens", json_integer(job->n_tokens)) |
	      json_object_set_new(state, "skipped_in_a_row", json_integer(job->skipped_in_a_row)) |
	      json_object_set_new(state, "metrics_bytes", json_integer((json_int_t)job->log.bytes)) |
	      json_object_set_new(state, "first_eval",
	                          isnan(job->first_eval.mean) ? json_null()
	                                                      : json_pack("[f,f]", job->first_eval.mean, job->first_eval.error)) |
	      json_object_set_new(state, "curriculum", curriculum) | json_object_set_new(state, "config", json_string(config->data));
	return bad ? error_set(ERR_INPUT, "out of memory for trainer_state.json") : OK;
}

/* The critic's counts and the KL coefficient, which a controller may have moved. */
static int add_learner(const struct job *job, json_t *state)
{
	int bad = json_object_set_new(state, "beta", json_real(job->learn.algorithm.beta));

	if (job->learn.critic)
		bad |= json_object_set_new(state, "critic",
		                           json_pack("{s:I,s:I}", "head_step", (json_int_t)job->critic.optimizer.step, "network_step",
		                                     (json_int_t)job->critic.own.optimizer.step));
	return bad ? error_set(ERR_INPUT, "out of memory for trainer_state.json") : OK;
}

static int write_state(const struct job *job, const char *path)
{
	struct text config = {0};
	json_t     *state = json_object();
	int         status = state ? add_state(job, state, &config) : ERR_INPUT;
	char       *text;

	if (status == OK)
		status = add_learner(job, state);
	text = status == OK ? json_dumps(state, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;

	if (status == OK)
		status = text ? file_write(path, text, strlen(text)) : error_set(ERR_INPUT, "out of memory for trainer_state.json");
	free(text);
	json_decref(state);
	text_free(&config);
	return status;
}

static int write_checkpoint(const struct job *job, const char *folder, struct arena *a)
{
	char *optimizer = file_join(a, folder, "optimizer.safetensors"), *state = file_join(a, folder, "trainer_state.json"),
	     *critic = file_join(a, folder, "critic.safetensors");

	if (!optimizer || !state || !critic)
		return ERR_INPUT;
	TRY(job->model->adapter ? adapter_folder_write(folder, job->model->adapter, job->model_folder)
	                        : folder_write(folder, &job->model->weights, SAFETENSORS_F32, NULL));
	TRY(tokenizer_save(job->tokenizer, folder));
	TRY(optimizer_save(&job->policy.optimizer, model_learned(job->model), optimizer));
	if (job->learn.critic)
		TRY(critic_save(&job->critic, critic));
	return write_state(job, state);
}

int job_save(struct job *job)
{
	const struct config_run *r = &job->config.run;
	struct arena             a = {0};
	char                    *folder;
	int                      status;

	if (job->saved_step == job->step)
		return OK;
	status = weights_check_finite(model_learned(job->model));
	if (status == OK)
		status = checkpoint_begin(r->output_dir, job->step, &a, &folder);
	if (status == OK) {
		status = write_checkpoint(job, folder, &a);
		if (status == OK)
			status = checkpoint_commit(r->output_dir, job->step, r->save_total_limit);
		else
			file_remove_folder(folder);
	}
	arena_free(&a);
	if (status == OK)
		job->saved_step = job->step;
	return status;
}

int job_save_due(struct job *job)
{
	int every = job->config.run.save_steps;

	return every > 0 && job->step % every == 0 ? job_save(job) : OK;
}

/* ---- starting and resuming ---- */

static int check_config(struct job *job, const char *place, const char *then_text)
{
	struct config then;
	struct text   lines = {0};
	int           status;

	TRY(config_parse(place, then_text, strlen(then_text), NULL, 0, &then));
	status = config_differences(&then, &job->config, &lines) == 0
	                 ? OK
	                 : error_set(ERR_INPUT,
	                             "%s: the run was started with other settings; resume it with the same, or start another run:\n%s",
	                             place, lines.data);
	text_free(&lines);
	config_free(&then);
	return status;
}

static int load_learner(struct job *job, const char *place, const json_t *state)
{
	const json_t *beta = json_object_get(state, "beta"), *critic = json_object_get(state, "critic");
	int64_t       head, network;

	if (json_is_number(beta))
		job->learn.algorithm.beta = json_number_value(beta);
	if (!job->learn.critic)
		return OK;
	TRY(json_get_int(place, critic, "head_step", JSON_REQUIRED, 0, INT64_MAX, &head));
	TRY(json_get_int(place, critic, "network_step", JSON_REQUIRED, 0, INT64_MAX, &network));
	job->critic.optimizer.step = (uint64_t)head;
	job->critic.own.optimizer.step = (uint64_t)network;
	return OK;
}

static int load_state(struct job *job, const char *place, const json_t *state)
{
	int64_t       step, optimizer_step, bytes, skipped = 0;
	const char   *config;
	const json_t *first = json_object_get(state, "first_eval");

	TRY(json_get_int(place, state, "step", JSON_REQUIRED, 0, INT32_MAX, &step));
	TRY(json_get_int(place, state, "optimizer_step", JSON_REQUIRED, 0, INT64_MAX, &optimizer_step));
	TRY(json_get_int(place, state, "num_tokens", JSON_REQUIRED, 0, INT64_MAX, &job->n_tokens));
	TRY(json_get_int(place, state, "metrics_bytes", JSON_REQUIRED, 0, INT64_MAX, &bytes));
	TRY(json_get_int(place, state, "skipped_in_a_row", JSON_OPTIONAL, 0, INT32_MAX, &skipped));
	TRY(json_get_text(place, state, "config", JSON_REQUIRED, &config));
	TRY(check_config(job, place, config));
	TRY(curriculum_load(job->curriculum, place, json_object_get(state, "curriculum")));
	TRY(load_learner(job, place, state));
	if (json_is_array(first) && json_array_size(first) == 2)
		job->first_eval =
		        (struct tally_mean){json_number_value(json_array_get(first, 0)), json_number_value(json_array_get(first, 1))};
	job->step = job->saved_step = (int)step;
	job->skipped_in_a_row = (int)skipped;
	job->policy.optimizer.step = (uint64_t)optimizer_step;
	job->log.bytes = (uint64_t)bytes;
	return OK;
}

/* The weights of a checkpoint, in place of those that the run started from. */
static int load_learned(struct job *job, const char *folder)
{
	struct model  *m = job->model;
	struct weights w = {0};

	if (m->adapter)
		return adapter_folder_load(folder, m->adapter);
	TRY(load_weights(folder, &w));
	if (w.n != m->weights.n) {
		weights_free(&w);
		return error_set(ERR_INPUT, "%s: its model has another shape than the config's", folder);
	}
	memcpy(m->weights.data, w.data, w.n * sizeof *w.data);
	weights_free(&w);
	return model_repack(m);
}

static int load_checkpoint(struct job *job, const char *folder)
{
	char *optimizer = file_join(&job->arena, folder, "optimizer.safetensors"),
	     *path = file_join(&job->arena, folder, "trainer_state.json"), *critic = file_join(&job->arena, folder, "critic.safetensors");
	json_t *state;
	int     status;

	if (!optimizer || !path || !critic)
		return ERR_INPUT;
	TRY(json_read(path, STATE_MAX, &state));
	status = load_state(job, path, state);
	json_decref(state);
	TRY(status);
	TRY(load_learned(job, folder));
	TRY(optimizer_load(&job->policy.optimizer, model_learned(job->model), optimizer));
	return job->learn.critic ? critic_load(&job->critic, critic) : OK;
}

static int resume_newest(struct job *job)
{
	struct text skipped = {0};
	char       *folder;
	int         step, status = checkpoint_newest(job->config.run.output_dir, &job->arena, &folder, &step, &skipped);

	if (job->screen && skipped.n)
		fprintf(job->screen, "passed over: %s", skipped.data);
	text_free(&skipped);
	if (status == OK && folder)
		status = load_checkpoint(job, folder);
	if (status == OK && job->screen)
		fprintf(job->screen, folder ? "resumed from step %d\n" : "nothing to resume: starting from step %d\n", job->step);
	return status;
}

static int refuse_old_run(const struct job *job, const char *log)
{
	if (!file_exists(log))
		return OK;
	return error_set(ERR_INPUT, "%s holds a run already; add --resume to go on with it, or name another folder with run.output_dir=",
	                 job->config.run.output_dir);
}

static int write_config(const struct job *job)
{
	struct text  t = {0};
	struct arena a = {0};
	char        *path = file_join(&a, job->config.run.output_dir, "config.yaml");
	int          status = path ? config_resolved(&job->config, &t) : ERR_INPUT;

	if (status == OK)
		status = file_write(path, t.data, t.n);
	text_free(&t);
	arena_free(&a);
	return status;
}

static void print_replay(const struct job *job)
{
	const struct replay *r = &job->replay;
	int                  P = job->config.rollout.prompts_per_step;

	if (r->n == 0)
		return;
	fprintf(job->screen, "replays %s: %d answers in %d groups, %.1f%% of them good; an epoch is %d steps%s\n", r->path, r->n_answers,
	        r->n, 100.0 * r->n_good / r->n_answers, (r->n + P - 1) / P,
	        r->other_mu ? "; other weights sampled them, so the run starts off policy" : "");
	if (job->config.loss.positive_share > 0)
		fprintf(job->screen, "baseline %.6g, so that good answers make up %g of the weight\n", job->algorithm.baseline_value,
		        job->config.loss.positive_share);
}

static void print_start(const struct job *job)
{
	struct text bill = {0}, data = {0};

	if (!job->screen)
		return;
	job_bill(job, &bill);
	findings_lines(&job->findings, &data);
	fprintf(job->screen, "%s, %d threads; %.2fM parameters", matmul_describe(job->mm), threads_count(),
	        (double)job->model->weights.n * 1e-6);
	if (job->model->adapter)
		fprintf(job->screen, " stand still, %.2fM of the adapter learn", (double)job->model->adapter->weights.n * 1e-6);
	fprintf(job->screen, "; %d problems, %d held out; into %s\n%s%s", job->train.n - job->train.prompts.n_long, job->eval.prompts.n,
	        job->config.run.output_dir, data.data ? data.data : "", bill.data);
	print_replay(job);
	if (algorithm_caution(&job->algorithm))
		fprintf(job->screen, "caution: %s\n", algorithm_caution(&job->algorithm));
	text_free(&bill);
	text_free(&data);
}

static int write_findings(const struct job *job)
{
	struct text  t = {0};
	struct arena a = {0};
	char        *path = file_join(&a, job->config.run.output_dir, "data.json");
	int          status = path ? findings_json(&job->findings, &t) : ERR_INPUT;

	if (status == OK)
		status = file_write(path, t.data, t.n);
	text_free(&t);
	arena_free(&a);
	return status;
}

int job_start(struct job *job, int resume)
{
	const char *run = job->config.run.output_dir;
	char       *log = file_join(&job->arena, run, "metrics.jsonl"), *events = file_join(&job->arena, run, "tensorboard");

	if (!log || !events)
		return ERR_INPUT;
	TRY(file_make_folders(run));
	TRY(file_lock(run, &job->run_lock)); /* first: a resume clears away what looks half written */
	TRY(resume ? resume_newest(job) : refuse_old_run(job, log));
	TRY(write_config(job));
	TRY(write_findings(job));
	TRY(metrics_log_open(log, job->log.bytes, &job->log));
	if (job->config.run.tensorboard)
		TRY(events_open(events, job->step, &job->events));
	print_start(job);
	progress_open(&job->progress, job->screen, job->config.run.logging_steps, job->step);
	return OK;
}
