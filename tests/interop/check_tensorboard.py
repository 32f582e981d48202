"""TensorBoard reads the log, also of a run that was stopped and resumed.

SPDX-License-Identifier: Apache-2.0
"""

import csv
import shutil
import time

import numpy
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

TAGS = {"loss/total": "total", "loss/mse": "mse", "loss/l1": "l1", "sparsity/l0": "l0", "sparsity/dead": "dead",
        "lr": "lr"}


def read_log(run):
    log = EventAccumulator(str(run), size_guidance={"scalars": 0, "histograms": 0})  # 0: keep all
    return log.Reload()


def same_as_csv(c, run, log):
    with open(run / "metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    c.that("metrics.csv has a line after every tenth step", steps == [10, 20, 30, 40, 50], steps)
    c.that("scalar tags", sorted(log.Tags()["scalars"]) == sorted(TAGS), sorted(log.Tags()["scalars"]))
    for tag, column in TAGS.items():
        events = log.Scalars(tag)
        expected = numpy.array([float(row[column]) for row in rows])
        found = numpy.array([event.value for event in events])
        is_same = [event.step for event in events] == steps and numpy.allclose(found, expected, rtol=2e-7, atol=0)
        c.that(f"{tag} as in metrics.csv", is_same)


def histogram(c, run, log):
    """features/max at the last step: of the maxima that lie in the checkpoint."""
    events = log.Histograms("features/max")
    c.that("features/max at steps 25 and 50", [event.step for event in events] == [25, 50])
    state = load_file(run / "checkpoints/step-00000050.safetensors")
    maxima = numpy.maximum(state["max.epoch"], state["max.before"]).astype(numpy.float64)
    value = events[-1].histogram_value
    counts, _ = numpy.histogram(maxima, bins=numpy.array([-1e308] + list(value.bucket_limit)))
    c.that("its extremes, number and sum", value.num == maxima.size and value.min == maxima.min()
           and value.max == maxima.max() and numpy.isclose(value.sum, maxima.sum(), rtol=1e-9))
    c.that("its buckets hold all values", sum(value.bucket) == maxima.size and
           abs(counts - numpy.array(value.bucket)).sum() <= 4)  # a value on a border may fall to either side


def check(c):
    log = read_log(c.run)
    same_as_csv(c, c.run, log)
    histogram(c, c.run, log)

    # As if killed after step 40's checkpoint: what the first log has beyond it must not count twice.
    resumed = c.work / "resumed"
    shutil.copytree(c.run, resumed)
    (resumed / "checkpoints/step-00000050.safetensors").unlink()
    time.sleep(1.1)  # files of the log are read in the order of the second in their names
    c.facet("train", "--acts", c.acts, "--recipe", "seed", "--expansion", 2, "--max-steps", 50, "--log-every", 10,
            "--histogram-every", 25, "--checkpoint-every", 20, "--out", resumed, "--resume")
    c.that("resumed: two event files", len(list(resumed.glob("events.out.tfevents.*"))) == 2)
    c.that("resumed: metrics.csv has the same bytes",
           (resumed / "metrics.csv").read_bytes() == (c.run / "metrics.csv").read_bytes())
    log = read_log(resumed)
    same_as_csv(c, resumed, log)
    histogram(c, resumed, log)
