#include "curriculum/dump.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/real.h"
#include "curriculum/bandit.h"
#include "curriculum/deck.h"
#include "curriculum/numbers.h"

#include <assert.h>
#include <math.h>

#define ADVANTAGE_MAX 1e30

struct window { /* ring: the oldest at `first` */
	float *values;
	int    first, n;
};

struct dump {
	const struct curriculum_problems *problems;
	struct bandit                     bandit;
	float                            *values;  /* [arms x window] */
	struct window                    *windows; /* [arms] */
	int64_t                          *seen;    /* [arms] */
};

double dump_score(double mean, double seen, double seen_all, double exploration)
{
	assert(seen >= 0 && seen <= seen_all);
	return mean + exploration * sqrt(2 * real_log(seen_all + 1) / (seen + 1));
}

/* ---- windows ---- */

static void dump_push(struct window *w, int size, float value)
{
	assert(w->n <= size && w->first < size);
	if (w->n < size) {
		w->values[(w->first + w->n++) % size] = value;
	} else {
		w->values[w->first] = value;
		w->first = (w->first + 1) % size;
	}
}

static float dump_entry(const struct window *w, int size, int i)
{
	return w->values[(w->first + i) % size];
}

/* From the oldest on, so that a window that was loaded gives the same sum. */
static double dump_mean_of(const struct window *w, int size)
{
	double sum = 0;

	for (int i = 0; i < w->n; i++)
		sum += (double)dump_entry(w, size, i);
	return w->n ? sum / w->n : 0;
}

/* ---- the method ---- */

static void dump_destroy(void *state)
{
	struct dump *d = state;

	bandit_free(&d->bandit);
	mem_free(d->values);
	mem_free(d->windows);
	mem_free(d->seen);
	mem_free(d);
}

static int dump_allocate(struct dump *d)
{
	size_t n = (size_t)d->problems->arms->n, size = (size_t)d->problems->options->window;

	if (size > (size_t)INT32_MAX / n)
		return error_set(ERR_INPUT,
		                 "curriculum.window: %zu entries for each of %zu arms are too many",
		                 size, n);
	TRY(mem_take(n * size, "the windows of dump", &d->values));
	TRY(mem_take(n, "the windows of dump", &d->windows));
	TRY(mem_take(n, "the arms of dump", &d->seen));
	for (size_t a = 0; a < n; a++)
		d->windows[a].values = d->values + a * size;
	return bandit_new(d->problems, &d->bandit);
}

static int dump_create(const struct curriculum_problems *p, void **state)
{
	struct dump *d;

	TRY(mem_take(1, "the curriculum dump", &d));
	*state = d;
	d->problems = p;
	return dump_allocate(d);
}

static void dump_pick(void *state, int n, int *picked)
{
	struct dump *d = state;

	for (int i = 0; i < n; i++) {
		const struct arm *arm = &d->problems->arms->items[bandit_draw(&d->bandit)];
		picked[i] = arm->members[bandit_below(&d->bandit, arm->n)];
	}
}

/* UCB_a of every arm. */
static void rescore(struct dump *d)
{
	const struct curriculum_options *o = d->problems->options;
	int                              n = d->problems->arms->n;
	double                           all = 0;

	for (int a = 0; a < n; a++)
		all += (double)d->seen[a];
	for (int a = 0; a < n; a++)
		d->bandit.score[a] = dump_score(dump_mean_of(&d->windows[a], o->window),
		                                (double)d->seen[a], all, o->exploration);
	d->bandit.settled = 0;
}

/* The advantages of usable completions enter the windows, and n_a counts them, or their groups. */
static void dump_observe(void *state, const struct curriculum_outcome *outcomes, int n)
{
	struct dump                     *d = state;
	const struct curriculum_options *o = d->problems->options;

	for (int g = 0; g < n; g++) {
		int a = d->problems->arms->of[outcomes[g].item], usable = 0;
		for (int i = 0; i < outcomes[g].n_rollouts; i++)
			if (isfinite(outcomes[g].advantage[i])) {
				dump_push(&d->windows[a], o->window,
				          (float)fabs(outcomes[g].advantage[i]));
				usable++;
			}
		d->seen[a] += o->count_prompts ? usable > 0 : usable;
	}
	rescore(d);
}

static void dump_probabilities(void *state, double *P)
{
	bandit_probabilities(&((struct dump *)state)->bandit, P);
}

/* ---- state: all windows one behind the other, each from its oldest entry on ---- */

static int64_t dump_count_entries(const int64_t *lengths, int n)
{
	int64_t entries = 0;

	for (int a = 0; a < n; a++)
		entries += lengths[a];
	return entries;
}

/* The windows as their lengths and, in one list, their entries. */
static int dump_save(const void *state, struct arena *scratch, json_t *object)
{
	const struct dump *d = state;
	int                n = d->problems->arms->n, size = d->problems->options->window, k = 0;
	int64_t           *lengths;
	double            *entries;

	TRY(arena_take(scratch, (size_t)n, "the lengths of the windows", &lengths));
	TRY(arena_take(scratch, (size_t)n * (size_t)size, "the windows of dump", &entries));
	for (int a = 0; a < n; a++) {
		lengths[a] = d->windows[a].n;
		for (int i = 0; i < d->windows[a].n; i++)
			entries[k++] = (double)dump_entry(&d->windows[a], size, i);
	}
	TRY(numbers_save_int(object, "lengths", lengths, n));
	TRY(numbers_save(object, "windows", entries, k));
	TRY(bandit_save(&d->bandit, object));
	return numbers_save_int(object, "seen", d->seen, n);
}

/* Read whole before anything changes: a wrong file leaves the curriculum as it was. */
static int dump_load(void *state, struct arena *scratch, const char *place, const json_t *object)
{
	struct dump *d = state;
	int          n = d->problems->arms->n, size = d->problems->options->window;
	int64_t     *seen, n_entries;
	int64_t     *lengths;
	double      *entries;

	TRY(arena_take(scratch, (size_t)n, "the arms of dump", &seen));
	TRY(arena_take(scratch, (size_t)n, "the lengths of the windows", &lengths));
	TRY(numbers_load_int(place, object, "seen", DECK_POSITION_MAX, n, seen));
	TRY(numbers_load_int(place, object, "lengths", size, n, lengths));
	n_entries = dump_count_entries(lengths, n);
	TRY(arena_take(scratch, (size_t)n_entries, "the windows of dump", &entries));
	TRY(numbers_load(place, object, "windows", (struct numbers_bounds){0, ADVANTAGE_MAX},
	                 (int)n_entries, entries));
	TRY(bandit_load(&d->bandit, place, object));
	for (int a = 0, k = 0; a < n; a++) {
		d->seen[a] = seen[a];
		d->windows[a].first = d->windows[a].n = 0;
		for (int i = 0; i < lengths[a]; i++)
			dump_push(&d->windows[a], size, (float)entries[k++]);
	}
	rescore(d);
	return OK;
}

const struct curriculum_kind curriculum_dump = {
        .name = "dump",
        .help = "an upper-confidence bandit over the advantages of the newest completions",
        .learns = 1,
        .temperature = 0.1,
        .create = dump_create,
        .destroy = dump_destroy,
        .pick = dump_pick,
        .observe = dump_observe,
        .probabilities = dump_probabilities,
        .save = dump_save,
        .load = dump_load,
};
