#include "rl/job_data.h"

#include "base/error.h"
#include "rl/sft.h"
#include "text/tokenizer.h"

#include <string.h>

int job_data_read(const struct job_config *c, struct job_data *out)
{
	*out = (struct job_data){.config = c};
	TRY(problems_read_train(c, &out->arena, &out->train));
	return problems_read_eval(c, &out->arena, &out->eval);
}

void job_data_close(struct job_data *d)
{
	verifier_close(&d->reward);
	verifier_close(&d->eval_reward);
	environment_program_close(d->world);
	problems_free(&d->train);
	problems_free(&d->eval);
	arena_free(&d->arena);
	*d = (struct job_data){0};
}

/* ---- verifiers ---- */

/* A word of the command, from any thread, while the others wait. */
static void job_data_say(void *context, const char *text)
{
	progress_say(context, "  %s\n", text);
}

/* Settings of rewards that exclude each other. */
static int job_data_check_rewards(const struct job_config *c)
{
	static const char *const   either[] = {"task.reward", "task.rewards", NULL};
	const struct task_options *t = &c->task;

	TRY(config_require(&c->base, either));
	if (t->token_rewards && t->permute_rewards)
		return error_set(
		        ERR_INPUT,
		        "%s: task.token_rewards pays each completion's own tokens, so with "
		        "task.permute_rewards the control would learn; leave one of them out",
		        config_where(&c->base, "task.token_rewards"));
	if (t->token_rewards && *t->verifier.command.line)
		return error_set(ERR_INPUT,
		                 "%s: task.token_rewards would ask the command about every "
		                 "beginning of every completion; leave one of them out",
		                 config_where(&c->base, "task.token_rewards"));
	if (t->token_rewards && *t->environment.command.line)
		return error_set(ERR_INPUT,
		                 "%s: task.token_rewards asks what the beginnings of a completion "
		                 "are worth, which task.environment.command does not say; leave "
		                 "one of them out",
		                 config_where(&c->base, "task.token_rewards"));
	if (t->rewards.n > REWARD_PARTS)
		return error_set(ERR_INPUT, "%s: task.rewards: %d verifiers, at most %d",
		                 config_where(&c->base, "task.rewards"), t->rewards.n,
		                 REWARD_PARTS);
	return OK;
}

/* The verifiers of training, weighted, and the one that judges held-out problems. */
static int job_data_open_verifiers(const struct verifier_options *o, struct job_data *d)
{
	const struct config       *base = &d->config->base;
	const struct task_options *t = &d->config->task;
	const char                *names[REWARD_PARTS] = {t->reward}, *eval = task_judge(t),
	           *key = t->rewards.n ? "task.rewards" : "task.reward";
	double weights[REWARD_PARTS] = {1};

	for (int i = 0; i < t->rewards.n; i++) {
		names[i] = t->rewards.items[i].name;
		weights[i] = t->rewards.items[i].weight;
	}
	if (verifier_open(&d->reward, names, weights, t->rewards.n ? t->rewards.n : 1, o) != OK)
		return error_context("%s: %s", config_where(base, key), key);
	if (verifier_open(&d->eval_reward, &eval, NULL, 1, o) != OK)
		return error_context("%s: task.eval_reward",
		                     config_where(base, "task.eval_reward"));
	return OK;
}

int job_data_runs_program(const struct job_data *d)
{
	return d->reward.command || d->eval_reward.command || d->world;
}

/* The program that plays; it speaks where a verifier's does. */
static int job_data_open_world(const struct program_options *verifier, struct job_data *d)
{
	struct environment_program_options o = d->config->task.environment;

	if (!*o.command.line)
		return OK;
	o.command.workers = 1; /* it is asked by one thread */
	o.command.log = verifier->log;
	o.command.say = verifier->say;
	o.command.say_context = verifier->say_context;
	return environment_program_open(&o, &d->world) == OK
	               ? OK
	               : error_context("%s: task.environment.command",
	                               config_where(&d->config->base, "task.environment.command"));
}

/* Opens the verifiers, and leaves out or refuses problems that they cannot judge. */
static int job_data_judge(struct progress *progress, struct job_data *d)
{
	const struct job_config *c = d->config;
	struct verifier_options  o = task_verifier_options(&c->task);

	o.command.say = job_data_say;
	o.command.say_context = progress;
	/* the folder is there before the first completion */
	TRY(file_path(&d->arena, c->run.output_dir, "verifier.log", &o.command.log));
	TRY(job_data_check_rewards(c));
	TRY(job_data_open_world(&o.command, d));
	o.world = d->world ? environment_program_command(d->world) : NULL;
	TRY(job_data_open_verifiers(&o, d));
	TRY(problems_add_verifiers(&d->train, &d->reward));
	TRY(problems_add_verifiers(&d->train, &d->eval_reward));
	TRY(problems_add_verifiers(&d->eval, &d->eval_reward));
	TRY(problems_check(c, &d->reward, &d->eval_reward, &d->arena, &d->train));
	return problems_check(c, &d->eval_reward, NULL, &d->arena, &d->eval);
}

/* ---- prompts ---- */

struct prompts_options job_data_prompts(const struct job_data *d, const struct job_reader *reader)
{
	return problems_prompts(d->config, reader->tokenizer, reader->n_positions);
}

int job_data_render(enum job_kind kind, const struct job_reader *reader, struct job_data *d)
{
	const struct prompts_options o = job_data_prompts(d, reader);
	struct prompts_options       train = o;

	if (kind == JOB_TRAIN || d->eval.n > 0)
		TRY(job_data_judge(reader->progress, d));
	TRY(problems_check_chat(d->config, &o, &d->train, &d->eval));
	if (kind == JOB_SFT)
		train.wanted = 0; /* it learns worked completions, which have their lengths */
	TRY(problems_render(&train, &d->arena, &d->train));
	TRY(problems_render(&o, &d->arena, &d->eval));
	TRY(findings_collect(&d->train, &d->eval, &d->arena, &d->findings));
	if (kind == JOB_SFT)
		TRY(sft_open(reader, d));
	return problems_mix(d->config, &d->arena, &d->train);
}
