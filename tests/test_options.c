/* What a user sets is read, or refused: a walk over the whole schema. */
#include "rl/recipe.h"
#include "walk.h"

enum { SECONDS = 600 }; /* of CPU: no run comes near it */

/* ---- read ---- */

struct run_seen { /* what a row's run with the default value left */
	const struct walk_row *row;
	char                   settings[WALK_LINE];
	uint64_t               digest;
};

static int same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

/* The digest of a run with the default, made once for each setting that rows share. */
static uint64_t digest_of_plain(const struct walk_row *row)
{
	static struct run_seen seen[WALK_ROWS];
	static int             n;
	char                   settings[WALK_LINE];

	walk_setting(row, NULL, settings);
	for (int i = 0; i < n; i++)
		if (same_text(seen[i].row->with, row->with) &&
		    same_text(seen[i].row->file, row->file) &&
		    same_text(seen[i].row->command, row->command) &&
		    !strcmp(seen[i].settings, settings))
			return seen[i].digest;
	if (walk_run(row, SECONDS, settings, "plain") != 0) {
		size_t size;
		print_error("%s, without it: %s", row->path, read_all("stderr", &size));
		return 0;
	}
	seen[n].row = row;
	snprintf(seen[n].settings, sizeof seen[n].settings, "%s", settings);
	seen[n].digest = walk_digest("plain");
	shell("rm -rf plain");
	return seen[n++].digest;
}

static void an_option_that_is_set_changes_what_a_run_leaves(void **state)
{
	(void)state;
	int silent = 0;

	for (int i = 0; i < WALK_ROWS; i++) {
		const struct walk_row *row = &walk[i];
		char                   settings[WALK_LINE];
		uint64_t               plain;
		int                    status;
		if (!row->value)
			continue;
		plain = digest_of_plain(row);
		walk_setting(row, row->value, settings);
		status = walk_run(row, SECONDS, settings, "set");
		if (plain == 0 || status != row->status) {
			size_t size;
			print_error("%s: exit status %d, not %d: %s%s", row->path, status,
			            row->status, settings, read_all("stderr", &size));
			silent++;
		} else if (status == 0 && walk_digest("set") == plain && !row->reason) {
			print_error("%s: set to %s beside %s, it changes nothing\n", row->path,
			            row->value, row->with ? row->with : "nothing");
			silent++;
		}
		shell("rm -rf set");
	}
	assert_int_equal(silent, 0);
}

/* ---- or refused ---- */

/* Reads a config as a run does, up to what its algorithm leaves unread. Overrides stand apart by
 * spaces. */
static int read_config(const char *text, const char *overrides, const char *last)
{
	char              copy[WALK_LINE];
	const char       *words[16];
	int               n = 0, status;
	struct job_config c;
	struct algorithm  a;

	snprintf(copy, sizeof copy, "%s", overrides);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		words[n++] = word;
	words[n++] = last;
	TRY(job_config_parse("walk.yaml", text, strlen(text), words, n, &c));
	status = recipe_algorithm(&c, &a);
	config_free(&c.base);
	return status;
}

static const char plain_config[] = "data: {generate: [{name: sequence}], eval_generate: [{name: "
                                   "sequence}]}\ntask: {reward: length}\n";

/* Where its condition does not hold, an option that is set is an error that says so; where it
 * holds, it is none. */
static void an_option_that_nothing_reads_is_refused(void **state)
{
	(void)state;
	int accepted = 0;

	for (int i = 0; schema_at(&job_schema, i); i++) {
		const struct option   *o = schema_at(&job_schema, i);
		const struct walk_row *row = walk_row_of(o->path);
		char                   setting[WALK_LINE], says[256];
		if (row && !row->without != !o->when) {
			print_error("%s: a condition in the schema goes with .without in "
			            "tests/walk.h\n",
			            o->path);
			accepted++;
		}
		if (!o->when || !row || !row->without)
			continue;
		snprintf(setting, sizeof setting, "%s=%s", o->path,
		         row->value ? row->value : o->standard);
		snprintf(says, sizeof says, "%s ", strrchr(o->path, '.') + 1);
		if (read_config(plain_config, row->without, setting) != ERR_INPUT ||
		    !strstr(error_message(), says)) {
			print_error("%s is accepted beside %s\n", setting,
			            *row->without ? row->without : "nothing");
			accepted++;
		}
	}
	assert_int_equal(accepted, 0);
}

static int prepare(void **state)
{
	(void)state;
	walk_prepare();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(an_option_that_nothing_reads_is_refused),
	        TEST(an_option_that_is_set_changes_what_a_run_leaves),
	};

	run_in_temporary_folder();
	return cmocka_run_group_tests(tests, prepare, NULL);
}
