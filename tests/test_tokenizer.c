#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "test.h"
#include "text/tokenizer.h"
#include "text/tokenizer_parts.h"

#include <unistd.h>
#include <utf8proc.h>

#define DATA "tests/data/tokenizers/"

static struct tokenizer *load(const char *path)
{
	struct tokenizer *t;

	assert_ok(tokenizer_load(path, &t));
	return t;
}

/* ---- published encodings ---- */

static void assert_ids(const char *place, const struct ids *got, const json_t *want)
{
	int same = got->n == json_array_size(want);

	for (size_t i = 0; same && i < got->n; i++)
		same = got->id[i] == json_integer_value(json_array_get(want, i));
	if (!same)
		fail_msg("%s: %zu ids, expected %zu, or they differ", place, got->n,
		         json_array_size(want));
}

static void assert_text(const char *place, const struct text *got, const json_t *want)
{
	if (got->n != json_string_length(want) ||
	    (got->n && memcmp(got->data, json_string_value(want), got->n) != 0))
		fail_msg("%s: decoded \"%.*s\", expected \"%s\"", place, (int)got->n,
		         got->data ? got->data : "", json_string_value(want));
}

static void check_decoding(const struct tokenizer *t, const char *place, const struct ids *ids,
                           int skip, const json_t *want)
{
	struct text text = {0};

	assert_ok(tokenizer_decode(t, ids->id, ids->n, skip, &text));
	assert_text(place, &text, want);
	text_free(&text);
}

/* What is absent means: the same as the field before it, but only in rows of the library itself. */
static void check_row(const struct tokenizer *t, const char *place, const json_t *row)
{
	const json_t *text = json_object_get(row, "text"),
	             *with = json_object_get(row, "ids_with_special");
	const json_t *decoded = json_object_get(row, "decoded"),
	             *skipped = json_object_get(row, "decoded_skip_special");
	const char *source = json_string_value(json_object_get(row, "source"));
	int         complete = !source || !strncmp(source, "hf-", 3);
	struct ids  ids = {0}, special = {0};

	assert_ok(tokenizer_encode(t, json_string_value(text), json_string_length(text), 0, &ids));
	assert_ids(place, &ids, json_object_get(row, "ids"));
	assert_ok(tokenizer_encode(t, json_string_value(text), json_string_length(text), 1,
	                           &special));
	if (with || complete)
		assert_ids(place, &special, with ? with : json_object_get(row, "ids"));
	if (decoded || complete)
		check_decoding(t, place, &ids, 0, decoded ? decoded : text);
	if (skipped || complete)
		check_decoding(t, place, &ids, 1, skipped ? skipped : decoded ? decoded : text);
	ids_free(&ids);
	ids_free(&special);
}

typedef void (*row_check)(const struct tokenizer *, const char *place, const json_t *row);

static size_t for_each_row(const struct tokenizer *t, const char *path, row_check check)
{
	struct lines *in;
	const char   *line;
	char          place[4200];
	size_t        n, count = 0;

	assert_ok(lines_open(path, 1 << 22, &in));
	for (;; count++) {
		json_t *row;
		assert_ok(lines_next(in, &line, &n));
		if (!line)
			break;
		snprintf(place, sizeof place, "%s:%zu", path, lines_number(in));
		assert_ok(json_parse(place, line, n, &row));
		check(t, place, row);
		json_decref(row);
	}
	lines_close(in);
	return count;
}

static void check_vectors(const char *tokenizer, const char *vectors, size_t n_rows)
{
	struct tokenizer *t = load(tokenizer);

	assert_int_equal(for_each_row(t, vectors, check_row), n_rows);
	tokenizer_free(t);
}

static void published_encodings_and_decodings_come_out(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t      rows;
	} sets[] = {
	        {"gpt2", 865},
	        {"qwen2.5", 842},
	        {"minipile-4096", 795},
	        {"plain", 266},
	        {"digits-alone", 266},
	        {"nfc-split-qwen", 266},
	        {"split-llama-ignore-merges", 266},
	        {"split-deepseek", 266},
	        {"prefix-space", 266},
	        {"strip-added", 266},
	        {"bos-eos-template", 266},
	        {"split-removed", 266},
	        {"split-inverted", 266},
	        {"falcon-stages", 217},
	        {"added-normalized", 215},
	        {"unigram", 218},
	        {"unigram-ties", 214},
	};
	char json[200], vectors[200];

	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
		snprintf(json, sizeof json, DATA "%s.json.gz", sets[i].name);
		snprintf(vectors, sizeof vectors, DATA "%s.vectors.jsonl.gz", sets[i].name);
		check_vectors(json, vectors, sets[i].rows);
	}
}

/* The licence of Llama 3's vocabulary does not let it travel with this tree. */
static void llama3_comes_out_where_its_files_are(void **state)
{
	(void)state;
	const char *shared = getenv("HONE_SHARED");
	char        json[4096], vectors[4096];

	if (!shared)
		skip();
	snprintf(json, sizeof json, "%s/data/tokenizers/llama3/tokenizer.json.gz", shared);
	snprintf(vectors, sizeof vectors, "%s/data/tokenizer-vectors/llama3.jsonl.gz", shared);
	check_vectors(json, vectors, 858);
}

/* Tokenizers of a few letters, one for each rule that published vocabularies do not show; ids from
 * the library. */
static void check_small_case(const struct tokenizer *unused, const char *place, const json_t *row)
{
	const char       *text = json_string_value(json_object_get(row, "text"));
	char             *json = json_dumps(json_object_get(row, "tokenizer"), 0), path[64];
	struct ids        ids = {0};
	struct tokenizer *t;

	(void)unused;
	snprintf(path, sizeof path, "/tmp/hone-test-%d-tokenizer.json", (int)getpid());
	assert_ok(file_write(path, json, strlen(json)));
	t = load(path);
	assert_ok(tokenizer_encode(t, text, strlen(text), 1, &ids));
	assert_ids(place, &ids, json_object_get(row, "ids"));
	ids_free(&ids);
	tokenizer_free(t);
	unlink(path);
	free(json);
}

static void small_tokenizers_show_each_rule(void **state)
{
	(void)state;
	assert_int_equal(for_each_row(NULL, DATA "small-cases.jsonl", check_small_case), 30);
}

static void punctuation_is_that_of_the_library(void **state)
{
	(void)state;
	int n = 0;

	for (int32_t c = 0; c < 0x110000; c++)
		n += unicode_is_punctuation(c);
	assert_int_equal(n, 726); /* counted with Punctuation of version 0.23.3 */
	assert_true(unicode_is_punctuation('$') && unicode_is_punctuation(0x3002) &&
	            !unicode_is_punctuation('a'));
	assert_false(unicode_is_punctuation(0x2E5D)); /* a dash of Unicode 14 */
}

/* Without an unknown token the library refuses a text, and so do we; nothing is left in the ids. */
static void a_unigram_model_without_an_unknown_token_refuses_what_it_cannot_write(void **state)
{
	(void)state;
	const char        json[] = "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1]]}}";
	char              path[64];
	struct ids        ids = {0};
	struct tokenizer *t;

	snprintf(path, sizeof path, "/tmp/hone-test-%d-unigram.json", (int)getpid());
	assert_ok(file_write(path, json, strlen(json)));
	t = load(path);
	assert_ok(tokenizer_encode(t, "aa", 2, 0, &ids));
	assert_int_equal(ids.n, 2);
	assert_error(tokenizer_encode(t, "ab", 2, 0, &ids), ERR_INPUT, "no token for \"b\"");
	assert_int_equal(ids.n, 2);
	ids_free(&ids);
	tokenizer_free(t);
	unlink(path);
}

/* ---- the sentencepiece kind ---- */

static void check_story(const struct tokenizer *t, const char *place, const json_t *row)
{
	const json_t *text = json_object_get(row, "text");
	struct ids    ids = {0};

	assert_ok(tokenizer_encode(t, json_string_value(text), json_string_length(text), 1, &ids));
	assert_ids(place, &ids, json_object_get(row, "ids"));
	check_decoding(t, place, &ids, 1, text);
	ids_free(&ids);
}

static void check_piece(const struct tokenizer *t, const char *place, const json_t *row)
{
	const char *hex = json_string_value(json_object_get(row, "bytes"));
	int         id = (int)json_integer_value(json_object_get(row, "id"));
	size_t      n;
	const char *piece = tokenizer_piece(t, id, &n);

	if (tokenizer_is_special(t, id))
		return;
	if (2 * n != strlen(hex))
		fail_msg("%s: a piece of %zu bytes, expected %s", place, n, hex);
	for (size_t i = 0; i < n; i++) {
		char two[3];
		snprintf(two, sizeof two, "%02x", (unsigned char)piece[i]);
		assert_memory_equal(two, hex + 2 * i, 2);
	}
}

static void stories260k_encodes_decodes_and_has_the_pieces_of_its_original(void **state)
{
	(void)state;
	struct tokenizer *t = load(DATA "stories260k");

	assert_int_equal(tokenizer_size(t), 512);
	assert_true(for_each_row(t, DATA "stories260k.vectors.jsonl.gz", check_story) > 100);
	assert_int_equal(for_each_row(t, DATA "stories260k.pieces.jsonl.gz", check_piece), 512);
	assert_int_equal(tokenizer_role(t, "bos"), 1);
	assert_int_equal(tokenizer_role(t, "eos"), 2);
	assert_int_equal(tokenizer_role(t, "pad"), -1);
	tokenizer_free(t);
}

/* ---- character vocabularies ---- */

static void assert_encodes(const struct tokenizer *t, const char *text, const int *want, size_t n)
{
	struct ids ids = {0};

	assert_ok(tokenizer_encode(t, text, strlen(text), 0, &ids));
	assert_int_equal(ids.n, n);
	assert_memory_equal(ids.id, want, n * sizeof *want);
	ids_free(&ids);
}

static const struct tokenizer_special specials[] = {
        {"pad", "<pad>"}, {"bos", "<bos>"}, {"eos", "<eos>"}, {"unk", "<unk>"}};

static struct tokenizer *make_chars(const char *alphabet)
{
	struct tokenizer *t;

	assert_ok(tokenizer_chars(alphabet, specials, 4, &t));
	return t;
}

static void a_character_vocabulary_numbers_specials_and_then_characters(void **state)
{
	(void)state;
	struct tokenizer *t = make_chars("0123456789+= \n\"\\é");
	int               want[] = {5, 14, 6, 16, 17, 19, 18, 20, 3, 3, 2};

	assert_int_equal(tokenizer_size(t), 21);
	assert_encodes(t, "1+2 \n\\\"é?x<eos>", want, 11);
	assert_int_equal(tokenizer_role(t, "eos"), 2);
	assert_int_equal(tokenizer_id(t, "+"), 14);
	assert_int_equal(tokenizer_id(t, "?"), -1);
	assert_true(tokenizer_is_special(t, 3) && !tokenizer_is_special(t, 4));
	tokenizer_free(t);
}

static char *temporary_folder(void)
{
	static char path[64];

	snprintf(path, sizeof path, "/tmp/hone-test-XXXXXX");
	assert_non_null(mkdtemp(path));
	return path;
}

static void a_saved_tokenizer_loads_as_the_same_one(void **state)
{
	(void)state;
	const char       *folder = temporary_folder();
	struct tokenizer *made = make_chars("ab \n"), *again;
	int               want[] = {4, 5, 6, 7, 3, 0};
	struct text       back = {0};

	assert_ok(tokenizer_save(made, folder));
	again = load(folder);
	assert_encodes(again, "ab \nc<pad>", want, 6);
	assert_int_equal(tokenizer_role(again, "unk"), 3);
	assert_ok(tokenizer_decode(again, want, 6, 1, &back));
	assert_string_equal(back.data, "ab \n");
	text_free(&back);
	tokenizer_free(made);
	tokenizer_free(again);
	assert_ok(file_remove_folder(folder));
}

static void digit_completion_is_made_from_its_char_ords(void **state)
{
	(void)state;
	const char       *folder = temporary_folder();
	struct tokenizer *t = load(DATA "digit-completion"), *again;
	int               want[] = {7, 14, 7, 15, 13, 14, 10, 0};

	assert_encodes(t, "3,3:9,6S", want, 8);
	assert_int_equal(tokenizer_size(t), 16);
	assert_int_equal(tokenizer_role(t, "sep"), 0);
	assert_int_equal(tokenizer_role(t, "eos"), 1);
	assert_ok(tokenizer_save(t, folder));
	again = load(folder);
	assert_encodes(again, "3,3:9,6S", want, 8);
	assert_non_null(json_object_get(tokenizer_config(again), "chat_template"));
	tokenizer_free(t);
	tokenizer_free(again);
	assert_ok(file_remove_folder(folder));
}

static void an_alphabet_with_a_character_twice_is_refused(void **state)
{
	(void)state;
	struct tokenizer *t;

	assert_error(tokenizer_chars("abca", specials, 4, &t), ERR_INPUT, "duplicate");
	assert_error(tokenizer_chars("ab\xff", specials, 4, &t), ERR_INPUT, "UTF-8");
	assert_error(tokenizer_chars("ab", (struct tokenizer_special[]){{"end", "<e>"}}, 1, &t),
	             ERR_INPUT, "\"end\"");
}

/* ---- any bytes ---- */

static const char *const byte_level[] = {
        DATA "gpt2.json.gz", DATA "split-llama-ignore-merges.json.gz",
        DATA "split-deepseek.json.gz", DATA "digits-alone.json.gz", DATA "stories260k"};

static void round_trip(const struct tokenizer *t, const char *text, size_t n)
{
	struct ids  ids = {0};
	struct text back = {0};

	assert_ok(tokenizer_encode(t, text, n, 0, &ids));
	assert_ok(tokenizer_decode(t, ids.id, ids.n, 0, &back));
	assert_int_equal(back.n, n);
	assert_memory_equal(back.data, text, n);
	ids_free(&ids);
	text_free(&back);
}

/* Well-formed, with many of the characters that patterns look at. The blocks have not changed for
 * many versions of Unicode, so that utf8proc and PCRE2 agree on them. */
static size_t random_text(uint32_t seed, char *out, int n_chars)
{
	static const char *const some[] = {" ",  "  ",  "\n",        "\r\n",        "\t", "'",
	                                   "'s", "'LL", "'\xC5\xBF", "a",           "Z",  "7",
	                                   "!",  "<|",  "\xC2\x85",  "\xE2\x80\xA8"};
	static const int  blocks[][2] = {{1, 0x36F},         {0x400, 0x4FF},    {0x5D0, 0x669},
	                                 {0x900, 0x94F},     {0x2000, 0x2064},  {0x2150, 0x2188},
	                                 {0x4E00, 0x9FA5},   {0xAC00, 0xD7A3},  {0x1F300, 0x1F5FF},
	                                 {0x1D7CE, 0x1D7FF}, {0x20000, 0x2A6D6}};
	struct rng_stream s = {.key = {.seed = seed, .purpose = RNG_TEST}};
	size_t            n = 0;

	for (int i = 0; i < n_chars; i++) {
		uint32_t   k = rng_next_below(&s, 32);
		const int *block = blocks[rng_next_below(&s, sizeof blocks / sizeof *blocks)];
		if (k < sizeof some / sizeof *some)
			n += (size_t)sprintf(out + n, "%s", some[k]);
		else
			n += (size_t)utf8proc_encode_char(
			        (int32_t)rng_next_between(&s, block[0], block[1]),
			        (utf8proc_uint8_t *)out + n);
	}
	return n;
}

static void every_text_survives_a_round_trip(void **state)
{
	(void)state;
	char text[1200];

	for (size_t i = 0; i < sizeof byte_level / sizeof *byte_level; i++) {
		struct tokenizer *t = load(byte_level[i]);
		for (uint32_t seed = 0; seed < 300; seed++)
			round_trip(t, text, random_text(seed, text, 1 + (int)seed));
		round_trip(t, "", 0);
		round_trip(t, "a\0b", 3);
		tokenizer_free(t);
	}
}

static void check_repair(const struct tokenizer *t, const char *place, const json_t *row)
{
	const char *hex = json_string_value(json_object_get(row, "hex")),
	           *want = json_string_value(json_object_get(row, "replaced_hex"));
	size_t       n = strlen(hex) / 2;
	char        *raw = malloc(n + 1), got[4096] = "";
	struct slice out;
	struct arena a = {0};

	(void)t;
	for (size_t i = 0; i < n; i++)
		raw[i] = (char)strtol((char[]){hex[2 * i], hex[2 * i + 1], 0}, NULL, 16);
	assert_ok(utf8_repair((struct slice){raw, n}, &a, &out));
	for (size_t i = 0; i < out.n && 2 * i + 3 < sizeof got; i++)
		sprintf(got + 2 * i, "%02x", (unsigned char)out.s[i]);
	if (strcmp(got, want) != 0)
		fail_msg("%s: %s became %s, expected %s", place, hex, got, want);
	arena_free(&a);
	free(raw);
}

static void each_ill_formed_part_of_a_text_becomes_one_replacement_character(void **state)
{
	(void)state;
	assert_int_equal(for_each_row(NULL, DATA "utf8-cases.jsonl.gz", check_repair), 492);
}

static void random_bytes_encode_like_their_repaired_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof byte_level / sizeof *byte_level; i++) {
		struct tokenizer *t = load(byte_level[i]);
		for (uint32_t seed = 0; seed < 200; seed++) {
			struct rng_stream s = {.key = {.seed = seed, .purpose = RNG_TEST}};
			size_t            n = rng_next_below(&s, 200);
			/* exact size: ASan sees a read behind it */
			char       *text = malloc(n + 1);
			struct ids  ids = {0}, again = {0};
			struct text back = {0};
			for (size_t k = 0; k < n; k++)
				text[k] = (char)rng_next_below(&s, 256);
			assert_ok(tokenizer_encode(t, text, n, 1, &ids));
			ids.n = 0;
			assert_ok(tokenizer_encode(t, text, n, 0, &ids));
			assert_ok(tokenizer_decode(t, ids.id, ids.n, 0, &back));
			assert_ok(
			        tokenizer_encode(t, back.data ? back.data : "", back.n, 0, &again));
			assert_int_equal(again.n, ids.n);
			assert_true(!ids.n || !memcmp(again.id, ids.id, ids.n * sizeof *ids.id));
			text_free(&back);
			ids_free(&ids);
			ids_free(&again);
			free(text);
		}
		tokenizer_free(t);
	}
}

static void ids_that_no_token_has_decode_to_nothing(void **state)
{
	(void)state;
	struct tokenizer *t = load(DATA "plain.json.gz");
	int         ids[] = {-1, tokenizer_id(t, "a"), tokenizer_size(t), INT32_MAX, INT32_MIN};
	struct text back = {0};
	size_t      n = 7;

	assert_ok(tokenizer_decode(t, ids, 5, 0, &back));
	assert_string_equal(back.data, "a");
	assert_null(tokenizer_piece(t, -1, &n));
	assert_int_equal(n, 0);
	assert_null(tokenizer_piece(t, tokenizer_size(t), &n));
	assert_false(tokenizer_is_special(t, INT32_MAX));
	text_free(&back);
	tokenizer_free(t);
}

/* ---- own scanners against the patterns that they stand for ---- */

static void assert_same_words(const struct splitter *own, const struct splitter *pattern,
                              const char *text, size_t n)
{
	struct arena      a = {0};
	struct split_work w = {.memory = &a};
	struct pieces     x = {0}, y = {0};

	assert_ok(splitter_apply(own, &w, (struct slice){text, n}, &x));
	assert_ok(splitter_apply(pattern, &w, (struct slice){text, n}, &y));
	assert_int_equal(x.n, y.n);
	for (size_t i = 0; i < x.n; i++) {
		assert_ptr_equal(x.at[i].text.s, y.at[i].text.s);
		assert_int_equal(x.at[i].text.n, y.at[i].text.n);
	}
	pieces_free(&x);
	pieces_free(&y);
	split_work_free(&w);
	arena_free(&a);
}

static void own_scanners_cut_where_their_patterns_do(void **state)
{
	(void)state;
	static const char *const patterns[] = {
	        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| "
	        "?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
	        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
	        "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
	        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
	        "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
	};
	char text[4000];

	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
		struct splitter own = {0}, pattern = {.run = split_pattern};
		assert_ok(splitter_compile("own", slice_of(patterns[i]), &own));
		assert_ptr_not_equal(own.run, split_pattern);
		assert_ok(pattern_compile("pattern", slice_of(patterns[i]), &pattern.code));
		for (uint32_t seed = 0; seed < 300; seed++)
			assert_same_words(&own, &pattern, text, random_text(seed, text, 600));
		pcre2_code_free(pattern.code);
	}
}

/* Counted in the library, over all of them. A letter that a newer utf8proc has in addition is not
 * one for the library. */
static void characters_have_the_classes_of_unicode_16(void **state)
{
	(void)state;
	size_t count[4] = {0};

	if (strcmp(utf8proc_unicode_version(), "16.0.0") > 0)
		skip();
	for (int32_t c = 0; c < 0x110000; c++)
		count[char_class_of(c)]++;
	assert_int_equal(count[CHAR_LETTER], 141028);
	assert_int_equal(count[CHAR_NUMBER], 1911);
	assert_int_equal(count[CHAR_SPACE], 25);
}

static size_t count_matches(const char *pattern)
{
	struct splitter   s = {.run = split_pattern};
	struct arena      a = {0};
	struct split_work w = {.memory = &a};
	struct pieces     words = {0};
	static char       all[5 << 20];
	size_t            n = 0, count = 0;

	for (int32_t c = 0; c < 0x110000; c++)
		if (c < 0xD800 || c >= 0xE000)
			n += (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)all + n);
	assert_ok(pattern_compile("pattern", slice_of(pattern), &s.code));
	assert_ok(splitter_apply(&s, &w, (struct slice){all, n}, &words));
	for (size_t i = 0; i < words.n; i++)
		count += (size_t)words.at[i].mark;
	pieces_free(&words);
	pcre2_code_free(s.code);
	split_work_free(&w);
	arena_free(&a);
	return count;
}

static void properties_in_patterns_are_those_of_unicode_16(void **state)
{
	(void)state;
	static const struct {
		const char *pattern;
		size_t      count; /* in the library */
	} properties[] = {
	        {"\\p{L}", 141028},
	        {"\\P{L}", 1112064 - 141028},
	        {"[\\p{L}]", 141028},
	        {"[^\\p{L}]", 1112064 - 141028},
	        {"\\p{M}", 2501},
	        {"\\p{N}", 1911},
	        {"\\p{P}", 855},
	        {"\\p{S}", 8514},
	        {"\\p{Z}", 19},
	        {"\\p{Lu}", 1858},
	        {"\\p{Lm}", 404},
	        {"\\p{Lo}", 136477},
	        {"\\p{Nd}", 760},
	        {"\\d", 760},
	        {"\\s", 25},
	        {"\\w", 144671},
	        {"\\W", 1112064 - 144671},
	        {"[\\w]", 144671},
	};

	for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
		if (count_matches(properties[i].pattern) != properties[i].count)
			fail_msg("%s matches %zu characters, expected %zu", properties[i].pattern,
			         count_matches(properties[i].pattern), properties[i].count);
}

static void patterns_that_two_engines_may_read_differently_are_refused(void **state)
{
	(void)state;
	static const char *const refused[] = {
	        "^a",    "a$",    "[a[b]]", "[a&&b]", "[^\\S]",        "\\h",    "\\bx",
	        "a{2}+", "a{,3}", "(?m:a)", "(?i)a",  "(*UTF)a",       "(a)\\1", "\\k<a>",
	        "",      "(",     "[a",     "\\",     "\\p{Nonsense}", "a\\"};
	pcre2_code *code;

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		assert_error(pattern_compile("here", slice_of(refused[i]), &code), ERR_INPUT,
		             "here");
		assert_null(code);
	}
}

/* ---- normal forms ---- */

static void check_normal_form(const char *in, const char *nfc)
{
	struct normalizer form = {.run = normalize_form, .compose = 1};
	struct arena      a = {0};
	struct slice      out;

	assert_ok(normalize_form(&form, slice_of(in), &a, &out));
	if (out.n != strlen(nfc) || memcmp(out.s, nfc, out.n) != 0)
		fail_msg("NFC of %s is %.*s, expected %s", in, (int)out.n, out.s, nfc);
	arena_free(&a);
}

static void marks_are_ordered_and_composed(void **state)
{
	(void)state;
	check_normal_form("plain", "plain");
	check_normal_form("e\xCC\x81", "\xC3\xA9");
	/* dot below goes first: U+1EA1 U+0301 */
	check_normal_form("a\xCC\x81\xCC\xA3", "\xE1\xBA\xA1\xCC\x81");
	check_normal_form("\xE2\x84\xAB", "\xC3\x85"); /* Angstrom sign */
	check_normal_form("\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", "\xED\x95\x9C");
	/* excluded from composition */
	check_normal_form("\xE0\xBD\xB3", "\xE0\xBD\xB1\xE0\xBD\xB2");
	/* U+1ACC is newer than the library's tables */
	check_normal_form("u\xE1\xAB\x8C\xCC\xB7\xCC\x81", "u\xE1\xAB\x8C\xCC\xB7\xCC\x81");
	/* and so is what these two would make */
	check_normal_form("\xF0\x91\xA4\xB5\xF0\x91\xA4\xB0", "\xF0\x91\xA4\xB5\xF0\x91\xA4\xB0");
}

static void from_hex(const char **at, char *out)
{
	size_t n = 0;

	while (**at && **at != ';') {
		char *end;
		n += (size_t)utf8proc_encode_char((int32_t)strtol(*at, &end, 16),
		                                  (utf8proc_uint8_t *)out + n);
		*at = *end == ' ' ? end + 1 : end;
	}
	out[n] = 0;
	*at += **at == ';';
}

/* For the library they are as if unassigned. */
static int has_inert(const char *s)
{
	int32_t c;
	int     found = 0;

	for (size_t n = strlen(s), length; n && !found; s += length, n -= length) {
		length = utf8_take(s, n, &c);
		found = unicode_is_inert(c);
	}
	return found;
}

/* Every line of Unicode's own test but those with characters newer than the library's, where the
 * file is at hand. */
static void the_normalization_test_of_unicode_passes(void **state)
{
	(void)state;
	const char   *shared = getenv("HONE_SHARED"), *line;
	char          path[4096];
	struct lines *in;
	size_t        n, count = 0, newer = 0;

	if (!shared)
		skip();
	snprintf(path, sizeof path, "%s/data/malformed/utf8/NormalizationTest.txt.gz", shared);
	assert_ok(lines_open(path, 1 << 16, &in));
	while (lines_next(in, &line, &n) == OK && line) {
		char source[400], composed[400];
		if (*line == '#' || *line == '@' || !*line)
			continue;
		from_hex(&line, source);
		from_hex(&line, composed);
		if (has_inert(source))
			newer++;
		else
			check_normal_form(source, composed);
		count++;
	}
	lines_close(in);
	assert_int_equal(count, 18992); /* of Unicode 14 */
	assert_int_equal(newer, 704);
}

/* ---- hostile files ---- */

#define TOKEN(id, content) \
	"{\"id\":" id ",\"content\":\"" content \
	"\",\"special\":true,\"normalized\":false,\"single_word\":false,\"lstrip\":false," \
	"\"rstrip\":false}"
#define MODEL(more) \
	"\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a " \
	"b\"]" more "}"

static const struct {
	const char *json, *message;
} hostile[] = {
        {"", "not valid JSON"},
        {"[]", "\"model\""},
        {"{\"model\":{}}", "\"vocab\""},
        {"{\"model\":{\"vocab\":[]}}", "\"vocab\""},
        {"{\"model\":{\"vocab\":{\"a\":0}}}", "\"merges\""},
        {"{\"model\":{\"vocab\":{\"a\":-1},\"merges\":[]}}", "\"a\""},
        {"{\"model\":{\"vocab\":{\"a\":1.0},\"merges\":[]}}", "\"a\""},
        {"{\"model\":{\"vocab\":{\"a\":4194304},\"merges\":[]}}", "\"a\""},
        {"{\"model\":{\"vocab\":{\"a\":99999999999999999999},\"merges\":[]}}",
         "must be an integer from 0"},
        {"{\"model\":{\"vocab\":{\"a\":4194303},\"merges\":[]}}",
         "an id is 4194303, but there are only 1 tokens"},
        {"{\"model\":{\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", "\"b\" has the id 0"},
        {"{\"model\":{\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}}", "duplicate"},
        {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[7]}}", "merges[0]"},
        {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", "merges[0]"},
        {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a a a\"]}}", "merges[0]"},
        {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}}", "merges[0]"},
        {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a z\"]}}",
         "\"z\" is not in the vocabulary"},
        {"{\"model\":{\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}}",
         "\"aa\" is not in the vocabulary"},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}",
         "\"WordPiece\" is not supported as a model; BPE and Unigram are"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":{}}}", "\"vocab\" must be an array"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":[],\"merges\":[]}}",
         "\"vocab\" must be an object"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "\"unk_id\""},
        {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":[[\"a\",0]]}}", "\"unk_id\""},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",0],[\"b\"]]}}", "model.vocab[1]"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[1,0]]}}", "model.vocab[0]"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",\"0\"]]}}", "model.vocab[0]"},
        {"{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"Punctuation\",\"behavior\":\"Never\"}}",
         "\"Never\""},
        {"{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
                       "\"ByteLevel\",\"add_prefix_space\":false},"
                       "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}]}}",
         "a second ByteLevel"},
        {"{" MODEL(",\"dropout\":0.1") "}", "\"dropout\" is not supported"},
        {"{" MODEL(",\"end_of_word_suffix\":\"</w>\"") "}",
         "\"end_of_word_suffix\" is not supported"},
        {"{" MODEL(",\"unk_token\":\"?\"") "}", "\"?\" is not in the vocabulary"},
        {"{" MODEL(",\"fuse_unk\":1") "}", "\"fuse_unk\" must be true or false"},
        {"{" MODEL("") ",\"added_tokens\":{}}", "\"added_tokens\" must be an array"},
        {"{" MODEL("") ",\"added_tokens\":[1]}", "added_tokens[0]"},
        {"{" MODEL("") ",\"added_tokens\":[" TOKEN("3", "") "]}", "\"content\" is empty"},
        {"{" MODEL("") ",\"added_tokens\":[" TOKEN("9", "x") "]}", "would give it 3"},
        {"{" MODEL("") ",\"added_tokens\":[" TOKEN("1", "a") "]}", "would give it 0"},
        {"{" MODEL("") ",\"added_tokens\":[" TOKEN("3", "x") "," TOKEN("3", "x") "]}",
         "occurs twice"},
        {"{" MODEL("") ",\"normalizer\":{\"type\":\"Lowercase\"}}",
         "\"Lowercase\" is not supported as a normalizer"},
        {"{" MODEL("") ",\"normalizer\":7}", "normalizer"},
        {"{" MODEL("") ",\"normalizer\":{\"type\":\"Sequence\"}}",
         "\"normalizers\" must be an array"},
        {"{" MODEL("") ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
                       "\"Sequence\"}]}}",
         "normalizer.normalizers[0]"},
        {"{" MODEL("") ",\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\"\"},"
                       "\"content\":\"a\"}}",
         "the pattern is empty"},
        {"{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"Whitespace\"}}",
         "\"Whitespace\" is not supported as a pre_tokenizer"},
        {"{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"Metaspace\"}}", "\"replacement\""},
        {"{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"__\"}}",
         "one character"},
        {"{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_"
                       "scheme\":\"last\"}}",
         "\"last\" is not a known prepend_scheme"},
        {"{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Isolated\","
                       "\"pattern\":{\"Regex\":\"(\"}}}",
         "pattern \"(\""},
        {"{" MODEL("") ",\"pre_tokenizer\":{\"type\":\"Split\",\"behavior\":\"Never\",\"pattern\":{"
                       "\"String\":\"a\"}}}",
         "\"Never\""},
        {"{" MODEL("") ",\"decoder\":{\"type\":\"WordPiece\"}}",
         "\"WordPiece\" is not supported as a decoder"},
        {"{" MODEL(
                 "") ",\"decoder\":{\"type\":\"Strip\",\"content\":\"ab\",\"start\":0,\"stop\":0}}",
         "one character"},
        {"{" MODEL("") ",\"post_processor\":{\"type\":\"RobertaProcessing\"}}",
         "\"RobertaProcessing\" is not supported as a post_processor"},
        {"{" MODEL("") ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[],"
                       "\"special_tokens\":{}}}",
         "the sequence A"},
        {"{" MODEL("") ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{"
                       "\"SpecialToken\":{\"id\":\"x\"}}],\"special_"
                       "tokens\":{\"x\":{\"ids\":[3]}}}}",
         "an id that no token has"},
};

static void a_bad_file_is_refused_with_its_name_and_the_place(void **state)
{
	(void)state;
	const char       *folder = temporary_folder();
	struct arena      a = {0};
	const char       *path;
	struct tokenizer *t;

	assert_ok(file_path(&a, folder, "tokenizer.json", &path));
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		assert_ok(file_write(path, hostile[i].json, strlen(hostile[i].json)));
		assert_error(tokenizer_load(path, &t), ERR_INPUT, hostile[i].message);
		assert_non_null(strstr(error_message(), "tokenizer.json"));
		assert_null(t);
	}
	assert_ok(file_remove_folder(folder));
	assert_error(tokenizer_load(folder, &t), ERR_INPUT, folder);
	arena_free(&a);
}

static void a_file_cut_off_anywhere_is_refused(void **state)
{
	(void)state;
	const char       *folder = temporary_folder();
	struct arena      a = {0};
	const char       *path;
	struct tokenizer *t;
	struct bytes      whole;

	assert_ok(file_path(&a, folder, "tokenizer.json", &path));
	assert_ok(file_read(DATA "stories260k/tokenizer.json", 1 << 20, &whole));
	for (size_t n = 0; n + 2 < whole.n; n += 397) {
		assert_ok(file_write(path, whole.data, n));
		assert_error(tokenizer_load(path, &t), ERR_INPUT, path);
	}
	bytes_free(&whole);
	assert_ok(file_read(DATA "plain.json.gz", 1 << 20, &whole));
	assert_ok(file_write(path, whole.data, whole.n / 2));
	assert_error(tokenizer_load(path, &t), ERR_INPUT, "cut off");
	bytes_free(&whole);
	assert_ok(file_remove_folder(folder));
	arena_free(&a);
}

/* Each allocation fails once; ASan sees to it that nothing leaks. */
static void failing_allocations_are_errors_and_leak_nothing(void **state)
{
	(void)state;
	struct tokenizer *t = NULL, *good = load(DATA "stories260k");
	struct ids        ids = {0};
	int               loads = 0, encodings = 0;

	for (long n = 1; !t; n++, loads++) {
		int status;
		mem_fail_at(n);
		status = tokenizer_load(DATA "stories260k", &t);
		if (status == OK)
			continue;
		assert_memory(status, "");
		assert_null(t);
	}
	tokenizer_free(t);
	for (long n = 1;; n++, encodings++) {
		int status;
		mem_fail_at(n);
		status = tokenizer_encode(good, "one \xFF two", 9, 1, &ids);
		if (status == OK)
			break;
		assert_memory(status, "");
		assert_int_equal(ids.n, 0);
	}
	mem_fail_at(0);
	assert_true(loads > 5 && encodings > 3);
	ids_free(&ids);
	tokenizer_free(good);
}

static void threads_may_share_a_tokenizer(void **state)
{
	(void)state;
	struct tokenizer *t = load(DATA "split-deepseek.json.gz");
	static char       text[64][2000];
	size_t            length[64];
	struct ids        alone[64] = {0}, together[64] = {0};
	int               failed[64];

	for (uint32_t i = 0; i < 64; i++) {
		length[i] = random_text(i, text[i], 400);
		assert_ok(tokenizer_encode(t, text[i], length[i], 0, &alone[i]));
	}
#pragma omp parallel for num_threads(4) schedule(dynamic)
	for (int i = 0; i < 64; i++)
		failed[i] = tokenizer_encode(t, text[i], length[i], 0, &together[i]);
	for (int i = 0; i < 64; i++) {
		assert_int_equal(failed[i], OK);
		assert_int_equal(together[i].n, alone[i].n);
		assert_memory_equal(together[i].id, alone[i].id, alone[i].n * sizeof *alone[i].id);
		ids_free(&alone[i]);
		ids_free(&together[i]);
	}
	tokenizer_free(t);
}

TEST_MAIN(TEST(published_encodings_and_decodings_come_out), TEST(small_tokenizers_show_each_rule),
          TEST(punctuation_is_that_of_the_library),
          TEST(a_unigram_model_without_an_unknown_token_refuses_what_it_cannot_write),
          TEST(llama3_comes_out_where_its_files_are),
          TEST(stories260k_encodes_decodes_and_has_the_pieces_of_its_original),
          TEST(a_character_vocabulary_numbers_specials_and_then_characters),
          TEST(a_saved_tokenizer_loads_as_the_same_one),
          TEST(digit_completion_is_made_from_its_char_ords),
          TEST(an_alphabet_with_a_character_twice_is_refused),
          TEST(every_text_survives_a_round_trip),
          TEST(each_ill_formed_part_of_a_text_becomes_one_replacement_character),
          TEST(random_bytes_encode_like_their_repaired_text),
          TEST(ids_that_no_token_has_decode_to_nothing),
          TEST(own_scanners_cut_where_their_patterns_do),
          TEST(characters_have_the_classes_of_unicode_16),
          TEST(properties_in_patterns_are_those_of_unicode_16),
          TEST(patterns_that_two_engines_may_read_differently_are_refused),
          TEST(marks_are_ordered_and_composed), TEST(the_normalization_test_of_unicode_passes),
          TEST(a_bad_file_is_refused_with_its_name_and_the_place),
          TEST(a_file_cut_off_anywhere_is_refused),
          TEST(failing_allocations_are_errors_and_leak_nothing),
          TEST(threads_may_share_a_tokenizer))
