"""SAEs that facet convert writes give the same features in SAELens, sparsify and dictionary_learning.

The SAEs are those of fixtures/sae/exchange, whose io.safetensors holds what each tool computed. So every
check goes from one tool through Facet to another.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import importlib
import io
import json
import pathlib
import sys
import types

import numpy
import torch
from google.protobuf import text_format
from safetensors.torch import load_file
from sae_lens import SAE
from tensorboard.plugins.projector import projector_plugin
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

SCOPE = "gemma-scope-2/google/gemma-scope-2-1b-it/"
DL = "dictionary_learning/{}/trainer_0"
TO_SAELENS = [
    "standard", "standard-no-input-bias", "standard-layer-norm", "standard-constant-norm", "topk", "topk-unfolded-norms",
    "jumprelu", "batchtopk", "batchtopk-training-checkpoint", "matryoshka", "gated", "transcoder", "skip_transcoder",
    "jumprelu_transcoder", "jumprelu_skip_transcoder", "legacy-topk", SCOPE + "mlp_out/layer_25_width_16k_l0_small",
    SCOPE + "transcoder/layer_13_width_16k_l0_small_affine", "sparsify/run/layers.13.mlp", DL.format("AutoEncoderNew"),
    DL.format("MatryoshkaBatchTopKSAE"), DL.format("GatedAutoEncoder"),
]
TO_SPARSIFY = ["topk", "topk-unfolded-norms", "sparsify/run/layers.15.mlp", "sparsify/run/layers.16.mlp",
               DL.format("AutoEncoderTopK")]
TO_DICTIONARIES = [
    ("standard", "AutoEncoder", {"normalize_decoder": False}), ("standard-no-input-bias", "AutoEncoderNew", {}),
    ("topk", "AutoEncoderTopK", {}), ("batchtopk", "BatchTopKSAE", {}), ("matryoshka", "MatryoshkaBatchTopKSAE", {}),
    ("gated", "GatedAutoEncoder", {}), ("jumprelu-no-input-bias", "JumpReluAutoEncoder", {}),
    ("sparsify/run/layers.14", "AutoEncoderTopK", {}),
]


def dictionary_classes():
    """The modules of dictionary_learning without its __init__, which wants nnsight and a model."""
    root = pathlib.Path(importlib.util.find_spec("dictionary_learning").origin).parent
    for name, folder in (("dictionary_learning", root), ("dictionary_learning.trainers", root / "trainers")):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    modules = ("dictionary", "trainers.top_k", "trainers.batch_top_k", "trainers.matryoshka_batch_top_k")
    return {key: value for module in modules
            for key, value in vars(importlib.import_module(f"dictionary_learning.{module}")).items()}


def relative(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


def same(c, what, found, expected):
    errors = [relative(a.detach().float(), b) for a, b in zip(found, expected)]
    c.that(what, max(errors) < 1e-5, f"features {errors[0]:.1e}, reconstruction {errors[1]:.1e}")


class Exchange:
    def __init__(self, c):
        self.c = c
        self.fixtures = c.source / "fixtures/sae/exchange"
        self.n = 0

    def convert(self, name, to):
        self.n += 1
        out = self.c.work / f"exchange-{self.n}"
        self.c.facet("convert", self.fixtures / name, out, "--to", to)
        known = load_file(self.fixtures / name / "io.safetensors")
        return out, known["x"], (known["features"], known["reconstruction"])


def saelens(c, exchange):
    for name in TO_SAELENS:
        out, x, expected = exchange.convert(name, "saelens")
        sae = SAE.load_from_disk(str(out), device="cpu")
        with torch.no_grad():
            features = sae.encode(x)
            # A transcoder's skip path wants x; SAE.forward does both, so features are asked for first.
            y = sae(x) if "skip" in sae.cfg.architecture() else sae.decode(features)
        same(c, f"SAELens: {name} as {sae.cfg.architecture()}", (features, y), expected)


def sparsify(c, exchange):
    with contextlib.redirect_stdout(io.StringIO()):
        from sparsify import SparseCoder
    for name in TO_SPARSIFY:
        out, x, expected = exchange.convert(name, "sparsify")
        coder = SparseCoder.load_from_disk(str(out))
        with torch.no_grad():
            top = coder.encode(x)
            features = torch.zeros_like(expected[0]).scatter_(-1, top.top_indices, top.top_acts)
            y = coder.decode(top.top_acts, top.top_indices)
            if coder.W_skip is not None:
                y = y + x @ coder.W_skip.mT
        same(c, f"sparsify: {name} as {coder.cfg.activation}", (features, y), expected)


def dictionaries(c, exchange):
    classes = dictionary_classes()
    for name, class_name, options in TO_DICTIONARIES:
        out, x, expected = exchange.convert(name, "dictionary_learning")
        config = json.loads((out / "config.json").read_text())["trainer"]
        dictionary = classes[config["dict_class"]].from_pretrained(str(out / "ae.pt"), **options)
        with torch.no_grad():
            features = dictionary.encode(x)
            y = dictionary.decode(features)
        c.that(f"dictionary_learning: {name} is of class {class_name}", config["dict_class"] == class_name)
        same(c, f"dictionary_learning: {name}", (features, y), expected)
    state = torch.load(out / "ae.pt", weights_only=True)
    c.that("torch.load with weights_only opens ae.pt", state["k"].dtype == torch.int32 and state["k"].item() == 6)


def arrays(c, exchange):
    out, x, expected = exchange.convert("jumprelu-no-input-bias", "gemma-scope")
    params = numpy.load(out / "params.npz")
    z = x.numpy() @ params["W_enc"] + params["b_enc"]
    features = torch.from_numpy(z * (z > params["threshold"]) * (z > 0))
    same(c, "numpy: params.npz of Gemma Scope", (features, features @ params["W_dec"] + params["b_dec"]), expected)
    out, _, _ = exchange.convert("gated", "npz")
    npz, weights = numpy.load(out / "sae_weights.npz"), load_file(exchange.fixtures / "gated/sae_weights.safetensors")
    c.that("numpy: sae_weights.npz holds the tensors of SAELens",
           set(npz) == set(weights) and all((npz[k] == weights[k].numpy()).all() for k in weights))


def files_of_features(c, exchange):
    folder = exchange.fixtures / "standard-layer-norm"
    known = load_file(folder / "io.safetensors")
    out = c.work / "features.safetensors"
    c.facet("encode", folder, "--input", folder / "io.safetensors", "--format", "csr", "--out", out)
    f = load_file(out)
    sparse = torch.sparse_csr_tensor(f["crow_indices"], f["col_indices"].long(), f["values"], tuple(f["shape"].tolist()))
    npy = c.work / "y.npy"
    c.facet("decode", folder, "--input", out, "--out", npy)
    same(c, "torch: sparse features of facet encode, numpy: what facet decode makes of them",
         (sparse.to_dense(), torch.from_numpy(numpy.load(npy))), (known["features"], known["reconstruction"]))


def projector(c):
    out = c.work / "projector"
    c.facet("convert", c.run, out, "--to", "projector")
    config = text_format.Parse((out / "projector_config.pbtxt").read_text(), ProjectorConfig())
    tensors = projector_plugin._read_tensor_tsv_file(str(out / config.embeddings[0].tensor_path))
    decoder = load_file(c.run / "sae/sae_weights.safetensors")["W_dec"].numpy()
    c.that("TensorBoard's projector reads every decoder row exactly", (tensors == decoder).all(), f"{tensors.shape}")
    labels = (out / config.embeddings[0].metadata_path).read_text().splitlines()
    c.that("a label for each, and the names of its columns", len(labels) == len(decoder) + 1
           and labels[0].startswith("feature\tdescription"))


def neuronpedia(c):
    out = c.work / "neuronpedia"
    c.facet("convert", c.run, out, "--to", "neuronpedia")
    batches = [json.loads(path.read_text()) for path in sorted(out.glob("batch-*.json"))]
    skipped = json.loads((out / "skipped_indexes.json").read_text())["skipped_indexes"]
    features = [f for batch in batches for f in batch["features"]]
    c.that("every feature is in a batch or skipped",
           sorted([f["feature_index"] for f in features] + skipped) == list(range(512)), f"{len(features)} live")
    wanted = {"feature_index", "neuron_alignment_indices", "correlated_neurons_indices", "neg_str", "pos_values",
              "frac_nonzero", "freq_hist_data_bar_heights", "logits_hist_data_bar_values", "activations"}
    c.that("with the fields of SAEDashboard", all(wanted <= set(f) for f in features))
    c.that("a token for each value of each context", all(len(a["tokens"]) == len(a["values"]) > a["qualifying_token_index"]
                                                         for f in features for a in f["activations"]))


def check(c):
    exchange = Exchange(c)
    for part in (saelens, sparsify, dictionaries, arrays, files_of_features):
        part(c, exchange)
    projector(c)
    neuronpedia(c)
