"""What an SAE keeps of the model, computed with transformers and PyTorch in float32: the reference for facet eval.

Nothing is shared with Facet but the files it reads: model, tokenizer, text, SAE.

SPDX-License-Identifier: Apache-2.0
"""

import json

import numpy
import torch
from safetensors.torch import load_file

RUNS = ("original", "sae", "zero_ablation", "mean_ablation")


def lines_of(text):
    """Documents as Facet's split `line` has them: every line that is not blank."""
    return [line for line in text.split("\n") if line.strip()]


def sequences_of(tokenizer, lines, max_length, n_tokens):
    """Token ids with <bos>, cut on the right, until there are n_tokens without <bos>."""
    out, n = [], 0
    for line in lines:
        if 0 < n_tokens <= n:
            break
        ids = tokenizer(line)["input_ids"][:max_length]
        out.append(ids)
        n += len(ids) - 1
    return out


class Sae:
    """A SAELens folder: the architectures that the checks use, with Facet's normalisation."""

    def __init__(self, folder):
        self.cfg = json.loads((folder / "cfg.json").read_text())
        weights = load_file(folder / "sae_weights.safetensors")
        for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold", "W_skip"):
            setattr(self, name, weights.get(name))
        self.arch = self.cfg["architecture"]
        self.is_transcoder = "transcoder" in self.arch
        self.hook = self.cfg["metadata"]["hook_name"]
        self.target = self.cfg["metadata"]["hook_name_out"] if self.is_transcoder else self.hook
        self.mean = None
        if self.cfg["metadata"].get("facet_normalization") == "center_unit":
            self.mean = load_file(folder / "normalization.safetensors")["mean"]

    def features(self, x):
        if self.mean is not None:
            x = x - self.mean
            x = x / x.norm(dim=-1, keepdim=True)
        if self.cfg["apply_b_dec_to_input"]:
            x = x - self.b_dec
        z = x @ self.W_enc + self.b_enc
        if self.threshold is not None:
            return torch.relu(z) * (z > self.threshold)
        if self.arch == "topk":
            top = z.topk(self.cfg["k"], dim=-1)
            return torch.zeros_like(z).scatter(-1, top.indices, torch.relu(top.values))
        return torch.relu(z)

    def __call__(self, x):
        y = self.features(x) @ self.W_dec + self.b_dec
        if self.W_skip is not None:
            y = y + x @ self.W_skip.T
        if self.mean is not None:  # back to the row's own length
            y = y * (x - self.mean).norm(dim=-1, keepdim=True) + self.mean
        return y


def tensor_of(output):
    return output[0] if isinstance(output, tuple) else output


def put(output, tensor):
    return (tensor,) + output[1:] if isinstance(output, tuple) else tensor


class Model:
    """transformers' model with one module's output looked at or replaced."""

    def __init__(self, model):
        self.model = model

    def run(self, ids, look=(), name=None, edit=None):
        """Log-probabilities [n, vocabulary] in float64, and outputs of the modules in `look`."""
        seen, handles = {}, []
        for at in look:
            handles.append(self.model.get_submodule(at).register_forward_hook(
                lambda _m, _i, output, at=at: seen.__setitem__(at, tensor_of(output)[0].clone())))
        if edit is not None:
            handles.append(self.model.get_submodule(name).register_forward_hook(
                lambda _m, _i, output: put(output, edit(tensor_of(output)[0])[None])))
        with torch.no_grad():
            logits = self.model(input_ids=torch.tensor([ids])).logits[0]
        for handle in handles:
            handle.remove()
        return torch.log_softmax(logits.double(), dim=-1), seen


def mean_of(model, sae, sequences, special, bos):
    """Of the replaced tensor over all rows that count."""
    rows = []
    for ids in sequences:
        _, seen = model.run(ids, [sae.target])
        keep = torch.tensor([special == "replace" or i != bos for i in ids])
        rows.append(seen[sae.target][keep].double())
    return torch.cat(rows).mean(dim=0).float()


def evaluate(model, sae, sequences, mean=None, special="keep", bos=2):
    """Losses of all runs; per token: cross-entropy [n predictions, 4], divergence [n rows, 4]."""
    model = Model(model)
    mean = sae.mean if mean is None else mean
    if mean is None:
        mean = mean_of(model, sae, sequences, special, bos)
    nll, kl, x_all, y_all, f_all = [], [], [], [], []
    for ids in sequences:
        log_p, seen = model.run(ids, {sae.hook, sae.target})
        keep = torch.tensor([special == "replace" or i != bos for i in ids])
        ablate = keep if special != "ablate" else torch.ones_like(keep)
        with torch.no_grad():
            y = sae(seen[sae.hook])
        edits = [None,
                 lambda x: torch.where(keep[:, None], y, x),
                 lambda x: torch.where(ablate[:, None], torch.zeros_like(x), x),
                 lambda x: torch.where(ablate[:, None], mean.expand_as(x), x)]
        nll_here, kl_here = [], []
        for edit in edits:
            log_q = log_p if edit is None else model.run(ids, (), sae.target, edit)[0]
            nll_here.append(-log_q[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0])
            kl_here.append((log_p.exp() * (log_p - log_q)).sum(dim=-1))
        nll.append(torch.stack(nll_here, 1)[keep[:-1]])
        kl.append(torch.stack(kl_here, 1)[keep])
        x_all.append(seen[sae.target][keep].double())
        y_all.append(y[keep].double())
        f_all.append(sae.features(seen[sae.hook][keep]))
    nll, kl = torch.cat(nll).numpy(), torch.cat(kl).numpy()
    x, y, f = torch.cat(x_all), torch.cat(y_all), torch.cat(f_all)
    return {"sequences": len(sequences), "nll": nll, "kl": kl, **summary(nll, kl), **core(x, y, f)}


def summary(nll, kl):
    ce, d = nll.mean(axis=0), kl.mean(axis=0)
    delta = nll[:, 1] - nll[:, 0]
    shares = {"min": 0, "p05": .05, "p25": .25, "median": .5, "p75": .75, "p95": .95, "max": 1}
    return {
        "rows": len(kl), "predictions": len(nll),
        "losses": {name: {"cross_entropy": float(ce[i]), "kl_divergence": float(d[i])} for i, name in enumerate(RUNS)},
        "ce_loss_score": float((ce[2] - ce[1]) / (ce[2] - ce[0])),
        "kl_div_score": float((d[2] - d[1]) / d[2]),
        "ce_loss_score_mean": float((ce[3] - ce[1]) / (ce[3] - ce[0])),
        "token_deltas": {"mean": float(delta.mean()), **{k: float(numpy.quantile(delta, p)) for k, p in shares.items()}},
    }


def core(x, y, f):
    e, n_x, n_y = x - y, x.norm(dim=1), y.norm(dim=1)
    return {"core": {
        "explained_variance": float(1 - e.pow(2).sum() / (x - x.mean(dim=0)).pow(2).sum()),
        "mse_sum_over_d": float(e.pow(2).sum(dim=1).mean()),
        "cosine_similarity": float(((x * y).sum(dim=1) / (n_x * n_y)).mean()),
        "relative_reconstruction_bias": float(n_y.pow(2).mean() / (x * y).sum(dim=1).mean()),
        "l2_ratio": float((n_y / n_x).mean()),
        "l0": float((f > 0).double().sum(dim=1).mean()),
        "l1": float(f.double().sum(dim=1).mean()),
        "frac_alive": float((f > 0).any(dim=0).double().mean()),
    }}
