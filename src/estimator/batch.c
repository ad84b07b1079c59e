#include "estimator/batch.h"

#include "base/error.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* clang-format off */
#define OF(field) (*((struct batch *)0)->field)
#define COLUMN(field) \
	.name = #field, .at = offsetof(struct batch, field), .size = sizeof OF(field), \
	.element = _Generic(OF(field), float: BATCH_FLOAT, double: BATCH_DOUBLE, default: BATCH_OTHER)
#define TOKENS(field) COLUMN(field), .per = BATCH_TOKENS
#define ROWS(field) COLUMN(field), .per = BATCH_ROWS
#define ROLLOUT(field) .origin = BATCH_FROM_ROLLOUT, .from = offsetof(struct rollout, field)
#define GROUP(field) .origin = BATCH_FROM_GROUP, .from = offsetof(struct group, field)

static const struct batch_column batch_columns[] = {
	{ TOKENS(trained), ROLLOUT(trained), .written_by = BATCH_RECORD | BATCH_OVERLONG,
	  .read_by = BATCH_ALL },
	{ TOKENS(id), ROLLOUT(ids), .written_by = BATCH_RECORD, .read_by = BATCH_CREDIT | BATCH_POLICY },
	{ TOKENS(logp_old), ROLLOUT(logp), .written_by = BATCH_RECORD | BATCH_POLICY,
	  .read_by = BATCH_TOKEN_WEIGHT | BATCH_ADVANTAGE | BATCH_OBJECTIVE | BATCH_POLICY },
	{ TOKENS(entropy), ROLLOUT(entropy), .written_by = BATCH_RECORD,
	  .read_by = BATCH_TOKEN_WEIGHT | BATCH_CREDIT },
	{ TOKENS(rise), ROLLOUT(rise), .written_by = BATCH_RECORD, .read_by = BATCH_ADVANTAGE },
	{ ROWS(prompt), ROLLOUT(trained_under), .written_by = BATCH_RECORD, .read_by = BATCH_POLICY },
	{ ROWS(group), GROUP(id), .written_by = BATCH_RECORD,
	  .read_by = BATCH_ADVANTAGE | BATCH_CREDIT | BATCH_POLICY },
	{ ROWS(reward), ROLLOUT(reward), .written_by = BATCH_RECORD | BATCH_OVERLONG,
	  .read_by = BATCH_OVERLONG | BATCH_ADVANTAGE | BATCH_CREDIT | BATCH_POLICY },
	{ ROWS(guided), .origin = BATCH_FROM_CONTEXTS, .written_by = BATCH_RECORD,
	  .read_by = BATCH_OBJECTIVE | BATCH_POLICY },
	{ ROWS(components), ROLLOUT(components), .written_by = BATCH_RECORD, .read_by = BATCH_ADVANTAGE },
	{ ROWS(truncated), ROLLOUT(truncated), .written_by = BATCH_RECORD, .read_by = BATCH_OVERLONG },
	{ ROWS(stop), ROLLOUT(stop), .written_by = BATCH_RECORD, .read_by = BATCH_OVERLONG },

	{ ROWS(penalty), .written_by = BATCH_OVERLONG, .read_by = BATCH_RECORD },
	{ TOKENS(logp_rollout), .written_by = BATCH_POLICY, .read_by = BATCH_TOKEN_WEIGHT | BATCH_OBJECTIVE },
	{ TOKENS(weight), .written_by = BATCH_TOKEN_WEIGHT, .read_by = BATCH_OBJECTIVE },
	{ TOKENS(high), .written_by = BATCH_TOKEN_WEIGHT, .read_by = BATCH_OBJECTIVE },
	{ TOKENS(logp_ref), .written_by = BATCH_POLICY, .read_by = BATCH_ADVANTAGE | BATCH_OBJECTIVE },
	{ TOKENS(value), .written_by = BATCH_POLICY, .read_by = BATCH_ADVANTAGE | BATCH_CRITIC },
	{ TOKENS(advantage), .written_by = BATCH_ADVANTAGE | BATCH_CREDIT,
	  .read_by = BATCH_CREDIT | BATCH_OBJECTIVE },
	{ TOKENS(target), .written_by = BATCH_ADVANTAGE, .read_by = BATCH_CRITIC },
	{ TOKENS(observed), .written_by = BATCH_POLICY, .read_by = BATCH_OBJECTIVE },
	{ ROWS(good), .written_by = BATCH_POLICY, .read_by = BATCH_OBJECTIVE },
	{ ROWS(group_tokens), .written_by = BATCH_POLICY, .read_by = BATCH_OBJECTIVE },

	{ TOKENS(chosen), .written_by = BATCH_POLICY, .read_by = BATCH_OBJECTIVE },
	{ TOKENS(logp_new), .written_by = BATCH_POLICY, .read_by = BATCH_OBJECTIVE | BATCH_POLICY },
	{ TOKENS(entropy_new), .written_by = BATCH_POLICY, .read_by = BATCH_OBJECTIVE },
	{ TOKENS(logp_held), .read_by = BATCH_OBJECTIVE },
	{ TOKENS(value_new), .written_by = BATCH_POLICY, .read_by = BATCH_CRITIC },
	{ TOKENS(c), .written_by = BATCH_OBJECTIVE, .read_by = BATCH_POLICY },
	{ TOKENS(h), .written_by = BATCH_OBJECTIVE, .read_by = BATCH_POLICY },
	{ TOKENS(d_value), .written_by = BATCH_CRITIC, .read_by = BATCH_POLICY },
};
/* clang-format on */

enum { N_COLUMNS = sizeof batch_columns / sizeof *batch_columns };
_Static_assert(sizeof(struct batch) - offsetof(struct batch, trained) == N_COLUMNS * sizeof(void *),
               "each column of struct batch has one row of the table");

/* ---- one column ---- */

const struct batch_column *batch_column_at(int i)
{
	return i < N_COLUMNS ? &batch_columns[i] : NULL;
}

void *batch_array(const struct batch *b, const struct batch_column *c)
{
	void *array;

	memcpy(&array, (const char *)b + c->at, sizeof array);
	return array;
}

static void batch_set_array(struct batch *b, const struct batch_column *c, void *array)
{
	memcpy((char *)b + c->at, &array, sizeof array);
}

/* Where the row begins in a column, in elements, and how many it has there. */
static size_t batch_first(const struct batch *b, const struct batch_column *c, int row)
{
	return (size_t)(c->per == BATCH_TOKENS ? b->offset[row] : row);
}

static size_t batch_count(const struct batch *b, const struct batch_column *c, int row)
{
	return c->per == BATCH_TOKENS ? (size_t)(b->offset[row + 1] - b->offset[row]) : 1;
}

static void batch_put(struct batch *b, const struct batch_column *c, int row, const void *from)
{
	char *array = batch_array(b, c);

	memcpy(array + batch_first(b, c, row) * c->size, from, batch_count(b, c, row) * c->size);
}

static int batch_take_column(struct batch *b, const struct batch_column *c, struct arena *a)
{
	size_t n = batch_first(b, c, b->n);
	void  *array;

	TRY(arena_take_bytes(a, n, c->size, "a column of the batch", &array));
	batch_set_array(b, c, array);
	return OK;
}

int batch_take(struct batch *b, size_t at, struct arena *a)
{
	int i = 0;

	while (i < N_COLUMNS - 1 && batch_columns[i].at != at)
		i++;
	assert(batch_columns[i].at == at);        /* else it is no column */
	assert(b->n == 0 || b->offset[b->n] > 0); /* else its size is not known yet */
	return batch_array(b, &batch_columns[i]) ? OK : batch_take_column(b, &batch_columns[i], a);
}

/* ---- from the records ---- */

int batch_new(int R, struct arena *a, struct batch *out)
{
	*out = (struct batch){.n = R};
	return arena_take(a, (size_t)R + 1, "the rows of the batch", &out->offset);
}

/* What the records have for one row of a column; NULL: nothing. */
static const void *batch_source(const struct batch_column *c, const struct group *g,
                                const struct rollout *r)
{
	static const unsigned char same = 0, different = 1;
	const void                *place = (const char *)r + c->from;

	switch (c->origin) {
	case BATCH_MADE:
		return NULL;
	case BATCH_FROM_GROUP:
		return (const char *)g + c->from;
	case BATCH_FROM_CONTEXTS:
		return r->sampled_under == r->trained_under ? &same : &different;
	case BATCH_FROM_ROLLOUT:
		if (c->per == BATCH_TOKENS)
			memcpy(&place, place, sizeof place); /* the rollout points to its array */
		return place;
	}
	return NULL;
}

/* One column of all rows, in the order of the groups. */
static int batch_fill(struct batch *b, const struct batch_column *c, const struct group *groups,
                      int n_groups, struct arena *a)
{
	for (int g = 0, row = 0; g < n_groups; g++)
		for (int i = 0; i < groups[g].n; i++, row++) {
			const void *from = batch_source(c, &groups[g], &groups[g].rollouts[i]);
			if (row == 0 && !from)
				return OK;
			assert(from); /* all rollouts have the array, or none has */
			if (row == 0)
				TRY(batch_take_column(b, c, a));
			batch_put(b, c, row, from);
		}
	return OK;
}

int batch_of_groups(const struct group *groups, int n_groups, struct arena *a, struct batch *out)
{
	int R = 0;

	for (int g = 0; g < n_groups; g++)
		R += groups[g].n;
	TRY(batch_new(R, a, out));
	out->n_components = R > 0 ? groups[0].rollouts[0].n_components : 0;
	for (int g = 0, row = 0; g < n_groups; g++)
		for (int i = 0; i < groups[g].n; i++, row++)
			out->offset[row + 1] = out->offset[row] + groups[g].rollouts[i].n;
	for (int i = 0; i < N_COLUMNS; i++)
		TRY(batch_fill(out, &batch_columns[i], groups, n_groups, a));
	return OK;
}

/* ---- permuting and slicing ---- */

int batch_permute(const struct batch *b, const int *order, struct arena *a, struct batch *out)
{
	TRY(batch_new(b->n, a, out));
	out->batch_tokens = b->batch_tokens;
	out->updates = b->updates;
	out->n_components = b->n_components;
	out->component_weights = b->component_weights;
	for (int r = 0; r < b->n; r++) {
		assert(order[r] >= 0 && order[r] < b->n);
		out->offset[r + 1] = out->offset[r] + b->offset[order[r] + 1] - b->offset[order[r]];
	}
	for (int i = 0; i < N_COLUMNS; i++) {
		const struct batch_column *c = &batch_columns[i];
		const char                *from = batch_array(b, c);
		if (!from)
			continue;
		TRY(batch_take_column(out, c, a));
		for (int r = 0; r < b->n; r++)
			batch_put(out, c, r, from + batch_first(b, c, order[r]) * c->size);
	}
	return OK;
}

struct batch batch_part(const struct batch *b, int first, int count)
{
	struct batch part = *b;

	assert(first >= 0 && count >= 0 && first + count <= b->n);
	part.n = count;
	part.offset += first;
	for (int i = 0; i < N_COLUMNS; i++) {
		const struct batch_column *c = &batch_columns[i];
		char                      *array = batch_array(b, c);
		if (array && c->per == BATCH_ROWS)
			batch_set_array(&part, c, array + (size_t)first * c->size);
	}
	return part;
}

/* ---- checks ---- */

static int batch_element_is_finite(const struct batch_column *c, const void *array, size_t i)
{
	switch (c->element) {
	case BATCH_FLOAT:
		return isfinite(((const float *)array)[i]);
	case BATCH_DOUBLE:
		return isfinite(((const double *)array)[i]);
	case BATCH_OTHER:
		break;
	}
	return 1;
}

int batch_is_finite(const struct batch *b, int row, enum batch_user user)
{
	for (int i = 0; i < N_COLUMNS; i++) {
		const struct batch_column *c = &batch_columns[i];
		const void                *array = batch_array(b, c);
		size_t first = batch_first(b, c, row), n = batch_count(b, c, row);
		if (!array || !(c->read_by & user) || c->element == BATCH_OTHER)
			continue;
		for (size_t t = first; t < first + n; t++)
			if ((c->per == BATCH_ROWS || b->trained[t]) &&
			    !batch_element_is_finite(c, array, t))
				return 0;
	}
	return 1;
}

int batch_check(const struct batch *b)
{
	for (int r = 0; r < b->n; r++)
		if (b->offset[r + 1] <= b->offset[r])
			return error_set(ERR_INPUT,
			                 "completion %d of the batch has no token, not even an "
			                 "end-of-sequence token; "
			                 "drop such completions before they are rewarded",
			                 r);
	return OK;
}

int batch_trained(const struct batch *b, int row)
{
	int n = 0;

	for (int t = b->offset[row]; t < b->offset[row + 1]; t++)
		n += b->trained[t] != 0;
	return n;
}
