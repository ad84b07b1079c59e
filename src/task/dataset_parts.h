/* dataset_parts.h - what the files of the data sets' reader share. Private to dataset_*.c; dataset.h says what they promise.
 *
 *     dataset.c             files: lines, ids, what is no JSONL
 *     dataset_row.c         one row: columns and their spellings, values as text, messages
 *     dataset_template.c    data.prompt_template
 *     dataset_write.c       a problem as a row again */
#ifndef TASK_DATASET_PARTS_H
#define TASK_DATASET_PARTS_H

#include "task/dataset.h"

struct reader { /* of one row */
	const char                   *place;
	json_t                       *row;
	const struct dataset_options *options;
	struct arena                 *arena;
};

/* A column's value as text: texts as they are, numbers and truth values as JSON writes them, lists as compact JSON. `name` is for messages. */
int dataset_copy_value(const struct reader *r, const char *name, const json_t *v, const char **out);

/* The problem's prompt, or its last message, with the template around it. */
int dataset_shape_prompt(const struct reader *r, struct problem *p);

#endif
