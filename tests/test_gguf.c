/* The GGUF container and its blocks: right numbers, and no trust in what a file says of itself. */
#include "base/file.h"
#include "base/gguf.h"
#include "base/json.h"
#include "model/gguf_quant.h"
#include "temporary_gguf.h"
#include "test.h"

/* ---- blocks ---- */

static size_t unhex(const json_t *row, const char *key, unsigned char **out)
{
	const char *hex = NULL;
	size_t      n;

	assert_ok(json_get_text("row", row, key, JSON_REQUIRED, &hex));
	n = strlen(hex) / 2;
	*out = malloc(n + 1);
	for (size_t i = 0; i < n; i++) {
		unsigned byte;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		(*out)[i] = (unsigned char)byte;
	}
	return n;
}

/* Blocks to numbers, or numbers to blocks: the bytes of the reference. */
static void check_blocks(const json_t *row)
{
	const char             *reads = NULL, *writes = NULL;
	unsigned char          *blocks, *numbers, *got;
	uint32_t                type;
	size_t                  n_blocks, n = unhex(row, "numbers", &numbers) / sizeof(float);
	size_t                  n_bytes = unhex(row, "blocks", &blocks);
	const struct gguf_type *t;

	assert_ok(json_get_text("row", row, "type", JSON_OPTIONAL, &reads));
	assert_ok(json_get_text("row", row, "writes", JSON_OPTIONAL, &writes));
	assert_true(gguf_type_find(reads ? reads : writes, &type));
	t = gguf_type_of(type);
	n_blocks = n_bytes / t->bytes;
	assert_int_equal(n_blocks * t->bytes, n_bytes);
	assert_int_equal(n_blocks * t->block, n);
	got = malloc(reads ? n * sizeof(float) : n_bytes);
	if (reads)
		gguf_quant_read(type, blocks, n_blocks, (float *)(void *)got);
	else
		assert_ok(gguf_quant_write(type, (const float *)(void *)numbers, n, got));
	assert_memory_equal(got, reads ? numbers : blocks, reads ? n * sizeof(float) : n_bytes);
	free(got);
	free(blocks);
	free(numbers);
}

static void every_type_has_the_numbers_of_the_reference(void **state)
{
	(void)state;
	struct lines *in;
	const char   *line;
	size_t        n;
	json_t       *row;
	int           n_rows = 0;

	assert_ok(lines_open("tests/data/gguf/blocks.jsonl", 1 << 20, &in));
	for (;; n_rows++) {
		assert_ok(lines_next(in, &line, &n));
		if (!line)
			break;
		assert_ok(json_parse("blocks", line, n, &row));
		check_blocks(row);
		json_decref(row);
	}
	lines_close(in);
	assert_int_equal(n_rows, 20 + 3 + 4);
}

static void numbers_that_a_type_cannot_hold_are_refused(void **state)
{
	(void)state;
	float         x[32] = {[3] = 1e30f};
	unsigned char out[128];
	uint32_t      f16, q8_0;

	assert_true(gguf_quant_writes("F16", &f16) && gguf_quant_writes("Q8_0", &q8_0));
	assert_error(gguf_quant_write(f16, x, 32, out), ERR_INPUT, "number 3 ");
	assert_error(gguf_quant_write(q8_0, x, 32, out), ERR_INPUT, "Q8_0");
	assert_false(gguf_quant_writes("Q4_K", &f16) || gguf_quant_writes("IQ4_XS", &f16));
}

static void types_that_are_not_read_are_refused_by_name(void **state)
{
	(void)state;
	struct gguf_tensor t = {.name = "token_embd.weight"};

	for (t.type = 0; t.type < GGUF_TYPES; t.type++) {
		const struct gguf_type *type = gguf_type_of(t.type);
		if (type && (strstr(type->name, "IQ") || strstr(type->name, "TQ")))
			assert_error(gguf_quant_check("m.gguf", &t), ERR_INPUT, type->name);
	}
}

/* ---- a small file, of which any field can be bent ---- */

enum field {
	MAGIC,
	VERSION,
	N_TENSORS,
	N_VALUES,
	KEY_LENGTH,
	KEY,
	KIND,
	TEXT_LENGTH,
	ELEMENT_KIND,
	N_ELEMENTS,
	ELEMENT_LENGTH,
	SECOND_KEY,
	ALIGNMENT_VALUE,
	NAME_LENGTH,
	N_SIDES,
	SIDE_0,
	SIDE_1,
	TYPE,
	OFFSET,
	SECOND_NAME,
	SECOND_OFFSET,
	ELSEWHERE,
	FIELDS
};

struct made {
	struct text t;
	size_t      at[FIELDS];
};

static void put(struct made *m, const void *x, size_t n)
{
	text_add(&m->t, x, n);
}

static void put_number(struct made *m, enum field f, uint64_t x, size_t n)
{
	m->at[f] = m->t.n;
	put(m, &x, n);
}

static void put_text(struct made *m, enum field length, const char *s)
{
	put_number(m, length, strlen(s), 8);
	put(m, s, strlen(s));
}

static void make_values(struct made *m)
{
	put_text(m, KEY_LENGTH, "general.name");
	m->at[KEY] = m->t.n - strlen("general.name");
	put_number(m, KIND, GGUF_TEXT, 4);
	put_text(m, TEXT_LENGTH, "a model");
	put_text(m, SECOND_KEY, "some.texts..");
	m->at[SECOND_KEY] += 8;
	put_number(m, ELSEWHERE, GGUF_ARRAY, 4);
	put_number(m, ELEMENT_KIND, GGUF_TEXT, 4);
	put_number(m, N_ELEMENTS, 2, 8);
	put_text(m, ELEMENT_LENGTH, "one");
	put_text(m, ELSEWHERE, "two");
	put_text(m, ELSEWHERE, "general.alignment");
	put_number(m, ELSEWHERE, GGUF_U32, 4);
	put_number(m, ALIGNMENT_VALUE, 64, 4);
}

static void make_tensors(struct made *m)
{
	put_text(m, NAME_LENGTH, "first");
	put_number(m, N_SIDES, 2, 4);
	put_number(m, SIDE_0, 3, 8);
	put_number(m, SIDE_1, 5, 8);
	put_number(m, TYPE, 0, 4);
	put_number(m, OFFSET, 0, 8);
	put_text(m, SECOND_NAME, "other");
	m->at[SECOND_NAME] += 8;
	put_number(m, ELSEWHERE, 1, 4);
	put_number(m, ELSEWHERE, 4, 8);
	put_number(m, ELSEWHERE, 0, 4);
	put_number(m, SECOND_OFFSET, 64, 8);
}

/* Two tensors, 3 x 5 and 4, whose data are the numbers 0 to 15 and 16 to 19. */
static struct made make(void)
{
	struct made m = {0};
	float       x[20];

	m.at[MAGIC] = 0;
	put(&m, "GGUF", 4);
	put_number(&m, VERSION, 3, 4);
	put_number(&m, N_TENSORS, 2, 8);
	put_number(&m, N_VALUES, 3, 8);
	make_values(&m);
	make_tensors(&m);
	while (m.t.n % 64)
		put(&m, "", 1);
	for (int i = 0; i < 20; i++)
		x[i] = (float)i;
	put(&m, x, sizeof x);
	return m;
}

static int open_bytes(const char *data, size_t n, struct gguf *g)
{
	assert_ok(file_write(temporary_gguf(), data, n));
	return gguf_open(temporary_gguf(), g);
}

static void a_file_is_read_as_it_is_laid_out(void **state)
{
	(void)state;
	struct made               m = make();
	struct arena              a = {0};
	struct gguf               g;
	struct gguf_text         *texts;
	const struct gguf_value  *v;
	const struct gguf_tensor *t;
	const char               *name = NULL;
	float                     x[15];

	assert_ok(open_bytes(m.t.data, m.t.n, &g));
	assert_int_equal(g.n_values, 3);
	assert_ok(gguf_get_text(&g, "general.name", GGUF_REQUIRED, &a, &name));
	assert_string_equal(name, "a model");
	assert_ok(gguf_get_array(&g, "some.texts..", GGUF_REQUIRED, GGUF_TEXT, &v));
	assert_ok(gguf_texts(&g, v, &a, &texts));
	assert_int_equal(v->count, 2);
	assert_true(texts[1].n == 3 && !memcmp(texts[1].s, "two", 3));
	t = gguf_find_tensor(&g, "first");
	assert_true(t && t->n_sides == 2 && t->sides[0] == 3 && t->sides[1] == 5);
	assert_ok(gguf_read(&g, t, 4, x, 8));
	assert_true(x[0] == 1 && x[1] == 2);
	t = gguf_find_tensor(&g, "other");
	assert_ok(gguf_read(&g, t, 0, x, 16));
	assert_true(x[0] == 16 && x[3] == 19);
	assert_null(gguf_find_tensor(&g, "others"));
	assert_null(gguf_find(&g, "general"));
	gguf_close(&g);
	arena_free(&a);
	text_free(&m.t);
}

static void a_file_that_is_cut_anywhere_is_refused(void **state)
{
	(void)state;
	struct made m = make();
	struct gguf g;

	for (size_t n = 0; n < m.t.n; n++)
		assert_error(open_bytes(m.t.data, n, &g), ERR_INPUT, "cut off");
	text_free(&m.t);
}

static void a_field_that_is_bent_is_refused(void **state)
{
	(void)state;
	const uint64_t huge = UINT64_MAX, half = UINT64_C(1) << 63;
	const struct {
		enum field  field;
		size_t      bytes;
		uint64_t    value;
		const char *part;
	} cases[] = {
	        {MAGIC, 1, 'X', "begin with GGUF"},
	        {VERSION, 4, 1, "version 1 "},
	        {VERSION, 4, 4, "version 4 "},
	        {VERSION, 4, 0x03000000, "big-endian"},
	        {N_TENSORS, 8, huge, "cut off"},
	        {N_TENSORS, 8, 3, ""},
	        {N_VALUES, 8, huge, "cut off"},
	        {N_VALUES, 8, 4, ""},
	        {KEY_LENGTH, 8, huge, "a key"},
	        {KEY_LENGTH, 8, half, "a key"},
	        {KEY_LENGTH, 8, 0, "a key"},
	        {KEY, 1, 0, "NUL"},
	        {KIND, 4, 13, "its kind is 13"},
	        {TEXT_LENGTH, 8, huge, "general.name"},
	        {TEXT_LENGTH, 8, 1000, "general.name"},
	        {ELEMENT_KIND, 4, GGUF_ARRAY, "array of arrays"},
	        {ELEMENT_KIND, 4, 77, "some.texts.."},
	        {N_ELEMENTS, 8, huge, "elements of kind text"},
	        {N_ELEMENTS, 8, UINT64_C(1) << 61, "elements of kind text"},
	        {ELEMENT_LENGTH, 8, huge - 8, "one of its texts"},
	        {ALIGNMENT_VALUE, 4, 0, "general.alignment"},
	        {ALIGNMENT_VALUE, 4, 48, "no power of 2"},
	        {ALIGNMENT_VALUE, 4, 1u << 31, "general.alignment"},
	        {NAME_LENGTH, 8, 1000, "name"},
	        {NAME_LENGTH, 8, 0, "name"},
	        {N_SIDES, 4, 0, "0 sides"},
	        {N_SIDES, 4, 5, "5 sides"},
	        {SIDE_0, 8, 0, "side 0 is 0"},
	        {SIDE_1, 8, huge, "64 bits"},
	        {SIDE_1, 8, UINT64_C(1) << 61, "64 bits"},
	        {SIDE_0, 8, 4, "inside"},
	        {SIDE_1, 8, 1000, "cut off"},
	        {TYPE, 4, 2, "whole blocks of 32"},
	        {TYPE, 4, 4, "type, 4,"},
	        {TYPE, 4, 0xffffffff, "not known"},
	        {OFFSET, 8, 32, "alignment"},
	        {OFFSET, 8, 64, "beyond the end"},
	        {OFFSET, 8, huge - 63, "beyond the end"},
	        {SECOND_OFFSET, 8, 0, "inside"},
	        {SECOND_OFFSET, 8, 128, "beyond the end"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct made m = make();
		struct gguf g;
		memcpy(m.t.data + m.at[cases[i].field], &cases[i].value, cases[i].bytes);
		assert_error(open_bytes(m.t.data, m.t.n, &g), ERR_INPUT, cases[i].part);
		assert_non_null(strstr(error_message(), temporary_gguf()));
		text_free(&m.t);
	}
}

static void a_name_that_comes_twice_is_refused(void **state)
{
	(void)state;
	struct made m = make();
	struct gguf g;

	memcpy(m.t.data + m.at[SECOND_KEY], "general.name", 12);
	assert_error(open_bytes(m.t.data, m.t.n, &g), ERR_INPUT, "\"general.name\" comes twice");
	memcpy(m.t.data + m.at[SECOND_KEY], "some.texts..", 12);
	memcpy(m.t.data + m.at[SECOND_NAME], "first", 5);
	assert_error(open_bytes(m.t.data, m.t.n, &g), ERR_INPUT, "\"first\" comes twice");
	text_free(&m.t);
}

/* ---- values, written and read ---- */

static void write_values(void)
{
	struct gguf_out o = {0};
	struct file_out f;
	const int32_t   numbers[3] = {-1, 0, 7};
	const uint64_t  sides[2] = {32, 2};
	unsigned char   data[64] = {1, 2, 3};

	gguf_out_text(&o, "a.text", "x\0y", 3);
	gguf_out_u32(&o, "a.count", 4000000000u);
	gguf_out_f32(&o, "a.rate", 1e-5f);
	gguf_out_bool(&o, "a.switch", 1);
	gguf_out_array(&o, "a.list", GGUF_I32, 3);
	gguf_out_element(&o, numbers, sizeof numbers);
	gguf_out_array(&o, "a.words", GGUF_TEXT, 1);
	gguf_out_element_text(&o, "word", 4);
	gguf_out_tensor(&o, "t", 24, 2, sides);
	assert_ok(file_begin(temporary_gguf(), &f));
	assert_ok(gguf_out_head(&o, &f));
	assert_ok(file_add(&f, data, sizeof data));
	assert_ok(file_finish(&f, gguf_out_pad(&f, sizeof data)));
	gguf_out_free(&o);
}

static void what_is_written_is_read_again(void **state)
{
	(void)state;
	struct arena             a = {0};
	struct gguf              g;
	const struct gguf_value *v;
	const char              *text = NULL;
	unsigned char            data[64];
	int64_t                  n = 0;
	double                   x = 0;
	int                      on = 0;

	write_values();
	assert_ok(gguf_open(temporary_gguf(), &g));
	assert_ok(gguf_get_int(&g, "a.count", GGUF_REQUIRED, 0, INT64_MAX, &n));
	assert_int_equal(n, 4000000000);
	assert_ok(gguf_get_real(&g, "a.rate", GGUF_REQUIRED, &x));
	assert_true(x == 1e-5);
	assert_ok(gguf_get_bool(&g, "a.switch", GGUF_REQUIRED, &on));
	assert_int_equal(on, 1);
	assert_ok(gguf_get_array(&g, "a.list", GGUF_REQUIRED, GGUF_I32, &v));
	assert_true(gguf_whole(&g, v, 0) == -1 && gguf_whole(&g, v, 2) == 7);
	assert_ok(gguf_read(&g, gguf_find_tensor(&g, "t"), 0, data, 64));
	assert_true(data[0] == 1 && data[2] == 3 && data[63] == 0);

	assert_error(gguf_get_text(&g, "a.text", 1, &a, &text), ERR_INPUT, "NUL");
	assert_error(gguf_get_text(&g, "a.rate", 1, &a, &text), ERR_INPUT, "kind f32");
	assert_error(gguf_get_int(&g, "a.count", 1, 0, 10, &n), ERR_INPUT, "between 0 and 10");
	assert_error(gguf_get_int(&g, "a.list", 1, 0, 10, &n), ERR_INPUT, "is an array");
	assert_error(gguf_get_int(&g, "b", 1, 0, 10, &n), ERR_INPUT, "\"b\" is missing");
	assert_ok(gguf_get_int(&g, "b", GGUF_OPTIONAL, 0, 10, &n));
	assert_error(gguf_get_bool(&g, "a.count", 1, &on), ERR_INPUT, "true or false");
	assert_error(gguf_get_array(&g, "a.words", 1, GGUF_I32, &v), ERR_INPUT, "holds text");
	gguf_close(&g);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        TEST(every_type_has_the_numbers_of_the_reference),
	        TEST(numbers_that_a_type_cannot_hold_are_refused),
	        TEST(types_that_are_not_read_are_refused_by_name),
	        TEST(a_file_is_read_as_it_is_laid_out),
	        TEST(a_file_that_is_cut_anywhere_is_refused),
	        TEST(a_field_that_is_bent_is_refused),
	        TEST(a_name_that_comes_twice_is_refused),
	        TEST(what_is_written_is_read_again),
	};
	return cmocka_run_group_tests(tests, NULL, temporary_gguf_remove);
}
