#include "base/error.h"
#include "verify/verify.h"
#include "world/environment.h"

VERIFY_CHECK(verify_environment_check)
{
	struct arena       a = {0};
	struct environment e;
	int                status = OK;

	if (!spec->options.world || environment_has(p))
		status = environment_open(p, &a, &e);
	arena_free(&a);
	return status;
}

VERIFY_SCORE(verify_environment)
{
	struct span        text = verify_text(c);
	struct arena       a = {0};
	struct environment e;
	int                status;

	(void)spec;
	if (c->outcome && c->outcome->played) {
		*out = (struct score){.reward = c->outcome->reward,
		                      .right = c->outcome->right,
		                      .parsed = c->outcome->done};
		return OK;
	}
	status = environment_open(p, &a, &e);
	if (status == OK)
		status = environment_read(&e, text.s, text.n, &a, NULL, NULL);
	verify_mark(out, status == OK && e.reward == 1, status == OK ? e.reward : 0);
	out->parsed = status == OK && e.done;
	arena_free(&a);
	return status;
}
