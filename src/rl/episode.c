#include "rl/episode.h"

#include "base/error.h"
#include "task/environment.h"

#include <assert.h>
#include <string.h>

struct episode {
	const struct decode_request *request;
	struct environment           world;
	int                         *text; /* [n_prompt + max_new] the prompt, then the answer */
	float                       *logp, *entropy;
	unsigned char               *trained;
	struct answer_span          *spans; /* [2 turns_max] */
	int                          n, n_spans, over;
	enum stop_reason             stop;
};

static int open_episode(const struct decode_request *q, const struct problem *p, struct arena *a, struct episode *e)
{
	size_t room = (size_t)q->max_new;

	*e = (struct episode){.request = q};
	TRY(environment_open(p, a, &e->world));
	e->text = arena_alloc(a, (size_t)q->n_prompt + room, sizeof *e->text);
	e->logp = arena_alloc(a, room, sizeof *e->logp);
	e->entropy = arena_alloc(a, room, sizeof *e->entropy);
	e->trained = arena_alloc(a, room, sizeof *e->trained);
	e->spans = arena_alloc(a, 2 * (size_t)e->world.turns_max, sizeof *e->spans);
	if (!e->text || !e->logp || !e->entropy || !e->trained || !e->spans)
		return ERR_INPUT;
	memcpy(e->text, q->prompt, (size_t)q->n_prompt * sizeof *q->prompt);
	return OK;
}

/* The first turn keeps the shared prompt, which is then read once a group. */
static struct decode_request next_request(const struct episode *e)
{
	struct decode_request q = *e->request;

	if (e->n)
		q.prompt = e->text;
	q.n_prompt += e->n;
	q.max_new -= e->n;
	q.position += (uint32_t)e->n;
	return q;
}

static void end(struct episode *e, enum stop_reason why)
{
	e->over = 1;
	e->stop = why;
}

/* Appends tokens; logp and entropy NULL: an observation. */
static void append(struct episode *e, enum span_kind kind, const int *ids, int n, const float *logp, const float *entropy)
{
	size_t bytes = (size_t)n * sizeof *logp;

	assert(n <= e->request->max_new - e->n);
	memcpy(e->text + e->request->n_prompt + e->n, ids, (size_t)n * sizeof *ids);
	memset(e->trained + e->n, kind == SPAN_TURN, (size_t)n);
	if (kind == SPAN_TURN) {
		memcpy(e->logp + e->n, logp, bytes);
		memcpy(e->entropy + e->n, entropy, bytes);
	}
	e->spans[e->n_spans++] = (struct answer_span){kind, e->n, n};
	e->n += n;
}

/* Puts the observation in, or ends the episode where it does not fit with room for one more token. */
static int observe(const struct decode_options *o, struct episode *e, const char *text, size_t n)
{
	struct ids ids = {0};
	int        status = n ? tokenizer_encode(o->tokenizer, text, n, 0, &ids) : OK;

	if (status == OK && (int)ids.n + !e->world.done > e->request->max_new - e->n)
		end(e, STOP_LENGTH);
	else if (status == OK && ids.n)
		append(e, SPAN_OBSERVATION, ids.id, (int)ids.n, NULL, NULL);
	ids_free(&ids);
	return status;
}

/* The action that was just sampled, as text, to the environment and back. */
static int act(const struct decode_options *o, struct episode *e, const char *action, size_t n, int ended_by_token)
{
	struct observation seen;
	char               text[OBSERVATION_MAX + 1] = "\n";

	environment_step(&e->world, action, n, &seen);
	memcpy(text + ended_by_token, seen.text, seen.n);
	if (e->world.done)
		end(e, STOP_STRING);
	return observe(o, e, text, seen.n + (size_t)ended_by_token);
}

static int take_turn(const struct decode_options *o, struct episode *e, const struct decode_result *r)
{
	struct text action = {0};
	const char *newline;
	int         status = tokenizer_decode(o->tokenizer, r->ids, (size_t)r->n, 1, &action);

	append(e, SPAN_TURN, r->ids, r->n, r->logp, r->entropy);
	if (status == OK) {
		newline = action.n ? memchr(action.data, '\n', action.n) : NULL;
		if (r->stop == STOP_EOS ? !newline : newline && newline + 1 == action.data + action.n)
			status = act(o, e, action.n ? action.data : "", action.n, r->stop == STOP_EOS);
		else
			end(e, r->stop);
	}
	text_free(&action);
	return status;
}

/* Another token for everybody who is not over, until the next end of an action. */
static int play_turn(struct decoder *d, const struct decode_options *o, struct episode *episodes, int n, struct arena *a, int *n_live)
{
	struct decode_request *q = arena_alloc(a, (size_t)n, sizeof *q);
	struct decode_result  *r = arena_alloc(a, (size_t)n, sizeof *r);

	*n_live = 0;
	if (!q || !r)
		return ERR_INPUT;
	for (int i = 0; i < n; i++)
		if (!episodes[i].over)
			q[(*n_live)++] = next_request(&episodes[i]);
	TRY(decode_run(d, o, q, *n_live, a, r));
	for (int i = 0, live = 0; i < n; i++)
		if (!episodes[i].over)
			TRY(take_turn(o, &episodes[i], &r[live++]));
	return OK;
}

static void record(const struct episode *e, struct rollout *out)
{
	out->n = e->n;
	out->ids = e->text + e->request->n_prompt;
	out->trained = e->trained;
	out->logp = e->logp;
	out->entropy = e->entropy;
	out->spans = e->spans;
	out->n_spans = e->n_spans;
	out->stop = e->stop;
}

int episode_run(struct decoder *d, const struct decode_options *o, const struct decode_request *requests,
                const struct problem *const *problems, int n, struct arena *a, struct rollout **rollouts)
{
	struct decode_options turn = *o;
	const char          **stop = arena_alloc(a, (size_t)o->n_stop + 1, sizeof *stop);
	struct episode       *episodes = arena_alloc(a, (size_t)n, sizeof *episodes);

	assert(o->tokenizer);
	if (!stop || !episodes)
		return ERR_INPUT;
	stop[0] = "\n";
	for (int i = 0; i < o->n_stop; i++)
		stop[i + 1] = o->stop[i];
	turn.stop = stop;
	turn.n_stop = o->n_stop + 1;
	for (int i = 0; i < n; i++)
		TRY(open_episode(&requests[i], problems[i], a, &episodes[i]));
	for (int live = n; live > 0;) {
		struct arena_mark mark = arena_mark(a);
		TRY(play_turn(d, &turn, episodes, n, a, &live));
		arena_release(a, mark);
	}
	for (int i = 0; i < n; i++)
		record(&episodes[i], rollouts[i]);
	return OK;
}
