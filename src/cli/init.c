/* hone init --like SHAPE OUT [--tokenizer FOLDER] [--layers N] [--dtype bf16|f16|f32] [--seed S]: a
 * model folder with random weights of a published shape.
 *
 * With --tokenizer its files come along, and the token that it names as the end of a text is the
 * one that ends a completion, unless the shape has it already. --layers makes a shallower model,
 * for trials. */
#include "base/gguf.h"
#include "base/terminal.h"
#include "base/threads.h"
#include "cli/command.h"
#include "model/folder.h"
#include "model/published.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <string.h>

struct init {
	const char *like, *tokenizer, *dtype;
	int         layers, seed;
};

static int has_end(const struct model_shape *s, int id)
{
	for (int i = 0; i < s->n_eos; i++)
		if (s->eos[i] == id)
			return 1;
	return 0;
}

static int fit_tokenizer(const char *folder, struct model_shape *s)
{
	struct tokenizer *t;
	int               status = OK, eos;

	TRY(tokenizer_load(folder, &t));
	if (tokenizer_size(t) > s->n_vocab)
		status = error_set(
		        ERR_INPUT,
		        "%s: its tokenizer has ids up to %d, but the shape's vocabulary is %d",
		        folder, tokenizer_size(t) - 1, s->n_vocab);
	eos = tokenizer_role(t, "eos");
	if (eos >= 0 && !has_end(s, eos)) {
		memset(s->eos, 0, sizeof s->eos);
		s->eos[0] = eos;
		s->n_eos = 1;
		s->bos = tokenizer_role(t, "bos");
	}
	tokenizer_free(t);
	return status;
}

/* That of a GGUF file has no files to copy. */
static int copy_gguf_tokenizer(const char *path, const char *folder)
{
	struct tokenizer *t;
	int               status;

	TRY(tokenizer_load(path, &t));
	status = tokenizer_save(t, folder);
	tokenizer_free(t);
	return status;
}

static int write_model(const struct init *o, const char *folder, const struct model_shape *s,
                       enum safetensors_type type)
{
	struct weights w;
	int            status;

	TRY(weights_new(s, &w));
	weights_init(&w, (uint64_t)o->seed);
	status = folder_write(folder, &w, type, o->tokenizer);
	if (status == OK && o->tokenizer && gguf_is(o->tokenizer))
		status = copy_gguf_tokenizer(o->tokenizer, folder);
	if (status == OK)
		terminal_print(stdout, "%s: %zu random weights like %s%s\n", folder, w.n, o->like,
		               o->tokenizer ? "" : "; no tokenizer: name one in model.tokenizer");
	weights_free(&w);
	return status;
}

static int init_run(const struct init *o, const char *folder)
{
	const struct model_shape *known = published_shape(o->like);
	struct model_shape        s;
	enum safetensors_type     type;

	if (!known)
		return ERR_INPUT; /* published_shape names those that there are */
	s = *known;
	s.n_layers = o->layers ? o->layers : s.n_layers;
	TRY(options_dtype(o->dtype, &type));
	TRY(options_new_folder(folder));
	if (o->tokenizer)
		TRY(fit_tokenizer(o->tokenizer, &s));
	TRY(threads_set(0));
	return write_model(o, folder, &s, type);
}

int command_init(const struct command *self, int argc, char **argv)
{
	struct init              o = {.dtype = "bf16"};
	int                      n;
	const struct option_word words[] = {
	        {"--like SHAPE", &o.like, NULL, NULL,
	         "a published model, such as SmolLM2-135M; an unknown name is answered with all of "
	         "them"},
	        {"--tokenizer FOLDER", &o.tokenizer, NULL, NULL,
	         "the tokenizer in this folder comes along, and its end token ends a completion"},
	        {"--dtype TYPE", &o.dtype, NULL, NULL,
	         "of the weights in the file: bf16, f16 or f32"},
	        {"--layers N", NULL, &o.layers, NULL,
	         "only so many layers, for trials; 0: all of the shape"},
	        {"--seed S", NULL, &o.seed, NULL, "another seed gives other weights"}};

	TRY(options_read(self, argc, argv, words, 5, &n));
	if (n != 1 || !o.like)
		return options_usage(self);
	return init_run(&o, argv[0]);
}
