"""Which memory for what: all memories side by side.

Run ``python benchmarks/memories.py`` from the project's root: Graves' tasks (how many
sequences until they are learned, and how well they are then done at greater lengths), with
one set of settings and with those that suit a memory and a task; the network's part alone
on real series; the cost of a step; and the DNC without each of its options. Each result is
written to ``benchmarks/memories/`` as soon as it is there, and what is there is not
repeated: the run can be stopped and continued. ``--what tasks suited series cost options``,
``--tasks``, ``--sets``, ``--memories``, ``--options``, ``--seeds`` and ``--first-seed``
choose a part.
``--wheels`` is as for ``real.py``. ``--table`` only writes ``benchmarks/memories.md``,
which otherwise happens at the end.

All memories have 128 rows of 20 numbers, one read and one write head and the same
controller. The one set of settings was chosen with the NTM, for which it serves all three
tasks.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from statistics import mean, median
from tempfile import gettempdir

import _real_data
import learning
import numpy as np
import real
import torch
from filelock import FileLock

from sknt.datasets import make_copy
from sknt.memories import MEMORIES
from sknt.nn import SequenceNetwork

RESULTS = Path(__file__).parent / "memories"
TABLE = RESULTS.with_suffix(".md")
NAMES = {name: name for name in MEMORIES} | {"none": None}
TASKS = ("copy", "recall", "repeat copy")
SETS = ("JapaneseVowels", "ItalyPowerDemand", "GunPoint", "ArrowHead", "tunes", "gait")
OPTIONS = ("masked_content", "deallocate", "sharpen_links")
ALL = dict.fromkeys(OPTIONS, True)
VARIANTS = {
    "all": ALL,
    **{f"without {name}": {**ALL, name: False} for name in OPTIONS},
    "none of them": dict.fromkeys(OPTIONS, False),
}
N_OPTION_SEEDS = 3


def make_copies(n_samples, *, n_copies=3, **params):
    """Draw several copy tasks, one after the other, for a memory too small to keep all."""
    X, y = make_copy(n_copies * n_samples, max_length=8, **params)
    X, y = (part.reshape(n_samples, -1, part.shape[2]) for part in (X, y))
    order = np.argsort(np.isnan(X).all(axis=2), axis=1, kind="stable")[..., np.newaxis]
    return np.take_along_axis(X, order, axis=1), np.take_along_axis(y, order, axis=1)


ALL_TASKS = {
    **learning.TASKS,
    "copies": learning.TASKS["copy"]._replace(
        make=make_copies, beyond={f"{n} copies": {"n_copies": n} for n in (6, 12)}
    ),
}
SIZES = {"copies": {"memory_size": 16}}
OF_OPTIONS = ("copy", "recall", "copies")
"""The tasks that the DNC's options are compared on; rows have to be used again in one."""
ONE = {"optimizer": "muon-adam", "consolidation": 3.0}
"""The settings of all tasks and memories; the rest are the estimators' defaults."""

COPY, RECALL = learning.TASKS["copy"].params, learning.TASKS["recall"].params
SMALL_STEPS = {"optimizer": "muon", "learning_rate": 0.005}
SHIFTS = {"memory_params": {"shift_range": 1, "address_size": 1}}
WIDE = {
    "word_size": 48,
    "n_read_heads": 2,
    "learning_rate": 0.007,
    "schedule": "cosine",
    "memory_params": {"address_size": 12},
}
SUITED = {
    ("ntm", "copy"): ("ntm", 60, COPY),
    ("ntm", "recall"): ("ntm", 100, RECALL),
    ("dnc", "copy"): ("dnc", 60, COPY),
    ("dnc", "recall"): ("dnc", 100, RECALL),
    ("dntm with shifts", "copy"): ("dntm", 60, {**COPY, **SHIFTS}),
    ("dntm with shifts", "recall"): ("dntm", 100, {**RECALL, **SHIFTS}),
    ("dntm", "copy"): ("dntm", 60, COPY),
    ("dntm", "recall"): ("dntm", 140, {**RECALL, **WIDE}),
    ("sam", "copy"): ("sam", 100, {**ONE, "word_size": 64}),
    ("sam", "recall"): ("sam", 100, {**RECALL, **SMALL_STEPS, "word_size": 128}),
}
"""Settings that suit a memory on a task: memory, epochs and the estimator's parameters."""

LATER = {"dnc": 5, ("sam", "copy"): 10}
"""By how much seeds are later, where the others had a say in defaults or settings."""

FIRST_SEED = 600


def load(name):
    """Read the results of one kind."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else []


def keep(name, this, measure):
    """Measure and write a result, unless it is there."""
    if any(this.items() <= row.items() for row in load(name)):
        return
    row = {**this, **measure()}
    print(name, {k: v for k, v in row.items() if k != "curve"}, flush=True)
    RESULTS.mkdir(exist_ok=True)
    with FileLock(Path(gettempdir()) / "sknt_memories.lock"):  # two may run at once
        lines = ",\n".join(map(json.dumps, [*load(name), row]))
        (RESULTS / f"{name}.json").write_text(f"[\n{lines}\n]\n")


def run_task(name, memory, seed, **params):
    """Train on a task with the one set of settings; return the results."""
    task = ALL_TASKS[name]._replace(params={**ONE, **SIZES.get(name, {})})
    if NAMES[memory] is None:  # it does not get there
        task = task._replace(n_chunks=task.lstm_chunks, n_beyond=50)
    return learning.run(name, task, seed, memory=NAMES[memory], **params)


def run_suited(model, name, seed):
    """Train on a task with settings that suit the memory; return the results."""
    memory, n_chunks, params = SUITED[model, name]
    task = learning.TASKS[name]._replace(params=params, n_chunks=n_chunks)
    return learning.run(name, task, seed, memory=memory)


def run_set(name, memory, seed):
    """Train the network alone on real series; return the score and the seconds."""
    source = real.SETS[name]
    alone = {} if source.steps else {"n_convolutions": 0}
    make = partial(real.memory_network, memory=NAMES[memory], **alone)
    data = real.SETS[name].load()
    return real.evaluate(source, data, real.Model(make, True, ()), seed)


def cost(memory, batch):
    """Return microseconds of a training step on 41 steps, per sequence and step."""
    torch.set_num_threads(1)
    seconds = {}
    for backend in ("fused", "reference"):
        network = SequenceNetwork(9, 8, memory=NAMES[memory], backend=backend)
        x, times = torch.rand(batch, 41, 9), []
        for _ in range(12 if backend == "fused" else 4):
            begin = time.thread_time()
            network(x)[0].square().mean().backward()
            times.append(time.thread_time() - begin)
        seconds[backend] = median(times[1:]) / batch / 41
    return {name: round(1e6 * value, 1) for name, value in seconds.items()}


def spread(values, digits=0):
    """Return the median and the range of some values; "–" stands for none."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    low, middle, high = (f"{f(known):,.{digits}f}" for f in (min, median, max))
    return middle if low == high else f"{middle} ({low} to {high})"


def table_of_task(name, rows, key, values):
    """Return the lines of a table of what was learned of a task."""
    beyond = list(ALL_TASKS[name].beyond)
    header = [key, "solved", "sequences until then", "final bits"]
    header += [f"wrong bits, {what}" for what in beyond]
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for value in values:
        some = [row for row in rows if row[key] == value]
        if not some:
            continue
        solved = [row["solved"] for row in some]
        n_solved = sum(s is not None for s in solved)
        cells = [value, f"{n_solved} of {len(solved)}", spread(solved)]
        cells.append(spread([row["final"] for row in some], 3))
        for what in beyond:
            wrong = [100 * row["beyond"][what]["wrong bits"] for row in some]
            cells.append(f"{spread(wrong, 2)} %")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def write_tables():
    """Write the page from the results."""
    lines = ["# Memories side by side", ""]
    lines.append("Generated by `python benchmarks/memories.py`.")
    lines += [
        "Each memory has 128 rows of 20 numbers, one read and one write head, and is",
        'trained with `optimizer="muon-adam"`, `consolidation=3` and otherwise the',
        "defaults. Medians over seeds, with the range in parentheses: seeds 600 to 604,",
        "605 to 609 for the DNC, whose options were chosen on the former, and 610 to 614",
        "for copy with suited settings of the sparse access memory.",
    ]
    for name in TASKS:
        if rows := load(f"task {name}"):
            lines += ["", f"## {name.capitalize()}", ""]
            lines += table_of_task(name, rows, "memory", NAMES)
    lines += ["", "## With settings that suit a memory", ""]
    lines.append("The settings are those of `SUITED` in the script.")
    for name in ("copy", "recall"):
        rows = load(f"suited {name}")
        if rows:
            lines += ["", f"{name.capitalize()}:", ""]
            models = dict.fromkeys(model for model, _ in SUITED)
            lines += table_of_task(name, rows, "model", models)
    for name in OF_OPTIONS:
        if rows := load(f"options {name}"):
            lines += ["", f"## {name.capitalize()} by the options of the DNC", ""]
            lines.append(
                "Those of Csordás & Schmidhuber. By default, all but deallocate are on."
            )
            lines += ["", *table_of_task(name, rows, "options", VARIANTS)]
    if rows := load("series"):
        lines += table_of_series(rows)
    if rows := load("cost"):
        lines += table_of_cost(rows)
    TABLE.write_text("\n".join(lines) + "\n")


def table_of_series(rows):
    """Return the lines of the table of real series."""
    used = [name for name in SETS if any(row["set"] == name for row in rows)]
    lines = ["", "## Real series, the network alone", ""]
    lines.append("Mean accuracy (R² for gait), and CPU seconds of a fit in parentheses.")
    lines += ["", f"| memory | {' | '.join(used)} |", "|---" * (len(used) + 1) + "|"]
    for memory in NAMES:
        cells = []
        for name in used:
            some = [r for r in rows if (r["set"], r["memory"]) == (name, memory)]
            score = mean([r["score"] for r in some]) if some else None
            fit = mean([r["fit"] for r in some]) if some else None
            cells.append("–" if score is None else f"{score:.3f} ({fit:.1f})")
        lines.append(f"| {memory} | {' | '.join(cells)} |")
    return lines


def table_of_cost(rows):
    """Return the lines of the table of the cost of a step."""
    batches, lines = (1, 16), ["", "## Cost of a training step, one thread", ""]
    lines.append("Microseconds per sequence and step, fused (reference).")
    lines += [
        "",
        f"| memory | {' | '.join(f'batch {b}' for b in batches)} |",
        "|---|---|---|",
    ]
    for memory in NAMES:
        cells = [
            f"{row['fused']} ({row['reference']})"
            for batch in batches
            for row in rows
            if (row["memory"], row["batch"]) == (memory, batch)
        ]
        if cells:
            lines.append(f"| {memory} | {' | '.join(cells)} |")
    return lines


def main():
    """Run what was asked for, and write the table."""
    parser = argparse.ArgumentParser()
    parts = ["tasks", "suited", "series", "cost", "options"]
    parser.add_argument("--what", nargs="+", choices=parts, default=parts)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--memories", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--options", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--wheels", type=Path, default=_real_data.WHEELS)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    _real_data.WHEELS = given.wheels
    seeds = [] if given.table else range(given.first_seed, given.first_seed + given.seeds)
    for seed in seeds:
        for memory in given.memories:
            of_run = seed + LATER.get(memory, 0)
            this = {"memory": memory, "seed": of_run}
            for name in given.tasks if "tasks" in given.what else ():
                keep(f"task {name}", this, partial(run_task, name, memory, of_run))
            for name in given.sets if "series" in given.what else ():
                run = partial(run_set, name, memory, of_run)
                keep("series", {"set": name, **this}, run)
        for model, name in SUITED if "suited" in given.what else ():
            if SUITED[model, name][0] in given.memories:
                of_run = seed + LATER.get((model, name), LATER.get(model, 0))
                this = {"model": model, "seed": of_run}
                keep(f"suited {name}", this, partial(run_suited, model, name, of_run))
    for seed in seeds[:N_OPTION_SEEDS] if "options" in given.what else ():
        for variant in given.options:
            options = VARIANTS[variant]
            for name in OF_OPTIONS:
                this = {"options": variant, "seed": seed}
                run = partial(run_task, name, "dnc", seed, memory_params=options)
                keep(f"options {name}", this, run)
    for memory in given.memories if "cost" in given.what and not given.table else ():
        for batch in (1, 16):
            this = {"memory": memory, "batch": batch}
            keep("cost", this, partial(cost, memory, batch))
    write_tables()


if __name__ == "__main__":
    main()
