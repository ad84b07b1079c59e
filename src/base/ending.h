/* ending.h - why a completion ended. Decoding finds it out, records keep it, files name it. */
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

#endif
