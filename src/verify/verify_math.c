#include "base/error.h"
#include "verify/formula.h"
#include "verify/statement.h"
#include "verify/verify.h"

#include <stdio.h>
#include <string.h>

enum { ANSWER_MAX = 4096 };

/* Joins the pieces to one text, in `scratch` when there are several. */
static struct span verify_math_join(const struct statement *f, char *scratch)
{
	size_t n = 0;

	if (f->n == 1)
		return f->piece[0];
	for (int i = 0; i < f->n; i++) {
		if (f->piece[i].n == 0 || n + f->piece[i].n + 2 > ANSWER_MAX)
			return (struct span){scratch, 0};
		if (i)
			scratch[n++] = ';'; /* separates (1, 2); (3, 4) as well as 1; 2 */
		memcpy(scratch + n, f->piece[i].s, f->piece[i].n);
		n += f->piece[i].n;
	}
	return (struct span){scratch, n};
}

static int new_formula(struct span a, struct formula **out)
{
	if (a.n > ANSWER_MAX)
		a.n = 0;
	*out = formula_new(a);
	return *out ? OK : error_memory("a formula");
}

static int verify_math_read_completion(struct span text, char *scratch, struct formula **out)
{
	struct statement found;
	int              there = statement_of_completion(text, &found);

	return new_formula(there ? verify_math_join(&found, scratch) : (struct span){"", 0}, out);
}

static struct span gold_text(const char *text, char *scratch)
{
	struct statement found;

	return statement_of_gold(span_of(text), &found) ? verify_math_join(&found, scratch)
	                                                : (struct span){"", 0};
}

static int verify_math_read_gold(const char *text, char *scratch, struct formula **out)
{
	return new_formula(gold_text(text, scratch), out);
}

/* Compares one answer with the completion's formula. */
static int verify_math_compare(const char *answer, const struct formula *said,
                               const struct formula_options *o, int *equal)
{
	char            scratch[ANSWER_MAX];
	struct formula *gold;

	TRY(verify_math_read_gold(answer, scratch, &gold));
	*equal = formula_equal(gold, said, o, NULL);
	formula_free(gold);
	return OK;
}

static struct formula_options options_of(const struct reward_spec *spec)
{
	return (struct formula_options){.decimals = spec->options.decimals,
	                                .strict_relations = spec->options.strict_relations};
}

/* An answer must not be empty, and a box with the same text must equal it. */
static int check_gold(const char *answer, const struct formula_options *o)
{
	char            scratch[ANSWER_MAX], boxed[ANSWER_MAX + 16];
	struct formula *gold, *said;
	struct span     text;
	int             empty, equal, n;

	TRY(verify_math_read_gold(answer, scratch, &gold));
	empty = formula_empty(gold);
	formula_free(gold);
	if (empty)
		return error_set(ERR_INPUT,
		                 "no formula and no word could be found in the answer \"%.60s\"",
		                 answer);
	text = gold_text(answer, scratch);
	n = snprintf(boxed, sizeof boxed, "\\boxed{%.*s}", (int)text.n, text.s);
	TRY(verify_math_read_completion((struct span){boxed, (size_t)n}, scratch, &said));
	n = verify_math_compare(answer, said, o, &equal);
	formula_free(said);
	TRY(n);
	return equal ? OK
	             : error_set(ERR_INPUT,
	                         "the answer \"%.60s\" cannot be read: a completion that says the "
	                         "same is not equal to it",
	                         answer);
}

VERIFY_CHECK(verify_math_check)
{
	const struct formula_options o = options_of(spec);

	TRY(verify_has_answer(spec, p));
	return check_gold(p->answer, &o);
}

int verify_math_same(const struct reward_spec *spec, const struct completion *a,
                     const struct completion *b, int *same)
{
	const struct formula_options o = options_of(spec);
	char                         scratch[ANSWER_MAX];
	struct formula              *x, *y;
	int                          status;

	*same = 0;
	TRY(verify_math_read_completion(verify_text(a), scratch, &x));
	status = verify_math_read_completion(verify_text(b), scratch, &y);
	if (status == OK) {
		*same = formula_equal(x, y, &o, NULL);
		formula_free(y);
	}
	formula_free(x);
	return status;
}

VERIFY_SCORE(verify_math)
{
	const struct formula_options o = options_of(spec);
	char                         scratch[ANSWER_MAX];
	struct formula              *said;
	int                          equal = 0, status;

	*out = (struct score){0};
	TRY(verify_math_read_completion(verify_text(c), scratch, &said));
	out->parsed = !formula_empty(said);
	status = verify_math_compare(p->answer, said, &o, &equal);
	formula_free(said);
	verify_mark(out, equal, 0);
	return status;
}
