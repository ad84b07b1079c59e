#include "task/dataset.h"

#include "base/error.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int is_blank(const char *line, size_t n)
{
	while (n && isspace((unsigned char)line[n - 1]))
		n--;
	return n == 0;
}

static int make_room(struct dataset *d, int *capacity)
{
	int             want = *capacity ? 2 * *capacity : 256;
	struct problem *p;

	if (d->n < *capacity)
		return OK;
	if (*capacity > INT_MAX / 2)
		return error_set(ERR_INPUT, "more than %d problems in one data set", *capacity);
	p = mem_grow(d->problems, (size_t)*capacity, (size_t)want, sizeof *p, "the problems");
	if (!p)
		return ERR_INPUT;
	d->problems = p;
	*capacity = want;
	return OK;
}

/* "folder/train.jsonl.gz" -> "train", or the name given */
static char *default_id(const struct dataset_options *o, const char *path, size_t line, struct arena *a)
{
	const char *slash = strrchr(path, '/'), *stem = slash ? slash + 1 : path, *name = o->name ? o->name : stem;

	return arena_format(a, "%.*s:%zu", (int)(o->name ? strlen(name) : strcspn(name, ".")), name, line);
}

static int read_line(const char *file, const char *line, size_t n, size_t number, const struct dataset_options *o, struct dataset *d)
{
	struct problem *p = &d->problems[d->n];
	char            place[512];

	if (number > INT_MAX)
		return error_set(ERR_INPUT, "%s: more than %d lines", file, INT_MAX);
	snprintf(place, sizeof place, "%s:%zu", file, number);
	TRY(dataset_read_row(place, line, n, o, &d->arena, p));
	p->file = file;
	p->line = (int)number;
	if (!p->id)
		p->id = default_id(o, file, number, &d->arena);
	if (!p->id)
		return ERR_INPUT;
	d->n++;
	return OK;
}

static int is_full(const struct dataset *d, const struct dataset_options *o)
{
	return o->problems_max > 0 && d->n >= o->problems_max;
}

static int read_lines(struct lines *in, const char *path, const struct dataset_options *o, struct dataset *d, int *capacity)
{
	const char *line;
	size_t      n;
	int         before = d->n;

	while (!is_full(d, o)) {
		TRY(lines_next(in, &line, &n));
		if (!line)
			break;
		if (is_blank(line, n))
			continue;
		TRY(make_room(d, capacity));
		TRY(read_line(path, line, n, lines_number(in), o, d));
	}
	if (d->n == before && !is_full(d, o))
		return error_set(ERR_INPUT, "%s: no rows in it", path);
	return OK;
}

/* What people hand over instead of JSONL, by its first bytes, and the way out. */
static const struct {
	const char *head, *what, *way_out;
} others[] = {
        {"PAR1", "a Parquet file",
         "write it as JSONL first, for example with pandas: pandas.read_parquet(\"x.parquet\").to_json(\"x.jsonl\", orient=\"records\", "
         "lines=True), or with DuckDB: COPY (FROM 'x.parquet') TO 'x.jsonl' (FORMAT json)"},
        {"ARROW1", "an Arrow file", "write it as JSONL first, for example with datasets: load_from_disk(...).to_json(\"x.jsonl\")"},
        {"\x28\xB5\x2F\xFD", "compressed with zstd", "unpack it, or pack it with gzip"},
        {"BZh", "compressed with bzip2", "unpack it, or pack it with gzip"},
        {"\xFD"
         "7zXZ",
         "compressed with xz", "unpack it, or pack it with gzip"},
        {"PK\x03\x04", "a zip archive", "unpack it"},
};

static int refuse_others(const char *path)
{
	char   head[8];
	size_t n;

	TRY(file_head(path, sizeof head, head, &n));
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (n >= strlen(others[i].head) && !memcmp(head, others[i].head, strlen(others[i].head)))
			return error_set(ERR_INPUT, "%s: this is %s, not JSONL; %s", path, others[i].what, others[i].way_out);
	return OK;
}

static int read_file(const char *path, const struct dataset_options *o, struct dataset *d, int *capacity)
{
	const char   *file = arena_text(&d->arena, path, strlen(path));
	struct lines *in;
	int           status;

	TRY(refuse_others(path));
	TRY(file ? lines_open(path, DATASET_LINE_MAX, &in) : ERR_INPUT);
	status = read_lines(in, file, o, d, capacity);
	lines_close(in);
	return status;
}

int dataset_read(const char *const *paths, int n_paths, const struct dataset_options *options, struct dataset *out)
{
	static const struct dataset_options defaults = {0};
	int                                 capacity = 0, status = OK;

	*out = (struct dataset){0};
	for (int i = 0; i < n_paths && status == OK; i++)
		status = read_file(paths[i], options ? options : &defaults, out, &capacity);
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
	                 "two problems have the id \"%s\": %s:%d and %s:%d; ids must differ (data.id_column names another "
	                 "column for them, or line for FILE:LINE)",
	                 p->id, file_of(p), p->line, file_of(q), q->line);
}

const struct problem *dataset_find(const struct dataset *d, const char *id)
{
	int item = id_index_find(&d->ids, id);

	return item < 0 ? NULL : &d->problems[item];
}
