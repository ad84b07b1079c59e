#include "base/file.h"
#include "base/terminal.h"
#include "cli/help.h"
#include "rl/job_config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Letters of both outside the beginning and the end that they share: enough to name the word that
 * was meant. */
static size_t difference(const char *a, size_t n_a, const char *b, size_t n_b)
{
	size_t both = n_a < n_b ? n_a : n_b, first = 0, last = 0;

	while (first < both && a[first] == b[first])
		first++;
	while (last < both - first && a[n_a - 1 - last] == b[n_b - 1 - last])
		last++;
	return n_a + n_b - 2 * (first + last);
}

static int options_unknown(const char *argument, const struct option_word *words, int n_words)
{
	const struct option_word *best = &option_word_help;
	size_t                    n = strcspn(argument, "="),
	       least = difference(argument, n, best->name, option_word_length(best));

	for (int i = 0; i < n_words; i++) {
		size_t d = difference(argument, n, words[i].name, option_word_length(&words[i]));
		if (d < least) {
			least = d;
			best = &words[i];
		}
	}
	return error_set(ERR_INPUT, "unknown option %.*s; did you mean %.*s?", (int)n, argument,
	                 (int)option_word_length(best), best->name);
}

int options_usage(const struct command *self)
{
	return error_set(ERR_INPUT, "usage: hone %s %s; hone %s --help lists its options",
	                 self->name, self->arguments, self->name);
}

/* ---- the words ---- */

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
		return error_set(ERR_INPUT, "%.*s wants a whole number from 0 on, not \"%s\"",
		                 (int)option_word_length(w), w->name, value);
	*w->number = (int)n;
	return OK;
}

int options_read(const struct command *self, int argc, char **argv, const struct option_word *words,
                 int n_words, int *n_positional)
{
	struct help_page page = {self, words, n_words, HELP_TEXT, NULL};

	*n_positional = 0;
	if (help_is_asked(argc, argv, &page))
		return help_print(&page);
	for (int i = 0; i < argc; i++) {
		const struct option_word *w = option_word_find(argv[i], words, n_words);
		const char               *value = strchr(argv[i], '=');
		if (strncmp(argv[i], "--", 2)) {
			/* the options before it have been read: their places are free */
			char *t = argv[i];
			argv[i] = argv[*n_positional];
			argv[(*n_positional)++] = t;
			continue;
		}
		if (!w)
			return options_unknown(argv[i], words, n_words);
		if (w->flag) {
			if (value)
				return error_set(ERR_INPUT, "%.*s takes no value",
				                 (int)option_word_length(w), w->name);
			*w->flag = 1;
		} else if (value) {
			TRY(take_value(w, value + 1));
		} else if (i + 1 < argc) {
			TRY(take_value(w, argv[++i]));
		} else {
			return error_set(ERR_INPUT, "%.*s wants a value",
			                 (int)option_word_length(w), w->name);
		}
	}
	return OK;
}

/* ---- words that stand for keys ---- */

const struct option_key options_compute_keys[N_COMPUTE_KEYS] = {
        {"--precision NAME", "compute.precision"},
        {"--head-precision NAME", "compute.head_precision"},
        {"--order NAME", "compute.order"},
        {"--backend NAME", "compute.backend"},
        {"--numerics NAME", "compute.numerics"},
        {"--threads N", "compute.threads"},
};

int options_compute_words(const char **how, struct option_word *words)
{
	for (int i = 0; i < N_COMPUTE_KEYS; i++)
		words[i] = (struct option_word){options_compute_keys[i].option, &how[i], NULL, NULL,
		                                options_compute_keys[i].key};
	return N_COMPUTE_KEYS;
}

/* A config that is empty but for the words: the values go through its tables, whose bounds,
 * conditions and messages are then theirs. */
int options_compute(const struct command *self, const char *const *how, struct compute_options *out)
{
	struct job_config c;
	struct arena      a = {0};
	const char       *overrides[N_COMPUTE_KEYS], *name;
	int               n = 0, status = arena_print(&a, &name, "hone %s", self->name);

	for (int i = 0; status == OK && i < N_COMPUTE_KEYS; i++)
		if (how[i])
			status = arena_print(&a, &overrides[n++], "%s=%s",
			                     options_compute_keys[i].key, how[i]);
	if (status == OK)
		status = job_config_parse(name, "", 0, overrides, n, &c);
	if (status == OK) {
		*out = c.compute;
		config_free(&c.base);
	}
	arena_free(&a);
	return status;
}

int options_dtype(const char *name, enum safetensors_type *out)
{
	static const struct {
		const char           *name;
		enum safetensors_type type;
	} types[] = {
	        {"bf16", SAFETENSORS_BF16}, {"f16", SAFETENSORS_F16}, {"f32", SAFETENSORS_F32}};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		*out = types[i].type;
		if (!strcmp(types[i].name, name))
			return OK;
	}
	return error_set(ERR_INPUT, "--dtype wants bf16, f16 or f32, not \"%s\"", name);
}

int options_real(const char *name, const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return *end || end == text || !(*out >= 0)
	               ? error_set(ERR_INPUT, "%s wants a number from 0 on, not \"%s\"", name, text)
	               : OK;
}

int options_temperature(const char *name, const char *text, double *out)
{
	TRY(options_real(name, text, out));
	return *out <= 1e6 ? OK : error_set(ERR_INPUT, "%s must lie from 0 to 1e6", name);
}

static int options_allow_one(const struct job_config *c, const char *key, const char *command,
                             const char *own, int allowed)
{
	const char *where = config_where(&c->base, key);
	size_t      n = own ? strlen(own) : 0;

	if (!*command || !strcmp(where, "command line") ||
	    (n && !strncmp(where, own, n) && where[n] == ':'))
		return OK;
	if (!allowed)
		return error_set(ERR_INPUT,
		                 "%s sets %s, and you did not name that file: it would run the "
		                 "program\n    %s\nGive --allow-command if you "
		                 "trust it, or set your own with %s=",
		                 where, key, command, key);
	terminal_print(stderr, "%s: runs the program %s\n", where, command);
	return OK;
}

int options_allow_command(const struct job_config *c, const char *own, int allowed)
{
	TRY(options_allow_one(c, "task.verifier.command", c->task.verifier.command.line, own,
	                      allowed));
	return options_allow_one(c, "task.environment.command", c->task.environment.command.line,
	                         own, allowed);
}

void options_say(void *context, const char *text)
{
	(void)context;
	terminal_print(stderr, "%s\n", text);
}

int options_new_folder(const char *folder)
{
	struct arena a = {0};
	const char  *path;
	int          status = file_path(&a, folder, "config.json", &path);

	if (status == OK && file_exists(path))
		status = error_set(ERR_INPUT,
		                   "%s is there already; give another folder, or remove that one",
		                   path);
	arena_free(&a);
	return status;
}
