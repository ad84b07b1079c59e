#include "data/recorded.h"

#include "base/error.h"
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 2, ROW_MAX = 1 << 26 };

/* ---- writing ---- */

void recorded_add_header(struct text *t, const struct recorded_header *h)
{
	text_print(t, "{\"hone_rollouts\": %d, \"completions\": %" PRId64 ", \"model\": ", VERSION,
	           h->n);
	json_add_string(t, h->model, strlen(h->model));
	text_print(t,
	           ", \"weights\": \"%016" PRIx64
	           "\", \"vocabulary\": %d, \"tokenizer\": \"%016" PRIx64 "\"",
	           h->weights, h->vocabulary, h->tokenizer);
	text_print(t,
	           ", \"temperature\": %.9g, \"top_k\": %d, \"top_p\": %.9g, \"min_p\": %.9g, "
	           "\"seed\": %" PRIu64 ", \"verifiers\": [",
	           h->temperature, h->top_k, h->top_p, h->min_p, h->seed);
	for (int i = 0; i < h->n_verifiers; i++)
		text_print(t, "%s\"%s\"", i ? "," : "", h->verifiers[i]);
	text_print(t, "]}\n");
}

static void recorded_add_ids(struct text *t, const char *key, const int *ids, int n)
{
	text_print(t, ", \"%s\": [", key);
	for (int i = 0; i < n; i++)
		text_print(t, "%s%d", i ? "," : "", ids[i]);
	text_add(t, "]", 1);
}

/* Nine digits tell any two floats apart. */
static void recorded_add_floats(struct text *t, const char *key, const float *x, int n)
{
	text_print(t, ", \"%s\": [", key);
	for (int i = 0; i < n; i++)
		text_print(t, "%s%.9g", i ? "," : "", (double)x[i]);
	text_add(t, "]", 1);
}

static void recorded_add_trained(struct text *t, const struct recorded *r)
{
	if (!memchr(r->trained, 0, (size_t)r->n))
		return;
	text_print(t, ", \"trained\": [");
	for (int i = 0; i < r->n; i++)
		text_print(t, "%s%d", i ? "," : "", r->trained[i] != 0);
	text_add(t, "]", 1);
}

static void recorded_add_components(struct text *t, const struct recorded *r)
{
	text_print(t, ", \"components\": [");
	for (int i = 0; i < r->n_components; i++) {
		text_add(t, ",", i > 0);
		json_add_real(t, r->components[i]);
	}
	text_add(t, "]", 1);
}

static void recorded_add_spans(struct text *t, const struct recorded *r)
{
	for (int i = 0; i < r->n_spans; i++)
		text_print(t, "%s[\"%s\",%d,%d]%s", i ? "," : ", \"spans\": [", r->spans[i].kind,
		           r->spans[i].first, r->spans[i].count, i + 1 < r->n_spans ? "" : "]");
}

void recorded_add(struct text *t, const struct recorded *r)
{
	text_print(t, "{\"problem\": ");
	json_add_string(t, r->problem, strlen(r->problem));
	text_print(t, ", \"group\": %d, \"step\": %d, \"sample\": %" PRIu32, r->group, r->step,
	           r->sample);
	recorded_add_ids(t, "prompt", r->prompt, r->n_prompt);
	recorded_add_ids(t, "ids", r->ids, r->n);
	recorded_add_floats(t, "logp", r->logp, r->n);
	recorded_add_floats(t, "entropy", r->entropy, r->n);
	recorded_add_trained(t, r);
	recorded_add_spans(t, r);
	text_print(t, ", \"reward\": ");
	json_add_real(t, r->reward);
	text_print(t, ", \"right\": %s", r->right < 0 ? "null" : r->right ? "true" : "false");
	recorded_add_components(t, r);
	text_print(t, ", \"stop\": \"%s\"}\n", stop_reason_name[r->stop]);
}

/* ---- reading one line ---- */

static int recorded_list_of(const struct recorded_reader *r, const json_t *row, const char *key,
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

/* Ids are checked against the vocabulary of the header: nothing behind this checks them again.
 * */
static int recorded_read_ids(const struct recorded_reader *r, const json_t *row, const char *key,
                             struct arena *a, const int **out, int *n)
{
	int           n_vocab = r->header.vocabulary, *ids;
	const json_t *list;

	TRY(recorded_list_of(r, row, key, &list, 0));
	*n = (int)json_array_size(list);
	if (*n == 0)
		return error_set(ERR_INPUT,
		                 "%s: \"%s\" is empty; even an empty completion has its end token",
		                 r->place, key);
	TRY(arena_take(a, (size_t)*n, "the ids of a completion", &ids));
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

struct recorded_range { /* of the numbers of a list */
	const char *key;
	double      low, high;
};
static const struct recorded_range logps = {"logp", -1e30, 1e-3},
                                   entropies = {"entropy", -1e-3, 1e30};

static int recorded_read_floats(const struct recorded_reader *r, const json_t *row,
                                const struct recorded_range *range, int n, struct arena *a,
                                const float **out)
{
	float        *x;
	const json_t *list;

	TRY(arena_take(a, (size_t)n, "the numbers of a completion", &x));
	TRY(recorded_list_of(r, row, range->key, &list, (size_t)n));
	for (int i = 0; i < n; i++) {
		const json_t *v = json_array_get(list, (size_t)i);
		double        value = json_number_value(v);
		if (!json_is_number(v) || !(value >= range->low && value <= range->high))
			return error_set(ERR_INPUT, "%s: \"%s\"[%d] is not a number from %g to %g",
			                 r->place, range->key, i, range->low, range->high);
		x[i] = (float)value;
	}
	*out = x;
	return OK;
}

static int recorded_read_trained(const struct recorded_reader *r, const json_t *row,
                                 struct arena *a, struct recorded *out)
{
	const json_t  *list;
	unsigned char *trained;

	TRY(arena_take(a, (size_t)out->n, "which tokens are trained", &trained));
	memset(trained, 1, (size_t)out->n);
	out->trained = trained;
	if (!json_object_get(row, "trained"))
		return OK;
	TRY(recorded_list_of(r, row, "trained", &list, (size_t)out->n));
	for (int i = 0; i < out->n; i++)
		trained[i] = json_integer_value(json_array_get(list, (size_t)i)) != 0;
	return OK;
}

int recorded_no_span(const char *place)
{
	return error_set(ERR_INPUT,
	                 "%s: an entry of \"spans\" is not [kind, first, count] within the "
	                 "completion and behind the one before",
	                 place);
}

static int recorded_read_span(struct recorded_reader *r, const json_t *list, int first, int n,
                              struct recorded_span *out)
{
	const char *kind = json_string_value(json_array_get(list, 0));
	json_int_t  at = json_integer_value(json_array_get(list, 1)),
	           count = json_integer_value(json_array_get(list, 2));

	if (!kind || json_array_size(list) != 3 || at < first || at > n || count <= 0 ||
	    count > n - at)
		return recorded_no_span(r->place);
	out->first = (int)at;
	out->count = (int)count;
	return arena_copy(&r->line_arena, kind, strlen(kind), &out->kind);
}

static int recorded_read_spans(struct recorded_reader *r, const json_t *row, struct recorded *out)
{
	const json_t *list;
	int           n, end = 0;

	if (!json_object_get(row, "spans"))
		return OK;
	TRY(recorded_list_of(r, row, "spans", &list, 0));
	n = (int)json_array_size(list);
	TRY(arena_take(&r->line_arena, (size_t)n + 1, "the spans of a completion", &out->spans));
	for (; out->n_spans < n; out->n_spans++) {
		struct recorded_span *span = &out->spans[out->n_spans];
		TRY(recorded_read_span(r, json_array_get(list, (size_t)out->n_spans), end, out->n,
		                       span));
		end = span->first + span->count;
	}
	return OK;
}

/* What each verifier gave, for the log. */
static int recorded_read_components(const struct recorded_reader *r, const json_t *row,
                                    struct arena *a, struct recorded *out)
{
	const json_t *list;
	double       *x;

	if (r->header.n_verifiers == 0)
		return OK;
	TRY(arena_take(a, (size_t)r->header.n_verifiers, "the numbers of a completion", &x));
	TRY(recorded_list_of(r, row, "components", &list, 0));
	if ((int)json_array_size(list) != r->header.n_verifiers)
		return error_set(
		        ERR_INPUT,
		        "%s: \"components\" has %zu entries, but the header names %d verifiers",
		        r->place, json_array_size(list), r->header.n_verifiers);
	for (int i = 0; i < r->header.n_verifiers; i++) {
		const json_t *v = json_array_get(list, (size_t)i);
		x[i] = json_is_number(v) ? json_number_value(v) : NAN;
	}
	out->components = x;
	out->n_components = r->header.n_verifiers;
	return OK;
}

/* A number, or null for one that could not be computed. */
static int recorded_read_score(const struct recorded_reader *r, const json_t *row, const char *key,
                               double *out)
{
	*out = NAN;
	return json_is_null(json_object_get(row, key))
	               ? OK
	               : json_get_real(r->place, row, key, JSON_REQUIRED, out);
}

/* True, false, or null for unknown. */
static int recorded_read_right(const struct recorded_reader *r, const json_t *row, int *out)
{
	*out = -1;
	return json_is_null(json_object_get(row, "right"))
	               ? OK
	               : json_get_bool(r->place, row, "right", JSON_REQUIRED, out);
}

static int recorded_read_stop(const struct recorded_reader *r, const json_t *row,
                              struct recorded *out)
{
	const char *name;

	TRY(json_get_text(r->place, row, "stop", JSON_REQUIRED, &name));
	for (int s = 0; s < STOP_REASONS; s++)
		if (!strcmp(name, stop_reason_name[s])) {
			out->stop = (enum stop_reason)s;
			return OK;
		}
	return error_set(ERR_INPUT,
	                 "%s: \"stop\" is \"%s\", but must be eos, stop, length or context",
	                 r->place, name);
}

/* One line, one completion. Texts live until the next line, arrays in the caller's arena. */
static int recorded_read(struct recorded_reader *r, const json_t *row, struct arena *a,
                         struct recorded *out)
{
	const char *id;
	int64_t     group, sample;

	*out = (struct recorded){0};
	TRY(json_get_text(r->place, row, "problem", JSON_REQUIRED, &id));
	TRY(arena_copy(&r->line_arena, id, strlen(id), &out->problem));
	TRY(recorded_read_ids(r, row, "prompt", &r->line_arena, &out->prompt, &out->n_prompt));
	TRY(json_get_int(r->place, row, "group", JSON_REQUIRED, json_range(0, INT32_MAX), &group));
	TRY(json_get_int(r->place, row, "sample", JSON_REQUIRED, json_range(0, (1 << 24) - 1),
	                 &sample));
	out->group = (int)group;
	out->sample = (uint32_t)sample;
	TRY(recorded_read_ids(r, row, "ids", a, &out->ids, &out->n));
	TRY(recorded_read_floats(r, row, &logps, out->n, a, &out->logp));
	TRY(recorded_read_floats(r, row, &entropies, out->n, a, &out->entropy));
	TRY(recorded_read_trained(r, row, a, out));
	TRY(recorded_read_spans(r, row, out));
	TRY(recorded_read_components(r, row, a, out));
	TRY(recorded_read_score(r, row, "reward", &out->reward));
	TRY(recorded_read_right(r, row, &out->right));
	return recorded_read_stop(r, row, out);
}

/* The next line as JSON; *row NULL at the end. */
static int recorded_row(struct recorded_reader *r, json_t **row)
{
	const char *line;
	size_t      n;

	*row = NULL;
	TRY(lines_next(r->in, &line, &n));
	snprintf(r->place, sizeof r->place, "%s:%zu", r->path, lines_number(r->in));
	return line ? json_parse(r->place, line, n, row) : OK;
}

/* Nothing may stand behind the last completion. */
static int recorded_end(struct recorded_reader *r)
{
	json_t *row;

	TRY(recorded_row(r, &row));
	json_decref(row);
	return row ? error_set(ERR_INPUT,
	                       "%s: more completions than the %" PRId64
	                       " of its header; were two files joined?",
	                       r->place, r->header.n)
	           : OK;
}

int recorded_next(struct recorded_reader *r, struct arena *a, struct recorded *out, int *more)
{
	json_t *row;
	int     status;

	*more = r->n_read < r->header.n;
	if (!*more)
		return recorded_end(r);
	TRY(recorded_row(r, &row));
	if (!row)
		return error_set(ERR_INPUT,
		                 "%s: %" PRId64 " completions, but its header promises %" PRId64
		                 "; was it cut off?",
		                 r->path, r->n_read, r->header.n);
	arena_reset(&r->line_arena);
	status = recorded_read(r, row, a, out);
	json_decref(row);
	r->n_read++;
	return status;
}

/* ---- the header ---- */

static int recorded_fingerprint(const struct recorded_reader *r, const json_t *row, const char *key,
                                uint64_t *out)
{
	const char *text;

	TRY(json_get_text(r->place, row, key, JSON_REQUIRED, &text));
	*out = strtoull(text, NULL, 16);
	return OK;
}

static int recorded_verifiers(struct recorded_reader *r, const json_t *row)
{
	const json_t *list;
	const char  **names;
	int           n;

	TRY(recorded_list_of(r, row, "verifiers", &list, 0));
	n = (int)json_array_size(list);
	TRY(arena_take(&r->header_arena, (size_t)n + 1, "the names of the verifiers", &names));
	for (int i = 0; i < n; i++) {
		const char *name = json_string_value(json_array_get(list, (size_t)i));
		name = name ? name : "?";
		TRY(arena_copy(&r->header_arena, name, strlen(name), &names[i]));
	}
	r->header.verifiers = names;
	r->header.n_verifiers = n;
	return OK;
}

/* Says which model, tokenizer and sampling the completions come from; files of other versions
 * are refused. */
static int recorded_read_header(struct recorded_reader *r, const json_t *row)
{
	struct recorded_header *h = &r->header;
	int64_t                 version = 0, vocabulary, n, top_k = 0;

	if (!json_object_get(row, "hone_rollouts"))
		return error_set(ERR_INPUT,
		                 "%s: not a data set of rollouts: the first line must be the "
		                 "header that hone rollouts writes",
		                 r->place);
	TRY(json_get_int(r->place, row, "hone_rollouts", JSON_REQUIRED,
	                 json_range(VERSION, VERSION), &version));
	TRY(json_get_int(r->place, row, "completions", JSON_REQUIRED, json_range(1, INT32_MAX),
	                 &n));
	TRY(json_get_int(r->place, row, "vocabulary", JSON_REQUIRED, json_range(1, INT32_MAX),
	                 &vocabulary));
	TRY(recorded_fingerprint(r, row, "tokenizer", &h->tokenizer));
	TRY(recorded_fingerprint(r, row, "weights", &h->weights));
	TRY(json_get_real(r->place, row, "temperature", JSON_REQUIRED, &h->temperature));
	TRY(json_get_int(r->place, row, "top_k", 0, json_range(-1, INT32_MAX), &top_k));
	h->top_p = 1;
	TRY(json_get_real(r->place, row, "top_p", 0, &h->top_p));
	TRY(json_get_real(r->place, row, "min_p", 0, &h->min_p));
	h->n = n;
	h->vocabulary = (int)vocabulary;
	h->top_k = (int)top_k;
	return recorded_verifiers(r, row);
}

int recorded_open(const char *path, struct recorded_reader *out)
{
	json_t *row = NULL;
	int     status;

	*out = (struct recorded_reader){.path = path};
	TRY(lines_open(path, ROW_MAX, &out->in));
	status = recorded_row(out, &row);
	if (status == OK)
		status = row ? recorded_read_header(out, row)
		             : error_set(ERR_INPUT, "%s: the file is empty", path);
	json_decref(row);
	if (status != OK)
		recorded_close(out);
	return status;
}

void recorded_close(struct recorded_reader *r)
{
	lines_close(r->in);
	arena_free(&r->header_arena);
	arena_free(&r->line_arena);
	*r = (struct recorded_reader){0};
}
