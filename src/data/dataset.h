/* dataset.h - problems from files of JSON rows, plain or .gz, and back.
 *
 * One JSON object a line; or a list of them, or objects over several lines. Blank lines and a byte
 * order mark are skipped. What is no JSON (Parquet, CSV, UTF-16, a Git LFS pointer, ...) is refused
 * with the command that mends it. A column may be named by a path ("reward_model.ground_truth",
 * "test.0.output"). Without options, the first of these that the row has and that is not null is
 * taken:
 *
 *     prompt         prompt, messages, conversations, question, problem, instruction, input
 *     answer         answer, solution, ground_truth, label, reward_model.ground_truth,
 *                    ground_truth.target
 *     id             id, unique_id
 *     category       category, data_source, dataset
 *     difficulty, hint, rubric, demonstrations, skills: under these names
 *     completion     a demonstration, where there is none; beside an instruction also output,
 *                    response
 *
 * What they may hold:
 *
 *     prompt         a text, a list of {"role", "content"} (or {"from", "value"}), or the JSON text
 *                    of such a list. Where the last message is the assistant's, the completion goes
 *                    on from it; but of a conversation (a column called messages or conversations)
 *                    it is the worked completion, and no part of the question: it becomes a
 *                    demonstration. An instruction is followed, on the next line, by the column
 *                    input or context, where that says something.
 *     answer         a text. A number or a boolean becomes its JSON text ("42", "0.5", "true"; an
 *                    integer keeps all its digits), a list its compact JSON; problem.answers holds
 *                    the items of the list, any of which is right, unless join_answers makes them
 *                    one answer. An empty list is no answer, and an error. An object is no answer:
 *                    it is passed over unless the column was named, and then it is an error.
 *     id             a text or an integer (1.0 is one). Without it, or where the column named is
 *                    "line", it is "FILE:LINE": FILE is the file's name up to its first dot, and
 *                    LINE, in lists and among objects over several lines, the number of the row. No
 *                    two rows may share one. Samples and recorded rollouts name a problem by it.
 *     demonstrations, skills
 *                    a text or a list of texts
 *     difficulty     a number, or the text of one; anything else is not read
 *     tools, chat_template_kwargs
 *                    a list of tools, an object of variables, or their JSON text: for the chat
 *                    template (rl/prompts.h)
 *
 * All other columns stay in problem.row. There NaN and Infinity are null and half of a surrogate
 * pair is U+FFFD, so that a column nobody reads stops nobody; in a column that is read, the first
 * is missing and the second an error.
 *
 * Memory: a file is read in pieces, inflated as it goes, and no row may be longer than
 * DATASET_LINE_MAX. What stays is each row's text and a copy of the fields it gives: about 2.4
 * times the file as it is unpacked.
 *
 * Errors name file and line. The first bad row ends the reading and nothing is returned: a data set
 * is whole or not there. */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include "base/file.h"
#include "base/memory.h"
#include "data/id_index.h"
#include "data/problem.h"

#include <jansson.h>

enum { DATASET_LINE_MAX = 1 << 24 };

struct dataset {                  /* const once it is made */
	struct problem *problems; /* [n] in the order of the files */
	int             n;
	struct id_index ids;   /* of a set that was read */
	struct arena    arena; /* all texts */
};

/* A published row as another problem, in the arena; `place` stands in messages. */
typedef int dataset_convert(const char *place, const json_t *row, struct arena *a,
                            struct problem *out);

struct dataset_options { /* zero is a good default */
	const char *prompt_column, *answer_column, *category_column, *difficulty_column, *id_column;

	/* The prompt with {NAME} replaced: {prompt} is the prompt column, any other NAME a column
	 * of the row (lists joined by ", "). Braces around anything but a name stay as they are.
	 * For messages it shapes the last one. */
	const char *prompt_template;

	/* of the file, in default ids; NULL: the file's name up to its first dot */
	const char *name;
	const char *category; /* of rows that have none; borrowed */
	/* knows these published rows and rewrites them in a compact text of its own: from
	 * generator_converter */
	dataset_convert *convert;
	int              answer_optional;
	/* a list of answers is one, its items parted by commas; otherwise any of them is right */
	int join_answers;
	int prompt_optional; /* for scoring: the completion is there already */
	int problems_max;    /* 0: all */
};

int  dataset_read(const char *const *paths, int n_paths, const struct dataset_options *options,
                  struct dataset *out);
void dataset_free(struct dataset *d);

/* One row. `place` ("rows.jsonl:17") stands in messages, and for the id up to the reader;
 * everything is copied into the arena. */
int dataset_read_row(const char *place, const char *line, size_t n,
                     const struct dataset_options *options, struct arena *a, struct problem *out);

/* ADDS one line: the fields under their names above, then the other columns of the row. Reading it
 * again gives the same problem. */
int dataset_add_row(struct text *t, const struct problem *p);

/* ADDS the members of that line, each behind a comma, but those named in `without`, which NULL
 * ends. */
int dataset_add_columns(struct text *t, const struct problem *p, const char *const *without);

/* The member of a row at a path "a.b.c" (or of that whole name), a number standing for an item of a
 * list; NULL when it is not there or null. Borrowed from the row. */
const json_t *dataset_column(const json_t *row, const char *path);

/* The problems by their ids. ERR_INPUT naming file and line of both when two have the same. */
int dataset_index(const struct problem *problems, int n, struct arena *a, struct id_index *out);

const struct problem *dataset_find(const struct dataset *d, const char *id); /* NULL: it has none */

#endif
