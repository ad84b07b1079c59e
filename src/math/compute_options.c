#include "math/compute_options.h"

static const char *backend_name(int i)
{
	static const char *const names[] = {"auto",     "amx",       "avx512", "avx2",
	                                    "openblas", "reference", NULL};

	return names[i];
}

static const char *precision_name(int i)
{
	static const char *const names[] = {"f32", "bf16", NULL};

	return names[i];
}

static const char *order_name(int i)
{
	static const char *const names[] = {"auto", "pair", "tile", NULL};

	return names[i];
}

static const char *numerics_name(int i)
{
	static const char *const names[] = {"strict", "fast", NULL};

	return names[i];
}

static const struct choice recompute_choices[] = {{"auto", RECOMPUTE_AUTO, NULL},
                                                  {"on", RECOMPUTE_ON, NULL},
                                                  {"off", RECOMPUTE_OFF, NULL},
                                                  {0}};

#define HOME struct compute_options
#define ROOM "compute."
/* clang-format off */
static const struct option compute_options[] = {
	INT(threads, "0", 0, 4096,
	    "0: as OMP_NUM_THREADS says, or all cores this process may use; changes no bit of the "
	    "result",
	    .flags = FREE_ON_RESUME),
	NAMED_AS("backend", matmul.backend, "auto", backend_name,
	     "matrix products and attention's; amx, avx512, avx2 and reference give the same bits; "
	     "auto: the fastest "
	     "of these that this CPU has; with numerics fast, openblas before plain C"),
	NAMED_AS("precision", matmul.precision, "f32", precision_name,
	     "of the operands of matrix products and of keys and values; weights, sums and all else "
	     "stay f32"),
	NAMED_AS("head_precision", matmul.head_precision, "bf16", precision_name,
	     "of the product that gives logits", .when = "compute.precision=bf16"),
	NAMED_AS("order", matmul.order, "auto", order_name,
	     "in which products add: pair is that of AVX512-BF16, tile that of AMX; every CPU has both; "
	     "auto: tile where the run begins on a CPU with AMX, and a resumed run keeps what it has",
	     .when = "compute.precision=bf16"),
	NAMED_AS("numerics", matmul.numerics, "strict", numerics_name,
	     "strict: the same bits for any batch, threads, micro-batch and resume"),
	INT(micro_batch_tokens, "8192", 1, 1 << 24,
	    "tokens in memory at once while training; changes no bit of the result",
	    .flags = FREE_ON_RESUME),
	CHOICE(recompute, "auto", recompute_choices,
	    "on: training keeps only the inputs of layers and computes the rest of a layer again, "
	    "which takes less memory and more time; auto: on when the bill without it is above "
	    "the limit; changes no bit of the result",
	    .flags = FREE_ON_RESUME),
	REAL(memory_limit_gb, "0", 0, 1e6,
	     "refuse a job whose bill is larger; 0: what the machine has", .flags = FREE_ON_RESUME),
};
/* clang-format on */
const struct option_table compute_options_table = OPTION_TABLE(compute_options);
