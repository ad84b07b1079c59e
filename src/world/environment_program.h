/* environment_program.h - a program of the user's own as the environment of problems: tools, a
 * game, a simulator. It answers the model's actions, line by line (base/program.h):
 *
 *     {"episode": "7/3/0", "turn": 2, "actions": ["look", "open box"],
 *      "id": "...", "prompt": ..., "answer": "...", all other columns of the data row}
 *     {"observation": "an apple", "done": false, "reward": 0.5}
 *     {"error": "..."}                      the episode has no verdict
 *
 * All of a reply's members may be left out: observation "", done false, reward 0, and "right"
 * whether the reward is 1 or more; other keys are free. The reward is that of the episode so far:
 * the last reply's counts, so an episode that is cut off keeps what it has earned. What is observed
 * when all is done is not put in.
 *
 * A question holds every action of its episode so far, so that a reply may, and must, depend on the
 * question alone: after a crash a fresh program is asked the same, ranks have programs of their
 * own, and a resumed run begins with a new one. A program that keeps its worlds by `episode` takes
 * the last action where it still has the world of the turn before, and plays all of them where it
 * has not: that is its reset. Episodes of a step are asked about in turns, each once a turn.
 *
 * The prompt is the row's; the first turn is the model's. Failures are those of program.h: they
 * cost the verdict of one episode, and never give a wrong one. */
#ifndef WORLD_ENVIRONMENT_PROGRAM_H
#define WORLD_ENVIRONMENT_PROGRAM_H

#include "base/ending.h"
#include "base/program.h"
#include "data/problem.h"

struct environment_program_options {
	struct program_options command; /* an empty line: there is none */
	int                    turns;   /* most actions of an episode */
	/* ends an action, as an end token does; empty: the end token alone */
	const char *action_end;
	const char *template; /* text around an observation, which is {observation} in it */
};

struct environment_program;

int  environment_program_open(const struct environment_program_options *o,
                              struct environment_program              **out);
void environment_program_close(struct environment_program *w); /* NULL is fine */

const struct environment_program_options                 *
environment_program_options(const struct environment_program *w);
struct program *environment_program_command(const struct environment_program *w);

struct environment_play { /* an episode */
	struct environment_program *world;
	const char                 *episode; /* its name */
	struct text                 columns; /* of its row, behind a comma */
	struct text                 actions; /* JSON texts, with commas */
	struct text                 seen;    /* the newest observation */
	int                         turns;
	struct world_outcome        outcome;
};

/* Borrows the name. To be ended whatever it returns. */
int  environment_play_begin(struct environment_program *w, const struct problem *p,
                            const char *episode, struct environment_play *out);
void environment_play_end(struct environment_play *e);

/* One action, without what ended it; writes the observation inside its template to e->seen, empty
 * when the episode is done. A program that fails is no error: the outcome is failed, and done. */
int environment_play_act(struct environment_play *e, const char *action, size_t n);

#endif
