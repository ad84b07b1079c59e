#include "verify/formula_parts.h"

#include <string.h>

/* Bars do not count as brackets, because opening and closing ones look alike. */
int formula_step(char kind)
{
	return (kind && strchr("([{SMyz", kind) != NULL) -
	       (kind && strchr(")]}TWYZ", kind) != NULL);
}

int formula_find(const struct formula *f, int a, int b, const char *kinds)
{
	int depth = 0;

	for (int i = a; i < b; i++) {
		if (depth == 0 && strchr(kinds, f->t[i].kind))
			return i;
		depth += formula_step(f->t[i].kind);
	}
	return b;
}

int formula_closing(const struct formula *f, int a, int b)
{
	int depth = 0;

	for (int i = a; i < b; i++)
		if ((depth += formula_step(f->t[i].kind)) <= 0)
			return i;
	return b;
}

/* Do the brackets at a and b - 1 belong together? */
int formula_is_enclosed(const struct formula *f, int a, int b, const char *open, const char *close)
{
	return b - a >= 2 && strchr(open, f->t[a].kind) && strchr(close, f->t[b - 1].kind) &&
	       formula_closing(f, a, b) == b - 1;
}
