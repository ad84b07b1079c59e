#include "model/value_head.h"

#include "base/error.h"
#include "math/rowops.h"

#include <string.h>

/* Two tensors, D weights and one bias, so that optimizer and files treat it as any weights. */
static int make_weights(int width, struct weights *w)
{
	size_t D = (size_t)width;

	*w = (struct weights){.shape = {.width = width}, .n_tensors = 2, .n = D + 1};
	TRY(mem_take(2, "the tensors of the value head", &w->tensors));
	TRY(mem_take(D + 1, "the value head", &w->data));
	w->tensors[0] = (struct tensor){.name = "score.weight",
	                                .kind = TENSOR_HEAD,
	                                .n_dims = 2,
	                                .rows = 1,
	                                .columns = width,
	                                .count = D};
	w->tensors[1] = (struct tensor){.name = "score.bias",
	                                .kind = TENSOR_BIAS,
	                                .n_dims = 1,
	                                .rows = 1,
	                                .columns = 1,
	                                .offset = D,
	                                .count = 1};
	return OK;
}

int value_head_new(int width, double std, uint64_t seed, struct value_head *out)
{
	int status;

	*out = (struct value_head){0};
	status = make_weights(width, &out->weights);
	if (status == OK)
		status = gradient_new(&out->weights, &out->gradient);
	if (status != OK) {
		value_head_free(out);
		return status;
	}
	for (int d = 0; d < width && std > 0; d++)
		out->weights.data[d] =
		        (float)(std *
		                rng_normal((struct rng_key){seed, RNG_INIT, 1, 0, 0}, (uint32_t)d));
	return OK;
}

void value_head_free(struct value_head *h)
{
	weights_free(&h->weights);
	gradient_free(&h->gradient);
}

int value_head_begin(struct value_head *h, const struct gradient_units *units)
{
	/* in one pass, and none is silent */
	TRY(gradient_begin(&h->gradient,
	                   &(struct gradient_units){.n = units->n, .share = units->share}));
	return gradient_open(&h->gradient, 0, h->weights.n);
}

int value_head_finish(struct value_head *h)
{
	gradient_close(&h->gradient);
	return gradient_finish(&h->gradient);
}

void value_head_forward(const struct value_head *h, const struct packing *b, const float *hidden,
                        float *value)
{
	int          D = h->weights.shape.width;
	const float *score = h->weights.data, bias = h->weights.data[D];

#pragma omp parallel for schedule(static)
	for (int i = 0; i < b->n_targets; i++)
		value[i] = row_dot(score, hidden + (size_t)b->row[i] * (size_t)D, D) + bias;
}

/* The gradient of one unit: its targets in order. */
static void value_head_backward_unit(struct value_head *h, const struct packing *b, int u,
                                     const float *hidden, const float *d_value, float *d_hidden)
{
	size_t       D = (size_t)h->weights.shape.width;
	uint32_t     unit = b->first_unit + (uint32_t)u;
	const float *score = h->weights.data;
	float       *slot = gradient_slot(&h->gradient, unit, 0, D + 1);

	memset(slot, 0, (D + 1) * sizeof *slot);
	for (int i = b->unit_target[u]; i < b->unit_target[u + 1]; i++) {
		const float *x = hidden + (size_t)b->row[i] * D;
		float       *dx = d_hidden + (size_t)b->row[i] * D, d = d_value[i];
		if (d == 0)
			continue;
		for (size_t j = 0; j < D; j++) {
			slot[j] += d * x[j];
			dx[j] += d * score[j];
		}
		slot[D] += d;
	}
	gradient_merge(&h->gradient, unit, 0, D + 1);
}

void value_head_backward(struct value_head *h, const struct packing *b, const float *hidden,
                         const float *d_value, float *d_hidden)
{
	for (int u = 0; u < b->n_units; u++)
		value_head_backward_unit(h, b, u, hidden, d_value, d_hidden);
}
