/* temporary_gguf.h - the one GGUF file of a test program, by a name that no other process has. */
#ifndef TESTS_TEMPORARY_GGUF_H
#define TESTS_TEMPORARY_GGUF_H

#include <stdio.h>
#include <unistd.h>

static inline const char *temporary_gguf(void)
{
	static char path[64];

	snprintf(path, sizeof path, "/tmp/hone-test-%d.gguf", (int)getpid());
	return path;
}

/* For cmocka, after all tests. */
static inline int temporary_gguf_remove(void **state)
{
	(void)state;
	unlink(temporary_gguf());
	return 0;
}

#endif
