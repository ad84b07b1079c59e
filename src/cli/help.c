#include "cli/help.h"

#include "base/version.h"
#include "run/schema.h"

#include <assert.h>
#include <string.h>

/* ---- what is asked for ---- */

static const char *const help_asks[HELP_FORMS] = {[HELP_TEXT] = "--help",
                                                  [HELP_MAN] = "--help-man",
                                                  [HELP_BASH] = "--help-bash",
                                                  [HELP_ZSH] = "--help-zsh"};

static int help_form_of(const char *argument, enum help_form *out)
{
	for (int f = 0; f < HELP_FORMS; f++)
		if (!strcmp(argument, help_asks[f])) {
			*out = (enum help_form)f;
			return 1;
		}
	*out = HELP_TEXT;
	return !strcmp(argument, "-h");
}

int help_is_asked(int argc, char **argv, struct help_page *page)
{
	for (int i = 0; i < argc; i++) {
		const struct option_word *w = option_word_find(argv[i], page->words, page->n_words);
		if (help_form_of(argv[i], &page->form)) {
			if (page->command->keys == KEYS_LISTED && i + 1 < argc &&
			    argv[i + 1][0] != '-')
				page->mention = argv[i + 1];
			return 1;
		}
		if (!w && !strncmp(argv[i], "--", 2))
			return 0;
		i += w && !w->flag && !strchr(argv[i], '=');
	}
	return 0;
}

/* The help of a word, which may stand in the row of a key. */
static const char *help_of(const struct option_word *w)
{
	int key = schema_find(&job_schema, w->help);

	assert(w->help && *w->help);
	return key < 0 ? w->help : schema_at(&job_schema, key)->help;
}

/* " (4)": what the word is when it is not given. */
static void help_add_default(const struct option_word *w, struct text *t)
{
	if (w->text && *w->text && **w->text)
		text_print(t, " (%s)", *w->text);
	if (w->number && *w->number > 0)
		text_print(t, " (%d)", *w->number);
}

/* ---- for a person ---- */

static void help_text_word(const struct option_word *w, struct text *t)
{
	text_print(t, "  %-28s %s", w->name, help_of(w));
	help_add_default(w, t);
	text_print(t, "\n");
}

static int help_text_mentions(const struct help_page *p, struct text *t)
{
	if (options_help(&job_schema, t, p->mention) > 0)
		return OK;
	return error_set(ERR_INPUT, "no option of a config mentions \"%s\"", p->mention);
}

static int help_text_page(const struct help_page *p, struct text *t)
{
	if (p->mention)
		return help_text_mentions(p, t);
	assert(p->command->example);
	text_print(t, "hone %s %s\n\n%s\n\n", p->command->name, p->command->arguments,
	           p->command->help);
	for (int i = 0; i < p->n_words; i++)
		help_text_word(&p->words[i], t);
	help_text_word(&option_word_help, t);
	text_print(t, "\nExample:\n    %s\n", p->command->example);
	if (p->command->keys == KEYS_NAMED)
		text_print(t, "\nkey=value sets a key of the config for this call; hone train "
		              "--help lists the keys.\n");
	if (p->command->keys == KEYS_LISTED) {
		text_print(t, "\nKeys of a config, which key=value sets for this call; --help "
		              "WORD lists those that mention the word:\n\n");
		options_help(&job_schema, t, NULL);
	}
	return OK;
}

/* ---- for man: roff ---- */

/* A text as roff prints it: a backslash and a dash are written out, and a dot or a quote at the
 * start of a line is no request. */
static void help_roff(const char *s, struct text *t)
{
	if (*s == '.' || *s == '\'')
		text_print(t, "\\&");
	for (; *s; s++)
		if (*s == '\\')
			text_print(t, "\\e");
		else
			text_print(t, *s == '-' ? "\\%c" : "%c", *s);
}

static void help_roff_head(const char *name, const char *help, struct text *t)
{
	text_print(t, ".TH \"");
	for (const char *c = name; *c; c++)
		text_print(t, "%c", *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
	text_print(t, "\" 1 \"\" \"hone %s\" \"hone\"\n.SH NAME\n", HONE_VERSION);
	help_roff(name, t);
	text_print(t, " \\- ");
	help_roff(help, t);
	text_print(t, "\n.SH SYNOPSIS\n");
}

static void help_roff_key(const struct option *o, const char *prefix, struct text *t)
{
	char inner[128];

	text_print(t, ".TP\n.B ");
	help_roff(prefix, t);
	help_roff(o->path, t);
	text_print(t, "\n");
	help_roff(o->help, t);
	text_print(t, " [");
	options_add_values(o, t);
	text_print(t, "]\n");
	snprintf(inner, sizeof inner, "%s%s[].", prefix, o->path);
	for (int i = 0; o->rows && i < o->rows->n; i++)
		help_roff_key(&o->rows->options[i], inner, t);
}

static void help_roff_word(const struct option_word *w, struct text *t)
{
	text_print(t, ".TP\n.B ");
	help_roff(w->name, t);
	text_print(t, "\n");
	help_roff(help_of(w), t);
	help_add_default(w, t);
	text_print(t, "\n");
}

static int help_roff_page(const struct help_page *p, struct text *t)
{
	const struct option *o;
	char                 name[64];

	snprintf(name, sizeof name, "hone-%s", p->command->name);
	help_roff_head(name, p->command->help, t);
	text_print(t, ".B hone %s\n", p->command->name);
	help_roff(p->command->arguments, t);
	text_print(t, "\n.SH OPTIONS\n");
	for (int i = 0; i < p->n_words; i++)
		help_roff_word(&p->words[i], t);
	help_roff_word(&option_word_help, t);
	text_print(t, ".SH EXAMPLE\n.EX\n");
	help_roff(p->command->example, t);
	text_print(t, "\n.EE\n");
	if (p->command->keys == KEYS_LISTED)
		text_print(t, ".SH KEYS OF A CONFIG\n");
	for (int i = 0; p->command->keys == KEYS_LISTED && (o = schema_at(&job_schema, i)); i++)
		help_roff_key(o, "", t);
	text_print(t, ".SH SEE ALSO\n.BR hone (1)\n");
	return OK;
}

static void help_roff_program(const struct command *commands, int n, struct text *t)
{
	help_roff_head("hone", "post-trains language models by reinforcement learning on CPUs", t);
	text_print(t, ".B hone\nCOMMAND ...\n.SH COMMANDS\n");
	for (int i = 0; i < n; i++) {
		text_print(t, ".TP\n.BR hone\\-%s (1)\n", commands[i].name);
		help_roff(commands[i].help, t);
		text_print(t, "\n");
	}
	text_print(t, ".SH EXIT STATUS\n0; 1 the job failed; 2 something you can fix, which the "
	              "message names; 3 stopped by a signal and saved.\n");
}

/* ---- for bash ---- */

/* The keys of a config as words that end in '='. */
static void help_shell_keys(struct text *t)
{
	const struct option *o;

	for (int i = 0; (o = schema_at(&job_schema, i)); i++)
		text_print(t, "%s%s=", i ? " " : "", o->path);
}

static int help_bash_part(const struct help_page *p, struct text *t)
{
	text_print(t, "\t%s)\n\t\twords=\"--help", p->command->name);
	for (int i = 0; i < p->n_words; i++)
		text_print(t, " %.*s", (int)option_word_length(&p->words[i]), p->words[i].name);
	text_print(t, "\"");
	if (p->command->keys != KEYS_NONE)
		text_print(t, " keys=$config_keys");
	text_print(t, "\n\t\t;;\n");
	return OK;
}

static void help_bash_head(const struct command *commands, int n, struct text *t)
{
	text_print(t,
	           "# made by hone help --bash\n_hone() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} "
	           "words= keys= commands=\"help");
	for (int i = 0; i < n; i++)
		text_print(t, " %s", commands[i].name);
	text_print(t, "\"\n\tlocal config_keys=\"");
	help_shell_keys(t);
	text_print(t, "\"\n\tCOMPREPLY=()\n\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	              "\t\tCOMPREPLY=($(compgen -W \"$commands --help --version\" -- \"$cur\"))\n"
	              "\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]} in\n\thelp)\n"
	              "\t\twords=\"--man --bash --zsh --names\" keys=$commands\n\t\t;;\n");
}

/* What is neither an option nor a key is a file, which bash completes itself. */
static void help_bash_tail(struct text *t)
{
	text_print(t, "\tesac\n\tcase $cur in\n\t-*) COMPREPLY=($(compgen -W \"$words\" -- "
	              "\"$cur\")) ;;\n\t?*) COMPREPLY=($(compgen -W \"$keys\" -- \"$cur\")) ;;\n"
	              "\tesac\n\tcase ${COMPREPLY[0]} in\n\t*=) compopt -o nospace ;;\n\tesac\n}\n"
	              "complete -o default -F _hone hone\n");
}

/* ---- for zsh ---- */

/* Inside '...[...]': quotes and brackets. */
static void help_zsh_text(const char *s, struct text *t)
{
	for (; *s; s++)
		if (*s == '\'')
			text_print(t, "'\\''");
		else
			text_print(t, strchr("[]\\:", *s) ? "\\%c" : "%c", *s);
}

static int help_zsh_part(const struct help_page *p, struct text *t)
{
	text_print(t, "\t%s)\n\t\t_arguments \\\n", p->command->name);
	for (int i = 0; i <= p->n_words; i++) {
		const struct option_word *w = i < p->n_words ? &p->words[i] : &option_word_help;
		size_t                    n = option_word_length(w);
		text_print(t, "\t\t\t'%.*s[", (int)n, w->name);
		help_zsh_text(help_of(w), t);
		text_print(t, "]");
		if (w->name[n]) {
			text_print(t, ":");
			help_zsh_text(w->name + n + 1, t);
			text_print(t, ":_files");
		}
		text_print(t, "' \\\n");
	}
	text_print(t, "\t\t\t'*:argument:%s'\n\t\t;;\n",
	           p->command->keys == KEYS_NONE ? "_files" : "_hone_keys");
	return OK;
}

static void help_zsh_head(const struct command *commands, int n, struct text *t)
{
	text_print(t,
	           "#compdef hone\n# made by hone help --zsh\n_hone_keys() {\n\tcompadd -S '' -- ");
	help_shell_keys(t);
	text_print(t, "\n\t_files\n}\n_hone() {\n\tlocal -a commands=(\n\t\t'help:what a command "
	              "takes'\n");
	for (int i = 0; i < n; i++) {
		text_print(t, "\t\t'%s:", commands[i].name);
		help_zsh_text(commands[i].help, t);
		text_print(t, "'\n");
	}
	text_print(t, "\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n"
	              "\t\treturn\n\tfi\n\tshift words\n\t(( CURRENT-- ))\n\tcase $words[1] in\n"
	              "\thelp)\n\t\t_describe command commands\n\t\t;;\n");
}

static void help_zsh_tail(struct text *t)
{
	text_print(t, "\tesac\n}\n_hone \"$@\"\n");
}

/* ---- pages ---- */

/* Prints the text and frees it. */
static int help_out(struct text *t)
{
	int status = text_status(t);

	if (status == OK)
		fwrite(t->data, 1, t->n, stdout);
	text_free(t);
	return status;
}

int help_print(const struct help_page *page)
{
	static int (*const forms[HELP_FORMS])(const struct help_page *p,
	                                      struct text *t) = {[HELP_TEXT] = help_text_page,
	                                                         [HELP_MAN] = help_roff_page,
	                                                         [HELP_BASH] = help_bash_part,
	                                                         [HELP_ZSH] = help_zsh_part};
	struct text t = {0};
	int         status = forms[page->form](page, &t);

	if (status == OK)
		status = help_out(&t);
	else
		text_free(&t);
	return status == OK ? HELPED : status;
}

void help_usage(FILE *f, const struct command *commands, int n)
{
	fputs("hone COMMAND ...\n\n", f);
	for (int i = 0; i < n; i++)
		fprintf(f, "  %-10s %-52s %s\n", commands[i].name, commands[i].arguments,
		        commands[i].help);
	fputs("\nhone COMMAND --help, or hone help COMMAND, lists the options of a command; hone "
	      "train --help also those of a\nconfig, and hone train --help WORD those that mention "
	      "a word. hone --version says which program this is.\nExit status: 0; 1 the job "
	      "failed; "
	      "2 something you can fix, which the message names; 3 stopped by a signal and "
	      "saved.\n",
	      f);
}

/* ---- hone help ---- */

static int help_ask(const struct command *c, enum help_form form)
{
	char  word[16];
	char *argv[] = {word};

	snprintf(word, sizeof word, "%s", help_asks[form]);
	return c->run(c, 1, argv);
}

/* A file about all commands: its head, the part of each command, its tail. */
static int help_file(const struct command *commands, int n, enum help_form form)
{
	struct text t = {0};
	int         status;

	if (form == HELP_MAN)
		help_roff_program(commands, n, &t);
	else if (form == HELP_BASH)
		help_bash_head(commands, n, &t);
	else
		help_zsh_head(commands, n, &t);
	status = help_out(&t);
	for (int i = 0; i < n && status == OK && form != HELP_MAN; i++) {
		status = help_ask(&commands[i], form);
		status = status == HELPED ? OK : status;
	}
	if (status != OK || form == HELP_MAN)
		return status;
	if (form == HELP_BASH)
		help_bash_tail(&t);
	else
		help_zsh_tail(&t);
	return help_out(&t);
}

static int help_names(const struct command *commands, int n)
{
	for (int i = 0; i < n; i++)
		puts(commands[i].name);
	return OK;
}

int help_command(const struct command *commands, int n, int argc, char **argv)
{
	static const struct help_ask {
		const char    *name;
		enum help_form form;
	} asks[] = {{"--man", HELP_MAN}, {"--bash", HELP_BASH}, {"--zsh", HELP_ZSH}};
	enum help_form form = HELP_TEXT;
	const char    *name = NULL;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--names"))
			return help_names(commands, n);
		for (size_t k = 0; k < sizeof asks / sizeof *asks; k++)
			form = strcmp(argv[i], asks[k].name) ? form : asks[k].form;
		name = argv[i][0] == '-' ? name : argv[i];
	}
	if (!name && form == HELP_TEXT) {
		help_usage(stdout, commands, n);
		return OK;
	}
	if (!name)
		return help_file(commands, n, form);
	for (int i = 0; i < n; i++)
		if (!strcmp(commands[i].name, name))
			return help_ask(&commands[i], form);
	return error_set(ERR_INPUT, "there is no command \"%s\"; hone --help lists them", name);
}
