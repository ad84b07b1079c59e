#include "model/penalty.h"

#include <assert.h>

int penalty_any(const struct penalty *p)
{
	return (p->repetition != 0 && p->repetition != 1) || p->ngram || p->min_length ||
	       p->min_new_tokens || p->suppress.n || p->begin.n || p->n_words;
}

static int length(const struct penalty_text *t)
{
	return t->n_prompt + t->n_completion;
}

static int token(const struct penalty_text *t, int i)
{
	return i < t->n_prompt ? t->prompt[i] : t->completion[i - t->n_prompt];
}

/* Two passes, so that a token that stands twice in the text is penalised once. */
static void repetition(float p, const struct penalty_text *t, float *z, struct candidate *before)
{
	for (int i = 0; i < length(t); i++)
		before[token(t, i)].p = z[token(t, i)];
	for (int i = 0; i < length(t); i++) {
		float s = before[token(t, i)].p;
		z[token(t, i)] = s < 0 ? s * p : s / p;
	}
}

static void no_repeat(int size, const struct penalty_text *t, float *z)
{
	int n = length(t), tail = n - (size - 1); /* where the last size - 1 tokens begin */

	for (int first = 0; first + size <= n; first++) {
		int same = 0;
		while (same < size - 1 && token(t, first + same) == token(t, tail + same))
			same++;
		if (same == size - 1)
			z[token(t, first + same)] = PENALTY_NEVER;
	}
}

static void never(const int *id, int n, int V, float *z)
{
	for (int i = 0; i < n; i++)
		if (id[i] >= 0 && id[i] < V)
			z[id[i]] = PENALTY_NEVER;
}

static int is_end(const struct penalty_text *t, int id)
{
	for (int i = 0; i < t->n_ends; i++)
		if (t->end[i] == id)
			return 1;
	return 0;
}

static void bad_word(const struct penalty_list *word, const struct penalty_text *t, int V, float *z)
{
	int n = length(t), before = word->n - 1;

	if (before > n || (before == 0 && is_end(t, word->id[0])))
		return;
	for (int i = 0; i < before; i++)
		if (token(t, n - before + i) != word->id[i])
			return;
	never(&word->id[before], 1, V, z);
}

void penalty_apply(const struct penalty *p, const struct penalty_text *t, int V, float *z,
                   struct candidate *scratch)
{
	assert(V > 0 && t->n_prompt >= 0 && t->n_completion >= 0);
	if (p->repetition != 0 && p->repetition != 1)
		repetition((float)p->repetition, t, z, scratch);
	if (p->ngram)
		no_repeat(p->ngram, t, z);
	for (int i = 0; i < p->n_words; i++)
		bad_word(&p->word[i], t, V, z);
	if (length(t) < p->min_length || t->n_completion < p->min_new_tokens)
		never(t->end, t->n_ends, V, z);
	never(p->suppress.id, p->suppress.n, V, z);
	if (t->n_completion == 0)
		never(p->begin.id, p->begin.n, V, z);
}

void penalty_print(const struct penalty *p, struct text *out)
{
	const struct {
		const char *name;
		int         value;
	} counts[] = {
	        {"no_repeat_ngram_size", p->ngram}, {"bad_words_ids", p->n_words},
	        {"min_length", p->min_length},      {"min_new_tokens", p->min_new_tokens},
	        {"suppress_tokens", p->suppress.n}, {"begin_suppress_tokens", p->begin.n},
	};

	if (p->repetition != 0 && p->repetition != 1)
		text_print(out, ", repetition_penalty %g", p->repetition);
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		if (counts[i].value)
			text_print(out, ", %s %d", counts[i].name, counts[i].value);
}
