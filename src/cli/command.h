/* command.h - the commands of the program. One file each, named after its command; hone.c holds the table.
 *
 * A command gets the words behind its name, prints its results on standard output, and returns a status of error.h with the message set; hone.c
 * prints the message on standard error and turns the status into the exit status. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "base/error.h"
#include "model/safetensors.h"
#include "run/config.h"

int command_train(int argc, char **argv);
int command_sft(int argc, char **argv);
int command_rollouts(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_generate(int argc, char **argv);
int command_score(int argc, char **argv);
int command_data(int argc, char **argv);
int command_report(int argc, char **argv);
int command_sweep(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_init(int argc, char **argv);
int command_merge(int argc, char **argv);
int command_tokenize(int argc, char **argv);
int command_detokenize(int argc, char **argv);
int command_logprobs(int argc, char **argv);
int command_render(int argc, char **argv);

/* ---- options of the small commands ----
 *
 *     const char *task = NULL; int samples = 1, quick = 0;
 *     const struct option_word words[] = {{"--task", &task, NULL, NULL}, {"--samples", NULL, &samples, NULL}, {"--quick", NULL, NULL, &quick}};
 *     TRY(options_read(argc, argv, words, 3, &n_positional));
 *
 * "--name value" or "--name=value"; a flag takes no value. Unknown words are errors that name the nearest known one. What does not begin with "--"
 * is positional; argv is reordered in place so that the positional words come first. */
struct option_word {
	const char  *name;
	const char **text;
	int         *number; /* >= 0 */
	int         *flag;
};
int options_read(int argc, char **argv, const struct option_word *words, int n_words, int *n_positional);

/* The value of --dtype: bf16, f16 or f32. */
int options_dtype(const char *name, enum safetensors_type *out);

/* A program that the config of a stranger would start is shown, and started only when --allow-command was given. `own`: the config that the user named
 * himself, NULL for none; what it says itself, or the command line, is the user's word. */
int options_allow_command(const struct config *c, const char *own, int allowed);

void options_say(void *context, const char *text); /* a program_say: a line on standard error */

/* ERR_INPUT when the folder holds a model already: an earlier one is not overwritten. */
int options_new_folder(const char *folder);

#endif
