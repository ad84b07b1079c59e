#include "rl/job_parts.h"

#include "base/error.h"
#include "base/json.h"
#include "base/ranks.h"
#include "base/terminal.h"
#include "model/adapter_folder.h"
#include "model/folder.h"
#include "rl/job_order.h"
#include "rl/reference.h"
#include "run/provenance.h"
#include "run/watchdog.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Of whatever a state counts: what goes on from there does not overflow. */
static const int64_t count_max = INT64_C(1) << 53, in_a_row_max = 1 << 30;

/* ---- saving ---- */

/* [mean, error, step]; JSON knows no NaN: an error that is unknown, as of one problem, is null. */
static json_t *first_eval_save(const struct job_record *r)
{
	struct eval_mean x = r->first_eval;

	if (isnan(x.mean))
		return json_null();
	return isnan(x.error) ? json_pack("[f,n,i]", x.mean, r->first_eval_step)
	                      : json_pack("[f,f,i]", x.mean, x.error, r->first_eval_step);
}

/* Of a checkpoint that is older than the step in it: the step is taken for 0. */
static void first_eval_load(const json_t *saved, struct job_record *r)
{
	const json_t *mean = json_array_get(saved, 0), *error = json_array_get(saved, 1);

	if (!json_is_number(mean) || !(json_is_number(error) || json_is_null(error)))
		return;
	r->first_eval = (struct eval_mean){json_number_value(mean),
	                                   json_is_null(error) ? NAN : json_number_value(error)};
	r->first_eval_step = (int)json_integer_value(json_array_get(saved, 2));
}

static int add_state(const struct job_learner *l, const struct job_sampler *s,
                     const struct job_record *r, json_t *state, struct text *config)
{
	json_t *curriculum;
	int     bad;

	TRY(curriculum_save(s->curriculum, &curriculum));
	TRY(config_resolved(&l->config->base, config));
	bad = json_object_set_new(state, "format", json_integer(1)) |
	      json_object_set_new(state, "step", json_integer(r->step)) |
	      json_object_set_new(state, "optimizer_step",
	                          json_integer((json_int_t)l->policy.optimizer.step)) |
	      json_object_set_new(state, "num_tokens", json_integer(r->n_tokens)) |
	      json_object_set_new(state, "num_input_tokens_seen", json_integer(r->n_seen)) |
	      json_object_set_new(state, "skipped_in_a_row", json_integer(r->skipped_in_a_row)) |
	      json_object_set_new(state, "metrics_bytes", json_integer((json_int_t)r->log.bytes)) |
	      json_object_set_new(state, "first_eval", first_eval_save(r)) |
	      json_object_set_new(state, "inputs", job_inputs_save(r)) |
	      json_object_set_new(state, "curriculum", curriculum) |
	      json_object_set_new(state, "config", json_string(config->data));
	if (r->eval_missed)
		bad |= json_object_set_new(state, "eval_missed", json_true());
	return bad ? error_memory("trainer_state.json") : OK;
}

/* "program": which one wrote this checkpoint, as in provenance.jsonl. */
static int add_program(const struct matmul *mm, json_t *state)
{
	struct text t = {0};
	json_t     *program = NULL;
	int         status;

	provenance_add_program(matmul_describe(mm), &t);
	text_print(&t, "}");
	status = text_status(&t);
	if (status == OK) {
		t.data[0] = '{'; /* in the place of the comma */
		status = json_parse("the program", t.data, t.n, &program);
	}
	text_free(&t);
	if (status != OK)
		return status;
	return json_object_set_new(state, "program", program) == 0
	               ? OK
	               : error_memory("trainer_state.json");
}

/* The critic's counts and the coefficients that controllers may have moved. */
static int add_learner(const struct job_learner *l, json_t *state)
{
	int bad = json_object_set_new(state, "beta", json_real(l->learn.algorithm.beta)) |
	          json_object_set_new(state, "entropy_coef", json_real(l->learn.entropy_coef));

	if (l->learn.critic)
		bad |= json_object_set_new(
		        state, "critic",
		        json_pack("{s:I,s:I}", "head_step", (json_int_t)l->critic.optimizer.step,
		                  "network_step", (json_int_t)l->critic.own.optimizer.step));
	return bad ? error_memory("trainer_state.json") : OK;
}

int job_state_text(const struct job_learner *l, const struct job_sampler *s,
                   const struct job_record *r, char **out)
{
	struct text config = {0};
	json_t     *state = json_object();
	int         status =
                state ? add_state(l, s, r, state, &config) : error_memory("trainer_state.json");

	if (status == OK)
		status = add_program(l->mm, state);
	if (status == OK)
		status = add_learner(l, state);
	if (status == OK)
		status = best_save(l->config->run.metric_for_best_model, &r->best, state);
	*out = status == OK ? json_dumps(state, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
	if (status == OK && !*out)
		status = error_memory("trainer_state.json");
	json_decref(state);
	text_free(&config);
	return status;
}

static int write_state(const struct job_learner *l, const struct job_sampler *s,
                       const struct job_record *r, const char *path)
{
	char *text;
	int   status;

	TRY(job_state_text(l, s, r, &text));
	status = file_write(path, text, strlen(text));
	free(text);
	return status;
}

/* Whether the reference is no longer what the run reads at its start. */
static int follows(const struct job_learner *l)
{
	return l->reference && l->config->model.reference_sync.sync;
}

/* The moments of what learns, unless run.save_only_model leaves them out; folder NULL: of a rank
 * that only gives what it has of them. */
static int write_moments(const struct job_learner *l, const char *folder, struct arena *a)
{
	char *optimizer = NULL, *critic = NULL;

	if (l->config->run.save_only_model)
		return OK;
	if (folder) {
		TRY(file_path(a, folder, "optimizer.safetensors", &optimizer));
		TRY(file_path(a, folder, "critic.safetensors", &critic));
	}
	TRY(optimizer_save(&l->policy.optimizer, model_learned(l->model), optimizer));
	return l->learn.critic ? critic_save(&l->critic, critic) : OK;
}

/* Weights, tokenizer, a reference that follows, moments. */
static int write_learner(const struct job_learner *l, const char *folder, struct arena *a)
{
	const struct run_options   *o = &l->config->run;
	const enum safetensors_type type = o->save_only_model && o->save_dtype == RUN_BF16
	                                           ? SAFETENSORS_BF16
	                                           : SAFETENSORS_F32;
	char                       *reference;

	TRY(file_path(a, folder, "reference.safetensors", &reference));
	TRY(l->model->adapter
	            ? adapter_folder_write(folder, l->model->adapter, type, l->model_folder)
	            : folder_write(folder, &l->model->weights, type, NULL));
	TRY(tokenizer_save(l->tokenizer, folder));
	if (follows(l) && !o->save_only_model)
		TRY(reference_save(l->reference, reference));
	return write_moments(l, folder, a);
}

static int write_checkpoint(const struct job_learner *l, const struct job_sampler *s,
                            const struct job_record *r, const char *folder, struct arena *a)
{
	char *state;

	TRY(file_path(a, folder, "trainer_state.json", &state));
	TRY(write_learner(l, folder, a));
	return write_state(l, s, r, state);
}

struct checkpoint_limit job_checkpoint_limit(const struct run_options *o,
                                             const struct job_record  *r)
{
	return (struct checkpoint_limit){o->save_total_limit, r->best.step};
}

int job_checkpoint_bytes(const struct job_learner *l, const struct job_sampler *s,
                         const struct job_record *r, uint64_t *bytes)
{
	struct arena a = {0};
	int          status;

	file_rehearse();
	status = write_checkpoint(l, s, r, l->config->run.output_dir, &a);
	*bytes = file_rehearsed() + FILE_BLOCK; /* and its manifest */
	arena_free(&a);
	return status;
}

/* The logs first: a checkpoint that is there says that they are, too. */
static int job_checkpoint_save(struct job *job, struct arena *a)
{
	const char *run = job->config.run.output_dir;
	char       *folder;
	int         status;

	TRY(weights_check_finite(model_learned(job->learner.model)));
	TRY(job_folder_sync(&job->record));
	TRY(checkpoint_begin(run, job->record.step, a, &folder));
	status = write_checkpoint(&job->learner, &job->sampler, &job->record, folder, a);
	if (status != OK)
		return checkpoint_abandon(folder, status);
	return checkpoint_commit(run, job->record.step,
	                         job_checkpoint_limit(&job->config.run, &job->record));
}

int job_save(struct job *job)
{
	struct arena a = {0};
	int          status;

	assert(job->record.saved_step <= job->record.step);
	if (job->record.saved_step == job->record.step)
		return OK;
	watchdog_phase(WATCHDOG_SAVING);
	status = ranks_first() ? job_checkpoint_save(job, &a)
	                       : write_moments(&job->learner, NULL, &a);
	arena_free(&a);
	status = ranks_together("a checkpoint", status);
	if (status == OK)
		job->record.saved_step = job->record.step;
	return status;
}

int job_save_due(struct job *job)
{
	int every = job->config.run.save_steps;

	return (every > 0 && job->record.step % every == 0) ||
	                       job->record.step == job->record.best.step
	               ? job_save(job)
	               : OK;
}

/* ---- resuming ---- */

/* A schedule that knows its end is another one when the end has moved. */
static int tell_schedule(const struct job_learner *l, FILE *screen, const struct job_config *then,
                         int step)
{
	const struct schedule *is = &l->schedule;
	struct schedule        was;

	TRY(job_learner_schedule(then, then->optim.schedule.learning_rate, &was));
	if (screen && step > 0 && !schedule_same(&was, is))
		terminal_print(screen,
		               "caution: run.max_steps was %d and is %d, so the schedule (%s) is "
		               "another one: the rate of step %d was %g, that of "
		               "step %d "
		               "is %g and not %g%s\n",
		               then->run.max_steps, l->config->run.max_steps,
		               then->optim.schedule.name, step, schedule_at(&was, step - 1),
		               step + 1, schedule_at(is, step), schedule_at(&was, step),
		               step < is->warmup && step >= was.warmup
		                       ? "; it warms up a second time"
		                       : "");
	return OK;
}

/* The config of the run that is gone on with, against the one at hand. */
static int check_config(const struct job_learner *l, FILE *screen, const char *place,
                        const char *then_text, int step)
{
	struct job_config then;
	struct text       lines = {0};
	int               status, differ;

	TRY(job_config_parse(place, then_text, strlen(then_text), NULL, 0, &then));
	status = job_order_of_old(&then);
	differ = config_differences(&then.base, &l->config->base, &lines);
	if (status == OK)
		status = text_status(&lines);
	if (status == OK && differ)
		status = error_set(ERR_INPUT,
		                   "%s: the run was started with other settings; resume it with "
		                   "the same, or start another run:\n%s",
		                   place, lines.data);
	if (status == OK)
		status = tell_schedule(l, screen, &then, step);
	text_free(&lines);
	config_free(&then.base);
	return status;
}

static int load_entropy_coef(const char *place, const json_t *state, struct learn_options *o)
{
	const struct algorithm *a = &o->algorithm;
	double                  coef = o->entropy_coef;

	if (!a->use_adaptive_entropy)
		return OK;
	TRY(json_get_real(place, state, "entropy_coef", JSON_REQUIRED, &coef));
	if (!(fabs(coef) <= 1e3))
		return error_set(ERR_INPUT, "%s: \"entropy_coef\" is %g, beyond +-1000", place,
		                 coef);
	o->entropy_coef = coef;
	return OK;
}

static int load_learner(const char *place, const json_t *state, struct job_learner *l)
{
	const json_t *beta = json_object_get(state, "beta"),
	             *critic = json_object_get(state, "critic");
	int64_t head, network;

	if (json_is_number(beta) &&
	    /* else it is the config's, and may be 0: no reference */
	    l->learn.algorithm.kl_controller == KL_ADAPTIVE) {
		if (json_number_value(beta) < 0)
			return error_set(ERR_INPUT,
			                 "%s: \"beta\" is %g, but no coefficient of a KL "
			                 "divergence is negative",
			                 place, json_number_value(beta));
		l->learn.algorithm.beta = json_number_value(beta);
	}
	TRY(load_entropy_coef(place, state, &l->learn));
	if (!l->learn.critic)
		return OK;
	TRY(json_get_int(place, critic, "head_step", JSON_REQUIRED, json_range(0, count_max),
	                 &head));
	TRY(json_get_int(place, critic, "network_step", JSON_REQUIRED, json_range(0, count_max),
	                 &network));
	l->critic.optimizer.step = (uint64_t)head;
	l->critic.own.optimizer.step = (uint64_t)network;
	return OK;
}

static int check_steps(int max_steps, const char *place, int step)
{
	if (step <= max_steps)
		return OK;
	return error_set(ERR_INPUT,
	                 "%s: %d steps are done, more than the %d of run.max_steps, and nothing "
	                 "was changed; raise run.max_steps, or move the "
	                 "newer checkpoints away to go on from an older one",
	                 place, step, max_steps);
}

int job_state_check(const struct job_learner *l, const struct job_record *r, const char *place,
                    const json_t *state)
{
	const char *config;
	int64_t     step;

	TRY(json_get_int(place, state, "step", JSON_REQUIRED, json_range(0, INT32_MAX), &step));
	TRY(json_get_text(place, state, "config", JSON_REQUIRED, &config));
	TRY(check_config(l, r->screen, place, config, (int)step));
	return job_inputs_check(r, place, json_object_get(state, "inputs"));
}

int job_state_load(struct job_learner *l, struct job_sampler *s, struct job_record *r,
                   const char *place, const json_t *state)
{
	const struct run_options *o = &l->config->run;
	int64_t                   step, optimizer_step, bytes, skipped = 0;

	TRY(json_get_int(place, state, "step", JSON_REQUIRED, json_range(0, INT32_MAX), &step));
	TRY(json_get_int(place, state, "optimizer_step", JSON_REQUIRED, json_range(0, count_max),
	                 &optimizer_step));
	TRY(json_get_int(place, state, "num_tokens", JSON_REQUIRED, json_range(0, count_max),
	                 &r->n_tokens));
	TRY(json_get_int(place, state, "num_input_tokens_seen", JSON_OPTIONAL,
	                 json_range(0, count_max), &r->n_seen));
	TRY(json_get_int(place, state, "metrics_bytes", JSON_REQUIRED, json_range(0, count_max),
	                 &bytes));
	TRY(json_get_int(place, state, "skipped_in_a_row", JSON_OPTIONAL,
	                 json_range(0, in_a_row_max), &skipped));
	TRY(json_get_bool(place, state, "eval_missed", JSON_OPTIONAL, &r->eval_missed));
	TRY(check_steps(o->max_steps, place, (int)step));
	TRY(job_state_check(l, r, place, state));
	TRY(curriculum_load(s->curriculum, place, json_object_get(state, "curriculum")));
	TRY(load_learner(place, state, l));
	TRY(best_load(o->metric_for_best_model, place, state, &r->best));
	first_eval_load(json_object_get(state, "first_eval"), r);
	r->step = r->saved_step = (int)step;
	r->skipped_in_a_row = (int)skipped;
	l->policy.optimizer.step = (uint64_t)optimizer_step;
	r->log.bytes = (uint64_t)bytes;
	return OK;
}

/* The weights of a checkpoint, in place of those that the run started from. */
static int load_weights(const char *folder, struct model *m)
{
	if (m->adapter)
		return adapter_folder_load(folder, m->adapter);
	TRY(folder_load_weights(folder, &m->weights));
	return model_repack(m);
}

/* What write_learner wrote; the tokenizer is the run's. */
static int load_learned(const char *folder, struct arena *a, struct job_learner *l)
{
	char *optimizer, *critic, *reference;

	TRY(file_path(a, folder, "optimizer.safetensors", &optimizer));
	TRY(file_path(a, folder, "critic.safetensors", &critic));
	TRY(file_path(a, folder, "reference.safetensors", &reference));
	TRY(load_weights(folder, l->model));
	TRY(optimizer_load(&l->policy.optimizer, model_learned(l->model), optimizer));
	if (follows(l))
		TRY(reference_load(l->reference, reference));
	return l->learn.critic ? critic_load(&l->critic, critic) : OK;
}

/* A checkpoint of run.save_only_model is whole, but no run goes on from it. */
static int check_moments(const char *folder, struct arena *a)
{
	char *optimizer;

	TRY(file_path(a, folder, "optimizer.safetensors", &optimizer));
	return file_exists(optimizer)
	               ? OK
	               : error_set(ERR_INPUT,
	                           "%s holds the model alone (run.save_only_model), and no run "
	                           "goes on from it; start another run with it as model.path, or "
	                           "this one anew with --from-scratch",
	                           folder);
}

static int load_checkpoint(struct job_learner *l, struct job_sampler *s, struct job_record *r,
                           const char *folder)
{
	char   *path;
	json_t *state;
	int     status;

	TRY(check_moments(folder, &r->arena));
	TRY(file_path(&r->arena, folder, "trainer_state.json", &path));
	TRY(json_read(path, JOB_STATE_MAX, &state));
	status = job_state_load(l, s, r, path, state);
	json_decref(state);
	TRY(status);
	return load_learned(folder, &r->arena, l);
}

int job_resume_newest(struct job_learner *l, struct job_sampler *s, struct job_record *r)
{
	struct text skipped = {0};
	char       *folder;
	int step, status = checkpoint_newest(l->config->run.output_dir, &r->arena, &folder, &step,
	                                     &skipped);

	if (r->screen && skipped.n)
		terminal_print(r->screen, "passed over: %s", skipped.data);
	text_free(&skipped);
	if (status == OK && folder)
		status = load_checkpoint(l, s, r, folder);
	if (status == OK && r->screen)
		terminal_print(r->screen,
		               folder ? "resumed from step %d\n"
		                      : "nothing to resume: starting from step %d\n",
		               r->step);
	return status;
}
