"""The forward and the backward pass, and greedy answers, of every kind of model against transformers in float32."""

import json

import safetensors.torch
import torch

import hone


def relative_error(ours, theirs):
    """max |a - b| / max |b| of one tensor."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def torch_gradient(model, texts):
    """The loss of tool_gradient, each text on its own: (loss, {name: gradient})."""
    n = sum(len(answer) for _, answer in texts)
    model.zero_grad()
    loss = torch.zeros(())
    for prompt, answer in texts:
        ids = torch.tensor(prompt + answer)
        logp = torch.log_softmax(model(ids[None]).logits[0, :-1], -1)
        loss = loss - logp[torch.arange(len(ids) - 1), ids[1:]][len(prompt) - 1 :].sum() / n
    loss.backward()
    turned = model.config.model_type == "gpt2"  # whose matrices lie transposed in files, and in no product
    return loss.item(), {name: p.grad.T if turned and ".c_" in name else p.grad for name, p in model.named_parameters()}


class Logprobs(hone.TestCase):
    def test_every_layout_of_heads_gives_the_same_logprobs(self):
        for i, (what, settings) in enumerate(hone.LAYOUTS.items()):
            with self.subTest(what):
                model = hone.random_model(i, **settings)
                folder = hone.save(model, self.folder / str(i))
                texts = [hone.random_ids(10 * i + j, n) for j, n in enumerate((2, 3, 63, 64, 65, 66, 200))]
                for ids, answer in zip(texts, hone.rows("logprobs", folder, rows=[{"ids": ids} for ids in texts])):
                    error = (torch.tensor(answer["logprobs"]) - hone.logprobs(model, ids)).abs().max().item()
                    self.assertLess(error, 1e-4, f"{len(ids)} ids")

    def test_all_positions_of_a_model_can_be_used(self):
        model = hone.exact_angles(hone.random_model(7, **hone.LAYOUTS["three query heads to a key head"]))
        ids = hone.random_ids(7, 1024)
        answer = hone.rows("logprobs", hone.save(model, self.folder / "m"), rows=[{"ids": ids}])[0]
        self.assertLess((torch.tensor(answer["logprobs"]) - hone.logprobs(model, ids)).abs().max().item(), 1e-4)

    def test_the_older_layout_of_config_json_means_the_same(self):
        """rope_theta and torch_dtype at the top level, no head_dim: as transformers wrote it before version 5."""
        model = hone.random_model(8, hidden_size=48, num_attention_heads=4, num_key_value_heads=2, intermediate_size=96, rope_theta=777.0)
        folder = hone.save(model, self.folder / "m")
        config = json.loads((folder / "config.json").read_text())
        config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
        config["torch_dtype"] = config.pop("dtype")
        del config["head_dim"]
        (folder / "config.json").write_text(json.dumps(config | {"rope_scaling": None}))
        ids = hone.random_ids(8, 150)
        answer = hone.rows("logprobs", folder, rows=[{"ids": ids}])[0]
        self.assertLess((torch.tensor(answer["logprobs"]) - hone.logprobs(model, ids)).abs().max().item(), 1e-4)


class Gradients(hone.TestCase):
    def compare(self, model, texts):
        """Loss and every tensor's gradient; the number of units that were summed."""
        folder = hone.save(model, self.folder / str(len(list(self.folder.iterdir()))))
        printed = hone.gradient(folder, texts, folder / "gradient.safetensors")
        ours = safetensors.torch.load_file(folder / "gradient.safetensors")
        loss, theirs = torch_gradient(model, texts)
        self.assertAlmostEqual(printed["loss"], loss, delta=1e-4)
        self.assertEqual(printed["targets"], sum(len(answer) for _, answer in texts))
        self.assertEqual(sorted(ours), sorted(theirs))
        for name in theirs:
            self.assertEqual(ours[name].shape, theirs[name].shape, name)
            self.assertLess(relative_error(ours[name], theirs[name]), 1e-4, name)
        return printed["units"]

    def test_every_layout_of_heads_gives_the_same_gradient(self):
        for i, (what, settings) in enumerate(hone.LAYOUTS.items()):
            with self.subTest(what):
                ids = hone.random_ids(i, 150)
                self.compare(hone.random_model(20 + i, **settings), [(ids[:1], ids[1:])])

    def test_answers_that_share_their_prompt_give_the_gradient_of_separate_texts(self):
        """The prompt stands once in our batch and five times in theirs; it ends inside a page, at one and just behind one."""
        for n_prompt in (1, 40, 64, 65, 130):
            with self.subTest(n_prompt=n_prompt):
                prompt = hone.random_ids(n_prompt, n_prompt)
                answers = [hone.random_ids(100 + n, n) for n in (1, 2, 30, 90, 1)]
                model = hone.random_model(30, **hone.LAYOUTS["three query heads to a key head"])
                self.compare(model, [(prompt, answer) for answer in answers])

    def test_many_texts_in_several_units_give_the_gradient_of_their_sum(self):
        lengths = ((3, 100), (200, 1), (64, 64), (5, 700), (17, 250), (1, 1), (90, 333))
        texts = [(hone.random_ids(i, p), hone.random_ids(50 + i, a)) for i, (p, a) in enumerate(lengths)]
        texts += [(texts[2][0], hone.random_ids(70 + i, 40)) for i in range(6)]
        for what in ("one key head, tied", "heads wider than the stream", "qwen2, a key head for each query head", "qwen3, one key head",
                     "mistral, a window of 65, heads of their own width", "gemma2", "gpt2, tied"):
            with self.subTest(what):
                self.assertGreater(self.compare(hone.random_model(40, **hone.LAYOUTS[what]), texts), 2)

    def test_a_wrong_gradient_is_seen(self):
        """The comparison itself: one number of a tensor off by a thousandth of the largest is too much."""
        theirs = torch.randn(50, 60)
        ours = theirs.clone()
        ours[3, 4] += 1e-3 * theirs.abs().max()
        self.assertGreater(relative_error(ours, theirs), 1e-4)


class Generation(hone.TestCase):
    def test_greedy_answers_are_those_of_transformers(self):
        for i, (what, settings) in enumerate(hone.LAYOUTS.items()):
            with self.subTest(what):
                model = hone.random_model(60 + i, **settings)
                folder = hone.save(model, self.folder / str(i))
                for n_prompt in (1, 5, 70):
                    prompt = hone.random_ids(n_prompt, n_prompt)
                    with torch.no_grad():
                        theirs = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, n_prompt, dtype=torch.long),
                                                do_sample=False, max_new_tokens=64, pad_token_id=0)[0, n_prompt:].tolist()
                    self.assertEqual(self.generate(folder, prompt, 64), theirs, f"prompt of {n_prompt}")

    def test_an_answer_ends_with_any_of_several_end_tokens(self):
        for i, kind in enumerate(hone.KINDS):
            with self.subTest(kind):
                of_heads = {} if kind == "gpt2" else dict(num_key_value_heads=2, head_dim=8, intermediate_size=50)
                seed = 97 if kind == "gpt2" else 80 + i  # 91 says the same token again and again
                model = hone.random_model(seed, kind=kind, hidden_size=32, num_attention_heads=4, pad_token_id=0, **of_heads)
                prompt, free = hone.random_ids(i, 9), None
                for ends in (None, 1, 0):
                    if free:  # two tokens of the answer as the end tokens, in both orders
                        at = [free.index(id) for id in free]
                        first, second = sorted(set(at))[2:4]
                        model.generation_config.eos_token_id = [free[first], free[second]][:: 1 if ends else -1]
                    folder = hone.save(model, self.folder / f"{kind}-{ends}")
                    with torch.no_grad():
                        theirs = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, 9, dtype=torch.long), do_sample=False,
                                                max_new_tokens=40, pad_token_id=0)[0, 9:].tolist()
                    self.assertEqual(self.generate(folder, prompt, 40), theirs)
                    free = free or theirs
                    self.assertLess(len(theirs), 40 if ends is not None else 41)

    def generate(self, folder, prompt, n):
        out = hone.run("generate", folder, "--prompt-ids", ",".join(map(str, prompt)), "--max-tokens", n, "--temperature", "0", "--ids")
        return [int(id) for id in out.split()]
