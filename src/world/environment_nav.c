/* environment_nav.c - a corridor of rooms: the key of a door lies one room before it. See
 * environment.h. */
#include "world/environment.h"

#include <string.h>

enum { ROOMS_MAX = 12, WAYS = 3, LETTERS = 6 };

struct nav {
	int n, at;  /* rooms; where you are, n is outside */
	int astray; /* in a wrong corridor of this room */
	/* of the door of room i; it lies in room i - 1, that of room 0 is in hand */
	char key[ROOMS_MAX];
	char way[ROOMS_MAX][WAYS]; /* one of them is the door */
	int  has[ROOMS_MAX];       /* the key of room i is in hand */
};

static void environment_nav_reset(void *state, int level, struct rng_stream *s)
{
	struct nav *w = state;

	*w = (struct nav){.n = level, .has = {1}};
	for (int i = 0; i < w->n; i++) {
		char letters[LETTERS] = {'a', 'b', 'c', 'd', 'e', 'f'};
		for (int j = 0; j < WAYS; j++) {
			int  k = j + (int)rng_next_below(s, (uint32_t)(LETTERS - j));
			char x = letters[k];
			letters[k] = letters[j];
			w->way[i][j] = letters[j] = x;
		}
		w->key[i] = w->way[i][rng_next_below(s, WAYS)];
	}
}

static void environment_nav_add_room(const struct nav *w, struct observation *out)
{
	int has_key = w->at + 1 < w->n && !w->has[w->at + 1];

	observation_add(out, "%c:%.*s>", has_key ? w->key[w->at + 1] : '-', WAYS, w->way[w->at]);
}

static void environment_nav_look(const void *state, struct observation *out)
{
	const struct nav *w = state;

	observation_add(out, "<%d%c ", w->n, w->key[0]);
	environment_nav_add_room(w, out);
}

static void see_room(const struct nav *w, struct observation *out)
{
	observation_add(out, "<");
	environment_nav_add_room(w, out);
}

static void environment_nav_take(struct nav *w, struct observation *out)
{
	int next = w->at + 1;

	if (w->astray || next >= w->n || w->has[next]) {
		observation_add(out, "<!>");
		return;
	}
	w->has[next] = 1;
	observation_add(out, "<+>");
}

static void back(struct nav *w, struct observation *out)
{
	if (!w->astray && w->at == 0) {
		observation_add(out, "<!>");
		return;
	}
	w->at -= !w->astray;
	w->astray = 0;
	see_room(w, out);
}

/* Through a way out of this room; 1 when that leads outside. */
static int environment_nav_go(struct nav *w, char way, struct observation *out)
{
	if (w->astray || !memchr(w->way[w->at], way, WAYS)) {
		observation_add(out, "<!>");
	} else if (way != w->key[w->at]) {
		w->astray = 1;
		observation_add(out, "<.>");
	} else if (!w->has[w->at]) {
		observation_add(out, "<!>");
	} else if (++w->at == w->n) {
		return 1;
	} else {
		see_room(w, out);
	}
	return 0;
}

static int environment_nav_step(void *state, const char *action, size_t n, struct observation *out,
                                double *reward)
{
	struct nav *w = state;

	if (n == 1 && action[0] == 'k') {
		environment_nav_take(w, out);
	} else if (n == 1 && action[0] == 'r') {
		back(w, out);
	} else if (n == 1 && action[0] >= 'a' && action[0] < 'a' + LETTERS) {
		*reward = environment_nav_go(w, action[0], out);
		return *reward > 0;
	} else {
		observation_add(out, "<?>");
	}
	return 0;
}

static void environment_nav_oracle(const void *state, char action[ACTION_MAX])
{
	const struct nav *w = state;
	int               key_here = w->at + 1 < w->n && !w->has[w->at + 1];

	action[0] = w->key[w->at];
	if (w->astray || !w->has[w->at])
		action[0] = 'r';
	else if (key_here)
		action[0] = 'k';
	action[1] = 0;
}

static void environment_nav_stray(const void *state, struct rng_stream *s, char action[ACTION_MAX])
{
	const struct nav *w = state;
	uint32_t          i = rng_next_below(s, WAYS + 2);

	action[0] = i == 0 ? 'r' : i == 1 ? 'k' : w->way[w->at][i - 2];
	action[1] = 0;
}

static void environment_nav_hint(const void *state, char text[ACTION_MAX])
{
	const struct nav *w = state;

	memcpy(text, w->key, (size_t)w->n);
	text[w->n] = 0;
}

const struct environment_kind environment_nav = {"nav",
                                                 1,
                                                 ROOMS_MAX,
                                                 sizeof(struct nav),
                                                 environment_nav_reset,
                                                 environment_nav_look,
                                                 environment_nav_step,
                                                 environment_nav_oracle,
                                                 environment_nav_stray,
                                                 environment_nav_hint};
