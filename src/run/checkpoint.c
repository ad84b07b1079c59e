#include "run/checkpoint.h"

#include "base/error.h"
#include "base/gguf.h"
#include "base/json.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MANIFEST_MAX = 1 << 20, FILES_MAX = 64 };

static int checkpoint_path(struct arena *a, const char *run, int step, const char *suffix,
                           char **out)
{
	return arena_print(a, out, "%s/checkpoint-%d%s", run, step, suffix);
}

int checkpoint_begin(const char *run, int step, struct arena *a, char **folder)
{
	int status;

	TRY(checkpoint_path(a, run, step, ".part", folder));
	TRY(file_remove_folder(*folder));
	status = file_make_folders(*folder);
	return status == OK ? OK : checkpoint_abandon(*folder, status);
}

int checkpoint_abandon(const char *folder, int status)
{
	char why[2048];
	int  cause = error_cause();

	snprintf(why, sizeof why, "%s", error_message());
	file_remove_folder(folder); /* should that fail, too, the next start does it */
	return cause ? error_because(cause, "%s", why) : error_set(status, "%s", why);
}

/* ---- the manifest ---- */

static int checkpoint_by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files of a folder but for the manifest, sorted, in the arena. */
static int checkpoint_list_files(const char *folder, struct arena *a, char ***names, int *n)
{
	DIR           *dir = opendir(folder);
	struct dirent *entry;
	size_t         capacity = 0;
	int            status = OK;

	*names = NULL;
	*n = 0;
	if (!dir)
		return error_system(folder, "open the folder");
	while (status == OK && (errno = 0, entry = readdir(dir))) {
		const char *name = entry->d_name;
		if (name[0] == '.' || !strcmp(name, "manifest.json"))
			continue;
		status = *n < FILES_MAX ? arena_room(a, names, &capacity, (size_t)*n + 1,
		                                     "the files of a checkpoint")
		                        : error_set(ERR_INPUT, "%s: more than %d files", folder,
		                                    FILES_MAX);
		if (status == OK)
			status = arena_copy(a, name, strlen(name), &(*names)[(*n)++]);
	}
	if (status == OK && errno)
		status = error_system(folder, "read the folder");
	closedir(dir);
	if (status == OK && *n)
		qsort(*names, (size_t)*n, sizeof **names, checkpoint_by_name);
	return status;
}

/* What the manifest's own checksum covers: one line per file. */
static void checkpoint_add_line(struct text *t, const char *name, uint64_t bytes, uint32_t crc)
{
	text_print(t, "%s %llu %08x\n", name, (unsigned long long)bytes, crc);
}

static uint32_t crc_of(const struct text *t)
{
	return (uint32_t)crc32(crc32(0, NULL, 0), (const unsigned char *)t->data, (uInt)t->n);
}

/* ADDS the manifest of the files in `folder`, as JSON; `lines` is what its checksum covers. */
static int add_manifest(const char *folder, int step, struct arena *a, struct text *lines,
                        struct text *json)
{
	char **names, *path;
	int    n;

	TRY(checkpoint_list_files(folder, a, &names, &n));
	text_print(lines, "step %d\n", step);
	text_print(json, "{\"step\": %d, \"files\": {", step);
	for (int i = 0; i < n; i++) {
		uint64_t bytes = 0;
		uint32_t crc = 0;
		TRY(file_path(a, folder, names[i], &path));
		TRY(file_crc32(path, &bytes, &crc));
		TRY(file_sync(path));
		checkpoint_add_line(lines, names[i], bytes, crc);
		text_print(json, "%s\n  \"%s\": {\"bytes\": %llu, \"crc32\": %lu}", i ? "," : "",
		           names[i], (unsigned long long)bytes, (unsigned long)crc);
	}
	TRY(text_status(lines));
	text_print(json, "\n}, \"crc32\": %lu}\n", (unsigned long)crc_of(lines));
	return OK;
}

static int write_manifest(const char *folder, int step, struct arena *a)
{
	struct text lines = {0}, json = {0};
	char       *path;
	int         status = file_path(a, folder, "manifest.json", &path);

	if (status == OK)
		status = add_manifest(folder, step, a, &lines, &json);
	if (status == OK)
		status = text_write(&json, path);
	text_free(&lines);
	text_free(&json);
	return status;
}

static int check_file(const char *folder, const char *name, const json_t *entry, struct text *lines,
                      struct arena *a)
{
	uint64_t bytes;
	uint32_t crc;
	int64_t  want_bytes, want_crc;
	char    *path;

	if (strchr(name, '/'))
		return error_set(ERR_INPUT, "%s: its manifest names the file \"%s\" outside of it",
		                 folder, name);
	TRY(file_path(a, folder, name, &path));
	TRY(json_get_int(folder, entry, "bytes", JSON_REQUIRED, json_range(0, INT64_MAX),
	                 &want_bytes));
	TRY(json_get_int(folder, entry, "crc32", JSON_REQUIRED, json_range(0, UINT32_MAX),
	                 &want_crc));
	TRY(file_crc32(path, &bytes, &crc));
	if (bytes != (uint64_t)want_bytes || crc != (uint32_t)want_crc)
		return error_set(ERR_INPUT,
		                 "%s: its length or checksum is not the one in manifest.json",
		                 path);
	checkpoint_add_line(lines, name, bytes, crc);
	return OK;
}

static int check_manifest(const char *folder, const json_t *manifest, struct arena *a)
{
	const json_t *files = json_object_get(manifest, "files"), *entry;
	struct text   lines = {0};
	int64_t       step, crc;
	const char   *name;
	int           status = OK;

	TRY(json_get_int(folder, manifest, "step", JSON_REQUIRED, json_range(0, INT32_MAX), &step));
	TRY(json_get_int(folder, manifest, "crc32", JSON_REQUIRED, json_range(0, UINT32_MAX),
	                 &crc));
	if (!json_is_object(files))
		return error_set(ERR_INPUT, "%s: manifest.json has no \"files\"", folder);
	text_print(&lines, "step %lld\n", (long long)step);
	for (void *i = json_object_iter((json_t *)(uintptr_t)files); i && status == OK;
	     i = json_object_iter_next((json_t *)(uintptr_t)files, i)) {
		/* in the order of the file, which is that of write_manifest */
		name = json_object_iter_key(i);
		entry = json_object_iter_value(i);
		status = check_file(folder, name, entry, &lines, a);
	}
	if (status == OK)
		status = text_status(&lines);
	if (status == OK && crc_of(&lines) != (uint32_t)crc)
		status = error_set(ERR_INPUT, "%s: manifest.json does not match its own checksum",
		                   folder);
	text_free(&lines);
	return status;
}

int checkpoint_check(const char *folder)
{
	struct arena a = {0};
	char        *path;
	json_t      *manifest = NULL;
	int          status = file_path(&a, folder, "manifest.json", &path);

	if (status == OK)
		status = json_read(path, MANIFEST_MAX, &manifest);
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

/* The N of checkpoint-N with this suffix; -1 for any other name, as checkpoint-04 or
 * checkpoint-4x. */
static int checkpoint_step_of(const char *name, const char *suffix)
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

/* What stands in a run's folder: steps of checkpoint-N, newest first, and of checkpoint-N.part. */
struct checkpoint_found {
	struct checkpoint_list {
		int   *step;
		size_t n, capacity;
	} whole, parts;
};

static int add_step(struct arena *a, struct checkpoint_list *list, int step)
{
	TRY(arena_room(a, &list->step, &list->capacity, list->n + 1, "the checkpoints of a run"));
	list->step[list->n++] = step;
	return OK;
}

static int list_run(const char *run, struct arena *a, struct checkpoint_found *out)
{
	DIR           *dir = opendir(run);
	struct dirent *entry;
	int            status = OK;

	*out = (struct checkpoint_found){0};
	if (!dir)
		/* no folder, no checkpoints */
		return errno == ENOENT ? OK : error_system(run, "open the folder");
	while (status == OK && (errno = 0, entry = readdir(dir))) {
		int step = checkpoint_step_of(entry->d_name, ""),
		    part = checkpoint_step_of(entry->d_name, ".part");
		if (step >= 0)
			status = add_step(a, &out->whole, step);
		else if (part >= 0)
			status = add_step(a, &out->parts, part);
	}
	if (status == OK && errno)
		status = error_system(run, "read the folder");
	closedir(dir);
	if (status == OK && out->whole.n)
		qsort(out->whole.step, out->whole.n, sizeof *out->whole.step, by_falling_step);
	return status;
}

int checkpoint_count(const char *run, int *n)
{
	struct arena            a = {0};
	struct checkpoint_found found;
	int                     status = list_run(run, &a, &found);

	*n = (int)found.whole.n;
	arena_free(&a);
	return status;
}

/* Whether the ERR_INPUT of checkpoint_check is about the content. A file that is not there is; but
 * not where a link leads to a place that is not there, for that is a disk that is not mounted. */
static int is_damage(const char *folder)
{
	int cause = error_cause();

	return cause == 0 || (cause == ENOENT && !(file_is_link(folder) && !file_exists(folder))) ||
	       cause == ENOTDIR;
}

static int none_is_whole(const char *run, size_t n, const struct text *why)
{
	return error_set(
	        ERR_INPUT,
	        "%s: %s, and nothing was changed; put a whole one there, or train with "
	        "--from-scratch, which sets them "
	        "aside and starts from step 0:\n%.1500s",
	        run, n == 1 ? "its only checkpoint is damaged" : "all its checkpoints are damaged",
	        why->data);
}

static int find_newest(const char *run, const struct checkpoint_found *found, struct arena *a,
                       char **folder, int *step, struct text *skipped)
{
	for (size_t i = 0; i < found->whole.n; i++) {
		char *name;
		int   status;
		TRY(checkpoint_path(a, run, found->whole.step[i], "", &name));
		status = checkpoint_check(name);
		if (status == OK) {
			*folder = name;
			*step = found->whole.step[i];
			return OK;
		}
		if (status == ERR_MEMORY)
			return status;
		if (!is_damage(name))
			return error_because(error_cause(),
			                     "cannot read checkpoint-%d, which may be whole: %s; "
			                     "nothing was changed; try again, or move it "
			                     "away to take an older one",
			                     found->whole.step[i], error_message());
		text_print(skipped, "%s; the checkpoint is damaged\n", error_message());
	}
	TRY(text_status(skipped));
	return found->whole.n ? none_is_whole(run, found->whole.n, skipped) : OK;
}

int checkpoint_newest(const char *run, struct arena *a, char **folder, int *step,
                      struct text *skipped)
{
	return checkpoint_until(run, INT_MAX, a, folder, step, skipped);
}

int checkpoint_until(const char *run, int most, struct arena *a, char **folder, int *step,
                     struct text *skipped)
{
	struct text             own = {0};
	struct checkpoint_found found;
	int                     status;

	*folder = NULL;
	*step = 0;
	TRY(list_run(run, a, &found));
	while (found.whole.n && *found.whole.step > most) { /* newest first */
		found.whole.step++;
		found.whole.n--;
	}
	status = find_newest(run, &found, a, folder, step, skipped ? skipped : &own);
	text_free(&own);
	return status;
}

/* Takes the name first, for good: what dies in the middle of this is a .part, not a checkpoint with
 * a hole. */
static int remove_checkpoint(const char *run, int step, struct arena *a)
{
	char *name, *part;

	TRY(checkpoint_path(a, run, step, "", &name));
	TRY(checkpoint_path(a, run, step, ".part", &part));
	TRY(file_remove_folder(part));
	if (rename(name, part))
		return error_system(name, "remove it");
	TRY(file_sync(run));
	return file_remove_folder(part);
}

/* Whether the manifest can be read and every file has its length: what a look at all bytes would
 * cost at each save is too much. */
static int looks_whole(const char *folder, struct arena *a)
{
	char       *path;
	json_t     *manifest = NULL, *entry;
	const char *name;
	int         whole = file_path(a, folder, "manifest.json", &path) == OK &&
	            json_read(path, MANIFEST_MAX, &manifest) == OK;
	uint64_t bytes;

	json_object_foreach(json_object_get(manifest, "files"), name, entry)
	{
		whole = whole && file_path(a, folder, name, &path) == OK &&
		        file_size(path, &bytes) == OK &&
		        bytes == (uint64_t)json_integer_value(json_object_get(entry, "bytes"));
	}
	json_decref(manifest);
	return whole;
}

/* Keeps the one of `step` and the newest whole ones before it; damaged ones do not count, and go
 * once enough whole ones are there. Those of later steps are damaged, for the run resumed before
 * them, and wait until their step comes again. */
static int checkpoint_rotate(const char *run, int step, struct checkpoint_limit limit,
                             const struct checkpoint_found *found, struct arena *a)
{
	int kept = 1;

	for (size_t i = 0; limit.keep > 0 && i < found->whole.n; i++) {
		int   at = found->whole.step[i];
		char *name;
		TRY(checkpoint_path(a, run, at, "", &name));
		if (at >= step || at == limit.best || file_is_link(name))
			continue;
		if (kept >= limit.keep)
			TRY(remove_checkpoint(run, at, a));
		else
			kept += looks_whole(name, a);
	}
	return OK;
}

static int tidy(const char *run, int step, struct checkpoint_limit limit, int remove_parts,
                struct arena *a)
{
	struct checkpoint_found found;

	TRY(list_run(run, a, &found));
	for (size_t i = 0; remove_parts && i < found.parts.n; i++) {
		char *part;
		TRY(checkpoint_path(a, run, found.parts.step[i], ".part", &part));
		TRY(file_remove_folder(part));
	}
	return checkpoint_rotate(run, step, limit, &found, a);
}

int checkpoint_tidy(const char *run, int step, struct checkpoint_limit limit)
{
	struct arena a = {0};
	int          status = tidy(run, step, limit, 1, &a);

	arena_free(&a);
	return status;
}

/* The part takes its name. A damaged checkpoint of that step goes; a whole one stays, for the same
 * step computed again gives the same bits; one that cannot be read now is not ours to remove. */
static int publish(const char *part, const char *whole)
{
	int there = file_is_link(whole), status;

	if (!there)
		TRY(file_there(whole, &there));
	if (there) {
		status = checkpoint_check(whole);
		if (status == OK)
			return file_remove_folder(part);
		if (status == ERR_MEMORY || !is_damage(whole))
			return status;
		TRY(file_remove_folder(whole));
	}
	return rename(part, whole) ? error_system(part, "give it its name") : OK;
}

static int commit(const char *run, int step, const char *part, struct arena *a)
{
	char *whole;

	TRY(checkpoint_path(a, run, step, "", &whole));
	TRY(write_manifest(part, step, a));
	TRY(file_sync(part));
	return publish(part, whole);
}

int checkpoint_commit(const char *run, int step, struct checkpoint_limit limit)
{
	struct arena a = {0};
	char        *part;
	int          status = checkpoint_path(&a, run, step, ".part", &part);

	if (status == OK) {
		status = commit(run, step, part, &a);
		status = status == OK ? OK : checkpoint_abandon(part, status);
	}
	if (status == OK)
		status = file_sync(run);
	if (status == OK)
		status = tidy(run, step, limit, 0, &a);
	arena_free(&a);
	return status;
}

int checkpoint_resolve(const char *path, struct arena *a, char **folder)
{
	char *config, *metrics;
	int   step, is_model, is_run;

	if (gguf_is(path))
		return arena_copy(a, path, strlen(path), folder);
	TRY(file_path(a, path, "config.json", &config));
	TRY(file_path(a, path, "metrics.jsonl", &metrics));
	if (!file_is_folder(path))
		return error_set(ERR_INPUT,
		                 "%s: no such folder; expected a model in the Hugging Face layout, "
		                 "a GGUF file, a checkpoint or a run",
		                 path);
	TRY(file_there(config, &is_model));
	TRY(file_there(metrics, &is_run));
	if (!is_run)
		TRY(checkpoint_count(path, &is_run)); /* its log may be lost */
	if (is_model || !is_run)
		return arena_copy(a, path, strlen(path), folder);
	TRY(checkpoint_newest(path, a, folder, &step, NULL));
	return *folder ? OK
	               : error_set(ERR_INPUT, "%s: this run has no valid checkpoint yet", path);
}
