/* The curriculum of a job: each prompt becomes an item of it, in the arm of its category. */
#include "rl/job_sampler.h"

#include "base/error.h"
#include "data/category.h"

/* The default of the temperature depends on the kind. */
static int job_curriculum_options(enum job_kind kind, struct job_config *config,
                                  struct curriculum_options *out)
{
	const struct curriculum_options *c = &config->curriculum;
	const struct curriculum_options  defaults = {.temperature =
	                                                     curriculum_kind_temperature(c->kind)};

	if (kind == JOB_SFT && curriculum_kind_learns(c->kind))
		return error_set(
		        ERR_INPUT,
		        "%s: curriculum.kind %s goes by the rewards of sampled completions, "
		        "and hone sft samples none; take uniform, "
		        "sequential or easy_to_hard",
		        config_where(&config->base, "curriculum.kind"), c->kind);
	TRY(config_lay(&config->base, "curriculum.kind", &curriculum_options_table, &defaults));
	*out = *c;
	out->seed = (uint64_t)config->run.seed;
	return OK;
}

int job_curriculum_open(enum job_kind kind, struct job_config *c, const struct job_data *data,
                        struct job_sampler *s)
{
	const struct text_list   *columns = &c->curriculum.categories;
	struct curriculum_options o;
	int                       n = data->train.prompts.n;
	struct curriculum_item   *items;

	TRY(arena_take(&s->arena, (size_t)n, "the items of the curriculum", &items));
	TRY(job_curriculum_options(kind, c, &o));
	for (int i = 0; i < n; i++) {
		const struct problem *p = data->train.prompts.problems[i];
		items[i].difficulty = p->difficulty;
		if (category_name(p, columns->items, columns->n, &s->arena, &items[i].arm) != OK)
			return error_context("%s: curriculum.categories",
			                     config_where(&c->base, "curriculum.categories"));
	}
	return curriculum_new(&o, items, n, &s->curriculum);
}
