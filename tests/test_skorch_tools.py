"""skorch's own tools in net_params: scoring, checkpoints, splits, loaders, modules."""

import builtins
import pickle
import warnings

import numpy as np
import pytest
import torch
from helpers import SMALL, small_classifier, small_regressor, stepwise_classifier, tiny_copy
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import BatchScoring, Checkpoint, EarlyStopping, EpochScoring
from skorch.dataset import Dataset, ValidSplit
from skorch.exceptions import DeviceWarning
from skorch.helper import predefined_split
from torch.utils.data import DataLoader, TensorDataset

from sknt import NTMSequenceClassifier, unpad_sequences
from sknt.nn import SequenceNetwork
from sknt.training import progress

# Scoring


@pytest.fixture
def three_classes(sequences):
    X, _ = sequences
    return X, np.digitize(X[:, 0, 0], [-0.5, 0.5])


@pytest.mark.parametrize("Scoring", [EpochScoring, BatchScoring])
def test_accuracy_by_name_is_that_of_the_labels(sequences, three_classes, Scoring):
    for X, y in (sequences, three_classes):
        scoring = Scoring("accuracy", lower_is_better=False, name="scored")
        split = predefined_split(Dataset(X, y))  # what is trained on, once more
        model = small_classifier(
            net_params={"callbacks": [scoring], "train_split": split}
        ).fit(X, y)
        expected = model.score(X, y)
        assert model.history_[-1]["scored"] == pytest.approx(expected)
        assert model.history_[-1]["valid_score"] == pytest.approx(expected)


def test_accuracy_of_indicators_and_r2_of_values(sequences):
    X, _ = sequences
    indicators = np.stack([X[:, 0, 0] > 0, X[:, 0, 1] > 0], axis=1).astype(int)
    for model, y, name in (
        (small_classifier(), indicators, "accuracy"),
        (small_classifier(), indicators[:, :1], "accuracy"),
        (small_regressor(), 100 + X[:, 0, 0], "r2"),
        (small_regressor(), 100 + X[:, 0], "r2"),
    ):
        scoring = EpochScoring(name, lower_is_better=False, name="scored")
        split = predefined_split(Dataset(X, y))
        model.set_params(net_params={"callbacks": [scoring], "train_split": split})
        if y.ndim == 2 and y.shape[1] == 1:
            with pytest.warns(UserWarning, match="A column-vector y was passed"):
                model.fit(X, y)
            y = y[:, 0]
        else:
            model.fit(X, y)
        assert model.history_[-1]["scored"] == pytest.approx(model.score(X, y), abs=1e-5)


def test_probabilities_are_scored_too(sequences):
    X, y = sequences
    scorings = [
        EpochScoring(name, lower_is_better=False, on_train=True)
        for name in ("neg_log_loss", "roc_auc")
    ]
    history = small_classifier(net_params={"callbacks": scorings}).fit(X, y).history_
    assert 0 < history[-1]["roc_auc"] <= 1
    assert history[-1]["neg_log_loss"] < 0


@pytest.mark.parametrize("Scoring", [EpochScoring, BatchScoring])
def test_scoring_that_would_count_absent_steps_is_refused(Scoring):
    callbacks = [Scoring("accuracy", on_train=True)]
    model = stepwise_classifier(net_params={"callbacks": callbacks})
    with pytest.raises(ValueError, match=r"some of them have no target.*valid_score"):
        model.fit(*tiny_copy(random_state=0))


def test_a_custom_scoring_function_sees_the_data_set_of_steps():
    def wrong(net, dataset, y):
        x, target = dataset[list(range(len(dataset)))]
        with torch.no_grad():
            bits = net.infer({k: v for k, v in x.items() if k != "weight"}) > 0
        return float(((bits != target.bool()) * x["weight"]).sum() / x["weight"].sum())

    scoring = EpochScoring(wrong, on_train=True, use_caching=False, name="wrong")
    model = stepwise_classifier(net_params={"callbacks": [scoring]})
    history = model.fit(*tiny_copy(random_state=0)).history_
    assert all(0 <= epoch["wrong"] <= 1 for epoch in history)


# Stopping and checkpoints


@pytest.mark.parametrize(
    "callback", [EarlyStopping(), EarlyStopping("valid_acc"), Checkpoint()]
)
def test_monitoring_validation_is_refused_where_nothing_is_held_out(sequences, callback):
    model = small_classifier(net_params={"callbacks": [callback]})
    with pytest.raises(ValueError, match=r"nothing is held out.*early_stopping=True"):
        model.fit(*sequences)


def test_early_stopping_of_skorch_watches_either_held_out_part(sequences):
    for params in (
        {"early_stopping": True},
        {"net_params": {"train_split": ValidSplit(5)}},
    ):
        stopping = EarlyStopping(patience=2, threshold=10.0, threshold_mode="abs")
        net_params = {**params.pop("net_params", {}), "callbacks": [stopping]}
        model = small_classifier(max_epochs=20, net_params=net_params, **params)
        assert model.fit(*sequences).n_iter_ < 20


def test_a_checkpoint_keeps_the_best_epoch_and_loads_it(sequences, tmp_path):
    X, y = sequences
    checkpoint = Checkpoint(dirname=str(tmp_path), load_best=True, f_pickle="net.pkl")
    model = small_classifier(
        schedule="constant",
        max_epochs=4,
        learning_rate=0.3,
        net_params={"callbacks": [checkpoint], "train_split": ValidSplit(3)},
    ).fit(X, y)
    best = int(np.argmin([epoch["valid_loss"] for epoch in model.history_])) + 1
    again = small_classifier(
        schedule="constant",
        max_epochs=best,
        learning_rate=0.3,
        net_params={"train_split": ValidSplit(3)},
    ).fit(X, y)
    assert_array_equal(model.predict_proba(X), again.predict_proba(X))
    with open(tmp_path / "net.pkl", "rb") as file:
        kept = pickle.load(file)
    sequence = torch.tensor(np.nan_to_num(X[:1, :2])).float()
    for one, other in zip(
        kept.module_(sequence)[0], model.net_.module_(sequence)[0], strict=True
    ):
        assert torch.equal(one, other)


# What is held out


def test_a_split_may_be_stratified(sequences):
    X, y = sequences
    split = ValidSplit(3, stratified=True)
    history = small_classifier(net_params={"train_split": split}).fit(X, y).history_
    assert "valid_loss" in history[-1]


@pytest.mark.parametrize("as_what", ["padded", "list", "tensors", "table"])
def test_custom_validation_data_are_read_like_X_and_y(sequences, as_what):
    X, y = sequences
    own = {
        "padded": lambda: Dataset(X[40:], y[40:]),
        "list": lambda: list(zip(unpad_sequences(X[40:]), y[40:], strict=True)),
        "tensors": lambda: TensorDataset(
            torch.tensor(X[40:]), torch.tensor(y[40:] == "up")
        ),
        "table": lambda: Dataset(X[40:, :, 0], y[40:]),
    }[as_what]()
    labels = y == "up" if as_what == "tensors" else y
    X_train = X[:40, :, 0] if as_what == "table" else X[:40]
    X_valid = X[40:, :, 0] if as_what == "table" else X[40:]
    model = small_classifier(net_params={"train_split": predefined_split(own)})
    model.fit(X_train, labels[:40])
    expected = model.score(X_valid, labels[40:])
    assert model.history_[-1]["valid_score"] == pytest.approx(expected)


def test_validation_data_that_do_not_fit_are_refused_as_X_is(sequences):
    X, y = sequences
    own = predefined_split(Dataset(X[40:, :, :1], y[40:]))
    model = small_classifier(net_params={"train_split": own})
    with pytest.raises(ValueError, match="X has 1 features"):
        model.fit(X[:40], y[:40])
    assert not hasattr(model, "net_")


# Loaders as streams


def test_the_batches_of_a_loader_are_a_stream(sequences):
    X, y = sequences
    pairs = TensorDataset(torch.tensor(X), torch.tensor(y == "up"))
    model = small_classifier(max_epochs=9).fit(iter(DataLoader(pairs, batch_size=20)))
    by_hand = small_classifier(max_epochs=9)
    by_hand.fit(iter([(X[i : i + 20], y[i : i + 20] == "up") for i in (0, 20, 40)]))
    assert model.n_iter_ == 3
    assert_array_equal(model.predict_proba(X), by_hand.predict_proba(X))


def test_a_loader_itself_is_refused_with_advice(sequences):
    X, y = sequences
    loader = DataLoader(TensorDataset(torch.tensor(X), torch.tensor(y == "up")))
    with pytest.raises(ValueError, match=r"DataLoader.*iter\(loader\)"):
        small_classifier().fit(loader)


# Custom modules


class Averages(torch.nn.Module):
    """The mean of the steps so far through a linear layer: outputs alone."""

    def __init__(self, n_inputs, n_outputs, hidden_size):
        super().__init__()
        self.hidden = torch.nn.Linear(n_inputs, hidden_size)
        self.dropout = torch.nn.Dropout(0.5)
        self.readout = torch.nn.Linear(hidden_size, n_outputs)

    def forward(self, x, lengths):
        n_steps = torch.arange(1, x.shape[1] + 1).to(x).unsqueeze(-1)
        means = x.cumsum(1) / n_steps
        return self.readout(self.dropout(torch.tanh(self.hidden(means))))


def test_a_module_receives_what_its_constructor_names(sequences):
    X, y = sequences
    model = small_classifier(max_epochs=20, net_params={"module": Averages}).fit(X, y)
    assert isinstance(model.net_.module_, Averages)
    assert model.net_.module_.hidden.out_features == SMALL["hidden_size"]
    assert model.backend_ == "reference"
    proba = model.predict_proba(X)  # without dropout
    assert_array_equal(proba, model.predict_proba(X))
    assert_allclose(model.predict_proba(X[:1])[0], proba[0], atol=1e-12)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), proba)
    assert set(model.history_[-1]) >= {"grad_norm", "grad_source"}


def test_a_module_may_be_an_instance(sequences):
    X, y = sequences
    module = Averages(2, 2, 5)
    before = module.hidden.weight.detach().clone()
    model = small_classifier(net_params={"module": module}).fit(X, y)
    assert model.net_.module_.hidden.out_features == 5
    assert torch.equal(module.hidden.weight, before)  # a copy was trained
    assert_array_equal(
        pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X)
    )


def test_a_module_can_be_consolidated_without_a_memory(monkeypatch):
    monkeypatch.setattr(progress, "LEARNED", 1e9)
    monkeypatch.setattr(progress, "LOST", 1e9)
    model = stepwise_classifier(net_params={"module": Averages}, max_epochs=2)
    model.fit(*tiny_copy(random_state=0))
    assert model.history_[-1]["phase"] != "learning"


class OfTheSequence(Averages):
    def forward(self, x, lengths):
        outputs = super().forward(x, lengths)
        return outputs[torch.arange(len(x)), lengths - 1]


class OfOneFeature(Averages):
    def forward(self, x, lengths):
        return super().forward(x, lengths)[:, -1, 0]


class OneMore(Averages):
    def __init__(self, n_inputs, n_outputs, hidden_size):
        super().__init__(n_inputs, n_outputs + 1, hidden_size)


class WithoutSizes(torch.nn.Module):
    def __init__(self, width):
        super().__init__()


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (OfOneFeature, r"outputs of shape \(16,\).*\(batch, n_timesteps, n_outputs\)"),
        (OneMore, r"outputs of shape \(16, 6, 3\).*here \(16, 6, 2\)"),
        (WithoutSizes, r"WithoutSizes.*does not take \['n_inputs', 'n_outputs'\]"),
        (3, "module=3; give a class of torch.nn.Module"),
    ],
)
def test_a_module_that_breaks_the_contract_is_refused(sequences, module, message):
    model = small_classifier(net_params={"module": module})
    with pytest.raises(ValueError, match=message):
        model.fit(*sequences)
    assert not hasattr(model, "net_")


def test_a_module_may_give_one_output_for_each_sequence(sequences):
    X, y = sequences
    proba = []
    for module in (Averages, OfTheSequence):
        torch.manual_seed(0)  # for its dropout
        model = small_classifier(net_params={"module": module}).fit(X, y)
        proba.append(model.predict_proba(X))
    assert_array_equal(*proba)
    steps = stepwise_classifier(net_params={"module": OfTheSequence})
    with pytest.raises(ValueError, match=r"outputs of shape \(4, 2\)"):
        steps.fit(*tiny_copy(random_state=0))


class Noisy(SequenceNetwork):
    """With dropout on the inputs."""

    def forward(self, x, *args, **kwargs):
        x = torch.nn.functional.dropout(x, 0.5, training=self.training)
        return super().forward(x, *args, **kwargs)


@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_dropout_of_a_subclass_is_off_at_prediction_on_both_paths(sequences, backend):
    X, y = sequences
    model = small_classifier(backend=backend, net_params={"module": Noisy}).fit(X, y)
    assert model.backend_ == backend
    assert_array_equal(model.predict_proba(X), model.predict_proba(X))


# Other things


def test_without_verbose_nothing_is_printed_even_if_print_is_replaced(
    sequences, monkeypatch
):
    printed = []
    monkeypatch.setattr(builtins, "print", lambda *args, **kwargs: printed.append(args))
    small_classifier().fit(*sequences)
    assert not printed


def test_a_model_from_an_unavailable_device_is_loaded_on_the_cpu(sequences):
    X, y = sequences
    model = small_classifier().fit(X, y)
    expected = model.predict_proba(X)
    for device in ("mps", "cuda"):
        if getattr(torch, device).is_available():
            continue
        model.net_.device = device
        with pytest.warns(DeviceWarning, match=f"'{device}'.*loaded on the CPU"):
            loaded = pickle.loads(pickle.dumps(model))
        assert loaded.net_.device == "cpu"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert_array_equal(loaded.predict_proba(X), expected)


def test_the_order_of_updates_is_counted_once_for_an_optimizer_with_a_closure(sequences):
    net_params = {"optimizer": torch.optim.LBFGS, "optimizer__max_iter": 3}
    model = NTMSequenceClassifier(**SMALL, net_params=net_params).fit(*sequences)
    assert [epoch["n_sequences"] for epoch in model.history_] == [60, 120, 180]
