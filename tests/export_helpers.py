"""Exported estimators and networks, and comparisons with what they are exported from."""

import numpy as np
import onnxruntime
import torch
from helpers import SMALL

import sknt
from sknt.exporting._onnx import find_translations, to_onnx

N_FEATURES = 2
# Batches of other sizes than the example that is recorded, the smallest ones included.
SHAPES = [(1, 1), (3, 4), (6, 13)]
PRECISION = {"rtol": 1e-4, "atol": 1e-5}
"""Of a network in single precision, after a dozen steps that each multiply rounding."""


def make_sequences(n_samples, n_steps, seed=0):
    """Padded sequences of mixed lengths, of 1 step and of all of them among others."""
    rng = np.random.RandomState(seed)
    x = rng.normal(size=(n_samples, n_steps, N_FEATURES)).astype(np.float32)
    lengths = rng.randint(1, n_steps + 1, size=n_samples)
    lengths[0], lengths[-1] = 1, n_steps
    return x, lengths


def as_X(x, lengths):
    """The same sequences as estimators take them."""
    X = x.astype(np.float64)
    X[np.arange(x.shape[1]) >= lengths[:, np.newaxis]] = np.nan
    return X


def fitted(cls, y, n_samples=20, **params):
    """A small estimator, fitted without the kernels."""
    X = as_X(*make_sequences(n_samples, 5, seed=1))
    own = {"max_epochs": 1, "backend": "reference", "n_convolutions": 0, **params}
    return cls(**SMALL | own).fit(X, y)


def predictions(model, X):
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


class Onnx:
    """An estimator's ONNX model, run by onnxruntime."""

    def __init__(self, model, program):
        self.content = to_onnx(program, model, find_translations())
        self.session = onnxruntime.InferenceSession(self.content)
        self.metadata = self.session.get_modelmeta().custom_metadata_map

    def __call__(self, x, lengths):
        return self.session.run(None, {"x": x, "lengths": lengths})[0]


class Program:
    """An estimator's program of torch."""

    def __init__(self, program):
        self.module = program.module()

    def __call__(self, x, lengths):
        with torch.no_grad():
            return self.module(torch.from_numpy(x), torch.from_numpy(lengths)).numpy()


def assert_predicts_as(run, model, **precision):
    for shape in SHAPES:
        x, lengths = make_sequences(*shape)
        expected = predictions(model, as_X(x, lengths))
        # Whatever follows a sequence's end must not count.
        x[np.arange(shape[1]) >= lengths[:, np.newaxis]] = [np.nan, 1e30]
        got = run(x, lengths)
        assert got.shape == expected.shape
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, **PRECISION | precision)


def export(model):
    """The program of an estimator, and the same in ONNX."""
    program = sknt.export_program(model)
    return program, Onnx(model, program)
