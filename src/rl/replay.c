#include "rl/replay.h"

#include "base/error.h"
#include "base/fingerprint.h"
#include "base/json.h"
#include "data/id_index.h"
#include "rl/reward.h"

#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, ROW_MAX = 1 << 26 };

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

void replay_add_header(struct text *t, const struct replay_header *h)
{
	const struct sampling *s = &h->rollout->decode.sampling;

	text_print(t, "{\"hone_rollouts\": %d, \"answers\": %" PRId64 ", \"model\": ", VERSION,
	           h->answers);
	json_add_string(t, h->model_name, strlen(h->model_name));
	text_print(t,
	           ", \"weights\": \"%016" PRIx64
	           "\", \"vocabulary\": %d, \"tokenizer\": \"%016" PRIx64 "\"",
	           of_model(h->model), h->model->weights.shape.n_vocab, of_tokenizer(h->tokenizer));
	text_print(t,
	           ", \"temperature\": %.9g, \"top_k\": %d, \"top_p\": %.9g, \"min_p\": %.9g, "
	           "\"seed\": %" PRIu64 ", \"verifiers\": [",
	           (double)s->temperature, s->top_k, (double)s->top_p, (double)s->min_p,
	           h->rollout->seed);
	for (int i = 0; i < h->reward->n; i++)
		text_print(t, "%s\"%s\"", i ? "," : "", h->reward->verifier[i]->name);
	text_print(t, "]}\n");
}

static void add_ids(struct text *t, const char *key, const int *ids, int n)
{
	text_print(t, ", \"%s\": [", key);
	for (int i = 0; i < n; i++)
		text_print(t, "%s%d", i ? "," : "", ids[i]);
	text_add(t, "]", 1);
}

/* Nine digits tell any two floats apart. */
static void add_floats(struct text *t, const char *key, const float *x, int n)
{
	text_print(t, ", \"%s\": [", key);
	for (int i = 0; i < n; i++)
		text_print(t, "%s%.9g", i ? "," : "", (double)x[i]);
	text_add(t, "]", 1);
}

static void add_trained(struct text *t, const struct rollout *r)
{
	if (!memchr(r->trained, 0, (size_t)r->n))
		return;
	text_print(t, ", \"trained\": [");
	for (int i = 0; i < r->n; i++)
		text_print(t, "%s%d", i ? "," : "", r->trained[i] != 0);
	text_add(t, "]", 1);
}

static void add_components(struct text *t, const struct rollout *r)
{
	text_print(t, ", \"components\": [");
	for (int i = 0; i < r->n_components; i++) {
		text_add(t, ",", i > 0);
		json_add_real(t, r->components[i]);
	}
	text_add(t, "]", 1);
}

static void add_spans(struct text *t, const struct rollout *r)
{
	for (int i = 0; i < r->n_spans; i++)
		text_print(t, "%s[\"%s\",%d,%d]%s", i ? "," : ", \"spans\": [",
		           span_kind_name[r->spans[i].kind], r->spans[i].first, r->spans[i].count,
		           i + 1 < r->n_spans ? "" : "]");
}

static void replay_add_rollout(struct text *t, const struct group *g, const struct rollout *r,
                               int step, int number)
{
	text_print(t, "{\"problem\": ");
	json_add_string(t, g->problem->id, strlen(g->problem->id));
	text_print(t, ", \"group\": %d, \"step\": %d, \"sample\": %" PRIu32, number, step,
	           r->sample);
	add_ids(t, "prompt", r->sampled_under->ids, r->sampled_under->n);
	add_ids(t, "ids", r->ids, r->n);
	add_floats(t, "logp", r->logp, r->n);
	add_floats(t, "entropy", r->entropy, r->n);
	add_trained(t, r);
	add_spans(t, r);
	text_print(t, ", \"reward\": ");
	json_add_real(t, r->reward);
	text_print(t, ", \"right\": %s", mark_name(r->right));
	add_components(t, r);
	text_print(t, ", \"stop\": \"%s\"}\n", stop_reason_name[r->stop]);
}

void replay_add_groups(struct text *t, const struct groups *groups, int step, int *n_groups)
{
	for (int g = 0; g < groups->n; g++, (*n_groups)++)
		for (int i = 0; i < groups->items[g].n; i++)
			replay_add_rollout(t, &groups->items[g], &groups->items[g].rollouts[i],
			                   step, *n_groups);
}

/* ---- reading one line ---- */

struct replay_answer { /* a line */
	int            item, group;
	struct rollout rollout;
};

struct replay_reader {
	const struct replay_options *o;
	struct lines                *in;
	struct arena                *arena;
	struct id_index              problems; /* those of o->prompts */
	char                         place[FILE_PATH_MAX + 32];
	const char                  *path;
	int                          n_components; /* of the header */
};

static int list_of(const struct replay_reader *r, const json_t *row, const char *key,
                   const json_t **out, size_t n)
{
	*out = json_object_get(row, key);
	if (!json_is_array(*out))
		return error_set(
		        ERR_INPUT,
		        "%s: the list \"%s\" is missing; was the line written by hone rollouts?",
		        r->place, key);
	if (n > 0 && json_array_size(*out) != n)
		return error_set(ERR_INPUT, "%s: \"%s\" has %zu entries, but \"ids\" has %zu",
		                 r->place, key, json_array_size(*out), n);
	return OK;
}

static int replay_read_ids(const struct replay_reader *r, const json_t *row, const char *key,
                           const int **out, int *n)
{
	int           n_vocab = r->o->model->weights.shape.n_vocab, *ids;
	const json_t *list;

	TRY(list_of(r, row, key, &list, 0));
	*n = (int)json_array_size(list);
	if (*n == 0)
		return error_set(ERR_INPUT,
		                 "%s: \"%s\" is empty; even an empty answer has its end token",
		                 r->place, key);
	ids = arena_alloc(r->arena, (size_t)*n, sizeof *ids);
	if (!ids)
		return ERR_INPUT;
	for (int i = 0; i < *n; i++) {
		const json_t *v = json_array_get(list, (size_t)i);
		json_int_t    id = json_integer_value(v);
		if (!json_is_integer(v) || id < 0 || id >= n_vocab)
			return error_set(
			        ERR_INPUT,
			        "%s: \"%s\"[%d] is no id of the model's vocabulary, which has %d",
			        r->place, key, i, n_vocab);
		ids[i] = (int)id;
	}
	*out = ids;
	return OK;
}

static int read_floats(const struct replay_reader *r, const json_t *row, const char *key,
                       double low, double high, int n, const float **out)
{
	float        *x = arena_alloc(r->arena, (size_t)n, sizeof *x);
	const json_t *list;

	if (!x)
		return ERR_INPUT;
	TRY(list_of(r, row, key, &list, (size_t)n));
	for (int i = 0; i < n; i++) {
		const json_t *v = json_array_get(list, (size_t)i);
		double        value = json_number_value(v);
		if (!json_is_number(v) || !(value >= low && value <= high))
			return error_set(ERR_INPUT, "%s: \"%s\"[%d] is not a number from %g to %g",
			                 r->place, key, i, low, high);
		x[i] = (float)value;
	}
	*out = x;
	return OK;
}

static int read_trained(const struct replay_reader *r, const json_t *row, struct rollout *out)
{
	const json_t *list;

	out->trained = arena_alloc(r->arena, (size_t)out->n, 1);
	if (!out->trained)
		return ERR_INPUT;
	memset(out->trained, 1, (size_t)out->n);
	if (!json_object_get(row, "trained"))
		return OK;
	TRY(list_of(r, row, "trained", &list, (size_t)out->n));
	for (int i = 0; i < out->n; i++)
		out->trained[i] = json_integer_value(json_array_get(list, (size_t)i)) != 0;
	return OK;
}

static int read_span(const struct replay_reader *r, const json_t *list, int first, int n,
                     struct answer_span *out)
{
	const char *kind = json_string_value(json_array_get(list, 0));
	json_int_t  at = json_integer_value(json_array_get(list, 1)),
	           count = json_integer_value(json_array_get(list, 2));

	for (int k = 0; kind && k < SPAN_KINDS && json_array_size(list) == 3; k++)
		if (!strcmp(kind, span_kind_name[k]) && at >= first && at <= n && count > 0 &&
		    count <= n - at) {
			*out = (struct answer_span){(enum span_kind)k, (int)at, (int)count};
			return OK;
		}
	return error_set(ERR_INPUT,
	                 "%s: an entry of \"spans\" is not [kind, first, count] within the answer "
	                 "and behind the one before",
	                 r->place);
}

static int read_spans(const struct replay_reader *r, const json_t *row, struct rollout *out)
{
	const json_t       *list;
	struct answer_span *spans;
	int                 n, end = 0;

	if (!json_object_get(row, "spans"))
		return OK;
	TRY(list_of(r, row, "spans", &list, 0));
	n = (int)json_array_size(list);
	spans = arena_alloc(r->arena, (size_t)n + 1, sizeof *spans);
	if (!spans)
		return ERR_INPUT;
	for (int i = 0; i < n; i++) {
		TRY(read_span(r, json_array_get(list, (size_t)i), end, out->n, &spans[i]));
		end = spans[i].first + spans[i].count;
	}
	out->spans = spans;
	out->n_spans = n;
	return OK;
}

/* What each verifier gave, for the log. */
static int read_components(const struct replay_reader *r, const json_t *row, struct rollout *out)
{
	const json_t *list;
	double       *x;

	if (r->n_components == 0)
		return OK;
	x = arena_alloc(r->arena, (size_t)r->n_components, sizeof *x);
	if (!x)
		return ERR_INPUT;
	TRY(list_of(r, row, "components", &list, 0));
	if ((int)json_array_size(list) != r->n_components)
		return error_set(
		        ERR_INPUT,
		        "%s: \"components\" has %zu entries, but the header names %d verifiers",
		        r->place, json_array_size(list), r->n_components);
	for (int i = 0; i < r->n_components; i++) {
		const json_t *v = json_array_get(list, (size_t)i);
		x[i] = json_is_number(v) ? json_number_value(v) : NAN;
	}
	out->components = x;
	out->n_components = r->n_components;
	return OK;
}

/* A number, or null for one that could not be computed. */
static int read_score(const struct replay_reader *r, const json_t *row, const char *key,
                      double *out)
{
	*out = NAN;
	return json_is_null(json_object_get(row, key))
	               ? OK
	               : json_get_real(r->place, row, key, JSON_REQUIRED, out);
}

/* True, false, or null for unknown. Older files have the number "accuracy" for it, which is 1 for a
 * full mark. */
static int read_right(const struct replay_reader *r, const json_t *row, enum mark *out)
{
	const json_t *v = json_object_get(row, "right");
	double        accuracy;
	int           right;

	*out = MARK_UNKNOWN;
	if (json_is_null(v))
		return OK;
	if (v) {
		TRY(json_get_bool(r->place, row, "right", JSON_REQUIRED, &right));
		*out = right ? MARK_RIGHT : MARK_WRONG;
		return OK;
	}
	TRY(read_score(r, row, "accuracy", &accuracy));
	if (!isnan(accuracy))
		*out = accuracy >= 1 ? MARK_RIGHT : MARK_WRONG;
	return OK;
}

static int read_stop(const struct replay_reader *r, const json_t *row, struct rollout *out)
{
	const char *name;

	TRY(json_get_text(r->place, row, "stop", JSON_REQUIRED, &name));
	for (int s = 0; s < STOP_REASONS; s++)
		if (!strcmp(name, stop_reason_name[s])) {
			out->stop = (enum stop_reason)s;
			out->truncated = s == STOP_LENGTH || s == STOP_CONTEXT;
			return OK;
		}
	return error_set(ERR_INPUT,
	                 "%s: \"stop\" is \"%s\", but must be eos, stop, length or context",
	                 r->place, name);
}

static int find_problem(const struct replay_reader *r, const json_t *row, struct replay_answer *out)
{
	struct arena_mark     mark = arena_mark(r->arena);
	const struct context *context;
	const char           *id;
	const int            *ids;
	int                   n;

	TRY(json_get_text(r->place, row, "problem", JSON_REQUIRED, &id));
	out->item = id_index_find(&r->problems, id);
	if (out->item < 0)
		return error_set(ERR_INPUT,
		                 "%s: problem \"%s\" is not among the training problems; give the "
		                 "data options of the run that sampled",
		                 r->place, id);
	TRY(replay_read_ids(r, row, "prompt", &ids, &n));
	context = &r->o->prompts->contexts[out->item];
	if (n != context->n || memcmp(ids, context->ids, (size_t)n * sizeof *ids))
		return error_set(ERR_INPUT,
		                 "%s: problem \"%s\" was asked with other tokens than the config "
		                 "would ask it now; give the data options of "
		                 "the run that sampled",
		                 r->place, id);
	arena_release(r->arena, mark);
	out->rollout.sampled_under = out->rollout.trained_under = context;
	return OK;
}

static int replay_check_length(const struct replay_reader *r, const struct rollout *out)
{
	if (out->n > r->o->max_completion_length ||
	    out->n + out->sampled_under->n > r->o->n_positions)
		return error_set(
		        ERR_INPUT,
		        "%s: an answer of %d tokens to a prompt of %d; "
		        "rollout.max_completion_length is %d, and the model has %d positions",
		        r->place, out->n, out->sampled_under->n, r->o->max_completion_length,
		        r->o->n_positions);
	return OK;
}

static int replay_read_answer(const struct replay_reader *r, const json_t *row,
                              struct replay_answer *out)
{
	struct rollout *a = &out->rollout;
	int64_t         group, sample;

	*out = (struct replay_answer){.rollout.source = SOURCE_OWN};
	TRY(find_problem(r, row, out));
	TRY(json_get_int(r->place, row, "group", JSON_REQUIRED, 0, INT32_MAX, &group));
	TRY(json_get_int(r->place, row, "sample", JSON_REQUIRED, 0, (1 << 24) - 1, &sample));
	out->group = (int)group;
	a->sample = (uint32_t)sample;
	TRY(replay_read_ids(r, row, "ids", &a->ids, &a->n));
	TRY(replay_check_length(r, a));
	TRY(read_floats(r, row, "logp", -1e30, 1e-3, a->n, &a->logp));
	TRY(read_floats(r, row, "entropy", -1e-3, 1e30, a->n, &a->entropy));
	TRY(read_trained(r, row, a));
	TRY(read_spans(r, row, a));
	TRY(read_components(r, row, a));
	TRY(read_score(r, row, "reward", &a->reward));
	TRY(read_right(r, row, &a->right));
	TRY(read_stop(r, row, a));
	return reward_text(r->o->tokenizer, r->o->prompts->problems[out->item], a, r->arena);
}

/* The next line as JSON; *row NULL at the end. */
static int next_row(struct replay_reader *r, json_t **row)
{
	const char *line;
	size_t      n;

	*row = NULL;
	TRY(lines_next(r->in, &line, &n));
	snprintf(r->place, sizeof r->place, "%s:%zu", r->path, lines_number(r->in));
	return line ? json_parse(r->place, line, n, row) : OK;
}

/* ---- the header ---- */

static int other_verifiers(const struct replay_reader *r, const json_t *theirs)
{
	struct text names = {0};
	int         status;

	for (size_t i = 0; i < json_array_size(theirs); i++)
		text_print(&names, "%s%s", i ? ", " : "",
		           json_is_string(json_array_get(theirs, i))
		                   ? json_string_value(json_array_get(theirs, i))
		                   : "?");
	status = error_set(ERR_INPUT,
	                   "%s: its rewards were given by %s, and they are replayed as they are, "
	                   "but task.reward says otherwise; name the "
	                   "same there, and another one for held-out problems in task.eval_reward",
	                   r->place, names.data ? names.data : "nobody");
	text_free(&names);
	return status;
}

/* None are named in older files. */
static int read_verifiers(struct replay_reader *r, const json_t *row)
{
	const struct reward_spec *ours = r->o->reward;
	const json_t             *list;
	int                       same;

	if (!json_object_get(row, "verifiers"))
		return OK;
	TRY(list_of(r, row, "verifiers", &list, 0));
	r->n_components = (int)json_array_size(list);
	same = !ours || r->n_components == ours->n;
	for (int i = 0; ours && same && i < r->n_components; i++) {
		const char *name = json_string_value(json_array_get(list, (size_t)i));
		same = name && !strcmp(name, ours->verifier[i]->name);
	}
	return same ? OK : other_verifiers(r, list);
}

/* With which options they were sampled. */
static int read_sampling(const struct replay_reader *r, const json_t *row, struct replay *out)
{
	int64_t top_k = 0;

	TRY(json_get_int(r->place, row, "top_k", 0, -1, INT32_MAX, &top_k));
	out->top_k = (int)top_k;
	out->top_p = 1;
	TRY(json_get_real(r->place, row, "top_p", 0, &out->top_p));
	return json_get_real(r->place, row, "min_p", 0, &out->min_p);
}

static int check_header(struct replay_reader *r, const json_t *row, int64_t *answers,
                        uint64_t *weights, struct replay *out)
{
	const char *text;
	char        ours[20];
	int64_t     version = 0, vocabulary;
	double      temperature;

	if (!json_object_get(row, "hone_rollouts"))
		return error_set(ERR_INPUT,
		                 "%s: not a data set of rollouts: the first line must be the "
		                 "header that hone rollouts writes",
		                 r->place);
	TRY(json_get_int(r->place, row, "hone_rollouts", JSON_REQUIRED, VERSION, VERSION,
	                 &version));
	TRY(json_get_int(r->place, row, "answers", JSON_REQUIRED, 1, INT32_MAX, answers));
	TRY(json_get_int(r->place, row, "vocabulary", JSON_REQUIRED, 1, INT32_MAX, &vocabulary));
	if (vocabulary != r->o->model->weights.shape.n_vocab)
		return error_set(
		        ERR_INPUT,
		        "%s: sampled from a model with %" PRId64
		        " tokens, but this model has %d: ratios between the two mean nothing",
		        r->place, vocabulary, r->o->model->weights.shape.n_vocab);
	TRY(json_get_text(r->place, row, "tokenizer", JSON_REQUIRED, &text));
	snprintf(ours, sizeof ours, "%016" PRIx64, of_tokenizer(r->o->tokenizer));
	if (strcmp(text, ours))
		return error_set(ERR_INPUT,
		                 "%s: sampled with another tokenizer (fingerprint %s, here %s)",
		                 r->place, text, ours);
	TRY(json_get_real(r->place, row, "temperature", JSON_REQUIRED, &temperature));
	if ((float)temperature != r->o->temperature)
		return error_set(ERR_INPUT,
		                 "%s: sampled at temperature %g, which is part of its "
		                 "log-probabilities; set rollout.temperature to it (it is %g)",
		                 r->place, temperature, (double)r->o->temperature);
	TRY(json_get_text(r->place, row, "weights", JSON_REQUIRED, &text));
	*weights = strtoull(text, NULL, 16);
	TRY(read_sampling(r, row, out));
	return read_verifiers(r, row);
}

static int replay_read_header(struct replay_reader *r, int64_t *answers, uint64_t *weights,
                              struct replay *out)
{
	json_t *row;
	int     status;

	TRY(next_row(r, &row));
	if (!row)
		return error_set(ERR_INPUT, "%s: the file is empty", r->path);
	status = check_header(r, row, answers, weights, out);
	json_decref(row);
	return status;
}

/* ---- curation ---- */

static int least(int a, int b)
{
	return a < b ? a : b;
}

/* Keeps the first so many good and bad answers of a group, in their order. */
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
	out->n_answers += g.n;
	out->largest = g.n > out->largest ? g.n : out->largest;
	for (int i = 0; i < g.n; i++)
		out->n_good += rollout_is_right(&g.rollouts[i]);
}

/* ---- the whole file ---- */

/* Room for answer i, grown with what was read: what a header promises is not memory yet. */
static int replay_make_room(struct replay_answer **answers, int i, int *capacity)
{
	int want = *capacity > INT_MAX / 2 ? INT_MAX : *capacity ? 2 * *capacity : 256;
	struct replay_answer *grown;

	if (i < *capacity)
		return OK;
	grown = mem_grow(*answers, (size_t)*capacity, (size_t)want, sizeof *grown,
	                 "replayed answers");
	if (!grown)
		return ERR_INPUT;
	*answers = grown;
	*capacity = want;
	return OK;
}

/* *answers: owned, also after an error. */
static int read_answers(struct replay_reader *r, int n, struct replay_answer **answers)
{
	json_t *row;
	int     capacity = 0, status;

	for (int i = 0; i < n; i++) {
		TRY(next_row(r, &row));
		if (!row)
			return error_set(
			        ERR_INPUT,
			        "%s: %d answers, but its header promises %d; was it cut off?",
			        r->path, i, n);
		status = replay_make_room(answers, i, &capacity);
		if (status == OK)
			status = replay_read_answer(r, row, &(*answers)[i]);
		json_decref(row);
		TRY(status);
	}
	TRY(next_row(r, &row));
	json_decref(row);
	return row ? error_set(ERR_INPUT,
	                       "%s: more answers than the %d of its header; were two files joined?",
	                       r->place, n)
	           : OK;
}

static int check_group(const struct replay_reader *r, const struct replay_answer *answers,
                       int first, int i)
{
	return answers[i].item == answers[first].item
	               ? OK
	               : error_set(
	                         ERR_INPUT,
	                         "%s:%d: an answer to another problem than the others of group %d",
	                         r->path, i + 2, answers[i].group);
}

static int make_groups(struct replay_reader *r, const struct replay_answer *answers, int n,
                       struct replay *out)
{
	out->groups = arena_alloc(&out->arena, (size_t)n, sizeof *out->groups);
	if (!out->groups)
		return ERR_INPUT;
	for (int first = 0, end; first < n; first = end) {
		int          item = answers[first].item;
		struct group g = {.problem = r->o->prompts->problems[item], .item = item};
		for (end = first; end < n && answers[end].group == answers[first].group; end++)
			TRY(check_group(r, answers, first, end));
		g.rollouts = arena_alloc(&out->arena, (size_t)(end - first), sizeof *g.rollouts);
		if (!g.rollouts)
			return ERR_INPUT;
		for (int i = first; i < end; i++)
			g.rollouts[g.n++] = answers[i].rollout;
		out->num_generations = g.n > out->num_generations ? g.n : out->num_generations;
		keep_group(r->o, out, g);
	}
	out->order = arena_alloc(&out->arena, (size_t)out->n, sizeof *out->order);
	out->order_epoch = -1;
	if (out->n == 0)
		return error_set(ERR_INPUT, "%s: rollout.curation leaves no answer of it", r->path);
	return out->order ? OK : ERR_INPUT;
}

static int replay_read_all(struct replay_reader *r, struct replay *out)
{
	const struct prompts *p = r->o->prompts;
	struct replay_answer *answers = NULL;
	uint64_t              weights = 0;
	int64_t               n;
	int                   status;

	TRY(id_index_new(p->n, &out->arena, &r->problems));
	for (int i = 0; i < p->n; i++)
		r->problems.entries[i] = (struct id_entry){p->problems[i]->id, i};
	id_index_sort(&r->problems);
	TRY(replay_read_header(r, &n, &weights, out));
	out->other_mu = weights != of_model(r->o->model);
	status = read_answers(r, (int)n, &answers);
	if (status == OK)
		status = make_groups(r, answers, (int)n, out);
	mem_free(answers);
	return status;
}

int replay_open(const char *path, const struct replay_options *o, struct replay *out)
{
	struct replay_reader r = {.o = o, .arena = &out->arena, .path = path};
	int                  status;

	*out = (struct replay){.path = path};
	TRY(lines_open(path, ROW_MAX, &r.in));
	status = replay_read_all(&r, out);
	lines_close(r.in);
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
	to->rollouts = arena_alloc(a, (size_t)from->n, sizeof *to->rollouts);
	if (!to->rollouts)
		return ERR_INPUT;
	for (int i = 0; i < from->n; i++) {
		struct rollout *r = &to->rollouts[i];
		*r = from->rollouts[i];
		r->trained = arena_alloc(a, (size_t)r->n, 1);
		if (!r->trained)
			return ERR_INPUT;
		memcpy(r->trained, from->rollouts[i].trained, (size_t)r->n);
	}
	return OK;
}

int replay_pick(struct replay *r, uint64_t seed, int step, int P, struct arena *a,
                struct groups *out)
{
	int *picked = arena_alloc(a, (size_t)P, sizeof *picked);

	if (!picked)
		return ERR_INPUT;
	for (int i = 0; i < P; i++)
		picked[i] = group_at(r, seed, (int64_t)step * P + i);
	qsort(picked, (size_t)P, sizeof *picked, replay_ascending);
	assert(out->n + P <= out->capacity);
	for (int i = 0; i < P; i++, out->n++)
		TRY(copy_group(&r->groups[picked[i]], out->n, a, &out->items[out->n]));
	return OK;
}
