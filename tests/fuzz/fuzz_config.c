/* Configs: YAML, then overrides, with a NUL byte between them. The resolved config of what is
 * accepted is accepted, and resolves to itself. */
#include "fuzz.h"

#include "rl/job_config.h"

enum { OVERRIDES_MAX = 4, RESOLVED_ONE_IN = 61 }; /* resolving costs ten times as much as reading */

static void resolve_twice(const struct job_config *c)
{
	struct job_config again;
	struct text       once = {0}, twice = {0}, differences = {0};

	PROMISE(config_resolved(&c->base, &once) == OK);
	PROMISE(job_config_parse("resolved", once.data, once.n, NULL, 0, &again) == OK);
	PROMISE(config_resolved(&again.base, &twice) == OK);
	PROMISE(once.n == twice.n && !memcmp(once.data, twice.data, once.n));
	PROMISE(config_differences(&c->base, &again.base, &differences) == 0);
	config_free(&again.base);
	text_free(&once);
	text_free(&twice);
	text_free(&differences);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct fuzz_part  yaml = fuzz_next(&data, &n);
	char             *overrides[OVERRIDES_MAX];
	int               n_overrides = 0;
	struct job_config c;

	while (n && n_overrides < OVERRIDES_MAX)
		overrides[n_overrides++] = fuzz_text(fuzz_next(&data, &n));
	if (job_config_parse("input", yaml.s, yaml.n, (const char *const *)overrides, n_overrides,
	                     &c) == OK) {
		if (config_check(&c.base) == OK && yaml.n % RESOLVED_ONE_IN == 0)
			resolve_twice(&c);
		config_free(&c.base);
	}
	while (n_overrides)
		free(overrides[--n_overrides]);
	return 0;
}
