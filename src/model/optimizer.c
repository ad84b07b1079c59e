#include "model/optimizer.h"

#include "base/error.h"
#include "base/ranks.h"
#include "math/rowops.h"
#include "model/slices.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct optimizer_block {
	size_t offset; /* in the weights */
	int    count;
	int    decays;
};

struct factors { /* of one step, the same for all weights */
	float clip, decay, one_minus_beta1, beta2, one_minus_beta2, rate, sqrt_correction2, epsilon;
};

/* Above this the square of a gradient may not fit into the second moment. */
static const double norm_max = 1e18;

struct optimizer_options optimizer_defaults(void)
{
	return (struct optimizer_options){.beta1 = 0.9,
	                                  .beta2 = 0.999,
	                                  .epsilon = 1e-8,
	                                  .weight_decay = 0,
	                                  .max_grad_norm = 1};
}

static size_t optimizer_blocks_of(size_t count)
{
	return (count + OPTIMIZER_BLOCK - 1) / OPTIMIZER_BLOCK;
}

/* Slices end on borders of tensors. */
static int is_within(const struct tensor *t, struct weights_span s)
{
	return t->offset >= s.offset && t->offset < s.offset + s.count;
}

static void cut_blocks(const struct weights *w, struct weights_span mine, struct optimizer_block *b)
{
	for (int i = 0; i < w->n_tensors; i++) {
		const struct tensor *t = &w->tensors[i];
		if (!is_within(t, mine))
			continue;
		for (size_t first = 0; first < t->count; first += OPTIMIZER_BLOCK) {
			size_t rest = t->count - first;
			*b++ = (struct optimizer_block){
			        .offset = t->offset + first,
			        .count = rest < OPTIMIZER_BLOCK ? (int)rest : OPTIMIZER_BLOCK,
			        .decays = t->n_dims > 1,
			};
		}
	}
}

static int check_options(const struct optimizer_options *o)
{
	if (!(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1))
		return error_set(ERR_INPUT,
		                 "beta1 (%g) and beta2 (%g) must lie in 0 .. 1, 1 excluded",
		                 o->beta1, o->beta2);
	if (!(o->epsilon > 0 && o->epsilon <= 1))
		return error_set(ERR_INPUT, "epsilon is %g, it must be positive and at most 1",
		                 o->epsilon);
	if (!(o->weight_decay >= 0 && o->weight_decay <= 10))
		return error_set(ERR_INPUT, "weight_decay is %g, outside 0 .. 10", o->weight_decay);
	if (!(o->max_grad_norm >= 0))
		return error_set(ERR_INPUT,
		                 "max_grad_norm is %g, it must be positive, or 0 for no clipping",
		                 o->max_grad_norm);
	return OK;
}

static int optimizer_take(struct arena *a, struct optimizer *o)
{
	TRY(arena_take(a, o->mine.count, "the moments of the optimizer", &o->m));
	TRY(arena_take(a, o->mine.count, "the moments of the optimizer", &o->v));
	TRY(arena_take(a, o->n_blocks, "the blocks of the optimizer", &o->blocks));
	return arena_take(a, o->n_blocks, "the gradient's norm", &o->sums);
}

size_t optimizer_bytes(const struct weights *w)
{
	struct arena     count = {.counts = 1};
	struct optimizer o = {.mine.count = slices_largest(w)};
	int              status;

	for (int i = 0; i < w->n_tensors; i++)
		o.n_blocks += optimizer_blocks_of(w->tensors[i].count);
	status = optimizer_take(&count, &o);
	assert(status == OK); /* nothing is allocated */
	return count.used;
}

/* What this rank must know of the others, and how much of the moments is its own. */
static int optimizer_take_ranks(const struct weights *w, struct optimizer *o)
{
	size_t R = (size_t)ranks_count();

	TRY(slices_cut(w, &o->ranks, &o->slices));
	TRY(arena_take(&o->ranks, (size_t)w->n_tensors, "the gradient's norm", &o->squares));
	TRY(arena_take(&o->ranks, R, "the new weights", &o->out));
	TRY(arena_take(&o->ranks, R, "the new weights", &o->in));
	o->mine = o->slices[ranks_number()];
	for (int i = 0; i < w->n_tensors; i++)
		if (is_within(&w->tensors[i], o->mine))
			o->n_blocks += optimizer_blocks_of(w->tensors[i].count);
	return OK;
}

int optimizer_new(const struct weights *w, const struct optimizer_options *options,
                  struct optimizer *o)
{
	int status;

	*o = (struct optimizer){.options = *options, .n = w->n};
	TRY(check_options(options));
	status = optimizer_take_ranks(w, o);
	if (status == OK)
		status = arena_reserve(&o->memory, optimizer_bytes(w),
		                       "the moments of the optimizer");
	if (status == OK)
		status = optimizer_take(&o->memory, o);
	if (status == OK)
		cut_blocks(w, o->mine, o->blocks);
	else
		optimizer_free(o);
	return status;
}

void optimizer_free(struct optimizer *o)
{
	arena_free(&o->memory);
	arena_free(&o->ranks);
	*o = (struct optimizer){0};
}

/* ---- one step ---- */

/* x^n by repeated squaring: the same bits on every machine, which pow() does not promise. */
static double power(double x, uint64_t n)
{
	double result = 1;

	for (; n; n >>= 1, x *= x)
		if (n & 1)
			result *= x;
	return result;
}

static double sum_of_squares(const float *g, int n)
{
	double lane[LANES] = {0};
	int    i = 0;

	for (; i + LANES <= n; i += LANES)
		for (int l = 0; l < LANES; l++)
			lane[l] += (double)g[i + l] * g[i + l];
	for (int l = 0; i + l < n; l++)
		lane[l] += (double)g[i + l] * g[i + l];
	for (int half = LANES / 2; half; half /= 2)
		for (int l = 0; l < half; l++)
			lane[l] += lane[l + half];
	return lane[0];
}

/* squares[i] of the tensors of this rank's slice */
static void sum_tensors(struct optimizer *o, const struct weights *w, const float *gradient)
{
	double *sum = o->sums;

#pragma omp parallel for schedule(static)
	for (size_t i = 0; i < o->n_blocks; i++)
		o->sums[i] = sum_of_squares(gradient + o->blocks[i].offset, o->blocks[i].count);
	for (int i = 0; i < w->n_tensors; i++) {
		o->squares[i] = 0;
		for (size_t n = is_within(&w->tensors[i], o->mine)
		                        ? optimizer_blocks_of(w->tensors[i].count)
		                        : 0;
		     n; n--)
			o->squares[i] += *sum++;
	}
}

/* Before an exchange: the bytes that a rank has, and that all others get in the same place. */
static void share_part(struct optimizer *o, int rank, void *data, size_t bytes)
{
	int is_mine = rank == ranks_number();

	o->in[rank] = (struct ranks_piece){data, is_mine ? 0 : bytes};
	for (int r = 0; r < ranks_count() && is_mine; r++)
		o->out[r] = (struct ranks_piece){data, r == rank ? 0 : bytes};
}

static int gradient_norm(struct optimizer *o, const struct weights *w, const float *gradient,
                         double *norm)
{
	double *square = o->squares, total = 0;

	sum_tensors(o, w, gradient);
	for (int r = 0, i = 0; r < ranks_count(); r++, square = o->squares + i) {
		while (i < w->n_tensors && is_within(&w->tensors[i], o->slices[r]))
			i++;
		share_part(o, r, square, (size_t)(o->squares + i - square) * sizeof *square);
	}
	TRY(ranks_exchange("the gradient's norm", o->out, o->in));
	for (int i = 0; i < w->n_tensors; i++)
		total += o->squares[i];
	*norm = sqrt(total);
	return OK;
}

static int share_weights(struct optimizer *o, struct weights *w)
{
	for (int r = 0; r < ranks_count(); r++)
		share_part(o, r, w->data + o->slices[r].offset,
		           o->slices[r].count * sizeof *w->data);
	return ranks_exchange("the new weights", o->out, o->in);
}

static struct factors factors_of(const struct optimizer *o, double norm, double rate)
{
	const struct optimizer_options *p = &o->options;
	double clip = p->max_grad_norm > 0 ? p->max_grad_norm / (norm + 1e-6) : 1;

	return (struct factors){
	        .clip = (float)(clip < 1 ? clip : 1),
	        .decay = (float)(1 - rate * p->weight_decay),
	        .one_minus_beta1 = (float)(1 - p->beta1),
	        .beta2 = (float)p->beta2,
	        .one_minus_beta2 = (float)(1 - p->beta2),
	        .rate = (float)(rate / (1 - power(p->beta1, o->step))),
	        .sqrt_correction2 = (float)sqrt(1 - power(p->beta2, o->step)),
	        .epsilon = (float)p->epsilon,
	};
}

/* m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,
 * w <- decay w - rate m' / (sqrt(v') + epsilon), m' and v' corrected for their start at 0 */
static void update_block(const struct factors *restrict f, const struct optimizer_block *b,
                         const float *restrict gradient, float *restrict m, float *restrict v,
                         float *restrict w)
{
	const float decay = b->decays ? f->decay : 1;

	for (int i = 0; i < b->count; i++) {
		float g = gradient[i] * f->clip;
		m[i] = m[i] + f->one_minus_beta1 * (g - m[i]);
		v[i] = f->beta2 * v[i] + f->one_minus_beta2 * g * g;
		w[i] = w[i] * decay -
		       f->rate * m[i] / (sqrtf(v[i]) / f->sqrt_correction2 + f->epsilon);
	}
}

int optimizer_step(struct optimizer *o, struct weights *w, const float *gradient,
                   double learning_rate, struct optimizer_report *report)
{
	struct factors f;

	assert(w->n == o->n && isfinite(learning_rate) && learning_rate >= 0);
	TRY(gradient_norm(o, w, gradient, &report->grad_norm));
	report->skipped = !(report->grad_norm < norm_max);
	if (report->skipped)
		return OK;
	o->step++;
	f = factors_of(o, report->grad_norm, learning_rate);
#pragma omp parallel for schedule(static)
	for (size_t i = 0; i < o->n_blocks; i++) {
		const struct optimizer_block *b = &o->blocks[i];
		size_t                        at = b->offset - o->mine.offset;
		update_block(&f, b, gradient + b->offset, o->m + at, o->v + at,
		             w->data + b->offset);
	}
	return share_weights(o, w);
}

/* ---- files ---- */

float *optimizer_moment(const struct optimizer *o, const struct tensor *t, char moment)
{
	return is_within(t, o->mine) ? (moment == 'm' ? o->m : o->v) + (t->offset - o->mine.offset)
	                             : NULL;
}

struct optimizer_source { /* of a moment of a tensor */
	const struct optimizer *o;
	const struct tensor    *t;
	char                    moment;
};

/* The rank that has the moment gives it to rank 0, which writes. */
static int read_moment(const void *owner, size_t first, size_t n, float *out)
{
	const struct optimizer_source *s = owner;
	const struct optimizer        *o = s->o;
	float                         *data = optimizer_moment(o, s->t, s->moment);

	for (int r = 0; r < ranks_count(); r++) {
		int gives = data && r == 0 && !ranks_first(),
		    gets = ranks_first() && r && is_within(s->t, o->slices[r]);
		o->out[r] = (struct ranks_piece){gives ? data + first : NULL,
		                                 gives ? n * sizeof *data : 0};
		o->in[r] = (struct ranks_piece){gets ? out : NULL, gets ? n * sizeof *out : 0};
	}
	if (data && ranks_first())
		memcpy(out, data + first, n * sizeof *out);
	return ranks_exchange("the moments", o->out, o->in);
}

int optimizer_items(const struct optimizer *o, const struct tensor *t, struct arena *a,
                    struct safetensors_item out[2])
{
	struct optimizer_source *source;

	TRY(arena_take(a, 2, "the moments of a file", &source));
	for (int i = 0; i < 2; i++) {
		source[i] = (struct optimizer_source){o, t, "mv"[i]};
		out[i] = (struct safetensors_item){
		        .n_dims = t->n_dims,
		        .dims = {(uint64_t)t->rows, (uint64_t)t->columns},
		        .data = optimizer_moment(o, t, "mv"[i]),
		};
		if (ranks_count() > 1) {
			out[i].data = NULL;
			out[i].read = read_moment;
			out[i].owner = &source[i];
		}
		TRY(arena_print(a, &out[i].name, "%c.%s", "mv"[i], t -> name));
	}
	return OK;
}

/* Both moments of each tensor, one behind the other: "m.NAME", "v.NAME". */
static int save_moments(const struct optimizer *o, const struct weights *w, const char *path,
                        struct arena *a)
{
	size_t                   n = 2 * (size_t)w->n_tensors;
	struct safetensors_item *items;

	TRY(arena_take(a, n, "the moments of a file", &items));
	for (int i = 0; i < w->n_tensors; i++)
		TRY(optimizer_items(o, &w->tensors[i], a, items + 2 * (size_t)i));
	return path ? safetensors_write(path, SAFETENSORS_F32, items, n)
	            : safetensors_follow(items, n);
}

int optimizer_save(const struct optimizer *o, const struct weights *w, const char *path)
{
	struct arena a = {0};
	int          status = save_moments(o, w, path, &a);

	arena_free(&a);
	return status;
}

/* One moment of one tensor; a second moment may not be negative. */
static int load_moment(const struct safetensors *s, const struct tensor *t, char moment, float *out)
{
	char                            name[sizeof t->name + 2];
	const struct safetensors_entry *e;
	float                           low = moment == 'v' ? 0 : -INFINITY;

	snprintf(name, sizeof name, "%c.%s", moment, t->name);
	e = safetensors_find(s, name);
	if (!e)
		return error_set(ERR_INPUT, "%s: tensor \"%s\" is missing; is it of another model?",
		                 s->path, name);
	if (e->type != SAFETENSORS_F32 || e->count != t->count)
		return error_set(ERR_INPUT,
		                 "%s: tensor \"%s\" has %llu numbers of type %s, expected %zu of "
		                 "F32; is it of another model?",
		                 s->path, name, (unsigned long long)e->count,
		                 safetensors_type_name(e->type), t->count);
	if (!out)
		return OK; /* of another rank's slice */
	TRY(safetensors_read(s, e, out));
	for (size_t i = 0; i < t->count; i++)
		if (!isfinite(out[i]) || out[i] < low)
			return error_set(ERR_INPUT,
			                 "%s: tensor \"%s\"[%zu] is %g, which no moment can be",
			                 s->path, name, i, (double)out[i]);
	return OK;
}

static int load_moments(struct optimizer *o, const struct weights *w, const struct safetensors *s)
{
	if (s->n != 2 * (size_t)w->n_tensors)
		return error_set(ERR_INPUT, "%s: %zu tensors, expected %d; is it of another model?",
		                 s->path, s->n, 2 * w->n_tensors);
	for (int i = 0; i < w->n_tensors; i++) {
		const struct tensor *t = &w->tensors[i];
		TRY(load_moment(s, t, 'm', optimizer_moment(o, t, 'm')));
		TRY(load_moment(s, t, 'v', optimizer_moment(o, t, 'v')));
	}
	return OK;
}

int optimizer_load(struct optimizer *o, const struct weights *w, const char *path)
{
	struct safetensors s;
	int                status;

	TRY(safetensors_open(path, &s));
	status = load_moments(o, w, &s);
	safetensors_close(&s);
	return status;
}
