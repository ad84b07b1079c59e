/* What people hand over instead of JSON rows, by its first bytes, and the command that mends it. */
#include "base/error.h"
#include "base/json.h"
#include "data/dataset_parts.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum dataset_foreign_way { FOREIGN_SAY, FOREIGN_RUN };

#define PYTHON_CSV(delimiter) \
	"python3 -c 'import csv,json,sys; csv.field_size_limit(10**9); " \
	"[print(json.dumps(r)) for r in csv.DictReader(sys.stdin" delimiter ")]' < @ > @.jsonl"

/* In a command @ stands for the file, @.jsonl for one beside it, ^ for its folder. */
static const char csv_command[] = PYTHON_CSV(""), tsv_command[] = PYTHON_CSV(", delimiter=\"\\t\""),
                  semicolon_command[] = PYTHON_CSV(", delimiter=\";\"");

static const struct {
	const char              *head;
	size_t                   n;
	const char              *what;
	enum dataset_foreign_way way;
	const char              *mend;
} dataset_foreign_kinds[] = {
        {"PAR1", 4, "a Parquet file", FOREIGN_RUN,
         "python3 -c 'import pandas,sys; pandas.read_parquet(sys.argv[1]).to_json(sys.argv[2], "
         "orient=\"records\", lines=True)' @ @.jsonl"},
        {"ARROW1", 6, "an Arrow file", FOREIGN_RUN,
         "python3 -c 'import pyarrow.feather as f,sys; "
         "f.read_feather(sys.argv[1]).to_json(sys.argv[2], orient=\"records\", lines=True)' "
         "@ @.jsonl"},
        {"\xFF\xFE\0\0", 4, "UTF-32 text, not UTF-8", FOREIGN_RUN,
         "iconv -f UTF-32 -t UTF-8 @ > @.utf8.jsonl"},
        {"\0\0\xFE\xFF", 4, "UTF-32 text, not UTF-8", FOREIGN_RUN,
         "iconv -f UTF-32 -t UTF-8 @ > @.utf8.jsonl"},
        {"\xFF\xFE", 2, "UTF-16 text, not UTF-8", FOREIGN_RUN,
         "iconv -f UTF-16 -t UTF-8 @ > @.utf8.jsonl"},
        {"\xFE\xFF", 2, "UTF-16 text, not UTF-8", FOREIGN_RUN,
         "iconv -f UTF-16 -t UTF-8 @ > @.utf8.jsonl"},
        {"{\0", 2, "UTF-16 text, not UTF-8", FOREIGN_RUN,
         "iconv -f UTF-16LE -t UTF-8 @ > @.utf8.jsonl"},
        {"[\0", 2, "UTF-16 text, not UTF-8", FOREIGN_RUN,
         "iconv -f UTF-16LE -t UTF-8 @ > @.utf8.jsonl"},
        {"\0{", 2, "UTF-16 text, not UTF-8", FOREIGN_RUN,
         "iconv -f UTF-16BE -t UTF-8 @ > @.utf8.jsonl"},
        {"\0[", 2, "UTF-16 text, not UTF-8", FOREIGN_RUN,
         "iconv -f UTF-16BE -t UTF-8 @ > @.utf8.jsonl"},
        {"version https://git-lfs", 23, "a Git LFS pointer, not the file it stands for",
         FOREIGN_RUN, "git -C ^ lfs pull"},
        {"version https://hawser", 22, "a Git LFS pointer, not the file it stands for", FOREIGN_RUN,
         "git -C ^ lfs pull"},
        {"/annex/objects/", 15, "a git-annex pointer, not the file it stands for", FOREIGN_RUN,
         "git annex get @"},
        {"\x28\xB5\x2F\xFD", 4, "compressed with zstd", FOREIGN_RUN, "zstd -d @ -o @.jsonl"},
        {"BZh", 3, "compressed with bzip2", FOREIGN_RUN, "bzip2 -dc @ > @.jsonl"},
        {"\xFD\x37zXZ", 5, "compressed with xz", FOREIGN_RUN, "xz -dc @ > @.jsonl"},
        {"PK\x03\x04", 4, "a zip archive (or a workbook, which is one)", FOREIGN_SAY,
         "unpack it, or save the sheet as CSV"},
        {"<", 1, "a web page or XML", FOREIGN_SAY,
         "download the file itself: its raw or resolve address, not the page that shows it"},
};

/* ADDS the path as one word of a shell. */
static void dataset_foreign_add_word(const char *path, struct text *out)
{
	int plain = *path && *path != '-';

	for (const char *c = path; *c; c++)
		plain &= isalnum((unsigned char)*c) || strchr("._-/+=:,", *c) != NULL;
	if (plain) {
		text_print(out, "%s", path);
		return;
	}
	text_print(out, *path == '-' ? "'./" : "'");
	for (const char *c = path; *c; c++)
		text_print(out, *c == '\'' ? "'\\''" : "%c", *c);
	text_print(out, "'");
}

/* ADDS what the command writes: data.parquet -> data.jsonl; never the file itself. */
static void dataset_foreign_add_result(const char *path, const char *ending, int n_ending,
                                       struct text *out)
{
	const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash + 1 : path, '.');
	int         stem = dot && dot > path ? (int)(dot - path) : (int)strlen(path);
	struct text name = {0};

	text_print(&name, "%.*s%.*s", stem, path, n_ending, ending);
	if (name.data && !strcmp(name.data, path)) {
		name.n = 0;
		text_print(&name, "%.*s.rows%.*s", stem, path, n_ending, ending);
	}
	dataset_foreign_add_word(name.data ? name.data : path, out);
	text_free(&name);
}

static void dataset_foreign_add_folder(const char *path, struct text *out)
{
	const char *slash = strrchr(path, '/');
	struct text folder = {0};

	text_print(&folder, "%.*s", slash ? (int)(slash - path) : 1,
	           slash == path ? "/"
	           : slash       ? path
	                         : ".");
	dataset_foreign_add_word(folder.data ? folder.data : ".", out);
	text_free(&folder);
}

/* ADDS the command with the path in it. */
static void dataset_foreign_add_command(const char *mend, const char *path, struct text *out)
{
	for (const char *c = mend; *c; c++) {
		size_t ending = *c == '@' ? strcspn(c + 1, " ") : 0;

		if (*c == '^')
			dataset_foreign_add_folder(path, out);
		else if (*c == '@' && ending)
			dataset_foreign_add_result(path, c + 1, (int)ending, out);
		else if (*c == '@')
			dataset_foreign_add_word(path, out);
		else
			text_add(out, c, 1);
		c += ending;
	}
}

static int dataset_foreign_ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcasecmp(s + n - m, end);
}

static int dataset_foreign_refuse(const char *path, const char *what, enum dataset_foreign_way way,
                                  const char *mend)
{
	struct text t = {0};
	int         status;

	if (way == FOREIGN_RUN) /* the head was unpacked already, but the commands read the file */
		dataset_foreign_add_command(
		        dataset_foreign_ends_with(path, ".gz") ? "gunzip @" : mend, path, &t);
	else
		text_print(&t, "%s", mend);
	status = text_status(&t);
	if (status == OK)
		status = error_set(ERR_INPUT, "%s: this is %s, and no rows of JSON; %s%s", path,
		                   what, way == FOREIGN_RUN ? "run: " : "", t.data);
	text_free(&t);
	return status;
}

/* ---- tables as text ---- */

/* The command for a first line that looks like the head of a table; NULL when it does not. */
static const char *dataset_foreign_table(const char *path, const char *line, size_t n)
{
	if (memchr(line, '\t', n) || dataset_foreign_ends_with(path, ".tsv"))
		return tsv_command;
	if (memchr(line, ',', n) || dataset_foreign_ends_with(path, ".csv"))
		return csv_command;
	return memchr(line, ';', n) ? semicolon_command : NULL;
}

static int dataset_foreign_refuse_unknown(const char *path, const char *line, size_t n)
{
	struct text shown = {0};
	int         status;

	json_add_string(&shown, line, n < 30 ? n : 30);
	status = text_status(&shown);
	if (status == OK)
		status = error_set(ERR_INPUT,
		                   "%s: no rows of JSON: a row is an object, such as {\"prompt\": "
		                   "\"...\", \"answer\": \"...\"}, but the file "
		                   "begins with %s",
		                   path, shown.data);
	text_free(&shown);
	return status;
}

int dataset_refuse_foreign(const char *path, const char *head, size_t n)
{
	size_t      at = 0, line;
	const char *table;

	for (size_t i = 0; i < sizeof dataset_foreign_kinds / sizeof *dataset_foreign_kinds; i++)
		if (n >= dataset_foreign_kinds[i].n &&
		    !memcmp(head, dataset_foreign_kinds[i].head, dataset_foreign_kinds[i].n))
			return dataset_foreign_refuse(path, dataset_foreign_kinds[i].what,
			                              dataset_foreign_kinds[i].way,
			                              dataset_foreign_kinds[i].mend);
	while (at < n && isspace((unsigned char)head[at]))
		at++;
	if (at == n || strchr("{[", head[at]))
		return OK;
	for (line = at; line < n && head[line] != '\n'; line++)
		;
	table = isprint((unsigned char)head[at]) || (unsigned char)head[at] > 127
	                ? dataset_foreign_table(path, head + at, line - at)
	                : NULL;
	return table ? dataset_foreign_refuse(path, "a table (CSV)", FOREIGN_RUN, table)
	             : dataset_foreign_refuse_unknown(path, head + at, line - at);
}
