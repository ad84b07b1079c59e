/* hone merge ADAPTER OUT [--base FOLDER] [--dtype f32|bf16|f16]: a model folder whose weights are W
 * + s B A.
 *
 * ADAPTER is a folder in PEFT's layout, a checkpoint or a run. --base names the folder of its model
 * where adapter_config.json does not. The sum is rounded once to f32; another --dtype rounds it
 * again and may lose what a short training changed. */
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/opened.h"

#include <stdio.h>

static int write_merged(struct opened *o, const char *out, enum safetensors_type type)
{
	struct model *m = o->model;

	if (!m->adapter)
		return error_set(ERR_INPUT,
		                 "%s: it is a model already, there is no adapter to merge",
		                 o->path);
	adapter_merge(m->adapter, &m->weights);
	TRY(folder_write(out, &m->weights, type, o->base));
	TRY(tokenizer_save(o->tokenizer, out));
	terminal_print(stdout, "%s: %s with %zu weights of the adapter %s merged\n", out, o->base,
	               m->adapter->weights.n, o->path);
	return OK;
}

int command_merge(const struct command *self, int argc, char **argv)
{
	const char              *base = NULL, *dtype = "f32";
	enum safetensors_type    type;
	struct opened            o;
	int                      n, status;
	const struct option_word words[] = {
	        {"--base FOLDER", &base, NULL, NULL,
	         "where the model of an adapter lies, when adapter_config.json does not say"},
	        {"--dtype TYPE", &dtype, NULL, NULL,
	         "of the weights in the file: f32, bf16 or f16; the last two round once more"}};

	TRY(options_read(self, argc, argv, words, 2, &n));
	if (n != 2)
		return options_usage(self);
	TRY(options_dtype(dtype, &type));
	TRY(options_new_folder(argv[1]));
	status = opened_new(argv[0], base, &o);
	if (status == OK)
		status = write_merged(&o, argv[1], type);
	opened_free(&o);
	return status;
}
