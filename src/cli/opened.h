/* opened.h - a model folder, a checkpoint or a run opened for reading: weights, products,
 * tokenizer.
 *
 * A folder that holds a LoRA adapter alone is opened as the model that its adapter_config.json
 * names with the adapter beside it; `base` says where that model lies now, when it is not NULL. */
#ifndef CLI_OPENED_H
#define CLI_OPENED_H

#include "math/compute_options.h"
#include "model/folder.h"
#include "model/generation.h"
#include "model/transformer.h"
#include "text/tokenizer.h"

struct opened {
	struct matmul    *mm;
	struct model     *model;
	struct tokenizer *tokenizer;
	char             *path;  /* of the folder: the newest checkpoint's when a run was named */
	char             *base;  /* of the folder of the model: the same, but for an adapter */
	struct arena      arena; /* what generation_config.json says */
};

/* strict f32 on all cores; frozen */
int opened_new(const char *path, const char *base, struct opened *out);
/* frozen, computed with as a config would say */
int  opened_as(const char *path, const char *base, const struct compute_options *how,
               struct opened *out);
int  opened_tokenizer(const char *path, struct opened *out); /* the tokenizer alone */
void opened_free(struct opened *o);

/* How completions are sampled where the command line does not say: as the model's
 * generation_config.json says (generation.h). */
int opened_generation(struct opened *o, struct generation *out);

/* "caution: ..." on standard error about what of it is not applied, and about `samples` of one
 * prompt that will be the same. */
void opened_cautions(const struct generation *g, const struct sampling *s, int samples);

#endif
