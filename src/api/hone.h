/* hone.h - hone for programs that embed it: a model is loaded, sampled from, asked for
 * log-probabilities, taught, saved; completions are scored. The only header that is installed.
 *
 *     cc $(pkg-config --cflags hone) mine.c $(pkg-config --libs hone)
 *
 * The promise of the program holds here: the log-probability that comes with a sampled token is the
 * one that hone_logprobs finds and that hone_step trains, bit for bit, as long as no step lies
 * between; and the same calls give the same bits, whatever the number of threads.
 *
 * Functions return 0, or another number and leave a message, hone_error(), which says what to do.
 * A model is used by one thread at a time. Nothing is printed. */
#ifndef HONE_H
#define HONE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What went wrong last in this thread; "" before anything did. Borrowed until the next error. */
const char *hone_error(void);

/* ---- a model ---- */

struct hone_model;

struct hone_options {         /* all 0 is the default */
	int    threads;       /* 0: all cores */
	int    bf16;          /* 1: products in bf16 */
	int    learns;        /* 1: hone_step will be called; moments cost twice the weights */
	double temperature;   /* of sampling, and part of every log-probability; 0: 1 */
	double weight_decay;  /* of AdamW */
	double max_grad_norm; /* 0: 1; below 0: no clipping */
};

/* A folder as Hugging Face lays it out, a checkpoint or a run of hone, or a .gguf file. */
int  hone_load(const char *path, const struct hone_options *o, struct hone_model **out);
int  hone_save(const struct hone_model *m, const char *folder);
void hone_free(struct hone_model *m); /* NULL is fine */

/* The ids of a text, with the special tokens that the tokenizer puts around one; and the text of
 * ids, without special tokens. Borrowed until the next call of the same function. */
int hone_encode(struct hone_model *m, const char *text, const int **ids, int *n);
int hone_decode(struct hone_model *m, const int *ids, int n, const char **text);

/* ---- completions ---- */

struct hone_completion {
	const int   *ids;  /* [n] the end token included; n > 0 */
	const float *logp; /* [n] of each token as it was sampled */
	int          n;
	int          ended; /* 0: cut off at max_tokens */
	const char  *text;  /* without special tokens */
};

struct hone_sampling {
	int      n;          /* completions of the prompt */
	int      max_tokens; /* of each */
	uint64_t seed;       /* with `step` and the number of the completion: all its chance */
	uint32_t step;
};

/* *out [n], borrowed until the next call. */
int hone_sample(struct hone_model *m, const int *prompt, int n_prompt,
                const struct hone_sampling *s, const struct hone_completion **out);

/* Writes logp [n] of the completion's tokens behind the prompt. */
int hone_logprobs(struct hone_model *m, const int *prompt, int n_prompt, const int *completion,
                  int n, float *logp);

/* By a verifier of docs/verifiers.md with its default options: "numeric", "exact", "math", ... */
int hone_score(const char *verifier, const char *completion, const char *answer, double *reward);

/* ---- learning ---- */

struct hone_row { /* borrowed for the call */
	const int *prompt, *ids;
	int        n_prompt, n;
	double     advantage; /* of every token; above 0: shall become likelier */
};

struct hone_report {
	double loss;      /* - sum of advantage x logp, over all tokens */
	double grad_norm; /* before clipping */
	int    skipped;   /* the gradient was not finite: nothing was changed */
};

/* One update: AdamW on the gradient of that loss (REINFORCE; with advantage 1 it is supervised
 * learning). Rows that share a pointer to their prompt are computed with it once. `report` may be
 * NULL. */
int hone_step(struct hone_model *m, const struct hone_row *rows, int n, double learning_rate,
              struct hone_report *report);

#ifdef __cplusplus
}
#endif

#endif
