#include "curriculum/curriculum.h"

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "curriculum/uniform.h"

#include <assert.h>
#include <string.h>

struct curriculum {
	const struct curriculum_kind *kind;
	struct curriculum_problems    problems;
	void                         *state;
};

static const struct curriculum_kind *const kinds[] = {
        &curriculum_uniform,
};

enum { N_KINDS = sizeof kinds / sizeof *kinds };

const char *curriculum_kind_name(int i)
{
	return i >= 0 && i < N_KINDS ? kinds[i]->name : NULL;
}

const char *curriculum_kind_help(int i)
{
	return i >= 0 && i < N_KINDS ? kinds[i]->help : NULL;
}

static int find(const char *name, const struct curriculum_kind **out)
{
	struct text names = {0};
	int         status;

	for (int i = 0; i < N_KINDS; i++)
		if (strcmp(kinds[i]->name, name) == 0) {
			*out = kinds[i];
			return OK;
		}
	for (int i = 0; i < N_KINDS; i++)
		text_print(&names, "%s%s", i ? ", " : "", kinds[i]->name);
	status = error_set(ERR_INPUT, "curriculum.kind: there is no \"%s\"; there is: %s", name, names.data ? names.data : "");
	text_free(&names);
	return status;
}

int curriculum_new(const struct curriculum_options *o, const struct curriculum_item *items, int n, struct curriculum **out)
{
	const struct curriculum_kind *kind;
	struct curriculum            *c;
	int                           status;

	*out = NULL;
	TRY(find(o->kind, &kind));
	if (n <= 0)
		return error_set(ERR_INPUT, "the data set has no problems to choose from; see the messages about its rows");
	c = mem_alloc(1, sizeof *c, "a curriculum");
	if (!c)
		return ERR_INPUT;
	*c = (struct curriculum){kind, {items, n, o->seed}, NULL};
	status = kind->create(&c->problems, &c->state);
	if (status != OK) {
		mem_free(c);
		return status;
	}
	*out = c;
	return OK;
}

void curriculum_free(struct curriculum *c)
{
	if (!c)
		return;
	c->kind->destroy(c->state);
	mem_free(c);
}

void curriculum_pick(struct curriculum *c, int n, int *picked)
{
	c->kind->pick(c->state, n, picked);
	for (int i = 0; i < n; i++)
		assert(picked[i] >= 0 && picked[i] < c->problems.n);
}

void curriculum_observe(struct curriculum *c, const struct curriculum_outcome *outcomes, int n)
{
	c->kind->observe(c->state, outcomes, n);
}

int curriculum_save(const struct curriculum *c, json_t **out)
{
	int status;

	*out = json_pack("{s:s, s:i}", "kind", c->kind->name, "problems", c->problems.n);
	if (!*out)
		return error_set(ERR_INPUT, "out of memory for the state of the curriculum");
	status = c->kind->save(c->state, *out);
	if (status != OK) {
		json_decref(*out);
		*out = NULL;
	}
	return status;
}

int curriculum_load(struct curriculum *c, const char *place, const json_t *state)
{
	const char *kind;
	int64_t     n;

	TRY(json_get_text(place, state, "kind", JSON_REQUIRED, &kind));
	TRY(json_get_int(place, state, "problems", JSON_REQUIRED, 1, INT32_MAX, &n));
	if (strcmp(kind, c->kind->name) != 0)
		return error_set(ERR_INPUT, "%s: the run was started with curriculum.kind %s, not %s; resume it with that one", place, kind,
		                 c->kind->name);
	if (n != c->problems.n)
		return error_set(ERR_INPUT, "%s: the run was started on %lld problems, the data set now has %d; resume it on the same data",
		                 place, (long long)n, c->problems.n);
	return c->kind->load(c->state, place, state);
}

int curriculum_metrics(const struct curriculum *c, json_t *metrics)
{
	return c->kind->metrics(c->state, metrics);
}
