"""huggingface_hub and transformers open what facet fetch wrote; a run is fed by names alone.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import pathlib
import subprocess
import sys

import pyarrow
import pyarrow.parquet

from hub import Hub

MODEL, DATA = "org/tiny-gemma", "org/wiki"

# In a process of its own: the library reads its settings when it is imported.
LIBRARY = """
import json, sys, huggingface_hub
kind, name = sys.argv[1:]
print(json.dumps({
    "path": huggingface_hub.snapshot_download(name, repo_type=kind),
    "warnings": [str(w) for w in huggingface_hub.scan_cache_dir().warnings],
}))
"""
TRANSFORMERS = """
import json, sys
from transformers import AutoModelForCausalLM, AutoTokenizer
name = sys.argv[1]
print(json.dumps({"ids": AutoTokenizer.from_pretrained(name)("The river flows .")["input_ids"],
                  "type": AutoModelForCausalLM.from_pretrained(name).config.model_type}))
"""


def run(code, *arguments, **settings):
    """The last line that a piece of Python prints, as JSON."""
    done = subprocess.run([sys.executable, "-B", "-c", code, *arguments], env=os.environ | settings, check=False,
                          capture_output=True, text=True)
    if done.returncode != 0:
        return {"failed": done.stderr.strip().splitlines()[-1:]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def make_wikitext(c, folder, n_lines):
    """The corpus of the example model as Salesforce/wikitext lies on the hub; returns the same as raw text."""
    with pyarrow.input_stream(c.model / "corpus.wikitext.raw.zst", compression="zstd") as corpus:
        text = corpus.read().decode()
    lines = [line + "\n" for line in text.split("\n")[:n_lines]]
    (folder / "wikitext-tiny-raw-v1").mkdir(parents=True)
    half = n_lines // 2
    for i, part in enumerate((lines[:half], lines[half:])):
        rows = [line if line.strip() else "" for line in part]
        pyarrow.parquet.write_table(pyarrow.table({"text": rows}),
                                    folder / f"wikitext-tiny-raw-v1/train-0000{i}-of-00002.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"text": ["", " = No = \n"]}),
                                folder / "wikitext-tiny-raw-v1/test-00000-of-00001.parquet")
    (folder / "README.md").write_text("# Wiki\n")
    return "".join(lines)


def tree(cache):
    """Paths below a cache to what they hold: a link's target or a file's bytes. Locks and marks are left out."""
    found = {}
    for path in sorted(cache.rglob("*")):
        name = path.relative_to(cache).as_posix()
        if name.split("/")[0] in (".locks", "CACHEDIR.TAG") or "/.no_exist/" in name or "/trees/" in name:
            continue
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def caches_are_equal(c, url, cache):
    """What Facet fetched, against what the library fetches from the same server."""
    other = c.work / "library-cache"
    settings = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": url, "HF_HOME": str(other), "HF_HUB_CACHE": str(other / "hub"),
                "HF_HUB_DISABLE_XET": "1"}
    for kind, name in (("model", MODEL), ("dataset", DATA)):
        failed = run(LIBRARY, kind, name, **settings).get("failed")
        c.that(f"huggingface_hub fetches the {kind} from the same server", not failed, failed or "")
    mine, theirs = tree(cache), tree(other / "hub")
    differing = [name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)]
    c.that("the cache is what huggingface_hub makes of it", len(theirs) > 10 and not differing, sorted(differing)[:3] or
           f"{len(mine)} files and links")
    return other / "hub"


def library_finds(c, cache):
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(cache.parent), "HF_HUB_CACHE": str(cache)}
    for kind, name in (("model", MODEL), ("dataset", DATA)):
        found = run(LIBRARY, kind, name, **offline)
        folder = cache / f"{kind}s--{name.replace('/', '--')}/snapshots"
        c.that(f"huggingface_hub finds the {kind}, offline",
               found.get("path", "").startswith(str(folder)) and not found["warnings"], found.get("failed", ""))
    found = run(TRANSFORMERS, MODEL, **offline)
    c.that("transformers opens the model by name, offline", found.get("type", "").startswith("gemma3"), found)


def names_feed_a_run(c, raw):
    """facet run with nothing but names, and the same from a folder and a raw file."""
    options = {"collect": {"hook": c.hook, "tokens": 1500, "precision": "f32"},
               "train": {"expansion": 2, "max-steps": 20}, "report": {"top": 4},
               "eval": {"eval-tokens": 500, "geometry": False, "absorption": False, "meta-sae": False}}
    for out, model, text in (("named", MODEL, f"{DATA}:wikitext-tiny-raw-v1/train"), ("given", str(c.model), str(raw))):
        recipe = c.work / f"{out}.yaml"
        recipe.write_text(json.dumps({"out": str(c.work / out), "text": [text]} | options |
                                     {"collect": options["collect"] | {"model": model}}))
        c.facet("run", recipe)
    for name in ("acts/shard-00000.safetensors", "sae/sae_weights.safetensors"):
        same = (c.work / "named" / name).read_bytes() == (c.work / "given" / name).read_bytes()
        c.that(f"names and paths give the same {name}", same)
    c.that("and a report", (c.work / "named/report.pdf").stat().st_size > 10000)


def check(c):
    data = c.work / "wiki"
    raw = c.work / "wiki.train.raw"
    raw.write_text(make_wikitext(c, data, 300))
    hub = Hub({("models", MODEL): c.model, ("datasets", DATA): data})
    cache = pathlib.Path(c.work) / "hf/hub"
    before = dict(os.environ)
    os.environ |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(cache.parent), "HF_HUB_CACHE": str(cache),
                   "HF_HUB_OFFLINE": "0", "no_proxy": "*"}
    try:
        c.facet("fetch", MODEL)
        c.facet("fetch", DATA, "--type", "dataset")
        theirs = caches_are_equal(c, hub.url, cache)
        hub.requests.clear()
        os.environ["HF_HUB_CACHE"] = str(theirs)
        c.facet("fetch", MODEL)
        c.that("what the library fetched is not fetched again", [r[0] for r in hub.requests] == ["GET"], hub.requests)
        os.environ["HF_HUB_CACHE"] = str(cache)
        hub.close()
        library_finds(c, cache)
        names_feed_a_run(c, raw)
    finally:
        hub.close()
        os.environ.clear()
        os.environ.update(before)
