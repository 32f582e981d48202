"""Facet against PyTorch, transformers and tokenizers; method and results: docs/SPEED.md.

    main.py BUILD [--parts cells,train,saelens,collect,tokenizer] [--rounds N] [--quick] [--gemma-1b DIR]

Each round times every program once, one after the other; a ratio is formed within a round and the
table gives the median and the extremes over the rounds. So a machine that is slow for a minute slows all.

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import os
import pathlib
import platform
import statistics
import sys
import tempfile
import warnings

SOURCE = pathlib.Path(__file__).resolve().parents[2]
THREADS = 2


class Bench:
    def __init__(self, options, work):
        self.build = pathlib.Path(options.build)
        self.facet = self.build / "facet"
        self.work = work
        self.is_quick = options.quick
        self.n_rounds = 1 if options.quick else options.rounds
        self.threads = THREADS
        self.example = SOURCE / "assets/example-model"
        self.gemma_1b = options.gemma_1b
        self.rows = []

    def compare(self, what, unit, programs, is_rate=False):
        """programs: {name: function that runs once and returns its figure}; names as in add."""
        figures = {name: [] for name in programs}
        for number in range(self.n_rounds):
            for name, run in programs.items():
                figures[name].append(run())
                print(f"{what}, round {number + 1}: {name} {figures[name][-1]:.4g} {unit}", file=sys.stderr)
        self.add(what, unit, figures, is_rate)

    def add(self, what, unit, figures, is_rate=False):
        """figures: {name: one for each round}; those of Facet have names that begin with "facet", and each is
        compared with every peer whose name ends alike after the colon ("facet: fp32", "eager: fp32"), or with
        all when its name has no colon."""
        for ours in (name for name in figures if name.startswith("facet")):
            for peer in (name for name in figures if not name.startswith("facet")):
                if ":" in ours and ours.split(":")[1] != peer.split(":")[1]:
                    continue
                ratios = [a / b if is_rate else b / a for a, b in zip(figures[ours], figures[peer])]
                medians = [statistics.median(of) for of in (figures[ours], figures[peer], ratios)]
                self.rows.append((what, unit, ours, peer, *medians, min(ratios), max(ratios)))

    def print_table(self):
        print("| what | unit | Facet | | peer | | Facet is faster by |\n|---|---|---|---|---|---|---|")
        for what, unit, ours, peer, a, b, ratio, low, high in self.rows:
            ratio = f"**{ratio:.2f}** ({low:.2f} to {high:.2f})"
            print(f"| {what} | {unit} | {ours} | {a:.4g} | {peer} | {b:.4g} | {ratio} |")


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--parts", default="tokenizer,cells,train,saelens,collect")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--gemma-1b", type=pathlib.Path, help="checkpoint; without it a random one is made")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")

    import torch  # after the options: it takes seconds

    import cells
    import collect
    import saelens
    import tokenizer
    import train

    torch.set_num_threads(THREADS)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"load is {load:.1f}: something else is running, the numbers will be worthless", file=sys.stderr)
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(options, pathlib.Path(work))
        parts = {"cells": cells, "train": train, "saelens": saelens, "collect": collect, "tokenizer": tokenizer}
        for part in options.parts.split(","):
            parts[part].run(bench)
    print(f"{processor()}, {THREADS} threads, PyTorch {torch.__version__}, {bench.n_rounds} rounds, load {load:.1f}\n")
    bench.print_table()


if __name__ == "__main__":
    main()
