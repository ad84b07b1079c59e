#include "model/gguf_model.h"

#include "base/error.h"
#include "model/gguf_quant.h"
#include "model/kind.h"
#include "model/rope.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
	PIECE = 1 << 16, /* numbers that are converted at a time, about */
	KEY_BYTES = 128,
};

/* ---- names ---- */

/* Ours, theirs. Of a layer behind "model.layers.N." and "blk.N."; then .weight, .bias or what an
 * adapter puts behind. The first row that is for a kind counts. */
#define KIND(name) (1u << MODEL_##name)
static const struct gguf_model_name {
	const char *ours, *theirs;
	int         of_layer;
	int         turned; /* its rows are those of heads that are turned */
	unsigned    kinds;  /* 0: all */
} names[] = {
        {"model.embed_tokens", "token_embd", 0, 0, 0},
        {"model.norm", "output_norm", 0, 0, 0},
        {"lm_head", "output", 0, 0, 0},
        {"input_layernorm", "attn_norm", 1, 0, 0},
        {"self_attn.q_proj", "attn_q", 1, 1, 0},
        {"self_attn.k_proj", "attn_k", 1, 1, 0},
        {"self_attn.v_proj", "attn_v", 1, 0, 0},
        {"self_attn.qkv_proj", "attn_qkv", 1, 0, 0},
        {"self_attn.q_norm", "attn_q_norm", 1, 0, 0},
        {"self_attn.k_norm", "attn_k_norm", 1, 0, 0},
        {"self_attn.o_proj", "attn_output", 1, 0, 0},
        {"post_attention_layernorm", "post_attention_norm", 1, 0, KIND(OLMO2) | KIND(SEED_OSS)},
        {"post_attention_layernorm", "ffn_norm", 1, 0, 0},
        {"post_feedforward_layernorm", "post_ffw_norm", 1, 0, 0},
        {"mlp.gate_proj", "ffn_gate", 1, 0, 0},
        {"mlp.up_proj", "ffn_up", 1, 0, 0},
        {"mlp.gate_up_proj", "ffn_up", 1, 0, 0},
        {"mlp.down_proj", "ffn_down", 1, 0, 0},
        {"transformer.wte", "token_embd", 0, 0, 0},
        {"transformer.wpe", "position_embd", 0, 0, 0},
        {"transformer.ln_f", "output_norm", 0, 0, 0},
        {"ln_1", "attn_norm", 1, 0, 0},
        {"attn.c_attn", "attn_qkv", 1, 0, 0},
        {"attn.c_proj", "attn_output", 1, 0, 0},
        {"ln_2", "ffn_norm", 1, 0, 0},
        {"mlp.c_fc", "ffn_up", 1, 0, 0},
        {"mlp.c_proj", "ffn_down", 1, 0, 0},
};

static const char rope_tensor[] = "rope_freqs.weight";

/* "model.layers.0.input_layernorm.weight", of a model or of an adapter -> 0 and what is behind; -1
 * when it is of no layer. */
static int gguf_layer_of(const char **ours)
{
	static const char *const of_layer[] = {"model.layers.%d.%n", "transformer.h.%d.%n"};
	static const char        of_adapter[] = "base_model.model.";

	*ours += strncmp(*ours, of_adapter, strlen(of_adapter)) ? 0 : strlen(of_adapter);
	for (int i = 0; i < 2; i++) {
		int layer, n = 0;
		if (sscanf(*ours, of_layer[i], &layer, &n) == 1 && n > 0) {
			*ours += n;
			return layer;
		}
	}
	return -1;
}

/* The row of one of our names; *end: what is behind its stem. */
static const struct gguf_model_name *gguf_name_row(const struct model_shape *s, const char *ours,
                                                   int *layer, const char **end)
{
	*layer = gguf_layer_of(&ours);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t stem = strlen(names[i].ours);
		if (names[i].of_layer != (*layer >= 0) || strncmp(names[i].ours, ours, stem) ||
		    ours[stem] != '.' || (names[i].kinds && !(names[i].kinds >> s->kind & 1)))
			continue;
		*end = ours + stem;
		return &names[i];
	}
	return NULL;
}

/* "model.layers.0.self_attn.q_proj.weight" -> "blk.0.attn_q.weight"; of an adapter's tensor ->
 * "blk.0.attn_q.weight.lora_a". Returns whether its rows are turned. */
static int gguf_name(const struct model_shape *s, const char *ours, char out[KEY_BYTES])
{
	const char                   *end;
	int                           layer, n;
	const struct gguf_model_name *row = gguf_name_row(s, ours, &layer, &end);

	assert(row); /* every tensor of weights.c and adapter.c has one, of kinds that have files */
	n = layer >= 0 ? snprintf(out, KEY_BYTES, "blk.%d.", layer) : 0;
	if (!strncmp(end, ".lora_", 6))
		snprintf(out + n, (size_t)(KEY_BYTES - n), "%s.weight.lora_%c", row->theirs,
		         end[6] == 'A' ? 'a' : 'b');
	else
		snprintf(out + n, (size_t)(KEY_BYTES - n), "%s%s", row->theirs, end);
	return row->turned;
}

/* Row i of a matrix whose heads are turned, there -> here. */
static int gguf_turned_row(int i, int head_width)
{
	int within = i % head_width;

	return i - within + within % 2 * (head_width / 2) + within / 2;
}

/* ---- keys of the architecture ---- */

enum gguf_key_use {
	KEY_SIZE,   /* goes into an int of the shape */
	KEY_REAL,   /* into a double */
	KEY_OFF,    /* changes what is computed, unless it is 0 or false */
	KEY_ONE,    /* likewise, unless it is 1 */
	KEY_LOOKED, /* is looked at below */
	KEY_PASSED, /* says nothing that the tensors do not say */
};

static const struct gguf_key {
	const char       *name; /* behind "ARCH." */
	enum gguf_key_use use;
	int               required;
	size_t            at;            /* in struct model_shape */
	unsigned          with, without; /* parts of the kinds that have it */
} keys[] = {
        {"block_count", KEY_SIZE, 1, offsetof(struct model_shape, n_layers), 0, 0},
        {"embedding_length", KEY_SIZE, 1, offsetof(struct model_shape, width), 0, 0},
        {"feed_forward_length", KEY_SIZE, 1, offsetof(struct model_shape, ff_width), 0, 0},
        {"context_length", KEY_SIZE, 1, offsetof(struct model_shape, n_positions), 0, 0},
        {"attention.head_count", KEY_SIZE, 1, offsetof(struct model_shape, n_heads), 0, 0},
        {"attention.head_count_kv", KEY_SIZE, 0, offsetof(struct model_shape, n_kv_heads), 0, 0},
        {"attention.key_length", KEY_SIZE, 0, offsetof(struct model_shape, head_width), 0, 0},
        {"rope.freq_base", KEY_REAL, 0, offsetof(struct model_shape, rope_theta), 0, PART_GPT2},
        {"attention.layer_norm_rms_epsilon", KEY_REAL, 1, offsetof(struct model_shape, norm_eps), 0,
         PART_GPT2},
        {"attention.layer_norm_epsilon", KEY_REAL, 1, offsetof(struct model_shape, norm_eps),
         PART_GPT2, 0},
        {"embedding_scale", KEY_REAL, 0, offsetof(struct model_shape, scales.embedding),
         PART_SCALES, 0},
        {"residual_scale", KEY_REAL, 0, offsetof(struct model_shape, scales.residual), PART_SCALES,
         0},
        {"attention.scale", KEY_REAL, 0, offsetof(struct model_shape, scales.score), PART_SCALES,
         0},
        {"logit_scale", KEY_REAL, 0, offsetof(struct model_shape, scales.logit_divisor),
         PART_SCALES, 0},
        {"attention.value_length", KEY_LOOKED, 0, 0, 0, 0},
        {"rope.dimension_count", KEY_LOOKED, 0, 0, 0, 0},
        {"rope.scaling.type", KEY_LOOKED, 0, 0, 0, 0},
        {"rope.scaling.factor", KEY_LOOKED, 0, 0, 0, 0},
        {"attention.sliding_window", KEY_LOOKED, 0, 0, 0, 0},
        {"rope.scaling.original_context_length", KEY_PASSED, 0, 0, 0, 0},
        {"rope.scaling.finetuned", KEY_PASSED, 0, 0, 0, 0},
        {"vocab_size", KEY_PASSED, 0, 0, 0, 0},
        {"attention.causal", KEY_ONE, 0, 0, 0, 0},
        {"rope.scaling.attn_factor", KEY_ONE, 0, 0, 0, 0},
        {"expert_count", KEY_OFF, 0, 0, 0, 0},
        {"expert_used_count", KEY_OFF, 0, 0, 0, 0},
        {"use_parallel_residual", KEY_OFF, 0, 0, 0, 0},
        {"leading_dense_block_count", KEY_OFF, 0, 0, 0, 0},
};

static int gguf_key_is(const struct gguf_key *k, const struct model_shape *s)
{
	unsigned parts = kind_of(s)->parts;

	return (parts & k->with) == k->with && !(parts & k->without);
}

static const struct gguf_key *gguf_key_find(const struct model_shape *s, const char *name)
{
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (!strcmp(keys[i].name, name) && gguf_key_is(&keys[i], s))
			return &keys[i];
	return NULL;
}

/* "llama.block_count" */
static const char *gguf_key(const struct model_shape *s, const char *name, char out[KEY_BYTES])
{
	snprintf(out, KEY_BYTES, "%s.%s", kind_of(s)->gguf, name);
	return out;
}

/* A number or a truth as a number. */
static int gguf_read_number(const struct gguf *g, const char *key, double *x)
{
	const struct gguf_value *v = gguf_find(g, key);
	int                      on = 0;

	if (!v || v->array || v->kind != GGUF_BOOL)
		return gguf_get_real(g, key, GGUF_OPTIONAL, x);
	TRY(gguf_get_bool(g, key, GGUF_OPTIONAL, &on));
	*x = on;
	return OK;
}

/* What is switched off may stand there. */
static int gguf_check_off(const struct gguf *g, const char *key, double off)
{
	double x = off;

	TRY(gguf_read_number(g, key, &x));
	return x == off ? OK
	                : error_set(ERR_INPUT,
	                            "%s: \"%s\" is %g, which changes what the model computes: not "
	                            "supported",
	                            g->path, key, x);
}

/* Every key of the architecture has a row above. */
static int gguf_check_keys(const struct gguf *g, const struct model_shape *s)
{
	const char *type = kind_of(s)->gguf;
	size_t      n = strlen(type);

	for (size_t i = 0; i < g->n_values; i++) {
		const char            *key = g->values[i].key;
		const struct gguf_key *k;
		if (strncmp(key, type, n) != 0 || key[n] != '.')
			continue;
		k = gguf_key_find(s, key + n + 1);
		if (!k)
			return error_set(ERR_INPUT,
			                 "%s: \"%.96s\" may change what the model computes: not "
			                 "supported",
			                 g->path, key);
		if (k->use == KEY_OFF || k->use == KEY_ONE)
			TRY(gguf_check_off(g, key, k->use == KEY_ONE));
	}
	return OK;
}

/* ---- the shape ---- */

static int gguf_read_kind(const struct gguf *g, struct arena *a, struct model_shape *s)
{
	const char *type = "model", *architecture = NULL;
	char        known[KIND_NAMES_BYTES];

	TRY(gguf_get_text(g, "general.type", GGUF_OPTIONAL, a, &type));
	if (strcmp(type, "model") != 0)
		return error_set(ERR_INPUT, "%s: \"general.type\" is \"%.64s\", and no model",
		                 g->path, type);
	TRY(gguf_get_text(g, "general.architecture", GGUF_REQUIRED, a, &architecture));
	if (!kind_find_gguf(architecture, &s->kind))
		return error_set(ERR_INPUT, "%s: \"general.architecture\" is \"%.64s\"; known: %s",
		                 g->path, architecture, kind_names(1, known));
	return OK;
}

static int gguf_read_sizes(const struct gguf *g, struct model_shape *s)
{
	char name[KEY_BYTES];

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const struct gguf_key *k = &keys[i];
		void                  *at = (char *)s + k->at;
		int64_t                value = 0;
		if (!gguf_key_is(k, s))
			continue;
		gguf_key(s, k->name, name);
		if (k->use == KEY_REAL)
			TRY(gguf_get_real(g, name, k->required, at));
		if (k->use != KEY_SIZE)
			continue;
		TRY(gguf_get_int(g, name, k->required, 1, INT_MAX, &value));
		*(int *)at = (int)value;
	}
	s->n_kv_heads = s->n_kv_heads ? s->n_kv_heads : s->n_heads;
	if (s->head_width == 0 && s->width % s->n_heads)
		return error_set(ERR_INPUT,
		                 "%s: embedding_length %d is no multiple of attention.head_count "
		                 "%d, and there is no attention.key_length",
		                 g->path, s->width, s->n_heads);
	s->head_width = s->head_width ? s->head_width : s->width / s->n_heads;
	return OK;
}

/* Whether a window in a file of this kind is that of all layers. */
static int gguf_says_window(const struct model_shape *s)
{
	enum model_kind first;

	return kind_has(s, PART_WINDOW) && !kind_of(s)->lists_layers &&
	       kind_find_gguf(kind_of(s)->gguf, &first) && first == s->kind;
}

static int gguf_is_unturned(const struct model_shape *s, int layer)
{
	return kind_has(s, PART_NOPE) && (layer + 1) % 4 == 0;
}

/* What must be the width of a head, or not smaller than the texts that the model was made for. */
static int gguf_check_sizes(const struct gguf *g, const struct model_shape *s)
{
	const struct {
		const char *name;
		int64_t     low, high;
	} bounds[] = {
	        {"attention.value_length", s->head_width, s->head_width},
	        {"rope.dimension_count", s->head_width, s->head_width},
	        {"attention.sliding_window", gguf_says_window(s) ? 0 : s->n_positions, INT_MAX},
	};
	char name[KEY_BYTES];

	for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
		int64_t value = bounds[i].low;
		gguf_key(s, bounds[i].name, name);
		TRY(gguf_get_int(g, name, GGUF_OPTIONAL, INT_MIN, INT64_MAX, &value));
		if ((value < bounds[i].low || value > bounds[i].high) && value != 0)
			return error_set(ERR_INPUT,
			                 "%s: \"%s\" is %lld, but only %lld or more than any text "
			                 "is supported",
			                 g->path, name, (long long)value, (long long)bounds[i].low);
	}
	return OK;
}

/* What sets layers apart: a window, or that every fourth is not rotated, which files of the kind do
 * not say, since all models of the kind have it so. */
static int gguf_read_layers(const struct gguf *g, struct model_shape *s)
{
	char    name[KEY_BYTES];
	int64_t window = 0;

	if (s->n_layers > SHAPE_LAYERS_MAX)
		return error_set(ERR_INPUT,
		                 "%s: model shape: num_hidden_layers is %d, more than %d", g->path,
		                 s->n_layers, SHAPE_LAYERS_MAX);
	if (gguf_says_window(s))
		TRY(gguf_get_int(g, gguf_key(s, "attention.sliding_window", name), GGUF_OPTIONAL, 0,
		                 INT_MAX, &window));
	s->window = (int)window;
	for (int i = 0; i < s->n_layers; i++)
		s->layers[i] = (unsigned char)((window ? LAYER_LOCAL : 0) |
		                               (gguf_is_unturned(s, i) ? LAYER_UNTURNED : 0));
	return OK;
}

static int gguf_read_linear(const struct gguf *g, struct arena *a, struct model_shape *s)
{
	const char *type = "none";
	char        name[KEY_BYTES];

	TRY(gguf_get_text(g, gguf_key(s, "rope.scaling.type", name), GGUF_OPTIONAL, a, &type));
	if (!strcmp(type, "none"))
		return OK;
	if (strcmp(type, "linear") != 0)
		return error_set(
		        ERR_INPUT,
		        "%s: \"%s\" is \"%.32s\"; none, linear and Llama 3's are supported",
		        g->path, name, type);
	s->rope.kind = ROPE_LINEAR;
	return gguf_get_real(g, gguf_key(s, "rope.scaling.factor", name), GGUF_REQUIRED,
	                     &s->rope.factor);
}

/* By what Llama 3's scaling divides each frequency. */
static void gguf_rope_divisors(const struct model_shape *s, float *out /* [E/2] */)
{
	struct model_shape plain = *s;
	float              scaled[HEAD_WIDTH_MAX / 2];

	plain.rope = (struct rope_scaling){0};
	rope_frequencies(&plain, out);
	rope_frequencies(s, scaled);
	for (int i = 0; i < s->head_width / 2; i++)
		out[i] /= scaled[i];
}

/* The file has the divisors alone. All published models of the kind have these three numbers, and
 * our own exports say theirs; that they give the divisors is checked. */
static int gguf_read_llama3(const struct gguf *g, struct model_shape *s)
{
	const struct gguf_tensor *t = gguf_find_tensor(g, rope_tensor);
	float                     there[HEAD_WIDTH_MAX / 2], here[HEAD_WIDTH_MAX / 2];
	int64_t                   positions = 8192;
	int                       n = s->head_width / 2, same = 1;

	if (!t)
		return OK;
	if (s->rope.kind != ROPE_PLAIN || n > HEAD_WIDTH_MAX / 2 || t->type != 0 ||
	    t->count != (uint64_t)n)
		return error_set(ERR_INPUT,
		                 "%s: tensor \"%s\" must be %d numbers of type F32, and no other "
		                 "scaling beside it",
		                 g->path, rope_tensor, n);
	TRY(gguf_read(g, t, 0, there, (size_t)t->bytes));
	s->rope = (struct rope_scaling){ROPE_LLAMA3, 0, (double)there[n - 1], 1, 4};
	TRY(gguf_get_real(g, "hone.rope.factor", GGUF_OPTIONAL, &s->rope.factor));
	TRY(gguf_get_real(g, "hone.rope.low_freq_factor", GGUF_OPTIONAL, &s->rope.low_freq_factor));
	TRY(gguf_get_real(g, "hone.rope.high_freq_factor", GGUF_OPTIONAL,
	                  &s->rope.high_freq_factor));
	TRY(gguf_get_int(g, "hone.rope.original_positions", GGUF_OPTIONAL, 1, INT_MAX, &positions));
	s->rope.original_positions = (int)positions;
	TRY(rope_check(s));
	gguf_rope_divisors(s, here);
	for (int i = 0; i < n; i++)
		same &= fabsf(here[i] - there[i]) <= 1e-4f * there[i];
	return same ? OK
	            : error_set(ERR_INPUT,
	                        "%s: the divisors in \"%s\" are not those of Llama 3's scaling: "
	                        "not supported",
	                        g->path, rope_tensor);
}

/* The end of a text, of a turn, of a message: each once. */
static int gguf_read_ends(const struct gguf *g, struct model_shape *s)
{
	static const char *const ends[] = {"tokenizer.ggml.eos_token_id",
	                                   "tokenizer.ggml.eot_token_id",
	                                   "tokenizer.ggml.eom_token_id"};
	int64_t                  bos = -1;

	TRY(gguf_get_int(g, "tokenizer.ggml.bos_token_id", GGUF_OPTIONAL, 0, s->n_vocab - 1, &bos));
	s->bos = (int)bos;
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		int64_t id = -1;
		int     known = 0;
		TRY(gguf_get_int(g, ends[i], GGUF_OPTIONAL, 0, s->n_vocab - 1, &id));
		for (int j = 0; j < s->n_eos; j++)
			known |= s->eos[j] == id;
		if (id >= 0 && !known)
			s->eos[s->n_eos++] = (int)id;
	}
	return OK;
}

static int gguf_shape_of(const struct gguf *g, struct arena *a, struct model_shape *s)
{
	const struct gguf_tensor *embed = gguf_find_tensor(g, "token_embd.weight");

	*s = (struct model_shape){.rope_theta = 10000, .bos = -1};
	TRY(gguf_read_kind(g, a, s));
	TRY(gguf_check_keys(g, s));
	TRY(gguf_read_sizes(g, s));
	TRY(gguf_read_layers(g, s));
	if (!embed || embed->n_sides != 2 || embed->sides[1] > INT_MAX)
		return error_set(ERR_INPUT,
		                 "%s: there is no matrix \"token_embd.weight\"; is it a model?",
		                 g->path);
	s->n_vocab = (int)embed->sides[1];
	s->tied = !gguf_find_tensor(g, "output.weight");
	TRY(gguf_check_sizes(g, s));
	TRY(gguf_read_linear(g, a, s));
	if (weights_check_shape(s) != OK)
		return error_context("%s", g->path);
	TRY(gguf_read_llama3(g, s));
	return gguf_read_ends(g, s);
}

int gguf_model_read_shape(const char *path, struct model_shape *out)
{
	struct arena a = {0};
	struct gguf  g;
	int          status;

	TRY(gguf_open(path, &g));
	status = gguf_shape_of(&g, &a, out);
	gguf_close(&g);
	arena_free(&a);
	return status;
}

/* ---- reading weights ---- */

/* A shape that asks for more weights than the tensors hold does not get to allocate them. */
static int gguf_check_bytes(const struct gguf *g, const struct model_shape *s)
{
	uint64_t total = 0;

	for (size_t i = 0; i < g->n_tensors; i++)
		total += g->tensors[i].count;
	if (weights_count(s) > total)
		return error_set(ERR_INPUT,
		                 "%s: its sizes ask for %zu weights, but its tensors hold %llu",
		                 g->path, weights_count(s), (unsigned long long)total);
	return OK;
}

/* The file's tensor for one of ours, with the sides that it must have and a type that is known. */
static int gguf_match(const struct gguf *g, const struct tensor *t, const char *name,
                      const struct gguf_tensor **out)
{
	const struct gguf_tensor *e = gguf_find_tensor(g, name);
	uint64_t in = (uint64_t)(t->n_dims == 2 ? t->columns : t->rows), count = t->count;

	*out = e;
	if (!e)
		return error_set(ERR_INPUT, "%s: tensor \"%s\" is missing", g->path, name);
	if (e->n_sides != t->n_dims || e->sides[0] != in || e->count != count)
		return error_set(
		        ERR_INPUT,
		        "%s: tensor \"%s\" has %llu numbers in rows of %llu, but the sizes "
		        "of the model make it %llu in rows of %llu",
		        g->path, name, (unsigned long long)e->count,
		        (unsigned long long)e->sides[0], (unsigned long long)count,
		        (unsigned long long)in);
	return gguf_quant_check(g->path, e);
}

/* In pieces of whole blocks: no second copy of a tensor is made. */
static int gguf_read_numbers(const struct gguf *g, const struct gguf_tensor *e, float *out)
{
	const struct gguf_type *type = gguf_type_of(e->type);
	uint64_t                n = e->count / type->block, piece = PIECE / type->block;
	unsigned char          *blocks;
	int                     status = OK;

	TRY(mem_take((size_t)piece * type->bytes, "the blocks of a tensor", &blocks));
	for (uint64_t at = 0; at < n && status == OK; at += piece) {
		size_t now = (size_t)(n - at < piece ? n - at : piece);
		status = gguf_read(g, e, at * type->bytes, blocks, now * type->bytes);
		if (status == OK)
			gguf_quant_read(e->type, blocks, now, out + at * type->block);
	}
	mem_free(blocks);
	return status;
}

/* Rows as neighbours -> rows as halves, head after head. */
static int gguf_turn_rows(const struct tensor *t, int head_width, float *x)
{
	size_t head = (size_t)head_width * (size_t)t->columns, row = (size_t)t->columns;
	float *copy;

	TRY(mem_take(head, "a head of a tensor", &copy));
	for (size_t at = 0; at < t->count; at += head) {
		memcpy(copy, x + at, head * sizeof *x);
		for (int i = 0; i < head_width; i++)
			memcpy(x + at + (size_t)gguf_turned_row(i, head_width) * row,
			       copy + (size_t)i * row, row * sizeof *x);
	}
	mem_free(copy);
	return OK;
}

static int gguf_load_tensors(const struct gguf *g, struct weights *w)
{
	const struct gguf_tensor *e;
	char                      name[KEY_BYTES];

	for (int i = 0; i < w->n_tensors; i++) {
		const struct tensor *t = &w->tensors[i];
		int                  turned = gguf_name(&w->shape, t->name, name);
		TRY(gguf_match(g, t, name, &e));
		TRY(gguf_read_numbers(g, e, w->data + t->offset));
		if (turned && kind_of(&w->shape)->gguf_turned)
			TRY(gguf_turn_rows(t, w->shape.head_width, w->data + t->offset));
	}
	return OK;
}

/* All of our tensors are there; so where the numbers of tensors differ, one is not ours. */
static int gguf_check_known(const struct gguf *g, const struct weights *w)
{
	char name[KEY_BYTES];

	for (size_t i = 0; i < g->n_tensors; i++) {
		int known = !strcmp(g->tensors[i].name, rope_tensor);
		for (int j = 0; j < w->n_tensors && !known; j++) {
			gguf_name(&w->shape, w->tensors[j].name, name);
			known = !strcmp(g->tensors[i].name, name);
		}
		if (!known)
			return error_set(ERR_INPUT,
			                 "%s: tensor \"%s\" is not part of a model of the kind "
			                 "%s: not supported",
			                 g->path, g->tensors[i].name,
			                 kind_of(&w->shape)->model_type);
	}
	return OK;
}

static int gguf_load(const struct gguf *g, const struct model_shape *s, struct weights *out)
{
	size_t n;
	int    status;

	TRY(gguf_check_bytes(g, s));
	TRY(weights_new(s, out));
	n = (size_t)out->n_tensors + (gguf_find_tensor(g, rope_tensor) != NULL);
	status = gguf_load_tensors(g, out);
	if (status == OK && n != g->n_tensors)
		status = gguf_check_known(g, out);
	if (status == OK && weights_check_finite(out) != OK)
		status = error_context("%s", g->path);
	if (status != OK)
		weights_free(out);
	return status;
}

int gguf_model_read_weights(const char *path, const struct model_shape *s, struct weights *out)
{
	struct gguf g;
	int         status;

	*out = (struct weights){0};
	TRY(gguf_open(path, &g));
	status = gguf_load(&g, s, out);
	gguf_close(&g);
	return status;
}

/* ---- writing ---- */

/* general.file_type, as llama.cpp numbers what most tensors are. */
static uint32_t gguf_file_type(uint32_t type)
{
	static const struct {
		const char *name;
		uint32_t    number;
	} rows[] = {{"F32", 0}, {"F16", 1}, {"Q8_0", 7}, {"BF16", 32}};
	uint32_t number = 0;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (!strcmp(rows[i].name, gguf_type_of(type)->name))
			number = rows[i].number;
	return number;
}

static void gguf_text_value(struct gguf_out *o, const char *key, const char *s)
{
	gguf_out_text(o, key, s, strlen(s));
}

/* llama.cpp knows linear scaling by a key and Llama 3's by a tensor; its numbers are ours. */
static void gguf_rope_values(const struct model_shape *s, struct gguf_out *o)
{
	char key[KEY_BYTES];

	if (s->rope.kind == ROPE_LINEAR) {
		gguf_text_value(o, gguf_key(s, "rope.scaling.type", key), "linear");
		gguf_out_f32(o, gguf_key(s, "rope.scaling.factor", key), (float)s->rope.factor);
	}
	if (s->rope.kind == ROPE_LLAMA3) {
		gguf_out_f32(o, "hone.rope.factor", (float)s->rope.factor);
		gguf_out_f32(o, "hone.rope.low_freq_factor", (float)s->rope.low_freq_factor);
		gguf_out_f32(o, "hone.rope.high_freq_factor", (float)s->rope.high_freq_factor);
		gguf_out_u32(o, "hone.rope.original_positions",
		             (uint32_t)s->rope.original_positions);
	}
}

void gguf_model_values(const struct model_shape *s, const char *name, uint32_t type,
                       struct gguf_out *o)
{
	char key[KEY_BYTES];

	gguf_text_value(o, "general.architecture", kind_of(s)->gguf);
	gguf_text_value(o, "general.type", "model");
	gguf_text_value(o, "general.name", name);
	gguf_out_u32(o, "general.file_type", gguf_file_type(type));
	gguf_out_u32(o, "general.quantization_version", 2);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const void *at = (const char *)s + keys[i].at;
		if (!gguf_key_is(&keys[i], s))
			continue;
		gguf_key(s, keys[i].name, key);
		if (keys[i].use == KEY_SIZE)
			gguf_out_u32(o, key, (uint32_t) * (const int *)at);
		if (keys[i].use == KEY_REAL)
			gguf_out_f32(o, key, (float)*(const double *)at);
	}
	gguf_out_u32(o, gguf_key(s, "attention.value_length", key), (uint32_t)s->head_width);
	gguf_out_u32(o, gguf_key(s, "rope.dimension_count", key), (uint32_t)s->head_width);
	gguf_out_u32(o, gguf_key(s, "vocab_size", key), (uint32_t)s->n_vocab);
	if (gguf_says_window(s))
		gguf_out_u32(o, gguf_key(s, "attention.sliding_window", key), (uint32_t)s->window);
	gguf_rope_values(s, o);
}

/* The type that a tensor of this many columns is written as. */
static uint32_t gguf_type_for(const struct tensor *t, uint32_t type)
{
	uint32_t f16 = 1;

	if (t->n_dims == 1)
		return 0;
	return (uint64_t)t->columns % gguf_type_of(type)->block ? f16 : type;
}

static void gguf_tell_tensor(const struct model_shape *s, const struct tensor *t, uint32_t type,
                             struct gguf_out *o)
{
	const uint64_t sides[2] = {(uint64_t)(t->n_dims == 2 ? t->columns : t->rows),
	                           (uint64_t)t->rows};
	char           name[KEY_BYTES];

	gguf_name(s, t->name, name);
	gguf_out_tensor(o, name, gguf_type_for(t, type), t->n_dims, sides);
}

struct gguf_pass { /* of rows into a file */
	struct file_out *f;
	uint32_t         type;
	int              head_width; /* of rows that are turned, else 0 */
	float           *rows;       /* room for `most` of them, gathered */
	unsigned char   *blocks;     /* and as blocks */
	int              most;
};

static int gguf_write_rows(const struct gguf_pass *p, const struct tensor *t, const float *x,
                           int first, int n)
{
	const struct gguf_type *type = gguf_type_of(p->type);
	size_t                  row = t->n_dims == 2 ? (size_t)t->columns : 1;

	for (int i = 0; i < n; i++) {
		int at = p->head_width ? gguf_turned_row(first + i, p->head_width) : first + i;
		memcpy(p->rows + (size_t)i * row, x + (size_t)at * row, row * sizeof *x);
	}
	TRY(gguf_quant_write(p->type, p->rows, (size_t)n * row, p->blocks));
	return file_add(p->f, p->blocks, (size_t)n * row / type->block * type->bytes);
}

/* Rows are gathered in the order of the file, a few at a time. */
static int gguf_write_tensor(struct file_out *f, const struct tensor *t, const float *x,
                             uint32_t wanted, int head_width)
{
	struct gguf_pass        p = {f, gguf_type_for(t, wanted), head_width, NULL, NULL, 0};
	const struct gguf_type *type = gguf_type_of(p.type);
	int                     row = t->n_dims == 2 ? t->columns : 1, status;
	size_t                  numbers;

	p.most = row < PIECE ? PIECE / row : 1;
	numbers = (size_t)p.most * (size_t)row;
	status = mem_take(numbers, "rows of a tensor", &p.rows);
	if (status == OK)
		status = mem_take(numbers / type->block * type->bytes, "rows of a tensor",
		                  &p.blocks);
	for (int first = 0; first < t->rows && status == OK; first += p.most)
		status = gguf_write_rows(&p, t, x, first,
		                         t->rows - first < p.most ? t->rows - first : p.most);
	mem_free(p.rows);
	mem_free(p.blocks);
	TRY(status);
	return gguf_out_pad(f, t->count / type->block * type->bytes);
}

/* Whether the rows of this tensor are those of heads that the kind's files turn; of an adapter's
 * only those of B are outputs. */
static int gguf_turns(const struct tensor *t, const struct model_shape *s)
{
	char name[KEY_BYTES];

	return gguf_name(s, t->name, name) && !strstr(t->name, ".lora_A.") &&
	       kind_of(s)->gguf_turned;
}

/* By what Llama 3's scaling divides: no tensor of the weights. */
static int gguf_write_rope(const struct model_shape *s, struct file_out *f)
{
	float  divisors[HEAD_WIDTH_MAX / 2];
	size_t bytes = (size_t)s->head_width / 2 * sizeof *divisors;

	gguf_rope_divisors(s, divisors);
	TRY(file_add(f, divisors, bytes));
	return gguf_out_pad(f, bytes);
}

static int gguf_write_tensors(const struct gguf_out *o, const struct weights *w,
                              const struct model_shape *s, uint32_t type, struct file_out *f)
{
	TRY(gguf_out_head(o, f));
	if (w->shape.rope.kind == ROPE_LLAMA3)
		TRY(gguf_write_rope(s, f));
	for (int i = 0; i < w->n_tensors; i++) {
		const struct tensor *t = &w->tensors[i];
		if (gguf_write_tensor(f, t, w->data + t->offset, type,
		                      gguf_turns(t, s) ? s->head_width : 0) != OK)
			return error_context("tensor \"%s\"", t->name);
	}
	return OK;
}

static int gguf_write_file(const char *path, const struct weights *w, const struct model_shape *s,
                           uint32_t type, struct gguf_out *o)
{
	const uint64_t  half = (uint64_t)s->head_width / 2;
	struct file_out f;

	TRY(weights_check_finite(w));
	if (w->shape.rope.kind == ROPE_LLAMA3)
		gguf_out_tensor(o, rope_tensor, 0, 1, &half);
	for (int i = 0; i < w->n_tensors; i++)
		gguf_tell_tensor(s, &w->tensors[i], type, o);
	TRY(file_begin(path, &f));
	return file_finish(&f, gguf_write_tensors(o, w, s, type, &f));
}

int gguf_model_check(const struct model_shape *s)
{
	const struct kind *kind = kind_of(s);
	char               known[KIND_NAMES_BYTES];

	if (!kind->gguf)
		return error_set(ERR_INPUT,
		                 "GGUF files are not written of models of the kind %s, only of %s; "
		                 "export a folder, and convert that",
		                 kind->model_type, kind_names(1, known));
	for (int i = 0; i < s->n_layers; i++) {
		int window = kind_window(s, i);
		if (window && window < s->n_positions && !gguf_says_window(s))
			return error_set(ERR_INPUT,
			                 "GGUF files of %s cannot say that layer %d sees a window "
			                 "of %d positions; export a folder",
			                 kind->gguf, i, window);
		if (kind_has(s, PART_NOPE) && kind_is_turned(s, i) == gguf_is_unturned(s, i))
			return error_set(ERR_INPUT,
			                 "GGUF files of %s say that every fourth layer is not "
			                 "rotated, but layer %d is otherwise; export a folder",
			                 kind->gguf, i);
	}
	return OK;
}

int gguf_model_write(const char *path, const struct weights *w, uint32_t type, struct gguf_out *o)
{
	return gguf_write_file(path, w, &w->shape, type, o);
}

int gguf_adapter_write(const char *path, const struct adapter *adapter, const struct model_shape *s,
                       const char *name, uint32_t type)
{
	const struct adapter_options *a = &adapter->options;
	double          alpha = a->rslora ? a->alpha * sqrt((double)a->rank) : a->alpha;
	struct gguf_out o = {0};
	int             status;

	gguf_text_value(&o, "general.architecture", kind_of(s)->gguf);
	gguf_text_value(&o, "general.type", "adapter");
	gguf_text_value(&o, "general.name", name);
	gguf_out_u32(&o, "general.file_type", gguf_file_type(type));
	gguf_text_value(&o, "adapter.type", "lora");
	gguf_out_f32(&o, "adapter.lora.alpha", (float)alpha);
	status = gguf_write_file(path, &adapter->weights, s, type, &o);
	gguf_out_free(&o);
	return status;
}
