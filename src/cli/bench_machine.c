#include "cli/bench.h"

#include "base/error.h"
#include "base/threads.h"
#include "math/machine.h"

#include <stdio.h>

/* several times the last cache of most machines */
enum { READ_BYTES = 256 << 20 };

struct machine_limits {
	double fma, dot, read;
};

static int measure_limits(struct machine_limits *out)
{
	out->fma = machine_fma();
	out->dot = machine_dot();
	return machine_read(READ_BYTES, &out->read);
}

static void add_limits(struct bench *b, const struct machine_limits *l, int threads)
{
	const struct {
		const char       *what, *unit;
		double            rate, scale;
		struct bench_work work;
	} rows[] = {
	        {"f32 fma from registers", "GFLOP/s", l->fma, 1e-9, {.floats = l->fma}},
	        {"dpbf16 from registers", "GFLOP/s", l->dot, 1e-9, {.products = l->dot}},
	        {"memory read", "GB/s", l->read, 1e-9, {.bytes = l->read}},
	};
	char what[80];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(what, sizeof what, "%s, %d thread%s", rows[i].what, threads,
		         threads > 1 ? "s" : "");
		/* the work of a second */
		if (rows[i].rate > 0)
			bench_add(b, what, rows[i].unit, rows[i].rate * rows[i].scale,
			          &rows[i].work, 1);
	}
}

int bench_machine(struct bench *b)
{
	struct machine_limits one, all;
	int                   threads = threads_count(), status;

	TRY(measure_limits(&all));
	TRY(threads_set(1));
	status = measure_limits(&one);
	TRY(threads_set(threads));
	TRY(status);
	b->fma = all.fma;
	b->dot = all.dot;
	b->read = all.read;
	b->share = machine_share();
	if (threads > 1)
		add_limits(b, &one, 1);
	add_limits(b, &all, threads);
	return OK;
}
