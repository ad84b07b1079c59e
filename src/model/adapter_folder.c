#include "model/adapter_folder.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

#include <string.h>

static const size_t config_max = 16 << 20;
static const char   config_name[] = "adapter_config.json",
                  weights_name[] = "adapter_model.safetensors";

int adapter_folder_is(const char *folder, int *is)
{
	struct arena a = {0};
	const char  *path;
	int          status = file_path(&a, folder, config_name, &path);

	if (status == OK)
		status = file_there(path, is);
	arena_free(&a);
	return status;
}

/* ---- adapter_config.json ---- */

/* Settings that would change what is computed, unless they are switched off. */
static const struct adapter_folder_refusal {
	const char *key, *what;
} refusals[] = {
        {"use_dora", "weight-decomposed adapters (DoRA)"},
        {"use_qalora", "quantised adapters (QALoRA)"},
        {"lora_bias", "biases in the adapter"},
        {"modules_to_save", "modules trained beside the adapter"},
        {"layers_to_transform", "adapters for some layers only"},
        {"layers_pattern", "adapters for some layers only"},
        {"exclude_modules", "adapters for some layers only"},
        {"rank_pattern", "other ranks for some layers"},
        {"alpha_pattern", "other scales for some layers"},
        {"layer_replication", "layers that stand more than once"},
        {"target_parameters", "adapters of bare parameters"},
        {"trainable_token_indices", "trained rows of the embedding"},
        {"alora_invocation_tokens", "adapters that a text switches on"},
        {"megatron_config", "parallel layers"},
};

static int adapter_folder_is_off(const json_t *v)
{
	return !v || json_is_null(v) || json_is_false(v) ||
	       (json_is_object(v) && json_object_size(v) == 0) ||
	       (json_is_array(v) && json_array_size(v) == 0);
}

/* Initialisations that leave the base as it is; others subtract from it what they put into the
 * adapter. */
static int keeps_base(const json_t *init)
{
	const char *name = json_string_value(init);

	return !init || json_is_boolean(init) || json_is_null(init) ||
	       (name && (!strcmp(name, "gaussian") || !strcmp(name, "eva")));
}

/* Variants of LoRA that change the product, or the base model, must not be read as plain LoRA.
 * */
static int adapter_folder_check_refusals(const char *place, const json_t *config)
{
	const char *bias = "none";

	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
		if (!adapter_folder_is_off(json_object_get(config, refusals[i].key)))
			return error_set(ERR_INPUT, "%s: \"%s\" is set, but %s: not supported",
			                 place, refusals[i].key, refusals[i].what);
	TRY(json_get_text(place, config, "bias", JSON_OPTIONAL, &bias));
	if (strcmp(bias, "none"))
		return error_set(ERR_INPUT, "%s: \"bias\" is \"%.32s\", only \"none\" is supported",
		                 place, bias);
	if (!keeps_base(json_object_get(config, "init_lora_weights")))
		return error_set(ERR_INPUT,
		                 "%s: \"init_lora_weights\" is one that changes the base model; "
		                 "convert the adapter to plain LoRA",
		                 place);
	return OK;
}

/* A list of projections, or "all-linear"; PEFT's patterns are refused. */
static int read_targets(const char *place, const json_t *config, unsigned *targets)
{
	const json_t *list = json_object_get(config, "target_modules");

	*targets = 0;
	if (json_is_string(list)) {
		if (!strcmp(json_string_value(list), "all-linear")) {
			*targets = (1u << ADAPTER_TARGETS) - 1;
			return OK;
		}
		return error_set(ERR_INPUT,
		                 "%s: \"target_modules\" is a pattern; write the list of the "
		                 "projections that it stands for",
		                 place);
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));
		unsigned    bit;
		if (adapter_target(name ? name : "", &bit) != OK)
			return error_context("%s: \"target_modules\"", place);
		*targets |= bit;
	}
	return OK;
}

/* Whether the adapted weights are GPT-2's, which PEFT marks as transposed; A and B are not. */
static int adapter_lies_transposed(const struct adapter_options *o)
{
	int found = 0;

	for (int i = 0; i < ADAPTER_TARGETS; i++)
		found |= (o->targets >> i & 1) && !strncmp(adapter_target_name[i], "c_", 2);
	return found;
}

/* Rank, alpha, rsLoRA and targets, as PEFT writes them. */
static int read_options(const char *place, const json_t *config, struct adapter_options *o,
                        const char **base)
{
	const char *type;
	int64_t     rank;

	*o = (struct adapter_options){0};
	TRY(json_get_text(place, config, "peft_type", JSON_REQUIRED, &type));
	if (strcmp(type, "LORA"))
		return error_set(ERR_INPUT,
		                 "%s: \"peft_type\" is \"%.32s\", only \"LORA\" is supported",
		                 place, type);
	TRY(adapter_folder_check_refusals(place, config));
	TRY(json_get_int(place, config, "r", JSON_REQUIRED, json_range(1, ADAPTER_RANK_MAX),
	                 &rank));
	TRY(json_get_real(place, config, "lora_alpha", JSON_REQUIRED, &o->alpha));
	TRY(json_get_bool(place, config, "use_rslora", JSON_OPTIONAL, &o->rslora));
	TRY(read_targets(place, config, &o->targets));
	if (!adapter_folder_is_off(json_object_get(config, "fan_in_fan_out")) &&
	    !adapter_lies_transposed(o))
		return error_set(ERR_INPUT,
		                 "%s: \"fan_in_fan_out\" is set, but weights that lie transposed: "
		                 "not supported for these \"target_modules\"",
		                 place);
	TRY(json_get_text(place, config, "base_model_name_or_path", JSON_OPTIONAL, base));
	o->rank = (int)rank;
	return adapter_check(o) == OK ? OK : error_context("%s", place);
}

int adapter_folder_read_options(const char *folder, struct adapter_options *out, struct arena *a,
                                const char **base)
{
	const char *path, *name = "";
	json_t     *config;
	int         status;

	TRY(file_path(a, folder, config_name, &path));
	TRY(json_read(path, config_max, &config));
	status = read_options(path, config, out, &name);
	if (status == OK)
		status = arena_copy(a, name, strlen(name), base);
	json_decref(config);
	return status;
}

/* ---- adapter_model.safetensors ---- */

static int adapter_folder_load_tensor(const struct safetensors *s, const struct tensor *t,
                                      float *data)
{
	const struct safetensors_entry *e = safetensors_find(s, t->name);

	if (!e)
		return error_set(ERR_INPUT,
		                 "%s: tensor \"%s\" is missing; do adapter_config.json and the "
		                 "model belong to it?",
		                 s->path, t->name);
	if (e->n_dims != 2 || e->dims[0] != (uint64_t)t->rows || e->dims[1] != (uint64_t)t->columns)
		return error_set(ERR_INPUT,
		                 "%s: tensor \"%s\" holds %llu numbers in %d dimensions, but "
		                 "adapter_config.json and the model make it [%d, %d]",
		                 s->path, t->name, (unsigned long long)e->count, e->n_dims, t->rows,
		                 t->columns);
	return safetensors_read(s, e, data + t->offset);
}

static int load_tensors(const struct safetensors *s, const struct weights *w)
{
	for (int i = 0; i < w->n_tensors; i++)
		TRY(adapter_folder_load_tensor(s, &w->tensors[i], w->data));
	for (size_t i = 0; i < s->n; i++)
		if (!weights_find(w, s->entries[i].name))
			return error_set(ERR_INPUT,
			                 "%s: tensor \"%.96s\" is not part of the adapter that "
			                 "adapter_config.json describes",
			                 s->path, s->entries[i].name);
	return weights_check_finite(w) == OK ? OK : error_context("%s", s->path);
}

/* A config that asks for more weights than the file has bytes does not get to allocate them. */
static int adapter_folder_check_bytes(const char *folder, const struct adapter_options *o,
                                      const struct weights *base)
{
	struct arena a = {0};
	const char  *path;
	uint64_t     bytes;
	int          status = file_path(&a, folder, weights_name, &path);

	if (status == OK)
		status = file_size(path, &bytes);
	if (status == OK && adapter_count(o, base) > bytes)
		status = error_set(ERR_INPUT,
		                   "%s: adapter_config.json asks for %zu weights, but the file "
		                   "holds %llu bytes",
		                   path, adapter_count(o, base), (unsigned long long)bytes);
	arena_free(&a);
	return status;
}

int adapter_folder_load(const char *folder, struct adapter *adapter)
{
	struct arena       a = {0};
	struct safetensors s;
	const char        *path;
	int                status = file_path(&a, folder, weights_name, &path);

	if (status == OK)
		status = safetensors_open(path, &s);
	if (status == OK) {
		status = load_tensors(&s, &adapter->weights);
		safetensors_close(&s);
	}
	arena_free(&a);
	return status == OK ? adapter_pack(adapter) : status;
}

int adapter_folder_read(const char *folder, const struct adapter_options *o,
                        const struct weights *base, struct matmul *mm, int for_backward,
                        struct adapter **out)
{
	struct adapter *adapter;
	int             status;

	TRY(adapter_folder_check_bytes(folder, o, base));
	TRY(adapter_new(o, base, mm, for_backward, &adapter));
	status = adapter_folder_load(folder, adapter);
	if (status == OK)
		*out = adapter;
	else
		adapter_free(adapter);
	return status;
}

/* ---- writing ---- */

static void adapter_folder_format_config(struct text *t, const struct adapter_options *o,
                                         const char *base)
{
	const char *comma = "";

	text_print(t, "{\n  \"peft_type\": \"LORA\",\n  \"task_type\": \"CAUSAL_LM\",\n  "
	              "\"base_model_name_or_path\": ");
	json_add_string(t, base, strlen(base));
	text_print(t, ",\n  \"r\": %d,\n  \"lora_alpha\": ", o->rank);
	json_add_real(t, o->alpha);
	text_print(t, ",\n  \"use_rslora\": %s,\n  \"target_modules\": [",
	           o->rslora ? "true" : "false");
	for (int i = 0; i < ADAPTER_TARGETS; i++)
		if (o->targets >> i & 1) {
			text_print(t, "%s\"%s\"", comma, adapter_target_name[i]);
			comma = ", ";
		}
	text_print(t,
	           "],\n  \"lora_dropout\": 0.0,\n  \"bias\": \"none\",\n  "
	           "\"init_lora_weights\": true,\n  \"fan_in_fan_out\": %s,\n"
	           "  \"inference_mode\": true\n}\n",
	           adapter_lies_transposed(o) ? "true" : "false");
}

static int adapter_folder_write_config(const char *path, const struct adapter_options *o,
                                       const char *base)
{
	struct text t = {0};
	int         status;

	adapter_folder_format_config(&t, o, base);
	status = text_write(&t, path);
	text_free(&t);
	return status;
}

static int adapter_folder_write_weights(const char *path, const struct weights *w,
                                        enum safetensors_type type, struct arena *a)
{
	struct safetensors_item *items;

	TRY(arena_take(a, (size_t)w->n_tensors, "the tensors of a file", &items));
	for (int i = 0; i < w->n_tensors; i++) {
		const struct tensor *t = &w->tensors[i];
		items[i] =
		        (struct safetensors_item){.name = t->name,
		                                  .n_dims = 2,
		                                  .dims = {(uint64_t)t->rows, (uint64_t)t->columns},
		                                  .data = w->data + t->offset};
	}
	return safetensors_write(path, type, items, (size_t)w->n_tensors);
}

static int adapter_folder_write_all(const char *folder, const struct adapter *adapter,
                                    enum safetensors_type type, const char *base, struct arena *a)
{
	const char *config, *weights;

	TRY(weights_check_finite(&adapter->weights));
	TRY(file_make_folders(folder));
	TRY(file_path(a, folder, config_name, &config));
	TRY(file_path(a, folder, weights_name, &weights));
	TRY(adapter_folder_write_config(config, &adapter->options, base));
	return adapter_folder_write_weights(weights, &adapter->weights, type, a);
}

int adapter_folder_write(const char *folder, const struct adapter *adapter,
                         enum safetensors_type type, const char *base)
{
	struct arena a = {0};
	int          status = adapter_folder_write_all(folder, adapter, type, base, &a);

	arena_free(&a);
	return status;
}
