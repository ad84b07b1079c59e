/* hone.c - the front door: finds the command, speaks its error, returns its status. */
#include "base/ranks.h"
#include "base/terminal.h"
#include "base/threads.h"
#include "base/version.h"
#include "cli/help.h"
#include "math/matmul.h"
#include "run/provenance.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct command commands[] = {
        {.name = "train",
         .run = command_train,
         .arguments = "CONFIG [key=value ...] [--resume | --from-scratch]",
         .help = "reinforcement learning",
         .example = "hone train configs/addition/demo.yaml run.seed=2",
         .keys = KEYS_LISTED},
        {.name = "sft",
         .run = command_sft,
         .arguments = "CONFIG [key=value ...] [--resume | --from-scratch]",
         .help = "supervised warm start",
         .example = "hone sft configs/addition/demo-sft.yaml",
         .keys = KEYS_LISTED},
        {.name = "rollouts",
         .run = command_rollouts,
         .arguments = "CONFIG [key=value ...] [--steps N] [--output FILE]",
         .help = "completions as hone train would sample them, as a file",
         .example = "hone rollouts configs/addition/demo.yaml --steps 10 --output rollouts.jsonl",
         .keys = KEYS_NAMED},
        {.name = "eval",
         .run = command_eval,
         .arguments = "CONFIG|MODEL|RUN [key=value ...] [--data FILE]...",
         .help = "pass@1, pass@k, maj@k with standard errors",
         .example = "hone eval runs/demo --samples 8",
         .keys = KEYS_NAMED},
        {.name = "generate",
         .run = command_generate,
         .arguments = "MODEL --prompt TEXT [--chat] | --prompt-ids IDS",
         .help = "shows what a model writes",
         .example = "hone generate models/smollm2.gguf --prompt 'What is 2+3?' --chat"},
        {.name = "chat",
         .run = command_chat,
         .arguments = "MODEL [--with MODEL]",
         .help = "a conversation with a model, or with two",
         .example = "hone chat runs/demo --with models/base"},
        {.name = "data",
         .run = command_data,
         .arguments = "GENERATOR --count N --difficulty A-B --seed S",
         .help = "generated problems as JSONL",
         .example = "hone data countdown --count 1000 --difficulty 1-3 --seed 1 > train.jsonl"},
        {.name = "report",
         .run = command_report,
         .arguments = "RUN... [--output FILE] [--baseline ARM] [--text] [--json FILE]",
         .help = "curves, tables and a comparison of arms as one HTML file",
         .example = "hone report runs/a runs/b --output compared.html"},
        {.name = "verify",
         .run = command_verify,
         .arguments = "RUN [key=value ...] [--steps A-B]",
         .help = "does the steps of a run again: identical, or the first difference",
         .example = "hone verify runs/demo --steps 31-40",
         .keys = KEYS_NAMED},
        {.name = "explain",
         .run = command_explain,
         .arguments = "RUN --step N [--group G] [--output FILE] [key=value ...]",
         .help = "one group of one step of a run, worked token by token, as one HTML file",
         .example = "hone explain runs/demo --step 12 --group 3",
         .keys = KEYS_NAMED},
        {.name = "sweep",
         .run = command_sweep,
         .arguments = "SWEEP [--only NAME]",
         .help = "the runs of a sweep, one per line; scripts/sweep runs them",
         .example = "hone sweep experiments/addition.yaml"},
        {.name = "bench",
         .run = command_bench,
         .arguments = "[MODEL]",
         .help = "what the machine can do, and how near to it hone comes",
         .example = "hone bench models/base"},
        {.name = "init",
         .run = command_init,
         .arguments = "--like SHAPE OUT [--tokenizer FOLDER]",
         .help = "random weights of a published shape",
         .example = "hone init --like SmolLM2-135M models/random"},
        {.name = "merge",
         .run = command_merge,
         .arguments = "ADAPTER OUT [--base FOLDER]",
         .help = "a LoRA adapter and its model as one model",
         .example = "hone merge runs/lora models/merged"},
        {.name = "export",
         .run = command_export,
         .arguments = "MODEL OUT.gguf|FOLDER [--dtype TYPE]",
         .help = "a model or an adapter as a GGUF file, or a model as a folder",
         .example = "hone export runs/demo demo.gguf --dtype q8_0"},
        {.name = "inspect",
         .run = command_inspect,
         .arguments = "PATH [--id ID]",
         .help = "shows a model, a checkpoint, a run or a data set",
         .example = "hone inspect runs/demo"},
        {.name = "tokenize",
         .run = command_tokenize,
         .arguments = "MODEL [--no-special]  < {\"text\"}",
         .help = "turns rows of {\"text\"} into {\"ids\"}",
         .example = "echo '{\"text\": \"hello\"}' | hone tokenize models/base"},
        {.name = "detokenize",
         .run = command_detokenize,
         .arguments = "MODEL  < {\"ids\"}",
         .help = "turns rows of {\"ids\"} into {\"text\"}",
         .example = "echo '{\"ids\": [1, 2]}' | hone detokenize models/base"},
        {.name = "logprobs",
         .run = command_logprobs,
         .arguments = "MODEL  < {\"ids\"}",
         .help = "the log-probabilities of given tokens: log p(ids[i+1] | ids[..i])",
         .example = "echo '{\"ids\": [1, 2, 3]}' | hone logprobs models/base"},
        {.name = "render",
         .run = command_render,
         .arguments = "MODEL  < {\"messages\", ...}",
         .help = "applies the model's chat template to messages",
         .example = "echo '{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}' | hone "
                    "render models/base"},
        {.name = "score",
         .run = command_score,
         .arguments = "--task NAME  < {\"completion\", \"answer\"}",
         .help = "rewards completions as a verifier does",
         .example = "echo '{\"completion\": \"so 7\", \"answer\": \"7\"}' | hone score --task "
                    "numeric"},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

/* What a report of a fault should say: the program, how it was built, which kernels it takes on
 * this CPU when nothing else is asked for, and in which order these add. */
static int print_version(void)
{
	struct matmul *m;
	char           cpu[PROVENANCE_CPU_MAX];

	printf("hone %s\ncommit %s\ncompiler %s\n", HONE_VERSION, version_commit, version_compiler);
	TRY(matmul_new(&(struct matmul_options){"auto", "f32", "strict", NULL, NULL}, &m));
	printf("matrix products %s\n", matmul_describe(m));
	provenance_cpu(cpu, sizeof cpu);
	terminal_print(stdout, "cpu %s\nsums %s\n", cpu, matmul_sums);
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

	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		help_usage(argc < 2 ? stderr : stdout, commands, N_COMMANDS);
		return argc < 2 ? ERR_INPUT : OK;
	}
	if (!strcmp(argv[1], "help"))
		return end("help", help_command(commands, N_COMMANDS, argc - 2, argv + 2));
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
