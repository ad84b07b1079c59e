/* family.h - the processes of a user's program, and all that they start.
 *
 * A process group ends with a signal, but whoever calls setsid has left it, and whoever forks twice
 * has no parent among us. So this process becomes the one to which orphans below it are given
 * (PR_SET_CHILD_SUBREAPER, Linux 3.4, no privilege needed), and what is below it without being a
 * program that still runs, or a child that was there before the first one, is a stray: /proc names
 * it, it is killed and waited for. A program that leaves a server behind therefore loses it when
 * any program ends.
 *
 * Any thread may call. Without /proc only the group is killed. */
#ifndef VERIFY_FAMILY_H
#define VERIFY_FAMILY_H

#include <spawn.h>
#include <sys/types.h>

enum { FAMILY_MAX = 256 }; /* programs at once */

/* As posix_spawn; the process is one of the family until family_end. An error is an errno. */
int family_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files,
                 const posix_spawnattr_t *how, char *const *words);

/* Kills the process group, waits for its leader, kills the strays. Returns the leader's wait
 * status. */
int family_end(pid_t pid);

#endif
