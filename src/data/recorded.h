/* recorded.h - files of recorded completions: what `hone rollouts` writes and `rollout.source`
 * replays (rl/replay.h).
 *
 * JSONL, gzip when the name ends in .gz. Line 1 is the header, every other line one completion;
 * completions of a group follow each other:
 *
 *     {"hone_rollouts": 2, "completions": N, "model", "weights", "vocabulary", "tokenizer",
 *     "temperature", "top_k", "top_p", "min_p", "seed", "verifiers": [names]}
 *     {"problem", "group", "step", "sample", "prompt": [ids], "ids": [ids], "logp": [],
 *     "entropy": [], "reward", "right", "components", "stop"}
 *
 *     completions  how many lines follow: a file cut at the end of a line is noticed too
 *     weights      fingerprint of the weights that sampled, tokenizer of the texts of all its ids
 *     logp         of each token as sampled, with the temperature in it, digits enough to give the
 *                  same float: the denominator of every ratio
 *     reward       as training would have seen it; null where it could not be computed
 *     right        true, false, or null where it is unknown
 *     components   [a number or null for each of the header's verifiers], before weighting
 *     trained      [0 or 1 a token], only where some token carries no loss
 *     spans        [[kind, first, count]], only of completions that have some: the turns and
 *                  observations of an episode */
#ifndef DATA_RECORDED_H
#define DATA_RECORDED_H

#include "base/ending.h"
#include "base/file.h"
#include "base/lines.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdint.h>

struct recorded_header {
	const char        *model;              /* its name, written for people; not read */
	int64_t            n;                  /* completions in the file */
	uint64_t           weights, tokenizer; /* fingerprints */
	int                vocabulary;
	double             temperature, top_p, min_p;
	int                top_k;
	uint64_t           seed;      /* not read */
	const char *const *verifiers; /* [n_verifiers] */
	int                n_verifiers;
};

struct recorded_span { /* tokens first .. first+count-1 of a completion */
	const char *kind;
	int         first, count;
};

struct recorded {                          /* a line */
	const char           *problem;     /* its id */
	int                   group, step; /* step: not read */
	uint32_t              sample;
	const int            *prompt, *ids; /* [n_prompt], [n] */
	int                   n_prompt, n;
	const float          *logp, *entropy; /* [n] */
	const unsigned char  *trained;        /* [n] */
	struct recorded_span *spans;          /* [n_spans] in order, without overlap */
	int                   n_spans;
	double                reward;     /* NaN: it could not be computed */
	int                   right;      /* 1, 0, or -1: unknown */
	const double         *components; /* [n_components] NaN: could not be computed */
	int                   n_components;
	enum stop_reason      stop;
};

/* ---- writing: ADDS a line ---- */
void recorded_add_header(struct text *t, const struct recorded_header *h);
void recorded_add(struct text *t, const struct recorded *r);

/* ---- reading ---- */
struct recorded_reader {
	struct recorded_header header;
	char                   place[FILE_PATH_MAX + 32]; /* "FILE:LINE" for messages */
	const char            *path;
	int64_t                n_read;
	struct lines          *in;
	struct arena           header_arena, line_arena;
};

/* Reads the header; `path` is borrowed. ERR_INPUT names file and line, and nothing is owned. */
int recorded_open(const char *path, struct recorded_reader *out);

/* The next completion; *more is 0 behind the last one. Its problem, prompt and spans last until the
 * next call, the rest as long as `a`. ERR_INPUT for a file that is cut off or goes on behind the
 * promised number, lists of unequal lengths, ids that the header's vocabulary does not have, and
 * numbers that cannot be what their key says. */
int  recorded_next(struct recorded_reader *r, struct arena *a, struct recorded *out, int *more);
void recorded_close(struct recorded_reader *r);

/* The error about an entry of spans, which a reader who knows the kinds needs too. */
int recorded_no_span(const char *place);

#endif
