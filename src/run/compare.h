/* compare.h - several runs as arms of an experiment: what differs, how they did, whether the
 * difference can be told from chance.
 *
 * Arms. Two runs belong to one arm when their resolved configs (RUN/config.yaml) agree in every
 * option that can change what is learned, apart from run.seed and run.output_dir; a path that holds
 * the run's own seed-N, as of a warm start that each seed has of its own, counts as seed-{seed}. An
 * arm is named after the folder that holds its runs when they are called seed-N (as scripts/sweep
 * lays them out), else by the options in which the arms differ; where that is too long for a
 * legend, after the last part of its first run's folder, or "arm 3". A run without config.yaml is
 * an arm of its own.
 *
 * Measures of a run, all of eval/pass@1:
 *
 *     final        its last evaluation
 *     last five    the mean of its last five evaluations; unknown with fewer
 *     at tokens    at the number of generated tokens that every run reached at least, on a straight
 *                  line between two evaluations
 *
 * never of the best checkpoint. Runs are paired by run.seed; statistics.h has the intervals and the
 * verdict rule.
 *
 * What is asked of the runs is declared before: a baseline and a measure (the first arm and "final"
 * where nobody says). The differences of all other arms from the baseline in that measure are the
 * family: their p-values are corrected by Holm for their number, and a sign is shown only if the
 * corrected one is below 0.1, too. All other pairs and measures are there for those who look, each
 * judged by itself. */
#ifndef RUN_COMPARE_H
#define RUN_COMPARE_H

#include "math/statistics.h"
#include "run/chart.h"
#include "run/schema.h"
#include "run/series.h"

enum measure { MEASURE_FINAL, MEASURE_LAST_FIVE, MEASURE_AT_TOKENS, N_MEASURES };

struct compared_run {
	const struct series_run *log; /* borrowed */
	/* by row of the schema, of config.yaml; NULL where an option is not read */
	const char **value;
	const char  *seed; /* "" when unknown */
	int          arm;
	double       measure[N_MEASURES]; /* NaN: unknown */
	double       tokens, seconds;     /* generated; sum of step_time */
};

struct compared_arm {
	const char *name, *differs; /* "loss.beta=0, ..."; "" when nothing does */
	int        *runs;           /* [n] */
	int         n;
};

struct compared_pair { /* a - b */
	int                     a, b;
	enum measure            measure;
	struct statistics_pairs statistics;
	int                     is_of_family;
	double                  holm; /* p corrected; NaN outside of the family */
};

struct compare_summary {
	const struct schema  *schema;
	struct compared_run  *runs; /* [n_runs] */
	struct compared_arm  *arms; /* [n_arms] in the order of their first runs */
	struct compared_pair *pairs;
	int                   n_runs, n_arms, n_pairs;
	double                tokens;   /* of MEASURE_AT_TOKENS */
	int                   baseline; /* an arm */
	enum measure          asked;
	struct arena          arena;
};

struct compare_question { /* NULL: the first arm; "final" */
	const char *baseline, *measure;
};

/* Every arm is compared with every other one, or, beyond COMPARE_ALL arms, with the baseline. The
 * family stands first among the pairs. ERR_INPUT where no arm or measure has the name. On an error
 * nothing is owned. */
enum { COMPARE_ALL = 6 };
int  compare_open(const struct schema *s, const struct series_run *logs, int n,
                  const struct compare_question *q, struct compare_summary *out);
void compare_close(struct compare_summary *c);

int compare_has_repeats(const struct compare_summary *c); /* some arm has several runs */

/* The mean over the runs of an arm with its 90% t interval, as at most COMPARE_POINTS points; *out
 * [*n] in the arena. x: the step, or with `by_tokens` the tokens generated until then, strictly
 * ascending. Only where every run of the arm has values. */
enum { COMPARE_POINTS = 60 };
int compare_curve(struct compare_summary *c, int arm, const char *metric, int by_tokens,
                  struct point **out, int *n);

extern const char *const compare_measure_name[N_MEASURES]; /* "at equal tokens" */

/* What is said of a pair in the end, "above": with the correction, where it is of the family. */
enum statistics_verdict compare_verdict(const struct compared_pair *p);

/* compare_forest.c: ADDS the family as a picture: a row per arm, its difference from the baseline
 * with 90% and 95% interval, the corrected p, what is said. Nothing without a family. */
extern const char compare_forest_style[]; /* CSS */
void              compare_forest_add(const struct compare_summary *c, struct text *out);

/* two tables, the arms and the family, and what they cannot say */
void compare_markdown(const struct compare_summary *c, struct text *out);
void compare_json(const struct compare_summary *c, struct text *out);
/* ADDS one chart of a metric with a line and band for each arm; nothing where no arm has it. Title,
 * unit and help are those of `like`. */
int compare_chart(struct compare_summary *c, const struct chart *like, const char *metric,
                  int by_tokens, struct text *out);
int compare_html(struct compare_summary *c, struct text *out); /* ADDS the tables and the curves */
int compare_shows(const char *metric);                         /* whether its curves stand there */

#endif
