/* environment.h - worlds of text that answer back: an action goes in, an observation comes out,
 * until the episode is over.
 *
 *     prompt          <2b c:abc>                 the first observation
 *     completion      k\n<+>b\n<-:fac>c\n        action, observation, action, observation, action
 *
 * An action is a line: it ends with its newline. An observation stands between '<' and '>', holds
 * neither of them nor a newline, and follows the action at once; behind the last action stands
 * none. Whoever writes the completion writes the actions; the observations are put in for it
 * (rl/episode.h) and carry no loss, in RL (trained = 0) as in `hone sft`, which finds them with
 * environment_read. An action that ends with an end token has no newline in its text, so the
 * observation behind it then starts with one: the text of an episode always reads action, newline,
 * observation.
 *
 * An environment is a function of its problem: the row says {"environment": {"kind", "level",
 * "seed", "index", "draw"}} and everything is drawn from the key {seed, RNG_GENERATE, step = level,
 * item = index, sample = 2 draw} (generator.h; without "draw" it is 0). So an episode can be judged
 * from its text alone: environment_read plays the actions again and compares the observations, and
 * what follows a wrong observation does not count.
 *
 *     nav         key-and-door corridor of LEVEL rooms, 1 .. 12
 *         prompt      <2b c:abc>      two rooms, key b in hand; in this room lies key c, and the
 *                                     ways out are a, b, c
 *         k           take the key: <+>; <!> where none lies
 *         b           through the door or corridor b. The door of a room opens with the key found
 *                     one room BEFORE, so a key must be remembered while the next one is seen.
 *                     Right: the next room, <-:fac> (the last room has no key); the last door wins.
 *                     Without its key: <!>
 *                     Every other way is a wrong corridor: <.>
 *         r           back out of a wrong corridor, or to the room before: that room again
 *         oracle      k, door, k, door, ..., door: 2 LEVEL - 1 actions
 *         reward      1 for getting out
 *         hint        bfa: all doors, in order
 *     household   rooms A, B, ..; two places a room, A has 1 and 2, B has 3 and 4, ..;
 *                 objects a .. h; LEVEL 1 .. 6
 *         prompt      <wa4 A12h B34w> wash a and put it to 4; you are in A, where things are
 *                                     heated, and in B they are washed
 *                                     (w wash, h heat, c cool, - nothing;
 *                                     two objects from level 5 on: -ab4)
 *         gB          go to room B: <B>
 *         o3          look at place 3, in this room only: <3:bf> (<3:-> when empty)
 *         ta          take a from the place looked at: <+>; one object at a time
 *         w h c       treat what you hold, in the room that has what it takes: <*>
 *         p4          put what you hold to 4, in this room: <=>
 *                     whatever is not possible: <!>
 *         oracle      looks at the places in their order until it finds what it wants; it knows no
 *                     more than it has seen
 *         reward      1 when all is where it should be, treated as it should be
 *         hint        3: the places of the wanted objects, in order
 *     shop        a catalogue; LEVEL 1 .. 6
 *         prompt      <ar m5 2>       wanted: type a, colour r; from level 2 on of material m,
 *                                     from level 3 on for at most 5, from level 4 on in size 2
 *                                     ('-' where it does not matter)
 *         sar         search: the best matches of type and colour first, three on a page:
 *                     <Car4 Fam3 Bbr9>: number, type, colour, price
 *         n           the next page (<-> behind the last)
 *         iC          look at C, which must be on this page: <m 12>: its material and its sizes
 *         2           choose a size of what you look at: <+>
 *         y           buy it: the end
 *         oracle      searches, looks at what may fit in the order of the pages, buys the first
 *                     that fits
 *         reward      0 for another type, else the share of the other wishes that are met
 *         hint        C: an article that meets all wishes
 *
 * What is no action at all gets <?>. Every action costs a turn; the oracle's number of turns, an
 * eighth of it and two more are the limit. Actions are hostile until shown otherwise: any bytes,
 * any length.
 *
 * The worlds are modelled on ALFWorld (arXiv:2010.03768) and WebShop (arXiv:2207.01206). */
#ifndef WORLD_ENVIRONMENT_H
#define WORLD_ENVIRONMENT_H

#include "base/memory.h"
#include "base/rng.h"
#include "data/problem.h"

#include <stddef.h>

enum { OBSERVATION_MAX = 128, ACTION_MAX = 16 }; /* bytes, with the 0 */
enum { ENVIRONMENT_DRAWS_MAX = 1 << 20 };

struct observation {
	char   text[OBSERVATION_MAX]; /* "<...>" and a 0; empty once the episode is over */
	size_t n;
};

struct environment_kind { /* one row; static, never freed */
	const char *name;
	int         level_min, level_max;
	/* of a plain struct without pointers: a copy is a second, independent world */
	size_t state_bytes;

	void (*reset)(void *state, int level, struct rng_stream *s);
	void (*look)(const void *state, struct observation *out); /* the first observation */

	/* Writes the observation; returns 1 when that ends the episode, and then *reward. */
	int (*step)(void *state, const char *action, size_t n, struct observation *out,
	            double *reward);

	/* the next action, without newline */
	void (*oracle)(const void *state, char action[ACTION_MAX]);
	/* any action that could come to mind */
	void (*stray)(const void *state, struct rng_stream *s, char action[ACTION_MAX]);
	/* of a fresh world: what the player would have to find out */
	void (*hint)(const void *state, char hint[ACTION_MAX]);
};

struct environment {
	const struct environment_kind *kind;
	void                          *state; /* in the arena */
	int                            turns, turns_max;
	int                            done;
	double                         reward; /* 0 until the episode ends with another one */
};

const struct environment_kind *environment_at(int i); /* row i; NULL past the last */

/* Whether the problem's row names an environment; right or wrong is for environment_open to say. */
int environment_has(const struct problem *p);

/* The environment of a problem, before its first action. Any number of them may be open, in any
 * threads. */
int environment_open(const struct problem *p, struct arena *a, struct environment *out);

struct environment_key {
	int      level;
	uint64_t seed;
	uint32_t index, draw;
};

/* The same from its key. */
int environment_new(const struct environment_kind *kind, struct environment_key key,
                    struct arena *a, struct environment *out);

/* One action, with or without its newline. Not to be called when done. */
void environment_step(struct environment *e, const char *action, size_t n, struct observation *out);

struct environment_piece { /* bytes first .. first+n-1 of a completion */
	int    observation;
	size_t first, n;
};

/* Plays a completion from the start. `pieces` NULL: not wanted; else in the arena, actions (with
 * their newlines) and observations in turn, and together they are the whole text: what is left
 * behind the end of the episode or a wrong observation counts as an action. */
int environment_read(struct environment *e, const char *text, size_t n, struct arena *a,
                     struct environment_piece **pieces, int *n_pieces);

/* For the kinds: ADDS to an observation. */
void observation_add(struct observation *o, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

extern const struct environment_kind environment_nav, environment_household, environment_shop;

#endif
