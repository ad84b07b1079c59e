/* memory.h - memory in two lifetimes.
 *
 * mem_*: blocks that live as long as their owner (weights, moments, caches): taken once, freed
 * once. arena_*: everything of one step or one load; taken by moving a pointer, released all at
 * once.
 *
 * An allocation is one line with its check. It says what the memory is for, in the words of the
 * message that a user reads; the size of an element follows from the pointer:
 *
 *     TRY(mem_take(n, "the biases", &m->bias));                 n elements of m->bias, zeroed
 *     TRY(arena_take(a, n, "the order of the rows", &order));   the same, until a is released
 *     TRY(arena_print(a, &path, "%s/%d", folder, step));        a text
 *
 * When memory is short they return ERR_MEMORY, leave the message "out of memory: the biases
 * (8 x 4 bytes); ...", and set the pointer to NULL. So an object whose pointers are NULL before the
 * first line can be freed after any of them:
 *
 *     int thing_new(int n, struct thing *out)
 *     {
 *             int status;
 *
 *             *out = (struct thing){.n = n};
 *             status = thing_take(out);                 the TRY lines, in a function of their own
 *             if (status != OK)
 *                     thing_free(out);
 *             return status;
 *
 * Every block but a text starts at a multiple of 64 bytes, so that a row operator may use whole
 * vectors; large ones lie in huge pages where the system has them. A count of 0 is fine: the block
 * is then unique and must still be freed. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

#define MEM_CHECKED __attribute__((warn_unused_result))

/* *out = count elements of the type that *out points to, zeroed. */
#define mem_take(count, what, out) mem_take_bytes((count), sizeof **(out), (what), (out))
/* The same for count x size bytes, where the pointer's type does not tell the size. */
MEM_CHECKED int mem_take_bytes(size_t count, size_t size, const char *what, void *out);

/* Room for `want` elements in a list that grows: *list stays if *capacity is enough, else it
 * becomes a larger copy, at least twice as large, whose new bytes are not set. When memory is short
 * both stay as they were. *capacity is a size_t. */
#define mem_room(list, capacity, want, what) \
	mem_room_bytes((list), (capacity), (want), sizeof **(list), (what))
MEM_CHECKED int mem_room_bytes(void *list, size_t *capacity, size_t want, size_t size,
                               const char *what);

/* *out, a char * or const char *, = an owned copy of n bytes with a 0 behind them. */
#define mem_copy(s, n, out) mem_copy_text((s), (n), MEM_TEXT(out))
MEM_CHECKED int mem_copy_text(const char *s, size_t n, void *out);
#define MEM_TEXT(out) _Generic((out), char ** : (void *)(out), const char ** : (void *)(out))

void mem_free(void *p); /* NULL is fine */

/* Tests only: the n-th time from now on (1 = the next one) that a block is allocated or
 * something is taken from an arena, whether or not the arena has room, fails, once; 0 switches
 * it off. */
void mem_fail_at(long n);

/* ---- arenas ---- */

struct arena_chunk;
struct arena {
	struct arena_chunk *chunk;  /* newest first */
	size_t              used;   /* bytes handed out since the last reset */
	size_t              peak;   /* the largest `used` so far */
	int                 counts; /* 1: it has no memory, see below */
};
struct arena_mark {
	struct arena_chunk *chunk;
	size_t              chunk_used, used;
};

/* A zero-initialised struct arena is a valid empty arena; it grows on demand and, once warm, no
 * longer allocates. Texts lie one behind the other, wherever that is: a data set has millions of
 * short ones.
 *
 * {.counts = 1} is an arena that only counts: arena_take sets the pointer to NULL, and `used` and
 * `peak` say what an arena with memory would have handed out. So a function that takes all that an
 * object or a pass needs, and touches none of it, is its own bill. */
#define arena_take(a, count, what, out) \
	arena_take_bytes((a), (count), sizeof **(out), (what), (out))
MEM_CHECKED int arena_take_bytes(struct arena *a, size_t count, size_t size, const char *what,
                                 void *out);
/* as mem_room; what *list was stays in the arena */
#define arena_room(a, list, capacity, want, what) \
	arena_room_bytes((a), (list), (capacity), (want), sizeof **(list), (what))
MEM_CHECKED int arena_room_bytes(struct arena *a, void *list, size_t *capacity, size_t want,
                                 size_t size, const char *what);
/* *out, a char * or const char *, = a copy of n bytes with a 0 behind them */
#define arena_copy(a, s, n, out) arena_copy_text((a), (s), (n), MEM_TEXT(out))
MEM_CHECKED int arena_copy_text(struct arena *a, const char *s, size_t n, void *out);
/* arena_print(a, &text, format, ...) */
#define arena_print(a, out, ...) arena_print_text((a), MEM_TEXT(out), __VA_ARGS__)
MEM_CHECKED int arena_print_text(struct arena *a, void *out, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Room for `bytes` in an empty arena, in one chunk as large as that: what is counted fits in. */
MEM_CHECKED int arena_reserve(struct arena *a, size_t bytes, const char *what);

/* Everything allocated after the mark is released by arena_release. */
struct arena_mark arena_mark(const struct arena *a);
void              arena_release(struct arena *a, struct arena_mark mark);

void arena_reset(struct arena *a); /* keeps one chunk, as large as the peak */
void arena_free(struct arena *a);

#endif
