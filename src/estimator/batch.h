/* batch.h - the completions of one step as columns: what every estimator reads, and where each
 * writes.
 *
 * The rows of a batch lie flat, token behind token:
 *
 *     row          0        1      2
 *     tokens     | a b c  | d e  | f |        T = 6
 *     offset       0        3      5  6       [R+1]
 *     trained      1 1 1    1 0    1          0: tool output, a masked completion; no number is
 *                                             read there
 *
 * A completion has at least one token, because its end-of-sequence token is one and is trained.
 *
 * A column is one array: [T], a number for each token, or [R], a number for each row. batch.c has
 * one table with a row for each column: its place, its element, where it comes from, who writes it
 * and who reads it. Whatever must treat all columns alike is a loop over that table: filling them
 * from the records, permuting and slicing the rows, looking for NaN. So a new quantity is two
 * edits: a field here, a row there. tests/test_batch.c holds every estimator to what the table says
 * it reads and writes.
 *
 * A column that is NULL is not there; the comment of the field says what that means.
 *
 * Life of a batch. batch_of_groups fills what the records know. Then each part of the estimator
 * takes the batch and writes its columns: overlong.h, token_weight.h, advantage.h, credit.h, and,
 * for each update, objective.h. The arrays belong to the arena that they were taken from. A slice
 * shares them: token columns are indexed by the absolute offset, so a part of the rows is the same
 * struct with `offset` and the row columns advanced. */
#ifndef ESTIMATOR_BATCH_H
#define ESTIMATOR_BATCH_H

#include "base/memory.h"
#include "estimator/record.h"

#include <stddef.h>
#include <stdint.h>

struct batch {
	int  n;      /* R */
	int *offset; /* [R+1] row r owns tokens offset[r] .. offset[r+1]-1 */
	/* of the batch that this is a part of: its trained tokens, 0: of this one alone; and into
	 * how many updates it is cut, 0: 1 */
	int64_t batch_tokens;
	int     updates;
	/* logp_old and entropy are those of the weights at hand, guided rows left out: sampled from
	 * them, and no update since */
	int is_current;
	/* the verifiers whose rewards components holds, and their weights; borrowed */
	int           n_components;
	const double *component_weights; /* [n_components] */

	/* ---- columns, from here to the end of the struct ---- */

	/* From the records: */
	unsigned char         *trained;    /* [T] 1: the token carries loss */
	int                   *id;         /* [T] the completion as sampled */
	float                 *logp_old;   /* [T] as sampled: the denominator of the ratio */
	float                 *entropy;    /* [T] as sampled */
	double                *rise;       /* [T] token rewards (record.h); NULL: none */
	const struct context **prompt;     /* [R] under which the completion is trained */
	int64_t               *group;      /* [R] id; its rows may stand anywhere */
	double                *reward;     /* [R] NaN: could not be computed, counts nowhere */
	unsigned char         *guided;     /* [R] 1: sampled under another context; NULL: none */
	int                   *truncated;  /* [R] 1: cut off */
	const double         **components; /* [R] [n_components] of each row, before weighting */
	enum stop_reason      *stop;       /* [R] by what */

	/* From the estimators and the model, once a step: */
	double        *penalty;      /* [R] of overlong shaping, part of the reward by then */
	float         *logp_rollout; /* [T] as sampled; NULL: logp_old is that */
	float         *weight;       /* [T] W, of the gain; NULL: 1 */
	unsigned char *high;         /* [T] 1: in the entropy bonus; NULL: all trained ones */
	float         *logp_ref;     /* [T] under the reference; NULL: there is none */
	float         *value;        /* [T] V before the first update; NULL: 0 */
	float         *advantage;    /* [T] A */
	float         *target;       /* [T] what V learns, NaN: nothing; NULL: no critic */
	unsigned char *observed;     /* [T] 1: the world wrote it; NULL: nobody asks */
	unsigned char *good;         /* [R] 1: reward above 0; NULL: nobody asks */
	int           *group_tokens; /* [R] trained tokens of the row's group; NULL: nobody asks */

	/* Of the update at hand, under the weights that it changes: */
	unsigned char *chosen; /* [T] 1: by covariance.h; NULL: none */

	float *logp_new;    /* [T] */
	float *entropy_new; /* [T] NULL: not measured */
	float *logp_held;   /* [T] of held weights, for tests; NULL: logp_new is that */
	float *value_new;   /* [T] V */
	float *c;           /* [T] dL/dlogp_new, 0 where not trained */
	float *h;           /* [T] dL/dentropy_new, likewise; NULL: not asked for */
	float *d_value;     /* [T] dL/dV, likewise */
};

/* ---- the table ---- */

/* Who fills a column, and who reads it. */
enum batch_user {
	BATCH_RECORD = 1 << 0, /* batch_of_groups, or sft.c */
	BATCH_OVERLONG = 1 << 1,
	BATCH_TOKEN_WEIGHT = 1 << 2,
	BATCH_ADVANTAGE = 1 << 3,
	BATCH_CREDIT = 1 << 4,
	BATCH_OBJECTIVE = 1 << 5,
	BATCH_CRITIC = 1 << 6, /* its loss and its measure */
	BATCH_POLICY = 1 << 7, /* where the batch meets the model: rl/policy.h, rl/learn.h */
	BATCH_ALL = (1 << 8) - 1
};

struct batch_column {
	const char *name;
	size_t      at;   /* of the pointer in struct batch */
	size_t      size; /* bytes of an element */
	enum batch_extent { BATCH_TOKENS, BATCH_ROWS } per;
	enum batch_element { BATCH_OTHER, BATCH_FLOAT, BATCH_DOUBLE } element;
	/* Where the records keep it: at `from` in the rollout or group, an array where the
	 * column has tokens, else the value itself. contexts: whether the rollout's two differ. */
	enum batch_origin {
		BATCH_MADE,
		BATCH_FROM_ROLLOUT,
		BATCH_FROM_GROUP,
		BATCH_FROM_CONTEXTS
	} origin;
	size_t   from;
	unsigned written_by, read_by; /* of enum batch_user */
};

const struct batch_column *batch_column_at(int i); /* row i; NULL past the last */
void *batch_array(const struct batch *b, const struct batch_column *c); /* or NULL */

/* ---- what loops over it ---- */

/* The rows of these groups, in their order. A column from the records is there where the first
 * rollout has one. In `a`; prompts are borrowed. */
int batch_of_groups(const struct group *groups, int n_groups, struct arena *a, struct batch *out);

/* R rows without any column; the caller writes offset[1] .. offset[R] before it takes one. */
int batch_new(int R, struct arena *a, struct batch *out);

/* Takes a column, all 0, unless it is there: TRY(BATCH_TAKE(&b, weight, a)). */
#define BATCH_TAKE(b, field, a) batch_take((b), offsetof(struct batch, field), (a))
int batch_take(struct batch *b, size_t at, struct arena *a);

/* The same rows in another order: row r of *out is row order[r] of *b, with all its columns. */
int batch_permute(const struct batch *b, const int *order, struct arena *a, struct batch *out);

/* The rows first .. first+count-1, without a copy. */
struct batch batch_part(const struct batch *b, int first, int count);

/* Whether every number of the row that `user` reads is finite, where the row is trained. */
int batch_is_finite(const struct batch *b, int row, enum batch_user user);

/* ---- shape ---- */

int batch_check(const struct batch *b); /* OK, or ERR_INPUT naming the first row without a token */
int batch_trained(const struct batch *b, int row); /* number of trained tokens of one row */

#endif
