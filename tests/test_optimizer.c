#include "base/file.h"
#include "base/rng.h"
#include "base/threads.h"
#include "model/optimizer.h"
#include "model/safetensors.h"
#include "model/schedule.h"
#include "test.h"

#include <unistd.h>

static const struct model_shape small = {.n_layers = 1,
                                         .width = 4,
                                         .n_heads = 1,
                                         .n_kv_heads = 1,
                                         .head_width = 4,
                                         .ff_width = 6,
                                         .n_vocab = 5,
                                         .n_positions = 8,
                                         .rope_theta = 10000,
                                         .norm_eps = 1e-5,
                                         .bos = -1};
/* Tensors of several blocks, and of one and a bit. */
static const struct model_shape wide = {.n_layers = 1,
                                        .width = 96,
                                        .n_heads = 2,
                                        .n_kv_heads = 1,
                                        .head_width = 48,
                                        .ff_width = 100,
                                        .n_vocab = 43,
                                        .n_positions = 8,
                                        .rope_theta = 10000,
                                        .norm_eps = 1e-5,
                                        .bos = -1};

static const char *temporary(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "/tmp/hone-test-%d-%s", (int)getpid(), name);
	return path;
}

static void random_gradient(uint32_t step, size_t n, float scale, float *g)
{
	for (size_t i = 0; i < n; i++)
		g[i] = scale *
		       (float)rng_normal((struct rng_key){3, RNG_TEST, step, 0, 0}, (uint32_t)i);
}

static double norm_of(const float *g, size_t n)
{
	double s = 0;

	for (size_t i = 0; i < n; i++)
		s += (double)g[i] * g[i];
	return sqrt(s);
}

/* The paper's algorithm in double, written down once more, the other way round: bias-corrected
 * moments first. */
static void five_steps_agree_with_the_paper(void **state)
{
	(void)state;
	struct optimizer_options o = {.beta1 = 0.8,
	                              .beta2 = 0.95,
	                              .epsilon = 1e-3,
	                              .weight_decay = 0.1,
	                              .max_grad_norm = 2};
	struct weights           w;
	struct optimizer         opt;
	struct optimizer_report  report;
	double                   x[400], m[400] = {0}, v[400] = {0};
	float                    g[400];

	assert_ok(weights_new(&small, &w));
	assert_true(w.n < 400);
	weights_init(&w, 1);
	for (size_t i = 0; i < w.n; i++)
		x[i] = w.data[i];
	assert_ok(optimizer_new(&w, &o, &opt));
	for (int t = 1; t <= 5; t++) {
		double rate = 0.01 * t, norm, clip;
		random_gradient((uint32_t)t, w.n, t % 2 ? 1 : 0.01f, g); /* clipped in odd steps */
		norm = norm_of(g, w.n);
		clip = norm > 2 ? 2 / (norm + 1e-6) : 1;
		assert_ok(optimizer_step(&opt, &w, g, rate, &report));
		assert_close(report.grad_norm, norm, 1e-12 * norm);
		assert_false(report.skipped);
		for (int k = 0; k < w.n_tensors; k++)
			for (size_t i = w.tensors[k].offset;
			     i < w.tensors[k].offset + w.tensors[k].count; i++) {
				double decay = w.tensors[k].kind == TENSOR_NORM ? 0 : 0.1,
				       d = g[i] * clip;
				m[i] = 0.8 * m[i] + 0.2 * d;
				v[i] = 0.95 * v[i] + 0.05 * d * d;
				x[i] = x[i] -
				       rate * (m[i] / (1 - pow(0.8, t)) /
				                       (sqrt(v[i] / (1 - pow(0.95, t))) + 1e-3) +
				               decay * x[i]);
				assert_close(w.data[i], x[i], 1e-6 * (fabs(x[i]) + rate));
			}
	}
	assert_int_equal(opt.step, 5);
	optimizer_free(&opt);
	weights_free(&w);
}

/* By hand: from zero moments the first update is rate * g / (|g| + epsilon), whatever the betas. */
static void the_first_step_has_the_length_of_the_learning_rate(void **state)
{
	(void)state;
	struct optimizer_options o = optimizer_defaults();
	struct weights           w;
	struct optimizer         opt;
	struct optimizer_report  report;
	float                    g[400] = {0};

	assert_ok(weights_new(&small, &w));
	assert_ok(optimizer_new(&w, &o, &opt));
	g[0] = 0.25f;
	g[1] = -0.03f;
	assert_ok(optimizer_step(&opt, &w, g, 1e-3, &report));
	assert_close(w.data[0], -1e-3, 1e-9);
	assert_close(w.data[1], 1e-3, 1e-9);
	assert_true(w.data[2] == 0);
	assert_close(opt.m[0], 0.025, 1e-8);
	assert_close(opt.v[0], 0.0000625, 1e-10);
	optimizer_free(&opt);
	weights_free(&w);
}

static void only_matrices_decay(void **state)
{
	(void)state;
	struct optimizer_options o = optimizer_defaults();
	struct weights           w;
	struct optimizer         opt;
	struct optimizer_report  report;
	float                    g[400] = {0};

	o.weight_decay = 0.5;
	assert_ok(weights_new(&small, &w));
	for (size_t i = 0; i < w.n; i++)
		w.data[i] = 1;
	assert_ok(optimizer_new(&w, &o, &opt));
	assert_ok(optimizer_step(&opt, &w, g, 0.1, &report));
	for (int k = 0; k < w.n_tensors; k++)
		for (size_t i = 0; i < w.tensors[k].count; i++)
			assert_true(w.data[w.tensors[k].offset + i] ==
			            (w.tensors[k].kind == TENSOR_NORM ? 1.0f : 0.95f));
	optimizer_free(&opt);
	weights_free(&w);
}

static void clipping_scales_the_moments_but_not_the_reported_norm(void **state)
{
	(void)state;
	struct optimizer_options o = optimizer_defaults();

	for (int clipped = 0; clipped < 2; clipped++) {
		struct weights          w;
		struct optimizer        opt;
		struct optimizer_report report;
		float                   g[400] = {3, 0, -4};
		o.max_grad_norm = clipped ? 0.5 : 0;
		assert_ok(weights_new(&small, &w));
		assert_ok(optimizer_new(&w, &o, &opt));
		assert_ok(optimizer_step(&opt, &w, g, 1e-3, &report));
		assert_true(report.grad_norm == 5);
		assert_close(opt.m[0], clipped ? 0.03 : 0.3, 1e-7);
		assert_close(opt.m[2], clipped ? -0.04 : -0.4, 1e-7);
		optimizer_free(&opt);
		weights_free(&w);
	}
}

static void a_gradient_that_is_not_finite_changes_nothing(void **state)
{
	(void)state;
	const float              poison[] = {NAN, INFINITY, -INFINITY, 1e19f};
	struct optimizer_options o = optimizer_defaults();
	struct weights           w;
	struct optimizer         opt;
	struct optimizer_report  report;
	float                    g[400], weights[400], m[400], v[400];

	assert_ok(weights_new(&small, &w));
	weights_init(&w, 2);
	assert_ok(optimizer_new(&w, &o, &opt));
	random_gradient(1, w.n, 1, g);
	assert_ok(optimizer_step(&opt, &w, g, 0.01, &report));
	memcpy(weights, w.data, w.n * sizeof *weights);
	memcpy(m, opt.m, w.n * sizeof *m);
	memcpy(v, opt.v, w.n * sizeof *v);
	for (size_t i = 0; i < w.n; i++) {
		float kept = g[i];
		g[i] = poison[i % 4];
		assert_ok(optimizer_step(&opt, &w, g, 0.01, &report));
		assert_true(report.skipped);
		assert_false(report.grad_norm < 1e18);
		g[i] = kept;
	}
	assert_memory_equal(weights, w.data, w.n * sizeof *weights);
	assert_memory_equal(m, opt.m, w.n * sizeof *m);
	assert_memory_equal(v, opt.v, w.n * sizeof *v);
	assert_int_equal(opt.step, 1);
	optimizer_free(&opt);
	weights_free(&w);
}

static void run_steps(struct optimizer *opt, struct weights *w, uint32_t first, uint32_t count,
                      double *norm)
{
	struct optimizer_report report;
	float                  *g = malloc(w->n * sizeof *g);

	for (uint32_t t = first; t < first + count; t++) {
		random_gradient(t, w->n, 0.1f, g);
		assert_ok(optimizer_step(opt, w, g, 1e-3, &report));
	}
	*norm = report.grad_norm;
	free(g);
}

static void the_bits_do_not_depend_on_the_number_of_threads(void **state)
{
	(void)state;
	struct optimizer_options o = optimizer_defaults();
	struct weights           first = {0};
	double                   norm_first = 0;
	const int                threads[] = {1, 2, 3, 8};

	for (int i = 0; i < 4; i++) {
		struct weights   w;
		struct optimizer opt;
		double           norm;
		threads_set(threads[i]);
		assert_ok(weights_new(&wide, &w));
		weights_init(&w, 3);
		assert_ok(optimizer_new(&w, &o, &opt));
		assert_true(opt.n_blocks > (size_t)w.n_tensors);
		run_steps(&opt, &w, 0, 3, &norm);
		optimizer_free(&opt);
		if (i == 0) {
			first = w;
			norm_first = norm;
			continue;
		}
		assert_memory_equal(w.data, first.data, w.n * sizeof *w.data);
		assert_true(norm == norm_first);
		weights_free(&w);
	}
	weights_free(&first);
	threads_set(0);
}

static void saved_and_loaded_moments_continue_bit_for_bit(void **state)
{
	(void)state;
	struct optimizer_options o = optimizer_defaults();
	struct weights           w, again;
	struct optimizer         opt, loaded;
	double                   norm;

	assert_ok(weights_new(&wide, &w));
	assert_ok(weights_new(&wide, &again));
	weights_init(&w, 3);
	assert_ok(optimizer_new(&w, &o, &opt));
	assert_ok(optimizer_new(&w, &o, &loaded));
	run_steps(&opt, &w, 0, 3, &norm);
	memcpy(again.data, w.data, w.n * sizeof *w.data);
	assert_ok(optimizer_save(&opt, &w, temporary("moments")));
	assert_ok(optimizer_load(&loaded, &again, temporary("moments")));
	loaded.step = opt.step;
	run_steps(&opt, &w, 3, 2, &norm);
	run_steps(&loaded, &again, 3, 2, &norm);
	assert_memory_equal(w.data, again.data, w.n * sizeof *w.data);
	assert_memory_equal(opt.m, loaded.m, 2 * w.n * sizeof *opt.m);
	optimizer_free(&opt);
	optimizer_free(&loaded);
	weights_free(&w);
	weights_free(&again);
	unlink(temporary("moments"));
}

static void moments_of_another_model_and_impossible_ones_are_refused(void **state)
{
	(void)state;
	struct optimizer_options o = optimizer_defaults();
	struct weights           w, other;
	struct optimizer         opt, opt_other;
	struct model_shape       deeper = small;

	deeper.n_layers = 2;
	assert_ok(weights_new(&small, &w));
	assert_ok(weights_new(&deeper, &other));
	assert_ok(optimizer_new(&w, &o, &opt));
	assert_ok(optimizer_new(&other, &o, &opt_other));
	assert_ok(optimizer_save(&opt_other, &other, temporary("moments")));
	assert_error(optimizer_load(&opt, &w, temporary("moments")), ERR_INPUT, "of another model");
	opt.v[w.norm_final.gain + 1] = -1;
	assert_ok(optimizer_save(&opt, &w, temporary("moments")));
	assert_error(optimizer_load(&opt, &w, temporary("moments")), ERR_INPUT,
	             "\"v.model.norm.weight\"[1] is -1");
	opt.v[w.norm_final.gain + 1] = 0;
	opt.m[w.embed + 2] = NAN;
	assert_ok(optimizer_save(&opt, &w, temporary("moments")));
	assert_error(optimizer_load(&opt, &w, temporary("moments")), ERR_INPUT,
	             "\"m.model.embed_tokens.weight\"[2] is");
	optimizer_free(&opt);
	optimizer_free(&opt_other);
	weights_free(&w);
	weights_free(&other);
	unlink(temporary("moments"));
}

static void options_out_of_range_are_refused(void **state)
{
	(void)state;
	struct weights           w;
	struct optimizer         opt;
	struct optimizer_options o;

	assert_ok(weights_new(&small, &w));
	o = optimizer_defaults();
	o.beta2 = 1;
	assert_error(optimizer_new(&w, &o, &opt), ERR_INPUT, "beta2 (1)");
	o = optimizer_defaults();
	o.epsilon = 0;
	assert_error(optimizer_new(&w, &o, &opt), ERR_INPUT, "epsilon is 0");
	o = optimizer_defaults();
	o.max_grad_norm = NAN;
	assert_error(optimizer_new(&w, &o, &opt), ERR_INPUT, "max_grad_norm");
	o = optimizer_defaults();
	o.weight_decay = -1;
	assert_error(optimizer_new(&w, &o, &opt), ERR_INPUT, "weight_decay");
	weights_free(&w);
}

/* Ten steps in all, four of warm-up, peak 2: the values that transformers' schedules give, worked
 * by hand. */
static void schedules_have_their_values_at_the_corners(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		double      at_0, at_1, at_4, at_7, at_10, at_99;
	} table[] = {
	        {"constant", 2, 2, 2, 2, 2, 2},
	        {"constant_with_warmup", 0, 0.5, 2, 2, 2, 2},
	        {"linear", 0, 0.5, 2, 1, 0, 0},
	        {"cosine", 0, 0.5, 2, 1, 0, 0},
	        {"cosine_with_min_lr", 0, 0.5, 2, 1.1, 0.2, 0.2},
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		for (int by_ratio = 0; by_ratio < 2; by_ratio++) {
			struct schedule_options o = {.name = table[i].name,
			                             .learning_rate = 2,
			                             .min_lr_rate = 0.1,
			                             .total_steps = 10};
			struct schedule         s;
			o.warmup_steps = by_ratio ? 0 : 4;
			o.warmup_ratio = by_ratio ? 0.31 : 0; /* rounded up */
			assert_ok(schedule_new(&o, &s));
			assert_close(schedule_at(&s, 0), table[i].at_0, 0);
			assert_close(schedule_at(&s, 1), table[i].at_1, 1e-15);
			assert_close(schedule_at(&s, 4), table[i].at_4, 0);
			assert_close(schedule_at(&s, 7), table[i].at_7, 1e-15);
			assert_close(schedule_at(&s, 10), table[i].at_10, 1e-15);
			assert_close(schedule_at(&s, 99), table[i].at_99, 1e-15);
		}
}

static void a_cosine_is_not_a_line(void **state)
{
	(void)state;
	struct schedule_options o = {.name = "cosine", .learning_rate = 1, .total_steps = 4};
	struct schedule         s;

	assert_ok(schedule_new(&o, &s));
	assert_close(schedule_at(&s, 0), 1, 0);
	assert_close(schedule_at(&s, 1), 0.5 + sqrt(0.125), 1e-15);
}

static void a_schedule_shorter_than_its_warm_up_or_empty_stays_finite(void **state)
{
	(void)state;
	struct schedule_options o = {
	        .name = "linear", .learning_rate = 1, .warmup_steps = 5, .total_steps = 3};
	struct schedule s;

	assert_ok(schedule_new(&o, &s));
	assert_close(schedule_at(&s, 2), 0.4, 1e-15);
	assert_close(schedule_at(&s, 5), 1, 0);
	o.warmup_steps = o.total_steps = 0;
	assert_ok(schedule_new(&o, &s));
	assert_close(schedule_at(&s, 0), 1, 0);
	assert_close(schedule_at(&s, 1), 0, 0);
}

static void schedules_out_of_range_are_refused(void **state)
{
	(void)state;
	struct schedule s;

	assert_error(schedule_new(&(struct schedule_options){.name = "cosin"}, &s), ERR_INPUT,
	             "\"cosin\" is not known: constant,");
	assert_error(
	        schedule_new(&(struct schedule_options){.name = "linear", .learning_rate = NAN},
	                     &s),
	        ERR_INPUT, "learning rate");
	assert_error(
	        schedule_new(&(struct schedule_options){.name = "linear", .warmup_ratio = 1.5}, &s),
	        ERR_INPUT, "warm-up ratio (1.5)");
	assert_error(
	        schedule_new(&(struct schedule_options){.name = "linear", .warmup_steps = -1}, &s),
	        ERR_INPUT, "-1 of warm-up");
}

TEST_MAIN(TEST(five_steps_agree_with_the_paper),
          TEST(the_first_step_has_the_length_of_the_learning_rate), TEST(only_matrices_decay),
          TEST(clipping_scales_the_moments_but_not_the_reported_norm),
          TEST(a_gradient_that_is_not_finite_changes_nothing),
          TEST(the_bits_do_not_depend_on_the_number_of_threads),
          TEST(saved_and_loaded_moments_continue_bit_for_bit),
          TEST(moments_of_another_model_and_impossible_ones_are_refused),
          TEST(options_out_of_range_are_refused), TEST(schedules_have_their_values_at_the_corners),
          TEST(a_cosine_is_not_a_line),
          TEST(a_schedule_shorter_than_its_warm_up_or_empty_stays_finite),
          TEST(schedules_out_of_range_are_refused))
