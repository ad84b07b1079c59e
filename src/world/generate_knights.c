#include "base/error.h"
#include "base/fingerprint.h"
#include "base/json.h"
#include "world/generate.h"

#include <stdlib.h>
#include <string.h>

enum { WORKED_MAX = 6 }; /* people; 2^n assignments are tried */

/* ---- puzzles ---- */

/* "X is a knight", "X is a knave" */
static int draw_person(struct rng_stream *s, int n, struct arena *a,
                       const struct knights_claim **out)
{
	struct knights_claim *c;

	TRY(arena_take(a, 1, "a claim", &c));
	*c = (struct knights_claim){.kind = rng_next_below(s, 2) ? KNIGHTS_KNAVE : KNIGHTS_KNIGHT,
	                            .person = (int)rng_next_below(s, (uint32_t)n)};
	*out = c;
	return OK;
}

static int same_person(const struct knights_claim *x, const struct knights_claim *y)
{
	return x->kind == y->kind && x->person == y->person;
}

/* Six kinds, equally often, as in the published puzzles: a person, not, and, or, if, if and only
 * if; the two parts of a claim differ. */
static int draw_claim(struct rng_stream *s, int n, struct arena *a,
                      const struct knights_claim **out)
{
	enum knights_kind     kind = (enum knights_kind)(KNIGHTS_KNAVE + rng_next_below(s, 6));
	struct knights_claim *c;

	if (kind == KNIGHTS_KNAVE)
		return draw_person(s, n, a, out);
	TRY(arena_take(a, 1, "a claim", &c));
	c->kind = kind;
	c->n_parts = kind == KNIGHTS_NOT ? 1 : 2;
	TRY(draw_person(s, n, a, &c->part[0]));
	if (c->n_parts == 2)
		do
			TRY(draw_person(s, n, a, &c->part[1]));
		while (same_person(c->part[0], c->part[1]));
	*out = c;
	return OK;
}

static int draw_puzzle(struct rng_stream *s, int n, struct arena *a, struct knights_puzzle *out)
{
	out->n = n;
	for (int i = 0; i < n; i++)
		TRY(draw_claim(s, n, a, &out->claim[i]));
	return OK;
}

/* Draws until exactly one assignment fits, about every third time; gives back the memory of those
 * that failed. */
static int draw_good_puzzle(struct rng_stream *s, int n, struct arena *a,
                            struct knights_puzzle *out, unsigned *knights)
{
	for (;;) {
		struct arena_mark mark = arena_mark(a);
		TRY(draw_puzzle(s, n, a, out));
		if (knights_solve(out, knights) == 1)
			return OK;
		arena_release(a, mark);
	}
}

/* ---- what a puzzle means ---- */

static uint64_t generate_knights_mix(uint64_t h, uint64_t x)
{
	return fingerprint_bytes(h, &x, sizeof x);
}

/* A claim by the colours of the people in it; the parts of and, or, if and only if have no
 * order. */
static uint64_t claim_colour(const struct knights_claim *c, const uint64_t *colour)
{
	int      ordered = c->kind == KNIGHTS_IF;
	uint64_t sum = 0, h = generate_knights_mix(FINGERPRINT_EMPTY, c->kind);

	if (c->n_parts == 0)
		return generate_knights_mix(h, colour[c->person]);
	for (int i = 0; i < c->n_parts; i++) {
		uint64_t part = claim_colour(c->part[i], colour);
		sum += ordered ? 0 : part;
		h = ordered ? generate_knights_mix(h, part) : h;
	}
	return generate_knights_mix(h, sum);
}

/* The same number for puzzles that become one when people change places and names: each person is
 * coloured by the claim that he makes, again and again over the colours of the round before (the
 * refinement of Weisfeiler and Lehman), n times; the puzzle is the sum over its people. Other
 * puzzles may agree too, and are then held out together. */
static uint64_t generate_knights_content_of(const struct knights_puzzle *p)
{
	uint64_t colour[KNIGHTS_MAX] = {0}, next[KNIGHTS_MAX] = {0}, sum = 0;

	for (int round = 0; round < p->n; round++) {
		for (int i = 0; i < p->n; i++)
			next[i] = generate_knights_mix(
			        generate_knights_mix(FINGERPRINT_EMPTY, colour[i]),
			        claim_colour(p->claim[i], colour));
		memcpy(colour, next, sizeof colour);
	}
	for (int i = 0; i < p->n; i++)
		sum += colour[i];
	return generate_knights_mix(fingerprint_text(FINGERPRINT_EMPTY, "knights"), sum);
}

/* ---- signs ---- */

/* Tries one assignment; 1 when every claim was judged to fit. */
static int add_trial(struct text *t, const struct knights_puzzle *p, unsigned knights,
                     struct rng_stream *errors, double rate)
{
	int fits = 1;

	knights_add_people(t, p->n, knights);
	for (int i = 0; i < p->n && fits; i++) {
		int knight = knights >> i & 1;
		fits = (knights_is_true(p->claim[i], knights) == knight) !=
		       generate_errs(errors, rate);
		text_print(t, "%c", (knight ? 'A' : 'a') + i);
		knights_add_values(t, p->claim[i], knights);
		text_add(t, fits ? "+" : "-", 1);
	}
	return fits;
}

/* Where errors let no assignment pass, the last one is the answer. */
static void add_search(struct text *t, const struct knights_puzzle *p, struct rng_stream *errors,
                       double rate)
{
	unsigned knights = 0;

	for (unsigned k = 0; k < 1u << p->n; k++) {
		knights = knights_assignment(p->n, k);
		if (add_trial(t, p, knights, errors, rate))
			break;
	}
	text_add(t, "#", 1);
	knights_add_people(t, p->n, knights);
}

static int write_signs(const struct knights_puzzle *p, unsigned knights,
                       const struct generator_request *q, struct arena *a, struct problem *out)
{
	struct rng_stream errors = generate_error_stream(q);
	struct text       prompt = {0}, answer = {0}, worked = {0};
	int               status;

	knights_add_puzzle(&prompt, p);
	knights_add_people(&answer, p->n, knights);
	status = generate_take(OK, a, &prompt, &out->prompt);
	status = generate_take(status, a, &answer, &out->answer);
	if (status == OK)
		status = arena_copy(a, out->answer, 1, &out->hint);
	if (p->n <= WORKED_MAX) {
		add_search(&worked, p, &errors, q->error_rate);
		status = generate_worked(status, a, &worked, out);
	}
	return status;
}

GENERATE(generate_knights)
{
	struct rng_stream     puzzle = generate_puzzle_stream(q);
	struct knights_puzzle p;
	unsigned              knights;

	TRY(draw_good_puzzle(&puzzle, q->level, a, &p, &knights));
	*content = generate_knights_content_of(&p);
	TRY(write_signs(&p, knights, q, a, out));
	return arena_print(a, &out->row, "{\"people\": %d}", p.n);
}

/* ---- published rows ---- */

/* The formal claims, as text or as lists. */
static int read_statements(const char *place, const json_t *row, int n, struct arena *a,
                           struct knights_puzzle *p)
{
	const json_t *v = dataset_column(row, "statements");
	char         *list;
	int           status;

	if (!v)
		v = dataset_column(row, "metadata.statements");
	if (!v)
		return error_set(ERR_INPUT, "%s: no column \"statements\" to convert", place);
	if (json_is_string(v))
		return knights_parse(place, json_string_value(v), n, a, p);
	list = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	status = list ? knights_parse(place, list, n, a, p)
	              : error_memory("the statements of %s", place);
	free(list);
	return status;
}

/* The row's own solution, where it gives one, must be the one found. */
static int compare_solution(const char *place, const json_t *solution, int n, unsigned knights)
{
	int agrees = json_array_size(solution) == (size_t)n;

	for (int i = 0; i < n && agrees; i++)
		agrees = json_is_true(json_array_get(solution, (size_t)i)) ==
		         (int)(knights >> i & 1);
	return agrees ? OK
	              : error_set(ERR_INPUT,
	                          "%s: \"solution\" is not what follows from \"statements\"",
	                          place);
}

int generate_knights_convert(const char *place, const json_t *row, struct arena *a,
                             struct problem *out)
{
	const json_t *names = dataset_column(row, "names"),
	             *solution = dataset_column(row, "solution");
	struct generator_request q = {0};
	struct knights_puzzle    p;
	unsigned                 knights = 0;
	int64_t n = (int64_t)json_array_size(names ? names : dataset_column(row, "metadata.names"));

	TRY(json_get_int(place, row, "people", JSON_OPTIONAL, json_range(1, KNIGHTS_MAX), &n));
	TRY(read_statements(place, row, n > KNIGHTS_MAX ? KNIGHTS_MAX + 1 : (int)n, a, &p));
	if (knights_solve(&p, &knights) != 1)
		return error_set(ERR_INPUT, "%s: the puzzle has none or several solutions", place);
	if (solution)
		TRY(compare_solution(place, solution, p.n, knights));
	TRY(write_signs(&p, knights, &q, a, out));
	out->difficulty = p.n;
	return arena_print(a, &out->category, "knights_knaves/%d", p.n);
}

/* ---- words ---- */

static const char *const given_names[] = {
        "Alexander", "Amelia",    "Aria",     "Avery", "Benjamin", "Charlotte", "Daniel",
        "David",     "Elizabeth", "Emily",    "Ethan", "Evelyn",   "Grace",     "Henry",
        "Isabella",  "Jack",      "Jacob",    "James", "Liam",     "Lily",      "Logan",
        "Lucas",     "Mason",     "Michael",  "Noah",  "Olivia",   "Oliver",    "Penelope",
        "Riley",     "Samuel",    "Scarlett", "Sofia", "Victoria", "William",   "Zoey"};

enum { N_NAMES = sizeof given_names / sizeof given_names[0] };

static void draw_names(struct rng_stream *s, int n, const char **names)
{
	const char *pool[N_NAMES];

	memcpy(pool, given_names, sizeof pool);
	for (uint32_t i = 0; i < (uint32_t)n; i++) {
		uint32_t j = i + rng_next_below(s, N_NAMES - i);
		names[i] = pool[j];
		pool[j] = pool[i];
	}
}

/* One of four ways to report what somebody said, drawn from the puzzle's own stream. */
static void add_speech(struct text *t, const struct knights_puzzle *p, int i,
                       const char *const *names, struct rng_stream *s)
{
	switch (rng_next_below(s, 4)) {
	case 0:
		text_print(t, " %s said that ", names[i]);
		knights_add_words(t, p->claim[i], names);
		text_add(t, ".", 1);
		return;
	case 1:
		text_print(t, " According to %s, \"", names[i]);
		break;
	case 2:
		text_print(t, " %s remarked, \"", names[i]);
		break;
	default:
		text_print(t, " %s was heard saying, \"", names[i]);
	}
	knights_add_words(t, p->claim[i], names);
	text_add(t, "\".", 2);
}

static void add_story(struct text *t, const struct knights_puzzle *p, const char *const *names,
                      struct rng_stream *s)
{
	text_print(t,
	           "A very special island is inhabited only by knights and knaves. Knights always "
	           "tell the truth, and knaves always lie. "
	           "You meet %d inhabitants: ",
	           p->n);
	for (int i = 0; i < p->n; i++)
		text_print(t, "%s%s%s", i == p->n - 1 ? "and " : "", names[i],
		           i == p->n - 1 ? "." : ", ");
	for (int i = 0; i < p->n; i++)
		add_speech(t, p, i, names, s);
	text_print(t, " So who is a knight and who is a knave?");
}

static void add_solution(struct text *t, int n, unsigned knights, const char *const *names)
{
	for (int i = 0; i < n; i++)
		text_print(t, "%s(%d) %s is a %s", i ? "\n" : "", i + 1, names[i],
		           knights >> i & 1 ? "knight" : "knave");
}

/* The same draws as generate_knights first, so the same puzzle. Worked solutions here are the bare
 * answer; an error is a wrong role. */
GENERATE(generate_knights_words)
{
	struct rng_stream     puzzle = generate_puzzle_stream(q), errors = generate_error_stream(q);
	const char           *names[KNIGHTS_MAX];
	struct text           prompt = {0}, answer = {0}, worked = {0};
	struct knights_puzzle p;
	unsigned              knights, told;
	int                   status;

	TRY(draw_good_puzzle(&puzzle, q->level, a, &p, &knights));
	*content = generate_knights_content_of(&p);
	draw_names(&puzzle, p.n, names);
	add_story(&prompt, &p, names, &puzzle);
	add_solution(&answer, p.n, knights, names);
	told = knights;
	for (int i = 0; i < p.n; i++)
		if (generate_errs(&errors, q->error_rate))
			told ^= 1u << i;
	add_solution(&worked, p.n, told, names);

	status = generate_take(OK, a, &prompt, &out->prompt);
	status = generate_take(status, a, &answer, &out->answer);
	status = generate_worked(status, a, &worked, out);
	TRY(status);
	TRY(arena_print(a, &out->hint, "%s is a %s", names[0], knights & 1 ? "knight" : "knave"));
	return arena_print(a, &out->row, "{\"people\": %d}", p.n);
}
