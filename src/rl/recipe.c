#include "rl/recipe.h"

#include "base/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* One part: where it stands in the config, where in the algorithm, and which words mean what. */
struct recipe_part {
	const char *path;
	enum { PART_CHOICE, PART_REAL, PART_INT, PART_BOOL } type;
	size_t               config_at, algorithm_at;
	const struct choice *choices;
};

#define AT(c, a) offsetof(struct config, loss.c), offsetof(struct algorithm, a)
/* clang-format off */
#define CHOICE(c, a, list) {"loss." #c, PART_CHOICE, AT(c, a), list}
#define REAL(c, a) {"loss." #c, PART_REAL, AT(c, a), NULL}
#define BOOL(c, a) {"loss." #c, PART_BOOL, AT(c, a), NULL}
#define INT(c, a) {"loss." #c, PART_INT, AT(c, a), NULL}
/* clang-format on */

static const struct recipe_part parts[] = {
        CHOICE(baseline, baseline, choices_baseline),
        CHOICE(scale_rewards, scale_rewards, choices_scale),
        BOOL(whiten, whiten),
        REAL(advantage_eps, adv_eps),
        REAL(gamma, gamma),
        REAL(lam, lam),
        CHOICE(importance_sampling_level, importance_sampling_level, choices_level),
        CHOICE(clip, clip, choices_clip),
        REAL(epsilon, epsilon),
        REAL(epsilon_high, epsilon_high),
        REAL(delta, delta),
        REAL(baseline_value, baseline_value),
        BOOL(signed_rewards, signed_rewards),
        REAL(tau_positive, tau_positive),
        REAL(tau_negative, tau_negative),
        REAL(positive_low, positive_low),
        REAL(positive_high, positive_high),
        REAL(negative_low, negative_low),
        REAL(negative_high, negative_high),
        CHOICE(mismatch, mismatch, choices_mismatch),
        REAL(mismatch_min, mismatch_min),
        REAL(mismatch_max, mismatch_max),
        BOOL(mismatch_normalise, mismatch_normalise),
        REAL(off_policy_mask, off_policy_mask),
        REAL(top_entropy, top_entropy),
        BOOL(use_bias_correction_kl, use_bias_correction_kl),
        CHOICE(loss_type, loss_type, choices_aggregation),
        REAL(beta, beta),
        CHOICE(kl_placement, kl_placement, choices_kl_placement),
        CHOICE(kl_estimator, kl_estimator, choices_kl_estimator),
        CHOICE(kl_controller, kl_controller, choices_kl_controller),
        REAL(kl_target, kl_target),
        REAL(kl_horizon, kl_horizon),
        REAL(entropy_coef, entropy_coef),
        CHOICE(overlong, overlong, choices_overlong),
        INT(overlong_buffer, overlong_buffer),
        REAL(overlong_penalty, overlong_penalty),
        BOOL(dynamic_sampling, dynamic_sampling),
        INT(num_iterations, num_iterations),
};

static void recipe_take(const struct config *c, const struct recipe_part *p, struct algorithm *out)
{
	const char *from = (const char *)c + p->config_at;
	char       *to = (char *)out + p->algorithm_at;

	if (p->type == PART_REAL) {
		memcpy(to, from, sizeof(double));
	} else if (p->type != PART_CHOICE) {
		memcpy(to, from, sizeof(int));
	} else {
		const char          *word;
		const struct choice *choice;
		memcpy(&word, from, sizeof word);
		choice = choice_find(p->choices, word);
		/* the schema lets no other word through; a test compares the lists */
		assert(choice);
		memcpy(to, &choice->value, sizeof choice->value);
	}
}

/* The row's value for an option that the config does not set, in the words of the config. */
static int give(struct config *c, const struct recipe_part *p, const struct algorithm *row)
{
	const char *from = (const char *)row + p->algorithm_at;
	char        who[64], value[40];
	double      real;
	int         number;

	snprintf(who, sizeof who, "algorithm %s", row->name);
	if (p->type == PART_REAL) {
		memcpy(&real, from, sizeof real);
		snprintf(value, sizeof value, "%.17g", real);
	} else {
		memcpy(&number, from, sizeof number);
		snprintf(value, sizeof value, "%d", number);
	}
	if (p->type == PART_CHOICE)
		snprintf(value, sizeof value, "%s", choice_name(p->choices, number));
	if (p->type == PART_BOOL)
		snprintf(value, sizeof value, "%s", number ? "true" : "false");
	return config_set_if_unset(c, who, p->path, value);
}

/* How guided rows are kept in bounds, and which other parts do not go with them: those that read
 * the recorded log-probabilities as if they had been sampled without the hint. */
static int guide(const struct config *c, struct algorithm *out)
{
	const struct config_guidance *g = &c->guidance;

	out->guided_clip = (enum clip)choice_find(choices_guided_clip, g->clip)->value;
	out->squash = g->squash;
	out->squash_percentile = g->squash_percentile;
	out->power = g->power;
	if (strcmp(g->kind, "guide"))
		return OK;
	if (out->beta > 0 && out->kl_placement != KL_IN_LOSS)
		return error_set(
		        ERR_INPUT,
		        "%s: guidance.kind guide does not go with loss.kl_placement %s: a "
		        "KL divergence in the reward would be that of the "
		        "hinted completions; set loss.kl_placement to loss, or loss.beta to 0",
		        config_where(c, "guidance.kind"),
		        choice_name(choices_kl_placement, out->kl_placement));
	if (out->beta > 0 && out->use_bias_correction_kl)
		return error_set(
		        ERR_INPUT,
		        "%s: guidance.kind guide does not go with loss.use_bias_correction_kl: the "
		        "ratio of a guided token is not that of "
		        "the policy to itself; set it to false",
		        config_where(c, "guidance.kind"));
	if ((g->num_guided ? g->num_guided : c->rollout.num_generations) < 2 &&
	    strcmp(g->form, "mixed"))
		return error_set(ERR_INPUT,
		                 "%s: guidance.num_guided is 1, but guidance.form %s compares "
		                 "guided completions: at least 2",
		                 config_where(c, "guidance.num_guided"), g->form);
	return OK;
}

/* TRL's default of epsilon_high is epsilon. Of cap_absolute it is the ceiling itself, and no width
 * beside another. */
static void widen(const struct config *c, struct algorithm *out)
{
	if (config_is_set(c, "loss.epsilon") && !config_is_set(c, "loss.epsilon_high") &&
	    out->clip != CLIP_CAP_ABSOLUTE)
		out->epsilon_high = out->epsilon;
}

int recipe_algorithm(struct config *c, struct algorithm *out)
{
	const struct algorithm *row = algorithm_find(c->algorithm);

	assert(row);
	*out = *row;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (config_is_set(c, parts[i].path))
			recipe_take(c, &parts[i], out);
	widen(c, out);
	out->max_completion_length = c->rollout.max_completion_length;
	if (algorithm_check(out, c->rollout.num_generations) != OK)
		return error_context("%s", config_where(c, "algorithm"));
	TRY(guide(c, out));
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (!config_is_set(c, parts[i].path))
			TRY(give(c, &parts[i], out));
	return config_check(c); /* what the user set beside a part that does not read it */
}
