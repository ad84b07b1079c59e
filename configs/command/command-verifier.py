#!/usr/bin/env python3
"""A verifier of your own for hone: task.verifier.command, as in configs/command/command.yaml.

A question is one line of JSON on standard input: {"completion", "finished", "tokens", "id", "prompt", "answer", and all other columns of the row}.
The reply is one line of JSON on standard output: {"reward": number}, or {"error": "why nothing can be said"}.
Print nothing else there; standard error goes to verifier.log in the run folder. The program is started once and kept, so load what you need
before the loop. A reply must depend only on its question: then a resumed run is the uninterrupted one.
"""

import json
import re
import sys


def judge(question):
    """Digit by digit: the share of the right sum's digits that stand in their places, from the right; all of them are 1."""
    said = re.search(r"#(\d+)$", question["completion"].strip())
    if not said:
        return {"reward": 0.0, "parsed": False}
    gold, digits = question["answer"][::-1], said.group(1)[::-1]
    if len(gold) != len(digits):
        return {"reward": 0.0}
    return {"reward": sum(a == b for a, b in zip(gold, digits)) / len(gold)}


for line in sys.stdin:
    try:
        reply = judge(json.loads(line))
    except Exception as reason:  # hone counts it, and goes on
        reply = {"error": repr(reason)}
    print(json.dumps(reply), flush=True)
