#include "base/memory.h"

#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };

static _Thread_local long fail_at; /* countdown of the test hook; 0 is off */

void mem_fail_at(long n)
{
	fail_at = n;
}

static int must_fail(void)
{
	return fail_at > 0 && --fail_at == 0;
}

/* Rounds up to a multiple of ALIGN, at least one; 0 when that overflows. */
static size_t round_up(size_t n)
{
	if (n > SIZE_MAX - ALIGN)
		return 0;
	return n ? (n + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
}

static void *alloc_raw(size_t count, size_t size, const char *what)
{
	size_t bytes = size && count > SIZE_MAX / size ? 0 : round_up(count * size);
	void  *p = NULL;

	if (bytes && !must_fail())
		p = aligned_alloc(ALIGN, bytes);
	if (!p)
		error_because(ENOMEM,
		              "out of memory: %s needs %zu x %zu bytes; make the model, the batch "
		              "or the lengths smaller",
		              what, count, size);
	return p;
}

void *mem_alloc(size_t count, size_t size, const char *what)
{
	void *p = alloc_raw(count, size, what);

	if (p)
		memset(p, 0, round_up(count * size));
	return p;
}

void *mem_grow(void *p, size_t count_old, size_t count, size_t size, const char *what)
{
	void *q = alloc_raw(count, size, what);

	if (q && p) {
		memcpy(q, p, (count_old < count ? count_old : count) * size);
		mem_free(p);
	}
	return q;
}

void mem_free(void *p)
{
	free(p);
}

char *mem_text(const char *s, size_t n)
{
	char *t = alloc_raw(n + 1, 1, "a text");

	if (t) {
		memcpy(t, s, n);
		t[n] = 0;
	}
	return t;
}

/* ---- arenas ---- */

struct arena_chunk {
	struct arena_chunk *older;
	size_t              size, used; /* of the bytes behind this header */
};
enum { HEADER = ALIGN, CHUNK_MIN = 1 << 16 };

static char *chunk_bytes(struct arena_chunk *c)
{
	return (char *)c + HEADER;
}

static struct arena_chunk *memory_chunk_new(struct arena_chunk *older, size_t size)
{
	struct arena_chunk *c;

	assert(sizeof *c <= HEADER);
	if (size > SIZE_MAX - HEADER) {
		error_because(ENOMEM, "out of memory: a step needs %zu bytes", size);
		return NULL;
	}
	c = alloc_raw(1, HEADER + size, "the arena of a step");
	if (c)
		*c = (struct arena_chunk){.older = older, .size = size};
	return c;
}

/* `bytes` that start at a multiple of `align`, which divides ALIGN; zeroed. */
static char *memory_take(struct arena *a, size_t bytes, size_t align)
{
	struct arena_chunk *c = a->chunk;
	size_t              padding = c ? (align - c->used % align) % align : 0;
	char               *p;

	if (!c || c->size - c->used < padding || c->size - c->used - padding < bytes) {
		/* doubling: the number of chunks stays logarithmic */
		size_t want = c ? 2 * c->size : CHUNK_MIN;
		c = memory_chunk_new(a->chunk, bytes > want ? bytes : want);
		if (!c)
			return NULL;
		a->chunk = c;
		/* as if it were one chunk: the next one will be, and as large as the peak */
		a->used += padding;
		padding = 0;
	}
	p = chunk_bytes(c) + c->used + padding;
	c->used += padding + bytes;
	a->used += padding + bytes;
	if (a->used > a->peak)
		a->peak = a->used;
	return memset(p, 0, bytes);
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
	size_t bytes = size && count > SIZE_MAX / size ? 0 : round_up(count * size);

	if (!bytes) {
		error_because(ENOMEM, "out of memory: a step needs %zu x %zu bytes", count, size);
		return NULL;
	}
	return memory_take(a, bytes, ALIGN);
}

char *arena_text(struct arena *a, const char *s, size_t n)
{
	char *t = memory_take(a, n + 1, 1);

	if (t)
		memcpy(t, s, n);
	return t;
}

char *arena_format(struct arena *a, const char *format, ...)
{
	va_list args, again;
	int     n;
	char   *t;

	va_start(args, format);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(n >= 0);
	t = memory_take(a, (size_t)n + 1, 1);
	if (t)
		vsnprintf(t, (size_t)n + 1, format, again);
	va_end(again);
	return t;
}

struct arena_mark arena_mark(const struct arena *a)
{
	return (struct arena_mark){
	        .chunk = a->chunk, .chunk_used = a->chunk ? a->chunk->used : 0, .used = a->used};
}

void arena_release(struct arena *a, struct arena_mark mark)
{
	while (a->chunk != mark.chunk) {
		struct arena_chunk *older = a->chunk->older;
		mem_free(a->chunk);
		a->chunk = older;
	}
	if (a->chunk)
		a->chunk->used = mark.chunk_used;
	a->used = mark.used;
}

void arena_reset(struct arena *a)
{
	int one_chunk = a->chunk && !a->chunk->older;

	if (one_chunk) {
		a->chunk->used = 0;
		a->used = 0;
		return;
	}
	arena_release(a, (struct arena_mark){0});
	/* a failure here is no error: the next allocation tries again and reports it */
	if (a->peak)
		a->chunk = memory_chunk_new(NULL, a->peak);
}

void arena_free(struct arena *a)
{
	arena_release(a, (struct arena_mark){0});
	*a = (struct arena){0};
}
