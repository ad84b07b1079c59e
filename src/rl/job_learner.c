#include "rl/job_learner.h"

#include "base/error.h"
#include "rl/recipe.h"
#include "text/tokenizer.h"

#include <math.h>
#include <string.h>

/* ---- algorithm and rates ---- */

/* Supervised learning is the plain score function with advantage 1 on every token of a completion:
 * minus the mean log-probability. */
static int job_learner_algorithm(enum job_kind kind, struct job_config *c, struct algorithm *out)
{
	if (kind == JOB_TRAIN)
		return recipe_algorithm(c, out);
	*out = *algorithm_find("reinforce");
	out->loss_type = TOKEN_MEAN;
	return OK;
}

int job_learner_schedule(const struct job_config *c, double learning_rate, struct schedule *out)
{
	struct schedule_options o = c->optim.schedule;

	o.learning_rate = learning_rate;
	o.total_steps = c->run.max_steps;
	return schedule_new(&o, out);
}

int job_learner_schedules(struct job_learner *l)
{
	const struct job_config *c = l->config;

	TRY(job_learner_schedule(c, c->optim.schedule.learning_rate, &l->schedule));
	return l->learn.critic ? job_learner_schedule(c, c->critic.learning_rate,
	                                              &l->critic.options.schedule)
	                       : OK;
}

/* ---- what edits advantages ---- */

/* Which tokens hold a newline, alone or among other characters. */
static int job_learner_line_ends(struct job_learner *l, const unsigned char **out)
{
	int            V = l->model->weights.shape.n_vocab, status = OK;
	unsigned char *line_end;
	struct text    t = {0};

	TRY(arena_take(&l->arena, (size_t)V, "which tokens end a line", &line_end));
	for (int id = 0; id < V && id < tokenizer_size(l->tokenizer) && status == OK; id++) {
		t.n = 0;
		status = tokenizer_decode(l->tokenizer, &id, 1, 1, &t);
		line_end[id] = status == OK && t.n > 0 && memchr(t.data, '\n', t.n) != NULL;
	}
	text_free(&t);
	*out = line_end;
	return status;
}

static int job_learner_credit(struct job_learner *l)
{
	struct credit_options *o = &l->learn.credit;

	if (!l->config->credit.empg)
		return OK;
	*o = l->config->credit;
	return o->segments == CREDIT_LINES ? job_learner_line_ends(l, &o->line_end) : OK;
}

static int job_learner_critic(struct job_learner *l)
{
	const struct job_config *c = l->config;
	struct critic_options    o = c->critic;

	o.seed = (uint64_t)c->run.seed;
	if (l->learn.algorithm.baseline != BASELINE_CRITIC)
		return OK;
	if (o.own && l->model->adapter)
		return error_set(ERR_INPUT,
		                 "%s: critic.network own trains a second network in full, which is "
		                 "what an adapter saves; set shared",
		                 config_where(&c->base, "critic.network"));
	TRY(job_learner_schedule(c, o.learning_rate, &o.schedule));
	TRY(critic_new(&o, &l->policy, &l->critic));
	l->learn.critic = &l->critic;
	return OK;
}

/* ---- the whole ---- */

int job_learner_open(enum job_kind kind, struct job_config *c, const struct job_data *data,
                     struct job_learner *out)
{
	const struct policy_options p = {
	        .micro_batch_tokens = c->compute.micro_batch_tokens,
	        .temperature = kind == JOB_SFT ? 1 : (float)c->rollout.temperature,
	        .optimizer = c->optim.adam};
	struct learn_options *o = &out->learn;

	*out = (struct job_learner){.config = c};
	*o = (struct learn_options){.num_minibatches = c->optim.num_minibatches,
	                            .plain_denominator = c->guidance.plain_denominator,
	                            .component_weights = data->reward.weight,
	                            .stale = !matmul_is_strict(&c->compute.matmul),
	                            .seed = (uint64_t)c->run.seed};
	if (kind == JOB_TRAIN && c->rollout.temperature == 0)
		return error_set(
		        ERR_INPUT,
		        "%s: rollout.temperature is 0: greedy completions of one problem are "
		        "all the same, so there is nothing to compare",
		        config_where(&c->base, "rollout.temperature"));
	TRY(job_learner_algorithm(kind, c, &o->algorithm));
	o->entropy_coef = o->algorithm.entropy_coef;
	TRY(job_model_open(data, kind == JOB_TRAIN && algorithm_needs_reference(&o->algorithm),
	                   out));
	TRY(job_learner_schedule(c, c->optim.schedule.learning_rate, &out->schedule));
	TRY(policy_new(out->model, &p, &out->policy));
	if (kind == JOB_TRAIN)
		TRY(job_learner_credit(out));
	return job_learner_critic(out);
}

void job_learner_close(struct job_learner *l)
{
	critic_free(&l->critic);
	policy_free(&l->policy);
	model_free(l->reference);
	model_free(l->model);
	matmul_free(l->mm);
	tokenizer_free(l->tokenizer);
	arena_free(&l->arena);
	*l = (struct job_learner){0};
}

struct job_reader job_learner_reader(const struct job_learner *l)
{
	const struct model_shape *s = &l->model->weights.shape;

	return (struct job_reader){
	        .tokenizer = l->tokenizer, .n_positions = s->n_positions, .eos = s->eos[0]};
}

/* ---- recorded completions ---- */

/* The constant that gives good completions the wanted share of the weight (TOPR). */
static int job_learner_baseline(const struct replay *replay, struct job_learner *l)
{
	double share = l->learn.algorithm.positive_share,
	       p = replay->n_completions ? (double)replay->n_good / replay->n_completions : NAN;

	if (share == 0)
		return OK;
	if (l->learn.algorithm.baseline_value != 0)
		return error_set(ERR_INPUT,
		                 "%s: loss.positive_share chooses the constant that "
		                 "loss.baseline_value sets; leave one of them out",
		                 config_where(&l->config->base, "loss.positive_share"));
	if (p == 0 || p == 1)
		return error_set(
		        ERR_INPUT,
		        "%s: %s completions are good, so no baseline gives them the share %g",
		        replay->path, p == 0 ? "no" : "all", share);
	l->learn.algorithm.baseline_value = advantage_baseline_for(p, share);
	return OK;
}

int job_learner_replay(const struct replay *replay, struct job_learner *l)
{
	l->learn.stale |= replay->n > 0;
	return job_learner_baseline(replay, l);
}
