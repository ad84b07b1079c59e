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
}


def random_model(seed, **settings):
    """A model whose weights are large enough, and whose gains and biases differ enough, that a wrong one shows; not so large that rounding does."""
    torch.manual_seed(seed)
    settings = dict(vocab_size=301, num_hidden_layers=3, max_position_embeddings=1024, bos_token_id=1, eos_token_id=2,
                    initializer_range=1.4 / settings["hidden_size"] ** 0.5, tie_word_embeddings=False) | settings
    rope = {"rope_type": "default", "rope_theta": settings.pop("rope_theta", 10000.0)} | settings.pop("rope", {})
    make_config, make_model = KINDS[settings.pop("kind", "llama")]
    model = make_model(make_config(rope_parameters=rope, **settings)).float().eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("norm.weight"):
                weight.uniform_(0.5, 1.5)
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
