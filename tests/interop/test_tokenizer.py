"""Token ids and text against the `tokenizers` library, on random Unicode."""

import random

import tokenizers
import transformers

import hone

TOKENIZERS = hone.DATA / "tokenizers"
FULL = {"gpt2": TOKENIZERS / "gpt2.json.gz", "stories260k": TOKENIZERS / "stories260k" / "tokenizer.json"}

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
WORDS = "the a once upon time there was little girl named Lily She loved to play don't I'll we've CAN'T it'S naïve Zürich 12 1999 3.14".split()
BLANKS = " \t\n\r\v\f\x85\xa0\u1680\u2000\u2003\u2028\u2029\u202f\u205f\u3000\u200b\ufeff"
MARKS = "\u0300\u0301\u0308\u0327\u0338\u0345\u0591\u064b\u093c\u0e38\u3099\u20dd\ufe0f\u200d"
EMOJI = "😀👩‍🚀🏳️‍🌈👍🏽🇩🇪☕️1️⃣"
COMPATIBLE = "ﬁ①Ⅳ㎏ﾊﾟ½ⅷ𝔘ǆ가각ﷺŉẛ̣"
OWN = ["<|endoftext|>", "<s>", "</s>", "<unk>", "<|im_start|>", "<0x0A>", "▁", "Ġ", "##", "[UNK]"]


def any_character(r):
    """Over all planes; no surrogate, which UTF-8 cannot hold."""
    c = r.choice((r.randrange(0x80), r.randrange(0x800), r.randrange(0x10000), r.randrange(0x110000)))
    return "\ufffd" if 0xD800 <= c < 0xE000 else chr(c)


def pick(alphabet, most=4):
    return lambda r: "".join(r.choices(alphabet, k=r.randint(1, most)))


PIECES = [any_character, pick(LETTERS, 9), pick("0123456789", 6), pick(BLANKS), pick(" ", 9), pick("\n", 4), pick(MARKS, 3), pick(EMOJI, 3),
          pick(COMPATIBLE, 3), pick("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", 5), lambda r: " " + r.choice(WORDS), lambda r: r.choice(WORDS),
          lambda r: r.choice(OWN), lambda r: r.choice(LETTERS) * r.randint(1, 40), lambda r: r.choice(["'s", "'T", "'re", "'Ve", "'ll", "’s"])]


def strings(seed, n, tokens=()):
    """n texts of 0 to 12 pieces of every kind; "" is among them. Half of their pieces are `tokens`, each of them dealt
    before any comes again, for random letters alone would seldom reach a merge."""
    r, deck = random.Random(seed), []

    def deal(_):
        if not deck:
            deck.extend(r.sample(tokens, len(tokens)))
        return deck.pop()

    kinds = PIECES + [deal] * (len(PIECES) if tokens else 0)
    return ["".join(r.choice(kinds)(r) for _ in range(r.randint(0, 12))) for _ in range(n)]


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
        texts = strings(name, n, tokens)
        for words, special in (((), True), (("--no-special",), False)):
            mine = [a["ids"] for a in hone.rows("tokenize", folder, *words, rows=[{"text": t} for t in texts])]
            theirs = [e.ids for e in library.encode_batch(texts, add_special_tokens=special)]
            self.same(f"{name} encodes {words}", mine, theirs, texts)
        r = random.Random(n)
        ids = theirs[: n // 2] + [r.choices(range(size), k=r.randint(0, 20)) for _ in range(n - n // 2)]
        for words, skip in (((), False), (("--no-special",), True)):
            mine = [a["text"] for a in hone.rows("detokenize", folder, *words, rows=[{"ids": i} for i in ids])]
            self.same(f"{name} decodes {words}", mine, library.decode_batch(ids, skip_special_tokens=skip), ids)

    def test_20000_random_strings_give_the_ids_and_the_text_of_the_library(self):
        for name, path in FULL.items():
            with self.subTest(name):
                self.compare(name, path, 20000)

    def test_every_other_tokenizer_of_the_test_data_too(self):
        for path in sorted(TOKENIZERS.glob("*.json.gz")):
            name = path.name.removesuffix(".json.gz")
            if name not in FULL:
                with self.subTest(name):
                    self.compare(name, path, 1500)

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
