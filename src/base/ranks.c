#include "base/ranks.h"

#include "base/error.h"
#include "base/file.h"
#include "base/fingerprint.h"
#include "base/ranks_link.h"
#include "base/stop.h"
#include "base/version.h"

#include <assert.h>
#include <dlfcn.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ranks_member { /* what each rank says of itself when they meet */
	char     node[64];
	uint64_t program; /* version and commit */
	uint64_t cores;   /* those that it may use */
};

static struct {
	struct ranks_link    link;
	struct ranks_member *members; /* [count]; NULL: this process is alone */
	struct arena         arena;
	int                  lost;   /* a rank that is there no more, or -1 */
	int                  broken; /* the link failed */
	/* the last call returned STOPPED on every rank, and they unwind to the end of the piece */
	int stopping;
	/* an error that every rank has: the end of the job, and nothing is sent any more; its
	 * message */
	int                   over;
	char                  why[4200];
	_Atomic(const char *) at; /* `what` of the last call */
} ranks = {.link = {.count = 1}, .lost = -1};

int ranks_number(void)
{
	return ranks.link.number;
}

int ranks_count(void)
{
	return ranks.link.count;
}

int ranks_first(void)
{
	return ranks.link.number == 0;
}

int ranks_speaks(void)
{
	return ranks.link.number == (ranks.lost == 0);
}

void ranks_name_into(int rank, char *out, size_t n)
{
	if (ranks.members && *ranks.members[rank].node)
		snprintf(out, n, "rank %d on %s", rank, ranks.members[rank].node);
	else
		snprintf(out, n, "rank %d", rank);
}

const char *ranks_name(int rank)
{
	static char name[96];

	ranks_name_into(rank, name, sizeof name);
	return name;
}

static int ranks_alike(int same_cores)
{
	const struct ranks_member *m = ranks.members;
	int                        n = 0, me = ranks.link.number;

	for (int r = 0; m && r < ranks.link.count; r++)
		n += !strcmp(m[r].node, m[me].node) && (!same_cores || m[r].cores == m[me].cores);
	return m ? n : 1;
}

int ranks_here(void)
{
	return ranks_alike(0);
}

int ranks_sharing_cores(void)
{
	return ranks_alike(1);
}

/* ---- one call: heads first, then what was to be sent ---- */

enum { WHAT_MAX = 48 };

struct ranks_head { /* of what follows it */
	char     what[WHAT_MAX];
	int32_t  status, stop;   /* of the sender; it was asked to stop */
	uint64_t n_text, n_data; /* bytes of its message; for the receiver */
};

struct ranks_call {
	const char         *what;
	struct arena        arena;
	struct ranks_head  *mine, *theirs; /* [count] */
	struct ranks_piece *out, *in;      /* [count] of the swap at hand */
};

static int ranks_break(const char *what, const char *why, int lost)
{
	ranks.broken = 1;
	ranks.lost = lost;
	ranks.over = ERR_FAILED;
	if (lost >= 0)
		snprintf(ranks.why, sizeof ranks.why,
		         "%s is lost: %s, while the others were at \"%s\"; the last checkpoint is "
		         "whole: go on from it with --resume, on any number of ranks",
		         ranks_name(lost), why, what);
	else
		snprintf(ranks.why, sizeof ranks.why,
		         "the ranks cannot reach each other at \"%s\": %s", what, why);
	return error_set(ranks.over, "%s", ranks.why);
}

static int ranks_swap(const struct ranks_call *c, const struct ranks_piece *out,
                      const struct ranks_piece *in)
{
	int         lost = -1;
	const char *why;

	ranks.at = c->what;
	why = ranks.link.swap(out, in, &lost);
	stop_progress();
	return why ? ranks_break(c->what, why, lost) : OK;
}

static int ranks_take_call(struct ranks_call *c)
{
	size_t n = (size_t)ranks.link.count;

	TRY(arena_take(&c->arena, n, "the heads of messages", &c->mine));
	TRY(arena_take(&c->arena, n, "the heads of messages", &c->theirs));
	TRY(arena_take(&c->arena, n, "messages", &c->out));
	return arena_take(&c->arena, n, "messages", &c->in);
}

/* Tells every rank how this one is, and how much it will get; hears the same. */
static int ranks_swap_heads(struct ranks_call *c, int status, const char *text,
                            const struct ranks_piece *out)
{
	for (int r = 0; r < ranks.link.count; r++) {
		c->mine[r] = (struct ranks_head){.status = status,
		                                 .stop = stop_asked(),
		                                 .n_text = strlen(text),
		                                 .n_data = out ? out[r].n : 0};
		snprintf(c->mine[r].what, WHAT_MAX, "%s", c->what);
		c->out[r] = (struct ranks_piece){&c->mine[r], sizeof c->mine[r]};
		c->in[r] = (struct ranks_piece){&c->theirs[r], sizeof c->theirs[r]};
	}
	c->theirs[ranks.link.number] = c->mine[ranks.link.number];
	return ranks_swap(c, c->out, c->in);
}

/* Whose status is that of all: the lowest rank with an error, else one that stops, else -1. */
static int ranks_who_decides(const struct ranks_call *c)
{
	int stopped = -1;

	for (int r = ranks.link.count - 1; r >= 0; r--)
		stopped = c->theirs[r].status == STOPPED ? r : stopped;
	for (int r = 0; r < ranks.link.count; r++)
		if (c->theirs[r].status != OK && c->theirs[r].status != STOPPED)
			return r;
	return stopped;
}

/* Somebody cannot go on: all hear why, and return that. */
static int ranks_give_up(struct ranks_call *c, int who, const char *text)
{
	int me = ranks.link.number;

	for (int r = 0; r < ranks.link.count; r++) {
		c->out[r] = (struct ranks_piece){(void *)(uintptr_t)text, strlen(text)};
		c->in[r].n = c->theirs[r].n_text;
		TRY(arena_take(&c->arena, c->in[r].n + 1, "a message", (char **)&c->in[r].data));
	}
	TRY(ranks_swap(c, c->out, c->in));
	if (c->theirs[who].status == STOPPED) {
		ranks.stopping = 1;
		return error_set(STOPPED, "stopped by a signal");
	}
	ranks.over = c->theirs[who].status;
	if (who == 0 || who == me)
		snprintf(ranks.why, sizeof ranks.why, "%s",
		         who == me ? text : (char *)c->in[who].data);
	else
		snprintf(ranks.why, sizeof ranks.why, "%s: %s", ranks_name(who),
		         (char *)c->in[who].data);
	return error_set(ranks.over, "%s", ranks.why);
}

/* Every rank must be in the same call, with data of the size that the other expects. */
static int ranks_check_heads(const struct ranks_call *c, const struct ranks_piece *in)
{
	for (int r = 0; r < ranks.link.count; r++) {
		if (strcmp(c->theirs[r].what, c->mine[0].what) != 0)
			return ranks_break(c->what, c->theirs[r].what, -1);
		if (in && in[r].n != c->theirs[r].n_data)
			return ranks_break(c->what, "a message is not as long as it should be", -1);
	}
	return OK;
}

static int ranks_greet(struct ranks_call *c, int status, const struct ranks_piece *out)
{
	char text[4096] = "";
	int  who, stop = 0;

	assert(!ranks.stopping);
	if (ranks.over)
		return error_set(ranks.over, "%s", ranks.why);
	if (status != OK)
		snprintf(text, sizeof text, "%s", error_message());
	TRY(ranks_take_call(c));
	TRY(ranks_swap_heads(c, status, text, out));
	for (int r = 0; r < ranks.link.count; r++)
		stop |= c->theirs[r].stop;
	if (stop)
		stop_agree();
	who = ranks_who_decides(c);
	return who < 0 ? OK : ranks_give_up(c, who, text);
}

static void ranks_keep_own(const struct ranks_piece *out, const struct ranks_piece *in)
{
	if (in[0].n)
		memcpy(in[0].data, out[0].data, in[0].n);
}

/* ---- the calls ---- */

int ranks_together(const char *what, int status)
{
	struct ranks_call c = {.what = what};
	int               known = ranks.stopping || ranks.over; /* to all others, what status is */

	ranks.stopping = 0;
	if (ranks.link.count == 1 || (known && status != OK))
		return status;
	status = ranks_greet(&c, status, NULL);
	if (status == OK)
		status = ranks_check_heads(&c, NULL);
	arena_free(&c.arena);
	ranks.stopping = 0;
	return status;
}

int ranks_agree(const char *what)
{
	struct ranks_call c = {.what = what};
	int               status = OK;

	if (ranks.link.count > 1)
		status = ranks_greet(&c, OK, NULL);
	if (ranks.link.count > 1 && status == OK)
		status = ranks_check_heads(&c, NULL);
	arena_free(&c.arena);
	return status;
}

static int ranks_exchange_call(struct ranks_call *c, const struct ranks_piece *out,
                               const struct ranks_piece *in)
{
	int me = ranks.link.number;

	if (ranks.link.count > 1) {
		TRY(ranks_greet(c, OK, out));
		TRY(ranks_check_heads(c, in));
		TRY(ranks_swap(c, out, in));
	}
	ranks_keep_own(out + me, in + me);
	return OK;
}

int ranks_exchange(const char *what, const struct ranks_piece *out, const struct ranks_piece *in)
{
	struct ranks_call c = {.what = what};
	int               status = ranks_exchange_call(&c, out, in);

	arena_free(&c.arena);
	return status;
}

static int ranks_gather_call(struct ranks_call *c, const struct ranks_piece *out, struct arena *a,
                             struct ranks_piece *in)
{
	int me = ranks.link.number;

	if (ranks.link.count > 1) {
		TRY(ranks_greet(c, OK, out));
		TRY(ranks_check_heads(c, NULL));
	}
	for (int r = 0; r < ranks.link.count; r++) {
		in[r].n = r == me ? out[me].n : (size_t)c->theirs[r].n_data;
		TRY(arena_take(a, in[r].n, "what a rank gives", (char **)&in[r].data));
	}
	if (ranks.link.count > 1)
		TRY(ranks_swap(c, out, in));
	ranks_keep_own(out + me, in + me);
	return OK;
}

int ranks_gather(const char *what, const void *data, size_t n, struct arena *a,
                 struct ranks_piece *in)
{
	struct ranks_call   c = {.what = what};
	struct ranks_piece *out;
	int status = arena_take(&c.arena, (size_t)ranks.link.count, "what a rank gives", &out);

	for (int r = 0; status == OK && r < ranks.link.count; r++)
		out[r] = (struct ranks_piece){(void *)(uintptr_t)data, n};
	if (status == OK)
		status = ranks_gather_call(&c, out, a, in);
	arena_free(&c.arena);
	return status;
}

/* ---- signs of life ---- */

int ranks_waits_for(void)
{
	return ranks.link.wait ? ranks.link.wait->rank : -1;
}

const char *ranks_waits_at(void)
{
	return ranks.at;
}

unsigned ranks_moves(void)
{
	return ranks.link.wait ? ranks.link.wait->moves : 0;
}

void ranks_pulse(const struct ranks_pulse *mine, struct ranks_pulse *all)
{
	if (ranks.link.pulse)
		ranks.link.pulse(mine, all);
}

void ranks_end(int rank)
{
	if (ranks.link.end)
		ranks.link.end(rank);
}

/* ---- opening ---- */

/* Set by a launcher in each process that it starts: Open MPI; MPICH, Intel MPI and Slurm's PMI-2;
 * PMIx. */
static const char *const launcher_variables[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"};

static const char *ranks_launcher(void)
{
	for (size_t i = 0; i < sizeof launcher_variables / sizeof *launcher_variables; i++)
		if (getenv(launcher_variables[i]))
			return launcher_variables[i];
	return NULL;
}

/* The module stands beside the program, or where make install puts it. */
static void *ranks_module(void)
{
	static const char *const places[] = {"%s/hone-mpi.so", "%s/../lib/hone/hone-mpi.so"};
	char                     self[FILE_PATH_MAX], path[FILE_PATH_MAX + 64];
	ssize_t                  n = readlink("/proc/self/exe", self, sizeof self - 1);
	void                    *module = NULL;

	self[n > 0 ? n : 0] = 0;
	if (strrchr(self, '/'))
		*strrchr(self, '/') = 0;
	for (size_t i = 0; !module && i < sizeof places / sizeof *places; i++) {
		snprintf(path, sizeof path, places[i], self);
		if (file_exists(path))
			module = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
	}
	return module;
}

static int ranks_open_launched(const char *variable)
{
	void *module = ranks_module(), *symbol = module ? dlsym(module, RANKS_MPI_OPEN) : NULL;
	const char        *why;
	ranks_module_open *open;

	if (!symbol) {
		why = dlerror();
		return error_set(
		        ERR_INPUT,
		        "a launcher started this process (%s is set), but this hone has no MPI: "
		        "%s; "
		        "build it where mpicc is (Debian: libopenmpi-dev), or start ranks of one "
		        "machine with --ranks",
		        variable, why ? why : "hone-mpi.so is not beside it");
	}
	memcpy(&open, &symbol, sizeof open);
	why = open(&ranks.link);
	return why ? error_set(ERR_FAILED, "MPI: %s", why) : OK;
}

/* Slurm starts copies that know nothing of each other where its MPI plugin is not asked for. */
static int ranks_check_alone(void)
{
	const char *n = getenv("SLURM_STEP_NUM_TASKS");

	return n && atoi(n) > 1 ? error_set(ERR_INPUT,
	                                    "srun started %s tasks, but without MPI; add "
	                                    "--mpi=pmix (srun --mpi=list shows what there is)",
	                                    n)
	                        : OK;
}

static uint64_t ranks_own_program(void)
{
	return fingerprint_text(fingerprint_text(FINGERPRINT_EMPTY, HONE_VERSION), version_commit);
}

static uint64_t ranks_own_cores(void)
{
	cpu_set_t set;

	memset(&set, 0, sizeof set);
	sched_getaffinity(0, sizeof set, &set);
	return fingerprint_bytes(FINGERPRINT_EMPTY, &set, sizeof set);
}

/* Who is who. A mixed build would compute other bits. */
static int ranks_meet(void)
{
	struct ranks_member  me = {.program = ranks_own_program(), .cores = ranks_own_cores()};
	struct ranks_piece  *in;
	struct ranks_member *members;
	size_t               n = (size_t)ranks.link.count;

	gethostname(me.node, sizeof me.node - 1);
	TRY(arena_take(&ranks.arena, n, "the ranks", &in));
	TRY(arena_take(&ranks.arena, n, "the ranks", &members));
	TRY(ranks_gather("meeting", &me, sizeof me, &ranks.arena, in));
	for (size_t r = 0; r < n; r++) {
		if (in[r].n != sizeof me)
			return error_set(ERR_INPUT, "rank %zu runs another program", r);
		memcpy(&members[r], in[r].data, sizeof me);
	}
	ranks.members = members;
	for (size_t r = 0; r < n; r++)
		if (members[r].program != members[0].program)
			return error_set(ERR_INPUT,
			                 "%s runs another program than rank 0: hone --version must "
			                 "say the same on all",
			                 ranks_name((int)r));
	return OK;
}

static int ranks_open_link(int n, const char *launcher)
{
	const char *why;

	if (launcher)
		return ranks_open_launched(launcher);
	if (n <= 1)
		return ranks_check_alone();
	why = ranks_local_open(n, &ranks.link);
	return why ? error_set(ERR_INPUT, "--ranks %d: %s", n, why) : OK;
}

int ranks_open(int n)
{
	const char *launcher = ranks_launcher();

	if (n > RANKS_LOCAL_MAX)
		return error_set(ERR_INPUT,
		                 "--ranks %d: at most %d on one machine; use mpirun for "
		                 "more",
		                 n, RANKS_LOCAL_MAX);
	if (n > 1 && launcher)
		return error_set(ERR_INPUT,
		                 "--ranks %d: a launcher started this process already (%s is set); "
		                 "leave one of them out",
		                 n, launcher);
	TRY(ranks_open_link(n, launcher));
	return ranks.link.count > 1 ? ranks_meet() : OK;
}

int ranks_close(int status)
{
	status = ranks_together("the end", status);
	if (ranks.link.close)
		ranks.link.close(ranks.broken);
	arena_free(&ranks.arena);
	ranks.members = NULL;
	ranks.link = (struct ranks_link){.number = ranks.link.number, .count = 1};
	return status;
}
