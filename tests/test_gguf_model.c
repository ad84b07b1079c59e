/* Models and tokenizers in GGUF files: the same bits and ids back, and what is not understood is
 * refused by its name. */
#include "base/file.h"
#include "base/gguf.h"
#include "base/json.h"
#include "every_kind.h"
#include "model/folder.h"
#include "model/gguf_model.h"
#include "model/gguf_quant.h"
#include "model/kind.h"
#include "temporary_gguf.h"
#include "test.h"
#include "text/tokenizer.h"

#include <unistd.h>

/* ---- weights ---- */

static struct model_shape shape_of(enum model_kind kind, int tied, enum rope_kind rope)
{
	struct model_shape s = {.kind = kind,
	                        .n_layers = 2,
	                        .width = 36,
	                        .n_heads = 4,
	                        .n_kv_heads = 2,
	                        .head_width = 14,
	                        .ff_width = 51,
	                        .n_vocab = 19,
	                        .n_positions = 77,
	                        .rope_theta = 12345.5,
	                        .norm_eps = 1e-5,
	                        .tied = tied,
	                        .bos = 3,
	                        .eos = {4, 9},
	                        .n_eos = 2};

	as_kind(&s, kind, 25);
	if (kind_has(&s, PART_NOPE) || !kind_has(&s, PART_WINDOW) || kind_of(&s)->lists_layers) {
		memset(s.layers, 0, sizeof s.layers);
		s.window = 0;
	}
	if (kind == MODEL_GPT2) {
		s.n_kv_heads = s.n_heads;
		s.rope_theta = 10000;
	}
	if (rope == ROPE_LINEAR)
		s.rope = (struct rope_scaling){ROPE_LINEAR, 0, 4, 0, 0};
	if (rope == ROPE_LLAMA3)
		s.rope = (struct rope_scaling){ROPE_LLAMA3, 16, 8, 1, 3};
	return s;
}

/* Random weights, gains and biases as well. */
static struct weights weights_of(const struct model_shape *s)
{
	struct weights w;
	struct rng_key key = {.seed = 1, .purpose = RNG_TEST};

	assert_ok(weights_new(s, &w));
	for (size_t i = 0; i < w.n; i++)
		w.data[i] = (float)rng_normal(key, (uint32_t)i);
	return w;
}

static uint32_t type_of(const char *name)
{
	uint32_t type;

	assert_true(gguf_quant_writes(name, &type));
	return type;
}

/* With the ends that the values of a tokenizer would say. */
static void write_model(const struct weights *w, const char *type)
{
	struct gguf_out o = {0};

	gguf_model_values(&w->shape, "a model", type_of(type), &o);
	gguf_out_u32(&o, "tokenizer.ggml.bos_token_id", (uint32_t)w->shape.bos);
	gguf_out_u32(&o, "tokenizer.ggml.eos_token_id", (uint32_t)w->shape.eos[0]);
	gguf_out_u32(&o, "tokenizer.ggml.eot_token_id", (uint32_t)w->shape.eos[1]);
	assert_ok(gguf_model_write(temporary_gguf(), w, type_of(type), &o));
	gguf_out_free(&o);
}

static void same_again(enum model_kind kind, int tied, enum rope_kind rope)
{
	struct model_shape s = shape_of(kind, tied, rope), t;
	struct weights     w = weights_of(&s), again;

	write_model(&w, "F32");
	assert_ok(folder_read_shape(temporary_gguf(), &t));
	assert_memory_equal(&s.rope, &t.rope, sizeof s.rope);
	assert_true(t.rope_theta == s.rope_theta && t.norm_eps == s.norm_eps);
	assert_memory_equal(&s, &t, sizeof s);
	assert_ok(folder_read_weights(temporary_gguf(), &t, &again));
	assert_int_equal(again.n, w.n);
	assert_memory_equal(w.data, again.data, w.n * sizeof *w.data);
	weights_free(&w);
	weights_free(&again);
}

static void every_kind_comes_back_with_the_same_bits(void **state)
{
	(void)state;
	for (int kind = 0; kind < MODEL_KINDS; kind++)
		for (int tied = 0; tied < 2; tied++)
			for (int rope = ROPE_PLAIN; rope <= ROPE_LLAMA3; rope++) {
				struct model_shape s =
				        shape_of((enum model_kind)kind, tied, (enum rope_kind)rope);
				enum model_kind found = MODEL_KINDS;
				if (kind_of(&s)->gguf)
					assert_true(kind_find_gguf(kind_of(&s)->gguf, &found));
				if ((int)found == kind && (kind != MODEL_GPT2 || !rope))
					same_again((enum model_kind)kind, tied,
					           (enum rope_kind)rope);
			}
}

/* A file that llama.cpp would compute otherwise is not written. */
static void what_no_file_can_say_is_refused(void **state)
{
	struct model_shape s = shape_of(MODEL_MISTRAL, 0, ROPE_PLAIN);

	(void)state;
	assert_error(gguf_model_check(&s), ERR_INPUT, "layer 0 sees a window of 25 positions");
	s.window = s.n_positions;
	assert_ok(gguf_model_check(&s));
	s = shape_of(MODEL_SMOLLM3, 0, ROPE_PLAIN);
	assert_ok(gguf_model_check(&s));
	s.layers[1] = LAYER_UNTURNED;
	assert_error(gguf_model_check(&s), ERR_INPUT, "layer 1 is otherwise");
	s = shape_of(MODEL_QWEN2, 0, ROPE_PLAIN);
	s.layers[1] = LAYER_LOCAL;
	s.window = 9;
	assert_error(gguf_model_check(&s), ERR_INPUT, "layer 1 sees a window of 9 positions");
	s = shape_of(MODEL_GEMMA3, 0, ROPE_PLAIN);
	assert_error(gguf_model_check(&s), ERR_INPUT, "models of the kind gemma3_text");
}

/* First number of a row of a tensor in the file. */
static float first_of_row(const struct gguf *g, const char *name, int row)
{
	const struct gguf_tensor *t = gguf_find_tensor(g, name);
	float                     x;

	assert_non_null(t);
	assert_ok(gguf_read(g, t, (uint64_t)row * t->sides[0] * sizeof x, &x, sizeof x));
	return x;
}

/* With row i full of i: neighbours in a file of llama are halves of a head here. */
static void check_rows(enum model_kind kind, const char *name, const char *ours, int turned)
{
	struct model_shape   s = shape_of(kind, 0, ROPE_PLAIN);
	struct weights       w = weights_of(&s);
	const struct tensor *t = weights_find(&w, ours);
	struct gguf          g;

	for (size_t i = 0; i < t->count; i++)
		w.data[t->offset + i] = (float)(i / (size_t)t->columns);
	write_model(&w, "F32");
	assert_ok(gguf_open(temporary_gguf(), &g));
	for (int row = 0; row < t->rows; row++) {
		int head = row / 14, j = row % 14 / 2, half = row % 2;
		assert_true(first_of_row(&g, name, row) ==
		            (float)(turned ? head * 14 + half * 7 + j : row));
	}
	gguf_close(&g);
	weights_free(&w);
}

static void rows_of_q_and_k_of_llama_stand_as_neighbours(void **state)
{
	(void)state;
	check_rows(MODEL_LLAMA, "blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight", 1);
	check_rows(MODEL_LLAMA, "blk.0.attn_k.weight", "model.layers.0.self_attn.k_proj.weight", 1);
	check_rows(MODEL_LLAMA, "blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight", 0);
	check_rows(MODEL_QWEN2, "blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight", 0);
	check_rows(MODEL_QWEN3, "blk.0.attn_k.weight", "model.layers.0.self_attn.k_proj.weight", 0);
}

static void smaller_types_round_once(void **state)
{
	(void)state;
	struct model_shape s = shape_of(MODEL_QWEN2, 0, ROPE_PLAIN);
	struct weights     w, again;
	struct gguf        g;

	s.width = 64; /* whole blocks; the rows of down, of 51 numbers, are none */
	w = weights_of(&s);
	write_model(&w, "BF16");
	assert_ok(folder_read_weights(temporary_gguf(), &s, &again));
	for (int i = 0; i < w.n_tensors; i++)
		for (size_t j = 0; j < w.tensors[i].count; j++) {
			float x = w.data[w.tensors[i].offset + j];
			float y = w.tensors[i].n_dims == 1 ? x : float_from_bf16(float_to_bf16(x));
			assert_true(again.data[w.tensors[i].offset + j] == y);
		}
	weights_free(&again);
	write_model(&w, "Q8_0");
	assert_ok(folder_read_weights(temporary_gguf(), &s, &again));
	for (size_t i = 0; i < w.n; i++)
		assert_close((double)again.data[i], (double)w.data[i], 5.0 / 127 / 2 + 1e-3);
	weights_free(&again);
	assert_ok(gguf_open(temporary_gguf(), &g));
	assert_int_equal(gguf_find_tensor(&g, "blk.0.ffn_gate.weight")->type, type_of("Q8_0"));
	assert_int_equal(gguf_find_tensor(&g, "blk.0.ffn_down.weight")->type, type_of("F16"));
	assert_int_equal(gguf_find_tensor(&g, "blk.0.attn_q.bias")->type, type_of("F32"));
	gguf_close(&g);
	weights_free(&w);
}

static void a_file_that_cannot_be_written_leaves_none_behind(void **state)
{
	(void)state;
	struct model_shape s = shape_of(MODEL_LLAMA, 0, ROPE_PLAIN);
	struct weights     w = weights_of(&s);
	struct gguf_out    o = {0};

	unlink(temporary_gguf());
	w.data[w.head + 5] = 1e30f;
	gguf_model_values(&s, "a model", type_of("F16"), &o);
	assert_error(gguf_model_write(temporary_gguf(), &w, type_of("F16"), &o), ERR_INPUT,
	             "lm_head.weight");
	assert_false(file_exists(temporary_gguf()));
	gguf_out_free(&o);
	weights_free(&w);
}

/* ---- files that say something else ---- */

/* A model of llama with this change: bytes of the file, from -> to, of one length. */
static int read_changed(const char *from, const char *to, size_t n)
{
	struct model_shape s = shape_of(MODEL_LLAMA, 0, ROPE_LLAMA3), t;
	struct weights     w = weights_of(&s), again = {0};
	struct bytes       b;
	char              *at;
	int                status;

	write_model(&w, "F32");
	weights_free(&w);
	assert_ok(file_read(temporary_gguf(), 1 << 24, &b));
	at = memmem(b.data, b.n, from, n);
	assert_non_null(at);
	memcpy(at, to, n);
	assert_ok(file_write(temporary_gguf(), b.data, b.n));
	bytes_free(&b);
	status = folder_read_shape(temporary_gguf(), &t);
	if (status == OK)
		status = folder_read_weights(temporary_gguf(), &t, &again);
	weights_free(&again);
	return status;
}

#define CHANGED(from, to) read_changed(from, to, sizeof(from) - 1)

static void what_is_not_understood_is_refused_by_name(void **state)
{
	(void)state;
	assert_error(CHANGED("\5\0\0\0\0\0\0\0llama", "\5\0\0\0\0\0\0\0gemma"), ERR_INPUT,
	             "\"gemma\"; known: llama");
	assert_error(CHANGED("\5\0\0\0\0\0\0\0model", "\5\0\0\0\0\0\0\0mmproj"), ERR_INPUT,
	             "general.type");
	assert_error(CHANGED("llama.vocab_size", "llama.vocab_more"), ERR_INPUT,
	             "\"llama.vocab_more\" may change");
	assert_error(CHANGED("llama.block_count", "llama.block_kount"), ERR_INPUT,
	             "llama.block_kount");
	assert_error(CHANGED("blk.1.ffn_up.weight", "blk.1.ffn_xx.weight"), ERR_INPUT,
	             "\"blk.1.ffn_up.weight\" is missing");
	assert_error(CHANGED("token_embd.weight", "token_embx.weight"), ERR_INPUT,
	             "token_embd.weight");
	assert_error(CHANGED("rope_freqs.weight", "rope_frexx.weight"), ERR_INPUT,
	             "\"rope_frexx.weight\" is not part of a model");
	assert_error(CHANGED("hone.rope.factor\6\0\0\0\0\0\0\x41",
	                     "hone.rope.factor\6\0\0\0\0\0\x10\x41"),
	             ERR_INPUT, "Llama 3's scaling");
}

static void sizes_that_the_tensors_do_not_have_are_refused(void **state)
{
	(void)state;
	assert_error(CHANGED("head_count\4\0\0\0\4", "head_count\4\0\0\0\2"), ERR_INPUT,
	             "attn_q.weight");
	assert_error(CHANGED("head_count\4\0\0\0\4", "head_count\4\0\0\0\0"), ERR_INPUT,
	             "attention.head_count");
	assert_error(CHANGED("block_count\4\0\0\0\2\0\0\0", "block_count\4\0\0\0\2\0\0\1"),
	             ERR_INPUT, "num_hidden_layers");
	assert_error(CHANGED("block_count\4\0\0\0\2\0", "block_count\4\0\0\0\2\1"), ERR_INPUT,
	             "but its tensors hold");
	assert_error(CHANGED("forward_length\4\0\0\0\x33\0\0", "forward_length\4\0\0\0\x33\0\1"),
	             ERR_INPUT, "ask for");
	assert_error(CHANGED("value_length\4\0\0\0\x0e", "value_length\4\0\0\0\x0f"), ERR_INPUT,
	             "attention.value_length");
	assert_error(CHANGED("bos_token_id\4\0\0\0\3", "bos_token_id\4\0\0\0\x13"), ERR_INPUT,
	             "bos_token_id");
}

/* ---- tokenizers ---- */

static int tokenizer_to_file(const struct tokenizer *t, const struct tokenizer_ids *ids)
{
	struct gguf_out o = {0};
	struct file_out f;
	int             status = tokenizer_gguf_values(t, ids, &o);

	if (status == OK) {
		assert_ok(file_begin(temporary_gguf(), &f));
		assert_ok(file_finish(&f, gguf_out_head(&o, &f)));
	}
	gguf_out_free(&o);
	return status;
}

static void check_text(const struct tokenizer *a, const struct tokenizer *b, const char *text,
                       size_t n)
{
	struct ids  x = {0}, y = {0};
	struct text s = {0}, t = {0};

	for (int special = 0; special < 2; special++) {
		x.n = y.n = 0;
		assert_ok(tokenizer_encode(a, text, n, special, &x));
		assert_ok(tokenizer_encode(b, text, n, special, &y));
		if (x.n != y.n || (x.n && memcmp(x.id, y.id, x.n * sizeof *x.id) != 0))
			fail_msg("other ids of \"%s\"", text);
	}
	assert_ok(tokenizer_decode(a, x.id, x.n, 0, &s));
	assert_ok(tokenizer_decode(b, x.id, x.n, 0, &t));
	assert_true(s.n == t.n && (!s.n || !memcmp(s.data, t.data, s.n)));
	ids_free(&x);
	ids_free(&y);
	text_free(&s);
	text_free(&t);
}

/* The ids of every text that is kept for this tokenizer. */
static void check_texts(const char *vectors, const struct tokenizer *a, const struct tokenizer *b)
{
	struct lines *in;
	const char   *line, *text;
	size_t        n;
	json_t       *row;

	assert_ok(lines_open(vectors, 1 << 20, &in));
	for (;;) {
		assert_ok(lines_next(in, &line, &n));
		if (!line)
			break;
		assert_ok(json_parse(vectors, line, n, &row));
		text = json_string_value(json_object_get(row, "text"));
		if (text)
			check_text(a, b, text, strlen(text));
		json_decref(row);
	}
	lines_close(in);
}

static const struct told {
	const char *name, *pre; /* NULL: of the kind llama */
	const char *refused;    /* or what is said */
} told[] = {
        {"gpt2", "gpt-2", NULL},
        {"minipile-4096", NULL, "no name in GGUF"},
        {"plain", "gpt-2", NULL},
        {"digits-alone", "smollm", NULL},
        {"qwen2.5", "qwen2", NULL},
        {"nfc-split-qwen", "qwen2", NULL},
        {"split-llama-ignore-merges", "llama-bpe", NULL},
        {"bos-eos-template", "smaug-bpe", NULL},
        {"prefix-space", NULL, "no name in GGUF"},
        {"split-inverted", NULL, "no name in GGUF"},
        {"falcon-stages", NULL, "no name in GGUF"},
        {"unigram", NULL, "type Unigram"},
        {"strip-added", NULL, "\"lstrip\""},
};

static void check_told(const struct told *row)
{
	char              path[256], vectors[256];
	struct tokenizer *t, *again;
	struct arena      a = {0};
	struct gguf       g;
	const char       *pre = NULL;
	int               last;

	snprintf(path, sizeof path, "tests/data/tokenizers/%s.json.gz", row->name);
	snprintf(vectors, sizeof vectors, "tests/data/tokenizers/%s.vectors.jsonl.gz", row->name);
	assert_ok(tokenizer_load(path, &t));
	last = tokenizer_size(t) - 1;
	struct tokenizer_ids ids = {tokenizer_size(t) + 3, last - 1, &last, 1};
	if (row->refused) {
		assert_error(tokenizer_to_file(t, &ids), ERR_INPUT, row->refused);
		tokenizer_free(t);
		return;
	}
	assert_ok(tokenizer_to_file(t, &ids));
	assert_ok(gguf_open(temporary_gguf(), &g));
	assert_ok(gguf_get_text(&g, "tokenizer.ggml.pre", GGUF_REQUIRED, &a, &pre));
	assert_string_equal(pre, row->pre);
	gguf_close(&g);
	assert_ok(tokenizer_load(temporary_gguf(), &again));
	assert_int_equal(tokenizer_size(again), tokenizer_size(t));
	for (int id = 0; id <= last; id++)
		assert_int_equal(tokenizer_is_special(again, id), tokenizer_is_special(t, id));
	check_texts(vectors, t, again);
	tokenizer_free(t);
	tokenizer_free(again);
	arena_free(&a);
}

static void tokenizers_give_the_same_ids_or_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof told / sizeof *told; i++)
		check_told(&told[i]);
}

/* ---- files of the gguf package: tests/fuzz/corpus/gguf ---- */

static const char *seed(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "tests/fuzz/corpus/gguf/%s", name);
	return path;
}

static void models_of_others_are_read(void **state)
{
	(void)state;
	static const char *const names[] = {"llama-q4_1", "llama-spm-q8_0", "qwen2-q4_0",
	                                    "qwen3-q5_1"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct model_shape s;
		struct weights     w;
		struct tokenizer  *t;
		assert_ok(folder_read_shape(seed(names[i]), &s));
		assert_int_equal(s.head_width, 16);
		assert_int_equal(s.n_vocab, 12);
		assert_ok(folder_read_weights(seed(names[i]), &s, &w));
		assert_ok(tokenizer_load(seed(names[i]), &t));
		assert_int_equal(tokenizer_role(t, "eos"), s.eos[0]);
		assert_int_equal(tokenizer_role(t, "bos"), s.bos);
		assert_int_equal(tokenizer_size(t), 11); /* the last one is a filler */
		tokenizer_free(t);
		weights_free(&w);
	}
}

/* Merges by score: "ab" scores more than U+2581 "a", which scores more than U+2581 "ab". */
static void scores_say_what_is_merged_first(void **state)
{
	(void)state;
	struct tokenizer *t;
	struct ids        ids = {0};
	struct text       text = {0};
	const int         want[] = {1, 9, 10, 3, 4, 10}; /* <s> _ab c \n _ c */

	assert_ok(tokenizer_load(seed("llama-spm-q8_0"), &t));
	assert_ok(tokenizer_encode(t, "abc\n c", 6, 1, &ids));
	assert_int_equal(ids.n, 6);
	assert_memory_equal(ids.id, want, sizeof want);
	assert_ok(tokenizer_decode(t, ids.id, ids.n, 1, &text));
	assert_string_equal(text.data, "abc\n c");
	struct tokenizer_ids model = {12, 1, (const int[]){2}, 1};
	assert_ok(tokenizer_to_file(t, &model));
	tokenizer_free(t);
	assert_ok(tokenizer_load(temporary_gguf(), &t));
	ids.n = 0;
	assert_ok(tokenizer_encode(t, "abc\n c", 6, 1, &ids));
	assert_memory_equal(ids.id, want, sizeof want);
	tokenizer_free(t);
	ids_free(&ids);
	text_free(&text);
}

/* What a training run and an export write beside the weights. */
static void a_folder_made_of_a_file_loads_alone(void **state)
{
	(void)state;
	struct model_shape s, again;
	struct weights     w;
	struct tokenizer  *t, *u;
	char               folder[256];

	snprintf(folder, sizeof folder, "/tmp/hone-test-%d-folder", (int)getpid());
	assert_ok(folder_read_shape(seed("llama-q4_1"), &s));
	assert_ok(folder_read_weights(seed("llama-q4_1"), &s, &w));
	assert_ok(tokenizer_load(seed("llama-q4_1"), &t));
	assert_ok(folder_write(folder, &w, SAFETENSORS_F32, seed("llama-q4_1")));
	assert_ok(tokenizer_save(t, folder));
	assert_ok(folder_read_shape(folder, &again));
	assert_memory_equal(&s, &again, sizeof s);
	assert_ok(tokenizer_load(folder, &u));
	assert_string_equal(tokenizer_chat_template(t), tokenizer_chat_template(u));
	check_text(t, u, "abc <s>12\nb", 11);
	tokenizer_free(t);
	tokenizer_free(u);
	weights_free(&w);
	assert_ok(file_remove_folder(folder));
}

/* ---- adapters ---- */

static void an_adapter_is_a_file_whose_b_is_turned(void **state)
{
	(void)state;
	struct model_shape     s = shape_of(MODEL_LLAMA, 0, ROPE_PLAIN);
	struct weights         w = weights_of(&s);
	struct adapter_options o = {.rank = 4, .alpha = 3, .rslora = 1, .targets = 0x7f};
	struct adapter        *adapter;
	struct matmul         *mm;
	struct gguf            g;
	double                 alpha = 0;
	const struct tensor   *b;

	assert_ok(matmul_new(&(struct matmul_options){"reference", "f32", "strict", NULL, NULL},
	                     &mm));
	assert_ok(adapter_new(&o, &w, mm, 0, &adapter));
	b = weights_find(&adapter->weights,
	                 "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight");
	assert_non_null(b);
	for (size_t i = 0; i < b->count; i++)
		adapter->weights.data[b->offset + i] = (float)(i / (size_t)b->columns);
	assert_ok(gguf_adapter_write(temporary_gguf(), adapter, &s, "adapter", type_of("F32")));
	assert_ok(gguf_open(temporary_gguf(), &g));
	assert_ok(gguf_get_real(&g, "adapter.lora.alpha", GGUF_REQUIRED, &alpha));
	assert_true(alpha == 6); /* 6 / 4 = 3 / sqrt(4) */
	assert_true(first_of_row(&g, "blk.1.attn_q.weight.lora_b", 1) == 7);
	assert_int_equal(gguf_find_tensor(&g, "blk.0.ffn_down.weight.lora_a")->sides[0], 51);
	assert_int_equal(gguf_find_tensor(&g, "blk.0.attn_k.weight.lora_a")->sides[1], 4);
	gguf_close(&g);
	adapter_free(adapter);
	matmul_free(mm);
	weights_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(every_kind_comes_back_with_the_same_bits),
	        TEST(what_no_file_can_say_is_refused),
	        TEST(rows_of_q_and_k_of_llama_stand_as_neighbours),
	        TEST(smaller_types_round_once),
	        TEST(a_file_that_cannot_be_written_leaves_none_behind),
	        TEST(what_is_not_understood_is_refused_by_name),
	        TEST(sizes_that_the_tensors_do_not_have_are_refused),
	        TEST(tokenizers_give_the_same_ids_or_are_refused),
	        TEST(models_of_others_are_read),
	        TEST(scores_say_what_is_merged_first),
	        TEST(a_folder_made_of_a_file_loads_alone),
	        TEST(an_adapter_is_a_file_whose_b_is_turned),
	};
	return cmocka_run_group_tests(tests, NULL, temporary_gguf_remove);
}
