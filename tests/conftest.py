import os

# Before SciPy is imported: without it scikit-learn skips its array-API checks.
os.environ["SCIPY_ARRAY_API"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # one of as many processes as there are cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch

# What imports sknt is imported by the fixtures: test_private_apis.py has to be collected
# even where another library's upgrade keeps sknt from being imported.


OTHERS = ("dnc", "dntm", "sam")
"""Memories beside the NTM."""


def pytest_collection_modifyitems(items):
    """Mark the tests of other memories than the NTM, which compile kernels of their own."""
    for item in items:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        of_module = any(f"_{memory}" in item.path.stem for memory in OTHERS)
        if of_module or any(isinstance(v, str) and v in OTHERS for v in values):
            item.add_marker("other_memory")


@pytest.fixture
def sequences():
    """60 sequences of 2 to 6 steps with 2 features; the label is the first step's sign."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 6, 2))
    lengths = rng.randint(2, 7, size=60)
    X[np.arange(6) >= lengths[:, np.newaxis]] = np.nan
    y = np.where(X[:, 0, 0] > 0, "up", "down")
    return X, y


@pytest.fixture
def values(sequences):
    """The same sequences; the value depends on the first step."""
    X, _ = sequences
    return X, 3 + 10 * X[:, 0, 0]


@pytest.fixture
def model():
    from helpers import MODEST

    from sknt import NTMSequenceClassifier

    return NTMSequenceClassifier(**MODEST)


@pytest.fixture
def torch_seed():
    torch.manual_seed(0)


@pytest.fixture(params=["reference", "fused"])
def backend(request):
    """Both paths have to pass the same tests: fused wherever there are kernels."""
    from network_helpers import make_network

    torch.manual_seed(0)
    make_network.backend = request.param


@pytest.fixture
def half(monkeypatch):
    """Give the network a share whatever it has learned: both parts of a blend count."""
    from blend_helpers import SHARE

    from sknt._base import SequenceEstimator

    choose = SequenceEstimator._choose_share

    def and_then_fix(self, blend):
        choose(self, blend)
        self.network_share_ = SHARE

    monkeypatch.setattr(SequenceEstimator, "_choose_share", and_then_fix)


@pytest.fixture
def blends(monkeypatch):
    """Return a list to which each fit appends its blend."""
    from sknt._base import SequenceEstimator

    seen, begin = [], SequenceEstimator._begin_blend

    def and_remember(self, *args):
        seen.append(begin(self, *args))
        return seen[-1]

    monkeypatch.setattr(SequenceEstimator, "_begin_blend", and_remember)
    return seen
