/* metric_table.h - the one table of what a run logs.
 *
 * A row says what a number is called, what it measures, when it is there, and what its curve looks
 * like when a run goes wrong. metrics.jsonl (metrics.h), TensorBoard (events.h), the charts of a
 * report (report.h) and docs/metrics.md are loops over the table. The room that measures owns the
 * table and the struct that its places point into (rl/step_stats.h).
 *
 *     number of a row     value                    as it stands in the struct
 *                         value / per              a mean; not there when per is 0
 *     not there either    where the config does not meet `when`, where `if_any` is 0
 *
 * A row without a value is filled by name, with metrics_add. A family is a row whose name has a
 * part in angle brackets, "rewards/<verifier>/mean": it stands for one number per member, and is
 * filled with metrics_add_member. */
#ifndef RUN_METRIC_TABLE_H
#define RUN_METRIC_TABLE_H

#include "base/text.h"
#include "run/config.h"

#include <stddef.h>

enum metric_type { METRIC_NOWHERE, METRIC_INT, METRIC_REAL };
struct metric_place {
	enum metric_type type;
	size_t           offset;
};
/* The initialiser of a place: a field of the struct of statistics, an int or a double. */
#define METRIC_PLACE(statistics, field) \
	{ \
		_Generic(((statistics *)0)->field, int \
		         : METRIC_INT, double \
		         : METRIC_REAL), \
		        offsetof(statistics, field) \
	}

enum metric_chart {
	METRIC_NOISY, /* faint as it is, strong as a moving average */
	METRIC_EXACT, /* as it is */
	METRIC_SHARE  /* stacked with the others of its chart, as a share of their sum */
};

struct metric_row {
	const char *section; /* the section of docs/metrics.md that begins with this row; or NULL */
	const char *name;
	const char *unit;  /* "tokens"; "" for a number without one */
	const char *of;    /* what it is the mean over, "trained tokens"; NULL: not a mean */
	int         lines; /* in which kinds of lines it stands: bits, whose names the table has */
	const char *when;  /* a condition on the config (run/schema.h); NULL: always */
	const char *given; /* in words, what `if_any` asks for; or NULL */
	const char *help;  /* a sentence or two: what it is */
	const char *watch; /* what to look for when a run goes wrong; or NULL */

	struct metric_place value, per, if_any;

	const char *chart; /* title of its chart in a report, which rows may share; NULL: no chart.
	                            Of a family, "<verifier>": a chart per member, titled by it */
	const char *label; /* of its line there; NULL: its name */
	enum metric_chart drawn;
};

struct metric_table {
	const struct metric_row *rows;
	int                      n;
	const char *const       *lines; /* [n_lines] names of the bits: "train" */
	int                      n_lines;
};

/* The row of a logged name: the one of this name, or else its family. NULL when there is none. */
const struct metric_row *metric_table_find(const struct metric_table *t, const char *name);

/* The member in the name of one, "math" in "rewards/math/mean", and its length. NULL when the row
 * is no family or the name is not of it. */
const char *metric_table_member(const struct metric_row *row, const char *name, size_t *n);

/* Whether a clock measured it (seconds, or something a second): the same run done again has another
 * number there, and the same ones everywhere else. */
int metric_table_is_timed(const struct metric_row *row);

struct metrics;
/* ADDS the numbers that stand in this kind of line (one bit), from the struct of statistics. */
int metric_table_fill(const struct metric_table *t, int line, const struct config *c,
                      const void *statistics, struct metrics *m);

/* ADDS what the row says in prose: its help, and what to watch for. */
void metric_table_words(const struct metric_row *row, struct text *out);

/* ADDS "nats, mean over trained tokens": the caption under a chart. */
void metric_table_caption(const struct metric_table *t, const struct metric_row *row,
                          struct text *out);

/* ADDS the sections of docs/metrics.md, without its title. */
void metric_table_markdown(const struct metric_table *t, struct text *out);

#endif
