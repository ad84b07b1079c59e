/* disk_model.h - a disk that forgets: plays the journal of shim_disk.c and says what a power loss
 * would leave behind.
 *
 * A file has its content now and that of its last sync; a folder has its names now and those of its
 * last sync. What a loss leaves is one of:
 *
 *     DISK_SYNCED    names as last synced, contents as last synced: all that POSIX promises
 *     DISK_NAMES     names as they are now, contents as last synced: a file system with a journal
 *                    of its metadata alone
 *     DISK_ZEROS     the same, and each file as long as it is now, with zeros in the place of what
 *                    was not synced
 *
 *     disk_load(d, folder); for each record: disk_play(d, ...); disk_write(d, kind, folder) */
#ifndef DISK_MODEL_H
#define DISK_MODEL_H

#include "disk_record.h"
#include "test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

enum disk_kind { DISK_SYNCED, DISK_NAMES, DISK_ZEROS, DISK_KINDS };
enum { DISK_NODES = 4096, DISK_ENTRIES = 64, DISK_NAME = 80 };

struct disk_names {
	struct {
		char name[DISK_NAME];
		int  node;
	} items[DISK_ENTRIES];
	int n;
};
struct disk_content {
	char  *data; /* owned */
	size_t n;
};
struct disk_node {
	int                 is_folder;
	struct disk_names  *names, *names_synced;
	struct disk_content content, content_synced;
};
struct disk {
	char             root[512]; /* absolute; node 0 */
	struct disk_node nodes[DISK_NODES];
	int              n;
};

static inline int disk_new_node(struct disk *d, int is_folder)
{
	struct disk_node *x = &d->nodes[d->n];

	assert_true(d->n < DISK_NODES);
	*x = (struct disk_node){.is_folder = is_folder};
	if (is_folder) {
		x->names = calloc(1, sizeof *x->names);
		x->names_synced = calloc(1, sizeof *x->names);
		assert_true(x->names && x->names_synced);
	}
	return d->n++;
}

static inline void disk_free(struct disk *d)
{
	for (int i = 0; i < d->n; i++) {
		free(d->nodes[i].names);
		free(d->nodes[i].names_synced);
		free(d->nodes[i].content.data);
		free(d->nodes[i].content_synced.data);
	}
	d->n = 0;
}

static inline int *disk_entry(struct disk_names *names, const char *name, int make)
{
	for (int i = 0; i < names->n; i++)
		if (!strcmp(names->items[i].name, name))
			return &names->items[i].node;
	if (!make)
		return NULL;
	assert_true(names->n < DISK_ENTRIES && strlen(name) < DISK_NAME);
	strcpy(names->items[names->n].name, name);
	return &names->items[names->n++].node;
}

static inline void disk_forget(struct disk_names *names, const char *name)
{
	for (int i = 0; i < names->n; i++)
		if (!strcmp(names->items[i].name, name)) {
			names->items[i] = names->items[--names->n];
			return;
		}
	fail_msg("the journal removes %s, which is not there", name);
}

/* The folder that holds `path`, and the last name of it. For the root itself: node 0 and "". */
static inline int disk_parent(struct disk *d, const char *path, char *leaf)
{
	char rest[1024], *slash, *at = rest;
	int  node = 0, *next;

	assert_true(!strncmp(path, d->root, strlen(d->root)));
	path += strlen(d->root);
	snprintf(rest, sizeof rest, "%s", *path == '/' ? path + 1 : path);
	for (; (slash = strchr(at, '/')); at = slash + 1) {
		*slash = 0;
		next = disk_entry(d->nodes[node].names, at, 0);
		if (!next)
			fail_msg("the journal names %s, whose folder is not there", path);
		node = *next;
	}
	strcpy(leaf, at);
	return node;
}

static inline int disk_find(struct disk *d, const char *path)
{
	char leaf[1024];
	int  parent = disk_parent(d, path, leaf), *node;

	if (!*leaf)
		return 0;
	node = disk_entry(d->nodes[parent].names, leaf, 0);
	if (!node)
		fail_msg("the journal names %s, which is not there", path);
	return *node;
}

static inline void disk_resize(struct disk_content *c, size_t n)
{
	char *data = realloc(c->data, n + 1);

	assert_non_null(data);
	if (n > c->n)
		memset(data + c->n, 0, n - c->n);
	c->data = data;
	c->n = n;
}

static inline void disk_sync(struct disk_node *x)
{
	if (x->is_folder) {
		*x->names_synced = *x->names;
		return;
	}
	disk_resize(&x->content_synced, x->content.n);
	if (x->content.n)
		memcpy(x->content_synced.data, x->content.data, x->content.n);
}

static inline void disk_play(struct disk *d, const struct disk_record *r, const char *path,
                             const char *to, const char *data)
{
	char                 leaf[1024], leaf_to[1024];
	int                  parent = disk_parent(d, path, leaf), node;
	struct disk_content *c;

	switch (r->what) {
	case DISK_CREATE:
	case DISK_FOLDER:
		node = disk_new_node(d, r->what == DISK_FOLDER);
		*disk_entry(d->nodes[parent].names, leaf, 1) = node;
		return;
	case DISK_WRITE:
		c = &d->nodes[disk_find(d, path)].content;
		if (r->at + r->n_data > c->n)
			disk_resize(c, r->at + r->n_data);
		memcpy(c->data + r->at, data, r->n_data);
		return;
	case DISK_TRUNCATE:
		disk_resize(&d->nodes[disk_find(d, path)].content, r->at);
		return;
	case DISK_RENAME:
		node = disk_find(d, path);
		disk_forget(d->nodes[parent].names, leaf);
		parent = disk_parent(d, to, leaf_to);
		*disk_entry(d->nodes[parent].names, leaf_to, 1) = node;
		return;
	case DISK_REMOVE:
		disk_forget(d->nodes[parent].names, leaf);
		return;
	case DISK_SYNC:
		disk_sync(&d->nodes[disk_find(d, path)]);
		return;
	default:
		fail_msg("a record of kind %d", r->what);
	}
}

/* ---- to and from a real folder ---- */

static inline void disk_load_node(struct disk *d, int node, const char *path)
{
	DIR           *dir = opendir(path);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		char        inner[1024];
		struct stat st;
		int         child;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
		assert_int_equal(lstat(inner, &st), 0);
		child = disk_new_node(d, S_ISDIR(st.st_mode));
		*disk_entry(d->nodes[node].names, entry->d_name, 1) = child;
		if (S_ISDIR(st.st_mode)) {
			disk_load_node(d, child, inner);
		} else {
			FILE *f = fopen(inner, "rb");
			assert_non_null(f);
			disk_resize(&d->nodes[child].content, (size_t)st.st_size);
			assert_int_equal(
			        fread(d->nodes[child].content.data, 1, (size_t)st.st_size, f),
			        st.st_size);
			fclose(f);
			disk_sync(&d->nodes[child]);
		}
	}
	closedir(dir);
	disk_sync(&d->nodes[node]);
}

/* All that is there is on the disk. */
static inline void disk_load(struct disk *d, const char *root)
{
	snprintf(d->root, sizeof d->root, "%.500s", root);
	d->n = 0;
	disk_new_node(d, 1);
	disk_load_node(d, 0, root);
}

static inline uint64_t disk_mix(uint64_t h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const unsigned char *)p)[i]) * 0x100000001b3;
	return h;
}

static inline struct disk_content disk_left(const struct disk_node *x, enum disk_kind kind)
{
	struct disk_content c = {0};

	disk_resize(&c, x->content_synced.n);
	if (c.n)
		memcpy(c.data, x->content_synced.data, c.n);
	if (kind == DISK_ZEROS)
		disk_resize(&c, x->content.n);
	return c;
}

/* What is left, into a folder that does not exist; into no folder (NULL): only its fingerprint. The
 * sum does not ask for the order of names. */
static inline uint64_t disk_write_node(const struct disk *d, int node, enum disk_kind kind,
                                       const char *path)
{
	const struct disk_node  *x = &d->nodes[node];
	const struct disk_names *names = kind == DISK_SYNCED ? x->names_synced : x->names;
	uint64_t                 sum = 0xcbf29ce484222325;

	if (!x->is_folder) {
		struct disk_content c = disk_left(x, kind);
		FILE               *f = path ? fopen(path, "wb") : NULL;
		assert_true(!path || (f && fwrite(c.data, 1, c.n, f) == c.n && fclose(f) == 0));
		sum = disk_mix(sum, c.data, c.n);
		free(c.data);
		return sum;
	}
	if (path)
		assert_int_equal(mkdir(path, 0777), 0);
	for (int i = 0; i < names->n; i++) {
		char     inner[1024];
		uint64_t child;
		snprintf(inner, sizeof inner, "%.900s/%s", path ? path : "", names->items[i].name);
		child = disk_write_node(d, names->items[i].node, kind, path ? inner : NULL);
		sum += disk_mix(child, names->items[i].name, strlen(names->items[i].name));
	}
	return sum;
}

static inline uint64_t disk_write(const struct disk *d, enum disk_kind kind, const char *path)
{
	return disk_write_node(d, 0, kind, path);
}

#endif
