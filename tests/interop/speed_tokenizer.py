"""speed_tokenizer.py [KIND...]: how fast texts become ids, here and in the `tokenizers` library, on one thread, as a table.

Each kind of tokenizer encodes each set of texts in turns, ours and then the library's, ROUNDS times after one for warmth; medians of processor
time, since other programs may be running. The library is asked for ids without offsets (encode_batch_fast, add_special_tokens=False); what
it makes of them in Python is not counted. The ids must be the same. HONE_SHARED names the folder with data/gsm8k, data/math and Llama 3."""

import os

os.environ["RAYON_NUM_THREADS"], os.environ["TOKENIZERS_PARALLELISM"] = "1", "false"

import gzip
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import hone
import test_tokenizer

ROUNDS = 5
SHARED = pathlib.Path(os.environ.get("HONE_SHARED", "nowhere")) / "data"
KINDS = [name for name in test_tokenizer.KINDS if name in ("gpt2", "qwen2.5", "minipile-4096", "digits-alone", "split-deepseek", "stories260k")]


def column(path, key):
    with gzip.open(path, "rt", encoding="utf-8") as rows:
        return [json.loads(row)[key] for row in rows]


def texts():
    """By name: lists of texts."""
    vectors = sorted((hone.DATA / "tokenizers").glob("*.vectors.jsonl.gz"))
    sets = {
        "documents": ["\n".join(path.read_text() for path in sorted(hone.ROOT.glob("docs/**/*.md")))],
        "code": ["\n".join(path.read_text() for path in sorted(hone.ROOT.glob("src/*/*.[ch]")))],
        "25 scripts": ["\n".join(text for path in vectors[:4] for text in column(path, "text"))],
    }
    for name, path, key in (("gsm8k", "gsm8k/train.jsonl.gz", "question"), ("math", "math/train.jsonl.gz", "problem")):
        if (SHARED / path).exists():
            sets[name] = column(SHARED / path, key)
        else:
            print(f"skipped: {name}: HONE_SHARED names no folder with data/{path}")
    return sets


def checksum(encodings):
    n = total = 0
    for encoding in encodings:
        for i in encoding.ids:
            n += 1
            total = (total + n * i) % 2**32
    return n, total


def race(library, folder, batch, rows):
    """(bytes, our seconds, the library's): medians."""
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in batch))
    ours, theirs = [], []
    with subprocess.Popen([hone.TOOLS / "tool_encode", folder, rows], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tool:
        for _ in range(ROUNDS + 1):
            tool.stdin.write("\n")
            tool.stdin.flush()
            answer = json.loads(tool.stdout.readline())
            start = time.process_time()
            encodings = library.encode_batch_fast(batch, add_special_tokens=False)
            theirs.append(time.process_time() - start)
            ours.append(answer["seconds"])
        tool.stdin.close()
    assert checksum(encodings) == (answer["ids"], answer["sum"]), "the ids differ"
    return answer["bytes"], statistics.median(ours[1:]), statistics.median(theirs[1:])


def main(names):
    paths = dict(test_tokenizer.KINDS)
    if test_tokenizer.LLAMA3.exists():
        paths["llama3"] = test_tokenizer.LLAMA3
        names = names or [*KINDS, "llama3"]
    sets = texts()
    print("| tokenizer | texts | MB | ours, MB/s | library, MB/s | ratio |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="hone-speed-") as folder:
        for name in names or KINDS:
            library = hone.unpack(paths[name], pathlib.Path(folder) / name)
            for what, batch in sets.items():
                n, ours, theirs = race(library, pathlib.Path(folder) / name, batch, pathlib.Path(folder) / "texts.jsonl")
                print(f"| {name} | {what} | {n / 1e6:.2f} | {n / ours / 1e6:.1f} | {n / theirs / 1e6:.1f} | {theirs / ours:.1f} |", flush=True)


main(sys.argv[1:])
