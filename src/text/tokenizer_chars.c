/* tokenizer_chars.c - character vocabularies. Each is written as the text of a tokenizer.json (BPE
 * without merges) and read like any other. */
#include "base/error.h"
#include "base/json.h"
#include "text/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static void tokenizer_chars_add_string(struct text *t, const char *s)
{
	json_add_string(t, s, strlen(s));
}

static void write_added(struct text *t, const struct tokenizer_special *specials, int n)
{
	for (int i = 0; i < n; i++) {
		text_print(t, "%s\n    {\"id\": %d, \"content\": ", i ? "," : "", i);
		tokenizer_chars_add_string(t, specials[i].text);
		text_print(t, ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
		              "\"normalized\": false, \"special\": true}");
	}
}

static void write_vocabulary(struct text *t, const char *alphabet,
                             const struct tokenizer_special *specials, int n)
{
	size_t  left = strlen(alphabet);
	int32_t c;

	for (int i = 0; i < n; i++) {
		text_print(t, "%s\n      ", i ? "," : "");
		tokenizer_chars_add_string(t, specials[i].text);
		text_print(t, ": %d", i);
	}
	for (size_t length; left; alphabet += length, left -= length) {
		length = utf8_take(alphabet, left, &c);
		text_print(t, "%s\n      ", n ? "," : "");
		json_add_string(t, alphabet, length);
		text_print(t, ": %d", n++);
	}
}

static const char *text_of_role(const struct tokenizer_special *specials, int n, const char *role)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(specials[i].role, role))
			return specials[i].text;
	return NULL;
}

/* Writes a BPE model without merges, one token per character, which the library can read. */
static void write_json(struct text *t, const char *alphabet,
                       const struct tokenizer_special *specials, int n)
{
	const char *unk = text_of_role(specials, n, "unk");

	text_print(t, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n "
	              " \"added_tokens\": [");
	write_added(t, specials, n);
	text_print(t, "\n  ],\n  \"normalizer\": null,\n  \"pre_tokenizer\": null,\n  "
	              "\"post_processor\": null,\n");
	text_print(t, "  \"decoder\": {\"type\": \"Fuse\"},\n  \"model\": {\n    \"type\": "
	              "\"BPE\",\n    \"dropout\": null,\n    "
	              "\"unk_token\": ");
	if (unk)
		tokenizer_chars_add_string(t, unk);
	else
		text_print(t, "null");
	text_print(
	        t,
	        ",\n    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n  "
	        "  \"fuse_unk\": false,\n"
	        "    \"byte_fallback\": false,\n    \"ignore_merges\": false,\n    \"vocab\": {");
	write_vocabulary(t, alphabet, specials, n);
	text_print(t, "\n    },\n    \"merges\": []\n  }\n}\n");
}

/* Adds what transformers needs to the config, which may already hold a chat template. */
static int set_config(struct tokenizer *t, const struct tokenizer_special *specials, int n)
{
	char *dump;
	int   bad = 0;

	if (!t->config)
		t->config = json_object();
	bad |= json_object_set_new(t->config, "tokenizer_class",
	                           json_string("PreTrainedTokenizerFast"));
	bad |= json_object_set_new(t->config, "clean_up_tokenization_spaces", json_false());
	for (int i = 0; i < n; i++) {
		char key[32];
		snprintf(key, sizeof key, "%s_token", specials[i].role);
		bad |= json_object_set_new(t->config, key, json_string(specials[i].text));
	}
	dump = bad ? NULL : json_dumps(t->config, JSON_INDENT(2));
	if (!dump)
		return error_memory("writing a tokenizer_config.json");
	text_free(&t->config_text);
	text_print(&t->config_text, "%s\n", dump);
	free(dump);
	return text_status(&t->config_text);
}

/* Roles are those of tokenizer_config.json: each becomes its key ROLE_token. */
static int check_chars(const char *place, const char *alphabet,
                       const struct tokenizer_special *specials, int n)
{
	static const char *const roles[] = {"bos", "eos", "unk", "sep", "pad", "cls", "mask"};

	if (!utf8_is_valid(slice_of(alphabet)))
		return error_set(ERR_INPUT, "%s: the alphabet is not UTF-8", place);
	for (int i = 0; i < n; i++) {
		int known = 0;
		for (size_t j = 0; j < sizeof roles / sizeof *roles; j++)
			known |= !strcmp(specials[i].role, roles[j]);
		if (!known)
			return error_set(ERR_INPUT,
			                 "%s: \"%s\" is not a role of a special token (bos eos unk "
			                 "sep pad cls mask)",
			                 place, specials[i].role);
		if (!utf8_is_valid(slice_of(specials[i].text)))
			return error_set(ERR_INPUT, "%s: the %s token is not UTF-8", place,
			                 specials[i].role);
	}
	return OK;
}

static int tokenizer_chars_fill(const char *place, const char *alphabet,
                                const struct tokenizer_special *specials, int n,
                                struct tokenizer *t)
{
	TRY(check_chars(place, alphabet, specials, n));
	write_json(&t->json, alphabet, specials, n);
	TRY(text_status(&t->json));
	TRY(tokenizer_parse(place, t));
	return set_config(t, specials, n);
}

int tokenizer_chars(const char *alphabet, const struct tokenizer_special *specials, int n_specials,
                    struct tokenizer **out)
{
	struct tokenizer *t;
	int               status;

	*out = NULL;
	TRY(mem_take(1, "a tokenizer", &t));
	status =
	        tokenizer_chars_fill("the character vocabulary", alphabet, specials, n_specials, t);
	if (status == OK)
		*out = t;
	else
		tokenizer_free(t);
	return status;
}

static int add_char(const char *place, const json_t *value, size_t i, struct text *alphabet)
{
	json_int_t       c = json_is_integer(value) ? json_integer_value(value) : -1;
	utf8proc_uint8_t utf8[4];

	if (c <= 0 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
		return error_set(ERR_INPUT, "%s: char_ords[%zu] is not the number of a character",
		                 place, i);
	text_add(alphabet, (const char *)utf8, (size_t)utf8proc_encode_char((int32_t)c, utf8));
	return text_status(alphabet);
}

/* verl's digit checkpoint lists its characters by number and fixes four special tokens. */
int tokenizer_parse_char_ords(const char *place, struct tokenizer *t)
{
	static const struct tokenizer_special specials[] = {
	        {"sep", "S"}, {"eos", "E"}, {"pad", "P"}, {"unk", "U"}};

	const json_t *list = json_object_get(t->config, "char_ords");
	struct text   alphabet = {0};
	int           status = OK;

	if (!json_is_array(list) || json_array_size(list) > TOKENIZER_VOCAB_MAX)
		return error_set(ERR_INPUT,
		                 "%s: \"char_ords\" must be an array of character numbers", place);
	text_add(&alphabet, "", 0);
	for (size_t i = 0; status == OK && i < json_array_size(list); i++)
		status = add_char(place, json_array_get(list, i), i, &alphabet);
	if (status == OK)
		status = text_status(&alphabet);
	if (status == OK)
		status = tokenizer_chars_fill(place, alphabet.data, specials,
		                              sizeof specials / sizeof *specials, t);
	text_free(&alphabet);
	return status;
}
