#include "base/file.h"
#include "base/terminal.h"
#include "cli/command.h"

#include <stdlib.h>
#include <string.h>

/* Letters that differ, counted position by position: enough to name the word that was meant. */
static int difference(const char *a, const char *b)
{
	int n = 0;

	for (; *a && *b; a++, b++)
		n += *a != *b;
	return n + (int)(strlen(a) + strlen(b));
}

static int unknown(const char *word, const struct option_word *words, int n_words)
{
	int best = 0;

	if (n_words == 0)
		return error_set(ERR_INPUT, "unknown option %s; this command has none", word);
	for (int i = 1; i < n_words; i++)
		if (difference(word, words[i].name) < difference(word, words[best].name))
			best = i;
	return error_set(ERR_INPUT, "unknown option %s; did you mean %s?", word, words[best].name);
}

static int take_value(const struct option_word *w, const char *value)
{
	char *end;
	long  n;

	if (w->text) {
		*w->text = value;
		return OK;
	}
	n = strtol(value, &end, 10);
	if (!*value || *end || n < 0 || n > 1000000000)
		return error_set(ERR_INPUT, "%s wants a whole number from 0 on, not \"%s\"", w->name, value);
	*w->number = (int)n;
	return OK;
}

int options_read(int argc, char **argv, const struct option_word *words, int n_words, int *n_positional)
{
	*n_positional = 0;
	for (int i = 0; i < argc; i++) {
		const struct option_word *w = words;
		size_t                    n = strcspn(argv[i], "=");
		if (strncmp(argv[i], "--", 2)) {
			char *t = argv[i]; /* the options before it have been read: their places are free */
			argv[i] = argv[*n_positional];
			argv[(*n_positional)++] = t;
			continue;
		}
		while (w < words + n_words && (strlen(w->name) != n || memcmp(w->name, argv[i], n)))
			w++;
		if (w == words + n_words)
			return unknown(argv[i], words, n_words);
		if (w->flag) {
			if (argv[i][n])
				return error_set(ERR_INPUT, "%s takes no value", w->name);
			*w->flag = 1;
		} else if (argv[i][n]) {
			TRY(take_value(w, argv[i] + n + 1));
		} else if (i + 1 < argc) {
			TRY(take_value(w, argv[++i]));
		} else {
			return error_set(ERR_INPUT, "%s wants a value", w->name);
		}
	}
	return OK;
}

int options_dtype(const char *name, enum safetensors_type *out)
{
	static const struct {
		const char           *name;
		enum safetensors_type type;
	} types[] = {{"bf16", SAFETENSORS_BF16}, {"f16", SAFETENSORS_F16}, {"f32", SAFETENSORS_F32}};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		*out = types[i].type;
		if (!strcmp(types[i].name, name))
			return OK;
	}
	return error_set(ERR_INPUT, "--dtype wants bf16, f16 or f32, not \"%s\"", name);
}

int options_allow_command(const struct config *c, const char *own, int allowed)
{
	static const char key[] = "task.verifier.command";
	const char       *where = config_where(c, key), *command = c->task.verifier.command;
	size_t            n = own ? strlen(own) : 0;

	if (!*command || !strcmp(where, "command line") || (n && !strncmp(where, own, n) && where[n] == ':'))
		return OK;
	if (!allowed)
		return error_set(
		        ERR_INPUT,
		        "%s sets %s, and you did not name that file: it would run the program\n    %s\nGive --allow-command if you "
		        "trust it, or set your own with %s=",
		        where, key, command, key);
	terminal_print(stderr, "%s: runs the program %s\n", where, command);
	return OK;
}

void options_say(void *context, const char *text)
{
	(void)context;
	terminal_print(stderr, "%s\n", text);
}

int options_new_folder(const char *folder)
{
	struct arena a = {0};
	const char  *path = file_join(&a, folder, "config.json");
	int          status = path ? OK : ERR_INPUT;

	if (path && file_exists(path))
		status = error_set(ERR_INPUT, "%s is there already; give another folder, or remove that one", path);
	arena_free(&a);
	return status;
}
