"""
What does this name refer to? Looking up what was read before
=============================================================

In the source code of a function, values are assigned to names, and the names are used
many lines further down. To know what kind of value a name stands for, one has to look up
its latest assignment. That is what a memory is for: this example compares a memory network
with a bare LSTM on functions from modules that neither has seen, and on longer ones than
any in training.

The data are the functions of Python's own standard library, so there is nothing to
download. The numbers depend a little on the version of Python. The example takes a little
more than a minute on one core.
"""

import os
import time

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GroupShuffleSplit

from sknt import NTMSequenceClassifier
from sknt.datasets import load_source_variables
from sknt.inspection import MemoryTraceDisplay

max_epochs = int(os.environ.get("SKNT_EXAMPLE_EPOCHS", "5"))

# %%
# Each step is an assignment, which says what kind of value a name gets ("call" for
# ``x = f()``), or a use of a name, at which the kind is to be told. Names are given as
# twelve bits of a checksum. Many names of the test set do not occur in the training set,
# so a model cannot just learn them by heart.

X, y, modules = load_source_variables(max_length=200)
lengths = np.array([len(x) for x in X])
split = GroupShuffleSplit(n_splits=1, test_size=0.33, random_state=0)
train, test = next(split.split(X, groups=modules))
train, longer, test = (
    train[lengths[train] <= 60],
    test[lengths[test] > 60],
    test[lengths[test] <= 60],
)


def take(rows):
    """Return some of the functions."""
    return [X[i] for i in rows], [y[i] for i in rows]


parts = {"training": train, "other modules": test, "other modules, longer": longer}
for name, rows in parts.items():
    print(f"{name}: {len(rows)} functions of {lengths[rows].mean():.0f} steps")

# %%
# Look-up is learned fast with Muon and batches of 8. The bare LSTM gets the same settings,
# and as many epochs. With the default optimizer it does better (``benchmarks/memory.md``),
# but not nearly as well as the memory network.

memory_network = NTMSequenceClassifier(
    return_sequences=True,
    optimizer="muon-adam",
    batch_size=8,
    max_epochs=max_epochs,
    random_state=0,
)
bare_lstm = clone(memory_network).set_params(memory=None)
models = {"memory network": memory_network, "bare LSTM": bare_lstm}
for name, model in models.items():
    start = time.perf_counter()
    model.fit(*take(train))
    print(f"{name}: fitted in {time.perf_counter() - start:.0f} s")

# %%
# The memory network is nearly always right, in modules that it has not seen as well. The
# bare LSTM keeps only some of the assignments in mind, and fewer in longer functions.

fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
places = np.arange(len(parts))
for i, (name, model) in enumerate(models.items()):
    scores = {part: model.score(*take(rows)) for part, rows in parts.items()}
    print(f"{name}: " + ", ".join(f"{part} {s:.3f}" for part, s in scores.items()))
    bars = ax.bar(places + 0.4 * i - 0.2, list(scores.values()), width=0.38, label=name)
    ax.bar_label(bars, fmt="%.3f")
ax.set_xticks(places, list(parts))
ax.set(ylabel="accuracy", ylim=(0, 1.3))
ax.legend(loc="upper center", ncols=2)
fig.savefig("variables_accuracy.png", dpi=120)

# %%
# Which rows of the memory were read and written in one function of the test set: at a use,
# the read head goes to the row where the name was last assigned.

shown = test[np.argmin(np.abs(lengths[test] - 40))]
trace = MemoryTraceDisplay.from_estimator(memory_network, X[shown]).plot()
trace.figure_.suptitle("One function: inputs, and where the heads wrote and read")
trace.figure_.savefig("variables_heads.png", dpi=120)
plt.close("all")
print("Figures: variables_accuracy.png, variables_heads.png")
