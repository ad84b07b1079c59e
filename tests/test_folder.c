#include "base/file.h"
#include "base/json.h"
#include "model/folder.h"
#include "model/generation.h"
#include "model/published.h"
#include "test.h"

#include "every_kind.h"

#include <unistd.h>

static const char stories[] = "data/models/stories260k";
static const char sharded[] = "data/models/stories260k-bf16-sharded";
static const char digits[] = "data/models/digit-completion";

/* A folder of this process; made empty by start(). */
static char work[128];

static void start(void)
{
	snprintf(work, sizeof work, "/tmp/hone-test-%d-folder", (int)getpid());
	assert_ok(file_remove_folder(work));
	assert_ok(file_make_folders(work));
}

static void finish(void)
{
	assert_ok(file_remove_folder(work));
}

static const char *inside(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", work, name);
	return path;
}

static void put(const char *name, const char *text)
{
	assert_ok(file_write(inside(name), text, strlen(text)));
}

static void copy(const char *folder, const char *name)
{
	char         from[256];
	struct bytes b;

	snprintf(from, sizeof from, "%s/%s", folder, name);
	assert_ok(file_read(from, 1 << 24, &b));
	assert_ok(file_write(inside(name), b.data, b.n));
	bytes_free(&b);
}

/* config.json of stories260k with one key set to `value` (JSON; NULL removes the key). */
static void put_config(const char *key, const char *value)
{
	json_t *config, *v = NULL;
	char   *text;

	assert_ok(json_read("data/models/stories260k/config.json", 1 << 20, &config));
	if (value) {
		assert_ok(json_parse(key, value, strlen(value), &v));
		json_object_set_new(config, key, v);
	} else {
		json_object_del(config, key);
	}
	text = json_dumps(config, 0);
	put("config.json", text);
	free(text);
	json_decref(config);
}

static void the_published_shapes_are_read(void **state)
{
	(void)state;
	struct model_shape s;

	assert_ok(folder_read_shape(stories, &s));
	assert_int_equal(s.n_layers, 5);
	assert_int_equal(s.width, 64);
	assert_int_equal(s.n_heads, 8);
	assert_int_equal(s.n_kv_heads, 4);
	assert_int_equal(s.head_width, 8);
	assert_int_equal(s.ff_width, 172);
	assert_int_equal(s.n_vocab, 512);
	assert_int_equal(s.n_positions, 512);
	assert_true(s.rope_theta == 10000 && s.norm_eps == 1e-5 && s.tied);
	assert_int_equal(s.bos, 1);
	assert_int_equal(s.n_eos, 1);
	assert_int_equal(s.eos[0], 1); /* generation_config.json, not the 2 of config.json */
	assert_ok(folder_read_shape(sharded, &s));
	assert_int_equal(s.eos[0], 2);
	assert_ok(folder_read_shape(digits, &s));
	assert_int_equal(s.head_width, 32); /* not said: 128 / 4 */
	assert_int_equal(s.bos, -1);
	assert_false(s.tied);
}

static void what_config_json_leaves_out_has_its_usual_value(void **state)
{
	(void)state;
	struct model_shape s;

	start();
	put("config.json",
	    "{\"model_type\": \"llama\", \"hidden_size\": 12, \"num_hidden_layers\": 1, "
	    "\"num_attention_heads\": 3,"
	    " \"intermediate_size\": 7, \"vocab_size\": 11, \"eos_token_id\": [3, 4],"
	    " \"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 500000.0}}");
	assert_ok(folder_read_shape(work, &s));
	assert_int_equal(s.n_kv_heads, 3);
	assert_int_equal(s.head_width, 4);
	assert_int_equal(s.n_positions, 2048);
	assert_true(s.rope_theta == 500000 && s.norm_eps == 1e-6 && !s.tied);
	assert_int_equal(s.n_eos, 2);
	assert_int_equal(s.eos[1], 4);
	finish();
}

static void an_id_of_minus_one_is_a_token_that_there_is_not(void **state)
{
	(void)state;
	struct model_shape s;

	start();
	put_config("eos_token_id", "-1");
	assert_ok(folder_read_shape(work, &s));
	assert_int_equal(s.n_eos, 0);
	put_config("eos_token_id", "[-1, 3]");
	assert_ok(folder_read_shape(work, &s));
	assert_true(s.n_eos == 1 && s.eos[0] == 3);
	put_config("bos_token_id", "-1");
	assert_ok(folder_read_shape(work, &s));
	assert_int_equal(s.bos, -1);
	finish();
}

static void a_setting_that_changes_the_model_is_refused_by_its_key(void **state)
{
	(void)state;
	static const struct {
		const char *key, *value, *part;
	} table[] = {
	        {"model_type", "\"qwen2_moe\"",
	         "\"model_type\" is \"qwen2_moe\"; known: llama, qwen2, qwen3"},
	        {"model_type", "\"qwen2\"",
	         "\"architectures\" does not begin with \"Qwen2ForCausalLM\""},
	        {"model_type", NULL, "\"model_type\" is missing"},
	        {"architectures", "[\"LlamaForSequenceClassification\"]", "\"architectures\""},
	        {"hidden_act", "\"gelu\"", "\"hidden_act\" is \"gelu\""},
	        {"attention_bias", "true", "\"attention_bias\""},
	        {"mlp_bias", "true", "\"mlp_bias\""},
	        {"rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 8.0}",
	         "\"low_freq_factor\" is missing"},
	        {"rope_scaling", "{\"type\": \"linear\"}", "\"factor\" is missing"},
	        {"rope_scaling", "{\"type\": \"linear\", \"factor\": 0.5}",
	         "factor of the scaled rotary positions is 0.5"},
	        {"rope_scaling", "{\"type\": \"dynamic\", \"factor\": 2.0}",
	         "\"rope_scaling\" of type \"dynamic\""},
	        {"rope_scaling", "{\"factor\": 2.0}",
	         "\"rope_scaling\" has a \"factor\", but no \"rope_type\""},
	        /* no type is the plain one */
	        {"rope_parameters", "{\"rope_theta\": 10000.0}", NULL},
	        {"hidden_act", "\"swish\"", NULL},
	        {"eos_token_id", "-2", "\"eos_token_id\" must hold token ids"},
	        {"rope_interleaved", "true", "\"rope_interleaved\""},
	        {"rope_parameters", "{\"rope_type\": \"yarn\"}",
	         "\"rope_parameters\" of type \"yarn\""},
	        {"partial_rotary_factor", "0.5", "\"partial_rotary_factor\" is 0.5"},
	        {"sliding_window", "511", "\"sliding_window\" is set"},
	        {"use_sliding_window", "true", NULL}, /* Llama takes no notice */
	        {"sliding_window", "512", NULL},
	        {"layer_types", "[\"full_attention\", \"sliding_attention\"]",
	         "\"layer_types\" must be a list with an entry for each of the 5 layers"},
	        {"layer_types",
	         "[\"full_attention\", \"full_attention\", \"full_attention\", "
	         "\"full_attention\", \"sliding_attention\"]",
	         "\"layer_types\" is set"},
	        {"num_local_experts", "8", "\"num_local_experts\""},
	        {"quantization_config", "{\"bits\": 4}", "\"quantization_config\""},
	        {"hidden_size", NULL, "\"hidden_size\" is missing"},
	        {"hidden_size", "\"64\"", "\"hidden_size\" must be an integer"},
	        {"hidden_size", "-64", "\"hidden_size\" is -64"},
	        {"hidden_size", "99999999999", "\"hidden_size\" is 99999999999"},
	        {"vocab_size", "2000000000", "vocab_size is 2000000000"},
	        {"num_key_value_heads", "3", "num_key_value_heads is 3"},
	        {"head_dim", "7", "head_dim is 7"},
	        {"rope_theta", "0", "rope_theta is 0"},
	        {"rope_theta", "\"x\"", "\"rope_theta\" must be a number"},
	        {"tie_word_embeddings", "1", "\"tie_word_embeddings\" must be true or false"},
	        {"eos_token_id", "512", "\"eos_token_id\" must hold token ids, 0 .. 511"},
	        {"eos_token_id", "[1, \"2\"]", "\"eos_token_id\""},
	        {"eos_token_id", "[1, 2, 3, 4, 5, 6, 7, 8, 9]", "more than 8"},
	        {"bos_token_id", "-2", "\"bos_token_id\" is -2"},
	};
	struct model_shape s;

	start();
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		put_config(table[i].key, table[i].value);
		if (table[i].part) {
			assert_error(folder_read_shape(work, &s), ERR_INPUT, table[i].part);
			assert_non_null(strstr(error_message(), "config.json"));
		} else {
			assert_ok(folder_read_shape(work, &s));
		}
	}
	put("config.json", "{\"model_type\": \"llama\", \"hidden_size\": 10, "
	                   "\"num_hidden_layers\": 1, \"num_attention_heads\": 3,"
	                   " \"intermediate_size\": 7, \"vocab_size\": 11}");
	assert_error(folder_read_shape(work, &s), ERR_INPUT,
	             "no multiple of \"num_attention_heads\"");
	put("config.json", "[]");
	assert_error(folder_read_shape(work, &s), ERR_INPUT, "config.json");
	unlink(inside("config.json"));
	assert_error(folder_read_shape(work, &s), ERR_INPUT, "config.json: cannot open it");
	finish();
}

static struct weights read_model(const char *folder)
{
	struct model_shape s;
	struct weights     w;

	assert_ok(folder_read_shape(folder, &s));
	assert_ok(folder_read_weights(folder, &s, &w));
	return w;
}

static void assert_same_weights(const struct weights *a, const struct weights *b)
{
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->data, b->data, a->n * sizeof *a->data);
}

/* The parts of the files that the models were published with that say something about the shape. */
static const struct {
	const char *name, *config, *generation;
	size_t      n_weights;
} published[] = {
        {"SmolLM2-135M",
         "{\"architectures\": [\"LlamaForCausalLM\"], \"attention_bias\": false, "
         "\"attention_dropout\": 0.0, \"bos_token_id\": 0,"
         " \"eos_token_id\": 0, \"hidden_act\": \"silu\", \"hidden_size\": 576, "
         "\"initializer_range\": 0.041666666666666664,"
         " \"intermediate_size\": 1536, \"is_llama_config\": true, \"max_position_embeddings\": "
         "8192, \"mlp_bias\": false,"
         " \"model_type\": \"llama\", \"num_attention_heads\": 9, \"num_hidden_layers\": 30, "
         "\"num_key_value_heads\": 3,"
         " \"pretraining_tp\": 1, \"rms_norm_eps\": 1e-05, \"rope_interleaved\": false, "
         "\"rope_scaling\": null, \"rope_theta\": 100000,"
         " \"tie_word_embeddings\": true, \"vocab_size\": 49152}",
         NULL, 134515008},
        {"Qwen2.5-0.5B",
         "{\"architectures\": [\"Qwen2ForCausalLM\"], \"attention_dropout\": 0.0, "
         "\"bos_token_id\": 151643, \"eos_token_id\": 151645,"
         " \"hidden_act\": \"silu\", \"hidden_size\": 896, \"intermediate_size\": 4864, "
         "\"max_position_embeddings\": 32768,"
         " \"max_window_layers\": 21, \"model_type\": \"qwen2\", \"num_attention_heads\": 14, "
         "\"num_hidden_layers\": 24,"
         " \"num_key_value_heads\": 2, \"rms_norm_eps\": 1e-06, \"rope_theta\": 1000000.0, "
         "\"sliding_window\": 32768,"
         " \"tie_word_embeddings\": true, \"use_sliding_window\": false, \"vocab_size\": 151936}",
         "{\"bos_token_id\": 151643, \"pad_token_id\": 151643, \"do_sample\": true, "
         "\"eos_token_id\": [151645, 151643],"
         " \"repetition_penalty\": 1.1, \"temperature\": 0.7, \"top_p\": 0.8, \"top_k\": 20}",
         494032768},
        {"Qwen3-0.6B",
         "{\"architectures\": [\"Qwen3ForCausalLM\"], \"attention_bias\": false, "
         "\"attention_dropout\": 0.0, \"bos_token_id\": 151643,"
         " \"eos_token_id\": 151645, \"head_dim\": 128, \"hidden_act\": \"silu\", \"hidden_size\": "
         "1024, \"intermediate_size\": 3072,"
         " \"max_position_embeddings\": 40960, \"max_window_layers\": 28, \"model_type\": "
         "\"qwen3\", \"num_attention_heads\": 16,"
         " \"num_hidden_layers\": 28, \"num_key_value_heads\": 8, \"rms_norm_eps\": 1e-06, "
         "\"rope_scaling\": null,"
         " \"rope_theta\": 1000000, \"sliding_window\": null, \"tie_word_embeddings\": true, "
         "\"use_sliding_window\": false,"
         " \"vocab_size\": 151936}",
         "{\"eos_token_id\": [151645, 151643]}", 596049920},
        {"Llama-3.2-1B",
         "{\"architectures\": [\"LlamaForCausalLM\"], \"attention_bias\": false, \"bos_token_id\": "
         "128000, \"eos_token_id\": [128001,"
         " 128008, 128009], \"head_dim\": 64, \"hidden_act\": \"silu\", \"hidden_size\": 2048, "
         "\"intermediate_size\": 8192,"
         " \"max_position_embeddings\": 131072, \"mlp_bias\": false, \"model_type\": \"llama\", "
         "\"num_attention_heads\": 32,"
         " \"num_hidden_layers\": 16, \"num_key_value_heads\": 8, \"pretraining_tp\": 1, "
         "\"rms_norm_eps\": 1e-05, \"rope_scaling\":"
         " {\"factor\": 32.0, \"high_freq_factor\": 4.0, \"low_freq_factor\": 1.0, "
         "\"original_max_position_embeddings\": 8192,"
         " \"rope_type\": \"llama3\"}, \"rope_theta\": 500000.0, \"tie_word_embeddings\": true, "
         "\"vocab_size\": 128256}",
         NULL, 1235814400},
};

static void files_of_published_models_give_their_shape_and_number_of_weights(void **state)
{
	(void)state;
	const struct model_shape *known;
	struct model_shape        s;

	for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
		start();
		put("config.json", published[i].config);
		if (published[i].generation)
			put("generation_config.json", published[i].generation);
		assert_ok(folder_read_shape(work, &s));
		known = published_shape(published[i].name);
		assert_non_null(known);
		assert_memory_equal(&s, known, sizeof s);
		assert_true(weights_count(&s) == published[i].n_weights);
		finish();
	}
	assert_null(published_shape("GPT-2"));
	assert_non_null(strstr(error_message(), "there are: SmolLM2-135M"));
}

/* Which of six layers are local ("L") or not rotated ("u"), by the keys that a config has, and by
 * those that it leaves out. */
static void traits_of_layers_are_those_of_transformers(void **state)
{
	(void)state;
	static const struct {
		const char *kind, *settings, *traits; /* traits: else a part of the message */
		int         window;
	} table[] = {
	        {"qwen3", "\"sliding_window\": 8, \"use_sliding_window\": false", "......", 0},
	        {"qwen3", "\"sliding_window\": 8", "......", 0},
	        {"qwen3", "\"sliding_window\": 8, \"use_sliding_window\": true", "......", 0},
	        {"qwen3",
	         "\"sliding_window\": 8, \"use_sliding_window\": true, \"max_window_layers\": 4",
	         "....LL", 8},
	        {"qwen2",
	         "\"sliding_window\": 8, \"use_sliding_window\": true, \"max_window_layers\": 0",
	         "LLLLLL", 8},
	        {"qwen3",
	         "\"sliding_window\": 8, \"layer_types\": [\"full_attention\", "
	         "\"sliding_attention\", \"full_attention\", \"full_attention\", "
	         "\"full_attention\", \"full_attention\"]",
	         ".L....", 8},
	        {"qwen3", "\"layer_types\": [\"full_attention\", \"linear_attention\", 1, 2, 3, 4]",
	         "\"layer_types\" holds \"linear_attention\"", 0},
	        {"qwen3", "\"layer_types\": [\"full_attention\"]", "\"layer_types\" must be a list",
	         0},
	        {"mistral", "\"sliding_window\": null", "......", 0},
	        {"mistral", "\"sliding_window\": 16", "LLLLLL", 16},
	        {"mistral", "\"bos_token_id\": 1", "LLLLLL", 4096},
	        {"mistral",
	         "\"sliding_window\": 16, \"layer_types\": [\"full_attention\", 1, 2, 3, 4, 5]",
	         "\"layer_types\" does not say of layer 0", 0},
	        {"phi3", "\"bos_token_id\": 1", "......", 0},
	        {"phi3", "\"sliding_window\": 20", "LLLLLL", 20},
	        {"smollm3", "\"bos_token_id\": 1", "...u..", 0},
	        {"smollm3", "\"no_rope_layer_interval\": 2", ".u.u.u", 0},
	        {"smollm3", "\"no_rope_layers\": [0, 1, 1, 1, 1, 0, 1]", "u....u", 0},
	        {"smollm3", "\"no_rope_layers\": [0, 1]", "\"no_rope_layers\" must be", 0},
	        {"gemma2", "\"bos_token_id\": 1", "L.L.L.", 4096},
	        {"gemma3_text", "\"sliding_window\": 5", "LLLLL.", 5},
	        {"gemma3_text", "\"sliding_window_pattern\": 3", "LL.LL.", 4096},
	        {"gemma2", "\"use_bidirectional_attention\": true",
	         "\"use_bidirectional_attention\" is set", 0},
	        {"olmo2", "\"sliding_window\": 9", "\"sliding_window\" is set", 0},
	        {"seed_oss", "\"attention_bias\": false", "\"attention_bias\" is off", 0},
	        {"granite", "\"num_local_experts\": 4", "a mixture of experts", 0},
	        {"granite", "\"logits_scaling\": -1", "logits_scaling is -1", 0},
	};
	struct model_shape s;
	char               text[1024], traits[7] = {0};

	start();
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		snprintf(text, sizeof text,
		         "{\"model_type\": \"%s\", \"hidden_size\": 64, \"num_hidden_layers\": 6,"
		         " \"num_attention_heads\": 32, \"num_key_value_heads\": 32,"
		         " \"intermediate_size\": 7, \"vocab_size\": 11, "
		         "\"max_position_embeddings\": 64, %s}",
		         table[i].kind, table[i].settings);
		put("config.json", text);
		if (!strchr(".Lu", table[i].traits[0])) {
			assert_error(folder_read_shape(work, &s), ERR_INPUT, table[i].traits);
			continue;
		}
		assert_ok(folder_read_shape(work, &s));
		for (int k = 0; k < 6; k++)
			traits[k] = kind_is_local(&s, k) ? 'L' : kind_is_turned(&s, k) ? '.' : 'u';
		assert_string_equal(traits, table[i].traits);
		assert_int_equal(s.window, table[i].window);
	}
	put("config.json", "{\"model_type\": \"qwen3\", \"hidden_size\": 12, "
	                   "\"num_hidden_layers\": 2, \"num_attention_heads\": 64, "
	                   "\"intermediate_size\": 7, \"vocab_size\": 11}");
	assert_ok(folder_read_shape(work, &s));
	assert_int_equal(s.head_width, 128); /* what a missing key means */
	assert_int_equal(s.n_kv_heads, 32);
	finish();
}

static void every_kind_and_scaling_is_read_back_as_written(void **state)
{
	(void)state;
	const struct rope_scaling scaled[] = {
	        {0}, {.kind = ROPE_LINEAR, .factor = 2.5}, {ROPE_LLAMA3, 100, 32, 1, 4}};
	struct model_shape s = {.n_layers = 2,
	                        .width = 6,
	                        .n_heads = 2,
	                        .n_kv_heads = 1,
	                        .head_width = 4,
	                        .ff_width = 5,
	                        .n_vocab = 7,
	                        .n_positions = 8,
	                        .rope_theta = 10000,
	                        .norm_eps = 1e-5,
	                        .bos = -1,
	                        .eos = {2, 3},
	                        .n_eos = 2};
	struct weights     w, again;

	for (int kind = 0; kind < MODEL_KINDS; kind++) {
		as_kind(&s, (enum model_kind)kind, 3);
		s.n_kv_heads = kind == MODEL_GPT2 ? 2 : 1; /* which has no key for them, */
		s.width = kind == MODEL_GPT2 ? 8 : 6;      /* nor for the width of a head */
		for (int i = 0; i < (kind == MODEL_GPT2 ? 1 : 3); i++) {
			start();
			s.rope = scaled[i];
			s.tied = i == 1;
			assert_ok(weights_new(&s, &w));
			for (size_t k = 0; k < w.n; k++)
				w.data[k] = (float)k;
			assert_ok(folder_write(work, &w, SAFETENSORS_F32, NULL));
			again = read_model(work);
			assert_memory_equal(&w.shape, &again.shape, sizeof w.shape);
			assert_same_weights(&w, &again);
			weights_free(&w);
			weights_free(&again);
			finish();
		}
	}
}

static void read_generation(const char *text, struct arena *a, struct generation *g)
{
	put("generation_config.json", text);
	assert_ok(generation_read(work, a, g));
}

static void a_folder_that_does_not_say_do_sample_is_greedy_as_in_transformers(void **state)
{
	(void)state;
	struct generation g;
	struct arena      a = {0};

	start();
	assert_ok(generation_read(work, &a, &g));
	assert_true(generation_sampling(&g).temperature == 0 && g.temperature == 1);
	read_generation("{\"temperature\": 0.6, \"top_k\": 20, \"eos_token_id\": [1, 5]}", &a, &g);
	assert_true(generation_sampling(&g).temperature == 0);
	read_generation("{\"do_sample\": true, \"temperature\": 0.6, \"top_p\": null, \"top_k\": "
	                "20, \"min_p\": 0.1}",
	                &a, &g);
	assert_true(g.do_sample && g.temperature == 0.6 && g.top_p == 1 && g.top_k == 20 &&
	            g.min_p == 0.1);
	assert_true(generation_sampling(&g).temperature == 0.6f);
	read_generation("{\"do_sample\": true, \"temperature\": 1e-300}", &a, &g);
	assert_true(generation_sampling(&g).temperature == 0);
	arena_free(&a);
	finish();
}

static void only_the_settings_that_are_out_of_range_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *text, *part, *not_part;
	} cases[] = {
	        {"{\"temperature\": -1}", "\"temperature\" (-1)", "top_p"},
	        {"{\"top_p\": 0, \"temperature\": 0}", "\"top_p\" (0) must lie above 0",
	         "temperature"},
	        {"{\"min_p\": 2, \"top_p\": 1.5}",
	         "\"top_p\" (1.5) must lie above 0 and at most 1, \"min_p\" (2)", "temperature"},
	        {"{\"top_k\": 0.5}", "\"top_k\" must be an integer", "top_p"},
	        {"{\"repetition_penalty\": 0}", "\"repetition_penalty\" (0)", "top_p"},
	        {"{\"no_repeat_ngram_size\": -2}", "no_repeat_ngram_size", "top_p"},
	        {"{\"suppress_tokens\": 7}", "\"suppress_tokens\" must be a list", "begin"},
	        {"{\"begin_suppress_tokens\": [\"a\"]}",
	         "\"begin_suppress_tokens\" must hold token ids", "bad"},
	        {"{\"bad_words_ids\": [[1], []]}", "a word without tokens", "top_p"},
	        {"{\"bad_words_ids\": [3]}", "\"bad_words_ids\" must be a list", "top_p"},
	};
	struct generation g;
	struct arena      a = {0};

	start();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		put("generation_config.json", cases[i].text);
		assert_error(generation_read(work, &a, &g), ERR_INPUT, cases[i].part);
		assert_null(strstr(error_message() + strlen(work), cases[i].not_part));
	}
	arena_free(&a);
	finish();
}

static void penalties_are_read_and_what_is_not_done_is_named(void **state)
{
	(void)state;
	struct generation g;
	struct arena      a = {0};
	struct text       names = {0};

	start();
	read_generation("{\"repetition_penalty\": 1.0, \"no_repeat_ngram_size\": 0, "
	                "\"suppress_tokens\": [], \"num_beams\": 1,"
	                " \"typical_p\": 1.0, \"guidance_scale\": null, \"length_penalty\": 2, "
	                "\"max_length\": 20}",
	                &a, &g);
	assert_true(!penalty_any(&g.penalty) && *g.not_done == 0);
	read_generation("{\"repetition_penalty\": 1.25, \"no_repeat_ngram_size\": 3, "
	                "\"suppress_tokens\": [5, -1],"
	                " \"begin_suppress_tokens\": [7], \"bad_words_ids\": [[1], [2, 3]], "
	                "\"min_length\": 4, \"min_new_tokens\": 6}",
	                &a, &g);
	penalty_print(&g.penalty, &names);
	assert_string_equal(names.data, ", repetition_penalty 1.25, no_repeat_ngram_size 3, "
	                                "bad_words_ids 2, min_length 4, min_new_tokens 6, "
	                                "suppress_tokens 2, begin_suppress_tokens 1");
	assert_true(g.penalty.suppress.id[0] == 5 && g.penalty.begin.id[0] == 7 &&
	            g.penalty.word[1].n == 2);
	assert_string_equal(g.not_done, "");
	read_generation("{\"num_beams\": 4, \"typical_p\": 0.9, \"stop_strings\": [\"x\"]}", &a,
	                &g);
	/* greedy: typical_p plays no part */
	assert_string_equal(g.not_done, "num_beams, stop_strings");
	read_generation("{\"do_sample\": true, \"typical_p\": 0.9}", &a, &g);
	assert_string_equal(g.not_done, "typical_p");
	text_free(&names);
	arena_free(&a);
	finish();
}

static void shards_may_lie_in_folders_of_the_folder(void **state)
{
	(void)state;
	struct weights w, again;
	struct bytes   b;
	char           line[4096];

	start();
	w = read_model(sharded);
	copy(sharded, "config.json");
	snprintf(line, sizeof line, "mkdir -p '%s/a/b' && cp %s/*-of-*.safetensors '%s/a/b'", work,
	         sharded, work);
	assert_int_equal(system(line), 0);
	snprintf(line, sizeof line,
	         "sed 's|\"model-|\"a/b/model-|' %s/model.safetensors.index.json > "
	         "'%s/model.safetensors.index.json'",
	         sharded, work);
	assert_int_equal(system(line), 0);
	assert_ok(file_read(inside("model.safetensors.index.json"), 1 << 20, &b));
	assert_non_null(memmem(b.data, b.n, "\"a/b/model-", 11));
	bytes_free(&b);
	again = read_model(work);
	assert_same_weights(&w, &again);
	weights_free(&w);
	weights_free(&again);
	finish();
}

static void the_shards_hold_the_rounded_weights(void **state)
{
	(void)state;
	struct weights whole = read_model(stories), shards = read_model(sharded);

	assert_int_equal(whole.n, 260032);
	assert_int_equal(whole.n, shards.n);
	for (size_t i = 0; i < whole.n; i++)
		if (float_from_bf16(float_to_bf16(whole.data[i])) != shards.data[i])
			fail_msg("weight %zu: %a and %a", i, (double)whole.data[i],
			         (double)shards.data[i]);
	weights_free(&whole);
	weights_free(&shards);
}

static void a_written_folder_is_read_back_bit_for_bit(void **state)
{
	(void)state;
	const char *const models[] = {stories, sharded, digits};

	for (int i = 0; i < 3; i++) {
		struct weights w = read_model(models[i]), again;
		start();
		w.shape.eos[w.shape.n_eos++] = 7;
		assert_ok(folder_write(inside("deep/er"), &w,
		                       i ? SAFETENSORS_BF16 : SAFETENSORS_F32, models[i]));
		again = read_model(inside("deep/er"));
		assert_same_weights(&w, &again);
		assert_memory_equal(&w.shape, &again.shape, sizeof w.shape);
		weights_free(&w);
		weights_free(&again);
		finish();
	}
}

static void the_written_bytes_are_those_of_the_reference_writer(void **state)
{
	(void)state;
	struct weights w = read_model(stories);
	struct bytes   theirs, ours;

	start();
	assert_ok(folder_write(work, &w, SAFETENSORS_F32, NULL));
	assert_ok(file_read("data/models/stories260k/model.safetensors", 1 << 24, &theirs));
	assert_ok(file_read(inside("model.safetensors"), 1 << 24, &ours));
	assert_int_equal(theirs.n, ours.n);
	assert_memory_equal(theirs.data, ours.data, ours.n);
	bytes_free(&theirs);
	bytes_free(&ours);
	assert_false(file_exists(inside("tokenizer.json")));
	weights_free(&w);
	finish();
}

static void tokenizer_and_sampling_defaults_go_along(void **state)
{
	(void)state;
	struct weights w = read_model(stories);
	struct bytes   b;
	char           source[256];

	start();
	snprintf(source, sizeof source, "%s", inside("source"));
	assert_ok(file_make_folders(source));
	put("source/generation_config.json",
	    "{\"temperature\": 0.6, \"pad_token_id\": 3, \"eos_token_id\": 9}");
	put("source/tokenizer.json", "{}");
	assert_ok(folder_write(inside("copy"), &w, SAFETENSORS_F16, source));
	assert_ok(file_read(inside("copy/generation_config.json"), 4096, &b));
	assert_string_equal(b.data, "{\n  \"bos_token_id\": 1,\n  \"eos_token_id\": 1,\n  "
	                            "\"pad_token_id\": 3,\n  \"temperature\": 0.6\n}");
	bytes_free(&b);
	assert_ok(file_read(inside("copy/tokenizer.json"), 4096, &b));
	assert_string_equal(b.data, "{}");
	bytes_free(&b);
	assert_false(file_exists(inside("copy/tokenizer_config.json")));
	weights_free(&w);
	finish();
}

/* Reads the work folder, whose weights must be refused with this message. */
static void assert_refused(const char *part)
{
	struct model_shape s;
	struct weights     w;

	assert_ok(folder_read_shape(work, &s));
	assert_error(folder_read_weights(work, &s, &w), ERR_INPUT, part);
	assert_null(w.data);
}

static void a_config_that_does_not_fit_the_weights_names_tensor_and_shapes(void **state)
{
	(void)state;
	start();
	copy(stories, "model.safetensors");
	put_config("vocab_size", "500");
	assert_refused("model.safetensors: tensor \"model.embed_tokens.weight\" has the shape "
	               "[512, 64], but config.json makes it [500, 64]");
	put_config("num_hidden_layers", "6");
	assert_refused("tensor \"model.layers.5.input_layernorm.weight\" is missing");
	put_config("num_hidden_layers", "4");
	assert_refused("tensor \"model.layers.4.input_layernorm.weight\" is not part of a model");
	put_config("tie_word_embeddings", "false");
	assert_refused("tensor \"lm_head.weight\" is missing");
	put_config("intermediate_size", "200000");
	assert_refused("asks for");
	unlink(inside("model.safetensors"));
	assert_refused("neither model.safetensors nor");
	finish();
}

static void a_weight_that_is_not_finite_is_named(void **state)
{
	(void)state;
	struct weights w = read_model(stories);
	struct bytes   b;
	uint64_t       header;
	float          nan = NAN;

	start();
	assert_ok(folder_write(work, &w, SAFETENSORS_F32, NULL));
	assert_ok(file_read(inside("model.safetensors"), 1 << 24, &b));
	memcpy(&header, b.data, sizeof header);
	memcpy(b.data + 8 + header + 4 * 77, &nan, sizeof nan); /* the embedding comes first */
	assert_ok(file_write(inside("model.safetensors"), b.data, b.n));
	assert_refused("model.embed_tokens.weight");
	assert_non_null(strstr(error_message(), "77"));
	assert_ok(file_write(inside("model.safetensors"), b.data, b.n - 1));
	assert_refused("model.safetensors: the tensors take");
	bytes_free(&b);
	w.data[3] = INFINITY;
	assert_error(folder_write(inside("new"), &w, SAFETENSORS_F32, NULL), ERR_INPUT,
	             "model.embed_tokens.weight");
	assert_false(file_exists(inside("new")));
	weights_free(&w);
	finish();
}

/* The model in one file, with one tensor more, or one in place of its namesake. */
static void put_with(const struct weights *w, struct safetensors_item other)
{
	struct safetensors_item items[64];
	size_t                  n = 0;

	for (int i = 0; i < w->n_tensors; i++) {
		const struct tensor *t = &w->tensors[i];
		if (strcmp(t->name, other.name) != 0)
			items[n++] = (struct safetensors_item){
			        .name = t->name,
			        .n_dims = t->kind == TENSOR_NORM ? 1 : 2,
			        .dims = {(uint64_t)t->rows, (uint64_t)t->columns},
			        .data = w->data + t->offset};
	}
	items[n++] = other;
	assert_ok(safetensors_write(inside("model.safetensors"), SAFETENSORS_F32, items, n));
}

static void a_tensor_with_the_right_count_and_other_dimensions_is_refused(void **state)
{
	(void)state;
	struct weights w = read_model(stories);

	start();
	put_config("use_cache", "true");
	put_with(&w, (struct safetensors_item){.name = "model.norm.weight",
	                                       .n_dims = 2,
	                                       .dims = {64, 1},
	                                       .data = w.data + w.norm_final.gain});
	assert_refused(
	        "\"model.norm.weight\" has the shape [64, 1], but config.json makes it [64]");
	put_with(&w, (struct safetensors_item){.name = "model.embed_tokens.weight",
	                                       .n_dims = 1,
	                                       .dims = {512 * 64},
	                                       .data = w.data + w.embed});
	assert_refused("has the shape [32768]");
	put_with(&w, (struct safetensors_item){.name = "model.embed_tokens.weight",
	                                       .n_dims = 3,
	                                       .dims = {512, 64, 1},
	                                       .data = w.data + w.embed});
	assert_refused("has the shape [512, 64, 1]");
	put_with(&w, (struct safetensors_item){.name = "model.embed_tokens.weight",
	                                       .n_dims = 2,
	                                       .dims = {64, 512},
	                                       .data = w.data + w.embed});
	assert_refused("has the shape [64, 512]");
	weights_free(&w);
	finish();
}

static void a_tensor_too_many_is_an_error_but_for_the_harmless_ones(void **state)
{
	(void)state;
	struct weights w = read_model(stories), again;
	static float   other[512 * 64];
	float          buffer[4] = {1};

	start();
	put_config("use_cache", "true");
	put_with(&w, (struct safetensors_item){.name = "model.layers.0.self_attn.q_proj.bias",
	                                       .n_dims = 1,
	                                       .dims = {64},
	                                       .data = other});
	assert_refused("tensor \"model.layers.0.self_attn.q_proj.bias\" is not part of a model");
	const char *const harmless[] = {"model.layers.0.self_attn.rotary_emb.inv_freq",
	                                "model.layers.0.self_attn.rotary_emb.cos_cached",
	                                "model.rotary_emb.inv_freq",
	                                "model.layers.1.self_attn.masked_bias",
	                                "v_head.summary.weight",
	                                "v_head.summary.bias"};
	for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
		put_with(&w,
		         (struct safetensors_item){
		                 .name = harmless[i], .n_dims = 1, .dims = {4}, .data = buffer});
		again = read_model(work);
		assert_same_weights(&w, &again);
		weights_free(&again);
	}
	put_with(&w,
	         (struct safetensors_item){
	                 .name = "score.v_head.weight", .n_dims = 1, .dims = {4}, .data = buffer});
	assert_refused("tensor \"score.v_head.weight\" is not part of a model");
	put_with(&w, (struct safetensors_item){.name = "lm_head.weight",
	                                       .n_dims = 2,
	                                       .dims = {512, 64},
	                                       .data = w.data + w.embed});
	again = read_model(work);
	assert_same_weights(&w, &again);
	weights_free(&again);
	put_with(&w,
	         (struct safetensors_item){
	                 .name = "lm_head.weight", .n_dims = 2, .dims = {512, 64}, .data = other});
	assert_refused("\"lm_head.weight\" is not the embedding");
	put_with(&w, (struct safetensors_item){.name = "lm_head.weight",
	                                       .n_dims = 2,
	                                       .dims = {256, 128},
	                                       .data = w.data + w.embed});
	assert_refused("has the shape [256, 128]");
	weights_free(&w);
	finish();
}

static void an_index_may_only_name_files_of_its_folder(void **state)
{
	(void)state;
	const char *const bad[] = {"../model.safetensors",
	                           "/etc/passwd",
	                           "a/../../b.safetensors",
	                           "a//b.safetensors",
	                           "a/",
	                           "",
	                           ".",
	                           "..",
	                           "a\\\\b"};
	char              text[256];

	start();
	copy(sharded, "config.json");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text, "{\"weight_map\": {\"model.norm.weight\": \"%s\"}}",
		         bad[i]);
		put("model.safetensors.index.json", text);
		assert_refused(
		        "tensor \"model.norm.weight\" is not mapped to a file in the folder");
	}
	put("model.safetensors.index.json", "{\"weight_map\": {\"model.norm.weight\": 3}}");
	assert_refused("is not mapped to a file in the folder");
	put("model.safetensors.index.json", "{}");
	assert_refused("\"weight_map\" is missing");
	put("model.safetensors.index.json", "{\"weight_map\": {}}");
	assert_refused("asks for");
	finish();
}

static void an_index_of_too_many_files_is_refused_before_one_is_opened(void **state)
{
	(void)state;
	struct text t = {0};

	start();
	copy(sharded, "config.json");
	for (int i = 0; i < 1025; i++)
		text_print(&t, "%s\"t%d\": \"f%d\"", i ? ", " : "{\"weight_map\": {", i, i);
	text_print(&t, "}}");
	put("model.safetensors.index.json", t.data);
	assert_refused("names more than 1024 files");
	text_free(&t);
	finish();
}

static void shards_and_index_must_agree(void **state)
{
	(void)state;
	struct bytes b;
	char        *at;

	start();
	copy(sharded, "config.json");
	copy(sharded, "model.safetensors.index.json");
	copy(sharded, "model-00001-of-00002.safetensors");
	assert_refused("model-00002-of-00002.safetensors: cannot");
	copy(sharded, "model-00002-of-00002.safetensors");
	assert_ok(file_read(inside("model.safetensors.index.json"), 1 << 20, &b));
	at = strstr(b.data, "model.norm.weight\": \"model-0000");
	assert_non_null(at);
	at[strlen("model.norm.weight\": \"model-0000")] ^= 3; /* 1 <-> 2 */
	assert_ok(file_write(inside("model.safetensors.index.json"), b.data, b.n));
	assert_refused("tensor \"model.norm.weight\" is here, but the index says: model-0000");
	bytes_free(&b);
	finish();
}

/* A resume has them already, and two copies of a large model are a lot. */
static void weights_are_loaded_over_those_that_are_there(void **state)
{
	(void)state;
	const char *const  folders[] = {stories, sharded};
	struct weights     w, there = read_model(stories);
	struct model_shape other = there.shape;
	const float       *data = there.data;

	for (int i = 0; i < 2; i++) {
		w = read_model(folders[i]);
		memset(there.data, 0, there.n * sizeof *there.data);
		assert_ok(folder_load_weights(folders[i], &there));
		assert_ptr_equal(there.data, data);
		assert_same_weights(&w, &there);
		weights_free(&w);
	}
	weights_free(&there);
	for (int i = 0; i < 2; i++) {
		other.n_layers += i ? 2 : -1;
		assert_ok(weights_new(&other, &there));
		assert_error(folder_load_weights(stories, &there), ERR_INPUT,
		             i ? "is missing" : "is not part of a model");
		weights_free(&there);
	}
}

static void any_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
	(void)state;
	struct model_shape s;
	struct weights     w;
	int                failed = 0;

	for (long k = 1;; k++) {
		int status;
		mem_fail_at(k);
		status = folder_read_shape(sharded, &s);
		if (status == OK)
			status = folder_read_weights(sharded, &s, &w);
		if (status == OK)
			break;
		assert_memory(status, "");
		failed++;
	}
	mem_fail_at(0);
	weights_free(&w);
	assert_true(failed > 5);
}

TEST_MAIN(TEST(the_published_shapes_are_read),
          TEST(what_config_json_leaves_out_has_its_usual_value),
          TEST(files_of_published_models_give_their_shape_and_number_of_weights),
          TEST(traits_of_layers_are_those_of_transformers),
          TEST(every_kind_and_scaling_is_read_back_as_written),
          TEST(a_setting_that_changes_the_model_is_refused_by_its_key),
          TEST(an_id_of_minus_one_is_a_token_that_there_is_not),
          TEST(shards_may_lie_in_folders_of_the_folder),
          TEST(a_folder_that_does_not_say_do_sample_is_greedy_as_in_transformers),
          TEST(only_the_settings_that_are_out_of_range_are_named),
          TEST(penalties_are_read_and_what_is_not_done_is_named),
          TEST(the_shards_hold_the_rounded_weights),
          TEST(a_written_folder_is_read_back_bit_for_bit),
          TEST(the_written_bytes_are_those_of_the_reference_writer),
          TEST(tokenizer_and_sampling_defaults_go_along),
          TEST(a_config_that_does_not_fit_the_weights_names_tensor_and_shapes),
          TEST(a_weight_that_is_not_finite_is_named),
          TEST(a_tensor_with_the_right_count_and_other_dimensions_is_refused),
          TEST(a_tensor_too_many_is_an_error_but_for_the_harmless_ones),
          TEST(an_index_may_only_name_files_of_its_folder),
          TEST(an_index_of_too_many_files_is_refused_before_one_is_opened),
          TEST(shards_and_index_must_agree), TEST(weights_are_loaded_over_those_that_are_there),
          TEST(any_failing_allocation_is_reported_and_leaks_nothing))
