"""The sqlite3 module of Python opens features.db, and finds the tables that docs/FORMATS.md lists.

SPDX-License-Identifier: Apache-2.0
"""

import re
import sqlite3

import numpy

TABLES = {
    "run": "key value",
    "feature": "id max mean_active frequency n_active sum is_dead decoder_norm encoder_bias token_error hist",
    "example": "id feature kind rank value row doc position",
    "context": "example peak n token_ids activations before token after",
    "feature_token": "feature rank token share n",
    "document": "id title source line n_tokens",
    "l0_histogram": "l0 n_rows",
    "token": "id piece bytes",
}


def documented(text):
    """Words in code type in the section on features.db."""
    section = re.search(r"^#+ .*features\.db.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", section.group(0))))) if section else set()


def contexts(c, db):
    """Blobs are arrays; their peak is the example's value."""
    is_right = True
    columns = "e.value, c.peak, c.n, c.token_ids, c.activations"
    rows = db.execute(f"SELECT {columns} FROM context c JOIN example e ON e.id = c.example")
    for value, peak, n, ids, activations in rows:
        f = numpy.frombuffer(activations, "<f4")
        is_right &= len(numpy.frombuffer(ids, "<i4")) == n == len(f) and abs(f[peak] - value) < 1e-6
    c.that("contexts: arrays of n, the peak is the example's value", is_right)


def check(c):
    db = sqlite3.connect(f"file:{c.run}/features.db?mode=ro&immutable=1", uri=True)
    c.that("integrity_check", db.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    c.that("tables", tables == set(TABLES), sorted(tables ^ set(TABLES)) or "")
    words = documented((c.source / "docs/FORMATS.md").read_text(encoding="utf-8"))
    for table, columns in TABLES.items():
        found = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        c.that(f"{table}: columns", found == columns.split(), "" if found == columns.split() else found)
        missing = [name for name in [table, *found] if name not in words]
        c.that(f"{table}: docs/FORMATS.md names it all", not missing, " ".join(missing))
    n, n_bins = db.execute("SELECT count(*), min(length(hist)) FROM feature").fetchone()
    c.that("feature: one row each, histograms of 50 bins", n == 512 and n_bins == 400)
    n_rows = db.execute("SELECT sum(n_rows) FROM l0_histogram").fetchone()[0]
    c.that("l0_histogram: all rows", n_rows == 2000, n_rows)
    contexts(c, db)
    strongest = db.execute("SELECT feature, token, title FROM strongest WHERE rank = 1 ORDER BY value DESC").fetchone()
    c.that("the view 'strongest'", strongest is not None and isinstance(strongest[1], str), strongest)
