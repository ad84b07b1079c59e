/* tokenizer_json.c - reads a tokenizer.json. Every kind of stage is a row of a table; a kind
 * without a row is refused by name. */
#include "base/error.h"
#include "base/json.h"
#include "text/tokenizer_parts.h"

#include <stdio.h>
#include <string.h>

struct tokenizer_json_entry { /* a token of the vocabulary */
	const char   *token;
	size_t        n;
	const json_t *id; /* of BPE; NULL: its place in the list */
};

struct tokenizer_json_reader {
	const char       *path;
	struct tokenizer *t;
	const json_t     *root, *model, *vocab, *added; /* borrowed from root */
	int               unigram;
	/* [n_vocab] the vocabulary, in the arena of the call */
	struct tokenizer_json_entry *entries;
	struct arena                 arena;
	size_t                       n_vocab;
	char                        *pool; /* where the next token's text goes */
	/* of the list being read; only one template is supported */
	int n_stages, ended;
};

/* ---- stages: normalizer, pre_tokenizer, post_processor, decoder ---- */

struct stage_kind {
	const char *type;
	int (*read)(struct tokenizer_json_reader *r, const char *place, const json_t *spec);
};
struct stage_list {
	const char              *key, *members; /* of the file; of a Sequence */
	const struct stage_kind *kinds;         /* up to one without a type */
};

static int read_stage(struct tokenizer_json_reader *r, const struct stage_list *list,
                      const char *place, const json_t *spec)
{
	const char *type;

	TRY(json_get_text(place, spec, "type", JSON_REQUIRED, &type));
	if (r->n_stages++ == TOKENIZER_STAGES_MAX)
		return error_set(ERR_INPUT, "%s: more than %d stages", place, TOKENIZER_STAGES_MAX);
	for (const struct stage_kind *k = list->kinds; k->type; k++)
		if (!strcmp(k->type, type))
			return k->read(r, place, spec);
	return error_set(ERR_INPUT, "%s: \"%s\" is not supported as a %s", place, type, list->key);
}

/* Reads one stage, or a Sequence of stages. A Sequence within a Sequence is refused. */
static int read_stages(struct tokenizer_json_reader *r, const struct stage_list *list)
{
	const json_t *spec = json_object_get(r->root, list->key), *members;
	const char   *type = "";
	char          place[4200];

	r->n_stages = r->ended = 0;
	if (!spec || json_is_null(spec))
		return OK;
	snprintf(place, sizeof place, "%.4000s: %s", r->path, list->key);
	TRY(json_get_text(place, spec, "type", JSON_REQUIRED, &type));
	if (strcmp(type, "Sequence") != 0)
		return read_stage(r, list, place, spec);
	members = json_object_get(spec, list->members);
	if (!json_is_array(members))
		return error_set(ERR_INPUT, "%s: \"%s\" must be an array", place, list->members);
	for (size_t i = 0; i < json_array_size(members); i++) {
		snprintf(place, sizeof place, "%.4000s: %s.%s[%zu]", r->path, list->key,
		         list->members, i);
		TRY(read_stage(r, list, place, json_array_get(members, i)));
	}
	return OK;
}

static int read_nothing(struct tokenizer_json_reader *r, const char *place, const json_t *spec)
{
	(void)r, (void)place, (void)spec;
	return OK;
}

/* Reads a text of at most TOKENIZER_LITERAL_MAX bytes and copies it into the tokenizer. */
static int read_literal(struct tokenizer_json_reader *r, const char *place, const json_t *object,
                        const char *key, struct slice *out)
{
	const char *s;

	TRY(json_get_text(place, object, key, JSON_REQUIRED, &s));
	if (strlen(s) > TOKENIZER_LITERAL_MAX)
		return error_set(ERR_INPUT, "%s: \"%s\" is longer than %d bytes", place, key,
		                 TOKENIZER_LITERAL_MAX);
	*out = slice_of(s);
	return arena_copy(&r->t->memory, s, out->n, &out->s);
}

/* {"pattern": {"String": FROM}, "content": TO} */
static int read_replace(struct tokenizer_json_reader *r, const char *place, const json_t *spec,
                        struct slice *from, struct slice *to)
{
	const json_t *pattern = json_object_get(spec, "pattern");

	if (json_object_get(pattern, "Regex"))
		return error_set(ERR_INPUT, "%s: a Replace by regular expression is not supported",
		                 place);
	TRY(read_literal(r, place, pattern, "String", from));
	if (!from->n)
		return error_set(ERR_INPUT, "%s: the pattern is empty", place);
	return read_literal(r, place, spec, "content", to);
}

/* ---- normalizers ---- */

static struct normalizer *add_normalizer(struct tokenizer_json_reader *r)
{
	return &r->t->normalizers[r->t->n_normalizers++];
}

static int read_form(struct tokenizer_json_reader *r, const char *place, const json_t *spec)
{
	const char *type = json_string_value(json_object_get(spec, "type")); /* NFC NFD NFKC NFKD */

	(void)place;
	*add_normalizer(r) = (struct normalizer){.run = normalize_form,
	                                         .compatible = type[2] == 'K',
	                                         .compose = type[strlen(type) - 1] == 'C'};
	return OK;
}

static int read_prepend(struct tokenizer_json_reader *r, const char *place, const json_t *spec)
{
	struct normalizer n = {.run = normalize_prepend};

	TRY(read_literal(r, place, spec, "prepend", &n.to));
	*add_normalizer(r) = n;
	return OK;
}

static int read_normalizer_replace(struct tokenizer_json_reader *r, const char *place,
                                   const json_t *spec)
{
	struct normalizer n = {.run = normalize_replace};

	TRY(read_replace(r, place, spec, &n.from, &n.to));
	*add_normalizer(r) = n;
	return OK;
}

static const struct stage_kind normalizer_kinds[] = {
        {"NFC", read_form},
        {"NFD", read_form},
        {"NFKC", read_form},
        {"NFKD", read_form},
        {"Prepend", read_prepend},
        {"Replace", read_normalizer_replace},
        {0},
};

/* ---- pre-tokenizers ---- */

/* Stages behind ByteLevel see its alphabet. */
static int add_splitter(struct tokenizer_json_reader *r, const char *place,
                        const struct splitter *s)
{
	struct tokenizer *t = r->t;
	struct splitter  *last = t->n_splitters ? &t->splitters[t->n_splitters - 1] : NULL;

	if (s->byte_level && t->bpe.byte_level)
		return error_set(ERR_INPUT, "%s: a second ByteLevel is not supported", place);
	if (last && last->byte_level)
		last->write_bytes = t->words_written = 1;
	t->bpe.byte_level |= s->byte_level;
	t->splitters[t->n_splitters++] = *s;
	return OK;
}

static int read_byte_level(struct tokenizer_json_reader *r, const char *place, const json_t *spec)
{
	struct splitter s = {.byte_level = 1};
	int             use_regex = 1;

	TRY(json_get_bool(place, spec, "add_prefix_space", JSON_REQUIRED, &s.prefix_space));
	TRY(json_get_bool(place, spec, "use_regex", JSON_OPTIONAL, &use_regex));
	s.run = use_regex ? split_gpt2 : split_nothing;
	return add_splitter(r, place, &s);
}

static int tokenizer_json_read_digits(struct tokenizer_json_reader *r, const char *place,
                                      const json_t *spec)
{
	struct splitter s = {.run = split_digits, .behavior = SPLIT_CONTIGUOUS};
	int             each = 0;

	TRY(json_get_bool(place, spec, "individual_digits", JSON_OPTIONAL, &each));
	if (each)
		s.behavior = SPLIT_ISOLATED;
	return add_splitter(r, place, &s);
}

/* Reads the character that stands for a space and the rule for putting one in front. Older files
 * have add_prefix_space instead of prepend_scheme. */
static int read_metaspace(struct tokenizer_json_reader *r, const char *place, const json_t *spec,
                          struct slice *mark, enum prefix_scheme *scheme)
{
	static const char *const names[] = {"never", "first", "always"};
	const char              *name = "always";
	int                      add = 1;
	int32_t                  c;

	TRY(read_literal(r, place, spec, "replacement", mark));
	if (!mark->n || utf8_take(mark->s, mark->n, &c) != mark->n)
		return error_set(ERR_INPUT, "%s: \"replacement\" must be one character", place);
	TRY(json_get_text(place, spec, "prepend_scheme", JSON_OPTIONAL, &name));
	TRY(json_get_bool(place, spec, "add_prefix_space", JSON_OPTIONAL, &add));
	for (int i = 0; i < 3; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*scheme = add ? (enum prefix_scheme)i : PREFIX_NEVER;
		return OK;
	}
	return error_set(ERR_INPUT, "%s: \"%s\" is not a known prepend_scheme", place, name);
}

static int read_splitter_metaspace(struct tokenizer_json_reader *r, const char *place,
                                   const json_t *spec)
{
	struct splitter s = {.run = split_metaspace};
	int             split = 1;

	TRY(read_metaspace(r, place, spec, &s.literal, &s.prefix));
	TRY(json_get_bool(place, spec, "split", JSON_OPTIONAL, &split));
	if (split)
		s.behavior = SPLIT_WITH_NEXT;
	return add_splitter(r, place, &s);
}

static int read_behavior(const char *place, const json_t *spec, int required,
                         enum split_behavior *out)
{
	static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious",
	                                    "MergedWithNext", "Contiguous"};
	const char              *name = names[*out];

	TRY(json_get_text(place, spec, "behavior", required, &name));
	for (int i = 0; i < 5; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*out = (enum split_behavior)i;
		return OK;
	}
	return error_set(ERR_INPUT, "%s: \"%s\" is not a known behavior", place, name);
}

/* A pattern is a regular expression, or a literal string, which needs no compiling. */
static int tokenizer_json_read_split(struct tokenizer_json_reader *r, const char *place,
                                     const json_t *spec)
{
	struct splitter s = {0};
	const json_t   *pattern = json_object_get(spec, "pattern");
	const char     *regex = NULL;

	TRY(read_behavior(place, spec, JSON_REQUIRED, &s.behavior));
	TRY(json_get_bool(place, spec, "invert", JSON_OPTIONAL, &s.invert));
	TRY(json_get_text(place, pattern, "Regex", JSON_OPTIONAL, &regex));
	if (!regex) {
		s.run = split_literal;
		TRY(read_literal(r, place, pattern, "String", &s.literal));
		return s.literal.n ? add_splitter(r, place, &s)
		                   : error_set(ERR_INPUT, "%s: the pattern is empty", place);
	}
	if (strlen(regex) > TOKENIZER_TOKEN_MAX)
		return error_set(ERR_INPUT, "%s: the pattern is longer than %d bytes", place,
		                 TOKENIZER_TOKEN_MAX);
	TRY(splitter_compile(place, slice_of(regex), &s));
	return add_splitter(r, place, &s);
}

static int read_punctuation(struct tokenizer_json_reader *r, const char *place, const json_t *spec)
{
	struct splitter s = {.run = split_punctuation, .behavior = SPLIT_ISOLATED};

	TRY(read_behavior(place, spec, JSON_OPTIONAL, &s.behavior));
	return add_splitter(r, place, &s);
}

static int read_whitespace_split(struct tokenizer_json_reader *r, const char *place,
                                 const json_t *spec)
{
	struct splitter s = {.run = split_spaces, .behavior = SPLIT_REMOVED};

	(void)spec;
	return add_splitter(r, place, &s);
}

static const struct stage_kind splitter_kinds[] = {
        {"ByteLevel", read_byte_level},
        {"Digits", tokenizer_json_read_digits},
        {"Metaspace", read_splitter_metaspace},
        {"Punctuation", read_punctuation},
        {"Split", tokenizer_json_read_split},
        {"WhitespaceSplit", read_whitespace_split},
        {0},
};

/* ---- decoders ---- */

static struct tokenizer_decoder *add_decoder(struct tokenizer_json_reader *r)
{
	return &r->t->decoders[r->t->n_decoders++];
}

static int read_decoder_byte_level(struct tokenizer_json_reader *r, const char *place,
                                   const json_t *spec)
{
	(void)place, (void)spec;
	add_decoder(r)->run = decode_byte_level;
	return OK;
}

static int read_decoder_byte_fallback(struct tokenizer_json_reader *r, const char *place,
                                      const json_t *spec)
{
	(void)place, (void)spec;
	add_decoder(r)->run = decode_byte_fallback;
	return OK;
}

static int read_decoder_fuse(struct tokenizer_json_reader *r, const char *place, const json_t *spec)
{
	(void)place, (void)spec;
	add_decoder(r)->run = decode_fuse;
	return OK;
}

static int read_decoder_replace(struct tokenizer_json_reader *r, const char *place,
                                const json_t *spec)
{
	struct tokenizer_decoder d = {.run = decode_replace};

	TRY(read_replace(r, place, spec, &d.from, &d.to));
	*add_decoder(r) = d;
	return OK;
}

static int read_decoder_metaspace(struct tokenizer_json_reader *r, const char *place,
                                  const json_t *spec)
{
	struct tokenizer_decoder d = {.run = decode_metaspace, .to = {" ", 1}};
	enum prefix_scheme       scheme = PREFIX_ALWAYS;

	TRY(read_metaspace(r, place, spec, &d.from, &scheme));
	d.start = scheme != PREFIX_NEVER;
	*add_decoder(r) = d;
	return OK;
}

static int read_decoder_strip(struct tokenizer_json_reader *r, const char *place,
                              const json_t *spec)
{
	struct tokenizer_decoder d = {.run = decode_strip};
	int64_t                  start = 0, stop = 0;
	int32_t                  c;

	TRY(read_literal(r, place, spec, "content", &d.from));
	TRY(json_get_int(place, spec, "start", JSON_REQUIRED, json_range(0, TOKENIZER_TOKEN_MAX),
	                 &start));
	TRY(json_get_int(place, spec, "stop", JSON_REQUIRED, json_range(0, TOKENIZER_TOKEN_MAX),
	                 &stop));
	if (!d.from.n || utf8_take(d.from.s, d.from.n, &c) != d.from.n)
		return error_set(ERR_INPUT, "%s: \"content\" must be one character", place);
	d.start = (int)start;
	d.stop = (int)stop;
	*add_decoder(r) = d;
	return OK;
}

static const struct stage_kind decoder_kinds[] = {
        {"ByteLevel", read_decoder_byte_level},
        {"ByteFallback", read_decoder_byte_fallback},
        {"Fuse", read_decoder_fuse},
        {"Metaspace", read_decoder_metaspace},
        {"Replace", read_decoder_replace},
        {"Strip", read_decoder_strip},
        {0},
};

/* ---- the template ---- */

static int add_template_ids(struct tokenizer_json_reader *r, const char *place,
                            const json_t *specials, const char *name, struct ids *out)
{
	const json_t *list = json_object_get(json_object_get(specials, name), "ids");

	if (!json_is_array(list))
		return error_set(ERR_INPUT, "%s: special_tokens has no \"ids\" for \"%s\"", place,
		                 name);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		json_int_t    id = json_is_integer(v) ? json_integer_value(v) : -1;
		int           narrow = (int)id;
		if (id < 0 || id >= r->t->n_ids || !r->t->content[id].s)
			return error_set(ERR_INPUT, "%s: \"%s\" has an id that no token has", place,
			                 name);
		TRY(ids_add(out, &narrow, 1));
	}
	return OK;
}

/* "single" is a list of {"SpecialToken": {"id": NAME}} with one {"Sequence": {"id": "A"}} among
 * them. */
static int read_template(struct tokenizer_json_reader *r, const char *place, const json_t *spec)
{
	const json_t *list = json_object_get(spec, "single"),
	             *specials = json_object_get(spec, "special_tokens");
	int seen = 0;

	if (r->ended)
		return error_set(ERR_INPUT, "%s: a second TemplateProcessing is not supported",
		                 place);
	r->ended = 1;
	if (!json_is_array(list))
		return error_set(ERR_INPUT, "%s: \"single\" must be an array", place);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i),
		             *special = json_object_get(item, "SpecialToken");
		const char *name;
		if (special) {
			TRY(json_get_text(place, special, "id", JSON_REQUIRED, &name));
			TRY(add_template_ids(r, place, specials, name,
			                     seen ? &r->t->after : &r->t->before));
		} else {
			TRY(json_get_text(place, json_object_get(item, "Sequence"), "id",
			                  JSON_REQUIRED, &name));
			seen += !strcmp(name, "A") ? 1 : 2;
		}
	}
	return seen == 1 ? OK
	                 : error_set(ERR_INPUT,
	                             "%s: \"single\" must have the sequence A in it, once, and no "
	                             "other",
	                             place);
}

static const struct stage_kind template_kinds[] = {
        {"ByteLevel", read_nothing}, /* it moves offsets, which nobody here asks for */
        {"TemplateProcessing", read_template},
        {0},
};

static const struct stage_list normalizer_list = {"normalizer", "normalizers", normalizer_kinds};
static const struct stage_list splitter_list = {"pre_tokenizer", "pretokenizers", splitter_kinds};
static const struct stage_list decoder_list = {"decoder", "decoders", decoder_kinds};
static const struct stage_list template_list = {"post_processor", "processors", template_kinds};

/* ---- the vocabulary ---- */

/* BPE: {"token": id, ...}; Unigram: [["token", score], ...], whose places are the ids. */
static int list_entries(struct tokenizer_json_reader *r)
{
	size_t      n = 0;
	const char *token;
	json_t     *id;

	r->n_vocab = r->unigram ? json_array_size(r->vocab) : json_object_size(r->vocab);
	TRY(arena_take(&r->arena, r->n_vocab + 1, "the vocabulary of a tokenizer", &r->entries));
	if (r->n_vocab > TOKENIZER_VOCAB_MAX)
		return error_set(ERR_INPUT, "%s: model.vocab: more than %d tokens", r->path,
		                 TOKENIZER_VOCAB_MAX);
	for (; r->unigram && n < r->n_vocab; n++) {
		const json_t *pair = json_array_get(r->vocab, n), *first = json_array_get(pair, 0);
		if (json_array_size(pair) != 2 || !json_is_string(first) ||
		    !json_is_number(json_array_get(pair, 1)))
			return error_set(ERR_INPUT,
			                 "%s: model.vocab[%zu]: expected [\"token\", score]",
			                 r->path, n);
		r->entries[n] = (struct tokenizer_json_entry){json_string_value(first),
		                                              json_string_length(first), NULL};
	}
	json_object_foreach((json_t *)(uintptr_t)r->vocab, token, id) r->entries[n++] =
	        (struct tokenizer_json_entry){token, strlen(token), id};
	return OK;
}

static int tokenizer_json_check_length(struct tokenizer_json_reader *r, const char *where,
                                       const char *token, size_t n)
{
	if (n > TOKENIZER_TOKEN_MAX)
		return error_set(ERR_INPUT,
		                 "%s: %s: the token \"%.80s...\" is longer than %d bytes", r->path,
		                 where, token, TOKENIZER_TOKEN_MAX);
	return OK;
}

/* Checks that the number can be an id and the text a token. */
static int check_token(struct tokenizer_json_reader *r, const char *where, const char *token,
                       size_t n, const json_t *id, json_int_t *largest)
{
	if (!json_is_integer(id) || json_integer_value(id) < 0 ||
	    json_integer_value(id) >= TOKENIZER_VOCAB_MAX)
		return error_set(ERR_INPUT,
		                 "%s: %s: the id of \"%.80s\" must be an integer from 0 to %d",
		                 r->path, where, token, TOKENIZER_VOCAB_MAX - 1);
	if (json_integer_value(id) > *largest)
		*largest = json_integer_value(id);
	return tokenizer_json_check_length(r, where, token, n);
}

/* Tables are as long as the largest id, so the ids must not be much larger than the number of
 * tokens. Real files leave few holes. */
static int check_holes(const struct tokenizer_json_reader *r, json_int_t largest)
{
	size_t n = r->n_vocab + json_array_size(r->added);

	if (largest > 65536 && (size_t)largest / 16 > n)
		return error_set(ERR_INPUT, "%s: an id is %lld, but there are only %zu tokens",
		                 r->path, (long long)largest, n);
	return OK;
}

/* Checks all tokens and counts ids and bytes. */
static int tokenizer_json_measure(struct tokenizer_json_reader *r, size_t *n_bytes)
{
	json_int_t largest = r->unigram ? (json_int_t)r->n_vocab - 1 : -1;

	*n_bytes = 1;
	for (size_t i = 0; i < r->n_vocab; i++) {
		const struct tokenizer_json_entry *e = &r->entries[i];
		TRY(e->id ? check_token(r, "model.vocab", e->token, e->n, e->id, &largest)
		          : tokenizer_json_check_length(r, "model.vocab", e->token, e->n));
		*n_bytes += e->n;
	}
	for (size_t i = 0; i < json_array_size(r->added); i++) {
		const json_t *entry = json_array_get(r->added, i);
		const char   *token;
		char          place[4200];
		snprintf(place, sizeof place, "%.4000s: added_tokens[%zu]", r->path, i);
		TRY(json_get_text(place, entry, "content", JSON_REQUIRED, &token));
		if (!*token)
			return error_set(ERR_INPUT, "%s: \"content\" is empty", place);
		TRY(check_token(r, "added_tokens", token, strlen(token),
		                json_object_get(entry, "id"), &largest));
		*n_bytes += strlen(token);
	}
	r->t->n_ids = (int)largest + 1;
	return check_holes(r, largest);
}

static int put_token(struct tokenizer_json_reader *r, const char *where, const char *token,
                     size_t n, int id)
{
	struct slice *content = &r->t->content[id];

	if (content->s)
		return error_set(ERR_INPUT, "%s: %s: \"%.80s\" has the id %d, and so has \"%.80s\"",
		                 r->path, where, token, id, content->s);
	memcpy(r->pool, token, n); /* the pool is zeroed: a 0 stands behind every token */
	*content = (struct slice){r->pool, n};
	r->pool += n + 1;
	/* of a text that is in a list twice the later one wins, as in the library */
	slice_map_put(&r->t->ids, id);
	return OK;
}

/* Measures first, then copies the texts of all tokens into one pool and fills the map from text to
 * id. */
static int read_vocabulary(struct tokenizer_json_reader *r)
{
	struct tokenizer *t = r->t;
	size_t            n_bytes, n;

	TRY(list_entries(r));
	TRY(tokenizer_json_measure(r, &n_bytes));
	n = r->n_vocab + json_array_size(r->added);
	TRY(arena_take(&t->memory, (size_t)t->n_ids + 1, "the tokens of a tokenizer", &t->content));
	TRY(arena_take(&t->memory, (size_t)t->n_ids + 1, "the tokens of a tokenizer", &t->shown));
	TRY(arena_take(&t->memory, (size_t)t->n_ids + 1, "the tokens of a tokenizer", &t->piece));
	TRY(arena_take(&t->memory, (size_t)t->n_ids + 1, "the tokens of a tokenizer", &t->special));
	TRY(arena_take(&t->memory, n_bytes + n, "the tokens of a tokenizer", &r->pool));
	TRY(slice_map_new(&t->memory, n, t->content, &t->ids));
	for (size_t i = 0; i < r->n_vocab; i++) {
		const struct tokenizer_json_entry *e = &r->entries[i];
		TRY(put_token(r, "model.vocab", e->token, e->n,
		              e->id ? (int)json_integer_value(e->id) : (int)i));
	}
	return OK;
}

/* ---- the model ---- */

/* Options that change ids and are not supported are refused. */
static int tokenizer_json_read_options(struct tokenizer_json_reader *r, const char *place,
                                       const char **unk)
{
	struct bpe *b = &r->t->bpe;
	const char *prefix = "", *suffix = "";
	double      dropout = 0;

	TRY(json_get_real(place, r->model, "dropout", JSON_OPTIONAL, &dropout));
	TRY(json_get_text(place, r->model, "continuing_subword_prefix", JSON_OPTIONAL, &prefix));
	TRY(json_get_text(place, r->model, "end_of_word_suffix", JSON_OPTIONAL, &suffix));
	if (dropout != 0 || *prefix || *suffix)
		return error_set(ERR_INPUT, "%s: \"%s\" is not supported", place,
		                 dropout != 0 ? "dropout"
		                 : *prefix    ? "continuing_subword_prefix"
		                              : "end_of_word_suffix");
	TRY(json_get_bool(place, r->model, "fuse_unk", JSON_OPTIONAL, &b->fuse_unk));
	TRY(json_get_bool(place, r->model, "byte_fallback", JSON_OPTIONAL, &b->byte_fallback));
	TRY(json_get_bool(place, r->model, "ignore_merges", JSON_OPTIONAL, &b->ignore_merges));
	return json_get_text(place, r->model, "unk_token", JSON_OPTIONAL, unk);
}

/* Writes each token as the merges see it, which is bytes in a byte-level model. There, merges
 * cannot make a token with a character outside the byte alphabet. */
static int read_keys(struct tokenizer_json_reader *r)
{
	struct tokenizer *t = r->t;
	struct slice     *keys;
	size_t            n_bytes = 1;
	char             *pool;

	for (int id = 0; id < t->n_ids; id++)
		n_bytes += t->content[id].n;
	TRY(arena_take(&t->memory, (size_t)t->n_ids + 1, "the tokens of a tokenizer", &keys));
	TRY(arena_take(&t->memory, n_bytes, "the tokens of a tokenizer", &pool));
	TRY(slice_map_new(&t->memory, r->n_vocab, keys, &t->bpe.keys));
	for (int id = 0; id < t->n_ids; id++) {
		struct slice key = t->content[id];
		if (t->bpe.byte_level && !byte_level_decode(key, pool, &key.n))
			continue;
		keys[id] = t->bpe.byte_level ? (struct slice){pool, key.n} : key;
		pool += t->bpe.byte_level ? key.n : 0;
		if (!key.n)
			continue;
		slice_map_put(&t->bpe.keys, id);
		if (key.n > t->bpe.longest)
			t->bpe.longest = key.n;
	}
	return OK;
}

/* Finds the token of each byte: its letter in a byte-level model, "<0x0A>" otherwise. */
static int read_byte_ids(struct tokenizer_json_reader *r, const char *place)
{
	struct tokenizer *t = r->t;
	struct bpe       *b = &t->bpe;

	for (int byte = 0; byte < 256; byte++) {
		char name[8], c = (char)byte;
		snprintf(name, sizeof name, "<0x%02X>", (unsigned)byte);
		b->byte_id[byte] = b->byte_level ? slice_map_find(&b->keys, (struct slice){&c, 1})
		                                 : slice_map_find(&t->ids, slice_of(name));
		if (b->byte_level && b->byte_fallback && b->byte_id[byte] < 0)
			return error_set(ERR_INPUT,
			                 "%s: byte_fallback of a byte-level model without all "
			                 "bytes is not supported",
			                 place);
	}
	b->byte_fallback = b->byte_fallback && !b->byte_level;
	return OK;
}

/* "a b" or ["a", "b"] */
static int merge_parts(const json_t *entry, struct slice part[2])
{
	const char *s = json_string_value(entry), *space = s ? strchr(s, ' ') : NULL;
	const char *first = json_string_value(json_array_get(entry, 0)),
	           *second = json_string_value(json_array_get(entry, 1));

	if (first && second && json_array_size(entry) == 2) {
		part[0] = slice_of(first);
		part[1] = slice_of(second);
		return OK;
	}
	if (!space || strchr(space + 1, ' '))
		return error_set(ERR_INPUT, "a merge must be \"a b\" or [\"a\", \"b\"]");
	part[0] = (struct slice){s, (size_t)(space - s)};
	part[1] = slice_of(space + 1);
	return OK;
}

static int known_token(struct tokenizer_json_reader *r, struct slice token, int *id)
{
	*id = slice_map_find(&r->t->ids, token);
	return *id >= 0 ? OK
	                : error_set(ERR_INPUT, "\"%.*s\" is not in the vocabulary", (int)token.n,
	                            token.s);
}

static int read_merge(struct tokenizer_json_reader *r, const json_t *entry, int rank)
{
	struct slice part[2] = {{0}};
	char         joined[2 * TOKENIZER_TOKEN_MAX];
	int          left, right, id;

	TRY(merge_parts(entry, part));
	/* which bounds the parts: tokens have at most TOKENIZER_TOKEN_MAX bytes */
	TRY(known_token(r, part[0], &left));
	TRY(known_token(r, part[1], &right));
	memcpy(joined, part[0].s, part[0].n);
	memcpy(joined + part[0].n, part[1].s, part[1].n);
	TRY(known_token(r, (struct slice){joined, part[0].n + part[1].n}, &id));
	bpe_merges_put(&r->t->bpe, left, right, rank, id);
	return OK;
}

/* A merge's rank is its place in the list; the lowest rank merges first. */
static int read_merges(struct tokenizer_json_reader *r)
{
	const json_t *list = json_object_get(r->model, "merges");
	int           rank = 0;

	if (!json_is_array(list) || json_array_size(list) > 4 * (size_t)TOKENIZER_VOCAB_MAX)
		return error_set(ERR_INPUT,
		                 "%s: model: \"merges\" must be an array of at most %d merges",
		                 r->path, 4 * TOKENIZER_VOCAB_MAX);
	TRY(bpe_merges_new(&r->t->memory, json_array_size(list), &r->t->bpe));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		if (json_is_string(entry) && !strncmp(json_string_value(entry), "#version", 8))
			continue; /* the first line of a merges.txt, which the library skips too */
		if (read_merge(r, entry, rank++) != OK)
			return error_context("%s: model.merges[%zu]", r->path, i);
	}
	return OK;
}

/* Without unk_id, a text with a character that no token covers is refused, as in the library. */
static int read_unigram(struct tokenizer_json_reader *r, const char *place)
{
	struct unigram *u = &r->t->unigram;
	int64_t         unk = -1;

	TRY(json_get_int(place, r->model, "unk_id", JSON_OPTIONAL,
	                 json_range(0, TOKENIZER_VOCAB_MAX), &unk));
	TRY(json_get_bool(place, r->model, "byte_fallback", JSON_OPTIONAL, &u->byte_fallback));
	TRY(read_vocabulary(r));
	if (r->n_vocab == 0 || unk >= (int64_t)r->n_vocab)
		return error_set(ERR_INPUT,
		                 "%s: \"unk_id\" must be the place of a token of the vocabulary",
		                 place);
	u->text = r->t->content;
	u->n = (int)r->n_vocab;
	u->unk = (int)unk;
	TRY(arena_take(&r->t->memory, r->n_vocab, "the scores of a tokenizer", &u->score));
	for (int i = 0; i < u->n; i++) {
		double score =
		        json_number_value(json_array_get(json_array_get(r->vocab, (size_t)i), 1));
		u->score[i] = unigram_score(score);
	}
	for (int i = 0; i < r->t->n_splitters; i++)
		r->t->splitters[i].write_bytes = r->t->splitters[i].byte_level;
	return unigram_finish(&r->t->memory, u, &r->t->ids);
}

static int read_bpe(struct tokenizer_json_reader *r, const char *place)
{
	struct bpe *b = &r->t->bpe;
	const char *unk = NULL;

	TRY(tokenizer_json_read_options(r, place, &unk));
	TRY(read_vocabulary(r));
	TRY(read_keys(r));
	TRY(read_byte_ids(r, place));
	b->unk = -1;
	if (unk && known_token(r, slice_of(unk), &b->unk) != OK)
		return error_context("%s: unk_token", place);
	TRY(read_merges(r));
	TRY(arena_take(&r->t->memory, (size_t)r->t->n_ids + 1, "the tokens of a tokenizer",
	               &b->whole));
	TRY(bpe_find_joints(&r->t->memory, b));
	return bpe_find_whole(b, r->t->n_ids);
}

/* The file names the type; old files do not, and those are BPE. */
static int read_model(struct tokenizer_json_reader *r)
{
	const char *type = "BPE";
	char        place[4200];

	snprintf(place, sizeof place, "%.4000s: model", r->path);
	TRY(json_get_text(place, r->model, "type", JSON_OPTIONAL, &type));
	r->unigram = !strcmp(type, "Unigram");
	if (!r->unigram && strcmp(type, "BPE") != 0)
		return error_set(ERR_INPUT,
		                 "%s: \"%s\" is not supported as a model; BPE and Unigram are",
		                 place, type);
	if (r->unigram ? !json_is_array(r->vocab) : !json_is_object(r->vocab))
		return error_set(ERR_INPUT, "%s: \"vocab\" must be %s", place,
		                 r->unigram ? "an array" : "an object");
	return r->unigram ? read_unigram(r, place) : read_bpe(r, place);
}

/* ---- added tokens ---- */

/* The library ignores the id of an added token and numbers it itself: as in the vocabulary, or with
 * the next free number. A file that disagrees is refused, because its ids would differ. */
static int added_id(struct tokenizer_json_reader *r, const char *place, const char *token,
                    const json_t *entry, int *next)
{
	int said = (int)json_integer_value(json_object_get(entry, "id")),
	    known = tokenizer_id(r->t, token), id = known >= 0 ? known : *next;

	if (said != id)
		return error_set(
		        ERR_INPUT,
		        "%s: \"%.80s\" says id %d, but the library would give it %d; renumber it",
		        place, token, said, id);
	if (known < 0)
		TRY(put_token(r, "added_tokens", token, strlen(token), id));
	if (id >= *next)
		*next = id + 1;
	return OK;
}

/* An added token is searched for in the raw text or, if it is "normalized", in the normalized
 * text. */
static int read_added(struct tokenizer_json_reader *r, size_t i, int *next)
{
	struct tokenizer  *t = r->t;
	const json_t      *entry = json_array_get(r->added, i);
	struct added_token token = {0};
	int                special = 0, normalized = 0;
	struct added      *list;
	const char        *content;
	char               place[4200];

	snprintf(place, sizeof place, "%.4000s: added_tokens[%zu]", r->path, i);
	TRY(json_get_text(place, entry, "content", JSON_REQUIRED, &content));
	TRY(json_get_bool(place, entry, "special", JSON_REQUIRED, &special));
	TRY(json_get_bool(place, entry, "normalized", JSON_REQUIRED, &normalized));
	TRY(json_get_bool(place, entry, "single_word", JSON_REQUIRED, &token.single_word));
	TRY(json_get_bool(place, entry, "lstrip", JSON_REQUIRED, &token.lstrip));
	TRY(json_get_bool(place, entry, "rstrip", JSON_REQUIRED, &token.rstrip));
	TRY(added_id(r, place, content, entry, next));
	token.id = tokenizer_id(t, content);
	t->special[token.id] = (unsigned char)special;
	token.text = t->content[token.id];
	if (normalized)
		TRY(tokenizer_normalize(t, token.text, &t->memory, &token.text));
	if (!token.text.n)
		return error_set(ERR_INPUT, "%s: normalizing \"%.80s\" leaves nothing", place,
		                 content);
	t->shown[token.id] = token.text;
	list = normalized ? &t->normalized : &t->plain;
	list->tokens[list->n++] = token;
	return OK;
}

static int read_all_added(struct tokenizer_json_reader *r)
{
	struct tokenizer *t = r->t;
	size_t            n = json_array_size(r->added);
	int               next = (int)r->n_vocab;

	TRY(arena_take(&t->memory, n + 1, "the added tokens of a tokenizer", &t->plain.tokens));
	TRY(arena_take(&t->memory, n + 1, "the added tokens of a tokenizer",
	               &t->normalized.tokens));
	for (size_t i = 0; i < n; i++)
		TRY(read_added(r, i, &next));
	if (added_new(t->plain.tokens, t->plain.n, &t->plain) != OK ||
	    added_new(t->normalized.tokens, t->normalized.n, &t->normalized) != OK)
		return error_context("%s: added_tokens", r->path);
	return OK;
}

/* ---- all of it ---- */

/* Decodes each token alone; all pieces share one block of memory. */
static int fill_pieces(struct tokenizer *t)
{
	struct text  all = {0};
	struct arena a = {0};
	const char  *at;
	int          status = OK;

	for (int id = 0; status == OK && id < t->n_ids; id++) {
		struct slice piece;
		if (!t->content[id].s)
			continue;
		arena_reset(&a);
		t->shown[id] = t->shown[id].s ? t->shown[id] : t->content[id];
		status = decoder_piece(t->decoders, t->n_decoders, t->shown[id], &a, &piece);
		if (status == OK && piece.n + all.n > TOKENIZER_FILE_MAX)
			status = error_set(ERR_INPUT,
			                   "decoder: the texts of all tokens together are longer "
			                   "than %d bytes",
			                   TOKENIZER_FILE_MAX);
		if (status == OK)
			text_add(&all, piece.s, piece.n);
		t->piece[id].n = piece.n;
	}
	arena_free(&a);
	if (status == OK)
		status = text_status(&all);
	if (status == OK)
		status = arena_copy(&t->memory, all.data ? all.data : "", all.n, &at);
	text_free(&all);
	for (int id = 0; status == OK && id < t->n_ids; at += t->piece[id++].n)
		t->piece[id].s = at;
	return status;
}

/* Reads the stages before the model, because they tell whether the vocabulary is written in the
 * byte alphabet. */
static int read_root(struct tokenizer_json_reader *r)
{
	const json_t *decoder = json_object_get(r->root, "decoder");

	r->model = json_object_get(r->root, "model");
	r->vocab = json_object_get(r->model, "vocab");
	r->added = json_object_get(r->root, "added_tokens");
	if (!json_is_object(r->model) || (!json_is_object(r->vocab) && !json_is_array(r->vocab)))
		return error_set(ERR_INPUT,
		                 "%s: expected a tokenizer.json with \"model\" and \"vocab\" in it",
		                 r->path);
	if (r->added && !json_is_null(r->added) && !json_is_array(r->added))
		return error_set(ERR_INPUT, "%s: \"added_tokens\" must be an array", r->path);
	TRY(read_stages(r, &normalizer_list));
	TRY(read_stages(r, &splitter_list));
	TRY(read_stages(r, &decoder_list));
	if (decoder && !json_is_null(decoder) && !r->t->n_decoders)
		return error_set(ERR_INPUT, "%s: decoder: an empty Sequence is not supported",
		                 r->path);
	TRY(read_model(r));
	TRY(read_all_added(r));
	return read_stages(r, &template_list);
}

int tokenizer_parse(const char *path, struct tokenizer *t)
{
	struct tokenizer_json_reader r = {.path = path, .t = t};
	json_t                      *root;
	int                          status;

	TRY(json_parse(path, t->json.data ? t->json.data : "", t->json.n, &root));
	r.root = root;
	status = read_root(&r);
	arena_free(&r.arena);
	json_decref(root);
	TRY(status);
	return fill_pieces(t) == OK ? OK : error_context("%s", path);
}
