#include "base/memory.h"

#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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

/* The message for count x size bytes; `what` is what they were for. */
static int memory_is_short(const char *what, size_t count, size_t size)
{
	return error_memory("%s (%zu x %zu bytes)", what, count, size);
}

/* count x size bytes, rounded up; 0 when that overflows. */
static size_t memory_bytes(size_t count, size_t size)
{
	return size && count > SIZE_MAX / size ? 0 : round_up(count * size);
}

/* Writes the pointer through a `void *`: any T ** may be given. */
static int memory_hand_out(void *p, void *out)
{
	memcpy(out, &p, sizeof p);
	return OK;
}

/* Large blocks lie in huge pages, where the system gives them to who asks: a core that reads
 * weights, keys and values out of memory then spends less time on looking up where they are. The
 * whole pages inside of the block. */
static void memory_in_huge_pages(void *p, size_t bytes)
{
	enum { HUGE_PAGE = 2 << 20, LARGE = 4 * HUGE_PAGE };
	uintptr_t first = ((uintptr_t)p + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE,
	          end = ((uintptr_t)p + bytes) / HUGE_PAGE * HUGE_PAGE;

	if (bytes >= LARGE)
		madvise((void *)first, end - first, MADV_HUGEPAGE); /* or not: no error */
}

/* Not zeroed; NULL with the message. */
static void *memory_block(size_t count, size_t size, const char *what)
{
	size_t bytes = must_fail() ? 0 : memory_bytes(count, size);
	void  *p = bytes ? aligned_alloc(ALIGN, bytes) : NULL;

	if (!p)
		memory_is_short(what, count, size);
	else
		memory_in_huge_pages(p, bytes);
	return p;
}

int mem_take_bytes(size_t count, size_t size, const char *what, void *out)
{
	void *p = memory_block(count, size, what);

	memory_hand_out(p, out);
	if (!p)
		return ERR_MEMORY;
	memset(p, 0, memory_bytes(count, size));
	return OK;
}

/* What a list of `capacity` grows to so that n adds cost n copies in all. */
static size_t memory_capacity(size_t capacity, size_t want)
{
	size_t twice = capacity > SIZE_MAX / 2 ? want : 2 * capacity;

	return want > twice ? want : twice;
}

int mem_room_bytes(void *list, size_t *capacity, size_t want, size_t size, const char *what)
{
	size_t grown = memory_capacity(*capacity, want);
	void  *old, *p;

	if (want <= *capacity)
		return OK;
	memcpy(&old, list, sizeof old);
	p = memory_block(grown, size, what);
	if (!p)
		return ERR_MEMORY;
	if (old)
		memcpy(p, old, *capacity * size);
	mem_free(old);
	*capacity = grown;
	return memory_hand_out(p, list);
}

int mem_copy_text(const char *s, size_t n, void *out)
{
	char *t = memory_block(n + 1, 1, "a text");

	memory_hand_out(t, out);
	if (!t)
		return ERR_MEMORY;
	memcpy(t, s, n);
	t[n] = 0;
	return OK;
}

void mem_free(void *p)
{
	free(p);
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

/* NULL when memory is short. */
static struct arena_chunk *memory_chunk_new(struct arena_chunk *older, size_t size)
{
	struct arena_chunk *c = NULL;
	size_t              bytes = size <= SIZE_MAX - HEADER ? round_up(HEADER + size) : 0;

	assert(sizeof *c <= HEADER);
	if (bytes)
		c = aligned_alloc(ALIGN, bytes);
	if (c)
		*c = (struct arena_chunk){.older = older, .size = size};
	return c;
}

static void memory_count(struct arena *a, size_t bytes)
{
	a->used += bytes;
	if (a->used > a->peak)
		a->peak = a->used;
}

/* `bytes` that start at a multiple of `align`, which divides ALIGN; zeroed. NULL when memory is
 * short. A new chunk is twice as large as the last one, so there are never many. */
static char *memory_of_arena(struct arena *a, size_t bytes, size_t align)
{
	struct arena_chunk *c = a->chunk;
	size_t              padding = c ? (align - c->used % align) % align : 0;
	char               *p;

	assert(!a->counts);
	if (must_fail())
		return NULL;
	if (!c || c->size - c->used < padding || c->size - c->used - padding < bytes) {
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
	memory_count(a, padding + bytes);
	return memset(p, 0, bytes);
}

int arena_take_bytes(struct arena *a, size_t count, size_t size, const char *what, void *out)
{
	size_t bytes = memory_bytes(count, size);
	void  *p = bytes && !a->counts ? memory_of_arena(a, bytes, ALIGN) : NULL;

	memory_hand_out(p, out);
	if (a->counts && bytes)
		memory_count(a, bytes);
	return p || (a->counts && bytes) ? OK : memory_is_short(what, count, size);
}

int arena_room_bytes(struct arena *a, void *list, size_t *capacity, size_t want, size_t size,
                     const char *what)
{
	size_t grown = memory_capacity(*capacity, want);
	void  *old, *p;

	if (want <= *capacity)
		return OK;
	memcpy(&old, list, sizeof old);
	TRY(arena_take_bytes(a, grown, size, what, &p));
	if (old)
		memcpy(p, old, *capacity * size);
	*capacity = grown;
	return memory_hand_out(p, list);
}

int arena_copy_text(struct arena *a, const char *s, size_t n, void *out)
{
	char *t = memory_of_arena(a, n + 1, 1);

	memory_hand_out(t, out);
	if (!t)
		return memory_is_short("a text", n + 1, 1);
	memcpy(t, s, n);
	return OK;
}

/* A text of the arena; NULL when memory is short. */
static char *memory_print(struct arena *a, const char *format, va_list args)
{
	va_list again;
	int     n;
	char   *t;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	assert(n >= 0);
	t = memory_of_arena(a, (size_t)n + 1, 1);
	if (t)
		vsnprintf(t, (size_t)n + 1, format, args);
	else
		memory_is_short("a text", (size_t)n + 1, 1);
	return t;
}

int arena_print_text(struct arena *a, void *out, const char *format, ...)
{
	va_list args;
	char   *t;

	va_start(args, format);
	t = memory_print(a, format, args);
	va_end(args);
	memory_hand_out(t, out);
	return t ? OK : ERR_MEMORY;
}

int arena_reserve(struct arena *a, size_t bytes, const char *what)
{
	assert(!a->chunk && !a->counts);
	if (!must_fail())
		a->chunk = memory_chunk_new(NULL, bytes);
	return a->chunk ? OK : memory_is_short(what, bytes, 1);
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
	int fits = a->chunk && !a->chunk->older && a->chunk->size >= a->peak;

	if (fits) {
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
