/* episode.h - completions in turns: the model acts, its environment (world/environment.h) answers,
 * the model acts again.
 *
 *     prompt   | action       | observation  | action       | ...
 *     trained    1 1 1 ... 1    0 0 0 ... 0    1 1 1 ... 1
 *     spans      SPAN_TURN      SPAN_OBSERVATION
 *
 * An action ends with the newline that it holds, or with an end token. Then its text goes to the
 * environment, and the tokens of the observation are appended, untrained, their logp and entropy
 * recorded as 0. (Behind an end token the observation starts with a newline; see environment.h.)
 * The episode is over when the environment says so (win, loss, limit of turns), when the next
 * observation does not fit (cut off: STOP_LENGTH or STOP_CONTEXT), and when no observation can be
 * put in: another stop text came up, or a token went on behind the newline.
 *
 * With a program of the user's as the world (world/environment_program.h) an action ends with its
 * action_end or an end token, and the episode's outcome is what the program said last; behind an
 * end token the observation starts with action_end.
 *
 * All turns are one decode_run, with the environment as its listener: a completion stays in its
 * slot and keeps its keys and values, so that a turn reads only its observation, and an episode is
 * exactly what one long decoding of its text would give. Nobody waits at the end of a turn: other
 * episodes may be turns ahead. Token t of a completion uses random number t of the completion's key
 * in whatever turn it comes: turns never share a random number, and what is drawn does not depend
 * on the other episodes. */
#ifndef RL_EPISODE_H
#define RL_EPISODE_H

#include "estimator/record.h"
#include "model/decode.h"
#include "world/environment_program.h"

struct episodes { /* to be played together */
	int                          n;
	const struct problem *const *problems; /* each with an environment, or all with `world` */
	const struct decode_request *requests; /* prompt, room and key of each completion */
	struct rollout *const       *rollouts; /* what becomes of them */
	struct environment_program  *world;    /* plays them all; NULL: the problems' own */
};

/* Fills ids, n, trained, logp, entropy, spans and stop (never STOP_CONTEXT) of every rollout, in
 * the arena. o->tokenizer must be there. */
int episode_run(struct decoder *d, const struct decode_options *o, const struct episodes *w,
                struct arena *a);

#endif
