/* draft.h - a guess at how a text goes on: what followed its last tokens where they stood before.
 *
 *     text      ... 7 + 5 = 1 2 ; 3 + 5 = 1 2 ; 7 + 5 =
 *                   `-----'                     `-----'    guess: 1 2 ; 3 + ...
 *
 * Decoding computes the tokens of a guess together with the newest one, in one pass, and draws
 * after each of them with that position's own random number, for as long as what is drawn is what
 * was guessed (decode.h). So a guess decides how many tokens a pass gives and never which.
 *
 * It is looked for in the text itself and in earlier completions of the same prompt, those of the
 * epoch before, say. The longest match of up to DRAFT_MATCH tokens wins, of equals the newest, the
 * text itself first. A match of fewer than DRAFT_LEAST is none, unless both begin there. */
#ifndef MODEL_DRAFT_H
#define MODEL_DRAFT_H

enum { DRAFT_MATCH = 6, DRAFT_LEAST = 2, DRAFT_START = -1 };

struct draft_text {
	const int *prompt, *completion; /* [n_prompt], [n_completion] */
	int        n_prompt, n_completion;
	/* [n_earlier] completions, DRAFT_START before each */
	const int *earlier;
	int        n_earlier;
};

/* Writes at most `most` ids to out; returns how many. */
int draft_guess(const struct draft_text *t, int most, int *out);

#endif
