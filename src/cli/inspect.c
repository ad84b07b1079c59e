/* hone inspect PATH: a safetensors or GGUF file, a model folder, a checkpoint, a run
 *
 * hone inspect ROWS [--id ID] [--prompt-column NAME] ...: a data set (any other file) as training
 * would read it, or one problem of it */
#include "base/gguf.h"
#include "base/terminal.h"
#include "cli/command.h"
#include "cli/rows.h"
#include "data/dataset.h"
#include "data/overlap.h"
#include "model/adapter_folder.h"
#include "model/folder.h"
#include "model/kind.h"
#include "run/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- models ---- */

static void print_shape(const struct model_shape *s)
{
	terminal_print(stdout,
	               "  %s, layers %d, width %d, heads %d (%d key/value) of %d, feed-forward %d, "
	               "vocabulary %d, positions %d, %s\n",
	               kind_of(s)->model_type, s->n_layers, s->width, s->n_heads, s->n_kv_heads,
	               s->head_width, s->ff_width, s->n_vocab, s->n_positions,
	               s->tied ? "tied" : "untied");
	terminal_print(stdout, "  %.3fM parameters, rope theta %g, norm eps %g, ends with",
	               (double)weights_count(s) * 1e-6, s->rope_theta, s->norm_eps);
	for (int i = 0; i < s->n_eos; i++)
		terminal_print(stdout, " %d", s->eos[i]);
	puts("");
}

static int inspect_tensors(const char *path)
{
	struct safetensors f;

	TRY(safetensors_open(path, &f));
	for (size_t i = 0; i < f.n; i++) {
		const struct safetensors_entry *e = &f.entries[i];
		terminal_print(stdout, "  %-56s %-5s [", e->name, safetensors_type_name(e->type));
		for (int d = 0; d < e->n_dims; d++)
			terminal_print(stdout, d ? ", %llu" : "%llu",
			               (unsigned long long)e->dims[d]);
		puts("]");
	}
	safetensors_close(&f);
	return OK;
}

static int print_adapter(const char *folder, struct arena *a)
{
	struct adapter_options o;
	const char            *base;

	TRY(adapter_folder_read_options(folder, &o, a, &base));
	terminal_print(stdout, "  LoRA adapter of \"%s\": rank %d, alpha %g%s, on", base, o.rank,
	               o.alpha, o.rslora ? " (rsLoRA)" : "");
	for (int i = 0; i < ADAPTER_TARGETS; i++)
		if (o.targets >> i & 1)
			terminal_print(stdout, " %s", adapter_target_name[i]);
	puts("");
	return OK;
}

static int print_model(const char *folder)
{
	struct model_shape s;

	TRY(folder_read_shape(folder, &s));
	print_shape(&s);
	return OK;
}

/* The values but for long lists, then the tensors, then what hone makes of it: a file that it
 * cannot read as a model is shown all the same. */
static int inspect_gguf(const char *path)
{
	struct gguf g;

	TRY(gguf_open(path, &g));
	terminal_print(stdout, "%s\n", path);
	for (size_t i = 0; i < g.n_values; i++) {
		struct text t = {0};
		gguf_show(&g, &g.values[i], &t);
		terminal_print(stdout, "  %-44s %s\n", g.values[i].key, t.data ? t.data : "");
		text_free(&t);
	}
	for (size_t i = 0; i < g.n_tensors; i++) {
		const struct gguf_tensor *e = &g.tensors[i];
		terminal_print(stdout, "  %-44s %-8s [", e->name, gguf_type_of(e->type)->name);
		for (int d = e->n_sides - 1; d >= 0; d--)
			terminal_print(stdout, d ? "%llu, " : "%llu",
			               (unsigned long long)e->sides[d]);
		puts("]");
	}
	gguf_close(&g);
	return print_model(path);
}

static int inspect_folder(const char *path, struct arena *a)
{
	char *folder, *tensors, *manifest;
	int   is_adapter;

	TRY(checkpoint_resolve(path, a, &folder));
	if (strcmp(folder, path))
		terminal_print(stdout, "%s: a run; its newest valid checkpoint is %s\n", path,
		               folder);
	terminal_print(stdout, "%s\n", folder);
	TRY(adapter_folder_is(folder, &is_adapter));
	TRY(is_adapter ? print_adapter(folder, a) : print_model(folder));
	TRY(file_path(a, folder, "manifest.json", &manifest));
	TRY(file_path(a, folder, is_adapter ? "adapter_model.safetensors" : "model.safetensors",
	              &tensors));
	if (file_exists(manifest)) {
		TRY(checkpoint_check(folder));
		puts("  every length and checksum of its manifest is right");
	}
	return file_exists(tensors) ? inspect_tensors(tensors) : OK;
}

/* ---- data sets ---- */

enum { NAMED = 5, CATEGORIES = 20 };

static size_t prompt_bytes(const struct problem *p)
{
	size_t n = p->prompt ? strlen(p->prompt) : 0;

	for (int i = 0; i < p->n_messages; i++)
		n += strlen(p->messages[i].content);
	return n;
}

static int inspect_ascending(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return (x > y) - (x < y);
}

static int print_prompts(const struct dataset *d, struct arena *a)
{
	size_t *bytes;
	int     messages = 0;

	TRY(arena_take(a, (size_t)d->n, "the lengths of the prompts", &bytes));
	for (int i = 0; i < d->n; i++) {
		bytes[i] = prompt_bytes(&d->problems[i]);
		messages += d->problems[i].n_messages > 0;
	}
	qsort(bytes, (size_t)d->n, sizeof *bytes, inspect_ascending);
	terminal_print(
	        stdout,
	        "  prompts of %zu to %zu bytes, half of them up to %zu; %d are lists of messages\n",
	        bytes[0], bytes[d->n - 1], bytes[d->n / 2], messages);
	return OK;
}

static void print_parts(const struct dataset *d)
{
	int answers = 0, hints = 0, rubrics = 0, demonstrations = 0, skills = 0;

	for (int i = 0; i < d->n; i++) {
		const struct problem *p = &d->problems[i];
		answers += p->answer != NULL;
		hints += p->hint != NULL;
		rubrics += p->rubric != NULL;
		demonstrations += p->n_demonstrations > 0;
		skills += p->n_skills > 0;
	}
	terminal_print(
	        stdout,
	        "  %d have an answer, %d a hint, %d a rubric, %d demonstrations, %d skills\n",
	        answers, hints, rubrics, demonstrations, skills);
}

static int print_categories(const struct dataset *d, struct arena *a)
{
	struct id_index names;
	int             shown = 0;

	TRY(id_index_new(d->n, a, &names));
	for (int i = 0; i < d->n; i++)
		names.entries[i] = (struct id_entry){
		        d->problems[i].category ? d->problems[i].category : "(none)", i};
	id_index_sort(&names);
	terminal_print(stdout, "  categories:");
	for (int i = 0, end; i < d->n; i = end, shown++) {
		for (end = i; end < d->n && !strcmp(names.entries[i].id, names.entries[end].id);
		     end++)
			;
		if (shown < CATEGORIES)
			terminal_print(stdout, "%s %.80s %d", i ? "," : "", names.entries[i].id,
			               end - i);
	}
	puts(shown > CATEGORIES ? ", ..." : "");
	return OK;
}

static int print_twice(const struct dataset *d, struct arena *a)
{
	struct overlaps twice;

	TRY(overlap_within(d->problems, d->n, a, &twice));
	terminal_print(stdout, "  %d ask what one before them asks", twice.n);
	for (int i = 0; i < twice.n && i < NAMED; i++)
		terminal_print(stdout, "%s %.80s = %.80s", i ? "," : ":",
		               twice.items[i].problem->id, twice.items[i].same_as->id);
	puts(twice.n > NAMED ? ", ..." : "");
	return OK;
}

static int print_dataset(const char *path, const struct dataset *d, struct arena *a)
{
	terminal_print(stdout, "%s: %d problems, %s to %s\n", path, d->n, d->problems[0].id,
	               d->problems[d->n - 1].id);
	TRY(print_prompts(d, a));
	print_parts(d);
	TRY(print_categories(d, a));
	TRY(print_twice(d, a));
	puts("the first of them:");
	return rows_print_problem(&d->problems[0]);
}

static int print_one(const char *path, const struct dataset *d, const char *id)
{
	const struct problem *p = dataset_find(d, id);

	return p ? rows_print_problem(p)
	         : error_set(ERR_INPUT,
	                     "%s: no problem has the id \"%s\"; the first one's is \"%s\"", path,
	                     id, d->problems[0].id);
}

static int inspect_dataset(const char *path, const char *id, const struct dataset_options *o,
                           struct arena *a)
{
	struct dataset d;
	int            status;

	TRY(dataset_read(&path, 1, o, &d));
	status = id ? print_one(path, &d, id) : print_dataset(path, &d, a);
	dataset_free(&d);
	return status;
}

/* ---- what the path is ---- */

static int inspect_ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

/* By its name, or because it begins as one: the length of a header that fits into the file, and
 * then the header, a JSON object. */
static int is_safetensors(const char *path)
{
	unsigned char head[9];
	size_t        n;
	uint64_t      size, length = 0;

	if (inspect_ends_with(path, ".safetensors"))
		return 1;
	if (file_head(path, sizeof head, (char *)head, &n) != OK || n < sizeof head ||
	    file_size(path, &size) != OK)
		return 0;
	for (int i = 0; i < 8; i++)
		length |= (uint64_t)head[i] << 8 * i;
	return head[8] == '{' && length <= size;
}

int command_inspect(const struct command *self, int argc, char **argv)
{
	struct dataset_options   o = {.answer_optional = 1};
	const char              *id = NULL, *path;
	const struct option_word words[] = {
	        {"--id ID", &id, NULL, NULL, "shows this problem of a data set alone"},
	        {"--prompt-column NAME", &o.prompt_column, NULL, NULL, "data.prompt_column"},
	        {"--answer-column NAME", &o.answer_column, NULL, NULL, "data.answer_column"},
	        {"--id-column NAME", &o.id_column, NULL, NULL, "data.id_column"}};
	struct arena a = {0};
	int          n, status;

	TRY(options_read(self, argc, argv, words, 4, &n));
	if (n != 1)
		return options_usage(self);
	path = argv[0];
	if (gguf_is(path))
		status = id ? error_set(ERR_INPUT, "--id %s: only a data set has problems", id)
		            : inspect_gguf(path);
	else if (file_exists(path) && !file_is_folder(path) && !is_safetensors(path))
		status = inspect_dataset(path, id, &o, &a);
	else if (id)
		status = error_set(ERR_INPUT, "--id %s: only a data set has problems", id);
	else
		status = file_exists(path) && !file_is_folder(path) ? inspect_tensors(path)
		                                                    : inspect_folder(path, &a);
	arena_free(&a);
	return status;
}
