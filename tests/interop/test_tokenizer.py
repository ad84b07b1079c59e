"""Token ids and text against the `tokenizers` library, on random Unicode."""

import json
import os
import pathlib
import random
import unittest

import tokenizers
import transformers

import hone

TOKENIZERS = hone.DATA / "tokenizers"
KINDS = {path.name.removesuffix(".json.gz"): path for path in sorted(TOKENIZERS.glob("*.json.gz"))}
KINDS["stories260k"] = TOKENIZERS / "stories260k" / "tokenizer.json"
# Llama 3's may not be shipped: it takes part where HONE_SHARED names a folder that has it.
LLAMA3 = pathlib.Path(os.environ.get("HONE_SHARED", "nowhere")) / "data" / "tokenizers" / "llama3" / "tokenizer.json.gz"
# How many strings for each kind: 104,000 in all without Llama 3. HONE_STRINGS=N takes N for every kind.
MANY = {"gpt2": 16000, "qwen2.5": 16000, "minipile-4096": 16000, "stories260k": 16000, "llama3": 16000}
FEW = 4000

def span(*bounds):
    """All characters of the blocks [first, last, first, last, ...]."""
    return "".join(chr(c) for first, last in zip(bounds[::2], bounds[1::2]) for c in range(first, last + 1))


LATIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
WORDS = "the a once upon time there was little girl named Lily She loved to play don't I'll we've CAN'T it'S naïve Zürich 12 1999 3.14".split()
BLANKS = " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u2000\u2003\u2007\u200a\u2028\u2029\u202f\u205f\u2060\u3000\u200b\ufeff"
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡¿«»–—‘’“”…·•§¶†。、「」！？"
SCRIPTS = [span(*bounds) for bounds in (
    (0xC0, 0x24F), (0x1E00, 0x1EFF), (0x370, 0x3FF), (0x1F00, 0x1FFE), (0x400, 0x52F), (0x531, 0x58F), (0x591, 0x5F4), (0x600, 0x6FF), (0x700, 0x74F),
    (0x900, 0x97F), (0x980, 0x9FE), (0xA01, 0xA76), (0xB82, 0xBFA), (0xC00, 0xC7F), (0xD00, 0xD7F), (0xE01, 0xE5B), (0xE80, 0xEDF), (0xF00, 0xFDA),
    (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x139F), (0x13A0, 0x13FD), (0x1780, 0x17F9), (0x1800, 0x18AA), (0x1B00, 0x1B7E),
    (0x2C00, 0x2C5F), (0x3041, 0x30FF), (0x3100, 0x312F), (0x3200, 0x33FF), (0x4E00, 0x9FFF), (0xA000, 0xA4C6), (0xAC00, 0xD7A3), (0xF900, 0xFAD9),
    (0xFB00, 0xFDFF), (0xFE70, 0xFEFC), (0xFF01, 0xFFEE), (0x10330, 0x1034A), (0x10400, 0x1044F), (0x11000, 0x110C2), (0x12000, 0x12399),
    (0x1D400, 0x1D7FF), (0x1E900, 0x1E95F), (0x20000, 0x2A6DF), (0x30000, 0x3134A))]
NUMBERS = span(0x30, 0x39, 0x660, 0x669, 0x966, 0x96F, 0xB2, 0xB3, 0xBC, 0xBE, 0x2150, 0x218B, 0x2460, 0x249B, 0x3007, 0x3007, 0x3220, 0x3229, 0x104A0, 0x104A9,
               0x1D7CE, 0x1D7FF)
MARKS = span(0x300, 0x36F, 0x483, 0x489, 0x591, 0x5BD, 0x64B, 0x65F, 0x93C, 0x93C, 0x94D, 0x94D, 0xE38, 0xE3A, 0xF71, 0xF84, 0x1AB0, 0x1ACE, 0x1DC0, 0x1DFF,
             0x20D0, 0x20F0, 0x3099, 0x309A, 0xFE00, 0xFE0F, 0xFE20, 0xFE2F, 0x1D165, 0x1D169, 0x1E8D0, 0x1E8D6)
COMPOSING = "aeioucnsAEOUN\u0430\u0438\u03b1\u03c9\u0915\u304b\u30cf\u0f40\u1100\u1161\u11a8\uac00\u212b\u1e9b\u0344\u0340\u2126\u0958\ufb1d"
EMOJI = ["😀", "☕", "☕️", "👍🏽", "👩‍🚀", "🏳️‍🌈", "👨‍👩‍👧‍👦", "🧑🏿‍❤️‍💋‍🧑🏻", "🇩🇪", "🇯🇵🇫", "1️⃣", "#⃣", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\u200d", "\ufe0f", "\U0001f3fb"]
COMPATIBLE = "ﬁ①Ⅳ㎏ﾊﾟ½ⅷ𝔘ǆ가각ﷺŉẛ̣"
EDGES = "\x7f\x80\u07ff\u0800\ud7ff\ue000\uf8ff\ufdcf\ufdd0\ufdef\ufffc\ufffd\ufffe\uffff\U00010000\U0001fffe\U0001ffff\U000e0001\U000effff\U000f0000\U0010fffd\U0010fffe\U0010ffff"
CONTROLS = span(0x00, 0x1F, 0x7F, 0x9F, 0xAD, 0xAD, 0x200B, 0x200F, 0x202A, 0x202E, 0x2060, 0x206F, 0xFFF9, 0xFFFB)
OWN = ["<|endoftext|>", "<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>", "<0x0A>", "<0xE2>", "▁", "▁▁▁", "Ġ", "Ċ", "##", "[UNK]"]
CONTRACTIONS = ["'s", "'S", "'t", "'T", "'re", "'Re", "'Ve", "'ll", "'lL", "'d", "'m", "’s", "'ſ", "''s", "'", "n't"]


def any_character(r):
    """Over all planes; no surrogate, which UTF-8 cannot hold."""
    c = r.choice((r.randrange(0x80), r.randrange(0x800), r.randrange(0x10000), r.randrange(0x110000)))
    return "\ufffd" if 0xD800 <= c < 0xE000 else chr(c)


def pick(alphabet, most=4):
    return lambda r: "".join(r.choices(alphabet, k=r.randint(1, most)))


def long_run(r):
    """One character again and again; seldom as long as a few kilobytes."""
    c = r.choice((" ", "\n", "\t", "\r\n", "0", "7", "a", "Z", "é", "!", "'", "=", "字", "😀", "\u0301", "\xa0", " \n", "<", "▁", any_character(r)))
    return c * (r.randint(1, 40) if r.random() < 0.9 else r.randint(41, 1500))


def cut_token(r):
    """A special token that is not quite there."""
    token = r.choice(OWN)
    at = r.randrange(len(token))
    return r.choice((token[:at], token[at:], token[:at] + " " + token[at:], token + token[:at], token.upper(), " " + token + " ", "x" + token + "y"))


PIECES = [any_character, pick(LATIN, 9), pick(NUMBERS, 6), pick("0123456789", 9), pick(BLANKS), pick(" ", 9), pick("\n", 4), pick(PUNCTUATION, 5), pick(EDGES, 3),
          pick(CONTROLS, 3), pick(EMOJI, 3), pick(COMPATIBLE, 3), pick(COMPOSING, 2), lambda r: r.choice(COMPOSING) + pick(MARKS, 5)(r),
          lambda r: pick(r.choice(SCRIPTS), 8)(r), lambda r: pick(r.choice(SCRIPTS), 8)(r), lambda r: " " + r.choice(WORDS), lambda r: r.choice(WORDS),
          lambda r: r.choice(WORDS) + r.choice(CONTRACTIONS), pick(CONTRACTIONS, 2), pick(OWN, 2), cut_token, long_run]


def strings(seed, n, tokens=(), own=()):
    """n texts of 0 to 12 pieces of every kind; "" is among them. Half of their pieces are `tokens`, each of them dealt
    before any comes again, for random letters alone would seldom reach a merge; some more are the tokenizer's `own` added tokens."""
    r, deck = random.Random(seed), []

    def deal(_):
        if not deck:
            deck.extend(r.sample(tokens, len(tokens)))
        return deck.pop()

    kinds = PIECES + ([pick(own, 2)] * 2 if own else []) + [deal] * (len(PIECES) if tokens else 0)
    return ["".join(r.choice(kinds)(r) for _ in range(r.randint(0, 12))) for _ in range(n)]


def every_character():
    """Each code point of the planes that have any beside letters, digits, spaces and itself, 16 of them a text: which class it has, and
    whether it moves or composes."""
    for row in (*range(0, 0xD800, 16), *range(0xE000, 0x34000, 16), *range(0xE0000, 0xE0200, 16), *range(0x10FFF0, 0x110000, 16)):
        yield "".join(f"a{chr(c)}1{chr(c)}{chr(c)} {chr(c)}\u0301.{chr(c)}\n{chr(c)}\u0323" for c in range(row, row + 16))


class Tokenizer(hone.TestCase):
    def same(self, what, mine, theirs, inputs):
        wrong = [(x, a, b) for x, a, b in zip(inputs, mine, theirs, strict=True) if a != b]
        if wrong:
            shown = "".join(f"\n  {ascii(x)}\n    ours   {ascii(a)}\n    theirs {ascii(b)}" for x, a, b in wrong[:5])
            self.fail(f"{what}: {len(wrong)} of {len(inputs)} differ{shown}")

    def compare(self, name, path, n):
        """Encoding with and without special tokens; decoding of what was encoded and of random ids, with and without them."""
        folder = self.folder / name
        library = hone.unpack(path, folder)
        size = library.get_vocab_size()
        tokens = library.decode_batch([[i] for i in range(size)], skip_special_tokens=False)
        texts = strings(name, n, tokens, [token.content for token in library.get_added_tokens_decoder().values()])
        for words, special in (((), True), (("--no-special",), False)):
            mine = [a["ids"] for a in hone.rows("tokenize", folder, *words, rows=[{"text": t} for t in texts])]
            theirs = [e.ids for e in library.encode_batch(texts, add_special_tokens=special)]
            self.same(f"{name} encodes {words}", mine, theirs, texts)
        r = random.Random(n)
        ids = theirs[: n // 2] + [r.choices(range(size), k=r.randint(0, 20)) for _ in range(n - n // 2)]
        for words, skip in (((), False), (("--no-special",), True)):
            mine = [a["text"] for a in hone.rows("detokenize", folder, *words, rows=[{"ids": i} for i in ids])]
            self.same(f"{name} decodes {words}", mine, library.decode_batch(ids, skip_special_tokens=skip), ids)

    def test_100000_random_strings_give_the_ids_and_the_text_of_the_library(self):
        for name, path in KINDS.items():
            with self.subTest(name):
                self.compare(name, path, int(os.environ.get("HONE_STRINGS", MANY.get(name, FEW))))

    @unittest.skipUnless(LLAMA3.exists(), "Llama 3's tokenizer: HONE_SHARED names no folder that has it")
    def test_llama3_too(self):
        self.compare("llama3", LLAMA3, int(os.environ.get("HONE_STRINGS", MANY["llama3"])))

    def test_every_character_has_the_class_and_the_normal_form_that_the_library_gives_it(self):
        texts = list(every_character())
        for name in ("plain", "nfc-split-qwen", "split-deepseek", "digits-alone"):  # one for each set of properties that a pattern asks for
            with self.subTest(name):
                folder = self.folder / name
                library = hone.unpack(KINDS[name], folder)
                mine = [a["ids"] for a in hone.rows("tokenize", folder, rows=[{"text": t} for t in texts])]
                self.same(name, mine, [library.encode(t).ids for t in texts], texts)

    def test_the_newer_layouts_of_sentencepiece_tokenizers(self):
        """Metaspace where older files have normalizers, and Gemma's split at spaces, around the vocabulary of stories260k."""
        original = json.loads(KINDS["stories260k"].read_text())
        steps = [{"type": "ByteFallback"}, {"type": "Fuse"}]
        layouts = [({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}, None,
                    {"type": "Sequence", "decoders": [steps[0], {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}]})
                   for scheme in ("never", "first", "always") for split in (True, False)]
        layouts.append(({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
                        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
                        {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, *steps]}))
        for i, (splitter, normalizer, decoder) in enumerate(layouts):
            with self.subTest(splitter):
                path = self.folder / f"layout-{i}.json"
                path.write_text(json.dumps(original | {"pre_tokenizer": splitter, "normalizer": normalizer, "decoder": decoder}))
                self.compare(f"layout-{i}", path, 2000)

    def test_a_tokenizer_that_the_library_has_just_trained(self):
        for prefix in (False, True):
            with self.subTest(add_prefix_space=prefix):
                t = tokenizers.Tokenizer(tokenizers.models.BPE())
                t.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=prefix)
                t.decoder = tokenizers.decoders.ByteLevel()
                t.post_processor = tokenizers.processors.ByteLevel(trim_offsets=True)
                trainer = tokenizers.trainers.BpeTrainer(vocab_size=900, special_tokens=["<|endoftext|>"], show_progress=False,
                                                         initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
                t.train_from_iterator(strings("train", 3000), trainer)
                t.save(str(self.folder / "trained.json"))
                self.compare(f"trained-{prefix}", self.folder / "trained.json", 3000)


class CharacterTokenizer(hone.TestCase):
    """What hone writes beside a model that it made itself."""

    ALPHABET = "0123456789+-*/=() abcxyzäß→😀\n"

    def test_the_saved_character_vocabulary_gives_the_same_ids_in_the_library(self):
        folder = hone.trained(self.folder, f"model.tokenizer=chars:{self.ALPHABET}")
        library = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        r = random.Random(1)
        texts = ["".join(r.choices(self.ALPHABET + ("Q\u0301" if i % 2 else ""), k=r.randint(0, 40))) for i in range(2000)]
        for words, special in (((), True), (("--no-special",), False)):
            mine = [a["ids"] for a in hone.rows("tokenize", folder, *words, rows=[{"text": t} for t in texts])]
            self.assertEqual(mine, [library.encode(t, add_special_tokens=special).ids for t in texts])
        mine = [a["text"] for a in hone.rows("detokenize", folder, "--no-special", rows=[{"ids": i} for i in mine])]
        self.assertEqual(mine, [library.decode(library.encode(t, add_special_tokens=False).ids) for t in texts])
        self.assertEqual(mine[0], texts[0])

    def test_transformers_finds_the_tokenizer_of_the_folder(self):
        folder = hone.trained(self.folder, f"model.tokenizer=chars:{self.ALPHABET}")
        library = transformers.AutoTokenizer.from_pretrained(folder)
        mine = hone.rows("tokenize", folder, "--no-special", rows=[{"text": "12+(3*4)=x"}])[0]["ids"]
        self.assertEqual(library("12+(3*4)=x", add_special_tokens=False)["input_ids"], mine)
        self.assertIsNotNone(library.eos_token_id)
