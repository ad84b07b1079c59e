#include "rl/reference.h"

#include "base/error.h"
#include "model/safetensors.h"

int reference_check(const struct reference_options *o, const struct model *policy,
                    const struct model *reference)
{
	if (!o->sync || !reference)
		return OK;
	if (policy->adapter)
		return error_set(ERR_INPUT, "the reference cannot follow an adapter: leave "
		                            "model.sync_ref_model out, or train all weights");
	if (reference->weights.n != policy->weights.n ||
	    reference->weights.n_tensors != policy->weights.n_tensors)
		return error_set(ERR_INPUT, "the reference has another shape than the model and "
		                            "cannot follow it: leave model.sync_ref_model out");
	return OK;
}

int reference_follow(const struct reference_options *o, const struct model *policy,
                     struct model *reference, int step)
{
	const float *from = policy->weights.data, mix = (float)o->alpha, keep = 1 - mix;
	float       *to;

	if (!o->sync || !reference || step % o->every)
		return OK;
	to = reference->weights.data;
#pragma omp parallel for
	for (size_t i = 0; i < reference->weights.n; i++) {
		float kept = keep * to[i], mixed = mix * from[i];
		to[i] = kept + mixed;
	}
	return model_repack(reference);
}

int reference_save(const struct model *reference, const char *path)
{
	const struct weights    *w = &reference->weights;
	struct safetensors_item *items;
	struct arena             a = {0};
	int status = arena_take(&a, (size_t)w->n_tensors, "the tensors of the reference", &items);

	for (int i = 0; status == OK && i < w->n_tensors; i++) {
		const struct tensor *t = &w->tensors[i];
		items[i] =
		        (struct safetensors_item){.name = t->name,
		                                  .n_dims = t->n_dims,
		                                  .dims = {(uint64_t)t->rows, (uint64_t)t->columns},
		                                  .data = w->data + t->offset};
	}
	if (status == OK)
		status = weights_check_finite(w);
	if (status == OK)
		status = safetensors_write(path, SAFETENSORS_F32, items, (size_t)w->n_tensors);
	arena_free(&a);
	return status;
}

static int reference_load_all(const struct safetensors *s, struct weights *w)
{
	if (s->n != (size_t)w->n_tensors)
		return error_set(ERR_INPUT, "%s: %zu tensors, where the reference has %d", s->path,
		                 s->n, w->n_tensors);
	for (int i = 0; i < w->n_tensors; i++) {
		const struct tensor            *t = &w->tensors[i];
		const struct safetensors_entry *e = safetensors_find(s, t->name);
		if (!e || e->type != SAFETENSORS_F32 || e->n_dims != t->n_dims ||
		    e->dims[0] != (uint64_t)t->rows || e->count != t->count)
			return error_set(ERR_INPUT,
			                 "%s: the tensor %s is missing, or of another type or "
			                 "shape than the reference has",
			                 s->path, t->name);
		TRY(safetensors_read(s, e, w->data + t->offset));
	}
	return OK;
}

int reference_load(struct model *reference, const char *path)
{
	struct safetensors s;
	int                status;

	TRY(safetensors_open(path, &s));
	status = reference_load_all(&s, &reference->weights);
	safetensors_close(&s);
	if (status == OK)
		status = weights_check_finite(&reference->weights);
	return status == OK ? model_repack(reference) : error_context("%s", path);
}
