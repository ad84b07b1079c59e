/* verify_plans.c - plays sequences of moves. Any sequence that reaches the goal is right; if the
 * shortest was asked for, any that is as short. The puzzles are those of reasoning-gym
 * (github.com/open-thought/reasoning-gym), whose questions give the rules and whose column metadata
 * has the data. */
#include "base/error.h"
#include "base/json.h"
#include "verify/verify.h"

#include <ctype.h>
#include <string.h>

enum { MOVES_MAX = 4096, PLACES_MAX = 64, VALUE_MAX = 1000000000 };

static int64_t integer(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* ---- jugs: ["fill A", "pour A->B", "empty B"]; in the end one jug holds the target ---- */

struct jugs {
	int64_t holds[26], full[26];
	int     n;
};

static int jug(const struct jugs *j, char name)
{
	return name >= 'A' && name < 'A' + j->n ? name - 'A' : -1;
}

/* Plays "fill A", "empty A" or "pour A->B", which pours until A is empty or B full. 0: not a
 * move. */
static int play_jugs(struct jugs *j, const char *move)
{
	int     from, to;
	int64_t moved;

	if (!strncmp(move, "fill ", 5) && strlen(move) == 6 && (to = jug(j, move[5])) >= 0) {
		j->holds[to] = j->full[to];
		return 1;
	}
	if (!strncmp(move, "empty ", 6) && strlen(move) == 7 && (from = jug(j, move[6])) >= 0) {
		j->holds[from] = 0;
		return 1;
	}
	if (strncmp(move, "pour ", 5) || strlen(move) != 9 || strncmp(move + 6, "->", 2))
		return 0;
	from = jug(j, move[5]);
	to = jug(j, move[8]);
	if (from < 0 || to < 0 || from == to)
		return 0;
	moved = j->full[to] - j->holds[to] < j->holds[from] ? j->full[to] - j->holds[to]
	                                                    : j->holds[from];
	j->holds[from] -= moved;
	j->holds[to] += moved;
	return 1;
}

/* Every move must be legal, and at the end one jug must hold the target. */
int plan_jugs(const json_t *row, struct span result)
{
	const json_t *puzzle = verify_column(row, "puzzle"),
	             *capacities = json_object_get(puzzle, "jug_capacities"), *move;
	int64_t     target = integer(puzzle, "target");
	struct jugs j = {.n = (int)json_array_size(capacities)};
	json_t     *moves = NULL;
	size_t      i;
	int         legal = 1, reached = 0;

	if (j.n < 1 || j.n > 26 || json_parse("the result", result.s, result.n, &moves) != OK)
		return 0;
	for (int k = 0; k < j.n; k++)
		j.full[k] = json_integer_value(json_array_get(capacities, (size_t)k));
	json_array_foreach(moves, i, move) legal =
	        legal && json_is_string(move) && play_jugs(&j, json_string_value(move));
	for (int k = 0; k < j.n; k++)
		reached |= j.holds[k] == target;
	legal = legal && json_array_size(moves) > 0;
	json_decref(moves);
	return legal && reached;
}

/* ---- towers: "Move disk 1 from Peg 1 to Peg 2", one move per line ---- */

struct towers {
	int disks, pegs, peg[PLACES_MAX + 1]; /* peg[d] of disk d, 1 the smallest */
};

/* The smallest disk of a peg; disks + 1 when it is empty. */
static int top(const struct towers *t, int peg)
{
	int disk = 1;

	while (disk <= t->disks && t->peg[disk] != peg)
		disk++;
	return disk;
}

static int play_towers(struct towers *t, struct span line)
{
	char text[64], exact[64];
	int  disk, from, to;

	snprintf(text, sizeof text, "%.*s", (int)(line.n < sizeof text ? line.n : 0), line.s);
	if (sscanf(text, "Move disk %2d from Peg %2d to Peg %2d", &disk, &from, &to) != 3)
		return 0;
	snprintf(exact, sizeof exact, "Move disk %d from Peg %d to Peg %d", disk, from, to);
	if (!span_equal(line, span_of(exact)))
		return 0;
	if (from < 1 || from > t->pegs || to < 1 || to > t->pegs || disk < 1 || disk > t->disks ||
	    top(t, from) != disk || top(t, to) < disk)
		return 0;
	t->peg[disk] = to;
	return 1;
}

/* No more moves than the shortest solution has, and all disks end on the target peg. */
int plan_hanoi(const json_t *row, struct span result)
{
	struct towers t = {.disks = (int)json_integer_value(verify_column(row, "num_disks")),
	                   .pegs = (int)json_integer_value(verify_column(row, "num_pegs"))};
	int64_t       shortest = json_integer_value(verify_column(row, "solution_length")),
	        target = json_integer_value(verify_column(row, "target_peg"));
	int64_t moves = 0;

	if (t.disks < 1 || t.disks > PLACES_MAX)
		return 0;
	for (int d = 1; d <= t.disks; d++)
		t.peg[d] = (int)json_integer_value(verify_column(row, "start_peg"));
	for (result = span_trim(result); result.n; result = span_trim(result)) {
		struct span line = span_line(result);
		if (++moves > shortest || !play_towers(&t, line))
			return 0;
		result = span_from(result, (size_t)(line.s - result.s) + line.n);
	}
	for (int d = 1; d <= t.disks; d++)
		if (t.peg[d] != target)
			return 0;
	return 1;
}

/* ---- a path through a grid from * to #, around X: "up up left", or "infeasible" ---- */

struct verify_plans_walk {
	const json_t *matrix;
	int64_t       y, x;
};

static char cell(const struct verify_plans_walk *w, int64_t y, int64_t x)
{
	const json_t *row = y < 0 ? NULL : json_array_get(w->matrix, (size_t)y);
	const char   *s = x < 0 ? NULL : json_string_value(json_array_get(row, (size_t)x));

	return s ? s[0] : 'X';
}

static int find_start(struct verify_plans_walk *w)
{
	for (w->y = 0; w->y < (int64_t)json_array_size(w->matrix); w->y++)
		for (w->x = 0;
		     w->x < (int64_t)json_array_size(json_array_get(w->matrix, (size_t)w->y));
		     w->x++)
			if (cell(w, w->y, w->x) == '*')
				return 1;
	return 0;
}

static int walk_step(struct verify_plans_walk *w, struct span word)
{
	static const struct {
		const char *name;
		int         y, x;
	} steps[] = {{"up", -1, 0}, {"down", 1, 0}, {"left", 0, -1}, {"right", 0, 1}};

	for (size_t i = 0; i < 4; i++)
		if (span_equal(word, span_of(steps[i].name))) {
			w->y += steps[i].y;
			w->x += steps[i].x;
			return cell(w, w->y, w->x) != 'X';
		}
	return 0;
}

/* Takes the first word off *rest. */
static struct span verify_plans_next_word(struct span *rest)
{
	struct span word = span_trim(*rest);
	size_t      n = 0;

	while (n < word.n && !isspace((unsigned char)word.s[n]))
		n++;
	*rest = span_from(word, n);
	word.n = n;
	return word;
}

int plan_path(const json_t *row, struct span result)
{
	struct verify_plans_walk w = {.matrix = verify_column(row, "matrix")};
	size_t shortest = json_array_size(verify_column(row, "solution")), steps = 0;

	if (shortest == 0)
		return span_equal(span_trim(result), span_of("infeasible"));
	if (!find_start(&w))
		return 0;
	while (result.n) {
		struct span word = verify_plans_next_word(&result);
		if (word.n && (++steps > shortest || !walk_step(&w, word)))
			return 0;
	}
	return cell(&w, w.y, w.x) == '#';
}

/* ---- a lock of buttons: "A → B → B"; each press also toggles the light, on which some buttons
 * depend ---- */

static const json_t *button(const json_t *buttons, char name)
{
	const json_t *b;
	size_t        i;

	json_array_foreach(buttons, i, b)
	{
		const char *s = json_string_value(json_object_get(b, "name"));
		if (s && s[0] && !s[1] &&
		    toupper((unsigned char)s[0]) == toupper((unsigned char)name))
			return b;
	}
	return NULL;
}

static int press(const json_t *b, int green, int64_t *value)
{
	const char *state = json_string_value(json_object_get(b, "active_state")),
	           *type = json_string_value(json_object_get(b, "type"));
	int64_t x = integer(b, "value");

	if (!state || !type || x < -VALUE_MAX || x > VALUE_MAX)
		return 0;
	if (strcmp(state, "any") && strcmp(state, green ? "green" : "red"))
		return 1;
	*value = !strcmp(type, "add")        ? *value + x
	         : !strcmp(type, "subtract") ? *value - x
	                                     : *value * x;
	return *value >= -VALUE_MAX && *value <= VALUE_MAX;
}

static int is_arrow(struct span gap)
{
	gap = span_trim(gap);
	return span_equal(gap, span_of("\xE2\x86\x92")) || span_equal(gap, span_of("->")) ||
	       span_equal(gap, span_of(","));
}

/* Finds the last run of buttons with arrows between them and returns their number. */
static int last_run(const json_t *buttons, struct span text, const json_t *out[PLACES_MAX])
{
	size_t end = 0;
	int    n = 0;

	for (size_t i = 0; i < text.n;) {
		size_t        start = i;
		const json_t *b = NULL;
		while (i < text.n && isalnum((unsigned char)text.s[i]))
			i++;
		if (i == start) {
			i++;
			continue;
		}
		if (i == start + 1)
			b = button(buttons, text.s[start]);
		if (!b)
			continue;
		if (n == PLACES_MAX || !is_arrow((struct span){text.s + end, start - end}))
			n = 0;
		out[n++] = b;
		end = i;
	}
	return n;
}

int plan_lock(const json_t *row, struct span result)
{
	const char   *light = json_string_value(verify_column(row, "initial_state"));
	const json_t *pressed[PLACES_MAX];
	int           n = last_run(verify_column(row, "buttons"), result, pressed);
	int           green = light && !strcmp(light, "green");
	int64_t       value = json_integer_value(verify_column(row, "initial_value"));

	if (n == 0 || n > (int)json_array_size(verify_column(row, "solution_path")) ||
	    value < -VALUE_MAX || value > VALUE_MAX)
		return 0;
	for (int i = 0; i < n; i++, green = !green)
		if (!press(pressed[i], green, &value))
			return 0;
	return value == json_integer_value(verify_column(row, "target_value"));
}
