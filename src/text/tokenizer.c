#include "text/tokenizer.h"

#include "base/error.h"
#include "base/gguf.h"
#include "base/json.h"
#include "text/template.h"
#include "text/tokenizer_parts.h"

#include <string.h>

/* ---- encoding ---- */

struct encoder { /* one call of tokenizer_encode */
	const struct tokenizer *t;
	struct arena            memory;
	/* the text cut at plain added tokens, and at normalized ones */
	struct pieces outer, inner;
	/* one piece while it passes the pre-tokenizers */
	struct pieces       words, rewords;
	struct split_work   split;
	struct bpe_work     bpe;
	struct unigram_work unigram;
	struct ids         *out;
};

static void encoder_free(struct encoder *e)
{
	arena_free(&e->memory);
	pieces_free(&e->outer);
	pieces_free(&e->inner);
	pieces_free(&e->words);
	pieces_free(&e->rewords);
	split_work_free(&e->split);
	bpe_work_free(&e->bpe);
	unigram_work_free(&e->unigram);
}

/* Fills e->words with the words of one piece after all pre-tokenizers. at_start: the piece begins
 * the text. */
static int split_words(struct encoder *e, struct slice text, int at_start)
{
	const struct tokenizer *t = e->t;

	e->words.n = 0;
	TRY(pieces_add(&e->words, text.s, text.n, 0));
	for (int i = 0; i < t->n_splitters; i++) {
		struct pieces swap = e->words;
		e->rewords.n = 0;
		for (size_t j = 0; j < e->words.n; j++) {
			e->split.at_start = at_start && j == 0;
			TRY(splitter_apply(&t->splitters[i], &e->split, e->words.at[j].text,
			                   &e->rewords));
		}
		e->words = e->rewords;
		e->rewords = swap;
	}
	return OK;
}

static int encode_word(struct encoder *e, struct slice word)
{
	const struct tokenizer *t = e->t;

	if (t->unigram.n)
		return unigram_encode(&t->unigram, &t->ids, word, &e->unigram, e->out);
	if (t->words_written) {
		char *bytes;
		TRY(arena_take(&e->memory, word.n + 1, "the bytes of a word", &bytes));
		byte_level_decode(word, bytes, &word.n);
		word.s = bytes;
	}
	return bpe_encode(&t->bpe, word, &e->bpe, e->out);
}

static int encode_words(struct encoder *e, struct slice text, int at_start)
{
	TRY(split_words(e, text, at_start));
	for (size_t i = 0; i < e->words.n; i++)
		TRY(encode_word(e, e->words.at[i].text));
	return OK;
}

static int encode_normalized(struct encoder *e, struct slice text, int at_start)
{
	TRY(tokenizer_normalize(e->t, text, &e->memory, &text));
	TRY(added_cut(&e->t->normalized, text, &e->inner));
	for (size_t i = 0; i < e->inner.n; i++) {
		const struct piece *p = &e->inner.at[i];
		TRY(p->mark >= 0 ? ids_add(e->out, &p->mark, 1)
		                 : encode_words(e, p->text, at_start && i == 0));
	}
	return OK;
}

static int encode_text(struct encoder *e, struct slice text)
{
	TRY(utf8_repair(text, &e->memory, &text));
	TRY(added_cut(&e->t->plain, text, &e->outer));
	for (size_t i = 0; i < e->outer.n; i++) {
		const struct piece *p = &e->outer.at[i];
		TRY(p->mark >= 0 ? ids_add(e->out, &p->mark, 1)
		                 : encode_normalized(e, p->text, i == 0));
	}
	return OK;
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t n, int add_special,
                     struct ids *out)
{
	struct encoder e = {.t = t, .out = out};
	size_t         n_before = out->n;
	int            status = OK;

	e.split.memory = &e.memory;
	if (add_special)
		status = ids_add(out, t->before.id, t->before.n);
	if (status == OK)
		status = encode_text(&e, (struct slice){text, n});
	if (status == OK && add_special)
		status = ids_add(out, t->after.id, t->after.n);
	if (status != OK)
		out->n = n_before;
	encoder_free(&e);
	return status;
}

/* ---- decoding ---- */

static int is_token(const struct tokenizer *t, int id)
{
	return id >= 0 && id < t->n_ids && t->content[id].s;
}

/* Without a decoder, the library puts spaces between tokens. */
static void add_joined(const struct tokenizer *t, const struct pieces *p, struct text *out)
{
	for (size_t i = 0; i < p->n; i++) {
		if (i && !t->n_decoders)
			text_add(out, " ", 1);
		text_add(out, p->at[i].text.s, p->at[i].text.n);
	}
}

static int decode_stages(const struct tokenizer *t, struct pieces *now, struct pieces *next,
                         struct arena *a)
{
	for (int i = 0; i < t->n_decoders; i++) {
		struct pieces swap = *now;
		next->n = 0;
		TRY(t->decoders[i].run(&t->decoders[i], now, a, next));
		*now = *next;
		*next = swap;
	}
	return OK;
}

/* Decoders see the token strings; what the last one leaves is joined. */
int tokenizer_decode(const struct tokenizer *t, const int *id, size_t n, int skip_special,
                     struct text *out)
{
	struct pieces now = {0}, next = {0};
	struct arena  memory = {0};
	int           status = OK;

	for (size_t i = 0; status == OK && i < n; i++)
		if (is_token(t, id[i]) && !(skip_special && t->special[id[i]]))
			status = pieces_put(&now, t->shown[id[i]].s, t->shown[id[i]].n, 0);
	if (status == OK)
		status = decode_stages(t, &now, &next, &memory);
	if (status == OK) {
		add_joined(t, &now, out);
		status = text_status(out);
	}
	pieces_free(&now);
	pieces_free(&next);
	arena_free(&memory);
	return status;
}

/* ---- single tokens ---- */

int tokenizer_size(const struct tokenizer *t)
{
	return t->n_ids;
}

int tokenizer_id(const struct tokenizer *t, const char *token)
{
	return slice_map_find(&t->ids, slice_of(token));
}

int tokenizer_is_special(const struct tokenizer *t, int id)
{
	return is_token(t, id) && t->special[id];
}

const char *tokenizer_piece(const struct tokenizer *t, int id, size_t *n)
{
	*n = is_token(t, id) ? t->piece[id].n : 0;
	return is_token(t, id) ? t->piece[id].s : NULL;
}

/* A role's token is a string or, in files of transformers 4, an object with its text in
 * "content". */
int tokenizer_role(const struct tokenizer *t, const char *role)
{
	char          key[32];
	const json_t *value;
	const char   *token;

	snprintf(key, sizeof key, "%s_token", role);
	value = json_object_get(t->config, key);
	token = json_string_value(json_is_object(value) ? json_object_get(value, "content")
	                                                : value);
	return token ? tokenizer_id(t, token) : -1;
}

const json_t *tokenizer_config(const struct tokenizer *t)
{
	return t->config;
}

/* For models with several templates, transformers 4 wrote a list of named ones. */
const char *tokenizer_chat_template(const struct tokenizer *t)
{
	const json_t *v = json_object_get(t->config, "chat_template");

	if (t->chat.n)
		return t->chat.data;
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *row = json_array_get(v, i);
		const char   *name = json_string_value(json_object_get(row, "name"));
		if (name && !strcmp(name, "default"))
			return json_string_value(json_object_get(row, "template"));
	}
	return json_string_value(v);
}

/* ---- loading and saving ---- */

/* Reads a file, plain or gzip. Line ends become "\n", which does not matter to JSON. */
static int tokenizer_read_text(const char *path, struct text *out)
{
	struct lines *in;
	const char   *line;
	size_t        n;
	int           status;

	TRY(lines_open(path, TOKENIZER_FILE_MAX, &in));
	while ((status = lines_next(in, &line, &n)) == OK && line) {
		text_add(out, line, n);
		text_add(out, "\n", 1);
		if (out->n > TOKENIZER_FILE_MAX) {
			status = error_set(ERR_INPUT,
			                   "%s: more than the %d bytes that a tokenizer may have",
			                   path, TOKENIZER_FILE_MAX);
			break;
		}
	}
	lines_close(in);
	return status == OK ? text_status(out) : status;
}

/* Templates are kept as C strings, so a NUL would cut one short and make it another template. */
static int check_whole(const char *path, const char *source, size_t n)
{
	return source && memchr(source, 0, n)
	               ? error_set(ERR_INPUT, "%s: the chat template has a NUL byte in it", path)
	               : OK;
}

static int tokenizer_check_templates(const char *path, const json_t *v)
{
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *one = json_object_get(json_array_get(v, i), "template");
		TRY(check_whole(path, json_string_value(one), json_string_length(one)));
	}
	return check_whole(path, json_string_value(v), json_string_length(v));
}

static int tokenizer_load_config(const char *path, struct tokenizer *t)
{
	TRY(tokenizer_read_text(path, &t->config_text));
	TRY(json_parse(path, t->config_text.data ? t->config_text.data : "", t->config_text.n,
	               &t->config));
	if (!json_is_object(t->config))
		return error_set(ERR_INPUT, "%s: expected a JSON object", path);
	return tokenizer_check_templates(path, json_object_get(t->config, "chat_template"));
}

static int load_vocabulary(const char *path, struct tokenizer *t)
{
	TRY(tokenizer_read_text(path, &t->json));
	return tokenizer_parse(path, t);
}

static int load_chat(const char *path, struct tokenizer *t)
{
	struct bytes b;
	int          status;

	TRY(file_read(path, TEMPLATE_SOURCE_MAX, &b));
	status = check_whole(path, b.data, b.n);
	text_add(&t->chat, b.data, b.n);
	bytes_free(&b);
	return status == OK ? text_status(&t->chat) : status;
}

/* The vocabulary is in tokenizer.json. The other two files are optional: settings and the chat
 * template. */
static int tokenizer_load_folder(const char *path, struct arena *a, struct tokenizer *t)
{
	const char *json;
	const char *config;
	const char *chat;
	int         has_json, has_config, has_chat;

	TRY(file_path(a, path, "tokenizer.json", &json));
	TRY(file_path(a, path, "tokenizer_config.json", &config));
	TRY(file_path(a, path, "chat_template.jinja", &chat));
	TRY(file_there(json, &has_json));
	TRY(file_there(config, &has_config));
	TRY(file_there(chat, &has_chat));
	if (has_chat)
		TRY(load_chat(chat, t));
	if (has_config)
		TRY(tokenizer_load_config(config, t));
	if (!has_json && json_object_get(t->config, "char_ords"))
		return tokenizer_parse_char_ords(config, t);
	if (!has_json)
		return error_set(ERR_INPUT,
		                 "%s: no such file; a model folder needs it (older layouts: save "
		                 "the tokenizer again with transformers)",
		                 json);
	return load_vocabulary(json, t);
}

int tokenizer_load(const char *path, struct tokenizer **out)
{
	struct tokenizer *t;
	struct arena      a = {0};
	int               status;

	*out = NULL;
	TRY(mem_take(1, "a tokenizer", &t));
	status = file_is_folder(path) ? tokenizer_load_folder(path, &a, t)
	         : gguf_is(path)      ? tokenizer_parse_gguf(path, t)
	                              : load_vocabulary(path, t);
	arena_free(&a);
	if (status == OK)
		*out = t;
	else
		tokenizer_free(t);
	return status;
}

void tokenizer_free(struct tokenizer *t)
{
	if (!t)
		return;
	for (int i = 0; i < t->n_splitters; i++)
		pcre2_code_free(t->splitters[i].code);
	added_free(&t->plain);
	added_free(&t->normalized);
	ids_free(&t->before);
	ids_free(&t->after);
	text_free(&t->json);
	text_free(&t->config_text);
	text_free(&t->chat);
	json_decref(t->config);
	arena_free(&t->memory);
	mem_free(t);
}

/* tokenizer.json is always written, the others when they have text. */
int tokenizer_save(const struct tokenizer *t, const char *folder)
{
	const struct {
		const char        *name;
		const struct text *text;
		int                always;
	} files[] = {{"tokenizer.json", &t->json, 1},
	             {"tokenizer_config.json", &t->config_text, 0},
	             {"chat_template.jinja", &t->chat, 0}};
	struct arena a = {0};
	int          status = OK;

	for (size_t i = 0; i < sizeof files / sizeof *files && status == OK; i++) {
		char *path;
		if (!files[i].always && !files[i].text->n)
			continue;
		status = file_path(&a, folder, files[i].name, &path);
		if (status == OK)
			status = file_write(path, files[i].text->data, files[i].text->n);
	}
	arena_free(&a);
	return status;
}
