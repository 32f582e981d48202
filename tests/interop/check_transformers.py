"""transformers runs the same checkpoint to the same activations.

SPDX-License-Identifier: Apache-2.0
"""

import numpy
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from check_store import read_rows

# Names as Facet takes them; ":input" is what goes into the module.
HOOKS = ["model.embed_tokens", "model.layers.0.self_attn.o_proj", "model.layers.2.mlp.down_proj:input",
         "model.layers.3", "model.layers.5.mlp.down_proj", "model.norm", "lm_head"]
LINES = [
    "The river flows to the sea .",
    " In 1997 , the 3rd edition was published ; it sold 12 @,@ 500 copies . ",
    "Straße, naïve, 東京, \U0001f600 and\ttabs   and spaces",
    " ".join(f"Sentence {i} makes this longer than the model 's sliding window ." for i in range(12)),
]


def relative_error(found, expected):
    return float(numpy.linalg.norm(found.astype(numpy.float64) - expected) / numpy.linalg.norm(expected))


def run_hooked(model, ids, hooks):
    """{hook: [tokens, width]} of one sequence."""
    out = {}

    def keep(name):
        def hook(_module, inputs, output):
            value = inputs[0] if name.endswith(":input") else output
            value = value[0] if isinstance(value, tuple) else value
            out[name] = value[0].double().numpy()
        return hook

    handles = [model.get_submodule(name.removesuffix(":input")).register_forward_hook(keep(name)) for name in hooks]
    with torch.no_grad():
        model(input_ids=torch.tensor([ids]))
    for handle in handles:
        handle.remove()
    return out


def store_is_the_models(c, model):
    """The first ten documents of the store, rounded to bfloat16 there."""
    _, rows = read_rows(c.acts)
    worst = 0.0
    for doc in sorted(set(rows["doc_ids"].tolist()))[:10]:
        at = rows["doc_ids"] == doc
        expected = run_hooked(model, [2] + rows["token_ids"][at].tolist(), [c.hook])[c.hook][1:]
        worst = max(worst, relative_error(rows["activations"][at], expected))
    c.that("rows of the store, up to their rounding to bfloat16", worst < 2.5e-3, f"relative error {worst:.1e}")


def check(c):
    logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(c.model)
    model = AutoModelForCausalLM.from_pretrained(c.model, dtype=torch.float32, attn_implementation="eager")
    for number, line in enumerate(LINES, 1):
        out = c.work / "line.safetensors"
        c.facet("activations", "--model", c.model, "--hook", *HOOKS, "--text", line, "--precision", "f32", "--out", out)
        found = load_file(out)
        ids = found["token_ids"].tolist()
        c.that(f"line {number}: {len(ids)} token ids", ids == tokenizer(line)["input_ids"])
        for name, expected in run_hooked(model, ids, HOOKS).items():
            error = relative_error(found[name], expected)
            c.that(f"line {number}: {name}", error < 1e-5, f"relative error {error:.1e}")
    store_is_the_models(c, model)
