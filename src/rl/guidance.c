#include "rl/guidance.h"

#include "base/error.h"

#include <assert.h>
#include <string.h>

/* ---- forms: each fills rollouts [n] ---- */

static int any_right(const struct group *guided)
{
	for (int i = 0; i < guided->n; i++)
		if (rollout_is_right(&guided->rollouts[i]))
			return 1;
	return 0;
}

static void replace(const struct group *plain, const struct group *guided, struct group *out)
{
	(void)plain;
	memcpy(out->rollouts, guided->rollouts, (size_t)guided->n * sizeof *guided->rollouts);
	out->n = guided->n;
}

static void guidance_mix(const struct group *plain, const struct group *guided, struct group *out)
{
	memcpy(out->rollouts, plain->rollouts, (size_t)plain->n * sizeof *plain->rollouts);
	memcpy(out->rollouts + plain->n, guided->rollouts,
	       (size_t)guided->n * sizeof *guided->rollouts);
	out->n = plain->n + guided->n;
}

/* The next wrong completion from place *at on, around the group; NULL when there is none. */
static const struct rollout *next_wrong(const struct group *g, int *at)
{
	for (int tries = 0; tries < g->n; tries++) {
		const struct rollout *r = &g->rollouts[(*at)++ % g->n];
		if (!rollout_is_right(r))
			return r;
	}
	return NULL;
}

static void mix_in(const struct group *plain, const struct group *guided, struct group *out)
{
	int at = 0;

	replace(plain, guided, out);
	for (int i = 0; i < out->n; i++) {
		const struct rollout *wrong =
		        rollout_is_right(&out->rollouts[i]) ? NULL : next_wrong(plain, &at);
		if (wrong)
			out->rollouts[i] = *wrong;
	}
}

static const struct {
	int (*worth)(const struct group *guided);
	void (*fill)(const struct group *plain, const struct group *guided, struct group *out);
} forms[] = {
        [GUIDANCE_REPLACE] = {group_right_varies, replace},
        [GUIDANCE_MIXED] = {any_right, guidance_mix},
        [GUIDANCE_MIXIN] = {any_right, mix_in},
};

/* ---- failing, sampling, merging ---- */

int guidance_failed(const struct guidance *g, const struct group *plain)
{
	int right = 0;

	for (int i = 0; i < plain->n; i++) {
		if (plain->rollouts[i].right == MARK_UNKNOWN)
			return 0;
		right += rollout_is_right(&plain->rollouts[i]);
	}
	return right <= g->trigger_accuracy * plain->n;
}

int guidance_sample(const struct guidance *g, struct decoder *d, const struct rollout_sampling *o,
                    const struct rollout_picks *picks, struct arena *a, struct groups *guided)
{
	struct rollout_sampling hinted = *o;
	struct rollout_picks    under_hint = *picks;
	int                     first = guided->n;

	assert(picks->prompts->n == g->hinted.n);
	for (int i = 0; i < picks->n; i++)
		assert(g->hinted.contexts[picks->items[i]].n > 0); /* there is a hint, and room */
	under_hint.prompts = &g->hinted;
	hinted.num_generations = g->num_generations;
	hinted.purpose = RNG_GUIDE;
	hinted.earlier = NULL; /* a hint leads elsewhere */
	TRY(rollout_sample(d, &hinted, &under_hint, a, guided));
	for (int i = first; i < guided->n; i++)
		for (int k = 0; k < guided->items[i].n; k++) {
			guided->items[i].rollouts[k].trained_under =
			        &picks->prompts->contexts[guided->items[i].item];
			guided->items[i].rollouts[k].source = SOURCE_HINTED;
		}
	return OK;
}

int guidance_merge(const struct guidance *g, const struct group *plain, const struct group *guided,
                   struct arena *a, struct group *out, int *kept)
{
	assert(plain->item == guided->item);
	*out = *plain;
	*kept = forms[g->form].worth(guided);
	if (!*kept)
		return OK;
	TRY(arena_take(a, (size_t)(plain->n + guided->n), "a guided group", &out->rollouts));
	forms[g->form].fill(plain, guided, out);
	return OK;
}

/* ---- options ---- */

static const struct choice guidance_kinds[] = {{"none", 0, NULL}, {"guide", 1, NULL}, {0}};
const struct choice        guidance_forms[] = {{"replace", GUIDANCE_REPLACE, NULL},
                                               {"mixed", GUIDANCE_MIXED, NULL},
                                               {"mixin", GUIDANCE_MIXIN, NULL},
                                               {0}};
static const struct choice guidance_denominators[] = {{"hinted", 0, NULL}, {"plain", 1, NULL}, {0}};

#define HOME struct guidance_options
#define ROOM "guidance."
/* clang-format off */
static const struct option guidance_options[] = {
	CHOICE_AS("kind", guide, "none", guidance_kinds,
	     "help for groups in which every completion failed", .when = "rollout.source="),
	CHOICE(form, "replace", guidance_forms,
	       "the guided completions replace the plain ones; join them; replace them, with the "
	       "wrong ones as plain rows", .when = "guidance.kind=guide"),
	REAL(trigger_accuracy, "0", 0, 1,
	     "a group is guided when at most this share of it is right; 0: all wrong, 1: always",
	     .when = "guidance.kind=guide"),
	INT(num_guided, "0", 0, 65536,
	    "guided completions per problem; 0: as rollout.num_generations",
	    .when = "guidance.kind=guide"),
	TEXT(template, "{prompt}{hint}", 1, 100000,
	     "the prompt with the hint in it, for guided completions and for sft.hint_rate; of "
	     "messages the last one", .when = "guidance.kind=guide or sft.hint_rate!=0"),
	CHOICE_AS("denominator", plain_denominator, "hinted", guidance_denominators,
	     "of the ratio of guided tokens: as sampled, or without the hint, as if they were on "
	     "policy (an ablation)", .when = "guidance.kind=guide"),
};
/* clang-format on */
const struct option_table guidance_options_table = OPTION_TABLE(guidance_options);
