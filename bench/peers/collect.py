"""Collecting activations: transformers in bfloat16 against facet collect, the same lines of text.

Both cut each line to 128 tokens with <bos>. transformers runs batches of 32, with one hook, without logits
(the hook is in the last layer, so nothing is computed in vain), keeping the rows of real tokens in memory.
Facet's time is that of the whole command, loading and writing the store included; the peer's is without loading.

SPDX-License-Identifier: Apache-2.0
"""

import json
import shutil
import subprocess
import time

import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

MAX_LENGTH = 128
BATCH = 32


def corpus_lines(bench, n):
    """The first n lines of the example corpus that are neither blank nor headings."""
    zst = bench.example / "corpus.wikitext.raw.zst"
    text = subprocess.run(["zstd", "-dcq", zst], check=True, capture_output=True).stdout.decode("utf-8")
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith(" =")]
    return lines[:n]


class Facet:
    def __init__(self, bench, model, lines, hook):
        self.bench, self.out = bench, bench.work / "acts"
        text = bench.work / "lines.txt"
        text.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.command = [str(word) for word in (
            bench.facet, "collect", "--model", model, "--text", text, "--text-format", "plain", "--hook", hook,
            "--max-length", MAX_LENGTH, "--precision", "bf16", "--threads", bench.threads, "--json", "--quiet",
            "--out", self.out)]

    def tokens_per_s(self):
        shutil.rmtree(self.out, ignore_errors=True)
        begin = time.perf_counter()
        subprocess.run(self.command, check=True, capture_output=True)
        seconds = time.perf_counter() - begin
        self.n_rows = json.loads((self.out / "meta.json").read_text(encoding="utf-8"))["rows"]
        return self.n_rows / seconds


class Transformers:
    def __init__(self, model, lines, layer, is_sorted=False, is_compiled=False):
        self.lines, self.is_sorted = lines, is_sorted
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(model / "tokenizer.json"), pad_token="<pad>",
                                                 padding_side="right")
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16).model.eval()
        self.kept = {}
        self.model.layers[layer].mlp.down_proj.register_forward_hook(
            lambda _module, _inputs, output: self.kept.update(rows=output))
        self.forward = torch.compile(self.model) if is_compiled else self.model
        self.batch(lines[:BATCH])  # compiles and warms up

    def batch(self, lines):
        """Rows of the real tokens, without <bos>."""
        padding = "longest" if self.is_sorted else "max_length"
        input_ = self.tokenizer(lines, truncation=True, max_length=MAX_LENGTH, padding=padding, return_tensors="pt")
        with torch.inference_mode():
            self.forward(input_ids=input_["input_ids"], attention_mask=input_["attention_mask"], use_cache=False)
        is_real = input_["attention_mask"].bool()
        is_real[:, 0] = False
        return self.kept["rows"][is_real]

    def tokens_per_s(self):
        begin = time.perf_counter()
        lines = self.lines
        if self.is_sorted:  # by bytes, which is close to the order by tokens and costs nothing
            lines = sorted(lines, key=len)
        rows = [self.batch(lines[i : i + BATCH]) for i in range(0, len(lines), BATCH)]
        self.n_rows = sum(len(part) for part in rows)
        return self.n_rows / (time.perf_counter() - begin)


def compare(bench, what, model, layer, n_lines):
    lines = corpus_lines(bench, n_lines)
    facet = Facet(bench, model, lines, f"model.layers.{layer}.mlp.down_proj")
    peers = {"transformers, padded to 128": Transformers(model, lines, layer),
             "transformers, sorted by length": Transformers(model, lines, layer, is_sorted=True)}
    if not bench.is_quick:
        peers["transformers, padded, compiled"] = Transformers(model, lines, layer, is_compiled=True)
    bench.compare(what, "tokens/s", {"facet": facet.tokens_per_s, **{n: p.tokens_per_s for n, p in peers.items()}},
                  is_rate=True)
    for name, peer in peers.items():
        assert peer.n_rows == facet.n_rows, f"{name} made {peer.n_rows} rows, Facet {facet.n_rows}"


def run(bench):
    logging.disable_progress_bar()
    compare(bench, "collect, example model", bench.example, 5, 64 if bench.is_quick else 2048)
    gemma = bench.gemma_1b
    if gemma is None:
        gemma = bench.work / "gemma-1b"
        subprocess.run([bench.build / "synthetic_gemma", gemma, bench.example / "tokenizer.json"], check=True)
    compare(bench, "collect, Gemma 3 1B shapes", gemma, 25, 8 if bench.is_quick else 160)
