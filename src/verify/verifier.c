#include "verify/verifier.h"

#include "base/error.h"
#include "base/json.h"
#include "data/dataset.h"
#include "verify/verify.h"

#include <math.h>
#include <string.h>

enum { CONTENT, FORM }; /* what a verifier judges */

static const struct verifier table[] = {
        {"exact", "the completion is the gold: as text, number, list or set", CONTENT, verify_exact,
         verify_has_answer},
        {"numeric", "the last number of the completion equals the gold's, exactly", CONTENT,
         verify_numeric, verify_numeric_check},
        {"math", "the completion equals the gold as mathematics: LaTeX or text", CONTENT,
         verify_math, verify_math_check},
        {"countdown", "an expression over the given numbers, each once, that gives the target",
         CONTENT, verify_countdown, verify_countdown_check},
        {"knights_knaves", "everybody is called what he is", CONTENT, verify_knights,
         verify_knights_check},
        {"sudoku", "a full grid that keeps the givens and the rules", CONTENT, verify_sudoku,
         verify_sudoku_check},
        {"zebra", "the one word or name that is asked for, in any case", CONTENT, verify_zebra,
         verify_has_answer},
        {"arc", "the same grid of numbers as the gold", CONTENT, verify_arc, verify_arc_check},
        {"procedural", "tasks of reasoning-gym, each row by the rule of its task", CONTENT,
         verify_procedural, verify_procedural_check},
        {"sequence",
         "dense: the share of the gold's characters before the first wrong one, and the end",
         CONTENT, verify_sequence, verify_has_answer},
        {"format",
         "the completion matches task.verifier.pattern, or has the blocks of task.verifier.tags",
         FORM, verify_format, verify_format_check},
        {"length", "the length lies within task.verifier.length", FORM, verify_length,
         verify_length_check},
        {"contains", "task.verifier.word stands in the completion", CONTENT, verify_contains,
         verify_has_word},
        {"ends", "the completion finishes, with the end of a sentence", FORM, verify_ends, NULL},
        {"no_repeat", "no sentence of the completion comes twice", FORM, verify_no_repeat, NULL},
        {"environment", "what the world of the problem gives for the actions, played again",
         CONTENT, verify_environment, verify_environment_check},
        {"command", "what a program of your own says: task.verifier.command", CONTENT,
         verify_command, NULL},
        {"story", "contains, ends and no_repeat, all of them", CONTENT, verify_story,
         verify_has_word},
};

enum { N_ROWS = sizeof table / sizeof table[0] };

const struct verifier *verifier_at(int i)
{
	return i >= 0 && i < N_ROWS ? &table[i] : NULL;
}

static const char *verifier_name_at(int i)
{
	return i < N_ROWS ? table[i].name : NULL;
}

int verifier_find(const char *name, const struct verifier **out)
{
	*out = NULL;
	for (int i = 0; i < N_ROWS; i++)
		if (!strcmp(table[i].name, name)) {
			*out = &table[i];
			return OK;
		}
	return error_unknown("verifier", name, verifier_name_at);
}

const json_t *verify_column(const json_t *row, const char *name)
{
	static const char *const inner[] = {"ground_truth", "metadata", "extra_info",
	                                    "reward_model.ground_truth"};
	const json_t            *v = dataset_column(row, name);

	for (size_t i = 0; i < sizeof inner / sizeof inner[0] && !v; i++)
		v = dataset_column(dataset_column(row, inner[i]), name);
	return v;
}

/* ---- several, weighted ---- */

/* Each verifier may come once, because a verdict has one part for each. */
static int verifier_fill(struct reward_spec *spec, const char *const *names, const double *weights,
                         int n)
{
	if (n < 1 || n > REWARD_PARTS)
		return error_set(ERR_INPUT, "a reward has 1 to %d verifiers, not %d", REWARD_PARTS,
		                 n);
	for (int i = 0; i < n; i++) {
		TRY(verifier_find(names[i], &spec->verifier[i]));
		for (int j = 0; j < i; j++)
			if (spec->verifier[i] == spec->verifier[j])
				return error_set(ERR_INPUT, "the verifier \"%s\" is named twice",
				                 names[i]);
		spec->weight[i] = weights ? weights[i] : 1;
		if (!isfinite(spec->weight[i]))
			return error_set(ERR_INPUT,
			                 "the weight of the verifier \"%s\" is not a number",
			                 names[i]);
	}
	spec->n = spec->n_common = n;
	return OK;
}

int verifier_add(struct reward_spec *spec, const char *name)
{
	const struct verifier *v;

	TRY(verifier_find(name, &v));
	for (int i = 0; i < spec->n; i++)
		if (spec->verifier[i] == v)
			return OK;
	if (spec->n == REWARD_PARTS)
		return error_set(ERR_INPUT, "more than %d verifiers", REWARD_PARTS);
	spec->weight[spec->n] = 1;
	spec->verifier[spec->n++] = v;
	return v->score == verify_command ? verify_command_open(spec) : OK;
}

static int applies(const struct reward_spec *spec, int i, const struct problem *p)
{
	return p->verifier ? !strcmp(spec->verifier[i]->name, p->verifier) : i < spec->n_common;
}

const char *verifier_deciding(const char *const *names, int n)
{
	const struct verifier *v;

	for (int i = 0; i < n; i++)
		if (verifier_find(names[i], &v) == OK && !v->form)
			return names[i];
	return names[0];
}

/* The index of the part that decides; 0 if none scores the problem. */
static int deciding(const struct reward_spec *spec, const struct problem *p)
{
	int first = -1;

	for (int i = 0; i < spec->n; i++) {
		if (!applies(spec, i, p))
			continue;
		if (!spec->verifier[i]->form)
			return i;
		first = first < 0 ? i : first;
	}
	return first < 0 ? 0 : first;
}

const struct verifier *verifier_for(const struct reward_spec *spec, const struct problem *p)
{
	return spec->verifier[deciding(spec, p)];
}

int verifier_open(struct reward_spec *spec, const char *const *names, const double *weights, int n,
                  const struct verifier_options *options)
{
	*spec = (struct reward_spec){0};
	if (options)
		spec->options = *options;
	TRY(verifier_fill(spec, names, weights, n));
	if (spec->options.pattern)
		TRY(verify_format_open(spec));
	for (int i = 0; i < n; i++) {
		int status =
		        spec->verifier[i]->score == verify_command ? verify_command_open(spec) : OK;
		if (status == OK)
			continue;
		verify_format_close(spec);
		return status;
	}
	return OK;
}

void verifier_close(struct reward_spec *spec)
{
	verify_format_close(spec);
	program_close(spec->command);
	*spec = (struct reward_spec){0};
}

/* Does the verifier accept any of several answers, one at a time? For a list or a set the answers
 * are one value, and so is the data of a puzzle. */
static int takes_one_gold(const struct reward_spec *spec, const struct verifier *v)
{
	enum answer_form form = spec->options.compare.form;

	return v->score == verify_math || v->score == verify_numeric ||
	       (v->score == verify_exact && form != ANSWER_LIST && form != ANSWER_SET);
}

static struct problem with_gold(const struct problem *p, int i)
{
	struct problem one = *p;

	one.answer = p->answers[i];
	one.answers = NULL;
	one.n_answers = 0;
	return one;
}

/* Checks each of several answers on its own. */
static int check_golds(const struct reward_spec *spec, const struct verifier *v,
                       const struct problem *p)
{
	int n = takes_one_gold(spec, v) ? p->n_answers - (p->n_answers > 1) : 0;

	if (n == 0)
		return v->check(spec, p);
	for (int i = 0; i < n; i++) {
		const struct problem one = with_gold(p, i);
		TRY(v->check(spec, &one));
	}
	return OK;
}

/* Takes the best score over the answers. */
static int score_golds(const struct reward_spec *spec, const struct verifier *v,
                       const struct problem *p, const struct completion *c, struct score *out)
{
	if (p->n_answers == 0 || !takes_one_gold(spec, v))
		return v->score(spec, p, c, out);
	*out = (struct score){0};
	for (int i = 0; i < p->n_answers && !out->right; i++) {
		const struct problem one = with_gold(p, i);
		struct score         s;
		TRY(v->score(spec, &one, c, &s));
		if (i == 0 || s.right || s.reward > out->reward)
			*out = s;
	}
	return OK;
}

int verifier_check(const struct reward_spec *spec, const struct problem *p)
{
	for (int i = 0; i < spec->n; i++)
		if (applies(spec, i, p) && spec->verifier[i]->check &&
		    check_golds(spec, spec->verifier[i], p) != OK)
			return error_context("problem %s: verifier %s",
			                     p->id ? p->id : "without id", spec->verifier[i]->name);
	return OK;
}

int verifier_score(const struct reward_spec *spec, const struct problem *p,
                   const struct completion *c, struct verdict *out)
{
	int decides = deciding(spec, p);

	*out = (struct verdict){0};
	for (int i = 0; i < spec->n; i++) {
		struct score *s = &out->part[i];
		s->reward = NAN;
		if (!applies(spec, i, p))
			continue;
		TRY(score_golds(spec, spec->verifier[i], p, c, s));
		out->failed |= s->failed;
		out->reward += (p->verifier ? 1 : spec->weight[i]) * s->reward;
	}
	out->right = out->part[decides].right;
	out->parsed = out->part[decides].parsed;
	return OK;
}

static int reads_gold_alike(const struct verifier *v)
{
	return v->score == verify_numeric;
}

static int has_nul(const struct completion *c)
{
	return memchr(c->text, 0, c->n) != NULL;
}

static int same_marked(const struct reward_spec *spec, const struct completion *a,
                       const struct completion *b)
{
	struct span x, y;

	span_result(verify_text(a), &x);
	span_result(verify_text(b), &y);
	return answer_equal(&spec->options.compare, x, y);
}

/* numeric: completion b is scored with completion a as the answer. */
int verifier_same(const struct reward_spec *spec, const struct problem *p,
                  const struct completion *a, const struct completion *b, int *same)
{
	const struct verifier *v = verifier_for(spec, p);
	const struct problem   asked = {.id = p->id, .answer = a->text};
	struct score           s;

	*same = a->n == b->n && !memcmp(a->text, b->text, a->n);
	if (*same)
		return OK;
	if (v->score == verify_math)
		return verify_math_same(spec, a, b, same);
	if (!reads_gold_alike(v) || has_nul(a)) { /* an answer would end at a NUL */
		*same = same_marked(spec, a, b);
		return OK;
	}
	TRY(v->score(spec, &asked, b, &s));
	*same = s.right;
	return OK;
}

/* ---- rows ---- */

/* A row without "finished" is taken as finished. */
static int verifier_read_completion(const char *place, const json_t *row, struct completion *c)
{
	const json_t *text = json_object_get(row, "completion");
	const char   *end = NULL;
	int64_t       tokens = 0;

	if (!json_is_object(row))
		return error_set(ERR_INPUT,
		                 "%s: expected a JSON object with \"completion\" and \"answer\"",
		                 place);
	if (!json_is_string(text))
		return error_set(ERR_INPUT, "%s: the key \"completion\" is missing or not a text",
		                 place);
	*c = (struct completion){
	        .text = json_string_value(text), .n = json_string_length(text), .finished = 1};
	TRY(json_get_bool(place, row, "finished", JSON_OPTIONAL, &c->finished));
	TRY(json_get_int(place, row, "tokens", JSON_OPTIONAL, json_range(0, INT32_MAX), &tokens));
	TRY(json_get_text(place, row, "prompt_end", JSON_OPTIONAL, &end));
	c->n_tokens = (int)tokens;
	c->prompt_end = span_of(end);
	return OK;
}

static int score_problem(const struct reward_spec *spec, const char *place, const struct problem *p,
                         const json_t *row, struct verdict *v)
{
	struct completion c;

	TRY(verifier_read_completion(place, row, &c));
	if (verifier_check(spec, p) != OK)
		return error_context("%s", place);
	TRY(verifier_score(spec, p, &c, v));
	/* the message is that of the verifier */
	return v->failed ? error_context("%s", place) : OK;
}

static void verifier_add_verdict(const struct reward_spec *spec, const struct verdict *v,
                                 struct text *out)
{
	text_print(out, "{\"reward\": ");
	json_add_real(out, v->reward);
	text_print(out, ", \"right\": %s, \"components\": {", v->right ? "true" : "false");
	for (int i = 0; i < spec->n; i++) {
		text_print(out, "%s\"%s\": ", i ? ", " : "", spec->verifier[i]->name);
		json_add_real(out, v->part[i].reward);
	}
	text_print(out, "}, \"parsed\": %s}\n", v->parsed ? "true" : "false");
}

/* Reads the line as a row of a data set, so that a problem has its usual columns. */
int verifier_score_row(const struct reward_spec *spec, const char *place, const char *line,
                       size_t n, struct text *out)
{
	const struct dataset_options options = {.answer_optional = 1, .prompt_optional = 1};
	struct arena                 arena = {0};
	struct problem               p;
	struct verdict               v;
	json_t                      *row = NULL;
	int status = dataset_read_row(place, line, n, &options, &arena, &p);

	if (status == OK)
		status = json_parse(place, p.row, strlen(p.row), &row);
	if (status == OK)
		status = score_problem(spec, place, &p, row, &v);
	if (status == OK)
		verifier_add_verdict(spec, &v, out);
	json_decref(row);
	arena_free(&arena);
	return status == OK ? text_status(out) : status;
}
