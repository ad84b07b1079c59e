#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "model/safetensors.h"
#include "test.h"

#include <unistd.h>

static const char cases[] = "tests/data/malformed-safetensors/";

static const char *temporary(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "/tmp/hone-test-%d-%s", (int)getpid(), name);
	return path;
}

/* A file with this header and `data_bytes` bytes of data. */
static void write_file(const char *path, const char *header, size_t data_bytes)
{
	uint64_t        n = strlen(header);
	struct file_out f;
	char            data[64] = {0};

	assert_ok(file_begin(path, &f));
	assert_ok(file_add(&f, &n, sizeof n));
	assert_ok(file_add(&f, header, n));
	assert_ok(file_finish(&f, file_add(&f, data, data_bytes)));
}

/* Metadata that are n_open times `open` and n_close times `close`. */
static void write_deep(const char *path, const char *open, int n_open, const char *close,
                       int n_close)
{
	struct text t = {0};

	text_print(&t, "{\"__metadata__\":");
	for (int i = 0; i < n_open; i++)
		text_print(&t, "%s", open);
	for (int i = 0; i < n_close; i++)
		text_print(&t, "%s", close);
	text_print(&t, "}");
	write_file(path, t.data, 0);
	text_free(&t);
}

/* The two cases that are too large to be kept. */
static const char *path_of_case(const char *file)
{
	static char path[256];

	if (!strcmp(file, "hdr_deep.safetensors")) {
		write_deep(temporary("deep"), "[", 100000, "]", 100000);
		return temporary("deep");
	}
	if (!strcmp(file, "hdr_deep_unclosed.safetensors")) {
		write_deep(temporary("deep"), "{\"a\":", 50000, "", 0);
		return temporary("deep");
	}
	snprintf(path, sizeof path, "%s%s", cases, file);
	return path;
}

/* Everything in the file is read, into blocks of just the right size: ASan sees one byte too
 * many. */
static void read_all(const char *path)
{
	struct safetensors s;

	assert_ok(safetensors_open(path, &s));
	for (size_t i = 0; i < s.n; i++) {
		const struct safetensors_entry *e = &s.entries[i];
		float                          *x = malloc(e->count * sizeof *x);
		if (e->type == SAFETENSORS_F32 || e->type == SAFETENSORS_BF16 ||
		    e->type == SAFETENSORS_F16)
			assert_ok(safetensors_read(&s, e, x));
		else
			assert_error(safetensors_read(&s, e, x), ERR_INPUT, e->name);
		free(x);
	}
	safetensors_close(&s);
}

static void every_collected_file_gets_its_verdict(void **state)
{
	(void)state;
	char          path[256];
	struct lines *in;
	const char   *line, *file = NULL, *verdict = NULL;
	size_t        n;
	int           n_cases = 0;

	snprintf(path, sizeof path, "%scases.jsonl", cases);
	assert_ok(lines_open(path, 1 << 16, &in));
	while (lines_next(in, &line, &n) == OK && line) {
		struct safetensors s;
		json_t            *row;
		const char        *place;
		int                status;
		assert_ok(json_parse("cases", line, n, &row));
		assert_ok(json_get_text("cases", row, "file", JSON_REQUIRED, &file));
		assert_ok(json_get_text("cases", row, "verdict", JSON_REQUIRED, &verdict));
		place = path_of_case(file);
		status = safetensors_open(place, &s);
		if (!strcmp(verdict, "accept") && status != OK)
			fail_msg("%s is refused: %s", file, error_message());
		if (!strcmp(verdict, "reject") && status != ERR_INPUT)
			fail_msg("%s is accepted", file);
		if (status != OK && strncmp(error_message(), place, strlen(place)) != 0)
			fail_msg("%s: the message does not name the file: %s", file,
			         error_message());
		safetensors_close(&s);
		if (status == OK)
			read_all(place);
		json_decref(row);
		n_cases++;
	}
	lines_close(in);
	unlink(temporary("deep"));
	assert_int_equal(n_cases, 74);
}

static void a_message_says_what_is_wrong_with_which_tensor(void **state)
{
	(void)state;
	static const struct {
		const char *header, *part;
		size_t      data_bytes;
	} table[] = {
	        {"{\"w\":{\"dtype\":\"F9\",\"shape\":[1],\"data_offsets\":[0,4]}}",
	         "tensor \"w\": the dtype \"F9\" is not known", 4},
	        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
	         "tensor \"w\": its data have 4 bytes, its shape wants 2", 4},
	        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
	         "take 4 bytes, the file holds 7", 7},
	        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
	         "\"w\": its data begin at 4, behind a hole", 8},
	        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[-0],\"data_offsets\":[0,0]}}",
	         "not what a safetensors file has", 0},
	        {"{\"w\\u0000\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}",
	         "NUL byte in object key", 0},
	        {"{\"w\":1,\"w\":2}", "duplicate", 0},
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		struct safetensors s;
		write_file(temporary("bad"), table[i].header, table[i].data_bytes);
		assert_error(safetensors_open(temporary("bad"), &s), ERR_INPUT, table[i].part);
	}
	unlink(temporary("bad"));
	assert_error(safetensors_open("/dev/null/x", &(struct safetensors){0}), ERR_INPUT,
	             "/dev/null/x");
	assert_error(safetensors_open("/tmp", &(struct safetensors){0}), ERR_INPUT,
	             "not a regular file");
}

/* The value of 16 bits by the definition of the two formats, in double. */
static double value_of(uint16_t b, int exponent_bits)
{
	int fraction_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
	int exponent = b >> fraction_bits & ((1 << exponent_bits) - 1),
	    fraction = b & ((1 << fraction_bits) - 1);
	double sign = b & 0x8000 ? -1 : 1;

	if (exponent == (1 << exponent_bits) - 1)
		return fraction ? NAN : sign * INFINITY;
	if (exponent == 0)
		return sign * ldexp(fraction, 1 - bias - fraction_bits);
	return sign * ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
}

static void all_16_bit_numbers_are_read_exactly_and_written_back(void **state)
{
	(void)state;
	for (uint32_t b = 0; b < 65536; b++) {
		float  f16 = float_from_f16((uint16_t)b), bf16 = float_from_bf16((uint16_t)b);
		double want_f16 = value_of((uint16_t)b, 5), want_bf16 = value_of((uint16_t)b, 8);
		if (isnan(want_f16)) {
			assert_true(isnan(f16) && isnan(float_from_f16(float_to_f16(f16))));
		} else {
			assert_true(f16 == want_f16);
			assert_int_equal(float_to_f16(f16), b);
		}
		if (isnan(want_bf16)) {
			assert_true(isnan(bf16) && isnan(float_from_bf16(float_to_bf16(bf16))));
		} else {
			assert_true(bf16 == want_bf16);
			assert_int_equal(float_to_bf16(bf16), b);
		}
	}
}

/* No other of the neighbouring 16-bit numbers is nearer to x; of two equally near ones the even one
 * was taken. */
static void check_nearest(float x, uint16_t got, int exponent_bits)
{
	uint16_t infinity = (uint16_t)(((1 << exponent_bits) - 1) << (15 - exponent_bits)),
	         magnitude = got & 0x7fff;
	double distance, other;

	assert_int_equal(got >> 15, signbit(x) != 0);
	/* For rounding, infinity stands where the next number would. */
	double top = value_of((uint16_t)(infinity - 1), exponent_bits) +
	             value_of((uint16_t)(infinity - 1), exponent_bits) -
	             value_of((uint16_t)(infinity - 2), exponent_bits);
	double here = magnitude == infinity ? top : value_of(magnitude, exponent_bits);
	distance = fabs(fabs((double)x) - here);
	for (int side = -1; side <= 1; side += 2) {
		int neighbour = magnitude + side;
		if (neighbour < 0 || neighbour > infinity ||
		    (magnitude == infinity && fabs((double)x) >= top))
			continue;
		other = fabs(fabs((double)x) -
		             (neighbour == infinity
		                      ? top
		                      : value_of((uint16_t)neighbour, exponent_bits)));
		if (other < distance || (other == distance && (got & 1)))
			fail_msg("%a became %#x with %d exponent bits", (double)x, got,
			         exponent_bits);
	}
}

static void writing_16_bits_takes_the_nearest_number_ties_to_even(void **state)
{
	(void)state;
	struct rng_key key = {.seed = 5, .purpose = RNG_TEST};

	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t out[4];
		float    x;
		rng_bits(key, i, out);
		if (out[1] & 1) /* near the range of f16, where much happens */
			out[0] = (out[0] & 0x807fffff) | (98 + (out[1] >> 1) % 48) << 23;
		if (out[2] & 1) /* often a tie */
			out[0] &= out[2] & 2 ? ~(uint32_t)0xfff : ~(uint32_t)0x7fff;
		memcpy(&x, out, sizeof x);
		if (!isfinite(x))
			continue;
		check_nearest(x, float_to_f16(x), 5);
		check_nearest(x, float_to_bf16(x), 8);
	}
	assert_int_equal(float_to_f16(65519.996f), 0x7bff);
	assert_int_equal(float_to_f16(65520.0f), 0x7c00);
	assert_int_equal(float_to_bf16(3.4028235e38f), 0x7f80);
}

static void a_nan_whose_payload_lies_in_the_lost_bits_stays_a_nan(void **state)
{
	(void)state;
	uint32_t bits = 0x7f800001;
	float    x;

	memcpy(&x, &bits, sizeof x);
	assert_true(isnan(float_from_bf16(float_to_bf16(x))));
	assert_true(isnan(float_from_f16(float_to_f16(x))));
}

static const float small[] = {1.5f, -2, 0, 3.25f, 1e-3f, 7};

static void write_small(const char *path, enum safetensors_type type)
{
	struct safetensors_item items[] = {
	        {.name = "z", .n_dims = 1, .dims = {2}, .data = small + 4},
	        {.name = "a\"quoted", .n_dims = 2, .dims = {2, 2}, .data = small},
	};

	assert_ok(safetensors_write(path, type, items, 2));
}

static void a_written_file_has_sorted_names_and_a_padded_header(void **state)
{
	(void)state;
	struct bytes b;
	uint64_t     n;
	const char   want[] = "{\"__metadata__\":{\"format\":\"pt\"},\"a\\\"quoted\":{\"dtype\":"
	                      "\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
	                      "\"z\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]}}";

	write_small(temporary("small"), SAFETENSORS_F32);
	assert_ok(file_read(temporary("small"), 4096, &b));
	memcpy(&n, b.data, sizeof n);
	assert_int_equal(n % 8, 0);
	assert_int_equal(n, (sizeof want - 1 + 7) / 8 * 8);
	assert_memory_equal(b.data + 8, want, sizeof want - 1);
	assert_memory_equal(b.data + 8 + n, small, sizeof small);
	assert_int_equal(b.n, 8 + n + sizeof small);
	bytes_free(&b);
	unlink(temporary("small"));
}

static void what_was_written_is_read_back(void **state)
{
	(void)state;
	for (enum safetensors_type type = SAFETENSORS_F32; type <= SAFETENSORS_F16; type++) {
		struct safetensors s;
		float              x[4];
		write_small(temporary("small"), type);
		assert_ok(safetensors_open(temporary("small"), &s));
		assert_ok(safetensors_read(&s, safetensors_find(&s, "a\"quoted"), x));
		assert_memory_equal(x, small, sizeof x);
		assert_null(safetensors_find(&s, "b"));
		safetensors_close(&s);
	}
	unlink(temporary("small"));
}

static void tensors_longer_than_a_block_are_converted_whole(void **state)
{
	(void)state;
	enum { N = 40001 };
	float             *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
	struct safetensors s;

	for (int i = 0; i < N; i++)
		x[i] = float_from_bf16((uint16_t)(i % 30000));
	assert_ok(safetensors_write(
	        temporary("long"), SAFETENSORS_BF16,
	        &(struct safetensors_item){.name = "x", .n_dims = 1, .dims = {N}, .data = x}, 1));
	assert_ok(safetensors_open(temporary("long"), &s));
	assert_ok(safetensors_read(&s, &s.entries[0], y));
	assert_memory_equal(x, y, N * sizeof *x);
	safetensors_close(&s);
	unlink(temporary("long"));
	free(x);
	free(y);
}

static void a_number_too_large_for_the_type_leaves_no_file(void **state)
{
	(void)state;
	float                   x[] = {1, 70000};
	struct safetensors_item item = {.name = "w", .n_dims = 1, .dims = {2}, .data = x};

	assert_error(safetensors_write(temporary("large"), SAFETENSORS_F16, &item, 1), ERR_INPUT,
	             "tensor \"w\"[1] is 70000, too large for F16");
	assert_false(file_exists(temporary("large")));
	assert_false(file_exists(temporary("large.part")));
}

/* Cut anywhere, or with any one bit of the header turned, a file is refused or still describes its
 * data without a gap. */
static void a_cut_file_is_refused_and_an_edited_one_does_no_harm(void **state)
{
	(void)state;
	struct bytes       b;
	struct safetensors s;

	write_small(temporary("small"), SAFETENSORS_BF16);
	assert_ok(file_read(temporary("small"), 4096, &b));
	for (size_t n = 0; n < b.n; n++) {
		assert_ok(file_write(temporary("cut"), b.data, n));
		assert_error(safetensors_open(temporary("cut"), &s), ERR_INPUT, temporary("cut"));
	}
	for (size_t i = 0; i < b.n - 12; i++) {
		b.data[i] ^= (char)(1 << i % 8);
		assert_ok(file_write(temporary("cut"), b.data, b.n));
		if (safetensors_open(temporary("cut"), &s) == OK) {
			safetensors_close(&s);
			read_all(temporary("cut"));
		}
		b.data[i] ^= (char)(1 << i % 8);
	}
	bytes_free(&b);
	unlink(temporary("cut"));
	unlink(temporary("small"));
}

static void any_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
	(void)state;
	struct safetensors s;
	int                failed = 0;

	write_small(temporary("small"), SAFETENSORS_F32);
	for (long k = 1;; k++) {
		int status;
		mem_fail_at(k);
		status = safetensors_open(temporary("small"), &s);
		if (status == OK)
			break;
		assert_memory(status, "");
		failed++;
	}
	mem_fail_at(0);
	safetensors_close(&s);
	assert_true(failed >= 2);
	unlink(temporary("small"));
}

TEST_MAIN(TEST(every_collected_file_gets_its_verdict),
          TEST(a_message_says_what_is_wrong_with_which_tensor),
          TEST(all_16_bit_numbers_are_read_exactly_and_written_back),
          TEST(writing_16_bits_takes_the_nearest_number_ties_to_even),
          TEST(a_nan_whose_payload_lies_in_the_lost_bits_stays_a_nan),
          TEST(a_written_file_has_sorted_names_and_a_padded_header),
          TEST(what_was_written_is_read_back),
          TEST(tensors_longer_than_a_block_are_converted_whole),
          TEST(a_number_too_large_for_the_type_leaves_no_file),
          TEST(a_cut_file_is_refused_and_an_edited_one_does_no_harm),
          TEST(any_failing_allocation_is_reported_and_leaks_nothing))
