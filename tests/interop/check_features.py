"""The sqlite3 module of Python opens features.db, and finds the tables that docs/FORMATS.md lists.

SPDX-License-Identifier: Apache-2.0
"""

import re
import sqlite3

import numpy


def documented(text):
    """Tables and their columns, from the table of docs/FORMATS.md: | `name` | a row for each | `column`, ... |"""
    section = re.search(r"^## features\.db.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL).group(0)
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    return {row[1].strip(" `"): re.findall(r"`(\w+)`", row[3].split(":")[0]) for row in rows}


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
    expected = documented((c.source / "docs/FORMATS.md").read_text(encoding="utf-8"))
    c.that("tables", tables == set(expected), sorted(tables ^ set(expected)) or len(tables))
    for table, columns in expected.items():
        found = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        c.that(f"{table}: columns", found == columns, "" if found == columns else found)
    n, n_bins = db.execute("SELECT count(*), min(length(hist)) FROM feature").fetchone()
    c.that("feature: one row each, histograms of 50 bins", n == 512 and n_bins == 400)
    n_rows = db.execute("SELECT sum(n_rows) FROM l0_histogram").fetchone()[0]
    c.that("l0_histogram: all rows", n_rows == 2000, n_rows)
    contexts(c, db)
    strongest = db.execute("SELECT feature, token, title FROM strongest WHERE rank = 1 ORDER BY value DESC").fetchone()
    c.that("the view 'strongest'", strongest is not None and isinstance(strongest[1], str), strongest)
