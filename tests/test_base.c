#include "base/file.h"
#include "base/fingerprint.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/threads.h"
#include "test.h"

#include <errno.h>
#include <unistd.h>
#include <zlib.h>

/* Known answers of Philox4x32-10 from the generator's own distribution (Random123, kat_vectors). */
static void random_bits_match_the_published_vectors(void **state)
{
	(void)state;
	struct rng_key zero = {0}, ones = {UINT64_MAX, (enum rng_purpose)0xff, 0xffffffff,
	                                   0xffffffff, 0xffffff};
	uint32_t       out[4];

	rng_bits(zero, 0, out);
	assert_int_equal(out[0], 0x6627e8d5);
	assert_int_equal(out[1], 0xe169c58d);
	assert_int_equal(out[2], 0xbc57ac4c);
	assert_int_equal(out[3], 0x9b00dbd8);
	rng_bits(ones, 0xffffffff, out);
	assert_int_equal(out[0], 0x408f276d);
	assert_int_equal(out[1], 0x41c83b0e);
	assert_int_equal(out[2], 0xa20bc7c6);
	assert_int_equal(out[3], 0x6d5451fd);
}

static void a_permutation_holds_every_number_once(void **state)
{
	(void)state;
	uint32_t p[100], seen[100] = {0};

	rng_permutation((struct rng_key){7, RNG_ORDER, 1, 0, 0}, 100, p);
	for (int i = 0; i < 100; i++)
		seen[p[i]]++;
	for (int i = 0; i < 100; i++)
		assert_int_equal(seen[i], 1);
}

static void uniform_numbers_have_the_right_mean_and_variance(void **state)
{
	(void)state;
	double sum = 0, square = 0;
	int    n = 100000;

	for (int i = 0; i < n; i++) {
		double u = rng_uniform((struct rng_key){1, RNG_TEST, 2, 3, 4}, (uint32_t)i);
		assert_true(u >= 0 && u < 1);
		sum += u;
		square += u * u;
	}
	assert_close(sum / n, 0.5, 0.004);
	assert_close(square / n - 0.25, 1.0 / 12, 0.004);
}

static void an_arena_reuses_its_memory_after_a_reset(void **state)
{
	(void)state;
	struct arena a = {0};
	char        *first, *other;

	for (int i = 0; i < 50; i++)
		assert_ok(arena_take(&a, 10000, "a block", &other));
	arena_reset(&a);
	assert_ok(arena_take(&a, 100, "the first", &first));
	for (int i = 0; i < 49; i++)
		assert_ok(arena_take(&a, 10000, "a block", &other));
	arena_reset(&a);
	assert_ok(arena_take(&a, 100, "the first again", &other));
	assert_ptr_equal(other, first);
	arena_free(&a);
}

/* Texts are packed, blocks stay aligned, and what fitted once fits again: the second time nothing
 * is allocated. */
static void an_arena_packs_texts_between_aligned_blocks(void **state)
{
	(void)state;
	struct arena a = {0};
	const void  *warm;
	size_t       used;
	char        *s, *t, *block;

	for (int round = 0; round < 3; round++) {
		arena_reset(&a);
		warm = a.chunk;
		for (int i = 0; i < 3000; i++) {
			assert_ok(arena_copy(&a, "a text", (size_t)(i % 7), &s));
			assert_ok(arena_print(&a, &t, "%d", i % 10));
			assert_ptr_equal(t, s + i % 7 + 1);
			if (i % 5)
				continue;
			assert_ok(arena_take(&a, (size_t)i, "a block", &block));
			assert_int_equal((uintptr_t)block % 64, 0);
		}
		assert_true(round < 2 || a.chunk == warm);
	}
	used = a.used;
	for (int i = 0; i < 1000; i++)
		assert_ok(arena_copy(&a, "4", 1, &s));
	assert_true(a.used - used < 2000 + 64);
	arena_free(&a);
}

static void memory_given_back_to_a_mark_is_zeroed_when_handed_out_again(void **state)
{
	(void)state;
	struct arena      a = {0};
	struct arena_mark mark;
	char             *p;

	assert_ok(arena_take(&a, 10, "a block", &p));
	mark = arena_mark(&a);
	assert_ok(arena_take(&a, 100000, "a block", &p));
	memset(p, 1, 100000);
	arena_release(&a, mark);
	assert_ok(arena_take(&a, 100, "a block", &p));
	for (int i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	arena_free(&a);
}

/* Known values of FNV-1a (draft-eastlake-fnv), and what must not be taken for the same. */
static void a_fingerprint_is_fnv_1a(void **state)
{
	(void)state;
	const float x[] = {0.0f, -0.0f};

	assert_true(fingerprint_bytes(FINGERPRINT_EMPTY, "", 0) == UINT64_C(0xcbf29ce484222325));
	assert_true(fingerprint_bytes(FINGERPRINT_EMPTY, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(fingerprint_bytes(FINGERPRINT_EMPTY, "foobar", 6) ==
	            UINT64_C(0x85944171f73967e8));
	assert_true(fingerprint_text(fingerprint_text(FINGERPRINT_EMPTY, "ab"), "c") !=
	            fingerprint_text(fingerprint_text(FINGERPRINT_EMPTY, "a"), "bc"));
	assert_true(fingerprint_text(FINGERPRINT_EMPTY, "") !=
	            fingerprint_text(FINGERPRINT_EMPTY, NULL));
	assert_true(fingerprint_floats(FINGERPRINT_EMPTY, x, 1) !=
	            fingerprint_floats(FINGERPRINT_EMPTY, x + 1, 1));
}

static void an_overflowing_or_failing_allocation_says_what_it_was_for(void **state)
{
	(void)state;
	struct arena a = {0};
	float       *x = (float[]){1};
	const char  *t = "t";

	assert_memory(mem_take(SIZE_MAX / 2, "the weights", &x), "the weights");
	assert_null(x);
	assert_memory(arena_take(&a, SIZE_MAX / 2, "the keys", &x), "the keys");
	mem_fail_at(1);
	assert_memory(mem_take(1, "the moments", &x), "the moments (1 x 4 bytes)");
	mem_fail_at(1);
	assert_memory(arena_take(&a, 7, "the values", &x), "the values (7 x 4 bytes)");
	mem_fail_at(1);
	assert_memory(arena_print(&a, &t, "%d", 1), "a text");
	assert_null(t);
	mem_fail_at(1);
	assert_memory(mem_copy("t", 1, &t), "a text");
}

/* Out of memory is a status of its own, wherever it comes from, and the program exits with 2. */
static void memory_that_is_short_has_a_status_of_its_own(void **state)
{
	(void)state;
	struct text t = {0};

	mem_fail_at(1);
	text_add(&t, "word", 4);
	text_add(&t, "word", 4); /* nothing is added behind a gap */
	assert_int_equal(t.n, 0);
	assert_memory(text_status(&t), "a text");
	text_free(&t);
	errno = ENOMEM;
	assert_memory(error_system("file", "read it"), "cannot read it: file");
	errno = EIO;
	assert_error(error_system("file", "read it"), ERR_INPUT, "file: cannot read it");
	assert_memory(error_memory("a match of %s", "x"), "a match of x");
	assert_int_equal(error_cause(), ENOMEM);
	assert_int_equal(error_exit_status(ERR_INPUT), 2);
	assert_int_equal(error_exit_status(ERR_FAILED), 1);
	assert_int_equal(error_exit_status(STOPPED), 3);
	assert_int_equal(error_exit_status(OK), 0);
}

/* The same takes, with a part released in between: what is counted is what is needed, and no byte
 * more. */
static void an_arena_that_counts_says_what_is_needed(void **state)
{
	(void)state;
	struct arena a[2] = {{.counts = 1}, {0}};

	for (int i = 0; i < 2; i++) {
		struct arena_mark mark;
		double           *x = (double[]){1};
		char             *s = (char[]){1};
		if (i)
			assert_ok(arena_reserve(&a[1], a[0].peak, "what was counted"));
		assert_ok(arena_take(&a[i], 3, "numbers", &x));
		assert_ok(arena_take(&a[i], 65, "letters", &s));
		assert_true(i ? x && s : !x && !s);
		mark = arena_mark(&a[i]);
		assert_ok(arena_take(&a[i], 1000, "numbers", &x));
		arena_release(&a[i], mark);
		assert_ok(arena_take(&a[i], 0, "nothing", &x));
		assert_memory(arena_take(&a[i], SIZE_MAX / 2, "too many", &x), "too many");
	}
	assert_int_equal(a[0].peak, 64 + 128 + 8000);
	assert_int_equal(a[0].used, 64 + 128 + 64);
	assert_int_equal(a[1].peak, a[0].peak);
	assert_int_equal(a[1].used, a[0].used);
	arena_free(&a[0]);
	arena_free(&a[1]);
	mem_fail_at(1);
	assert_memory(arena_reserve(&a[1], 64, "the block"), "the block");
}

/* Not only where an arena needs another chunk. */
static void every_take_from_an_arena_can_be_made_to_fail(void **state)
{
	(void)state;
	struct arena a = {0};
	char        *s;

	assert_ok(arena_take(&a, 1, "the first", &s));
	mem_fail_at(2);
	assert_ok(arena_take(&a, 1, "the second", &s));
	assert_memory(arena_take(&a, 1, "the third", &s), "the third");
	assert_ok(arena_take(&a, 1, "the fourth", &s));
	arena_free(&a);
}

static void a_list_grows_by_doubling_and_stays_as_it_was_when_memory_is_short(void **state)
{
	(void)state;
	struct arena a = {0};
	size_t       capacity[2] = {0, 0};
	int         *list[2] = {NULL, NULL}, grown = 0;

	for (int i = 0; i < 1000; i++)
		for (int of_arena = 0; of_arena < 2; of_arena++) {
			size_t was = capacity[of_arena], want = (size_t)i + 1;
			assert_ok(of_arena ? arena_room(&a, &list[1], &capacity[1], want, "numbers")
			                   : mem_room(&list[0], &capacity[0], want, "numbers"));
			assert_true(capacity[of_arena] >= want);
			grown += capacity[of_arena] != was;
			list[of_arena][i] = i;
		}
	assert_true(grown <= 2 * 11);
	mem_fail_at(1);
	assert_memory(mem_room(&list[0], &capacity[0], 5000, "numbers"), "numbers");
	mem_fail_at(1);
	assert_memory(arena_room(&a, &list[1], &capacity[1], 50000, "numbers"), "numbers");
	assert_true(capacity[0] < 5000 && capacity[1] < 50000);
	for (int i = 0; i < 1000; i++)
		assert_true(list[0][i] == i && list[1][i] == i);
	mem_free(list[0]);
	arena_free(&a);
}

static void a_message_gains_its_context(void **state)
{
	(void)state;
	assert_int_equal(error_set(ERR_INPUT, "bad %d", 3), ERR_INPUT);
	assert_int_equal(error_context("file %s", "x"), ERR_INPUT);
	assert_string_equal(error_message(), "file x: bad 3");
}

static const char *temporary(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "/tmp/hone-test-%d-%s", (int)getpid(), name);
	return path;
}

static void lines_come_back_from_plain_and_from_gzip(void **state)
{
	(void)state;
	const char *content = "one\r\n\ntwo";
	const char *want[] = {"one", "", "two"};

	for (int gzip = 0; gzip < 2; gzip++) {
		const char   *path = temporary("lines"), *line;
		struct lines *in;
		size_t        n;
		assert_ok(gzip ? file_write_gzip(path, content, strlen(content))
		               : file_write(path, content, strlen(content)));
		assert_ok(lines_open(path, 100, &in));
		for (int i = 0; i < 3; i++) {
			assert_ok(lines_next(in, &line, &n));
			assert_non_null(line);
			assert_string_equal(line, want[i]);
			assert_int_equal(lines_number(in), i + 1);
		}
		assert_ok(lines_next(in, &line, &n));
		assert_null(line);
		lines_close(in);
		unlink(path);
	}
}

static void a_cut_gzip_stream_and_a_long_line_are_errors(void **state)
{
	(void)state;
	const char   *path = temporary("cut"), *line;
	char          content[5000];
	struct lines *in;
	struct bytes  b;
	size_t        n;

	memset(content, 'x', sizeof content);
	assert_ok(file_write_gzip(path, content, sizeof content));
	assert_ok(lines_open(path, 1000, &in));
	assert_error(lines_next(in, &line, &n), ERR_INPUT, "longer than 1000 bytes");
	lines_close(in);
	assert_ok(file_read(path, 1 << 20, &b));
	assert_ok(file_write(path, b.data, b.n - 9));
	bytes_free(&b);
	assert_ok(lines_open(path, 10000, &in));
	assert_error(lines_next(in, &line, &n), ERR_INPUT, "cut off");
	lines_close(in);
	unlink(path);
}

static void a_file_is_replaced_whole_or_not_at_all(void **state)
{
	(void)state;
	struct bytes b;

	assert_ok(file_write(temporary("whole"), "abc", 3));
	assert_ok(file_write(temporary("whole"), "defg", 4));
	assert_ok(file_read(temporary("whole"), 100, &b));
	assert_string_equal(b.data, "defg");
	bytes_free(&b);
	assert_error(file_read(temporary("whole"), 3, &b), ERR_INPUT, "more than the 3");
	unlink(temporary("whole"));
	assert_error(file_write("/dev/null/x", "a", 1), ERR_INPUT, "/dev/null/x");
	assert_error(file_read("/tmp", 100, &b), ERR_INPUT, "not a regular file");
}

static void json_is_bounded_and_says_where_it_is_wrong(void **state)
{
	(void)state;
	char    deep[201];
	json_t *j;
	int64_t i = 5;

	memset(deep, '[', 200);
	assert_error(json_parse("deep.json", deep, 200, &j), ERR_INPUT, "deeper than");
	assert_error(json_parse("a.json", "{\"a\":1,\"a\":2}", 13, &j), ERR_INPUT, "a.json");
	assert_error(json_parse("a.json", "{} x", 4, &j), ERR_INPUT, "a.json");
	assert_ok(json_parse("a.json", "{\"n\": 3, \"s\": \"t\"}", 18, &j));
	assert_ok(json_get_int("a.json", j, "missing", JSON_OPTIONAL, json_range(0, 9), &i));
	assert_int_equal(i, 5);
	assert_ok(json_get_int("a.json", j, "n", JSON_REQUIRED, json_range(0, 9), &i));
	assert_int_equal(i, 3);
	assert_error(json_get_int("a.json", j, "n", JSON_REQUIRED, json_range(4, 9), &i), ERR_INPUT,
	             "outside 4 .. 9");
	assert_error(json_get_int("a.json", j, "s", JSON_REQUIRED, json_range(4, 9), &i), ERR_INPUT,
	             "must be an integer");
	assert_error(json_get_int("a.json", j, "gone", JSON_REQUIRED, json_range(4, 9), &i),
	             ERR_INPUT, "\"gone\" is missing");
	json_decref(j);
}

static void integers_beyond_64_bits_keep_all_their_digits(void **state)
{
	(void)state;
	static const char text[] =
	        "[9223372036854775807, -9223372036854775808, 9223372036854775808, "
	        "[-12345678901234567890123], "
	        "\"\\\"9223372036854775808\", 1.9223372036854775808, 9223372036854775808e0]";
	json_t *j;

	assert_ok(json_parse("big", text, sizeof text - 1, &j));
	assert_true(json_integer_value(json_array_get(j, 0)) == INT64_MAX &&
	            json_integer_value(json_array_get(j, 1)) == INT64_MIN);
	assert_string_equal(json_string_value(json_array_get(j, 2)), "9223372036854775808");
	assert_string_equal(json_string_value(json_array_get(json_array_get(j, 3), 0)),
	                    "-12345678901234567890123");
	assert_string_equal(json_string_value(json_array_get(j, 4)), "\"9223372036854775808");
	assert_true(json_is_real(json_array_get(j, 5)) && json_is_real(json_array_get(j, 6)));
	json_decref(j);
	assert_error(json_parse("big", "{9223372036854775808: 1}", 24, &j), ERR_INPUT, "big");
	assert_error(json_parse("big", "[09223372036854775808]", 22, &j), ERR_INPUT, "big");
	assert_error(json_parse("big", "[9223372036854775808 1]", 23, &j), ERR_INPUT, "big");
	assert_error(json_parse("nul", "1\0", 2, &j), ERR_INPUT, "nul: not valid JSON: a NUL byte");
}

static void json_text_survives_a_round_trip_and_bad_bytes_do_not(void **state)
{
	(void)state;
	struct text t = {0};
	json_t     *j;

	json_add_string(&t, "a\"\\\n\x01\xC3\xA9\xFF", 8);
	assert_ok(json_parse("t", t.data, t.n, &j));
	assert_string_equal(json_string_value(j), "a\"\\\n\x01\xC3\xA9\xEF\xBF\xBD");
	json_decref(j);
	text_free(&t);
	json_add_real(&t, 0.1);
	text_add(&t, " ", 1);
	json_add_real(&t, 1.0 / 3);
	text_add(&t, " ", 1);
	json_add_real(&t, NAN);
	assert_string_equal(t.data, "0.1 0.3333333333333333 null");
	text_free(&t);
}

TEST_MAIN(TEST(random_bits_match_the_published_vectors),
          TEST(a_permutation_holds_every_number_once),
          TEST(uniform_numbers_have_the_right_mean_and_variance),
          TEST(an_arena_reuses_its_memory_after_a_reset), TEST(a_fingerprint_is_fnv_1a),
          TEST(an_arena_packs_texts_between_aligned_blocks),
          TEST(memory_given_back_to_a_mark_is_zeroed_when_handed_out_again),
          TEST(an_overflowing_or_failing_allocation_says_what_it_was_for),
          TEST(an_arena_that_counts_says_what_is_needed),
          TEST(every_take_from_an_arena_can_be_made_to_fail),
          TEST(memory_that_is_short_has_a_status_of_its_own),
          TEST(a_list_grows_by_doubling_and_stays_as_it_was_when_memory_is_short),
          TEST(a_message_gains_its_context), TEST(lines_come_back_from_plain_and_from_gzip),
          TEST(a_cut_gzip_stream_and_a_long_line_are_errors),
          TEST(a_file_is_replaced_whole_or_not_at_all),
          TEST(json_is_bounded_and_says_where_it_is_wrong),
          TEST(integers_beyond_64_bits_keep_all_their_digits),
          TEST(json_text_survives_a_round_trip_and_bad_bytes_do_not))
