/* What a run reads again at every start, because no checkpoint holds it: were it another one after
 * a resume, the run would go on as a mixture of two. */
#include "rl/job_parts.h"

#include "base/error.h"
#include "base/fingerprint.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdlib.h>

static uint64_t job_inputs_add_problem(uint64_t h, const struct problem *p)
{
	const char *const texts[] = {p->id, p->answer, p->verifier, p->category, p->hint, p->row};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		h = fingerprint_text(h, texts[i]);
	for (int i = 0; i < p->n_demonstrations; i++)
		h = fingerprint_text(h, p->demonstrations[i]);
	return fingerprint_bytes(h, &p->difficulty, sizeof p->difficulty);
}

/* With the prompts as ids, and so the tokenizer and the template too. */
static uint64_t of_problems(const struct prompts *p)
{
	uint64_t h = FINGERPRINT_EMPTY;

	for (int i = 0; i < p->n; i++) {
		h = job_inputs_add_problem(h, p->problems[i]);
		h = fingerprint_bytes(h, p->contexts[i].ids,
		                      (size_t)p->contexts[i].n * sizeof *p->contexts[i].ids);
	}
	return h;
}

static uint64_t of_weights(uint64_t h, const struct weights *w)
{
	return fingerprint_floats(h, w->data, w->n);
}

static uint64_t of_base(const struct model *m)
{
	return m->adapter ? of_weights(FINGERPRINT_EMPTY, &m->weights) : FINGERPRINT_EMPTY;
}

static uint64_t of_reference(const struct model *m)
{
	uint64_t h = FINGERPRINT_EMPTY;

	if (m && !m->is_view)
		h = of_weights(h, &m->weights);
	return m && m->adapter ? of_weights(h, &m->adapter->weights) : h;
}

static int of_rollouts(const struct replay *r, uint64_t *h)
{
	uint64_t bytes;
	uint32_t crc;

	*h = FINGERPRINT_EMPTY;
	if (r->n == 0)
		return OK;
	TRY(file_crc32(r->path, &bytes, &crc));
	*h = fingerprint_bytes(fingerprint_bytes(*h, &bytes, sizeof bytes), &crc, sizeof crc);
	return OK;
}

static const struct {
	const char *key, *what, *options;
} inputs[JOB_INPUTS] = {
        [INPUT_PROBLEMS] = {"problems", "the training problems or their tokens",
                            "the files of data.train, the tokenizer, the chat template"},
        [INPUT_BASE] = {"base", "the weights under the adapter", "the folder of model.path"},
        [INPUT_REFERENCE] = {"reference", "the weights of the reference",
                             "the folder of model.reference, or of what the run began from"},
        [INPUT_ROLLOUTS] = {"rollouts", "the recorded rollouts", "the file of rollout.source"},
};

const char *job_inputs_what(int i)
{
	return inputs[i].what;
}

int job_take_inputs(const struct job_data *data, const struct job_learner *l,
                    const struct job_sampler *s, struct job_record *r)
{
	r->inputs[INPUT_PROBLEMS] = of_problems(&data->train.prompts);
	r->inputs[INPUT_BASE] = of_base(l->model);
	r->inputs[INPUT_REFERENCE] = of_reference(l->reference);
	return of_rollouts(&s->replay, &r->inputs[INPUT_ROLLOUTS]);
}

json_t *job_inputs_save(const struct job_record *r)
{
	json_t *object = json_object();
	int     bad = !object;

	for (int i = 0; i < JOB_INPUTS; i++)
		bad |= json_object_set_new(object, inputs[i].key,
		                           json_sprintf("%016" PRIx64, r->inputs[i]));
	if (!bad)
		return object;
	json_decref(object);
	return NULL;
}

int job_inputs_check(const struct job_record *r, const char *place, const json_t *saved)
{
	for (int i = 0; saved && i < JOB_INPUTS; i++) {
		const char *then;
		TRY(json_get_text(place, saved, inputs[i].key, JSON_REQUIRED, &then));
		if (strtoull(then, NULL, 16) != r->inputs[i])
			return error_set(ERR_INPUT,
			                 "%s: %s are not those that the run was started with (%s): "
			                 "put them back, or start another run",
			                 place, inputs[i].what, inputs[i].options);
	}
	return OK;
}
