/* tokenizer_gguf.c - the tokenizer of a GGUF file, rewritten as the tokenizer.json and
 * tokenizer_config.json that its makers would have put beside the model, and read like any other.
 *
 *     tokenizer.ggml.model      gpt2: byte-level BPE with merges; llama: sentencepiece's BPE, whose
 *                               scores rank what is merged
 *     tokenizer.ggml.pre        of gpt2: how texts are split, a row of the table below
 *     tokenizer.ggml.tokens, token_type, merges, scores
 *     tokenizer.ggml.bos_token_id ..., add_bos_token, add_eos_token, add_space_prefix
 *     tokenizer.chat_template */
#include "base/error.h"
#include "base/gguf.h"
#include "base/json.h"
#include "text/tokenizer_parts.h"

#include <stdlib.h>
#include <string.h>

enum { STAGES = 5, PIECE_MAX = 256 /* bytes of a token that merges are made for */ };

static const char digits_stage[] = "",
                  llama_pattern[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
                                    "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
                                    "\\p{N}{1,3}|"
                                    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
                                    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
                  qwen_pattern[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
                                   "\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
                                   "\\s+(?!\\S)|\\s+",
                  tekken_pattern[] = "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*"
                                     "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|"
                                     "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
                                     "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|"
                                     "\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|"
                                     "\\s+(?!\\S)|\\s+";

/* Of several names of one splitting the first is written. */
static const struct gguf_pre {
	const char *names;          /* each between blanks */
	const char *stages[STAGES]; /* patterns, each of which isolates; digits_stage */
	int         regex;          /* ByteLevel, the last stage, splits as GPT-2 does */
	int         nfc, ignore_merges;
	int         bos; /* in front of a text, where the file does not say */
} pres[] = {
        {.names = " gpt-2 phi-2 mpt olmo gigachat a.x-4.0 mellum ", .regex = 1},
        {.names = " smollm starcoder refact command-r codeshell exaone minerva-7b ",
         .stages = {digits_stage},
         .regex = 1},
        {.names = " llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 ",
         .stages = {llama_pattern},
         .ignore_merges = 1,
         .bos = 1},
        {.names = " smaug-bpe dbrx ", .stages = {llama_pattern}},
        {.names = " qwen2 ", .stages = {qwen_pattern}, .nfc = 1},
        {.names = " deepseek-r1-qwen kormo megrez ", .stages = {qwen_pattern}},
        {.names = " tekken ", .stages = {tekken_pattern}, .ignore_merges = 1, .bos = 1},
        {.names = " deepseek-coder ",
         .stages = {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+",
                    digits_stage}},
        {.names = " default ",
         .stages = {"[\\p{P}\\$\\+<=>\\^~\\|]+",
                    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
                    "\\s+(?!\\S)",
                    "\\p{N}+", "[0-9][0-9][0-9]"}},
};
enum { N_PRES = sizeof pres / sizeof *pres };

/* The numbers of tokenizer.ggml.token_type. */
enum token_type {
	TOKEN_NORMAL = 1,
	TOKEN_UNKNOWN,
	TOKEN_CONTROL,
	TOKEN_USER,
	TOKEN_UNUSED,
	TOKEN_BYTE
};

static const struct gguf_role {
	const char *key, *role; /* of the file, of tokenizer_config.json */
} roles[] = {
        {"tokenizer.ggml.bos_token_id", "bos_token"},
        {"tokenizer.ggml.eos_token_id", "eos_token"},
        {"tokenizer.ggml.unknown_token_id", "unk_token"},
        {"tokenizer.ggml.padding_token_id", "pad_token"},
        {"tokenizer.ggml.mask_token_id", "mask_token"},
};
enum { ROLE_BOS, ROLE_EOS, ROLE_UNK, N_ROLES = sizeof roles / sizeof *roles };

/* ---- reading ---- */

struct gguf_tokenizer {
	const struct gguf       *g;
	struct arena             arena;
	int                      pieces; /* of the kind llama */
	const struct gguf_pre   *pre;    /* else */
	struct gguf_text        *tokens; /* [n] */
	int                      n;
	const struct gguf_value *types;         /* or NULL: all normal */
	int                      role[N_ROLES]; /* ids, or -1 */
	int                      add_bos, add_eos, space_prefix;
	struct text             *out; /* tokenizer.json */
};

static const struct gguf_pre *gguf_pre_find(const char *name)
{
	char word[64];

	snprintf(word, sizeof word, " %.60s ", name);
	for (int i = 0; i < N_PRES; i++)
		if (!strchr(name, ' ') && strstr(pres[i].names, word))
			return &pres[i];
	return NULL;
}

static int gguf_read_kinds(struct gguf_tokenizer *r)
{
	const char *model = NULL, *pre = NULL;
	const char *path = r->g->path;

	TRY(gguf_get_text(r->g, "tokenizer.ggml.model", GGUF_REQUIRED, &r->arena, &model));
	r->pieces = !strcmp(model, "llama");
	if (r->pieces)
		return OK;
	if (strcmp(model, "gpt2") != 0)
		return error_set(
		        ERR_INPUT,
		        "%s: \"tokenizer.ggml.model\" is \"%.64s\", which is not supported; "
		        "gpt2 and llama are",
		        path, model);
	TRY(gguf_get_text(r->g, "tokenizer.ggml.pre", GGUF_OPTIONAL, &r->arena, &pre));
	if (!pre)
		return error_set(ERR_INPUT,
		                 "%s: \"tokenizer.ggml.pre\" is missing, so how texts are split is "
		                 "not known; convert the model again",
		                 path);
	r->pre = gguf_pre_find(pre);
	return r->pre ? OK
	              : error_set(ERR_INPUT,
	                          "%s: \"tokenizer.ggml.pre\" is \"%.64s\", a splitting of texts "
	                          "that is not supported",
	                          path, pre);
}

/* What would change ids and is not done here. */
static int gguf_check_switches(const struct gguf *g)
{
	static const char *const off[] = {
	        "tokenizer.ggml.remove_extra_whitespaces", "tokenizer.ggml.add_sep_token",
	        "tokenizer.ggml.normalizer.lowercase", "tokenizer.ggml.space_replacement"};

	for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
		int on = 0;
		TRY(gguf_get_bool(g, off[i], GGUF_OPTIONAL, &on));
		if (on)
			return error_set(ERR_INPUT, "%s: \"%s\" is true: not supported", g->path,
			                 off[i]);
	}
	return OK;
}

static int gguf_read_tokens(struct gguf_tokenizer *r)
{
	const struct gguf_value *v;

	TRY(gguf_get_array(r->g, "tokenizer.ggml.tokens", GGUF_REQUIRED, GGUF_TEXT, &v));
	if (v->count < 1 || v->count > TOKENIZER_VOCAB_MAX)
		return error_set(ERR_INPUT, "%s: %llu tokens; 1 to %d are possible", r->g->path,
		                 (unsigned long long)v->count, TOKENIZER_VOCAB_MAX);
	r->n = (int)v->count;
	TRY(gguf_texts(r->g, v, &r->arena, &r->tokens));
	for (int i = 0; i < r->n; i++) {
		struct slice t = {r->tokens[i].s, r->tokens[i].n};
		if (t.n > TOKENIZER_TOKEN_MAX || memchr(t.s, 0, t.n) || !utf8_is_valid(t))
			return error_set(ERR_INPUT,
			                 "%s: token %d must be UTF-8 of at most %d bytes without a "
			                 "NUL",
			                 r->g->path, i, TOKENIZER_TOKEN_MAX);
	}
	TRY(gguf_get_array(r->g, "tokenizer.ggml.token_type", GGUF_OPTIONAL, GGUF_I32, &r->types));
	if (r->types && r->types->count != v->count)
		return error_set(ERR_INPUT, "%s: %d tokens, but %llu in \"token_type\"", r->g->path,
		                 r->n, (unsigned long long)r->types->count);
	return OK;
}

static int gguf_read_roles(struct gguf_tokenizer *r)
{
	r->add_bos = r->pieces || r->pre->bos;
	r->space_prefix = r->pieces;
	for (int i = 0; i < N_ROLES; i++) {
		int64_t id = -1;
		TRY(gguf_get_int(r->g, roles[i].key, GGUF_OPTIONAL, 0, r->n - 1, &id));
		r->role[i] = (int)id;
	}
	TRY(gguf_get_bool(r->g, "tokenizer.ggml.add_bos_token", GGUF_OPTIONAL, &r->add_bos));
	TRY(gguf_get_bool(r->g, "tokenizer.ggml.add_eos_token", GGUF_OPTIONAL, &r->add_eos));
	TRY(gguf_get_bool(r->g, "tokenizer.ggml.add_space_prefix", GGUF_OPTIONAL,
	                  &r->space_prefix));
	if ((r->add_bos && r->role[ROLE_BOS] < 0) || (r->add_eos && r->role[ROLE_EOS] < 0))
		return error_set(ERR_INPUT,
		                 "%s: texts are to begin or end with a token whose id is missing",
		                 r->g->path);
	return OK;
}

static enum token_type gguf_token_type(const struct gguf_tokenizer *r, int id)
{
	return r->types ? (enum token_type)gguf_whole(r->g, r->types, (uint64_t)id) : TOKEN_NORMAL;
}

/* What fills the vocabulary up to a round size has no token. */
static int gguf_is_filler(const struct gguf_tokenizer *r, int id)
{
	char name[24];
	int  n = snprintf(name, sizeof name, "[PAD%d]", id);

	return gguf_token_type(r, id) == TOKEN_UNUSED && r->tokens[id].n == (size_t)n &&
	       !memcmp(r->tokens[id].s, name, (size_t)n);
}

/* ---- merges of sentencepiece ---- */

struct gguf_merge {
	float score; /* of what is made */
	int   left_length, right_length, made, left, right;
};

/* The best score first; then as transformers has it: longer parts, earlier tokens. */
static int gguf_compare_merges(const void *a, const void *b)
{
	const struct gguf_merge *x = a, *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	if (x->left_length != y->left_length)
		return x->left_length > y->left_length ? -1 : 1;
	if (x->right_length != y->right_length)
		return x->right_length > y->right_length ? -1 : 1;
	if (x->made != y->made)
		return x->made < y->made ? -1 : 1;
	return x->left != y->left ? (x->left < y->left ? -1 : 1) : 0;
}

static int gguf_characters(const char *s, size_t n)
{
	int count = 0;

	for (size_t i = 0; i < n; i++)
		count += ((unsigned char)s[i] & 0xC0) != 0x80;
	return count;
}

struct gguf_merges {
	struct gguf_merge *at; /* owned */
	size_t             n, capacity;
};

/* Every way to cut the token into two tokens. */
static int gguf_add_merges(const struct slice_map *ids, struct slice token, int id, float score,
                           struct gguf_merges *out)
{
	for (size_t cut = 1; cut < token.n; cut++) {
		struct slice left = {token.s, cut}, right = {token.s + cut, token.n - cut};
		int          l, r;
		if (((unsigned char)*right.s & 0xC0) == 0x80)
			continue;
		l = slice_map_find(ids, left);
		r = l < 0 ? -1 : slice_map_find(ids, right);
		if (r < 0)
			continue;
		if (out->n == 4 * (size_t)TOKENIZER_VOCAB_MAX)
			return error_set(ERR_INPUT, "its tokens make more than %zu merges", out->n);
		TRY(mem_room(&out->at, &out->capacity, out->n + 1, "the merges of a tokenizer"));
		out->at[out->n++] = (struct gguf_merge){score,
		                                        gguf_characters(left.s, left.n),
		                                        gguf_characters(right.s, right.n),
		                                        id,
		                                        l,
		                                        r};
	}
	return OK;
}

/* From scores [n] to merges, in the order in which they are to be made. */
static int gguf_merges_of(const struct slice *tokens, int n, const float *scores, struct arena *a,
                          struct gguf_merges *out)
{
	struct slice_map ids;

	TRY(slice_map_new(a, (size_t)n, tokens, &ids));
	for (int i = 0; i < n; i++) {
		if (tokens[i].n > PIECE_MAX)
			return error_set(ERR_INPUT, "token %d is longer than %d bytes", i,
			                 PIECE_MAX);
		if (scores[i] != scores[i])
			return error_set(ERR_INPUT, "the score of token %d is not a number", i);
		if (slice_map_find(&ids, tokens[i]) < 0)
			slice_map_put(&ids, i);
	}
	for (int i = 0; i < n; i++)
		TRY(gguf_add_merges(&ids, tokens[i], i, scores[i], out));
	if (out->n)
		qsort(out->at, out->n, sizeof *out->at, gguf_compare_merges);
	return OK;
}

/* ---- the parts of tokenizer.json ---- */

static void gguf_say(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

static void gguf_say_token(const struct gguf_tokenizer *r, int id)
{
	json_add_string(r->out, r->tokens[id].s, r->tokens[id].n);
}

static void gguf_say_added(const struct gguf_tokenizer *r)
{
	const char *comma = "";

	gguf_say(r->out, "{\n\"version\": \"1.0\",\n\"truncation\": null,\n\"padding\": null,\n"
	                 "\"added_tokens\": [");
	for (int id = 0; id < r->n; id++) {
		enum token_type type = gguf_token_type(r, id);
		if (type != TOKEN_CONTROL && type != TOKEN_USER && type != TOKEN_UNKNOWN)
			continue;
		text_print(r->out, "%s\n{\"id\": %d, \"content\": ", comma, id);
		gguf_say_token(r, id);
		text_print(r->out,
		           ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
		           "\"normalized\": false, \"special\": %s}",
		           type == TOKEN_USER ? "false" : "true");
		comma = ",";
	}
	gguf_say(r->out, "],\n");
}

/* Splitting of gpt2 comes from its row. */
static void gguf_say_stages(struct text *t, const struct gguf_pre *p)
{
	text_print(t, "\"normalizer\": %s,\n", p->nfc ? "{\"type\": \"NFC\"}" : "null");
	gguf_say(t, "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [\n");
	for (int i = 0; i < STAGES && p->stages[i]; i++) {
		if (p->stages[i] == digits_stage) {
			gguf_say(t, "{\"type\": \"Digits\", \"individual_digits\": true},\n");
			continue;
		}
		gguf_say(t, "{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
		json_add_string(t, p->stages[i], strlen(p->stages[i]));
		gguf_say(t, "}, \"behavior\": \"Isolated\", \"invert\": false},\n");
	}
	text_print(t,
	           "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "
	           "\"use_regex\": %s}]},\n",
	           p->regex ? "true" : "false");
	gguf_say(t, "\"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, "
	            "\"trim_offsets\": true, \"use_regex\": true},\n");
}

/* Sentencepiece writes a space as U+2581, and one more in front of a text. */
static void gguf_say_spaces(struct text *t, int prefix)
{
	text_print(t,
	           "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [%s"
	           "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": "
	           "\"\xE2\x96\x81\"}]},\n\"pre_tokenizer\": null,\n",
	           prefix ? "{\"type\": \"Prepend\", \"prepend\": \"\xE2\x96\x81\"}, " : "");
	text_print(t,
	           "\"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", "
	           "\"pattern\": {\"String\": \"\xE2\x96\x81\"}, \"content\": \" \"}, {\"type\": "
	           "\"ByteFallback\"}, {\"type\": \"Fuse\"}%s]},\n",
	           prefix ? ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}"
	                  : "");
}

static void gguf_say_special(const struct gguf_tokenizer *r, int id)
{
	gguf_say(r->out, "{\"SpecialToken\": {\"id\": ");
	gguf_say_token(r, id);
	gguf_say(r->out, ", \"type_id\": 0}}");
}

static void gguf_say_template(const struct gguf_tokenizer *r)
{
	const int ids[2] = {r->add_bos ? r->role[ROLE_BOS] : -1,
	                    r->add_eos ? r->role[ROLE_EOS] : -1};
	int n = 0;

	if (ids[0] < 0 && ids[1] < 0) {
		gguf_say(r->out, "\"post_processor\": null,\n");
		return;
	}
	gguf_say(r->out, "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [");
	if (ids[0] >= 0)
		gguf_say_special(r, ids[0]);
	text_print(r->out, "%s{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}%s",
	           ids[0] >= 0 ? ", " : "", ids[1] >= 0 ? ", " : "");
	if (ids[1] >= 0)
		gguf_say_special(r, ids[1]);
	gguf_say(r->out, "], \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, "
	                 "{\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}], \"special_tokens\": {");
	for (int i = 0; i < 2; i++) {
		if (ids[i] < 0 || (i && ids[0] == ids[1]))
			continue;
		gguf_say(r->out, n++ ? ", " : "");
		gguf_say_token(r, ids[i]);
		gguf_say(r->out, ": {\"id\": ");
		gguf_say_token(r, ids[i]);
		text_print(r->out, ", \"ids\": [%d], \"tokens\": [", ids[i]);
		gguf_say_token(r, ids[i]);
		gguf_say(r->out, "]}");
	}
	gguf_say(r->out, "}},\n");
}

static void gguf_say_vocabulary(const struct gguf_tokenizer *r)
{
	const char *comma = "";

	gguf_say(r->out, "\"vocab\": {");
	for (int id = 0; id < r->n; id++) {
		if (gguf_is_filler(r, id))
			continue;
		text_print(r->out, "%s\n", comma);
		gguf_say_token(r, id);
		text_print(r->out, ": %d", id);
		comma = ",";
	}
	gguf_say(r->out, "},\n\"merges\": [");
}

/* Of gpt2: "left right", as they stand. */
static int gguf_say_merges(struct gguf_tokenizer *r)
{
	const struct gguf_value *v;
	struct gguf_text        *merges;

	TRY(gguf_get_array(r->g, "tokenizer.ggml.merges", GGUF_REQUIRED, GGUF_TEXT, &v));
	TRY(gguf_texts(r->g, v, &r->arena, &merges));
	for (uint64_t i = 0; i < v->count; i++) {
		struct slice m = {merges[i].s, merges[i].n};
		if (!utf8_is_valid(m) || memchr(m.s, 0, m.n))
			return error_set(ERR_INPUT, "%s: merge %llu is not UTF-8", r->g->path,
			                 (unsigned long long)i);
		gguf_say(r->out, i ? ",\n" : "\n");
		json_add_string(r->out, m.s, m.n);
	}
	return OK;
}

/* Of llama: what the scores make of the tokens. */
static int gguf_say_scored(struct gguf_tokenizer *r)
{
	const struct gguf_value *v;
	struct gguf_merges       m = {0};
	struct slice            *tokens;
	float                   *scores;
	int                      status;

	TRY(gguf_get_array(r->g, "tokenizer.ggml.scores", GGUF_REQUIRED, GGUF_F32, &v));
	if (v->count != (uint64_t)r->n)
		return error_set(ERR_INPUT, "%s: %d tokens, but %llu scores", r->g->path, r->n,
		                 (unsigned long long)v->count);
	TRY(arena_take(&r->arena, (size_t)r->n, "the tokens of a tokenizer", &tokens));
	TRY(arena_take(&r->arena, (size_t)r->n, "the scores of a tokenizer", &scores));
	for (int i = 0; i < r->n; i++) {
		tokens[i] = gguf_is_filler(r, i) ? (struct slice){"", 0}
		                                 : (struct slice){r->tokens[i].s, r->tokens[i].n};
		scores[i] = gguf_float(r->g, v, (uint64_t)i);
	}
	status = gguf_merges_of(tokens, r->n, scores, &r->arena, &m);
	for (size_t i = 0; i < m.n && status == OK; i++) {
		gguf_say(r->out, i ? ",\n[" : "\n[");
		gguf_say_token(r, m.at[i].left);
		gguf_say(r->out, ", ");
		gguf_say_token(r, m.at[i].right);
		gguf_say(r->out, "]");
	}
	mem_free(m.at);
	return status == OK ? OK : error_context("%s", r->g->path);
}

static int gguf_say_model(struct gguf_tokenizer *r)
{
	int unk = r->pieces ? r->role[ROLE_UNK] : -1;

	gguf_say(r->out, "\"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": ");
	if (unk >= 0)
		gguf_say_token(r, unk);
	else
		gguf_say(r->out, "null");
	text_print(r->out,
	           ", \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, "
	           "\"fuse_unk\": %s, \"byte_fallback\": %s, \"ignore_merges\": %s,\n",
	           r->pieces ? "true" : "false", r->pieces ? "true" : "false",
	           r->pre && r->pre->ignore_merges ? "true" : "false");
	gguf_say_vocabulary(r);
	TRY(r->pieces ? gguf_say_scored(r) : gguf_say_merges(r));
	gguf_say(r->out, "]}\n}\n");
	return text_status(r->out);
}

static int gguf_say_json(struct gguf_tokenizer *r)
{
	gguf_say_added(r);
	if (r->pieces)
		gguf_say_spaces(r->out, r->space_prefix);
	else
		gguf_say_stages(r->out, r->pre);
	gguf_say_template(r);
	return gguf_say_model(r);
}

/* tokenizer_config.json: the special tokens and the chat template. */
static int gguf_say_config(struct gguf_tokenizer *r, struct text *out)
{
	const char *chat = NULL;

	TRY(gguf_get_text(r->g, "tokenizer.chat_template", GGUF_OPTIONAL, &r->arena, &chat));
	gguf_say(out, "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n"
	              "  \"clean_up_tokenization_spaces\": false");
	for (int i = 0; i < N_ROLES; i++) {
		if (r->role[i] < 0)
			continue;
		text_print(out, ",\n  \"%s\": ", roles[i].role);
		json_add_string(out, r->tokens[r->role[i]].s, r->tokens[r->role[i]].n);
	}
	if (chat) {
		if (!utf8_is_valid(slice_of(chat)))
			return error_set(ERR_INPUT, "%s: the chat template is not UTF-8",
			                 r->g->path);
		gguf_say(out, ",\n  \"chat_template\": ");
		json_add_string(out, chat, strlen(chat));
	}
	gguf_say(out, "\n}\n");
	return text_status(out);
}

static int gguf_read_all(struct gguf_tokenizer *r, struct tokenizer *t)
{
	TRY(gguf_read_kinds(r));
	TRY(gguf_check_switches(r->g));
	TRY(gguf_read_tokens(r));
	TRY(gguf_read_roles(r));
	TRY(gguf_say_json(r));
	TRY(gguf_say_config(r, &t->config_text));
	return json_parse(r->g->path, t->config_text.data, t->config_text.n, &t->config);
}

int tokenizer_parse_gguf(const char *path, struct tokenizer *t)
{
	struct gguf           g;
	struct gguf_tokenizer r = {.g = &g, .out = &t->json};
	int                   status;

	TRY(gguf_open(path, &g));
	status = gguf_read_all(&r, t);
	arena_free(&r.arena);
	gguf_close(&g);
	return status == OK ? tokenizer_parse(path, t) : status;
}

/* ---- writing ---- */

struct gguf_tokenizer_out {
	const struct tokenizer     *t;
	const struct tokenizer_ids *ids;
	const json_t               *root, *model; /* of t->json */
	const struct gguf_pre      *pre;          /* of gpt2; NULL: of llama */
	int                         space_prefix;
	unsigned char              *type; /* [n_vocab] enum token_type */
	struct arena                arena;
	struct gguf_out            *out;
};

static const char *gguf_type_in(const json_t *stage)
{
	const char *type = json_string_value(json_object_get(stage, "type"));

	return type ? type : "";
}

/* The stage as the table of splittings has it; NULL: it has none such. */
static const char *gguf_stage_of(const json_t *stage)
{
	const char *pattern = json_string_value(
	                   json_object_get(json_object_get(stage, "pattern"), "Regex")),
	           *behavior = json_string_value(json_object_get(stage, "behavior"));

	if (!strcmp(gguf_type_in(stage), "Digits") &&
	    json_is_true(json_object_get(stage, "individual_digits")))
		return digits_stage;
	if (!strcmp(gguf_type_in(stage), "Split") && pattern && behavior &&
	    !strcmp(behavior, "Isolated") && !json_is_true(json_object_get(stage, "invert")))
		return pattern;
	return NULL;
}

static int gguf_same_stages(const struct gguf_pre *p, const json_t *list, size_t n)
{
	size_t i = 0;

	for (; i < n; i++) {
		const char *stage = gguf_stage_of(json_array_get(list, i));
		if (i == STAGES || !stage || !p->stages[i] || strcmp(stage, p->stages[i]) != 0 ||
		    (stage == digits_stage) != (p->stages[i] == digits_stage))
			return 0;
	}
	return i == STAGES || !p->stages[i];
}

/* The row that splits and normalizes as the file does: stages, then ByteLevel. */
static const struct gguf_pre *gguf_pre_of(const json_t *root)
{
	const json_t *pre = json_object_get(root, "pre_tokenizer"),
	             *list = json_object_get(pre, "pretokenizers"),
	             *normalizer = json_object_get(root, "normalizer"), *last, *regex;
	size_t n = list ? json_array_size(list) : 1;
	int    nfc = !strcmp(gguf_type_in(normalizer), "NFC"),
	    ignore = json_is_true(json_object_get(json_object_get(root, "model"), "ignore_merges"));

	last = list ? json_array_get(list, n - 1) : pre;
	regex = json_object_get(last, "use_regex");
	if (n == 0 || strcmp(gguf_type_in(last), "ByteLevel") != 0 ||
	    json_is_true(json_object_get(last, "add_prefix_space")) ||
	    (!nfc && normalizer && !json_is_null(normalizer)))
		return NULL;
	for (int i = 0; i < N_PRES; i++)
		if (pres[i].nfc == nfc && pres[i].ignore_merges == ignore &&
		    pres[i].regex == !json_is_false(regex) &&
		    gguf_same_stages(&pres[i], list, n - 1))
			return &pres[i];
	return NULL;
}

/* Whether spaces become U+2581 and nothing else happens before BPE with bytes to fall back on. */
static int gguf_is_pieces(const json_t *root, int *prefix)
{
	const json_t *list = json_object_get(json_object_get(root, "normalizer"), "normalizers"),
	             *pre = json_object_get(root, "pre_tokenizer"),
	             *model = json_object_get(root, "model");
	size_t      n = json_array_size(list);
	const char *with =
	        json_string_value(json_object_get(json_array_get(list, n ? n - 1 : 0), "content"));

	*prefix = n == 2 && !strcmp(gguf_type_in(json_array_get(list, 0)), "Prepend");
	return n == (*prefix ? 2u : 1u) && with && !strcmp(with, "\xE2\x96\x81") &&
	       (!pre || json_is_null(pre)) && json_is_true(json_object_get(model, "byte_fallback"));
}

static int gguf_out_kind(struct gguf_tokenizer_out *w)
{
	const char *type = gguf_type_in(w->model); /* old files of BPE have none */
	char        name[64];

	if (*type && strcmp(type, "BPE") != 0)
		return error_set(
		        ERR_INPUT,
		        "a tokenizer of the type %.32s has no name in GGUF files that hone "
		        "knows, so the model cannot be exported as one",
		        type);
	w->pre = gguf_pre_of(w->root);
	if (!w->pre && !gguf_is_pieces(w->root, &w->space_prefix))
		return error_set(ERR_INPUT,
		                 "the tokenizer splits texts in a way that has no name in GGUF "
		                 "files, so the model cannot be exported as one");
	gguf_out_text(w->out, "tokenizer.ggml.model", w->pre ? "gpt2" : "llama", w->pre ? 4 : 5);
	if (w->pre) {
		sscanf(w->pre->names, "%63s", name);
		gguf_out_text(w->out, "tokenizer.ggml.pre", name, strlen(name));
	}
	return OK;
}

/* What llama.cpp does with an added token is what the flags that are not set say. */
static int gguf_out_added(struct gguf_tokenizer_out *w)
{
	static const char *const flags[] = {"lstrip", "rstrip", "single_word"};
	const json_t            *list = json_object_get(w->root, "added_tokens");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		const char   *text = json_string_value(json_object_get(one, "content"));
		int           id = text ? tokenizer_id(w->t, text) : -1;
		for (size_t f = 0; f < sizeof flags / sizeof *flags; f++)
			if (json_is_true(json_object_get(one, flags[f])))
				return error_set(ERR_INPUT,
				                 "the added token \"%.64s\" has \"%s\", which GGUF "
				                 "files cannot say",
				                 text ? text : "", flags[f]);
		if (id >= 0 && id < w->ids->n_vocab)
			w->type[id] = json_is_true(json_object_get(one, "special")) ? TOKEN_CONTROL
			                                                            : TOKEN_USER;
	}
	return OK;
}

static int gguf_out_types(struct gguf_tokenizer_out *w)
{
	const char *name = json_string_value(json_object_get(w->model, "unk_token"));
	int         unk = w->pre || !name ? -1 : tokenizer_id(w->t, name);

	TRY(arena_take(&w->arena, (size_t)w->ids->n_vocab, "the tokens of a tokenizer", &w->type));
	for (int id = 0; id < w->ids->n_vocab; id++) {
		struct slice s = id < w->t->n_ids ? w->t->content[id] : (struct slice){NULL, 0};
		w->type[id] = !s.s ? TOKEN_UNUSED : TOKEN_NORMAL;
		if (s.s && !w->pre && byte_token(s) >= 0)
			w->type[id] = TOKEN_BYTE;
	}
	TRY(gguf_out_added(w));
	/* one that texts can spell is an added token; another one is no less a normal token */
	if (unk >= 0 && unk < w->ids->n_vocab && w->type[unk] == TOKEN_CONTROL)
		w->type[unk] = TOKEN_UNKNOWN;
	return OK;
}

static void gguf_out_tokens(const struct gguf_tokenizer_out *w)
{
	gguf_out_array(w->out, "tokenizer.ggml.tokens", GGUF_TEXT, (uint64_t)w->ids->n_vocab);
	for (int id = 0; id < w->ids->n_vocab; id++) {
		char name[24];
		int  n = snprintf(name, sizeof name, "[PAD%d]", id);
		if (w->type[id] == TOKEN_UNUSED)
			gguf_out_element_text(w->out, name, (size_t)n);
		else
			gguf_out_element_text(w->out, w->t->content[id].s, w->t->content[id].n);
	}
	gguf_out_array(w->out, "tokenizer.ggml.token_type", GGUF_I32, (uint64_t)w->ids->n_vocab);
	for (int id = 0; id < w->ids->n_vocab; id++) {
		int32_t type = w->type[id];
		gguf_out_element(w->out, &type, sizeof type);
	}
}

/* "a b" or ["a", "b"]; a part with a space in it cannot be told. */
static int gguf_merge_parts(const json_t *merge, struct slice part[2])
{
	const char *text = json_string_value(merge), *space = text ? strchr(text, ' ') : NULL;
	const char *left = json_string_value(json_array_get(merge, 0)),
	           *right = json_string_value(json_array_get(merge, 1));

	if (space) {
		part[0] = (struct slice){text, (size_t)(space - text)};
		part[1] = slice_of(space + 1);
	} else if (left && right) {
		part[0] = slice_of(left);
		part[1] = slice_of(right);
	}
	return (space || (left && right)) && !memchr(part[0].s, ' ', part[0].n) &&
	                       !memchr(part[1].s, ' ', part[1].n)
	               ? OK
	               : error_set(ERR_INPUT, "a merge of the tokenizer has a space in a part, "
	                                      "which GGUF files cannot say");
}

static int gguf_out_merges(const struct gguf_tokenizer_out *w)
{
	const json_t *list = json_object_get(w->model, "merges");
	struct slice  part[2] = {{0}};
	struct text   line = {0};
	int           status = OK;

	gguf_out_array(w->out, "tokenizer.ggml.merges", GGUF_TEXT, json_array_size(list));
	for (size_t i = 0; i < json_array_size(list) && status == OK; i++) {
		status = gguf_merge_parts(json_array_get(list, i), part);
		line.n = 0;
		text_print(&line, "%.*s %.*s", (int)part[0].n, part[0].s, (int)part[1].n,
		           part[1].s);
		gguf_out_element_text(w->out, line.data, line.n);
	}
	text_free(&line);
	return status;
}

/* The place of the first merge that makes a token is what its score says; those that no merge makes
 * come behind them all. */
static int gguf_score_tokens(const struct gguf_tokenizer_out *w, const json_t *list, float *scores)
{
	struct slice part[2] = {{0}};
	char         joined[2 * TOKENIZER_TOKEN_MAX];

	for (int id = 0; id < w->ids->n_vocab; id++)
		scores[id] = w->type[id] == TOKEN_NORMAL ? -(float)json_array_size(list) : 0;
	for (size_t i = json_array_size(list); i-- > 0;) {
		int id;
		TRY(gguf_merge_parts(json_array_get(list, i), part));
		if (part[0].n + part[1].n > sizeof joined)
			return error_set(ERR_INPUT, "a merge of the tokenizer is too long");
		memcpy(joined, part[0].s, part[0].n);
		memcpy(joined + part[0].n, part[1].s, part[1].n);
		id = slice_map_find(&w->t->ids, (struct slice){joined, part[0].n + part[1].n});
		if (id >= 0 && id < w->ids->n_vocab)
			scores[id] = -(float)i;
	}
	return OK;
}

/* Scores say less than merges: that they give the same ones is checked. */
static int gguf_check_scores(struct gguf_tokenizer_out *w, const json_t *list, const float *scores)
{
	struct gguf_merges m = {0};
	struct slice      *tokens, part[2] = {{0}};
	int                same, n = w->ids->n_vocab;

	TRY(arena_take(&w->arena, (size_t)n, "the tokens of a tokenizer", &tokens));
	for (int id = 0; id < n; id++)
		tokens[id] =
		        w->type[id] == TOKEN_UNUSED ? (struct slice){"", 0} : w->t->content[id];
	same = gguf_merges_of(tokens, n, scores, &w->arena, &m) == OK &&
	       m.n == json_array_size(list);
	for (size_t i = 0; same && i < m.n; i++)
		same = gguf_merge_parts(json_array_get(list, i), part) == OK &&
		       slice_map_find(&w->t->ids, part[0]) == m.at[i].left &&
		       slice_map_find(&w->t->ids, part[1]) == m.at[i].right;
	mem_free(m.at);
	return same ? OK
	            : error_set(ERR_INPUT,
	                        "the merges of the tokenizer are not those that scores of "
	                        "its tokens give, which is what GGUF files have");
}

static int gguf_out_scores(struct gguf_tokenizer_out *w)
{
	const json_t *list = json_object_get(w->model, "merges");
	float        *scores;

	TRY(arena_take(&w->arena, (size_t)w->ids->n_vocab, "the scores of a tokenizer", &scores));
	TRY(gguf_score_tokens(w, list, scores));
	TRY(gguf_check_scores(w, list, scores));
	gguf_out_array(w->out, "tokenizer.ggml.scores", GGUF_F32, (uint64_t)w->ids->n_vocab);
	gguf_out_element(w->out, scores, (size_t)w->ids->n_vocab * sizeof *scores);
	return OK;
}

/* bos in front and eos behind are all that a GGUF file can add to a text. */
static int gguf_out_template(const struct gguf_tokenizer_out *w, int bos, int eos)
{
	const struct ids *before = &w->t->before, *after = &w->t->after;

	if (before->n > 1 || after->n > 1 || (before->n && before->id[0] != bos) ||
	    (after->n && after->id[0] != eos))
		return error_set(ERR_INPUT,
		                 "the tokenizer puts other tokens around a text than one bos and "
		                 "one eos, which GGUF files cannot say");
	gguf_out_bool(w->out, "tokenizer.ggml.add_bos_token", before->n == 1);
	gguf_out_bool(w->out, "tokenizer.ggml.add_eos_token", after->n == 1);
	return OK;
}

/* The tokenizer's own eos where the model ends with it; then what else the model ends with. */
static int gguf_out_ends(const struct gguf_tokenizer_out *w, int *eos)
{
	static const char *const    keys[] = {"tokenizer.ggml.eot_token_id",
	                                      "tokenizer.ggml.eom_token_id"};
	const struct tokenizer_ids *m = w->ids;
	int                         n = 0, known = m->n_eos == 0;

	*eos = tokenizer_role(w->t, "eos");
	for (int i = 0; i < m->n_eos; i++)
		known |= m->eos[i] == *eos;
	if (!known)
		*eos = m->eos[0];
	if (*eos >= 0)
		gguf_out_u32(w->out, roles[ROLE_EOS].key, (uint32_t)*eos);
	for (int i = 0; i < m->n_eos; i++) {
		if (m->eos[i] == *eos)
			continue;
		if (n == 2)
			return error_set(ERR_INPUT,
			                 "the model ends a text with %d ids; GGUF files can say "
			                 "three",
			                 m->n_eos);
		gguf_out_u32(w->out, keys[n++], (uint32_t)m->eos[i]);
	}
	return OK;
}

static int gguf_out_specials(const struct gguf_tokenizer_out *w)
{
	const char *chat = tokenizer_chat_template(w->t);
	int         bos = tokenizer_role(w->t, "bos"), eos;

	bos = bos >= 0 ? bos : w->ids->bos;
	if (bos >= 0)
		gguf_out_u32(w->out, roles[ROLE_BOS].key, (uint32_t)bos);
	TRY(gguf_out_ends(w, &eos));
	for (int i = ROLE_UNK; i < N_ROLES; i++) {
		char role[8];
		int  id;
		snprintf(role, sizeof role, "%.*s", (int)strcspn(roles[i].role, "_"),
		         roles[i].role);
		id = tokenizer_role(w->t, role);
		if (id >= 0)
			gguf_out_u32(w->out, roles[i].key, (uint32_t)id);
	}
	if (chat)
		gguf_out_text(w->out, "tokenizer.chat_template", chat, strlen(chat));
	if (!w->pre)
		gguf_out_bool(w->out, "tokenizer.ggml.add_space_prefix", w->space_prefix);
	return gguf_out_template(w, bos, eos);
}

static int gguf_out_all(struct gguf_tokenizer_out *w)
{
	w->model = json_object_get(w->root, "model");
	if (w->t->n_ids > w->ids->n_vocab)
		return error_set(ERR_INPUT, "the tokenizer has %d ids, the model %d", w->t->n_ids,
		                 w->ids->n_vocab);
	TRY(gguf_out_kind(w));
	TRY(gguf_out_types(w));
	gguf_out_tokens(w);
	TRY(w->pre ? gguf_out_merges(w) : gguf_out_scores(w));
	return gguf_out_specials(w);
}

int tokenizer_gguf_values(const struct tokenizer *t, const struct tokenizer_ids *ids,
                          struct gguf_out *out)
{
	struct gguf_tokenizer_out w = {.t = t, .ids = ids, .out = out};
	json_t                   *root;
	int                       status;

	TRY(json_parse("tokenizer.json", t->json.data ? t->json.data : "", t->json.n, &root));
	w.root = root;
	status = gguf_out_all(&w);
	arena_free(&w.arena);
	json_decref(root);
	return status;
}
