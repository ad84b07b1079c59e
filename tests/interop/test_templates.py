"""Chat templates as transformers renders them, on random conversations."""

import datetime
import json
import random
import unittest.mock

import transformers
import transformers.utils.chat_template_utils

import hone

TEMPLATES = sorted((hone.DATA / "chat-templates" / "templates").glob("*.jinja"))

WORDS = ["<think>", "</think>", "<tool_response>", "</tool_response>", "{{ x }}", "{% if %}", "'", '"', "\\n", "\n", "\r\n", "\t", " ", "\u3000", "\xa0", "é",
         "😀", "<|im_end|>", "2+2=4", "The answer is 7.", "𝔘", "&<>"]
TOOL = {"type": "function", "function": {"name": "add", "description": "Add <é>.", "parameters": {"type": "object", "properties": {
    "a": {"type": "number"}, "b": {"type": "number", "default": 1.5}}, "required": ["a"]}}}


def text(r):
    return "".join(r.choice(WORDS) for _ in range(r.randint(0, 8)))


def conversation(r):
    messages = [{"role": "system", "content": text(r)}] if r.random() < 0.5 else []
    for _ in range(r.randint(1, 4)):
        messages.append({"role": "user", "content": text(r)})
        answer = {"role": "assistant", "content": text(r)}
        if r.random() < 0.3:
            arguments = {"a": r.choice([1, -2.5, 1e20, None, True, "é\"", [1, {}], {"x": []}])}
            answer["tool_calls"] = [{"type": "function", "function": {"name": "add", "arguments": arguments}}]
        messages.append(answer)
        if "tool_calls" in answer:
            messages.append({"role": "tool", "content": text(r)})
    return messages if r.random() < 0.3 else messages[:-1] if messages[-1]["role"] == "assistant" else messages


class Day(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2031, 5, 6)


def library_of(folder, template):
    """A tokenizer of transformers with this template, as a folder that hone reads, too."""
    folder.mkdir()
    hone.byte_tokenizer().save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return transformers.AutoTokenizer.from_pretrained(folder)


class Templates(hone.TestCase):
    def test_random_conversations_give_the_text_of_transformers(self):
        for path in TEMPLATES:
            with self.subTest(path.stem):
                folder = self.folder / path.stem
                library = library_of(folder, path.read_text(encoding="utf-8"))
                r, rows, theirs = random.Random(path.stem), [], []
                while len(rows) < 400:
                    row = {"messages": conversation(r), "add_generation_prompt": r.random() < 0.5, "date_string": "1 Jan 2025"}
                    if r.random() < 0.3:
                        row["tools"] = [TOOL] * r.randint(1, 2)
                    if r.random() < 0.3:
                        row["enable_thinking"] = r.random() < 0.5
                    variables = {key: value for key, value in row.items() if key != "messages"}
                    theirs.append(library.apply_chat_template(row["messages"], tokenize=False, **variables))
                    rows.append(row)
                mine = [answer["text"] for answer in hone.rows("render", folder, rows=rows)]
                for row, ours, want in zip(rows, mine, theirs):
                    self.assertEqual(ours, want, json.dumps(row))

    def test_a_prompt_that_the_assistant_began_goes_on_as_in_transformers(self):
        for path in TEMPLATES:
            with self.subTest(path.stem), unittest.mock.patch.object(transformers.utils.chat_template_utils, "datetime", Day):
                folder = self.folder / path.stem
                library = library_of(folder, path.read_text(encoding="utf-8"))
                r, rows, theirs = random.Random(path.stem), [], []
                while len(rows) < 200:
                    messages = conversation(r)
                    if messages[-1]["role"] != "assistant":
                        messages.append({"role": "assistant", "content": text(r) + r.choice(["", " ", "\n", "\t \n", "so "])})
                    row = {"messages": messages, "continue_final_message": True, "chat_template_kwargs": {"enable_thinking": r.random() < 0.5}}
                    if r.random() < 0.5:
                        row["tools"] = [TOOL]
                    try:
                        theirs.append(library.apply_chat_template(messages, tokenize=False, continue_final_message=True, tools=row.get("tools"),
                                                                  **row["chat_template_kwargs"]))
                    except ValueError:
                        continue  # the template cuts the message about: it cannot be gone on from
                    rows.append(row)
                mine = [answer.get("text", answer) for answer in hone.rows("render", folder, "--date", "2031-05-06", rows=rows)]
                for row, ours, want in zip(rows, mine, theirs):
                    self.assertEqual(ours, want, json.dumps(row))
