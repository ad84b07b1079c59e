"""Runs ./hone and the tools, and makes what the tests feed to them: small random models, tokenizers, folders that vanish."""

import gzip
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import tokenizers
import torch
import transformers

transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(1)  # the models are tiny

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
TOOLS = ROOT / os.environ.get("HONE_TOOLS", "build/release-gcc")


def run(*words, rows=None, check=True):
    """./hone WORDS with JSONL rows on standard input; its output as text, or the finished process with check=False."""
    text = None if rows is None else "".join(json.dumps(row) + "\n" for row in rows)
    done = subprocess.run([ROOT / "hone", *map(str, words)], input=text, capture_output=True, text=True, encoding="utf-8")
    if not check:
        return done
    if done.returncode:
        raise AssertionError(f"status {done.returncode}: {done.stderr.strip()}\n{done.stdout[:500]}\nof: hone {' '.join(map(str, words))}")
    return done.stdout


def rows(*words, rows):
    """The answers of a plumbing command, one object a row."""
    answers = [json.loads(line) for line in run(*words, rows=rows).split("\n") if line]
    assert len(answers) == len(rows), f"{len(rows)} rows in, {len(answers)} out"
    return answers


def gradient(model, texts, output):
    """tool_gradient over [(prompt ids, answer ids)]: what it prints; the gradient is in the file `output`."""
    joined = [":".join(",".join(map(str, ids)) for ids in text) for text in texts]
    done = subprocess.run([TOOLS / "tool_gradient", model, output, *joined], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr.strip())
    return json.loads(done.stdout)


class TestCase(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hone-interop-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


# ---- models ----

KINDS = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
    "granite": (transformers.GraniteConfig, transformers.GraniteForCausalLM),
    "olmo2": (transformers.Olmo2Config, transformers.Olmo2ForCausalLM),
    "smollm3": (transformers.SmolLM3Config, transformers.SmolLM3ForCausalLM),
    "seed_oss": (transformers.SeedOssConfig, transformers.SeedOssForCausalLM),
    "phi3": (transformers.Phi3Config, transformers.Phi3ForCausalLM),
    "gemma2": (transformers.Gemma2Config, transformers.Gemma2ForCausalLM),
    "gemma3": (transformers.Gemma3TextConfig, transformers.Gemma3ForCausalLM),
    "gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel),
}

LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)

# What is special about each: the kind (llama where none is said), and settings of its Config. Sizes are odd wherever nothing forbids it.
LAYOUTS = {
    "a key head for each query head": dict(hidden_size=36, num_attention_heads=3, num_key_value_heads=3, intermediate_size=100),
    "three query heads to a key head": dict(hidden_size=72, num_attention_heads=6, num_key_value_heads=2, intermediate_size=131),
    "one key head, tied": dict(hidden_size=32, num_attention_heads=4, num_key_value_heads=1, intermediate_size=77, tie_word_embeddings=True),
    "heads wider than the stream": dict(hidden_size=30, num_attention_heads=3, num_key_value_heads=1, head_dim=18, intermediate_size=53),
    "heads narrower than the stream, tied": dict(hidden_size=45, num_attention_heads=5, num_key_value_heads=5, head_dim=6,
                                                 intermediate_size=1, tie_word_embeddings=True),
    "a stream of odd width, one layer": dict(hidden_size=33, num_attention_heads=3, num_key_value_heads=1, head_dim=10,
                                             intermediate_size=65, num_hidden_layers=1, rope_theta=500000.0, rms_norm_eps=1e-5),
    "llama3 scaling, tied": dict(hidden_size=48, num_attention_heads=6, num_key_value_heads=2, intermediate_size=99, rope=LLAMA3,
                                 tie_word_embeddings=True),
    "linear scaling": dict(hidden_size=40, num_attention_heads=2, num_key_value_heads=1, intermediate_size=61,
                           rope=dict(rope_type="linear", factor=4.0)),
    "qwen2, seven query heads to a key head, tied": dict(kind="qwen2", hidden_size=56, num_attention_heads=14, num_key_value_heads=2,
                                                         intermediate_size=101, tie_word_embeddings=True, rope_theta=1000000.0),
    "qwen2, a key head for each query head": dict(kind="qwen2", hidden_size=36, num_attention_heads=3, num_key_value_heads=3,
                                                  intermediate_size=45),
    "qwen3, heads wider than the stream, tied": dict(kind="qwen3", hidden_size=35, num_attention_heads=4, num_key_value_heads=2, head_dim=22,
                                                     intermediate_size=57, tie_word_embeddings=True, rope_theta=1000000.0),
    "qwen3, one key head": dict(kind="qwen3", hidden_size=42, num_attention_heads=3, num_key_value_heads=1, head_dim=10, intermediate_size=80),
    "qwen3, llama3 scaling": dict(kind="qwen3", hidden_size=40, num_attention_heads=2, num_key_value_heads=2, head_dim=16,
                                  intermediate_size=50, rope=LLAMA3),
    "qwen2, two local layers": dict(kind="qwen2", hidden_size=36, num_attention_heads=3, num_key_value_heads=3, intermediate_size=45,
                                    use_sliding_window=True, sliding_window=50, max_window_layers=1),
    "mistral, a window of 20": dict(kind="mistral", hidden_size=40, num_attention_heads=4, num_key_value_heads=2, intermediate_size=91,
                                    sliding_window=20),
    "mistral, a window of 65, heads of their own width": dict(kind="mistral", hidden_size=30, num_attention_heads=4, num_key_value_heads=1,
                                                              head_dim=12, intermediate_size=33, sliding_window=65),
    "mistral, no window": dict(kind="mistral", hidden_size=32, num_attention_heads=4, num_key_value_heads=4, intermediate_size=70,
                               sliding_window=None, rope_theta=1000000.0),
    "granite": dict(kind="granite", hidden_size=48, num_attention_heads=6, num_key_value_heads=2, intermediate_size=71, embedding_multiplier=3.0,
                    attention_multiplier=0.2, residual_multiplier=0.6, logits_scaling=2.5),
    "granite, tied": dict(kind="granite", hidden_size=36, num_attention_heads=3, num_key_value_heads=3, intermediate_size=50,
                          embedding_multiplier=12, attention_multiplier=0.015625, residual_multiplier=0.22, logits_scaling=8,
                          tie_word_embeddings=True),
    "olmo2": dict(kind="olmo2", hidden_size=48, num_attention_heads=6, num_key_value_heads=3, intermediate_size=83, rope_theta=500000.0),
    "olmo2, a key head for each query head": dict(kind="olmo2", hidden_size=40, num_attention_heads=4, num_key_value_heads=4,
                                                  intermediate_size=40),
    "smollm3, tied": dict(kind="smollm3", hidden_size=48, num_attention_heads=4, num_key_value_heads=2, intermediate_size=60,
                          num_hidden_layers=4, tie_word_embeddings=True, pad_token_id=0),
    "smollm3, two layers that are not rotated, local": dict(kind="smollm3", hidden_size=40, num_attention_heads=4, num_key_value_heads=1,
                                                            intermediate_size=60, no_rope_layers=[0, 1, 0], use_sliding_window=True,
                                                            sliding_window=30, pad_token_id=0),
    "seed_oss": dict(kind="seed_oss", hidden_size=40, num_attention_heads=5, num_key_value_heads=1, head_dim=14, intermediate_size=52),
    "phi3": dict(kind="phi3", hidden_size=48, num_attention_heads=6, num_key_value_heads=2, intermediate_size=57, pad_token_id=0),
    "phi3, a window of 33": dict(kind="phi3", hidden_size=32, num_attention_heads=4, num_key_value_heads=4, intermediate_size=57,
                                 sliding_window=33, pad_token_id=0),
    "gemma2": dict(kind="gemma2", hidden_size=40, num_attention_heads=4, num_key_value_heads=2, head_dim=14, intermediate_size=66,
                   sliding_window=25, query_pre_attn_scalar=20, attn_logit_softcapping=4.0, final_logit_softcapping=5.0,
                   tie_word_embeddings=True),
    "gemma2, without caps": dict(kind="gemma2", hidden_size=36, num_attention_heads=3, num_key_value_heads=1, head_dim=16,
                                 intermediate_size=50, sliding_window=500, attn_logit_softcapping=None, final_logit_softcapping=None,
                                 tie_word_embeddings=True),
    "gemma3": dict(kind="gemma3", hidden_size=40, num_attention_heads=4, num_key_value_heads=1, head_dim=16, intermediate_size=64,
                   sliding_window=40, query_pre_attn_scalar=12, tie_word_embeddings=True, layer_types=["sliding_attention",
                                                                                                      "full_attention", "sliding_attention"]),
    "gemma3, global positions scaled": dict(kind="gemma3", hidden_size=32, num_attention_heads=4, num_key_value_heads=2, head_dim=10,
                                            intermediate_size=48, sliding_window=16, num_hidden_layers=6, tie_word_embeddings=True,
                                            rope=dict(rope_type="linear", factor=8.0)),
    "gpt2, tied": dict(kind="gpt2", hidden_size=48, num_attention_heads=6, tie_word_embeddings=True),
    "gpt2": dict(kind="gpt2", hidden_size=36, num_attention_heads=3, n_inner=50),
}

GPT2_NAMES = {"hidden_size": "n_embd", "num_attention_heads": "n_head", "num_hidden_layers": "n_layer", "max_position_embeddings": "n_positions"}


def config_of(kind, rope, settings):
    """A Config of a kind: what it calls the settings, and where it has its rotary positions."""
    make_config = KINDS[kind][0]
    if kind == "gpt2":
        settings = {GPT2_NAMES.get(key, key): value for key, value in settings.items()}
        return make_config(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, **settings)
    if kind == "gemma3":
        rope = {"full_attention": rope, "sliding_attention": {"rope_type": "default", "rope_theta": 700.0}}
    return make_config(rope_parameters=rope, **settings)


def random_model(seed, **settings):
    """A model whose weights are large enough, and whose gains and biases differ enough, that a wrong one shows; not so large that rounding does."""
    torch.manual_seed(seed)
    settings = dict(vocab_size=301, num_hidden_layers=3, max_position_embeddings=1024, bos_token_id=1, eos_token_id=2,
                    initializer_range=1.4 / settings["hidden_size"] ** 0.5, tie_word_embeddings=False) | settings
    rope = {"rope_type": "default", "rope_theta": settings.pop("rope_theta", 10000.0)} | settings.pop("rope", {})
    kind = settings.pop("kind", "llama")
    model = KINDS[kind][1](config_of(kind, rope, settings)).float().eval()
    gain = (-0.5, 0.5) if kind.startswith("gemma") else (0.5, 1.5)  # Gemma's are 1 + w
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("norm.weight") or ".ln_" in name and name.endswith("weight"):
                weight.uniform_(*gain)
            elif name.endswith("bias"):
                weight.normal_(0, 0.5)
    return model


def exact_angles(model):
    """transformers multiplies position and frequency in float32: at position 1000 an angle is off by 3e-5, and log-probabilities by
    3e-4. Here the angles are float64; the rest of the model stays as it is."""
    config = model.config
    frequency = config.rope_parameters["rope_theta"] ** -(torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim)

    def forward(x, position_ids):
        angle = (position_ids[..., None].double() * frequency).repeat(1, 1, 2)
        return angle.cos().to(x.dtype), angle.sin().to(x.dtype)

    model.model.rotary_emb.forward = forward
    return model


def random_ids(seed, n, vocab=301):
    """Without the first three, which end texts."""
    return torch.randint(3, vocab, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


def save(model, folder, **settings):
    """As transformers writes it, with a tokenizer beside it, since a model folder has one."""
    model.save_pretrained(folder, **settings)
    byte_tokenizer().save(str(pathlib.Path(folder) / "tokenizer.json"))
    return folder


def logprobs(model, ids):
    """log p(ids[i+1] | ids[..i]) as transformers computes it."""
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, :-1]
    return torch.log_softmax(logits.float(), -1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]


# ---- tokenizers ----


def byte_tokenizer():
    """Byte-level BPE without a merge: 256 tokens."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    t = tokenizers.Tokenizer(tokenizers.models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    t.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    t.decoder = tokenizers.decoders.ByteLevel()
    return t


def unpack(path, folder):
    """tokenizer.json, plain or gzip, into a folder of its own; the library's own reading of it."""
    text = path.read_bytes()
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_bytes(gzip.decompress(text) if path.suffix == ".gz" else text)
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


# ---- runs ----

TINY = {"model.init.width": 32, "model.init.n_layers": 2, "model.init.n_heads": 4, "model.init.n_kv_heads": 2, "model.init.head_width": 8,
        "model.init.ff_width": 48, "model.init.n_positions": 128, "model.tokenizer": "chars:0123456789+=? "}


def trained(folder, *overrides, command="sft"):
    """A run of one step (unless overridden) in folder/run; its newest checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"prompt": f"{a}+{b}=", "answer": str(a + b)} for a in range(12) for b in range(5)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {"data.train": folder / "rows.jsonl", "run.output_dir": folder / "run", "run.max_steps": 1, "optim.learning_rate": 0.01,
                "rollout.max_completion_length": 16}
    if not any(o.startswith("model.path=") for o in overrides):
        settings = TINY | settings
    if command == "sft":
        settings["sft.batch_size"] = 8
    settings |= dict(o.split("=", 1) for o in overrides)
    (folder / "config.yaml").write_text("{}\n")
    run(command, folder / "config.yaml", *(f"{key}={value}" for key, value in settings.items()))
    return max((folder / "run").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
