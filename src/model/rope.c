#include "model/rope.h"

#include "base/error.h"
#include "base/real.h"

#include <math.h>

static float llama3(const struct rope_scaling *r, float f)
{
	const float factor = (float)r->factor, low = (float)r->low_freq_factor,
	            high = (float)r->high_freq_factor;
	const float length = (float)r->original_positions, wavelength = 6.2831853071795864769f / f;
	float       share;

	if (wavelength < length / high)
		return f;
	if (wavelength > length / low)
		return f / factor;
	share = (length / wavelength - low) / (high - low);
	return (1 - share) * f / factor + share * f;
}

static float scaled(const struct rope_scaling *r, float f)
{
	switch (r->kind) {
	case ROPE_LINEAR:
		return f / (float)r->factor;
	case ROPE_LLAMA3:
		return llama3(r, f);
	case ROPE_PLAIN:
		break;
	}
	return f;
}

void rope_frequencies(const struct model_shape *s, float *out)
{
	for (int i = 0; i < s->head_width / 2; i++)
		out[i] = scaled(&s->rope,
		                1.0f / (float)real_pow(s->rope_theta, 2.0 * i / s->head_width));
}

/* Also false for what is not a number. */
static int in_range(double x, double low, double high)
{
	return x >= low && x <= high;
}

int rope_check(const struct model_shape *s)
{
	const struct rope_scaling *r = &s->rope;

	if (!(s->rope_theta > 0) || !isfinite(s->rope_theta))
		return error_set(ERR_INPUT, "model shape: rope_theta is %g; it must be positive",
		                 s->rope_theta);
	if (!(s->local_theta >= 0) || !isfinite(s->local_theta))
		return error_set(ERR_INPUT,
		                 "model shape: rope_local_base_freq is %g; it must be positive",
		                 s->local_theta);
	if (r->kind == ROPE_PLAIN)
		return OK;
	if (!in_range(r->factor, 1, 1e6))
		return error_set(ERR_INPUT,
		                 "model shape: factor of the scaled rotary positions is %g; it "
		                 "must be between 1 and 1e6",
		                 r->factor);
	if (r->kind != ROPE_LLAMA3)
		return OK;
	if (!in_range(r->low_freq_factor, 1e-6, 1e6) || !in_range(r->high_freq_factor, 1e-6, 1e6) ||
	    r->low_freq_factor >= r->high_freq_factor)
		return error_set(ERR_INPUT,
		                 "model shape: low_freq_factor is %g, high_freq_factor %g; they "
		                 "must be positive, the low one smaller",
		                 r->low_freq_factor, r->high_freq_factor);
	if (r->original_positions < 1)
		return error_set(ERR_INPUT,
		                 "model shape: original_max_position_embeddings is %d; it must be "
		                 "at least 1",
		                 r->original_positions);
	return OK;
}
