/* tool_objective - one batch of completions through advantage, credit, token weights and objective,
 * for other programs to compare with.
 *
 * Reads {"algorithm": NAME, "set": {...}, "credit": {...}, "rows": [{"group", "reward", "guided",
 * "trained", "logp_new", "logp_old", "logp_ref", "entropy", "logp_rollout", "components"}],
 * "component_weights": []} from standard input
 * (group, reward and guided are numbers, the others lists, one number a token; guided may be
 * missing, and logp_rollout, without which nothing is stale) and prints {"loss", "advantage",
 * "weight", "c", "h"}: lists over all tokens, row behind row; c = dloss/dlogp_new, h =
 * dloss/dentropy.
 *
 *     set       any field of the row: numbers, and the parts by the words of the config
 *               ("importance_sampling_level": "sequence"); batch_tokens and updates where the rows
 *               are one update of several (objective.h)
 *     credit    EMPG's k, k_bonus, zeta; without it none */
#include "base/error.h"
#include "base/json.h"
#include "estimator/advantage.h"
#include "estimator/covariance.h"
#include "estimator/credit.h"
#include "estimator/objective.h"
#include "estimator/token_weight.h"

#include <stdio.h>
#include <string.h>

/* The columns that the rows fill, and those that are printed. */
static int rows_new(const json_t *rows, struct arena *a, struct batch *b)
{
	int R = (int)json_array_size(rows);

	TRY(batch_new(R, a, b));
	for (int r = 0; r < R; r++)
		b->offset[r + 1] =
		        b->offset[r] + (int)json_array_size(json_object_get(
		                               json_array_get(rows, (size_t)r), "trained"));
	for (int r = 0; r < R; r++)
		if (json_object_get(json_array_get(rows, (size_t)r), "logp_rollout"))
			TRY(BATCH_TAKE(b, logp_rollout, a)); /* some row is stale */
	TRY(BATCH_TAKE(b, trained, a));
	TRY(BATCH_TAKE(b, guided, a));
	TRY(BATCH_TAKE(b, observed, a));
	TRY(BATCH_TAKE(b, components, a));
	TRY(BATCH_TAKE(b, group, a));
	TRY(BATCH_TAKE(b, reward, a));
	TRY(BATCH_TAKE(b, logp_new, a));
	TRY(BATCH_TAKE(b, logp_old, a));
	TRY(BATCH_TAKE(b, logp_ref, a));
	TRY(BATCH_TAKE(b, entropy, a));
	TRY(BATCH_TAKE(b, c, a));
	return BATCH_TAKE(b, h, a);
}

static int read_list(const json_t *row, const char *key, int n, float *out)
{
	const json_t *list = json_object_get(row, key);

	if ((int)json_array_size(list) != n)
		return error_set(ERR_INPUT, "\"%s\" has %zu numbers where \"trained\" has %d", key,
		                 json_array_size(list), n);
	for (int i = 0; i < n; i++)
		out[i] = (float)json_number_value(json_array_get(list, (size_t)i));
	return OK;
}

enum { PARTS = 8, ROWS_MAX = 1 << 12 };
static double part_of_row[PARTS * ROWS_MAX];

static int read_row(const json_t *row, int r, struct batch *b)
{
	const json_t *trained = json_object_get(row, "trained");
	int           n = (int)json_array_size(trained), at = b->offset[r];
	const json_t *parts = json_object_get(row, "components");
	const char   *rollout = json_object_get(row, "logp_rollout") ? "logp_rollout" : "logp_old";

	b->group[r] = json_integer_value(json_object_get(row, "group"));
	b->reward[r] = json_number_value(json_object_get(row, "reward"));
	b->guided[r] = json_integer_value(json_object_get(row, "guided")) != 0;
	for (int i = 0; i < n; i++) {
		b->trained[at + i] =
		        (unsigned char)json_integer_value(json_array_get(trained, (size_t)i));
		b->observed[at + i] = !b->trained[at + i];
	}
	b->n_components = (int)json_array_size(parts);
	b->components[r] = part_of_row + PARTS * (r % ROWS_MAX);
	for (int i = 0; i < b->n_components && i < PARTS; i++)
		part_of_row[PARTS * (r % ROWS_MAX) + i] =
		        json_number_value(json_array_get(parts, (size_t)i));
	TRY(read_list(row, "logp_new", n, b->logp_new + at));
	TRY(read_list(row, "logp_old", n, b->logp_old + at));
	TRY(read_list(row, "logp_ref", n, b->logp_ref + at));
	if (b->logp_rollout)
		TRY(read_list(row, rollout, n, b->logp_rollout + at));
	return read_list(row, "entropy", n, b->entropy + at);
}

static int read_reals(const json_t *set, struct algorithm *out)
{
	const struct {
		const char *key;
		double     *to;
	} settings[] = {{"beta", &out->beta},
	                {"epsilon", &out->epsilon},
	                {"epsilon_high", &out->epsilon_high},
	                {"delta", &out->delta},
	                {"entropy_coef", &out->entropy_coef},
	                {"gamma", &out->gamma},
	                {"advantage_eps", &out->advantage_eps},
	                {"baseline_value", &out->baseline_value},
	                {"tau_positive", &out->tau_positive},
	                {"tau_negative", &out->tau_negative},
	                {"mismatch_min", &out->mismatch_min},
	                {"mismatch_max", &out->mismatch_max},
	                {"off_policy_mask", &out->off_policy_mask},
	                {"top_entropy", &out->top_entropy},
	                {"squash", &out->squash},
	                {"squash_percentile", &out->squash_percentile},
	                {"power", &out->power},
	                {"vespo_k_pos", &out->vespo_k_pos},
	                {"vespo_lambda_pos", &out->vespo_lambda_pos},
	                {"vespo_k_neg", &out->vespo_k_neg},
	                {"vespo_lambda_neg", &out->vespo_lambda_neg},
	                {"proximal", &out->proximal},
	                {"positive_nll", &out->positive_nll},
	                {"echo", &out->echo},
	                {"covariance_ratio", &out->covariance_ratio},
	                {"covariance_low", &out->covariance_low},
	                {"covariance_high", &out->covariance_high},
	                {"covariance_coef", &out->covariance_coef},
	                {"mismatch_moment", &out->mismatch_moment}};

	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		TRY(json_get_real("set", set, settings[i].key, JSON_OPTIONAL, settings[i].to));
	return OK;
}

static int read_integers(const json_t *set, struct algorithm *out, struct totals *totals)
{
	int64_t length = out->max_completion_length, updates = 0;

	TRY(json_get_int("set", set, "max_completion_length", JSON_OPTIONAL, json_range(0, 1 << 20),
	                 &length));
	TRY(json_get_int("set", set, "batch_tokens", JSON_OPTIONAL, json_range(0, 1 << 30),
	                 &totals->batch_tokens));
	TRY(json_get_int("set", set, "updates", JSON_OPTIONAL, json_range(0, 1 << 20), &updates));
	TRY(json_get_bool("set", set, "use_bias_correction_kl", JSON_OPTIONAL,
	                  &out->use_bias_correction_kl));
	TRY(json_get_bool("set", set, "mismatch_normalise", JSON_OPTIONAL,
	                  &out->mismatch_normalise));
	TRY(json_get_bool("set", set, "signed_rewards", JSON_OPTIONAL, &out->signed_rewards));
	TRY(json_get_bool("set", set, "whiten", JSON_OPTIONAL, &out->whiten));
	out->max_completion_length = (int)length;
	totals->updates = (int)updates;
	return OK;
}

static int read_word(const json_t *set, const char *key, const struct choice *list, int *out)
{
	const char          *word = NULL;
	const struct choice *choice;

	TRY(json_get_text("set", set, key, JSON_OPTIONAL, &word));
	if (!word)
		return OK;
	choice = choice_find(list, word);
	if (!choice)
		return error_set(ERR_INPUT, "set: \"%s\" is no %s", word, key);
	*out = choice->value;
	return OK;
}

/* An enum of the row, by the word that the config has for it. */
static int read_words(const json_t *set, struct algorithm *out)
{
	const struct {
		const char          *key;
		const struct choice *list;
		void                *to;
	} words[] = {{"baseline", choices_baseline, &out->baseline},
	             {"scale_rewards", choices_scale, &out->scale_rewards},
	             {"importance_sampling_level", choices_level, &out->importance_sampling_level},
	             {"clip", choices_clip, &out->clip},
	             {"guided_clip", choices_guided_clip, &out->guided_clip},
	             {"loss_type", choices_aggregation, &out->loss_type},
	             {"kl_placement", choices_kl_placement, &out->kl_placement},
	             {"kl_estimator", choices_kl_estimator, &out->kl_estimator},
	             {"mismatch", choices_mismatch, &out->mismatch},
	             {"multi_objective_aggregation", choices_objectives,
	              &out->multi_objective_aggregation},
	             {"covariance", choices_covariance, &out->covariance}};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		int value;
		memcpy(&value, words[i].to, sizeof value);
		TRY(read_word(set, words[i].key, words[i].list, &value));
		memcpy(words[i].to, &value, sizeof value);
	}
	return OK;
}

static int read_algorithm(const json_t *job, struct algorithm *out, struct totals *totals)
{
	const char             *name = json_string_value(json_object_get(job, "algorithm"));
	const struct algorithm *row = name ? algorithm_find(name) : NULL;
	const json_t           *set = json_object_get(job, "set");

	if (!row)
		return error_set(ERR_INPUT, "there is no algorithm \"%s\"", name ? name : "");
	*out = *row;
	TRY(read_reals(set, out));
	TRY(read_integers(set, out, totals));
	return read_words(set, out);
}

static int apply_credit(const json_t *set, struct batch *b, struct arena *a)
{
	struct credit_options o = {.empg = 1, .k = 1, .k_bonus = 1};
	struct credit_stats   stats;

	if (!set)
		return OK;
	TRY(json_get_real("credit", set, "k", JSON_OPTIONAL, &o.k));
	TRY(json_get_real("credit", set, "k_bonus", JSON_OPTIONAL, &o.k_bonus));
	TRY(json_get_real("credit", set, "zeta", JSON_OPTIONAL, &o.zeta));
	return credit_apply(&o, b, (struct rng_key){1, RNG_TEST, 0, 0, 0}, a, &stats);
}

/* Advantages, weights and coefficients, as learn.c does it. */
static int evaluate(const json_t *job, struct arena *a, struct batch *b, double *loss)
{
	static double             component_weights[PARTS];
	const json_t             *rows = json_object_get(job, "rows");
	struct algorithm          alg;
	struct totals             totals = {0};
	struct advantage_stats    advantage_stats = {0};
	struct token_weight_stats weight_stats = {0};
	struct objective_stats    stats = {0};

	TRY(read_algorithm(job, &alg, &totals));
	TRY(rows_new(rows, a, b));
	for (int r = 0; r < b->n; r++)
		TRY(read_row(json_array_get(rows, (size_t)r), r, b));
	b->component_weights = component_weights;
	for (int i = 0; i < b->n_components && i < PARTS; i++)
		component_weights[i] = json_number_value(
		        json_array_get(json_object_get(job, "component_weights"), (size_t)i));
	TRY(advantage_fill(&alg, b, a, &advantage_stats));
	TRY(apply_credit(json_object_get(job, "credit"), b, a));
	TRY(token_weight_fill(&alg, b, a, &weight_stats));
	TRY(objective_prepare(&alg, b, a));
	if (alg.covariance != COVARIANCE_NONE) {
		TRY(BATCH_TAKE(b, chosen, a));
		TRY(covariance_choose(&alg, b, b->logp_new, (struct rng_key){1, RNG_TEST, 0, 0, 0},
		                      a));
	}
	b->entropy_new = b->entropy;
	totals_add(&totals, b);
	TRY(objective_eval(&alg, b, &totals, &stats));
	*loss = stats.loss;
	return OK;
}

static void print_list(const char *key, const float *x, int n)
{
	printf(", \"%s\": [", key);
	for (int i = 0; i < n; i++)
		printf("%s%.9g", i ? ", " : "", (double)x[i]);
	printf("]");
}

int main(void)
{
	static char  text[1 << 24];
	struct arena a = {0};
	struct batch b = {0};
	json_t      *job = NULL;
	double       loss = 0;
	int status = json_parse("standard input", text, fread(text, 1, sizeof text, stdin), &job);

	if (status == OK)
		status = evaluate(job, &a, &b, &loss);
	if (status == OK) {
		printf("{\"loss\": %.17g", loss);
		print_list("advantage", b.advantage, b.offset[b.n]);
		print_list("weight", b.weight, b.offset[b.n]);
		print_list("c", b.c, b.offset[b.n]);
		print_list("h", b.h, b.offset[b.n]);
		printf("}\n");
	} else {
		fprintf(stderr, "tool_objective: %s\n", error_message());
	}
	json_decref(job);
	arena_free(&a);
	return status;
}
