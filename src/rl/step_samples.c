#include "rl/step_samples.h"

#include "base/error.h"
#include "base/json.h"
#include "base/ranks.h"

#include <string.h>

static int samples_add_prompt(struct text *t, const struct tokenizer *tokenizer,
                              const struct context *c)
{
	struct text prompt = {0};
	int         status = tokenizer_decode(tokenizer, c->ids, (size_t)c->n, 0, &prompt);

	json_add_string(t, prompt.data ? prompt.data : "", prompt.n);
	text_free(&prompt);
	return status;
}

static void samples_add_text(struct text *t, const char *key, const char *value)
{
	if (!value)
		return;
	text_print(t, ", \"%s\": ", key);
	json_add_string(t, value, strlen(value));
}

/* What each verifier gave, before its weight; null where one does not apply. */
static void samples_add_components(struct text *t, const struct reward_spec *spec,
                                   const struct rollout *r)
{
	int n = r->n_components == spec->n ? spec->n : 0; /* recorded ones may be of others */

	for (int i = 0; i < n; i++) {
		text_print(t, i ? ", " : ", \"components\": {");
		json_add_string(t, spec->verifier[i]->name, strlen(spec->verifier[i]->name));
		text_print(t, ": ");
		json_add_real(t, r->components[i]);
	}
	text_print(t, n ? "}" : "");
}

static int samples_add(struct text *t, const struct step_samples *s, const struct group *g,
                       const struct rollout *r)
{
	text_print(t, "{\"step\": %d, \"problem\": ", s->step);
	json_add_string(t, g->problem->id, strlen(g->problem->id));
	samples_add_text(t, "category", g->problem->category);
	text_print(t, ", \"prompt\": ");
	if (g->problem->prompt)
		json_add_string(t, g->problem->prompt, strlen(g->problem->prompt));
	else /* of messages: as the chat template wrote them */
		TRY(samples_add_prompt(t, s->tokenizer, r->sampled_under));
	text_print(t, ", \"completion\": ");
	json_add_string(t, r->text, r->n_text);
	samples_add_text(t, "answer", g->problem->answer);
	text_print(t, ", \"reward\": ");
	json_add_real(t, r->reward);
	samples_add_components(t, s->reward, r);
	text_print(t, ", \"right\": %s, \"tokens\": %d, \"stop\": \"%s\"}\n", mark_name(r->right),
	           r->n, stop_reason_name[r->stop]);
	return text_status(t);
}

int step_samples_write(const struct step_samples *s, const struct groups *groups, struct arena *a)
{
	const struct run_options *o = &s->config->run;
	struct text               t = {0};
	int                       left = o->save_samples, status = OK;
	char                     *folder, *path;

	if (left == 0 || !ranks_first())
		return OK;
	TRY(file_path(a, o->output_dir, "samples", &folder));
	TRY(arena_print(a, &path, "%s/step-%d.jsonl.gz", folder, s->step));
	/* the first completion of each group: variety says more than repetition */
	for (int g = 0; status == OK && g < groups->n && left > 0; g++, left--)
		status = samples_add(&t, s, &groups->items[g], &groups->items[g].rollouts[0]);
	if (status == OK)
		status = file_make_folders(folder);
	if (status == OK)
		status = file_write_gzip(path, t.data, t.n);
	text_free(&t);
	return status;
}
