#include "base/file.h"
#include "base/json.h"
#include "run/events.h"
#include "run/metrics.h"
#include "test.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Takes the place of libc's: after `room` bytes the disk is full. */
static long room = -1;

ssize_t write(int fd, const void *p, size_t n)
{
	if (fd > 2 && room >= 0) {
		if (room == 0) {
			errno = ENOSPC;
			return -1;
		}
		n = (long)n < room ? n : (size_t)room;
		room -= (long)n;
	}
	return syscall(SYS_write, fd, p, n);
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "/tmp/hone-test-metrics-%d-%s", (int)getpid(), name);
	return path;
}

static const struct metric_row   rows[] = {{.name = "step"}, {.name = "reward"},
                                           {.name = "kl"},   {.name = "grad_norm"},
                                           {.name = "zero"}, {.name = "rewards/<verifier>/mean"}};
static const struct metric_table table = {.rows = rows, .n = sizeof rows / sizeof *rows};

static void a_line_is_json_in_order_with_all_digits(void **state)
{
	(void)state;
	static struct metrics m = {.table = &table};
	struct metrics_log    log;
	struct bytes          b;
	json_t               *j;

	m.n = 0;
	metrics_add(&m, "step", 7);
	metrics_add(&m, "reward", 0.1 + 0.2);
	metrics_add(&m, "kl", NAN);
	metrics_add(&m, "grad_norm", INFINITY);
	metrics_add_member(&m, "rewards/<verifier>/mean", "no \"signal\"", 1e-9);
	assert_ok(metrics_log_new(path_of("m.jsonl"), &log));
	assert_ok(metrics_log_write(&log, &m));
	assert_ok(file_read(log.path, 10000, &b));
	assert_int_equal(b.n, log.bytes);
	assert_string_equal(
	        b.data,
	        "{\"step\": 7, \"reward\": 0.30000000000000004, \"kl\": null, \"grad_norm\": null, "
	        "\"rewards/no \\\"signal\\\"/mean\": 1e-09}\n");
	assert_ok(json_parse("m", b.data, b.n, &j));
	assert_true(json_number_value(json_object_get(j, "reward")) == 0.1 + 0.2);
	json_decref(j);
	bytes_free(&b);
	assert_close(metrics_get(&m, "reward"), 0.30000000000000004, 0);
	assert_true(isnan(metrics_get(&m, "gone")));
	unlink(log.path);
	metrics_log_close(&log);
}

static void a_resumed_log_forgets_what_will_be_done_again(void **state)
{
	(void)state;
	static struct metrics m = {.table = &table};
	struct metrics_log    log;
	struct bytes          b;
	uint64_t              kept = 0;
	struct text           caution = {0};

	assert_ok(metrics_log_new(path_of("cut.jsonl"), &log));
	for (int step = 1; step <= 4; step++) {
		m.n = 0;
		metrics_add(&m, "step", step);
		assert_ok(metrics_log_write(&log, &m));
		if (step == 2)
			kept = log.bytes;
	}
	metrics_log_close(&log);
	assert_ok(metrics_log_resume(path_of("cut.jsonl"), 2, kept, &caution, &log));
	assert_int_equal(caution.n, 0);
	m.n = 0;
	metrics_add(&m, "step", 3);
	metrics_add(&m, "kl", 1);
	assert_ok(metrics_log_write(&log, &m));
	assert_ok(file_read(log.path, 10000, &b));
	assert_string_equal(b.data, "{\"step\": 1}\n{\"step\": 2}\n{\"step\": 3, \"kl\": 1}\n");
	bytes_free(&b);
	metrics_log_close(&log);
	unlink(path_of("cut.jsonl"));
}

/* An evaluation that a signal put off is made up for, and again if that is not saved: its line must
 * not stand twice. */
static void
what_stands_behind_the_lines_of_the_checkpoint_goes_though_it_is_of_that_step(void **state)
{
	(void)state;
	static const struct {
		int         step;
		uint64_t    bytes;
		const char *was, *now;
	} cases[] = {{2, 24, "{\"step\": 1}\n{\"step\": 2}\n{\"step\": 2, \"eval\": 1}\n",
	              "{\"step\": 1}\n{\"step\": 2}\n"},
	             {0, 0, "{\"step\": 0, \"eval\": 1}\n", ""}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct text        caution = {0};
		struct metrics_log log;
		struct bytes       b;
		assert_ok(file_write(path_of("behind.jsonl"), cases[i].was, strlen(cases[i].was)));
		assert_ok(metrics_log_resume(path_of("behind.jsonl"), cases[i].step, cases[i].bytes,
		                             &caution, &log));
		assert_int_equal(caution.n, 0);
		assert_ok(file_read(log.path, 10000, &b));
		assert_string_equal(b.data, cases[i].now);
		bytes_free(&b);
		metrics_log_close(&log);
	}
	unlink(path_of("behind.jsonl"));
}

/* What a power loss, an editor or a stranger's hand leaves: the run goes on with what is whole, and
 * says so. */
static void a_log_that_is_not_what_the_checkpoint_knows_is_no_reason_to_stop(void **state)
{
	(void)state;
	static const struct {
		const char *was;
		size_t      n; /* 0: strlen(was) */
		uint64_t    bytes;
		const char *now;
	} cases[] = {
	        /* too short */
	        {"{\"step\": 1}\n", 0, 36, "{\"step\": 1}\n"},
	        /* nothing left */
	        {"", 0, 36, ""},
	        /* half a line */
	        {"{\"step\": 1}\n{\"step\": 2", 0, 36, "{\"step\": 1}\n"},
	        /* zeros for data */
	        {"{\"step\": 1}\n\0\0\0\0\0\0\0\0\0\0\0\0", 24, 24, "{\"step\": 1}\n"},
	        /* ... in the middle */
	        {"{\"step\": 1}\n\0\0\0\n{\"step\": 3}\n", 28, 28,
	         "{\"step\": 1}\n{\"step\": 3}\n"},
	        {"{\"step\": 1}\n{\"step\": 2}\n{\"step\": 3}\n{\"step\": 4}\n", 0, 24,
	         "{\"step\": 1}\n{\"step\": 2}\n{\"step\": 3}\n"},
	        {"{\"step\": 1}\n{\"step\": 2}\n{\"step\": 1}\n{\"step\": 3}\n", 0, 48,
	         "{\"step\": 1}\n{\"step\": 2}\n{\"step\": 3}\n"},
	        {"[3]\nstep\n{\"step\": \"1\"}\n{\"step\": 2}\n", 0, 40, "{\"step\": 2}\n"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct text        caution = {0};
		struct metrics_log log;
		struct bytes       b;
		assert_ok(file_write(path_of("odd.jsonl"), cases[i].was,
		                     cases[i].n ? cases[i].n : strlen(cases[i].was)));
		assert_ok(metrics_log_resume(path_of("odd.jsonl"), 3, cases[i].bytes, &caution,
		                             &log));
		assert_non_null(strstr(caution.data, "odd.jsonl: not the"));
		assert_ok(file_read(log.path, 10000, &b));
		assert_string_equal(b.data, cases[i].now);
		assert_int_equal(log.bytes, b.n);
		bytes_free(&b);
		text_free(&caution);
		metrics_log_close(&log);
	}
	unlink(path_of("odd.jsonl"));
}

static void a_log_that_is_gone_begins_anew_and_one_that_cannot_be_seen_does_not(void **state)
{
	(void)state;
	struct text        caution = {0};
	struct metrics_log log;

	assert_ok(metrics_log_resume(path_of("gone.jsonl"), 3, 36, &caution, &log));
	assert_non_null(strstr(caution.data,
	                       "gone.jsonl: it is not there; a new one begins behind step 3"));
	assert_int_equal(log.bytes, 0);
	metrics_log_close(&log);
	unlink(path_of("gone.jsonl"));
	text_free(&caution);
	assert_int_equal(symlink(path_of("loop.jsonl"), path_of("loop.jsonl")), 0);
	assert_error(metrics_log_resume(path_of("loop.jsonl"), 3, 36, &caution, &log), ERR_INPUT,
	             "loop.jsonl: cannot look at it");
	unlink(path_of("loop.jsonl"));
}

static void a_full_disk_leaves_whole_lines(void **state)
{
	(void)state;
	static struct metrics m = {.table = &table};
	struct metrics_log    log;
	struct bytes          b;

	assert_ok(metrics_log_new(path_of("full.jsonl"), &log));
	m.n = 0;
	metrics_add(&m, "step", 1);
	assert_ok(metrics_log_write(&log, &m));
	room = 5;
	assert_error(metrics_log_write(&log, &m), ERR_INPUT,
	             "full.jsonl: cannot write it: No space left");
	room = -1;
	assert_ok(file_read(log.path, 10000, &b));
	assert_string_equal(b.data, "{\"step\": 1}\n");
	bytes_free(&b);
	m.n = 0;
	metrics_add(&m, "step", 2);
	assert_ok(metrics_log_write(&log, &m));
	assert_ok(file_read(log.path, 10000, &b));
	assert_string_equal(b.data, "{\"step\": 1}\n{\"step\": 2}\n");
	bytes_free(&b);
	unlink(log.path);
	metrics_log_close(&log);
}

/* ---- TensorBoard, read back by hand ---- */

/* CRC-32C by the definition: division of the message as a polynomial, most significant bit first,
 * on reflected bytes. */
static uint32_t crc32c_by_definition(const unsigned char *p, size_t n)
{
	uint32_t remainder = 0xffffffff, reflected = 0;

	for (size_t i = 0; i < n; i++)
		for (int bit = 0; bit < 8; bit++) {
			uint32_t top = remainder >> 31 ^ (p[i] >> bit & 1);
			remainder = remainder << 1 ^ (top ? 0x1EDC6F41u : 0);
		}
	for (int bit = 0; bit < 32; bit++)
		reflected |= (remainder >> bit & 1) << (31 - bit);
	return ~reflected;
}

static uint32_t masked(const unsigned char *p, size_t n)
{
	uint32_t c = crc32c_by_definition(p, n);
	return (c >> 15 | c << 17) + 0xa282ead8u;
}

static uint64_t little_endian(const unsigned char *p, int n)
{
	uint64_t x = 0;
	while (n--)
		x = x << 8 | p[n];
	return x;
}

static void the_checksum_is_castagnolis(void **state)
{
	(void)state;

	assert_int_equal(crc32c_by_definition((const unsigned char *)"123456789", 9), 0xE3069283);
	assert_int_equal(events_crc32c("123456789", 9), 0xE3069283);
	assert_int_equal(events_crc32c("", 0), 0);
}

/* The next record: checks both sums, returns the content and moves on. */
static const unsigned char *next_record(const struct bytes *b, size_t *at, size_t *n)
{
	const unsigned char *p = (const unsigned char *)b->data + *at;

	assert_true(*at + 16 <= b->n);
	*n = little_endian(p, 8);
	assert_true(*at + 16 + *n <= b->n);
	assert_int_equal(little_endian(p + 8, 4), masked(p, 8));
	assert_int_equal(little_endian(p + 12 + *n, 4), masked(p + 12, *n));
	*at += 16 + *n;
	return p + 12;
}

static void events_hold_time_step_tag_and_value(void **state)
{
	(void)state;
	/* field 2, the step: 3; field 5: a summary of two values */
	static const char summary[] = "\x10\x03\x2a\x1c"
	                              "\x0a\x0d\x0a\x06reward\x15\0\0\0\x3f" /* tag, float 0.5 */
	                              "\x0a\x0b\x0a\x04zero\x15\0\0\0\0";
	static struct metrics m = {.table = &table};
	struct events        *e;
	struct bytes          b;
	size_t                at = 0, n;
	const unsigned char  *p;
	double                wall_time;
	char                  path[300];

	metrics_add(&m, "kl", NAN);
	metrics_add(&m, "reward", 0.5);
	metrics_add(&m, "zero", 0);
	assert_ok(events_open(path_of("events"), 12, &e));
	assert_ok(events_write(e, 3, &m));
	events_close(e);
	snprintf(path, sizeof path, "%s/events.out.tfevents.0000000012.hone", path_of("events"));
	assert_ok(file_read(path, 10000, &b));
	p = next_record(&b, &at, &n);
	assert_int_equal(n, 9 + 15);
	assert_int_equal(p[0], 0x09); /* field 1, 64 bits */
	memcpy(&wall_time, p + 1, 8);
	assert_true(wall_time > 1.6e9 && wall_time < 1e11);
	assert_memory_equal(p + 9, "\x1a\x0d\x62rain.Event:2", 15); /* field 3, text */
	p = next_record(&b, &at, &n);
	assert_int_equal(n, 9 + sizeof summary - 1);
	assert_memory_equal(p + 9, summary, sizeof summary - 1);
	assert_int_equal(at, b.n);
	bytes_free(&b);
	assert_ok(file_remove_folder(path_of("events")));
}

/* TensorBoard keeps the first description of a tag; told in each step, it would be most of the
 * file. The class (1, a scalar) is what makes its server keep it. */
static void the_first_value_of_a_tag_says_what_it_is(void **state)
{
	(void)state;
	static const char summary[] = "\x10\x03\x2a\x2c" /* field 2, the step; field 5: one value */
	                              "\x0a\x2a\x0a\x02kl\x15\0\0\0\x3f"  /* tag, float 0.5 */
	                              "\x4a\x1f\x0a\x09\x0a\x07scalars"   /* field 9: the plugin, */
	                              "\x1a\x10up *Watch:* down\x20\x01"; /* the words, the class */
	static const struct metric_row   row = {.name = "kl", .help = "up", .watch = "down"};
	static const struct metric_table one = {.rows = &row, .n = 1};
	static struct metrics            m = {.table = &one};
	struct events                   *e;
	struct bytes                     b;
	size_t                           at = 0, n;
	const unsigned char             *p;
	char                             path[300];

	metrics_add(&m, "kl", 0.5);
	assert_ok(events_open(path_of("words"), 0, &e));
	assert_ok(events_write(e, 3, &m));
	events_close(e);
	assert_ok(events_open(path_of("words"), 0, &e)); /* the file goes on, and remembers */
	assert_ok(events_write(e, 4, &m));
	events_close(e);
	snprintf(path, sizeof path, "%s/events.out.tfevents.0000000000.hone", path_of("words"));
	assert_ok(file_read(path, 10000, &b));
	next_record(&b, &at, &n);
	p = next_record(&b, &at, &n);
	assert_int_equal(n, 9 + sizeof summary - 1);
	assert_memory_equal(p + 9, summary, sizeof summary - 1);
	next_record(&b, &at, &n);
	assert_int_equal(n, 9 + 4 + 2 + 9);
	assert_int_equal(at, b.n);
	bytes_free(&b);
	assert_ok(file_remove_folder(path_of("words")));
}

/* Steps of all records of all files, in the order of the files' names, as text. */
static const char *event_steps(void)
{
	static char text[500];
	int         starts[] = {0, 3, 6, 9};

	text[0] = 0;
	for (int i = 0; i < 4; i++) {
		char         path[300];
		struct bytes b;
		size_t       at = 0, n;
		snprintf(path, sizeof path, "%s/events.out.tfevents.%010d.hone", path_of("events"),
		         starts[i]);
		if (!file_exists(path))
			continue;
		assert_ok(file_read(path, 100000, &b));
		while (at < b.n) {
			const unsigned char *p = next_record(&b, &at, &n);
			assert_true(n > 10);
			snprintf(text + strlen(text), sizeof text - strlen(text),
			         p[9] == 0x10 ? " %d" : " |", p[10]);
		}
		bytes_free(&b);
	}
	return text;
}

static void write_steps(int from, int first, int last)
{
	static struct metrics m = {.table = &table};
	struct events        *e;

	m.n = 0;
	metrics_add(&m, "reward", 0.5);
	assert_ok(events_open(path_of("events"), from, &e));
	for (int step = first; step <= last; step++)
		assert_ok(events_write(e, step, &m));
	assert_ok(events_sync(e));
	events_close(e);
}

static void what_a_resume_does_again_is_cut_from_the_events(void **state)
{
	(void)state;
	struct text caution = {0};
	char        path[300];

	assert_ok(events_cut(path_of("events"), 4, &caution)); /* no folder yet */
	write_steps(0, 1, 5);
	assert_ok(events_cut(path_of("events"), 3, &caution));
	write_steps(3, 4, 7);
	assert_string_equal(event_steps(), " | 1 2 3 | 4 5 6 7");
	assert_ok(events_cut(path_of("events"), 6, &caution));
	write_steps(6, 7, 8);
	assert_string_equal(event_steps(), " | 1 2 3 | 4 5 6 | 7 8");
	assert_ok(events_cut(path_of("events"), 6, &caution)); /* again from there, twice */
	write_steps(6, 7, 9);
	assert_string_equal(event_steps(), " | 1 2 3 | 4 5 6 | 7 8 9");
	assert_ok(events_cut(path_of("events"), 2, &caution)); /* newer checkpoints were damaged */
	assert_string_equal(event_steps(), " | 1 2");
	write_steps(3, 4, 5);
	assert_int_equal(caution.n, 0);
	snprintf(path, sizeof path, "%s/events.out.tfevents.0000000003.hone", path_of("events"));
	assert_int_equal(truncate(path, 80), 0); /* in the middle of step 4 */
	assert_ok(file_append(path, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16));
	assert_ok(events_cut(path_of("events"), 5, &caution));
	assert_string_equal(event_steps(), " | 1 2 |");
	assert_non_null(strstr(caution.data, "0000000003.hone: broken behind step"));
	snprintf(path, sizeof path, "%s/mine.txt", path_of("events"));
	assert_ok(file_write(path, "x", 1));
	assert_ok(events_cut(path_of("events"), -1, &caution));
	assert_string_equal(event_steps(), "");
	assert_true(file_exists(path));
	text_free(&caution);
	assert_ok(file_remove_folder(path_of("events")));
}

TEST_MAIN(TEST(a_line_is_json_in_order_with_all_digits),
          TEST(a_resumed_log_forgets_what_will_be_done_again),
          TEST(a_log_that_is_not_what_the_checkpoint_knows_is_no_reason_to_stop),
          TEST(what_stands_behind_the_lines_of_the_checkpoint_goes_though_it_is_of_that_step),
          TEST(a_log_that_is_gone_begins_anew_and_one_that_cannot_be_seen_does_not),
          TEST(a_full_disk_leaves_whole_lines), TEST(the_checksum_is_castagnolis),
          TEST(events_hold_time_step_tag_and_value), TEST(the_first_value_of_a_tag_says_what_it_is),
          TEST(what_a_resume_does_again_is_cut_from_the_events))
