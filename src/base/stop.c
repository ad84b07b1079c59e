#include "base/stop.h"

#include "base/error.h"

#include <signal.h>

static volatile sig_atomic_t stop_wanted, stop_holding;

void stop_ask(void)
{
	stop_wanted = 1;
}

int stop_asked(void)
{
	return stop_wanted;
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
	return stop_wanted && !stop_holding;
}

int stop_check(void)
{
	return stop_now() ? error_set(STOPPED, "stopped by a signal") : OK;
}
