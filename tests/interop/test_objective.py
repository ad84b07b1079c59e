"""Advantages, losses and their derivatives against the papers' formulas, written down here once more and derived by autograd.

Nothing here is taken from src/rl: a formula is as its paper has it, in float64, and d loss / d log-prob is torch's."""

import json
import random
import subprocess

import torch

import hone


def column(rows, key):
    return [torch.tensor(row[key], dtype=torch.float64) for row in rows]


# ---- advantages: one number a row ----


def group_of(rows, values, i):
    """The values of the answers to the same problem as row i, and of the others among them."""
    peers = [j for j in range(len(rows)) if rows[j]["group"] == rows[i]["group"]]
    return torch.stack([values[j] for j in peers]), torch.stack([values[j] for j in peers if j != i])


def standardised(rows, values, eps=1e-6):
    """(R - mean) / (std + eps) of the group; 0 where all are equal."""
    out = []
    for i, value in enumerate(values):
        group, _ = group_of(rows, values, i)
        out.append(torch.zeros(()) if group.max() == group.min() else (value - group.mean()) / (group.std() + eps))
    return out


def centred(rows, values):
    return [value - group_of(rows, values, i)[0].mean() for i, value in enumerate(values)]


def leave_one_out(rows, values):
    return [value - group_of(rows, values, i)[1].mean() for i, value in enumerate(values)]


def spread(numbers, masks):
    return [a * m for a, m in zip(numbers, masks)]


# ---- losses: rows of (lp, lpo, lpf, A, mask), all tensors ----


def clipped(ratio, a, low, high):
    return -torch.minimum(ratio * a, ratio.clamp(1 - low, 1 + high) * a)


def k3(lp, lpf):
    return torch.exp(lpf - lp) - (lpf - lp) - 1


def sequence_mean(losses, masks):
    return sum((l * m).sum() / m.sum() for l, m in zip(losses, masks)) / len(losses)


def token_mean(losses, masks):
    return sum((l * m).sum() for l, m in zip(losses, masks)) / sum(m.sum() for m in masks)


def sequence_sum(losses, masks):
    return sum((l * m).sum() for l, m in zip(losses, masks)) / len(losses)


class Batch:
    """The columns of the rows as tensors; lp is what is differentiated."""

    def __init__(self, rows):
        self.rows = rows
        self.lp, self.lpo, self.lpf, self.mask = (column(rows, key) for key in ("logp_new", "logp_old", "logp_ref", "trained"))
        self.reward = [torch.tensor(float(row["reward"]), dtype=torch.float64) for row in rows]
        for lp in self.lp:
            lp.requires_grad_()

    def ratios(self):
        return [torch.exp(lp - lpo) for lp, lpo in zip(self.lp, self.lpo)]

    def per_token(self, advantage, low, high):
        return [clipped(r, a, low, high) for r, a in zip(self.ratios(), advantage)]


def reinforce(b, s):
    advantage = spread(b.reward, b.mask)
    return advantage, sequence_sum([-a * lp for a, lp in zip(advantage, b.lp)], b.mask)


def rloo(b, s):
    """KL as k1 of the sampler, summed over the answer, taken from its reward."""
    values = [r - s["beta"] * ((lpo - lpf) * m).sum() for r, lpo, lpf, m in zip(b.reward, b.lpo, b.lpf, b.mask)]
    advantage = spread(leave_one_out(b.rows, values), b.mask)
    return advantage, sequence_sum([-a * lp for a, lp in zip(advantage, b.lp)], b.mask)


def reinforce_pp(b, s):
    """Returns of the token rewards, whitened over all tokens of the batch."""
    returns = []
    for r, lpo, lpf, m in zip(b.reward, b.lpo, b.lpf, b.mask):
        q = -s["beta"] * (lpo - lpf) * m
        q[int(m.nonzero().max())] += r
        returns.append(q.flip(0).cumsum(0).flip(0) * m)
    live = torch.cat([r[m > 0] for r, m in zip(returns, b.mask)])
    advantage = [(r - live.mean()) / torch.sqrt(live.var() + 1e-8) * m for r, m in zip(returns, b.mask)]
    return advantage, sequence_mean(b.per_token(advantage, 0.2, 0.2), b.mask)


def grpo(b, s):
    advantage = spread(standardised(b.rows, b.reward), b.mask)
    losses = [l + s["beta"] * k3(lp, lpf) for l, lp, lpf in zip(b.per_token(advantage, 0.2, 0.2), b.lp, b.lpf)]
    return advantage, sequence_mean(losses, b.mask)


def dr_grpo(b, s):
    advantage = spread(centred(b.rows, b.reward), b.mask)
    losses = b.per_token(advantage, 0.2, 0.2)
    return advantage, sum((l * m).sum() for l, m in zip(losses, b.mask)) / (len(losses) * s["max_completion_length"])


def dapo(b, s):
    advantage = spread(standardised(b.rows, b.reward), b.mask)
    return advantage, token_mean(b.per_token(advantage, 0.2, 0.28), b.mask)


def gspo(b, s):
    """One ratio an answer: the geometric mean of its tokens'."""
    numbers = standardised(b.rows, b.reward)
    ratios = [torch.exp(((lp - lpo) * m).sum() / m.sum()) for lp, lpo, m in zip(b.lp, b.lpo, b.mask)]
    losses = [clipped(r, a, s["epsilon"], s["epsilon_high"]) for r, a in zip(ratios, numbers)]
    return spread(numbers, b.mask), sum(losses) / len(losses)


def cispo(b, s):
    """The capped ratio is a constant weight of the log-probability."""
    advantage = spread(standardised(b.rows, b.reward), b.mask)
    return advantage, token_mean([-r.clamp(0, s["epsilon_high"]).detach() * a * lp for r, a, lp in zip(b.ratios(), advantage, b.lp)], b.mask)


# The settings are the papers' where a formula above has them; those named here are given to both sides.
ALGORITHMS = {reinforce: {}, rloo: {"beta": 0.05}, reinforce_pp: {"beta": 0.001}, grpo: {"beta": 0.04}, dr_grpo: {"max_completion_length": 20},
              dapo: {"max_completion_length": 20}, gspo: {"epsilon": 0.02, "epsilon_high": 0.03},
              cispo: {"epsilon_high": 1.5, "max_completion_length": 20}}


def random_rows(seed, n_groups=3, size=5):
    """Lengths of 1 to 12 tokens, some of them not trained; ratios from 0.2 to 5; one group of equal rewards; rows shuffled."""
    r = random.Random(seed)
    rows = []
    for g in range(n_groups):
        for _ in range(size):
            n = r.randint(1, 12)
            old = [-r.expovariate(1) for _ in range(n)]
            trained = [int(r.random() < 0.8) for _ in range(n)]
            trained[r.randrange(n)] = 1
            rows.append({"group": g, "reward": 0.3 if g == 1 else r.choice((0, 0, 1, 0.5)), "trained": trained, "logp_old": old,
                         "logp_new": [x + r.gauss(0, 0.4) for x in old], "logp_ref": [x + r.gauss(0, 0.4) for x in old],
                         "entropy": [r.random() for _ in old]})
    r.shuffle(rows)
    return rows


def evaluate(algorithm, settings, rows):
    job = json.dumps({"algorithm": algorithm, "set": settings, "rows": rows})
    done = subprocess.run([hone.TOOLS / "tool_objective"], input=job, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr.strip())
    return json.loads(done.stdout)


class Objective(hone.TestCase):
    def close(self, ours, theirs, what):
        theirs = torch.cat(theirs)
        error = (torch.tensor(ours, dtype=torch.float64) - theirs).abs().max() / theirs.abs().max()
        self.assertLess(error.item(), 1e-5, what)

    def test_every_algorithm_gives_the_loss_and_the_derivative_of_its_formula(self):
        for formula, settings in ALGORITHMS.items():
            for seed in range(5):
                with self.subTest(formula.__name__, seed=seed):
                    rows = random_rows(seed)
                    batch = Batch(rows)
                    advantage, loss = formula(batch, settings)
                    loss.backward()
                    ours = evaluate(formula.__name__, settings, rows)
                    self.close(ours["advantage"], advantage, "advantage")
                    self.close(ours["c"], [lp.grad for lp in batch.lp], "c")
                    self.assertAlmostEqual(ours["loss"], loss.item(), delta=1e-5 * max(1, abs(loss.item())))

    def test_an_entropy_bonus_has_the_weights_of_the_loss(self):
        rows = random_rows(9)
        entropy, mask = column(rows, "entropy"), column(rows, "trained")
        for h in entropy:
            h.requires_grad_()
        (-0.01 * token_mean(entropy, mask)).backward()
        ours = evaluate("dapo", {"entropy_coef": 0.01, "max_completion_length": 20}, rows)
        self.close(ours["h"], [h.grad for h in entropy], "h")

    def test_clips_are_at_work_in_these_batches(self):
        """Otherwise a wrong bound would pass: without the clip the derivative is another one."""
        rows = random_rows(0)
        batch = Batch(rows)
        _, loss = grpo(batch, {"beta": 0.04})
        loss.backward()
        wide = evaluate("grpo", {"beta": 0.04, "epsilon": 0.9, "epsilon_high": 50}, rows)
        error = (torch.tensor(wide["c"]) - torch.cat([lp.grad for lp in batch.lp])).abs().max()
        self.assertGreater(error.item(), 1e-3)
