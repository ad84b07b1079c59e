#include "run/compare.h"

#include "base/error.h"
#include "base/json.h"
#include "run/config_yaml.h"
#include "run/schema.h"

#include <math.h>
#include <string.h>

const char *const compare_measure_name[N_MEASURES] = {"final", "last five", "at equal tokens"};
static const char *const        measure_key[] = {"final", "last_five", "at_tokens"};
static const char *const        verdict_name[] = {"too few seeds", "above", "below", "not shown"},
                         *const verdict_key[] = {"too_few_seeds", "above", "below", "not_shown"};
static const char               primary[] = "eval/pass@1";

enum { ARM_NAME_MAX = 48 }; /* bytes: a legend and a table hold it */

/* ---- configs ---- */

static int is_compared(const struct compare_summary *c, int row)
{
	const struct option *o = schema_at(c->schema, row);

	if (!strcmp(o->path, "run.seed") || !strcmp(o->path, "run.output_dir"))
		return 0;
	return !(o->flags & FREE_ON_RESUME) || !strcmp(o->path, "run.max_steps");
}

/* *out: the text in the arena of c; frees t. */
static int compare_keep(struct compare_summary *c, struct text *t, const char **out)
{
	int status = text_status(t);

	if (status == OK)
		status = arena_copy(&c->arena, t->data ? t->data : "", t->n, out);
	text_free(t);
	return status;
}

static int compare_take_value(struct compare_summary *c, const struct yaml_node *node,
                              const char **out)
{
	struct text t = {0};

	yaml_flow(node, &t);
	return compare_keep(c, &t, out);
}

/* Options that this program does not know are passed over: another version wrote them. */
static int take_values(struct compare_summary *c, const char *room, const struct yaml_node *map,
                       const char **value)
{
	for (const struct yaml_node *node = map->first; node; node = node->next) {
		const char *path = node->key;
		int         row;
		if (*room)
			TRY(arena_print(&c->arena, &path, "%s.%s", room, node->key));
		row = schema_find(c->schema, path);
		if (row < 0 && node->kind == YAML_MAP)
			TRY(take_values(c, path, node, value));
		if (row >= 0)
			TRY(compare_take_value(c, node, &value[row]));
	}
	return OK;
}

/* ".../warm/seed-3" of the run with seed 3 becomes ".../warm/seed-{seed}": what each seed has of
 * its own makes no arm. */
static int without_seed(struct compare_summary *c, const char *value, const char *seed,
                        const char **out)
{
	static const char mark[] = "seed-";
	struct text       t = {0};
	const char       *found, *rest = value;

	while (*seed && (found = strstr(rest, mark))) {
		const char *number = found + strlen(mark),
		           *end = number + strspn(number, "0123456789");
		int own = (size_t)(end - number) == strlen(seed) &&
		          !strncmp(number, seed, strlen(seed));
		text_add(&t, rest, (size_t)((own ? number : end) - rest));
		text_print(&t, "%s", own ? "{seed}" : "");
		rest = end;
	}
	text_print(&t, "%s", rest);
	return compare_keep(c, &t, out);
}

static int compare_read_config(struct compare_summary *c, struct compared_run *run)
{
	const char       *path;
	struct bytes      b;
	struct yaml_node *root;
	int               status;

	run->seed = "";
	TRY(file_path(&c->arena, run->log->folder, "config.yaml", &path));
	TRY(arena_take(&c->arena, (size_t)schema_n(c->schema), "the config of a run", &run->value));
	if (!file_exists(path)) {
		run->value[schema_find(c->schema, "run.output_dir")] = run->log->folder;
		return OK;
	}
	TRY(file_read(path, YAML_BYTES_MAX, &b));
	status = yaml_parse(path, b.data, b.n, &c->arena, &root);
	bytes_free(&b);
	TRY(status);
	if (root->kind != YAML_MAP)
		return error_set(ERR_INPUT, "%s: the file holds %s, but must hold a map", path,
		                 yaml_kind_name(root->kind));
	TRY(take_values(c, "", root, run->value));
	if (run->value[schema_find(c->schema, "run.seed")])
		run->seed = run->value[schema_find(c->schema, "run.seed")];
	for (int row = 0; schema_at(c->schema, row); row++)
		if (run->value[row])
			TRY(without_seed(c, run->value[row], run->seed, &run->value[row]));
	return OK;
}

/* ---- arms ---- */

static int same_value(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static int same_arm(const struct compare_summary *c, const struct compared_run *a,
                    const struct compared_run *b)
{
	if (!*a->seed || !*b->seed)
		return 0;
	for (int row = 0; schema_at(c->schema, row); row++)
		if (is_compared(c, row) && !same_value(a->value[row], b->value[row]))
			return 0;
	return 1;
}

static int group_runs(struct compare_summary *c)
{
	TRY(arena_take(&c->arena, (size_t)c->n_runs, "the arms", &c->arms));
	for (int r = 0; r < c->n_runs; r++) {
		int k = 0;
		while (k < c->n_arms && !same_arm(c, &c->runs[c->arms[k].runs[0]], &c->runs[r]))
			k++;
		struct compared_arm *arm = &c->arms[k];
		if (k == c->n_arms) {
			c->n_arms++;
			TRY(arena_take(&c->arena, (size_t)(c->n_runs - r), "the runs of an arm",
			               &arm->runs));
		}
		arm->runs[arm->n++] = r;
		c->runs[r].arm = k;
	}
	return OK;
}

static int differs_between_arms(const struct compare_summary *c, int row)
{
	for (int k = 1; k < c->n_arms; k++)
		if (!same_value(c->runs[c->arms[k].runs[0]].value[row],
		                c->runs[c->arms[0].runs[0]].value[row]))
			return 1;
	return 0;
}

/* "beta=0, algorithm=grpo" of the options in which the arms differ. */
static int differences(struct compare_summary *c, const struct compared_arm *arm, const char **out)
{
	struct text t = {0};

	for (int row = 0; schema_at(c->schema, row); row++) {
		const char *value = c->runs[arm->runs[0]].value[row];
		if (is_compared(c, row) && value && differs_between_arms(c, row))
			text_print(&t, "%s%s=%s", t.n ? ", " : "", schema_at(c->schema, row)->path,
			           value);
	}
	return compare_keep(c, &t, out);
}

/* ".../NAME/seed-N" gives "NAME"; NULL otherwise. */
static int compare_folder_name(struct compare_summary *c, const char *folder, const char **out)
{
	const char *last = strrchr(folder, '/'), *first = last;

	*out = NULL;
	if (!last || strncmp(last, "/seed-", 6) || !last[6] ||
	    last[6 + strspn(last + 6, "0123456789")])
		return OK;
	while (first > folder && first[-1] != '/')
		first--;
	return arena_copy(&c->arena, first, (size_t)(last - first), out);
}

static int name_is_taken(const struct compare_summary *c, int k)
{
	for (int i = 0; i < k; i++)
		if (!strcmp(c->arms[i].name, c->arms[k].name))
			return 1;
	return 0;
}

static const char *last_part(const char *folder)
{
	const char *slash = strrchr(folder, '/');
	return slash && slash[1] ? slash + 1 : folder;
}

/* The name of the folder that holds its runs, else what differs; where that is long, the last part
 * of its first run's folder. */
static int name_of_arm(struct compare_summary *c, struct compared_arm *arm)
{
	const char *folder = c->runs[arm->runs[0]].log->folder, *name, *other;

	TRY(compare_folder_name(c, folder, &name));
	for (int i = 1; i < arm->n && name; i++) {
		TRY(compare_folder_name(c, c->runs[arm->runs[i]].log->folder, &other));
		if (!same_value(name, other))
			name = NULL;
	}
	if (name && strlen(name) <= ARM_NAME_MAX)
		arm->name = name;
	else if (*arm->differs && strlen(arm->differs) <= ARM_NAME_MAX)
		arm->name = arm->differs;
	else
		arm->name = strlen(last_part(folder)) <= ARM_NAME_MAX ? last_part(folder) : "";
	return OK;
}

static int name_arms(struct compare_summary *c)
{
	for (int k = 0; k < c->n_arms; k++) {
		struct compared_arm *arm = &c->arms[k];
		TRY(differences(c, arm, &arm->differs));
		TRY(name_of_arm(c, arm));
		if (name_is_taken(c, k) && *arm->differs && strlen(arm->differs) <= ARM_NAME_MAX)
			arm->name = arm->differs;
		if (!*arm->name || name_is_taken(c, k))
			TRY(arena_print(&c->arena, &arm->name, "arm %d", k + 1));
	}
	return OK;
}

/* ---- measures ---- */

static double value_at_step(const struct series *s, double step)
{
	for (int i = s ? s->n - 1 : -1; i >= 0; i--)
		if (s->points[i].x == step)
			return s->points[i].y;
	return NAN;
}

/* y over the tokens generated by then. *out in the arena. */
static int over_tokens(struct compare_summary *c, const struct series_run *log,
                       const struct series *s, struct point **out, int *n)
{
	const struct series *tokens = series_find(log, "num_tokens");

	*n = 0;
	TRY(arena_take(&c->arena, s ? (size_t)s->n : 0, "a curve over tokens", out));
	for (int i = 0, t = 0; s && tokens && i < s->n; i++) {
		while (t < tokens->n && tokens->points[t].x < s->points[i].x)
			t++;
		if (t < tokens->n && tokens->points[t].x == s->points[i].x)
			(*out)[(*n)++] = (struct point){tokens->points[t].y, s->points[i].y, 0};
	}
	return OK;
}

/* On a straight line between two points; NaN outside of them. x ascending. */
static double value_between(const struct point *p, int n, double x)
{
	for (int i = 0; i < n; i++) {
		if (p[i].x == x)
			return p[i].y;
		if (p[i].x > x)
			return i ? p[i - 1].y + (x - p[i - 1].x) / (p[i].x - p[i - 1].x) *
			                                (p[i].y - p[i - 1].y)
			         : NAN;
	}
	return NAN;
}

static int measure_runs(struct compare_summary *c)
{
	c->tokens = INFINITY;
	for (int r = 0; r < c->n_runs; r++) {
		struct compared_run *run = &c->runs[r];
		const struct series *s = series_find(run->log, primary),
		                    *time = series_find(run->log, "step_time");
		double tokens;
		for (int m = 0; m < N_MEASURES; m++)
			run->measure[m] = NAN;
		run->tokens =
		        value_at_step(series_find(run->log, "num_tokens"), run->log->last_step);
		for (int i = 0; time && i < time->n; i++)
			run->seconds += time->points[i].y;
		if (!s || s->n == 0)
			continue;
		run->measure[MEASURE_FINAL] = s->points[s->n - 1].y;
		if (s->n >= 5) {
			run->measure[MEASURE_LAST_FIVE] = 0;
			for (int i = s->n - 5; i < s->n; i++)
				run->measure[MEASURE_LAST_FIVE] += s->points[i].y / 5;
		}
		tokens = value_at_step(series_find(run->log, "num_tokens"), s->points[s->n - 1].x);
		c->tokens = fmin(c->tokens, isnan(tokens) ? 0 : tokens);
	}
	for (int r = 0; r < c->n_runs; r++) {
		struct point *points;
		int           n;
		TRY(over_tokens(c, c->runs[r].log, series_find(c->runs[r].log, primary), &points,
		                &n));
		c->runs[r].measure[MEASURE_AT_TOKENS] = value_between(points, n, c->tokens);
	}
	return OK;
}

/* ---- what is asked ---- */

static int compare_find_baseline(struct compare_summary *c, const char *name)
{
	struct text names = {0};
	int         status;

	for (int k = 0; name && k < c->n_arms; k++)
		if (!strcmp(c->arms[k].name, name)) {
			c->baseline = k;
			return OK;
		}
	if (!name)
		return OK;
	for (int k = 0; k < c->n_arms; k++)
		text_print(&names, "%s%s", k ? ", " : "", c->arms[k].name);
	status = text_status(&names);
	if (status == OK)
		status = error_set(ERR_INPUT, "no arm is called \"%s\"; there are: %.1500s", name,
		                   names.data ? names.data : "");
	text_free(&names);
	return status;
}

static const char *compare_key_at(int i)
{
	return i < N_MEASURES ? measure_key[i] : NULL;
}

static int compare_ask(struct compare_summary *c, const struct compare_question *q)
{
	int m = 0;

	if (q)
		TRY(compare_find_baseline(c, q->baseline));
	if (!q || !q->measure)
		return OK;
	while (m < N_MEASURES && strcmp(measure_key[m], q->measure))
		m++;
	if (m == N_MEASURES)
		return error_unknown("measure", q->measure, compare_key_at);
	c->asked = (enum measure)m;
	return OK;
}

/* ---- pairs ---- */

static int compare_arms(struct compare_summary *c, int a, int b, enum measure m)
{
	struct compared_pair *pair = &c->pairs[c->n_pairs];
	double               *x, *y;
	int                   n = 0;

	TRY(arena_take(&c->arena, (size_t)c->arms[a].n, "the runs of an arm", &x));
	TRY(arena_take(&c->arena, (size_t)c->arms[a].n, "the runs of another arm", &y));
	*pair = (struct compared_pair){.a = a, .b = b, .measure = m, .holm = NAN};
	for (int i = 0; i < c->arms[a].n && n < STATISTICS_VALUES_MAX; i++)
		for (int k = 0; k < c->arms[b].n; k++) {
			const struct compared_run *one = &c->runs[c->arms[a].runs[i]],
			                          *other = &c->runs[c->arms[b].runs[k]];
			if (!*one->seed || strcmp(one->seed, other->seed))
				continue;
			x[n] = one->measure[m];
			y[n] = other->measure[m];
			n += isfinite(x[n]) && isfinite(y[n]);
			break;
		}
	c->n_pairs += n > 0;
	return statistics_pairs(x, y, n, &pair->statistics);
}

/* Of the family, or of all others; an arm is held against those before it, all against the
 * baseline. */
static int make_some_pairs(struct compare_summary *c, int family)
{
	int all = c->n_arms <= COMPARE_ALL;

	for (int i = 0; i < c->n_arms; i++) {
		int b = i == 0 ? c->baseline : i - (i <= c->baseline);
		if (i > 0 && (!all || family))
			break;
		for (int a = 0; a < c->n_arms; a++)
			for (int m = 0;
			     m < N_MEASURES && (i == 0 ? a != b : a > b && a != c->baseline); m++)
				if (family == (i == 0 && m == (int)c->asked))
					TRY(compare_arms(c, a, b, (enum measure)m));
	}
	return OK;
}

/* The family first, its p-values corrected. */
static int make_pairs(struct compare_summary *c)
{
	int     bases = c->n_arms <= COMPARE_ALL ? c->n_arms : 1, n;
	double *p, *holm;

	TRY(arena_take(&c->arena, (size_t)bases * (size_t)c->n_arms * N_MEASURES,
	               "the differences of arms", &c->pairs));
	TRY(make_some_pairs(c, 1));
	n = c->n_pairs;
	TRY(arena_take(&c->arena, (size_t)n, "p-values", &p));
	TRY(arena_take(&c->arena, (size_t)n, "corrected p-values", &holm));
	for (int i = 0; i < n; i++)
		p[i] = c->pairs[i].statistics.p;
	statistics_holm(p, n, holm);
	for (int i = 0; i < n; i++) {
		c->pairs[i].is_of_family = 1;
		c->pairs[i].holm = holm[i];
	}
	return make_some_pairs(c, 0);
}

enum statistics_verdict compare_verdict(const struct compared_pair *p)
{
	enum statistics_verdict v = p->statistics.verdict;
	int                     shown = v == VERDICT_ABOVE || v == VERDICT_BELOW;

	return p->is_of_family && shown && !(p->holm < 0.1) ? VERDICT_NOT_SHOWN : v;
}

static int build(const struct series_run *logs, const struct compare_question *q,
                 struct compare_summary *c)
{
	TRY(arena_take(&c->arena, (size_t)c->n_runs, "the runs that are compared", &c->runs));
	for (int r = 0; r < c->n_runs; r++) {
		c->runs[r].log = &logs[r];
		TRY(compare_read_config(c, &c->runs[r]));
	}
	TRY(group_runs(c));
	TRY(name_arms(c));
	TRY(compare_ask(c, q));
	TRY(measure_runs(c));
	return make_pairs(c);
}

int compare_open(const struct schema *s, const struct series_run *logs, int n,
                 const struct compare_question *q, struct compare_summary *out)
{
	int status;

	*out = (struct compare_summary){.schema = s, .n_runs = n};
	status = build(logs, q, out);
	if (status != OK)
		compare_close(out);
	return status;
}

void compare_close(struct compare_summary *c)
{
	arena_free(&c->arena);
	*c = (struct compare_summary){0};
}

int compare_has_repeats(const struct compare_summary *c)
{
	return c->n_arms < c->n_runs;
}

/* ---- curves ---- */

struct curve {
	const struct point *points;
	int                 n;
};

/* The mean of the points within half a width of x; where there is none, a value between the
 * neighbours. */
static double value_around(const struct curve *c, double x, double width)
{
	double sum = 0;
	int    n = 0;

	for (int i = 0; i < c->n && c->points[i].x < x + width / 2; i++)
		if (c->points[i].x >= x - width / 2) {
			sum += c->points[i].y;
			n++;
		}
	return n ? sum / n : value_between(c->points, c->n, x);
}

/* 0 where some curve has no value. */
static int join_curves(const struct curve *curves, int n_curves, double x, double width,
                       struct point *out)
{
	double                     y[STATISTICS_VALUES_MAX] = {0};
	struct statistics_interval i;
	int n = n_curves < STATISTICS_VALUES_MAX ? n_curves : STATISTICS_VALUES_MAX;

	for (int k = 0; k < n; k++) {
		y[k] = width > 0 ? value_around(&curves[k], x, width)
		                 : value_between(curves[k].points, curves[k].n, x);
		if (!isfinite(y[k]))
			return 0;
	}
	i = statistics_t_interval(y, n, 0.9);
	*out = (struct point){x, statistics_mean(y, n).mean,
	                      /* of two the interval is as good as endless */
	                      n > 2 ? (i.high - i.low) / 2 : 0};
	return 1;
}

int compare_curve(struct compare_summary *c, int arm, const char *metric, int by_tokens,
                  struct point **out, int *n)
{
	const struct compared_arm *a = &c->arms[arm];
	struct curve              *curves;
	double                     low = -INFINITY, high = INFINITY;
	int                        shortest = 0;

	*n = 0;
	TRY(arena_take(&c->arena, (size_t)a->n, "the curves of an arm", &curves));
	TRY(arena_take(&c->arena, COMPARE_POINTS, "the curve of an arm", out));
	for (int k = 0; k < a->n; k++) {
		const struct series_run *log = c->runs[a->runs[k]].log;
		const struct series     *s = series_find(log, metric);
		struct point            *points;
		if (!s || s->n == 0)
			return OK;
		curves[k] = (struct curve){s->points, s->n};
		if (by_tokens) {
			TRY(over_tokens(c, log, s, &points, &curves[k].n));
			curves[k].points = points;
		}
		if (curves[k].n == 0)
			return OK;
		low = fmax(low, curves[k].points[0].x);
		high = fmin(high, curves[k].points[curves[k].n - 1].x);
		if (curves[k].n < curves[shortest].n)
			shortest = k;
	}
	if (curves[shortest].n <= COMPARE_POINTS && !by_tokens) { /* where the runs were measured */
		for (int i = 0; i < curves[shortest].n; i++)
			*n += join_curves(curves, a->n, curves[shortest].points[i].x, 0,
			                  &(*out)[*n]);
		return OK;
	}
	int    most = curves[shortest].n < COMPARE_POINTS ? curves[shortest].n : COMPARE_POINTS;
	double width = most > 1 ? (high - low) / (most - 1) : 0;
	for (int i = 0; i < most && low <= high; i++) {
		double x = i == most - 1 ? high : low + i * width;
		if (*n && x <= (*out)[*n - 1].x) /* tokens that stand still, or hardly rise */
			continue;
		*n += join_curves(curves, a->n, x, curves[shortest].n > COMPARE_POINTS ? width : 0,
		                  &(*out)[*n]);
	}
	return OK;
}

/* ---- as text ---- */

static void add_percent(double x, struct text *out)
{
	if (isfinite(x))
		text_print(out, "%.1f", 100 * x);
	else
		text_print(out, "\xe2\x80\x93");
}

static int arm_values(const struct compare_summary *c, int arm, enum measure m, double *out)
{
	int n = 0;

	for (int i = 0; i < c->arms[arm].n && n < STATISTICS_VALUES_MAX; i++) {
		out[n] = c->runs[c->arms[arm].runs[i]].measure[m];
		n += isfinite(out[n]);
	}
	return n;
}

/* "52.1 [49.0, 55.2]", percent, 90% t interval. */
static void compare_add_mean(const struct compare_summary *c, int arm, enum measure m,
                             struct text *out)
{
	double                     x[STATISTICS_VALUES_MAX];
	int                        n = arm_values(c, arm, m, x);
	struct statistics_interval i = statistics_t_interval(x, n, 0.9);

	add_percent(statistics_mean(x, n).mean, out);
	if (n > 1)
		text_print(out, " [%.1f, %.1f]", 100 * i.low, 100 * i.high);
}

static double mean_over_runs(const struct compare_summary *c, int arm, int seconds)
{
	double sum = 0;

	for (int i = 0; i < c->arms[arm].n; i++) {
		const struct compared_run *run = &c->runs[c->arms[arm].runs[i]];
		sum += (seconds ? run->seconds : run->tokens) / c->arms[arm].n;
	}
	return sum;
}

static void compare_add_verdict(const struct compared_pair *p, struct text *out)
{
	text_print(out, "%s", verdict_name[compare_verdict(p)]);
	if (p->statistics.verdict == VERDICT_TOO_FEW)
		text_print(out, " (%d of %d)", p->statistics.difference.n, STATISTICS_SEEDS_MIN);
}

static void compare_add_p(double p, struct text *out)
{
	if (isnan(p))
		text_print(out, "\xe2\x80\x93");
	else
		text_print(out, p < 0.001 ? "<0.001" : "%.3f", p);
}

static const char *const arm_headings[] = {
        "arm", "runs", "final", "last five", "at equal tokens", "tokens a run", "seconds a run"};
enum { N_ARM_HEADINGS = sizeof arm_headings / sizeof *arm_headings };

static void add_arm_cell(const struct compare_summary *c, int k, int column, struct text *out)
{
	if (column == 0)
		text_print(out, "%s", c->arms[k].name);
	else if (column == 1)
		text_print(out, "%d", c->arms[k].n);
	else if (column < 2 + N_MEASURES)
		compare_add_mean(c, k, (enum measure)(column - 2), out);
	else
		text_print(out, column == N_ARM_HEADINGS - 1 ? "%.3g" : "%.0f",
		           mean_over_runs(c, k, column == N_ARM_HEADINGS - 1));
}

static const char *const pair_headings[] = {"difference",   "of",           "seeds",       "mean",
                                            "90% interval", "95% interval", "signs + / -", "p",
                                            "p (Holm)",     "verdict"};
enum { N_PAIR_HEADINGS = sizeof pair_headings / sizeof *pair_headings };

static void add_interval(const struct statistics_interval *i, struct text *out)
{
	if (isnan(i->low))
		text_print(out, "\xe2\x80\x93");
	else
		text_print(out, "[%+.1f, %+.1f]", 100 * i->low, 100 * i->high);
}

static void add_pair_cell(const struct compare_summary *c, const struct compared_pair *p,
                          int column, struct text *out)
{
	const struct statistics_pairs *s = &p->statistics;

	switch (column) {
	case 0:
		text_print(out, "%s \xe2\x88\x92 %s", c->arms[p->a].name, c->arms[p->b].name);
		break;
	case 1:
		text_print(out, "%s", compare_measure_name[p->measure]);
		break;
	case 2:
		text_print(out, "%d", s->difference.n);
		break;
	case 3:
		text_print(out, "%+.1f", 100 * s->difference.mean);
		break;
	case 4:
		add_interval(&s->at_90, out);
		break;
	case 5:
		add_interval(&s->at_95, out);
		break;
	case 6:
		text_print(out, "%d / %d", s->positive, s->negative);
		break;
	case 7:
		compare_add_p(s->p, out);
		break;
	case 8:
		compare_add_p(p->holm, out);
		break;
	default:
		compare_add_verdict(p, out);
	}
}

static int compare_family(const struct compare_summary *c)
{
	int n = 0;

	while (n < c->n_pairs && c->pairs[n].is_of_family)
		n++;
	return n;
}

/* What the numbers cannot say; "" when nothing. */
static void add_caution(const struct compare_summary *c, struct text *out)
{
	int fewest = 0, most = 0;

	for (int i = 0; i < c->n_pairs; i++) {
		int n = c->pairs[i].statistics.difference.n;
		fewest = i == 0 || n < fewest ? n : fewest;
		most = n > most ? n : most;
	}
	if (c->n_arms < 2)
		text_print(out, "One arm: nothing to compare. ");
	else if (most == 0)
		text_print(out,
		           "No two arms share a seed with an evaluation (%s): nothing can be said "
		           "about a difference. ",
		           primary);
	else if (fewest < STATISTICS_SEEDS_MIN)
		text_print(out, "Too few seeds to say anything: %d where a verdict needs %d. ",
		           fewest, STATISTICS_SEEDS_MIN);
	if (c->n_arms > 1)
		text_print(out,
		           "Percent of held-out problems, pass@1. Arms: mean and 90%% t interval "
		           "over seeds. Differences are paired "
		           "by seed, with t intervals too; a sign is shown only if the 90%% "
		           "interval excludes 0 (from %d seeds on, the "
		           "bootstrap interval as well).",
		           STATISTICS_BOOTSTRAP_MIN);
	if (c->n_arms > 2)
		text_print(out,
		           " The %d differences from %s, %s, are corrected for their number "
		           "(Holm); others are not.",
		           compare_family(c), c->arms[c->baseline].name,
		           compare_measure_name[c->asked]);
	if (c->n_arms > 1 && isfinite(c->tokens) && c->tokens > 0)
		text_print(out, " Equal tokens: %.0f generated.", c->tokens);
}

static void add_markdown_heading(const char *const *headings, int n, struct text *out)
{
	for (int i = 0; i < n; i++)
		text_print(out, "| %s ", headings[i]);
	text_print(out, "|\n");
	for (int i = 0; i < n; i++)
		text_print(out, "|---");
	text_print(out, "|\n");
}

/* Whether its name is not what differs. */
static int needs_meaning(const struct compared_arm *arm)
{
	return *arm->differs && strcmp(arm->differs, arm->name) != 0;
}

void compare_markdown(const struct compare_summary *c, struct text *out)
{
	int family = compare_family(c);

	add_markdown_heading(arm_headings, N_ARM_HEADINGS, out);
	for (int k = 0; k < c->n_arms; k++) {
		for (int column = 0; column < N_ARM_HEADINGS; column++) {
			text_print(out, "| ");
			add_arm_cell(c, k, column, out);
			text_print(out, " ");
		}
		text_print(out, "|\n");
	}
	text_print(out, "\n");
	if (family)
		add_markdown_heading(pair_headings, N_PAIR_HEADINGS, out);
	for (int i = 0; i < family; i++) {
		for (int column = 0; column < N_PAIR_HEADINGS; column++) {
			text_print(out, "| ");
			add_pair_cell(c, &c->pairs[i], column, out);
			text_print(out, " ");
		}
		text_print(out, "|\n");
	}
	text_print(out, "%s", family ? "\n" : "");
	add_caution(c, out);
	if (c->n_pairs > family)
		text_print(out, " %d other differences stand in the page.", c->n_pairs - family);
	text_print(out, "\n");
	for (int k = 0; k < c->n_arms; k++)
		if (needs_meaning(&c->arms[k]))
			text_print(out, "%s%s: %s\n", k ? "" : "\n", c->arms[k].name,
			           c->arms[k].differs);
}

/* ---- as JSON ---- */

static void add_key_text(const char *key, const char *value, struct text *out)
{
	text_print(out, "\"%s\": ", key);
	json_add_string(out, value, strlen(value));
	text_print(out, ", ");
}

static void add_key_real(const char *key, double value, const char *behind, struct text *out)
{
	text_print(out, "\"%s\": ", key);
	json_add_real(out, value);
	text_print(out, "%s", behind);
}

static void add_json_run(const struct compared_run *run, struct text *out)
{
	text_print(out, "{");
	add_key_text("folder", run->log->folder, out);
	add_key_text("seed", run->seed, out);
	add_key_real("steps", run->log->last_step, ", ", out);
	add_key_real("tokens", run->tokens, ", ", out);
	add_key_real("seconds", run->seconds, "", out);
	for (int m = 0; m < N_MEASURES; m++) {
		text_print(out, ", ");
		add_key_real(measure_key[m], run->measure[m], "", out);
	}
	text_print(out, "}");
}

static void add_json_pair(const struct compare_summary *c, const struct compared_pair *p,
                          struct text *out)
{
	const struct statistics_pairs *s = &p->statistics;

	text_print(out, "{");
	add_key_text("a", c->arms[p->a].name, out);
	add_key_text("b", c->arms[p->b].name, out);
	add_key_text("measure", measure_key[p->measure], out);
	text_print(out, "\"seeds\": %d, \"positive\": %d, \"negative\": %d, ", s->difference.n,
	           s->positive, s->negative);
	add_key_real("mean", s->difference.mean, ", ", out);
	add_key_real("low_90", s->at_90.low, ", ", out);
	add_key_real("high_90", s->at_90.high, ", ", out);
	add_key_real("low_95", s->at_95.low, ", ", out);
	add_key_real("high_95", s->at_95.high, ", ", out);
	add_key_real("p", s->p, ", ", out);
	add_key_real("p_holm", p->holm, ", ", out);
	add_key_real("low_90_resampled", s->resampled.low, ", ", out);
	add_key_real("high_90_resampled", s->resampled.high, ", ", out);
	text_print(out, "\"verdict\": \"%s\"}", verdict_key[compare_verdict(p)]);
}

void compare_json(const struct compare_summary *c, struct text *out)
{
	text_print(out, "{");
	add_key_text("metric", primary, out);
	add_key_text("baseline", c->arms[c->baseline].name, out);
	add_key_text("measure", measure_key[c->asked], out);
	add_key_real("equal_tokens", c->tokens, ",\n\"arms\": [\n", out);
	for (int k = 0; k < c->n_arms; k++) {
		text_print(out, "%s{", k ? ",\n" : "");
		add_key_text("name", c->arms[k].name, out);
		add_key_text("differs", c->arms[k].differs, out);
		text_print(out, "\"runs\": [\n");
		for (int i = 0; i < c->arms[k].n; i++) {
			text_print(out, "%s  ", i ? ",\n" : "");
			add_json_run(&c->runs[c->arms[k].runs[i]], out);
		}
		text_print(out, "]}");
	}
	text_print(out, "],\n\"pairs\": [\n");
	for (int i = 0; i < c->n_pairs; i++) {
		text_print(out, "%s", i ? ",\n" : "");
		add_json_pair(c, &c->pairs[i], out);
	}
	text_print(out, "]}\n");
}

/* ---- as a page ---- */

static void add_escaped_cell(const struct text *cell, int is_name, struct text *out)
{
	text_print(out, is_name ? "<td class=\"name\">" : "<td>");
	chart_add_escaped(out, cell->data ? cell->data : "", cell->n);
	text_print(out, "</td>");
}

static void begin_table(const char *const *headings, int n, struct text *out)
{
	text_print(out, "<div class=\"wide\"><table><tr>");
	for (int i = 0; i < n; i++)
		text_print(out, "<th>%s</th>", headings[i]);
	text_print(out, "</tr>\n");
}

/* What each name stands for. */
static void add_differences(const struct compare_summary *c, struct text *out)
{
	for (int k = 0; k < c->n_arms; k++) {
		if (!needs_meaning(&c->arms[k]))
			continue;
		text_print(out, "<p><b>");
		chart_add_escaped(out, c->arms[k].name, strlen(c->arms[k].name));
		text_print(out, "</b> <small>");
		chart_add_escaped(out, c->arms[k].differs, strlen(c->arms[k].differs));
		text_print(out, "</small></p>\n");
	}
}

static void add_arms_table(const struct compare_summary *c, struct text *out)
{
	struct text cell = {0};

	begin_table(arm_headings, N_ARM_HEADINGS, out);
	for (int k = 0; k < c->n_arms; k++) {
		text_print(out, "<tr>");
		for (int column = 0; column < N_ARM_HEADINGS; column++, cell.n = 0) {
			add_arm_cell(c, k, column, &cell);
			add_escaped_cell(&cell, column == 0, out);
		}
		text_print(out, "</tr>\n");
	}
	text_print(out, "</table></div>\n");
	out->failed |= cell.failed;
	text_free(&cell);
}

/* Pairs first .. end-1. */
static void add_pairs_table(const struct compare_summary *c, int first, int end, struct text *out)
{
	struct text cell = {0};

	begin_table(pair_headings, N_PAIR_HEADINGS, out);
	for (int i = first; i < end; i++) {
		text_print(out, "<tr>");
		for (int column = 0; column < N_PAIR_HEADINGS; column++, cell.n = 0) {
			add_pair_cell(c, &c->pairs[i], column, &cell);
			add_escaped_cell(&cell, column == 0, out);
		}
		text_print(out, "</tr>\n");
	}
	text_print(out, "</table></div>\n");
	out->failed |= cell.failed;
	text_free(&cell);
}

/* The family open, all other pairs folded away. */
static void add_tables(const struct compare_summary *c, struct text *out)
{
	int         family = compare_family(c);
	struct text caution = {0};

	compare_forest_add(c, out);
	text_print(out, "<p>");
	add_caution(c, &caution);
	chart_add_escaped(out, caution.data ? caution.data : "", caution.n);
	text_print(out, "</p>\n");
	add_arms_table(c, out);
	if (family) {
		text_print(out, "<details><summary>the numbers of the picture</summary>\n");
		add_pairs_table(c, 0, family, out);
		text_print(out, "</details>\n");
	}
	if (c->n_pairs > family) {
		text_print(out,
		           "<details><summary>%d other differences, not corrected for their "
		           "number</summary>\n",
		           c->n_pairs - family);
		add_pairs_table(c, family, c->n_pairs, out);
		text_print(out, "</details>\n");
	}
	add_differences(c, out);
	out->failed |= caution.failed;
	text_free(&caution);
}

int compare_chart(struct compare_summary *c, const struct chart *like, const char *metric,
                  int by_tokens, struct text *out)
{
	struct line  lines[CHART_LINES_MAX];
	struct chart chart = {.title = like->title,
	                      .unit = like->unit,
	                      .help = like->help,
	                      .lines = lines,
	                      .x = by_tokens ? "tokens" : "step"};

	for (int k = 0; k < c->n_arms && chart.n_lines < CHART_LINES_MAX; k++) {
		struct point *points;
		int           n;
		TRY(compare_curve(c, k, metric, by_tokens, &points, &n));
		if (n)
			lines[chart.n_lines++] =
			        (struct line){c->arms[k].name, points, n, k, k, -1};
	}
	if (chart.n_lines)
		chart_add_bands(&chart, out);
	return OK;
}

static const struct {
	const char *title, *metric;
} compare_shown[] = {{"Held-out pass@1", primary}, {"Reward", "reward"}};
enum { N_SHOWN = sizeof compare_shown / sizeof *compare_shown };

int compare_shows(const char *metric)
{
	for (int i = 0; i < N_SHOWN; i++)
		if (!strcmp(compare_shown[i].metric, metric))
			return 1;
	return 0;
}

int compare_html(struct compare_summary *c, struct text *out)
{
	text_print(out, "<h2>Arms</h2>\n");
	add_tables(c, out);
	text_print(out, "<div class=\"charts broad\">\n");
	for (int i = 0; i < N_SHOWN; i++) {
		struct chart like = {.title = compare_shown[i].title};
		like.unit = "at equal steps, mean and 90% interval over seeds";
		if (compare_has_repeats(c)) /* else the charts of the runs show the same */
			TRY(compare_chart(c, &like, compare_shown[i].metric, 0, out));
		like.unit = "at equal generated tokens";
		TRY(compare_chart(c, &like, compare_shown[i].metric, 1, out));
	}
	text_print(out, "</div>\n");
	return OK;
}
