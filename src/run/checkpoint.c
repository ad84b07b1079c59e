#include "run/checkpoint.h"

#include "base/error.h"
#include "base/json.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { STEPS_MAX = 1 << 16, MANIFEST_MAX = 1 << 20 };

static char *folder_name(struct arena *a, const char *run, int step, const char *suffix)
{
	return arena_format(a, "%s/checkpoint-%d%s", run, step, suffix);
}

int checkpoint_begin(const char *run, int step, struct arena *a, char **folder)
{
	*folder = folder_name(a, run, step, ".part");
	if (!*folder)
		return ERR_INPUT;
	TRY(file_remove_folder(*folder));
	return file_make_folders(*folder);
}

/* ---- the manifest ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files of a folder but for the manifest, sorted, in the arena. */
static int list_files(const char *folder, struct arena *a, char ***names, int *n)
{
	DIR           *dir = opendir(folder);
	struct dirent *entry;
	int            capacity = 64, status = OK;

	*n = 0;
	if (!dir)
		return error_set(ERR_INPUT, "%s: cannot open the folder: %s", folder, strerror(errno));
	*names = arena_alloc(a, (size_t)capacity, sizeof **names);
	if (!*names)
		status = ERR_INPUT;
	while (status == OK && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "manifest.json"))
			continue;
		if (*n == capacity)
			status = error_set(ERR_INPUT, "%s: more than %d files", folder, capacity);
		else if (!((*names)[(*n)++] = arena_text(a, entry->d_name, strlen(entry->d_name))))
			status = ERR_INPUT;
	}
	closedir(dir);
	if (status == OK)
		qsort(*names, (size_t)*n, sizeof **names, by_name);
	return status;
}

/* What the manifest's own checksum covers: one line per file. */
static void add_line(struct text *t, const char *name, uint64_t bytes, uint32_t crc)
{
	text_print(t, "%s %llu %08x\n", name, (unsigned long long)bytes, crc);
}

static uint32_t crc_of(const struct text *t)
{
	return (uint32_t)crc32(crc32(0, NULL, 0), (const unsigned char *)t->data, (uInt)t->n);
}

static int write_manifest(const char *folder, int step, struct arena *a)
{
	struct text lines = {0}, json = {0};
	char      **names, *path;
	int         n, status;

	TRY(list_files(folder, a, &names, &n));
	text_print(&lines, "step %d\n", step);
	text_print(&json, "{\"step\": %d, \"files\": {", step);
	for (int i = 0; i < n; i++) {
		uint64_t bytes = 0;
		uint32_t crc = 0;
		path = file_join(a, folder, names[i]);
		status = path ? file_crc32(path, &bytes, &crc) : ERR_INPUT;
		if (status == OK)
			status = file_sync(path);
		if (status != OK)
			goto done;
		add_line(&lines, names[i], bytes, crc);
		text_print(&json, "%s\n  \"%s\": {\"bytes\": %llu, \"crc32\": %lu}", i ? "," : "", names[i], (unsigned long long)bytes,
		           (unsigned long)crc);
	}
	text_print(&json, "\n}, \"crc32\": %lu}\n", (unsigned long)crc_of(&lines));
	path = file_join(a, folder, "manifest.json");
	status = text_status(&json) != OK || text_status(&lines) != OK || !path ? ERR_INPUT : file_write(path, json.data, json.n);
done:
	text_free(&lines);
	text_free(&json);
	return status;
}

static int check_file(const char *folder, const char *name, const json_t *entry, struct text *lines, struct arena *a)
{
	uint64_t bytes;
	uint32_t crc;
	int64_t  want_bytes, want_crc;
	char    *path;

	if (strchr(name, '/'))
		return error_set(ERR_INPUT, "%s: its manifest names the file \"%s\" outside of it", folder, name);
	path = file_join(a, folder, name);
	if (!path)
		return ERR_INPUT;
	TRY(json_get_int(folder, entry, "bytes", JSON_REQUIRED, 0, INT64_MAX, &want_bytes));
	TRY(json_get_int(folder, entry, "crc32", JSON_REQUIRED, 0, UINT32_MAX, &want_crc));
	TRY(file_crc32(path, &bytes, &crc));
	if (bytes != (uint64_t)want_bytes || crc != (uint32_t)want_crc)
		return error_set(ERR_INPUT, "%s: its length or checksum is not the one in manifest.json; the file is damaged", path);
	add_line(lines, name, bytes, crc);
	return OK;
}

static int check_manifest(const char *folder, const json_t *manifest, struct arena *a)
{
	const json_t *files = json_object_get(manifest, "files"), *entry;
	struct text   lines = {0};
	int64_t       step, crc;
	const char   *name;
	int           status = OK;

	TRY(json_get_int(folder, manifest, "step", JSON_REQUIRED, 0, INT32_MAX, &step));
	TRY(json_get_int(folder, manifest, "crc32", JSON_REQUIRED, 0, UINT32_MAX, &crc));
	if (!json_is_object(files))
		return error_set(ERR_INPUT, "%s: manifest.json has no \"files\"", folder);
	text_print(&lines, "step %lld\n", (long long)step);
	for (void *i = json_object_iter((json_t *)(uintptr_t)files); i && status == OK;
	     i = json_object_iter_next((json_t *)(uintptr_t)files, i)) {
		name = json_object_iter_key(i); /* in the order of the file, which is that of write_manifest */
		entry = json_object_iter_value(i);
		status = check_file(folder, name, entry, &lines, a);
	}
	if (status == OK && text_status(&lines) == OK && crc_of(&lines) != (uint32_t)crc)
		status = error_set(ERR_INPUT, "%s: manifest.json does not match its own checksum", folder);
	text_free(&lines);
	return status;
}

int checkpoint_check(const char *folder)
{
	struct arena a = {0};
	char        *path = file_join(&a, folder, "manifest.json");
	json_t      *manifest = NULL;
	int          status = path ? json_read(path, MANIFEST_MAX, &manifest) : ERR_INPUT;

	if (status == OK)
		status = check_manifest(folder, manifest, &a);
	json_decref(manifest);
	arena_free(&a);
	return status;
}

/* ---- the folders of a run ---- */

static int by_falling_step(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x < y) - (x > y);
}

/* The N of checkpoint-N with this suffix; -1 for any other name, as checkpoint-04 or checkpoint-4x. */
static int step_of(const char *name, const char *suffix)
{
	static const char prefix[] = "checkpoint-";
	const char       *digits = name + sizeof prefix - 1;
	size_t            n;

	if (strncmp(name, prefix, sizeof prefix - 1))
		return -1;
	n = strspn(digits, "0123456789");
	if (n == 0 || n > 9 || (n > 1 && *digits == '0') || strcmp(digits + n, suffix))
		return -1;
	return atoi(digits);
}

/* Steps of the folders checkpoint-N, newest first. remove_parts: delete those that were never finished. */
static int list_steps(const char *run, int remove_parts, struct arena *a, int **steps, int *n)
{
	DIR           *dir = opendir(run);
	struct dirent *entry;
	int            status = OK;

	*n = 0;
	*steps = arena_alloc(a, STEPS_MAX, sizeof **steps);
	if (!*steps || !dir) {
		if (dir)
			closedir(dir);
		return *steps ? OK : ERR_INPUT; /* no folder, no checkpoints */
	}
	while (status == OK && (entry = readdir(dir))) {
		int step = step_of(entry->d_name, "");
		if (remove_parts && step_of(entry->d_name, ".part") >= 0) {
			char *path = file_join(a, run, entry->d_name);
			status = path ? file_remove_folder(path) : ERR_INPUT;
		} else if (step >= 0 && *n < STEPS_MAX) {
			(*steps)[(*n)++] = step;
		}
	}
	closedir(dir);
	qsort(*steps, (size_t)*n, sizeof **steps, by_falling_step);
	return status;
}

static int find_newest(const char *run, int remove_parts, struct arena *a, char **folder, int *step, struct text *skipped)
{
	int *steps, n;

	*folder = NULL;
	*step = 0;
	TRY(list_steps(run, remove_parts, a, &steps, &n));
	for (int i = 0; i < n; i++) {
		char *name = folder_name(a, run, steps[i], "");
		if (!name)
			return ERR_INPUT;
		if (checkpoint_check(name) == OK) {
			*folder = name;
			*step = steps[i];
			return OK;
		}
		if (skipped)
			text_print(skipped, "%s\n", error_message());
	}
	return OK;
}

int checkpoint_newest(const char *run, struct arena *a, char **folder, int *step, struct text *skipped)
{
	return find_newest(run, 1, a, folder, step, skipped);
}

/* Takes the name first: what dies in the middle of this is a .part, not a checkpoint with a hole. */
static int remove_checkpoint(const char *run, int step, struct arena *a)
{
	char *name = folder_name(a, run, step, ""), *part = folder_name(a, run, step, ".part");

	if (!name || !part)
		return ERR_INPUT;
	TRY(file_remove_folder(part));
	if (rename(name, part))
		return error_set(ERR_INPUT, "%s: cannot remove it: %s", name, strerror(errno));
	return file_remove_folder(part);
}

/* Keeps the one just written and the newest before it. Those of later steps are damaged (the run resumed before them) and do not count. */
static int rotate(const char *run, int step, int keep, struct arena *a)
{
	int *steps, n, kept = 1;

	if (keep <= 0)
		return OK;
	TRY(list_steps(run, 0, a, &steps, &n));
	for (int i = 0; i < n; i++)
		if (steps[i] < step && ++kept > keep)
			TRY(remove_checkpoint(run, steps[i], a));
	return OK;
}

/* The part takes its name. A damaged checkpoint of that step goes; a whole one stays, for the same step computed again gives the same bits. */
static int publish(const char *part, const char *whole)
{
	if (file_exists(whole)) {
		if (checkpoint_check(whole) == OK)
			return file_remove_folder(part);
		TRY(file_remove_folder(whole));
	}
	if (rename(part, whole))
		return error_set(ERR_INPUT, "%s: cannot rename it to %s: %s", part, whole, strerror(errno));
	return OK;
}

static int commit(const char *run, int step, const char *part, const char *whole, struct arena *a)
{
	TRY(write_manifest(part, step, a));
	TRY(file_sync(part));
	TRY(publish(part, whole));
	return file_sync(run);
}

int checkpoint_commit(const char *run, int step, int keep)
{
	struct arena a = {0};
	char        *part = folder_name(&a, run, step, ".part"), *whole = folder_name(&a, run, step, "");
	int          status = part && whole ? commit(run, step, part, whole, &a) : ERR_INPUT;

	if (status == OK)
		status = rotate(run, step, keep, &a);
	arena_free(&a);
	return status;
}

int checkpoint_resolve(const char *path, struct arena *a, char **folder)
{
	char *config = file_join(a, path, "config.json"), *metrics = file_join(a, path, "metrics.jsonl");
	int   step;

	if (!config || !metrics)
		return ERR_INPUT;
	if (!file_is_folder(path))
		return error_set(ERR_INPUT, "%s: no such folder; expected a model in the Hugging Face layout, a checkpoint or a run", path);
	if (file_exists(config) || !file_exists(metrics)) {
		*folder = arena_text(a, path, strlen(path));
		return *folder ? OK : ERR_INPUT;
	}
	TRY(find_newest(path, 0, a, folder, &step, NULL)); /* another process may be writing one */
	return *folder ? OK : error_set(ERR_INPUT, "%s: this run has no valid checkpoint yet", path);
}
