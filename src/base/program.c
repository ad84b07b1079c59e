#include "base/program.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/family.h"
#include "base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct worker {
	pid_t       pid;     /* 0: not started */
	int         in, out; /* our ends: its standard input and output */
	int         busy, fresh;
	int         late; /* its last question took too long */
	struct text got;  /* what it wrote for this question */
};

struct program {
	char           *line, *copy; /* the command line; a copy cut into words */
	char           *word[PROGRAM_WORDS + 1];
	char           *path, *log;
	double          timeout, startup;
	int             n;
	pthread_mutex_t lock; /* for busy, alive, n_failed, why */
	pthread_cond_t  freed;
	int             alive; /* it has given a reply */
	int             late;  /* replies in a row that took too long */
	long            n_failed;
	char            why[PROGRAM_WHY_MAX];
	double          said; /* when the user was last told about the wait */
	program_say    *say;
	void           *say_context;
	struct worker   worker[PROGRAM_WORKERS_MAX];
};

/* ---- the line ---- */

/* Cuts c->copy into words, in place. */
static int program_split(struct program *c)
{
	char *from = c->copy, *to = c->copy;
	int   n = 0;

	for (;;) {
		char quote = 0;
		from += strspn(from, " \t");
		if (!*from)
			break;
		if (n == PROGRAM_WORDS)
			return error_set(ERR_INPUT, "the command has more than %d words",
			                 PROGRAM_WORDS);
		c->word[n++] = to;
		for (; *from && (quote || !strchr(" \t", *from)); from++)
			if (quote ? *from == quote : *from == '"' || *from == '\'')
				quote = quote ? 0 : *from;
			else
				*to++ = *from;
		if (quote)
			return error_set(ERR_INPUT,
			                 "the command \"%s\" has a quote that does not end",
			                 c->line);
		from += *from != 0;
		*to++ = 0;
	}
	c->word[n] = NULL;
	return n ? OK : error_set(ERR_INPUT, "the command is empty");
}

static int is_program(const char *path)
{
	struct stat s;

	return stat(path, &s) == 0 && S_ISREG(s.st_mode) && access(path, X_OK) == 0;
}

/* Finds the path of the first word: the word itself if it has a slash, else the first folder of
 * PATH with such a program. */
static int find_program(struct program *c)
{
	const char  *name = c->word[0], *folders = getenv("PATH");
	struct arena a = {0};
	int          status = OK;

	if (strchr(name, '/')) {
		if (is_program(name))
			return mem_copy(name, strlen(name), &c->path);
		return error_set(ERR_INPUT,
		                 "the command's program \"%s\" does not exist or is not executable",
		                 name);
	}
	for (folders = folders ? folders : "/usr/bin:/bin"; *folders && !c->path && status == OK;) {
		size_t n = strcspn(folders, ":");
		char  *candidate;
		status = arena_print(&a, &candidate, "%.*s/%s", (int)n, folders, name);
		if (status == OK && n && is_program(candidate))
			status = mem_copy(candidate, strlen(candidate), &c->path);
		folders += n + (folders[n] == ':');
	}
	arena_free(&a);
	TRY(status);
	return c->path ? OK
	               : error_set(ERR_INPUT, "the command's program \"%s\" is not in PATH", name);
}

static int open_line(const struct program_options *o, struct program *c)
{
	TRY(mem_copy(o->line, strlen(o->line), &c->line));
	TRY(mem_copy(o->line, strlen(o->line), &c->copy));
	if (o->log)
		TRY(mem_copy(o->log, strlen(o->log), &c->log));
	TRY(program_split(c));
	return find_program(c);
}

/* Starts no process: the first question does. */
int program_open(const struct program_options *o, struct program **out)
{
	struct program *c;
	int             status;

	TRY(mem_take(1, "a program", out));
	c = *out;
	c->timeout = o->timeout;
	c->startup = o->startup;
	c->n = o->workers;
	c->say = o->say;
	c->say_context = o->say_context;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->freed, NULL);
	status = open_line(o, c);
	if (status != OK) {
		program_close(c);
		*out = NULL;
	}
	return status;
}

/* ---- a process ---- */

/* The program gets a process group of its own, the usual signals, its pipes and no other file. */
static int spawn_with(struct program *c, struct worker *w, const int in[2], const int out[2],
                      posix_spawn_file_actions_t *files, posix_spawnattr_t *how)
{
	sigset_t none, usual;

	sigemptyset(&none);
	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	sigaddset(&usual, SIGINT);
	sigaddset(&usual, SIGTERM);
	posix_spawnattr_setflags(how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
	                                      POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(how, 0);
	posix_spawnattr_setsigmask(how, &none);
	posix_spawnattr_setsigdefault(how, &usual);
	posix_spawn_file_actions_adddup2(files, in[0], 0);
	posix_spawn_file_actions_adddup2(files, out[1], 1);
	if (c->log)
		posix_spawn_file_actions_addopen(files, 2, c->log, O_WRONLY | O_CREAT | O_APPEND,
		                                 0644);
	/* closes hone's other files, above all its locks */
	posix_spawn_file_actions_addclosefrom_np(files, 3);
	return family_spawn(&w->pid, c->path, files, how, c->word);
}

/* Makes the pipes to its input and from its output. Neither blocks, because a program that does not
 * read must not stop hone. */
static int program_start(struct program *c, struct worker *w)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t          how;
	int                        in[2], out[2], code;

	if (pipe2(in, O_CLOEXEC) != 0)
		return error_set(ERR_INPUT, "cannot make a pipe to the command \"%s\": %s", c->line,
		                 strerror(errno));
	if (pipe2(out, O_CLOEXEC) != 0) {
		close(in[0]);
		close(in[1]);
		return error_set(ERR_INPUT, "cannot make a pipe from the command \"%s\": %s",
		                 c->line, strerror(errno));
	}
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&how);
	code = spawn_with(c, w, in, out, &files, &how);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&how);
	close(in[0]);
	close(out[1]);
	w->in = in[1];
	w->out = out[0];
	if (code != 0) {
		w->pid = 0;
		close(w->in);
		close(w->out);
		return error_set(ERR_INPUT, "the command \"%s\" could not be started: %s%s%s",
		                 c->line, strerror(code), c->log ? "; its log is " : "",
		                 c->log ? c->log : "");
	}
	fcntl(w->in, F_SETFL, O_NONBLOCK);
	fcntl(w->out, F_SETFL, O_NONBLOCK);
	w->fresh = 1;
	return OK;
}

/* Kills it with everything it started, unless it ends by itself within `patience` milliseconds.
 * Returns its wait status. */
static int stop(struct worker *w, int patience)
{
	const struct timespec nap = {.tv_nsec = 5000000};
	int                   status = 0;
	pid_t                 ended = 0;

	close(w->in);
	for (int ms = 0; ms < patience && ended == 0; ms += 5) {
		siginfo_t info = {0};
		if (waitid(P_PID, (id_t)w->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		    info.si_pid == w->pid)
			break;
		nanosleep(&nap, NULL);
	}
	status = family_end(w->pid);
	close(w->out);
	w->pid = 0;
	return status;
}

void program_close(struct program *c)
{
	if (!c)
		return;
	for (int i = 0; i < PROGRAM_WORKERS_MAX; i++) {
		if (c->worker[i].pid)
			stop(&c->worker[i], 1000);
		text_free(&c->worker[i].got);
	}
	pthread_cond_destroy(&c->freed);
	pthread_mutex_destroy(&c->lock);
	mem_free(c->line);
	mem_free(c->copy);
	mem_free(c->path);
	mem_free(c->log);
	mem_free(c);
}

/* ---- a question ---- */

enum { GLANCE = 500 }; /* milliseconds between checks whether the run should stop */
enum talk {
	TALK_DONE,
	TALK_LATE,
	TALK_ENDED,
	TALK_LONG,
	TALK_EXTRA,
	TALK_STOPPED,
	TALK_MEMORY /* hone has no memory for the reply */
};

/* Writes as much of the question and its newline as the pipe takes; *sent counts. */
static enum talk send_some(struct worker *w, const char *question, size_t n, size_t *sent)
{
	ssize_t wrote =
	        *sent < n ? write(w->in, question + *sent, n - *sent) : write(w->in, "\n", 1);

	if (wrote < 0)
		return errno == EAGAIN || errno == EINTR ? TALK_DONE : TALK_ENDED;
	*sent += (size_t)wrote;
	return TALK_DONE;
}

static enum talk read_some(struct worker *w)
{
	char    piece[16384];
	ssize_t n = read(w->out, piece, sizeof piece);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? TALK_DONE : TALK_ENDED;
	if (n == 0)
		return TALK_ENDED;
	if (w->got.n + (size_t)n > PROGRAM_LINE_MAX)
		return TALK_LONG;
	text_add(&w->got, piece, (size_t)n);
	return w->got.failed ? TALK_MEMORY : TALK_DONE;
}

/* Tells the user what hone waits for, from one thread at a time. */
static void say_that_it_waits(struct program *c, double waited, double left)
{
	char text[PROGRAM_WHY_MAX];

	if (!c->say)
		return;
	pthread_mutex_lock(&c->lock);
	if (c->said == 0 || clock_seconds() - c->said >= PROGRAM_SAY_EVERY) {
		c->said = clock_seconds();
		snprintf(text, sizeof text,
		         "waiting for the command \"%.200s\": no reply for %.0f seconds; it has "
		         "%.0f more",
		         c->line, waited, left);
		c->say(c->say_context, text);
	}
	pthread_mutex_unlock(&c->lock);
}

/* Sends the question and reads one line into w->got, without its newline. */
static enum talk converse(struct program *c, struct worker *w, const char *question, size_t n,
                          double seconds)
{
	double start = clock_seconds(), deadline = start + seconds,
	       patience = start + PROGRAM_PATIENCE;
	size_t sent = 0;

	w->got.n = 0;
	for (;;) {
		struct pollfd fds[2] = {{.fd = w->out, .events = POLLIN},
		                        {.fd = w->in, .events = POLLOUT}};
		double        left = deadline - clock_seconds(), quiet = patience - clock_seconds();
		const char   *end;
		enum talk     now = TALK_DONE;
		if (left <= 0)
			return TALK_LATE;
		if (stop_now())
			return TALK_STOPPED;
		if (quiet <= 0) {
			say_that_it_waits(c, clock_seconds() - start, left);
			patience = HUGE_VAL;
			continue;
		}
		if (poll(fds, sent <= n ? 2 : 1,
		         (int)ceil(fmin(fmin(left, quiet) * 1000, GLANCE))) <= 0)
			continue;
		if (fds[0].revents)
			now = read_some(w);
		if (now == TALK_DONE && sent <= n && fds[1].revents)
			now = send_some(w, question, n, &sent);
		if (now != TALK_DONE)
			return now;
		end = w->got.n ? memchr(w->got.data, '\n', w->got.n) : NULL;
		if (!end)
			continue;
		if (sent <= n || end + 1 != w->got.data + w->got.n)
			/* it spoke before it was asked, or said more than it was asked for */
			return TALK_EXTRA;
		w->got.n--;
		return TALK_DONE;
	}
}

/* As converse, but a broken pipe is an error of this call and not a signal to the process. */
static enum talk converse_quietly(struct program *c, struct worker *w, const char *question,
                                  size_t n, double seconds)
{
	const struct timespec now = {0};
	sigset_t              pipe_only, before;
	enum talk             result;

	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
	result = converse(c, w, question, n, seconds);
	while (sigtimedwait(&pipe_only, NULL, &now) == SIGPIPE)
		;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return result;
}

/* Did it end, or write something, without being asked? */
static int is_off_the_line(const struct worker *w)
{
	struct pollfd fd = {.fd = w->out, .events = POLLIN};

	return poll(&fd, 1, 0) != 0;
}

/* Sets the message: what went wrong, which command, and where its own messages are. */
static int program_report(const struct program *c, enum talk result, int status, double seconds)
{
	const char *log = c->log ? "; its standard error is in " : "",
	           *where = c->log ? c->log : "";

	if (result == TALK_LATE)
		return error_set(
		        ERR_INPUT, "the command \"%s\" gave no reply within %g seconds%s%s%s",
		        c->line, seconds,
		        seconds > c->timeout
		                ? " (the first one of a fresh program has command_startup more)"
		                : "",
		        log, where);
	if (result == TALK_LONG)
		return error_set(ERR_INPUT,
		                 "the command \"%s\" replied with a line of more than %d bytes%s%s",
		                 c->line, PROGRAM_LINE_MAX, log, where);
	if (result == TALK_EXTRA)
		return error_set(
		        ERR_INPUT,
		        "the command \"%s\" must write exactly one line for each line that "
		        "it reads%s%s",
		        c->line, log, where);
	if (WIFSIGNALED(status))
		return error_set(ERR_INPUT, "the command \"%s\" was killed by signal %d%s%s",
		                 c->line, WTERMSIG(status), log, where);
	return error_set(ERR_INPUT, "the command \"%s\" ended with status %d%s%s", c->line,
	                 WEXITSTATUS(status), log, where);
}

struct program_question {
	const char     *text; /* [n] */
	size_t          n;
	program_accept *accept;
	void           *context;
};

/* Tries once. *again: another try may help, because the program was not fresh. */
static int try_once(struct program *c, struct worker *w, const struct program_question *q,
                    int *again)
{
	enum talk result;
	double    seconds;
	int       was_fresh, status;

	*again = 0;
	if (w->pid && is_off_the_line(w))
		stop(w, 0);
	if (!w->pid)
		TRY(program_start(c, w));
	was_fresh = w->fresh;
	seconds = c->timeout + (was_fresh ? c->startup : 0);
	result = converse_quietly(c, w, q->text, q->n, seconds);
	w->fresh = 0;
	w->late = result == TALK_LATE;
	status = result == TALK_DONE ? q->accept(q->context, w->got.data, w->got.n) : ERR_INPUT;
	if (status != OK && result == TALK_DONE)
		error_context("the command \"%s\"", c->line);
	if (status != ERR_INPUT)
		return status;
	if (result == TALK_MEMORY) {
		status = text_status(&w->got);
		text_free(&w->got);
		stop(w, 0);
		return status;
	}
	*again = !was_fresh && result != TALK_LATE && result != TALK_STOPPED;
	status = stop(w, result == TALK_ENDED ? 200 : 0);
	if (result == TALK_STOPPED)
		return stop_check();
	return result == TALK_DONE ? ERR_INPUT : program_report(c, result, status, seconds);
}

/* ---- the pool ---- */

/* Finds a free worker, preferably one whose process runs. */
static struct worker *free_worker(struct program *c)
{
	struct worker *found = NULL;

	for (int i = 0; i < c->n; i++)
		if (!c->worker[i].busy && (!found || (c->worker[i].pid && !found->pid)))
			found = &c->worker[i];
	return found;
}

static struct worker *program_take(struct program *c)
{
	struct worker *w = NULL;

	pthread_mutex_lock(&c->lock);
	while ((c->alive || c->n_failed < PROGRAM_TRIES) && c->late < PROGRAM_LATE * c->n &&
	       !(w = free_worker(c)))
		pthread_cond_wait(&c->freed, &c->lock);
	if (w)
		w->busy = 1;
	else
		error_set(ERR_FAILED, "%s; it will not be asked again", c->why);
	pthread_mutex_unlock(&c->lock);
	return w;
}

/* OK, or the program's own {"error"} (ERR_FAILED), shows that it works. A lack of memory in hone is
 * not its fault. */
static void give_back(struct program *c, struct worker *w, int status)
{
	pthread_mutex_lock(&c->lock);
	w->busy = 0;
	c->alive |= status != ERR_INPUT;
	c->late = status == ERR_INPUT && w->late ? c->late + 1 : 0;
	if (status != OK && status != ERR_MEMORY) {
		c->n_failed++;
		snprintf(c->why, sizeof c->why, "%s", error_message());
	}
	pthread_cond_broadcast(&c->freed);
	pthread_mutex_unlock(&c->lock);
}

int program_ask(struct program *c, const char *question, size_t n, program_accept *accept,
                void *context)
{
	const struct program_question q = {question, n, accept, context};
	struct worker                *w = program_take(c);
	int                           again, status;

	if (!w)
		return ERR_FAILED;
	status = try_once(c, w, &q, &again);
	if (status != OK && again)
		status = try_once(c, w, &q, &again);
	give_back(c, w, status);
	return status == OK || status == ERR_MEMORY ? status : ERR_FAILED;
}

int program_reward(const json_t *reply, int required, double *out)
{
	static const char place[] = "its reply";
	const json_t     *v = json_object_get(reply, "reward");

	*out = json_is_true(v);
	if (json_is_null(v))
		return error_set(ERR_FAILED, "%s: \"reward\" is null: no verdict", place);
	if (!json_is_boolean(v))
		TRY(json_get_real(place, reply, "reward", required, out));
	if (fabs(*out) > PROGRAM_REWARD_MAX)
		return error_set(ERR_FAILED,
		                 "%s: the reward %g is beyond +-%g: no verdict; scale the rewards",
		                 place, *out, (double)PROGRAM_REWARD_MAX);
	return OK;
}

long program_failures(struct program *c, char why[PROGRAM_WHY_MAX])
{
	long n;

	pthread_mutex_lock(&c->lock);
	n = c->n_failed;
	memcpy(why, c->why, sizeof c->why);
	pthread_mutex_unlock(&c->lock);
	return n;
}
