/* sweep.h - from a sweep file to its runs: arms x grid x seeds over a base config.
 *
 *     base: configs/addition/demo.yaml        the config of every arm that names no other
 *     output_dir: runs/sweeps/clip            the run of arm A with seed S goes to
 *                                             OUTPUT_DIR/A/seed-S
 *     seeds: 0-4                              run.seed of each run; or a list, [0, 1, 2];
 *                                             default 0
 *     before: configs/addition/demo-sft.yaml  run once, first, by hone sft, into
 *                                             OUTPUT_DIR/before; its model is model.path of all
 *                                             runs
 *     set: {run.max_steps: 50}                for all arms, below what an arm or the grid sets
 *     arms:
 *       - {name: grpo}
 *       - {name: rloo, set: {algorithm: rloo}, base: configs/other.yaml}
 *     grid:                                   every combination, times the arms
 *       loss.epsilon: [0.1, 0.2]
 *       optim.learning_rate: [1e-4, 1e-3]
 *
 * `before` may be a list of steps, each beginning with the model of the one before it. The command
 * rollouts makes a data set, OUTPUT_DIR/NAME.jsonl.gz, for rollout.source:
 *
 *     before:
 *       - {name: warm, command: sft, base: configs/addition/demo-sft.yaml}
 *       - {name: data, command: rollouts, base: configs/addition/demo.yaml, each_seed: true}
 *
 * A step with each_seed is run for each seed S, with that run.seed, into OUTPUT_DIR/NAME/seed-S
 * (OUTPUT_DIR/NAME/seed-S.jsonl.gz), and the runs of seed S begin with it: so intervals over seeds
 * also hold what the warm start and the data add. Such steps come last.
 *
 * Keys in set and grid are options as on the command line, key.path: value. In a value {output_dir}
 * stands for the sweep's folder and {seed} for the seed of the run or of a step with each_seed
 * ("{seed}", in quotes, for YAML). No text of the file holds tabs or line ends: what the file
 * expands to is printed as lines with tabs between. Paths are seen from where hone runs, as those
 * in configs are.
 *
 * Seeds are paired: run S of every arm has the same seed, so the same stream of prompts, and the
 * same initial weights from `before`. `hone report` takes the runs of an arm for one although their
 * paths hold seed-S (compare.h).
 *
 * Reading checks everything that can be checked without opening a model: unknown keys (file, line,
 * key, the nearest known one), doubled names, every arm's config as a whole (its runs differ in
 * seed and folder only). Nothing is written. */
#ifndef RUN_SWEEP_H
#define RUN_SWEEP_H

#include "base/file.h"
#include "run/schema.h"

enum {
	SWEEP_RUNS_MAX = 10000,
	SWEEP_ARMS_MAX = 1000,
	SWEEP_SEEDS_MAX = 1000,
	SWEEP_SETTINGS_MAX = 64
};

struct sweep_run {
	/* "grpo/seed-0"; of a step before its name, and with each_seed "warm/seed-0" */
	const char  *name;
	const char  *folder;    /* its run.output_dir */
	const char  *command;   /* train, sft or rollouts */
	const char  *config;    /* path */
	const char **overrides; /* [n] "key.path=value"; no tabs and no line ends in them */
	int          n;
	/* run.max_steps; with a checkpoint of this step the run is finished */
	int max_steps;
};

struct sweep {
	const char *output_dir;
	/* [n_before] before the runs: step by step, and within a step seed by seed */
	struct sweep_run *before;
	/* [n] seed by seed, and within a seed arm by arm: a sweep that was stopped has whole
	 * pairs */
	struct sweep_run *runs;
	int               n_before, n;
	struct arena      arena; /* owns everything */
};

/* On an error nothing is owned. */
int  sweep_read(const struct schema *s, const char *path, struct sweep *out);
void sweep_free(struct sweep *s);

/* By its newest valid checkpoint; changes nothing. */
enum sweep_state { SWEEP_MISSING, SWEEP_STARTED, SWEEP_FINISHED };
enum sweep_state         sweep_state_of(const struct sweep_run *run);
extern const char *const sweep_state_name[];

#endif
