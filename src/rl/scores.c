#include "rl/scores.h"

#include "base/error.h"
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- the mean over files ---- */

struct figure { /* one that has a mean and an error */
	const char *name;
	size_t      offset; /* in struct eval_result */
};

static const struct figure figures[] = {
        {"pass@1", offsetof(struct eval_result, pass_1)},
        {"pass@k", offsetof(struct eval_result, pass_k)},
        {"maj", offsetof(struct eval_result, maj)},
        {"reward", offsetof(struct eval_result, reward)},
};
enum { N_FIGURES = sizeof figures / sizeof *figures };

static const struct eval_mean *figure_of(const struct eval_result *t, const struct figure *f)
{
	return (const struct eval_mean *)(const void *)((const char *)t + f->offset);
}

static struct eval_result mean_of_sets(const struct scores *s)
{
	struct eval_result mean = {.n_samples = s->samples};

	for (int i = 0; i < s->n; i++) {
		const struct eval_result *t = &s->sets[i].results.items[0];
		mean.n_problems += t->n_problems;
		mean.length += t->length / s->n;
		mean.truncated += t->truncated / s->n;
	}
	for (int f = 0; f < N_FIGURES; f++) {
		struct eval_mean *out =
		        (struct eval_mean *)(void *)((char *)&mean + figures[f].offset);
		double square = 0;
		for (int i = 0; i < s->n; i++) {
			const struct eval_mean *x =
			        figure_of(&s->sets[i].results.items[0], &figures[f]);
			out->mean += x->mean / s->n;
			square += x->error * x->error;
		}
		out->error = sqrt(square) / s->n;
	}
	return mean;
}

/* ---- the table ---- */

static void add_share(struct text *t, struct eval_mean x)
{
	if (isnan(x.error))
		text_print(t, "  %6.2f%%         ", 100 * x.mean);
	else
		text_print(t, "  %6.2f%% +- %5.2f", 100 * x.mean, 100 * x.error);
}

static void add_header(const struct scores *s, struct text *t)
{
	char pass[32], maj[32];

	snprintf(pass, sizeof pass, "pass@%d", s->k);
	snprintf(maj, sizeof maj, "maj@%d", s->samples);
	text_print(t, "%-28s %8s %17s", "", "problems", "pass@1");
	if (s->samples > 1)
		text_print(t, " %17s %17s", pass, maj);
	text_print(t, " %9s %8s %7s\n", "reward", "length", "cut");
}

static void scores_add_line(const struct scores *s, const char *name, const struct eval_result *x,
                            int indent, struct text *t)
{
	text_print(t, "%*s%-*.60s %8d", indent, "", 28 - indent, name, x->n_problems);
	add_share(t, x->pass_1);
	if (s->samples > 1) {
		add_share(t, x->pass_k);
		add_share(t, x->maj);
	}
	text_print(t, " %9.4f %8.1f %6.1f%%\n", x->reward.mean, x->length, 100 * x->truncated);
}

int scores_table(const struct scores *s, struct text *out)
{
	char name[64];

	assert(s->n > 0 && 1 <= s->k && s->k <= s->samples);
	add_header(s, out);
	for (int i = 0; i < s->n; i++) {
		const struct eval_results *t = &s->sets[i].results;
		scores_add_line(s, s->sets[i].name, &t->items[0], 0, out);
		for (int c = 1; c < t->n; c++)
			scores_add_line(s, t->items[c].category, &t->items[c], 2, out);
	}
	if (s->n > 1) {
		struct eval_result mean = mean_of_sets(s);
		snprintf(name, sizeof name, "mean of %d files", s->n);
		scores_add_line(s, name, &mean, 0, out);
	}
	return text_status(out);
}

/* ---- JSON ---- */

static void scores_add_text(struct text *t, const char *name, const char *value)
{
	text_print(t, "\"%s\": ", name);
	if (value)
		json_add_string(t, value, strlen(value));
	else
		text_add(t, "null", 4);
}

static void scores_add_number(struct text *t, const char *name, double x)
{
	text_print(t, ", \"%s\": ", name);
	json_add_real(t, x);
}

/* The members of one result, "{" to "}"; `curve` NULL: without pass@k for all k. */
static void scores_add_result(const struct eval_result *x, const struct eval_results *curve,
                              struct text *t)
{
	char error[32];

	text_add(t, "{", 1);
	if (x->category)
		scores_add_text(t, "category", x->category);
	text_print(t, "%s\"problems\": %d", x->category ? ", " : "", x->n_problems);
	for (int f = 0; f < N_FIGURES; f++) {
		const struct eval_mean *m = figure_of(x, &figures[f]);
		snprintf(error, sizeof error, "%s_stderr", figures[f].name);
		scores_add_number(t, figures[f].name, m->mean);
		scores_add_number(t, error, m->error);
	}
	scores_add_number(t, "mean_length", x->length);
	scores_add_number(t, "clipped_ratio", x->truncated);
	for (int i = 0; curve && i < curve->n_curve; i++) {
		text_print(t, i ? ", \"%d\": [" : ", \"curve\": {\"%d\": [", curve->curve[i]);
		json_add_real(t, x->curve[i].mean);
		text_add(t, ", ", 2);
		json_add_real(t, x->curve[i].error);
		text_add(t, "]", 1);
	}
	text_print(t, curve ? "}}" : "}");
}

static void scores_add_set(const struct score_set *set, struct text *t)
{
	text_add(t, "  {", 3);
	scores_add_text(t, "name", set->name);
	text_add(t, ", ", 2);
	scores_add_text(t, "file", set->file);
	text_print(t, ", \"left_out\": %d, \"unjudged\": %d,\n   \"all\": ", set->n_long,
	           set->results.items[0].n_unjudged);
	scores_add_result(&set->results.items[0], &set->results, t);
	text_print(t, ",\n   \"categories\": [");
	for (int c = 1; c < set->results.n; c++) {
		text_print(t, c > 1 ? ",\n    " : "\n    ");
		scores_add_result(&set->results.items[c], &set->results, t);
	}
	text_add(t, "]}", 2);
}

int scores_json(const struct scores *s, struct text *out)
{
	text_add(out, "{", 1);
	scores_add_text(out, "model", s->model);
	text_print(out, ",\n ");
	scores_add_text(out, "task", s->task);
	text_print(out,
	           ", \"samples\": %d, \"k\": %d, \"max_completion_length\": %d, \"seed\": %d,\n "
	           "\"sampling\": {\"top_k\": %d",
	           s->samples, s->k, s->max_completion_length, s->seed, s->sampling.top_k);
	scores_add_number(out, "temperature", (double)s->sampling.temperature);
	scores_add_number(out, "top_p", (double)s->sampling.top_p);
	scores_add_number(out, "min_p", (double)s->sampling.min_p);
	text_print(out, "},\n \"files\": [\n");
	for (int i = 0; i < s->n; i++) {
		text_add(out, ",\n", i ? 2 : 0);
		scores_add_set(&s->sets[i], out);
	}
	text_print(out, "]");
	if (s->n > 1) {
		struct eval_result mean = mean_of_sets(s);
		text_print(out, ",\n \"mean\": ");
		scores_add_result(&mean, NULL, out);
	}
	text_print(out, "}\n");
	return text_status(out);
}
