#include "rl/job_parts.h"

#include "base/error.h"
#include "data/category.h"
#include "rl/recipe.h"
#include "text/tokenizer.h"

#include <math.h>
#include <string.h>

/* ---- verifiers ---- */

/* A word of the command, from any thread, while the others wait. */
static void say_on_screen(void *context, const char *text)
{
	struct job *job = context;

	progress_say(&job->progress, "  %s\n", text);
}

int job_open_reward(struct job *job)
{
	const struct task_options *t = &job->config.task;
	struct verifier_options    o = task_verifier_options(t);
	static const char *const   either[] = {"task.reward", "task.rewards", NULL};
	const char                *names[REWARD_PARTS], *eval,
	        *key = t->rewards.n ? "task.rewards" : "task.reward";
	double weights[REWARD_PARTS];
	int    n = t->rewards.n;

	o.command.say = say_on_screen;
	o.command.say_context = job;
	o.command.log =
	        /* the folder is there before the first answer */
	        file_join(&job->arena, job->config.run.output_dir, "verifier.log");
	if (!o.command.log)
		return ERR_INPUT;
	TRY(config_require(&job->config.base, either));
	if (t->token_rewards && t->permute_rewards)
		return error_set(
		        ERR_INPUT,
		        "%s: task.token_rewards pays each completion's own tokens, so with "
		        "task.permute_rewards the control would learn; "
		        "leave one of them out",
		        config_where(&job->config.base, "task.token_rewards"));
	if (t->token_rewards && *t->verifier.command.line)
		return error_set(ERR_INPUT,
		                 "%s: task.token_rewards would ask the command about every "
		                 "beginning of every completion; leave one of them out",
		                 config_where(&job->config.base, "task.token_rewards"));
	if (n > REWARD_PARTS)
		return error_set(ERR_INPUT, "%s: task.rewards: %d verifiers, at most %d",
		                 config_where(&job->config.base, "task.rewards"), n, REWARD_PARTS);
	for (int i = 0; i < n; i++) {
		names[i] = t->rewards.items[i].name;
		weights[i] = t->rewards.items[i].weight;
	}
	if (n == 0) {
		names[0] = t->reward;
		weights[n++] = 1;
	}
	eval = task_judge(t);
	if (verifier_open(&job->reward, names, weights, n, &o) != OK)
		return error_context("%s: %s", config_where(&job->config.base, key), key);
	if (verifier_open(&job->eval_reward, &eval, NULL, 1, &o) != OK)
		return error_context("%s: task.eval_reward",
		                     config_where(&job->config.base, "task.eval_reward"));
	TRY(problems_add_verifiers(&job->train, &job->reward));
	TRY(problems_add_verifiers(&job->train, &job->eval_reward));
	TRY(problems_add_verifiers(&job->eval, &job->eval_reward));
	TRY(problems_check(&job->config, &job->reward, &job->eval_reward, &job->arena,
	                   &job->train));
	return problems_check(&job->config, &job->eval_reward, NULL, &job->arena, &job->eval);
}

/* ---- learning and sampling ---- */

int job_render(struct job *job)
{
	const struct prompts_options o = problems_prompts(&job->config, job->tokenizer,
	                                                  job->model->weights.shape.n_positions);
	struct prompts_options       train = o;

	TRY(problems_check_chat(&job->config, &o, &job->train, &job->eval));
	if (job->kind == JOB_SFT)
		/* it learns worked completions, which have lengths of their own */
		train.wanted = 0;
	TRY(problems_render(&train, &job->arena, &job->train));
	TRY(problems_render(&o, &job->arena, &job->eval));
	return findings_collect(&job->train, &job->eval, &job->arena, &job->findings);
}

int job_open_guidance(struct job *job)
{
	const struct guidance_options *g = &job->config.guidance;
	int                            guided = job->kind == JOB_TRAIN && g->guide;
	const struct prompts_options   o = problems_prompts(&job->config, job->tokenizer,
	                                                    job->model->weights.shape.n_positions);

	if (guided)
		job->guidance = (struct guidance){
		        .num_generations =
		                g->num_guided ? g->num_guided : job->config.rollout.num_generations,
		        .form = g->form,
		        .trigger_accuracy = g->trigger_accuracy};
	if (!guided && !(job->kind == JOB_SFT && job->config.sft.hint_rate > 0))
		return OK;
	if (prompts_hinted(&job->train.prompts, g->template, &o, &job->arena,
	                   &job->guidance.hinted) != OK)
		return error_context("%s",
		                     config_where(&job->config.base,
		                                  guided ? "guidance.kind" : "sft.hint_rate"));
	return OK;
}

int job_longest_sequence(const struct job *job)
{
	int prompt = int_max(int_max(job->train.prompts.longest, job->eval.prompts.longest),
	                     job->guidance.hinted.longest);

	return int_min(prompt + job->config.rollout.max_completion_length,
	               job->model->weights.shape.n_positions);
}

int job_open_rollouts(struct job *job)
{
	const struct rollout_config *r = &job->config.rollout;
	const struct model_shape    *s = &job->model->weights.shape;

	job->rollout = (struct rollout_options){
	        .decode = {.sampling = {(float)r->temperature, r->top_k, (float)r->top_p,
	                                (float)r->min_p},
	                   .eos = s->eos,
	                   .n_eos = s->n_eos,
	                   .stop = r->stop.items,
	                   .n_stop = r->stop.n,
	                   .tokenizer = job->tokenizer,
	                   .piece = tokenizer_piece,
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
		        "%s: rollout.temperature is 0: greedy completions of one problem are "
		        "all the same, so there is nothing to compare",
		        config_where(&job->config.base, "rollout.temperature"));
	if (job->kind == JOB_TRAIN || job->eval.n > 0)
		TRY(decoder_new(job->model, r->batch_size, job_longest_sequence(job),
		                &job->decoder));
	return OK;
}

/* The default of the temperature depends on the kind. */
static int curriculum_options(struct job *job, struct curriculum_options *out)
{
	const struct curriculum_options *c = &job->config.curriculum;
	const struct curriculum_options  defaults = {.temperature =
	                                                     curriculum_kind_temperature(c->kind)};

	if (job->kind == JOB_SFT && curriculum_kind_learns(c->kind))
		return error_set(
		        ERR_INPUT,
		        "%s: curriculum.kind %s goes by the rewards of sampled completions, "
		        "and hone sft samples none; take uniform, "
		        "sequential or easy_to_hard",
		        config_where(&job->config.base, "curriculum.kind"), c->kind);
	TRY(config_lay(&job->config.base, "curriculum.kind", &curriculum_options_table, &defaults));
	*out = *c;
	out->seed = (uint64_t)job->config.run.seed;
	return OK;
}

int job_open_curriculum(struct job *job)
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
			return error_context(
			        "%s: curriculum.categories",
			        config_where(&job->config.base, "curriculum.categories"));
	}
	return curriculum_new(&o, items, n, &job->curriculum);
}

/* The constant that gives good answers the wanted share of the weight (TOPR). */
static int choose_baseline(struct job *job)
{
	double share = job->algorithm.positive_share,
	       p = job->replay.n_answers ? (double)job->replay.n_good / job->replay.n_answers : NAN;

	if (share == 0)
		return OK;
	if (job->algorithm.baseline_value != 0)
		return error_set(ERR_INPUT,
		                 "%s: loss.positive_share chooses the constant that "
		                 "loss.baseline_value sets; leave one of them out",
		                 config_where(&job->config.base, "loss.positive_share"));
	if (p == 0 || p == 1)
		return error_set(
		        ERR_INPUT,
		        "%s: %s completions are good, so no baseline gives them the share %g",
		        job->replay.path, p == 0 ? "no" : "all", share);
	job->algorithm.baseline_value = advantage_baseline_for(p, share);
	return OK;
}

/* What was recorded stands: an option about sampling says the same, or nothing. */
static int compare_with_replay(struct job *job)
{
	const struct rollout_config *r = &job->config.rollout;
	const struct replay         *p = &job->replay;
	const struct {
		const char *key;
		double      here, recorded;
	} facts[] = {{"rollout.num_generations", r->num_generations, p->num_generations},
	             {"rollout.top_k", r->top_k, p->top_k},
	             {"rollout.top_p", r->top_p, p->top_p},
	             {"rollout.min_p", r->min_p, p->min_p}};

	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
		char value[40];
		snprintf(value, sizeof value, "%.9g", facts[i].recorded);
		if (!config_is_set(&job->config.base, facts[i].key))
			TRY(config_set_if_unset(&job->config.base, p->path, facts[i].key, value));
		else if ((float)facts[i].here != (float)facts[i].recorded)
			return error_set(
			        ERR_INPUT,
			        "%s: %s is %g, but the completions of %s were sampled with %s "
			        "and are replayed as they are; leave it out",
			        config_where(&job->config.base, facts[i].key), facts[i].key,
			        facts[i].here, p->path, value);
	}
	return OK;
}

static int refuse_beside_replay(const struct job *job)
{
	const char *key = NULL;

	if (problems_weighted(&job->train))
		return error_set(ERR_INPUT,
		                 "%s: the weights of data.train choose what is sampled, but "
		                 "rollout.source replays what was; leave them out",
		                 config_where(&job->config.base, "data.train"));
	if (job->algorithm.dynamic_sampling)
		key = "loss.dynamic_sampling";
	return key ? error_set(ERR_INPUT,
	                       "%s: %s acts on completions as they are sampled, but rollout.source "
	                       "replays recorded ones; leave it out",
	                       config_where(&job->config.base, key), key)
	           : OK;
}

int job_open_replay(struct job *job)
{
	const struct rollout_config *r = &job->config.rollout;
	const struct replay_options  o = {.model = job->model,
	                                  .tokenizer = job->tokenizer,
	                                  .prompts = &job->train.prompts,
	                                  .reward = &job->reward,
	                                  .temperature = (float)r->temperature,
	                                  .max_completion_length = r->max_completion_length,
	                                  .n_positions = job->model->weights.shape.n_positions,
	                                  .curation = r->curation,
	                                  .max_negatives = r->max_negatives};

	if (job->kind == JOB_TRAIN && *r->source) {
		TRY(refuse_beside_replay(job));
		TRY(replay_open(r->source, &o, &job->replay));
		TRY(compare_with_replay(job));
	}
	return choose_baseline(job);
}

int job_schedule(const struct job_config *c, double learning_rate, struct schedule *out)
{
	struct schedule_options o = c->optim.schedule;

	o.learning_rate = learning_rate;
	o.total_steps = c->run.max_steps;
	return schedule_new(&o, out);
}

static int open_critic(struct job *job)
{
	struct critic_options o = job->config.critic;

	o.seed = (uint64_t)job->config.run.seed;
	if (job->algorithm.baseline != BASELINE_CRITIC)
		return OK;
	if (o.own && job->model->adapter)
		return error_set(ERR_INPUT,
		                 "%s: critic.network own trains a second network in full, which is "
		                 "what an adapter saves; set shared",
		                 config_where(&job->config.base, "critic.network"));
	TRY(job_schedule(&job->config, o.learning_rate, &o.schedule));
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
	struct credit_options *o = &job->learn.credit;

	if (job->kind != JOB_TRAIN || !job->config.credit.empg)
		return OK;
	*o = job->config.credit;
	return o->segments == CREDIT_LINES ? find_line_ends(job, &o->line_end) : OK;
}

int job_open_learning(struct job *job)
{
	const struct optim_options *o = &job->config.optim;
	const struct policy_options p = {
	        .micro_batch_tokens = job->config.compute.micro_batch_tokens,
	        .temperature = job->kind == JOB_SFT ? 1 : (float)job->config.rollout.temperature,
	        .optimizer = o->adam};

	TRY(job_schedule(&job->config, o->schedule.learning_rate, &job->schedule));
	job->learn = (struct learn_options){
	        .algorithm = job->algorithm,
	        .num_minibatches = o->num_minibatches,
	        .plain_denominator = job->config.guidance.plain_denominator,
	        .stale = job->replay.n > 0 || !matmul_is_strict(&job->config.compute.matmul),
	        .seed = (uint64_t)job->config.run.seed};
	TRY(policy_new(job->model, &p, &job->policy));
	TRY(open_credit(job));
	return open_critic(job);
}

/* Supervised learning is the plain score function with advantage 1 on every answer token: minus the
 * mean log-probability. */
int job_open_algorithm(struct job *job)
{
	if (job->kind == JOB_TRAIN)
		return recipe_algorithm(&job->config, &job->algorithm);
	job->algorithm = *algorithm_find("reinforce");
	job->algorithm.loss_type = TOKEN_MEAN;
	return OK;
}
