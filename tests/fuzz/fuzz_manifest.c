/* The manifest of a checkpoint: accepted only if it says the step, the lengths and the checksums of
 * the files that are there. */
#include "fuzz.h"

#include "base/json.h"
#include "run/checkpoint.h"

static const struct {
	const char *name, *text;
} files[] = {{"config.json", "{}\n"}, {"empty", ""}, {"weights", "0123456789"}};

enum { N_FILES = sizeof files / sizeof *files };

static void write_files(void)
{
	for (int i = 0; i < N_FILES; i++)
		PROMISE(file_write(fuzz_path(files[i].name), files[i].text,
		                   strlen(files[i].text)) == OK);
	fuzz_link("manifest.json", 0);
}

/* Of a manifest that passed: each file that it names is one of ours, with its length. */
static void check_claims(const uint8_t *data, size_t n)
{
	json_t     *manifest, *entry;
	const char *name;

	PROMISE(json_parse("manifest", (const char *)data, n, &manifest) == OK);
	json_object_foreach(json_object_get(manifest, "files"), name, entry)
	{
		int i = 0;
		while (i < N_FILES && strcmp(files[i].name, name))
			i++;
		PROMISE(i < N_FILES && json_integer_value(json_object_get(entry, "bytes")) ==
		                               (json_int_t)strlen(files[i].text));
	}
	json_decref(manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static int written;

	if (!written++)
		write_files();
	fuzz_file(0, data, n);
	if (checkpoint_check(fuzz_folder()) == OK)
		check_claims(data, n);
	else
		PROMISE(strstr(error_message(), fuzz_folder()));
	return 0;
}
