"""Run folders as a run of 1,000 steps and 25 runs of five arms leave them, made up: pages need a
curve that rises, and no run of a few seconds has one."""
import gzip
import json
import math
import os
import random

random.seed(1)


def noise(size):
    return random.gauss(0, size)


def lines(steps, final, every, tokens=1500, seed=0):
    total = 0
    for step in range(steps + 1):
        skill = final * (1 - math.exp(-4 * step / steps)) + .1 * (1 - step / steps)
        if step:
            total += tokens + int(noise(60))
            wait = 1.2 + abs(noise(.2))
            yield {"step": step, "num_tokens": total, "reward": skill + noise(.05),
                   "accuracy": max(0, skill - .05 + noise(.05)), "reward_std": .4 + noise(.02),
                   "reward_group_std": .25 + noise(.02),
                   "frac_reward_zero_std": max(0, .3 + noise(.1)),
                   "rewards/math/mean": skill + noise(.05), "rewards/format/mean": .9 + noise(.02),
                   "entropy": .8 * math.exp(-step / steps) + abs(noise(.02)),
                   "completions/mean_length": 40 + 10 * step / steps + noise(2),
                   "completions/clipped_ratio": max(0, .1 + noise(.03)),
                   "kl": .001 * step + abs(noise(.002)), "clip_ratio/low_mean": abs(noise(.004)),
                   "clip_ratio/high_mean": abs(noise(.004)), "ratio/mean": 1 + noise(.001),
                   "advantage/abs_mean": .5 + noise(.03), "grad_norm": abs(.5 + noise(.1)),
                   "loss": noise(.01), "learning_rate": 1e-5 * min(1, step / 50),
                   "step_time": wait, "timing_s/rollout": .6 * wait, "timing_s/reward": .05 * wait,
                   "timing_s/forward": .1 * wait, "timing_s/backward": .25 * wait}
        if step % every == 0:
            held = min(.99, max(.01, skill + noise(.015)))
            yield {"step": step, "num_tokens": total, "eval/pass@1": held,
                   "eval/pass@1_stderr": .02, "eval/mean_length": 42 + noise(1)}


def sample(step, i, skill):
    a, b = 17 + 3 * i, 40 + i
    right = random.random() < skill
    told = a + b if right else a + b + random.choice([-10, -1, 1, 10])
    cut = not right and random.random() < .3
    work = f"{a} + {b}: the ones are {a % 10} + {b % 10} = {a % 10 + b % 10}, "
    return {"step": step, "problem": f"sum/{i}", "category": ["plain", "carry"][i % 2],
            "prompt": f"What is {a} + {b}? Think, then give the sum in <answer> tags.",
            "completion": work + ("and so on " * 12 if cut else f"so <answer>{told}</answer>"),
            "answer": str(a + b), "reward": float(right) + .1,
            "components": {"math": float(right), "format": float(not cut), "length": None},
            "right": right, "tokens": 40 if cut else 22, "stop": "length" if cut else "eos"}


def write(folder, config, given):
    os.makedirs(folder + "/samples", exist_ok=True)
    with open(folder + "/metrics.jsonl", "w") as f:
        f.writelines(json.dumps(line) + "\n" for line in given)
    with open(folder + "/config.yaml", "w") as f:
        f.write(config)
    with open(folder + "/provenance.jsonl", "w") as f:
        f.write(json.dumps({"from_step": 1, "version": "1.0", "commit": "0123abc",
                            "compiler": "gcc", "kernels": "avx512 f32 strict", "cpu": "Some CPU"})
                + "\n")


write("run", "model: {path: models/SmolLM2-135M-Instruct}\ndata: {train: [sums.jsonl]}\n"
      "task: {reward: math}\nalgorithm: grpo\nrun: {max_steps: 1000, seed: 1}\n",
      lines(1000, .8, 50))
for step in range(0, 1001, 50):
    with gzip.open(f"run/samples/step-{step}.jsonl.gz", "wt") as f:
        for i in range(16):
            f.write(json.dumps(sample(step, i, .1 + .7 * step / 1000)) + "\n")
for arm, final in ("grpo", .6), ("rloo", .61), ("dr_grpo", .66), ("dapo", .7), ("reinforce", .5):
    for seed in range(5):
        random.seed(seed)
        shift = noise(.03)
        random.seed(arm + str(seed))
        write(f"arms/{arm}/seed-{seed}",
              f"algorithm: {arm}\nrun: {{max_steps: 100, seed: {seed}}}\n",
              lines(100, final + shift, 10))
