"""The events files of a run, read by TensorBoard itself, against its metrics.jsonl."""

import json

import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import hone


def scalars(folder):
    """{tag: {step: value}} as TensorBoard would draw them: all of them, none sampled away."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: {e.step: e.value for e in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def metrics(run):
    """{tag: {step: value}} of the numbers in metrics.jsonl."""
    out = {}
    for row in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        for tag, value in row.items():
            if tag != "step" and isinstance(value, (int, float)) and not isinstance(value, bool):
                out.setdefault(tag, {})[row["step"]] = value
    return out


class TensorBoard(hone.TestCase):
    maxDiff = None

    def compare(self, run):
        theirs, ours = scalars(run / "tensorboard"), metrics(run)
        self.assertEqual(sorted(theirs), sorted(ours))
        for tag in ours:
            self.assertEqual(sorted(theirs[tag]), sorted(ours[tag]), tag)
            for step, value in ours[tag].items():
                self.assertEqual(numpy.float32(theirs[tag][step]), numpy.float32(value), f"{tag} at step {step}")
        return ours

    def test_every_scalar_of_a_supervised_run(self):
        hone.trained(self.folder, "run.max_steps=4")
        ours = self.compare(self.folder / "run")
        self.assertEqual(len(ours["learning_rate"]), 4)

    def test_every_scalar_of_a_reinforcement_run(self):
        hone.trained(self.folder, "run.max_steps=3", "task.reward=exact", "rollout.num_generations=4", "rollout.prompts_per_step=2",
                     "rollout.max_completion_length=6", command="train")
        ours = self.compare(self.folder / "run")
        self.assertEqual(len(ours["reward"]), 3)
        self.assertEqual(set(ours["sampling/sampling_logp_difference/max"].values()), {0})

    def test_a_tag_carries_the_words_of_its_row(self):
        hone.trained(self.folder, "run.max_steps=2")
        events = EventAccumulator(str(self.folder / "run" / "tensorboard"))
        events.Reload()
        self.assertIn("What the optimizer minimised", events.SummaryMetadata("loss").summary_description)
