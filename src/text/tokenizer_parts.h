/* tokenizer_parts.h - the stages of a tokenizer, as the reader (tokenizer_json.c) fills them in.
 * Private to src/text/tokenizer*.c.
 *
 * Each kind of stage is a struct whose first member is the function that runs it. A tokenizer holds
 * short arrays of them. Texts travel as slices: borrowed parts of the input, or of an arena when a
 * stage had to write new text. */
#ifndef TEXT_TOKENIZER_PARTS_H
#define TEXT_TOKENIZER_PARTS_H

#define PCRE2_CODE_UNIT_WIDTH 8

#include "text/tokenizer.h"

#include <pcre2.h>
#include <stdint.h>

enum {
	TOKENIZER_STAGES_MAX = 16, /* of each kind */
	TOKENIZER_VOCAB_MAX = 1 << 22,
	TOKENIZER_TOKEN_MAX = 4096,     /* bytes of one token */
	TOKENIZER_LITERAL_MAX = 256,    /* bytes of a text that a stage inserts or looks for */
	TOKENIZER_FILE_MAX = 256 << 20, /* bytes, after decompression */
	/* bytes of one word of BPE: ints count its symbols */
	TOKENIZER_WORD_MAX = 1 << 29,
};

/* ---- spans and lists of them (tokenizer_text.c) ---- */

struct slice {
	const char *s;
	size_t      n;
};
struct slice slice_of(const char *s); /* up to its 0 */
/* the first `what` (not empty) in it, or NULL */
const char *slice_find(struct slice in, struct slice what);

struct piece {
	struct slice text;
	/* after cutting at added tokens: the id, or -1. After splitting: 1 for a match, 0 for the
	 * text between matches */
	int mark;
};
struct pieces {
	struct piece *at; /* owned */
	size_t        n, capacity;
};
int  pieces_add(struct pieces *p, const char *s, size_t n, int mark); /* skips an empty slice */
int  pieces_put(struct pieces *p, const char *s, size_t n, int mark); /* keeps an empty slice */
void pieces_free(struct pieces *p);

/* Maps byte strings to the ids that index `text`; open addressing. */
struct slice_map {
	int                *slot; /* id + 1; 0 is free */
	size_t              mask;
	const struct slice *text; /* [ids] borrowed */
};
int  slice_map_new(struct arena *a, size_t n, const struct slice *text, struct slice_map *out);
void slice_map_put(struct slice_map *m, int id);                  /* text[id] must not be in it */
int  slice_map_find(const struct slice_map *m, struct slice key); /* -1 when absent */

/* ---- UTF-8 and character classes (tokenizer_text.c) ---- */

/* The character at s[0..n-1], n > 0. Ill-formed: *c = -1, and the length of the maximal ill-formed
 * part. */
size_t utf8_take(const char *s, size_t n, int32_t *c);
/* returns the same slice when it is well-formed */
int utf8_repair(struct slice in, struct arena *a, struct slice *out);
int utf8_is_valid(struct slice in);

/* The character classes that tokenizer patterns use: \p{L}, \p{N}, White_Space, everything else. */
enum char_class { CHAR_LETTER, CHAR_NUMBER, CHAR_SPACE, CHAR_OTHER };
enum char_class char_class_of(int32_t c); /* tokenizer_unicode.c */
/* of the character at s; well-formed text only */
enum char_class char_class_take(const char *s, size_t n, size_t *length);

/* The 256 characters by which byte-level BPE writes bytes (GPT-2): printable bytes stand for
 * themselves. */
int byte_level_char(int byte);  /* byte -> code point */
int byte_level_byte(int32_t c); /* code point -> byte, or -1 */

/* ---- the Unicode of the library (tokenizer_unicode.c) ---- */

struct unicode_range {
	int32_t first, last;
};
struct unicode_newer { /* characters that the installed libraries may not know */
	struct unicode_range range;
	char                 category[3]; /* "Lo" */
};
extern const struct unicode_newer unicode_newer[]; /* [n_unicode_newer] in order */
extern const size_t               n_unicode_newer;

int unicode_is_punctuation(int32_t c); /* for the pre-tokenizer Punctuation */
/* no normal form changes it or joins it with a neighbour */
int unicode_is_inert(int32_t c);

/* ---- added tokens (tokenizer_added.c) ---- */

struct added_token {
	struct slice text; /* normalized, where the token asks for it */
	int          id, single_word, lstrip, rstrip;
};
struct added {
	struct added_token *tokens; /* [n] by bytes */
	size_t              n;
	unsigned char       first[256]; /* 1: a token begins with this byte */
	pcre2_code         *word;       /* \w of Unicode; only where a token is single_word */
};
/* sorts the array, which the caller still owns */
int  added_new(struct added_token *tokens, size_t n, struct added *out);
void added_free(struct added *a);
/* REPLACES *out: tokens with their ids, the rest with -1 */
int added_cut(const struct added *a, struct slice text, struct pieces *out);

/* ---- normalizers (tokenizer_normalize.c) ---- */

struct normalizer {
	int (*run)(const struct normalizer *, struct slice in, struct arena *a, struct slice *out);
	struct slice from, to;            /* Replace; Prepend has only `to` */
	int          compatible, compose; /* NFC NFD NFKC NFKD */
};
int normalize_form(const struct normalizer *n, struct slice in, struct arena *a, struct slice *out);
int normalize_prepend(const struct normalizer *n, struct slice in, struct arena *a,
                      struct slice *out);
int normalize_replace(const struct normalizer *n, struct slice in, struct arena *a,
                      struct slice *out);

int slice_prepend(struct slice in, struct slice what, struct arena *a, struct slice *out);
int slice_replace(struct slice in, struct slice from, struct slice to, struct arena *a,
                  struct slice *out);

/* ---- pre-tokenizers (tokenizer_split.c, tokenizer_pattern.c) ---- */

struct split_work { /* of one call of tokenizer_encode */
	struct arena        *memory;
	pcre2_match_data    *match;
	pcre2_match_context *limits;
	pcre2_jit_stack     *stack;
	int                  at_start; /* the current slice begins the text */
};
enum prefix_scheme { PREFIX_NEVER, PREFIX_FIRST, PREFIX_ALWAYS }; /* FIRST: where the text begins */
enum split_behavior {
	SPLIT_ISOLATED,
	SPLIT_REMOVED,
	SPLIT_WITH_PREVIOUS,
	SPLIT_WITH_NEXT,
	SPLIT_CONTIGUOUS
};
struct splitter {
	/* ADDS matches (mark 1) and the text between them (mark 0), in order, without gaps. */
	int (*run)(const struct splitter *, struct split_work *, struct slice in,
	           struct pieces *out);
	enum split_behavior behavior;
	int                 invert;
	/* ByteLevel. write_bytes: words are written in its alphabet, because a later stage or the
	 * model expects that */
	int byte_level;
	int write_bytes;
	int prefix_space; /* puts a space in front of a text that does not begin with one */
	/* Metaspace: when to put its mark in front of a text that does not begin with one */
	enum prefix_scheme prefix;
	int                digits;  /* the longest number that split_llama keeps together */
	struct slice       literal; /* Metaspace: its mark for a space; else the text to split at */
	pcre2_code        *code;    /* owned */
};
/* makes the whole slice one match */
int split_nothing(const struct splitter *s, struct split_work *w, struct slice in,
                  struct pieces *out);
int split_gpt2(const struct splitter *s, struct split_work *w, struct slice in, struct pieces *out);
int split_llama(const struct splitter *s, struct split_work *w, struct slice in,
                struct pieces *out);
int split_digits(const struct splitter *s, struct split_work *w, struct slice in,
                 struct pieces *out);
int split_punctuation(const struct splitter *s, struct split_work *w, struct slice in,
                      struct pieces *out);
int split_spaces(const struct splitter *s, struct split_work *w, struct slice in,
                 struct pieces *out);
int split_literal(const struct splitter *s, struct split_work *w, struct slice in,
                  struct pieces *out);
int split_metaspace(const struct splitter *s, struct split_work *w, struct slice in,
                    struct pieces *out);
int split_pattern(const struct splitter *s, struct split_work *w, struct slice in,
                  struct pieces *out);

/* Picks our own scanner for a well-known pattern, or compiles the pattern. `place` goes into the
 * message. */
int splitter_compile(const char *place, struct slice pattern, struct splitter *out);

/* Compiles a pattern for PCRE2 with the meaning it has for Oniguruma, the library's engine. Free it
 * with pcre2_code_free. */
int pattern_compile(const char *place, struct slice pattern, pcre2_code **out);

/* Runs one stage: splits `in` and regroups the parts as the behavior says; ADDS to *out. */
int  splitter_apply(const struct splitter *s, struct split_work *w, struct slice in,
                    struct pieces *out);
void split_work_free(struct split_work *w);

/* ---- BPE (tokenizer_bpe.c) ---- */

struct bpe_merge { /* a slot of the table; id < 0 is free */
	int left, right, rank, id;
};
struct bpe {
	/* each token as it looks in this stage's input: bytes, or characters */
	struct slice_map  keys;
	struct bpe_merge *merges; /* [mask + 1] */
	size_t            mask;
	int              *made; /* [ranks] the token that the merge makes */
	/* a set of bits: some merge has these two unmerged symbols at its seam */
	uint64_t *joints;
	int       byte_level, byte_fallback, fuse_unk, ignore_merges;
	int       unk; /* id or -1 */
	/* the token of one byte (byte-level), or of <0xXX> (otherwise); -1: none */
	int byte_id[256];
	/* [ids] 1 when the merges turn the token's bytes into this token: then a word that is
	 * the token needs no merging */
	unsigned char *whole;
	size_t         longest; /* bytes of the longest key */
};
struct bpe_work { /* of one call of tokenizer_encode */
	struct bpe_symbol *symbols;
	uint64_t          *heap;                    /* of candidates */
	size_t             n_symbols, n_candidates; /* there is room for */
	size_t             n_heap;
	/* moves in the heap for one word: the tests hold them to n log n */
	size_t steps;
};
int bpe_merges_new(struct arena *a, size_t n, struct bpe *b);
/* a pair given twice keeps the later rank, as in the library */
void bpe_merges_put(struct bpe *b, int left, int right, int rank, int id);
/* fills `joints` from keys and merges */
int  bpe_find_joints(struct arena *a, struct bpe *b);
int  bpe_find_whole(struct bpe *b, int n_ids); /* fills `whole`, after `joints` */
int  bpe_encode(const struct bpe *b, struct slice word, struct bpe_work *w, struct ids *out);
void bpe_work_free(struct bpe_work *w);

/* ---- Unigram (tokenizer_unigram.c) ---- */

struct unigram {
	const struct slice *text; /* [ids] borrowed */
	/* [n] scores of the tokens 0 .. n - 1, usually log-probabilities */
	double *score;
	int     n;      /* 0: the tokenizer is not of this kind */
	int    *sorted; /* [n_sorted] ids by bytes, each text once */
	int     n_sorted;
	/* where in `sorted` the tokens with this first byte start */
	int    first[257];
	double unk_score;
	int    unk, byte_fallback, byte_id[256]; /* ids or -1 */
};
struct unigram_work { /* of one call of tokenizer_encode */
	struct unigram_node *nodes;
	size_t               n_nodes; /* there is room for */
};
double unigram_score(double written); /* the number that the library reads for this one */
/* fills in all but text, score, n, unk and byte_fallback */
int  unigram_finish(struct arena *a, struct unigram *u, const struct slice_map *ids);
int  unigram_encode(const struct unigram *u, const struct slice_map *ids, struct slice word,
                    struct unigram_work *w, struct ids *out);
void unigram_work_free(struct unigram_work *w);

/* ---- decoders (tokenizer_decode.c) ---- */

struct tokenizer_decoder {
	/* Turns token strings into texts. The texts of the last stage are joined. */
	int (*run)(const struct tokenizer_decoder *, const struct pieces *in, struct arena *a,
	           struct pieces *out);
	struct slice from, to;    /* Replace, Metaspace; Strip has its character in `from` */
	int          start, stop; /* Strip: at most so many characters */
};
int decode_byte_level(const struct tokenizer_decoder *d, const struct pieces *in, struct arena *a,
                      struct pieces *out);
int decode_replace(const struct tokenizer_decoder *d, const struct pieces *in, struct arena *a,
                   struct pieces *out);
int decode_byte_fallback(const struct tokenizer_decoder *d, const struct pieces *in,
                         struct arena *a, struct pieces *out);
int decode_fuse(const struct tokenizer_decoder *d, const struct pieces *in, struct arena *a,
                struct pieces *out);
int decode_metaspace(const struct tokenizer_decoder *d, const struct pieces *in, struct arena *a,
                     struct pieces *out);
int decode_strip(const struct tokenizer_decoder *d, const struct pieces *in, struct arena *a,
                 struct pieces *out);

/* The bytes that one token stands for: what the decoders make of the token alone. */
int decoder_piece(const struct tokenizer_decoder *decoders, int n, struct slice token,
                  struct arena *a, struct slice *out);

/* 0 when a character is not in the alphabet; out [token.n] */
int byte_level_decode(struct slice token, char *out, size_t *n);
/* "<0x0A>" -> 10; -1 for other tokens */
int byte_token(struct slice token);

/* ---- the tokenizer ---- */

struct tokenizer {
	struct arena memory; /* everything that is not owned by another member */
	int          n_ids;
	/* [n_ids] tokens as tokenizer.json writes them; s = NULL: no such id */
	struct slice *content;
	/* [n_ids] what decoding starts from: the content, or the normal form of a normalized
	 * added token */
	struct slice    *shown;
	struct slice    *piece;   /* [n_ids] the bytes that each stands for */
	unsigned char   *special; /* [n_ids] */
	struct slice_map ids;     /* content -> id */
	/* added tokens looked for before and after the normalizers */
	struct added             plain, normalized;
	struct normalizer        normalizers[TOKENIZER_STAGES_MAX];
	struct splitter          splitters[TOKENIZER_STAGES_MAX];
	struct tokenizer_decoder decoders[TOKENIZER_STAGES_MAX];
	int                      n_normalizers, n_splitters, n_decoders;
	/* words come to BPE in the alphabet of ByteLevel and must become bytes again */
	int            words_written;
	struct bpe     bpe;
	struct unigram unigram;       /* n > 0: used instead of BPE */
	struct ids     before, after; /* the template */
	struct text    json;          /* tokenizer.json as read or made */
	json_t        *config;        /* tokenizer_config.json or NULL */
	struct text    chat;          /* chat_template.jinja; empty when there is none */
	struct text    config_text;
};

/* Fills a zeroed tokenizer from t->json; `path` is for messages (tokenizer_json.c). */
int tokenizer_parse(const char *path, struct tokenizer *t);

/* The same from "char_ords" of t->config (tokenizer_chars.c). */
int tokenizer_parse_char_ords(const char *path, struct tokenizer *t);

/* The same from a GGUF file: json and config are made first (tokenizer_gguf.c). */
int tokenizer_parse_gguf(const char *path, struct tokenizer *t);

int tokenizer_normalize(const struct tokenizer *t, struct slice in, struct arena *a,
                        struct slice *out);

#endif
