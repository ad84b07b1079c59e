#include "rl/job_config.h"

#include "base/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- what no other room has ---- */

#define HOME struct job_config
#define ROOM ""
/* clang-format off */
static const struct option algorithm_option[] = {
	NAMED(algorithm, "grpo", algorithm_name,
	      "the row of the algorithm table; options under loss override its parts"),
};
/* clang-format on */
static const struct option_table algorithm_table = OPTION_TABLE(algorithm_option);
#undef HOME
#undef ROOM

#define HOME struct sft_options
#define ROOM "sft."
/* clang-format off */
static const struct option sft_options[] = {
	INT(batch_size, "32", 1, 1 << 20, "sequences per step of hone sft"),
	REAL(hint_rate, "0", 0, 1,
	     "share of the prompts of hone sft that carry their hint, as guidance.template says"),
};
/* clang-format on */
static const struct option_table sft_options_table = OPTION_TABLE(sft_options);

/* ---- checks over several options ---- */

static int check_init(const struct job_config *c)
{
	const struct model_shape *s = &c->model.init;

	if (*c->model.path)
		return OK;
	if (s->n_heads % s->n_kv_heads)
		return error_set(
		        ERR_INPUT,
		        "%s: model.init.n_kv_heads (%d) must divide model.init.n_heads (%d)",
		        c->base.name, s->n_kv_heads, s->n_heads);
	if (s->head_width % 2)
		return error_set(ERR_INPUT, "%s: model.init.head_width (%d) must be even",
		                 c->base.name, s->head_width);
	if (c->rollout.max_completion_length >= s->n_positions)
		return error_set(ERR_INPUT,
		                 "%s: rollout.max_completion_length (%d) leaves no room for a "
		                 "prompt in model.init.n_positions (%d)",
		                 c->base.name, c->rollout.max_completion_length, s->n_positions);
	return OK;
}

/* Whether a template asks for a column: {prompt}, {a.b}. */
static int has_column(const char *template)
{
	static const char name[] =
	        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";

	for (const char *s = template; (s = strchr(s, '{')); s++) {
		size_t n = strspn(s + 1, name);
		if (n && s[1 + n] == '}')
			return 1;
	}
	return 0;
}

static int check_template(const char *where, const char *room, int row, const char *template)
{
	char at[32];

	if (has_column(template))
		return OK;
	snprintf(at, sizeof at, row < 0 ? "%s" : "%s[%d]", room, row);
	return error_set(ERR_INPUT,
	                 "%s: %s.prompt_template is \"%.60s\", which holds neither {prompt} nor "
	                 "another column in braces: every problem would ask the same",
	                 where, at, template);
}

static int check_templates(const struct job_config *c)
{
	static const char *const        rooms[] = {"data.train", "data.eval"};
	const struct source_list *const lists[] = {&c->data.train, &c->data.eval};

	TRY(check_template(config_where(&c->base, "data.prompt_template"), "data", -1,
	                   c->data.prompt_template));
	for (int l = 0; l < 2; l++)
		for (int i = 0; i < lists[l]->n; i++)
			if (*lists[l]->items[i].prompt_template)
				TRY(check_template(config_where(&c->base, rooms[l]), rooms[l], i,
				                   lists[l]->items[i].prompt_template));
	return OK;
}

static int check_eval(const struct job_config *c)
{
	if (c->run.eval_k > c->run.eval_samples)
		return error_set(
		        ERR_INPUT, "%s: run.eval_k (%d) must be at most run.eval_samples (%d)",
		        config_where(&c->base, "run.eval_k"), c->run.eval_k, c->run.eval_samples);
	return OK;
}

/* TRL's name for a policy becomes that policy, so that there is one place to read it from. */
static int fold_mask_truncated(struct job_config *c)
{
	static const char path[] = "loss.mask_truncated_completions";

	if (!config_is_set(&c->base, path))
		return OK;
	TRY(config_set(&c->base, config_where(&c->base, path), "loss.overlong",
	               c->loss.mask_truncated_completions ? "mask" : "keep"));
	return config_unset(&c->base, path);
}

/* runs/NAME, from the name of the config file without its ending. */
static int name_output(struct job_config *c)
{
	const char *slash = strrchr(c->base.name, '/'), *stem = slash ? slash + 1 : c->base.name,
	           *dot = strrchr(stem, '.');
	const char *folder;

	if (*c->run.output_dir)
		return OK;
	TRY(arena_print(&c->base.arena, &folder, "runs/%.*s",
	                (int)(dot && dot > stem ? (size_t)(dot - stem) : strlen(stem)), stem));
	return config_set(&c->base, "default", "run.output_dir", folder);
}

static int job_config_check(struct config *base)
{
	struct job_config *c = (struct job_config *)base; /* which it begins */

	TRY(config_not_both(base, "task.reward", "task.rewards"));
	TRY(config_not_both(base, "optim.warmup_steps", "optim.warmup_ratio"));
	TRY(check_init(c));
	TRY(check_templates(c));
	TRY(check_eval(c));
	TRY(config_not_both(base, "loss.mask_truncated_completions", "loss.overlong"));
	TRY(fold_mask_truncated(c));
	return name_output(c);
}

/* ---- task.verifiers: all that the config names ---- */

static int add_files(struct arena *a, const struct source_list *files, const char **names)
{
	for (int i = 0; i < files->n; i++)
		TRY(arena_print(a, names, "%s|%s", *names, files->items[i].reward));
	return OK;
}

static int add_generators(struct arena *a, const struct generator_list *list, const char **names)
{
	for (int i = 0; i < list->n; i++)
		TRY(arena_print(a, names, "%s|%s", *names, list->items[i].reward));
	return OK;
}

/* "exact|format" */
static int add_verifiers(const struct job_config *c, struct arena *a, const char **names)
{
	const struct task_options *t = &c->task;

	TRY(arena_print(a, names, "%s|%s", t->reward, t->eval_reward));
	for (int i = 0; i < t->rewards.n; i++)
		TRY(arena_print(a, names, "%s|%s", *names, t->rewards.items[i].name));
	TRY(add_files(a, &c->data.train, names));
	TRY(add_files(a, &c->data.eval, names));
	TRY(add_generators(a, &c->data.generate, names));
	return add_generators(a, &c->data.eval_generate, names);
}

static const char *verifier_names(const struct config *base, const char *path, struct arena *a)
{
	const char *names;

	assert(!strcmp(path, "task.verifiers"));
	return add_verifiers((const struct job_config *)base, a, &names) == OK ? names : NULL;
}

/* ---- the schema ---- */

#define IN_CONFIG(member) \
	offsetof(struct job_config, member), sizeof(((struct job_config *)0)->member)

static const struct schema_room rooms[] = {
        {&model_options_table, IN_CONFIG(model)},
        {&data_options_table, IN_CONFIG(data)},
        {&task_options_table, IN_CONFIG(task)},
        {&algorithm_table, 0, sizeof(struct job_config)},
        {&loss_options_table, IN_CONFIG(loss)},
        {&guidance_options_table, IN_CONFIG(guidance)},
        {&guided_options_table, IN_CONFIG(loss)},
        {&credit_options_table, IN_CONFIG(credit)},
        {&curriculum_options_table, IN_CONFIG(curriculum)},
        {&rollout_options_table, IN_CONFIG(rollout)},
        {&optim_options_table, IN_CONFIG(optim)},
        {&critic_options_table, IN_CONFIG(critic)},
        {&compute_options_table, IN_CONFIG(compute)},
        {&run_options_table, IN_CONFIG(run)},
        {&sft_options_table, IN_CONFIG(sft)},
};

const struct schema job_schema = {.rooms = rooms,
                                  .n_rooms = sizeof rooms / sizeof *rooms,
                                  .size = sizeof(struct job_config),
                                  .check = job_config_check,
                                  .derived = verifier_names};

int job_config_load(const char *path, const char *const *overrides, int n, struct job_config *out)
{
	return config_load(&job_schema, path, overrides, n, &out->base);
}

int job_config_parse(const char *name, const char *text, size_t n_text,
                     const char *const *overrides, int n, struct job_config *out)
{
	return config_parse(&job_schema, &(struct config_text){name, text, n_text}, overrides, n,
	                    &out->base);
}
