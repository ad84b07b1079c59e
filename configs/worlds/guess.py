#!/usr/bin/env python3
"""An environment of your own for hone: task.environment.command, as in configs/worlds/guess.yaml.

A letter between two others is to be found: an action is a guess, and the answer says whether the letter comes before or behind it.

A question is one line of JSON on standard input: {"episode", "turn", "actions", "id", "prompt", "answer", and all other columns of the row}.
The reply is one line of JSON on standard output: {"observation", "done", "reward"}, or {"error": "why the episode has no verdict"}.
All actions of the episode so far are in every question, so the reply depends on the question alone; this world needs only the last one.
A world that is slow to play again keeps its state by "episode", and plays all actions where it has none.

    python3 configs/worlds/guess.py --rows 300 SEED     writes problems, each solved by guesses at random among what is left
"""

import json
import random
import sys


def answer(question):
    letter, guess = question["answer"], question["actions"][-1]
    if len(guess) != 1 or not "a" <= guess <= "z":
        return {"observation": "?"}
    if guess == letter:
        return {"done": True, "reward": 1}
    return {"observation": "<" if letter < guess else ">"}


def rows(n, seed):
    chance, letters = random.Random(seed), "abcdefghijklmnopqrstuvwxyz"
    for i in range(n):
        low = chance.randrange(seed % 2, 16, 2)  # no two seeds that differ by one ask the same
        high = low + chance.randint(7, min(14, 25 - low))
        letter, a, b, text = chance.randint(low, high), low, high, ""
        while True:
            guess = chance.randint(a, b)
            text += letters[guess] + "\n"
            if guess == letter:
                break
            text += "<" if letter < guess else ">"
            a, b = (a, guess - 1) if letter < guess else (guess + 1, b)
        print(json.dumps({"id": f"{seed}/{i}", "prompt": f"{letters[low]}-{letters[high]}:", "answer": letters[letter], "completion": text}))


if len(sys.argv) > 3 and sys.argv[1] == "--rows":
    rows(int(sys.argv[2]), int(sys.argv[3]))
    sys.exit()
for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Exception as reason:  # hone counts it, and goes on
        reply = {"error": repr(reason)}
    print(json.dumps(reply), flush=True)
