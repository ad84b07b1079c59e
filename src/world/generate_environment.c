#include "base/error.h"
#include "world/environment.h"
#include "world/generate.h"

#include <string.h>

enum { TRIES = 16 }; /* draws for an action that is not the oracle's */

static void generate_environment_choose(const struct environment *e, struct rng_stream *errors,
                                        double rate, char action[ACTION_MAX])
{
	char right[ACTION_MAX];

	e->kind->oracle(e->state, right);
	memcpy(action, right, ACTION_MAX);
	if (generate_errs(errors, rate))
		for (int i = 0; i < TRIES && !strcmp(action, right); i++)
			e->kind->stray(e->state, errors, action);
}

static struct environment_key generate_environment_key_of(const struct generator_request *q)
{
	return (struct environment_key){
	        .level = q->level, .seed = q->seed, .index = q->index, .draw = q->draw};
}

/* An episode of the oracle, straying at the rate. */
static int play(const struct environment_kind *kind, const struct generator_request *q, double rate,
                struct text *t)
{
	struct arena       scratch = {0};
	struct rng_stream  errors = generate_error_stream(q);
	struct environment e;
	int status = environment_new(kind, generate_environment_key_of(q), &scratch, &e);

	while (status == OK && !e.done) {
		struct observation o;
		char               action[ACTION_MAX];
		generate_environment_choose(&e, &errors, rate, action);
		environment_step(&e, action, strlen(action), &o);
		text_print(t, "%s\n%s", action, o.text);
	}
	arena_free(&scratch);
	return status;
}

/* Worlds are one when they begin with the same words and the oracle meets the same in both: corners
 * that nobody need visit make no other problem. */
static int generate_environment_content_of(const struct environment_kind *kind,
                                           const struct observation      *first,
                                           const struct text *episode, uint64_t *content)
{
	struct text t = {0};

	text_print(&t, "%s%s", first->text, episode->data ? episode->data : "");
	return generate_content(kind->name, &t, content);
}

/* The gold is the oracle's episode; the worked one errs at the asked rate. The row holds the key
 * of the world alone. */
static int generate_environment_generate(const struct environment_kind  *kind,
                                         const struct generator_request *q, struct arena *a,
                                         struct problem *out, uint64_t *content)
{
	struct text        answer = {0}, worked = {0};
	struct environment e;
	struct observation first = {.n = 0};
	char               hint[ACTION_MAX];
	int                status;

	TRY(environment_new(kind, generate_environment_key_of(q), a, &e));
	kind->look(e.state, &first);
	kind->hint(e.state, hint);
	TRY(arena_print(a, &out->row,
	                "{\"environment\": {\"kind\": \"%s\", \"level\": %d, \"seed\": "
	                "%lld, \"index\": %u, \"draw\": %u}}",
	                kind->name, q->level, (long long)q->seed, q->index, q->draw));
	TRY(arena_copy(a, first.text, first.n, &out->prompt));
	TRY(arena_copy(a, hint, strlen(hint), &out->hint));
	status = play(kind, q, 0, &answer);
	if (status == OK)
		status = generate_environment_content_of(kind, &first, &answer, content);
	if (status == OK)
		status = play(kind, q, q->error_rate, &worked);
	status = generate_take(status, a, &answer, &out->answer);
	status = generate_worked(status, a, &worked, out);
	return status;
}

GENERATE(generate_nav)
{
	return generate_environment_generate(&environment_nav, q, a, out, content);
}

GENERATE(generate_household)
{
	return generate_environment_generate(&environment_household, q, a, out, content);
}

GENERATE(generate_shop)
{
	return generate_environment_generate(&environment_shop, q, a, out, content);
}
