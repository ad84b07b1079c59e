#include "data/dataset.h"

#include "base/error.h"
#include "data/dataset_parts.h"
#include "data/dataset_stream.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int dataset_make_room(struct dataset *d, size_t *capacity)
{
	if (d->n == INT_MAX)
		return error_set(ERR_INPUT, "more than %d problems in one data set", INT_MAX);
	return mem_room(&d->problems, capacity, (size_t)d->n + 1, "the problems");
}

/* "folder/train.jsonl.gz" -> "train", or the name given */
static int default_id(const struct dataset_options *o, const char *path, size_t line,
                      struct arena *a, const char **out)
{
	const char *slash = strrchr(path, '/'), *stem = slash ? slash + 1 : path,
	           *name = o->name ? o->name : stem;

	return arena_print(a, out, "%.*s:%zu", (int)(o->name ? strlen(name) : strcspn(name, ".")),
	                   name, line);
}

/* The place in messages is FILE:LINE, and where rows do not stand one a line, the number of the
 * row, too. */
static int read_one(const struct dataset_stream *s, const char *file, const char *row, size_t n,
                    const struct dataset_options *o, struct dataset *d)
{
	struct problem *p = &d->problems[d->n];
	char            place[512];

	if (s->begins > INT_MAX || s->number > INT_MAX)
		return error_set(ERR_INPUT, "%s: more than %d lines", file, INT_MAX);
	if (s->layout == DATASET_LINES)
		snprintf(place, sizeof place, "%s:%zu", file, s->begins);
	else
		snprintf(place, sizeof place, "%s:%zu (row %zu)", file, s->begins, s->number);
	TRY(dataset_read_row(place, row, n, o, &d->arena, p));
	p->file = file;
	p->line = (int)s->begins;
	if (!p->id)
		TRY(default_id(o, file, s->number, &d->arena, &p->id));
	d->n++;
	return OK;
}

static int is_full(const struct dataset *d, const struct dataset_options *o)
{
	return o->problems_max > 0 && d->n >= o->problems_max;
}

static int dataset_read_rows(struct dataset_stream *in, const char *path,
                             const struct dataset_options *o, struct dataset *d, size_t *capacity)
{
	const char *row;
	size_t      n;
	int         before = d->n;

	while (!is_full(d, o)) {
		TRY(dataset_stream_next(in, &row, &n));
		if (!row)
			break;
		TRY(dataset_make_room(d, capacity));
		TRY(read_one(in, path, row, n, o, d));
	}
	if (d->n == before && !is_full(d, o))
		return error_set(ERR_INPUT, "%s: no rows in it", path);
	return OK;
}

static int dataset_read_file(const char *path, const struct dataset_options *o, struct dataset *d,
                             size_t *capacity)
{
	const char           *file;
	struct dataset_stream in;
	int                   status;

	TRY(arena_copy(&d->arena, path, strlen(path), &file));
	TRY(dataset_stream_open(file, &in));
	status = dataset_read_rows(&in, file, o, d, capacity);
	dataset_stream_close(&in);
	return status;
}

int dataset_read(const char *const *paths, int n_paths, const struct dataset_options *options,
                 struct dataset *out)
{
	static const struct dataset_options defaults = {0};
	size_t                              capacity = 0;
	int                                 status = OK;

	*out = (struct dataset){0};
	for (int i = 0; i < n_paths && status == OK; i++)
		status = dataset_read_file(paths[i], options ? options : &defaults, out, &capacity);
	if (status == OK)
		status = dataset_index(out->problems, out->n, &out->arena, &out->ids);
	if (status != OK)
		dataset_free(out);
	return status;
}

void dataset_free(struct dataset *d)
{
	mem_free(d->problems);
	arena_free(&d->arena);
	*d = (struct dataset){0};
}

static const char *file_of(const struct problem *p)
{
	return p->file ? p->file : "generated";
}

int dataset_index(const struct problem *problems, int n, struct arena *a, struct id_index *out)
{
	const struct id_entry *twice;
	const struct problem  *p, *q;

	TRY(id_index_new(n, a, out));
	for (int i = 0; i < n; i++)
		out->entries[i] = (struct id_entry){problems[i].id, i};
	id_index_sort(out);
	twice = id_index_twice(out);
	if (!twice)
		return OK;
	p = &problems[twice[0].item];
	q = &problems[twice[1].item];
	return error_set(ERR_INPUT,
	                 "two problems have the id \"%s\": %s:%d and %s:%d; ids must differ "
	                 "(data.id_column names another "
	                 "column for them, or line for FILE:LINE, where FILE is the name: of each "
	                 "file of data.train and data.eval)",
	                 p->id, file_of(p), p->line, file_of(q), q->line);
}

const struct problem *dataset_find(const struct dataset *d, const char *id)
{
	int item = id_index_find(&d->ids, id);

	return item < 0 ? NULL : &d->problems[item];
}
