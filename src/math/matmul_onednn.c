/* oneDNN (2.6 or later of version 2, or version 3). Compiled to nothing where the library is not
 * installed.
 *
 * Strict: only the implementation brg:avx512_core, which version 3 calls brg_matmul:avx512_core.
 * There every element of A B is a chain of fma over the inner dimension in chunks whose length
 * depends on that dimension alone (seen in versions 2.6.3 and 3.7.2: 512, or 1024 when it is above
 * 1024), for any number of rows and threads; on other implementations rows depend on each other, so
 * they are refused. Version 3 has two exceptions, kept out here:
 *
 *     one row alone             chunks of 512 whatever the length (it takes A for transposed): a
 *                               row of zeros goes with it (product_alone)
 *     sums of 20,000 and more   into at most 512 columns are shared out among threads that have no
 *                               columns of their own: planned for no more threads than blocks of 64
 *                               columns (planned_threads)
 *
 * A primitive is compiled for one number of rows (0.1 to 0.5 ms), so there may not be one for every
 * n. Rows being independent, a call is cut into pieces from a small set of sizes, and the primitive
 * of a size is made when it is first needed:
 *
 *     forward, backward   512, 256, 128 rows, then 1 .. 64 rows     700 = 512 + 128 + 60
 *     gradient            chunks of GRADIENT_ROWS; of the last one, a multiple of 64 rows, then the
 *                         rest padded with zero rows to a multiple of 16 (a zero row adds exactly
 *                         nothing). All but the first add to dW.
 *
 * The library plans for the number of threads that it sees, so a change of that number drops the
 * primitives. */
#if defined(HAVE_ONEDNN)

#include "math/matmul_backend.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/threads.h"

#include <limits.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <string.h>

enum { EXACT_ROWS = 64, N_SIZES = EXACT_ROWS + 3 }; /* forward, backward */
enum { TAIL_STEP = 16, MAIN_STEP = 64, N_GRADIENT_SIZES = 3 + GRADIENT_ROWS / MAIN_STEP };

/* one compiled product and the memory objects that it is called with; primitive NULL: not made
 * yet */
struct matmul_onednn_step {
	dnnl_primitive_t primitive;
	dnnl_memory_t    a, b, c;
};

/* C = A B for one shape of B, shared by all weights of that shape. */
struct matmul_onednn_product {
	int                depth, width; /* of B */
	dnnl_memory_desc_t packed;       /* how the library wants B; owned */
	/* a row alone and its result among FEWEST_ROWS: [FEWEST_ROWS x (depth + width)] */
	float                    *pair;
	struct matmul_onednn_step sizes[N_SIZES];
};

struct matmul_onednn_gradient { /* dW of one shape */
	int                       n_out, n_in;
	struct matmul_onednn_step sizes[N_GRADIENT_SIZES][2]; /* [.][1] adds to dW */
};

struct onednn {
	dnnl_engine_t                   engine;
	dnnl_stream_t                   stream;
	int                             threads; /* for which the primitives were made */
	struct matmul_onednn_product  **products;
	struct matmul_onednn_gradient **gradients;
	size_t                          n_products, n_gradients, room_products, room_gradients;
	/* the last rows of a gradient: [TAIL_STEP*4 x (out + in)] of the widest shape */
	float *padded;
	size_t n_padded;
};

struct matmul_onednn_packed { /* a weight */
	/* borrowed; backward NULL when not wanted */
	struct matmul_onednn_product *forward, *backward;
	dnnl_memory_t                 W[2]; /* packed for forward, backward */
	float                        *data;
};

static int matmul_onednn_check(dnnl_status_t s, const char *what)
{
	if (s == dnnl_success)
		return OK;
	if (s == dnnl_out_of_memory)
		return error_memory("oneDNN: %s", what);
	return error_set(ERR_FAILED,
	                 "oneDNN: %s failed with status %d; set compute.backend to openblas", what,
	                 (int)s);
}

#define CALL(f, ...) TRY(matmul_onednn_check(f(__VA_ARGS__), #f))

/* ---- what differs between versions 2 and 3 ---- */

/* A layout (memory descriptor) is a struct in version 2 and a handle that somebody owns in version
 * 3. Both are kept as a dnnl_memory_desc_t that is all zero while it is nobody's; calls take DESC
 * of it. */
#if DNNL_VERSION_MAJOR < 3

static const char *const want = "brg:avx512_core";
enum { FEWEST_ROWS = 1, LONG_SUM = INT_MAX };

typedef const dnnl_memory_desc_t *desc_pointer;
#define DESC(d) (&(d))

static dnnl_status_t desc_new(dnnl_memory_desc_t *out, int rows, int columns, dnnl_format_tag_t tag)
{
	return dnnl_memory_desc_init_by_tag(out, 2, (dnnl_dims_t){rows, columns}, dnnl_f32, tag);
}

static dnnl_status_t desc_copy(dnnl_memory_desc_t *out, desc_pointer from)
{
	*out = *from;
	return dnnl_success;
}

static void desc_free(dnnl_memory_desc_t *d)
{
	memset(d, 0, sizeof *d);
}

static dnnl_status_t add_to_result(dnnl_post_ops_t after)
{
	return dnnl_post_ops_append_sum(after, 1);
}

static dnnl_status_t plan_new(dnnl_primitive_desc_t *out, dnnl_engine_t engine, desc_pointer a,
                              desc_pointer b, desc_pointer c, dnnl_primitive_attr_t attributes)
{
	dnnl_matmul_desc_t d;
	dnnl_status_t      status = dnnl_matmul_desc_init(&d, a, b, NULL, c);

	return status == dnnl_success
	               ? dnnl_primitive_desc_create(out, &d, attributes, engine, NULL)
	               : status;
}

#else

static const char *const want = "brg_matmul:avx512_core";
enum { FEWEST_ROWS = 2, LONG_SUM = 20000 };

typedef const_dnnl_memory_desc_t desc_pointer;
#define DESC(d) (d)

static dnnl_status_t desc_new(dnnl_memory_desc_t *out, int rows, int columns, dnnl_format_tag_t tag)
{
	return dnnl_memory_desc_create_with_tag(out, 2, (dnnl_dims_t){rows, columns}, dnnl_f32,
	                                        tag);
}

static dnnl_status_t desc_copy(dnnl_memory_desc_t *out, desc_pointer from)
{
	return dnnl_memory_desc_clone(out, from);
}

static void desc_free(dnnl_memory_desc_t *d)
{
	dnnl_memory_desc_destroy(*d);
	*d = NULL;
}

static dnnl_status_t add_to_result(dnnl_post_ops_t after)
{
	return dnnl_post_ops_append_sum(after, 1, 0, dnnl_data_type_undef);
}

static dnnl_status_t plan_new(dnnl_primitive_desc_t *out, dnnl_engine_t engine, desc_pointer a,
                              desc_pointer b, desc_pointer c, dnnl_primitive_attr_t attributes)
{
	return dnnl_matmul_primitive_desc_create(out, engine, a, b, NULL, c, attributes);
}

#endif

/* ---- layouts ---- */

/* C [rows x width] = or += A B. */
struct shape {
	int rows, depth, width;
	/* dnnl_ab, dnnl_ba (stored transposed); of b also dnnl_format_tag_any: as the library
	 * likes it best */
	dnnl_format_tag_t a, b;
	desc_pointer      packed; /* how B is stored, instead of b; or NULL */
	int               add;
};

struct layouts {
	dnnl_memory_desc_t a, b, c;
};

static void layouts_free(struct layouts *l)
{
	desc_free(&l->a);
	desc_free(&l->b);
	desc_free(&l->c);
}

static int layouts_new(struct layouts *out, const struct shape *s)
{
	memset(out, 0, sizeof *out);
	dnnl_status_t status = desc_new(&out->a, s->rows, s->depth, s->a);
	if (status == dnnl_success)
		status = s->packed ? desc_copy(&out->b, s->packed)
		                   : desc_new(&out->b, s->depth, s->width, s->b);
	if (status == dnnl_success)
		status = desc_new(&out->c, s->rows, s->width, dnnl_ab);
	if (status != dnnl_success)
		layouts_free(out);
	return matmul_onednn_check(status, "describing a product");
}

/* ---- primitives ---- */

static void step_free(struct matmul_onednn_step *s)
{
	dnnl_memory_destroy(s->a);
	dnnl_memory_destroy(s->b);
	dnnl_memory_destroy(s->c);
	dnnl_primitive_destroy(s->primitive);
	*s = (struct matmul_onednn_step){0};
}

/* The library's plan for the product. */
static int matmul_onednn_plan(struct matmul *m, const struct layouts *l, int add,
                              dnnl_primitive_desc_t *out)
{
	struct onednn        *state = m->state;
	dnnl_primitive_attr_t attributes;
	dnnl_post_ops_t       after;
	const char           *name = "";

	CALL(dnnl_primitive_attr_create, &attributes);
	CALL(dnnl_post_ops_create, &after);
	if (add)
		add_to_result(after);
	dnnl_primitive_attr_set_post_ops(attributes, after);
	dnnl_status_t status =
	        plan_new(out, state->engine, DESC(l->a), DESC(l->b), DESC(l->c), attributes);
	dnnl_post_ops_destroy(after);
	dnnl_primitive_attr_destroy(attributes);
	TRY(matmul_onednn_check(status, "planning a product"));

	dnnl_primitive_desc_query(*out, dnnl_query_impl_info_str, 0, &name);
	if (!m->strict || strcmp(name, want) == 0)
		return OK;
	dnnl_primitive_desc_destroy(*out);
	return error_set(ERR_INPUT,
	                 "oneDNN would compute with '%s' on this CPU, where a row's result depends "
	                 "on the other rows; strict numerics need %s: "
	                 "set compute.backend to openblas, or compute.numerics to fast",
	                 name, want);
}

static int step_fill(struct matmul *m, const struct layouts *l, int add,
                     struct matmul_onednn_step *s)
{
	struct onednn        *state = m->state;
	dnnl_primitive_desc_t d;

	TRY(matmul_onednn_plan(m, l, add, &d));
	dnnl_status_t status = dnnl_primitive_create(&s->primitive, d);
	dnnl_primitive_desc_destroy(d);
	if (status == dnnl_success)
		status = dnnl_memory_create(&s->a, DESC(l->a), state->engine, DNNL_MEMORY_NONE);
	if (status == dnnl_success)
		status = dnnl_memory_create(&s->b, DESC(l->b), state->engine, DNNL_MEMORY_NONE);
	if (status == dnnl_success)
		status = dnnl_memory_create(&s->c, DESC(l->c), state->engine, DNNL_MEMORY_NONE);
	return matmul_onednn_check(status, "making a product");
}

/* With at most so many threads the library keeps a sum in one thread. */
static int planned_threads(const struct shape *s)
{
	enum { NARROW = 512, BLOCK = 64 };
	int blocks = (s->width + BLOCK - 1) / BLOCK, threads = threads_count();

	return s->depth < LONG_SUM || s->width > NARROW || blocks > threads ? threads : blocks;
}

static int step_new(struct matmul *m, const struct shape *shape, struct matmul_onednn_step *out)
{
	int                       threads = threads_count(), fewer = planned_threads(shape);
	struct matmul_onednn_step s = {0};
	struct layouts            l;

	TRY(layouts_new(&l, shape));
	if (fewer < threads)
		threads_set(fewer);
	int status = step_fill(m, &l, shape->add, &s);
	if (fewer < threads)
		threads_set(threads);
	layouts_free(&l);
	if (status != OK)
		step_free(&s);
	else
		*out = s;
	return status;
}

static int matmul_onednn_execute(struct onednn *state, const struct matmul_onednn_step *s,
                                 dnnl_memory_t b)
{
	dnnl_exec_arg_t arguments[] = {
	        {DNNL_ARG_SRC, s->a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, s->c}};

	CALL(dnnl_primitive_execute, s->primitive, state->stream, 3, arguments);
	CALL(dnnl_stream_wait, state->stream);
	return OK;
}

/* The library takes non-const handles; it writes to c only. */
static void *handle(const float *x)
{
	union {
		const float *in;
		void        *out;
	} u = {.in = x};

	return u.out;
}

static void drop_primitives(struct onednn *state)
{
	for (size_t i = 0; i < state->n_products; i++)
		for (int j = 0; j < N_SIZES; j++)
			step_free(&state->products[i]->sizes[j]);
	for (size_t i = 0; i < state->n_gradients; i++)
		for (int j = 0; j < N_GRADIENT_SIZES; j++)
			for (int add = 0; add < 2; add++)
				step_free(&state->gradients[i]->sizes[j][add]);
}

static void follow_threads(struct onednn *state)
{
	if (state->threads == threads_count())
		return;
	drop_primitives(state);
	state->threads = threads_count();
}

/* ---- life ---- */

static void product_free(struct matmul_onednn_product *p)
{
	desc_free(&p->packed);
	mem_free(p->pair);
	mem_free(p);
}

static void onednn_close(struct matmul *m)
{
	struct onednn *state = m->state;

	drop_primitives(state);
	for (size_t i = 0; i < state->n_products; i++)
		product_free(state->products[i]);
	for (size_t i = 0; i < state->n_gradients; i++)
		mem_free(state->gradients[i]);
	mem_free(state->products);
	mem_free(state->gradients);
	mem_free(state->padded);
	dnnl_stream_destroy(state->stream);
	dnnl_engine_destroy(state->engine);
	mem_free(state);
}

/* Whether the library takes this CPU, and with which implementation. */
static int try_plan(struct matmul *m)
{
	const struct shape square = {
	        .rows = 64, .depth = 64, .width = 64, .a = dnnl_ab, .b = dnnl_ab};
	const dnnl_version_t *v = dnnl_version();
	struct layouts        l;
	dnnl_primitive_desc_t d;
	const char           *name = "";

	TRY(layouts_new(&l, &square));
	int status = matmul_onednn_plan(m, &l, 0, &d);
	layouts_free(&l);
	TRY(status);
	dnnl_primitive_desc_query(d, dnnl_query_impl_info_str, 0, &name);
	snprintf(m->detail, sizeof m->detail, "%d.%d.%d %s", v->major, v->minor, v->patch, name);
	dnnl_primitive_desc_destroy(d);
	return OK;
}

static int matmul_onednn_start(struct matmul *m)
{
	struct onednn *state = m->state;

	CALL(dnnl_engine_create, &state->engine, dnnl_cpu, 0);
	CALL(dnnl_stream_create, &state->stream, state->engine, dnnl_stream_default_flags);
	return try_plan(m);
}

static int onednn_open(struct matmul *m)
{
	TRY(mem_take_bytes(1, sizeof(struct onednn), "the oneDNN backend", &m->state));
	int status = matmul_onednn_start(m);
	if (status != OK)
		onednn_close(m);
	return status;
}

/* ---- forward and backward ---- */

/* The layout that the library wants for B [depth x width], the caller's to free; it does not depend
 * on the rows of A (checked when each size is made). */
static int packed_layout(struct matmul *m, int depth, int width, dnnl_memory_desc_t *out)
{
	const struct shape    shape = {.rows = EXACT_ROWS,
	                               .depth = depth,
	                               .width = width,
	                               .a = dnnl_ab,
	                               .b = dnnl_format_tag_any};
	struct layouts        l;
	dnnl_primitive_desc_t d;

	TRY(layouts_new(&l, &shape));
	int status = matmul_onednn_plan(m, &l, 0, &d);
	layouts_free(&l);
	TRY(status);
	dnnl_status_t copied =
	        desc_copy(out, dnnl_primitive_desc_query_md(d, dnnl_query_weights_md, 0));
	dnnl_primitive_desc_destroy(d);
	return matmul_onednn_check(copied, "planning a packed matrix");
}

static int product_fill(struct matmul *m, struct matmul_onednn_product *p)
{
	size_t n = FEWEST_ROWS * ((size_t)p->depth + (size_t)p->width);

	TRY(mem_take(n, "a product shape", &p->pair));
	return packed_layout(m, p->depth, p->width, &p->packed);
}

static int product_new(struct matmul *m, int depth, int width, struct matmul_onednn_product **out)
{
	struct onednn                *state = m->state;
	struct matmul_onednn_product *p;
	int                           status;

	TRY(mem_room(&state->products, &state->room_products, state->n_products + 1,
	             "the list of product shapes"));
	TRY(mem_take(1, "a product shape", &p));
	p->depth = depth;
	p->width = width;
	status = product_fill(m, p);
	if (status != OK) {
		product_free(p);
		return status;
	}
	*out = state->products[state->n_products++] = p;
	return OK;
}

static int product_find(struct matmul *m, int depth, int width, struct matmul_onednn_product **out)
{
	struct onednn *state = m->state;

	for (size_t i = 0; i < state->n_products; i++)
		if (state->products[i]->depth == depth && state->products[i]->width == width) {
			*out = state->products[i];
			return OK;
		}
	return product_new(m, depth, width, out);
}

/* The largest size that is at most n, and its place in product.sizes. */
static int largest_size(int n, int *index)
{
	for (int i = 2; i >= 0; i--)
		if (n >= 128 << i) {
			*index = EXACT_ROWS + i;
			return 128 << i;
		}
	n = n < EXACT_ROWS ? n : EXACT_ROWS;
	*index = n - 1;
	return n;
}

/* rows is one of the sizes, and index its place. */
static int product_piece(struct matmul *m, struct matmul_onednn_product *p, dnnl_memory_t b,
                         int rows, int index, const float *A, float *C)
{
	const struct shape         shape = {.rows = rows,
	                                    .depth = p->depth,
	                                    .width = p->width,
	                                    .a = dnnl_ab,
	                                    .packed = DESC(p->packed)};
	struct matmul_onednn_step *s = &p->sizes[index];

	if (!s->primitive)
		TRY(step_new(m, &shape, s));
	CALL(dnnl_memory_set_data_handle, s->a, handle(A));
	CALL(dnnl_memory_set_data_handle, s->c, C);
	return matmul_onednn_execute(m->state, s, b);
}

/* One row with FEWEST_ROWS - 1 rows of zeros, which mem_alloc has written. */
static int product_alone(struct matmul *m, struct matmul_onednn_product *p, dnnl_memory_t b,
                         const float *A, float *C)
{
	float *result = p->pair + FEWEST_ROWS * (size_t)p->depth;

	memcpy(p->pair, A, (size_t)p->depth * sizeof *A);
	TRY(product_piece(m, p, b, FEWEST_ROWS, FEWEST_ROWS - 1, p->pair, result));
	memcpy(C, result, (size_t)p->width * sizeof *C);
	return OK;
}

static int product_run(struct matmul *m, struct matmul_onednn_product *p, dnnl_memory_t b, int n,
                       const float *A, float *C)
{
	follow_threads(m->state);
	while (n >= FEWEST_ROWS) {
		int index, rows = largest_size(n, &index);
		TRY(product_piece(m, p, b, rows, index, A, C));
		A += (size_t)rows * (size_t)p->depth;
		C += (size_t)rows * (size_t)p->width;
		n -= rows;
	}
	return n ? product_alone(m, p, b, A, C) : OK;
}

static int onednn_forward(const struct matmul_weight *w, int n, const float *X, float *Y)
{
	const struct matmul_onednn_packed *p = w->state;

	return product_run(w->matmul, p->forward, p->W[0], n, X, Y);
}

static int onednn_backward(const struct matmul_weight *w, int n, const float *dY, float *dX)
{
	const struct matmul_onednn_packed *p = w->state;

	return product_run(w->matmul, p->backward, p->W[1], n, dY, dX);
}

/* ---- weights ---- */

static size_t floats(desc_pointer d)
{
	return (dnnl_memory_desc_get_size(d) + 63) / 64 * 16;
}

static size_t matmul_onednn_packed_floats(struct matmul *m, int depth, int width)
{
	dnnl_memory_desc_t d;

	if (packed_layout(m, depth, width, &d) != OK)
		return 0;
	size_t n = floats(DESC(d));
	desc_free(&d);
	return n;
}

static size_t onednn_weight_bytes(const struct matmul_weight *w)
{
	size_t n = matmul_onednn_packed_floats(w->matmul, w->n_in, w->n_out);

	if (w->for_backward)
		n += matmul_onednn_packed_floats(w->matmul, w->n_out, w->n_in);
	return sizeof(struct matmul_onednn_packed) + n * sizeof(float);
}

static void onednn_weight_free(struct matmul_weight *w)
{
	struct matmul_onednn_packed *p = w->state;

	if (!p)
		return;
	for (int i = 0; i < 2; i++)
		dnnl_memory_destroy(p->W[i]);
	mem_free(p->data);
	mem_free(p);
}

static int weight_fill(struct matmul_weight *w, struct matmul_onednn_packed *p)
{
	struct onednn *state = w->matmul->state;

	TRY(product_find(w->matmul, w->n_in, w->n_out, &p->forward));
	if (w->for_backward)
		TRY(product_find(w->matmul, w->n_out, w->n_in, &p->backward));
	size_t first = floats(DESC(p->forward->packed)),
	       second = p->backward ? floats(DESC(p->backward->packed)) : 0;
	TRY(mem_take(first + second, "a packed matrix", &p->data));
	CALL(dnnl_memory_create, &p->W[0], DESC(p->forward->packed), state->engine, p->data);
	if (p->backward)
		CALL(dnnl_memory_create, &p->W[1], DESC(p->backward->packed), state->engine,
		     p->data + first);
	return OK;
}

static int onednn_weight_new(struct matmul_weight *w)
{
	TRY(mem_take_bytes(1, sizeof(struct matmul_onednn_packed), "a packed matrix", &w->state));
	return weight_fill(w, w->state);
}

static int matmul_onednn_reorder(struct onednn *state, desc_pointer from, const float *W,
                                 desc_pointer to, dnnl_memory_t packed)
{
	dnnl_primitive_desc_t d;
	dnnl_primitive_t      primitive = NULL;
	dnnl_memory_t         source = NULL;
	dnnl_status_t         status;

	CALL(dnnl_reorder_primitive_desc_create, &d, from, state->engine, to, state->engine, NULL);
	status = dnnl_primitive_create(&primitive, d);
	dnnl_primitive_desc_destroy(d);
	if (status == dnnl_success)
		status = dnnl_memory_create(&source, from, state->engine, handle(W));
	if (status == dnnl_success) {
		dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, packed}};
		status = dnnl_primitive_execute(primitive, state->stream, 2, arguments);
		dnnl_stream_wait(state->stream);
	}
	dnnl_memory_destroy(source);
	dnnl_primitive_destroy(primitive);
	return matmul_onednn_check(status, "packing a matrix");
}

/* W lies as B's transpose (tag dnnl_ba) or as B itself (dnnl_ab). */
static int pack(struct onednn *state, const struct matmul_onednn_product *p, const float *W,
                dnnl_format_tag_t tag, dnnl_memory_t packed)
{
	dnnl_memory_desc_t from;

	CALL(desc_new, &from, p->depth, p->width, tag);
	int status = matmul_onednn_reorder(state, DESC(from), W, DESC(p->packed), packed);
	desc_free(&from);
	return status;
}

static int onednn_weight_pack(struct matmul_weight *w, const float *W)
{
	struct matmul_onednn_packed *p = w->state;
	struct onednn               *state = w->matmul->state;

	TRY(pack(state, p->forward, W, dnnl_ba, p->W[0]));
	return p->backward ? pack(state, p->backward, W, dnnl_ab, p->W[1]) : OK;
}

/* ---- gradient ---- */

/* The shape of a gradient, made when it is first met, with room for its padded rows. */
static int gradient_find(struct onednn *state, int n_out, int n_in,
                         struct matmul_onednn_gradient **out)
{
	struct matmul_onednn_gradient *g;

	for (size_t i = 0; i < state->n_gradients; i++)
		if (state->gradients[i]->n_out == n_out && state->gradients[i]->n_in == n_in) {
			*out = state->gradients[i];
			return OK;
		}
	TRY(mem_room(&state->padded, &state->n_padded,
	             (size_t)MAIN_STEP * ((size_t)n_out + (size_t)n_in),
	             "padded rows of a gradient"));
	TRY(mem_room(&state->gradients, &state->room_gradients, state->n_gradients + 1,
	             "the list of product shapes"));
	TRY(mem_take(1, "a product shape", &g));
	g->n_out = n_out;
	g->n_in = n_in;
	*out = state->gradients[state->n_gradients++] = g;
	return OK;
}

/* Adds the product of `rows` rows; rows is a multiple of MAIN_STEP, or of TAIL_STEP and below
 * MAIN_STEP. */
static int gradient_piece(struct matmul *m, struct matmul_onednn_gradient *shape,
                          const struct matmul_gradient *g, int rows, int add)
{
	int index = rows < MAIN_STEP ? rows / TAIL_STEP - 1 : 2 + rows / MAIN_STEP;
	struct matmul_onednn_step *s = &shape->sizes[index][add];
	const struct shape         product = {.rows = g->n_out,
	                                      .depth = rows,
	                                      .width = g->n_in,
	                                      .a = dnnl_ba,
	                                      .b = dnnl_ab,
	                                      .add = add};

	if (!s->primitive)
		TRY(step_new(m, &product, s));
	CALL(dnnl_memory_set_data_handle, s->a, handle(g->dY));
	CALL(dnnl_memory_set_data_handle, s->b, handle(g->X));
	CALL(dnnl_memory_set_data_handle, s->c, g->dW);
	return matmul_onednn_execute(m->state, s, s->b);
}

static const float *pad(float *to, const float *from, int rows, int padded_rows, int width)
{
	memcpy(to, from, (size_t)rows * (size_t)width * sizeof *to);
	memset(to + (size_t)rows * (size_t)width, 0,
	       (size_t)(padded_rows - rows) * (size_t)width * sizeof *to);
	return to;
}

/* The last rows, fewer than MAIN_STEP, behind zero rows. */
static int gradient_tail(struct matmul *m, struct matmul_onednn_gradient *shape,
                         struct matmul_gradient g, int add)
{
	struct onednn *state = m->state;
	int            rows = (g.n + TAIL_STEP - 1) / TAIL_STEP * TAIL_STEP;

	if (rows != g.n) {
		g.dY = pad(state->padded, g.dY, g.n, rows, g.n_out);
		g.X = pad(state->padded + (size_t)MAIN_STEP * (size_t)g.n_out, g.X, g.n, rows,
		          g.n_in);
	}
	return gradient_piece(m, shape, &g, rows, add);
}

static int onednn_gradient(struct matmul *m, const struct matmul_gradient *whole)
{
	struct matmul_gradient         g = *whole;
	struct matmul_onednn_gradient *shape;

	TRY(gradient_find(m->state, g.n_out, g.n_in, &shape));
	follow_threads(m->state);
	for (int add = 0; g.n >= MAIN_STEP; add = 1) {
		int rows = g.n < GRADIENT_ROWS ? g.n / MAIN_STEP * MAIN_STEP : GRADIENT_ROWS;
		TRY(gradient_piece(m, shape, &g, rows, add));
		g.dY += (size_t)rows * (size_t)g.n_out;
		g.X += (size_t)rows * (size_t)g.n_in;
		g.n -= rows;
	}
	return g.n ? gradient_tail(m, shape, g, whole->n > g.n) : OK;
}

const struct matmul_backend matmul_onednn = {
        .name = "onednn",
        .open = onednn_open,
        .close = onednn_close,
        .weight_bytes = onednn_weight_bytes,
        .weight_new = onednn_weight_new,
        .weight_free = onednn_weight_free,
        .weight_pack = onednn_weight_pack,
        .forward = onednn_forward,
        .backward = onednn_backward,
        .gradient = onednn_gradient,
};

#else
typedef int matmul_onednn_not_built; /* a translation unit may not be empty */
#endif
