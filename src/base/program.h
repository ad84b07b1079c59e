/* program.h - a user's own program that replies to questions. It is started once and kept alive:
 * one line in, one line out.
 *
 *     hone                                  the program
 *     {"completion": "...", ...}\n   ->     its standard input
 *                                    <-     {"reward": 1}\n         its standard output
 *
 * A failure costs the verdict of one question. It never gives a wrong verdict and never ends hone:
 *
 *     the time is over       the program is killed with everything it started (family.h), and the
 *                            next question starts a new one
 *     it ended, or wrote     the same. If it was not fresh, a fresh one is asked once more, because
 *     no line, several       the state that an earlier question left behind must not decide a later
 *     lines, or a line       one
 *     over PROGRAM_LINE_MAX
 *
 * A fresh program has `startup` more seconds for its first reply, to load what it needs. A program
 * that fails PROGRAM_TRIES times before its first reply is not asked again, so a broken program
 * costs minutes and not days. Nor is one that misses PROGRAM_LATE replies per worker in a row.
 * `say` is called when a reply takes longer than PROGRAM_PATIENCE seconds. Up to `workers` copies
 * run, for as many threads. Any of them may get a question, so a reply must depend on the question
 * alone. None is started before the first question. Their input ends when hone ends, in whatever
 * way. SIGINT reaches hone only. Their standard error goes to a file, or to hone's own. */
#ifndef BASE_PROGRAM_H
#define BASE_PROGRAM_H

#include "base/file.h"
#include "base/json.h"

enum {
	PROGRAM_WORDS = 64,
	PROGRAM_LINE_MAX = 1 << 20,
	PROGRAM_TRIES = 4,
	PROGRAM_WORKERS_MAX = 64
};
enum { PROGRAM_LATE = 8, PROGRAM_PATIENCE = 3, PROGRAM_SAY_EVERY = 10 }; /* replies; seconds */

/* Tells the user what is being waited for. Called from any thread, one at a time per program. */
typedef void program_say(void *context, const char *text);

struct program_options {
	/* "python3 'my verifier.py' --strict": split at blanks; quotes keep blanks; no shell */
	const char *line;
	double      timeout; /* seconds a reply may take */
	double      startup; /* further seconds for the first reply of a fresh program */
	int         workers; /* programs at once, 1 .. PROGRAM_WORKERS_MAX */
	const char *log;     /* standard error is appended to this file; NULL: hone's own */

	program_say *say; /* NULL: nothing is said */
	void        *say_context;
};

struct program;

/* The error tells what is wrong with the line, or that there is no such program. */
int  program_open(const struct program_options *o, struct program **out);
void program_close(struct program *c); /* ends the programs; NULL is fine */

/* Reads the line of a reply. ERR_FAILED: the program is fine but has no verdict. ERR_INPUT: this is
 * not a reply. Both set a message. */
typedef int program_accept(void *context, const char *line, size_t n);

/* Asks one question of n bytes, without a newline. Any thread may call it. ERR_FAILED: no reply was
 * accepted, and the message says why. */
int program_ask(struct program *c, const char *question, size_t n, program_accept *accept,
                void *context);

/* The member "reward" of a reply: a number, or true for 1 and false for 0; 0 where it is optional
 * and missing. ERR_FAILED: null, which means no verdict, or beyond +-PROGRAM_REWARD_MAX, because
 * sums and squares of rewards must stay meaningful in single precision. */
enum { PROGRAM_REWARD_MAX = 1000000 };
int program_reward(const json_t *reply, int required, double *out);

/* The number of questions without a reply so far; copies the last message to `why`. */
enum { PROGRAM_WHY_MAX = 512 };
long program_failures(struct program *c, char why[PROGRAM_WHY_MAX]);

#endif
