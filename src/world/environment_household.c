/* environment_household.c - rooms, places, objects, things to do with them. See environment.h. */
#include "world/environment.h"

#include <string.h>

enum { ROOMS_MAX = 4, PLACES_MAX = 2 * ROOMS_MAX, OBJECTS = 8, WANTED_MAX = 2, HELD = -1 };

struct household {
	int  n_rooms, n_places;
	char appliance[ROOMS_MAX]; /* 'w', 'h', 'c', '-' */
	int  n_objects;
	char name[OBJECTS];
	int  place[OBJECTS]; /* 0 .. n_places-1, or HELD */
	char treated[OBJECTS];
	int  n_wanted, target; /* the objects 0 .. n_wanted-1 are wanted at target, */
	char treatment;        /* with this done to them; '-' nothing */
	int  room, at;         /* where you are; the place looked at, or -1 */
	int  seen[PLACES_MAX];
};

static const struct {
	int n_rooms, treated, n_wanted;
} levels[] = {{1, 0, 1}, {2, 0, 1}, {2, 1, 1}, {3, 1, 1}, {3, 0, 2}, {4, 1, 2}};

static void environment_household_shuffle(char *x, int n, struct rng_stream *s)
{
	for (int i = n; i-- > 1;) {
		int  j = (int)rng_next_below(s, (uint32_t)i + 1);
		char t = x[i];
		x[i] = x[j];
		x[j] = t;
	}
}

/* Objects that are wanted never begin at their target; what else there is lies anywhere. */
static void environment_household_reset(void *state, int level, struct rng_stream *s)
{
	struct household *w = state;

	*w = (struct household){.n_rooms = levels[level - 1].n_rooms,
	                        .n_wanted = levels[level - 1].n_wanted,
	                        .at = -1,
	                        .treatment = '-'};
	w->n_places = 2 * w->n_rooms;
	memcpy(w->appliance, "whc-", ROOMS_MAX);
	environment_household_shuffle(w->appliance, w->n_rooms < 3 ? 3 : w->n_rooms, s);
	memcpy(w->name, "abcdefgh", OBJECTS);
	environment_household_shuffle(w->name, OBJECTS, s);
	w->n_objects = w->n_places < OBJECTS ? w->n_places : OBJECTS;
	w->target = (int)rng_next_below(s, (uint32_t)w->n_places);
	for (int i = 0; i < w->n_objects; i++) {
		int elsewhere = (int)rng_next_below(s, (uint32_t)w->n_places - 1);
		w->place[i] = i < w->n_wanted ? elsewhere + (elsewhere >= w->target)
		                              : (int)rng_next_below(s, (uint32_t)w->n_places);
	}
	while (levels[level - 1].treated && w->treatment == '-')
		w->treatment = w->appliance[rng_next_below(s, (uint32_t)w->n_rooms)];
}

static void environment_household_look(const void *state, struct observation *out)
{
	const struct household *w = state;

	observation_add(out, "<%c%.*s%d", w->treatment, w->n_wanted, w->name, w->target + 1);
	for (int i = 0; i < w->n_rooms; i++)
		observation_add(out, " %c%d%d%c", 'A' + i, 2 * i + 1, 2 * i + 2, w->appliance[i]);
	observation_add(out, ">");
}

/* ---- what can be done; each says whether it was possible ---- */

static int environment_household_held(const struct household *w)
{
	for (int i = 0; i < w->n_objects; i++)
		if (w->place[i] == HELD)
			return i;
	return -1;
}

static int environment_household_go(struct household *w, int room, struct observation *out)
{
	if (room < 0 || room >= w->n_rooms)
		return 0;
	w->room = room;
	w->at = -1;
	observation_add(out, "<%c>", 'A' + room);
	return 1;
}

static int is_here(const struct household *w, int place)
{
	return place >= 0 && place < w->n_places && place / 2 == w->room;
}

static int open_place(struct household *w, int place, struct observation *out)
{
	int n = 0;

	if (!is_here(w, place))
		return 0;
	w->at = place;
	w->seen[place] = 1;
	observation_add(out, "<%d:", place + 1);
	for (int i = 0; i < w->n_objects; i++)
		if (w->place[i] == place && ++n)
			observation_add(out, "%c", w->name[i]);
	observation_add(out, n ? ">" : "->");
	return 1;
}

static int environment_household_take(struct household *w, char name, struct observation *out)
{
	const char *found = memchr(w->name, name, (size_t)w->n_objects);

	if (!found || w->at < 0 || environment_household_held(w) >= 0 ||
	    w->place[found - w->name] != w->at)
		return 0;
	w->place[found - w->name] = HELD;
	observation_add(out, "<+>");
	return 1;
}

static int environment_household_put(struct household *w, int place, struct observation *out)
{
	int i = environment_household_held(w);

	if (i < 0 || !is_here(w, place))
		return 0;
	w->place[i] = place;
	observation_add(out, "<=>");
	return 1;
}

static int treat(struct household *w, char how, struct observation *out)
{
	int i = environment_household_held(w);

	if (i < 0 || w->appliance[w->room] != how)
		return 0;
	w->treated[i] = how;
	observation_add(out, "<*>");
	return 1;
}

static int is_ready(const struct household *w, int i)
{
	return w->treatment == '-' || w->treated[i] == w->treatment;
}

static int is_done(const struct household *w, int i)
{
	return w->place[i] == w->target && is_ready(w, i);
}

static int all_done(const struct household *w)
{
	for (int i = 0; i < w->n_wanted; i++)
		if (!is_done(w, i))
			return 0;
	return 1;
}

/* -1: not an action at all. */
static int environment_household_act(struct household *w, const char *action, size_t n,
                                     struct observation *out)
{
	if (n == 1 && strchr("whc", action[0]))
		return treat(w, action[0], out);
	if (n != 2)
		return -1;
	switch (action[0]) {
	case 'g':
		return environment_household_go(w, action[1] - 'A', out);
	case 'o':
		return open_place(w, action[1] - '1', out);
	case 't':
		return environment_household_take(w, action[1], out);
	case 'p':
		return environment_household_put(w, action[1] - '1', out);
	default:
		return -1;
	}
}

static int environment_household_step(void *state, const char *action, size_t n,
                                      struct observation *out, double *reward)
{
	struct household *w = state;
	int               done = environment_household_act(w, action, n, out);

	if (done <= 0)
		observation_add(out, done < 0 ? "<?>" : "<!>");
	*reward = all_done(w);
	return *reward > 0;
}

/* ---- the oracle ---- */

static void environment_household_say(char *action, char verb, char object)
{
	action[0] = verb;
	action[1] = object;
	action[2] = 0;
}

static void do_at(const struct household *w, int place, char verb, char object,
                  char action[ACTION_MAX])
{
	if (place / 2 != w->room)
		environment_household_say(action, 'g', (char)('A' + place / 2));
	else
		environment_household_say(action, verb, object);
}

static void carry(const struct household *w, int i, char action[ACTION_MAX])
{
	char *appliance = memchr(w->appliance, w->treatment, (size_t)w->n_rooms);

	if (i >= w->n_wanted) { /* taken by mistake: away with it */
		environment_household_say(action, 'p', (char)('1' + 2 * w->room));
	} else if (!is_ready(w, i) && appliance - w->appliance != w->room) {
		environment_household_say(action, 'g', (char)('A' + (appliance - w->appliance)));
	} else if (!is_ready(w, i)) {
		environment_household_say(action, w->treatment, 0);
	} else {
		do_at(w, w->target, 'p', (char)('1' + w->target), action);
	}
}

/* The place to look at or to take from next, and of which object; -1: of none yet. */
static int next_place(const struct household *w, int *object)
{
	for (*object = 0; *object < w->n_wanted; ++*object)
		if (!is_done(w, *object) && w->seen[w->place[*object]])
			return w->place[*object];
	*object = -1;
	for (int place = 0; place < w->n_places; place++)
		if (!w->seen[place] && place != w->target)
			return place;
	return w->target; /* what was put there too early */
}

static void environment_household_oracle(const void *state, char action[ACTION_MAX])
{
	const struct household *w = state;
	int                     i = environment_household_held(w), place;

	if (i >= 0) {
		carry(w, i, action);
		return;
	}
	place = next_place(w, &i);
	if (i >= 0 && w->at == place)
		environment_household_say(action, 't', w->name[i]);
	else
		do_at(w, place, 'o', (char)('1' + place), action);
}

/* An action of the right form that leads nowhere in particular, for demonstrations with errors.
 * */
static void environment_household_stray(const void *state, struct rng_stream *s,
                                        char action[ACTION_MAX])
{
	const struct household *w = state;

	switch (rng_next_below(s, 5)) {
	case 0:
		environment_household_say(
		        action, 'g', (char)('A' + (int)rng_next_below(s, (uint32_t)w->n_rooms)));
		break;
	case 1:
		environment_household_say(
		        action, 'o', (char)('1' + (int)rng_next_below(s, (uint32_t)w->n_places)));
		break;
	case 2:
		environment_household_say(action, 't',
		                          w->name[rng_next_below(s, (uint32_t)w->n_objects)]);
		break;
	case 3:
		environment_household_say(
		        action, 'p', (char)('1' + (int)rng_next_below(s, (uint32_t)w->n_places)));
		break;
	default:
		environment_household_say(action, "whc"[rng_next_below(s, 3)], 0);
		break;
	}
}

static void environment_household_hint(const void *state, char text[ACTION_MAX])
{
	const struct household *w = state;

	for (int i = 0; i < w->n_wanted; i++)
		text[i] = (char)('1' + w->place[i]);
	text[w->n_wanted] = 0;
}

const struct environment_kind environment_household = {"household",
                                                       1,
                                                       sizeof levels / sizeof levels[0],
                                                       sizeof(struct household),
                                                       environment_household_reset,
                                                       environment_household_look,
                                                       environment_household_step,
                                                       environment_household_oracle,
                                                       environment_household_stray,
                                                       environment_household_hint};
