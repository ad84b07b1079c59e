/* hone eval WHAT [key=value ...] [--config CONFIG] [--data FILE]... [--task NAME] [--samples N]
 * [--k K] [--temperature T] [--max-tokens N] [--limit N]
 *                [--template T] [--convert NAME] [--seed S] [--command PROGRAM] [--base FOLDER]
 *                [--precision NAME] ... [--output FILE] [--completions FILE]
 *
 * WHAT is a config, whose model.path is evaluated, or the folder of a model or of a run. Files,
 * columns, prompt template, verifier, lengths and sampling are what the config says: the one given,
 * or that of the run. The options are short names of config keys; without any config --data and
 * --task must be there. A program that a run's own config names is run with --allow-command only.
 * Each file is evaluated for itself: its figures are the same whatever else the call evaluates. */
#include "rl/eval.h"
#include "base/gguf.h"
#include "base/json.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/opened.h"
#include "rl/problems.h"
#include "rl/scores.h"
#include "run/progress.h"
#include "run/value.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <string.h>

static const struct option_key short_names[] = {
        {"--task NAME", "task.eval_reward"},
        {"--samples N", "run.eval_samples"},
        {"--k K", "run.eval_k"},
        {"--temperature T", "run.eval_temperature"},
        {"--top-p P", "run.eval_top_p"},
        {"--max-tokens N", "rollout.max_completion_length"},
        {"--limit N", "data.eval_max_problems"},
        {"--template TEXT", "data.prompt_template"},
        {"--convert NAME", "data.convert"},
        {"--seed S", "run.seed"},
        {"--command PROGRAM", "task.verifier.command"},
};
enum {
	N_NAMES = sizeof short_names / sizeof *short_names,
	N_SHORT = N_NAMES + N_COMPUTE_KEYS,
	WORDS_MAX = N_SHORT + 6
};

static const struct option_key *short_name(int i)
{
	return i < N_NAMES ? &short_names[i] : &options_compute_keys[i - N_NAMES];
}

struct words { /* the command line */
	const char  *what, *config, *base, *output, *completions;
	const char  *value[N_SHORT];
	const char **overrides; /* [n_overrides] "key=value" */
	int          n_overrides, allow_command;
};

struct evaluation {
	struct job_config           config;
	struct opened               opened;
	const char                 *path; /* of the model, as it was named */
	int                         from_run, keep_completions;
	struct problem_set          set;
	struct reward_spec          spec;
	struct generation           generation;
	struct rollout_sampling     rollout;
	struct environment_program *world; /* or NULL */
	struct scores               scores;
	struct text                 completions; /* rows for --completions */
	struct arena                arena, set_arena;
};

/* ---- the command line ---- */

static int add_override(struct words *w, struct arena *a, const char *key, const char *value)
{
	return arena_print(a, &w->overrides[w->n_overrides++], "%s=%s", key, value);
}

/* Takes --data FILE, which may come several times, out of the words; they replace what the config
 * evaluates on. */
static int take_files(int *argc, char **argv, struct arena *a, struct words *w)
{
	struct text list = {0};
	int         kept = 0, n = 0, status;

	for (int i = 0; i < *argc; i++) {
		const char *file = !strncmp(argv[i], "--data=", 7)               ? argv[i] + 7
		                   : !strcmp(argv[i], "--data") && i + 1 < *argc ? argv[++i]
		                                                                 : NULL;
		if (!file) {
			argv[kept++] = argv[i];
			continue;
		}
		text_print(&list, n++ ? ", " : "[");
		value_print_text(&list, file);
	}
	*argc = kept;
	if (n == 0)
		return OK;
	text_add(&list, "]", 1);
	status = text_status(&list);
	if (status == OK)
		status = add_override(w, a, "data.eval", list.data);
	if (status == OK)
		status = add_override(w, a, "data.eval_generate", "[]");
	text_free(&list);
	return status;
}

static int eval_read_words(const struct command *self, int argc, char **argv, struct arena *a,
                           struct words *w)
{
	struct option_word words[WORDS_MAX] = {
	        {"--config CONFIG", &w->config, NULL, NULL,
	         "says what to evaluate on, and how, for a MODEL, or in the place of a RUN's own"},
	        {"--base FOLDER", &w->base, NULL, NULL,
	         "where the model of an adapter lies, when adapter_config.json does not say"},
	        {"--output FILE", &w->output, NULL, NULL, "writes the figures as JSON"},
	        {"--completions FILE", &w->completions, NULL, NULL,
	         "writes every completion with its score, one row each"}};
	int n = 4, n_positional;

	TRY(arena_take(a, (size_t)argc + N_SHORT + 2, "the command line", &w->overrides));
	for (int i = 0; i < N_SHORT; i++)
		words[n++] = (struct option_word){short_name(i)->option, &w->value[i], NULL, NULL,
		                                  short_name(i)->key};
	words[n++] = (struct option_word){
	        "--allow-command", NULL, NULL, &w->allow_command,
	        "runs the program that the config of a run names (task.verifier.command)"};
	words[n++] = (struct option_word){
	        "--data FILE", &w->config, NULL, NULL,
	        /* left over: a last word without its file */
	        "evaluates on this file in the place of the config's; may come several times"};
	TRY(take_files(&argc, argv, a, w));
	TRY(options_read(self, argc, argv, words, n, &n_positional));
	if (n_positional == 0)
		return options_usage(self);
	w->what = argv[0];
	for (int i = 1; i < n_positional; i++)
		w->overrides[w->n_overrides++] = argv[i];
	for (int i = 0; i < N_SHORT; i++)
		if (w->value[i])
			TRY(add_override(w, a, short_name(i)->key, w->value[i]));
	return OK;
}

/* Said before hours of work, not after. */
static int check_folder_of(const char *path, struct arena *a)
{
	const char *slash = path ? strrchr(path, '/') : NULL, *folder = "/";

	if (!slash)
		return OK;
	if (slash > path)
		TRY(arena_copy(a, path, (size_t)(slash - path), &folder));
	return file_is_folder(folder)
	               ? OK
	               : error_set(ERR_INPUT, "%s: there is no folder %s; make it first", path,
	                           folder);
}

/* ---- the config ---- */

/* *out: config.yaml of the run that the folder is, or that it is a checkpoint of; NULL when there
 * is none. */
static int config_of_run(const char *folder, struct arena *a, const char **out)
{
	static const char *const places[] = {"config.yaml", "../config.yaml"};

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		TRY(file_path(a, folder, places[i], out));
		if (file_exists(*out))
			return OK;
	}
	*out = NULL;
	return OK;
}

static int eval_load_config(struct evaluation *e, const struct words *w)
{
	/* nothing but the model bounds a prompt */
	static const char bare[] = "data: {max_prompt_length: 1048576}\n";
	const char       *config = w->config ? w->config : w->what;

	if (file_is_folder(w->what) || gguf_is(w->what)) {
		e->path = w->what;
		if (!w->config)
			TRY(config_of_run(w->what, &e->arena, &config));
		e->from_run = config && !w->config;
	} else if (w->config) {
		return error_set(
		        ERR_INPUT,
		        "%s: not a folder; with --config the other word names a model or a run",
		        w->what);
	}
	TRY(config ? job_config_load(config, w->overrides, w->n_overrides, &e->config)
	           : job_config_parse("hone eval", bare, sizeof bare - 1, w->overrides,
	                              w->n_overrides, &e->config));
	if (!e->path)
		e->path = e->config.model.path;
	if (!*e->path)
		return error_set(ERR_INPUT,
		                 "%s: model.path is empty; name a folder: hone eval FOLDER "
		                 "--config %s, or model.path=FOLDER",
		                 config, config);
	return OK;
}

/* ---- opening ---- */

/* The program that plays the problems, if there is one. */
static int eval_open_world(struct evaluation *e)
{
	struct environment_program_options o = e->config.task.environment;

	if (!*o.command.line)
		return OK;
	o.command.workers = 1;
	o.command.say = options_say;
	return environment_program_open(&o, &e->world);
}

static int open_verifier(struct evaluation *e, const struct words *w)
{
	const struct task_options *t = &e->config.task;
	struct verifier_options    o = task_verifier_options(t);
	const char                *name = task_judge(t);

	if (!*name)
		return error_set(
		        ERR_INPUT,
		        "which verifier? Name one with --task, or task.eval_reward in the config");
	o.command.say = options_say;
	TRY(eval_open_world(e));
	o.world = e->world ? environment_program_command(e->world) : NULL;
	TRY(verifier_open(&e->spec, &name, NULL, 1, &o));
	e->scores.task = name;
	TRY(problems_add_verifiers(&e->set, &e->spec));
	if (e->spec.command || e->world)
		TRY(options_allow_command(&e->config,
		                          w->config     ? w->config
		                          : e->from_run ? NULL
		                                        : w->what,
		                          w->allow_command));
	TRY(problems_check(&e->config, &e->spec, NULL, &e->arena, &e->set));
	for (int i = 0; i < e->set.n_unreadable; i++)
		terminal_print(stderr, "left out: %s\n", e->set.unreadable[i].reason);
	return OK;
}

/* A run is evaluated as it evaluates itself. Elsewhere generation_config.json holds until a key is
 * set. */
static int choose_sampling(struct evaluation *e, struct sampling *out)
{
	const struct run_options *r = &e->config.run;

	e->generation = (struct generation){.top_p = 1, .not_done = ""};
	if (!e->from_run)
		TRY(opened_generation(&e->opened, &e->generation));
	*out = generation_sampling(&e->generation);
	if (e->from_run || config_is_set(&e->config.base, "run.eval_temperature"))
		out->temperature = (float)r->eval_temperature;
	if (e->from_run || config_is_set(&e->config.base, "run.eval_top_p"))
		out->top_p = (float)r->eval_top_p;
	return OK;
}

static void say_sampling(const struct evaluation *e, const struct sampling *s)
{
	struct text penalties = {0};

	penalty_print(&e->generation.penalty, &penalties);
	terminal_print(stderr, "%s; sampling: temperature %g, top_k %d, top_p %g, min_p %g%s\n",
	               matmul_describe(e->opened.mm), (double)s->temperature, s->top_k,
	               (double)s->top_p, (double)s->min_p, penalties.data ? penalties.data : "");
	text_free(&penalties);
	opened_cautions(&e->generation, s, e->config.run.eval_samples);
}

static int eval_open_all(struct evaluation *e, const struct words *w)
{
	const struct rollout_options *r = &e->config.rollout;
	const struct model_shape     *s;
	struct sampling               sampling;
	struct prompts_options        prompts;

	TRY(check_folder_of(w->output, &e->arena));
	TRY(check_folder_of(w->completions, &e->arena));
	TRY(eval_load_config(e, w));
	TRY(problems_read_eval(&e->config, &e->arena, &e->set));
	if (e->set.n == 0)
		return error_set(ERR_INPUT, "nothing to evaluate on: name files with --data, or "
		                            "data.eval in the config");
	TRY(opened_as(e->path, w->base, &e->config.compute, &e->opened));
	TRY(open_verifier(e, w));
	TRY(choose_sampling(e, &sampling));
	s = &e->opened.model->weights.shape;
	prompts = problems_prompts(&e->config, e->opened.tokenizer, s->n_positions);
	TRY(problems_check_chat(&e->config, &prompts, &e->set, NULL));
	e->rollout = (struct rollout_sampling){.decode = {.sampling = sampling,
	                                                  .penalty = &e->generation.penalty,
	                                                  .eos = s->eos,
	                                                  .n_eos = s->n_eos,
	                                                  .stop = r->stop.items,
	                                                  .n_stop = r->stop.n,
	                                                  .tokenizer = e->opened.tokenizer,
	                                                  .piece = tokenizer_piece,
	                                                  .share_prompt = r->share_prompt,
	                                                  .speculate = r->speculate},
	                                       .num_generations = e->config.run.eval_samples,
	                                       .max_completion_length = r->max_completion_length,
	                                       .n_positions = s->n_positions,
	                                       .seed = (uint64_t)e->config.run.seed,
	                                       .purpose = RNG_EVAL,
	                                       .world = e->world};
	say_sampling(e, &sampling);
	return OK;
}

/* ---- one file ---- */

static void add_completion(struct text *t, const struct score_set *set, const struct group *g,
                           const struct rollout *r)
{
	text_print(t, "{\"file\": ");
	json_add_string(t, set->name, strlen(set->name));
	text_print(t, ", \"problem\": ");
	json_add_string(t, g->problem->id, strlen(g->problem->id));
	text_print(t, ", \"sample\": %u, \"completion\": ", (unsigned)r->sample);
	json_add_string(t, r->text, r->n_text);
	text_print(t, ", \"reward\": ");
	json_add_real(t, r->reward);
	text_print(t, ", \"right\": %s, \"vote\": %d, \"tokens\": %d, \"stop\": \"%s\"}\n",
	           mark_name(r->right), r->vote, r->n, stop_reason_name[r->stop]);
}

/* Problems between two lines of progress: enough to keep all slots at work. */
static int chunk_of(const struct evaluation *e, int left)
{
	int n = 16 * e->config.rollout.batch_size / e->config.run.eval_samples;

	return n < 1 ? 1 : n < left ? n : left;
}

static int eval_sample_file(struct evaluation *e, const struct prompts *prompts, struct decoder *d,
                            struct groups *groups)
{
	struct progress progress;

	progress_open(&progress, stderr, 1, 0);
	for (int done = 0; done < prompts->n;) {
		struct eval_slice chunk = {prompts, done, chunk_of(e, prompts->n - done)};
		TRY(eval_sample(d, &e->rollout, &chunk, &e->spec, &e->set_arena, groups));
		done += chunk.n;
		progress_step(&progress, done, prompts->n, "problems done");
	}
	progress_close(&progress);
	return OK;
}

static int eval_evaluate(struct evaluation *e, const struct problem_source *source,
                         const struct problem *problems, int n, struct score_set *out)
{
	const struct run_options    *r = &e->config.run;
	const struct prompts_options o =
	        problems_prompts(&e->config, e->opened.tokenizer, e->rollout.n_positions);
	int             longest, status;
	struct prompts  prompts;
	struct decoder *d;
	struct groups   groups;
	struct text     longs = {0};

	*out = (struct score_set){.name = source->name, .file = source->file};
	arena_reset(&e->set_arena);
	TRY(prompts_render(problems, n, &o, &e->set_arena, &prompts));
	out->n_long = prompts.n_long;
	prompts_add_longs(&prompts, &longs);
	text_add(&longs, "\n", 1);
	prompts_add_first(&prompts, &longs);
	prompts_add_tights("prompts", &prompts, &longs);
	terminal_print(stderr, "%s, %d problems%s", source->name, prompts.n,
	               longs.data ? longs.data : "\n");
	text_free(&longs);
	longest = prompts.longest + e->rollout.max_completion_length;
	TRY(groups_new(prompts.n, &e->set_arena, &groups));
	TRY(decoder_new(e->opened.model, e->config.rollout.batch_size,
	                longest < e->rollout.n_positions ? longest : e->rollout.n_positions, &d));
	status = eval_sample_file(e, &prompts, d, &groups);
	decoder_free(d);
	TRY(status);
	for (int g = 0; e->keep_completions && g < groups.n; g++)
		for (int i = 0; i < groups.items[g].n; i++)
			add_completion(&e->completions, out, &groups.items[g],
			               &groups.items[g].rollouts[i]);
	TRY(eval_groups(groups.items, groups.n, r->eval_k ? r->eval_k : r->eval_samples, &e->arena,
	                &out->results));
	if (out->results.items[0].n_unjudged)
		terminal_print(
		        stderr,
		        "%s, %d problems left out: the command had no verdict on a completion\n",
		        source->name, out->results.items[0].n_unjudged);
	return OK;
}

/* ---- all files ---- */

static int evaluate_all(struct evaluation *e)
{
	const struct run_options *r = &e->config.run;
	struct scores            *s = &e->scores;

	*s = (struct scores){.model = e->path,
	                     .task = s->task,
	                     .sampling = e->rollout.decode.sampling,
	                     .samples = r->eval_samples,
	                     .k = r->eval_k ? r->eval_k : r->eval_samples,
	                     .max_completion_length = e->config.rollout.max_completion_length,
	                     .seed = r->seed};
	TRY(arena_take(&e->arena, (size_t)e->set.n_sources, "the scores", &s->sets));
	for (int i = 0, first = 0, n; i < e->set.n_sources; i++, first += n) {
		for (n = 0; first + n < e->set.n && e->set.problems[first + n].source == i;)
			n++;
		TRY(eval_evaluate(e, &e->set.sources[i], e->set.problems + first, n,
		                  &s->sets[s->n]));
		s->n++;
	}
	return OK;
}

static int write_text(const char *path, const struct text *t)
{
	size_t n = strlen(path);

	return n > 3 && !strcmp(path + n - 3, ".gz") ? file_write_gzip(path, t->data, t->n)
	                                             : file_write(path, t->data, t->n);
}

static int eval_report(const struct evaluation *e, const struct words *w)
{
	struct text table = {0}, json = {0};
	int         status = scores_table(&e->scores, &table);

	if (status == OK)
		terminal_write(stdout, table.data, table.n);
	if (status == OK && w->output)
		status = scores_json(&e->scores, &json);
	if (status == OK && w->output)
		status = write_text(w->output, &json);
	if (status == OK && w->completions)
		status = text_status(&e->completions);
	if (status == OK && w->completions)
		status = write_text(w->completions, &e->completions);
	text_free(&table);
	text_free(&json);
	return status;
}

int command_eval(const struct command *self, int argc, char **argv)
{
	struct evaluation e = {0};
	struct words      w = {0};
	int               status = eval_read_words(self, argc, argv, &e.arena, &w);

	e.keep_completions = w.completions != NULL;
	if (status == OK)
		status = eval_open_all(&e, &w);
	if (status == OK)
		status = evaluate_all(&e);
	if (status == OK)
		status = eval_report(&e, &w);
	text_free(&e.completions);
	opened_free(&e.opened);
	verifier_close(&e.spec);
	environment_program_close(e.world);
	problems_free(&e.set);
	config_free(&e.config.base);
	arena_free(&e.set_arena);
	arena_free(&e.arena);
	return status;
}
