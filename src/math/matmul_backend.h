/* matmul_backend.h - what a backend gives to matmul.c. Seen by matmul*.c only.
 *
 * A backend is one const struct in a file of its own and one row of the table in matmul.c. Sizes
 * are checked (positive, n >= 1) before a backend is called, and operands never overlap. */
#ifndef MATH_MATMUL_BACKEND_H
#define MATH_MATMUL_BACKEND_H

#include "math/matmul.h"

struct matmul_backend {
	const char *name;
	/* each bit of its results is that of the formula in matmul.h, on any CPU */
	int is_formula;

	/* Fills m->detail and m->state, or says what does not fit (ERR_INPUT). m->strict is set
	 * already. */
	int (*open)(struct matmul *m);
	void (*close)(struct matmul *m);

	/* Memory of w->state for w's n_out, n_in, for_backward, all of it: packed copies and what
	 * is kept beside them. */
	size_t (*weight_bytes)(const struct matmul_weight *w);
	/* allocates w->state; on failure leaves nothing behind */
	/* after an error, too, weight_free is called */
	int (*weight_new)(struct matmul_weight *w);
	void (*weight_free)(struct matmul_weight *w); /* w->state may be NULL */
	int (*weight_pack)(struct matmul_weight *w, const float *W);

	int (*forward)(const struct matmul_weight *w, int n, const float *X, float *Y);
	int (*backward)(const struct matmul_weight *w, int n, const float *dY, float *dX);
	int (*gradient)(struct matmul *m, const struct matmul_gradient *g);
};

struct matmul {
	const struct matmul_backend *backend;
	int                          strict;
	int                          bf16;       /* operands of products are rounded to bf16 */
	int                          in_tiles;   /* with bf16: the tile order, not that of pairs */
	struct matmul               *head;       /* itself, or owned: of another precision */
	char                         detail[96]; /* the backend's: version, kernel */
	char                         description[160]; /* for the start line */
	void                        *state;            /* the backend's */
};

struct matmul_weight {
	struct matmul *matmul; /* borrowed */
	int            n_out, n_in, for_backward;
	void          *state; /* the backend's */
};

extern const struct matmul_backend matmul_reference, matmul_openblas;
#if defined(__x86_64__)
extern const struct matmul_backend matmul_amx, matmul_avx512, matmul_avx2;
#endif

#endif
