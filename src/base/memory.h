/* memory.h - memory in two lifetimes.
 *
 * mem_*: blocks that live as long as their owner (weights, moments, caches): allocated once, freed
 * once. arena: everything of one step or one load; allocated by moving a pointer, released all at
 * once.
 *
 * Every block but a text starts at a multiple of 64 bytes, so that a row operator may use whole
 * vectors. A failed allocation returns NULL and leaves an ERR_INPUT message that says how much was
 * wanted and for what. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* count * size bytes, zeroed; NULL with a message when the product overflows or memory is short.
 * count or size may be 0: the result is then a unique pointer that must still be freed. `what`
 * names the purpose in the message. */
void *mem_alloc(size_t count, size_t size, const char *what);

/* A larger copy of p (or a first block when p is NULL); the bytes behind the old size are not set.
 * On failure returns NULL and p stays as it was. */
void *mem_grow(void *p, size_t count_old, size_t count, size_t size, const char *what);

void mem_free(void *p); /* NULL is fine */

/* An owned copy of n bytes with a 0 behind them. */
char *mem_text(const char *s, size_t n);

/* Tests only: the n-th allocation from now on (1 = the next one) fails, once; 0 switches it off. */
void mem_fail_at(long n);

/* ---- arenas ---- */

struct arena_chunk;
struct arena {
	struct arena_chunk *chunk; /* newest first */
	size_t              used;  /* bytes handed out since the last reset */
	size_t              peak;  /* the largest `used` so far */
};
struct arena_mark {
	struct arena_chunk *chunk;
	size_t              chunk_used, used;
};

/* A zero-initialised struct arena is a valid empty arena; it grows on demand and, once warm, no
 * longer allocates. Texts lie one behind the other, wherever that is: a data set has millions of
 * short ones. */
void *arena_alloc(struct arena *a, size_t count, size_t size); /* zeroed */
char *arena_text(struct arena *a, const char *s, size_t n);    /* copy with a 0 behind it */
char *arena_format(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Everything allocated after the mark is released by arena_release. */
struct arena_mark arena_mark(const struct arena *a);
void              arena_release(struct arena *a, struct arena_mark mark);

void arena_reset(struct arena *a); /* keeps one chunk as large as the peak */
void arena_free(struct arena *a);

#endif
