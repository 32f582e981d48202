"""One training step, 1,152 to 9,216, batch 512, at three ways of firing: PyTorch against facet bench train.

Facet's step depends on what fires, so it is timed on random SAEs whose biases make 1 % or 12 % of the
features fire, and one like the end of the recipe 'seed' (6,788 dead, 1,131 fire on a row). PyTorch multiplies
all features by all rows whatever they are: it is timed once a round, on random rows of which 12 % fire.

SPDX-License-Identifier: Apache-2.0
"""

import json
import subprocess
import sys

import torch

from train import BATCH, TorchRun

D, D_SAE = 1152, 9216
CELLS = "1 % fire", "12 % fire", "as after the seed recipe"
PRECISIONS = {"fp32": "f32", "bf16": "bf16"}  # in our names: in those of facet bench


def facet_ms(bench):
    """Median ms a step: {(cell, precision): ms}."""
    command = [bench.facet, "bench", "train", "--json", "--quiet", "--threads", bench.threads, "--d-in", D, "--d-sae",
               D_SAE, "--batch", BATCH, "--seconds", 0.5 if bench.is_quick else 2]
    out = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout
    rows = {row["name"]: row for row in json.loads(out)["rows"]}
    for row in rows.values():
        print(f"  facet, {row['name']}: {row['median']:.1f} ms, limit {row['limit']:.1f} ms, {row['kept']} samples"
              f" kept, {row['dropped']} dropped", file=sys.stderr)
    return {(cell, name): rows[f"{cell}, {theirs}"]["median"] for cell in CELLS for name, theirs in PRECISIONS.items()}


class TorchCell(TorchRun):
    """Biases let 12 % of the features fire."""

    def __init__(self, bench, x, is_fused, is_bf16, is_compiled):
        super().__init__(bench, x, D_SAE, is_fused, is_bf16, is_compiled)
        self.n_steps = 3 if bench.is_quick else 8
        w_enc, b_enc = self.p[:2]
        with torch.no_grad():
            z = x[:2 * BATCH] @ w_enc
            b_enc.copy_(-z.kthvalue(int(0.88 * len(z)), dim=0).values)


def run(bench):
    x = torch.nn.functional.normalize(torch.randn(16 * BATCH, D, generator=torch.Generator().manual_seed(0)))
    peers = {name: TorchCell(bench, x, *how) for name, how in {
        "PyTorch eager: fp32": (False, False, False),
        "PyTorch compiled, fused Adam: fp32": (True, False, True),
        "PyTorch eager, fused Adam: bf16": (True, True, False),
        "PyTorch compiled, fused Adam: bf16": (True, True, True)}.items()}
    ours, theirs = [], []
    for number in range(bench.n_rounds):
        ours.append(facet_ms(bench))
        theirs.append({name: peer.ms_per_step() for name, peer in peers.items()})
        figures = ", ".join(f"{name} {ms:.1f}" for name, ms in theirs[-1].items())
        print(f"step {D} to {D_SAE}, round {number + 1}: {figures} ms", file=sys.stderr)
    for cell in CELLS:
        figures = {f"facet: {name}": [one[cell, name] for one in ours] for name in PRECISIONS}
        figures |= {name: [one[name] for one in theirs] for name in peers}
        bench.add(f"step {D} to {D_SAE}, {cell}", "ms", figures)
