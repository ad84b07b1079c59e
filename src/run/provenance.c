#include "run/provenance.h"

#include "base/error.h"
#include "base/json.h"
#include "base/version.h"
#include "math/matmul.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

enum { PROVENANCE_MAX = 1 << 20 }; /* bytes of a file that is read: thousands of programs */

static void provenance_add(const char *key, const char *value, size_t n, struct text *out)
{
	text_print(out, ", \"%s\": ", key);
	json_add_string(out, value, n);
}

/* Long lines come in pieces, of which none begins with the key. */
void provenance_cpu(char *out, size_t room)
{
	static const char key[] = "model name";
	struct utsname    machine;
	char              line[PROVENANCE_CPU_MAX];
	const char       *name = NULL;
	FILE             *f = fopen("/proc/cpuinfo", "r");

	while (f && !name && fgets(line, sizeof line, f))
		if (!strncmp(line, key, sizeof key - 1) && (name = strchr(line, ':')))
			name += strspn(name, ": \t");
	if (f)
		fclose(f);
	if (!name)
		name = uname(&machine) == 0 ? machine.machine : "unknown";
	snprintf(out, room, "%.*s", (int)strcspn(name, "\n"), name);
}

void provenance_add_program(const char *kernels, struct text *out)
{
	char cpu[PROVENANCE_CPU_MAX];

	provenance_add("version", HONE_VERSION, strlen(HONE_VERSION), out);
	provenance_add("commit", version_commit, strlen(version_commit), out);
	provenance_add("compiler", version_compiler, strlen(version_compiler), out);
	provenance_add("kernels", kernels, strlen(kernels), out);
	provenance_add("sums", matmul_sums, strlen(matmul_sums), out);
	provenance_cpu(cpu, sizeof cpu);
	provenance_add("cpu", cpu, strlen(cpu), out);
}

static void provenance_add_line(int64_t from, const char *kernels, struct text *out)
{
	text_print(out, "{\"from_step\": %lld", (long long)from);
	provenance_add_program(kernels, out);
	text_print(out, "}\n");
}

/* The program of a line, and the step from which on it made the run; NULL when the line does not
 * say that. */
static json_t *provenance_program(const char *line, size_t n, int64_t *from)
{
	json_t *program;

	if (json_parse("provenance.jsonl", line, n, &program) != OK)
		return NULL;
	if (!json_is_object(program) ||
	    json_get_int("provenance.jsonl", program, "from_step", JSON_REQUIRED,
	                 json_range(1, INT64_MAX), from) != OK) {
		json_decref(program);
		return NULL;
	}
	json_object_del(program, "from_step");
	return program;
}

/* ADDS the lines up to step `from`, and the new one unless the last of them names the same
 * program. */
static void provenance_go_on(const char *text, int64_t from, const char *new_line, struct text *out)
{
	int64_t step;
	int     same = 0;
	json_t *now = provenance_program(new_line, strlen(new_line), &step);

	while (*text) {
		size_t  n = strcspn(text, "\n");
		json_t *then = provenance_program(text, n, &step);
		if (then && step < from) {
			text_print(out, "%.*s\n", (int)n, text);
			same = json_equal(then, now);
		}
		json_decref(then);
		text += n + (text[n] == '\n');
	}
	if (!same)
		text_print(out, "%s", new_line);
	json_decref(now);
}

/* OK with nothing in *out where the file is not there, or is no such file. */
static int provenance_read(const char *path, struct bytes *out)
{
	int there, status;

	*out = (struct bytes){0};
	TRY(file_there(path, &there));
	status = there ? file_read(path, PROVENANCE_MAX, out) : OK;
	return status == ERR_INPUT && !error_cause() ? OK : status;
}

int provenance_write(const char *run, int step, const char *kernels)
{
	const int64_t from = (int64_t)step + 1;
	struct arena  a = {0};
	struct text   line = {0}, all = {0};
	struct bytes  before = {0};
	char         *path;
	int           status = file_path(&a, run, "provenance.jsonl", &path);

	if (status == OK)
		status = provenance_read(path, &before);
	provenance_add_line(from, kernels, &line);
	if (status == OK)
		status = text_status(&line);
	if (status == OK)
		provenance_go_on(before.data ? before.data : "", from, line.data, &all);
	if (status == OK)
		status = text_write(&all, path);
	bytes_free(&before);
	text_free(&line);
	text_free(&all);
	arena_free(&a);
	return status;
}
