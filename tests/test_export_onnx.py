"""ONNX models of estimators, in onnxruntime: equal to predict_proba and predict."""

import io
import json

import numpy as np
import pytest
import torch
from export_helpers import (
    N_FEATURES,
    Program,
    as_X,
    assert_predicts_as,
    export,
    fitted,
    make_sequences,
    predictions,
)

from sknt import NTMSequenceClassifier, NTMSequenceRegressor

LABELS = np.array(["high", "low"] * 10)
INDICATORS = np.random.RandomState(2).randint(2, size=(20, 5, 3))
VALUES = 1000 + 50 * np.random.RandomState(3).normal(size=20)
# Each memory with other options of the network and other targets: everything once.
CASES = {
    "ntm": (NTMSequenceClassifier, LABELS, {"controller": "gru", "n_write_heads": 2}),
    "dnc": (NTMSequenceClassifier, INDICATORS, {"return_sequences": True}),
    "dntm": (NTMSequenceRegressor, VALUES, {"controller": "feedforward"}),
    "sam": (NTMSequenceRegressor, VALUES, {"pooling": "last", "n_read_heads": 2}),
}


@pytest.mark.slow
@pytest.mark.parametrize("memory", CASES)
def test_onnxruntime_predicts_as_the_estimator(memory):
    cls, y, params = CASES[memory]
    model = fitted(cls, y, memory=memory, standardize=True, **params)
    program, onnx = export(model)
    # Values are in units of 1000.
    assert_predicts_as(onnx, model, rtol=1e-5 if y is VALUES else 1e-4)
    assert_predicts_as(Program(program), model)


def test_a_saved_program_predicts_as_the_estimator_and_carries_its_metadata():
    """Of a bare controller, which is exported in the least time."""
    model = fitted(NTMSequenceClassifier, LABELS, memory=None, patch_size=2)
    program, onnx = export(model)
    assert_predicts_as(onnx, model)
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = Program(torch.export.load(file))
    assert_predicts_as(loaded, model)
    x, lengths = make_sequences(4, 6)
    assert (loaded(x, lengths) == Program(program)(x, lengths)).all()

    assert [i.name for i in onnx.session.get_inputs()] == ["x", "lengths"]
    assert [o.name for o in onnx.session.get_outputs()] == ["probabilities"]
    assert onnx.session.get_inputs()[0].shape == ["batch", "steps", N_FEATURES]
    assert json.loads(onnx.metadata["classes"]) == ["high", "low"]
    assert onnx.metadata["estimator"] == "NTMSequenceClassifier"
    assert b"site-packages" not in onnx.content
    assert b"sknt/nn" not in onnx.content  # no paths of the machine that it was made on

    lengths[:3] = 0, 7, -1  # the last one is 6 steps long, as many as there are
    for run in (onnx, loaded):
        assert np.isnan(run(x, lengths)).all(axis=1).tolist() == [True] * 3 + [False]
        x[3, 2, 1] = np.inf
        assert np.isnan(run(x, lengths)).all()
        x[3, 2, 1] = 0


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_regression_on_convolutions_is_exported_with_its_share(share, monkeypatch):
    def choose(self, blend):
        self.network_share_ = share

    monkeypatch.setattr(NTMSequenceClassifier, "_choose_share", choose)
    model = fitted(NTMSequenceClassifier, LABELS, memory=None, n_convolutions=168)
    assert model.network_share_ == share
    program, onnx = export(model)
    exact = {"rtol": 1e-12, "atol": 1e-12} if share == 0 else {}
    assert_predicts_as(onnx, model, **exact)
    assert_predicts_as(Program(program), model, **exact)
    # Far from the amplitude in training: the features have units of their own.
    x, lengths = make_sequences(4, 8)
    for factor in (0, 1e-6, 1e6):
        scaled = (factor * x).astype(np.float32)
        expected = predictions(model, as_X(scaled, lengths))
        np.testing.assert_allclose(onnx(scaled, lengths), expected, atol=1e-5)
