"""The fused path compared with the reference path and torch's LSTM.

Run ``python benchmarks/speed.py > benchmarks/speed.md`` from the project's root (about
twelve minutes on two cores; the tables of whole fits need the ``examples`` extra).
Everything is measured in one run. Each round times every candidate once, in turn, so that
other load on the machine affects all of them alike. The tables show medians over rounds.
"""

import os
import subprocess
import sys
import textwrap
import time
from itertools import product
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV

from sknt import NTMSequenceClassifier, pad_sequences
from sknt.datasets import make_copy
from sknt.kernels import engine
from sknt.memories import MEMORIES
from sknt.nn import SequenceNetwork

N_STEPS, N_INPUTS, N_OUTPUTS, HIDDEN = 41, 9, 8, 100
BARS = [(1, 20, 1.5), (4, 10, 1.5), (16, 8, 1.77), (64, 5, 1.77), (256, 4, 1.77)]
"""Batches, and how much faster than the reference and slower than the LSTM to be."""


def training_step(network, x, lengths=None):
    """Make one forward and backward pass."""
    network(x, lengths)[0].square().mean().backward()
    for parameter in network.parameters():
        parameter.grad = None


class BareLSTM(torch.nn.Module):
    """The baseline: an LSTM with a linear layer."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(N_INPUTS, HIDDEN, batch_first=True)
        self.linear = torch.nn.Linear(HIDDEN, N_OUTPUTS)

    def forward(self, x, lengths=None):
        """Return a tuple of the outputs alone."""
        return (self.linear(self.lstm(x)[0]),)


def race(candidates, seconds=4.0, most=200):
    """Return the median seconds of each candidate, timed in turn."""
    for run in candidates.values():
        run()
    times = {name: [] for name in candidates}
    end = time.perf_counter() + seconds
    while len(next(iter(times.values()))) < most:
        for name, run in candidates.items():
            begin = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begin)
        if time.perf_counter() > end and len(times[name]) >= 3:
            break
    return {name: median(values) for name, values in times.items()}


def flops_of_a_step(network):
    """Count the multiplications and additions of training on one step of one sequence.

    Matrix products and the memory's sums count once forward and twice backward.
    """
    memory = network.cell.memory
    heads = memory.n_read_heads + memory.n_write_heads
    weights = sum(
        parameter.numel()
        for name, parameter in network.named_parameters()
        if parameter.ndim == 2 and "initial" not in name
    )
    rows = memory.memory_size * memory.word_size
    passes = heads + 1 + memory.n_read_heads + 2 * memory.n_write_heads
    return 3 * 2 * (weights + rows * passes)


def peak_flops():
    """Measure the floating-point operations per second of a matrix product on this core."""
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    return 2 * 1024**3 / race({"product": lambda: a @ b}, seconds=1.0)["product"]


def table(header, rows):
    """Print a table."""
    print("\n| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def bars():
    """Compare with the reference path and the LSTM over batch sizes."""
    torch.set_num_threads(1)
    networks = {
        "fused": SequenceNetwork(N_INPUTS, N_OUTPUTS, backend="fused"),
        "reference": SequenceNetwork(N_INPUTS, N_OUTPUTS, backend="reference"),
        "lstm": BareLSTM(),
    }
    flops, peak = flops_of_a_step(networks["fused"]), peak_flops()
    limit = flops / peak
    print("\n## One thread, 128 x 20, one read and one write head, 41 steps of 9 inputs")
    print("\nMicroseconds per sequence and step, forward and backward together. The FLOP")
    print(f"limit: {flops / 1e3:.0f} kFLOP at {peak / 1e9:.0f} GFLOP/s, the speed of a")
    print(f"matrix product on this core, take {limit * 1e6:.1f} µs.")

    def rows():
        for batch, slower, longer in BARS:
            x = torch.rand(batch, N_STEPS, N_INPUTS)
            times = race(
                {k: lambda n=n, x=x: training_step(n, x) for k, n in networks.items()},
                seconds=25,
            )
            fused, reference, lstm = (
                times[name] / batch / N_STEPS for name in ("fused", "reference", "lstm")
            )
            yield [
                f"{batch}",
                *(f"{1e6 * t:.1f}" for t in (fused, lstm, reference)),
                f"{reference / fused:.1f} x (at least {slower})",
                f"{fused / lstm:.2f} x (at most {longer})",
                f"{fused / limit:.1f} x (at most 2.5)",
            ]

    header = ["batch", "fused", "LSTM", "reference", "speed-up over reference"]
    table([*header, "relative to the LSTM", "relative to the FLOP limit"], rows())


def family():
    """Compare the kernels of all memories with their reference paths."""
    print("\n## All memories, one thread, 41 steps of 9 inputs, one write head")
    print("\nMilliseconds per time step of the whole batch, forward and backward.")
    shapes = [(64, 16, 4), (128, 20, 1)]

    def rows():
        for memory in MEMORIES:
            for (n, width, heads), batch in product(shapes, (1, 16)):
                x, candidates = torch.rand(batch, N_STEPS, N_INPUTS), {}
                for backend in ("fused", "reference"):
                    network = SequenceNetwork(
                        N_INPUTS,
                        N_OUTPUTS,
                        memory=memory,
                        memory_size=n,
                        word_size=width,
                        n_read_heads=heads,
                        backend=backend,
                    )
                    candidates[backend] = lambda n=network, x=x: training_step(n, x)
                times = race(candidates, seconds=4)
                yield [
                    memory,
                    f"{n} x {width}, {heads}",
                    f"{batch}",
                    *(f"{1e3 * t / N_STEPS:.3f}" for t in times.values()),
                    f"{times['reference'] / times['fused']:.1f} x",
                ]

    header = ["memory", "rows x width, read heads", "batch", "fused", "reference"]
    table([*header, "speed-up"], rows())


def first_use():
    """Measure how long a new machine compiles before a prediction, and before an update."""
    print("\n## The first use on a machine: seconds of compilation")
    code = """
        import sys, time, torch
        from sknt.nn import SequenceNetwork
        network, x = SequenceNetwork(9, 8, memory=eval(sys.argv[1])), torch.rand(2, 3, 9)
        begin = time.perf_counter()
        with torch.no_grad():
            network(x)
        predicted = time.perf_counter()
        network(x)[0].sum().backward()
        print(predicted - begin, time.perf_counter() - begin)
    """

    def rows():
        for memory in [*MEMORIES, None]:
            with TemporaryDirectory() as folder:
                seconds = subprocess.run(
                    [sys.executable, "-c", textwrap.dedent(code), repr(memory)],
                    env={**os.environ, "NUMBA_CACHE_DIR": folder},
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout.split()
            yield [str(memory), *(f"{float(s):.1f}" for s in seconds)]

    table(["memory", "until the first prediction", "until the first update"], rows())


def threads():
    """Compare one thread with two."""
    network = SequenceNetwork(N_INPUTS, N_OUTPUTS, backend="fused")
    print("\n## Two threads compared with one")

    def run(n, x):
        torch.set_num_threads(n)
        training_step(network, x)

    def rows():
        for batch in (1, 16, 64, 256):
            x = torch.rand(batch, N_STEPS, N_INPUTS)
            times = race({n: lambda n=n, x=x: run(n, x) for n in (1, 2)}, seconds=10)
            yield [f"{batch}", f"{times[1] / times[2]:.2f} x"]

    table(["batch", "speed-up with two threads"], rows())
    torch.set_num_threads(1)


def sizes():
    """Compare over memory sizes, numbers of heads and numbers of steps."""
    print("\n## Other sizes, one thread, batch 16")
    print("\nOtherwise as above: 128 x 20, one read and one write head, 41 steps.")
    changes = [
        *({"memory_size": n} for n in (16, 64, 128, 512, 1024, 4096)),
        *({"word_size": n} for n in (8, 20, 32, 64)),
        *({"n_read_heads": n, "n_write_heads": n} for n in (1, 2, 4, 8)),
        *({"n_timesteps": n} for n in (10, 41, 200, 2000)),
        *({"controller": name} for name in ("lstm", "gru", "feedforward")),
    ]

    def rows():
        for change in changes:
            options = dict(change)
            n_steps = options.pop("n_timesteps", N_STEPS)
            x = torch.rand(16, n_steps, N_INPUTS)
            candidates = {}
            for backend in ("fused", "reference"):
                network = SequenceNetwork(N_INPUTS, N_OUTPUTS, backend=backend, **options)
                candidates[backend] = lambda n=network, x=x: training_step(n, x)
            times = race(candidates, seconds=4)
            yield [
                ", ".join(f"{name} {value}" for name, value in change.items()),
                *(f"{1e6 * t / 16 / n_steps:.1f}" for t in times.values()),
                f"{times['reference'] / times['fused']:.1f} x",
            ]

    table(["size", "fused, µs", "reference, µs", "speed-up"], rows())


MEMORY_CODE = """
import re, sys, torch
from sknt.nn import SequenceNetwork

def status(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

torch.set_num_threads(1)
network = SequenceNetwork(9, 8, backend=sys.argv[3])
network(torch.rand(1, 2, 9))[0].sum().backward()
open("/proc/self/clear_refs", "w").write("5")  # forget the peak so far
before = status("VmRSS")
x = torch.rand(int(sys.argv[1]), int(sys.argv[2]), 9)
network(x)[0].sum().backward()
print((status("VmHWM") - before) / 1024)
"""


def memory():
    """Measure in a separate process how much memory a training step adds."""
    print("\n## Memory that a training step needs, 128 x 20")
    print(
        "\nBy how much the process grows at its peak, compared with the size of the inputs,"
    )
    print("the outputs and the states at checkpoints √T steps apart.")

    def rows():
        for batch, n_steps in [(8, 20), (8, 200), (8, 2000), (8, 20_000), (1, 100_000)]:
            peaks = []
            for backend in ("fused", "reference"):
                if backend == "reference" and n_steps > 2000:
                    peaks.append("")
                    continue
                done = subprocess.run(
                    [sys.executable, "-c", MEMORY_CODE, str(batch), str(n_steps), backend],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                peaks.append(f"{float(done.stdout):.0f} MiB")
            state = 128 * 20 + 2 * 128 + 20 + 2 * HIDDEN
            needed = n_steps * (N_INPUTS + N_OUTPUTS) + np.ceil(np.sqrt(n_steps)) * state
            yield [
                f"{batch}",
                f"{n_steps:,}",
                *peaks,
                f"{4 * batch * needed / 2**20:.1f} MiB",
            ]

    table(["batch", "steps", "fused", "reference", "inputs, outputs, √T states"], rows())


def fits():
    """Time whole fits, and the part of them that is spent in the kernels."""
    from sktime.datasets import load_japanese_vowels

    print("\n## Whole fits and predictions, one thread, the network alone, 5 epochs")
    utterances, speakers = load_japanese_vowels("train", return_type="df-list")
    X = pad_sequences(utterances)
    X = (X - np.nanmean(X, axis=(0, 1))) / np.nanstd(X, axis=(0, 1))
    X_copy, y_copy = make_copy(n_samples=300, random_state=0)
    X_short = np.random.RandomState(0).normal(size=(10_000, 5, 3))
    alone = {"n_convolutions": 0, "batch_size": 16}
    per_step = {"return_sequences": True}
    tasks = {
        "fit, Japanese vowels": (X, speakers, alone),
        "fit with early stopping, Japanese vowels": (
            X,
            speakers,
            {**alone, "early_stopping": True},
        ),
        "fit, 300 copy sequences": (X_copy, y_copy, {**per_step, "batch_size": 16}),
        "the same in batches of 4": (X_copy, y_copy, {**per_step, "batch_size": 4}),
        "predict, 10,000 sequences of 5 steps": (X_short, None, alone),
    }
    inside = []
    forward, backward = engine.Call.forward, engine.Call.backward

    def timed(function):
        def call(*args):
            begin = time.perf_counter()
            result = function(*args)
            inside.append(time.perf_counter() - begin)
            return result

        return call

    engine.Call.forward, engine.Call.backward = timed(forward), timed(backward)

    def rows():
        for name, (X, y, options) in tasks.items():
            seconds = {}
            for backend in ("reference", "fused"):
                model = NTMSequenceClassifier(
                    backend=backend, max_epochs=5, random_state=0, **options
                )
                if y is None:
                    model.fit(X[:100], X[:100, 0, 0] > 0)
                inside.clear()
                begin = time.perf_counter()
                if y is None:
                    model.predict(X)
                else:
                    model.fit(X, y)
                seconds[backend] = time.perf_counter() - begin
            outside = 1 - sum(inside) / seconds["fused"]
            yield [
                name,
                *(f"{s:.2f} s" for s in seconds.values()),
                f"{seconds['reference'] / seconds['fused']:.1f} x",
                f"{100 * outside:.0f} %",
            ]

    header = ["task", "reference", "fused", "speed-up", "time outside the kernels"]
    table(header, rows())
    engine.Call.forward, engine.Call.backward = forward, backward


def searches():
    """Time a grid search in one process and in two."""
    from sktime.datasets import load_japanese_vowels

    print("\n## A grid search on two cores: 8 fits of 10 epochs on the Japanese vowels")
    utterances, speakers = load_japanese_vowels("train", return_type="df-list")
    X = np.nan_to_num(pad_sequences(utterances))
    grid = {"memory_size": [16, 64], "n_read_heads": [1, 2]}

    def search(n_jobs):
        model = NTMSequenceClassifier(max_epochs=10, n_convolutions=0, random_state=0)
        GridSearchCV(model, grid, cv=2, n_jobs=n_jobs, refit=False).fit(X, speakers)

    torch.set_num_threads(2)
    times = race({n: lambda n=n: search(n) for n in (1, 2)}, seconds=1)
    table(
        [
            "n_jobs=1, two threads per fit",
            "n_jobs=2, one thread per fit",
            "speed-up with n_jobs=2",
        ],
        [[*(f"{t:.1f} s" for t in times.values()), f"{times[1] / times[2]:.2f} x"]],
    )


def main():
    """Print all tables."""
    print("# Speed\n")
    print("Generated by `python benchmarks/speed.py` in one run on two cores.")
    torch.manual_seed(0)
    bars()
    threads()
    family()
    first_use()
    sizes()
    memory()
    fits()
    searches()


if __name__ == "__main__":
    main()
