#include "rl/findings.h"

#include "base/error.h"
#include "base/json.h"

#include <assert.h>
#include <string.h>

int findings_collect(const struct problem_set *train, const struct problem_set *eval,
                     struct arena *a, struct findings *out)
{
	*out = (struct findings){.train = train, .eval = eval};
	TRY(overlap_within(train->problems, train->n, a, &out->twice));
	TRY(overlap_between(train->problems, train->n, eval->problems, eval->n, a,
	                    &out->contaminated));
	return likeness_between(train->problems, train->n, eval->problems, eval->n, a, &out->alike);
}

/* ---- for the screen ---- */

enum { NAMED = 3 };

/* "a = b, c = d, ..." */
static void add_pairs(const struct overlaps *o, struct text *out)
{
	for (int i = 0; i < o->n && i < NAMED; i++)
		text_print(out, "%s%.80s = %.80s", i ? ", " : "", o->items[i].problem->id,
		           o->items[i].same_as->id);
	text_print(out, o->n > NAMED ? ", ...\n" : "\n");
}

/* "a ~ b (83%), ..." */
static void add_likes(const struct likenesses *l, struct text *out)
{
	for (int i = 0; i < l->n && i < NAMED; i++)
		text_print(out, "%s%.80s ~ %.80s (%.0f%%)", i ? ", " : "", l->items[i].problem->id,
		           l->items[i].like->id, 100 * l->items[i].share);
	text_print(out, l->n > NAMED ? ", ...\n" : "\n");
}

static void add_shares(const struct problem_set *set, struct text *out)
{
	for (int i = 0; i < set->n_sources; i++) {
		const struct problem_source *s = &set->sources[i];
		assert(s->n > 0 && set->prompts.n >= s->entries);
		text_print(out, "%s %s %.4g%% (%d problems, each %.4g times)",
		           i ? "," : "mixture: a pass has", s->name,
		           100.0 * s->entries / set->prompts.n, s->n, (double)s->entries / s->n);
	}
	text_add(out, "\n", 1);
}

static void add_longs(const char *what, const struct prompts *p, struct text *out)
{
	if (p->n_long == 0)
		return;
	text_print(out, "%s", what);
	prompts_add_longs(p, out);
	text_add(out, "\n", 1);
}

static void add_unreadable(const char *what, const struct problem_set *set, struct text *out)
{
	if (set->n_unreadable == 0)
		return;
	text_print(out, "%s: %d left out, their answers being unreadable: ", what,
	           set->n_unreadable);
	for (int i = 0; i < set->n_unreadable && i < NAMED; i++)
		text_print(out, "%s%.80s", i ? ", " : "", set->unreadable[i].id);
	text_print(out, set->n_unreadable > NAMED ? ", ...\n" : "\n");
}

int findings_lines(const struct findings *f, struct text *out)
{
	add_unreadable("training problems", f->train, out);
	add_unreadable("held-out problems", f->eval, out);
	add_longs("training problems", &f->train->prompts, out);
	add_longs("held-out problems", &f->eval->prompts, out);
	prompts_add_first(&f->train->prompts, out);
	prompts_add_tights("training prompts", &f->train->prompts, out);
	prompts_add_tights("held-out prompts", &f->eval->prompts, out);
	if (problems_weighted(f->train))
		add_shares(f->train, out);
	if (f->twice.n) {
		text_print(out,
		           "%d of %d training problems ask what one before them asks: ", f->twice.n,
		           f->train->n);
		add_pairs(&f->twice, out);
	}
	if (f->contaminated.n) {
		text_print(out, "caution: %d of %d held-out problems are trained on: ",
		           f->contaminated.n, f->eval->n);
		add_pairs(&f->contaminated, out);
	}
	if (f->alike.n) {
		text_print(out,
		           "caution: %d of %d held-out problems stand almost word for word in "
		           "training: ",
		           f->alike.n, f->eval->n);
		add_likes(&f->alike, out);
	}
	return text_status(out);
}

/* ---- data.json ---- */

static void findings_add_name(struct text *out, const char *key, const char *value)
{
	text_print(out, "\"%s\": ", key);
	if (value)
		json_add_string(out, value, strlen(value));
	else
		text_add(out, "null", 4);
}

static void add_overlaps(const struct overlaps *o, const char *key, struct text *out)
{
	text_print(out, ",\n \"%s\": [", key);
	for (int i = 0; i < o->n; i++) {
		text_print(out, i ? ",\n  {" : "\n  {");
		findings_add_name(out, "id", o->items[i].problem->id);
		text_add(out, ", ", 2);
		findings_add_name(out, "same_as", o->items[i].same_as->id);
		text_add(out, "}", 1);
	}
	text_add(out, "]", 1);
}

static void add_likenesses(const struct likenesses *l, struct text *out)
{
	text_print(out, ",\n \"likenesses\": [");
	for (int i = 0; i < l->n; i++) {
		text_print(out, i ? ",\n  {" : "\n  {");
		findings_add_name(out, "id", l->items[i].problem->id);
		text_add(out, ", ", 2);
		findings_add_name(out, "like", l->items[i].like->id);
		text_print(out, ", \"share\": %.4f}", l->items[i].share);
	}
	text_add(out, "]", 1);
}

static void add_lengths(const char *key, const char *what, const struct long_prompt *list, int n,
                        struct text *out)
{
	text_print(out, "\"%s\": [", key);
	for (int i = 0; i < n; i++) {
		text_print(out, i ? ",\n  {" : "\n  {");
		findings_add_name(out, "id", list[i].id);
		text_print(out, ", \"%s\": %d}", what, list[i].tokens);
	}
	text_add(out, "], ", 3);
}

static void add_first(const struct prompts *p, struct text *out)
{
	if (!p->shown)
		return;
	text_print(out, "\"first_prompt\": {");
	findings_add_name(out, "id", p->problems[0]->id);
	text_print(out, ", \"tokens\": %d, \"manner\": \"%s\", \"text\": ", p->contexts[0].n,
	           p->manner);
	json_add_string(out, p->shown, p->n_shown);
	text_add(out, "}, ", 3);
}

static void findings_add_set(const struct problem_set *set, const char *key, struct text *out)
{
	text_print(out, "\"%s\": {\"problems\": %d, ", key, set->n);
	add_first(&set->prompts, out);
	add_lengths("too_long", "tokens", set->prompts.longs, set->prompts.n_long, out);
	add_lengths("little_room", "room", set->prompts.tights, set->prompts.n_tight, out);
	text_print(out, "\"unreadable\": [");
	for (int i = 0; i < set->n_unreadable; i++) {
		text_print(out, i ? ",\n  {" : "\n  {");
		findings_add_name(out, "id", set->unreadable[i].id);
		text_add(out, ", ", 2);
		findings_add_name(out, "reason", set->unreadable[i].reason);
		text_add(out, "}", 1);
	}
	text_print(out, "], \"sources\": [");
	for (int i = 0; i < set->n_sources; i++) {
		const struct problem_source *s = &set->sources[i];
		text_print(out, i ? ",\n  {" : "\n  {");
		findings_add_name(out, "name", s->name);
		text_add(out, ", ", 2);
		findings_add_name(out, "file", s->file);
		text_print(out, ", \"problems\": %d, \"used\": %d, \"entries\": %d}", s->data.n,
		           s->n, s->entries);
	}
	text_print(out, "]}");
}

int findings_json(const struct findings *f, struct text *out)
{
	text_add(out, "{", 1);
	findings_add_set(f->train, "train", out);
	text_print(out, ",\n ");
	findings_add_set(f->eval, "eval", out);
	add_overlaps(&f->twice, "duplicates", out);
	add_overlaps(&f->contaminated, "contamination", out);
	add_likenesses(&f->alike, out);
	text_print(out, "}\n");
	return text_status(out);
}
