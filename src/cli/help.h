/* help.h - what a command takes, in the forms of those who ask: a person at a terminal, man, a
 * shell that completes words. All of them are made from the same rows: those of the commands in
 * hone.c, the words of each command, the options of a config.
 *
 *     hone COMMAND --help [WORD]          the page; of a config only the keys that mention the word
 *     hone help COMMAND                   the same page
 *     hone help [COMMAND] --man           a man page, of the program or of the command
 *     hone help --bash, hone help --zsh   a file that teaches the shell
 *     hone help --names                   the commands, one a line
 *
 * A command knows its own words alone, so the files of all commands are made by asking each:
 * "--help-man", "--help-bash" and "--help-zsh" in the place of --help give its part. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/command.h"

#include <stdio.h>

enum help_form { HELP_TEXT, HELP_MAN, HELP_BASH, HELP_ZSH, HELP_FORMS };

struct help_page {
	const struct command     *command;
	const struct option_word *words; /* [n_words] */
	int                       n_words;
	enum help_form            form;
	const char               *mention; /* the word behind --help; NULL: none */
};

/* Whether --help is among the words and is not the value of another option; then form and mention
 * are set. An unknown option before it is the error that it always is. */
int help_is_asked(int argc, char **argv, struct help_page *page);

/* Prints the page: HELPED, or an error. */
int help_print(const struct help_page *page);

/* hone --help */
void help_usage(FILE *f, const struct command *commands, int n);
/* hone help ... */
int help_command(const struct command *commands, int n, int argc, char **argv);

#endif
