/* rank_process.h - which process a rank of a started job is. */
#ifndef TESTS_RANK_PROCESS_H
#define TESTS_RANK_PROCESS_H

#include "test.h"

#include <stdio.h>
#include <sys/types.h>

/* The rank's process: the first is the one that was started, the others its children in order. */
static inline pid_t process_of(pid_t first, int rank)
{
	char  path[64];
	long  pid = first;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)first, (int)first);
	f = fopen(path, "r");
	assert_non_null(f);
	for (int r = 0; r < rank; r++)
		assert_int_equal(fscanf(f, "%ld", &pid), 1);
	fclose(f);
	return (pid_t)pid;
}

#endif
