#include "curriculum/sec.h"

#include "base/error.h"
#include "base/memory.h"
#include "curriculum/bandit.h"
#include "curriculum/deck.h"
#include "curriculum/numbers.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define Q_MAX 1e30

struct sec {
	const struct curriculum_problems *problems;
	struct bandit                     bandit; /* its scores are Q */
	struct deck                      *decks;  /* [arms] */
	/* [problems] of all decks, arm behind arm */
	uint32_t *order;
	double   *mean, *completions; /* [arms] of one step */
};

void sec_update(double alpha, int keep_unsampled, const double *mean, int n, double *Q)
{
	assert(alpha >= 0 && alpha <= 1);
	for (int a = 0; a < n; a++) { /* Q_a <- (1 - alpha) Q_a + alpha r_a */
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
	mem_free(s->completions);
	mem_free(s);
}

static int sec_allocate(struct sec *s)
{
	size_t n = (size_t)s->problems->arms->n;

	TRY(mem_take(n, "the arms of sec", &s->decks));
	TRY(mem_take((size_t)s->problems->n, "the order of the problems", &s->order));
	TRY(mem_take(n, "the arms of sec", &s->mean));
	TRY(mem_take(n, "the arms of sec", &s->completions));
	return bandit_new(s->problems, &s->bandit);
}

/* One deck an arm; their orders lie one behind the other. */
static int sec_create(const struct curriculum_problems *p, void **state)
{
	struct sec *s;
	uint32_t   *order;

	TRY(mem_take(1, "the curriculum sec", &s));
	*state = s;
	s->problems = p;
	TRY(sec_allocate(s));
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
	return OK;
}

static void sec_pick(void *state, int n, int *picked)
{
	struct sec *s = state;

	for (int i = 0; i < n; i++)
		picked[i] = deck_deal(&s->decks[bandit_draw(&s->bandit)]);
}

/* r_a = mean of |A| over the completions of arm a in this step, NaN without any; then Q. */
static void sec_observe(void *state, const struct curriculum_outcome *outcomes, int n)
{
	struct sec *s = state;
	int         n_arms = s->problems->arms->n;

	memset(s->mean, 0, (size_t)n_arms * sizeof *s->mean);
	memset(s->completions, 0, (size_t)n_arms * sizeof *s->completions);
	for (int g = 0; g < n; g++)
		for (int i = 0; i < outcomes[g].n_rollouts; i++)
			if (isfinite(outcomes[g].advantage[i])) {
				int a = s->problems->arms->of[outcomes[g].item];
				s->mean[a] += fabs(outcomes[g].advantage[i]);
				s->completions[a]++;
			}
	for (int a = 0; a < n_arms; a++)
		s->mean[a] = s->completions[a] > 0 ? s->mean[a] / s->completions[a] : NAN;
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
	int64_t          *position;

	TRY(arena_take(scratch, (size_t)n, "the positions of the decks", &position));
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
	double     *Q;
	int64_t    *position;

	TRY(arena_take(scratch, (size_t)n, "the scores of the arms", &Q));
	TRY(arena_take(scratch, (size_t)n, "the positions of the decks", &position));
	TRY(numbers_load(place, object, "Q", (struct numbers_bounds){-Q_MAX, Q_MAX}, n, Q));
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
        .temperature = 1,
        .create = sec_create,
        .destroy = sec_destroy,
        .pick = sec_pick,
        .observe = sec_observe,
        .probabilities = sec_probabilities,
        .save = sec_save,
        .load = sec_load,
};
