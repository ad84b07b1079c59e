/* tool_objective - one batch of answers through advantage and objective, for other programs to compare with.
 *
 * Reads {"algorithm": NAME, "set": {"beta": 0.1, ...}, "rows": [{"group", "reward", "trained", "logp_new", "logp_old", "logp_ref", "entropy"}]}
 * from standard input (group and reward are numbers, the others lists, one number a token) and prints
 * {"loss", "advantage", "c", "h"}: lists over all tokens, row behind row; c = dloss/dlogp_new, h = dloss/dentropy. */
#include "base/error.h"
#include "base/json.h"
#include "rl/advantage.h"
#include "rl/objective.h"

#include <stdio.h>
#include <string.h>

struct columns { /* the rows, flat */
	int            R, T;
	int           *offset;                                   /* [R+1] */
	unsigned char *trained;                                  /* [T] */
	int64_t       *group;                                    /* [R] */
	double        *reward;                                   /* [R] */
	float         *logp_new, *logp_old, *logp_ref, *entropy; /* [T] */
	float         *advantage, *c, *h;                        /* [T] results */
};

static int columns_new(const json_t *rows, struct arena *a, struct columns *out)
{
	size_t R = json_array_size(rows), T = 0;
	float *floats;

	for (size_t r = 0; r < R; r++)
		T += json_array_size(json_object_get(json_array_get(rows, r), "trained"));
	*out = (struct columns){.R = (int)R, .T = (int)T};
	out->offset = arena_alloc(a, R + 1, sizeof *out->offset);
	out->trained = arena_alloc(a, T, sizeof *out->trained);
	out->group = arena_alloc(a, R, sizeof *out->group);
	out->reward = arena_alloc(a, R, sizeof *out->reward);
	floats = arena_alloc(a, 7 * T, sizeof *floats);
	if (!out->offset || !out->trained || !out->group || !out->reward || !floats)
		return ERR_INPUT;
	out->logp_new = floats;
	out->logp_old = floats + T;
	out->logp_ref = floats + 2 * T;
	out->entropy = floats + 3 * T;
	out->advantage = floats + 4 * T;
	out->c = floats + 5 * T;
	out->h = floats + 6 * T;
	return OK;
}

static int read_list(const json_t *row, const char *key, int n, float *out)
{
	const json_t *list = json_object_get(row, key);

	if ((int)json_array_size(list) != n)
		return error_set(ERR_INPUT, "\"%s\" has %zu numbers where \"trained\" has %d", key, json_array_size(list), n);
	for (int i = 0; i < n; i++)
		out[i] = (float)json_number_value(json_array_get(list, (size_t)i));
	return OK;
}

static int read_row(const json_t *row, int r, struct columns *c)
{
	const json_t *trained = json_object_get(row, "trained");
	int           n = (int)json_array_size(trained), at = c->offset[r];

	c->offset[r + 1] = at + n;
	c->group[r] = json_integer_value(json_object_get(row, "group"));
	c->reward[r] = json_number_value(json_object_get(row, "reward"));
	for (int i = 0; i < n; i++)
		c->trained[at + i] = (unsigned char)json_integer_value(json_array_get(trained, (size_t)i));
	TRY(read_list(row, "logp_new", n, c->logp_new + at));
	TRY(read_list(row, "logp_old", n, c->logp_old + at));
	TRY(read_list(row, "logp_ref", n, c->logp_ref + at));
	return read_list(row, "entropy", n, c->entropy + at);
}

static int read_algorithm(const json_t *job, struct algorithm *out)
{
	const char             *name = json_string_value(json_object_get(job, "algorithm"));
	const struct algorithm *row = name ? algorithm_find(name) : NULL;
	const struct {
		const char *key;
		double     *to;
	} settings[] = {{"beta", &out->beta},      {"epsilon", &out->epsilon},           {"epsilon_high", &out->epsilon_high},
	                {"delta", &out->delta},    {"entropy_coef", &out->entropy_coef}, {"gamma", &out->gamma},
	                {"adv_eps", &out->adv_eps}};

	if (!row)
		return error_set(ERR_INPUT, "there is no algorithm \"%s\"", name ? name : "");
	*out = *row;
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		TRY(json_get_real("set", json_object_get(job, "set"), settings[i].key, JSON_OPTIONAL, settings[i].to));
	out->max_completion_length = (int)json_integer_value(json_object_get(json_object_get(job, "set"), "max_completion_length"));
	return OK;
}

static int evaluate(const json_t *job, struct arena *a, struct columns *c, double *loss)
{
	const json_t          *rows = json_object_get(job, "rows");
	struct algorithm       alg;
	struct totals          totals = {0};
	struct advantage_stats advantage_stats = {0};
	struct objective_stats stats = {0};

	TRY(read_algorithm(job, &alg));
	TRY(columns_new(rows, a, c));
	for (int r = 0; r < c->R; r++)
		TRY(read_row(json_array_get(rows, (size_t)r), r, c));
	struct rows            shape = {.n = c->R, .offset = c->offset, .trained = c->trained};
	struct advantage_batch ab = {shape, c->group, c->reward, c->logp_old, c->logp_ref, NULL, NULL};
	struct objective_batch ob = {.rows = shape,
	                             .logp_new = c->logp_new,
	                             .logp_old = c->logp_old,
	                             .logp_ref = c->logp_ref,
	                             .entropy = c->entropy,
	                             .advantage = c->advantage};
	TRY(advantage_fill(&alg, &ab, a, c->advantage, &advantage_stats));
	totals_add(&totals, &shape, NULL);
	TRY(objective_eval(&alg, &ob, &totals, &(struct objective_gradient){c->c, c->h}, &stats));
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
	static char    text[1 << 24];
	struct arena   a = {0};
	struct columns c = {0};
	json_t        *job = NULL;
	double         loss = 0;
	int            status = json_parse("standard input", text, fread(text, 1, sizeof text, stdin), &job);

	if (status == OK)
		status = evaluate(job, &a, &c, &loss);
	if (status == OK) {
		printf("{\"loss\": %.17g", loss);
		print_list("advantage", c.advantage, c.T);
		print_list("c", c.c, c.T);
		print_list("h", c.h, c.T);
		printf("}\n");
	} else {
		fprintf(stderr, "tool_objective: %s\n", error_message());
	}
	json_decref(job);
	arena_free(&a);
	return status;
}
