"""A real run, 256 to 2,048: PyTorch at its best against facet train, batch 512, the recipe 'seed'.

PyTorch computes the dense products, so its step costs the same whatever fires. Facet's costs less the fewer
features fire and the more are dead: it is timed at the start (half of all features fire) and after
LATE steps, and the line says how many fired then. PyTorch gets its rows normalised and in memory.

SPDX-License-Identifier: Apache-2.0
"""

import json
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import torch
import xxhash
from safetensors.torch import save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

BATCH = 512
N_ROWS = 32768


def planted_rows(d):
    """Rows that a sparse code fits: each the sum of 24 of 4 d random directions, and a little noise."""
    g = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(4 * d, d, generator=g))
    x = 0.02 * torch.randn(N_ROWS, d, generator=g)
    for _ in range(24):
        strength = torch.rand(N_ROWS, 1, generator=g) + 0.5
        x += strength * directions[torch.randint(4 * d, (N_ROWS,), generator=g)]
    return x.bfloat16()


def write_store(folder, x):
    """The store format of docs/FORMATS.md, one shard, written without Facet."""
    n, d = x.shape
    mean = x.double().mean(dim=0)
    folder.mkdir()
    count = torch.arange(n, dtype=torch.int32)
    save_file({"activations": x, "token_ids": torch.zeros_like(count), "doc_ids": torch.zeros_like(count),
               "positions": count + 1}, folder / "shard-00000.safetensors", {"format": "pt"})
    save_file({"mean": mean.float(), "mean_f64": mean, "variance_f64": x.double().var(dim=0, correction=0),
               "mean_norm": x.double().norm(dim=1).mean(),
               "mean_centred_norm": (x.double() - mean).norm(dim=1).mean()},
              folder / "mean.safetensors", {"format": "pt"})
    document = {"doc": 0, "title": "random", "source": "random", "line": 1, "tokens": n}
    (folder / "documents-00000.jsonl").write_text(json.dumps(document) + "\n", encoding="utf-8")

    def described(name):
        data = (folder / name).read_bytes()
        return len(data), xxhash.xxh3_128_hexdigest(data)

    n_bytes, checksum = described("shard-00000.safetensors")
    documents_bytes, documents_checksum = described("documents-00000.jsonl")
    meta = {"format": "facet activation store", "version": 1, "complete": True, "hook": "random", "model": "random",
            "model_hash": "random", "width": d, "dtype": "BF16", "rows_wanted": n, "rows_per_shard": n,
            "max_length": n + 1, "text_hash": "random", "rows": n, "documents": 1,
            "shards": [{"file": "shard-00000.safetensors", "rows": n, "bytes": n_bytes, "xxh3": checksum,
                        "documents_file": "documents-00000.jsonl", "documents": 1,
                        "documents_bytes": documents_bytes, "documents_xxh3": documents_checksum}],
            "mean": {"file": "mean.safetensors", "xxh3": described("mean.safetensors")[1]}}
    (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")


class FacetRun:
    """facet train, timed by the clock in its log. `late` steps are trained once and then left out."""

    def __init__(self, bench, store, d_sae, precision, late, recipe="seed", options=()):
        self.bench, self.late = bench, late
        self.n_steps = 40 if bench.is_quick else 100
        self.command = [bench.facet, "train", "--acts", store, "--recipe", recipe, *options, "--d-sae", d_sae,
                        "--precision", precision, "--threads", bench.threads, "--max-steps", late + self.n_steps,
                        "--log-every", 10, "--histogram-every", 10**6, "--checkpoint-every", late or 10**6, "--quiet"]
        self.begun = pathlib.Path(tempfile.mkdtemp(dir=bench.work)) / "run"
        self.scratch = bench.work / "scratch"
        if late:
            self.train(self.begun)
            (self.begun / f"checkpoints/step-{late + self.n_steps:08d}.safetensors").unlink()

    def train(self, out, *options):
        command = [*self.command, "--out", out, *options]
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)

    def fired(self, column):
        line = (self.scratch / "metrics.csv").read_text(encoding="ascii").splitlines()
        return float(line[-1].split(",")[line[0].split(",").index(column)])

    def ms_per_step(self):
        """Median over tens of steps, between lines of the log; the first ten warm up."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        if self.late:
            shutil.copytree(self.begun, self.scratch)
            for old in self.scratch.glob("events.out.tfevents.*"):
                old.unlink()
            self.train(self.scratch, "--resume")
        else:
            self.train(self.scratch)
        times = [event.wall_time for event in EventAccumulator(str(self.scratch)).Reload().Scalars("loss/total")]
        return 100 * statistics.median(b - a for a, b in zip(times, times[1:]))


class TorchRun:
    """The same step in PyTorch: f = relu(x W_enc + b_enc), y = f W_dec + b_dec, Adam."""

    def __init__(self, bench, x, d_sae, is_fused, is_bf16, is_compiled):
        d = x.shape[1]
        self.bench, self.x, self.is_bf16 = bench, x, is_bf16
        torch.manual_seed(0)
        bound = d**-0.5
        shapes = (d, d_sae), (d_sae,), (d_sae, d), (d,)
        self.p = [torch.nn.Parameter(torch.empty(shape).uniform_(-bound, bound)) for shape in shapes]
        self.adam = torch.optim.Adam(self.p, lr=1e-4, fused=is_fused)
        self.loss = torch.compile(self.eager_loss) if is_compiled else self.eager_loss
        self.n_steps = 5 if bench.is_quick else 30
        for _ in range(3):  # compiles and warms up
            self.step(torch.arange(BATCH))

    def eager_loss(self, x, w_enc, b_enc, w_dec, b_dec):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.is_bf16):
            f = torch.relu(torch.addmm(b_enc, x, w_enc))
            y = torch.addmm(b_dec, f, w_dec)
        return (y.float() - x).square().mean() + 3e-4 * f.float().sum(dim=1).mean()

    def step(self, rows):
        self.adam.zero_grad(set_to_none=True)
        self.loss(self.x[rows], *self.p).backward()
        self.adam.step()

    def ms_per_step(self):
        order = torch.randperm(len(self.x))[: BATCH * (self.n_steps + 1)].split(BATCH)
        self.step(order[0])
        times = [time.perf_counter()]
        for rows in order[1:]:
            self.step(rows)
            times.append(time.perf_counter())
        return 1000 * statistics.median(b - a for a, b in zip(times, times[1:]))


def run(bench):
    d, d_sae = 256, 2048
    late = 40 if bench.is_quick else 1500
    x = planted_rows(d)
    store = bench.work / f"store-{d}"
    write_store(store, x)
    x = x.float() - x.float().mean(dim=0)
    x = torch.nn.functional.normalize(x)
    torches = {name: TorchRun(bench, x, d_sae, *how).ms_per_step for name, how in {
        "PyTorch eager: fp32": (False, False, False),
        "PyTorch eager, fused Adam: fp32": (True, False, False),
        "PyTorch compiled, fused Adam: fp32": (True, False, True),
        "PyTorch compiled, fused Adam: bf16": (True, True, True)}.items()}
    for from_step in (0, late):
        ours = {name: FacetRun(bench, store, d_sae, name, from_step) for name in ("f32", "bf16")}
        for one in ours.values():  # how many fire decides Facet's time: part of the line's name
            one.ms_per_step()
        fires = 100 * ours["f32"].fired("l0") / d_sae
        dead = 100 * ours["f32"].fired("dead") / d_sae
        bench.compare(f"step {d} to {d_sae}, from step {from_step} ({fires:.1f} % fire, {dead:.0f} % dead)", "ms",
                      {"facet: fp32": ours["f32"].ms_per_step, "facet: bf16": ours["bf16"].ms_per_step, **torches})
