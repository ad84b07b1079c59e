/* program.h - a user's own program that replies to questions: started once and kept alive, one line
 * in, one line out.
 *
 *     hone                                  the program
 *     {"completion": "...", ...}\n   ->     its standard input
 *                                    <-     {"reward": 1}\n         its standard output
 *
 * What can go wrong is a reply without a verdict, never a wrong one, and never an end of hone:
 *
 *     time is over                    the program is killed with all that it started (family.h);
 *                                     the next question starts another
 *     it ended, or wrote no reply, more than one line, or a line over PROGRAM_LINE_MAX    the
 *     same; if it was not fresh, the question is asked once
 *                                     more, of a fresh one: the state that an earlier question left
 *                                     behind shall not decide about a later one
 *
 * A fresh program has `startup` seconds more for its first reply, to load what it needs. One that
 * failed PROGRAM_TRIES times before it ever gave a reply is not asked again: a broken program
 * costs minutes, not days; nor is one that let PROGRAM_LATE replies for each worker pass in a row.
 * Whoever waits longer than PROGRAM_PATIENCE seconds is told so. Up to `workers` of them run, for
 * as many threads; which of them replies is free, so a reply must depend on its question alone.
 * None is started before the first question. When hone ends, however that is, their input ends.
 * SIGINT reaches hone only. Their standard error goes to a file or is hone's. */
#ifndef VERIFY_PROGRAM_H
#define VERIFY_PROGRAM_H

#include "base/file.h"

enum {
	PROGRAM_WORDS = 64,
	PROGRAM_LINE_MAX = 1 << 20,
	PROGRAM_TRIES = 4,
	PROGRAM_WORKERS_MAX = 64
};
enum { PROGRAM_LATE = 8, PROGRAM_PATIENCE = 3, PROGRAM_SAY_EVERY = 10 }; /* replies; seconds */

/* A word to the person who waits. Any thread, one at a time for one program. */
typedef void program_say(void *context, const char *text);

struct program_options {
	/* "python3 'my verifier.py' --strict": words between blanks; quotes keep blanks; no
	 * shell */
	const char *line;
	double      timeout; /* seconds a reply may take */
	double      startup; /* and how many more the first one of a fresh program */
	int         workers; /* programs at once, 1 .. PROGRAM_WORKERS_MAX */
	const char *log;     /* standard error is added to this file; NULL: hone's own */

	program_say *say; /* NULL: nothing is said */
	void        *say_context;
};

struct program;

/* An error says why the line is no command, or that there is no such program. */
int  program_open(const struct program_options *o, struct program **out);
void program_close(struct program *c); /* ends the programs; NULL is fine */

/* Reads the line of a reply. ERR_FAILED: it has none to give, but the program is well; ERR_INPUT:
 * this is no reply. Both with a message. */
typedef int program_accept(void *context, const char *line, size_t n);

/* Asks one question, n bytes without a line's end. Any thread may call it. ERR_FAILED: there is no
 * reply that was accepted, and the message says why. */
int program_ask(struct program *c, const char *question, size_t n, program_accept *accept,
                void *context);

/* How many questions stayed without a reply so far; the last message is copied to `why`. */
enum { PROGRAM_WHY_MAX = 512 };
long program_failures(struct program *c, char why[PROGRAM_WHY_MAX]);

#endif
