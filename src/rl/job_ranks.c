#include "rl/job_ranks.h"

#include "base/error.h"
#include "base/fingerprint.h"
#include "base/ranks.h"
#include "rl/job_parts.h"

#include <zlib.h>

/* ---- numbers that must be the same on all ranks ---- */

static int job_ranks_votes(const struct ranks_piece *in, size_t at, int rank)
{
	int votes = 0;

	for (int r = 0; r < ranks_count(); r++)
		votes +=
		        ((const uint64_t *)in[r].data)[at] == ((const uint64_t *)in[rank].data)[at];
	return votes;
}

/* The first rank whose number is not that of the most ranks (of as many, that of the lowest); -1
 * when all agree. */
static int job_ranks_odd(const struct ranks_piece *in, size_t at)
{
	int most = 0;

	for (int r = 1; r < ranks_count(); r++)
		if (job_ranks_votes(in, at, r) > job_ranks_votes(in, at, most))
			most = r;
	for (int r = 0; r < ranks_count(); r++)
		if (((const uint64_t *)in[r].data)[at] != ((const uint64_t *)in[most].data)[at])
			return r;
	return -1;
}

/* *odd: the rank that differs, -1: none; *at: in which of the n numbers, the first such. */
static int job_ranks_compare(const char *what, const uint64_t *numbers, size_t n, int *odd,
                             size_t *at)
{
	struct arena        a = {0};
	struct ranks_piece *in;
	int status = arena_take(&a, (size_t)ranks_count(), "what the ranks have", &in);

	*odd = -1;
	if (status == OK)
		status = ranks_gather(what, numbers, n * sizeof *numbers, &a, in);
	for (int r = 0; status == OK && r < ranks_count() && *odd < 0; r++)
		if (in[r].n != n * sizeof *numbers) {
			*odd = r ? r : 1;
			*at = 0;
		}
	for (size_t i = 0; status == OK && i < n && *odd < 0; i++) {
		*odd = job_ranks_odd(in, i);
		*at = i;
	}
	arena_free(&a);
	return status;
}

/* ---- what was read ---- */

static int job_ranks_config(const struct job *job, uint64_t *h)
{
	struct text t = {0};
	int         status = config_resolved(&job->config.base, &t);

	if (status == OK)
		*h = fingerprint_text(FINGERPRINT_EMPTY, t.data);
	text_free(&t);
	return status;
}

static uint64_t job_ranks_eval(const struct job *job)
{
	const struct prompts *p = &job->data.eval.prompts;
	uint64_t              h = FINGERPRINT_EMPTY;

	for (int i = 0; i < p->n; i++) {
		h = fingerprint_text(h, p->problems[i]->id);
		h = fingerprint_text(h, p->problems[i]->answer);
		h = fingerprint_bytes(h, p->contexts[i].ids,
		                      (size_t)p->contexts[i].n * sizeof *p->contexts[i].ids);
	}
	return h;
}

int job_ranks_check_inputs(const struct job *job)
{
	static const char *const others[] = {"the config", "the held-out problems or their tokens"};
	enum { OTHERS = sizeof others / sizeof *others };
	uint64_t    h[OTHERS + JOB_INPUTS];
	const char *what;
	size_t      at;
	int         odd;

	if (ranks_count() == 1)
		return OK;
	TRY(job_ranks_config(job, &h[0]));
	h[1] = job_ranks_eval(job);
	for (int i = 0; i < JOB_INPUTS; i++)
		h[OTHERS + i] = job->record.inputs[i];
	TRY(job_ranks_compare("what was read", h, OTHERS + JOB_INPUTS, &odd, &at));
	if (odd < 0)
		return OK;
	what = at < OTHERS ? others[at] : job_inputs_what((int)(at - OTHERS));
	return error_set(ERR_INPUT,
	                 "%s has read something else than the other ranks (%s); give all ranks the "
	                 "same files, and start again",
	                 ranks_name(odd), what);
}

/* ---- what was made of it ---- */

struct job_ranks_tensor {
	const char  *name;
	const float *data;
	size_t       n;
};

struct job_ranks_tensors {
	struct job_ranks_tensor *items;
	size_t                   n, capacity;
	struct arena             arena;
};

static int job_ranks_add(const struct weights *w, struct job_ranks_tensors *out)
{
	TRY(arena_room(&out->arena, &out->items, &out->capacity, out->n + (size_t)w->n_tensors,
	               "the tensors to compare"));
	for (int i = 0; i < w->n_tensors; i++)
		out->items[out->n++] = (struct job_ranks_tensor){
		        w->tensors[i].name, w->data + w->tensors[i].offset, w->tensors[i].count};
	return OK;
}

static int job_ranks_tensors_of(const struct job_learner *l, struct job_ranks_tensors *out)
{
	TRY(job_ranks_add(model_learned(l->model), out));
	if (!l->learn.critic)
		return OK;
	TRY(job_ranks_add(&l->critic.head.weights, out));
	return l->critic.model ? job_ranks_add(model_learned(l->critic.model), out) : OK;
}

/* The step, then the CRC-32 of each tensor; the first that differs is named. */
static int job_ranks_compare_tensors(const struct job_ranks_tensors *t, int step, struct arena *a)
{
	uint64_t *crc;
	size_t    at;
	int       odd;

	TRY(arena_take(a, t->n + 1, "the checksums of tensors", &crc));
	crc[0] = (uint64_t)step;
#pragma omp parallel for schedule(dynamic, 1)
	for (size_t i = 0; i < t->n; i++)
		crc[i + 1] = crc32_z(0, (const unsigned char *)t->items[i].data,
		                     t->items[i].n * sizeof(float));
	TRY(job_ranks_compare("weights", crc, t->n + 1, &odd, &at));
	if (odd < 0)
		return OK;
	if (at == 0)
		return error_set(
		        ERR_INPUT,
		        "%s goes on from another step than the others: the run folder must "
		        "be the same on all machines",
		        ranks_name(odd));
	return error_set(ERR_FAILED,
	                 "step %d: %s has other bits in %s than the other ranks; its machine is "
	                 "broken, or the ranks are not the same program; nothing was saved since "
	                 "the last checkpoint",
	                 step, ranks_name(odd), t->items[at - 1].name);
}

int job_ranks_check_weights(const struct job_learner *l, int step)
{
	struct job_ranks_tensors tensors = {0};
	int                      status;

	if (ranks_count() == 1)
		return OK;
	status = job_ranks_tensors_of(l, &tensors);
	if (status == OK)
		status = job_ranks_compare_tensors(&tensors, step, &tensors.arena);
	arena_free(&tensors.arena);
	return status;
}
