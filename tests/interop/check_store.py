"""safetensors and numpy read the activation store.

SPDX-License-Identifier: Apache-2.0
"""

import json

import numpy
import torch
from safetensors import safe_open
from safetensors.numpy import load_file


def read_rows(acts):
    """All activations [n, d] as float32, and the columns beside them. numpy has no bfloat16: torch widens."""
    meta = json.loads((acts / "meta.json").read_text(encoding="utf-8"))
    columns = {"activations": [], "token_ids": [], "doc_ids": [], "positions": []}
    for shard in meta["shards"]:
        with safe_open(acts / shard["file"], framework="pt") as file:
            for name, parts in columns.items():
                parts.append(file.get_tensor(name))
    rows = {name: torch.cat(parts) for name, parts in columns.items()}
    rows["activations"] = rows["activations"].float()
    return meta, {name: tensor.numpy() for name, tensor in rows.items()}


def check(c):
    meta, rows = read_rows(c.acts)
    x = rows["activations"].astype(numpy.float64)
    c.that("two shards, 2000 rows of 256", len(meta["shards"]) == 2 and x.shape == (2000, 256))
    for name in ("token_ids", "doc_ids", "positions"):
        c.that(f"{name}: one int32 a row", rows[name].shape == (2000,) and rows[name].dtype == numpy.int32)
    with safe_open(c.acts / "shard-00000.safetensors", framework="numpy") as file:
        c.that("metadata of a shard says how to read it", file.metadata().get("format") == "pt", file.metadata())

    # Documents follow each other; positions count 1, 2, ... in each, and <bos> (id 2) is no row.
    new = numpy.diff(rows["doc_ids"], prepend=-1) != 0
    expected = numpy.arange(2000) - numpy.maximum.accumulate(numpy.where(new, numpy.arange(2000), 0)) + 1
    c.that("positions count from 1 in each document", numpy.array_equal(rows["positions"], expected))
    c.that("no <bos> among the rows", not (rows["token_ids"] == 2).any())
    documents = [json.loads(line) for shard in meta["shards"]
                 for line in (c.acts / shard["documents_file"]).read_text(encoding="utf-8").splitlines()]
    c.that("one line for each document", [d["doc"] for d in documents] == sorted(set(rows["doc_ids"].tolist())))

    mean = load_file(c.acts / "mean.safetensors")
    centred = x - x.mean(axis=0)
    c.close("mean", mean["mean_f64"], x.mean(axis=0), 1e-12)
    c.close("mean in float32", mean["mean"], x.mean(axis=0).astype(numpy.float32), 1e-7)
    c.close("variance", mean["variance_f64"], centred.__pow__(2).mean(axis=0), 1e-12)
    c.close("mean length", mean["mean_norm"], numpy.linalg.norm(x, axis=1).mean(), 1e-12)
    c.close("mean length when centred", mean["mean_centred_norm"], numpy.linalg.norm(centred, axis=1).mean(), 1e-12)
