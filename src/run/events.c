#include "run/events.h"

#include "base/clock.h"
#include "base/error.h"
#include "run/events.pb-c.h"

#include <math.h>
#include <string.h>

struct events {
	char *path;
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

/* TensorFlow's records rotate the checksum and add a constant, so that a checksum of data with checksums in it is not weak. */
static uint32_t masked_crc(const void *data, size_t n)
{
	uint32_t crc = events_crc32c(data, n);

	return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static void put(struct text *t, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++) {
		char c = (char)(value >> 8 * i & 0xff);
		text_add(t, &c, 1);
	}
}

static int write_event(const struct events *e, Event *event)
{
	size_t         n = event__get_packed_size(event);
	unsigned char *bytes = mem_alloc(n, 1, "an event");
	struct text    record = {0};
	int            status;

	if (!bytes)
		return ERR_INPUT;
	event__pack(event, bytes);
	put(&record, n, 8);
	put(&record, masked_crc(record.data, 8), 4);
	text_add(&record, (const char *)bytes, n);
	put(&record, masked_crc(bytes, n), 4);
	status = text_status(&record);
	if (status == OK)
		status = file_append(e->path, record.data, record.n);
	text_free(&record);
	mem_free(bytes);
	return status;
}

int events_open(const char *folder, int step, struct events **out)
{
	struct events *e = mem_alloc(1, sizeof *e, "the event file");
	struct arena   a = {0};
	char          *path = arena_format(&a, "%s/events.out.tfevents.%010d.hone", folder, step), version[] = "brain.Event:2";
	Event          event = EVENT__INIT;
	int            status = e && path ? file_make_folders(folder) : ERR_INPUT;

	*out = NULL;
	if (status == OK)
		e->path = mem_text(path, strlen(path));
	if (status == OK && !e->path)
		status = ERR_INPUT;
	if (status == OK)
		status = file_write(path, "", 0);
	event.wall_time = clock_wall();
	event.what_case = EVENT__WHAT_FILE_VERSION;
	event.file_version = version;
	if (status == OK)
		status = write_event(e, &event);
	arena_free(&a);
	if (status != OK)
		events_close(e);
	else
		*out = e;
	return status;
}

int events_write(struct events *e, int step, const struct metrics *m)
{
	static const SummaryValue empty = SUMMARY_VALUE__INIT;
	SummaryValue              values[METRICS_MAX], *pointers[METRICS_MAX];
	char                      tags[METRICS_MAX][METRIC_NAME_MAX];
	Summary                   summary = SUMMARY__INIT;
	Event                     event = EVENT__INIT;

	summary.value = pointers;
	for (int i = 0; i < m->n; i++) {
		size_t k = summary.n_value;
		if (!isfinite(m->items[i].value) || !strcmp(m->items[i].name, "step"))
			continue;
		memcpy(tags[k], m->items[i].name, METRIC_NAME_MAX);
		values[k] = empty;
		values[k].tag = tags[k];
		values[k].value_case = SUMMARY_VALUE__VALUE_SIMPLE_VALUE;
		values[k].simple_value = (float)m->items[i].value;
		pointers[k] = &values[k];
		summary.n_value++;
	}
	event.wall_time = clock_wall();
	event.step = step;
	event.what_case = EVENT__WHAT_SUMMARY;
	event.summary = &summary;
	return write_event(e, &event);
}

void events_close(struct events *e)
{
	if (!e)
		return;
	mem_free(e->path);
	mem_free(e);
}
