#include "run/samples.h"

#include "base/error.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

static int samples_step_of(const char *name, const char *end)
{
	int step, n = 0;

	return sscanf(name, "step-%9d%n", &step, &n) == 1 && step >= 0 && !strcmp(name + n, end)
	               ? step
	               : -1;
}

int samples_step(const char *name)
{
	return samples_step_of(name, ".jsonl.gz");
}

static int remove_one(const char *folder, const char *name)
{
	struct arena a = {0};
	char        *path;
	int          status = file_path(&a, folder, name, &path);

	if (status == OK)
		status = file_remove_folder(path);
	arena_free(&a);
	return status;
}

int samples_cut(const char *folder, int step)
{
	DIR           *dir = opendir(folder);
	struct dirent *entry;
	int            status = OK;

	if (!dir)
		return errno == ENOENT ? OK : error_system(folder, "open the folder");
	while (status == OK && (errno = 0, entry = readdir(dir)))
		if (samples_step(entry->d_name) > step ||
		    samples_step_of(entry->d_name, ".jsonl.gz.part") >= 0)
			status = remove_one(folder, entry->d_name);
	if (status == OK && errno)
		status = error_system(folder, "read the folder");
	closedir(dir);
	return status;
}
