/* tokenizer.h - turns text into token ids and back, as the Hugging Face `tokenizers` library does
 * with the same tokenizer.json. "The library" below is that one.
 *
 *     encode   text -> cut out added tokens -> normalizers -> cut out normalized added tokens
 *                   -> pre-tokenizers -> BPE or Unigram -> template -> ids
 *     decode   ids  -> token strings -> decoders -> text
 *
 * A tokenizer is const once loaded: any number of threads may encode and decode with it at the same
 * time.
 *
 * Supported (anything else is refused by name, because skipping a stage would give wrong ids):
 *
 *     model            BPE: byte-level (GPT-2) or over characters (sentencepiece), byte_fallback,
 *                           fuse_unk, ignore_merges
 *                      Unigram (sentencepiece): byte_fallback
 *     normalizers      NFC NFD NFKC NFKD Prepend Replace(String)
 *     pre-tokenizers   ByteLevel Split(Regex, String; every behavior) Digits Metaspace Punctuation
 *                      WhitespaceSplit
 *     post-processors  ByteLevel TemplateProcessing (its `single` part)
 *     decoders         ByteLevel Replace(String) ByteFallback Fuse Strip Metaspace
 *     added tokens     special, lstrip, rstrip, single_word, normalized
 *
 * Letters, numbers and spaces are those of Unicode 16, normal forms those of Unicode 9, as in
 * version 0.23 of the library, whatever the installed utf8proc and PCRE2 know
 * (tokenizer_unicode.c). A character that became a letter after Unicode 16 counts as one as soon as
 * utf8proc says so.
 *
 * The file's `truncation` and `padding` are not applied: the caller decides about lengths.
 *
 * Text is UTF-8. Each maximal ill-formed part of the input counts as U+FFFD, as the Unicode
 * standard recommends. Decoding gives valid UTF-8: bytes that form no character (a completion may
 * end inside one) become U+FFFD. tokenizer_piece gives the bytes themselves.
 *
 * No input is slow: the cost of a text of n bytes is O(n log n) at most. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "base/file.h"

#include <jansson.h>

struct tokenizer;

struct ids {
	int   *id; /* owned; NULL when empty */
	size_t n, capacity;
};
int  ids_add(struct ids *ids, const int *id, size_t n);
void ids_free(struct ids *ids);

/* ---- loading, making, saving ---- */

/* `path` is a tokenizer.json (plain or gzip), a GGUF file (tokenizer_gguf.c), or a folder that
 * holds a tokenizer.json and perhaps a tokenizer_config.json. A folder with no tokenizer.json but
 * with "char_ords" in its tokenizer_config.json (the character tokenizer of verl's digit
 * completion) gives ids 0 S separator, 1 E end, 2 P padding, 3 U unknown, then the characters in
 * that order. */
int  tokenizer_load(const char *path, struct tokenizer **out);
void tokenizer_free(struct tokenizer *t);

/* Makes a character vocabulary: one id per special token, in the given order, then one per
 * character of `alphabet`. Other characters become the token of role "unk", or vanish when there is
 * none. Roles: bos eos unk sep pad cls mask. */
struct tokenizer_special {
	const char *role, *text; /* "eos", "<eos>" */
};
int tokenizer_chars(const char *alphabet, const struct tokenizer_special *specials, int n_specials,
                    struct tokenizer **out);

/* Writes tokenizer.json and, if the tokenizer has them, tokenizer_config.json and
 * chat_template.jinja into an existing folder. The files are those that were read, byte for byte;
 * those of a character vocabulary give the same ids in the library and in tokenizer_load. */
int tokenizer_save(const struct tokenizer *t, const char *folder);

/* ADDS the values of a GGUF file that say this tokenizer (tokenizer_gguf.c). ERR_INPUT where they
 * cannot: only what they say is what llama.cpp and tokenizer_load will do. */
struct gguf_out;
struct tokenizer_ids {           /* of the model */
	int        n_vocab, bos; /* or -1 */
	const int *eos;          /* [n_eos] */
	int        n_eos;
};
int tokenizer_gguf_values(const struct tokenizer *t, const struct tokenizer_ids *ids,
                          struct gguf_out *out);

/* ---- text and ids ---- */

/* ADDS the ids of text[0..n-1] to *out; on error *out is as before. Special tokens spelled in the
 * text are recognised. add_special: adds what the file's post-processor puts in front and
 * behind. */
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t n, int add_special,
                     struct ids *out);

/* ADDS the text of the ids to *out. Unknown ids give nothing. skip_special: special tokens give
 * nothing. */
int tokenizer_decode(const struct tokenizer *t, const int *id, size_t n, int skip_special,
                     struct text *out);

/* ---- single tokens ---- */

int tokenizer_size(const struct tokenizer *t); /* largest id + 1 */
/* as tokenizer.json writes it; -1 when there is none */
int tokenizer_id(const struct tokenizer *t, const char *token);
/* "eos": the id tokenizer_config.json gives it, or -1 */
int tokenizer_role(const struct tokenizer *t, const char *role);
int tokenizer_is_special(const struct tokenizer *t, int id);

/* The bytes that the token stands for; borrowed. NULL and *n = 0 for an unknown id. Decoding ids
 * joins their pieces, except for what a decoder does to the whole text: it may drop a leading space
 * and replaces ill-formed bytes. */
const char *tokenizer_piece(const struct tokenizer *t, int id, size_t *n);

/* tokenizer_config.json as read, or NULL; borrowed. */
const json_t *tokenizer_config(const struct tokenizer *t);

/* The chat template that came with it (see chat.h), or NULL; borrowed. */
const char *tokenizer_chat_template(const struct tokenizer *t);

#endif
