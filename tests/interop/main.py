"""A tiny run of Facet, and every file of it read by the tools it is meant for.

    main.py FACET

Prints one line a check; ends with "N passed, N failed".

SPDX-License-Identifier: Apache-2.0
"""

import pathlib
import subprocess
import sys
import tempfile
import warnings

import check_eval
import check_exchange
import check_features
import check_hub
import check_saelens
import check_store
import check_tensorboard
import check_transformers

SOURCE = pathlib.Path(__file__).resolve().parents[2]
HOOK = "model.layers.5.mlp.down_proj"


class Checks:
    """Where things are, and how many checks passed."""

    def __init__(self, facet, work):
        self.facet_program = facet
        self.source = SOURCE
        self.model = SOURCE / "assets/example-model"
        self.hook = HOOK
        self.work = work
        self.acts = work / "acts"
        self.run = work / "run"
        self.n_passed = self.n_failed = 0

    def that(self, what, is_true, found=""):
        print(f"{'ok    ' if is_true else 'FAILED'} {what}{f'  ({found})' if found != '' else ''}")
        if is_true:
            self.n_passed += 1
        else:
            self.n_failed += 1

    def close(self, what, found, expected, limit):
        """Both within `limit` of each other, relative to the larger of 1 and the expected value."""
        error = float(abs(found - expected).max() if hasattr(found, "max") else abs(found - expected))
        scale = float(abs(expected).max() if hasattr(expected, "max") else abs(expected))
        self.that(what, error <= limit * max(1.0, scale), f"largest difference {error:.1e}")

    def facet(self, *arguments):
        """Runs facet quietly; its failure ends everything, for nothing could be checked."""
        subprocess.run([self.facet_program, *map(str, arguments), "--quiet"], check=True, stdout=subprocess.DEVNULL)


def tiny_run(c):
    c.facet("collect", "--model", c.model, "--text", c.model / "corpus.wikitext.raw.zst", "--hook", c.hook,
            "--tokens", 2000, "--shard-rows", 1500, "--precision", "f32", "--out", c.acts)
    c.facet("train", "--acts", c.acts, "--recipe", "seed", "--expansion", 2, "--max-steps", 50, "--log-every", 10,
            "--histogram-every", 25, "--checkpoint-every", 20, "--out", c.run)
    c.facet("study", c.run, "--precision", "f32")


def main():
    warnings.filterwarnings("ignore")  # of the libraries, about their own future
    with tempfile.TemporaryDirectory() as work:
        c = Checks(sys.argv[1], pathlib.Path(work))
        tiny_run(c)
        for tool in (check_tensorboard, check_store, check_saelens, check_exchange, check_transformers, check_eval,
                     check_features, check_hub):
            print(f"\n{tool.__doc__.splitlines()[0]}")
            tool.check(c)
    print(f"\n{c.n_passed} passed, {c.n_failed} failed")
    return 1 if c.n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
