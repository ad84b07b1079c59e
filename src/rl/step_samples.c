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

static int samples_add(struct text *t, const struct tokenizer *tokenizer, int step,
                       const struct group *g, const struct rollout *r)
{
	text_print(t, "{\"step\": %d, \"problem\": ", step);
	json_add_string(t, g->problem->id, strlen(g->problem->id));
	text_print(t, ", \"prompt\": ");
	if (g->problem->prompt)
		json_add_string(t, g->problem->prompt, strlen(g->problem->prompt));
	else /* of messages: as the chat template wrote them */
		TRY(samples_add_prompt(t, tokenizer, r->sampled_under));
	text_print(t, ", \"completion\": ");
	json_add_string(t, r->text, r->n_text);
	if (g->problem->answer) {
		text_print(t, ", \"answer\": ");
		json_add_string(t, g->problem->answer, strlen(g->problem->answer));
	}
	text_print(t, ", \"reward\": ");
	json_add_real(t, r->reward);
	text_print(t, ", \"right\": %s, \"tokens\": %d, \"stop\": \"%s\"}\n", mark_name(r->right),
	           r->n, stop_reason_name[r->stop]);
	return text_status(t);
}

int step_samples_write(const struct job_config *c, const struct tokenizer *tokenizer, int step,
                       const struct groups *groups, struct arena *a)
{
	struct text t = {0};
	int         left = c->run.save_samples, status = OK;
	char       *folder, *path;

	if (left == 0 || !ranks_first())
		return OK;
	TRY(file_path(a, c->run.output_dir, "samples", &folder));
	TRY(arena_print(a, &path, "%s/step-%d.jsonl.gz", folder, step));
	/* the first completion of each group: variety says more than repetition */
	for (int g = 0; status == OK && g < groups->n && left > 0; g++, left--)
		status = samples_add(&t, tokenizer, step, &groups->items[g],
		                     &groups->items[g].rollouts[0]);
	if (status == OK)
		status = file_make_folders(folder);
	if (status == OK)
		status = file_write_gzip(path, t.data, t.n);
	text_free(&t);
	return status;
}
