/* ending.h - why a completion ended, and what came of it in a world. Decoding finds it out, records
 * keep it, files name it. */
#ifndef BASE_ENDING_H
#define BASE_ENDING_H

enum stop_reason {
	STOP_EOS,     /* the model ended its completion; the token is part of it */
	STOP_STRING,  /* a stop text came up */
	STOP_LENGTH,  /* cut off at the most tokens that were allowed */
	STOP_CONTEXT, /* the same, because the model has no more positions */
	STOP_REASONS
};
extern const char *const stop_reason_name[STOP_REASONS]; /* "eos", "stop", "length", "context" */

/* What a program of the user's that played a completion says of it
 * (world/environment_program.h); all 0: none did. */
struct world_outcome {
	int    played;
	int    done, over; /* the episode ended; its turns are used up */
	int    failed;     /* the program had no verdict */
	int    right;
	double reward;
};

#endif
