#include "rl/episode.h"

#include "base/error.h"
#include "text/tokenizer.h"
#include "world/environment.h"

#include <assert.h>
#include <string.h>

struct episode {
	struct environment      world; /* of the problem's own; else */
	struct environment_play play;  /* a program's */
	int                     by_program, turns_max;
	int                     max_new;
	unsigned char          *trained;    /* [max_new] */
	struct completion_span *spans;      /* [2 turns_max] */
	int                     n_spans, n; /* the tokens that spans stand for */
};

struct play { /* one call of episode_run */
	const struct decode_options *o;
	struct episode              *episodes; /* [n] */
	int                          n;
	const char                  *end; /* of an action */
};

/* "7/3/0": step, problem, sample. */
static int open_world(struct environment_program *world, const struct decode_request *q,
                      const struct problem *p, struct arena *a, struct episode *e)
{
	const char *name;

	if (!world) {
		TRY(environment_open(p, a, &e->world));
		e->turns_max = e->world.turns_max;
		return OK;
	}
	TRY(arena_print(a, &name, "%s%u/%u/%u", q->key.purpose == RNG_EVAL ? "eval/" : "",
	                (unsigned)q->key.step, (unsigned)q->key.item, (unsigned)q->key.sample));
	e->by_program = 1;
	e->turns_max = environment_program_options(world)->turns;
	return environment_play_begin(world, p, name, &e->play);
}

static int open_episode(struct environment_program *world, const struct decode_request *q,
                        const struct problem *p, struct arena *a, struct episode *e)
{
	*e = (struct episode){.max_new = q->max_new};
	TRY(open_world(world, q, p, a, e));
	TRY(arena_take(a, (size_t)q->max_new, "which tokens are trained", &e->trained));
	return arena_take(a, 2 * (size_t)e->turns_max, "the spans of an episode", &e->spans);
}

static int is_over(const struct episode *e)
{
	return e->by_program ? e->play.outcome.done || e->play.outcome.over : e->world.done;
}

/* What the completion has got since the last span is the next. */
static void add_span(struct episode *e, enum span_kind kind, const struct decode_result *r)
{
	int n = r->n - e->n;

	assert(n >= 0 && r->n <= e->max_new && e->n_spans < 2 * e->turns_max);
	memset(e->trained + e->n, kind == SPAN_TURN, (size_t)n);
	e->spans[e->n_spans++] = (struct completion_span){kind, e->n, n};
	e->n = r->n;
}

/* Puts the observation in, or cuts the episode off where it does not fit with room for one more
 * token. */
static int episode_observe(const struct decode_options *o, struct episode *e, const char *text,
                           size_t n, struct decode_result *r, int *go_on)
{
	struct ids ids = {0};
	int        status = n ? tokenizer_encode(o->tokenizer, text, n, 0, &ids) : OK;

	if (status == OK && (int)ids.n + !is_over(e) > e->max_new - r->n) {
		r->stop = STOP_LENGTH;
	} else if (status == OK) {
		*go_on = !is_over(e);
		decode_append(r, ids.id, (int)ids.n);
		if (ids.n)
			add_span(e, SPAN_OBSERVATION, r);
	}
	ids_free(&ids);
	return status;
}

/* The action of n bytes to the environment; ADDS what it answers, nothing when the episode is
 * over. */
static int answer_action(struct episode *e, const char *action, size_t n, struct text *out)
{
	struct observation seen;

	if (e->by_program) {
		TRY(environment_play_act(&e->play, action, n));
		text_add(out, e->play.seen.data ? e->play.seen.data : "", e->play.seen.n);
	} else {
		environment_step(&e->world, action, n, &seen);
		text_add(out, seen.text, seen.n);
	}
	return text_status(out);
}

/* The action that was just sampled, as text, to the environment and back. */
static int episode_act(const struct play *play, struct episode *e, const char *action, size_t n,
                       struct decode_result *r, int *go_on)
{
	struct text seen = {0};
	int         status;

	if (r->stop == STOP_EOS)
		text_print(&seen, "%s", play->end);
	status = answer_action(e, action, n, &seen);
	if (is_over(e)) {
		if (e->by_program)
			seen.n = 0;
		r->stop = STOP_STRING;
	}
	if (status == OK)
		status = episode_observe(play->o, e, seen.data, seen.n, r, go_on);
	text_free(&seen);
	return status;
}

/* Where the text ends with the end of an action, and nothing stands behind it, its bytes before
 * that; else -1. An end token ends an action that has no such end in it. */
static long action_bytes(const struct play *play, const struct text *t, enum stop_reason stop)
{
	size_t      n = strlen(play->end);
	const char *end = n && t->n ? memmem(t->data, t->n, play->end, n) : NULL;

	if (stop == STOP_EOS)
		return end ? -1 : (long)t->n;
	return end && end + n == t->data + t->n ? (long)(t->n - n) : -1;
}

/* The listener: a completion stopped; was that the end of an action? */
static int took_turn(void *context, int request, struct decode_result *r, int *go_on)
{
	const struct play *play = context;
	struct episode    *e = &play->episodes[request];
	struct text        action = {0};
	long               n;
	int status = tokenizer_decode(play->o->tokenizer, r->ids + e->n, (size_t)(r->n - e->n), 1,
	                              &action);

	add_span(e, SPAN_TURN, r);
	n = action_bytes(play, &action, r->stop);
	if (status == OK && n >= 0)
		status = episode_act(play, e, action.n ? action.data : "", (size_t)n, r, go_on);
	text_free(&action);
	return status;
}

static void record(const struct episode *e, const struct decode_result *r, struct rollout *out)
{
	out->n = r->n;
	out->ids = r->ids;
	out->trained = e->trained;
	out->logp = r->logp;
	out->entropy = r->entropy;
	out->spans = e->spans;
	out->n_spans = e->n_spans;
	out->stop = r->stop;
	out->outcome = e->play.outcome;
}

static int episode_play(struct decoder *d, const struct decode_options *o, const struct episodes *w,
                        struct play *play, struct arena *a)
{
	struct decode_options in_turns = *o;
	const char          **stop;
	struct decode_result *r;
	int                   ends = *play->end != 0;

	TRY(arena_take(a, (size_t)o->n_stop + 1, "the stop texts", &stop));
	TRY(arena_take(a, (size_t)w->n, "the decoded completions", &r));
	stop[0] = play->end;
	for (int i = 0; i < o->n_stop; i++)
		stop[i + ends] = o->stop[i];
	in_turns.stop = stop;
	in_turns.n_stop = o->n_stop + ends;
	in_turns.listener = (struct decode_listener){took_turn, play};
	for (; play->n < w->n; play->n++)
		TRY(open_episode(w->world, &w->requests[play->n], w->problems[play->n], a,
		                 &play->episodes[play->n]));
	TRY(decode_run(d, &in_turns, w->requests, w->n, a, r));
	for (int i = 0; i < w->n; i++)
		record(&play->episodes[i], &r[i], w->rollouts[i]);
	return OK;
}

int episode_run(struct decoder *d, const struct decode_options *o, const struct episodes *w,
                struct arena *a)
{
	struct play play = {
	        .o = o, .end = w->world ? environment_program_options(w->world)->action_end : "\n"};
	int status;

	assert(o->tokenizer);
	TRY(arena_take(a, (size_t)w->n, "the episodes", &play.episodes));
	status = episode_play(d, o, w, &play, a);
	for (int i = 0; i < w->n; i++)
		environment_play_end(&play.episodes[i].play);
	return status;
}
