#include "model/weights.h"

#include "test.h"

static const struct model_shape tiny = {.n_layers = 1,
                                        .width = 6,
                                        .n_heads = 2,
                                        .n_kv_heads = 1,
                                        .head_width = 4,
                                        .ff_width = 5,
                                        .n_vocab = 7,
                                        .n_positions = 8,
                                        .rope_theta = 10000,
                                        .norm_eps = 1e-5,
                                        .tied = 1};

static void the_table_covers_the_vector_once_and_in_order(void **state)
{
	struct model_shape   shape = tiny;
	struct weights       w;
	const struct tensor *t;
	size_t               at = 0;

	(void)state;
	shape.n_layers = 3;
	for (shape.tied = 0; shape.tied < 2; shape.tied++) {
		assert_ok(weights_new(&shape, &w));
		at = 0;
		for (int i = 0; i < w.n_tensors; i++) {
			assert_int_equal(w.tensors[i].offset, at);
			assert_int_equal(w.tensors[i].count,
			                 (size_t)w.tensors[i].rows * (size_t)w.tensors[i].columns);
			assert_ptr_equal(weights_find(&w, w.tensors[i].name), &w.tensors[i]);
			at += w.tensors[i].count;
		}
		assert_int_equal(at, w.n);
		assert_int_equal(w.n_tensors, 3 * 9 + 3 - shape.tied);
		t = weights_find(&w, "model.layers.2.self_attn.k_proj.weight");
		assert_non_null(t);
		assert_int_equal(t->rows, 4);
		assert_int_equal(t->columns, 6);
		assert_int_equal(t->offset, w.layers[2].product[PRODUCT_QKV] + 8 * 6);
		t = weights_find(&w, "model.layers.1.mlp.up_proj.weight");
		assert_non_null(t);
		assert_int_equal(t->offset, w.layers[1].product[PRODUCT_GATE_UP] + 5 * 6);
		assert_true((weights_find(&w, "lm_head.weight") == NULL) == shape.tied);
		assert_true((w.head == w.embed) == shape.tied);
		weights_free(&w);
	}
}

static void a_kind_brings_its_own_tensors(void **state)
{
	struct model_shape   shape = tiny;
	struct weights       w;
	const struct tensor *t;
	size_t               llama = weights_count(&tiny);

	(void)state;
	shape.kind = MODEL_QWEN2;
	assert_ok(weights_new(&shape, &w));
	assert_int_equal(w.n, llama + (2 + 2 * 1) * 4);
	t = weights_find(&w, "model.layers.0.self_attn.v_proj.bias");
	assert_non_null(t);
	assert_int_equal(t->offset, w.layers[0].bias[PRODUCT_QKV] + (2 + 1) * 4);
	assert_int_equal(t->n_dims, 1);
	assert_null(weights_find(&w, "model.layers.0.self_attn.q_norm.weight"));
	weights_init(&w, 3);
	for (size_t i = 0; i < t->count; i++)
		assert_true(w.data[t->offset + i] == 0);
	weights_free(&w);
	shape.kind = MODEL_QWEN3;
	assert_ok(weights_new(&shape, &w));
	assert_int_equal(w.n, llama + 2 * 4);
	t = weights_find(&w, "model.layers.0.self_attn.k_norm.weight");
	assert_non_null(t);
	assert_int_equal(t->offset, w.layers[0].qk_norm + 4);
	assert_null(weights_find(&w, "model.layers.0.self_attn.q_proj.bias"));
	weights_init(&w, 3);
	for (size_t i = 0; i < t->count; i++)
		assert_true(w.data[t->offset + i] == 1);
	weights_free(&w);
}

static void wrong_shapes_are_named(void **state)
{
	struct model_shape s;
	struct weights     w;

	(void)state;
#define WRONG(field, value, part) \
	s = tiny; \
	s.field = value; \
	assert_error(weights_new(&s, &w), ERR_INPUT, part)
	WRONG(n_layers, 0, "num_hidden_layers");
	WRONG(width, -1, "hidden_size");
	WRONG(n_heads, 1 << 20, "num_attention_heads");
	WRONG(n_kv_heads, 3, "must divide");
	WRONG(n_kv_heads, 0, "num_key_value_heads");
	WRONG(head_width, 5, "even");
	WRONG(head_width, HEAD_WIDTH_MAX + 2, "head_dim");
	WRONG(ff_width, 0, "intermediate_size");
	WRONG(n_vocab, 0, "vocab_size");
	WRONG(n_positions, 0, "max_position_embeddings");
	WRONG(rope_theta, NAN, "rope_theta");
	WRONG(norm_eps, -1, "rms_norm_eps");
	WRONG(rope, ((struct rope_scaling){.kind = ROPE_LINEAR, .factor = 0.5}), "factor");
	WRONG(rope, ((struct rope_scaling){ROPE_LLAMA3, 8192, 32, 4, 4}), "low_freq_factor");
	WRONG(rope, ((struct rope_scaling){ROPE_LLAMA3, 0, 32, 1, 4}),
	      "original_max_position_embeddings");
}

static void initial_weights_have_the_deviations_they_should(void **state)
{
	struct model_shape shape = tiny;
	struct weights     w;

	(void)state;
	shape.width = 64;
	shape.ff_width = 100;
	shape.n_layers = 2;
	assert_ok(weights_new(&shape, &w));
	weights_init(&w, 7);
	for (int i = 0; i < w.n_tensors; i++) {
		const struct tensor *t = &w.tensors[i];
		int    residual = strstr(t->name, "o_proj") || strstr(t->name, "down_proj");
		double square = 0, want = t->kind == TENSOR_NORM ? 1 : residual ? 0.01 : 0.02;
		for (size_t j = 0; j < t->count; j++)
			square += (double)w.data[t->offset + j] * (double)w.data[t->offset + j];
		assert_close(sqrt(square / (double)t->count), want, 0.15 * want);
	}
	weights_free(&w);
}

static void the_first_weight_that_is_not_finite_is_named(void **state)
{
	struct weights       w;
	const struct tensor *t;

	(void)state;
	assert_ok(weights_new(&tiny, &w));
	assert_ok(weights_check_finite(&w));
	t = weights_find(&w, "model.layers.0.mlp.down_proj.weight");
	w.data[t->offset + 3] = NAN;
	w.data[w.n - 1] = INFINITY;
	assert_error(weights_check_finite(&w), ERR_INPUT,
	             "model.layers.0.mlp.down_proj.weight holds nan at index 3");
	weights_free(&w);
}

TEST_MAIN(TEST(the_table_covers_the_vector_once_and_in_order), TEST(a_kind_brings_its_own_tensors),
          TEST(wrong_shapes_are_named), TEST(initial_weights_have_the_deviations_they_should),
          TEST(the_first_weight_that_is_not_finite_is_named))
