#include "world/knights.h"

#include "base/error.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

/* ---- truth ---- */

static int all_true(const struct knights_claim *c, unsigned knights)
{
	for (int i = 0; i < c->n_parts; i++)
		if (!knights_is_true(c->part[i], knights))
			return 0;
	return 1;
}

static int any_true(const struct knights_claim *c, unsigned knights)
{
	for (int i = 0; i < c->n_parts; i++)
		if (knights_is_true(c->part[i], knights))
			return 1;
	return 0;
}

int knights_is_true(const struct knights_claim *c, unsigned knights)
{
	switch (c->kind) {
	case KNIGHTS_KNIGHT:
		return (knights >> c->person & 1) == 1;
	case KNIGHTS_KNAVE:
		return (knights >> c->person & 1) == 0;
	case KNIGHTS_NOT:
		return !knights_is_true(c->part[0], knights);
	case KNIGHTS_AND:
		return all_true(c, knights);
	case KNIGHTS_OR:
		return any_true(c, knights);
	case KNIGHTS_IF:
		return !knights_is_true(c->part[0], knights) ||
		       knights_is_true(c->part[1], knights);
	case KNIGHTS_IFF:
		return knights_is_true(c->part[0], knights) == knights_is_true(c->part[1], knights);
	}
	assert(!"a kind of claim");
	return 0;
}

int knights_fits(const struct knights_puzzle *p, unsigned knights)
{
	for (int i = 0; i < p->n; i++)
		if (knights_is_true(p->claim[i], knights) != (int)(knights >> i & 1))
			return 0;
	return 1;
}

unsigned knights_assignment(int n, unsigned k)
{
	unsigned knights = 0;

	for (int i = 0; i < n; i++)
		knights |= (~k >> (n - 1 - i) & 1) << i;
	return knights;
}

int knights_solve(const struct knights_puzzle *p, unsigned *knights)
{
	int n = 0;

	for (unsigned k = 0; k < 1u << p->n; k++) {
		unsigned one = knights_assignment(p->n, k);
		if (!knights_fits(p, one))
			continue;
		*knights = one;
		n++;
	}
	return n;
}

/* ---- reading ---- */

static const struct {
	const char       *text;
	enum knights_kind kind;
	int               parts_min, parts_max;
} operators[] = {
        {"telling-truth", KNIGHTS_KNIGHT, 0, 0},
        {"lying", KNIGHTS_KNAVE, 0, 0},
        {"not", KNIGHTS_NOT, 1, 1},
        {"and", KNIGHTS_AND, 2, KNIGHTS_PARTS_MAX},
        {"or", KNIGHTS_OR, 2, KNIGHTS_PARTS_MAX},
        {"->", KNIGHTS_IF, 2, 2},
        {"<=>", KNIGHTS_IFF, 2, 2},
};

struct knights_parser {
	const char   *place, *s, *start;
	struct arena *arena;
	int           people;
};

static int knights_wrong(const struct knights_parser *p, const char *wanted)
{
	return error_set(ERR_INPUT, "%s: \"statements\": expected %s at character %zu (\"%.20s\")",
	                 p->place, wanted, (size_t)(p->s - p->start), p->s);
}

/* Skips white space, then takes one of the characters. */
static int knights_take(struct knights_parser *p, const char *set)
{
	while (isspace((unsigned char)*p->s))
		p->s++;
	if (!*p->s || !strchr(set, *p->s))
		return 0;
	p->s++;
	return 1;
}

static int parse_operator(struct knights_parser *p, size_t *row)
{
	size_t n;

	if (!knights_take(p, "'\""))
		return knights_wrong(p, "the quoted name of a claim");
	n = strcspn(p->s, "'\"");
	for (*row = 0; *row < sizeof operators / sizeof operators[0]; ++*row)
		if (strlen(operators[*row].text) == n && !memcmp(operators[*row].text, p->s, n) &&
		    p->s[n]) {
			p->s += n + 1;
			return OK;
		}
	return knights_wrong(p, "telling-truth, lying, not, and, or, -> or <=>");
}

static int parse_person(struct knights_parser *p, int *person)
{
	if (!knights_take(p, ","))
		return knights_wrong(p, "a comma and a person");
	while (*p->s == ' ')
		p->s++;
	if (!isdigit((unsigned char)*p->s))
		return knights_wrong(p, "the number of a person");
	for (*person = 0; isdigit((unsigned char)*p->s) && *person < KNIGHTS_MAX; p->s++)
		*person = 10 * *person + (*p->s - '0');
	return *person < p->people
	               ? OK
	               : knights_wrong(p, "the number of one of the people before this place");
}

static int parse_claim(struct knights_parser *p, int depth, const struct knights_claim **out);

static int parse_parts(struct knights_parser *p, int depth, size_t row, struct knights_claim *c)
{
	while (knights_take(p, ",")) {
		if (c->n_parts == operators[row].parts_max)
			return knights_wrong(p, "the end of this claim");
		TRY(parse_claim(p, depth + 1, &c->part[c->n_parts++]));
	}
	return c->n_parts >= operators[row].parts_min
	               ? OK
	               : knights_wrong(p, "more parts of this claim");
}

static int parse_claim(struct knights_parser *p, int depth, const struct knights_claim **out)
{
	struct knights_claim *c;
	size_t                row;

	TRY(arena_take(p->arena, 1, "a claim", &c));
	if (depth == KNIGHTS_DEPTH_MAX)
		return knights_wrong(p, "a claim that is nested less deeply");
	if (!knights_take(p, "(["))
		return knights_wrong(p, "a claim");
	TRY(parse_operator(p, &row));
	c->kind = operators[row].kind;
	TRY(operators[row].parts_max ? parse_parts(p, depth, row, c) : parse_person(p, &c->person));
	*out = c;
	return knights_take(p, ")]") ? OK : knights_wrong(p, "a closing bracket");
}

int knights_parse(const char *place, const char *text, int n, struct arena *a,
                  struct knights_puzzle *out)
{
	struct knights_parser p = {
	        .place = place, .s = text, .start = text, .arena = a, .people = n};

	*out = (struct knights_puzzle){.n = n};
	if (n < 1 || n > KNIGHTS_MAX)
		return error_set(ERR_INPUT, "%s: %d people; 1 to %d can be read", place, n,
		                 KNIGHTS_MAX);
	if (!knights_take(&p, "(["))
		return knights_wrong(&p, "an opening bracket");
	for (int i = 0; i < n; i++) {
		TRY(parse_claim(&p, 0, &out->claim[i]));
		if (!knights_take(&p, ",") && i < n - 1)
			return knights_wrong(&p, "a comma and the next claim");
	}
	if (!knights_take(&p, ")]"))
		return knights_wrong(&p, "the end of the list: there are more claims than people");
	while (isspace((unsigned char)*p.s))
		p.s++;
	return *p.s ? knights_wrong(&p, "nothing more") : OK;
}

/* ---- signs ---- */

static const char *const sign[] = {
        [KNIGHTS_AND] = "&", [KNIGHTS_OR] = "|", [KNIGHTS_IF] = ">", [KNIGHTS_IFF] = "="};

struct writer { /* people as letters, or as what they are worth */
	struct text *t;
	int          values;
	unsigned     knights;
};

static void add_person(const struct writer *w, const struct knights_claim *c)
{
	char letter = (char)((c->kind == KNIGHTS_KNIGHT ? 'A' : 'a') + c->person);

	if (w->values)
		letter = knights_is_true(c, w->knights) ? '1' : '0';
	text_add(w->t, &letter, 1);
}

/* Infix, with parentheses around nested claims of two parts and more; ! binds most tightly. */
static void add_claim(const struct writer *w, const struct knights_claim *c, int nested)
{
	int parentheses = nested && c->kind > KNIGHTS_NOT;

	if (c->kind == KNIGHTS_KNIGHT || c->kind == KNIGHTS_KNAVE) {
		add_person(w, c);
		return;
	}
	if (c->kind == KNIGHTS_NOT)
		text_add(w->t, "!", 1);
	if (parentheses)
		text_add(w->t, "(", 1);
	for (int i = 0; i < c->n_parts; i++) {
		if (i)
			text_add(w->t, sign[c->kind], 1);
		add_claim(w, c->part[i], 1);
	}
	if (parentheses)
		text_add(w->t, ")", 1);
}

void knights_add_values(struct text *t, const struct knights_claim *c, unsigned knights)
{
	add_claim(&(struct writer){.t = t, .values = 1, .knights = knights}, c, 0);
}

void knights_add_puzzle(struct text *t, const struct knights_puzzle *p)
{
	for (int i = 0; i < p->n; i++) {
		text_print(t, "%s%c:", i ? "," : "", 'A' + i);
		add_claim(&(struct writer){.t = t}, p->claim[i], 0);
	}
	text_add(t, "?", 1);
}

void knights_add_people(struct text *t, int n, unsigned knights)
{
	for (int i = 0; i < n; i++)
		text_print(t, "%c", (knights >> i & 1 ? 'A' : 'a') + i);
}

/* ---- words ---- */

void knights_add_words(struct text *t, const struct knights_claim *c, const char *const *names)
{
	static const char *const link[] = {[KNIGHTS_AND] = " and ",
	                                   [KNIGHTS_OR] = " or ",
	                                   [KNIGHTS_IF] = " then ",
	                                   [KNIGHTS_IFF] = " if and only if "};

	if (c->kind == KNIGHTS_KNIGHT || c->kind == KNIGHTS_KNAVE) {
		text_print(t, "%s is a %s", names[c->person],
		           c->kind == KNIGHTS_KNIGHT ? "knight" : "knave");
		return;
	}
	if (c->kind == KNIGHTS_NOT && c->part[0]->kind <= KNIGHTS_KNAVE) {
		text_print(t, "%s is not a %s", names[c->part[0]->person],
		           c->part[0]->kind == KNIGHTS_KNIGHT ? "knight" : "knave");
		return;
	}
	if (c->kind == KNIGHTS_NOT)
		text_print(t, "it is not so that ");
	if (c->kind == KNIGHTS_IF)
		text_print(t, "If ");
	for (int i = 0; i < c->n_parts; i++) {
		if (i)
			text_print(t, "%s", link[c->kind]);
		knights_add_words(t, c->part[i], names);
	}
}
