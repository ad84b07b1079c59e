/* Every kind of model: against numbers that transformers computed once in float64
 * (tests/interop/golden_kinds.py), and as whole jobs. That their parts are right, and what must
 * change no bit, is in test_model.c. */
#include "run.h"

#include "model/folder.h"
#include "model/head.h"
#include "model/kind.h"

enum { TEXT_MOST = 128, N_PAGES = TEXT_MOST / PAGE_TOKENS };

static json_t *golden; /* tests/data/kinds.json */

/* ---- the models ---- */

static uint32_t crc_of(const char *s)
{
	uint32_t crc = 0xffffffff;

	for (; *s; s++) {
		crc ^= (unsigned char)*s;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* Number i of those that belong to a key. */
static double mixed(uint32_t key, size_t i)
{
	uint32_t x = key + (uint32_t)i * 2654435761u;

	x ^= x >> 16;
	x *= 0x45d9f3b;
	x ^= x >> 16;
	return (double)x / 4294967296.0 - 0.5;
}

/* As golden_kinds.py fills a tensor; i counts as its file has it. */
static void fill_tensor(const struct weights *w, const struct tensor *t)
{
	int of_one = kind_of(&w->shape)->norm != NORM_RMS_ONE;

	for (int r = 0; r < t->rows; r++)
		for (int c = 0; c < t->columns; c++) {
			size_t i = t->transposed ? (size_t)c * (size_t)t->rows + (size_t)r
			                         : (size_t)r * (size_t)t->columns + (size_t)c;
			double x = mixed(crc_of(t->name), i);
			if (t->n_dims == 2)
				x = x * 4 / sqrt(16);
			else if (t->kind == TENSOR_NORM)
				x += of_one;
			w->data[t->offset + (size_t)r * (size_t)t->columns + (size_t)c] = (float)x;
		}
}

/* The folder of a row's model, as hone writes it. */
static const char *model_folder(const json_t *row)
{
	static char        name[64];
	struct model_shape shape, again;
	struct weights     w;

	snprintf(name, sizeof name, "%s", json_string_value(json_object_get(row, "kind")));
	if (file_exists(name))
		return name;
	assert_ok(file_make_folders("theirs"));
	assert_int_equal(json_dump_file(json_object_get(row, "config"), "theirs/config.json", 0),
	                 0);
	assert_ok(folder_read_shape("theirs", &shape));
	assert_ok(weights_new(&shape, &w));
	for (int i = 0; i < w.n_tensors; i++)
		fill_tensor(&w, &w.tensors[i]);
	assert_ok(folder_write(name, &w, SAFETENSORS_F32, NULL));
	assert_ok(folder_read_shape(name, &again));
	assert_memory_equal(&shape, &again, sizeof shape);
	weights_free(&w);
	return name;
}

static struct model *open_model(const char *folder, struct matmul **mm)
{
	struct matmul_options o = {.backend = "auto", .precision = "f32", .numerics = "strict"};
	struct model_shape    shape;
	struct weights        w;
	struct model         *m;

	assert_ok(matmul_new(&o, mm));
	assert_ok(folder_read_shape(folder, &shape));
	assert_ok(folder_read_weights(folder, &shape, &w));
	assert_ok(model_new(&w, *mm, 0, &m));
	return m;
}

/* Logits [n x V] after each of n tokens from position `at` on; those before are in the cache. */
static void logits_of(const struct model *m, struct kv_cache *cache, const int *ids, int at, int n,
                      float *logits)
{
	int            pages[N_PAGES], position[TEXT_MOST], token[TEXT_MOST];
	struct segment s = {.count = n, .position = at, .parent = -1, .pages = pages};
	struct packing b = {.n_tokens = n,
	                    .n_segments = 1,
	                    .token = token,
	                    .position = position,
	                    .segments = &s,
	                    .n_pages = N_PAGES};
	struct arena   a = {0};
	static float   hidden[TEXT_MOST * 64];

	for (int i = 0; i < N_PAGES; i++)
		pages[i] = i;
	for (int i = 0; i < n; i++) {
		token[i] = ids[at + i];
		position[i] = at + i;
	}
	assert_ok(model_forward(m, &b, cache, NULL, &a, hidden));
	assert_ok(head_logits(m, n, hidden, logits));
	arena_free(&a);
}

/* ---- against transformers ---- */

static int largest(const float *z, int V)
{
	int best = 0;

	for (int v = 1; v < V; v++)
		best = z[v] > z[best] ? v : best;
	return best;
}

static void check_row(const json_t *row)
{
	struct matmul  *mm;
	struct model   *m = open_model(model_folder(row), &mm);
	struct kv_cache cache;
	int             V = m->weights.shape.n_vocab, ids[TEXT_MOST], n = 0;
	float          *logits = calloc((size_t)(TEXT_MOST * V), sizeof *logits);
	json_t         *x;
	size_t          i, v;

	json_array_foreach(json_object_get(row, "ids"), i, x) ids[n++] = (int)json_integer_value(x);
	assert_ok(model_cache_new(m, m->weights.shape.n_layers, N_PAGES, &cache));
	logits_of(m, &cache, ids, 0, 50, logits); /* in two pieces */
	logits_of(m, &cache, ids, 50, n - 50, logits + 50 * V);
	json_array_foreach(json_object_get(row, "logits"), i, x)
	{
		const float  *got = logits + json_integer_value(json_object_get(x, "after")) * V;
		const json_t *are = json_object_get(x, "are");
		assert_int_equal(json_array_size(are), V);
		for (v = 0; v < (size_t)V; v++)
			assert_close((double)got[v], json_real_value(json_array_get(are, v)), 2e-5);
	}
	memmove(logits, logits + (n - 1) * V, (size_t)V * sizeof *logits);
	json_array_foreach(json_object_get(row, "greedy"), i, x)
	{
		ids[n] = largest(logits, V);
		assert_int_equal(ids[n], json_integer_value(x));
		logits_of(m, &cache, ids, n++, 1, logits);
	}
	kv_cache_free(&cache);
	free(logits);
	model_free(m);
	matmul_free(mm);
}

static void every_kind_gives_the_logits_and_the_text_of_transformers(void **state)
{
	json_t *row;
	size_t  i;

	(void)state;
	assert_int_equal(json_array_size(golden), MODEL_KINDS);
	json_array_foreach(golden, i, row)
	{
		print_message("%s\n", json_string_value(json_object_get(row, "kind")));
		check_row(row);
	}
}

/* As GPT-2 was published: without what stands before all names, with the mask beside the
 * weights. */
static void gpt2_is_read_by_the_names_that_it_was_published_with(void **state)
{
	static const char       front[] = "transformer.", mask[] = "h.0.attn.bias";
	const json_t           *row = json_array_get(golden, MODEL_GPT2);
	const char             *folder = model_folder(row);
	struct model_shape      shape;
	struct weights          w, again;
	struct safetensors      s;
	struct safetensors_item items[64];
	float                  *data[64], ones[16] = {0};
	int                     n = 0;

	(void)state;
	assert_string_equal(folder, "gpt2");
	assert_ok(folder_read_shape(folder, &shape));
	assert_ok(folder_read_weights(folder, &shape, &w));
	assert_ok(safetensors_open("gpt2/model.safetensors", &s));
	for (; n < (int)s.n; n++) {
		const struct safetensors_entry *e = &s.entries[n];
		data[n] = malloc(e->count * sizeof(float));
		assert_ok(safetensors_read(&s, e, data[n]));
		assert_memory_equal(e->name, front, strlen(front));
		items[n] = (struct safetensors_item){.name = e->name + strlen(front),
		                                     .n_dims = e->n_dims,
		                                     .dims = {e->dims[0], e->dims[1]},
		                                     .data = data[n]};
	}
	items[n++] =
	        (struct safetensors_item){.name = mask, .n_dims = 2, .dims = {4, 4}, .data = ones};
	shell("mkdir published && cp gpt2/config.json published");
	assert_ok(safetensors_write("published/model.safetensors", SAFETENSORS_F32, items,
	                            (size_t)n));
	safetensors_close(&s);
	assert_ok(folder_read_weights("published", &shape, &again));
	assert_memory_equal(w.data, again.data, w.n * sizeof *w.data);
	for (int i = 0; i + 1 < n; i++)
		free(data[i]);
	weights_free(&w);
	weights_free(&again);
}

/* ---- jobs ---- */

static const char job[] = "model: {tokenizer: 'chars:,0123456789:?'}\n"
                          "data:\n"
                          "  generate: [{name: sequence, levels: 1-3, count: 40}]\n"
                          "task: {reward: sequence}\n"
                          "algorithm: grpo\n"
                          "loss: {beta: 0.05}\n"
                          "rollout: {num_generations: 4, prompts_per_step: 3, "
                          "max_completion_length: 40}\n"
                          "optim: {learning_rate: 1e-2}\n"
                          "run: {max_steps: 4, save_steps: 2, save_total_limit: 0}\n";

/* The greatest difference, over all steps, of what sampling recorded and training computed. */
static double worst_difference(const char *folder)
{
	FILE  *f = fopen(in_folder(folder, "metrics.jsonl"), "r");
	char   line[8192];
	double worst = -1;

	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		json_t *row = json_loads(line, 0, NULL);
		json_t *x = json_object_get(row, "sampling/sampling_logp_difference/max");
		if (json_is_number(x))
			worst = fmax(worst, json_number_value(x));
		json_decref(row);
	}
	fclose(f);
	return worst;
}

static void check_job(const char *model, const char *name, const char *settings,
                      const char *weights)
{
	char run[64], newest[96];

	snprintf(run, sizeof run, "%s-%s", model, name);
	hone_ok("train job.yaml model.path=%s run.output_dir=%s %s", model, run, settings);
	assert_close(worst_difference(run), 0, 0);
	snprintf(newest, sizeof newest, "%s/checkpoint-4/%s", run, weights);
	shell("mv %s kept && rm -r %s/checkpoint-4", newest, run);
	hone_ok("train job.yaml model.path=%s run.output_dir=%s %s --resume", model, run, settings);
	assert_true(same_bytes("kept", newest));
}

/* All weights, an adapter, products in bf16: sampled is trained, and a resumed run ends with the
 * bits of one that never stopped. */
static void every_kind_learns_exactly(void **state)
{
	json_t *row;
	size_t  i;

	(void)state;
	write_text("job.yaml", job);
	json_array_foreach(golden, i, row)
	{
		const char *model = model_folder(row);
		print_message("%s\n", model);
		check_job(model, "full", "", "model.safetensors");
		check_job(model, "lora", "model.lora_r=2", "adapter_model.safetensors");
		check_job(model, "bf16", "compute.precision=bf16 compute.recompute=on",
		          "model.safetensors");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(every_kind_gives_the_logits_and_the_text_of_transformers),
	        TEST(gpt2_is_read_by_the_names_that_it_was_published_with),
	        TEST(every_kind_learns_exactly)};
	int failed;

	golden = json_load_file("tests/data/kinds.json", 0, NULL);
	run_in_temporary_folder();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	json_decref(golden);
	return failed;
}
