#include "rl/job_order.h"

#include "base/error.h"
#include "base/json.h"
#include "base/ranks.h"
#include "rl/job_parts.h"

#include <string.h>

static const char job_order_key[] = "compute.order";

static int job_order_is_open(const struct job_config *c)
{
	return !strcmp(c->compute.matmul.precision, "bf16") &&
	       !strcmp(c->compute.matmul.order, "auto");
}

int job_order_of_old(struct job_config *then)
{
	return job_order_is_open(then)
	               ? config_set(&then->base, "an older program", job_order_key, "pair")
	               : OK;
}

static int job_order_read(const char *place, const json_t *state, const char **order)
{
	struct job_config then;
	const char       *text;
	int               status;

	TRY(json_get_text(place, state, "config", JSON_REQUIRED, &text)); /* Trainer's has none */
	TRY(job_config_parse(place, text, strlen(text), NULL, 0, &then));
	status = job_order_of_old(&then);
	if (status == OK && !strcmp(then.compute.matmul.precision, "bf16"))
		*order = strcmp(then.compute.matmul.order, "tile") ? "pair" : "tile";
	config_free(&then.base);
	return status;
}

int job_order_recorded(const char *folder, const char **order)
{
	struct arena a = {0};
	char        *path;
	json_t      *state = NULL;
	int          status = file_path(&a, folder, "trainer_state.json", &path);

	*order = NULL;
	if (status == OK && file_exists(path)) {
		status = json_read(path, JOB_STATE_MAX, &state);
		if (status == OK)
			status = job_order_read(path, state, order);
		json_decref(state);
	}
	arena_free(&a);
	return status == ERR_MEMORY ? status : OK;
}

/* "tile" when the CPUs of all ranks have AMX. */
static int job_order_of_ranks(const char **order)
{
	struct arena        a = {0};
	struct ranks_piece *in;
	unsigned char       mine = (unsigned char)matmul_cpu_has_amx();
	int status = arena_take(&a, (size_t)ranks_count(), "what the ranks have", &in);

	if (status == OK)
		status = ranks_gather("what the CPUs have", &mine, 1, &a, in);
	*order = "tile";
	for (int r = 0; status == OK && r < ranks_count(); r++)
		if (in[r].n != 1 || *(const unsigned char *)in[r].data == 0)
			*order = "pair";
	arena_free(&a);
	return status;
}

/* That of the checkpoint that a resume will go on from, if there is one. */
static int job_order_of_run(const char *run, const char **order)
{
	struct arena a = {0};
	char        *folder;
	int          step, status = checkpoint_newest(run, &a, &folder, &step, NULL);

	if (status == OK && folder)
		status = job_order_recorded(folder, order);
	arena_free(&a);
	return status;
}

int job_order_settle(struct job_config *c, enum job_begin how)
{
	const char *ranks, *order = NULL;

	TRY(job_order_of_ranks(&ranks));
	if (!job_order_is_open(c))
		return OK;
	if (how == JOB_RESUME)
		TRY(job_order_of_run(c->run.output_dir, &order));
	return config_set(&c->base, order ? "the checkpoint" : "this CPU", job_order_key,
	                  order ? order : ranks);
}
