"""LoRA adapters: what PEFT writes we read, what we write PEFT reads, and steps of training are torch's."""

import json

import peft
import torch
import transformers

import hone

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "all projections": dict(r=5, lora_alpha=10, target_modules=ALL),
    "rank-stabilised, of the attention": dict(r=3, lora_alpha=7, target_modules=["q_proj", "v_proj"], use_rslora=True),
    "rank 1, of the feed-forward part": dict(r=1, lora_alpha=2, target_modules=["up_proj", "down_proj"], lora_dropout=0.1),
}
LAYOUTS = ["three query heads to a key head", "qwen2, seven query heads to a key head, tied", "qwen3, one key head", "mistral, a window of 20",
           "granite", "olmo2", "smollm3, tied", "seed_oss", "phi3", "gemma2", "gemma3", "gpt2, tied"]
# What kinds with fewer, wider projections call them.
FUSED = {"phi3": {"q_proj": "qkv_proj", "k_proj": "qkv_proj", "v_proj": "qkv_proj", "gate_proj": "gate_up_proj", "up_proj": "gate_up_proj"},
         "gpt2, tied": {"q_proj": "c_attn", "k_proj": "c_attn", "v_proj": "c_attn", "o_proj": "c_proj", "gate_proj": "c_fc", "up_proj": "c_fc",
                        "down_proj": "c_proj"}}
STEPS, RATE = 5, 0.01


def targets(layout, names):
    return sorted({FUSED.get(layout, {}).get(name, name) for name in names})


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def adapted(folder, adapter):
    """The base and its adapter as PEFT reads them; a warning about keys is an error."""
    return peft.PeftModel.from_pretrained(load(folder), adapter)


class Adapters(hone.TestCase):
    def same(self, model, ours, *words):
        ids = hone.random_ids(5, 120, model.config.vocab_size)
        answer = hone.rows("logprobs", ours, *words, rows=[{"ids": ids}])[0]
        self.assertLess((torch.tensor(answer["logprobs"]) - hone.logprobs(model.eval(), ids)).abs().max().item(), 1e-4)

    def test_what_peft_writes_we_read(self):
        for layout in LAYOUTS:
            for name, settings in ADAPTERS.items():
                with self.subTest(layout=layout, adapter=name):
                    base, adapter = self.folder / layout / name / "base", self.folder / layout / name / "adapter"
                    hone.save(hone.random_model(3, **hone.LAYOUTS[layout]), base)
                    settings = settings | dict(target_modules=targets(layout, settings["target_modules"]))
                    config = peft.LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **settings)
                    model = peft.get_peft_model(load(base), config)
                    model.save_pretrained(adapter)
                    self.same(model, adapter)
                    self.same(model, adapter, "--base", base)
                    hone.run("merge", adapter, self.folder / layout / name / "merged")
                    self.same(load(self.folder / layout / name / "merged"), adapter)

    def trained(self, layout, *overrides):
        """A base that transformers wrote, and a run of its adapter."""
        base = hone.save(hone.random_model(4, **hone.LAYOUTS[layout]), self.folder / layout / "base")
        return base, hone.trained(self.folder / layout, f"model.path={base}", *overrides)

    def test_what_we_write_peft_reads(self):
        for layout in LAYOUTS:
            with self.subTest(layout):
                base, adapter = self.trained(layout, "model.lora_r=4", "model.lora_alpha=8", "run.max_steps=3")
                model = adapted(base, adapter)
                config = model.peft_config["default"]
                self.assertEqual((config.r, config.lora_alpha, set(config.target_modules)), (4, 8, set(targets(layout, ALL))))
                ours = peft.utils.load_peft_weights(str(adapter))
                theirs = peft.get_peft_model_state_dict(model)
                self.assertEqual(set(ours), set(theirs))
                for name, tensor in ours.items():
                    self.assertTrue(torch.equal(tensor, theirs[name]), name)
                self.assertTrue(any(tensor.abs().max() > 0 for name, tensor in ours.items() if "lora_B" in name))
                self.same(model, adapter)
                hone.run("merge", adapter, self.folder / layout / "merged")
                merged = model.merge_and_unload()
                for (name, a), b in zip(merged.named_parameters(), load(self.folder / layout / "merged").parameters(), strict=True):
                    self.assertLess((a - b).abs().max().item(), 1e-6, name)

    def test_an_adapter_of_peft_goes_on_here(self):
        base = hone.save(hone.random_model(6, **hone.LAYOUTS[LAYOUTS[1]]), self.folder / "base")
        model = peft.get_peft_model(load(base), peft.LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **ADAPTERS["all projections"]))
        model.save_pretrained(self.folder / "adapter")
        first = hone.trained(self.folder / "on", f"model.path={base}", f"model.adapter={self.folder / 'adapter'}", "run.max_steps=0")
        self.same(model, first)

    def texts(self, folder, base):
        rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
        prompts = hone.rows("tokenize", base, rows=[{"text": row["prompt"]} for row in rows])
        answers = hone.rows("tokenize", base, "--no-special", rows=[{"text": row["answer"]} for row in rows])
        return [(p["ids"], a["ids"] + [2]) for p, a in zip(prompts, answers)]

    def test_steps_of_sft_are_those_of_torch(self):
        """Loss, gradient norm, and A and B after STEPS updates of AdamW with decay; the base has moved nowhere."""
        settings = ("sft.batch_size=60", "optim.lr_scheduler_type=constant", "optim.max_grad_norm=0.5", "optim.weight_decay=0.1",
                    "optim.adam_beta2=0.95", f"optim.learning_rate={RATE}", "model.lora_r=4", "model.lora_alpha=8")
        layout = LAYOUTS[1]
        base, start = self.trained(layout, *settings, "run.max_steps=0")
        model = peft.PeftModel.from_pretrained(load(base), start, is_trainable=True)
        learns = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(learns, RATE, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
        texts = self.texts(self.folder / layout, base)
        n, seen = sum(len(answer) for _, answer in texts), []
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = 0
            for prompt, answer in texts:
                ids = torch.tensor(prompt + answer)
                logp = torch.log_softmax(model(ids[None]).logits[0, :-1], -1)
                loss = loss - logp[torch.arange(len(ids) - 1), ids[1:]][len(prompt) - 1 :].sum() / n
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(learns, 0.5)
            optimizer.step()
            seen.append((loss.item(), norm.item()))
        (self.folder / layout / "run").rename(self.folder / layout / "start")
        _, end = self.trained(layout, *settings, f"run.max_steps={STEPS}")
        metrics = [json.loads(line) for line in (self.folder / layout / "run" / "metrics.jsonl").read_text().splitlines()]
        for row, (loss, norm) in zip(metrics, seen, strict=True):
            self.assertAlmostEqual(row["loss"], loss, delta=1e-4)
            self.assertAlmostEqual(row["grad_norm"], norm, delta=1e-3 * norm)
        begin, ours = (peft.utils.load_peft_weights(str(self.folder / layout / name)) for name in (f"start/{start.name}", f"run/{end.name}"))
        for name, tensor in peft.get_peft_model_state_dict(model).items():
            # As a share of the way that was gone: AdamW moves an entry by the whole rate even where its gradient is hardly more than rounding.
            self.assertLess((tensor - ours[name]).norm().item(), 2e-3 * (tensor - begin[name]).norm().item(), name)
