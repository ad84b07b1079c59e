#include "rl/recipe.h"

#include "base/error.h"

#include <stdio.h>

/* Guided rows and the parts that do not go with them: those that read the recorded
 * log-probabilities as if they had been sampled without the hint. */
static int check_guided(const struct job_config *c, const struct algorithm *a)
{
	const struct guidance_options *g = &c->guidance;
	int n = g->num_guided ? g->num_guided : c->rollout.num_generations;

	if (!g->guide)
		return OK;
	if (a->beta > 0 && a->kl_placement != KL_IN_LOSS)
		return error_set(
		        ERR_INPUT,
		        "%s: guidance.kind guide does not go with loss.kl_placement %s: a KL "
		        "divergence in the reward would be that of the hinted completions; set "
		        "loss.kl_placement to loss, or loss.beta to 0",
		        config_where(&c->base, "guidance.kind"),
		        choice_name(choices_kl_placement, a->kl_placement));
	if (a->beta > 0 && a->use_bias_correction_kl)
		return error_set(
		        ERR_INPUT,
		        "%s: guidance.kind guide does not go with loss.use_bias_correction_kl: the "
		        "ratio of a guided token is not that of the policy to itself; set it to "
		        "false",
		        config_where(&c->base, "guidance.kind"));
	if (a->proximal > 0 || a->covariance != COVARIANCE_NONE)
		return error_set(
		        ERR_INPUT,
		        "%s: guidance.kind guide does not go with loss.%s: a guided token was "
		        "sampled under the hint, and is not to be held to that; set it to %s",
		        config_where(&c->base, "guidance.kind"),
		        a->proximal > 0 ? "proximal" : "covariance",
		        a->proximal > 0 ? "0" : "none");
	if (n < 2 && g->form != GUIDANCE_MIXED)
		return error_set(ERR_INPUT,
		                 "%s: guidance.num_guided is 1, but guidance.form %s compares "
		                 "guided completions: at least 2",
		                 config_where(&c->base, "guidance.num_guided"),
		                 choice_name(guidance_forms, g->form));
	return OK;
}

/* Token rewards have a baseline at each place, which is a mean of the rewards there. */
static int check_token_rewards(const struct job_config *c, const struct algorithm *a)
{
	if (c->task.token_rewards &&
	    (a->baseline == BASELINE_GROUP_BY_LENGTH || a->baseline == BASELINE_SECOND_BEST))
		return error_set(ERR_INPUT,
		                 "%s: task.token_rewards compares the rewards of the same place, "
		                 "but loss.baseline %s those of whole completions; set it to "
		                 "group, or task.token_rewards to false",
		                 config_where(&c->base, "task.token_rewards"),
		                 choice_name(choices_baseline, a->baseline));
	return OK;
}

/* What changes the sum of several rewards and not the rewards themselves. */
static int check_components(const struct job_config *c, const struct algorithm *a)
{
	const char *what = *c->rollout.source        ? "rollout.source"
	                   : c->task.permute_rewards ? "task.permute_rewards"
	                   : c->task.token_rewards   ? "task.token_rewards"
	                                             : NULL;

	if (a->multi_objective_aggregation == NORMALIZE_THEN_SUM && what)
		return error_set(ERR_INPUT,
		                 "%s: %s has or changes the sum of the rewards alone, but "
		                 "loss.multi_objective_aggregation normalize_then_sum takes each "
		                 "of them as it is; leave one of them out",
		                 config_where(&c->base, what), what);
	return OK;
}

/* TRL's default of epsilon_high is epsilon. Of cap_absolute it is the ceiling itself, and no width
 * beside another. */
static void widen(const struct job_config *c, struct algorithm *a)
{
	if (config_is_set(&c->base, "loss.epsilon") &&
	    !config_is_set(&c->base, "loss.epsilon_high") && a->clip != CLIP_CAP_ABSOLUTE)
		a->epsilon_high = a->epsilon;
}

int recipe_algorithm(struct job_config *c, struct algorithm *out)
{
	char who[64];

	*out = *algorithm_find(c->algorithm);
	config_take(&c->base, &loss_options_table, out);
	config_take(&c->base, &guided_options_table, out);
	widen(c, out);
	out->max_completion_length = c->rollout.max_completion_length;
	if (algorithm_check(out, c->rollout.num_generations) != OK)
		return error_context("%s", config_where(&c->base, "algorithm"));
	TRY(check_guided(c, out));
	TRY(check_token_rewards(c, out));
	TRY(check_components(c, out));
	snprintf(who, sizeof who, "algorithm %s", out->name);
	TRY(config_lay(&c->base, who, &loss_options_table, out));
	return config_check(&c->base); /* what the user set beside a part that does not read it */
}
