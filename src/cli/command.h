/* command.h - the commands of the program. One file each, named after its command; hone.c holds the
 * table.
 *
 * A command gets its row of that table and the words behind its name, prints its results on
 * standard output, and returns a status of error.h with the message set; hone.c prints the message
 * on standard error and turns the status into the exit status. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "base/error.h"
#include "model/safetensors.h"
#include "rl/job_config.h"

enum command_keys {
	KEYS_NONE,
	KEYS_NAMED,  /* it takes key=value, and its --help says where the keys are listed */
	KEYS_LISTED, /* its --help lists the keys of a config itself */
};

struct command {
	const char *name;
	int (*run)(const struct command *self, int argc, char **argv);
	const char       *arguments, *help; /* "CONFIG [key=value ...]"; one line */
	const char       *example;          /* a whole line */
	enum command_keys keys;
};

int command_train(const struct command *self, int argc, char **argv);
int command_sft(const struct command *self, int argc, char **argv);
int command_rollouts(const struct command *self, int argc, char **argv);
int command_eval(const struct command *self, int argc, char **argv);
int command_generate(const struct command *self, int argc, char **argv);
int command_chat(const struct command *self, int argc, char **argv);
int command_score(const struct command *self, int argc, char **argv);
int command_data(const struct command *self, int argc, char **argv);
int command_report(const struct command *self, int argc, char **argv);
int command_explain(const struct command *self, int argc, char **argv);
int command_verify(const struct command *self, int argc, char **argv);
int command_sweep(const struct command *self, int argc, char **argv);
int command_bench(const struct command *self, int argc, char **argv);
int command_inspect(const struct command *self, int argc, char **argv);
int command_init(const struct command *self, int argc, char **argv);
int command_merge(const struct command *self, int argc, char **argv);
int command_export(const struct command *self, int argc, char **argv);
int command_tokenize(const struct command *self, int argc, char **argv);
int command_detokenize(const struct command *self, int argc, char **argv);
int command_logprobs(const struct command *self, int argc, char **argv);
int command_render(const struct command *self, int argc, char **argv);

/* ---- options of a command ----
 *
 *     const char *task = NULL; int samples = 1, quick = 0;
 *     const struct option_word words[] = {{"--task NAME", &task, NULL, NULL, "task.eval_reward"},
 *                                         {"--samples N", NULL, &samples, NULL, "completions per
 *                                         prompt"},
 *                                         {"--quick", NULL, NULL, &quick, "measures once"}};
 *     TRY(options_read(self, argc, argv, words, 3, &n_positional));
 *     if (n_positional != 1)
 *             return options_usage(self);
 *
 * "--name value" or "--name=value"; a flag takes no value. Unknown words are errors that name the
 * nearest known one. What does not begin with "--" is positional; argv is reordered in place so
 * that the positional words come first.
 *
 * Every command has --help (and -h) besides (help.h): the usage line of its row in hone.c, its
 * words with their help and what they are when not given, an example. */
struct option_word {
	const char  *name; /* "--quick", or with what its value is: "--samples N" */
	const char **text;
	int         *number; /* >= 0 */
	int         *flag;
	const char  *help; /* one line; or the path of the config key that says the same */
};

extern const struct option_word option_word_help; /* --help */

/* Bytes of "--samples" in "--samples N". */
size_t option_word_length(const struct option_word *w);
/* The row of "--name" or "--name=value"; NULL when there is none. */
const struct option_word *option_word_find(const char *argument, const struct option_word *words,
                                           int n_words);

/* --help was asked for and has been printed: the command returns, its work is done */
enum { HELPED = -1 };

int options_read(const struct command *self, int argc, char **argv, const struct option_word *words,
                 int n_words, int *n_positional);

/* A word that stands for a key of a config: its help, values and conditions are the key's. */
struct option_key {
	const char *option, *key; /* "--samples N", "run.eval_samples" */
};

/* The words of a command that computes with a model: keys of the room compute.
 *
 *     const char        *how[N_COMPUTE_KEYS] = {NULL};
 *     struct option_word words[8 + N_COMPUTE_KEYS] = {...};
 *     n += options_compute_words(how, words + n);
 *     TRY(options_read(...)); TRY(options_compute(self, how, &compute)); */
enum { N_COMPUTE_KEYS = 6 };
extern const struct option_key options_compute_keys[N_COMPUTE_KEYS];

/* Writes N_COMPUTE_KEYS words, and returns how many that is; the values go to how. */
int options_compute_words(const char **how, struct option_word *words);

/* The options that those words and the defaults of a config make, checked as a config is. The
 * names in *out live as long as the program. */
int options_compute(const struct command *self, const char *const *how,
                    struct compute_options *out);

/* ERR_INPUT: "usage: hone NAME ARGUMENTS; hone NAME --help lists its options" */
int options_usage(const struct command *self);

/* The value of --dtype: bf16, f16 or f32. */
int options_dtype(const char *name, enum safetensors_type *out);

/* A program that the config of a stranger would start is shown, and started only when
 * --allow-command was given. `own`: the config that the user named himself, NULL for none; what it
 * says itself, or the command line, is the user's word. */
int options_allow_command(const struct job_config *c, const char *own, int allowed);

void options_say(void *context, const char *text); /* a program_say: a line on standard error */

/* A number from 0 on; `name` is the option's, for the message. */
int options_real(const char *name, const char *text, double *out);
/* The same up to 1e6. */
int options_temperature(const char *name, const char *text, double *out);

/* ERR_INPUT when the folder holds a model already: an earlier one is not overwritten. */
int options_new_folder(const char *folder);

#endif
