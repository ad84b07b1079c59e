/* Nothing may be lost: a loss of power at any moment, and a system that refuses any one call.
 * Whatever happens, `--resume` gives the bytes of a run that nothing happened to, or the run ends
 * with an error and the next one does.
 *
 * Of the moments and calls a sample is tried, spread over the run; HONE_TEST_LONG=20 tries twenty
 * times as many, or all. */
#include "disk_model.h"
#include "run.h"

#include <ctype.h>
#include <errno.h>

enum { STEPS = 6, JOURNAL_STATES = 20000 };

static const char config[] =
        "model:\n"
        "  tokenizer: chars\n"
        "  init: {width: 8, n_layers: 1, n_heads: 1, n_kv_heads: 1, head_width: 8, ff_width: 8, "
        "n_positions: 32}\n"
        "data:\n"
        "  generate: [{name: sequence, levels: 1-2, count: 20}]\n"
        "  eval_generate: [{name: sequence, levels: 2, count: 3, first: 1000}]\n"
        "task: {reward: sequence}\n"
        "algorithm: grpo\n"
        "loss: {beta: 0}\n"
        "rollout: {num_generations: 2, prompts_per_step: 2, max_completion_length: 4}\n"
        "optim: {learning_rate: 1e-2}\n"
        "run: {max_steps: 6, save_steps: 2, save_total_limit: 2, eval_steps: 3}\n";

static char root[PATH_MAX], shim[PATH_MAX];
static int  tried, of; /* moments or calls */

static long times(void)
{
	const char *value = getenv("HONE_TEST_LONG");

	return value && atol(value) > 0 ? atol(value) : 1;
}

/* Whether number i of n is one of the `most` that are tried. */
static int is_sampled(long i, long n, long most)
{
	most *= times();
	return n <= most || i * most / n != (i + 1) * most / n;
}

/* hone on the disk of the test, with `settings` of the shim. A run that hangs is ended and has
 * status 124. */
PRINTF_LIKE(2, 3) static int hone_on_disk(const char *settings, const char *format, ...)
{
	char    line[3 * PATH_MAX];
	va_list list;
	int     n = snprintf(line, sizeof line,
	                     "exec timeout 60 env LD_PRELOAD=%s "
	                         "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 DISK_ROOT=%s %s %s ",
	                     shim, root, settings, run_program);

	va_start(list, format);
	vsnprintf(line + n, sizeof line - (size_t)n, format, list);
	va_end(list);
	return hone_end(run_start(line));
}

/* ---- what must come out ---- */

/* metrics.jsonl but for what a clock measured. The caller frees it. */
static char *metrics_of(const char *folder)
{
	FILE  *f = fopen(in_folder(folder, "metrics.jsonl"), "r"), *out;
	char  *line = NULL, *text = NULL;
	size_t capacity = 0, n_text;

	assert_non_null(f);
	out = open_memstream(&text, &n_text);
	while (getline(&line, &capacity, f) > 0) {
		json_t     *row = json_loads(line, 0, NULL), *value;
		const char *key;
		void       *next;
		assert_non_null(row);
		json_object_foreach_safe(row, next, key, value)
		{
			if (is_timing(key))
				json_object_del(row, key);
		}
		json_dumpf(row, out, JSON_REAL_PRECISION(17));
		fputc('\n', out);
		json_decref(row);
	}
	fclose(out);
	fclose(f);
	free(line);
	return text;
}

/* One letter an event of a step: "0", then what evaluation and training wrote. */
static void steps_of_events(const char *folder, char *out)
{
	for (int start = 0; start <= STEPS; start++) {
		char   path[200], *data;
		size_t n;
		snprintf(path, sizeof path, "%s/tensorboard/events.out.tfevents.%010d.hone", folder,
		         start);
		if (!file_exists(path))
			continue;
		data = read_all(path, &n);
		for (size_t at = 0; at + 16 < n;) {
			uint64_t length;
			memcpy(&length, data + at, sizeof length);
			if (data[at + 12 + 9] == 0x10)
				*out++ = (char)('0' + data[at + 12 + 10]);
			at += 16 + length;
		}
		free(data);
	}
	*out = 0;
}

/* Weights, moments, log, events and samples of two finished runs; and nothing half written beside
 * them. */
static const char *difference(const char *a, const char *b)
{
	static const char *const files[] = {
	        "checkpoint-6/model.safetensors", "checkpoint-6/optimizer.safetensors",
	        "checkpoint-4/model.safetensors", "samples/step-0.jsonl.gz",
	        "samples/step-3.jsonl.gz",        "samples/step-6.jsonl.gz"};
	char *x, *y, events[2][200];
	int   differ;

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (!file_exists(in_folder(b, files[i])) ||
		    !same_bytes(in_folder(a, files[i]), in_folder(b, files[i])))
			return files[i];
	x = metrics_of(a);
	y = metrics_of(b);
	differ = strcmp(x, y) != 0;
	free(x);
	free(y);
	if (differ)
		return "metrics.jsonl";
	steps_of_events(a, events[0]);
	steps_of_events(b, events[1]);
	if (strcmp(events[0], events[1]) != 0)
		return "tensorboard";
	shell("find %s -path '*/old-*' -prune -o -name '*.part' -print > parts; ls -d "
	      "%s/checkpoint-* | grep -v checkpoint-5 > checkpoints",
	      b, b);
	return count_lines("parts")              ? "something half written"
	       : count_lines("checkpoints") != 2 ? "the number of checkpoints"
	                                         : NULL;
}

/* ---- power ---- */

static struct disk disk;
/* the newest checkpoint that was there at a sync of the run folder: it was said to be saved */
static int committed;

/* The newest checkpoint whose name the loss has left, -1 for none. */
static int newest_name(enum disk_kind kind)
{
	int newest = -1, *run = disk_entry(kind == DISK_SYNCED ? disk.nodes[0].names_synced
	                                                       : disk.nodes[0].names,
	                                   "run", 0);
	const struct disk_names *names;

	if (!run)
		return -1;
	names = kind == DISK_SYNCED ? disk.nodes[*run].names_synced : disk.nodes[*run].names;
	for (int i = 0; i < names->n; i++) {
		int step, end = 0;
		if (sscanf(names->items[i].name, "checkpoint-%d%n", &step, &end) == 1 &&
		    !names->items[i].name[end] && step > newest)
			newest = step;
	}
	return newest;
}

/* A checkpoint loses its name for good before it loses a file. The disk may keep the removal of a
 * file and forget a renaming before it that was not synced: then the name would stand for a
 * checkpoint with a hole. */
static void assert_name_is_gone(const char *path)
{
	const char *part = strstr(path, "/run/checkpoint-"),
	           *end = part ? strstr(part, ".part/") : NULL;
	char name[DISK_NAME];
	int *run;

	if (!end)
		return;
	part += strlen("/run/");
	snprintf(name, sizeof name, "%.*s", (int)(end - part), part);
	run = disk_entry(disk.nodes[0].names_synced, "run", 0);
	if (run && disk_entry(disk.nodes[*run].names_synced, name, 0))
		fail_msg("%s is removed while the disk still knows %s", path, name);
}

/* Walks through the journal of a run that began with what is in `start`; at each state of the disk
 * that is new to its kind calls at(number, kind); the states are numbered kind by kind. */
static void play(const char *start, const char                                 *journal,
                 void (*at)(int number, enum disk_kind kind, void *data), void *data)
{
	uint64_t last[DISK_KINDS] = {0};
	size_t   n;
	char    *text = read_all(journal, &n);
	int      states[DISK_KINDS] = {0};

	committed = -1;
	disk_load(&disk, start);
	snprintf(disk.root, sizeof disk.root, "%.500s", root);
	for (size_t i = 0; i < n;) {
		struct disk_record r;
		memcpy(&r, text + i, sizeof r);
		const char *path = text + i + sizeof r;
		if (r.what == DISK_REMOVE)
			assert_name_is_gone(path);
		disk_play(&disk, &r, path, path + r.n_path, path + r.n_path + r.n_to);
		if (r.what == DISK_SYNC && !strcmp(path + strlen(root), "/run"))
			assert_true((committed = newest_name(DISK_NAMES)) ==
			            newest_name(DISK_SYNCED));
		i += sizeof r + r.n_path + r.n_to + r.n_data;
		for (int kind = 0; at && kind < DISK_KINDS; kind++) {
			uint64_t sum = disk_write(&disk, (enum disk_kind)kind, NULL);
			if (sum != last[kind])
				at(states[kind]++, (enum disk_kind)kind, data);
			last[kind] = sum;
		}
	}
	free(text);
}

struct loss {
	int n[DISK_KINDS], most; /* states of each kind, and how many of each are tried */
	int damaged;             /* a checkpoint of this step was damaged before; 0 none */
	void (*then)(const struct loss *l, int number, enum disk_kind kind);
};

static void count_state(int number, enum disk_kind kind, void *data)
{
	((struct loss *)data)->n[kind] = number + 1;
	of++;
}

static void then_resume(const struct loss *l, int number, enum disk_kind kind)
{
	const char *differs;
	char        expected[64];
	int         newest = newest_name(kind), status;

	status = hone_on_disk("", "train job.yaml run.output_dir=disk/run --resume");
	if (status != 0) {
		size_t n;
		fail_msg("state %d of %d, kind %d: status %d: %s", number, l->n[kind], (int)kind,
		         status, read_all("stderr", &n));
	}
	snprintf(expected, sizeof expected,
	         newest < 0 ? "starting from step 0" : "resumed from step %d", newest);
	if (newest < 0 || newest != l->damaged)
		assert_says("stdout", expected);
	differs = difference("whole/run", "disk/run");
	if (differs)
		fail_msg("state %d of %d, kind %d: %s differs after the resume from step %d",
		         number, l->n[kind], (int)kind, differs, newest);
}

static void lose_power(int number, enum disk_kind kind, void *data)
{
	const struct loss *l = data;

	/* costs nothing: looked at in every state */
	if (l->then == then_resume && newest_name(kind) < committed)
		fail_msg("state %d of %d, kind %d: checkpoint-%d was saved, and the newest name is "
		         "%d",
		         number, l->n[kind], (int)kind, committed, newest_name(kind));
	if (!is_sampled(number, l->n[kind], l->most))
		return;
	tried++;
	shell("rm -rf disk");
	disk_write(&disk, kind, "disk");
	l->then(l, number, kind);
}

static void lose_power_all_along(const char *start, int damaged, int most,
                                 void (*then)(const struct loss *l, int number,
                                              enum disk_kind kind))
{
	struct loss l = {.most = most, .damaged = damaged, .then = then};

	play(start, "journal", count_state, &l);
	disk_free(&disk);
	play(start, "journal", lose_power, &l);
	disk_free(&disk);
}

/* What is in the folder `start` becomes the disk. */
static void begin_with(const char *start)
{
	shell("rm -rf disk journal; cp -r %s disk", start);
}

static void the_journal_is_the_whole_truth(void **state)
{
	(void)state;
	uint64_t played;

	begin_with("empty");
	assert_int_equal(
	        hone_on_disk("DISK_JOURNAL=journal", "train job.yaml run.output_dir=disk/run"), 0);
	play("empty", "journal", NULL, NULL);
	played = disk_write(&disk, DISK_NAMES, NULL);
	for (int i = 0; i < disk.n; i++)
		disk_sync(&disk.nodes[i]);
	played = disk_write(&disk, DISK_SYNCED, NULL);
	disk_free(&disk);
	disk_load(&disk, root);
	assert_true(disk_write(&disk, DISK_SYNCED, NULL) == played);
	disk_free(&disk);
	assert_null(difference("whole/run", "disk/run"));
}

static void a_loss_of_power_at_any_moment_of_a_run_loses_nothing(void **state)
{
	(void)state;
	tried = of = 0;
	begin_with("empty");
	assert_int_equal(
	        hone_on_disk("DISK_JOURNAL=journal", "train job.yaml run.output_dir=disk/run"), 0);
	lose_power_all_along("empty", 0, 25, then_resume);
	print_message("%d losses of power, of %d states of the disk\n", tried, of);
	assert_true(of > 200);
}

/* The run was killed behind step 5, so its logs are ahead of checkpoint-4; checkpoint-5 is damaged,
 * a part lies about. */
static void a_loss_of_power_at_any_moment_of_a_resume_loses_nothing(void **state)
{
	(void)state;
	tried = of = 0;
	begin_with("killed");
	shell("cp -r disk/run/checkpoint-4 disk/run/checkpoint-5; truncate -s 100 "
	      "disk/run/checkpoint-5/model.safetensors; "
	      "cp -r disk/run/checkpoint-4 disk/run/checkpoint-6.part; rm -rf spoilt; cp -r disk "
	      "spoilt");
	assert_int_equal(hone_on_disk("DISK_JOURNAL=journal",
	                              "train job.yaml run.output_dir=disk/run --resume"),
	                 0);
	lose_power_all_along("spoilt", 5, 15, then_resume);
	print_message("%d losses of power, of %d states of the disk\n", tried, of);
	assert_true(of > 80);
}

/* Again, and what was to be set aside is somewhere. */
static void then_begin_again(const struct loss *l, int number, enum disk_kind kind)
{
	const char *differs;

	assert_int_equal(hone_on_disk("", "train job.yaml run.output_dir=disk/run --from-scratch"),
	                 0);
	differs = difference("whole/run", "disk/run");
	if (differs)
		fail_msg("state %d of %d, kind %d: %s differs from that of a new run", number,
		         l->n[kind], (int)kind, differs);
	shell("cat disk/run/old-*/checkpoint-4/model.safetensors | head -c $(stat -c %%s "
	      "killed/run/checkpoint-4/model.safetensors) | "
	      "cmp - killed/run/checkpoint-4/model.safetensors");
	shell("for f in disk/run/old-*/metrics.jsonl; do cmp -s $f killed/run/metrics.jsonl && "
	      "exit 0; done; exit 1");
}

static void a_loss_of_power_while_a_run_is_set_aside_loses_nothing(void **state)
{
	(void)state;
	tried = of = 0;
	begin_with("killed");
	assert_int_equal(
	        hone_on_disk(
	                "DISK_JOURNAL=journal",
	                "train job.yaml run.output_dir=disk/run run.max_steps=0 --from-scratch"),
	        0);
	lose_power_all_along("killed", 0, 8, then_begin_again);
	print_message("%d losses of power, of %d states of the disk\n", tried, of);
	assert_true(of > 20);
}

/* ---- refusals ---- */

static long count_calls(const char *settings, const char *start, const char *resume)
{
	char  line[100];
	long  n = 0;
	FILE *f;

	begin_with(start);
	snprintf(line, sizeof line, "DISK_CALLS=calls %s", settings);
	assert_int_equal(hone_on_disk(line, "train job.yaml run.output_dir=disk/run %s", resume),
	                 0);
	f = fopen("calls", "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld", &n), 1);
	fclose(f);
	return n;
}

/* The lines up to step 4, which checkpoint-4 knows of, are there in any case. */
static void assert_log_is_there(const char *what)
{
	size_t n, m;
	char  *before = read_all("killed/run/metrics.jsonl", &n),
	     *now = read_all("disk/run/metrics.jsonl", &m), *end = before;

	for (int i = 0; i < 6; i++) /* step 0, 1, 2, 3, its evaluation, 4 */
		end = strchr(end, '\n') + 1;
	if (m < (size_t)(end - before) || memcmp(before, now, (size_t)(end - before)) != 0)
		fail_msg("%s: the log has been wiped", what);
	free(before);
	free(now);
}

static void refuse(const char *settings, const char *start, const char *resume)
{
	const char *differs;
	int         status, was_there = *resume != 0;

	begin_with(start);
	status = hone_on_disk(settings, "train job.yaml run.output_dir=disk/run %s", resume);
	if (status < 0 || status > 2)
		fail_msg("%s: status %d", settings, status);
	if (was_there && file_says("stdout", "starting from step 0"))
		fail_msg("%s: starting from step 0, beside a checkpoint", settings);
	if (was_there)
		assert_log_is_there(settings);
	if (status != 0) {
		assert_true(file_says("stderr", "hone train: "));
	}
	if (status != 0 && strstr(settings, "DISK_MEMORY")) {
		assert_int_equal(status, 2);
		assert_says("stderr", "out of memory: ");
	}
	/* also puts in order what was left over */
	status = hone_on_disk("", "train job.yaml run.output_dir=disk/run --resume");
	if (status != 0) {
		size_t n;
		fail_msg("%s: the next resume has status %d: %s", settings, status,
		         read_all("stderr", &n));
	}
	differs = difference("whole/run", "disk/run");
	if (differs)
		fail_msg("%s: %s differs", settings, differs);
}

static void refuse_everywhere(const char *start, const char *resume, int most)
{
	static const struct {
		const char *name;
		int         number;
	} reasons[] = {{"EIO", EIO},
	               {"EMFILE", EMFILE},
	               {"ENOMEM", ENOMEM},
	               {"ENOSPC", ENOSPC},
	               {"EINTR", EINTR}};
	long n = count_calls("", start, resume);

	for (int reason = 0; reason < 5; reason++)
		for (int for_ever = 0; for_ever < 2; for_ever++)
			for (long i = 0; i < n; i++) {
				char settings[100];
				of++;
				if (!is_sampled((i + 3 * reason + 7 * for_ever) % n, n, most))
					continue;
				tried++;
				snprintf(settings, sizeof settings,
				         "DISK_FAIL_AT=%ld DISK_ERRNO=%d DISK_FAIL_FOR=%d", i + 1,
				         reasons[reason].number, !for_ever);
				refuse(settings, start, resume);
			}
}

static void a_refusal_of_any_call_of_a_resume_loses_nothing(void **state)
{
	(void)state;
	tried = of = 0;
	refuse_everywhere("killed", "--resume", 7);
	print_message("%d refusals, of %d\n", tried, of);
}

static void a_refusal_of_any_call_of_a_new_run_loses_nothing(void **state)
{
	(void)state;
	tried = of = 0;
	refuse_everywhere("empty", "", 3);
	print_message("%d refusals, of %d\n", tried, of);
}

static void memory_that_is_short_for_a_moment_loses_nothing(void **state)
{
	(void)state;
	long n = count_calls("DISK_MEMORY=1", "killed", "--resume");

	tried = of = 0;
	for (long i = 0; i < n; i++) {
		char settings[100];
		of++;
		if (!is_sampled(i, n, 20))
			continue;
		tried++;
		snprintf(settings, sizeof settings, "DISK_MEMORY=1 DISK_FAIL_AT=%ld", i + 1);
		refuse(settings, "killed", "--resume");
	}
	print_message("%d allocations refused, of %d\n", tried, of);
}

static void
a_run_whose_disk_has_no_room_for_a_checkpoint_is_refused_before_its_first_step(void **state)
{
	(void)state;
	begin_with("empty");
	assert_int_equal(hone_on_disk("DISK_FREE=20000", "train job.yaml run.output_dir=disk/run"),
	                 2);
	assert_says(
	        "stderr",
	        "disk/run: a checkpoint takes 0.0 MiB, but only 0.0 MiB are free there; make room");
	assert_false(file_exists("disk/run/metrics.jsonl"));
	assert_int_equal(hone_on_disk("DISK_FREE=70000", "train job.yaml run.output_dir=disk/run"),
	                 0);
	assert_says("stdout", "on disk: a checkpoint");
	assert_says("stdout", "caution: only 0.1 MiB are free in disk/run, and the run may take "
	                      "0.2 MiB more: 3 checkpoints at once");
	/* nothing to save */
	assert_int_equal(
	        hone_on_disk("DISK_FREE=20000", "train job.yaml run.output_dir=disk/run --resume"),
	        0);
	assert_int_equal(
	        hone_on_disk("DISK_FREE=20000",
	                     "train job.yaml run.output_dir=disk/run run.max_steps=7 --resume"),
	        2);
	assert_int_equal(
	        hone_on_disk("DISK_FREE=10000000",
	                     "train job.yaml run.output_dir=disk/run run.max_steps=7 --resume"),
	        0);
	assert_false(file_says("stdout", "caution"));

	begin_with("killed"); /* what lies about takes no room from a resume */
	shell("cp -r disk/run/checkpoint-4 disk/run/checkpoint-6.part");
	assert_int_equal(
	        hone_on_disk("DISK_FREE=20000", "train job.yaml run.output_dir=disk/run --resume"),
	        2);
	assert_false(file_exists("disk/run/checkpoint-6.part"));
	assert_int_equal(count_lines("disk/run/metrics.jsonl"),
	                 count_lines("killed/run/metrics.jsonl"));
}

static int make_runs(void **state)
{
	(void)state;
	write_text("job.yaml", config);
	shell("mkdir empty whole killed");
	hone_ok("train job.yaml run.output_dir=whole/run");
	hone_ok("train job.yaml run.output_dir=killed/run run.max_steps=5 run.eval_on_start=true");
	shell("rm -r killed/run/checkpoint-5 killed/run/report.html");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(the_journal_is_the_whole_truth),
	        TEST(a_loss_of_power_at_any_moment_of_a_run_loses_nothing),
	        TEST(a_loss_of_power_at_any_moment_of_a_resume_loses_nothing),
	        TEST(a_loss_of_power_while_a_run_is_set_aside_loses_nothing),
	        TEST(a_refusal_of_any_call_of_a_resume_loses_nothing),
	        TEST(a_refusal_of_any_call_of_a_new_run_loses_nothing),
	        TEST(memory_that_is_short_for_a_moment_loses_nothing),
	        TEST(a_run_whose_disk_has_no_room_for_a_checkpoint_is_refused_before_its_first_step),
	};

	if (!realpath(SHIM, shim)) {
		perror(SHIM);
		return 1;
	}
	run_in_temporary_folder();
	snprintf(root, sizeof root, "%.4000s/disk", run_folder);
	return cmocka_run_group_tests(tests, make_runs, NULL);
}
