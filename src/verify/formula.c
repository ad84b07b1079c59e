#include "verify/comparison.h"
#include "verify/formula_parts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Are all claims of the formula's chains true? */
static int keeps_promises(const struct formula *f, struct comparison *c)
{
	for (int i = 0; i < f->n_promises; i++) {
		const struct promise *p = &f->promise[i];
		int                   low, high;
		if (p->x < 0 || p->y < 0)
			return 0;
		if (p->low < 0) {
			if (!comparison_equal(c, (struct term){0, p->x}, (struct term){0, p->y}))
				return 0;
		} else if (!comparison_order(c, (struct term){0, p->x}, (struct term){0, p->low},
		                             &low) ||
		           !comparison_order(c, (struct term){0, p->x}, (struct term){0, p->y},
		                             &high) ||
		           low < 0 || high > 0)
			return 0;
	}
	return 1;
}

/* A text with a division by zero, a number that is too large or arithmetic with infinity is not a
 * formula. */
static int has_values(const struct formula *f)
{
	struct comparison *c = comparison_new(&f->e, &f->e);
	int                ok = c != NULL && keeps_promises(f, c);

	for (int i = 0; i < f->n_nodes && ok; i++) {
		const struct formula_node *n = &f->node[i];
		if (n->kind == VALUE)
			ok = n->v >= 0 && comparison_defined(c, (struct term){0, n->v});
		else if (n->kind == RELATION)
			ok = n->v >= 0 && comparison_defined(c, (struct term){0, n->v});
	}
	comparison_free(c);
	return ok;
}

/* "1,22" may be a number with a decimal comma: one comma, no blank, and behind it two digits or
 * more than three. */
static int comma_number(struct formula *f, struct span text)
{
	char   digits[64];
	size_t comma = 0, i;

	text = span_trim(text);
	if (text.n >= sizeof digits)
		return -1;
	for (i = 0; i < text.n; i++) {
		digits[i] = text.s[i];
		if (text.s[i] == ',' && i && !comma) {
			comma = i;
			digits[i] = '.';
		} else if (!isdigit((unsigned char)text.s[i]))
			return -1;
	}
	if (!comma || text.n - comma - 1 < 2 || text.n - comma - 1 == 3)
		return -1;
	return parse_number_value(&(struct parser){.f = f},
	                          &(struct token){.kind = 'n', .s = {digits, text.n}});
}

/* Spell, cut into tokens, parse, then check that every value exists. */
struct formula *formula_new(struct span text)
{
	struct formula *f = calloc(1, sizeof *f);
	size_t          n;

	if (!f)
		return NULL;
	f->root = f->comma_number = -1;
	n = formula_spell(text, f->text, sizeof f->text);
	formula_tokens((struct span){f->text, n}, &f->read);
	if (f->read.too_many || f->read.n == 0)
		return f;
	f->infinity[1] = expression_make(&f->e, 'o', -1, -1);
	f->infinity[0] = expression_make(&f->e, '-', expression_whole(&f->e, 0), f->infinity[1]);
	f->root = parse_formula(f);
	f->comma_number = comma_number(f, (struct span){f->text, n});
	f->parsed = f->root >= 0 && has_values(f);
	return f;
}

void formula_free(struct formula *f)
{
	if (f)
		expression_clear(&f->e);
	free(f);
}

int formula_parsed(const struct formula *f)
{
	return f->parsed;
}

int formula_empty(const struct formula *f)
{
	return f->read.n == 0 || f->read.too_many;
}
