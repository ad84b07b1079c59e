/* family.h - ends the processes of a user's program and everything that they start.
 *
 * A signal ends a process group, but a process that calls setsid leaves the group, and one that
 * forks twice loses its parent. So hone becomes the process that adopts orphans below it
 * (PR_SET_CHILD_SUBREAPER, Linux 3.4, needs no privilege). A descendant is a stray unless it is a
 * running program or a child that existed before the first program. Strays are found in /proc,
 * killed and waited for. So a program that leaves a server behind loses it when any program ends.
 *
 * Any thread may call. Without /proc only the group is killed. */
#ifndef BASE_FAMILY_H
#define BASE_FAMILY_H

#include <spawn.h>
#include <sys/types.h>

enum { FAMILY_MAX = 256 }; /* programs at once */

/* As posix_spawn. The process belongs to the family until family_end. Errors are errno values. */
int family_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files,
                 const posix_spawnattr_t *how, char *const *words);

/* Kills the process group, waits for its leader, kills the strays. Returns the leader's wait
 * status. */
int family_end(pid_t pid);

#endif
