#include "rl/problems.h"

#include "base/error.h"
#include "data/mixture.h"
#include "world/generator.h"

#include <string.h>

/* NULL for a text that says nothing, or what the reader takes anyway. */
static const char *unless(const char *text, const char *standard)
{
	return *text && strcmp(text, standard) ? text : NULL;
}

static const char *either(const char *of_file, const char *of_all)
{
	return *of_file ? of_file : of_all;
}

static int problems_read_file(const struct data_options *d, const struct source_options *s,
                              int most, struct problem_source *out)
{
	struct dataset_options o = {
	        .prompt_column = unless(either(s->prompt_column, d->prompt_column), "prompt"),
	        .answer_column = unless(either(s->answer_column, d->answer_column), ""),
	        .category_column =
	                unless(either(s->category_column, d->category_column), "category"),
	        .id_column = unless(either(s->id_column, d->id_column), ""),
	        .prompt_template =
	                unless(either(s->prompt_template, d->prompt_template), "{prompt}"),
	        .name = out->name,
	        .category = unless(s->category, ""),
	        .join_answers = d->join_answers,
	        /* verifier_check says so where an answer is needed */
	        .answer_optional = 1,
	        .problems_max = most};

	TRY(generator_converter(unless(d->convert, ""), &o.convert));
	out->file = s->file;
	out->weight = s->weight;
	out->verifier = unless(s->reward, "");
	return dataset_read(&s->file, 1, &o, &out->data);
}

/* ---- the names of files ---- */

/* A name is the end of the path with `folders` folders before the stem: "d1/test" of
 * data/d1/test.jsonl.gz with one. Past the first folder it is the whole path. */
struct stem {
	const char *path;
	int         folders; /* -1: it has a name of its own */
	const char *name;
};

static int stem_name(struct stem *s, struct arena *a)
{
	const char *slash = strrchr(s->path, '/'), *file = slash ? slash + 1 : s->path,
	           *start = file;
	size_t stem = strcspn(file, ".");

	for (int k = 0; k < s->folders && start; k++) {
		const char *end = start > s->path ? start - 1 : NULL;
		while (end && end > s->path && end[-1] != '/')
			end--;
		start = end;
	}
	s->name = s->path;
	return start ? arena_copy(a, start, (size_t)(file - start) + stem, &s->name) : OK;
}

/* Files whose stems are the same get more of their folders, all of them alike, until they differ or
 * the whole path is the name. */
static int stems_spread(struct stem *stems, int n, struct arena *a)
{
	for (int changed = 1, rounds = 0; changed && rounds < 64; rounds++) {
		unsigned char *same;
		changed = 0;
		TRY(arena_take(a, (size_t)n, "the names of the files", &same));
		for (int i = 0; i < n; i++)
			for (int k = 0; k < n; k++)
				same[i] |= i != k && stems[i].folders >= 0 &&
				           !strcmp(stems[i].name, stems[k].name);
		for (int i = 0; i < n; i++) {
			if (!same[i] || stems[i].name == stems[i].path)
				continue;
			stems[i].folders++;
			TRY(stem_name(&stems[i], a));
			changed = 1;
		}
	}
	return OK;
}

/* Writes sources[i].name: the one given, or the file's name up to its first dot, with folders
 * before it where two would be the same. */
static int name_files(const struct source_list *files, struct arena *a,
                      struct problem_source *sources)
{
	struct stem *stems;

	TRY(arena_take(a, (size_t)files->n, "the names of the files", &stems));
	for (int i = 0; i < files->n; i++) {
		const struct source_options *s = &files->items[i];
		stems[i] = (struct stem){s->file, *s->name ? -1 : 0, s->name};
		if (!*s->name)
			TRY(stem_name(&stems[i], a));
	}
	TRY(stems_spread(stems, files->n, a));
	for (int i = 0; i < files->n; i++)
		sources[i].name = stems[i].name;
	return OK;
}

static int problems_generate(const struct generator_options *g, int held_out,
                             struct problem_source *out)
{
	const struct generator_range range = {.level_min = g->levels.low,
	                                      .level_max = g->levels.high,
	                                      .seed = (uint64_t)g->seed,
	                                      .first = (uint32_t)g->first,
	                                      .count = g->count,
	                                      .error_rate = g->error_rate,
	                                      .held_out = held_out};
	const struct generator      *generator;

	out->name = g->name;
	out->weight = g->weight;
	out->verifier = unless(g->reward, "");
	TRY(generator_find(g->name, &generator));
	return generator_dataset(generator, &range, &out->data);
}

/* What a set is read from. */
struct problems_room {
	const struct source_list       *files;
	const struct generator_options *generators;
	int                             n_generators;
	int                             held_out;
	int                             most, most_each; /* problems; 0: all */
};

/* Up to `most` of them in one list. */
static int problems_join(const struct problems_room *room, struct arena *a, struct problem_set *set)
{
	int n = 0, n_read = 0;

	for (int i = 0; i < set->n_sources; i++)
		n += set->sources[i].data.n;
	TRY(arena_take(a, (size_t)n, "the problems", &set->problems));
	for (int i = 0; i < set->n_sources; i++) {
		const struct dataset *d = &set->sources[i].data;
		for (int k = 0; k < d->n && (room->most == 0 || set->n < room->most) &&
		                (room->most_each == 0 || k < room->most_each);
		     k++) {
			set->problems[set->n] = d->problems[k];
			set->problems[set->n].verifier = set->sources[i].verifier;
			set->problems[set->n++].source = i;
			n_read += set->sources[i].file != NULL;
		}
	}
	/* the same generated problem may come twice */
	return dataset_index(set->problems, n_read, a, &(struct id_index){0});
}

static int problems_read_all(const struct job_config *c, const struct problems_room *room,
                             struct arena *a, struct problem_set *out)
{
	int most = room->most_each ? room->most_each : room->most;

	*out = (struct problem_set){0};
	TRY(arena_take(a, (size_t)(room->files->n + room->n_generators),
	               "the sources of the problems", &out->sources));
	TRY(name_files(room->files, a, out->sources));
	for (int i = 0; i < room->files->n; i++)
		TRY(problems_read_file(&c->data, &room->files->items[i], most,
		                       &out->sources[out->n_sources++]));
	for (int i = 0; i < room->n_generators; i++)
		TRY(problems_generate(&room->generators[i], room->held_out,
		                      &out->sources[out->n_sources++]));
	return problems_join(room, a, out);
}

/* All sources have a weight, or none. */
static int problems_check_weights(const struct job_config *c, const struct problem_set *set)
{
	int weights = 0;

	for (int i = 0; i < set->n_sources; i++)
		weights += set->sources[i].weight > 0;
	for (int i = 0; i < set->n_sources && weights; i++)
		if (set->sources[i].weight == 0)
			return error_set(ERR_INPUT,
			                 "%s: data.train: %s has no weight, but others have; give "
			                 "one to each file and generator, or to none",
			                 config_where(&c->base, set->sources[i].file
			                                                ? "data.train"
			                                                : "data.generate"),
			                 set->sources[i].name);
	return OK;
}

int problems_read_train(const struct job_config *c, struct arena *a, struct problem_set *out)
{
	static const char *const   keys[] = {"data.train", "data.generate", NULL};
	const struct problems_room room = {.files = &c->data.train,
	                                   .generators = c->data.generate.items,
	                                   .n_generators = c->data.generate.n,
	                                   .most = c->data.max_problems};

	TRY(config_require(&c->base, keys));
	TRY(problems_read_all(c, &room, a, out));
	return problems_check_weights(c, out);
}

int problems_read_eval(const struct job_config *c, struct arena *a, struct problem_set *out)
{
	const struct problems_room room = {.files = &c->data.eval,
	                                   .generators = c->data.eval_generate.items,
	                                   .n_generators = c->data.eval_generate.n,
	                                   .held_out = 1,
	                                   .most_each = c->data.eval_max_problems};

	return problems_read_all(c, &room, a, out);
}

void problems_free(struct problem_set *set)
{
	for (int i = 0; i < set->n_sources; i++)
		dataset_free(&set->sources[i].data);
}

struct prompts_options problems_prompts(const struct job_config *c, const struct tokenizer *t,
                                        int n_positions)
{
	int most = c->data.max_prompt_length;

	return (struct prompts_options){.tokenizer = t,
	                                .max_prompt_length =
	                                        most < n_positions - 1 ? most : n_positions - 1,
	                                .refuse_long = c->data.refuse_long,
	                                .chat = c->data.chat,
	                                .system = unless(c->data.system_prompt, ""),
	                                .kwargs = unless(c->data.chat_template_kwargs, ""),
	                                .day = unless(c->data.chat_date, ""),
	                                .positions = n_positions,
	                                .wanted = c->rollout.max_completion_length};
}

int problems_add_verifiers(const struct problem_set *set, struct reward_spec *spec)
{
	for (int i = 0; i < set->n_sources; i++)
		if (set->sources[i].verifier && verifier_add(spec, set->sources[i].verifier) != OK)
			return error_context("the reward of %s", set->sources[i].name);
	return OK;
}

static int problems_leave_out_unreadable(const struct problem *p, struct arena *a,
                                         struct problem_set *set)
{
	struct unreadable *u = &set->unreadable[set->n_unreadable++];

	*u = (struct unreadable){p->id, NULL, p->file, p->line};
	return arena_copy(a, error_message(), strlen(error_message()), &u->reason);
}

enum { PROBLEMS_NAMED = 5 };

/* The error about golds that are to be no error only with data.unreadable_answers: drop: how many,
 * the first in full, the next by their ids. */
static int refuse_unreadable(const struct problem_set *set, int n)
{
	const struct unreadable *u = set->unreadable;
	struct text              t = {0};
	int                      status;

	if (u[0].file)
		text_print(&t, "%s:%d: ", u[0].file, u[0].line);
	text_print(&t, "%s", u[0].reason);
	for (int i = 1; i < set->n_unreadable && i < PROBLEMS_NAMED; i++)
		text_print(&t, "%s%.80s", i > 1 ? ", " : "; also ", u[i].id);
	if (set->n_unreadable > PROBLEMS_NAMED)
		text_print(&t, ", ...");
	status = text_status(&t);
	if (status == OK)
		status = error_set(ERR_INPUT,
		                   "%s (%d of %d answers; data.unreadable_answers: drop leaves "
		                   "them out)",
		                   t.data, set->n_unreadable, n);
	text_free(&t);
	return status;
}

int problems_check(const struct job_config *c, const struct reward_spec *spec,
                   const struct reward_spec *other, struct arena *a, struct problem_set *set)
{
	int kept = 0, n = set->n;

	TRY(arena_take(a, (size_t)set->n, "the unreadable answers", &set->unreadable));
	for (int i = 0; i < set->n; i++)
		if (verifier_check(spec, &set->problems[i]) == OK &&
		    (!other || verifier_check(other, &set->problems[i]) == OK))
			set->problems[kept++] = set->problems[i];
		else
			TRY(problems_leave_out_unreadable(&set->problems[i], a, set));
	if (set->n_unreadable && !c->data.drop_unreadable)
		return refuse_unreadable(set, n);
	if (set->n && kept == 0)
		return error_context("no problem is left, all %d were dropped; the last one",
		                     set->n);
	set->n = kept;
	return OK;
}

static void count_sources(struct problem_set *set)
{
	for (int i = 0; i < set->n_sources; i++)
		set->sources[i].n = 0;
	for (int i = 0; i < set->prompts.n; i++)
		set->sources[set->prompts.problems[i]->source].n++;
	for (int i = 0; i < set->n_sources; i++)
		set->sources[i].entries = set->sources[i].n;
}

int problems_render(const struct prompts_options *o, struct arena *a, struct problem_set *set)
{
	if (set->n == 0)
		return OK;
	TRY(prompts_render(set->problems, set->n, o, a, &set->prompts));
	count_sources(set);
	return OK;
}

int problems_leave_out(const struct prompts_options *o, const int *tokens, struct arena *a,
                       struct problem_set *set)
{
	TRY(prompts_leave_out(tokens, o, a, &set->prompts));
	count_sources(set);
	return OK;
}

/* ---- the mixture ---- */

int problems_weighted(const struct problem_set *set)
{
	return set->n_sources > 0 && set->sources[0].weight > 0;
}

static int problems_plan(const struct job_config *c, const struct problem_set *set, struct arena *a,
                         struct mixture *out)
{
	struct mixture_source *sources;
	int                    largest;

	TRY(arena_take(a, (size_t)set->n_sources, "the weights of the sources", &sources));
	for (int i = 0; i < set->n_sources; i++) {
		sources[i] = (struct mixture_source){set->sources[i].n, set->sources[i].weight};
		if (sources[i].n == 0)
			return error_set(
			        ERR_INPUT,
			        "data.train: %s has a weight, but no prompt of it is short enough",
			        set->sources[i].name);
	}
	if (mixture_plan(sources, set->n_sources, (uint64_t)c->run.seed, a, out, &largest) != OK)
		return error_context("data.train: %d problems of %s for its share",
		                     sources[largest].n, set->sources[largest].name);
	return OK;
}

int problems_mix(const struct job_config *c, struct arena *a, struct problem_set *set)
{
	const struct prompts *p = &set->prompts;
	struct prompts        mixed = *p;
	struct mixture        m;
	int                  *first, i = 0;

	if (!problems_weighted(set))
		return OK;
	TRY(problems_plan(c, set, a, &m));
	TRY(arena_take(a, (size_t)set->n_sources, "the mixture", &first));
	TRY(arena_take(a, (size_t)m.n, "the mixture", &mixed.problems));
	TRY(arena_take(a, (size_t)m.n, "the mixture", &mixed.contexts));
	for (int s = 0; s < set->n_sources; i += set->sources[s++].n) {
		first[s] = i;
		set->sources[s].entries = m.count[s];
	}
	for (mixed.n = 0; mixed.n < m.n; mixed.n++) {
		int from = first[m.entries[mixed.n].source] + m.entries[mixed.n].item;
		mixed.problems[mixed.n] = p->problems[from];
		mixed.contexts[mixed.n] = p->contexts[from];
	}
	set->prompts = mixed;
	return OK;
}

/* ---- settings of the chat template ---- */

/* Prompts of both sets that are put into the template; those alone that a system message is put
 * before, when it is asked. */
static int count_templated(const struct prompts_options *o, const struct problem_set *set,
                           int without_system)
{
	int n = 0, chat = o->chat == CHAT_ALWAYS ||
	                  (o->chat == CHAT_AUTO && tokenizer_chat_template(o->tokenizer));

	for (int i = 0; set && i < set->n; i++) {
		const struct problem *p = &set->problems[i];
		n += p->n_messages ? !without_system || strcmp(p->messages[0].role, "system") != 0
		                   : chat;
	}
	return n;
}

int problems_check_chat(const struct job_config *c, const struct prompts_options *o,
                        const struct problem_set *set, const struct problem_set *other)
{
	if (o->system && count_templated(o, set, 1) + count_templated(o, other, 1) == 0)
		return error_set(ERR_INPUT,
		                 "%s: data.system_prompt is set, but no prompt takes it: it goes "
		                 "before messages that begin with no system "
		                 "message, and texts are messages only with data.chat: always, or "
		                 "auto and a model that has a chat template",
		                 config_where(&c->base, "data.system_prompt"));
	if (o->kwargs && count_templated(o, set, 0) + count_templated(o, other, 0) == 0)
		return error_set(ERR_INPUT,
		                 "%s: data.chat_template_kwargs is set, but no prompt is put into "
		                 "a chat template: texts are with data.chat: "
		                 "always, or auto and a model that has one",
		                 config_where(&c->base, "data.chat_template_kwargs"));
	return OK;
}
