/* environment_shop.c - a catalogue to search, articles to look at, one to buy. See
 * environment.h. */
#include "world/environment.h"

#include <string.h>

enum { ITEMS_MAX = 24, PAGE = 3, SIZES = 3 };

struct environment_shop_item {
	char type, colour, material;
	int  price;       /* 1 .. 9 */
	int  size[SIZES]; /* there is one of size 1, 2, 3 */
};

struct shop {
	int                          n;
	struct environment_shop_item items[ITEMS_MAX];
	/* one size at most; colour, ... '-', price 0: does not matter */
	struct environment_shop_item wish;
	int                          wish_size; /* 0: does not matter */

	int searched, n_found, page;
	int found[ITEMS_MAX];
	int seen[ITEMS_MAX]; /* looked at */
	int at, size;        /* the article looked at or -1, the size chosen or 0 */
};

static char letter(struct rng_stream *s, const char *letters)
{
	return letters[rng_next_below(s, (uint32_t)strlen(letters))];
}

static struct environment_shop_item draw_item(struct rng_stream *s)
{
	struct environment_shop_item x = {.type = letter(s, "abcd"),
	                                  .colour = letter(s, "rgbw"),
	                                  .material = letter(s, "mno")};

	x.price = (int)rng_next_between(s, 1, 9);
	for (int i = 0; i < SIZES; i++)
		x.size[i] = (int)rng_next_below(s, 2);
	x.size[rng_next_below(s, SIZES)] = 1;
	return x;
}

/* One item is the model of what is asked for, some are nearly like it; the level says how many
 * of its properties are asked for. */
static void environment_shop_reset(void *state, int level, struct rng_stream *s)
{
	struct shop                        *w = state;
	const struct environment_shop_item *model;

	*w = (struct shop){.n = 6 + 3 * level, .at = -1};
	for (int i = 0; i < w->n; i++)
		w->items[i] = draw_item(s);
	model = &w->items[rng_next_below(s, (uint32_t)w->n)];
	for (int i = 0; i < w->n; i += 4) /* some that are nearly it */
		if (&w->items[i] != model) {
			w->items[i].type = model->type;
			w->items[i].colour = model->colour;
		}
	w->wish = (struct environment_shop_item){.type = model->type,
	                                         .colour = model->colour,
	                                         .material = level >= 2 ? model->material : '-'};
	if (level >= 3)
		w->wish.price =
		        model->price < 8 ? model->price + (int)rng_next_below(s, 2) : model->price;
	while (level >= 4 && !w->wish_size) {
		int i = (int)rng_next_below(s, SIZES);
		w->wish_size = model->size[i] ? i + 1 : 0;
	}
}

static void environment_shop_look(const void *state, struct observation *out)
{
	const struct shop *w = state;

	observation_add(out, "<%c%c %c%c %c>", w->wish.type, w->wish.colour, w->wish.material,
	                w->wish.price ? '0' + w->wish.price : '-',
	                w->wish_size ? '0' + w->wish_size : '-');
}

/* ---- actions ---- */

static int environment_shop_matches(const struct environment_shop_item *x, const char *query,
                                    size_t n)
{
	return (memchr(query, x->type, n) != NULL) + (memchr(query, x->colour, n) != NULL);
}

static void see_page(const struct shop *w, struct observation *out)
{
	int first = w->page * PAGE;

	observation_add(out, "<");
	for (int i = first; i < first + PAGE && i < w->n_found; i++) {
		const struct environment_shop_item *x = &w->items[w->found[i]];
		observation_add(out, "%s%c%c%c%d", i > first ? " " : "", 'A' + w->found[i], x->type,
		                x->colour, x->price);
	}
	observation_add(out, first < w->n_found ? ">" : "->");
}

static void search(struct shop *w, const char *query, size_t n, struct observation *out)
{
	w->searched = 1;
	w->n_found = w->page = 0;
	w->at = -1;
	for (int wanted = 2; wanted > 0; wanted--)
		for (int i = 0; i < w->n; i++)
			if (environment_shop_matches(&w->items[i], query, n) == wanted)
				w->found[w->n_found++] = i;
	see_page(w, out);
}

static int is_on_page(const struct shop *w, int item)
{
	for (int i = w->page * PAGE; i < (w->page + 1) * PAGE && i < w->n_found; i++)
		if (w->found[i] == item)
			return 1;
	return 0;
}

static int look_at(struct shop *w, int item, struct observation *out)
{
	if (!is_on_page(w, item))
		return 0;
	w->at = item;
	w->size = 0;
	w->seen[item] = 1;
	observation_add(out, "<%c ", w->items[item].material);
	for (int i = 0; i < SIZES; i++)
		if (w->items[item].size[i])
			observation_add(out, "%d", i + 1);
	observation_add(out, ">");
	return 1;
}

static int environment_shop_choose(struct shop *w, int size, struct observation *out)
{
	if (w->at < 0 || !w->items[w->at].size[size - 1])
		return 0;
	w->size = size;
	observation_add(out, "<+>");
	return 1;
}

static int next_page(struct shop *w, struct observation *out)
{
	if (!w->searched)
		return 0;
	w->page += w->page * PAGE < w->n_found;
	see_page(w, out);
	return 1;
}

/* Met wishes over wishes, where the type is no wish but a must. */
static double environment_shop_score(const struct shop *w)
{
	const struct environment_shop_item *x = &w->items[w->at], *wish = &w->wish;
	int                                 n = 1, met = x->colour == wish->colour;

	if (x->type != wish->type)
		return 0;
	if (wish->material != '-' && ++n)
		met += x->material == wish->material;
	if (wish->price && ++n)
		met += x->price <= wish->price;
	if (w->wish_size && ++n)
		met += w->size == w->wish_size;
	return (double)met / n;
}

/* Buying (y) ends the episode; <?> is seen after what is no action, <!> after one that is not
 * possible now. */
static int environment_shop_step(void *state, const char *action, size_t n, struct observation *out,
                                 double *reward)
{
	struct shop *w = state;
	int          done = -1; /* 1 done, 0 not possible, -1 no action at all */

	if (n == 1 && action[0] == 'y' && w->at >= 0) {
		*reward = environment_shop_score(w);
		return 1;
	}
	if (n > 1 && action[0] == 's') {
		search(w, action + 1, n - 1, out);
		done = 1;
	} else if (n == 2 && action[0] == 'i') {
		done = look_at(w, action[1] - 'A', out);
	} else if (n == 1 && action[0] == 'n') {
		done = next_page(w, out);
	} else if (n == 1 && action[0] >= '1' && action[0] < '1' + SIZES) {
		done = environment_shop_choose(w, action[0] - '0', out);
	} else if (n == 1 && action[0] == 'y') {
		done = 0;
	}
	if (done <= 0)
		observation_add(out, done < 0 ? "<?>" : "<!>");
	return 0;
}

/* ---- the oracle ---- */

/* By what the page of results says. */
static int may_fit(const struct shop *w, const struct environment_shop_item *x)
{
	return x->type == w->wish.type && x->colour == w->wish.colour &&
	       (!w->wish.price || x->price <= w->wish.price);
}

static int fits(const struct shop *w, const struct environment_shop_item *x)
{
	return may_fit(w, x) && (w->wish.material == '-' || x->material == w->wish.material) &&
	       (!w->wish_size || x->size[w->wish_size - 1]);
}

/* Worth a look: it may fit, or it was looked at and fits. */
static int is_candidate(const struct shop *w, int item)
{
	return w->seen[item] ? fits(w, &w->items[item]) : may_fit(w, &w->items[item]);
}

static void environment_shop_say(char *action, char verb, char object)
{
	action[0] = verb;
	action[1] = object;
	action[2] = 0;
}

/* Looks at the first candidate of the page, or turns it; when no page holds one, searches. */
static void browse(const struct shop *w, char action[ACTION_MAX])
{
	int first = w->page * PAGE;

	for (int i = first; i < w->n_found; i++)
		if (is_candidate(w, w->found[i])) {
			if (i < first + PAGE)
				environment_shop_say(action, 'i', (char)('A' + w->found[i]));
			else
				environment_shop_say(action, 'n', 0);
			return;
		}
	action[0] = 's';
	environment_shop_say(action + 1, w->wish.type, w->wish.colour);
}

static void environment_shop_oracle(const void *state, char action[ACTION_MAX])
{
	const struct shop *w = state;

	if (w->at < 0 || !fits(w, &w->items[w->at]))
		browse(w, action);
	else if (!w->wish_size || w->size == w->wish_size)
		environment_shop_say(action, 'y', 0);
	else
		environment_shop_say(action, (char)('0' + w->wish_size), 0);
}

/* An action of the right form that leads nowhere in particular, for demonstrations with errors.
 * */
static void environment_shop_stray(const void *state, struct rng_stream *s, char action[ACTION_MAX])
{
	const struct shop *w = state;

	switch (rng_next_below(s, 5)) {
	case 0:
		environment_shop_say(action, 's', letter(s, "abcdrgbw"));
		break;
	case 1:
		environment_shop_say(action, 'i',
		                     (char)('A' + (int)rng_next_below(s, (uint32_t)w->n)));
		break;
	case 2:
		environment_shop_say(action, 'n', 0);
		break;
	case 3:
		environment_shop_say(action, (char)('1' + (int)rng_next_below(s, SIZES)), 0);
		break;
	default:
		environment_shop_say(action, 'y', 0);
		break;
	}
}

static void environment_shop_hint(const void *state, char text[ACTION_MAX])
{
	const struct shop *w = state;
	int                item = 0;

	while (!fits(w, &w->items[item])) /* one does: the wishes are made after it */
		item++;
	environment_shop_say(text, (char)('A' + item), 0);
}

const struct environment_kind environment_shop = {"shop",
                                                  1,
                                                  6,
                                                  sizeof(struct shop),
                                                  environment_shop_reset,
                                                  environment_shop_look,
                                                  environment_shop_step,
                                                  environment_shop_oracle,
                                                  environment_shop_stray,
                                                  environment_shop_hint};
