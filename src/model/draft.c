#include "model/draft.h"

struct draft_source { /* where a guess is looked for */
	int (*at)(const struct draft_text *t, int i);
	int n;
};

static int draft_of_text(const struct draft_text *t, int i)
{
	return i < t->n_prompt ? t->prompt[i] : t->completion[i - t->n_prompt];
}

static int draft_of_earlier(const struct draft_text *t, int i)
{
	return t->earlier[i];
}

/* How many tokens before place p of the source are those at the end of the text; DRAFT_MATCH, too,
 * when both completions begin before it. */
static int draft_match(const struct draft_text *t, const struct draft_source *s, int p)
{
	int n = t->n_prompt + t->n_completion, j = 0;

	for (; j < DRAFT_MATCH && j < p && j < n; j++) {
		int id = s->at(t, p - 1 - j);
		if (id == DRAFT_START)
			return j == t->n_completion ? DRAFT_MATCH : j;
		if (id != draft_of_text(t, n - 1 - j))
			return j;
	}
	return j;
}

int draft_guess(const struct draft_text *t, int most, int *out)
{
	const struct draft_source  sources[] = {{draft_of_text, t->n_prompt + t->n_completion},
	                                        {draft_of_earlier, t->n_earlier}};
	const struct draft_source *best = 0;
	int                        longest = DRAFT_LEAST - 1, from = 0, n = 0;

	for (int i = 0; i < 2; i++)
		for (int p = sources[i].n - 1; p > 0 && longest < DRAFT_MATCH; p--) {
			int match = draft_match(t, &sources[i], p);
			if (match > longest && sources[i].at(t, p) != DRAFT_START) {
				longest = match;
				best = &sources[i];
				from = p;
			}
		}
	for (; best && n < most && from + n < best->n; n++) {
		out[n] = best->at(t, from + n);
		if (out[n] == DRAFT_START)
			break;
	}
	return n;
}
