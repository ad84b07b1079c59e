"""Model folders and safetensors files: what transformers writes we read, what we write it reads."""

import json

import safetensors
import safetensors.torch
import torch
import transformers

import hone

INITS = {
    "tied": ("width=32", "n_layers=2", "n_heads=4", "n_kv_heads=2", "head_width=8", "ff_width=48", "tied=true"),
    "untied, heads wider than the stream": ("width=24", "n_layers=3", "n_heads=4", "n_kv_heads=1", "head_width=10", "ff_width=33", "tied=false"),
}


class Reading(hone.TestCase):
    def check(self, folder):
        """Against the folder as transformers reads it, the numbers widened to float32."""
        model, ids = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), hone.random_ids(5, 120)
        answer = hone.rows("logprobs", folder, rows=[{"ids": ids}])[0]
        self.assertLess((torch.tensor(answer["logprobs"]) - hone.logprobs(model, ids)).abs().max().item(), 1e-4)

    def test_half_precision_and_shards_are_read_as_the_numbers_that_they_store(self):
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            for shard in ("1GB", "60KB"):
                with self.subTest(dtype=dtype, shard=shard):
                    folder = self.folder / f"{dtype}-{shard}"
                    model = hone.random_model(3, **hone.LAYOUTS["three query heads to a key head"]).to(dtype)
                    hone.save(model, folder, max_shard_size=shard)
                    self.assertEqual((folder / "model.safetensors.index.json").exists(), shard == "60KB")
                    self.check(folder)

    def test_a_tied_model_in_shards(self):
        model = hone.random_model(4, **hone.LAYOUTS["one key head, tied"])
        self.check(hone.save(model, self.folder / "m", max_shard_size="10KB"))

    def test_a_file_of_the_safetensors_library_with_its_metadata_is_read(self):
        model = hone.random_model(5, **hone.LAYOUTS["a stream of odd width, one layer"])
        folder = hone.save(model, self.folder / "m")
        tensors = {name: weight.contiguous() for name, weight in model.state_dict().items()}
        safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt", "note": "ü"})
        self.check(folder)


class Writing(hone.TestCase):
    def load(self, folder):
        """With no key missing, unexpected or of another shape."""
        model, info = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
        self.assertIn(type(model), [make_model for _, make_model in hone.KINDS.values()])
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
            self.assertFalse(info.get(kind), kind)
        return model.eval()

    def check(self, folder, n_vocab):
        model, ids = self.load(folder), hone.random_ids(6, 60, n_vocab)
        answer = hone.rows("logprobs", folder, rows=[{"ids": ids}])[0]
        self.assertLess((torch.tensor(answer["logprobs"]) - hone.logprobs(model, ids)).abs().max().item(), 1e-4)
        return model

    def test_a_model_made_by_hone_loads_in_transformers_and_gives_the_same_logprobs(self):
        for what, init in INITS.items():
            with self.subTest(what):
                folder = hone.trained(self.folder / what, *("model.init." + setting for setting in init))
                config = json.loads((folder / "config.json").read_text())
                model = self.check(folder, config["vocab_size"])
                self.assertEqual(model.config.tie_word_embeddings, what == "tied")
                self.assertIsNotNone(model.generation_config.eos_token_id)

    def test_a_model_of_transformers_comes_back_the_same_after_a_step_of_no_size(self):
        kinds = [what for what, settings in hone.LAYOUTS.items() if "kind" in settings]
        for what in ("one key head, tied", "heads wider than the stream", "llama3 scaling, tied", "linear scaling", *kinds):
            with self.subTest(what):
                model = hone.random_model(9, **hone.LAYOUTS[what])
                source = hone.save(model, self.folder / what / "source")
                folder = hone.trained(self.folder / what, f"model.path={source}", "optim.learning_rate=0")
                back = self.check(folder, model.config.vocab_size).state_dict()
                for name, weight in model.state_dict().items():
                    self.assertTrue(torch.equal(weight, back[name]), name)
                for key in ("rms_norm_eps", "max_position_embeddings", "rope_parameters", "head_dim", "num_key_value_heads", "eos_token_id",
                            "sliding_window", "layer_types", "no_rope_layers", "embedding_multiplier", "attention_multiplier",
                            "residual_multiplier", "logits_scaling", "query_pre_attn_scalar", "attn_logit_softcapping",
                            "final_logit_softcapping", "hidden_activation", "n_inner", "layer_norm_epsilon"):
                    if getattr(model.config, key, None) is not None:  # not every kind has every key
                        self.assertEqual(getattr(self.load(folder).config, key), getattr(model.config, key), key)

    def test_a_random_model_of_a_published_shape_loads_in_transformers(self):
        """Of one layer, since the vocabularies alone are large."""
        for shape in ("SmolLM2-135M", "Qwen3-0.6B"):
            with self.subTest(shape):
                folder = self.folder / shape
                hone.run("init", "--like", shape, folder, "--layers", 1, "--seed", 5)
                hone.byte_tokenizer().save(str(folder / "tokenizer.json"))
                model = self.check(folder, 1000)
                self.assertEqual(model.config.num_hidden_layers, 1)
                for path in folder.iterdir():
                    path.unlink()

    def test_the_safetensors_library_reads_every_file_of_a_checkpoint(self):
        folder = hone.trained(self.folder)
        with safetensors.safe_open(folder / "model.safetensors", "pt") as f:
            shapes = {name: list(f.get_tensor(name).shape) for name in f.keys()}
            self.assertTrue(all(f.get_tensor(name).dtype == torch.float32 for name in shapes))
            self.assertEqual(f.metadata()["format"], "pt")
        moments = safetensors.torch.load_file(folder / "optimizer.safetensors")
        self.assertGreater(len(moments), 0)
        self.assertTrue(all(torch.isfinite(m).all() for m in moments.values()))
        self.assertTrue(any(m.abs().max() > 0 for m in moments.values()))
        self.assertIn("model.embed_tokens.weight", shapes)

    def test_training_goes_on_from_our_checkpoint_in_torch(self):
        """The model is a live one: its loss falls under an optimiser of torch."""
        model = self.load(hone.trained(self.folder)).train()
        ids = torch.tensor([hone.random_ids(1, 32, model.config.vocab_size)])
        optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
        losses = []
        for _ in range(5):
            losses.append(model(ids, labels=ids).loss)
            optimizer.zero_grad()
            losses[-1].backward()
            optimizer.step()
        self.assertLess(losses[-1].item(), losses[0].item())
