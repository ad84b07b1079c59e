#include "model/optimizer.h"

#include "base/error.h"
#include "math/rowops.h"
#include "model/safetensors.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct optimizer_block {
	size_t offset;
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

static void cut_blocks(const struct weights *w, struct optimizer_block *b)
{
	for (int i = 0; i < w->n_tensors; i++) {
		const struct tensor *t = &w->tensors[i];
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

static int optimizer_take(const struct weights *w, struct arena *a, struct optimizer *o)
{
	o->n_blocks = 0;
	for (int i = 0; i < w->n_tensors; i++)
		o->n_blocks += optimizer_blocks_of(w->tensors[i].count);
	TRY(arena_take(a, w->n, "the moments of the optimizer", &o->m));
	TRY(arena_take(a, w->n, "the moments of the optimizer", &o->v));
	TRY(arena_take(a, o->n_blocks, "the blocks of the optimizer", &o->blocks));
	return arena_take(a, o->n_blocks, "the gradient's norm", &o->sums);
}

size_t optimizer_bytes(const struct weights *w)
{
	struct arena     count = {.counts = 1};
	struct optimizer o;
	int              status = optimizer_take(w, &count, &o);

	assert(status == OK); /* nothing is allocated */
	return count.used;
}

int optimizer_new(const struct weights *w, const struct optimizer_options *options,
                  struct optimizer *o)
{
	int status;

	*o = (struct optimizer){.options = *options, .n = w->n};
	TRY(check_options(options));
	status = arena_reserve(&o->memory, optimizer_bytes(w), "the moments of the optimizer");
	if (status == OK)
		status = optimizer_take(w, &o->memory, o);
	if (status == OK)
		cut_blocks(w, o->blocks);
	else
		optimizer_free(o);
	return status;
}

void optimizer_free(struct optimizer *o)
{
	arena_free(&o->memory);
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

static double gradient_norm(struct optimizer *o, const struct weights *w, const float *gradient)
{
	double  total = 0;
	double *sum = o->sums;

#pragma omp parallel for schedule(static)
	for (size_t i = 0; i < o->n_blocks; i++)
		o->sums[i] = sum_of_squares(gradient + o->blocks[i].offset, o->blocks[i].count);
	for (int i = 0; i < w->n_tensors; i++) {
		double tensor_sum = 0;
		for (size_t n = optimizer_blocks_of(w->tensors[i].count); n; n--)
			tensor_sum += *sum++;
		total += tensor_sum;
	}
	return sqrt(total);
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

void optimizer_step(struct optimizer *o, struct weights *w, const float *gradient,
                    double learning_rate, struct optimizer_report *report)
{
	struct factors f;

	assert(w->n == o->n && isfinite(learning_rate) && learning_rate >= 0);
	report->grad_norm = gradient_norm(o, w, gradient);
	report->skipped = !(report->grad_norm < norm_max);
	if (report->skipped)
		return;
	o->step++;
	f = factors_of(o, report->grad_norm, learning_rate);
#pragma omp parallel for schedule(static)
	for (size_t i = 0; i < o->n_blocks; i++) {
		const struct optimizer_block *b = &o->blocks[i];
		update_block(&f, b, gradient + b->offset, o->m + b->offset, o->v + b->offset,
		             w->data + b->offset);
	}
}

/* ---- files ---- */

/* Both moments of each tensor, one behind the other: "m.NAME", "v.NAME". */
static int save_moments(const struct optimizer *o, const struct weights *w, const char *path,
                        struct arena *a)
{
	size_t                   n = 2 * (size_t)w->n_tensors;
	struct safetensors_item *items;

	TRY(arena_take(a, n, "the moments of a file", &items));
	for (size_t i = 0; i < n; i++) {
		const struct tensor *t = &w->tensors[i / 2];
		char                 moment = "mv"[i % 2];
		items[i] = (struct safetensors_item){
		        .n_dims = t->n_dims,
		        .dims = {(uint64_t)t->rows, (uint64_t)t->columns},
		        .data = (moment == 'm' ? o->m : o->v) + t->offset,
		};
		TRY(arena_print(a, &items[i].name, "%c.%s", moment, t->name));
	}
	return safetensors_write(path, SAFETENSORS_F32, items, n);
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
		TRY(load_moment(s, &w->tensors[i], 'm', o->m + w->tensors[i].offset));
		TRY(load_moment(s, &w->tensors[i], 'v', o->v + w->tensors[i].offset));
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
