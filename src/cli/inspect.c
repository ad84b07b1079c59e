/* hone inspect PATH: a safetensors file, a model folder, a checkpoint, a run */
#include "cli/command.h"
#include "model/adapter_folder.h"
#include "model/folder.h"
#include "model/kind.h"
#include "run/checkpoint.h"

#include <stdio.h>
#include <string.h>

static void print_shape(const struct model_shape *s)
{
	printf("  %s, layers %d, width %d, heads %d (%d key/value) of %d, feed-forward %d, vocabulary %d, positions %d, %s\n",
	       kind_of(s)->model_type, s->n_layers, s->width, s->n_heads, s->n_kv_heads, s->head_width, s->ff_width, s->n_vocab,
	       s->n_positions, s->tied ? "tied" : "untied");
	printf("  %.3fM parameters, rope theta %g, norm eps %g, ends with", (double)weights_count(s) * 1e-6, s->rope_theta, s->norm_eps);
	for (int i = 0; i < s->n_eos; i++)
		printf(" %d", s->eos[i]);
	puts("");
}

static int inspect_tensors(const char *path)
{
	struct safetensors f;

	TRY(safetensors_open(path, &f));
	for (size_t i = 0; i < f.n; i++) {
		const struct safetensors_entry *e = &f.entries[i];
		printf("  %-56s %-5s [", e->name, safetensors_type_name(e->type));
		for (int d = 0; d < e->n_dims; d++)
			printf(d ? ", %llu" : "%llu", (unsigned long long)e->dims[d]);
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
	printf("  LoRA adapter of \"%s\": rank %d, alpha %g%s, on", base, o.rank, o.alpha, o.rslora ? " (rsLoRA)" : "");
	for (int i = 0; i < ADAPTER_TARGETS; i++)
		if (o.targets >> i & 1)
			printf(" %s", adapter_target_name[i]);
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

static int inspect_folder(const char *path, struct arena *a)
{
	char *folder, *tensors, *manifest;
	int   is_adapter;

	TRY(checkpoint_resolve(path, a, &folder));
	if (strcmp(folder, path))
		printf("%s: a run; its newest valid checkpoint is %s\n", path, folder);
	printf("%s\n", folder);
	is_adapter = adapter_folder_is(folder);
	TRY(is_adapter ? print_adapter(folder, a) : print_model(folder));
	manifest = file_join(a, folder, "manifest.json");
	tensors = file_join(a, folder, is_adapter ? "adapter_model.safetensors" : "model.safetensors");
	if (!manifest || !tensors)
		return ERR_INPUT;
	if (file_exists(manifest)) {
		TRY(checkpoint_check(folder));
		puts("  every length and checksum of its manifest is right");
	}
	return file_exists(tensors) ? inspect_tensors(tensors) : OK;
}

int command_inspect(int argc, char **argv)
{
	struct arena a = {0};
	int          status;

	if (argc != 1)
		return error_set(ERR_INPUT, "usage: hone inspect PATH");
	status = file_exists(argv[0]) && !file_is_folder(argv[0]) ? inspect_tensors(argv[0]) : inspect_folder(argv[0], &a);
	arena_free(&a);
	return status;
}
