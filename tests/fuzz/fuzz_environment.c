/* Environments: the row of a problem, a NUL byte, then what a model says. Played action by action
 * and read as a text, an episode is the same; from wherever the actions lead, the oracle still gets
 * there. */
#include "fuzz.h"

#include "world/environment.h"

enum { TURNS = 1000 };

static int is_observation(const struct observation *o)
{
	return o->n > 2 && o->n < OBSERVATION_MAX && strlen(o->text) == o->n && o->text[0] == '<' &&
	       o->text[o->n - 1] == '>' && !memchr(o->text + 1, '<', o->n - 1) &&
	       !memchr(o->text, '>', o->n - 1) && !memchr(o->text, '\n', o->n);
}

static void step(struct environment *e, const char *action, size_t n, struct observation *o)
{
	environment_step(e, action, n, o);
	PROMISE(e->done ? o->n == 0 : is_observation(o));
	PROMISE(e->reward >= 0 && e->reward <= 1 && (e->done || e->reward == 0) &&
	        e->turns <= e->turns_max);
}

/* The pieces of a completion are the whole of it, and what counts as an observation is what the
 * world said; `e` and `twin` are fresh. */
static void read_pieces(struct environment *e, struct environment *twin, const char *text, size_t n,
                        struct arena *a)
{
	struct observation        said = {.n = 0};
	struct environment_piece *pieces;
	int                       n_pieces;
	size_t                    at = 0;

	PROMISE(environment_read(e, text, n, a, &pieces, &n_pieces) == OK);
	PROMISE(n_pieces <= 2 * e->turns_max + 2);
	for (int i = 0; i < n_pieces; i++) {
		PROMISE(pieces[i].first == at && pieces[i].n > 0);
		if (pieces[i].observation)
			PROMISE(pieces[i].n == said.n && !memcmp(text + at, said.text, said.n));
		else if (i < n_pieces - 1)
			step(twin, text + at, pieces[i].n, &said);
		at += pieces[i].n;
	}
	PROMISE(at == n);
	PROMISE(e->reward >= 0 && e->reward <= 1 && e->turns <= e->turns_max);
}

/* Each line is an action; *out gets the text of the episode. */
static void play(struct environment *e, const char *lines, size_t n, struct text *out)
{
	while (n && !e->done) {
		const char *end = memchr(lines, '\n', n);
		size_t      length = end ? (size_t)(end - lines) : n, gone = length + (end != NULL);
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
	char *row = fuzz_text(fuzz_next(&data, &n)),
	     *said = fuzz_text((struct fuzz_part){(const char *)data, n});
	struct problem p = {.id = "p", .prompt = "?", .row = row};
	struct arena   a = {0};
	/* played; read, with a twin; the completion as it is, with a twin */
	struct environment e[5];
	struct text        t = {0};

	fuzz_forget_message();
	if (environment_open(&p, &a, &e[0]) == OK) {
		PROMISE(environment_has(&p));
		for (int i = 1; i < 5; i++)
			PROMISE(environment_open(&p, &a, &e[i]) == OK);
		play(&e[0], said, n, &t);
		read_pieces(&e[1], &e[2], t.data, t.n, &a);
		PROMISE(e[1].done == e[0].done && e[1].reward == e[0].reward &&
		        e[1].turns == e[0].turns);
		PROMISE(!memcmp(e[1].state, e[0].state, e[0].kind->state_bytes));
		let_the_oracle_go_on(&e[0]);
		read_pieces(&e[3], &e[4], said, n, &a);
	} else {
		PROMISE(strstr(error_message(), "p:") || strstr(error_message(), "has levels"));
	}
	text_free(&t);
	arena_free(&a);
	free(row);
	free(said);
	return 0;
}
