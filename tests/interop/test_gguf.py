"""GGUF both ways: against the gguf package (every type, exactly), transformers, and llama.cpp where llama-cpp-python is installed."""

import importlib.util
import json
import random
import unicodedata
import unittest

import gguf
import numpy
import safetensors.torch
import tokenizers
import torch
import transformers
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

import hone

TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
# Where a block keeps its scales, which random bytes would make infinite.
HALVES = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2],
          "Q5_K": [0, 2], "Q6_K": [208]}
REAL = hone.ROOT / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
PIECES = ["the", " ", "Hello", "1", "23", "\n", "\t", "'s", "é", "你好", "  ", "😀", ".", "!", "(", "_", "foo", "Bar", "ß", "한국", "'LL", " a",
          "\r\n", "𝟘", "n't", "e\u0301", "Å"]


def strings(n=2000):
    draw = random.Random(1)
    return ["".join(draw.choice(PIECES) for _ in range(draw.randint(1, 25))) for _ in range(n)]


def ids_by_hone(path, texts):
    return [row["ids"] for row in hone.rows("tokenize", path, rows=[{"text": text} for text in texts])]


def tokenizer():
    """Of bytes, split as GPT-2's: one that has a name in GGUF files."""
    t = hone.byte_tokenizer()
    t.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return t


def save(model, folder, text=None):
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(text or tokenizer().to_str(), encoding="utf-8")
    return folder


def tensors(path):
    return {t.name: t for t in gguf.GGUFReader(path).tensors}


def numbers(tensor):
    return gguf.dequantize(tensor.data, tensor.tensor_type)


def random_blocks(rng, name, rows, columns):
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[name]]
    if name not in HALVES:
        x = rng.normal(size=(rows, columns)).astype(numpy.float32)
        return gguf.quantize(x, GGMLQuantizationType[name])
    blocks = rng.integers(0, 256, (rows * columns // block, size), dtype=numpy.uint8)
    for at in HALVES[name]:
        blocks[:, at:at + 2] = (rng.normal(size=(len(blocks), 1)) * 0.01).astype(numpy.float16).view(numpy.uint8)
    return blocks.reshape(rows, -1)


def write_model(path, name, width=256):
    """A model of llama whose matrices are random blocks of one type."""
    rng, writer = numpy.random.default_rng(7), gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(width)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    writer.add_token_list(alphabet + ["".join(alphabet[:2])])
    writer.add_token_merges([f"{alphabet[0]} {alphabet[1]}"])
    writer.add_eos_token_id(0)
    for what, rows in {"token_embd": 257, "blk.0.attn_q": width, "blk.0.attn_k": width // 2, "blk.0.attn_v": width // 2,
                       "blk.0.attn_output": width, "blk.0.ffn_gate": width, "blk.0.ffn_up": width, "blk.0.ffn_down": width}.items():
        writer.add_tensor(what + ".weight", random_blocks(rng, name, rows, width), raw_dtype=GGMLQuantizationType[name])
    for what in ["blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"]:
        writer.add_tensor(what + ".weight", rng.normal(size=width).astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# Kinds whose files transformers reads; ARCHITECTURES: all that hone writes.
READ = ("llama", "qwen2", "qwen3", "phi3", "gpt2")
ARCHITECTURES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "mistral": "llama", "granite": "granite", "olmo2": "olmo2",
                 "smollm3": "smollm3", "seed_oss": "seed_oss", "phi3": "phi3", "gpt2": "gpt2"}


class Container(hone.TestCase):
    def test_every_type_has_the_numbers_of_the_package(self):
        for name in TYPES:
            with self.subTest(name):
                theirs, ours = self.folder / f"{name}.gguf", self.folder / f"{name}-f32.gguf"
                write_model(theirs, name)
                hone.run("export", theirs, ours, "--dtype", "f32")
                wanted, got = tensors(theirs), tensors(ours)
                self.assertEqual(wanted.keys(), got.keys())
                for tensor in wanted:
                    numpy.testing.assert_array_equal(numbers(wanted[tensor]).view(numpy.uint32), got[tensor].data.view(numpy.uint32), tensor)

    def test_names_and_constants_are_those_of_the_package(self):
        """What every tensor of a kind is called, and where the constants of Granite stand; read again, every log-probability is the same."""
        for seed, (layout, settings) in enumerate(hone.LAYOUTS.items()):
            kind = settings.get("kind", "llama")
            local = settings.get("sliding_window") and kind != "phi3"
            if kind not in ARCHITECTURES or local or "no_rope_layers" in settings:
                continue
            with self.subTest(layout):
                model, path = hone.random_model(seed, **settings), self.folder / str(seed)
                hone.run("export", save(model, path), path / "model.gguf")
                arch = next(a for a, name in gguf.MODEL_ARCH_NAMES.items() if name == ARCHITECTURES[kind])
                names = gguf.get_tensor_name_map(arch, model.config.num_hidden_layers)
                wanted = {names.get_name(name, (".weight", ".bias")) for name, _ in model.named_parameters()}
                self.assertEqual(set(tensors(path / "model.gguf")) - {"rope_freqs.weight"}, wanted)
                if kind == "granite":
                    fields = gguf.GGUFReader(path / "model.gguf").fields
                    for key, value in {gguf.Keys.LLM.EMBEDDING_SCALE: model.config.embedding_multiplier,
                                       gguf.Keys.LLM.RESIDUAL_SCALE: model.config.residual_multiplier,
                                       gguf.Keys.LLM.LOGIT_SCALE: model.config.logits_scaling,
                                       gguf.Keys.Attention.SCALE: model.config.attention_multiplier}.items():
                        self.assertAlmostEqual(fields[key.format(arch="granite")].contents(), value, delta=1e-6)
                ids = hone.random_ids(seed, 60)
                ours = [hone.rows("logprobs", p, rows=[{"ids": ids}])[0]["logprobs"] for p in (path, path / "model.gguf")]
                self.assertEqual(*ours)

    def test_what_a_file_cannot_say_is_refused(self):
        for layout, part in {"mistral, a window of 20": "a window of 20", "gemma2": "models of the kind gemma2",
                             "smollm3, two layers that are not rotated, local": "export a folder"}.items():
            folder = save(hone.random_model(1, **hone.LAYOUTS[layout]), self.folder / layout)
            done = hone.run("export", folder, folder / "model.gguf", check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(part, done.stderr)

    def test_exported_blocks_are_those_of_the_package(self):
        folder = save(hone.random_model(3, hidden_size=64, num_attention_heads=4, num_key_value_heads=2, intermediate_size=96), self.folder / "model")
        hone.run("export", folder, self.folder / "f32.gguf")
        wanted = tensors(self.folder / "f32.gguf")
        for name in ["F16", "BF16", "Q8_0"]:
            with self.subTest(name):
                hone.run("export", folder, self.folder / f"{name}.gguf", "--dtype", name.lower())
                for tensor in gguf.GGUFReader(self.folder / f"{name}.gguf").tensors:
                    matrix = len(tensor.shape) == 2
                    self.assertEqual(tensor.tensor_type.name, name if matrix else "F32")
                    blocks = gguf.quantize(wanted[tensor.name].data, tensor.tensor_type)
                    numpy.testing.assert_array_equal(blocks.view(numpy.uint8), tensor.data.view(numpy.uint8), tensor.name)


class Transformers(hone.TestCase):
    def test_it_loads_what_we_export(self):
        for seed, (layout, settings) in enumerate(hone.LAYOUTS.items()):
            if settings.get("kind", "llama") not in READ or settings.get("sliding_window"):
                continue
            with self.subTest(layout):
                model = hone.random_model(seed, **settings)
                folder = save(model, self.folder / str(seed))
                hone.run("export", folder, folder / "model.gguf")
                # what scales the rotary positions it does not read from the file
                again = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file="model.gguf", dtype=torch.float32,
                                                                          config=model.config).eval()
                ids = hone.random_ids(seed, 60)
                with torch.no_grad():
                    self.assertLess((model(torch.tensor([ids])).logits - again(torch.tensor([ids])).logits).abs().max(), 2e-4)
                ours = [hone.rows("logprobs", path, rows=[{"ids": ids}])[0]["logprobs"] for path in (folder, folder / "model.gguf")]
                self.assertEqual(*ours)

    def test_it_loads_a_folder_that_we_export(self):
        checkpoint = hone.trained(self.folder)
        for dtype in ["f32", "bf16"]:
            hone.run("export", checkpoint, self.folder / dtype, "--dtype", dtype)
            model = transformers.AutoModelForCausalLM.from_pretrained(self.folder / dtype, dtype="auto").eval()
            self.assertEqual(model.dtype, {"f32": torch.float32, "bf16": torch.bfloat16}[dtype])
            text = transformers.AutoTokenizer.from_pretrained(self.folder / dtype)
            ids = text("3+4=")["input_ids"]
            self.assertEqual(ids, ids_by_hone(self.folder / dtype, ["3+4="])[0])
            got = hone.rows("logprobs", self.folder / dtype, rows=[{"ids": ids}])[0]["logprobs"]
            self.assertLess((torch.tensor(got) - hone.logprobs(model.float(), ids)).abs().max(), 2e-4)

    def test_tokenizers_have_the_ids_of_the_library(self):
        for name, kind in [("gpt2", "llama"), ("digits-alone", "llama"), ("split-llama-ignore-merges", "llama"), ("qwen2.5", "qwen2")]:
            with self.subTest(name):
                library = hone.unpack(hone.DATA / "tokenizers" / f"{name}.json.gz", self.folder / name)
                text = (self.folder / name / "tokenizer.json").read_text(encoding="utf-8")
                model = hone.random_model(1, kind=kind, hidden_size=8, num_attention_heads=1, num_key_value_heads=1, intermediate_size=8,
                                          num_hidden_layers=1, vocab_size=library.get_vocab_size() + 5, tie_word_embeddings=True)
                save(model, self.folder / name, text)
                path = self.folder / name / "model.gguf"
                hone.run("export", self.folder / name, path, "--dtype", "f16")
                wanted = [library.encode(s, add_special_tokens=False).ids for s in strings()]
                self.assertEqual(wanted, ids_by_hone(path, strings()))
                if kind == "qwen2":  # without its NFC; of llama it splits as it thinks, whatever tokenizer.ggml.pre says
                    theirs = transformers.AutoTokenizer.from_pretrained(self.folder / name, gguf_file="model.gguf")
                    for text, ids in zip(strings(), wanted):
                        if unicodedata.is_normalized("NFC", text):
                            self.assertEqual(ids, theirs(text)["input_ids"], text)


def real(test):
    return test if REAL.exists() else unittest.skip(f"no {REAL.name}: scripts/fetch-model smollm2")(test)


class Real(hone.TestCase):
    @real
    def test_smollm2_is_what_transformers_reads(self):
        load = transformers.AutoModelForCausalLM.from_pretrained
        model = load(REAL.parent, gguf_file=REAL.name, dtype=torch.float32).eval()
        hone.run("export", REAL, self.folder / "folder", "--dtype", "f32")
        again = load(self.folder / "folder").eval()
        theirs, ours = model.state_dict(), again.state_dict()
        self.assertEqual(theirs.keys(), ours.keys())
        for name in theirs:
            self.assertTrue(torch.equal(theirs[name], ours[name]), name)
        library = transformers.AutoTokenizer.from_pretrained(self.folder / "folder")
        self.assertEqual([library(s)["input_ids"] for s in strings()], ids_by_hone(REAL, strings()))
        ids = library("The capital of France is Paris. In 1969, 2 men walked on the moon.")["input_ids"]
        got = hone.rows("logprobs", REAL, rows=[{"ids": ids}])[0]["logprobs"]
        self.assertLess((torch.tensor(got) - hone.logprobs(model, ids)).abs().max(), 2e-4)


def llama_cpp(test):
    if importlib.util.find_spec("llama_cpp"):
        return real(test)
    return unittest.skip("llama-cpp-python is not installed; PyPI has its source alone, which takes 10 to 40 minutes to "
                                       "compile: build/venv/bin/pip install llama-cpp-python==0.3.36")(test)


class LlamaCpp(hone.TestCase):
    PROMPTS = ["The capital of France is", "<|im_start|>user\nWhat is 3 + 4?<|im_end|>\n<|im_start|>assistant\n", "Once upon a time"]

    def open(self, path, **settings):
        import llama_cpp

        return llama_cpp.Llama(str(path), n_ctx=256, n_threads=2, verbose=False, **settings)

    def greedy(self, model, ids):
        out = []
        for token in model.generate(ids, top_k=1, temp=0.0, repeat_penalty=1.0):
            out.append(token)
            if token == model.token_eos() or len(out) == 32:
                return out

    def greedy_by_hone(self, path, ids):
        text = hone.run("generate", path, "--prompt-ids", ",".join(map(str, ids)), "--temperature", 0, "--max-tokens", 32, "--ids")
        return [int(i) for i in text.split()]

    @llama_cpp
    def test_greedy_texts_of_f32_are_equal(self):
        path = self.folder / "f32.gguf"
        hone.run("export", REAL, path, "--dtype", "f32")
        model = self.open(path)
        texts = strings()
        self.assertEqual([model.tokenize(s.encode(), add_bos=False, special=True) for s in texts], ids_by_hone(path, texts))
        for prompt in self.PROMPTS:
            ids = model.tokenize(prompt.encode(), add_bos=False, special=True)
            self.assertEqual(self.greedy(model, ids), self.greedy_by_hone(path, ids))

    @llama_cpp
    def test_an_adapter_is_taken_by_its_lora(self):
        base, adapter = self.folder / "f32.gguf", self.folder / "adapter"
        hone.run("export", REAL, base)
        model, adapter_tensors = tensors(base), {}
        torch.manual_seed(5)
        ours = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "output": "self_attn.o_proj"}
        for layer in range(30):
            for name, module in ours.items():
                n_in, n_out = map(int, model[f"blk.{layer}.attn_{name}.weight"].shape)
                stem = f"base_model.model.model.layers.{layer}.{module}"
                adapter_tensors[f"{stem}.lora_A.weight"] = torch.randn(4, n_in) / n_in ** 0.5
                adapter_tensors[f"{stem}.lora_B.weight"] = torch.randn(n_out, 4) * 0.1
        adapter.mkdir()
        safetensors.torch.save_file(adapter_tensors, adapter / "adapter_model.safetensors")
        (adapter / "adapter_config.json").write_text(json.dumps({
            "peft_type": "LORA", "base_model_name_or_path": str(REAL), "r": 4, "lora_alpha": 8, "target_modules":
            ["q_proj", "k_proj", "v_proj", "o_proj"]}))
        hone.run("export", adapter, self.folder / "adapter.gguf")
        plain, theirs = self.open(base), self.open(base, lora_path=str(self.folder / "adapter.gguf"))
        ids = plain.tokenize(self.PROMPTS[0].encode(), add_bos=False)
        texts = [self.greedy(m, ids) for m in (plain, theirs)]
        self.assertNotEqual(*texts)
        self.assertEqual(texts[1], self.greedy_by_hone(adapter, ids))

    @llama_cpp
    def test_q8_0_mostly_agrees(self):
        path = self.folder / "q8_0.gguf"
        hone.run("export", REAL, path, "--dtype", "q8_0")
        model, folder = self.open(path, logits_all=True), self.folder / "folder"
        hone.run("export", REAL, folder)
        ours = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
        text = (hone.ROOT / "README.md").read_text(encoding="utf-8")[:700]
        ids = model.tokenize(text.encode(), add_bos=False)[:200]
        model.eval(ids)
        with torch.no_grad():
            wanted = ours(torch.tensor([ids])).logits[0].argmax(-1).numpy()
        same = (model.scores[:len(ids)].argmax(-1) == wanted).mean()
        print(f"    q8_0 in llama.cpp picks the token of f32 in {100 * same:.1f}% of {len(ids)} places")
        self.assertGreater(same, 0.95)
