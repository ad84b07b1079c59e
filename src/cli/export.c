/* hone export MODEL OUT.gguf [--dtype f32|f16|bf16|q8_0] [--merged]: the model as one GGUF file,
 * for llama.cpp and what is built on it; an adapter as a GGUF adapter, or merged into its model.
 *
 * hone export MODEL FOLDER [--dtype f32|f16|bf16]: the same as a folder in the Hugging Face layout.
 *
 * MODEL is a folder, a checkpoint, a run, a GGUF file or an adapter. What is written appears whole
 * or not at all, and never in the place of something else. */
#include "base/gguf.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/opened.h"
#include "model/gguf_model.h"
#include "model/gguf_quant.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct export
{
	struct opened model;
	const char   *out, *dtype;
	int           merged;
};

/* The last part of a path, without .gguf: what the model is called in the file. */
static int export_name(const char *path, struct arena *a, const char **out)
{
	const char *slash = strrchr(path, '/');
	size_t      n;

	path = slash && slash[1] ? slash + 1 : path;
	n = strlen(path);
	return arena_copy(a, path, n > 5 && !strcmp(path + n - 5, ".gguf") ? n - 5 : n, out);
}

static int export_to_gguf(struct export *e, struct arena *a, struct gguf_out *values)
{
	const struct model        *m = e->model.model;
	const struct model_shape  *s = &m->weights.shape;
	const struct tokenizer_ids ids = {s->n_vocab, s->bos, s->eos, s->n_eos};
	const char                *name;
	uint32_t                   type;
	char                       upper[16];

	snprintf(upper, sizeof upper, "%.15s", e->dtype);
	for (char *c = upper; *c; c++)
		*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
	if (!gguf_quant_writes(upper, &type))
		return error_set(
		        ERR_INPUT,
		        "--dtype %s: a GGUF file is written as f32, f16, bf16 or q8_0; for "
		        "smaller types give an f32 file to llama.cpp's quantizer",
		        e->dtype);
	TRY(gguf_model_check(s));
	TRY(export_name(e->model.path, a, &name));
	if (m->adapter)
		return gguf_adapter_write(e->out, m->adapter, s, name, type);
	gguf_model_values(s, name, type, values);
	TRY(tokenizer_gguf_values(e->model.tokenizer, &ids, values));
	return gguf_model_write(e->out, &m->weights, type, values);
}

/* Aside, then renamed. */
static int export_to_folder(struct export *e, struct arena *a)
{
	const struct model   *m = e->model.model;
	enum safetensors_type type;
	const char           *part;
	int                   status;

	TRY(options_dtype(e->dtype, &type));
	if (m->adapter)
		return error_set(ERR_INPUT,
		                 "%s holds an adapter, which is a folder already; --merged exports "
		                 "its model with it",
		                 e->model.path);
	TRY(arena_print(a, &part, "%s.part", e->out));
	TRY(file_remove_folder(part));
	status = folder_write(part, &m->weights, type, e->model.base);
	if (status == OK)
		status = tokenizer_save(e->model.tokenizer, part);
	if (status == OK)
		status = file_sync(part);
	if (status == OK && rename(part, e->out) != 0)
		status = error_system(e->out, "give it its name");
	return status;
}

static int export_write(struct export *e)
{
	struct model   *m = e->model.model;
	struct gguf_out values = {0};
	struct arena    a = {0};
	uint64_t        bytes;
	int             status, is_gguf = gguf_is(e->out);

	if (m->adapter && e->merged) {
		adapter_merge(m->adapter, &m->weights);
		adapter_free(m->adapter);
		m->adapter = NULL;
	}
	status = is_gguf ? export_to_gguf(e, &a, &values) : export_to_folder(e, &a);
	gguf_out_free(&values);
	arena_free(&a);
	TRY(status);
	TRY(file_size(e->out, &bytes));
	if (is_gguf)
		terminal_print(stdout, "%s: %s of %s as %s, %.1f MB\n", e->out,
		               m->adapter ? "the adapter" : "the model", e->model.path, e->dtype,
		               (double)bytes * 1e-6);
	else
		terminal_print(stdout, "%s: the model of %s as %s\n", e->out, e->model.path,
		               e->dtype);
	return OK;
}

int command_export(const struct command *self, int argc, char **argv)
{
	struct export e = {.dtype = "f32"};
	const char              *base = NULL;
	int                      n, status;
	const struct option_word words[] = {
	        {"--dtype TYPE", &e.dtype, NULL, NULL,
	         "of the weights in the file: f32, bf16 or f16, in a GGUF file also q8_0"},
	        {"--merged", NULL, NULL, &e.merged,
	         "an adapter is added to its model, and the model is written"},
	        {"--base FOLDER", &base, NULL, NULL,
	         "where the model of an adapter lies, when adapter_config.json does not say"}};

	TRY(options_read(self, argc, argv, words, 3, &n));
	if (n != 2)
		return options_usage(self);
	e.out = argv[1];
	if (file_exists(e.out))
		return error_set(ERR_INPUT,
		                 "%s is there already; name another file or folder, or remove it",
		                 e.out);
	status = opened_new(argv[0], base, &e.model);
	if (status == OK)
		status = export_write(&e);
	opened_free(&e.model);
	return status;
}
