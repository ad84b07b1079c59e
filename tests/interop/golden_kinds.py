"""golden_kinds.py OUT.json: what transformers says of one small model of each kind, for tests/test_kinds.c: its config, 90 ids, the logits after
three of them, and 8 greedy ids behind them. No weights are kept: both sides make them from the tensor's name and the place of a number in it.

    build/venv/bin/python tests/interop/golden_kinds.py tests/data/kinds.json
"""

import json
import pathlib
import sys
import zlib

import numpy
import torch

import hone

COMMON = dict(hidden_size=16, num_attention_heads=2, num_hidden_layers=3, vocab_size=29, max_position_embeddings=128, bos_token_id=1, eos_token_id=2)
HEADS = dict(num_key_value_heads=1, intermediate_size=24)
KINDS = {
    "llama": dict(tie_word_embeddings=False),
    "qwen2": dict(use_sliding_window=True, sliding_window=20, max_window_layers=1, tie_word_embeddings=True),
    "qwen3": dict(head_dim=8, tie_word_embeddings=False),
    "mistral": dict(sliding_window=20, tie_word_embeddings=False),
    "granite": dict(embedding_multiplier=3.0, attention_multiplier=0.25, residual_multiplier=0.5, logits_scaling=2.0, tie_word_embeddings=True),
    "olmo2": dict(num_key_value_heads=2, tie_word_embeddings=False),
    "smollm3": dict(no_rope_layers=[1, 0, 1], pad_token_id=0, tie_word_embeddings=True),
    "seed_oss": dict(head_dim=10, tie_word_embeddings=False),
    "phi3": dict(sliding_window=20, pad_token_id=0, tie_word_embeddings=False),
    "gemma2": dict(head_dim=8, sliding_window=20, query_pre_attn_scalar=10, attn_logit_softcapping=2.0, final_logit_softcapping=4.0,
                   tie_word_embeddings=True),
    "gemma3": dict(head_dim=8, sliding_window=20, query_pre_attn_scalar=10, tie_word_embeddings=True,
                   layer_types=["sliding_attention", "full_attention", "sliding_attention"]),
    "gpt2": dict(tie_word_embeddings=True),
}


def mixed(key, n):
    """n numbers between -0.5 and 0.5."""
    x = (numpy.uint32(key) + numpy.arange(n, dtype=numpy.uint32) * numpy.uint32(2654435761)).astype(numpy.uint32)
    x ^= x >> numpy.uint32(16)
    x *= numpy.uint32(0x45D9F3B)
    x ^= x >> numpy.uint32(16)
    return x.astype(numpy.float64) / 2**32 - 0.5


def fill(model, kind):
    with torch.no_grad():
        for name, weight in model.named_parameters():
            x = mixed(zlib.crc32(name.encode()), weight.numel())
            if weight.dim() == 2:
                x = x * 4 / 16**0.5
            elif not name.endswith("bias"):
                x = x + (0 if kind.startswith("gemma") else 1)
            weight.copy_(torch.from_numpy(x.astype(numpy.float32)).reshape(weight.shape))


def golden(kind, settings):
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    settings = COMMON | (HEADS if kind != "gpt2" else {}) | settings
    model = hone.KINDS[kind][1](hone.config_of(kind, rope, settings)).float().eval()
    fill(model, kind)
    model = model.double()
    ids = [3 + int(26 * (u + 0.5)) for u in mixed(7, 90)]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
        text = list(ids)
        for _ in range(8):
            text.append(int(model(torch.tensor([text])).logits[0, -1].argmax()))
    return {"kind": kind, "config": json.loads(model.config.to_json_string()) | {"dtype": "float32"}, "ids": ids,
            "logits": [{"after": at, "are": [round(x, 7) for x in logits[at].tolist()]} for at in (0, 30, 89)], "greedy": text[90:]}


rows = [golden(kind, settings) for kind, settings in KINDS.items()]
pathlib.Path(sys.argv[1]).write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
