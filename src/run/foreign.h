/* foreign.h - names that users bring from other programs, and what each is called here. The path of
 * errors alone reads it, and the pages docs/from-trl.md and docs/from-verl.md are made from it: no
 * other program's name is ever an option. */
#ifndef RUN_FOREIGN_H
#define RUN_FOREIGN_H

#include "base/file.h"

enum { FOREIGN_TRL = 1, FOREIGN_VERL = 2, FOREIGN_TRANSFORMERS = 4, FOREIGN_LLAMA_CPP = 8 };

struct foreign {
	/* as written there; with dots where the last word alone says too little: "rollout.n" */
	const char *name;
	int         from; /* whose it is, several added up */
	const char *key;  /* our option, or NULL */
	/* one sentence: what is different, or why there is none; NULL where the key says it all */
	const char *text;
};

extern const struct foreign foreign[];
extern const int            foreign_n;

/* The row whose name the path ends with, from a dot on; the longest; "-" counts as "_". NULL when
 * there is none. */
const struct foreign *foreign_find(const char *path);

/* "lr is verl's name of optim.learning_rate". */
void foreign_print(const struct foreign *f, struct text *out);

/* A page of documentation: the names of one program. */
void foreign_markdown(int from, struct text *out);

#endif
