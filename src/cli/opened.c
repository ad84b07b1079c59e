#include "cli/opened.h"

#include "base/error.h"
#include "base/threads.h"
#include "run/checkpoint.h"

#include <string.h>

int opened_tokenizer(const char *path, struct opened *o)
{
	struct arena a = {0};
	char        *folder;
	int          status;

	*o = (struct opened){0};
	status = checkpoint_resolve(path, &a, &folder);
	if (status == OK) {
		o->path = mem_text(folder, strlen(folder));
		status = o->path ? tokenizer_load(o->path, &o->tokenizer) : ERR_INPUT;
	}
	arena_free(&a);
	return status;
}

int opened_new(const char *path, struct opened *o)
{
	struct model_shape shape;
	struct weights     w = {0};
	int                status;

	threads_set(0);
	TRY(opened_tokenizer(path, o));
	TRY(matmul_new(&(struct matmul_options){"auto", "f32", "strict"}, &o->mm));
	TRY(folder_read_shape(o->path, &shape));
	status = folder_read_weights(o->path, &shape, &w);
	if (status == OK)
		status = model_new(&w, o->mm, 0, &o->model);
	weights_free(&w);
	return status;
}

int opened_sampling(const struct opened *o, struct sampling *out)
{
	struct folder_generation g = {.do_sample = 1, .temperature = 1, .top_p = 1};

	TRY(folder_read_generation(o->path, &g));
	*out = (struct sampling){g.do_sample ? (float)g.temperature : 0, g.top_k, (float)g.top_p, (float)g.min_p};
	return OK;
}

void opened_free(struct opened *o)
{
	model_free(o->model);
	matmul_free(o->mm);
	tokenizer_free(o->tokenizer);
	mem_free(o->path);
	*o = (struct opened){0};
}
