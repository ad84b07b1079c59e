#include "text/template_parts.h"

#include <string.h>

static int join_texts(struct template_run *r, const struct value *a, const struct value *b,
                      struct value *out)
{
	char *s;

	TRY(template_bytes(r, a->n + b->n + 1));
	TRY(arena_take(&r->arena, a->n + b->n + 1, "a text of a template", &s));
	memcpy(s, a->as.text, a->n);
	memcpy(s + a->n, b->as.text, b->n);
	*out = (struct value){.kind = V_TEXT, .n = a->n + b->n, .as.text = s};
	return OK;
}

static int join_lists(struct template_run *r, const struct value *a, const struct value *b,
                      struct value *out)
{
	struct value *items;

	TRY(template_bytes(r, (a->n + b->n + 1) * sizeof *items));
	TRY(arena_take(&r->arena, a->n + b->n + 1, "a list of a template", &items));
	for (size_t i = 0; i < a->n + b->n; i++)
		items[i] = i < a->n ? a->as.items[i] : b->as.items[i - a->n];
	*out = (struct value){.kind = V_LIST, .n = a->n + b->n, .as.items = items};
	return OK;
}

static int repeat(struct template_run *r, const struct value *text, int64_t times,
                  struct value *out)
{
	struct text t = {0};

	if (times > 0 && text->n)
		TRY(template_bytes(r, (size_t)times > TEMPLATE_BYTES / text->n
		                              ? TEMPLATE_BYTES
		                              : text->n * (size_t)times));
	for (int64_t i = 0; text->n && i < times; i++)
		text_add(&t, text->as.text, text->n);
	return template_take_text(r, &t, out);
}

/* Python's integers in 64 bits: // and % round towards minus infinity, and overflow is an error. */
static int integers(struct template_run *r, enum operator op, int64_t a, int64_t b,
                    struct value *out)
{
	int64_t x = 0;
	int     over = 0;

	switch (op) {
	case OP_ADD:
		over = __builtin_add_overflow(a, b, &x);
		break;
	case OP_SUBTRACT:
		over = __builtin_sub_overflow(a, b, &x);
		break;
	case OP_MULTIPLY:
		over = __builtin_mul_overflow(a, b, &x);
		break;
	default: /* towards minus infinity, as Python's */
		if (b == 0)
			return template_error(r, "division by 0");
		if (b == -1)
			over = __builtin_sub_overflow((int64_t)0, a, &x);
		else
			x = a / b - (a % b != 0 && (a < 0) != (b < 0));
		if (op == OP_MODULO)
			x = b == -1 ? 0 : a - x * b;
		over &= op != OP_MODULO;
	}
	*out = template_int(x);
	return over ? template_error(r, "a number is too large") : OK;
}

static int reals(struct template_run *r, enum operator op, double a, double b, struct value *out)
{
	*out = (struct value){.kind = V_REAL};
	if (op != OP_ADD && op != OP_SUBTRACT && op != OP_MULTIPLY && b == 0)
		return template_error(r, "division by 0");
	if (op == OP_FLOOR || op == OP_MODULO)
		return template_error(r, "// and %% of numbers with a fraction are not supported");
	out->as.x = op == OP_ADD        ? a + b
	            : op == OP_SUBTRACT ? a - b
	            : op == OP_MULTIPLY ? a * b
	                                : a / b;
	return OK;
}

/* Picks the operation by the kinds of both sides: texts and lists are joined or repeated, numbers
 * are added, multiplied, ... */
int template_binary(struct template_run *r, enum operator op, const struct value *a,
                    const struct value *b, struct value *out)
{
	struct value x, y;

	if (op == OP_JOIN) {
		TRY(template_to_text(r, a, &x));
		TRY(template_to_text(r, b, &y));
		return join_texts(r, &x, &y, out);
	}
	if (op == OP_ADD && a->kind == V_TEXT && b->kind == V_TEXT)
		return join_texts(r, a, b, out);
	if (op == OP_ADD && a->kind == V_LIST && b->kind == V_LIST)
		return join_lists(r, a, b, out);
	if (op == OP_MULTIPLY && a->kind == V_TEXT && b->kind == V_INT)
		return repeat(r, a, b->as.i, out);
	if (op == OP_MULTIPLY && a->kind == V_INT && b->kind == V_TEXT)
		return repeat(r, b, a->as.i, out);
	if (!template_is_number(a) || !template_is_number(b)) {
		const struct value *u = a->kind == V_UNDEFINED   ? a
		                        : b->kind == V_UNDEFINED ? b
		                                                 : NULL;
		return u ? template_error(r, "\"%.64s\" is undefined", u->as.name)
		         : template_error(r, "cannot compute with %s and %s", template_kind_name(a),
		                          template_kind_name(b));
	}
	if (a->kind == V_REAL || b->kind == V_REAL || op == OP_DIVIDE)
		return reals(r, op, template_real_of(a), template_real_of(b), out);
	return integers(r, op, a->as.i, b->as.i, out);
}

/* Six operators from three questions (equal, in, less): the others are their negations, or swap
 * the sides. */
int template_compare(struct template_run *r, enum operator op, const struct value *a,
                     const struct value *b, int *out)
{
	int truth, negate = op == OP_UNEQUAL || op == OP_GREATER_EQUAL || op == OP_LESS_EQUAL ||
	                    op == OP_NOT_IN;

	switch (op) {
	case OP_EQUAL:
	case OP_UNEQUAL:
		TRY(template_equal(r, a, b, &truth));
		break;
	case OP_IN:
	case OP_NOT_IN:
		TRY(template_contains(r, b, a, &truth));
		break;
	case OP_LESS:
	case OP_GREATER_EQUAL:
		TRY(template_less(r, a, b, &truth));
		break;
	default:
		TRY(template_less(r, b, a, &truth));
	}
	*out = truth != negate;
	return OK;
}

int template_negate(struct template_run *r, const struct value *v, struct value *out)
{
	if (!template_is_number(v))
		return template_error(r, "%s has no negative", template_kind_name(v));
	if (v->kind == V_REAL) {
		*out = (struct value){.kind = V_REAL, .as.x = -v->as.x};
		return OK;
	}
	return integers(r, OP_SUBTRACT, 0, v->as.i, out);
}
