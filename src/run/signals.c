#include "run/signals.h"

#include <signal.h>

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	stop = 1;
	signal(number, SIG_DFL);
}

void signals_catch(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int signals_stop(void)
{
	return stop;
}
