#include "curriculum/curriculum.h"

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "curriculum/arm_stats.h"
#include "curriculum/arms.h"
#include "curriculum/dump.h"
#include "curriculum/easy_to_hard.h"
#include "curriculum/sec.h"
#include "curriculum/sequential.h"
#include "curriculum/uniform.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

struct curriculum {
	const struct curriculum_kind *kind;
	struct curriculum_options     options;
	struct arms                   arms;
	struct curriculum_problems    problems;
	void                         *state;
	/* of the step that is going on, or else of the last one */
	struct arm_stats stats;
	int              in_step;
};

static const struct curriculum_kind *const kinds[] = {
        &curriculum_uniform, &curriculum_sequential, &curriculum_easy_to_hard,
        &curriculum_sec,     &curriculum_dump,
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

/* NULL: there is no such kind. */
static const struct curriculum_kind *curriculum_kind_of(const char *name)
{
	for (int i = 0; i < N_KINDS; i++)
		if (strcmp(kinds[i]->name, name) == 0)
			return kinds[i];
	return NULL;
}

int curriculum_kind_learns(const char *kind)
{
	return curriculum_kind_of(kind)->learns;
}

double curriculum_kind_temperature(const char *kind)
{
	return curriculum_kind_of(kind)->temperature;
}

static int curriculum_fill(struct curriculum *c, const struct curriculum_item *items, int n)
{
	TRY(arms_new(items, n, &c->arms));
	c->problems = (struct curriculum_problems){items, n, &c->arms, &c->options};
	TRY(arm_stats_new(&c->arms, &c->stats));
	return c->kind->create(&c->problems, &c->state);
}

int curriculum_new(const struct curriculum_options *o, const struct curriculum_item *items, int n,
                   struct curriculum **out)
{
	const struct curriculum_kind *kind = curriculum_kind_of(o->kind);
	struct curriculum            *c;
	int                           status;

	*out = NULL;
	if (!kind)
		return error_unknown("curriculum", o->kind, curriculum_kind_name);
	if (n <= 0)
		return error_set(ERR_INPUT, "the data set has no problems to choose from; see the "
		                            "messages about its rows");
	TRY(mem_take(1, "a curriculum", &c));
	*c = (struct curriculum){.kind = kind, .options = *o};
	status = curriculum_fill(c, items, n);
	if (status == OK)
		*out = c;
	else
		curriculum_free(c);
	return status;
}

void curriculum_free(struct curriculum *c)
{
	if (!c)
		return;
	if (c->state)
		c->kind->destroy(c->state);
	arm_stats_free(&c->stats);
	arms_free(&c->arms);
	mem_free(c);
}

static void begin_step(struct curriculum *c)
{
	arm_stats_clear(&c->stats);
	curriculum_probabilities(c, c->stats.probability);
	c->in_step = 1;
}

void curriculum_pick(struct curriculum *c, int n, int *picked)
{
	if (!c->in_step)
		begin_step(c);
	c->kind->pick(c->state, n, picked);
	for (int i = 0; i < n; i++) {
		assert(picked[i] >= 0 && picked[i] < c->problems.n);
		c->stats.sums[c->arms.of[picked[i]]].count++;
	}
}

void curriculum_observe(struct curriculum *c, const struct curriculum_outcome *outcomes, int n)
{
	for (int i = 0; i < n; i++)
		arm_stats_observe(&c->stats, &outcomes[i]);
	if (c->kind->observe)
		c->kind->observe(c->state, outcomes, n);
	c->in_step = 0;
}

int curriculum_arms(const struct curriculum *c)
{
	return c->arms.n;
}

const char *curriculum_arm_name(const struct curriculum *c, int arm)
{
	assert(arm >= 0 && arm < c->arms.n);
	return c->arms.items[arm].name;
}

int curriculum_probabilities(struct curriculum *c, double *P)
{
	if (!c->kind->probabilities)
		return 0;
	c->kind->probabilities(c->state, P);
	return 1;
}

int curriculum_save(const struct curriculum *c, json_t **out)
{
	struct arena scratch = {0};
	int          status;

	*out = json_pack("{s:s, s:i}", "kind", c->kind->name, "problems", c->problems.n);
	if (!*out)
		return error_memory("the state of the curriculum");
	status = c->kind->save(c->state, &scratch, *out);
	arena_free(&scratch);
	if (status != OK) {
		json_decref(*out);
		*out = NULL;
	}
	return status;
}

int curriculum_load(struct curriculum *c, const char *place, const json_t *state)
{
	struct arena scratch = {0};
	const char  *kind;
	int64_t      n;
	int          status;

	TRY(json_get_text(place, state, "kind", JSON_REQUIRED, &kind));
	TRY(json_get_int(place, state, "problems", JSON_REQUIRED, json_range(1, INT32_MAX), &n));
	if (strcmp(kind, c->kind->name) != 0)
		return error_set(ERR_INPUT,
		                 "%s: the run was started with curriculum.kind %s, not %s; resume "
		                 "it with that one",
		                 place, kind, c->kind->name);
	if (n != c->problems.n)
		return error_set(ERR_INPUT,
		                 "%s: the run was started on %lld problems, the data set now has "
		                 "%d; resume it on the same data",
		                 place, (long long)n, c->problems.n);
	status = c->kind->load(c->state, &scratch, place, state);
	arena_free(&scratch);
	return status;
}

int curriculum_metrics(const struct curriculum *c, json_t *metrics)
{
	if (c->kind->metrics)
		TRY(c->kind->metrics(c->state, metrics));
	return arm_stats_metrics(&c->stats, c->kind->probabilities != NULL, metrics);
}

/* ---- options ---- */

static const struct choice unsampled_words[] = {{"decay", 0, NULL}, {"keep", 1, NULL}, {0}};
static const struct choice count_words[] = {{"responses", 0, NULL}, {"prompts", 1, NULL}, {0}};
static const struct choice order_words[] = {{"easy_first", 0, NULL}, {"hard_first", 1, NULL}, {0}};

#define HOME struct curriculum_options
#define ROOM "curriculum."
/* clang-format off */
static const struct option curriculum_options[] = {
	NAMED(kind, "uniform", curriculum_kind_name, "which problems come next; see docs/methods",
	      .when = "rollout.source="),
	TEXTS(categories, "category", 0, 8,
	      "columns that divide the problems into arms; [category, difficulty]: one arm of "
	      "each pair; []: a single arm", .when = "rollout.source="),
	REAL(temperature, NULL, 0, 1e3,
	     "of the softmax over the arms; 0: the best arm alone; unset: 1 for sec, 0.1 for dump",
	     .when = "curriculum.kind=sec|dump"),
	REAL(alpha, "0.5", 0, 1, "share of the newest step in the value of an arm",
	     .when = "curriculum.kind=sec"),
	CHOICE_AS("unsampled", keep_unsampled, "decay", unsampled_words,
	     "value of an arm without a completion in the step: decay towards 0 as in the "
	     "released code, or keep it", .when = "curriculum.kind=sec"),
	INT(window, "300", 1, 1000000, "how many of the newest completions of an arm count",
	    .when = "curriculum.kind=dump"),
	CHOICE_AS("count", count_prompts, "responses", count_words,
	     "what the exploration bonus counts: completions as in the released code, problems "
	     "as in the paper", .when = "curriculum.kind=dump"),
	REAL(exploration, "1", 0, 1e3, "factor of the exploration bonus; 0: none",
	     .when = "curriculum.kind=dump"),
	INT(steps_per_level, "50", 1, INT_MAX,
	    "steps of a level before the next one comes; the last level stays",
	    .when = "curriculum.kind=easy_to_hard"),
	INT(levels, "0", 0, INT_MAX,
	    "parts of equally many problems by difficulty; 0: a level is one difficulty",
	    .when = "curriculum.kind=easy_to_hard"),
	BOOL(cumulative, "false", "earlier levels stay in the mix",
	     .when = "curriculum.kind=easy_to_hard"),
	CHOICE_AS("order", hard_first, "easy_first", order_words,
	     "hard_first: the levels backwards, a negative control",
	     .when = "curriculum.kind=easy_to_hard"),
};
/* clang-format on */
const struct option_table curriculum_options_table = OPTION_TABLE(curriculum_options);
