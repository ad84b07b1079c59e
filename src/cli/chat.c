/* hone chat MODEL [--with MODEL2]: a conversation, line by line. A line is a message, or a command
 * such as /reset; a line that begins with "//" is a message that begins with "/".
 *
 * Replies go to standard output as their tokens come, everything else to standard error. With a
 * second model both get the same messages and answer with the same random numbers: side by side on
 * a terminal that is wide enough, else one after the other, each under its name. */
#include "base/terminal.h"
#include "cli/columns.h"
#include "cli/command.h"
#include "cli/talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct session {
	struct talk talk[2];
	const char *name[2];
	int         n; /* models: 1 or 2 */
	int         is_terminal, is_over;
};

/* ---- commands ---- */

struct session_word {
	const char *name, *argument, *help;
	int (*run)(struct session *s, const char *argument);
};
static const struct session_word session_words[];

static int session_system(struct session *s, const char *text)
{
	for (int i = 0; i < s->n; i++)
		TRY(talk_system(&s->talk[i], text));
	return OK;
}

static int session_temp(struct session *s, const char *text)
{
	double t;

	TRY(options_temperature("/temp", text, &t));
	for (int i = 0; i < s->n; i++)
		s->talk[i].sampling.temperature = generation_temperature(t);
	return OK;
}

/* One row of JSON for each model: {"model": NAME, "messages": [...]}. */
static int session_save(struct session *s, const char *path)
{
	struct text rows = {0};
	int         status;

	if (!*path)
		return error_set(ERR_INPUT, "/save wants the name of a file");
	for (int i = 0; i < s->n; i++) {
		char *messages = json_dumps(s->talk[i].messages, 0);
		if (!messages)
			rows.failed = 1;
		text_print(&rows, "{\"model\": ");
		json_add_string(&rows, s->name[i], strlen(s->name[i]));
		text_print(&rows, ", \"messages\": %s}\n", messages ? messages : "");
		free(messages);
	}
	status = text_write(&rows, path);
	text_free(&rows);
	if (status == OK)
		terminal_print(stderr, "saved to %s\n", path);
	return status;
}

static int session_reset(struct session *s, const char *argument)
{
	(void)argument;
	for (int i = 0; i < s->n; i++)
		talk_reset(&s->talk[i]);
	return OK;
}

static int session_quit(struct session *s, const char *argument)
{
	(void)argument;
	s->is_over = 1;
	return OK;
}

static int session_help(struct session *s, const char *argument)
{
	(void)s;
	(void)argument;
	for (const struct session_word *w = session_words; w->name; w++)
		terminal_print(stderr, "  %-8s %-6s %s\n", w->name, w->argument, w->help);
	return OK;
}

static const struct session_word session_words[] = {
        {"/system", "TEXT", "sets the system message; without a text there is none",
         session_system},
        {"/temp", "T", "sets the temperature; 0 is greedy", session_temp},
        {"/save", "FILE", "writes the conversation as a row of JSON", session_save},
        {"/reset", "", "forgets the conversation, but not the system message", session_reset},
        {"/help", "", "lists these commands", session_help},
        {"/quit", "", "ends; so does the end of the input", session_quit},
        {NULL, NULL, NULL, NULL}};

static int session_command(struct session *s, const char *line)
{
	size_t n = strcspn(line, " ");

	for (const struct session_word *w = session_words; w->name; w++)
		if (strlen(w->name) == n && !memcmp(w->name, line, n))
			return w->run(s, line + n + strspn(line + n, " "));
	return error_set(ERR_INPUT,
	                 "there is no command %.*s; /help lists them, and //... sends /...", (int)n,
	                 line);
}

/* ---- replies ---- */

static void session_end_reply(const struct session *s, int i)
{
	if (s->talk[i].cut)
		terminal_print(stderr, "[%s%scut after %zu tokens]\n", s->n > 1 ? s->name[i] : "",
		               s->n > 1 ? ": " : "", s->talk[i].drawn.n);
}

/* The tokens of one reply as they come. */
static int session_stream(struct session *s, int i)
{
	struct talk *t = &s->talk[i];
	size_t       printed = 0;

	if (s->n > 1)
		terminal_print(stdout, "%s:\n", s->name[i]);
	while (!t->over) {
		TRY(talk_step(t));
		if (t->n_shown > printed)
			terminal_write(stdout, t->reply.data + printed, t->n_shown - printed);
		printed = t->n_shown;
		fflush(stdout);
	}
	putchar('\n');
	fflush(stdout);
	session_end_reply(s, i);
	return OK;
}

/* Both replies, a token each in turn. A row appears when it is whole on both sides. */
static int session_columns(struct session *s, int width)
{
	struct columns c = {.width = width};
	size_t         added[2] = {0, 0};
	int            status = OK;

	for (int i = 0; i < 2; i++) {
		columns_add(&c, i, s->name[i], strlen(s->name[i]));
		columns_add(&c, i, "\n", 1);
	}
	while (status == OK && !(s->talk[0].over && s->talk[1].over)) {
		for (int i = 0; i < 2 && status == OK; i++) {
			struct talk *t = &s->talk[i];
			if (t->over)
				continue;
			status = talk_step(t);
			columns_add(&c, i, t->reply.data + added[i], t->n_shown - added[i]);
			added[i] = t->n_shown;
		}
		columns_print(&c, s->talk[0].over && s->talk[1].over);
	}
	if (status == OK && (c.side[0].failed || c.side[1].failed))
		status = error_memory("the columns of the replies");
	columns_free(&c);
	for (int i = 0; i < 2 && status == OK; i++)
		session_end_reply(s, i);
	return status;
}

/* A message that one of the models cannot take is taken back from the other. */
static int session_ask(struct session *s, const char *text)
{
	int width;

	for (int i = 0; i < s->n; i++) {
		int status = talk_ask(&s->talk[i], text);
		if (status != OK) {
			if (i)
				talk_take_back(&s->talk[0]);
			return s->n > 1 ? error_context("%s", s->name[i]) : status;
		}
	}
	width = s->n > 1 ? columns_width() : 0;
	if (width)
		return session_columns(s, width);
	for (int i = 0; i < s->n; i++)
		TRY(session_stream(s, i));
	return OK;
}

/* ---- lines ---- */

static int session_line(struct session *s, char *line, size_t n)
{
	while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = 0;
	if (strlen(line) != n)
		return error_set(ERR_INPUT, "the line has a NUL byte");
	if (!n)
		return OK;
	if (line[0] == '/' && line[1] != '/')
		return session_command(s, line);
	return session_ask(s, line[0] == '/' ? line + 1 : line);
}

/* Whoever sits at a terminal reads what was wrong and goes on; a script ends with the error. */
static int session_run(struct session *s)
{
	char   *line = NULL;
	size_t  room = 0;
	ssize_t n;
	int     status = OK;

	while (status == OK && !s->is_over) {
		if (s->is_terminal) {
			fputs("> ", stdout);
			fflush(stdout);
		}
		n = getline(&line, &room, stdin);
		if (n < 0)
			break;
		status = session_line(s, line, (size_t)n);
		if (status == ERR_INPUT && s->is_terminal) {
			terminal_print(stderr, "%s\n", error_message());
			status = OK;
		}
	}
	if (s->is_terminal && !s->is_over)
		putchar('\n');
	free(line);
	return status;
}

static int session_open(struct session *s, const struct talk_options *o, const char *temperature,
                        const char *system)
{
	for (int i = 0; i < s->n; i++) {
		TRY(talk_open(s->name[i], o, &s->talk[i]));
		opened_cautions(&s->talk[i].like, &s->talk[i].sampling, 1);
	}
	if (temperature)
		TRY(session_temp(s, temperature));
	if (system && session_system(s, system) != OK)
		return error_context("--system");
	if (s->is_terminal)
		terminal_print(stderr, "/help lists the commands.\n");
	return OK;
}

int command_chat(const struct command *self, int argc, char **argv)
{
	struct session         s = {.n = 1};
	struct compute_options compute;
	struct talk_options    o = {.compute = &compute, .max_tokens = 512, .context = 4096};
	const char *with = NULL, *system = NULL, *temperature = NULL, *how[N_COMPUTE_KEYS] = {NULL};
	int         n, status, n_words = 7;
	struct option_word words[7 + N_COMPUTE_KEYS] = {
	        {"--with MODEL", &with, NULL, NULL, "a second model that gets the same messages"},
	        {"--system TEXT", &system, NULL, NULL, "the system message"},
	        {"--temperature T", &temperature, NULL, NULL,
	         "0: greedy; not given: as the model's generation_config.json says"},
	        {"--max-tokens N", NULL, &o.max_tokens, NULL, "tokens of a reply"},
	        {"--context N", NULL, &o.context, NULL, "tokens of the whole conversation"},
	        {"--seed S", NULL, &o.seed, NULL, "run.seed"},
	        {"--base FOLDER", &o.base, NULL, NULL,
	         "where the model of an adapter lies, when adapter_config.json does not say"}};

	n_words += options_compute_words(how, words + n_words);
	TRY(options_read(self, argc, argv, words, n_words, &n));
	if (n != 1)
		return options_usage(self);
	if (o.max_tokens < 1 || o.context < 2)
		return error_set(ERR_INPUT,
		                 "--max-tokens must be at least 1, --context at least 2");
	TRY(options_compute(self, how, &compute));
	s.name[0] = argv[0];
	s.name[1] = with;
	s.n = with ? 2 : 1;
	s.is_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	status = session_open(&s, &o, temperature, system);
	if (status == OK)
		status = session_run(&s);
	for (int i = 0; i < s.n; i++)
		talk_close(&s.talk[i]);
	return status;
}
