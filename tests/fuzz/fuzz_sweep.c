/* Sweep files over two configs at hand. What is accepted are whole runs: names and folders of their
 * own, lines that a shell can read, configs that load with the seed and folder of their run. */
#include "fuzz.h"

#include "rl/job_config.h"
#include "run/sweep.h"

#include <ctype.h>

enum { LOADED_ONE_IN = 31 }; /* loading a config costs as much as reading the sweep */

static const char base[] =
        "model: {path: x}\n"
        "data: {generate: [{name: sequence, levels: 1-3, count: 40}]}\n"
        "task: {reward: sequence}\n"
        "algorithm: grpo\n"
        "loss: {beta: 0}\n"
        "rollout: {num_generations: 4, prompts_per_step: 4, max_completion_length: 6}\n"
        "run: {max_steps: 12}\n";
static const char warm[] = "model: {tokenizer: chars, init: {width: 16, n_layers: 2, n_heads: 2, "
                           "n_kv_heads: 1, head_width: 8, ff_width: 24}}\n"
                           "data: {generate: [{name: sequence, levels: 1-3, count: 40}]}\n"
                           "task: {reward: sequence}\n"
                           "run: {max_steps: 4}\n";

static int is_one_field(const char *s)
{
	return !strpbrk(s, "\t\n\r");
}

static void check_run(const struct sweep *s, const struct sweep_run *run)
{
	size_t n = strlen(s->output_dir);

	PROMISE(is_one_field(run->name) && is_one_field(run->folder) && is_one_field(run->config));
	/* no folder above, no option */
	PROMISE(isalnum((unsigned char)*run->name) || strchr("_+=,", *run->name));
	PROMISE(!strncmp(run->folder, s->output_dir, n) &&
	        !strcmp(run->folder + strlen(run->folder) - strlen(run->name), run->name));
	PROMISE(!strcmp(run->command, "train") || !strcmp(run->command, "sft") ||
	        !strcmp(run->command, "rollouts"));
	PROMISE(run->n > 0 && run->n <= SWEEP_SETTINGS_MAX + 1);
	for (int i = 0; i < run->n; i++)
		PROMISE(is_one_field(run->overrides[i]) && strchr(run->overrides[i], '='));
}

/* `seed` -1: of a step before, any. */
static void check_config(const struct sweep_run *run, int seed)
{
	struct job_config c;

	PROMISE(job_config_load(run->config, run->overrides, run->n, &c) == OK);
	PROMISE(!strcmp(c.run.output_dir, run->folder) && c.run.max_steps == run->max_steps);
	PROMISE(seed < 0 || c.run.seed == seed);
	config_free(&c.base);
}

static int seed_of(const struct sweep_run *run)
{
	const char *seed = strstr(run->name, "/seed-");

	PROMISE(seed && strspn(seed + 6, "0123456789") == strlen(seed + 6));
	return atoi(seed + 6);
}

/* Seed by seed, the same arms for each. */
static void check_runs(const struct sweep *s, int load)
{
	int arms = 1;

	PROMISE(s->n > 0 && s->n <= SWEEP_RUNS_MAX);
	while (arms < s->n && seed_of(&s->runs[arms]) == seed_of(&s->runs[0]))
		arms++;
	PROMISE(s->n % arms == 0);
	for (int i = 0; i < s->n; i++) {
		const struct sweep_run *first = &s->runs[i % arms];
		size_t                  n = strcspn(first->name, "/");
		check_run(s, &s->runs[i]);
		PROMISE(!strncmp(s->runs[i].name, first->name, n + 1) &&
		        seed_of(&s->runs[i]) == seed_of(&s->runs[i - i % arms]));
		if (load && (i == 0 || i == s->n - 1))
			check_config(&s->runs[i], seed_of(&s->runs[i]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static int   written;
	const int    load = n % LOADED_ONE_IN == 0;
	const char  *path = fuzz_file(0, data, n);
	struct sweep s;

	if (!written++) { /* the seeds name them by these paths */
		PROMISE(!strcmp(fuzz_file(1, base, strlen(base)), "/proc/self/fd/101"));
		PROMISE(!strcmp(fuzz_file(2, warm, strlen(warm)), "/proc/self/fd/102"));
	}
	fuzz_forget_message();
	if (sweep_read(&job_schema, path, &s) == OK) {
		PROMISE(is_one_field(s.output_dir));
		for (int i = 0; i < s.n_before; i++) {
			check_run(&s, &s.before[i]);
			if (load)
				check_config(&s.before[i], -1);
		}
		check_runs(&s, load);
		sweep_free(&s);
	} else {
		PROMISE(*error_message());
	}
	return 0;
}
