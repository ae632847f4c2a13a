"""Saved and loaded models are the same to the bit, and go on training as the same."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    MODEST,
    small_classifier,
    small_regressor,
    stepwise_classifier,
    tiny_copy,
)
from numpy.testing import assert_array_equal
from persistence_helpers import assert_same, round_trip
from sklearn.base import clone
from skorch.callbacks import EarlyStopping, EpochScoring, LRScheduler
from skorch.dataset import ValidSplit
from skorch.exceptions import DeviceWarning
from torch.utils.data import DataLoader

import sknt
from sknt import NTMSequenceClassifier
from sknt.callbacks import LengthCurriculum

OPTIONS = {
    "dnc": {"memory": "dnc"},
    "dntm": {"memory": "dntm"},
    "dntm, hard": {"memory": "dntm", "memory_params": {"addressing": "hard"}},
    "sam": {"memory": "sam", "memory_params": {"n_nearest": 2}},
    "none": {"memory": None, "controller": "gru"},
    "feedforward": {"controller": "feedforward", "n_layers": 2, "n_read_heads": 2},
    "shift range": {"memory_params": {"shift_range": 2, "memory_init": "constant"}},
    "bidirectional": {"bidirectional": True, "pooling": "mean", "patch_size": 2},
    "last": {"pooling": "last", "backend": "reference"},
    "convolutions": {"n_convolutions": 168},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2},
    "muon": {"optimizer": "muon-adam", "schedule": "consolidate"},
    "sgd": {"optimizer": "sgd", "schedule": "constant", "max_grad_norm": None},
    "rmsprop": {"optimizer": "rmsprop", "learning_rate": np.float32(0.003)},
    "adamw": {"optimizer": "adamw", "device": torch.device("cpu"), "input_noise": 0.1},
    "weights of classes": {"class_weight": {"up": 2, "down": np.float64(1 / 3)}},
    "random state": {"random_state": np.random.RandomState(3)},
    "standardize": {"standardize": True, "missing_target": None},
}
NET_PARAMS = {
    "schedule": {"callbacks": [LRScheduler("StepLR", step_size=2, gamma=0.5)]},
    "split": {"train_split": ValidSplit(0.25, stratified=True, random_state=0)},
    "stopping": {
        "train_split": ValidSplit(4),
        "callbacks": [("mine", EarlyStopping(patience=9)), EpochScoring("accuracy")],
    },
    "optimizer": {"optimizer": torch.optim.NAdam, "optimizer__momentum_decay": 1e-3},
    "adagrad": {"optimizer": torch.optim.Adagrad},
    "amsgrad": {"optimizer__amsgrad": True, "optimizer__eps": 1e-3},
    "asgd": {"optimizer": torch.optim.ASGD},
    "loader": {"iterator_train": DataLoader, "iterator_train__shuffle": False},
    "weight": {"criterion__weight": torch.tensor([0.25, 0.75])},
}


def outputs_of(model, X):
    return getattr(model, "predict_proba", model.predict)(X)


def assert_goes_on_as_the_same(model, folder, X, y, **fit):
    """A fit of the original and of the loaded one give the same to the bit."""
    loaded = round_trip(model, folder)
    assert_same(loaded, model)
    assert loaded.get_params().keys() == model.get_params().keys()
    assert_array_equal(outputs_of(loaded, X), outputs_of(model, X))
    for estimator in (model, loaded):
        estimator.set_params(warm_start=True).fit(X, y, **fit)
    for record in (*model.history_, *loaded.history_):
        del record["dur"]
    assert_same(loaded.history_, model.history_)
    assert_same(loaded.net_.snapshot(), model.net_.snapshot())
    assert_array_equal(outputs_of(loaded, X), outputs_of(model, X))
    for estimator in (model, loaded):
        if not estimator.early_stopping:
            estimator.partial_fit(X, y)
    assert_same(loaded.net_.snapshot(), model.net_.snapshot())


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.filterwarnings("ignore:partial_fit has trained")
def test_a_classifier_with_any_option_is_the_same(sequences, tmp_path, options):
    model = small_classifier(**{"warm_start": True, **options}).fit(*sequences)
    assert_goes_on_as_the_same(model, tmp_path, *sequences)


@pytest.mark.parametrize("net_params", NET_PARAMS.values(), ids=NET_PARAMS)
@pytest.mark.filterwarnings("ignore:partial_fit has trained")
def test_arguments_of_the_net_are_the_same(sequences, tmp_path, net_params):
    X, y = sequences
    model = small_classifier(net_params=net_params, warm_start=True)
    weights = {"sample_weight": np.ones(len(X))}  # skorch's scoring wants all targets
    assert_goes_on_as_the_same(model.fit(X, y), tmp_path, X, y, **weights)


@pytest.mark.parametrize("memory", ["ntm", "dnc", "dntm", "sam", None])
@pytest.mark.filterwarnings("ignore:partial_fit has trained")
def test_a_regressor_of_any_memory_is_the_same(values, tmp_path, memory):
    model = small_regressor(memory=memory, n_convolutions=168, warm_start=True)
    assert_goes_on_as_the_same(model.fit(*values), tmp_path, *values)


def test_several_outputs_and_a_constant_one_are_the_same(values, tmp_path):
    X, y = values
    y = np.column_stack([y, np.full(len(y), 7.0)])
    model = small_regressor().fit(X, y)
    loaded = round_trip(model, tmp_path)
    assert_same(loaded, model)
    assert_array_equal(loaded.predict(X), model.predict(X))


def test_targets_at_each_step_are_the_same(tmp_path):
    X, y = tiny_copy(random_state=0)
    model = stepwise_classifier(schedule="consolidate", warm_start=True).fit(X, y)
    assert_goes_on_as_the_same(model, tmp_path, X, y)


def test_a_stream_with_a_curriculum_goes_on_as_the_same(tmp_path):
    curriculum = LengthCurriculum(3, start=2, parameter="max_length", learned=100.0)
    model = stepwise_classifier(
        net_params={"callbacks": [curriculum]}, warm_start=True, max_epochs=2
    )
    stream = partial(sknt.datasets.make_copy, 10, n_bits=2)
    model.fit(stream)
    loaded = round_trip(model, tmp_path)
    assert loaded.net_.stream_params_ == model.net_.stream_params_ == {"max_length": 3}
    model.fit(stream), loaded.fit(stream)
    assert_same(loaded.net_.snapshot(), model.net_.snapshot())


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yés \U0001f600"]),
        np.array(["a", "b"], object),
        np.array([-1, 2**40]),
        np.array([0.0, 7.0]),
        np.array([1, 2], np.float16),
        np.array([0, 1], np.int8),
        np.array([False, True]),
    ],
    ids=str,
)
def test_classes_of_any_type_are_the_same(sequences, tmp_path, labels):
    X, y = sequences
    y = labels[(y == "up").astype(int)]
    model = small_classifier().fit(X, y)
    loaded = round_trip(model, tmp_path)
    assert_same(loaded.classes_, model.classes_)
    assert_same(loaded.predict(X), model.predict(X))


def test_several_indicators_are_the_same(sequences, tmp_path):
    X, y = sequences
    y = np.column_stack([y == "up", X[:, 0, 1] > 0]).astype(int)
    assert_goes_on_as_the_same(small_classifier().fit(X, y), tmp_path, X, y)


def test_a_frame_keeps_its_names(sequences, tmp_path):
    X, y = sequences
    frame = pd.DataFrame(np.nan_to_num(X[..., 0]), columns=list("abcdef"))
    model = small_classifier().fit(frame, y)
    loaded = round_trip(model, tmp_path)
    assert_same(loaded.feature_names_in_, model.feature_names_in_)
    assert_array_equal(loaded.predict(frame), model.predict(frame))
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame[list("bacdef")])


@pytest.mark.parametrize("Estimator", [small_classifier, small_regressor])
def test_what_is_not_fitted_is_the_same(tmp_path, Estimator):
    model = Estimator(memory_params={"shift_range": 2}, n_read_heads=np.int64(2))
    loaded = round_trip(model, tmp_path)
    assert_same(loaded, model)
    assert repr(loaded) == repr(model)


def test_parameters_that_no_fit_accepts_are_left_to_fit(tmp_path):
    loaded = round_trip(NTMSequenceClassifier(memory_size=-1, controller=3), tmp_path)
    assert (loaded.memory_size, loaded.controller) == (-1, 3)


def test_a_clone_of_the_loaded_one_fits_as_one_of_the_original(sequences, tmp_path):
    model = small_classifier(random_state=5).fit(*sequences)
    loaded = round_trip(model, tmp_path)
    first, second = (clone(m).fit(*sequences) for m in (model, loaded))
    assert_same(first.net_.snapshot(), second.net_.snapshot())


def test_parameters_that_changed_after_the_fit_are_refused_as_before(sequences, tmp_path):
    model = small_classifier(warm_start=True).fit(*sequences).set_params(hidden_size=5)
    with pytest.raises(ValueError, match="hidden_size changed"):
        round_trip(model, tmp_path).fit(*sequences)


def test_loading_leaves_global_generators_as_they_were(sequences, tmp_path):
    model = small_classifier().fit(*sequences)
    torch.manual_seed(0), np.random.seed(0)
    round_trip(model, tmp_path)
    drawn = torch.rand(1), np.random.rand()
    torch.manual_seed(0), np.random.seed(0)
    assert drawn == (torch.rand(1), np.random.rand())


def on_absent_device(sequences):
    model = small_classifier(warm_start=True).fit(*sequences)
    model.set_params(device="cuda:99")
    model._fitted_params["device"] = model.net_.device = "cuda:99"
    return model


def test_a_device_that_is_absent_gives_the_cpu_and_a_warning(sequences, tmp_path):
    model = on_absent_device(sequences)
    with pytest.warns(DeviceWarning, match="cuda:99.*loaded on the CPU"):
        loaded = round_trip(model, tmp_path)
    assert loaded.net_.device == "cpu"
    assert loaded.get_params() == model.get_params()
    assert_array_equal(outputs_of(loaded, sequences[0]), outputs_of(model, sequences[0]))


def test_a_device_that_is_asked_for_becomes_the_parameter(sequences, tmp_path):
    model = on_absent_device(sequences)
    loaded = round_trip(model, tmp_path, device="cpu")
    assert loaded.device == loaded.net_.device == "cpu"
    loaded.fit(*sequences)  # it continues there


@pytest.mark.parametrize("device", ["cuda:99", "meta", "elsewhere"])
def test_a_device_that_is_asked_for_and_absent_is_refused(tmp_path, device):
    with pytest.raises(ValueError, match=f"{device}.*not available"):
        round_trip(small_classifier(), tmp_path, device=device)


@pytest.mark.parametrize("inside", [torch.inference_mode, torch.no_grad])
def test_settings_of_torch_around_it_change_nothing(sequences, tmp_path, inside):
    model = small_classifier(warm_start=True).fit(*sequences)
    torch.set_default_dtype(torch.float64)
    try:
        with inside():
            loaded = round_trip(model, tmp_path)
            assert_same(loaded, model)
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same(
        loaded.fit(*sequences).net_.snapshot(), model.fit(*sequences).net_.snapshot()
    )


def test_text_and_path_objects_name_the_same_file(tmp_path):
    model = NTMSequenceClassifier(**MODEST)
    sknt.save(model, str(tmp_path / "no suffix"))
    assert_same(sknt.load(tmp_path / "no suffix"), model)


def test_the_same_model_gives_the_same_file(sequences, tmp_path):
    model = small_classifier().fit(*sequences)
    for name in ("a", "b"):
        sknt.save(model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
