/* The bill against what is really allocated, for jobs of every kind whose updates are as large as
 * their configs allow. */
#include "run.h"

#include "rl/bill.h"
#include "rl/sft.h"
#include "rl/train.h"

#include <malloc.h>

#define REST \
	"data: {generate: [{name: sequence, levels: 3, count: 64}]}\n" \
	"task: {reward: sequence}\n" \
	"algorithm: grpo\n" \
	"rollout: {num_generations: 8, prompts_per_step: 16, max_completion_length: 4}\n" \
	"compute: {threads: 2}\n" \
	"run: {max_steps: 2, save_steps: 0, save_samples: 0, tensorboard: false}\n"

static const char new_model[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 128, n_layers: 3, n_heads: 4, n_kv_heads: 2, head_width: 32, "
        "ff_width: 256, n_positions: 64}\n" REST;
static const char old_model[] = "model: {path: start, lora_r: 16}\n" REST;

/* What the bill leaves out: problems, texts and records of a step, and the operands that matrix
 * products keep beside them. */
#define SMALL 2e6
/* What is held of the bill when no completion is as long as it might be. */
#define LEAST 0.85

/* Bytes that this process has from malloc and has not given back. */
static double bytes_held(void)
{
	struct mallinfo2 m = mallinfo2();

	return (double)m.uordblks + (double)m.hblkhd;
}

/* After two steps, when arenas are as large as they stay. */
static void measure(enum job_kind kind, const char *config, const char *more, double *bill,
                    double *held)
{
	const char *overrides[8] = {"run.output_dir=measured"};
	int         n = 1;
	char        words[256];
	struct job  job;
	struct text lines = {0};
	double      before = bytes_held();

	snprintf(words, sizeof words, "%s", more);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
		overrides[n++] = word;
	assert_ok(job_open(kind, JOB_NEW, config, overrides, n, &job));
	assert_ok(job_start(&job, JOB_NEW));
	assert_ok(kind == JOB_SFT ? sft_run(&job) : train_run(&job));
	*bill = (double)bill_memory(kind, &job.learner, &job.sampler, &lines);
	*held = bytes_held() - before;
	text_free(&lines);
	job_close(&job);
	shell("rm -r measured");
}

static void the_bill_is_what_is_allocated(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__)
	skip(); /* its malloc counts nothing */
#endif
	static const struct {
		enum job_kind kind;
		const char   *config, *overrides;
	} jobs[] = {{JOB_TRAIN, "new.yaml", ""},
	            {JOB_TRAIN, "new.yaml",
	             "loss.beta=0.1 rollout.prompts_per_step=4 rollout.batch_size=8"},
	            {JOB_TRAIN, "old.yaml", "loss.beta=0.1"},
	            {JOB_TRAIN, "new.yaml", "algorithm=ppo"},
	            {JOB_TRAIN, "new.yaml", "algorithm=ppo critic.network=shared"},
	            {JOB_TRAIN, "new.yaml", "optim.num_minibatches=4"},
	            {JOB_TRAIN, "new.yaml", "guidance.kind=guide guidance.trigger_accuracy=1"},
	            {JOB_TRAIN, "new.yaml", "compute.micro_batch_tokens=512"},
	            {JOB_TRAIN, "new.yaml", "compute.recompute=on"},
	            {JOB_TRAIN, "new.yaml",
	             "compute.recompute=on compute.micro_batch_tokens=512 loss.beta=0.1"},
	            {JOB_TRAIN, "new.yaml", "algorithm=ppo compute.recompute=on"},
	            {JOB_TRAIN, "old.yaml", "compute.recompute=on"},
	            {JOB_TRAIN, "new.yaml", "rollout.num_generations=32"},
	            {JOB_TRAIN, "new.yaml", "rollout.batch_size=256"},
	            {JOB_SFT, "new.yaml", "sft.batch_size=64"}};

	for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
		double bill, held;
		measure(jobs[i].kind, jobs[i].config, jobs[i].overrides, &bill, &held);
		if (held > bill + SMALL || held < LEAST * bill)
			fail_msg("%s %s: the bill says %.2f MB, and %.2f MB are held",
			         jobs[i].config, jobs[i].overrides, bill * 1e-6, held * 1e-6);
	}
}

/* Held since `before`, against what is said of it: within a hundredth and a few small blocks. */
static void assert_held(const char *what, double before, size_t bytes)
{
	double held = bytes_held() - before;

	if (fabs(held - (double)bytes) > 0.01 * (double)bytes + 32768)
		fail_msg("%s: %zu bytes are billed, and %.0f are held", what, bytes, held);
}

/* A vocabulary beside which the logits of a decoder count. */
static void check_parts(const char *precision)
{
#if defined(__SANITIZE_ADDRESS__)
	skip();
#endif
	const struct model_shape     s = {.n_layers = 3,
	                                  .width = 128,
	                                  .n_heads = 4,
	                                  .n_kv_heads = 2,
	                                  .head_width = 32,
	                                  .ff_width = 256,
	                                  .n_vocab = 3000,
	                                  .n_positions = 256,
	                                  .rope_theta = 1e4,
	                                  .norm_eps = 1e-5,
	                                  .n_eos = 1};
	const struct adapter_options lora = {
	        .rank = 16, .alpha = 16, .targets = (1u << ADAPTER_TARGETS) - 1};
	struct matmul   *mm;
	struct weights   w;
	struct model    *m;
	struct decoder  *d;
	struct optimizer o;
	struct adapter  *a;
	double           before;

	assert_ok(
	        matmul_new(&(struct matmul_options){"auto", precision, "strict", NULL, NULL}, &mm));
	for (int backward = 0; backward < 2; backward++) {
		before = bytes_held();
		assert_ok(weights_new(&s, &w));
		assert_ok(model_new(&w, mm, backward, &m));
		weights_free(&w);
		assert_held("the model", before, model_bytes(&s, mm, backward));
		before = bytes_held();
		assert_ok(adapter_new(&lora, &m->weights, mm, backward, &a));
		assert_held("the adapter", before, adapter_bytes(a, backward));
		adapter_free(a);
		before = bytes_held();
		assert_ok(decoder_new(m, 16, 200, &d));
		assert_held("the decoder", before, decoder_bytes(&s, mm, 16, 200));
		decoder_free(d);
		before = bytes_held();
		assert_ok(optimizer_new(&m->weights, &(struct optimizer_options){.epsilon = 1e-8},
		                        &o));
		assert_held("the moments", before, optimizer_bytes(&m->weights));
		optimizer_free(&o);
		model_free(m);
	}
	matmul_free(mm);
}

static void each_part_holds_what_it_is_billed_for(void **state)
{
	(void)state;
	check_parts("f32");
	check_parts("bf16");
}

/* The bill of a job whose limit is so many bytes; *recompute: whether it computes layers again. */
static int bill_of(const char *recompute, double limit, double *bill, int *again)
{
	char        mode[64], most[64];
	const char *overrides[] = {"run.output_dir=planned", mode, most};
	struct text lines = {0};
	struct job  job;

	snprintf(mode, sizeof mode, "compute.recompute=%s", recompute);
	snprintf(most, sizeof most, "compute.memory_limit_gb=%.9f", limit * 1e-9);
	TRY(job_open(JOB_TRAIN, JOB_NEW, "new.yaml", overrides, 3, &job));
	*bill = (double)bill_memory(job.kind, &job.learner, &job.sampler, &lines);
	*again = job.learner.policy.options.recompute;
	text_free(&lines);
	job_close(&job);
	return OK;
}

static void layers_are_computed_again_where_memory_is_short(void **state)
{
	(void)state;
	double all, less, bill;
	int    again;

	assert_ok(bill_of("off", 0, &all, &again));
	assert_false(again);
	assert_ok(bill_of("on", 0, &less, &again));
	assert_true(again);
	assert_true(less < all);
	assert_ok(bill_of("auto", all + 1, &bill, &again));
	assert_true(!again && bill == all);
	assert_ok(bill_of("auto", all - 1, &bill, &again));
	assert_true(again && bill == less);
	assert_error(bill_of("off", all - 1, &bill, &again), ERR_INPUT, "compute.recompute: auto");
	assert_error(bill_of("auto", less - 1, &bill, &again), ERR_INPUT, "layer inputs");
}

static int setup(void **state)
{
	(void)state;
	run_in_temporary_folder();
	write_text("new.yaml", new_model);
	write_text("old.yaml", old_model);
	hone_ok("train new.yaml run.output_dir=start run.max_steps=1");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(the_bill_is_what_is_allocated),
	                                   TEST(layers_are_computed_again_where_memory_is_short),
	                                   TEST(each_part_holds_what_it_is_billed_for)};

	return cmocka_run_group_tests(tests, setup, NULL);
}
