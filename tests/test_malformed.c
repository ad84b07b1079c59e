/* Collected files, good, doubtful and hostile: each gets its verdict, and what is accepted is read
 * right (tests/data/malformed/SOURCE.md). */
#include "base/file.h"
#include "base/json.h"
#include "model/safetensors.h"
#include "run/config_yaml.h"
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define FOLDER "tests/data/malformed/"

static const char *temporary(void)
{
	static char path[64];

	snprintf(path, sizeof path, "/tmp/hone-test-%d-malformed", (int)getpid());
	return path;
}

/* ---- rows of the collections ---- */

typedef void each_row(const json_t *row, int counts[2]);

/* counts: accepted, refused */
static void for_each(const char *path, each_row *check, int counts[2])
{
	struct lines *in;
	const char   *line;
	size_t        n;
	json_t       *row;

	counts[0] = counts[1] = 0;
	assert_ok(lines_open(path, 1 << 20, &in));
	for (;;) {
		assert_ok(lines_next(in, &line, &n));
		if (!line)
			break;
		assert_ok(json_parse(path, line, n, &row));
		check(row, counts);
		json_decref(row);
	}
	lines_close(in);
}

static const char *text_of(const json_t *row, const char *key)
{
	const char *text = NULL;

	assert_ok(json_get_text("row", row, key, JSON_REQUIRED, &text));
	return text;
}

/* The bytes of "hex", in a block of just their size. The caller frees it. */
static char *bytes_of(const json_t *row, size_t *n)
{
	const char *hex = text_of(row, "hex");
	char       *bytes;

	*n = strlen(hex) / 2;
	bytes = malloc(*n + 1);
	assert_non_null(bytes);
	for (size_t i = 0; i < *n; i++) {
		unsigned byte;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		bytes[i] = (char)byte;
	}
	return realloc(bytes, *n ? *n : 1);
}

static void check_verdict(const json_t *row, int status, int counts[2])
{
	const char *verdict = text_of(row, "verdict");

	if (!strcmp(verdict, "accept") && status != OK)
		fail_msg("%s is refused: %s", text_of(row, "name"), error_message());
	if (!strcmp(verdict, "reject") && status != ERR_INPUT)
		fail_msg("%s is accepted", text_of(row, "name"));
	counts[status != OK]++;
}

/* ---- JSON ---- */

static void check_json(const json_t *row, int counts[2])
{
	size_t  n;
	char   *bytes = bytes_of(row, &n), *again;
	json_t *value, *same;
	int     status = json_parse(text_of(row, "name"), bytes, n, &value);

	check_verdict(row, status, counts);
	if (status == OK) {
		again = json_dumps(value, JSON_ENCODE_ANY);
		assert_ok(json_parse("again", again, strlen(again), &same));
		assert_true(json_equal(value, same));
		json_decref(same);
		free(again);
	} else {
		assert_null(value);
		assert_non_null(strstr(error_message(), text_of(row, "name")));
	}
	json_decref(value);
	free(bytes);
}

static void every_json_text_gets_its_verdict(void **state)
{
	(void)state;
	int counts[2];

	for_each(FOLDER "json.jsonl.gz", check_json, counts);
	assert_int_equal(counts[0] + counts[1], 1041);
}

/* ---- gzip ---- */

/* Status of reading a file to its end; number and checksum of its lines. */
static int read_lines(const char *path, size_t max, size_t *n_lines, uint32_t *crc)
{
	struct lines *in;
	const char   *line;
	size_t        n;
	int           status;

	*n_lines = *crc = 0;
	assert_ok(lines_open(path, max, &in));
	while ((status = lines_next(in, &line, &n)) == OK && line) {
		*crc = (uint32_t)crc32(*crc, (const unsigned char *)line, (uInt)n);
		*crc = (uint32_t)crc32(*crc, (const unsigned char *)"\n", 1);
		++*n_lines;
	}
	lines_close(in);
	return status;
}

static void check_gzip(const json_t *row, int counts[2])
{
	size_t   n, n_lines;
	uint32_t crc;
	int64_t  want_lines = 0, want_crc = 0;
	char    *bytes = bytes_of(row, &n);
	int      status;

	assert_ok(file_write(temporary(), bytes, n));
	status = read_lines(temporary(), 1 << 20, &n_lines, &crc);
	check_verdict(row, status, counts);
	if (status == OK) {
		assert_ok(json_get_int("row", row, "lines", JSON_REQUIRED, json_range(0, INT64_MAX),
		                       &want_lines));
		assert_ok(json_get_int("row", row, "crc32", JSON_REQUIRED, json_range(0, INT64_MAX),
		                       &want_crc));
		if (n_lines != (size_t)want_lines || crc != (uint32_t)want_crc)
			fail_msg("%s: %zu lines with checksum %u", text_of(row, "name"), n_lines,
			         crc);
	} else {
		assert_non_null(strstr(error_message(), temporary()));
	}
	free(bytes);
}

static void every_gzip_file_gets_its_verdict_and_its_lines(void **state)
{
	(void)state;
	int counts[2];

	for_each(FOLDER "gzip.jsonl.gz", check_gzip, counts);
	unlink(temporary());
	assert_int_equal(counts[0] + counts[1], 274);
}

/* 64 MiB of one byte are 64 KB of gzip. As one line they are refused after `max` bytes, as many
 * after 16 MiB; what is small may shrink as far as it likes. */
static void a_gzip_bomb_costs_little(void **state)
{
	(void)state;
	enum { SIZE = 64 << 20, LINE = 1 << 12 };
	char    *bytes = malloc(SIZE);
	size_t   n_lines;
	uint32_t crc;

	memset(bytes, 'x', SIZE);
	assert_ok(file_write_gzip(temporary(), bytes, SIZE));
	assert_error(read_lines(temporary(), LINE, &n_lines, &crc), ERR_INPUT,
	             ":1: the line is longer than 4096 bytes");
	for (size_t i = LINE - 1; i < SIZE; i += LINE)
		bytes[i] = '\n';
	assert_ok(file_write_gzip(temporary(), bytes, SIZE));
	assert_error(read_lines(temporary(), LINE, &n_lines, &crc), ERR_INPUT,
	             "more than 256 times its size");
	assert_in_range(n_lines, (16 << 20) / LINE - 8, (16 << 20) / LINE + 8);
	assert_ok(file_write_gzip(temporary(), bytes, SIZE / 8));
	assert_ok(read_lines(temporary(), LINE, &n_lines, &crc));
	assert_int_equal(n_lines, SIZE / 8 / LINE);
	unlink(temporary());
	free(bytes);
}

static void a_pipe_in_the_place_of_a_file_is_refused_at_once(void **state)
{
	(void)state;
	struct safetensors s;
	struct bytes       b;
	struct lines      *in;

	assert_int_equal(mkfifo(temporary(), 0600), 0);
	assert_error(file_read(temporary(), 100, &b), ERR_INPUT, "not a regular file");
	assert_error(lines_open(temporary(), 100, &in), ERR_INPUT, "not a regular file");
	assert_error(safetensors_open(temporary(), &s), ERR_INPUT, "not a regular file");
	unlink(temporary());
}

/* ---- YAML ---- */

static int means_null(const struct yaml_node *node)
{
	return node->plain &&
	       (!*node->text || !strcmp(node->text, "~") || !strcmp(node->text, "null"));
}

/* Scalars stay text in the tree, so a number or a truth value is compared by what its text says. */
static int scalar_is(const struct yaml_node *node, const json_t *value)
{
	char *end;

	if (json_is_null(value))
		return means_null(node);
	if (json_is_boolean(value))
		return node->plain &&
		       !strcasecmp(node->text, json_is_true(value) ? "true" : "false");
	if (json_is_number(value))
		return node->plain && strtod(node->text, &end) == json_number_value(value) && !*end;
	return json_is_string(value) && !strcmp(node->text, json_string_value(value));
}

static int tree_is(const struct yaml_node *node, const json_t *value)
{
	size_t i = 0;

	if (node->kind == YAML_TEXT)
		return scalar_is(node, value);
	if (!json_is_object(value) && !json_is_array(value))
		return 0;
	for (const struct yaml_node *child = node->first; child; child = child->next, i++)
		if (!tree_is(child, node->kind == YAML_MAP ? json_object_get(value, child->key)
		                                           : json_array_get(value, i)))
			return 0;
	return i == (node->kind == YAML_MAP ? json_object_size(value) : json_array_size(value));
}

/* Of several documents none is read; of none, or of one that is null, an empty map. Some cases have
 * no value in JSON. */
static int is_document(const struct yaml_node *tree, const json_t *documents)
{
	const json_t *document = json_array_get(documents, 0);

	if (!documents)
		return 1;
	if (json_array_size(documents) > 1)
		return 0;
	return tree_is(tree, document) ||
	       (tree->kind == YAML_MAP && !tree->first && (!document || json_is_null(document)));
}

static void check_yaml(const json_t *row, int counts[2])
{
	struct arena      a = {0};
	const char       *id = text_of(row, "id"), *yaml = text_of(row, "yaml");
	char             *exact = malloc(strlen(yaml));
	struct yaml_node *tree;
	int               status;

	memcpy(exact, yaml, strlen(yaml));
	status = yaml_parse(id, exact, strlen(yaml), &a, &tree);
	counts[status != OK]++;
	if (status == OK && json_is_true(json_object_get(row, "error")))
		fail_msg("%s is accepted: %s", id, yaml);
	if (status == OK && !is_document(tree, json_object_get(row, "documents")))
		fail_msg("%s is misread: %s", id, yaml);
	if (status != OK)
		assert_true(!strncmp(error_message(), id, strlen(id)) &&
		            error_message()[strlen(id)] == ':');
	arena_free(&a);
	free(exact);
}

static void every_yaml_text_is_refused_or_read_as_it_should_be(void **state)
{
	(void)state;
	int counts[2];

	for_each(FOLDER "yaml.jsonl.gz", check_yaml, counts);
	assert_int_equal(counts[0], 89);
	assert_int_equal(counts[1], 134);
}

/* Found by fuzzing: YAML takes some characters for the end of a line that JSON does not, and no key
 * of more than 1024 bytes. */
static void a_tree_in_flow_style_is_read_again_as_itself(void **state)
{
	(void)state;
	static const char text[] =
	        "[\"a\\N \\L \\P \\_ \\uFEFF\\x7f\\n\", {\"\\N\": 1, \"- \": ''}]";
	struct arena      a = {0};
	struct text       once = {0}, twice = {0};
	struct yaml_node *tree;
	char              key[2 * YAML_KEY_MAX];

	assert_ok(yaml_parse("flow", text, sizeof text - 1, &a, &tree));
	yaml_flow(tree, &once);
	assert_ok(yaml_parse("again", once.data, once.n, &a, &tree));
	yaml_flow(tree, &twice);
	assert_string_equal(once.data, twice.data);
	assert_string_equal(tree->first->text,
	                    "a\xC2\x85 \xE2\x80\xA8 \xE2\x80\xA9 \xC2\xA0 \xEF\xBB\xBF\x7f\n");
	snprintf(key, sizeof key, "%0*d: 1", YAML_KEY_MAX + 1, 0);
	assert_error(yaml_parse("long", key, strlen(key), &a, &tree), ERR_INPUT,
	             "long:1: a key of more than 128 bytes");
	text_free(&once);
	text_free(&twice);
	arena_free(&a);
}

TEST_MAIN(TEST(every_json_text_gets_its_verdict),
          TEST(every_gzip_file_gets_its_verdict_and_its_lines), TEST(a_gzip_bomb_costs_little),
          TEST(a_pipe_in_the_place_of_a_file_is_refused_at_once),
          TEST(every_yaml_text_is_refused_or_read_as_it_should_be),
          TEST(a_tree_in_flow_style_is_read_again_as_itself))
