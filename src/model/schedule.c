#include "model/schedule.h"

#include "base/error.h"
#include "base/real.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

struct schedule_row {
	const char *name;
	int         warms_up;
	double (*decay)(double progress, double min_lr_rate);
};

static double decay_none(double p, double m)
{
	(void)p;
	(void)m;
	return 1;
}

static double decay_linear(double p, double m)
{
	(void)m;
	return 1 - p;
}

static double decay_cosine(double p, double m)
{
	(void)m;
	return (1 + real_cos(pi * p)) / 2;
}

static double decay_cosine_to_min(double p, double m)
{
	return m + (1 - m) * decay_cosine(p, m);
}

static const struct schedule_row rows[] = {
        {"constant", 0, decay_none},
        {"constant_with_warmup", 1, decay_none},
        {"linear", 1, decay_linear},
        {"cosine", 1, decay_cosine},
        {"cosine_with_min_lr", 1, decay_cosine_to_min},
};

const char *schedule_name(int i)
{
	return i >= 0 && i < (int)(sizeof rows / sizeof *rows) ? rows[i].name : NULL;
}

static const struct schedule_row *row_find(const char *name)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

static int schedule_is_share(double x)
{
	return x >= 0 && x <= 1;
}

int schedule_new(const struct schedule_options *o, struct schedule *out)
{
	const struct schedule_row *row = row_find(o->name);

	if (!row)
		return error_set(ERR_INPUT,
		                 "the schedule \"%s\" is not known: constant, "
		                 "constant_with_warmup, linear, cosine, cosine_with_min_lr",
		                 o->name);
	if (!(o->learning_rate >= 0 && isfinite(o->learning_rate)))
		return error_set(ERR_INPUT, "a learning rate of %g is not a positive number",
		                 o->learning_rate);
	if (!schedule_is_share(o->warmup_ratio) || !schedule_is_share(o->min_lr_rate))
		return error_set(
		        ERR_INPUT,
		        "the warm-up ratio (%g) and the rate at the end (%g) must lie in 0 .. 1",
		        o->warmup_ratio, o->min_lr_rate);
	if (o->warmup_steps < 0 || o->total_steps < 0)
		return error_set(ERR_INPUT, "a schedule of %lld steps with %lld of warm-up",
		                 (long long)o->total_steps, (long long)o->warmup_steps);
	*out = (struct schedule){.row = row,
	                         .peak = o->learning_rate,
	                         .min_lr_rate = o->min_lr_rate,
	                         .total = o->total_steps};
	if (row->warms_up)
		out->warmup = o->warmup_steps
		                      ? o->warmup_steps
		                      : (int64_t)ceil(o->warmup_ratio * (double)o->total_steps);
	return OK;
}

double schedule_at(const struct schedule *s, int64_t step)
{
	int64_t decaying = s->total > s->warmup ? s->total - s->warmup : 1;
	double  progress;

	assert(step >= 0 && s->warmup >= 0 && s->min_lr_rate >= 0 && s->min_lr_rate <= 1);
	if (step < s->warmup)
		return s->peak * (double)step / (double)s->warmup;
	progress = (double)(step - s->warmup) / (double)decaying;
	return s->peak * s->row->decay(progress < 1 ? progress : 1, s->min_lr_rate);
}

int schedule_same(const struct schedule *a, const struct schedule *b)
{
	int ends = a->row->decay != decay_none;

	return a->row == b->row && a->peak == b->peak && a->warmup == b->warmup &&
	       a->min_lr_rate == b->min_lr_rate && (!ends || a->total == b->total);
}
