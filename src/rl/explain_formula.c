#include "rl/explain.h"

#include "run/chart.h"

#include <math.h>
#include <string.h>

/* ---- formulas, as HTML ---- */

#define R_I "<i>R<sub>i</sub></i>"
#define A_I "<i>A<sub>i</sub></i>"
#define FRACTION(over, under) \
	"<span class=\"fraction\"><span>" over "</span><span>" under "</span></span>"
#define MEAN "mean(<i>R</i>)"
#define LOW "1 \xe2\x88\x92 \xce\xb5"
#define HIGH "1 + \xce\xb5<sub>high</sub>"

static const char *const explain_baselines[] = {
        [BASELINE_NONE] = R_I,
        [BASELINE_BATCH] = R_I " \xe2\x88\x92 " MEAN,
        [BASELINE_GROUP] = R_I " \xe2\x88\x92 " MEAN,
        [BASELINE_LEAVE_ONE_OUT] = R_I " \xe2\x88\x92 mean of the others",
        [BASELINE_CONSTANT] = R_I " \xe2\x88\x92 <i>c</i>",
        [BASELINE_CRITIC] = "\xce\xa3 (\xce\xb3\xce\xbb)<sup>k</sup> \xce\xb4<sub>t+k</sub>",
        [BASELINE_GROUP_BY_LENGTH] = R_I " \xe2\x88\x92 mean by length(<i>R</i>)",
        [BASELINE_SECOND_BEST] = R_I " \xe2\x88\x92 second best",
};
static const char *const explain_scales[] = {
        [SCALE_NONE] = NULL,
        [SCALE_GROUP] = "std(<i>R</i>) + \xce\xb5<sub>A</sub>",
        [SCALE_BATCH] = "std(<i>R</i> of the batch) + \xce\xb5<sub>A</sub>",
        [SCALE_MEAN] = MEAN,
        [SCALE_NONZERO] = "share of <i>R</i> \xe2\x89\xa0 0",
};
static const char *const explain_ratios[] = {
        [LEVEL_NONE] = NULL,
        [LEVEL_TOKEN] = "<i>q<sub>t</sub></i> = exp(log \xcf\x80(<i>t</i>) \xe2\x88\x92 log "
                        "\xcf\x80<sub>old</sub>(<i>t</i>))",
        [LEVEL_SEQUENCE] = "<i>q<sub>i</sub></i> = exp(mean<sub>t</sub>(log \xcf\x80 "
                           "\xe2\x88\x92 log \xcf\x80<sub>old</sub>))",
        [LEVEL_SEQUENCE_SUM] = "<i>q<sub>i</sub></i> = exp(\xce\xa3<sub>t</sub>(log \xcf\x80 "
                               "\xe2\x88\x92 log \xcf\x80<sub>old</sub>))",
};
static const char *const explain_gains[] = {
        [CLIP_NONE] = "<i>q</i> <i>A</i>",
        [CLIP_HARD] = "min(<i>q</i> <i>A</i>, clip(<i>q</i>, " LOW ", " HIGH ") <i>A</i>)",
        [CLIP_CAP] = "clip(<i>q</i>, " LOW ", " HIGH ")<sub>held</sub> <i>A</i> log \xcf\x80",
        [CLIP_CAP_ABSOLUTE] =
                "clip(<i>q</i>, " LOW ", \xce\xb5<sub>high</sub>)<sub>held</sub> <i>A</i> log "
                "\xcf\x80",
        [CLIP_LOG] = "<i>q</i> <i>A</i>, each log-ratio limited",
        [CLIP_SOFT] = "<i>A</i> (4/\xcf\x84) sigmoid(\xcf\x84(<i>q</i> \xe2\x88\x92 1))",
        [CLIP_TAPER] = "clip(<i>q</i>, low, high)<sub>held</sub> <i>A</i> log \xcf\x80",
        [CLIP_SQUASH] = "<i>A</i> " FRACTION("<i>q</i>", "<i>q</i> + <i>g</i>"),
        [CLIP_POWER] = "<i>A</i> <i>q</i><sup>power</sup>",
};
static const char *const explain_divisors[] = {
        [SEQUENCE_MEAN] = FRACTION("1", "rows \xc3\x97 <i>n<sub>i</sub></i>"),
        [TOKEN_MEAN] = FRACTION("updates", "tokens of the batch"),
        [SEQUENCE_SUM] = FRACTION("1", "rows"),
        [CONSTANT] = FRACTION("1", "rows \xc3\x97 longest completion"),
        [UPDATE_TOKEN_MEAN] = FRACTION("1", "tokens"),
        [TOKEN_SUM] = "1",
        [PROMPT_MEAN] = FRACTION("1", "problems \xc3\x97 tokens of the group"),
};

/* ---- numbers ---- */

struct explain_numbers { /* of the rewards of the group that can be used */
	int    n;
	double mean, deviation;
};

static struct explain_numbers explain_numbers_of(const struct explained *x)
{
	struct explain_numbers s = {0, 0, 0};
	double                 square = 0;

	for (int i = 0; i < x->group->n; i++)
		if (isfinite(x->rows[i].reward)) {
			s.mean += x->rows[i].reward;
			s.n++;
		}
	s.mean /= s.n ? s.n : 1;
	for (int i = 0; i < x->group->n; i++)
		if (isfinite(x->rows[i].reward))
			square += (x->rows[i].reward - s.mean) * (x->rows[i].reward - s.mean);
	s.deviation = s.n > 1 ? sqrt(square / (s.n - 1)) : 0;
	return s;
}

/* A where one formula with the numbers at hand gives it; NaN where more decides. */
static double explain_advantage(const struct explained *x, const struct explain_numbers *s,
                                double reward)
{
	const struct algorithm *a = &x->algorithm;
	double                  value = reward, by = 1;

	if (a->whiten || a->signed_rewards || (a->beta > 0 && a->kl_placement != KL_IN_LOSS) ||
	    a->gamma != 1)
		return NAN;
	if (a->baseline == BASELINE_BATCH)
		value -= x->batch_mean;
	else if (a->baseline == BASELINE_GROUP)
		value -= s->mean;
	else if (a->baseline == BASELINE_LEAVE_ONE_OUT)
		value = s->n > 1 ? (value - s->mean) * s->n / (s->n - 1) : 0;
	else if (a->baseline == BASELINE_CONSTANT)
		value -= a->baseline_value;
	else if (a->baseline != BASELINE_NONE)
		return NAN;
	if (a->scale_rewards == SCALE_GROUP)
		by = s->deviation + a->advantage_eps;
	else if (a->scale_rewards == SCALE_BATCH)
		by = x->batch_deviation + a->advantage_eps;
	else if (a->scale_rewards != SCALE_NONE)
		return NAN;
	return by > 0 ? value / by : 0;
}

static void explain_begin(const char *title, const char *help, struct text *out)
{
	text_print(out, "<section class=\"part\"><h3>%s</h3>", title);
	if (help) {
		text_print(out, "<p class=\"soft\">");
		chart_add_escaped(out, help, strlen(help));
		text_print(out, "</p>");
	}
}

static void explain_end(struct text *out)
{
	text_print(out, "</section>\n");
}

static const char *explain_help(const struct choice *list, int value)
{
	while (list->name && list->value != value)
		list++;
	return list->name ? list->help : NULL;
}

/* "A_1 = (1 - 0.25) / (0.5 + 1e-06) = 1.5", for each completion where that is what it is. */
static void explain_worked_advantage(const struct explained *x, const struct explain_numbers *s,
                                     int i, struct text *out)
{
	const struct algorithm     *a = &x->algorithm;
	const struct explained_row *row = &x->rows[i];
	double                      worked = explain_advantage(x, s, row->reward),
	       is = row->advantage[row->rollout->n - 1],
	       mean = a->baseline == BASELINE_BATCH      ? x->batch_mean
	              : a->baseline == BASELINE_CONSTANT ? a->baseline_value
	                                                 : s->mean,
	       by = a->scale_rewards == SCALE_BATCH ? x->batch_deviation : s->deviation;

	text_print(out, "<li><i>A</i><sub>%d</sub> = ", i + 1);
	if (isfinite(worked) && fabs(worked - is) <= 1e-4 * (1 + fabs(is))) {
		if (a->baseline == BASELINE_LEAVE_ONE_OUT)
			mean = s->n > 1 ? (s->mean * s->n - row->reward) / (s->n - 1) : row->reward;
		if (a->scale_rewards != SCALE_NONE)
			text_print(out, "<span class=\"fraction\"><span>");
		text_print(out, "%.4g", row->reward);
		if (a->baseline != BASELINE_NONE)
			text_print(out, " \xe2\x88\x92 %.4g", mean);
		if (a->scale_rewards != SCALE_NONE)
			text_print(out, "</span><span>%.4g + %.1g</span></span>", by,
			           a->advantage_eps);
		text_print(out, " = ");
	}
	text_print(out, "<b class=\"%s\">%+.4g</b></li>",
	           is > 0   ? "right"
	           : is < 0 ? "wrong"
	                    : "",
	           is);
}

static void explain_add_advantage(const struct explained *x, struct text *out)
{
	const struct algorithm *a = &x->algorithm;
	struct explain_numbers  s = explain_numbers_of(x);
	const char             *scale = explain_scales[a->scale_rewards];

	explain_begin("Advantage", explain_help(choices_baseline, (int)a->baseline), out);
	text_print(out, "<p class=\"formula\">" A_I " = ");
	if (scale)
		text_print(out, "<span class=\"fraction\"><span>%s</span><span>%s</span></span>",
		           explain_baselines[a->baseline], scale);
	else
		text_print(out, "%s", explain_baselines[a->baseline]);
	text_print(out, a->whiten ? ", then whitened over all tokens of the step" : "");
	text_print(out,
	           "</p><p class=\"numbers\"><span>mean(<i>R</i>) = %.4g</span> "
	           "<span>std(<i>R</i>) = %.4g</span>",
	           s.mean, s.deviation);
	if (a->baseline == BASELINE_BATCH || a->scale_rewards == SCALE_BATCH)
		text_print(out, " <span>of the batch: mean %.4g, std %.4g over %d rows</span>",
		           x->batch_mean, x->batch_deviation, x->batch_rows);
	text_print(out, "</p><ul class=\"worked\">");
	for (int i = 0; i < x->group->n; i++)
		explain_worked_advantage(x, &s, i, out);
	text_print(out, "</ul>");
	if (s.n > 1 && !(s.deviation > 0))
		text_print(out,
		           "<p>All rewards of this group are equal: it has nothing to compare, "
		           "and its advantages are 0.</p>");
	explain_end(out);
}

static void explain_add_ratio(const struct explained *x, struct text *out)
{
	const struct algorithm *a = &x->algorithm;
	double                  largest = 0;
	int                     moved = 0;

	explain_begin("Ratio and clip", explain_help(choices_clip, (int)a->clip), out);
	if (explain_ratios[a->importance_sampling_level])
		text_print(out, "<p class=\"formula\">%s</p>",
		           explain_ratios[a->importance_sampling_level]);
	else
		text_print(out, "<p class=\"formula\">gain = <i>A</i> log \xcf\x80(<i>t</i>), no "
		                "ratio</p>");
	if (a->importance_sampling_level != LEVEL_NONE)
		text_print(out, "<p class=\"formula\">gain = %s</p>", explain_gains[a->clip]);
	for (int i = 0; i < x->group->n; i++)
		for (int t = 0; t < x->group->rollouts[i].n; t++) {
			double d = fabs((double)x->rows[i].ratio[t] - 1);
			largest = d > largest ? d : largest;
			moved += d > 0;
		}
	text_print(out, "<p class=\"numbers\">");
	if (a->clip == CLIP_HARD || a->clip == CLIP_CAP)
		text_print(out, "<span>clipped to %.4g \xe2\x80\xa6 %.4g</span> ", 1 - a->epsilon,
		           1 + a->epsilon_high);
	if (a->importance_sampling_level == LEVEL_NONE)
		text_print(out, "</p>");
	else if (!moved)
		text_print(out,
		           "<span>every ratio is exactly 1</span></p><p class=\"soft\">This is "
		           "the first update since sampling, and sampling recorded what training "
		           "computes: nothing is clipped yet.</p>");
	else
		text_print(out, "<span>%d ratios differ from 1, by up to %.3g</span></p>", moved,
		           largest);
	explain_end(out);
}

static void explain_add_divisor(const struct explained *x, struct text *out)
{
	const struct algorithm *a = &x->algorithm;

	explain_begin("Divisor", explain_help(choices_aggregation, (int)a->loss_type), out);
	text_print(out, "<p class=\"formula\"><i>w<sub>i</sub></i> = %s</p>",
	           explain_divisors[a->loss_type]);
	text_print(out, "<p class=\"numbers\"><span>rows = %lld</span> <span>tokens = %lld</span>",
	           (long long)x->totals.rows, (long long)x->totals.tokens);
	if (a->loss_type == CONSTANT)
		text_print(out, " <span>longest completion = %d</span>", a->max_completion_length);
	text_print(out, "</p><ul class=\"worked\">");
	for (int i = 0; i < x->group->n; i++)
		text_print(out,
		           "<li><i>w</i><sub>%d</sub> = %.4g <span class=\"soft\">(%d "
		           "tokens)</span></li>",
		           i + 1, x->rows[i].weight, x->rows[i].trained);
	text_print(out, "</ul>");
	explain_end(out);
}

/* Where c is -w A q and nothing else, it is shown with its numbers. */
static void explain_add_coefficient(const struct explained *x, struct text *out)
{
	const struct algorithm *a = &x->algorithm;
	int                     plain = !(a->beta > 0 && a->kl_placement == KL_IN_LOSS);

	explain_begin("Coefficient",
	              "what the gradient of a token's log-probability is multiplied "
	              "by: below 0 the update makes the token likelier",
	              out);
	text_print(out,
	           "<p class=\"formula\"><i>c<sub>t</sub></i> = <span class=\"fraction\">"
	           "<span>\xe2\x88\x82 loss</span><span>\xe2\x88\x82 log \xcf\x80(<i>t</i>)</span>"
	           "</span> = \xe2\x88\x92<i>w<sub>i</sub></i> <i>A</i> <i>q</i>%s%s</p>",
	           a->importance_sampling_level == LEVEL_NONE ? " (<i>q</i> = 1)" : "",
	           plain ? "" : " + <i>w<sub>i</sub></i> \xce\xb2 \xe2\x88\x82<i>k</i>");
	if (!plain)
		text_print(out, "<p class=\"numbers\"><span>\xce\xb2 = %.4g</span></p>", a->beta);
	text_print(out, "<ul class=\"worked\">");
	for (int i = 0; i < x->group->n; i++) {
		const struct explained_row *row = &x->rows[i];
		double                      q = isnan(row->ratio[0]) ? 1 : (double)row->ratio[0],
		       worked = -row->weight * (double)row->advantage[0] * q;
		text_print(out, "<li><i>c</i><sub>%d,1</sub> = ", i + 1);
		if (fabs(worked - (double)row->c[0]) <= 1e-4 * fabs(worked))
			text_print(out,
			           "\xe2\x88\x92 %.3g \xc3\x97 %.4g \xc3\x97 %.4g = ", row->weight,
			           (double)row->advantage[0], q);
		text_print(out, "<b>%+.3g</b></li>", (double)row->c[0]);
	}
	text_print(out, "</ul>");
	explain_end(out);
}

void explain_formula(const struct explained *x, struct text *out)
{
	text_print(out, "<div class=\"parts4\">\n");
	explain_add_advantage(x, out);
	explain_add_ratio(x, out);
	explain_add_divisor(x, out);
	explain_add_coefficient(x, out);
	text_print(out, "</div>\n");
}
