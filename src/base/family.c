#include "base/family.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { FOREIGN_MAX = 256, PROCESSES_MAX = 1 << 16, ROUNDS_MAX = 200 };

static struct {
	pthread_mutex_t lock;
	/* running programs; children that existed before them */
	pid_t own[FAMILY_MAX], foreign[FOREIGN_MAX];
	int   n_own, n_foreign, is_open;
} family = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct family_process {
	pid_t pid, parent;
};

struct family_list {
	struct family_process *item;
	int                    n, room;
};

/* ---- /proc ---- */

/* Reads the parent from "PID (NAME) STATE PARENT ...". NAME may hold anything, so it ends at the
 * last ')'. 0 when the process is gone. */
static pid_t family_parent(const char *pid)
{
	char    path[64], text[512], *end;
	int     file, parent;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return 0;
	n = read(file, text, sizeof text - 1);
	close(file);
	text[n > 0 ? n : 0] = 0;
	end = strrchr(text, ')');
	return end && sscanf(end + 1, " %*c %d", &parent) == 1 ? (pid_t)parent : 0;
}

static int family_add(struct family_list *list, pid_t pid, pid_t parent)
{
	if (list->n == list->room) {
		int                    room = list->room ? 2 * list->room : 256;
		struct family_process *more =
		        room <= PROCESSES_MAX ? realloc(list->item, (size_t)room * sizeof *more)
		                              : NULL;
		if (!more)
			return 0;
		list->item = more;
		list->room = room;
	}
	list->item[list->n++] = (struct family_process){.pid = pid, .parent = parent};
	return 1;
}

static void family_read(struct family_list *list)
{
	DIR           *folder = opendir("/proc");
	struct dirent *entry;

	list->n = 0;
	while (folder && (entry = readdir(folder)))
		if (isdigit((unsigned char)entry->d_name[0])) {
			pid_t parent = family_parent(entry->d_name);
			if (parent && !family_add(list, (pid_t)atol(entry->d_name), parent))
				break;
		}
	if (folder)
		closedir(folder);
}

/* ---- strays ---- */

static int family_has(const pid_t *list, int n, pid_t pid)
{
	while (n-- > 0)
		if (list[n] == pid)
			return 1;
	return 0;
}

/* Kills our children that are neither programs nor foreign and returns how many. Their own children
 * become orphans, and ours in the next round. */
static int family_kill_once(struct family_list *list)
{
	pid_t self = getpid();
	int   found = 0;

	family_read(list);
	for (int i = 0; i < list->n; i++) {
		pid_t pid = list->item[i].pid;
		if (list->item[i].parent != self || family_has(family.own, family.n_own, pid) ||
		    family_has(family.foreign, family.n_foreign, pid))
			continue;
		found++;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, WNOHANG);
	}
	return found;
}

static void family_kill_strays(void)
{
	const struct timespec nap = {.tv_nsec = 2000000};
	struct family_list    list = {0};

	for (int i = 0; i < ROUNDS_MAX && family_kill_once(&list) > 0; i++)
		nanosleep(&nap, NULL);
	free(list.item);
}

/* ---- the calls ---- */

static void family_open(void)
{
	struct family_list list = {0};

	if (family.is_open)
		return;
	family.is_open = 1;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	family_read(&list);
	for (int i = 0; i < list.n && family.n_foreign < FOREIGN_MAX; i++)
		if (list.item[i].parent == getpid())
			family.foreign[family.n_foreign++] = list.item[i].pid;
	free(list.item);
}

int family_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *files,
                 const posix_spawnattr_t *how, char *const *words)
{
	int code = EAGAIN;

	/* so that no other thread sees the process before it is in the list */
	pthread_mutex_lock(&family.lock);
	family_open();
	if (family.n_own < FAMILY_MAX)
		code = posix_spawn(pid, path, files, how, words, environ);
	if (code == 0)
		family.own[family.n_own++] = *pid;
	pthread_mutex_unlock(&family.lock);
	return code;
}

int family_end(pid_t pid)
{
	int status = 0;

	kill(-pid, SIGKILL); /* before the wait, while the number still belongs to it */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&family.lock);
	for (int i = 0; i < family.n_own; i++)
		if (family.own[i] == pid) {
			family.own[i] = family.own[--family.n_own];
			break;
		}
	family_kill_strays();
	pthread_mutex_unlock(&family.lock);
	return status;
}
