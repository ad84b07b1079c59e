/* Ranks as processes of this machine: what one gives arrives at all, an error or a loss of one ends
 * all, a signal to one is known to all in the same call. */
#include "on_ranks.h"

/* ---- data ---- */

static unsigned element(int from, int to, size_t i)
{
	return (unsigned)(i * 2654435761u) ^ (unsigned)(from << 24) ^ (unsigned)(to << 16);
}

/* Rank r gives `length` + r elements; all get all. */
static int gather_all(void)
{
	struct arena       a = {0};
	struct ranks_piece in[RANKS_MOST];
	size_t             n = (size_t)body_parameter + (size_t)ranks_number();
	unsigned          *mine = malloc(n * sizeof *mine);

	for (size_t i = 0; i < n; i++)
		mine[i] = element(ranks_number(), 0, i);
	TRY(ranks_gather("elements", mine, n * sizeof *mine, &a, in));
	for (int r = 0; r < ranks_count(); r++) {
		const unsigned *x = in[r].data;
		CHECK(in[r].n == ((size_t)body_parameter + (size_t)r) * sizeof *x);
		for (size_t i = 0; i < in[r].n / sizeof *x; i++)
			CHECK(x[i] == element(r, 0, i));
	}
	free(mine);
	arena_free(&a);
	return OK;
}

/* Slices: rank a gives rank b one of its own, of another length for each pair. */
static int exchange_all(void)
{
	struct arena       a = {0};
	struct ranks_piece out[RANKS_MOST], in[RANKS_MOST];
	int                me = ranks_number();

	for (int r = 0; r < ranks_count(); r++) {
		size_t n = (size_t)body_parameter + (size_t)(3 * me + r),
		       m = (size_t)body_parameter + (size_t)(3 * r + me);
		unsigned *x;
		TRY(arena_take(&a, n, "a slice", &x));
		for (size_t i = 0; i < n; i++)
			x[i] = element(me, r, i);
		out[r] = (struct ranks_piece){x, n * sizeof *x};
		TRY(arena_take(&a, m, "a slice", &x));
		in[r] = (struct ranks_piece){x, m * sizeof *x};
	}
	TRY(ranks_exchange("slices", out, in));
	for (int r = 0; r < ranks_count(); r++)
		for (size_t i = 0; i < in[r].n / sizeof(unsigned); i++)
			CHECK(((unsigned *)in[r].data)[i] == element(r, me, i));
	arena_free(&a);
	return OK;
}

static void what_a_rank_gives_arrives_element_by_element(void **state)
{
	(void)state;
	static const int lengths[] = {0, 1, 2, 7, 63, 1000, 4097, 65537, 1000000};

	for (int n = 1; n <= RANKS_MOST; n++)
		for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
			if (lengths[i] > 10000 && n != 1 && n != 3 && n != RANKS_MOST)
				continue;
			on_ranks(n, gather_all, lengths[i]);
			on_ranks(n, exchange_all, lengths[i]);
			for (int r = 0; r < n; r++) {
				assert_true(outcomes[r].opened);
				assert_int_equal(outcomes[r].status, OK);
			}
		}
}

static int say_who_they_are(void)
{
	CHECK(ranks_count() == body_parameter);
	CHECK(ranks_first() == (ranks_number() == 0));
	CHECK(ranks_speaks() == ranks_first());
	CHECK(ranks_here() == body_parameter);
	CHECK(ranks_sharing_cores() == body_parameter);
	return OK;
}

static void ranks_know_their_number_and_their_machine(void **state)
{
	(void)state;
	for (int n = 1; n <= RANKS_MOST; n++) {
		on_ranks(n, say_who_they_are, n);
		for (int r = 0; r < n; r++)
			assert_true(outcomes[r].opened);
	}
}

/* ---- errors ---- */

/* One rank fails where the others gather; two fail with messages of their own. */
static int one_fails(void)
{
	if (ranks_number() == body_parameter)
		return error_set(ERR_INPUT, "x.jsonl: line 3 is bad");
	return gather_all();
}

/* The same in a piece of work, whose end comes before that of the job. */
static int one_fails_in_a_piece(void)
{
	return ranks_together("the piece", one_fails());
}

static int all_but_one_fail(void)
{
	if (ranks_number() != body_parameter)
		return error_set(ERR_MEMORY, "message of %d", ranks_number());
	return gather_all();
}

static void all_ranks_return_the_error_of_the_lowest_that_failed(void **state)
{
	(void)state;
	char wanted[64];

	for (int who = 0; who < 4; who++) {
		for (int piece = 0; piece < 2; piece++) {
			on_ranks(4, piece ? one_fails_in_a_piece : one_fails, who);
			for (int r = 0; r < 4; r++) {
				assert_int_equal(outcomes[r].status, ERR_INPUT);
				assert_non_null(
				        strstr(outcomes[r].message, "x.jsonl: line 3 is bad"));
			}
		}
		snprintf(wanted, sizeof wanted, "rank %d on ", who);
		if (who)
			assert_true(strstr(outcomes[0].message, wanted) == outcomes[0].message);
		else /* as if it were alone */
			assert_string_equal(outcomes[0].message, "x.jsonl: line 3 is bad");
		on_ranks(4, all_but_one_fail, who);
		for (int r = 0; r < 4; r++) {
			assert_int_equal(outcomes[r].status, ERR_MEMORY);
			assert_non_null(
			        strstr(outcomes[r].message, who ? "message of 0" : "message of 1"));
		}
	}
}

static int are_in_different_calls(void)
{
	return ranks_together(ranks_number() == body_parameter ? "there" : "here", OK);
}

static void ranks_in_different_calls_are_refused(void **state)
{
	(void)state;
	on_ranks(3, are_in_different_calls, 1);
	for (int r = 0; r < 3; r++)
		assert_int_equal(outcomes[r].status, ERR_FAILED);
}

/* ---- losses ---- */

/* The rank ends in its tenth call, when much is under way. */
static int one_is_lost(void)
{
	struct arena       a = {0};
	struct ranks_piece in[RANKS_MOST];
	static char        data[400000];
	int                status = OK;

	for (int call = 0; status == OK && call < 20; call++) {
		if (ranks_number() == body_parameter && call == 10)
			raise(SIGKILL);
		arena_reset(&a);
		status = ranks_gather("much", data, sizeof data, &a, in);
	}
	arena_free(&a);
	return status;
}

static void a_lost_rank_ends_all_others_by_its_name(void **state)
{
	(void)state;
	char wanted[64];

	for (int n = 2; n <= RANKS_MOST; n += 3)
		for (int who = 0; who < n; who++) {
			on_ranks(n, one_is_lost, who);
			snprintf(wanted, sizeof wanted, "rank %d on ", who);
			for (int r = 0; r < n; r++) {
				if (r == who) {
					assert_int_equal(outcomes[r].status, -1);
					continue;
				}
				assert_int_equal(outcomes[r].status, ERR_FAILED);
				assert_true(strstr(outcomes[r].message, wanted) ==
				            outcomes[r].message);
				assert_non_null(strstr(outcomes[r].message, "\"much\""));
				assert_non_null(strstr(outcomes[r].message, "--resume"));
			}
			if (who)
				assert_non_null(strstr(outcomes[0].message, "signal 9"));
		}
}

/* ---- signals ---- */

/* One is asked before its third call. */
static int one_is_asked(void)
{
	for (int call = 0; call < 5; call++) {
		if (ranks_number() == body_parameter && call == 2)
			stop_ask();
		CHECK(!stop_agreed() || call > 2);
		TRY(ranks_together("a call", OK));
		if (stop_agreed() && !outcomes[ranks_number()].stopped_at)
			outcomes[ranks_number()].stopped_at = call + 1;
	}
	return OK;
}

static void all_ranks_know_of_a_signal_in_the_same_call(void **state)
{
	(void)state;
	for (int who = 0; who < 3; who++) {
		on_ranks(3, one_is_asked, who);
		for (int r = 0; r < 3; r++) {
			assert_int_equal(outcomes[r].status, OK);
			assert_int_equal(outcomes[r].stopped_at, 3);
		}
	}
}

/* Work that is given up by the rank which was asked, before the others change something. */
static int one_gives_up(void)
{
	int status;

	if (ranks_number() == body_parameter) {
		stop_ask();
		status = stop_check();
	} else
		status = stop_commit();
	CHECK(status == STOPPED);
	return ranks_together("the step", status);
}

/* A signal that comes once all have committed waits. */
static int one_is_asked_too_late(void)
{
	TRY(stop_commit());
	if (ranks_number() == body_parameter)
		stop_ask();
	CHECK(stop_check() == OK);
	CHECK(stop_commit() == OK);
	stop_hold(0);
	TRY(ranks_together("the step", OK));
	CHECK(stop_agreed());
	return OK;
}

static void no_rank_changes_what_another_gave_up(void **state)
{
	(void)state;
	for (int who = 0; who < 3; who++) {
		on_ranks(3, one_gives_up, who);
		for (int r = 0; r < 3; r++)
			assert_int_equal(outcomes[r].status, STOPPED);
		on_ranks(3, one_is_asked_too_late, who);
		for (int r = 0; r < 3; r++)
			assert_int_equal(outcomes[r].status, OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(what_a_rank_gives_arrives_element_by_element),
	        TEST(ranks_know_their_number_and_their_machine),
	        TEST(all_ranks_return_the_error_of_the_lowest_that_failed),
	        TEST(ranks_in_different_calls_are_refused),
	        TEST(a_lost_rank_ends_all_others_by_its_name),
	        TEST(all_ranks_know_of_a_signal_in_the_same_call),
	        TEST(no_rank_changes_what_another_gave_up),
	};

	on_ranks_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
