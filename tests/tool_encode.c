/* tool_encode TOKENIZER TEXTS - the ids of many texts, and how long they took, for another program
 * to compare with.
 *
 * TEXTS is JSONL, {"text": ...} a row. For each line of standard input all texts are encoded once,
 * on one thread and without what the post-processor adds, and {"seconds", "bytes", "ids": [of each
 * text, how many], "sum": over all ids i of (i + 1) * id modulo 2^32} comes out. */
#include "base/error.h"
#include "base/json.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <time.h>

struct bench {
	struct tokenizer *tokenizer;
	json_t           *rows; /* an array of strings */
};

static double seconds(void) /* of the processor: others may be using it too */
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int add_text(const char *place, const char *line, size_t n, json_t *rows)
{
	json_t *row, *text;

	TRY(json_parse(place, line, n, &row));
	text = json_object_get(row, "text");
	json_array_append(rows, text);
	json_decref(row);
	return json_is_string(text) ? OK
	                            : error_set(ERR_INPUT, "%s: \"text\" must be a string", place);
}

static int read_texts(const char *path, json_t *rows)
{
	struct lines *in;
	const char   *line;
	size_t        n;
	int           status;

	TRY(lines_open(path, 1 << 28, &in));
	while ((status = lines_next(in, &line, &n)) == OK && line && status == OK)
		TRY(add_text(path, line, n, rows));
	lines_close(in);
	return status;
}

static int encode_once(const struct bench *b)
{
	struct ids ids = {0};
	double     start = seconds();
	size_t     bytes = 0;
	uint32_t   sum = 0;

	for (size_t i = 0; i < json_array_size(b->rows); i++) {
		const json_t *text = json_array_get(b->rows, i);
		TRY(tokenizer_encode(b->tokenizer, json_string_value(text),
		                     json_string_length(text), 0, &ids));
		bytes += json_string_length(text);
	}
	start = seconds() - start;
	for (size_t i = 0; i < ids.n; i++)
		sum += (uint32_t)(i + 1) * (uint32_t)ids.id[i];
	printf("{\"seconds\": %.9g, \"bytes\": %zu, \"ids\": %zu, \"sum\": %u}\n", start, bytes,
	       ids.n, sum);
	fflush(stdout);
	ids_free(&ids);
	return OK;
}

int main(int argc, char **argv)
{
	struct bench b = {.rows = json_array()};
	int          status = argc == 3 ? tokenizer_load(argv[1], &b.tokenizer)
	                                : error_set(ERR_INPUT, "usage: tool_encode TOKENIZER TEXTS");
	char         line[80];

	if (status == OK)
		status = read_texts(argv[2], b.rows);
	while (status == OK && fgets(line, sizeof line, stdin))
		status = encode_once(&b);
	if (status != OK)
		fprintf(stderr, "tool_encode: %s\n", error_message());
	json_decref(b.rows);
	tokenizer_free(b.tokenizer);
	return status;
}
