/* The model of a job: its tokenizer, weights, adapter, and the frozen reference. */
#include "rl/job_learner.h"

#include "base/error.h"
#include "model/adapter_folder.h"
#include "model/folder.h"
#include "rl/reference.h"
#include "run/checkpoint.h"
#include "text/tokenizer.h"

#include <string.h>

static void mark_characters(const char *s, unsigned char *seen)
{
	for (; s && *s; s++)
		seen[(unsigned char)*s] = 1;
}

static void mark_problem(const struct problem *p, int with_hint, unsigned char *seen)
{
	mark_characters(p->prompt, seen);
	mark_characters(p->answer, seen);
	for (int i = 0; i < p->n_demonstrations; i++)
		mark_characters(p->demonstrations[i], seen);
	if (with_hint)
		mark_characters(p->hint, seen);
}

/* The characters of all problems, in the order of their codes. */
static int collect_alphabet(const struct job_data *data, char *out)
{
	unsigned char seen[256] = {0};
	int n = 0, hints = data->config->sft.hint_rate > 0 || data->config->guidance.guide;

	if (hints)
		mark_characters(data->config->guidance.template, seen);

	for (int i = 0; i < data->train.n; i++)
		mark_problem(&data->train.problems[i], hints, seen);
	for (int i = 0; i < data->eval.n; i++)
		mark_problem(&data->eval.problems[i], hints, seen);
	for (int c = 1; c < 256; c++) {
		if (seen[c] && c >= 128)
			return error_set(ERR_INPUT,
			                 "%s: model.tokenizer: the problems hold characters beyond "
			                 "ASCII; name the alphabet: chars:ALPHABET",
			                 config_where(&data->config->base, "model.tokenizer"));
		if (seen[c])
			out[n++] = (char)c;
	}
	out[n] = 0;
	return OK;
}

static int job_model_open_tokenizer(const struct job_data *data, struct job_learner *l)
{
	static const struct tokenizer_special specials[] = {
	        {"pad", "<pad>"}, {"eos", "<eos>"}, {"unk", "<unk>"}};
	const char *name = l->config->model.tokenizer;
	char        alphabet[256];

	if (!strcmp(name, "chars")) {
		TRY(collect_alphabet(data, alphabet));
		return tokenizer_chars(alphabet, specials, 3, &l->tokenizer);
	}
	if (!strncmp(name, "chars:", 6))
		return tokenizer_chars(name + 6, specials, 3, &l->tokenizer) == OK
		               ? OK
		               : error_context("%s: model.tokenizer",
		                               config_where(&l->config->base, "model.tokenizer"));
	if (!*name && !l->model_folder)
		return error_set(ERR_INPUT,
		                 "%s: model.tokenizer: a model made from model.init needs one: "
		                 "chars (the characters of the problems), "
		                 "chars:ALPHABET or a folder",
		                 config_where(&l->config->base, "model.tokenizer"));
	return tokenizer_load(*name ? name : l->model_folder, &l->tokenizer);
}

static int init_weights(struct job_learner *l, struct weights *out)
{
	struct model_shape s = l->config->model.init;

	s.n_vocab = tokenizer_size(l->tokenizer);
	s.norm_eps = 1e-5;
	s.bos = tokenizer_role(l->tokenizer, "bos");
	s.eos[0] = tokenizer_role(l->tokenizer, "eos");
	s.n_eos = s.eos[0] >= 0;
	TRY(weights_new(&s, out));
	weights_init(out, (uint64_t)l->config->run.seed);
	return OK;
}

static int read_weights(const char *folder, struct weights *out)
{
	struct model_shape s;

	TRY(folder_read_shape(folder, &s));
	return folder_read_weights(folder, &s, out);
}

static int check_vocabulary(const struct job_learner *l, const struct model_shape *s)
{
	if (tokenizer_size(l->tokenizer) > s->n_vocab)
		return error_set(ERR_INPUT,
		                 "the tokenizer has ids up to %d, but the model's vocab_size is "
		                 "%d: they do not belong together",
		                 tokenizer_size(l->tokenizer) - 1, s->n_vocab);
	if (s->n_eos == 0)
		return error_set(ERR_INPUT,
		                 "the model has no eos_token_id: a completion could never end");
	return OK;
}

static int copy_weights(const struct weights *from, struct weights *to)
{
	TRY(weights_new(&from->shape, to));
	memcpy(to->data, from->data, from->n * sizeof *from->data);
	return OK;
}

/* The same weights, packed once for both, under another adapter or none. */
static int view_reference(struct job_learner *l, const char *adapter_folder)
{
	struct adapter_options o;
	struct adapter        *adapter = NULL;
	const char            *base;
	int                    status;

	if (adapter_folder) {
		TRY(adapter_folder_read_options(adapter_folder, &o, &l->arena, &base));
		TRY(adapter_folder_read(adapter_folder, &o, &l->model->weights, l->mm, 0,
		                        &adapter));
	}
	status = model_view(l->model, adapter, &l->reference);
	if (status != OK)
		adapter_free(adapter);
	return status;
}

static int copy_reference(struct job_learner *l, const char *folder)
{
	const struct weights *start = &l->model->weights;
	struct weights        w = {0};
	int                   status;

	TRY(folder ? read_weights(folder, &w) : copy_weights(start, &w));
	status = w.shape.n_vocab == start->shape.n_vocab
	                 ? model_new(&w, l->mm, 0, &l->reference)
	                 : error_set(ERR_INPUT, "model.reference: its vocabulary is not the "
	                                        "model's; log-probabilities could not be compared");
	weights_free(&w);
	return status;
}

/* The reference: a folder of its own, or what the run starts from (also after a resume):
 * `adapter` is the folder of the adapter that it goes on with, or NULL. Where an adapter learns,
 * only another model costs a second copy. */
static int open_reference(struct job_learner *l, const char *adapter)
{
	char *folder = NULL;
	int   is_adapter = 0, is_base;

	if (*l->config->model.reference)
		TRY(checkpoint_resolve(l->config->model.reference, &l->arena, &folder));
	if (folder)
		TRY(adapter_folder_is(folder, &is_adapter));
	is_base = folder && l->model_folder && !strcmp(folder, l->model_folder);
	if (is_adapter || (l->model->adapter && (!folder || is_base)))
		return view_reference(l, is_adapter ? folder : is_base ? NULL : adapter);
	return copy_reference(l, folder);
}

static int adapter_options(const struct job_learner *l, struct adapter_options *out)
{
	const struct model_options *c = &l->config->model;
	const unsigned              there = adapter_targets_in(&l->model->weights);

	*out = c->lora;
	if (c->lora_target_modules.n == 0)
		out->targets = there;
	for (int i = 0; i < c->lora_target_modules.n; i++) {
		unsigned bit;
		if (adapter_target(c->lora_target_modules.items[i], &bit) != OK)
			return error_context(
			        "%s: model.lora_target_modules",
			        config_where(&l->config->base, "model.lora_target_modules"));
		if (!(bit & there))
			return error_set(
			        ERR_INPUT,
			        "%s: model.lora_target_modules: this model has no "
			        "projection named \"%s\"; docs/models.md lists what each "
			        "kind has",
			        config_where(&l->config->base, "model.lora_target_modules"),
			        c->lora_target_modules.items[i]);
		out->targets |= bit;
	}
	return OK;
}

/* A new adapter, or one to go on with; *folder: where that lies, or NULL. */
static int open_adapter(struct job_learner *l, char **folder)
{
	const struct model_options *c = &l->config->model;
	struct model               *m = l->model;
	struct adapter_options      o;
	const char                 *base;

	if (*c->adapter && c->lora.rank)
		return error_set(ERR_INPUT,
		                 "%s: model.lora_r makes a new adapter, but model.adapter goes on "
		                 "with one, which has its rank; "
		                 "leave one of them out",
		                 config_where(&l->config->base, "model.lora_r"));
	if (*c->adapter) {
		TRY(checkpoint_resolve(c->adapter, &l->arena, folder));
		TRY(adapter_folder_read_options(*folder, &o, &l->arena, &base));
		return adapter_folder_read(*folder, &o, &m->weights, l->mm, 1, &m->adapter);
	}
	if (!c->lora.rank)
		return OK;
	TRY(adapter_options(l, &o));
	TRY(adapter_new(&o, &m->weights, l->mm, 1, &m->adapter));
	adapter_init(m->adapter, (uint64_t)l->config->run.seed);
	return adapter_pack(m->adapter);
}

static int open_weights(struct job_learner *l)
{
	const char    *folder = l->model_folder;
	struct weights w = {0};
	int            status, is_adapter = 0;

	if (folder)
		TRY(adapter_folder_is(folder, &is_adapter));
	if (is_adapter)
		return error_set(ERR_INPUT,
		                 "%s: model.path: %s holds an adapter; name it in model.adapter, "
		                 "and the model that it belongs to here",
		                 config_where(&l->config->base, "model.path"), folder);
	status = folder ? read_weights(folder, &w) : init_weights(l, &w);
	if (status == OK)
		status = check_vocabulary(l, &w.shape);
	if (status == OK)
		status = model_new(&w, l->mm, 1, &l->model);
	weights_free(&w);
	return status;
}

int job_model_open(const struct job_data *data, int reference, struct job_learner *l)
{
	const struct job_config *c = l->config;
	char                    *adapter = NULL;

	TRY(matmul_new(&c->compute.matmul, &l->mm));
	if (*c->model.path)
		TRY(checkpoint_resolve(c->model.path, &l->arena, &l->model_folder));
	TRY(job_model_open_tokenizer(data, l));
	TRY(open_weights(l));
	TRY(open_adapter(l, &adapter));
	if (reference)
		TRY(open_reference(l, adapter));
	return reference_check(&c->model.reference_sync, l->model, l->reference) == OK
	               ? OK
	               : error_context("%s", config_where(&c->base, "model.sync_ref_model"));
}
