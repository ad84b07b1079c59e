#include "rl/job_sampler.h"

#include "base/error.h"
#include "text/tokenizer.h"

/* Guidance of training, or the hints of sft, whose prompts are the same. */
static int job_sampler_guidance(enum job_kind kind, const struct job_data *data,
                                const struct job_reader *reader, struct job_sampler *s)
{
	const struct guidance_options *g = &s->config->guidance;
	int                            guided = kind == JOB_TRAIN && g->guide;
	const struct prompts_options   o = job_data_prompts(data, reader);

	if (guided)
		s->guidance = (struct guidance){
		        .num_generations =
		                g->num_guided ? g->num_guided : s->config->rollout.num_generations,
		        .form = g->form,
		        .trigger_accuracy = g->trigger_accuracy};
	if (!guided && !(kind == JOB_SFT && s->config->sft.hint_rate > 0))
		return OK;
	if (prompts_hinted(&data->train.prompts, g->template, &o, &s->arena, &s->guidance.hinted) !=
	    OK)
		return error_context(
		        "%s",
		        config_where(&s->config->base, guided ? "guidance.kind" : "sft.hint_rate"));
	return OK;
}

static int job_sampler_larger(int a, int b)
{
	return a > b ? a : b;
}

/* Tokens of prompt and completion, at most. */
static int job_sampler_longest(const struct job_data *data, int n_positions,
                               const struct job_sampler *s)
{
	int prompt = job_sampler_larger(
	        job_sampler_larger(data->train.prompts.longest, data->eval.prompts.longest),
	        s->guidance.hinted.longest);
	int longest = prompt + s->config->rollout.max_completion_length;

	return longest < n_positions ? longest : n_positions;
}

/* How completions are sampled, and the decoder for it. */
static int job_sampler_rollouts(enum job_kind kind, const struct job_data *data,
                                const struct job_learner *learner, struct job_sampler *s)
{
	const struct job_config      *c = s->config;
	const struct rollout_options *r = &c->rollout;
	const struct model_shape     *shape = &learner->model->weights.shape;

	s->rollout = (struct rollout_sampling){
	        .decode = {.sampling = {(float)r->temperature, r->top_k, (float)r->top_p,
	                                (float)r->min_p},
	                   .eos = shape->eos,
	                   .n_eos = shape->n_eos,
	                   .stop = r->stop.items,
	                   .n_stop = r->stop.n,
	                   .tokenizer = learner->tokenizer,
	                   .piece = tokenizer_piece,
	                   .share_prompt = r->share_prompt,
	                   .speculate = r->speculate},
	        .num_generations = r->num_generations,
	        .max_completion_length = r->max_completion_length,
	        .n_positions = shape->n_positions,
	        .seed = (uint64_t)c->run.seed,
	        .purpose = RNG_SAMPLE,
	        .world = data->world,
	};
	if (kind == JOB_TRAIN && r->speculate) {
		TRY(earlier_new(data->train.prompts.n, &s->earlier));
		s->rollout.earlier = &s->earlier;
	}
	if (kind == JOB_TRAIN || data->eval.n > 0)
		TRY(decoder_new(learner->model, r->batch_size, s->longest, &s->decoder));
	return OK;
}

/* What is known of lengths, to deal the problems to ranks. */
static int job_sampler_lengths(const struct job_data *data, struct job_sampler *s)
{
	TRY(arena_take(&s->arena, 1, "lengths of completions", &s->rollout.lengths));
	TRY(arena_take(&s->arena, 1, "lengths of completions", &s->eval_lengths));
	TRY(deal_lengths_new(data->train.prompts.n, &s->arena, s->rollout.lengths));
	return deal_lengths_new(data->eval.prompts.n, &s->arena, s->eval_lengths);
}

int job_sampler_open(enum job_kind kind, struct job_config *c, const struct job_data *data,
                     const struct job_learner *learner, struct job_sampler *out)
{
	const struct job_reader reader = job_learner_reader(learner);

	*out = (struct job_sampler){.config = c};
	if (kind == JOB_TRAIN && *c->rollout.source)
		TRY(job_replay_open(c, data, learner, out));
	TRY(job_sampler_guidance(kind, data, &reader, out));
	out->longest = job_sampler_longest(data, reader.n_positions, out);
	TRY(job_sampler_rollouts(kind, data, learner, out));
	TRY(job_sampler_lengths(data, out));
	return job_curriculum_open(kind, c, data, out);
}

void job_sampler_close(struct job_sampler *s)
{
	curriculum_free(s->curriculum);
	replay_close(&s->replay);
	decoder_free(s->decoder);
	earlier_free(&s->earlier);
	arena_free(&s->arena);
	*s = (struct job_sampler){0};
}
