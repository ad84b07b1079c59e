#include "run/events.h"

#include "base/clock.h"
#include "base/error.h"
#include "run/events.pb-c.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>

struct events {
	struct arena arena; /* of the path */
	char        *path;
	/* [n_described] tags whose row was told */
	char described[METRICS_MAX][METRIC_NAME_MAX];
	int  n_described;
};

uint32_t events_crc32c(const void *data, size_t n)
{
	const unsigned char *p = data;
	uint32_t             crc = 0xffffffff;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* TensorFlow's records rotate the checksum and add a constant, so that a checksum of data with
 * checksums in it is not weak. */
static uint32_t masked_crc(const void *data, size_t n)
{
	uint32_t crc = events_crc32c(data, n);

	return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static void events_put(struct text *t, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++) {
		char c = (char)(value >> 8 * i & 0xff);
		text_add(t, &c, 1);
	}
}

static int write_event(const struct events *e, Event *event)
{
	size_t         n = event__get_packed_size(event);
	unsigned char *bytes;
	struct text    record = {0};
	int            status;

	TRY(mem_take(n, "an event", &bytes));
	event__pack(event, bytes);
	events_put(&record, n, 8);
	events_put(&record, masked_crc(record.data, 8), 4);
	text_add(&record, (const char *)bytes, n);
	events_put(&record, masked_crc(bytes, n), 4);
	status = text_status(&record);
	if (status == OK)
		status = file_append(e->path, record.data, record.n);
	text_free(&record);
	mem_free(bytes);
	return status;
}

/* An empty file with the record that every one begins with; one that is there goes on. */
static int begin_file(const struct events *e)
{
	char  version[] = "brain.Event:2";
	Event event = EVENT__INIT;
	int   there;

	TRY(file_there(e->path, &there));
	if (there)
		return OK;
	TRY(file_write(e->path, "", 0));
	event.wall_time = clock_wall();
	event.what_case = EVENT__WHAT_FILE_VERSION;
	event.file_version = version;
	return write_event(e, &event);
}

struct event_room { /* of one event: too much for a stack */
	SummaryValue    values[METRICS_MAX], *pointers[METRICS_MAX];
	SummaryMetadata metadata[METRICS_MAX];
	char            tags[METRICS_MAX][METRIC_NAME_MAX];
	struct arena    words;
};

/* Whether the tag comes for the first time in this file; it is remembered. */
static int events_is_new(struct events *e, const char *tag)
{
	for (int i = 0; i < e->n_described; i++)
		if (!strcmp(e->described[i], tag))
			return 0;
	if (e->n_described == METRICS_MAX)
		return 0;
	snprintf(e->described[e->n_described++], METRIC_NAME_MAX, "%s", tag);
	return 1;
}

/* What the row of a metric says, as TensorBoard shows it beside the chart. */
static int events_describe(const struct metric_row *row, struct arena *a, SummaryMetadata *out)
{
	static SummaryMetadata__PluginData scalars = SUMMARY_METADATA__PLUGIN_DATA__INIT;
	static char                        name[] = "scalars";
	struct text                        words = {0};
	int                                status;

	metric_table_words(row, &words);
	status = text_status(&words);
	*out = (SummaryMetadata)SUMMARY_METADATA__INIT;
	scalars.plugin_name = name;
	out->plugin_data = &scalars;
	out->data_class = 1;
	if (status == OK)
		status = arena_copy(a, words.data, words.n, &out->summary_description);
	text_free(&words);
	return status;
}

static int events_add_value(struct events *e, const struct metrics *m, int i, size_t k,
                            struct event_room *room)
{
	const struct metric_row *row = metric_table_find(m->table, m->items[i].name);

	memcpy(room->tags[k], m->items[i].name, METRIC_NAME_MAX);
	room->values[k] = (SummaryValue)SUMMARY_VALUE__INIT;
	room->values[k].tag = room->tags[k];
	room->values[k].value_case = SUMMARY_VALUE__VALUE_SIMPLE_VALUE;
	room->values[k].simple_value = (float)m->items[i].value;
	room->pointers[k] = &room->values[k];
	if (row->help && events_is_new(e, room->tags[k])) {
		TRY(events_describe(row, &room->words, &room->metadata[k]));
		room->values[k].metadata = &room->metadata[k];
	}
	return OK;
}

static int write_summary(struct events *e, int step, const struct metrics *m,
                         struct event_room *room)
{
	Summary summary = SUMMARY__INIT;
	Event   event = EVENT__INIT;

	summary.value = room->pointers;
	for (int i = 0; i < m->n; i++) {
		if (!isfinite(m->items[i].value) || !strcmp(m->items[i].name, "step"))
			continue;
		TRY(events_add_value(e, m, i, summary.n_value, room));
		summary.n_value++;
	}
	event.wall_time = clock_wall();
	event.step = step;
	event.what_case = EVENT__WHAT_SUMMARY;
	event.summary = &summary;
	return write_event(e, &event);
}

int events_write(struct events *e, int step, const struct metrics *m)
{
	struct event_room *room;
	int                status;

	TRY(mem_take(1, "a step for TensorBoard", &room));
	status = write_summary(e, step, m, room);
	arena_free(&room->words);
	mem_free(room);
	return status;
}

int events_sync(const struct events *e)
{
	return file_sync(e->path);
}

/* ---- cutting back ---- */

enum { FRAME_BEFORE = 12, FRAME_AFTER = 4, RECORD_MAX = 1 << 24 };

static uint64_t get(const unsigned char *p, int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | p[bytes];
	return value;
}

/* Size of the record at `p` with its frame, and its step; 0 when the n bytes that are left do not
 * begin with a whole one. */
static size_t record_at(const unsigned char *p, size_t n, int64_t *step)
{
	uint64_t length;
	Event   *event;

	if (n < FRAME_BEFORE + FRAME_AFTER || get(p + 8, 4) != masked_crc(p, 8))
		return 0;
	length = get(p, 8);
	if (length > RECORD_MAX || length > n - FRAME_BEFORE - FRAME_AFTER ||
	    get(p + FRAME_BEFORE + length, 4) != masked_crc(p + FRAME_BEFORE, length))
		return 0;
	event = event__unpack(NULL, length, p + FRAME_BEFORE);
	if (!event)
		return 0;
	*step = event->step;
	event__free_unpacked(event, NULL);
	return FRAME_BEFORE + (size_t)length + FRAME_AFTER;
}

/* Where the records of steps up to `last` end; *newest: the last step among them. */
static size_t records_until(const struct bytes *b, int64_t last, int64_t *newest)
{
	size_t  at = 0, n;
	int64_t step;

	while (at < b->n &&
	       (n = record_at((const unsigned char *)b->data + at, b->n - at, &step)) &&
	       step <= last) {
		*newest = step;
		at += n;
	}
	return at;
}

/* The step that one of our files starts from; -1 for another name. One that is not even begun
 * starts behind all steps. */
static int start_of(const char *name)
{
	int step, n = 0;

	if (sscanf(name, "events.out.tfevents.%10d.hone%n", &step, &n) != 1 || !n || step < 0)
		return -1;
	return !name[n] ? step : !strcmp(name + n, ".part") ? INT_MAX : -1;
}

static int cut_file(const char *path, int step, struct text *caution)
{
	struct bytes b;
	int64_t      newest = -1;
	size_t       kept;

	TRY(file_read(path, SIZE_MAX / 2, &b));
	kept = records_until(&b, step, &newest);
	if (kept < b.n && newest < step &&
	    record_at((const unsigned char *)b.data + kept, b.n - kept, &newest) == 0)
		text_print(caution, "%s: broken behind step %lld, and cut off there\n", path,
		           (long long)newest);
	bytes_free(&b);
	return file_truncate(path, kept);
}

/* A file that starts behind the step holds only what will be done again. */
static int cut_one(const char *folder, const char *name, int step, struct text *caution)
{
	struct arena a = {0};
	char        *path;
	int          start = start_of(name), status;

	if (start < 0)
		return OK;
	status = file_path(&a, folder, name, &path);
	if (status == OK)
		status = start <= step ? cut_file(path, step, caution) : file_remove_folder(path);
	arena_free(&a);
	return status;
}

int events_cut(const char *folder, int step, struct text *caution)
{
	DIR           *dir = opendir(folder);
	struct dirent *entry;
	int            status = OK;

	if (!dir)
		return errno == ENOENT ? OK : error_system(folder, "open the folder");
	while (status == OK && (errno = 0, entry = readdir(dir)))
		status = cut_one(folder, entry->d_name, step, caution);
	if (status == OK && errno)
		status = error_system(folder, "read the folder");
	closedir(dir);
	return status == OK ? file_sync(folder) : status;
}

/* ---- opening ---- */

/* A file that goes on has told of some tags already. */
static int events_recall(struct events *e)
{
	struct bytes         b;
	const unsigned char *p;
	int64_t              step;

	TRY(file_read(e->path, SIZE_MAX / 2, &b));
	p = (const unsigned char *)b.data;
	for (size_t at = 0, n; at < b.n && (n = record_at(p + at, b.n - at, &step)); at += n) {
		Event *event =
		        event__unpack(NULL, n - FRAME_BEFORE - FRAME_AFTER, p + at + FRAME_BEFORE);
		int told = event && event->what_case == EVENT__WHAT_SUMMARY;
		for (size_t i = 0; told && i < event->summary->n_value; i++)
			if (event->summary->value[i]->metadata)
				events_is_new(e, event->summary->value[i]->tag);
		if (event)
			event__free_unpacked(event, NULL);
	}
	bytes_free(&b);
	return OK;
}

static int events_begin(struct events *e, const char *folder, int step)
{
	TRY(arena_print(&e->arena, &e->path, "%s/events.out.tfevents.%010d.hone", folder, step));
	TRY(file_make_folders(folder));
	TRY(begin_file(e));
	return events_recall(e);
}

int events_open(const char *folder, int step, struct events **out)
{
	int status;

	TRY(mem_take(1, "the event file", out));
	status = events_begin(*out, folder, step);
	if (status != OK) {
		events_close(*out);
		*out = NULL;
	}
	return status;
}

void events_close(struct events *e)
{
	if (!e)
		return;
	arena_free(&e->arena);
	mem_free(e);
}
