/* packing.h - what the model computes on: tokens packed without padding, cut into segments that
 * know what they may look at.
 *
 * A segment is a run of new tokens at consecutive positions of one text. It sees every key of its
 * text before it (through its page table) and itself causally. Three uses, one forward:
 *
 *     prefill    one segment per prompt: position 0, parent -1
 *     decode     one token per running completion: position = tokens so far, parent -1; earlier
 *                keys are in the pages
 *     training   a tree per group: the prompt once, then its completions, each a child of the
 *                prompt's segment
 *
 *     One tree, prompt p and completions a, b, c:
 *
 *         tokens    | p p p p p | a a a | b b b b | c c |
 *         position    0 1 2 3 4   5 6 7   5 6 7 8   5 6
 *         parent         -1         0        0       0
 *         a sees p p p p p and itself; never b or c
 *
 * Keys and values live in pages of 64 positions (see attention.h). Page b of a text holds positions
 * 64b .. 64b+63, so blocks are anchored at position 0 whatever the packing. A tree is a root at
 * position 0 and, right behind it, its descendants, parents before children. A child shares the
 * full pages of its parent; the page in which the parent ends is the child's own, and
 * attention_forward puts the parent's part of it there, too.
 *
 * The last token of a completion is a target only: it is not computed on. So a completion of one
 * token has no segment. A sequence that shares its prompt with no other is one segment, prompt and
 * completion together.
 *
 * Gradient units (training only). A unit is the leaf of the fixed summation tree: consecutive trees
 * while they fit into UNIT_TOKENS, or one larger tree. Units depend on the data alone; a
 * micro-batch is a run of whole units. */
#ifndef MODEL_PACKING_H
#define MODEL_PACKING_H

#include "base/memory.h"

#include <stdint.h>

enum { PAGE_TOKENS = 64, UNIT_TOKENS = 512 };

struct segment {
	int first, count; /* tokens first .. first+count-1 of the packing; count > 0 */
	int position;     /* of its first token in its text */
	/* index of the segment that comes before it in its text, or -1; see below */
	int  parent;
	int *pages; /* [ceil((position + count) / PAGE_TOKENS)] page ids; borrowed */
};

struct packing {
	int             n_tokens, n_segments; /* T, S */
	int            *token;                /* [T] */
	int            *position;             /* [T] */
	struct segment *segments;             /* [S] */
	/* ids are below this (training: the pages that one layer needs) */
	int n_pages;

	/* Rows for which log-probabilities are wanted: token `target` is predicted by the hidden
	 * state of token `row`. Several completions share the last prompt token as the row of
	 * their first target. */
	int  n_targets; /* N */
	int *row;       /* [N] */
	int *target;    /* [N] */

	/* Units: unit u owns tokens unit_token[u] .. unit_token[u+1]-1 and targets unit_target[u]
	 * .. unit_target[u+1]-1. */
	int      n_units;      /* U of this packing, which follow each other; the first one's */
	uint32_t first_unit;   /* number in the plan */
	int     *unit_token;   /* [U+1] */
	int     *unit_target;  /* [U+1] */
	int     *unit_segment; /* [U+1] */
};

/* ---- packing for training ---- */

struct sequence { /* one text to train on: a prompt and one completion */
	/* [n_prompt] n_prompt > 0; sequences that share the pointer and follow each other share
	 * a tree */
	const int *prompt;
	int        n_prompt;
	const int *completion; /* [n_completion] n_completion > 0; each token is a target */
	int        n_completion;
};

struct unit_range { /* one unit: sequences first .. first+count-1 */
	int      first, count, n_tokens;
	uint32_t number; /* in the plan */
};

/* Cuts n sequences into trees and units. share = 0: every sequence carries its own prompt (a tree
 * of one). A tree holds at most max(TREE_TOKENS, one sequence) tokens: a constant of the data
 * layout, not of the micro-batch. Allocates *units in `a`. */
enum { TREE_TOKENS = 4096 };
int packing_plan(const struct sequence *seqs, int n, int share, struct arena *a,
                 struct unit_range **units, int *n_units);

/* Packs `count` units of a plan together, in order; targets come in the
 * order of the sequences, completion token by completion token. Everything in `a`. */
int packing_build(const struct sequence *seqs, const struct unit_range *units, int count, int share,
                  struct arena *a, struct packing *out);

#endif
