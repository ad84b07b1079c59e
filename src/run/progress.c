#include "run/progress.h"

#include "base/clock.h"
#include "base/terminal.h"

#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR = 20, WIDTH_MAX = 512, WIDTH_UNKNOWN = 80 };

void progress_open(struct progress *p, FILE *out, int every, int step)
{
	*p = (struct progress){
	        .out = out, .every = every, .first = step, .started = clock_seconds()};
	p->terminal = out && isatty(fileno(out));
}

/* Columns that may be written without the terminal breaking the line. */
static int window_width(FILE *out)
{
	struct winsize w;
	int            columns =
                ioctl(fileno(out), TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : WIDTH_UNKNOWN;

	return columns < WIDTH_MAX ? columns - 1 : WIDTH_MAX - 1;
}

static void progress_draw(struct progress *p, int step, int last, const char *left,
                          const char *text)
{
	char        line[WIDTH_MAX], bar[BAR + 1];
	struct text shown = {0};
	int         done = (int)((long long)BAR * step / (last > 0 ? last : 1));

	memset(bar, '.', BAR);
	memset(bar, '#', (size_t)(done < BAR ? done : BAR));
	bar[BAR] = 0;
	snprintf(line, sizeof line, "[%s] %*d/%d  %s left  %s", bar, snprintf(NULL, 0, "%d", last),
	         step, last, left, text);
	terminal_show(&shown, line, strlen(line));
	fprintf(p->out, "\r%.*s\033[K", window_width(p->out), shown.data ? shown.data : "");
	text_free(&shown);
	p->drawn = 1;
}

void progress_step(struct progress *p, int step, int last, const char *text)
{
	char   left[32];
	double mean = (clock_seconds() - p->started) / (step > p->first ? step - p->first : 1);
	int    seconds = (int)(mean * (last - step) + 0.5);

	if (!p->out)
		return;
	snprintf(left, sizeof left, seconds < 3600 ? "%d:%02d" : "%d:%02d h",
	         seconds < 3600 ? seconds / 60 : seconds / 3600,
	         seconds < 3600 ? seconds % 60 : seconds / 60 % 60);
	if (p->terminal)
		progress_draw(p, step, last, left, text);
	else if (step % p->every == 0 || step == last)
		terminal_print(p->out, "step %4d/%d  %s  %s left\n", step, last, text, left);
	fflush(p->out);
}

void progress_say(struct progress *p, const char *format, ...)
{
	va_list args;

	if (!p->out)
		return;
	if (p->drawn)
		fprintf(p->out, "\r\033[K");
	p->drawn = 0;
	va_start(args, format);
	terminal_vprint(p->out, format, args);
	va_end(args);
	fflush(p->out);
}

void progress_close(struct progress *p)
{
	if (p->drawn)
		fputc('\n', p->out);
	p->drawn = 0;
}
