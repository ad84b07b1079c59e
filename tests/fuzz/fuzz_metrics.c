/* The log of a run. Its series are bounded, finite and ascending; written as a log and read again,
 * they are the same. */
#include "fuzz.h"

#include "base/json.h"
#include "run/series.h"

#include <math.h>

static void check_series(const struct series_run *run)
{
	PROMISE(run->n <= SERIES_MAX && isfinite(run->last_step));
	for (int i = 0; i < run->n; i++) {
		const struct series *s = &run->series[i];
		PROMISE((size_t)s->n <= s->capacity);
		for (int k = 0; k < s->n; k++) {
			const struct point *p = &s->points[k];
			PROMISE(fabs(p->x) <= SERIES_LARGEST && fabs(p->y) <= SERIES_LARGEST &&
			        p->error >= 0 && p->error <= SERIES_LARGEST);
			PROMISE(k == 0 || s->points[k - 1].x < p->x);
		}
	}
}

/* The error beside each mean is what NAME_stderr says at that step, or nothing. */
static void check_errors(const struct series_run *run)
{
	for (int i = 0; i < run->n; i++) {
		struct text          name = {0};
		const struct series *s = &run->series[i], *error;
		text_print(&name, "%s_stderr", s->name);
		error = series_find(run, name.data);
		for (int k = 0, e = 0; k < s->n; k++) {
			while (error && e < error->n && error->points[e].x < s->points[k].x)
				e++;
			if (error && e < error->n && error->points[e].x == s->points[k].x)
				PROMISE(s->points[k].error == fmax(0, error->points[e].y));
			else
				PROMISE(s->points[k].error == 0);
		}
		text_free(&name);
	}
}

/* A line for each point, series by series, would go back in the steps; so a line for each step, in
 * order. */
static void write_log(const struct series_run *run, struct text *out)
{
	int at[SERIES_MAX] = {0};

	for (;;) {
		double step = INFINITY;
		for (int i = 0; i < run->n; i++)
			if (at[i] < run->series[i].n)
				step = fmin(step, run->series[i].points[at[i]].x);
		if (isinf(step))
			return;
		text_print(out, "{\"step\": %.16e", step);
		for (int i = 0; i < run->n; i++) {
			const struct series *s = &run->series[i];
			if (at[i] == s->n || s->points[at[i]].x != step)
				continue;
			if (strcmp(s->name, "step")) {
				text_print(out, ", ");
				json_add_string(out, s->name, strlen(s->name));
				text_print(out, ": %.16e", s->points[at[i]].y);
			}
			at[i]++;
		}
		text_print(out, "}\n");
	}
}

/* Steps at which nothing but the step was logged may have gone and come back: "step" itself is not
 * compared. */
static void compare_series(const struct series_run *a, const struct series_run *b)
{
	for (int i = 0; i < a->n; i++) {
		const struct series *s = &a->series[i], *t = series_find(b, s->name);
		if (s->n == 0 || !strcmp(s->name, "step"))
			continue;
		PROMISE(t && t->n == s->n);
		for (int k = 0; k < s->n; k++) /* by value: steps 0 and -0 share a line */
			PROMISE(s->points[k].x == t->points[k].x &&
			        s->points[k].y == t->points[k].y &&
			        s->points[k].error == t->points[k].error);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static int        linked;
	struct series_run run = {0}, again = {0};
	struct text       t = {0};

	if (!linked++)
		fuzz_link("metrics.jsonl", 0);
	fuzz_file(0, data, n);
	fuzz_forget_message();
	if (series_read(fuzz_folder(), &run) == OK) {
		check_series(&run);
		check_errors(&run);
		write_log(&run, &t);
		PROMISE(text_status(&t) == OK);
		fuzz_file(0, t.data ? t.data : "", t.n);
		PROMISE(series_read(fuzz_folder(), &again) == OK);
		compare_series(&run, &again);
		series_free(&again);
	} else {
		PROMISE(strstr(error_message(), "metrics.jsonl"));
	}
	series_free(&run);
	text_free(&t);
	return 0;
}
