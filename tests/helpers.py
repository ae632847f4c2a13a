"""What several test files share: small estimators, tiny data, weights, processes."""

import os
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import torch

import sknt
from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.datasets import make_copy

ROOT = Path(__file__).parents[1]
SMALL = {
    "memory_size": 6,
    "word_size": 4,
    "hidden_size": 8,
    "max_epochs": 3,
    "random_state": 0,
}
MODEST = SMALL | {"hidden_size": 12, "max_epochs": 4}
"""Parameters of small estimators that still learn enough for their scores to differ."""

tiny_copy = partial(make_copy, 20, n_bits=2, max_length=3)


def small_classifier(**params):
    return NTMSequenceClassifier(**{**SMALL, **params})


def small_regressor(**params):
    return NTMSequenceRegressor(**{**SMALL, **params})


def stepwise_classifier(**params):
    """A small classifier with a label for each step, as the copy task needs."""
    return small_classifier(**{"return_sequences": True, **params})


def weights_of(estimator):
    return torch.cat([p.detach().flatten() for p in estimator.net_.module_.parameters()])


def leaves(state):
    """Tensors of a nested NamedTuple, in order."""
    if isinstance(state, torch.Tensor):
        return [state]
    return [leaf for field in state for leaf in leaves(field)]


def environment(**changes):
    """What a process needs to import the package under test, wherever it runs."""
    package = Path(sknt.__file__).parent
    return {**os.environ, "PYTHONPATH": str(package.parent), **changes}


def in_subprocess(code, cwd=None, **env):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
        env=environment(**env),
    )
