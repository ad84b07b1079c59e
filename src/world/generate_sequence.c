#include "base/error.h"
#include "world/generate.h"

enum { MODULUS = 9 };

/* The numbers behind a, b; one that errs is another digit, the next ones go on as if it had not. */
static void generate_sequence_add_numbers(struct text *t, int a, int b, int n,
                                          struct rng_stream *errors, double rate)
{
	int step = (b - a + 2 * MODULUS) % MODULUS;

	for (int i = 0, x = b; i < n; i++) {
		int written = x = (x + step) % MODULUS;
		if (generate_errs(errors, rate))
			written = (x + (int)rng_next_between(errors, 1, 9)) % 10;
		text_print(t, "%s%d", i ? "," : "", written);
	}
}

GENERATE(generate_sequence)
{
	struct rng_stream puzzle = generate_puzzle_stream(q), errors = generate_error_stream(q);
	struct text       answer = {0}, worked = {0}, meaning = {0};
	int first = (int)rng_next_below(&puzzle, 10), second = (int)rng_next_below(&puzzle, 10),
	    status;

	text_print(&meaning, "%d,%d", first % MODULUS, second % MODULUS);
	TRY(generate_content("sequence", &meaning, content));
	generate_sequence_add_numbers(&answer, first, second, q->level, &errors, 0);
	errors = generate_error_stream(q);
	generate_sequence_add_numbers(&worked, first, second, q->level, &errors, q->error_rate);

	out->row = "{}";
	status = generate_take(OK, a, &answer, &out->answer);
	status = generate_worked(status, a, &worked, out);
	TRY(status);
	TRY(arena_print(a, &out->prompt, "%d,%d:%d,%d", first, second, MODULUS, q->level));
	return arena_print(a, &out->hint, "%d", (second - first + 2 * MODULUS) % MODULUS);
}
