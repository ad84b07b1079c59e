/* dataset_stream.h - the rows of a file, one after another, as the text of one JSON object each.
 *
 *     lines      one object a line; blank lines are passed over
 *     list       [object, object, ...], on one line or many
 *     objects    objects over several lines, one behind another
 *
 * Which of them is seen from the first 32 KiB. What is no JSON at all is refused there, with the
 * command that turns it into rows. Only one row is in memory, and none may be longer than
 * DATASET_LINE_MAX. Private to dataset_*.c. */
#ifndef DATA_DATASET_STREAM_H
#define DATA_DATASET_STREAM_H

#include "base/lines.h"
#include "base/text.h"

enum dataset_layout { DATASET_LINES, DATASET_LIST, DATASET_OBJECTS };

struct dataset_stream {
	const char         *path; /* borrowed */
	enum dataset_layout layout;
	size_t              begins; /* line on which the last row begins */
	size_t              number; /* of the last row: its line; of lists and objects 1, 2, ... */

	/* ---- private ---- */
	struct lines *in;
	const char   *piece;
	size_t        n_piece, at, line;
	int           begun, ended;
	struct text   row;
};

int dataset_stream_open(const char *path, struct dataset_stream *s);
/* *row: valid until the next call; NULL at the end */
int  dataset_stream_next(struct dataset_stream *s, const char **row, size_t *n);
void dataset_stream_close(struct dataset_stream *s);

#endif
