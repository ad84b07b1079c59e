/* test.h - what every test includes: cmocka, comparisons that do not accept NaN, and the ends of
 * every test file.
 *
 *     static void a_property_in_words(void **state) { ... }
 *     TEST_MAIN(TEST(a_property_in_words), ...) */
#ifndef TEST_H
#define TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/memory.h"

/* Not assert_float_equal(): cmocka 1.1.5 lets NAN and INFINITY pass it. */
#define assert_close(got, want, tolerance) \
	do { \
		double g_ = (got), w_ = (want); \
		if (!(fabs(g_ - w_) <= (tolerance))) \
			fail_msg("%s is %.9g, expected %.9g", #got, g_, w_); \
	} while (0)

/* The call succeeds; otherwise its message is shown. */
#define assert_ok(call) \
	do { \
		int s_ = (call); \
		if (s_ != OK) \
			fail_msg("%s returned %d: %s", #call, s_, error_message()); \
	} while (0)

/* The call fails with `status` and its message contains `part`. */
#define assert_error(call, status, part) \
	do { \
		int s_ = (call); \
		if (s_ != (status)) \
			fail_msg("%s returned %d, expected %d (%s)", #call, s_, (int)(status), \
			         error_message()); \
		if (!strstr(error_message(), (part))) \
			fail_msg("%s says \"%s\", expected it to mention \"%s\"", #call, \
			         error_message(), (part)); \
	} while (0)

/* The call fails for want of memory: its own status, a message that names what the memory was for,
 * and an exit status that says that the user can fix it. */
#define assert_memory(call, what) \
	do { \
		assert_error(call, ERR_MEMORY, what); \
		assert_non_null(strstr(error_message(), "out of memory: ")); \
		assert_int_equal(error_exit_status(ERR_MEMORY), 2); \
	} while (0)

#define TEST(f) cmocka_unit_test(f)
#define TEST_MAIN(...) \
	int main(void) \
	{ \
		const struct CMUnitTest tests[] = {__VA_ARGS__}; \
		return cmocka_run_group_tests(tests, NULL, NULL); \
	}

#endif
