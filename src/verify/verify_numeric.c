#include "base/error.h"
#include "verify/arithmetic.h"
#include "verify/verify.h"

VERIFY_CHECK(verify_numeric_check)
{
	struct number gold;
	int           found;

	TRY(verify_has_answer(spec, p));
	number_init(&gold);
	found = arithmetic_last(span_of(p->answer), &gold);
	number_clear(&gold);
	return found ? OK
	             : error_set(ERR_INPUT,
	                         "the answer \"%.60s\" has no number in it, or its last one is "
	                         "part of a formula without a value",
	                         p->answer);
}

VERIFY_SCORE(verify_numeric)
{
	struct number gold, got;

	(void)spec;
	number_init(&gold);
	number_init(&got);
	out->parsed = arithmetic_last(verify_text(c), &got);
	verify_mark(out,
	            out->parsed && arithmetic_last(span_of(p->answer), &gold) &&
	                    number_equal(&got, &gold),
	            0);
	number_clear(&gold);
	number_clear(&got);
	return OK;
}
