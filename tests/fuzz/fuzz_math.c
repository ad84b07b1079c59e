/* Answers of mathematics: gold, completion, with a NUL byte between them. Finite, within bounds,
 * the same again, in bounded time. */
#include "fuzz.h"

#include "verify/verifier.h"

#include <math.h>

static double judge(const struct reward_spec *spec, const struct problem *p,
                    const struct completion *c)
{
	struct verdict v;

	PROMISE(verifier_score(spec, p, c, &v) == OK);
	PROMISE(v.reward == 0 || v.reward == 1);
	return v.reward;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char        *name = "math";
	static struct reward_spec spec, loose;
	char                     *gold = fuzz_text(fuzz_next(&data, &n)), *said = malloc(n ? n : 1);
	struct problem            p = {
	                   .id = "p", .prompt = "?", .answer = gold, .row = "{}", .difficulty = NAN};
	struct completion c = {.text = said, .n = n, .finished = 1, .n_tokens = (int)n};

	if (!spec.n) {
		PROMISE(verifier_open(&spec, &name, NULL, 1, NULL) == OK);
		PROMISE(verifier_open(&loose, &name, NULL, 1,
		                      &(struct verifier_options){.decimals = 3,
		                                                 .strict_relations = 1}) == OK);
	}
	if (n)
		memcpy(said, data, n);
	if (verifier_check(&spec, &p) == OK) {
		if (n % 4)
			PROMISE(judge(&spec, &p, &c) == judge(&spec, &p, &c));
		else
			judge(&loose, &p, &c);
	}
	free(gold);
	free(said);
	return 0;
}
