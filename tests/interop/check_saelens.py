"""SAELens loads the SAE and finds the features and the error that Facet found.

SPDX-License-Identifier: Apache-2.0
"""

import sqlite3

import numpy
import torch
from safetensors.torch import load_file
from sae_lens import SAE

from check_store import read_rows


def check(c):
    sae = SAE.load_from_disk(str(c.run / "sae"), device="cpu")
    c.that("architecture and shape", sae.cfg.architecture() == "standard" and tuple(sae.W_dec.shape) == (512, 256))
    c.that("apply_b_dec_to_input is false, as the recipe 'seed' has it", sae.cfg.apply_b_dec_to_input is False)

    # center_unit, by hand: less the mean, to unit length (docs/FORMATS.md, sae/).
    _, rows = read_rows(c.acts)
    mean = load_file(c.run / "sae/normalization.safetensors")["mean"]
    x = torch.from_numpy(rows["activations"]) - mean
    x = x / x.norm(dim=1, keepdim=True)
    with torch.no_grad():
        f = sae.encode(x)
        mse = float((sae.decode(f).double() - x.double()).pow(2).mean())

    db = sqlite3.connect(f"file:{c.run}/features.db?mode=ro", uri=True)
    features = db.execute("SELECT id, max, frequency FROM feature ORDER BY id").fetchall()
    c.close("maxima of all 512 features", f.max(dim=0).values.numpy(), numpy.array([row[1] for row in features]), 1e-5)
    frequency = (f > 0).double().mean(dim=0).numpy()
    c.close("how often each fires", frequency, numpy.array([row[2] for row in features]), 2 / 2000)
    examples = numpy.array(db.execute("SELECT feature, row, value FROM example").fetchall())
    at = f[examples[:, 1].astype(int), examples[:, 0].astype(int)].numpy()
    c.close(f"activations of the {len(examples)} examples", at, examples[:, 2], 1e-5)
    study = float(db.execute("SELECT value FROM run WHERE key = 'mse'").fetchone()[0])
    c.that("mean squared error within 1e-5 of its size", abs(mse / study - 1) < 1e-5, f"{mse:.9f}, {study:.9f}")
    l0 = float(db.execute("SELECT value FROM run WHERE key = 'l0'").fetchone()[0])
    c.close("mean number of features that fire", float((f > 0).sum(dim=1).double().mean()), l0, 1e-4)
