"""hone sft against the same steps taken in torch: loss, clipping by global norm, AdamW, schedule, from data file to checkpoint."""

import json

import torch
import transformers

import hone

STEPS, RATE = 5, 0.01


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


class Training(hone.TestCase):
    def texts(self, folder):
        """(prompt ids, answer ids) of every row; the end token closes an answer."""
        rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
        model = folder / "run" / "checkpoint-0"
        eos = json.loads((model / "generation_config.json").read_text())["eos_token_id"]
        prompts = hone.rows("tokenize", model, rows=[{"text": row["prompt"]} for row in rows])
        answers = hone.rows("tokenize", model, "--no-special", rows=[{"text": row["answer"]} for row in rows])
        return [(p["ids"], a["ids"] + [eos]) for p, a in zip(prompts, answers)]

    def torch_steps(self, model, texts):
        """[(loss, gradient norm)] of STEPS steps over all the texts: mean over answer tokens, rate falling linearly from RATE to 0."""
        decayed = [p for p in model.parameters() if p.dim() > 1]
        gains = [p for p in model.parameters() if p.dim() == 1]
        groups = [{"params": decayed, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0}]
        optimizer = torch.optim.AdamW(groups, RATE, betas=(0.9, 0.95), eps=1e-8)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / STEPS)
        n, seen = sum(len(answer) for _, answer in texts), []
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = 0
            for prompt, answer in texts:
                ids = torch.tensor(prompt + answer)
                logp = torch.log_softmax(model(ids[None]).logits[0, :-1], -1)
                loss = loss - logp[torch.arange(len(ids) - 1), ids[1:]][len(prompt) - 1 :].sum() / n
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            schedule.step()
            seen.append((loss.item(), norm.item()))
        return seen

    def test_steps_of_sft_are_those_of_torch(self):
        """The first run has no step and shows where both begin: the same seed gives the same weights."""
        settings = ("sft.batch_size=60", "optim.lr_scheduler_type=linear", "optim.max_grad_norm=0.5", "optim.weight_decay=0.1",
                    "optim.adam_beta2=0.95", f"optim.learning_rate={RATE}")
        model = load(hone.trained(self.folder / "start", *settings, "run.max_steps=0"))
        ours = load(hone.trained(self.folder / "ours", *settings, f"run.max_steps={STEPS}"))
        seen = self.torch_steps(model, self.texts(self.folder / "start"))
        metrics = [json.loads(line) for line in (self.folder / "ours" / "run" / "metrics.jsonl").read_text().splitlines()]
        self.assertEqual(len(metrics), STEPS)
        for row, (loss, norm) in zip(metrics, seen):
            self.assertAlmostEqual(row["loss"], loss, delta=1e-4)
            self.assertAlmostEqual(row["grad_norm"], norm, delta=1e-3 * norm)
        self.assertLess(seen[-1][0], seen[0][0] - 0.1)
        for (name, theirs), mine in zip(model.named_parameters(), ours.parameters()):
            self.assertLess((theirs - mine).abs().max().item(), 0.005 * RATE, name)
