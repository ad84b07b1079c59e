#include "model/folder.h"

#include "base/error.h"
#include "base/file.h"
#include "base/gguf.h"
#include "base/json.h"
#include "model/generation.h"
#include "model/gguf_model.h"
#include "model/kind.h"

#include <limits.h>
#include <math.h>
#include <string.h>

static const size_t config_max = 16 << 20, index_max = 32 << 20, tokenizer_max = 256 << 20;

enum { FILES_MAX = 1024 }; /* shards of one model */
enum { NO_ID = -1 };       /* what older configs write for a token that there is not */

/* ---- config.json ---- */

/* What config.json calls the numbers of a shape. */
static const struct folder_size {
	const char *key, *gpt2_key; /* NULL: there is none */
	int         required;
	size_t      at; /* in struct model_shape */
} sizes[] = {
        {"num_hidden_layers", "n_layer", JSON_REQUIRED, offsetof(struct model_shape, n_layers)},
        {"hidden_size", "n_embd", JSON_REQUIRED, offsetof(struct model_shape, width)},
        {"num_attention_heads", "n_head", JSON_REQUIRED, offsetof(struct model_shape, n_heads)},
        {"num_key_value_heads", NULL, JSON_OPTIONAL, offsetof(struct model_shape, n_kv_heads)},
        {"head_dim", NULL, JSON_OPTIONAL, offsetof(struct model_shape, head_width)},
        {"intermediate_size", NULL, JSON_REQUIRED, offsetof(struct model_shape, ff_width)},
        {NULL, "n_inner", JSON_OPTIONAL, offsetof(struct model_shape, ff_width)},
        {"vocab_size", "vocab_size", JSON_REQUIRED, offsetof(struct model_shape, n_vocab)},
        {"max_position_embeddings", "n_positions", JSON_OPTIONAL,
         offsetof(struct model_shape, n_positions)},
};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static const struct folder_real {
	const char *key;
	unsigned    with, without; /* parts of the kinds that have it */
	size_t      at;            /* in struct model_shape */
	int         may_lack;      /* null: there is none */
} reals[] = {
        {"rms_norm_eps", 0, PART_GPT2, offsetof(struct model_shape, norm_eps), 0},
        {"layer_norm_epsilon", PART_GPT2, 0, offsetof(struct model_shape, norm_eps), 0},
        {"embedding_multiplier", PART_SCALES, 0, offsetof(struct model_shape, scales.embedding), 0},
        {"residual_multiplier", PART_SCALES, 0, offsetof(struct model_shape, scales.residual), 0},
        {"attention_multiplier", PART_SCALES, 0, offsetof(struct model_shape, scales.score), 0},
        {"logits_scaling", PART_SCALES, 0, offsetof(struct model_shape, scales.logit_divisor), 0},
        {"query_pre_attn_scalar", PART_CAPS, 0, offsetof(struct model_shape, scales.query_width),
         0},
        {"attn_logit_softcapping", PART_CAPS, 0, offsetof(struct model_shape, scales.score_cap), 1},
        {"final_logit_softcapping", PART_CAPS, 0, offsetof(struct model_shape, scales.logit_cap),
         1},
};
enum { N_REALS = sizeof reals / sizeof *reals };

static int folder_has(const struct model_shape *s, const struct folder_real *r)
{
	unsigned parts = kind_of(s)->parts;

	return (parts & r->with) == r->with && !(parts & r->without);
}

/* Settings that would change what is computed, unless they are switched off; or, of some kinds, on.
 */
static const struct folder_refusal {
	const char *key, *what;
	unsigned    but_for; /* kinds with this part take no notice of the key */
} refusals[] = {
        {"attention_bias", "biases in the attention", PART_QKV_BIAS},
        {"attention_out_bias", "a bias behind the attention", 0},
        {"mlp_bias", "biases in the feed-forward part", 0},
        {"num_local_experts", "a mixture of experts", 0},
        {"num_experts", "a mixture of experts", 0},
        {"n_routed_experts", "a mixture of experts", 0},
        {"rope_interleaved", "rotary positions of neighbouring pairs", 0},
        {"use_bidirectional_attention", "attention to what is ahead", 0},
        {"scale_attn_by_inverse_layer_idx", "scores scaled by the layer", 0},
        {"add_cross_attention", "attention to another text", 0},
        {"quantization_config", "quantised weights", 0},
};
static const struct folder_demand {
	enum model_kind kind;
	const char     *key, *what;
} demands[] = {
        {MODEL_SEED_OSS, "attention_bias", "attention without biases"},
        {MODEL_GPT2, "scale_attn_weights", "scores that are not scaled"},
};

static int folder_is_off(const json_t *v)
{
	return !v || json_is_null(v) || json_is_false(v) ||
	       (json_is_number(v) && json_number_value(v) == 0);
}

static int read_kind(const char *place, const json_t *config, struct model_shape *s)
{
	const char   *type = NULL, *architecture, *wanted;
	char          known[KIND_NAMES_BYTES];
	const json_t *first = json_array_get(json_object_get(config, "architectures"), 0);

	TRY(json_get_text(place, config, "model_type", JSON_REQUIRED, &type));
	if (!kind_find(type, &s->kind))
		return error_set(ERR_INPUT, "%s: \"model_type\" is \"%.64s\"; known: %s", place,
		                 type, kind_names(0, known));
	wanted = kind_of(s)->architecture;
	architecture = first ? json_string_value(first) : wanted;
	if (!architecture || strcmp(architecture, wanted) != 0)
		return error_set(ERR_INPUT,
		                 "%s: \"architectures\" does not begin with \"%s\"; only the "
		                 "language model itself can be read",
		                 place, wanted);
	return OK;
}

static int folder_check_refusals(const char *place, const json_t *config,
                                 const struct model_shape *s)
{
	const struct kind *kind = kind_of(s);

	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
		if (!folder_is_off(json_object_get(config, refusals[i].key)) &&
		    !(kind->parts & refusals[i].but_for))
			return error_set(ERR_INPUT, "%s: \"%s\" is set, but %s: not supported",
			                 place, refusals[i].key, refusals[i].what);
	for (size_t i = 0; i < sizeof demands / sizeof *demands; i++) {
		const json_t *v = json_object_get(config, demands[i].key);
		if (s->kind == demands[i].kind && v && folder_is_off(v))
			return error_set(ERR_INPUT,
			                 "%s: \"%s\" is off, but %s: not supported for %s", place,
			                 demands[i].key, demands[i].what, kind->model_type);
	}
	return OK;
}

/* Where each kind says what its activation is, and the names that mean the same. */
static int folder_check_activation(const char *place, const json_t *config,
                                   const struct model_shape *s)
{
	static const char *const keys[] = {"hidden_act", "hidden_activation",
	                                   "activation_function"};
	static const char *const same[][2] = {{"silu", "swish"}, {"gelu_new", "gelu_pytorch_tanh"}};
	const char              *wanted = kind_of(s)->activation, *other = wanted;

	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 2; k++)
			if (!strcmp(same[i][k], wanted))
				other = same[i][1 - k];
	/* Gemma's first configs name another one beside the one that counts */
	for (int i = kind_has(s, PART_CAPS); i < 3; i++) {
		const char *activation = wanted;
		TRY(json_get_text(place, config, keys[i], JSON_OPTIONAL, &activation));
		if (strcmp(activation, wanted) != 0 && strcmp(activation, other) != 0)
			return error_set(
			        ERR_INPUT,
			        "%s: \"%s\" is \"%.64s\", only \"%s\", also called \"%s\", "
			        "is supported",
			        place, keys[i], activation, wanted, other);
	}
	return OK;
}

/* ---- what sets layers apart ---- */

/* A list of the config with an entry for each layer; NULL: there is none. */
static int folder_layer_list(const char *place, const json_t *config, const char *key,
                             const struct model_shape *s, const json_t **out)
{
	const json_t *list = json_object_get(config, key);

	*out = json_is_null(list) ? NULL : list;
	if (*out && json_array_size(list) < (size_t)s->n_layers)
		return error_set(
		        ERR_INPUT,
		        "%s: \"%s\" must be a list with an entry for each of the %d layers", place,
		        key, s->n_layers);
	return OK;
}

/* 1: rotated, 0: not. Missing: all but every fourth, or what no_rope_layer_interval says. */
static int read_unturned(const char *place, const json_t *config, struct model_shape *s)
{
	const json_t *list;
	int64_t       every = 4;

	if (!kind_has(s, PART_NOPE))
		return OK;
	TRY(folder_layer_list(place, config, "no_rope_layers", s, &list));
	TRY(json_get_int(place, config, "no_rope_layer_interval", JSON_OPTIONAL,
	                 json_range(1, INT_MAX), &every));
	for (int i = 0; i < s->n_layers; i++) {
		int turned = list ? !folder_is_off(json_array_get(list, (size_t)i))
		                  : (i + 1) % every != 0;
		s->layers[i] |= turned ? 0 : LAYER_UNTURNED;
	}
	return OK;
}

/* Whether a layer is local that the config does not list. */
static int is_local_unlisted(const json_t *config, const struct model_shape *s, int layer)
{
	const json_t *pattern = json_object_get(config, "sliding_window_pattern");
	const json_t *from = json_object_get(config, "max_window_layers");
	json_int_t    but = kind_of(s)->local_but, first = kind_of(s)->local_from;

	if (kind_has(s, PART_NOPE))
		return !kind_is_turned(s, layer);
	if (first)
		return layer >= (json_is_integer(from) ? json_integer_value(from) : first);
	if (but && json_is_integer(pattern) && json_integer_value(pattern) > 0)
		but = json_integer_value(pattern);
	return !but || (layer + 1) % but != 0;
}

static int read_layer_type(const char *place, const json_t *type, struct model_shape *s, int layer)
{
	const char *name = json_string_value(type) ? json_string_value(type) : "";

	if (!strcmp(name, "sliding_attention"))
		s->layers[layer] |= LAYER_LOCAL;
	else if (strcmp(name, "full_attention") != 0)
		return error_set(ERR_INPUT,
		                 "%s: \"layer_types\" holds \"%.32s\"; full_attention and "
		                 "sliding_attention are supported",
		                 place, name);
	return OK;
}

/* Of a kind without local layers. A window that holds every text that the model was made for
 * changes nothing. */
static int forbid_window(const char *place, int listed, struct model_shape *s)
{
	for (int i = 0; i < s->n_layers; i++) {
		if (kind_is_local(s, i) && (s->window == 0 || s->window < s->n_positions))
			return error_set(ERR_INPUT,
			                 "%s: \"%s\" is set, but models of the kind %s have no "
			                 "sliding window shorter than \"max_position_embeddings\", "
			                 "%d: not supported",
			                 place, listed ? "layer_types" : "sliding_window",
			                 kind_of(s)->model_type, s->n_positions);
		s->layers[i] &= (unsigned char)~LAYER_LOCAL;
	}
	s->window = 0;
	return OK;
}

/* A window may be named and not used. */
static int read_window(const char *place, const json_t *config, struct model_shape *s)
{
	const json_t *window = json_object_get(config, "sliding_window"), *list;
	int64_t       value = s->window;
	int           on, any = 0;

	TRY(json_get_int(place, config, "sliding_window", JSON_OPTIONAL, json_range(0, INT_MAX),
	                 &value));
	s->window = json_is_null(window) ? 0 : (int)value;
	on = kind_of(s)->window_switch
	             ? !folder_is_off(json_object_get(config, "use_sliding_window"))
	             : s->window > 0;
	TRY(folder_layer_list(place, config, "layer_types", s, &list));
	for (int i = 0; i < s->n_layers; i++) {
		int local = (on || s->local_theta) && is_local_unlisted(config, s, i);
		if (list)
			TRY(read_layer_type(place, json_array_get(list, (size_t)i), s, i));
		else
			s->layers[i] |= local ? LAYER_LOCAL : 0;
		any |= kind_is_local(s, i);
		if (list && kind_has(s, PART_WINDOW) && !kind_of(s)->lists_layers &&
		    kind_is_local(s, i) != local)
			return error_set(ERR_INPUT,
			                 "%s: \"layer_types\" does not say of layer %d what "
			                 "\"sliding_window\" says of all layers of the kind %s: "
			                 "not supported",
			                 place, i, kind_of(s)->model_type);
	}
	if (!kind_has(s, PART_WINDOW))
		return forbid_window(place, list != NULL, s);
	s->window = any ? s->window : 0;
	return OK;
}

static int read_llama3(const char *place, const json_t *rope, struct rope_scaling *r)
{
	int64_t length;

	TRY(json_get_real(place, rope, "low_freq_factor", JSON_REQUIRED, &r->low_freq_factor));
	TRY(json_get_real(place, rope, "high_freq_factor", JSON_REQUIRED, &r->high_freq_factor));
	TRY(json_get_int(place, rope, "original_max_position_embeddings", JSON_REQUIRED,
	                 json_range(1, INT_MAX), &length));
	r->original_positions = (int)length;
	return OK;
}

static const char *const rope_types[] = {
        [ROPE_PLAIN] = "default", [ROPE_LINEAR] = "linear", [ROPE_LLAMA3] = "llama3"};
enum { N_ROPE_TYPES = sizeof rope_types / sizeof *rope_types };

/* `key` names the object `rope` in a message. */
static int read_rope_scaling(const char *place, const char *key, const json_t *rope,
                             struct rope_scaling *r)
{
	const char *type = NULL;
	int         i = 0;

	TRY(json_get_text(place, rope, "type", JSON_OPTIONAL, &type));
	TRY(json_get_text(place, rope, "rope_type", JSON_OPTIONAL, &type));
	if (!type && !folder_is_off(json_object_get(rope, "factor")))
		return error_set(ERR_INPUT,
		                 "%s: \"%s\" has a \"factor\", but no \"rope_type\" that says what "
		                 "it scales",
		                 place, key);
	type = type ? type : rope_types[ROPE_PLAIN];
	while (i < N_ROPE_TYPES && strcmp(rope_types[i], type) != 0)
		i++;
	if (i == N_ROPE_TYPES)
		return error_set(ERR_INPUT,
		                 "%s: \"%s\" of type \"%.32s\" is not supported; known: default, "
		                 "linear, llama3",
		                 place, key, type);
	*r = (struct rope_scaling){.kind = (enum rope_kind)i};
	if (r->kind != ROPE_PLAIN)
		TRY(json_get_real(place, rope, "factor", JSON_REQUIRED, &r->factor));
	return r->kind == ROPE_LLAMA3 ? read_llama3(place, rope, r) : OK;
}

/* The base of the rotary positions, and how they are scaled, in the config itself or, since
 * transformers 5, in "rope_parameters". */
static int read_rope_object(const char *place, const char *key, const json_t *rope,
                            struct model_shape *s)
{
	double share = 1;

	if (folder_is_off(rope))
		return OK;
	TRY(read_rope_scaling(place, key, rope, &s->rope));
	TRY(json_get_real(place, rope, "rope_theta", JSON_OPTIONAL, &s->rope_theta));
	TRY(json_get_real(place, rope, "partial_rotary_factor", JSON_OPTIONAL, &share));
	if (share != 1)
		return error_set(ERR_INPUT,
		                 "%s: \"partial_rotary_factor\" is %g, only 1 is supported", place,
		                 share);
	return OK;
}

/* The rotary positions of local layers are plain ones. */
static int read_rope_local(const char *place, const json_t *config, struct model_shape *s)
{
	const json_t      *both = json_object_get(config, "rope_parameters");
	const json_t      *rope = json_object_get(both, "sliding_attention");
	struct model_shape local = *s;

	TRY(json_get_real(place, config, "rope_local_base_freq", JSON_OPTIONAL,
	                  &local.local_theta));
	local.rope_theta = local.local_theta;
	local.rope = (struct rope_scaling){0};
	TRY(read_rope_object(place, "rope_parameters", rope, &local));
	if (local.rope.kind != ROPE_PLAIN)
		return error_set(
		        ERR_INPUT,
		        "%s: \"rope_parameters\" scales the positions of local layers: not "
		        "supported",
		        place);
	s->local_theta = local.rope_theta;
	return read_rope_object(place, "rope_parameters", json_object_get(both, "full_attention"),
	                        s);
}

static int read_rope(const char *place, const json_t *config, struct model_shape *s)
{
	double share = 1;

	TRY(json_get_real(place, config, "rope_theta", JSON_OPTIONAL, &s->rope_theta));
	TRY(json_get_real(place, config, "partial_rotary_factor", JSON_OPTIONAL, &share));
	if (share != 1)
		return error_set(ERR_INPUT,
		                 "%s: \"partial_rotary_factor\" is %g, only 1 is supported", place,
		                 share);
	TRY(read_rope_object(place, "rope_scaling", json_object_get(config, "rope_scaling"), s));
	if (s->local_theta)
		return read_rope_local(place, config, s);
	return read_rope_object(place, "rope_parameters",
	                        json_object_get(config, "rope_parameters"), s);
}

/* What config.json calls a size of this kind; NULL: it has none. */
static const char *size_key(const struct model_shape *s, int i)
{
	return kind_has(s, PART_GPT2) ? sizes[i].gpt2_key : sizes[i].key;
}

/* Older configs leave out the number of key/value heads (as many as heads) and the width of a
 * head (D / H). */
static int read_sizes(const char *place, const json_t *config, struct model_shape *s)
{
	for (int i = 0; i < N_SIZES; i++) {
		int        *at = (int *)(void *)((char *)s + sizes[i].at);
		const char *key = size_key(s, i);
		int64_t     value = *at;
		if (!key)
			continue;
		TRY(json_get_int(place, config, key, sizes[i].required,
		                 json_range(sizes[i].required ? 1 : 0, INT_MAX), &value));
		*at = (int)value;
	}
	if (s->n_layers > SHAPE_LAYERS_MAX)
		return error_set(ERR_INPUT, "%s: \"%s\" is %d; it must be between 1 and %d", place,
		                 size_key(s, 0), s->n_layers, SHAPE_LAYERS_MAX);
	if (s->n_kv_heads == 0 || json_is_null(json_object_get(config, "num_key_value_heads")))
		s->n_kv_heads = s->n_heads;
	if (s->ff_width == 0 && s->width <= INT_MAX / 4)
		s->ff_width = 4 * s->width; /* as GPT-2 has it */
	if (s->head_width == 0) {
		if (s->width % s->n_heads)
			return error_set(ERR_INPUT,
			                 "%s: \"hidden_size\" %d is no multiple of "
			                 "\"num_attention_heads\" %d, and there is no \"head_dim\"",
			                 place, s->width, s->n_heads);
		s->head_width = s->width / s->n_heads;
	}
	return OK;
}

static int folder_read_reals(const char *place, const json_t *config, struct model_shape *s)
{
	for (int i = 0; i < N_REALS; i++) {
		double *at = (double *)(void *)((char *)s + reals[i].at);
		if (!folder_has(s, &reals[i]))
			continue;
		TRY(json_get_real(place, config, reals[i].key, JSON_OPTIONAL, at));
		if (reals[i].may_lack && json_is_null(json_object_get(config, reals[i].key)))
			*at = 0;
	}
	return OK;
}

static int read_end_id(const char *place, const json_t *id, struct model_shape *s)
{
	if (json_is_integer(id) && json_integer_value(id) == NO_ID)
		return OK;
	if (!json_is_integer(id) || json_integer_value(id) < 0 ||
	    json_integer_value(id) >= s->n_vocab)
		return error_set(ERR_INPUT, "%s: \"eos_token_id\" must hold token ids, 0 .. %d",
		                 place, s->n_vocab - 1);
	if (s->n_eos == SHAPE_EOS_MAX)
		return error_set(ERR_INPUT, "%s: \"eos_token_id\" holds more than %d ids", place,
		                 SHAPE_EOS_MAX);
	s->eos[s->n_eos++] = (int)json_integer_value(id);
	return OK;
}

/* bos_token_id and eos_token_id, a number or a list; what is absent or null stays as it is. */
static int folder_read_ids(const char *place, const json_t *config, struct model_shape *s)
{
	const json_t *ends = json_object_get(config, "eos_token_id");
	int64_t       bos = s->bos;

	TRY(json_get_int(place, config, "bos_token_id", JSON_OPTIONAL,
	                 json_range(NO_ID, s->n_vocab - 1), &bos));
	s->bos = (int)bos;
	if (!ends || json_is_null(ends))
		return OK;
	s->n_eos = 0;
	if (!json_is_array(ends))
		return read_end_id(place, ends, s);
	for (size_t i = 0; i < json_array_size(ends); i++)
		TRY(read_end_id(place, json_array_get(ends, i), s));
	return OK;
}

/* What a missing key means is what transformers takes for it. */
static int folder_read_config(const char *place, const json_t *config, struct model_shape *s)
{
	enum model_kind kind;

	TRY(read_kind(place, config, s));
	kind = s->kind;
	*s = kind_of(s)->missing;
	s->kind = kind;
	s->bos = -1;
	TRY(folder_check_refusals(place, config, s));
	TRY(folder_check_activation(place, config, s));
	TRY(read_sizes(place, config, s));
	TRY(folder_read_reals(place, config, s));
	TRY(read_unturned(place, config, s));
	TRY(read_window(place, config, s));
	TRY(read_rope(place, config, s));
	TRY(json_get_bool(place, config, "tie_word_embeddings", JSON_OPTIONAL, &s->tied));
	if (weights_check_shape(s) != OK)
		return error_context("%s", place);
	return folder_read_ids(place, config, s);
}

static int read_shape(const char *folder, struct arena *a, struct model_shape *out)
{
	const char *path;
	json_t     *config;
	int         status;

	TRY(file_path(a, folder, "config.json", &path));
	TRY(json_read(path, config_max, &config));
	status = folder_read_config(path, config, out);
	json_decref(config);
	if (status != OK)
		return status;
	TRY(generation_open(folder, a, &path, &config));
	status = config ? folder_read_ids(path, config, out) : OK;
	json_decref(config);
	return status;
}

int folder_read_shape(const char *folder, struct model_shape *out)
{
	struct arena a = {0};
	int          status;

	if (gguf_is(folder))
		return gguf_model_read_shape(folder, out);
	status = read_shape(folder, &a, out);

	arena_free(&a);
	return status;
}

/* ---- reading weights ---- */

struct loading {
	struct arena    arena;
	const char     *folder;
	json_t         *index;      /* owned; NULL when there is one file */
	const json_t   *weight_map; /* tensor -> file, within the index */
	const char    **files;      /* [n_files] names, each once */
	size_t          n_files;
	struct weights *weights;
	unsigned char  *seen;      /* [n_tensors] */
	const char     *head_file; /* that holds the lm_head of a tied model, or NULL */
};

/* "model-1.safetensors" or "shards/model-1.safetensors": never a way out of the folder, nor a
 * hidden file. */
static int is_inside(const char *name)
{
	for (const char *part = name;; part++) {
		size_t n = strcspn(part, "/");
		if (n == 0 || part[0] == '.' || memchr(part, '\\', n))
			return 0;
		part += n;
		if (!*part)
			return 1;
	}
}

static int add_file(struct loading *l, const char *name)
{
	for (size_t i = 0; i < l->n_files; i++)
		if (!strcmp(l->files[i], name))
			return OK;
	if (l->n_files == FILES_MAX)
		return error_set(ERR_INPUT, "%s: its index names more than %d files", l->folder,
		                 FILES_MAX);
	return arena_copy(&l->arena, name, strlen(name), &l->files[l->n_files++]);
}

/* The files that the index names, each once; a path that leads out of the folder is refused. */
static int folder_list_index(struct loading *l, const char *path)
{
	const char *tensor;
	json_t     *file;

	TRY(json_read(path, index_max, &l->index));
	l->weight_map = json_object_get(l->index, "weight_map");
	if (!json_is_object(l->weight_map))
		return error_set(ERR_INPUT, "%s: \"weight_map\" is missing or not an object", path);
	TRY(arena_take(&l->arena, json_object_size(l->weight_map), "the files of a model",
	               &l->files));
	json_object_foreach(json_object_get(l->index, "weight_map"), tensor, file)
	{
		if (!json_is_string(file) || !is_inside(json_string_value(file)))
			return error_set(
			        ERR_INPUT,
			        "%s: tensor \"%.96s\" is not mapped to a file in the folder", path,
			        tensor);
		TRY(add_file(l, json_string_value(file)));
	}
	return OK;
}

/* One file, or the shards that an index lists. */
static int folder_list_files(struct loading *l)
{
	const char *one, *index;
	int         is_one, is_index;

	TRY(file_path(&l->arena, l->folder, "model.safetensors", &one));
	TRY(file_path(&l->arena, l->folder, "model.safetensors.index.json", &index));
	TRY(file_there(one, &is_one));
	TRY(file_there(index, &is_index));
	if (!is_one && is_index)
		return folder_list_index(l, index);
	if (!is_one)
		return error_set(ERR_INPUT,
		                 "%s: neither model.safetensors nor model.safetensors.index.json; "
		                 "other formats must be converted",
		                 l->folder);
	TRY(arena_take(&l->arena, 1, "the files of a model", &l->files));
	return add_file(l, "model.safetensors");
}

/* A config that asks for more weights than the files have bytes does not get to allocate them. */
static int folder_check_bytes(struct loading *l, const struct model_shape *shape)
{
	uint64_t total = 0, bytes;

	for (size_t i = 0; i < l->n_files; i++) {
		const char *path;
		TRY(file_path(&l->arena, l->folder, l->files[i], &path));
		TRY(file_size(path, &bytes));
		total += bytes;
	}
	if (weights_count(shape) > total)
		return error_set(ERR_INPUT,
		                 "%s: config.json asks for %zu weights, but the files of the model "
		                 "hold %llu bytes in all",
		                 l->folder, weights_count(shape), (unsigned long long)total);
	return OK;
}

/* "[512, 64]" */
static const char *format_dims(struct arena *a, int n, const uint64_t *dims)
{
	const char *s = "", *longer;

	for (int i = 0; i < n && i < 8; i++, s = longer)
		if (arena_print(a, &longer, "%s%s%llu", s, i ? ", " : "",
		                (unsigned long long)dims[i]) != OK)
			break;
	return s;
}

static int check_dims(struct loading *l, const struct safetensors *s,
                      const struct safetensors_entry *e, const struct tensor *t)
{
	uint64_t want[2] = {(uint64_t)(t->transposed ? t->columns : t->rows),
	                    (uint64_t)(t->transposed ? t->rows : t->columns)};
	int      n = t->n_dims;

	if (e->n_dims == n && e->dims[0] == want[0] && (n == 1 || e->dims[1] == want[1]))
		return OK;
	return error_set(ERR_INPUT,
	                 "%s: tensor \"%s\" has the shape [%s], but config.json makes it [%s]",
	                 s->path, e->name, format_dims(&l->arena, e->n_dims, e->dims),
	                 format_dims(&l->arena, n, want));
}

static int folder_matches(const char *name, const char *begin, const char *within)
{
	return !strncmp(name, begin, strlen(begin)) && strstr(name, within);
}

/* What others put beside the weights of a model and compute anew or need no more, as transformers
 * passes over it. */
static int is_beside(const char *name)
{
	static const struct {
		const char *begin, *within;
	} beside[] = {
	        {"model.", "rotary_emb."},            /* tables of rotary positions */
	        {"model.", ".self_attn.masked_bias"}, /* the number that masks what is ahead */
	        {"transformer.h.", ".attn.masked_bias"},
	        {"transformer.h.", ".attn.bias"}, /* the mask itself */
	        {"v_head.", ""},                  /* TRL's head of values */
	};
	int found = 0;

	for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
		found |= folder_matches(name, beside[i].begin, beside[i].within);
	return found;
}

/* Ours for a name in a file: files of GPT-2 may leave out what stands before all names. */
static const char *folder_name(struct loading *l, const char *name, int *status)
{
	static const char front[] = "transformer.";
	const char       *longer = name;

	*status = OK;
	if (kind_has(&l->weights->shape, PART_GPT2) && strncmp(name, front, strlen(front)) != 0 &&
	    strncmp(name, "lm_head.", 8) != 0)
		*status = arena_print(&l->arena, &longer, "%s%s", front, name);
	return longer;
}

/* [columns x rows] in the file -> [rows x columns] */
static int folder_read_transposed(const struct safetensors *s, const struct safetensors_entry *e,
                                  const struct tensor *t, float *out)
{
	size_t rows = (size_t)t->rows, columns = (size_t)t->columns;
	float *turned;
	int    status;

	TRY(mem_take(t->count, "a tensor to transpose", &turned));
	status = safetensors_read(s, e, turned);
	for (size_t r = 0; r < rows && status == OK; r++)
		for (size_t c = 0; c < columns; c++)
			out[r * columns + c] = turned[c * rows + r];
	mem_free(turned);
	return status;
}

/* A tensor must be where the index says, and part of the model. A head beside tied embeddings is
 * compared later. */
static int folder_load_tensor(struct loading *l, const char *file, const struct safetensors *s,
                              const struct safetensors_entry *e)
{
	int                  status;
	const char          *name = folder_name(l, e->name, &status);
	const struct tensor *t = weights_find(l->weights, name);
	const char          *mapped = json_string_value(json_object_get(l->weight_map, e->name));

	TRY(status);
	if (l->weight_map && (!mapped || strcmp(mapped, file) != 0))
		return error_set(ERR_INPUT,
		                 "%s: tensor \"%.96s\" is here, but the index says: %.96s", s->path,
		                 e->name, mapped ? mapped : "nowhere");
	if (!t && is_beside(name))
		return OK;
	if (!t && l->weights->shape.tied && !strcmp(e->name, "lm_head.weight")) {
		l->head_file = file;
		return OK;
	}
	if (!t)
		return error_set(
		        ERR_INPUT,
		        "%s: tensor \"%.96s\" is not part of a model as config.json describes it",
		        s->path, e->name);
	TRY(check_dims(l, s, e, t));
	l->seen[t - l->weights->tensors] = 1;
	if (t->transposed)
		return folder_read_transposed(s, e, t, l->weights->data + t->offset);
	return safetensors_read(s, e, l->weights->data + t->offset);
}

static int load_file(struct loading *l, const char *file)
{
	struct safetensors s;
	const char        *path;
	int                status = OK;

	TRY(file_path(&l->arena, l->folder, file, &path));
	TRY(safetensors_open(path, &s));
	for (size_t i = 0; i < s.n && status == OK; i++)
		status = folder_load_tensor(l, file, &s, &s.entries[i]);
	safetensors_close(&s);
	return status;
}

static int check_all_there(const struct loading *l)
{
	for (int i = 0; i < l->weights->n_tensors; i++)
		if (!l->seen[i])
			return error_set(ERR_INPUT,
			                 "%s: tensor \"%s\" is missing from the model's files",
			                 l->folder, l->weights->tensors[i].name);
	return OK;
}

/* transformers ignores the head of a tied model. Where it is not the embedding, config.json or the
 * file is wrong. */
static int compare_head(struct loading *l, const struct safetensors *s)
{
	const struct safetensors_entry *e = safetensors_find(s, "lm_head.weight");
	const struct tensor            *embed = &l->weights->tensors[0];
	float                          *head;
	int                             status;

	TRY(check_dims(l, s, e, embed));
	TRY(mem_take(embed->count, "a head to compare", &head));
	status = safetensors_read(s, e, head);
	if (status == OK &&
	    memcmp(head, l->weights->data + l->weights->embed, embed->count * sizeof *head) != 0)
		status = error_set(ERR_INPUT,
		                   "%s: \"lm_head.weight\" is not the embedding, although "
		                   "config.json has \"tie_word_embeddings\": true",
		                   s->path);
	mem_free(head);
	return status;
}

static int check_tied_head(struct loading *l)
{
	struct safetensors s;
	const char        *path;
	int                status;

	if (!l->head_file)
		return OK;
	TRY(file_path(&l->arena, l->folder, l->head_file, &path));
	TRY(safetensors_open(path, &s));
	status = compare_head(l, &s);
	safetensors_close(&s);
	return status;
}

/* Into the weights, which are made first where `shape` is not NULL. */
static int folder_load(struct loading *l, const struct model_shape *shape)
{
	TRY(folder_list_files(l));
	if (shape) {
		TRY(folder_check_bytes(l, shape));
		TRY(weights_new(shape, l->weights));
	}
	TRY(arena_take(&l->arena, (size_t)l->weights->n_tensors, "the tensors of a model",
	               &l->seen));
	for (size_t i = 0; i < l->n_files; i++)
		TRY(load_file(l, l->files[i]));
	TRY(check_all_there(l));
	TRY(check_tied_head(l));
	return weights_check_finite(l->weights) == OK ? OK : error_context("%s", l->folder);
}

static int folder_load_folder(const char *folder, const struct model_shape *shape,
                              struct weights *w)
{
	struct loading l = {.folder = folder, .weights = w};
	int            status = folder_load(&l, shape);

	json_decref(l.index);
	arena_free(&l.arena);
	return status;
}

int folder_read_weights(const char *folder, const struct model_shape *shape, struct weights *out)
{
	int status;

	if (gguf_is(folder))
		return gguf_model_read_weights(folder, shape, out);
	*out = (struct weights){0};
	status = folder_load_folder(folder, shape, out);
	if (status != OK)
		weights_free(out);
	return status;
}

int folder_load_weights(const char *folder, struct weights *w)
{
	return folder_load_folder(folder, NULL, w);
}

/* ---- writing ---- */

static const char *const tokenizer_files[] = {
        "tokenizer.json",    "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "tokenizer.model",       "vocab.json",
        "merges.txt",        "chat_template.json",    "chat_template.jinja",
};

static void format_end_ids(struct text *t, const struct model_shape *s)
{
	if (s->n_eos == 0) {
		text_print(t, "null");
		return;
	}
	if (s->n_eos > 1)
		text_print(t, "[");
	for (int i = 0; i < s->n_eos; i++)
		text_print(t, "%s%d", i ? ", " : "", s->eos[i]);
	if (s->n_eos > 1)
		text_print(t, "]");
}

static void format_rope_scaling(struct text *t, const struct rope_scaling *r)
{
	text_print(t, "\"rope_type\": \"%s\"", rope_types[r->kind]);
	if (r->kind == ROPE_PLAIN)
		return;
	text_print(t, ", \"factor\": ");
	json_add_real(t, r->factor);
	if (r->kind == ROPE_LLAMA3) {
		text_print(t, ", \"low_freq_factor\": ");
		json_add_real(t, r->low_freq_factor);
		text_print(t, ", \"high_freq_factor\": ");
		json_add_real(t, r->high_freq_factor);
		text_print(t, ", \"original_max_position_embeddings\": %d", r->original_positions);
	}
}

static void format_real(struct text *t, const char *key, double x)
{
	text_print(t, "  \"%s\": ", key);
	json_add_real(t, x);
	text_print(t, ",\n");
}

/* Or null; transformers does not take an integer for it. */
static void format_cap(struct text *t, const char *key, double x)
{
	if (x == 0)
		text_print(t, "  \"%s\": null,\n", key);
	else if (x < 1e15 && x == floor(x))
		text_print(t, "  \"%s\": %lld.0,\n", key, (long long)x);
	else
		format_real(t, key, x);
}

/* Where local layers have a base of their own, both under the key that transformers 5 has for
 * them, too. */
static void format_rope(struct text *t, const struct model_shape *s)
{
	if (kind_has(s, PART_GPT2))
		return;
	format_real(t, "rope_theta", s->rope_theta);
	text_print(t, "  \"rope_scaling\": ");
	if (s->rope.kind == ROPE_PLAIN)
		text_print(t, "null");
	else {
		text_print(t, "{");
		format_rope_scaling(t, &s->rope);
		text_print(t, "}");
	}
	text_print(t, ",\n");
	if (s->local_theta)
		format_real(t, "rope_local_base_freq", s->local_theta);
}

/* The window, and the traits of the layers, of kinds whose configs have them. */
static void format_layers(struct text *t, const struct model_shape *s)
{
	int local = 0;

	for (int i = 0; i < s->n_layers; i++)
		local |= kind_is_local(s, i);
	if (kind_has(s, PART_WINDOW)) {
		if (kind_of(s)->window_switch)
			text_print(t, "  \"use_sliding_window\": %s,\n", local ? "true" : "false");
		if (s->window)
			text_print(t, "  \"sliding_window\": %d,\n", s->window);
		else
			text_print(t, "  \"sliding_window\": null,\n");
	}
	for (int i = 0; kind_of(s)->lists_layers && i < s->n_layers; i++)
		text_print(t, "%s\"%s_attention\"%s", i ? ", " : "  \"layer_types\": [",
		           kind_is_local(s, i) ? "sliding" : "full",
		           i + 1 < s->n_layers ? "" : "],\n");
	for (int i = 0; kind_has(s, PART_NOPE) && i < s->n_layers; i++)
		text_print(t, "%s%d%s", i ? ", " : "  \"no_rope_layers\": [", kind_is_turned(s, i),
		           i + 1 < s->n_layers ? "" : "],\n");
}

/* What config.json says of the parts; a key that is off is one that transformers takes to be on. */
static void format_parts(struct text *t, const struct model_shape *s)
{
	const char *activation = kind_has(s, PART_GPT2)   ? "activation_function"
	                         : kind_has(s, PART_CAPS) ? "hidden_activation"
	                                                  : "hidden_act";

	if (s->kind == MODEL_SEED_OSS)
		text_print(t, "  \"attention_bias\": true,\n");
	if (!kind_has(s, PART_QKV_BIAS))
		text_print(t, "  \"attention_bias\": false,\n  \"mlp_bias\": false,\n");
	text_print(t, "  \"%s\": \"%s\",\n", activation, kind_of(s)->activation);
	for (int i = 0; i < N_REALS; i++) {
		double x = *(const double *)(const void *)((const char *)s + reals[i].at);
		if (!folder_has(s, &reals[i]))
			continue;
		if (reals[i].may_lack)
			format_cap(t, reals[i].key, x);
		else
			format_real(t, reals[i].key, x);
	}
}

/* Under the keys that transformers reads for this kind of model. */
static void folder_format_config(struct text *t, const struct model_shape *s,
                                 enum safetensors_type type)
{
	const char *const dtypes[] = {[SAFETENSORS_F32] = "float32",
	                              [SAFETENSORS_BF16] = "bfloat16",
	                              [SAFETENSORS_F16] = "float16"};

	text_print(t, "{\n  \"architectures\": [\"%s\"],\n  \"model_type\": \"%s\",\n",
	           kind_of(s)->architecture, kind_of(s)->model_type);
	format_parts(t, s);
	format_layers(t, s);
	format_rope(t, s);
	for (int i = 0; i < N_SIZES; i++)
		if (size_key(s, i))
			text_print(t, "  \"%s\": %d,\n", size_key(s, i),
			           *(const int *)(const void *)((const char *)s + sizes[i].at));
	if (kind_of(s)->pad >= s->n_vocab)
		text_print(t, "  \"pad_token_id\": null,\n");
	text_print(t, "  \"tie_word_embeddings\": %s,\n  \"bos_token_id\": ",
	           s->tied ? "true" : "false");
	if (s->bos < 0)
		text_print(t, "null");
	else
		text_print(t, "%d", s->bos);
	text_print(t, ",\n  \"eos_token_id\": ");
	format_end_ids(t, s);
	text_print(t, ",\n  \"torch_dtype\": \"%s\"\n}\n", dtypes[type]);
}

static int folder_write_config(const char *path, const struct model_shape *s,
                               enum safetensors_type type)
{
	struct text t = {0};
	int         status;

	folder_format_config(&t, s, type);
	status = text_write(&t, path);
	text_free(&t);
	return status;
}

/* NULL when memory is short. */
static json_t *end_ids(const struct model_shape *s)
{
	json_t *list;

	if (s->n_eos <= 1)
		return s->n_eos ? json_integer(s->eos[0]) : json_null();
	list = json_array();
	for (int i = 0; i < s->n_eos; i++)
		if (json_array_append_new(list, json_integer(s->eos[i])) != 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

/* config is an owned object. Fifteen digits: what a person wrote comes back as written. */
static int write_generation(const char *path, json_t *config, const struct model_shape *s)
{
	char *text = NULL;
	int   status;

	if (json_object_set_new(config, "bos_token_id",
	                        s->bos < 0 ? json_null() : json_integer(s->bos)) == 0 &&
	    json_object_set_new(config, "eos_token_id", end_ids(s)) == 0)
		text = json_dumps(config,
		                  JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(15));
	status = text ? file_write(path, text, strlen(text)) : error_memory("writing %s", path);
	free(text);
	return status;
}

/* The source's generation_config.json with our end ids, or a new one. */
static int write_generation_like(const char *folder, const char *source,
                                 const struct model_shape *s, struct arena *a)
{
	const char *path;
	json_t     *config = NULL;
	int         status;

	if (source)
		TRY(generation_open(source, a, &path, &config));
	if (config && !json_is_object(config)) {
		json_decref(config);
		return error_set(ERR_INPUT, "%s: not a JSON object", path);
	}
	if (!config)
		config = json_object();
	status = file_path(a, folder, "generation_config.json", &path);
	if (status == OK)
		status = write_generation(path, config, s);
	json_decref(config);
	return status;
}

/* Byte for byte, and only the files that there are. */
static int copy_tokenizer(const char *folder, const char *source, struct arena *a)
{
	for (size_t i = 0; i < sizeof tokenizer_files / sizeof tokenizer_files[0]; i++) {
		const char  *from, *to;
		struct bytes b;
		int          status, there;
		TRY(file_path(a, source, tokenizer_files[i], &from));
		TRY(file_path(a, folder, tokenizer_files[i], &to));
		TRY(file_there(from, &there));
		if (!there)
			continue;
		TRY(file_read(from, tokenizer_max, &b));
		status = file_write(to, b.data, b.n);
		bytes_free(&b);
		if (status != OK)
			return status;
	}
	return OK;
}

/* Copies of the tensors that lie transposed in files; NULL: of one that does not. */
static int folder_transpose(const struct tensor *t, const float *x, struct arena *a,
                            const float **out)
{
	size_t rows = (size_t)t->rows, columns = (size_t)t->columns;
	float *turned;

	TRY(arena_take(a, t->count, "a tensor to transpose", &turned));
	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < columns; c++)
			turned[c * rows + r] = x[r * columns + c];
	*out = turned;
	return OK;
}

static int folder_write_weights(const char *path, const struct weights *w,
                                enum safetensors_type type, struct arena *a)
{
	struct safetensors_item *items;

	TRY(arena_take(a, (size_t)w->n_tensors, "the tensors of a model", &items));
	for (int i = 0; i < w->n_tensors; i++) {
		const struct tensor *t = &w->tensors[i];
		uint64_t             rows = (uint64_t)t->rows, columns = (uint64_t)t->columns;
		items[i] = (struct safetensors_item){
		        .name = t->name,
		        .n_dims = t->n_dims,
		        .dims = {t->transposed ? columns : rows, t->transposed ? rows : columns},
		        .data = w->data + t->offset,
		};
		if (t->transposed)
			TRY(folder_transpose(t, w->data + t->offset, a, &items[i].data));
	}
	return safetensors_write(path, type, items, (size_t)w->n_tensors);
}

static int folder_write_all(const char *folder, const struct weights *w, enum safetensors_type type,
                            const char *source, struct arena *a)
{
	const char *config, *model;

	TRY(weights_check_finite(w));
	TRY(file_make_folders(folder));
	TRY(file_path(a, folder, "config.json", &config));
	TRY(file_path(a, folder, "model.safetensors", &model));
	TRY(folder_write_config(config, &w->shape, type));
	TRY(write_generation_like(folder, source, &w->shape, a));
	if (source)
		TRY(copy_tokenizer(folder, source, a));
	return folder_write_weights(model, w, type, a);
}

int folder_write(const char *folder, const struct weights *w, enum safetensors_type type,
                 const char *source)
{
	struct arena a = {0};
	int          status = folder_write_all(folder, w, type, source, &a);

	arena_free(&a);
	return status;
}
