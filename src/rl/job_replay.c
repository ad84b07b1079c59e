/* A job that replays recorded completions: what its config may say beside them. */
#include "rl/job_sampler.h"

#include "base/error.h"

#include <stdio.h>

/* What was recorded stands: an option about sampling says the same, or nothing. */
static int job_replay_compare(struct job_config *c, const struct replay *p)
{
	const struct rollout_options *r = &c->rollout;
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
		if (!config_is_set(&c->base, facts[i].key))
			TRY(config_set_if_unset(&c->base, p->path, facts[i].key, value));
		else if ((float)facts[i].here != (float)facts[i].recorded)
			return error_set(
			        ERR_INPUT,
			        "%s: %s is %g, but the completions of %s were sampled with %s "
			        "and are replayed as they are; leave it out",
			        config_where(&c->base, facts[i].key), facts[i].key, facts[i].here,
			        p->path, value);
	}
	return OK;
}

static int job_replay_refuse(const struct job_config *c, const struct job_data *data,
                             const struct algorithm *algorithm)
{
	const char *key = NULL;

	if (problems_weighted(&data->train))
		return error_set(ERR_INPUT,
		                 "%s: the weights of data.train choose what is sampled, but "
		                 "rollout.source replays what was; leave them out",
		                 config_where(&c->base, "data.train"));
	if (algorithm->dynamic_sampling)
		key = "loss.dynamic_sampling";
	return key ? error_set(ERR_INPUT,
	                       "%s: %s acts on completions as they are sampled, but rollout.source "
	                       "replays recorded ones; leave it out",
	                       config_where(&c->base, key), key)
	           : OK;
}

int job_replay_open(struct job_config *c, const struct job_data *data,
                    const struct job_learner *learner, struct job_sampler *s)
{
	const struct rollout_options *r = &c->rollout;
	const struct replay_options   o = {.model = learner->model,
	                                   .tokenizer = learner->tokenizer,
	                                   .prompts = &data->train.prompts,
	                                   .reward = &data->reward,
	                                   .temperature = (float)r->temperature,
	                                   .max_completion_length = r->max_completion_length,
	                                   .n_positions = learner->model->weights.shape.n_positions,
	                                   .curation = r->curation,
	                                   .max_negatives = r->max_negatives};

	TRY(job_replay_refuse(c, data, &learner->learn.algorithm));
	TRY(replay_open(r->source, &o, &s->replay));
	return job_replay_compare(c, &s->replay);
}
