#include "run/checkpoint.h"

#include "base/error.h"
#include "base/json.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MANIFEST_MAX = 1 << 20 };

static char *checkpoint_folder_name(struct arena *a, const char *run, int step, const char *suffix)
{
	return arena_format(a, "%s/checkpoint-%d%s", run, step, suffix);
}

int checkpoint_begin(const char *run, int step, struct arena *a, char **folder)
{
	*folder = checkpoint_folder_name(a, run, step, ".part");
	if (!*folder)
		return ERR_INPUT;
	TRY(file_remove_folder(*folder));
	return file_make_folders(*folder) == OK ? OK : checkpoint_abandon(*folder, ERR_INPUT);
}

int checkpoint_abandon(const char *folder, int status)
{
	char why[2048];
	int  cause = error_cause();

	snprintf(why, sizeof why, "%s", error_message());
	file_remove_folder(folder); /* should that fail, too, the next start does it */
	if (status == ERR_INPUT)
		return error_because(cause, "%s", why);
	return error_set(status, "%s", why);
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
	int            capacity = 64, status = OK;

	*n = 0;
	if (!dir)
		return error_system(folder, "open the folder");
	*names = arena_alloc(a, (size_t)capacity, sizeof **names);
	if (!*names)
		status = ERR_INPUT;
	while (status == OK && (errno = 0, entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "manifest.json"))
			continue;
		if (*n == capacity)
			status = error_set(ERR_INPUT, "%s: more than %d files", folder, capacity);
		else if (!((*names)[(*n)++] = arena_text(a, entry->d_name, strlen(entry->d_name))))
			status = ERR_INPUT;
	}
	if (status == OK && errno)
		status = error_system(folder, "read the folder");
	closedir(dir);
	if (status == OK)
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

static int write_manifest(const char *folder, int step, struct arena *a)
{
	struct text lines = {0}, json = {0};
	char      **names, *path;
	int         n, status;

	TRY(checkpoint_list_files(folder, a, &names, &n));
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
		checkpoint_add_line(&lines, names[i], bytes, crc);
		text_print(&json, "%s\n  \"%s\": {\"bytes\": %llu, \"crc32\": %lu}", i ? "," : "",
		           names[i], (unsigned long long)bytes, (unsigned long)crc);
	}
	text_print(&json, "\n}, \"crc32\": %lu}\n", (unsigned long)crc_of(&lines));
	path = file_join(a, folder, "manifest.json");
	status = text_status(&json) != OK || text_status(&lines) != OK || !path
	                 ? ERR_INPUT
	                 : file_write(path, json.data, json.n);
done:
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
	path = file_join(a, folder, name);
	if (!path)
		return ERR_INPUT;
	TRY(json_get_int(folder, entry, "bytes", JSON_REQUIRED, 0, INT64_MAX, &want_bytes));
	TRY(json_get_int(folder, entry, "crc32", JSON_REQUIRED, 0, UINT32_MAX, &want_crc));
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

	TRY(json_get_int(folder, manifest, "step", JSON_REQUIRED, 0, INT32_MAX, &step));
	TRY(json_get_int(folder, manifest, "crc32", JSON_REQUIRED, 0, UINT32_MAX, &crc));
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
	if (status == OK && text_status(&lines) == OK && crc_of(&lines) != (uint32_t)crc)
		status = error_set(ERR_INPUT, "%s: manifest.json does not match its own checksum",
		                   folder);
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
	int *steps, *parts;
	int  n, n_parts;
};

static int add_step(struct arena *a, int **list, int *n, int step)
{
	if ((*n & (*n - 1)) == 0) { /* at 0, 1, 2, 4, ... it is full */
		int *more = arena_alloc(a, 2 * (size_t)*n + 1, sizeof *more);
		if (!more)
			return ERR_INPUT;
		if (*n)
			memcpy(more, *list, (size_t)*n * sizeof *more);
		*list = more;
	}
	(*list)[(*n)++] = step;
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
			status = add_step(a, &out->steps, &out->n, step);
		else if (part >= 0)
			status = add_step(a, &out->parts, &out->n_parts, part);
	}
	if (status == OK && errno)
		status = error_system(run, "read the folder");
	closedir(dir);
	if (status == OK && out->n)
		qsort(out->steps, (size_t)out->n, sizeof *out->steps, by_falling_step);
	return status;
}

int checkpoint_count(const char *run, int *n)
{
	struct arena            a = {0};
	struct checkpoint_found found;
	int                     status = list_run(run, &a, &found);

	*n = found.n;
	arena_free(&a);
	return status;
}

/* Whether what checkpoint_check has just said is about the content. A file that is not there is;
 * but not where a link leads to a place that is not there, for that is a disk that is not
 * mounted. */
static int is_damage(const char *folder)
{
	int cause = error_cause();

	return cause == 0 || (cause == ENOENT && !(file_is_link(folder) && !file_exists(folder))) ||
	       cause == ENOTDIR;
}

static int none_is_whole(const char *run, int n, const struct text *why)
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
	for (int i = 0; i < found->n; i++) {
		char *name = checkpoint_folder_name(a, run, found->steps[i], "");
		if (!name)
			return ERR_INPUT;
		if (checkpoint_check(name) == OK) {
			*folder = name;
			*step = found->steps[i];
			return OK;
		}
		if (error_cause() == ENOMEM)
			return ERR_INPUT;
		if (!is_damage(name))
			return error_because(error_cause(),
			                     "cannot read checkpoint-%d, which may be whole: %s; "
			                     "nothing was changed; try again, or move it "
			                     "away to take an older one",
			                     found->steps[i], error_message());
		text_print(skipped, "%s; the checkpoint is damaged\n", error_message());
	}
	TRY(text_status(skipped));
	return found->n ? none_is_whole(run, found->n, skipped) : OK;
}

int checkpoint_newest(const char *run, struct arena *a, char **folder, int *step,
                      struct text *skipped)
{
	struct text             own = {0};
	struct checkpoint_found found;
	int                     status;

	*folder = NULL;
	*step = 0;
	TRY(list_run(run, a, &found));
	status = find_newest(run, &found, a, folder, step, skipped ? skipped : &own);
	text_free(&own);
	return status;
}

/* Takes the name first, for good: what dies in the middle of this is a .part, not a checkpoint with
 * a hole. */
static int remove_checkpoint(const char *run, int step, struct arena *a)
{
	char *name = checkpoint_folder_name(a, run, step, ""),
	     *part = checkpoint_folder_name(a, run, step, ".part");

	if (!name || !part)
		return ERR_INPUT;
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
	char       *path = file_join(a, folder, "manifest.json");
	json_t     *manifest = NULL, *entry;
	const char *name;
	int         whole = path && json_read(path, MANIFEST_MAX, &manifest) == OK;
	uint64_t    bytes;

	json_object_foreach(json_object_get(manifest, "files"), name, entry)
	{
		path = file_join(a, folder, name);
		whole = whole && path && file_size(path, &bytes) == OK &&
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

	for (int i = 0; limit.keep > 0 && i < found->n; i++) {
		char *name = checkpoint_folder_name(a, run, found->steps[i], "");
		if (!name)
			return ERR_INPUT;
		if (found->steps[i] >= step || found->steps[i] == limit.best || file_is_link(name))
			continue;
		if (kept >= limit.keep)
			TRY(remove_checkpoint(run, found->steps[i], a));
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
	for (int i = 0; remove_parts && i < found.n_parts; i++) {
		char *part = checkpoint_folder_name(a, run, found.parts[i], ".part");
		TRY(part ? file_remove_folder(part) : ERR_INPUT);
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
	int there = file_is_link(whole);

	if (!there)
		TRY(file_there(whole, &there));
	if (there) {
		if (checkpoint_check(whole) == OK)
			return file_remove_folder(part);
		if (!is_damage(whole))
			return ERR_INPUT;
		TRY(file_remove_folder(whole));
	}
	return rename(part, whole) ? error_system(part, "give it its name") : OK;
}

static int commit(int step, const char *part, const char *whole, struct arena *a)
{
	TRY(write_manifest(part, step, a));
	TRY(file_sync(part));
	return publish(part, whole);
}

int checkpoint_commit(const char *run, int step, struct checkpoint_limit limit)
{
	struct arena a = {0};
	char        *part = checkpoint_folder_name(&a, run, step, ".part"),
	     *whole = checkpoint_folder_name(&a, run, step, "");
	int status = part && whole ? commit(step, part, whole, &a) : ERR_INPUT;

	if (status != OK && part)
		status = checkpoint_abandon(part, status);
	if (status == OK)
		status = file_sync(run);
	if (status == OK)
		status = tidy(run, step, limit, 0, &a);
	arena_free(&a);
	return status;
}

int checkpoint_resolve(const char *path, struct arena *a, char **folder)
{
	char *config = file_join(a, path, "config.json"),
	     *metrics = file_join(a, path, "metrics.jsonl");
	int step, is_model, is_run;

	if (!config || !metrics)
		return ERR_INPUT;
	if (!file_is_folder(path))
		return error_set(ERR_INPUT,
		                 "%s: no such folder; expected a model in the Hugging Face layout, "
		                 "a checkpoint or a run",
		                 path);
	TRY(file_there(config, &is_model));
	TRY(file_there(metrics, &is_run));
	if (!is_run)
		TRY(checkpoint_count(path, &is_run)); /* its log may be lost */
	if (is_model || !is_run) {
		*folder = arena_text(a, path, strlen(path));
		return *folder ? OK : ERR_INPUT;
	}
	TRY(checkpoint_newest(path, a, folder, &step, NULL));
	return *folder ? OK
	               : error_set(ERR_INPUT, "%s: this run has no valid checkpoint yet", path);
}
