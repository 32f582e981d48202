"""SAELens' own training step against facet train, 1,152 to 9,216, batch 512, the same architecture and settings.

SAELens runs its SAETrainer.step on rows that are normalised and in memory, in float32, with autocast, and with
autocast and compile_sae. Facet runs its command on a store, with the built-in recipe 'saelens-standard' and the
same architecture. Both clip gradients at norm 1, both are timed after a few tens of steps, when the selection or
the penalty has settled what fires.

SPDX-License-Identifier: Apache-2.0
"""

import itertools
import statistics
import time

import torch
from sae_lens.config import SAETrainerConfig
from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.training.sae_trainer import SAETrainer

from train import BATCH, FacetRun, planted_rows, write_store

D, D_SAE = 1152, 9216
SETTLED = 60  # steps before the clock starts
ARCHITECTURES = {
    "standard, L1 5": (StandardTrainingSAE, StandardTrainingSAEConfig, {"l1_coefficient": 5.0},
                       ["--arch", "standard", "--l1-coefficient", 5]),
    "topk, k 32": (TopKTrainingSAE, TopKTrainingSAEConfig, {"k": 32}, ["--arch", "topk", "--k", 32]),
    "topk, k 128": (TopKTrainingSAE, TopKTrainingSAEConfig, {"k": 128}, ["--arch", "topk", "--k", 128]),
    "batchtopk, k 64": (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, {"k": 64},
                        ["--arch", "batchtopk", "--k", 64]),
}
HOW = {"SAELens: fp32": (False, False), "SAELens, autocast: bf16": (True, False),
       "SAELens, autocast, compile_sae: bf16": (True, True)}


class SAELensRun:
    def __init__(self, bench, x, kind, is_bf16, is_compiled):
        sae_class, config_class, settings, _ = kind
        self.n_steps = 3 if bench.is_quick else 12
        torch.manual_seed(0)
        sae = sae_class(config_class(d_in=D, d_sae=D_SAE, **settings))
        if is_compiled:  # as SAELens' runner does
            sae.training_forward_pass = torch.compile(sae.training_forward_pass)
        config = SAETrainerConfig(total_training_samples=10**9, train_batch_size_samples=BATCH, lr=3e-4,
                                  autocast=is_bf16)
        self.batches = itertools.cycle(x.split(BATCH))
        self.trainer = SAETrainer(config, sae, self.batches)
        self.run(3 if bench.is_quick else SETTLED)

    def run(self, n_steps):
        times = [time.perf_counter()]
        for _ in range(n_steps):
            self.trainer.step(next(self.batches))
            self.trainer.n_training_steps += 1
            times.append(time.perf_counter())
        return 1000 * statistics.median(b - a for a, b in zip(times, times[1:]))

    def ms_per_step(self):
        return self.run(self.n_steps)


def run(bench):
    x = planted_rows(D)
    store = bench.work / f"store-{D}"
    write_store(store, x)
    x = x.float() - x.float().mean(dim=0)
    x *= D**0.5 / x.norm(dim=1).mean()
    for name, kind in ARCHITECTURES.items():
        ours = {precision: FacetRun(bench, store, D_SAE, precision, 10 if bench.is_quick else SETTLED,
                                    "saelens-standard", kind[3]) for precision in ("f32", "bf16")}
        theirs = {of: SAELensRun(bench, x, kind, *how).ms_per_step for of, how in HOW.items()}
        bench.compare(f"step {D} to {D_SAE}, {name}", "ms",
                      {"facet: fp32": ours["f32"].ms_per_step, "facet: bf16": ours["bf16"].ms_per_step, **theirs})
