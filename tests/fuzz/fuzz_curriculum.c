/* The state of a curriculum, as a checkpoint holds it: what is loaded can be saved and loaded
 * again, and both then go on alike. */
#include "fuzz.h"

#include "base/json.h"
#include "curriculum/curriculum.h"

enum { N = 6, STEPS = 3, PICKS = 4 };

static struct curriculum *make(const char *kind)
{
	static const struct curriculum_item items[N] = {{"a", 3}, {"b", 1}, {"a", 2},
	                                                {"c", 2}, {"c", 1}, {"b", 2}};
	struct curriculum_options           o = {.kind = kind,
	                                         .seed = 5,
	                                         .alpha = .5,
	                                         .temperature = .3,
	                                         .exploration = 1,
	                                         .window = 10,
	                                         .steps_per_level = 3};
	struct curriculum                  *c;

	PROMISE(curriculum_new(&o, items, N, &c) == OK);
	return c;
}

static void step(struct curriculum *c, int *picked)
{
	static const double       advantages[] = {0.5, 1};
	struct curriculum_outcome outcomes[PICKS];

	curriculum_pick(c, PICKS, picked);
	for (int i = 0; i < PICKS; i++) {
		PROMISE(picked[i] >= 0 && picked[i] < N);
		outcomes[i] = (struct curriculum_outcome){picked[i], 2, picked[i] % 2 ? 0.5 : 1,
		                                          advantages};
	}
	curriculum_observe(c, outcomes, PICKS);
}

static void go_on_alike(struct curriculum *c, const char *kind)
{
	struct curriculum *twin = make(kind);
	json_t            *state;
	int                mine[PICKS], its[PICKS];

	PROMISE(curriculum_save(c, &state) == OK && curriculum_load(twin, "again", state) == OK);
	json_decref(state);
	for (int i = 0; i < STEPS; i++) {
		step(c, mine);
		step(twin, its);
		PROMISE(!memcmp(mine, its, sizeof mine));
	}
	curriculum_free(twin);
}

/* The kind that the state names, or else the first. */
static const char *kind_of(const json_t *state)
{
	const char *name = json_string_value(json_object_get(state, "kind"));
	int         i = 0;

	while (name && curriculum_kind_name(i) && strcmp(curriculum_kind_name(i), name))
		i++;
	return curriculum_kind_name(name && curriculum_kind_name(i) ? i : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct curriculum *c;
	const char        *kind;
	json_t            *state;

	if (json_parse("state", (const char *)data, n, &state) != OK)
		return 0;
	kind = kind_of(state);
	c = make(kind);
	if (curriculum_load(c, "state", state) == OK)
		go_on_alike(c, kind);
	curriculum_free(c);
	json_decref(state);
	return 0;
}
