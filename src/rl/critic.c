#include "rl/critic.h"

#include "base/error.h"
#include "model/safetensors.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the second head of its network ---- */

static int critic_open_update(void *owner, struct batch *b, const struct gradient_units *units,
                              struct arena *a)
{
	struct critic *c = owner;

	TRY(value_head_begin(&c->head, units));
	TRY(BATCH_TAKE(b, value_new, a));
	return BATCH_TAKE(b, d_value, a);
}

static void critic_values(void *owner, const struct packing *p, const float *hidden, float *value)
{
	const struct critic *c = owner;

	value_head_forward(&c->head, p, hidden, value);
}

static void critic_backward(void *owner, const struct packing *p, const float *hidden,
                            const struct batch *rows, int64_t tokens, float *d_hidden)
{
	struct critic      *c = owner;
	struct critic_stats ours = {
	        0}; /* of rows that critic_measure_update sees with all others */
	int first = rows->offset[0];

	critic_values(c, p, hidden, rows->value_new + first);
	critic_loss(&c->options, rows, tokens, &ours);
	value_head_backward(&c->head, p, hidden, rows->d_value + first, d_hidden);
}

static void critic_measure_update(void *owner, const struct batch *b, int64_t tokens)
{
	struct critic *c = owner;

	critic_loss(&c->options, b, tokens, &c->stats);
}

static int critic_step(void *owner)
{
	struct critic          *c = owner;
	struct optimizer_report report;

	TRY(value_head_finish(&c->head));
	TRY(optimizer_step(&c->optimizer, &c->head.weights, c->head.gradient.level[0],
	                   c->learning_rate, &report));
	c->stats.updates++;
	c->stats.skipped += report.skipped;
	if (!(report.grad_norm <= c->stats.grad_norm))
		c->stats.grad_norm = report.grad_norm;
	return OK;
}

/* ---- making ---- */

static int copy_network(const struct policy *from, struct critic *c)
{
	struct weights w;
	int            status;

	TRY(weights_new(&from->model->weights.shape, &w));
	memcpy(w.data, from->model->weights.data, w.n * sizeof *w.data);
	status = model_new(&w, from->model->mm, 1, &c->model);
	weights_free(&w);
	return status == OK ? policy_new(c->model, &from->options, &c->own) : status;
}

static void critic_attach(struct critic *c, struct policy *network)
{
	c->network = network;
	network->second = (struct policy_head){.owner = c,
	                                       .begin = critic_open_update,
	                                       .values = critic_values,
	                                       .backward = critic_backward,
	                                       .measure = critic_measure_update,
	                                       .step = critic_step};
}

int critic_new(const struct critic_options *o, struct policy *policy, struct critic *out)
{
	int status = OK;

	*out = (struct critic){.options = *o};
	if (o->own)
		status = copy_network(policy, out);
	if (status == OK)
		status = value_head_new(policy->model->weights.shape.width, o->head_std, o->seed,
		                        &out->head);
	if (status == OK)
		status = optimizer_new(&out->head.weights, &policy->options.optimizer,
		                       &out->optimizer);
	if (status != OK) {
		critic_free(out);
		return status;
	}
	critic_attach(out, o->own ? &out->own : policy);
	return OK;
}

void critic_free(struct critic *c)
{
	if (c->network)
		c->network->second = (struct policy_head){0};
	policy_free(&c->own);
	model_free(c->model);
	value_head_free(&c->head);
	optimizer_free(&c->optimizer);
	*c = (struct critic){0};
}

size_t critic_bytes(const struct critic *c, const struct policy_load *l)
{
	const struct model_shape *s;
	/* weights, moments, a few levels of the gradient */
	size_t head = 8 * c->head.weights.n * sizeof(float);

	if (!c->model)
		return head;
	s = &c->model->weights.shape;
	return head + model_bytes(s, c->model->mm, 1) + policy_bytes(&c->own, l);
}

/* ---- the loss ---- */

struct critic_term {
	double value, slope;
	int    clipped;
};

/* 1/2 max((v - ret)^2, (clip(v) - ret)^2). It stands still where the clipped square is the larger
 * one and v lies outside of the interval. */
static struct critic_term critic_term_of(const struct critic_options *o, double v, double old,
                                         double target)
{
	double kept = fmin(fmax(v, old - o->cliprange_value), old + o->cliprange_value),
	       e = v - target, e_kept = kept - target;

	if (o->cliprange_value > 0 && kept != v && e_kept * e_kept > e * e)
		return (struct critic_term){0.5 * e_kept * e_kept, 0, 1};
	return (struct critic_term){0.5 * e * e, e, 0};
}

static int has_target(const struct batch *b, int t)
{
	return b->trained[t] && !isnan(b->target[t]);
}

void critic_loss(const struct critic_options *o, const struct batch *b, int64_t tokens,
                 struct critic_stats *stats)
{
	double coef = (o->own ? 1 : o->vf_coef) / (double)tokens;

	assert(tokens >= 0 && b->value_new && b->value && b->target && b->d_value);
	for (int t = b->offset[0]; t < b->offset[b->n]; t++) {
		struct critic_term x;
		b->d_value[t] = 0;
		if (!has_target(b, t))
			continue;
		x = critic_term_of(o, b->value_new[t], b->value[t], b->target[t]);
		b->d_value[t] = (float)(coef * x.slope);
		stats->tokens++;
		stats->loss += x.value;
		stats->clipped += x.clipped;
	}
}

/* Means in a first pass over the tokens with a target, variances around them in a second one. */
void critic_measure(const struct batch *b, struct critic_stats *stats)
{
	double n = 0, value = 0, target = 0, error = 0, variance_target = 0, variance_error = 0;

	assert(b->value && b->target && b->trained);
	for (int t = b->offset[0]; t < b->offset[b->n]; t++)
		if (has_target(b, t)) {
			double e = (double)b->target[t] - b->value[t];
			n++;
			value += b->value[t];
			target += b->target[t];
			error += e * e;
		}
	for (int t = b->offset[0]; t < b->offset[b->n]; t++)
		if (has_target(b, t)) {
			double d = b->target[t] - target / n,
			       e = (double)b->target[t] - b->value[t] - (target - value) / n;
			variance_target += d * d;
			variance_error += e * e;
		}
	stats->measured = n;
	stats->value = value;
	stats->target = target;
	stats->error = error;
	stats->variance_explained =
	        variance_target > 0 ? 1 - variance_error / variance_target : NAN;
}

/* ---- learning ---- */

void critic_begin(struct critic *c, int64_t step)
{
	c->learning_rate = schedule_at(&c->options.schedule, step);
	c->stats = (struct critic_stats){0};
}

int critic_warms_up(const struct critic *c, int64_t step)
{
	return step < c->options.warmup_steps;
}

int critic_update(struct critic *c, const struct batch *b, struct update_report *report)
{
	assert(c->network && c->learning_rate >= 0);
	return policy_update_second(c->network, b, c->model ? &c->learning_rate : NULL, report);
}

/* ---- files ---- */

struct critic_part { /* weights and their moments */
	const struct weights   *w;
	const struct optimizer *o;
};

static int parts_of(const struct critic *c, struct critic_part *out)
{
	out[0] = (struct critic_part){&c->head.weights, &c->optimizer};
	if (c->model)
		out[1] = (struct critic_part){&c->model->weights, &c->own.optimizer};
	return c->model ? 2 : 1;
}

/* NULL: a moment that another rank has */
static float *array_of(const struct critic_part *p, const struct tensor *t, int which)
{
	return which == 0 ? p->w->data + t->offset
	                  : optimizer_moment(p->o, t, which == 1 ? 'm' : 'v');
}

static const char *const prefixes[] = {"", "m.", "v."};

/* Lists each tensor of a part three times: the weights, and both moments. */
static int list_items(const struct critic_part *p, struct arena *a, struct safetensors_item *items,
                      size_t *n)
{
	for (int i = 0; i < p->w->n_tensors; i++) {
		const struct tensor *t = &p->w->tensors[i];
		items[(*n)++] =
		        (struct safetensors_item){.name = t->name,
		                                  .n_dims = t->n_dims,
		                                  .dims = {(uint64_t)t->rows, (uint64_t)t->columns},
		                                  .data = p->w->data + t->offset};
		TRY(optimizer_items(p->o, t, a, items + *n));
		*n += 2;
	}
	return OK;
}

int critic_save(const struct critic *c, const char *path)
{
	struct critic_part       parts[2];
	int                      n_parts = parts_of(c, parts), status = OK;
	size_t                   n = 0, most = 0;
	struct arena             a = {0};
	struct safetensors_item *items;

	for (int i = 0; i < n_parts; i++) {
		TRY(weights_check_finite(parts[i].w));
		most += 3 * (size_t)parts[i].w->n_tensors;
	}
	status = arena_take(&a, most, "the list of the critic's tensors", &items);
	for (int i = 0; status == OK && i < n_parts; i++)
		status = list_items(&parts[i], &a, items, &n);
	if (status == OK)
		status = path ? safetensors_write(path, SAFETENSORS_F32, items, n)
		              : safetensors_follow(items, n);
	arena_free(&a);
	return status;
}

/* Reads weights or moments of one tensor; a second moment below 0 is refused as well. */
static int load_array(const struct safetensors *s, const struct tensor *t, int which, float *out)
{
	char                            name[sizeof t->name + 2];
	const struct safetensors_entry *e;
	float                           low = which == 2 ? 0 : -INFINITY;

	snprintf(name, sizeof name, "%s%s", prefixes[which], t->name);
	e = safetensors_find(s, name);
	if (!e || e->type != SAFETENSORS_F32 || e->count != t->count)
		return error_set(ERR_INPUT,
		                 "%s: tensor \"%s\" is not there with %zu numbers of F32; is it of "
		                 "another critic?",
		                 s->path, name, t->count);
	if (!out)
		return OK;
	TRY(safetensors_read(s, e, out));
	for (size_t i = 0; i < t->count; i++)
		if (!isfinite(out[i]) || out[i] < low)
			return error_set(ERR_INPUT,
			                 "%s: tensor \"%s\"[%zu] is %g, which it cannot be",
			                 s->path, name, i, (double)out[i]);
	return OK;
}

static int load_parts(const struct critic *c, const struct safetensors *s)
{
	struct critic_part parts[2];
	int                n_parts = parts_of(c, parts);

	for (int i = 0; i < n_parts; i++)
		for (int k = 0; k < parts[i].w->n_tensors; k++)
			for (int which = 0; which < 3; which++) {
				const struct tensor *t = &parts[i].w->tensors[k];
				TRY(load_array(s, t, which, array_of(&parts[i], t, which)));
			}
	return c->model ? model_repack(c->model) : OK;
}

int critic_load(struct critic *c, const char *path)
{
	struct safetensors s;
	int                status;

	TRY(safetensors_open(path, &s));
	status = load_parts(c, &s);
	safetensors_close(&s);
	return status;
}

/* ---- options ---- */

static const struct choice critic_networks[] = {{"own", 1, NULL}, {"shared", 0, NULL}, {0}};

#define HOME struct critic_options
#define ROOM "critic."
/* clang-format off */
static const struct option critic_options[] = {
	CHOICE_AS("network", own, "own", critic_networks,
	     "own: a second network that starts as a copy of the policy; shared: a head on the "
	     "policy's", .when = "loss.baseline=critic"),
	REAL(learning_rate, "1e-5", 0, 10, "the peak; it follows optim.lr_scheduler_type",
	     .when = "loss.baseline=critic"),
	REAL(vf_coef, "0.1", 0, 1e6, "weight of the value loss in the shared layers",
	     .when = "critic.network=shared"),
	REAL(cliprange_value, "0.5", 0, 1e6,
	     "values are clipped to this distance from those before the first update; 0: off",
	     .when = "loss.baseline=critic"),
	REAL(head_std, "0", 0, 100,
	     "of the value head's weights at the start; 0: every value starts at 0",
	     .when = "loss.baseline=critic"),
	INT(warmup_steps, "0", 0, INT_MAX, "first steps in which only the critic learns",
	    .when = "loss.baseline=critic"),
};
/* clang-format on */
const struct option_table critic_options_table = OPTION_TABLE(critic_options);
