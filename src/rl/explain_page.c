#include "rl/explain.h"

#include "base/error.h"
#include "run/chart.h"
#include "run/report_page.h"

#include <math.h>
#include <string.h>

extern const char explain_css[], explain_js[];
REPORT_PAGE_FILE(explain_css, "src/rl/explain.css");
REPORT_PAGE_FILE(explain_js, "src/rl/explain.js");

static void explain_add_text(const char *s, struct text *out)
{
	chart_add_escaped(out, s, strlen(s));
}

static void explain_fact(const char *name, const char *value, struct text *out)
{
	if (!value || !*value)
		return;
	text_print(out, "<div><dt>%s</dt><dd>", name);
	explain_add_text(value, out);
	text_print(out, "</dd></div>\n");
}

/* ---- the top ---- */

static void explain_add_top(const struct explained *x, struct text *out)
{
	const struct problem *p = x->group->problem;
	char                  text[128];

	text_print(out, "<header><h1>Step %d, worked</h1><p class=\"soft\">group %d of %d of ",
	           x->step, x->number, x->n_groups);
	explain_add_text(x->again.run, out);
	text_print(out, "</p></header>\n<main>\n<p class=\"proof\"><b class=\"right\">"
	                "\xe2\x9c\x93 identical</b> Computed again from ");
	text_print(out, x->again.from ? "the checkpoint of step %d" : "the first weights (step %d)",
	           x->again.from);
	text_print(out,
	           ": every number that metrics.jsonl has of steps %d to %d, and every sample "
	           "that was kept, is the same, bit for bit.</p>\n<dl class=\"facts\">\n",
	           x->again.from + 1, x->step);
	explain_fact("problem", p->id, out);
	explain_fact("category", p->category, out);
	explain_fact("algorithm", x->algorithm.name, out);
	explain_fact("from", x->algorithm.source, out);
	snprintf(text, sizeof text, "%.3g", x->learning_rate);
	explain_fact("learning rate", text, out);
	if (x->updates > 1) {
		snprintf(text, sizeof text, "the first of %d of this group in the step",
		         x->updates);
		explain_fact("update shown", text, out);
	}
	text_print(out, "</dl>\n");
}

/* The prompt as the model saw it. */
static int explain_add_prompt(const struct explained *x, struct text *out)
{
	const struct context *c = x->group->rollouts[0].trained_under;
	const char           *answer = x->group->problem->answer;
	struct text           prompt = {0};
	int                   status =
	        tokenizer_decode(x->again.job.learner.tokenizer, c->ids, (size_t)c->n, 0, &prompt);

	text_print(out, "<h2>The problem</h2>\n<pre class=\"prompt\">");
	chart_add_escaped(out, prompt.data ? prompt.data : "", prompt.n);
	text_print(out, "</pre>\n");
	if (answer) {
		text_print(out, "<p>expected: <code>");
		explain_add_text(answer, out);
		text_print(out, "</code></p>\n");
	}
	text_free(&prompt);
	return status;
}

/* ---- completions ---- */

static double explain_sum(const float *x, int n)
{
	double sum = 0;

	for (int i = 0; i < n; i++)
		sum += (double)x[i];
	return sum;
}

static void explain_add_card(const struct explained *x, int i, struct text *out)
{
	const struct explained_row *row = &x->rows[i];
	const struct rollout       *r = row->rollout;
	static const char *const    marks[] = {"? unknown", "\xe2\x9c\x97 wrong",
	                                       "\xe2\x9c\x93 right"};
	static const char *const    kinds[] = {"", "wrong", "right"};

	text_print(
	        out,
	        "<article class=\"card\"><p><b>%d</b> <b class=\"%s\">%s</b> \xc2\xb7 reward %.4g",
	        i + 1, kinds[r->right + 1], marks[r->right + 1], row->reward);
	if (row->penalty < 0)
		text_print(out, " (with %.4g for its length)", row->penalty);
	text_print(out, " \xc2\xb7 advantage <b>%+.3g</b> \xc2\xb7 %d tokens \xc2\xb7 %s",
	           (double)row->advantage[r->n - 1], r->n, stop_reason_name[r->stop]);
	if (r->sampled_under != r->trained_under)
		text_print(out, " \xc2\xb7 sampled under a hint");
	text_print(out, "</p><div class=\"tokens\"><pre>");
	chart_add_escaped(out, r->text, r->n_text);
	text_print(out, "</pre></div></article>\n");
}

static void explain_add_completions(const struct explained *x, struct text *out)
{
	text_print(out, "<h2>What the model wrote</h2>\n<div id=\"colours\"></div>\n"
	                "<div id=\"cards\">\n");
	for (int i = 0; i < x->group->n; i++)
		explain_add_card(x, i, out);
	text_print(out, "</div>\n");
}

/* ---- what the update did ---- */

static void explain_add_change(const struct explained *x, int i, double largest, struct text *out)
{
	const struct explained_row *row = &x->rows[i];
	int                         n = row->rollout->n;
	double before = explain_sum(row->rollout->logp, n), after = explain_sum(row->after, n),
	       change = after - before, share = largest > 0 ? 50 * fabs(change) / largest : 0;

	text_print(out,
	           "<tr><td class=\"name\">%d</td><td>%+.3g</td><td>%.4f</td><td>%.4f</td>"
	           "<td>%+.4f</td><td>\xc3\x97 %.3g</td><td class=\"bar-cell\">",
	           i + 1, (double)row->advantage[n - 1], before, after, change, exp(change));
	text_print(out,
	           "<span class=\"change %s\" style=\"width:%.1f%%;%s:50%%\"></span></td></tr>\n",
	           change > 0 ? "up" : "down", share, change > 0 ? "left" : "right");
}

static void explain_add_update(const struct explained *x, struct text *out)
{
	double largest = 0, along = 0, against = 0;

	for (int i = 0; i < x->group->n; i++) {
		const struct explained_row *row = &x->rows[i];
		int                         n = row->rollout->n;
		double change = explain_sum(row->after, n) - explain_sum(row->rollout->logp, n),
		       a = (double)row->advantage[n - 1];
		largest = fmax(largest, fabs(change));
		along += a != 0 && (change > 0) == (a > 0);
		against += a != 0 && (change > 0) != (a > 0);
	}
	text_print(out, "<h2>What the step did to them</h2>\n<p>The log-probability of each whole "
	                "completion under the weights before and after the step. ");
	if (along + against > 0)
		text_print(out, "%.0f of %.0f went the way of their advantage. ", along,
		           along + against);
	text_print(out, "The other groups of the step pull at the same weights.</p>\n"
	                "<div class=\"wide\"><table><tr><th>completion</th><th>advantage</th>"
	                "<th>before</th><th>after</th><th>change</th><th>as likely</th>"
	                "<th class=\"bar-cell\">rarer | likelier</th></tr>\n");
	for (int i = 0; i < x->group->n; i++)
		explain_add_change(x, i, largest, out);
	text_print(out, "</table></div>\n");
}

/* ---- numbers for the script ---- */

static void explain_column(const char *key, const float *x, int n, struct text *out)
{
	if (!x)
		return;
	text_print(out, ",\"%s\":[", key);
	for (int i = 0; i < n; i++) {
		text_print(out, i ? "," : "");
		chart_add_json_real(out, (double)x[i]);
	}
	text_add(out, "]", 1);
}

static void explain_ids(const char *key, const int *ids, int n, struct text *out)
{
	text_print(out, ",\"%s\":[", key);
	for (int i = 0; i < n; i++)
		text_print(out, i ? ",%d" : "%d", ids[i]);
	text_add(out, "]", 1);
}

/* Bytes of a text without a character that is cut off at its end. */
static size_t explain_whole(const char *s, size_t n)
{
	size_t back = 0;

	while (back < 3 && back < n && ((unsigned char)s[n - 1 - back] & 0xc0) == 0x80)
		back++;
	if (back < n) {
		unsigned char lead = (unsigned char)s[n - 1 - back];
		size_t        size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
		if (size > back + 1)
			return n - 1 - back;
	}
	return n;
}

/* What each token adds to the text of those before it; a character of several tokens stands at its
 * last. */
static int explain_tokens(const struct tokenizer *tokenizer, const struct rollout *r,
                          struct text *out)
{
	struct text text = {0};
	size_t      shown = 0, end;
	int         status = OK;

	text_print(out, "\"w\":[");
	for (int t = 0; t < r->n && status == OK; t++) {
		text.n = 0;
		status = tokenizer_decode(tokenizer, r->ids, (size_t)t + 1, 0, &text);
		end = text.n ? explain_whole(text.data, text.n) : 0;
		end = t == r->n - 1 ? text.n : end;
		text_print(out, t ? "," : "");
		chart_add_json_text(out, end > shown ? text.data + shown : "",
		                    end > shown ? end - shown : 0);
		shown = end > shown ? end : shown;
	}
	text_add(out, "]", 1);
	text_free(&text);
	return status;
}

static int explain_row_json(const struct explained *x, int i, struct text *out)
{
	const struct explained_row *row = &x->rows[i];
	const struct rollout       *r = row->rollout;

	text_print(out, "%s{\"reward\":", i ? ",\n" : "");
	chart_add_json_real(out, row->reward);
	text_print(out, ",\"weight\":");
	chart_add_json_real(out, row->weight);
	explain_ids("ids", r->ids, r->n, out);
	text_add(out, ",", 1);
	TRY(explain_tokens(x->again.job.learner.tokenizer, r, out));
	explain_column("logp", r->logp, r->n, out);
	explain_column("entropy", r->entropy, r->n, out);
	explain_column("advantage", row->advantage, r->n, out);
	if (x->algorithm.importance_sampling_level != LEVEL_NONE)
		explain_column("ratio", row->ratio, r->n, out);
	explain_column("c", row->c, r->n, out);
	explain_column("after", row->after, r->n, out);
	explain_column("reference", row->reference, r->n, out);
	explain_column("gain", row->gain, r->n, out);
	text_print(out, ",\"trained\":[");
	for (int t = 0; t < r->n; t++)
		text_print(out, t ? ",%d" : "%d", r->trained[t]);
	text_print(out, "]}");
	return OK;
}

int explain_page(struct explained *x)
{
	static const char *const styles[] = {chart_style, report_page_css, explain_css, NULL};
	struct text             *out = &x->page;
	char                     title[160];

	snprintf(title, sizeof title, "step %d of %.100s", x->step, x->again.run);
	report_page_begin(title, styles, out);
	explain_add_top(x, out);
	TRY(explain_add_prompt(x, out));
	explain_add_completions(x, out);
	text_print(out, "<h2>How ");
	explain_add_text(x->algorithm.name, out);
	text_print(out, " made its numbers</h2>\n<p class=\"soft\">");
	explain_add_text(x->algorithm.help, out);
	text_print(out, "</p>\n");
	explain_formula(x, out);
	explain_add_update(x, out);
	text_print(out, "</main>\n<script type=\"application/json\" id=\"rows\">{\"step\":%d",
	           x->step);
	explain_ids("prompt", x->group->rollouts[0].trained_under->ids,
	            x->group->rollouts[0].trained_under->n, out);
	text_print(out, ",\"rows\":[");
	for (int i = 0; i < x->group->n; i++)
		TRY(explain_row_json(x, i, out));
	text_print(out, "]}</script>\n");
	report_page_end(explain_js, out);
	return text_status(out);
}
