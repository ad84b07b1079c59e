/* Environments: the row of a problem, a NUL byte, then what a model says. Played action by action and read as a text, an episode is the same; from wherever the
 * actions lead, the oracle still gets there. */
#include "fuzz.h"

#include "task/environment.h"

enum { TURNS = 1000 };

static int is_observation(const struct observation *o)
{
	return o->n > 2 && o->n < OBSERVATION_MAX && strlen(o->text) == o->n && o->text[0] == '<' && o->text[o->n - 1] == '>' &&
	       !memchr(o->text + 1, '<', o->n - 1) && !memchr(o->text, '>', o->n - 1) && !memchr(o->text, '\n', o->n);
}

static void step(struct environment *e, const char *action, size_t n, struct observation *o)
{
	environment_step(e, action, n, o);
	PROMISE(e->done ? o->n == 0 : is_observation(o));
	PROMISE(e->reward >= 0 && e->reward <= 1 && (e->done || e->reward == 0) && e->turns <= e->turns_max);
}

/* The pieces of a completion are the whole of it. */
static void read_pieces(struct environment *e, const char *text, size_t n, struct arena *a)
{
	struct environment_piece *pieces;
	int                       n_pieces;
	size_t                    at = 0;

	PROMISE(environment_read(e, text, n, a, &pieces, &n_pieces) == OK);
	PROMISE(n_pieces <= 2 * e->turns_max + 2);
	for (int i = 0; i < n_pieces; i++) {
		PROMISE(pieces[i].first == at && pieces[i].n > 0);
		at += pieces[i].n;
	}
	PROMISE(at == n);
	PROMISE(e->reward >= 0 && e->reward <= 1 && e->turns <= e->turns_max);
}

/* Each line is an action; *out gets the text of the episode. */
static void play(struct environment *e, const char *lines, size_t n, struct text *out)
{
	while (n && !e->done) {
		const char        *end = memchr(lines, '\n', n);
		size_t             length = end ? (size_t)(end - lines) : n, gone = length + (end != NULL);
		struct observation o;
		step(e, lines, length, &o);
		text_add(out, lines, length);
		text_print(out, "\n%s", o.text);
		lines += gone;
		n -= gone;
	}
}

static void let_the_oracle_go_on(struct environment *e)
{
	char               action[ACTION_MAX];
	struct observation o;

	e->turns_max = TURNS;
	if (e->done)
		return;
	while (!e->done) {
		e->kind->oracle(e->state, action);
		step(e, action, strlen(action), &o);
	}
	PROMISE(e->reward == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char              *row = fuzz_text(fuzz_next(&data, &n)), *said = fuzz_text((struct fuzz_part){(const char *)data, n});
	struct problem     p = {.id = "p", .prompt = "?", .row = row};
	struct arena       a = {0};
	struct environment played, again, raw;
	struct text        t = {0};

	fuzz_forget_message();
	if (environment_open(&p, &a, &played) == OK) {
		PROMISE(environment_has(&p));
		PROMISE(environment_open(&p, &a, &again) == OK && environment_open(&p, &a, &raw) == OK);
		play(&played, said, n, &t);
		read_pieces(&again, t.data, t.n, &a);
		PROMISE(again.done == played.done && again.reward == played.reward && again.turns == played.turns);
		PROMISE(!memcmp(again.state, played.state, played.kind->state_bytes));
		let_the_oracle_go_on(&played);
		read_pieces(&raw, said, n, &a);
	} else {
		PROMISE(strstr(error_message(), "p:") || strstr(error_message(), "has levels"));
	}
	text_free(&t);
	arena_free(&a);
	free(row);
	free(said);
	return 0;
}
