"""facet eval beside transformers: losses, divergences and measures with the same SAE on the same tokens.

SPDX-License-Identifier: Apache-2.0
"""

import json

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

import eval_reference

N_TOKENS, MAX_LENGTH = 400, 128


def check(c):
    logging.disable_progress_bar()
    text = c.source / "fixtures/eval/text.txt"
    lines = eval_reference.lines_of(text.read_text())
    tokenizer = AutoTokenizer.from_pretrained(c.model)
    model = AutoModelForCausalLM.from_pretrained(c.model, dtype=torch.float32, attn_implementation="eager")
    sae = eval_reference.Sae(c.run / "sae")
    sequences = eval_reference.sequences_of(tokenizer, lines, MAX_LENGTH, N_TOKENS)
    for special in ("keep", "ablate", "replace"):
        c.facet("eval", c.run, "--text", text, "--text-format", "plain", "--tokens", N_TOKENS, "--precision", "f32",
                "--special", special)
        compare(c, special, json.loads((c.run / "eval.json").read_text()),
                eval_reference.evaluate(model, sae, sequences, special=special))


def compare(c, special, found, want):
    facet = found["eval_result_unstructured"]["facet"]
    c.that(f"{special}: {want['rows']} rows, {want['predictions']} predictions, {want['sequences']} sequences",
           (found["eval_result_metrics"]["token_stats"]["total_tokens_eval_reconstruction"], facet["predictions"],
            facet["sequences"]) == (want["rows"], want["predictions"], want["sequences"]))
    for run, losses in want["losses"].items():
        for kind, value in losses.items():
            c.close(f"{special}: {kind} {run}", facet["losses"][run][kind], value, 1e-5)
    for ours, theirs in (("model_performance_preservation.ce_loss_score", "ce_loss_score"),
                         ("model_behavior_preservation.kl_div_score", "kl_div_score")):
        section, key = ours.split(".")
        c.close(f"{special}: {key}", found["eval_result_metrics"][section][key], want[theirs], 1e-4)
    for key, value in want["token_deltas"].items():
        c.close(f"{special}: change of a token's loss, {key}", facet["token_deltas"][key], value, 1e-4)
    for key, value in want["core"].items():
        c.close(f"{special}: {key}", facet["right_values"][key], value, 2e-5)
