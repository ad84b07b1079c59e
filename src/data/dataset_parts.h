/* dataset_parts.h - what the files of the data sets' reader share. Private to dataset_*.c;
 * dataset.h says what they promise.
 *
 *     dataset.c             files: rows, ids
 *     dataset_stream.c      a file as rows, whether they stand on lines, in a list, or over several
 *                           lines
 *     dataset_foreign.c     what is no JSON, and the command that mends it
 *     dataset_mend.c        what writers of JSON write though JSON has no such thing: NaN, halves
 *                           of surrogate pairs
 *     dataset_row.c         one row: columns and their spellings, values as text
 *     dataset_prompt.c      the prompt of a row: texts, messages, instruction and input; what the
 *                           chat template is to see beside them
 *     dataset_answers.c     golds that are lists
 *     dataset_template.c    data.prompt_template
 *     dataset_write.c       a problem as a row again */
#ifndef DATA_DATASET_PARTS_H
#define DATA_DATASET_PARTS_H

#include "data/dataset.h"

struct reader { /* of one row */
	const char *place;
	json_t     *row;
	/* halves of surrogate pairs stood in it; U+FFFD stands there now */
	int                           halves;
	const struct dataset_options *options;
	struct arena                 *arena;
};

/* ERR_INPUT with the way out when a file that begins with these bytes is no JSON. */
int dataset_refuse_foreign(const char *path, const char *head, size_t n);

/* ADDS the row with null for NaN and Infinity, and U+FFFD for each half of a surrogate pair;
 * returns how many of both there were. */
int dataset_mend(const char *row, size_t n, struct text *out, int *halves);

/* The first of the columns that is there and that is no object; or the one that was chosen. `*name`
 * is the column's. NULL: there is none. */
const json_t *dataset_chosen_column(const struct reader *r, const char *chosen,
                                    const char *const *names, const char **name);

/* The error that there is none of a kind: "no answer (looked for answer, solution); name its column
 * with data.answer_column; the row has question, gold". */
int dataset_missing_column(const struct reader *r, const char *what, const char *chosen,
                           const char *const *names);

/* A number, or the text of one; NAN for any other scale (a word, an object), which stays a column
 * of the row that is not read. */
double dataset_difficulty(const json_t *v);

int dataset_copy_string(const struct reader *r, const char *name, const json_t *v,
                        const char **out);

/* Reads prompt or messages, and a demonstration where there is one in the conversation or a column
 * completion. */
int dataset_read_prompt(const struct reader *r, struct problem *p);
/* tools, chat_template_kwargs */
int dataset_read_template_values(const struct reader *r, struct problem *p);

/* A column's value as text: texts as they are, numbers and truth values as JSON writes them, lists
 * as compact JSON. `name` is for messages. */
int dataset_copy_value(const struct reader *r, const char *name, const json_t *v, const char **out);

/* The gold: one value, or a list of texts and numbers (problem.h). */
int dataset_take_answer(const struct reader *r, const char *name, const json_t *v,
                        struct problem *p);

/* The problem's prompt, or its last message, with the template around it. */
int dataset_shape_prompt(const struct reader *r, struct problem *p);

#endif
