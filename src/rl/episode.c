#include "rl/episode.h"

#include "base/error.h"
#include "text/tokenizer.h"
#include "world/environment.h"

#include <assert.h>
#include <string.h>

struct episode {
	struct environment      world;
	int                     max_new;
	unsigned char          *trained;    /* [max_new] */
	struct completion_span *spans;      /* [2 turns_max] */
	int                     n_spans, n; /* the tokens that spans stand for */
};

struct play { /* one call of episode_run */
	const struct decode_options *o;
	struct episode              *episodes;
};

static int open_episode(const struct decode_request *q, const struct problem *p, struct arena *a,
                        struct episode *e)
{
	*e = (struct episode){.max_new = q->max_new};
	TRY(environment_open(p, a, &e->world));
	TRY(arena_take(a, (size_t)q->max_new, "which tokens are trained", &e->trained));
	return arena_take(a, 2 * (size_t)e->world.turns_max, "the spans of an episode", &e->spans);
}

/* What the completion has got since the last span is the next. */
static void add_span(struct episode *e, enum span_kind kind, const struct decode_result *r)
{
	int n = r->n - e->n;

	assert(n >= 0 && r->n <= e->max_new && e->n_spans < 2 * e->world.turns_max);
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

	if (status == OK && (int)ids.n + !e->world.done > e->max_new - r->n) {
		r->stop = STOP_LENGTH;
	} else if (status == OK) {
		*go_on = !e->world.done;
		decode_append(r, ids.id, (int)ids.n);
		if (ids.n)
			add_span(e, SPAN_OBSERVATION, r);
	}
	ids_free(&ids);
	return status;
}

/* The action that was just sampled, as text, to the environment and back. */
static int episode_act(const struct decode_options *o, struct episode *e, const struct text *action,
                       struct decode_result *r, int *go_on)
{
	int                by_token = r->stop == STOP_EOS;
	struct observation seen;
	char               text[OBSERVATION_MAX + 1] = "\n";

	environment_step(&e->world, action->n ? action->data : "", action->n, &seen);
	memcpy(text + by_token, seen.text, seen.n);
	if (e->world.done)
		r->stop = STOP_STRING;
	return episode_observe(o, e, text, seen.n + (size_t)by_token, r, go_on);
}

/* The listener: a completion stopped; was that the end of an action? */
static int took_turn(void *context, int request, struct decode_result *r, int *go_on)
{
	const struct play *play = context;
	struct episode    *e = &play->episodes[request];
	struct text        action = {0};
	const char        *newline;
	int status = tokenizer_decode(play->o->tokenizer, r->ids + e->n, (size_t)(r->n - e->n), 1,
	                              &action);

	add_span(e, SPAN_TURN, r);
	newline = action.n ? memchr(action.data, '\n', action.n) : NULL;
	if (status == OK &&
	    (r->stop == STOP_EOS ? !newline : newline && newline + 1 == action.data + action.n))
		status = episode_act(play->o, e, &action, r, go_on);
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
}

int episode_run(struct decoder *d, const struct decode_options *o, const struct episodes *w,
                struct arena *a)
{
	struct decode_options in_turns = *o;
	struct play           play = {.o = o};
	const char          **stop;
	struct decode_result *r;

	assert(o->tokenizer);
	TRY(arena_take(a, (size_t)o->n_stop + 1, "the stop texts", &stop));
	TRY(arena_take(a, (size_t)w->n, "the episodes", &play.episodes));
	TRY(arena_take(a, (size_t)w->n, "the decoded completions", &r));
	stop[0] = "\n";
	for (int i = 0; i < o->n_stop; i++)
		stop[i + 1] = o->stop[i];
	in_turns.stop = stop;
	in_turns.n_stop = o->n_stop + 1;
	in_turns.listener = (struct decode_listener){took_turn, &play};
	for (int i = 0; i < w->n; i++)
		TRY(open_episode(&w->requests[i], w->problems[i], a, &play.episodes[i]));
	TRY(decode_run(d, &in_turns, w->requests, w->n, a, r));
	for (int i = 0; i < w->n; i++)
		record(&play.episodes[i], &r[i], w->rollouts[i]);
	return OK;
}
