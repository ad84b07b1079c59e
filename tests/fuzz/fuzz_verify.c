/* Every verifier but math, which has a target of its own: its name, the gold, the row, the
 * completion, with NUL bytes between them. The reward is finite, within its bounds, and the same
 * again. */
#include "fuzz.h"

#include "verify/verifier.h"

#include <math.h>

/* A name that is none chooses a row all the same, so that mutations of it are not lost. */
static const char *chosen(struct fuzz_part name)
{
	const struct verifier *v;
	int                    n = 0;

	for (; (v = verifier_at(n)) != NULL; n++)
		if (strlen(v->name) == name.n && !memcmp(v->name, name.s, name.n))
			break;
	if (!v)
		v = verifier_at((int)(name.n % (size_t)n));
	return strcmp(v->name, "math") ? v->name : "procedural";
}

static struct score judge(const struct reward_spec *spec, const struct problem *p,
                          const struct completion *c)
{
	struct verdict v;

	PROMISE(verifier_score(spec, p, c, &v) == OK);
	PROMISE(isfinite(v.reward) && v.reward >= 0 && v.reward <= 1 &&
	        (v.parsed == 0 || v.parsed == 1));
	return v.part[0];
}

static void judge_twice(const struct reward_spec *spec, const struct problem *p,
                        const struct completion *c)
{
	struct score once = judge(spec, p, c), twice = judge(spec, p, c);

	PROMISE(once.reward == twice.reward && once.parsed == twice.parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct fuzz_part name = fuzz_next(&data, &n), gold = fuzz_next(&data, &n),
	                 row = fuzz_next(&data, &n);
	char       *answer = fuzz_text(gold), *columns = fuzz_text(row), *said = malloc(n ? n : 1);
	const char *verifier = chosen(name);
	struct verifier_options options = {
	        .partial = 0.3,
	        .format_score = 0.1,
	        .pattern = "(?s)^<think>.*?</think>\\s*(\\d+|[a-z]+)+$",
	        .tags = "think,answer",
	        .word = row.n % 2 ? "red" : NULL,
	        .compare = {.form = (enum answer_form)(gold.n % (ANSWER_SET + 1)),
	                    .ignore_case = n % 2 != 0,
	                    .absolute = n % 5 ? 0 : 0.1},
	        .length.low = 2,
	        .length.high = 9,
	        .length_slack = 5,
	        .decimals = n % 7 == 0 ? 3 : 0,
	        .strict_relations = n % 3 == 0};
	struct problem     p = {.id = "p",
	                        .prompt = "?",
	                        .answer = answer,
	                        .row = row.n ? columns : "{}",
	                        .difficulty = NAN};
	struct reward_spec spec;

	if (n)
		memcpy(said, data, n);
	if (verifier_open(&spec, &verifier, NULL, 1, &options) == OK) {
		if (verifier_check(&spec, &p) == OK)
			judge_twice(&spec, &p,
			            &(struct completion){.text = said,
			                                 .n = n,
			                                 .finished = n % 5 != 0,
			                                 .n_tokens = (int)(n / 3)});
		verifier_close(&spec);
	}
	free(answer);
	free(columns);
	free(said);
	return 0;
}
