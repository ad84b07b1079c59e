#include "run/watchdog.h"

#include "base/error.h"
#include "base/ranks.h"
#include "base/stop.h"
#include "run/stack.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* looks within the time, and the longest between two; what ends a watchdog that hangs in turn */
enum { LOOKS = 16, LOOK_MAX_MS = 5000, ALARM = 30, STACK_KIB = 256 };

static const char *const phase_name[] = {
        [WATCHDOG_OPENING] = "opening",  [WATCHDOG_SAMPLING] = "sampling",
        [WATCHDOG_JUDGING] = "judging",  [WATCHDOG_UPDATE] = "update",
        [WATCHDOG_SAVING] = "saving",    [WATCHDOG_EVALUATION] = "evaluation",
        [WATCHDOG_REPORT] = "the report"};

struct watchdog_seen { /* of a rank */
	struct ranks_pulse pulse;
	int                since; /* looks since a new one came */
	int                ended; /* by us */
};

static struct {
	pthread_t             thread;
	pthread_mutex_t       lock; /* for running, seconds */
	pthread_cond_t        changed;
	int                   running, seconds;
	atomic_int            phase;
	int                   quiet; /* looks since the last progress of this rank */
	int                   said;  /* that it waits */
	unsigned              moves; /* of ranks_moves, at the last look */
	uint16_t              count;
	struct arena          arena;
	struct ranks_pulse   *pulses; /* [count of ranks] */
	struct watchdog_seen *seen;   /* [count of ranks] */
} dog = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int watchdog_look_ms(void)
{
	int ms = (dog.seconds * 1000 + LOOKS - 1) / LOOKS;

	return ms < LOOK_MAX_MS ? ms : LOOK_MAX_MS;
}

static int watchdog_looks(void)
{
	return (dog.seconds * 1000 + watchdog_look_ms() - 1) / watchdog_look_ms();
}

static int watchdog_seconds_of(int looks)
{
	return (int)(((long)looks * watchdog_look_ms() + 500) / 1000);
}

/* ---- what is said ---- */

enum { WATCHDOG_NAME = 96 };

/* "rank 2 on b", or of a job of one process "hone". */
static const char *watchdog_name(int rank, char name[WATCHDOG_NAME])
{
	if (ranks_count() == 1)
		snprintf(name, WATCHDOG_NAME, "hone");
	else
		ranks_name_into(rank, name, WATCHDOG_NAME);
	return name;
}

static const char *watchdog_phase_of(int rank)
{
	unsigned phase = rank == ranks_number() ? (unsigned)dog.phase : dog.seen[rank].pulse.phase;

	return phase < sizeof phase_name / sizeof *phase_name ? phase_name[phase] : "?";
}

static const char after[] = "the last checkpoint is whole: go on from it with --resume";

/* Ends this process, by status 1, and with it all ranks. */
static void watchdog_end(void)
{
	dprintf(STDERR_FILENO, "hone ends; %s\n", after);
	ranks_end(ranks_number());
	_exit(1);
}

static void watchdog_own_hang(void)
{
	char name[WATCHDOG_NAME];

	alarm(ALARM);
	dprintf(STDERR_FILENO,
	        "\n%s hangs in %s: no progress for %d s (run.watchdog_seconds); its stacks:\n",
	        watchdog_name(ranks_number(), name), watchdog_phase_of(ranks_number()),
	        watchdog_seconds_of(dog.quiet));
	stack_print(STDERR_FILENO);
	watchdog_end();
}

static void watchdog_all_wait(void)
{
	char name[WATCHDOG_NAME], other[WATCHDOG_NAME];

	alarm(ALARM);
	dprintf(STDERR_FILENO, "\nall ranks wait for each other (run.watchdog_seconds):\n");
	for (int r = 0; r < ranks_count(); r++)
		dprintf(STDERR_FILENO, "  %s, in %s, for %s\n", watchdog_name(r, name),
		        watchdog_phase_of(r), watchdog_name(dog.seen[r].pulse.waits_for, other));
	stack_print(STDERR_FILENO);
	watchdog_end();
}

static void watchdog_silent(int rank)
{
	char        name[WATCHDOG_NAME], other[WATCHDOG_NAME];
	const char *at = ranks_waits_at();

	dprintf(STDERR_FILENO,
	        "\n%s gives no sign of life for %d s (run.watchdog_seconds); the last was from %s; "
	        "its "
	        "process is stopped, or its machine is off or cut off. %s ",
	        watchdog_name(rank, name), watchdog_seconds_of(dog.seen[rank].since),
	        watchdog_phase_of(rank), watchdog_name(ranks_number(), other));
	if (ranks_waits_for() == rank && at)
		dprintf(STDERR_FILENO, "waits for it at \"%s\", ", at);
	dprintf(STDERR_FILENO, "in %s, and ends it; %s\n", watchdog_phase_of(ranks_number()),
	        after);
	dog.seen[rank].ended = 1;
	ranks_end(rank);
}

static void watchdog_say_wait(int rank)
{
	char        name[WATCHDOG_NAME], other[WATCHDOG_NAME];
	const char *at = ranks_waits_at();

	dprintf(STDERR_FILENO, "%s has waited %d s at \"%s\" for %s, which is in %s\n",
	        watchdog_name(ranks_number(), name), watchdog_seconds_of(dog.quiet), at ? at : "?",
	        watchdog_name(rank, other), watchdog_phase_of(rank));
	dog.said = 1;
}

/* ---- looking ---- */

/* Gives this rank's sign of life, takes the others'. */
static void watchdog_swap_pulses(int waits_for)
{
	int                me = ranks_number();
	struct ranks_pulse mine = {.count = ++dog.count,
	                           .quiet = (uint16_t)dog.quiet,
	                           .waits_for = (int16_t)waits_for,
	                           .phase = (uint16_t)dog.phase};

	ranks_pulse(&mine, dog.pulses);
	for (int r = 0; r < ranks_count(); r++) {
		int fresh = dog.pulses[r].count != dog.seen[r].pulse.count;
		dog.seen[r].since = fresh ? 0 : dog.seen[r].since + 1;
		dog.seen[r].pulse = dog.pulses[r];
	}
	dog.seen[me] = (struct watchdog_seen){.pulse = mine};
}

static int watchdog_is_silent(int rank)
{
	return dog.seen[rank].since >= watchdog_looks();
}

/* Of those that live, the lowest speaks. */
static void watchdog_look_at_others(int waits_for)
{
	int me = ranks_number(), lowest = 0, waiting = 0, lowest_waiting = -1;

	while (lowest < me && watchdog_is_silent(lowest))
		lowest++;
	for (int r = 0; r < ranks_count(); r++) {
		const struct ranks_pulse *p = &dog.seen[r].pulse;
		if (lowest == me && watchdog_is_silent(r) && !dog.seen[r].ended)
			watchdog_silent(r);
		waiting += p->waits_for >= 0 && p->quiet >= watchdog_looks();
		if (p->waits_for >= 0 && lowest_waiting < 0)
			lowest_waiting = r;
	}
	if (waiting == ranks_count() && me == 0)
		watchdog_all_wait();
	if (lowest_waiting == me && dog.quiet >= watchdog_looks() / 2 && !dog.said)
		watchdog_say_wait(waits_for);
}

static void watchdog_look(void)
{
	int      waits_for = ranks_waits_for();
	unsigned moves = ranks_moves();

	if (stop_progressed() || moves != dog.moves) {
		dog.quiet = 0;
		dog.said = 0;
		dog.moves = moves;
	} else
		dog.quiet++;
	if (dog.quiet >= watchdog_looks() && waits_for < 0)
		watchdog_own_hang();
	if (ranks_count() == 1)
		return;
	watchdog_swap_pulses(waits_for);
	if (dog.pulses[ranks_number()].count) /* there are such signs */
		watchdog_look_at_others(waits_for);
}

/* The time of the next look. */
static struct timespec watchdog_next(void)
{
	struct timespec t;
	long            ns;

	clock_gettime(CLOCK_REALTIME, &t);
	ns = t.tv_nsec + watchdog_look_ms() % 1000 * 1000000L;
	t.tv_sec += watchdog_look_ms() / 1000 + ns / 1000000000L;
	t.tv_nsec = ns % 1000000000L;
	return t;
}

static void *watchdog_run(void *context)
{
	(void)context;
	pthread_mutex_lock(&dog.lock);
	while (dog.running) {
		if (dog.seconds == 0) {
			pthread_cond_wait(&dog.changed, &dog.lock);
			continue;
		}
		struct timespec next = watchdog_next();
		if (pthread_cond_timedwait(&dog.changed, &dog.lock, &next) != 0)
			watchdog_look();
	}
	pthread_mutex_unlock(&dog.lock);
	return NULL;
}

/* ---- starting and stopping ---- */

/* Signals go to the other threads. */
static int watchdog_thread(void)
{
	pthread_attr_t how;
	sigset_t       all, before;
	int            code;

	sigfillset(&all);
	pthread_attr_init(&how);
	pthread_attr_setstacksize(&how, STACK_KIB << 10);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	code = pthread_create(&dog.thread, &how, watchdog_run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&how);
	return code;
}

int watchdog_start(void)
{
	size_t n = (size_t)ranks_count();
	int    code;

	TRY(arena_take(&dog.arena, n, "the signs of life", &dog.pulses));
	TRY(arena_take(&dog.arena, n, "the signs of life", &dog.seen));
	stack_prepare();
	dog.phase = WATCHDOG_OPENING;
	dog.seconds = dog.quiet = dog.said = 0;
	dog.running = 1;
	code = watchdog_thread();
	if (code == 0)
		return OK;
	dog.running = 0;
	arena_free(&dog.arena);
	return error_set(ERR_INPUT, "the watchdog's thread cannot be started: %s", strerror(code));
}

void watchdog_stop(void)
{
	if (!dog.running)
		return;
	pthread_mutex_lock(&dog.lock);
	dog.running = 0;
	pthread_cond_signal(&dog.changed);
	pthread_mutex_unlock(&dog.lock);
	pthread_join(dog.thread, NULL);
	arena_free(&dog.arena);
}

void watchdog_limit(int seconds)
{
	pthread_mutex_lock(&dog.lock);
	dog.seconds = seconds;
	pthread_cond_signal(&dog.changed);
	pthread_mutex_unlock(&dog.lock);
}

void watchdog_phase(enum watchdog_phase p)
{
	dog.phase = (int)p;
	stop_progress();
}
