/* problem.h - one problem: what is asked, what is right, and whatever else its row said.
 *
 * Made once, by a data set's reader or by a generator, and const afterwards; every pointer is
 * borrowed from the data set's arena. Texts are UTF-8 and end with a 0. What a row did not give is
 * NULL, 0 or NAN. */
#ifndef DATA_PROBLEM_H
#define DATA_PROBLEM_H

#include <stdint.h>
#include <string.h>

struct message {
	const char *role;    /* "system", "user", "assistant" */
	const char *content; /* "" where it has none, as a call of a tool may */
	/* the whole message as JSON text where it says more: tool_calls, name, ...; NULL where
	 * it does not */
	const char *json;
};

struct problem {
	const char *id; /* unique in its data set */

	/* The question: one text, or messages for a chat template. Exactly one of the two. */
	const char *prompt;
	/* [n_messages]; where the last one is the assistant's, the completion goes on from it */
	const struct message *messages;
	int                   n_messages;
	/* JSON text of an object: what the chat template sees beside messages (tools, ...);
	 * NULL: nothing */
	const char *template_values;

	const char *answer; /* the gold, as text; NULL where the row had none */

	/* Where the row has a list of golds and any of them is right: the items, and of several
	 * also all of them, parted by commas. `answer` is then the list as JSON, for verifiers that
	 * take it as one value. */
	const char *const *answers;
	int                n_answers;

	/* the one that scores it in the place of the run's; NULL: the run's */
	const char *verifier;
	const char *category;   /* what curricula and tables of results group by */
	double      difficulty; /* any scale on which more is harder; NAN when unknown */
	const char *hint;       /* a help that may be put behind the prompt */
	const char *rubric;

	int                n_demonstrations, n_skills;
	const char *const *demonstrations; /* worked completions, as the model should write them */
	const char *const *skills;

	const char *row;  /* the whole row as JSON text: verifiers find further columns here */
	const char *file; /* and line, for messages; NULL and 0 when it was generated */
	int         line;
	uint64_t    question[2]; /* fingerprint of what is asked, before any template (overlap.h) */
	int         source;      /* number of the file or generator among those it was read with */
};

/* Number of the message that asks: the last one that is not the assistant's. For problems with
 * messages. */
static inline int problem_asking(const struct problem *p)
{
	int i = p->n_messages - 1;

	while (i > 0 && !strcmp(p->messages[i].role, "assistant"))
		i--;
	return i;
}

/* What the prompt has begun of the completion: the assistant's last message, from which the model
 * goes on; "" where it begins nothing. */
static inline const char *problem_begun(const struct problem *p)
{
	return p->n_messages > 0 && problem_asking(p) < p->n_messages - 1
	               ? p->messages[p->n_messages - 1].content
	               : "";
}

#endif
