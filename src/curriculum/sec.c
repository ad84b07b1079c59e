#include "curriculum/sec.h"

#include "base/error.h"
#include "base/memory.h"
#include "curriculum/bandit.h"
#include "curriculum/deck.h"
#include "curriculum/numbers.h"

#include <math.h>
#include <string.h>

#define Q_MAX 1e30

struct sec {
	const struct curriculum_problems *problems;
	struct bandit                     bandit; /* its scores are Q */
	struct deck                      *decks;  /* [arms] */
	/* [problems] of all decks, arm behind arm */
	uint32_t *order;
	double   *mean, *answers; /* [arms] of one step */
};

void sec_update(double alpha, int keep_unsampled, const double *mean, int n, double *Q)
{
	for (int a = 0; a < n; a++) {
		double target = isnan(mean[a]) ? 0 : mean[a];
		if (!isnan(mean[a]) || !keep_unsampled)
			Q[a] = (1 - alpha) * Q[a] + alpha * target;
	}
}

static void sec_destroy(void *state)
{
	struct sec *s = state;

	bandit_free(&s->bandit);
	mem_free(s->decks);
	mem_free(s->order);
	mem_free(s->mean);
	mem_free(s->answers);
	mem_free(s);
}

static int sec_allocate(struct sec *s)
{
	size_t n = (size_t)s->problems->arms->n;

	s->decks = mem_alloc(n, sizeof *s->decks, "the arms of sec");
	s->order = mem_alloc((size_t)s->problems->n, sizeof *s->order, "the order of the problems");
	s->mean = mem_alloc(n, sizeof *s->mean, "the arms of sec");
	s->answers = mem_alloc(n, sizeof *s->answers, "the arms of sec");
	if (!s->decks || !s->order || !s->mean || !s->answers)
		return ERR_INPUT;
	return bandit_new(s->problems, &s->bandit);
}

static int sec_create(const struct curriculum_problems *p, void **state)
{
	struct sec *s = mem_alloc(1, sizeof *s, "the curriculum sec");
	uint32_t   *order;

	if (!s)
		return ERR_INPUT;
	s->problems = p;
	if (sec_allocate(s) != OK) {
		sec_destroy(s);
		return ERR_INPUT;
	}
	order = s->order;
	for (int a = 0; a < p->arms->n; a++) {
		const struct arm *arm = &p->arms->items[a];
		s->decks[a] = (struct deck){.seed = p->options->seed,
		                            .number = (uint32_t)a,
		                            .members = arm->members,
		                            .n = arm->n,
		                            .order = order};
		order += arm->n;
	}
	*state = s;
	return OK;
}

static void sec_pick(void *state, int n, int *picked)
{
	struct sec *s = state;

	for (int i = 0; i < n; i++)
		picked[i] = deck_deal(&s->decks[bandit_draw(&s->bandit)]);
}

static void sec_observe(void *state, const struct curriculum_outcome *outcomes, int n)
{
	struct sec *s = state;
	int         n_arms = s->problems->arms->n;

	memset(s->mean, 0, (size_t)n_arms * sizeof *s->mean);
	memset(s->answers, 0, (size_t)n_arms * sizeof *s->answers);
	for (int g = 0; g < n; g++)
		for (int i = 0; i < outcomes[g].n_rollouts; i++)
			if (isfinite(outcomes[g].advantage[i])) {
				int a = s->problems->arms->of[outcomes[g].item];
				s->mean[a] += fabs(outcomes[g].advantage[i]);
				s->answers[a]++;
			}
	for (int a = 0; a < n_arms; a++)
		s->mean[a] = s->answers[a] > 0 ? s->mean[a] / s->answers[a] : NAN;
	sec_update(s->problems->options->alpha, s->problems->options->keep_unsampled, s->mean,
	           n_arms, s->bandit.score);
	s->bandit.settled = 0;
}

static void sec_probabilities(void *state, double *P)
{
	bandit_probabilities(&((struct sec *)state)->bandit, P);
}

static int sec_save(const void *state, struct arena *scratch, json_t *object)
{
	const struct sec *s = state;
	int               n = s->problems->arms->n;
	int64_t          *position = arena_alloc(scratch, (size_t)n, sizeof *position);

	if (!position)
		return ERR_INPUT;
	for (int a = 0; a < n; a++)
		position[a] = s->decks[a].position;
	TRY(bandit_save(&s->bandit, object));
	TRY(numbers_save(object, "Q", s->bandit.score, n));
	return numbers_save_int(object, "positions", position, n);
}

/* Into Q and position first, so that a wrong file changes nothing. */
static int sec_load(void *state, struct arena *scratch, const char *place, const json_t *object)
{
	struct sec *s = state;
	int         n = s->problems->arms->n;
	double     *Q = arena_alloc(scratch, (size_t)n, sizeof *Q);
	int64_t    *position = arena_alloc(scratch, (size_t)n, sizeof *position);

	if (!Q || !position)
		return ERR_INPUT;
	TRY(numbers_load(place, object, "Q", -Q_MAX, Q_MAX, n, Q));
	TRY(numbers_load_int(place, object, "positions", DECK_POSITION_MAX, n, position));
	TRY(bandit_load(&s->bandit, place, object));
	for (int a = 0; a < n; a++) {
		s->bandit.score[a] = Q[a];
		s->decks[a].position = position[a];
	}
	s->bandit.settled = 0;
	return OK;
}

const struct curriculum_kind curriculum_sec = {
        .name = "sec",
        .help = "a bandit that prefers the arms with the largest advantages",
        .learns = 1,
        .create = sec_create,
        .destroy = sec_destroy,
        .pick = sec_pick,
        .observe = sec_observe,
        .probabilities = sec_probabilities,
        .save = sec_save,
        .load = sec_load,
};
