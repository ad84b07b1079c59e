#include "cli/bench.h"

#include "base/error.h"
#include "base/threads.h"
#include "math/machine.h"

#include <stdio.h>

/* several times the last cache of most machines */
enum { READ_BYTES = 256 << 20 };

struct machine_limits {
	double fma, dot, amx, read;
};

static int measure_limits(struct machine_limits *out)
{
	out->fma = machine_fma();
	out->dot = machine_dot();
	out->amx = machine_amx();
	return machine_read(READ_BYTES, &out->read);
}

/* What so many threads reach, and its share of what all of them do. */
static void add_limits(struct bench *b, const struct machine_limits *l,
                       const struct machine_limits *all, int threads)
{
	const struct {
		const char *what, *precision, *limit;
		double      rate, of;
	} rows[] = {
	        {"f32 fma from registers", "f32", "fma", l->fma, all->fma},
	        {"dpbf16 from registers", "bf16", "dpbf16", l->dot, all->dot},
	        {"AMX from registers", "bf16", "AMX", l->amx, all->amx},
	        {"memory read", "f32", "read", l->read, all->read},
	};
	char what[80];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(what, sizeof what, "%s, %d thread%s", rows[i].what, threads,
		         threads > 1 ? "s" : "");
		if (rows[i].rate > 0)
			bench_put(b, what,
			          (struct bench_figure){.precision = rows[i].precision,
			                                .unit = i < 3 ? "GFLOP/s" : "GB/s",
			                                .limit = rows[i].limit,
			                                .value = rows[i].rate * 1e-9,
			                                .seconds = 1,
			                                .fraction = rows[i].rate / rows[i].of});
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
	b->amx = all.amx;
	b->read = all.read;
	b->share = machine_share();
	if (threads > 1)
		add_limits(b, &one, &all, 1);
	add_limits(b, &all, &all, threads);
	return OK;
}
