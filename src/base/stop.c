#include "base/stop.h"

#include "base/error.h"
#include "base/ranks.h"

#include <signal.h>
#include <stdatomic.h>

static volatile sig_atomic_t stop_wanted, stop_holding;
static atomic_int            stop_moved;
static int                   stop_known; /* to all ranks */

void stop_ask(void)
{
	stop_wanted = 1;
}

int stop_asked(void)
{
	return stop_wanted;
}

void stop_agree(void)
{
	stop_known = 1;
	stop_ask();
}

int stop_agreed(void)
{
	return ranks_count() > 1 ? stop_known : stop_asked();
}

void stop_hold(int held)
{
	stop_holding = held;
}

int stop_held(void)
{
	return stop_holding;
}

int stop_now(void)
{
	stop_progress();
	return stop_wanted && !stop_holding;
}

int stop_check(void)
{
	return stop_now() ? error_set(STOPPED, "stopped by a signal") : OK;
}

/* Seldom a write: parallel loops call it often. */
void stop_progress(void)
{
	if (!atomic_load_explicit(&stop_moved, memory_order_relaxed))
		atomic_store_explicit(&stop_moved, 1, memory_order_relaxed);
}

int stop_progressed(void)
{
	return atomic_exchange(&stop_moved, 0);
}

int stop_commit(void)
{
	if (ranks_count() > 1 && !stop_holding) {
		TRY(stop_check());
		TRY(ranks_agree("the first change"));
	}
	stop_hold(1);
	return OK;
}
