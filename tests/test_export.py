"""torch.export of networks: any number of sequences and of steps; what is refused."""

import sys

import numpy as np
import pytest
import torch
from export_helpers import as_X, fitted, make_sequences
from helpers import leaves, small_classifier
from network_helpers import LENGTHS, N_INPUTS, make_inputs
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch.export import Dim
from torch.testing import assert_close

import sknt
from sknt.exporting import _onnx
from sknt.nn import SequenceNetwork

SIZES = {"memory_size": 5, "word_size": 3, "hidden_size": 4}
BATCH, STEPS = Dim("batch"), Dim("steps")
OPEN = {"x": {0: BATCH, 1: STEPS}, "lengths": {0: BATCH}}


def assert_same_results(module, network, *inputs, **options):
    results, expected = module(*inputs, **options), network(*inputs, **options)
    assert len(results) == len(expected)
    for part, wanted in zip(results, expected, strict=True):
        for one, other in zip(leaves(part), leaves(wanted), strict=True):
            assert_close(one, other)


@pytest.mark.parametrize(
    ("controller", "options"),
    [
        ("lstm", {"n_layers": 2}),
        ("gru", {"patch_size": 2, "pooling": "concat", "bidirectional": True}),
        ("feedforward", {"pooling": "mean"}),
    ],
)
def test_a_network_is_exported_for_any_number_of_sequences_and_steps(
    controller, options, torch_seed
):
    network = SequenceNetwork(
        N_INPUTS, 2, memory=None, hidden_size=4, controller=controller, **options
    )
    network = network.double().requires_grad_(False)
    program = torch.export.export(network, (make_inputs(), LENGTHS), dynamic_shapes=OPEN)
    module = program.module()
    for lengths in ([3], [1, 5, 2], [9, 1, 9, 4, 2, 6]):
        x = torch.randn(len(lengths), max(lengths), N_INPUTS, dtype=torch.float64)
        assert_same_results(module, network, x, torch.tensor(lengths))


@pytest.mark.slow
def test_states_and_traces_are_those_of_the_ordinary_path(torch_seed):
    network = SequenceNetwork(N_INPUTS, 2, **SIZES).double().requires_grad_(False)
    x, options = make_inputs(), {"return_states": "heads"}
    program = torch.export.export(network, (x, LENGTHS), options)
    network.backend = "reference"
    x, lengths = torch.randn_like(x), LENGTHS.flip(0)
    assert_same_results(program.module(), network, x, lengths, **options)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_lengths_that_cannot_be_checked_give_nan(torch_seed):
    network = SequenceNetwork(N_INPUTS, 2, memory=None, hidden_size=4).double()
    x = make_inputs()
    program = torch.export.export(network, (x, LENGTHS))
    outputs, _ = program.module()(x, torch.tensor([0, 7, 6, -1]))
    impossible = outputs.isnan().flatten(1)
    assert impossible.all(1).tolist() == [True, True, False, True]
    assert not impossible[2].any()
    with pytest.raises(ValueError, match="lengths range from 0 to 7"):
        network(x, torch.tensor([0, 7, 6, 1]))


# What is not exported


def test_what_comes_before_an_estimator_is_refused_with_advice():
    model = small_classifier()
    pipeline = make_pipeline(FunctionTransformer(), model)
    with pytest.raises(TypeError, match=r"Pipeline.*pipeline\[-1\].*pipeline\[:-1\]"):
        sknt.export_program(pipeline)
    search = GridSearchCV(model, {"memory_size": [4, 8]})
    with pytest.raises(TypeError, match=r"GridSearchCV.*best_estimator_"):
        sknt.export_onnx(search, "model.onnx")
    with pytest.raises(TypeError, match="estimator is a str"):
        sknt.export_program("model")
    with pytest.raises(NotFittedError):
        sknt.export_program(model)


def test_a_missing_onnxscript_is_named_with_the_way_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ImportError, match=r"onnxscript.*install sknt\[onnx\]"):
        sknt.export_onnx(small_classifier(), tmp_path / "model.onnx")


def test_an_earlier_file_stays_until_the_new_one_is_complete(monkeypatch, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"earlier")
    monkeypatch.setattr(_onnx, "export_program", lambda estimator: None)

    def fail(*args):
        raise RuntimeError("cannot be converted")

    monkeypatch.setattr(_onnx, "to_onnx", fail)
    with pytest.raises(RuntimeError, match="cannot be converted"):
        sknt.export_onnx(small_classifier(), path)
    assert path.read_bytes() == b"earlier"
    monkeypatch.setattr(_onnx, "to_onnx", lambda *args: b"new")
    sknt.export_onnx(small_classifier(), path)
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def test_absent_steps_have_a_regressors_missing_target():
    y = np.random.RandomState(0).normal(size=(20, 5))
    model = fitted(
        sknt.NTMSequenceRegressor, y, memory=None, return_sequences=True, missing_target=-9
    )
    x, lengths = make_sequences(3, 4)
    run = sknt.export_program(model).module()
    got = run(torch.from_numpy(x), torch.from_numpy(lengths)).numpy()
    np.testing.assert_allclose(got, model.predict(as_X(x, lengths)), rtol=1e-5)
    assert (got == -9).sum() == (4 - lengths).sum()
