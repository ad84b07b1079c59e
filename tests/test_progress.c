/* What a person sees of a run: a bar on a terminal, plain lines elsewhere. */
#include "run/progress.h"

#include "test.h"

#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What five steps and a message look like in `out`. */
static void five_steps(FILE *out, int every)
{
	struct progress p;

	progress_open(&p, out, every, 0);
	for (int step = 1; step <= 5; step++) {
		progress_step(&p, step, 5, "reward 0.500");
		if (step == 3)
			progress_say(&p, "held out: %d%%\n", 40);
	}
	progress_close(&p);
	fflush(out);
}

static void a_file_gets_plain_lines_every_so_many_steps_and_the_last(void **state)
{
	char  text[1000] = {0};
	FILE *f = tmpfile();

	(void)state;
	assert_non_null(f);
	five_steps(f, 2);
	rewind(f);
	assert_true(fread(text, 1, sizeof text - 1, f) > 0);
	fclose(f);
	assert_string_equal(text, "step    2/5  reward 0.500  0:00 left\n"
	                          "held out: 40%\n"
	                          "step    4/5  reward 0.500  0:00 left\n"
	                          "step    5/5  reward 0.500  0:00 left\n");
}

/* Every line that is drawn is shorter than the window, and a message never stands behind a bar. */
static void a_terminal_gets_one_line_that_rewrites_itself_within_the_window(void **state)
{
	const struct winsize size = {.ws_row = 24, .ws_col = 40};
	char                 text[4000] = {0};
	int                  ours, theirs, n = 0, drawn = 0;
	ssize_t              got;
	FILE                *f;

	(void)state;
	assert_int_equal(openpty(&ours, &theirs, NULL, NULL, &size), 0);
	f = fdopen(theirs, "w");
	assert_non_null(f);
	five_steps(f, 1);
	while (!strstr(text, "5/5") &&
	       (got = read(ours, text + n, sizeof text - 1 - (size_t)n)) > 0)
		n += (int)got;
	fclose(f);
	close(ours);
	for (char *line = strstr(text, "\r["); line; line = strstr(line + 1, "\r["), drawn++)
		assert_true(strcspn(line + 1, "\033") <= 39);
	assert_int_equal(drawn, 5);
	assert_non_null(strstr(text, "\r[############........] 3/5  0:00 left  "));
	assert_non_null(strstr(text, "\r\033[Kheld out: 40%"));
}

static void nobody_listening_is_no_error(void **state)
{
	struct progress p;

	(void)state;
	progress_open(&p, NULL, 1, 0);
	progress_step(&p, 1, 2, "");
	progress_say(&p, "nothing\n");
	progress_close(&p);
}

TEST_MAIN(TEST(a_file_gets_plain_lines_every_so_many_steps_and_the_last),
          TEST(a_terminal_gets_one_line_that_rewrites_itself_within_the_window),
          TEST(nobody_listening_is_no_error))
