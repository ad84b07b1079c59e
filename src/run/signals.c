#include "run/signals.h"

#include "base/ranks.h"
#include "base/stop.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t signals_done;

static const struct caught {
	int         number;
	int         again; /* the same one again ends the process */
	int         keeps_ignored;
	const char *name;
} caught[] = {
        {SIGINT, 1, 1, "interrupted"}, {SIGTERM, 1, 0, "SIGTERM"}, {SIGHUP, 0, 1, "SIGHUP"},
        {SIGUSR1, 0, 0, "SIGUSR1"},    {SIGUSR2, 0, 0, "SIGUSR2"},
};
enum { N_CAUGHT = sizeof caught / sizeof *caught };

static size_t signals_append(char *to, size_t n, const char *text)
{
	memcpy(to + n, text, strlen(text));
	return n + strlen(text);
}

/* Nothing but write: the process may be anywhere. */
static void signals_say(const struct caught *c)
{
	char    line[160], digits[12];
	size_t  n = 0, k = sizeof digits;
	int     step = signals_done + (stop_held() ? 1 : 0);
	ssize_t ignored;

	digits[--k] = 0;
	do
		digits[--k] = (char)('0' + step % 10);
	while ((step /= 10) > 0);
	n = signals_append(line, n, "\n");
	n = signals_append(line, n, c->name);
	n = signals_append(line, n,
	                   stop_held() ? ": finishing and saving step " : ": saving step ");
	n = signals_append(line, n, digits + k);
	n = signals_append(line, n, c->again ? "; again to end at once\n" : "\n");
	ignored = write(STDERR_FILENO, line, n);
	(void)ignored;
}

static void on_signal(int number)
{
	const struct caught *c = caught;

	while (c->number != number)
		c++;
	if (!stop_asked() && ranks_first())
		signals_say(c);
	stop_ask();
	if (c->again)
		signal(number, SIG_DFL);
}

void signals_catch(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;

	for (int i = 0; i < N_CAUGHT; i++)
		if (!caught[i].keeps_ignored || sigaction(caught[i].number, NULL, &before) != 0 ||
		    before.sa_handler != SIG_IGN)
			sigaction(caught[i].number, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void signals_step(int done)
{
	signals_done = done;
}

int signals_stop(void)
{
	return stop_agreed();
}
