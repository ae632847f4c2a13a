"""What the tests of saving and loading share: round trips, and equality to the bit."""

import struct
from collections import deque

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import nn

import sknt


def round_trip(model, folder, **options):
    path = folder / "model.sknt"
    sknt.save(model, path)
    return sknt.load(path, **options)


def carrying(value):
    """An estimator that holds any value, which nothing has checked yet."""
    return sknt.NTMSequenceClassifier(net_params={"optimizer__x": value})


def carried(model):
    return model.net_params["optimizer__x"]


def assert_same(a, b, path="model"):
    """Assert that two values are of the same types and equal in every bit."""
    assert type(a) is type(b), path
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), path
        contiguous = [(x.flags.c_contiguous, x.flags.f_contiguous) for x in (a, b)]
        assert contiguous[0] == contiguous[1] or not all(map(any, contiguous)), path
        if a.dtype == object:
            assert_same(a.ravel().tolist(), b.ravel().tolist(), path)
        else:
            assert a.tobytes() == b.tobytes(), path
    elif isinstance(a, float) and type(a) is float:
        assert struct.pack("d", a) == struct.pack("d", b), (path, a, b)
    elif isinstance(a, np.generic):
        assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes()), path
    elif isinstance(a, torch.Tensor):
        assert_same(a.detach().cpu().numpy(), b.detach().cpu().numpy(), path)
    elif isinstance(a, nn.Module):
        assert_same(dict(a.state_dict()), dict(b.state_dict()), path)
    elif isinstance(a, torch.optim.Optimizer):
        assert_same(a.state_dict(), b.state_dict(), path)
    elif isinstance(a, np.random.RandomState):
        assert_same(a.get_state(legacy=False), b.get_state(legacy=False), path)
    elif isinstance(a, Callback):  # what ends with _ is made when training begins
        assert_same(a.get_params(), b.get_params(), path)
    elif isinstance(a, dict):
        assert list(a) == list(b) or set(a) == set(b), path
        for key in a:
            assert_same(a[key], b[key], f"{path}[{key!r}]")
    elif isinstance(a, list | tuple | deque):
        assert len(a) == len(b), path
        for i, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f"{path}[{i}]")
    elif isinstance(a, str | int | bytes | set | slice | type | torch.device | np.dtype):
        assert a == b, path
    elif a is not None and hasattr(a, "__getstate__") and not callable(a):
        assert_same(a.__getstate__(), b.__getstate__(), path)
    else:
        assert a is b or type(a) is type(b), path
