#include "rl/replay.h"

#include "base/error.h"
#include "base/fingerprint.h"
#include "data/id_index.h"
#include "data/recorded.h"
#include "rl/reward.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- fingerprints ---- */

static uint64_t of_model(const struct model *m)
{
	uint64_t h = fingerprint_floats(FINGERPRINT_EMPTY, m->weights.data, m->weights.n);

	return m->adapter ? fingerprint_floats(h, m->adapter->weights.data, m->adapter->weights.n)
	                  : h;
}

static uint64_t of_tokenizer(const struct tokenizer *t)
{
	uint64_t h = FINGERPRINT_EMPTY;

	for (int id = 0; id < tokenizer_size(t); id++) {
		size_t      n = 0;
		const char *piece = tokenizer_piece(t, id, &n);
		uint32_t    length = (uint32_t)n;
		h = fingerprint_bytes(h, &length, sizeof length);
		h = fingerprint_bytes(h, piece ? piece : "", n);
	}
	return h;
}

/* ---- writing ---- */

int replay_add_header(struct text *t, const struct replay_header *h, struct arena *a)
{
	const struct sampling *s = &h->rollout->decode.sampling;
	const char           **verifiers;

	TRY(arena_take(a, (size_t)h->reward->n, "the names of the verifiers", &verifiers));
	for (int i = 0; i < h->reward->n; i++)
		verifiers[i] = h->reward->verifier[i]->name;
	recorded_add_header(t,
	                    &(struct recorded_header){.model = h->model_name,
	                                              .n = h->n,
	                                              .weights = of_model(h->model),
	                                              .tokenizer = of_tokenizer(h->tokenizer),
	                                              .vocabulary = h->model->weights.shape.n_vocab,
	                                              .temperature = (double)s->temperature,
	                                              .top_k = s->top_k,
	                                              .top_p = (double)s->top_p,
	                                              .min_p = (double)s->min_p,
	                                              .seed = h->rollout->seed,
	                                              .verifiers = verifiers,
	                                              .n_verifiers = h->reward->n});
	return OK;
}

static int replay_add_rollout(struct text *t, const struct group *g, const struct rollout *r,
                              struct recorded *line, struct arena *a)
{
	struct recorded_span *spans;

	TRY(arena_take(a, (size_t)r->n_spans + 1, "the spans of a completion", &spans));
	for (int i = 0; i < r->n_spans; i++)
		spans[i] = (struct recorded_span){span_kind_name[r->spans[i].kind],
		                                  r->spans[i].first, r->spans[i].count};
	line->problem = g->problem->id;
	line->sample = r->sample;
	line->prompt = r->sampled_under->ids;
	line->n_prompt = r->sampled_under->n;
	line->ids = r->ids;
	line->n = r->n;
	line->logp = r->logp;
	line->entropy = r->entropy;
	line->trained = r->trained;
	line->spans = spans;
	line->n_spans = r->n_spans;
	line->reward = r->reward;
	line->right = r->right;
	line->components = r->components;
	line->n_components = r->n_components;
	line->stop = r->stop;
	recorded_add(t, line);
	return OK;
}

int replay_add_groups(struct text *t, const struct groups *groups, int step, int *n_groups,
                      struct arena *a)
{
	struct recorded line = {.step = step};

	for (int g = 0; g < groups->n; g++) {
		line.group = (*n_groups)++;
		for (int i = 0; i < groups->items[g].n; i++)
			TRY(replay_add_rollout(t, &groups->items[g], &groups->items[g].rollouts[i],
			                       &line, a));
	}
	return OK;
}

/* ---- one line ---- */

struct replay_completion { /* a line */
	int            item, group;
	struct rollout rollout;
};

struct replay_reader {
	const struct replay_options *o;
	struct recorded_reader       in;
	struct arena                *arena;
	struct id_index              problems; /* those of o->prompts */
};

/* Its number among the training problems, asked with the same tokens. */
static int replay_find_problem(const struct replay_reader *r, const struct recorded *line,
                               int *item)
{
	const struct context *context;

	*item = id_index_find(&r->problems, line->problem);
	if (*item < 0)
		return error_set(ERR_INPUT,
		                 "%s: problem \"%s\" is not among the training problems; give the "
		                 "data options of the run that sampled",
		                 r->in.place, line->problem);
	context = &r->o->prompts->contexts[*item];
	if (line->n_prompt != context->n ||
	    memcmp(line->prompt, context->ids, (size_t)context->n * sizeof *line->prompt))
		return error_set(ERR_INPUT,
		                 "%s: problem \"%s\" was asked with other tokens than the config "
		                 "would ask it now; give the data options of the run that sampled",
		                 r->in.place, line->problem);
	return OK;
}

static int replay_check_length(const struct replay_reader *r, const struct recorded *line)
{
	if (line->n <= r->o->max_completion_length && line->n + line->n_prompt <= r->o->n_positions)
		return OK;
	return error_set(ERR_INPUT,
	                 "%s: a completion of %d tokens, to a prompt of %d; "
	                 "rollout.max_completion_length is %d, and the model has %d positions",
	                 r->in.place, line->n, line->n_prompt, r->o->max_completion_length,
	                 r->o->n_positions);
}

static int replay_kind(const struct replay_reader *r, const char *name, enum span_kind *out)
{
	for (int k = 0; k < SPAN_KINDS; k++)
		if (!strcmp(name, span_kind_name[k])) {
			*out = (enum span_kind)k;
			return OK;
		}
	return recorded_no_span(r->in.place);
}

static int replay_spans(const struct replay_reader *r, const struct recorded *line,
                        struct rollout *out)
{
	struct completion_span *spans;

	TRY(arena_take(r->arena, (size_t)line->n_spans + 1, "the spans of a completion", &spans));
	for (int i = 0; i < line->n_spans; i++) {
		TRY(replay_kind(r, line->spans[i].kind, &spans[i].kind));
		spans[i].first = line->spans[i].first;
		spans[i].count = line->spans[i].count;
	}
	out->spans = spans;
	out->n_spans = line->n_spans;
	return OK;
}

/* A line as what sampling would have left: the rollout, and the problem it is of. */
static int replay_take(const struct replay_reader *r, const struct recorded *line,
                       struct replay_completion *out)
{
	const struct context *context;

	TRY(replay_find_problem(r, line, &out->item));
	TRY(replay_check_length(r, line));
	out->group = line->group;
	context = &r->o->prompts->contexts[out->item];
	out->rollout = (struct rollout){.sampled_under = context,
	                                .trained_under = context,
	                                .n = line->n,
	                                .ids = line->ids,
	                                .trained = line->trained,
	                                .logp = line->logp,
	                                .entropy = line->entropy,
	                                .reward = line->reward,
	                                .components = line->components,
	                                .n_components = line->n_components,
	                                .right = (enum mark)line->right,
	                                .stop = line->stop,
	                                .truncated = line->stop == STOP_LENGTH ||
	                                             line->stop == STOP_CONTEXT,
	                                .source = SOURCE_OWN,
	                                .sample = line->sample};
	TRY(replay_spans(r, line, &out->rollout));
	return reward_text(r->o->tokenizer, r->o->prompts->problems[out->item], &out->rollout,
	                   r->arena);
}

/* ---- the header ---- */

static int replay_other_verifiers(const struct recorded_reader *in)
{
	struct text names = {0};
	int         status;

	for (int i = 0; i < in->header.n_verifiers; i++)
		text_print(&names, "%s%s", i ? ", " : "", in->header.verifiers[i]);
	status = error_set(ERR_INPUT,
	                   "%s: its rewards were given by %s, and they are replayed as they are, "
	                   "but task.reward says otherwise; name the "
	                   "same there, and another one for held-out problems in task.eval_reward",
	                   in->place, names.data ? names.data : "nobody");
	text_free(&names);
	return status;
}

static int replay_check_verifiers(const struct recorded_reader *in, const struct reward_spec *ours)
{
	const struct recorded_header *h = &in->header;

	if (!ours)
		return OK;
	if (h->n_verifiers != ours->n)
		return replay_other_verifiers(in);
	for (int i = 0; i < ours->n; i++)
		if (strcmp(h->verifiers[i], ours->verifier[i]->name))
			return replay_other_verifiers(in);
	return OK;
}

static int replay_check_header(const struct replay_options *o, const struct recorded_reader *in)
{
	const struct recorded_header *h = &in->header;
	uint64_t                      tokenizer = of_tokenizer(o->tokenizer);

	if (h->vocabulary != o->model->weights.shape.n_vocab)
		return error_set(
		        ERR_INPUT,
		        "%s: sampled from a model with %d tokens, but this model has %d: ratios "
		        "between the two mean nothing",
		        in->place, h->vocabulary, o->model->weights.shape.n_vocab);
	if (h->tokenizer != tokenizer)
		return error_set(ERR_INPUT,
		                 "%s: sampled with another tokenizer (fingerprint %016" PRIx64
		                 ", here %016" PRIx64 ")",
		                 in->place, h->tokenizer, tokenizer);
	if ((float)h->temperature != o->temperature)
		return error_set(ERR_INPUT,
		                 "%s: sampled at temperature %g, which is part of its "
		                 "log-probabilities; set rollout.temperature to it (it is %g)",
		                 in->place, h->temperature, (double)o->temperature);
	return replay_check_verifiers(in, o->reward);
}

/* ---- curation ---- */

static int least(int a, int b)
{
	return a < b ? a : b;
}

/* Keeps the first so many good and bad completions of a group, in their order. */
static void curate(const struct replay_options *o, struct group *g)
{
	int good = 0, bad, kept = 0, n_good = 0, n_bad = 0;

	for (int i = 0; i < g->n; i++)
		good += rollout_is_right(&g->rollouts[i]);
	bad = o->max_negatives ? least(g->n - good, o->max_negatives) : g->n - good;
	if (o->curation == CURATION_ONE_POSITIVE)
		good = least(good, 1);
	else if (o->curation == CURATION_BALANCED)
		good = bad = least(good, bad);
	for (int i = 0; i < g->n; i++)
		if (rollout_is_right(&g->rollouts[i]) ? n_good++ < good : n_bad++ < bad)
			g->rollouts[kept++] = g->rollouts[i];
	g->n = kept;
}

static void keep_group(const struct replay_options *o, struct replay *out, struct group g)
{
	curate(o, &g);
	if (g.n == 0)
		return;
	out->groups[out->n++] = g;
	out->n_completions += g.n;
	out->largest = g.n > out->largest ? g.n : out->largest;
	for (int i = 0; i < g.n; i++)
		out->n_good += rollout_is_right(&g.rollouts[i]);
}

/* ---- the whole file ---- */

/* *completions: owned, also after an error. Its room grows with what was read: what a header
 * promises is not memory yet. */
static int replay_read_completions(struct replay_reader *r, struct replay_completion **completions)
{
	struct recorded line;
	size_t          capacity = 0;
	int             more;

	for (size_t i = 0;; i++) {
		TRY(recorded_next(&r->in, r->arena, &line, &more));
		if (!more)
			return OK;
		TRY(mem_room(completions, &capacity, i + 1, "the recorded completions"));
		TRY(replay_take(r, &line, &(*completions)[i]));
	}
}

static int check_group(const struct replay_reader *r, const struct replay_completion *completions,
                       int first, int i)
{
	return completions[i].item == completions[first].item
	               ? OK
	               : error_set(ERR_INPUT,
	                           "%s:%d: a completion of another problem than the others of "
	                           "group %d",
	                           r->in.path, i + 2, completions[i].group);
}

static int make_groups(struct replay_reader *r, const struct replay_completion *completions, int n,
                       struct replay *out)
{
	TRY(arena_take(&out->arena, (size_t)n, "the recorded groups", &out->groups));
	for (int first = 0, end; first < n; first = end) {
		int          item = completions[first].item;
		struct group g = {.problem = r->o->prompts->problems[item], .item = item};
		for (end = first; end < n && completions[end].group == completions[first].group;
		     end++)
			TRY(check_group(r, completions, first, end));
		TRY(arena_take(&out->arena, (size_t)(end - first), "a recorded group",
		               &g.rollouts));
		for (int i = first; i < end; i++)
			g.rollouts[g.n++] = completions[i].rollout;
		out->num_generations = g.n > out->num_generations ? g.n : out->num_generations;
		keep_group(r->o, out, g);
	}
	out->order_epoch = -1;
	if (out->n == 0)
		return error_set(ERR_INPUT, "%s: rollout.curation leaves no completion of it",
		                 r->in.path);
	return arena_take(&out->arena, (size_t)out->n, "the order of the groups", &out->order);
}

static int replay_read_all(struct replay_reader *r, struct replay *out)
{
	const struct recorded_header *h = &r->in.header;
	const struct prompts         *p = r->o->prompts;
	struct replay_completion     *completions = NULL;
	int                           status;

	TRY(replay_check_header(r->o, &r->in));
	out->top_k = h->top_k;
	out->top_p = h->top_p;
	out->min_p = h->min_p;
	out->other_mu = h->weights != of_model(r->o->model);
	TRY(id_index_new(p->n, &out->arena, &r->problems));
	for (int i = 0; i < p->n; i++)
		r->problems.entries[i] = (struct id_entry){p->problems[i]->id, i};
	id_index_sort(&r->problems);
	status = replay_read_completions(r, &completions);
	if (status == OK)
		status = make_groups(r, completions, (int)h->n, out);
	mem_free(completions);
	return status;
}

int replay_open(const char *path, const struct replay_options *o, struct replay *out)
{
	struct replay_reader r = {.o = o, .arena = &out->arena};
	int                  status;

	*out = (struct replay){.path = path};
	TRY(recorded_open(path, &r.in));
	status = replay_read_all(&r, out);
	recorded_close(&r.in);
	if (status != OK)
		replay_close(out);
	return status;
}

void replay_close(struct replay *r)
{
	arena_free(&r->arena);
	*r = (struct replay){0};
}

/* ---- picking ---- */

static int replay_ascending(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static int group_at(struct replay *r, uint64_t seed, int64_t position)
{
	int64_t epoch = position / r->n;

	assert(r->order && position >= 0 && epoch <= UINT32_MAX);
	if (epoch != r->order_epoch) {
		rng_permutation((struct rng_key){seed, RNG_REPLAY, (uint32_t)epoch, 0, 0},
		                (uint32_t)r->n, r->order);
		r->order_epoch = epoch;
	}
	return (int)r->order[position % r->n];
}

static int copy_group(const struct group *from, int64_t id, struct arena *a, struct group *to)
{
	*to = *from;
	to->id = id;
	TRY(arena_take(a, (size_t)from->n, "a group of completions", &to->rollouts));
	if (from->n) /* curation may have left none */
		memcpy(to->rollouts, from->rollouts, (size_t)from->n * sizeof *to->rollouts);
	return OK;
}

int replay_pick(struct replay *r, uint64_t seed, int step, int P, struct arena *a,
                struct groups *out)
{
	int *picked;

	TRY(arena_take(a, (size_t)P, "the picked groups", &picked));
	for (int i = 0; i < P; i++)
		picked[i] = group_at(r, seed, (int64_t)step * P + i);
	qsort(picked, (size_t)P, sizeof *picked, replay_ascending);
	assert(out->n + P <= out->capacity);
	for (int i = 0; i < P; i++, out->n++)
		TRY(copy_group(&r->groups[picked[i]], out->n, a, &out->items[out->n]));
	return OK;
}
