#include "cli/opened.h"

#include "base/error.h"
#include "base/gguf.h"
#include "base/terminal.h"
#include "base/threads.h"
#include "model/adapter_folder.h"
#include "rl/job_order.h"
#include "run/checkpoint.h"

#include <stdio.h>
#include <string.h>

static int resolve(const char *path, char **out)
{
	struct arena a = {0};
	char        *folder;
	int          status = checkpoint_resolve(path, &a, &folder);

	*out = NULL;
	if (status == OK)
		status = mem_copy(folder, strlen(folder), out);
	arena_free(&a);
	return status;
}

int opened_tokenizer(const char *path, struct opened *o)
{
	*o = (struct opened){0};
	TRY(resolve(path, &o->path));
	return tokenizer_load(o->path, &o->tokenizer);
}

/* Finds the model's folder; an adapter's options go to *out. */
static int open_base(struct opened *o, const char *base, struct arena *a,
                     struct adapter_options *out)
{
	const char *name;
	int         is_adapter;

	TRY(adapter_folder_is(o->path, &is_adapter));
	if (!is_adapter)
		return base ? error_set(ERR_INPUT, "%s: --base is for adapters, and this is none",
		                        o->path)
		            : resolve(o->path, &o->base);
	TRY(adapter_folder_read_options(o->path, out, a, &name));
	if (!base && !file_is_folder(name) && !gguf_is(name))
		return error_set(ERR_INPUT,
		                 "%s: the adapter's model is \"%s\", which is no folder here; name "
		                 "its folder or GGUF file with --base",
		                 o->path, name);
	return resolve(base ? base : name, &o->base);
}

/* An adapter comes with a tokenizer or uses its model's. */
static int opened_open_tokenizer(struct opened *o, struct arena *a)
{
	const char *own;

	TRY(file_path(a, o->path, "tokenizer.json", &own));
	return tokenizer_load(file_exists(own) ? o->path : o->base, &o->tokenizer);
}

static int open_model(struct opened *o)
{
	struct model_shape shape;
	struct weights     w = {0};
	int                status;

	TRY(folder_read_shape(o->base, &shape));
	status = folder_read_weights(o->base, &shape, &w);
	if (status == OK)
		status = model_new(&w, o->mm, 0, &o->model);
	weights_free(&w);
	return status;
}

/* A run in bf16 is read in the order in which it learned, unless another one is asked for. */
static int opened_products(struct opened *o, struct matmul_options options)
{
	const char *order = NULL;

	if (!strcmp(options.precision, "bf16") && !strcmp(options.order, "auto"))
		TRY(job_order_recorded(o->path, &order));
	options.order = order ? order : options.order;
	return matmul_new(&options, &o->mm);
}

static int opened_open_all(struct opened *o, const char *base, const struct matmul_options *options,
                           struct arena *a)
{
	struct adapter_options adapter = {0};

	TRY(open_base(o, base, a, &adapter));
	TRY(opened_open_tokenizer(o, a));
	TRY(opened_products(o, *options));
	TRY(open_model(o));
	return adapter.rank ? adapter_folder_read(o->path, &adapter, &o->model->weights, o->mm, 0,
	                                          &o->model->adapter)
	                    : OK;
}

int opened_new(const char *path, const char *base, struct opened *o)
{
	return opened_as(path, base,
	                 &(struct compute_options){.matmul = {"auto", "f32", "strict", NULL, NULL}},
	                 o);
}

int opened_as(const char *path, const char *base, const struct compute_options *how,
              struct opened *o)
{
	struct arena a = {0};
	int          status;

	*o = (struct opened){0};
	TRY(threads_set(how->threads));
	status = resolve(path, &o->path);
	if (status == OK)
		status = opened_open_all(o, base, &how->matmul, &a);
	arena_free(&a);
	return status;
}

int opened_generation(struct opened *o, struct generation *out)
{
	return generation_read(o->base, &o->arena, out);
}

void opened_cautions(const struct generation *g, const struct sampling *s, int samples)
{
	if (*g->not_done)
		terminal_print(stderr,
		               "caution: generation_config.json asks for what hone does not do, "
		               "and it is left out: %s\n",
		               g->not_done);
	if (s->temperature == 0 && samples > 1)
		terminal_print(stderr,
		               "caution: temperature 0 is greedy, so the %d samples of a prompt "
		               "are all the same; --temperature 1 draws them\n",
		               samples);
}

void opened_free(struct opened *o)
{
	model_free(o->model);
	matmul_free(o->mm);
	tokenizer_free(o->tokenizer);
	mem_free(o->path);
	mem_free(o->base);
	arena_free(&o->arena);
	*o = (struct opened){0};
}
