/* hone.c - the front door: finds the command, speaks its error, returns its status. */
#include "base/ranks.h"
#include "base/terminal.h"
#include "base/threads.h"
#include "base/version.h"
#include "cli/command.h"
#include "math/matmul.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct command commands[] = {
        {"train", command_train, "CONFIG [key=value ...] [--resume | --from-scratch]",
         "reinforcement learning", KEYS_LISTED},
        {"sft", command_sft, "CONFIG [key=value ...] [--resume | --from-scratch]",
         "supervised warm start", KEYS_LISTED},
        {"rollouts", command_rollouts, "CONFIG [key=value ...] [--steps N] [--output FILE]",
         "completions as hone train would sample them, as a file", KEYS_NAMED},
        {"eval", command_eval, "CONFIG|MODEL|RUN [key=value ...] [--data FILE]...",
         "pass@1, pass@k, maj@k with standard errors", KEYS_NAMED},
        {"generate", command_generate, "MODEL --prompt TEXT [--chat] | --prompt-ids IDS",
         "shows what a model writes", KEYS_NONE},
        {"chat", command_chat, "MODEL [--with MODEL]", "a conversation with a model, or with two",
         KEYS_NONE},
        {"data", command_data, "GENERATOR --count N --difficulty A-B --seed S",
         "generated problems as JSONL", KEYS_NONE},
        {"report", command_report, "RUN... [--output FILE] [--text] [--json FILE]",
         "curves, tables and a comparison of arms as one HTML file", KEYS_NONE},
        {"sweep", command_sweep, "SWEEP [--only NAME]",
         "the runs of a sweep, one per line; scripts/sweep runs them", KEYS_NONE},
        {"bench", command_bench, "[MODEL]",
         "what the machine can do, and how near to it hone comes", KEYS_NONE},
        {"init", command_init, "--like SHAPE OUT [--tokenizer FOLDER]",
         "random weights of a published shape", KEYS_NONE},
        {"merge", command_merge, "ADAPTER OUT [--base FOLDER]",
         "a LoRA adapter and its model as one model", KEYS_NONE},
        {"export", command_export, "MODEL OUT.gguf|FOLDER [--dtype TYPE]",
         "a model or an adapter as a GGUF file, or a model as a folder", KEYS_NONE},
        {"inspect", command_inspect, "PATH [--id ID]",
         "shows a model, a checkpoint, a run or a data set", KEYS_NONE},
        {"tokenize", command_tokenize, "MODEL [--no-special]  < {\"text\"}", "-> {\"ids\"}",
         KEYS_NONE},
        {"detokenize", command_detokenize, "MODEL  < {\"ids\"}", "-> {\"text\"}", KEYS_NONE},
        {"logprobs", command_logprobs, "MODEL  < {\"ids\"}",
         "-> {\"logprobs\"}: log p(ids[i+1] | ids[..i])", KEYS_NONE},
        {"render", command_render, "MODEL  < {\"messages\", ...}",
         "-> {\"text\"}: by the model's chat template", KEYS_NONE},
        {"score", command_score, "--task NAME  < {\"completion\", \"answer\"}",
         "-> {\"reward\", \"right\", \"components\", \"parsed\"}", KEYS_NONE},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void usage(FILE *f)
{
	fputs("hone COMMAND ...\n\n", f);
	for (int i = 0; i < N_COMMANDS; i++)
		fprintf(f, "  %-10s %-52s %s\n", commands[i].name, commands[i].arguments,
		        commands[i].help);
	fputs("\nhone COMMAND --help lists the options of a command, hone train --help also those "
	      "of a config; hone --version says which "
	      "program this is.\nExit status: 0; 1 the job failed; 2 something you can fix, which "
	      "the message names; 3 stopped by a "
	      "signal and saved.\n",
	      f);
}

/* What a report of a fault should say: the program, how it was built, and which kernels it takes on
 * this CPU when nothing else is asked for. */
static int print_version(void)
{
	struct matmul *m;

	printf("hone %s\ncommit %s\ncompiler %s\n", HONE_VERSION, version_commit, version_compiler);
	TRY(matmul_new(&(struct matmul_options){"auto", "f32", "strict", NULL}, &m));
	printf("matrix products %s\n", matmul_describe(m));
	matmul_free(m);
	return OK;
}

/* Between two parallel loops GNU OpenMP's threads spin for milliseconds by default. On a machine
 * that other programs use too they then take the cores from the thread that has work, and
 * everything becomes ten times slower; a short spin costs nothing measurable on an idle one. The
 * library reads the setting before main, so the program starts itself once more with it. Who sets
 * OMP_WAIT_POLICY or GOMP_SPINCOUNT has decided already. */
static int sets_spin(void)
{
	return !getenv("OMP_WAIT_POLICY") && !getenv("GOMP_SPINCOUNT") &&
	       setenv("GOMP_SPINCOUNT", "10000", 1) == 0;
}

/* The threads' stacks are as large as they are for everybody, whatever ulimit -s says. */
static int sets_stacks(void)
{
	char size[16];

	snprintf(size, sizeof size, "%dM", THREADS_STACK_MIB);
	return !getenv("OMP_STACKSIZE") && setenv("OMP_STACKSIZE", size, 1) == 0;
}

static void start_again(char **argv)
{
	if (sets_spin() | sets_stacks())
		execv("/proc/self/exe", argv); /* where that fails the program goes on as it is */
}

struct call {
	int    argc;
	char **argv;
	int    status;
};

/* The exit status of a command that returned `status`, after its message. */
static int end(const char *name, int status)
{
	status = status == HELPED ? OK : status;
	if ((fflush(stdout) || ferror(stdout)) && status == OK)
		status = error_set(ERR_INPUT, "cannot write to standard output");
	if (status != OK && status != STOPPED && ranks_speaks())
		terminal_print(stderr, "hone %s: %s\n", name, error_message());
	return error_exit_status(status);
}

static int front_door(int argc, char **argv)
{
	const struct command *c = commands;

	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		usage(argc < 2 ? stderr : stdout);
		return argc < 2 ? ERR_INPUT : OK;
	}
	if (!strcmp(argv[1], "--version"))
		return end("--version", print_version());
	while (c < commands + N_COMMANDS && strcmp(c->name, argv[1]))
		c++;
	if (c == commands + N_COMMANDS) {
		terminal_print(stderr, "hone: there is no command \"%s\"; hone --help lists them\n",
		               argv[1]);
		return ERR_INPUT;
	}
	setvbuf(stdout, NULL, _IOLBF, 0); /* a log in a file grows line by line */
	return end(c->name, c->run(c, argc - 2, argv + 2));
}

static void *front_door_of(void *context)
{
	struct call *call = context;

	call->status = front_door(call->argc, call->argv);
	return NULL;
}

/* A first thread with less than the usual stack (ulimit -s) leaves the work to one that has it. */
static int with_stack(int argc, char **argv)
{
	const rlim_t   enough = 4 << 20;
	struct call    call = {argc, argv, ERR_FAILED};
	struct rlimit  stack;
	pthread_attr_t how;
	pthread_t      thread;
	int            made;

	if (getrlimit(RLIMIT_STACK, &stack) != 0 || stack.rlim_cur >= enough)
		return front_door(argc, argv);
	pthread_attr_init(&how);
	pthread_attr_setstacksize(&how, 2 * enough);
	made = pthread_create(&thread, &how, front_door_of, &call) == 0;
	pthread_attr_destroy(&how);
	if (!made)
		return front_door(argc, argv);
	pthread_join(thread, NULL);
	return call.status;
}

int main(int argc, char **argv)
{
	start_again(argv);
	version_commit = COMMIT;
	/* a file that grows beyond ulimit -f is an error of writing, with a message */
	signal(SIGXFSZ, SIG_IGN);
	return with_stack(argc, argv);
}
