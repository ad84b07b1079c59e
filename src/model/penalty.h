/* penalty.h - what a generation_config.json does to a row of logits z before a token is drawn, as
 * the logits processors of transformers 5.24 do it.
 *
 *     text = prompt, then what the model wrote so far; n = number of its tokens; c = tokens of the
 *     completion
 *
 *     repetition_penalty p     z[v] = z[v] < 0 ? z[v] * p : z[v] / p          for each v of the
 *                              text, once (arXiv:1909.05858)
 *     no_repeat_ngram_size g   z[v] = -inf    where the last g - 1 tokens and v stand together in
 *                                             the text already
 *     bad_words_ids            z[v] = -inf    where v would complete one of the words; a word that
 *                                             is an end alone does not count
 *     min_length m             z[end] = -inf  while n < m
 *     min_new_tokens m         z[end] = -inf  while c < m
 *     suppress_tokens          z[v] = -inf    for each v of the list
 *     begin_suppress_tokens    the same for the first token
 *
 * in this order. -inf is PENALTY_NEVER here, so that entropies stay finite. The row is another one
 * than the model's, so what is trained must not be sampled with it: hone generate and hone eval
 * apply it, training says by name what it leaves out. */
#ifndef MODEL_PENALTY_H
#define MODEL_PENALTY_H

#include "base/file.h"
#include "model/sampling.h"

#define PENALTY_NEVER (-1e30f)

struct penalty_list { /* of token ids, which need not lie within the vocabulary */
	int *id;      /* [n] */
	int  n;
};

struct penalty {                         /* all zero: none */
	double               repetition; /* 0 or 1: none */
	int                  ngram, min_length, min_new_tokens;
	struct penalty_list  suppress, begin;
	struct penalty_list *word; /* [n_words] none of them empty */
	int                  n_words;
};

struct penalty_text {
	const int *prompt, *completion, *end; /* [n_prompt], [n_completion], [n_ends] */
	int        n_prompt, n_completion, n_ends;
};

/* Whether there is anything to apply. */
int penalty_any(const struct penalty *p);

/* Changes z [V] in place; scratch [V]. */
void penalty_apply(const struct penalty *p, const struct penalty_text *text, int V, float *z,
                   struct candidate *scratch);

/* Adds ", repetition_penalty 1.1, no_repeat_ngram_size 3": what is applied, by name; nothing when
 * nothing is. */
void penalty_print(const struct penalty *p, struct text *out);

#endif
