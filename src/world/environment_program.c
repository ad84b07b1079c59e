#include "world/environment_program.h"

#include "base/error.h"
#include "base/json.h"
#include "base/stop.h"
#include "data/dataset.h"

#include <assert.h>
#include <string.h>

static const char gap[] = "{observation}"; /* of the template */

struct environment_program {
	struct environment_program_options options;
	struct program                    *command;
};

int environment_program_open(const struct environment_program_options *o,
                             struct environment_program              **out)
{
	int status;

	if (!strstr(o->template, gap))
		return error_set(ERR_INPUT,
		                 "task.environment.template is \"%.60s\", without %s: the model "
		                 "would never see what its actions do",
		                 o->template, gap);
	TRY(mem_take(1, "an environment", out));
	(*out)->options = *o;
	status = program_open(&o->command, &(*out)->command);
	if (status != OK) {
		mem_free(*out);
		*out = NULL;
	}
	return status;
}

void environment_program_close(struct environment_program *w)
{
	if (!w)
		return;
	program_close(w->command);
	mem_free(w);
}

const struct environment_program_options *
environment_program_options(const struct environment_program *w)
{
	return &w->options;
}

struct program *environment_program_command(const struct environment_program *w)
{
	return w->command;
}

/* ---- an episode ---- */

int environment_play_begin(struct environment_program *w, const struct problem *p,
                           const char *episode, struct environment_play *out)
{
	static const char *const own[] = {"episode", "turn", "actions", NULL};

	*out = (struct environment_play){.world = w, .episode = episode, .outcome.played = 1};
	return dataset_add_columns(&out->columns, p, own);
}

void environment_play_end(struct environment_play *e)
{
	text_free(&e->columns);
	text_free(&e->actions);
	text_free(&e->seen);
}

/* The observation, inside its template. */
static void environment_play_see(const char *template, const char *observation, struct text *out)
{
	const char *at = strstr(template, gap);

	text_add(out, template, (size_t)(at - template));
	text_print(out, "%s%s", observation, at + strlen(gap));
}

/* What the program says of the episode; the context is the struct environment_play. */
static int environment_play_read(void *context, const char *line, size_t n)
{
	static const char        place[] = "its reply";
	struct environment_play *e = context;
	struct world_outcome     o = {.played = 1};
	const char              *seen = "", *excuse = NULL;
	json_t                  *reply = NULL;
	int                      status = json_parse(place, line, n, &reply);

	e->seen.n = 0;
	if (status == OK)
		status = json_get_text(place, reply, "error", JSON_OPTIONAL, &excuse);
	if (status == OK && excuse)
		status = error_set(ERR_FAILED, "it says: %.200s", excuse);
	if (status == OK)
		status = json_get_text(place, reply, "observation", JSON_OPTIONAL, &seen);
	if (status == OK)
		status = json_get_bool(place, reply, "done", JSON_OPTIONAL, &o.done);
	if (status == OK)
		status = program_reward(reply, JSON_OPTIONAL, &o.reward);
	o.right = o.reward >= 1;
	if (status == OK)
		status = json_get_bool(place, reply, "right", JSON_OPTIONAL, &o.right);
	if (status == OK && !o.done)
		environment_play_see(e->world->options.template, seen, &e->seen);
	if (status == OK)
		status = text_status(&e->seen);
	if (status == OK)
		e->outcome = o;
	json_decref(reply);
	return status;
}

static int environment_play_ask(struct environment_play *e)
{
	struct text question = {0};
	int         status;

	text_print(&question, "{\"episode\": ");
	json_add_string(&question, e->episode, strlen(e->episode));
	text_print(&question, ", \"turn\": %d, \"actions\": [", e->turns);
	text_add(&question, e->actions.data, e->actions.n);
	text_add(&question, "]", 1);
	text_add(&question, e->columns.data ? e->columns.data : "", e->columns.n);
	text_add(&question, "}", 1);
	status = text_status(&question);
	if (status == OK)
		status = program_ask(e->world->command, question.data, question.n,
		                     environment_play_read, e);
	text_free(&question);
	return status;
}

int environment_play_act(struct environment_play *e, const char *action, size_t n)
{
	int status;

	assert(!e->outcome.done);
	if (e->actions.n)
		text_add(&e->actions, ", ", 2);
	json_add_string(&e->actions, action, n);
	TRY(text_status(&e->actions));
	e->turns++;
	status = environment_play_ask(e);
	if (status == ERR_FAILED && stop_now())
		return stop_check();
	if (status == ERR_FAILED)
		e->outcome = (struct world_outcome){.played = 1, .done = 1, .failed = 1};
	else if (status != OK)
		return status;
	if (e->turns >= e->world->options.turns)
		e->outcome.over = 1;
	if (e->outcome.done || e->outcome.over)
		e->seen.n = 0;
	return OK;
}
