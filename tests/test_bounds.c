/* Every number of the schema at its ends, at 0 and near 0: a run ends well or is refused with exit
 * status 2. It is never ended by an assertion, and what it leaves holds no NaN. */
#include "walk.h"

#include <ctype.h>
#include <glob.h>

/* CPU seconds after which a run that goes on is good enough: 2147483647 steps are not waited
 * for. */
enum { SECONDS = 2, STILL_RUNNING = 128 + SIGXCPU };

static int failures;

/* ---- no NaN ---- */

static int is_finite_file(const char *path)
{
	size_t   n;
	char    *data = read_all(path, &n);
	uint64_t header;
	int      finite = 1;

	memcpy(&header, data, sizeof header);
	for (size_t at = 8 + header; at + 4 <= n; at += 4) {
		float x;
		memcpy(&x, data + at, sizeof x);
		finite &= isfinite(x) != 0;
	}
	free(data);
	return finite;
}

/* Words that a number which is none is written as. */
static int says_nan(const char *path)
{
	size_t n;
	char  *text = read_all(path, &n);
	int    found = 0;

	for (char *s = text; *s; s++)
		if (!strncasecmp(s, "nan", 3) || !strncmp(s, "inf", 3) || !strncmp(s, ": null", 6))
			found |= s == text || !isalpha((unsigned char)s[-1]);
	free(text);
	return found;
}

static int look_for_nan(const char *folder, char what[256])
{
	static const char *const files[] = {"model.safetensors", "optimizer.safetensors",
	                                    "critic.safetensors", "adapter_model.safetensors"};
	glob_t                   found;
	char                     pattern[256];

	snprintf(pattern, sizeof pattern, "%s/metrics.jsonl", folder);
	snprintf(what, 256, "%s", pattern);
	if (file_exists(pattern) && says_nan(pattern))
		return 1;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		int bad = 0;
		snprintf(pattern, sizeof pattern, "%s/checkpoint-*/%s", folder, files[i]);
		if (glob(pattern, 0, NULL, &found) == 0)
			for (size_t k = 0; k < found.gl_pathc && !bad; k++) {
				bad = !is_finite_file(found.gl_pathv[k]);
				snprintf(what, 256, "%s", found.gl_pathv[k]);
			}
		globfree(&found);
		if (bad)
			return 1;
	}
	return 0;
}

/* ---- one value ---- */

static void try_value(const struct walk_row *row, const char *value)
{
	char settings[WALK_LINE], what[256] = "";
	int  status;

	walk_setting(row, value, settings);
	status = walk_run(row, SECONDS, settings, "bound");
	if (status != 0 && status != 2 && status != STILL_RUNNING) {
		size_t n;
		print_error("%s = %s: exit status %d: %s\n", row->path, value, status,
		            read_all("stderr", &n));
		failures++;
	} else if (status == 0 && look_for_nan("bound", what)) {
		print_error("%s = %s: %s holds a number that is none\n", row->path, value, what);
		failures++;
	}
	shell("rm -rf bound");
}

static const struct option *option_of(const char *path)
{
	char        key[128];
	const char *inner = strstr(path, "[].");
	int         i;

	snprintf(key, sizeof key, "%.*s", inner ? (int)(inner - path) : 127, path);
	i = schema_find(&job_schema, key);
	for (int k = 0; i >= 0 && inner && k < schema_at(&job_schema, i)->rows->n; k++)
		if (!strcmp(schema_at(&job_schema, i)->rows->options[k].path, inner + 3))
			return &schema_at(&job_schema, i)->rows->options[k];
	return i < 0 || inner ? NULL : schema_at(&job_schema, i);
}

static void try_row(const struct walk_row *row)
{
	const struct option *o = option_of(row->path);
	char                 value[40];
	double               tiny, ends[2];

	if (!o || (strstr(row->path, "[].") && !row->list) ||
	    (o->type != OPTION_INT && o->type != OPTION_REAL && o->type != OPTION_RANGE))
		return;
	tiny = o->tiny > 0 ? o->tiny : OPTION_TINY;
	ends[0] = o->least;
	ends[1] = o->most;
	for (int i = 0; i < 2; i++) {
		snprintf(value, sizeof value, "%.10g", ends[i]);
		if (ends[i] != 0)
			try_value(row, value);
	}
	try_value(row, "0");
	if (o->type != OPTION_REAL)
		return;
	try_value(row, "1e-300");
	snprintf(value, sizeof value, "%.10g", tiny);
	try_value(row, value);
}

static void a_number_at_its_bounds_runs_or_is_refused(void **state)
{
	(void)state;
	failures = 0;
	for (int i = 0; i < WALK_ROWS; i++)
		try_row(&walk[i]);
	assert_int_equal(failures, 0);
}

static int prepare(void **state)
{
	(void)state;
	walk_prepare();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(a_number_at_its_bounds_runs_or_is_refused)};

	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, prepare, NULL);
}
