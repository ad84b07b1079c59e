"""Advantages, losses and their derivatives against the papers' formulas, written down here once more and derived by autograd, and
against TRL's own loss.

Nothing here is taken from src/rl: a formula is as its paper has it, in float64, and d loss / d log-prob is torch's."""

import collections
import json
import math
import random
import subprocess
import types

import torch
from trl import GRPOTrainer

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


def group_std(rows, values):
    return [group_of(rows, values, i)[0].std() for i in range(len(rows))]


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


def bnpo(b, s):
    advantage = spread(standardised(b.rows, b.reward), b.mask)
    return advantage, token_mean(b.per_token(advantage, 0.2, 0.2), b.mask)


def score_function(b, numbers):
    advantage = spread(numbers, b.mask)
    return advantage, token_mean([-a * lp for a, lp in zip(advantage, b.lp)], b.mask)


def opo(b, s):
    """Against the mean of the group that counts each answer by its length."""
    lengths = [m.sum() for m in b.mask]
    weighted = [group_of(b.rows, [r * n for r, n in zip(b.reward, lengths)], i)[0].sum() for i in range(len(b.rows))]
    total = [group_of(b.rows, lengths, i)[0].sum() for i in range(len(b.rows))]
    equal = [x == 0 for x in group_std(b.rows, b.reward)]
    return score_function(b, [torch.zeros(()) if e else r - w / n for r, w, n, e in zip(b.reward, weighted, total, equal)])


def maxrl(b, s):
    means = [group_of(b.rows, b.reward, i)[0].mean() for i in range(len(b.rows))]
    advantage = spread([(r - m) / m if m > 0 else torch.zeros(()) for r, m in zip(b.reward, means)], b.mask)
    return advantage, token_mean(b.per_token(advantage, 0.2, 0.2), b.mask)


def gpg(b, s):
    rewarded = sum(float(r != 0) for r in b.reward)
    return score_function(b, [a * len(b.reward) / rewarded for a in centred(b.rows, b.reward)])


def grpo_passk(b, s):
    numbers = []
    for i, reward in enumerate(b.reward):
        group, others = group_of(b.rows, b.reward, i)
        best = reward == group.max() and reward > others.max()
        numbers.append((reward - others.max()) / (group.std() + 1e-6) if best else torch.zeros(()))
    advantage = spread(numbers, b.mask)
    return advantage, token_mean(b.per_token(advantage, 0.2, 0.2), b.mask)


def probabilities(b):
    return [lp.detach().exp() for lp in b.lp], [lpo.exp() for lpo in b.lpo]


def masked_ratio(b, outside):
    """-q A where a token is inside."""
    advantage = spread(centred(b.rows, b.reward), b.mask)
    losses = [torch.where(o, torch.zeros_like(a), -r * a) for o, r, a in zip(outside(advantage), b.ratios(), advantage)]
    return advantage, losses


def dppo_tv(b, s):
    def outside(advantage):
        return [torch.where(a > 0, p - po > s["epsilon_high"], po - p > s["epsilon"]) for a, p, po in zip(advantage, *probabilities(b))]

    advantage, losses = masked_ratio(b, outside)
    return advantage, sum((l * m).sum() for l, m in zip(losses, b.mask)) / (len(losses) * s["max_completion_length"])


def dppo_kl(b, s):
    def outside(advantage):
        out = []
        for a, p, po in zip(advantage, *probabilities(b)):
            kl = po * (po.log() - p.log()) + (1 - po) * ((1 - po + 1e-8) / (1 - p + 1e-8)).log()
            out.append(torch.where(a > 0, (kl > s["epsilon_high"]) & (p > po), (kl > s["epsilon"]) & (p < po)))
        return out

    advantage, losses = masked_ratio(b, outside)
    return advantage, sum((l * m).sum() for l, m in zip(losses, b.mask)) / (len(losses) * s["max_completion_length"])


def dro(b, s):
    advantage = spread(centred(b.rows, b.reward), b.mask)
    return advantage, token_mean([-a * lp + s["proximal"] / 2 * (lp - lpo) ** 2 for a, lp, lpo in zip(advantage, b.lp, b.lpo)], b.mask)


def covariances(b, advantage):
    live = lambda columns: torch.cat([x[m > 0] for x, m in zip(columns, b.mask)])
    a, lp = live(advantage), live([x.detach() for x in b.lp])
    return [(x - a.mean()) * (y.detach() - lp.mean()) for x, y in zip(advantage, b.lp)]


def kl_cov(b, s):
    advantage = spread(standardised(b.rows, b.reward), b.mask)
    cov = covariances(b, advantage)
    live = torch.cat([c[m > 0] for c, m in zip(cov, b.mask)]).sort(descending=True).values
    least = live[max(1, int(s["covariance_ratio"] * len(live))) - 1]
    losses = [-r * a + s["covariance_coef"] * (lp - lpo).abs() * (c >= least)
              for r, a, lp, lpo, c in zip(b.ratios(), advantage, b.lp, b.lpo, cov)]
    return advantage, token_mean(losses, b.mask)


def clip_cov(b, s):
    """With the share 1 all candidates are chosen, and nothing is left to chance."""
    advantage = spread(standardised(b.rows, b.reward), b.mask)
    losses = []
    for r, a, c, l in zip(b.ratios(), advantage, covariances(b, advantage), b.per_token(advantage, 0.2, 0.2)):
        clipped_already = ((a > 0) & (r > 1.2)) | ((a < 0) & (r < 0.8))
        losses.append(l * ~((c > s["covariance_low"]) & (c < s["covariance_high"]) & ~clipped_already))
    return advantage, token_mean(losses, b.mask)


def m2po(b, s):
    """Stale rows: the tokens with the largest squares go until the mean of the others is small."""
    for row in b.rows:
        row["logp_rollout"] = [x + 0.3 * math.sin(7 * x) for x in row["logp_old"]]
    d = [lpo - lpr for lpo, lpr in zip(b.lpo, column(b.rows, "logp_rollout"))]
    squares = torch.cat([x[m > 0] ** 2 for x, m in zip(d, b.mask)]).sort(descending=True).values.tolist()
    while sum(squares) / len(squares) >= s["mismatch_moment"]:
        squares.pop(0)
    advantage = spread(standardised(b.rows, b.reward), b.mask)
    losses = [-torch.exp(x) * (x ** 2 <= squares[0] + 1e-9) * r * a for x, r, a in zip(d, b.ratios(), advantage)]
    return advantage, token_mean(losses, b.mask)


def positive_nll(b, s):
    advantage, loss = grpo(b, {"beta": 0})
    good = [(lp, m) for lp, m, r in zip(b.lp, b.mask, b.reward) if r > 0]
    return advantage, loss - s["positive_nll"] * sum((lp * m).sum() for lp, m in good) / sum(m.sum() for _, m in good)


def kl_abs(b, s):
    advantage = spread(standardised(b.rows, b.reward), b.mask)
    losses = [l + s["beta"] * (lp - lpf).abs() for l, lp, lpf in zip(b.per_token(advantage, 0.2, 0.2), b.lp, b.lpf)]
    return advantage, sequence_mean(losses, b.mask)


def gdpo(b, s):
    """Each reward standardised in its group, weighed and added; the sums standardised over the batch."""
    total = [torch.zeros((), dtype=torch.float64) for _ in b.rows]
    for k, weight in enumerate(COMPONENT_WEIGHTS):
        values = [torch.tensor(row["components"][k], dtype=torch.float64) for row in b.rows]
        total = [t + weight * v for t, v in zip(total, standardised(b.rows, values))]
    sums = torch.stack(total)
    advantage = spread((sums - sums.mean()) / (sums.std() + 1e-6), b.mask)
    return advantage, sequence_mean(b.per_token(advantage, 0.2, 0.2), b.mask)


def echo(b, s):
    """What is not trained was written by the world."""
    advantage, loss = grpo(b, {"beta": 0})
    return advantage, loss - s["echo"] * sum((lp * (1 - m)).sum() for lp, m in zip(b.lp, b.mask)) / sum((1 - m).sum() for m in b.mask)


def token_sum(b, s):
    advantage = spread(standardised(b.rows, b.reward), b.mask)
    return advantage, sum((l * m).sum() for l, m in zip(b.per_token(advantage, 0.2, 0.2), b.mask))


def prompt_mean(b, s):
    advantage = spread(standardised(b.rows, b.reward), b.mask)
    losses, total = b.per_token(advantage, 0.2, 0.2), 0
    groups = sorted({row["group"] for row in b.rows})
    for g in groups:
        mine = [i for i, row in enumerate(b.rows) if row["group"] == g]
        total += sum((losses[i] * b.mask[i]).sum() for i in mine) / sum(b.mask[i].sum() for i in mine)
    return advantage, total / len(groups)


# The settings are the papers' where a formula above has them; those named here are given to both sides.
ALGORITHMS = {reinforce: {}, rloo: {"beta": 0.05}, reinforce_pp: {"beta": 0.001}, grpo: {"beta": 0.04}, dr_grpo: {"max_completion_length": 20},
              dapo: {"max_completion_length": 20}, gspo: {"epsilon": 0.02, "epsilon_high": 0.03},
              cispo: {"epsilon_high": 1.5, "max_completion_length": 20}, bnpo: {"batch_tokens": 999}, opo: {}, maxrl: {}, gpg: {},
              grpo_passk: {}, token_sum: {"loss_type": "token_sum"}, prompt_mean: {"loss_type": "prompt_mean"},
              dppo_tv: {"epsilon": 0.1, "epsilon_high": 0.05, "max_completion_length": 20},
              dppo_kl: {"epsilon": 0.02, "epsilon_high": 0.01, "max_completion_length": 20}, dro: {"proximal": 0.3},
              kl_cov: {"covariance_ratio": 0.2, "covariance_coef": 0.7},
              clip_cov: {"covariance_ratio": 1, "covariance_low": 0.1, "covariance_high": 1}, positive_nll: {"positive_nll": 0.3},
              kl_abs: {"beta": 0.2, "kl_estimator": "abs"}, gdpo: {}, echo: {"echo": 0.3},
              m2po: {"mismatch_moment": 0.02}}
COMPONENT_WEIGHTS = [1, 0.5, 2]
# A formula that is another row with a part of its own.
ROW_OF = dict.fromkeys(("token_sum", "prompt_mean", "positive_nll", "kl_abs", "echo"), "grpo")


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
                         "entropy": [r.random() for _ in old], "components": [r.random(), r.choice((0, 1)), 0.25]})
    r.shuffle(rows)
    return rows


def evaluate(algorithm, settings, rows, credit=None):
    job = json.dumps({"algorithm": algorithm, "set": settings, "rows": rows, "component_weights": COMPONENT_WEIGHTS} | ({"credit": credit} if credit else {}))
    done = subprocess.run([hone.TOOLS / "tool_objective"], input=job, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr.strip())
    return json.loads(done.stdout)


# ---- guided rows, and credit ----


def guided(rows, s):
    """Guide: token by token, q / (q + g) in the place of q, with g a percentile of the row's ratios; the other rows as GRPO has them."""
    b = Batch(rows)
    advantage = spread(standardised(rows, b.reward), b.mask)
    losses = []
    for row, r, a, m, plain in zip(rows, b.ratios(), advantage, b.mask, b.per_token(advantage, 0.2, 0.2)):
        g = torch.quantile(r[m > 0].detach(), s["squash_percentile"]).clamp(min=1e-4) if row["guided"] else None
        losses.append(-a * r / (r + g) if row["guided"] else plain)
    return b, sequence_mean(losses, b.mask)


def segments_of(rows):
    """[(row, [tokens])]: runs of trained tokens."""
    out = []
    for i, row in enumerate(rows):
        run = []
        for t, trained in enumerate(row["trained"] + [0]):
            if trained:
                run.append(t)
            elif run:
                out.append((i, run))
                run = []
    return out


def empg(rows, advantage, k, k_bonus, zeta):
    """arXiv:2509.09265, equations 4.1 to 4.6, over the segments of the batch."""
    segments = segments_of(rows)
    entropy = torch.tensor([sum(rows[i]["entropy"][t] for t in run) / len(run) for i, run in segments], dtype=torch.float64)
    h = (entropy - entropy.min()) / (entropy.max() - entropy.min() + 1e-8)
    g, f = torch.exp(-k * h), torch.exp(-k_bonus * h)
    g = g / g.mean()
    bonus = [zeta * f[s + 1] if s + 1 < len(segments) and segments[s + 1][0] == segments[s][0] else 0.0 for s in range(len(segments))]
    values = [advantage[i][run[0]] * g[s] + bonus[s] for s, (i, run) in enumerate(segments)]
    mean, out = sum(values) / len(values), [torch.zeros_like(a) for a in advantage]
    for value, (i, run) in zip(values, segments):
        out[i][run] = value - mean
    return out


# ---- TRL's own loss ----


class TRLLoss(GRPOTrainer):
    """GRPOTrainer._compute_loss without model, data or processes: log-probabilities and entropies are given."""

    def __init__(self, logps, entropies, updates=1, **settings):
        given = dict(loss_type="grpo", importance_sampling_level="token", beta=0.0, epsilon=0.2, epsilon_high=None, delta=None,
                     entropy_coef=0.0, top_entropy_quantile=1.0, off_policy_mask_threshold=None, use_bias_correction_kl=False,
                     sapo_temperature_pos=1.0, sapo_temperature_neg=1.05, max_completion_length=20, mismatch=False) | settings
        self.given = logps, entropies
        self.args = types.SimpleNamespace(steps_per_generation=updates, **given)
        for name in ("loss_type", "importance_sampling_level", "beta", "entropy_coef", "top_entropy_quantile", "off_policy_mask_threshold",
                     "max_completion_length"):
            setattr(self, name, given[name])
        self.epsilon_low = given["epsilon"]
        self.epsilon_high = given["epsilon"] if given["epsilon_high"] is None else given["epsilon_high"]
        self.use_vllm = self.vllm_importance_sampling_correction = given["mismatch"]
        self.use_adaptive_entropy = self.aux_loss_enabled = False
        self._entropy_bonus_enabled = self.entropy_coef != 0
        self.current_gradient_accumulation_steps = 1
        self.model = types.SimpleNamespace(training=True)
        self._metrics = {"train": collections.defaultdict(list)}
        alone = lambda x, *_, **__: x
        self.accelerator = types.SimpleNamespace(num_processes=1, sync_gradients=True, gather=alone, reduce=alone, pad_across_processes=alone,
                                                 gather_for_metrics=alone)

    def _get_per_token_logps_and_entropies(self, *_, **__):
        return *self.given, None


def padded(columns):
    return torch.nn.utils.rnn.pad_sequence(columns, batch_first=True)


def trl_weights(s, old, sampled, mask):
    """What TRL multiplies the loss of a token by when another program sampled (vllm_importance_sampling_mode)."""
    d = (old - sampled) * mask
    rho = torch.exp(d.sum(-1, keepdim=True) if s["mismatch"].startswith("sequence") else d)
    low, high = s["mismatch_min"], s["mismatch_max"]
    return rho.clamp(low, high) if s["mismatch"].endswith("truncate") else rho * ((rho >= low) & (rho <= high))


# TRL's loss_type, and our row with the settings that make it that.
TRL_LOSSES = {
    "grpo": ("grpo", {}),
    "dapo": ("grpo", {"loss_type": "dapo"}),
    "bnpo": ("bnpo", {}),
    "dr_grpo": ("dr_grpo", {}),
    "luspo": ("luspo", {}),
    "vespo": ("vespo", {}),
    "cispo": ("cispo", {"epsilon": 1}),
    "sapo": ("sapo", {}),
}


def random_settings(r):
    """Of TRL's GRPOConfig, by its names; what is not drawn is left out, and so is what the loss would not read."""
    s = {"loss_type": r.choice(list(TRL_LOSSES)), "importance_sampling_level": r.choice(("token", "token", "sequence"))}
    if s["loss_type"] == "vespo":
        s |= {name: r.uniform(0.5, 4) for name in ("vespo_k_pos", "vespo_lambda_pos", "vespo_k_neg", "vespo_lambda_neg")}
        s["importance_sampling_level"] = "token"  # TRL's name for it: its ratio is that of the whole completion
    elif s["loss_type"] == "cispo":
        s["epsilon_high"] = r.uniform(1, 3)
    elif s["loss_type"] == "sapo":
        s |= {"sapo_temperature_pos": r.uniform(0.5, 2), "sapo_temperature_neg": r.uniform(0.5, 2)}
    else:
        s["epsilon"] = r.uniform(0.05, 0.4)
        if r.random() < 0.5:
            s["epsilon_high"] = r.uniform(0.05, 0.4)
        if r.random() < 0.3:
            s["delta"] = r.uniform(1.41, 2)
    if r.random() < 0.5:
        s |= {"beta": r.uniform(0.01, 0.5), "use_bias_correction_kl": s["loss_type"] != "vespo" and r.random() < 0.5}
    if r.random() < 0.5:
        s["entropy_coef"] = r.uniform(-0.1, 0.1)
    if r.random() < 0.4:
        s["top_entropy_quantile"] = r.uniform(0.1, 0.9)
    if r.random() < 0.3:
        s["off_policy_mask_threshold"] = r.uniform(0, 0.3)
    return s


def ours_of(s, mismatch):
    """The same by the names of hone: those that differ, and what TRL says through loss_type."""
    row, extra = TRL_LOSSES[s["loss_type"]]
    names = {"top_entropy_quantile": "top_entropy", "off_policy_mask_threshold": "off_policy_mask", "sapo_temperature_pos": "tau_positive",
             "sapo_temperature_neg": "tau_negative"}
    out = {names.get(key, key): value for key, value in s.items() if key != "loss_type"}
    if s["loss_type"] == "vespo":
        out["importance_sampling_level"] = "sequence_sum"
    if "epsilon" in out:
        out.setdefault("epsilon_high", out["epsilon"])  # as src/rl/recipe.c does for a config
    return row, out | extra | mismatch | {"max_completion_length": 20}


def rounded(x):
    return torch.tensor(x, dtype=torch.float32).tolist()


def batch_for_trl(r, stale):
    """Random rows, all numbers exact in float32; with stale ones the sampler's log-probabilities differ from the old ones."""
    rows = random_rows(r.randrange(1 << 30))
    for row in rows:
        if stale:
            row["logp_rollout"] = [x + r.gauss(0, 0.3) for x in row["logp_old"]]
        for key in ("logp_new", "logp_old", "logp_ref", "entropy", "logp_rollout"):
            if key in row:
                row[key] = rounded(row[key])
    return rows


class Objective(hone.TestCase):
    BATCHES = 600

    def trl(self, rows, settings, mismatch, advantage, batch_tokens, updates):
        """TRL's loss of the rows, and its derivatives by log-probabilities and entropies."""
        lp, entropy = padded(column(rows, "logp_new")), padded(column(rows, "entropy"))
        lp.requires_grad_(), entropy.requires_grad_()
        mask = padded(column(rows, "trained"))
        inputs = {"prompt_ids": torch.ones(len(rows), 1), "prompt_mask": torch.ones(len(rows), 1),
                  "completion_ids": torch.ones_like(mask), "completion_mask": padded([torch.ones(len(row["trained"])) for row in rows]),
                  "tool_mask": mask, "advantages": torch.tensor(advantage, dtype=torch.float64),
                  "old_per_token_logps": padded(column(rows, "logp_old")), "ref_per_token_logps": padded(column(rows, "logp_ref")),
                  "num_items_in_batch": torch.tensor(float(batch_tokens))}
        if mismatch:
            inputs["sampling_per_token_logps"] = padded(column(rows, "logp_rollout"))
            inputs["importance_sampling_ratio"] = trl_weights(mismatch, inputs["old_per_token_logps"], inputs["sampling_per_token_logps"], mask)
        loss = TRLLoss(lp, entropy, updates, mismatch=bool(mismatch), **settings)._compute_loss(None, inputs)
        loss.backward()
        flat = lambda x: [x[i, :len(row["trained"])] for i, row in enumerate(rows)]
        zero = torch.zeros_like(entropy)
        return loss.item(), flat(lp.grad), flat(zero if entropy.grad is None else entropy.grad)

    def test_trl_computes_the_same_loss_and_the_same_derivatives(self):
        r = random.Random(20)
        seen = collections.Counter()
        for i in range(self.BATCHES):
            settings = random_settings(r)
            stale = settings["loss_type"] != "vespo" and r.random() < 0.4
            mismatch = {"mismatch": r.choice(("token_truncate", "token_mask", "sequence_truncate", "sequence_mask")),
                        "mismatch_min": r.choice((0.0, 0.7)), "mismatch_max": r.uniform(1.1, 3)} if stale else {}
            rows, updates = batch_for_trl(r, stale), r.choice((1, 1, 2, 3))
            here = sum(map(sum, (row["trained"] for row in rows)))
            whole = here if updates == 1 else here * updates + r.randrange(-20, 20)
            row, ours = ours_of(settings, mismatch)
            ours |= {"batch_tokens": whole, "updates": updates}
            got = evaluate(row, ours, rows)
            at, advantage = 0, []
            for x in rows:  # ours, one number a row: what TRL's loss is given
                advantage.append(next(a for a, m in zip(got["advantage"][at:], x["trained"]) if m))
                at += len(x["trained"])
            loss, c, h = self.trl(rows, settings, mismatch, advantage, whole, updates)
            with self.subTest(i=i, settings=settings, mismatch=mismatch, updates=updates):
                self.close(got["c"], c, "c")
                self.assertAlmostEqual(got["loss"], loss, delta=1e-5 * max(1, abs(loss)))
                if settings.get("entropy_coef"):
                    self.close(got["h"], h, "h")
            seen.update([settings["loss_type"], settings["importance_sampling_level"], mismatch.get("mismatch"), updates, *settings])
        self.assertEqual(min(seen[loss] for loss in TRL_LOSSES) > 40, True, seen)

    def test_guided_rows_go_token_by_token_at_every_level(self):
        for level in ("token", "sequence"):
            for seed in range(10):
                rows = random_rows(seed)
                for i, row in enumerate(rows):
                    row["guided"] = int(i % 3 == 0 or level == "sequence")
                settings = {"squash_percentile": 0.3, "guided_clip": "squash", "squash": 0, "importance_sampling_level": level}
                batch, loss = guided(rows, settings)
                loss.backward()
                ours = evaluate("grpo", settings, rows)
                self.close(ours["c"], [lp.grad for lp in batch.lp], (level, seed))

    def test_credit_is_that_of_the_paper(self):
        for seed in range(10):
            rows = random_rows(seed)
            plain = Batch(rows)
            want = empg(rows, spread(standardised(rows, plain.reward), plain.mask), 1.3, 0.7, 0.2)
            ours = evaluate("grpo", {}, rows, {"k": 1.3, "k_bonus": 0.7, "zeta": 0.2})
            self.close(ours["advantage"], want, seed)

    def close(self, ours, theirs, what):
        theirs = torch.cat(theirs)
        error = (torch.tensor(ours, dtype=torch.float64) - theirs).abs().max() / theirs.abs().max().clamp(min=1e-9)
        self.assertLess(error.item(), 1e-5, what)

    def test_every_algorithm_gives_the_loss_and_the_derivative_of_its_formula(self):
        for formula, settings in ALGORITHMS.items():
            for seed in range(5):
                with self.subTest(formula.__name__, seed=seed):
                    rows = random_rows(seed)
                    batch = Batch(rows)
                    advantage, loss = formula(batch, settings)
                    loss.backward()
                    ours = evaluate(ROW_OF.get(formula.__name__, formula.__name__), settings, rows)
                    self.close(ours["advantage"], advantage, "advantage")
                    self.close(ours["c"], [lp.grad for lp in batch.lp], "c")
                    self.assertAlmostEqual(ours["loss"], loss.item(), delta=1e-5 * max(1, abs(loss.item())))

    def test_clips_are_at_work_in_these_batches(self):
        """Otherwise a wrong bound would pass: without the clip the derivative is another one."""
        rows = random_rows(0)
        batch = Batch(rows)
        _, loss = grpo(batch, {"beta": 0.04})
        loss.backward()
        wide = evaluate("grpo", {"beta": 0.04, "epsilon": 0.9, "epsilon_high": 50}, rows)
        error = (torch.tensor(wide["c"]) - torch.cat([lp.grad for lp in batch.lp])).abs().max()
        self.assertGreater(error.item(), 1e-3)
