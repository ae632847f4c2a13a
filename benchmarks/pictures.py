"""Figures for the README: learning curves, outputs beyond training, and the heads.

Run ``python benchmarks/pictures.py`` from the project's root after
``benchmarks/learning.py``. It takes about two minutes, because it trains on copy, repeat
copy and recall once more to show what the heads do. The figures correspond to figures 3, 4,
6, 7, 8, 10, 11, 12, 13 and 18 of Graves, Wayne & Danihelka (2014).
"""

from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from learning import TASKS, load

from sknt import NTMSequenceClassifier
from sknt.inspection import MemoryTraceDisplay

FOLDER = Path(__file__).parents[1] / "docs" / "images"
SEED = 870
SHOWN = {
    "copy": {"min_length": 20, "max_length": 20},
    "repeat copy": {"min_length": 7, "max_length": 7, "min_repeats": 5, "max_repeats": 5},
    "recall": {"min_items": 6, "max_items": 6},
}


def curves():
    """Plot the learning curves of all tasks and seeds."""
    names = [name for name in TASKS if load(name)]
    figure, axes = plt.subplots(1, len(names), figsize=(3.2 * len(names), 2.8))
    for axis, name in zip(np.atleast_1d(axes), names, strict=True):
        for row in load(name):
            shown, bits = np.transpose(row["curve"])
            ours = row["model"] == "NTM"
            color, label = ("C0", "NTM") if ours else ("C1", "LSTM")
            axis.plot(shown / 1000, bits, color=color, label=label, lw=0.8, alpha=0.7)
        if TASKS[name].solved:
            axis.set_yscale("log")
        axis.set_title(name)
        axis.set_xlabel("sequences (thousands)")
    axes = np.atleast_1d(axes)
    axes[0].set_ylabel("bits per sequence")
    handles, labels = axes[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes[0].legend(unique.values(), unique.keys())
    save(figure, "learning_curves.png")


def train(name):
    """Train a model as the benchmark does."""
    task = TASKS[name]
    model = NTMSequenceClassifier(
        return_sequences=True,
        max_epochs=task.n_chunks,
        random_state=SEED,
        **task.params,
    )
    return model.fit(partial(task.make, task.chunk))


def outputs(model):
    """Plot targets and outputs of copies up to six times as long as in training."""
    lengths = (10, 20, 40, 120)
    widths = {"width_ratios": [max(length, 20) for length in lengths]}
    figure, axes = plt.subplots(2, len(lengths), figsize=(11, 2.2), gridspec_kw=widths)
    for column, length in zip(axes.T, lengths, strict=True):
        X, y = TASKS["copy"].make(1, min_length=length, max_length=length, random_state=1)
        proba = model.predict_proba(X)[0, length + 1 :]
        for axis, values in zip(column, (y[0, length + 1 :], proba), strict=True):
            axis.imshow(values.T, vmin=0, vmax=1, aspect="auto", cmap="viridis")
            axis.set_yticks([])
        column[0].set_xticks([])
        column[0].set_title(f"length {length}")
    axes[0, 0].set_ylabel("targets")
    axes[1, 0].set_ylabel("outputs")
    save(figure, "copy_outputs.png")


def heads(name, model):
    """Plot what the heads do in one sequence."""
    X, _ = TASKS[name].make(1, random_state=2, **SHOWN[name])
    display = MemoryTraceDisplay.from_estimator(model, X[0]).plot()
    display.figure_.suptitle(name)
    save(display.figure_, f"heads_{name.replace(' ', '_')}.png")


def save(figure, name):
    """Save a figure."""
    FOLDER.mkdir(exist_ok=True)
    figure.savefig(FOLDER / name, dpi=80, bbox_inches="tight")
    plt.close(figure)


def main():
    """Plot everything."""
    curves()
    for name in SHOWN:
        model = train(name)
        heads(name, model)
        if name == "copy":
            outputs(model)


if __name__ == "__main__":
    main()
