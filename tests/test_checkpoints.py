"""A fit that was killed goes on to the same result, to the bit."""

import numpy as np
import pytest
import torch
from checkpoint_helpers import (
    Kill,
    Killed,
    assert_same_fit,
    every_epoch,  # noqa: F401
    files_in,
    fit_with_kills,
    with_kill,
)
from helpers import (
    SMALL,
    small_classifier,
    small_regressor,
    stepwise_classifier,
    tiny_copy,
)
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn

from sknt.callbacks import LengthCurriculum

pytestmark = pytest.mark.usefixtures("every_epoch")

REFERENCE = {"backend": "reference", "hidden_size": 4, "n_convolutions": 0}


def check(make, data, folder, X=None, after=(5, 6)):
    whole = make().fit(*data)
    model = make().set_params(checkpoint=folder)
    assert fit_with_kills(model, data, after) == len(after)
    assert files_in(folder) == []
    assert_same_fit(whole, model, data[0] if X is None else X)


PARAMS = {
    "plain": {},
    "held out": {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 6},
    "cosine": {"schedule": "cosine", "input_noise": 0.1},
    "consolidate": {"schedule": "consolidate", "class_weight": "balanced"},
    "muon-adam": {"optimizer": "muon-adam"},
    "adamw": {"optimizer": "adamw", "controller": "gru"},
    "rmsprop": {"optimizer": "rmsprop"},
    "sgd": {"optimizer": "sgd"},
    "without memory": {"memory": None, "bidirectional": True},
    "clipping nothing": {"max_grad_norm": None, "standardize": True},
}


@pytest.mark.parametrize("name", PARAMS)
def test_a_killed_fit_goes_on_to_the_same_result(sequences, tmp_path, name):
    X, y = sequences

    def make():
        return with_kill(small_classifier(**REFERENCE | PARAMS[name]))

    check(make, (X, y), tmp_path / "made" / "with its parents")


@pytest.mark.parametrize("memory", ["ntm", "dnc", "dntm", "sam"])
@pytest.mark.parametrize("backend", ["fused", "reference"])
def test_every_memory_on_both_backends(tmp_path, memory, backend):
    X, y = tiny_copy(random_state=0)
    params = {"memory": memory, "backend": backend, "hidden_size": 4}
    if memory == "dntm":  # which draws the rows that it reads
        params["memory_params"] = {"addressing": "hard"}
    params["max_epochs"] = 2  # of 5 updates
    check(lambda: with_kill(stepwise_classifier(**params)), (X, y), tmp_path, after=(7,))


def long_series():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(30, 16, 1))
    return X, X[:, 0, 0] + 0.1 * rng.normal(size=30)


@pytest.mark.parametrize("after", [(3,), (7,), (9,)])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_blend_goes_on_in_either_part(tmp_path, monkeypatch, share, after):
    """Of 6 epochs, the last is trained with the held-out part, if there is a share."""
    from sknt import _blends

    n_choices = []

    def choose(outputs, of_network, *args):
        n_choices.append(of_network)
        return share

    monkeypatch.setattr(_blends, "choose_share", choose)
    X, y = long_series()
    params = REFERENCE | {"n_convolutions": 84, "max_epochs": 6, "backend": "auto"}
    check(lambda: with_kill(small_regressor(**params)), (X, y), tmp_path, after=after)
    # Judged by the same outputs in each fit.
    assert all(np.array_equal(n_choices[0], other) for other in n_choices)


def test_a_stream_with_a_curriculum_goes_on(tmp_path):
    def make():
        curriculum = LengthCurriculum(5, start=2, learned=0.99)
        params = {"max_epochs": 6, "net_params": {"callbacks": [curriculum]}}
        return with_kill(stepwise_classifier(**REFERENCE | params | {"n_convolutions": 0}))

    X, _ = tiny_copy(random_state=0)
    check(make, (tiny_copy,), tmp_path, X, after=(7, 13))


CALLS = []


def counted(random_state):
    CALLS.append(1)
    return tiny_copy(random_state=random_state)


def test_each_part_of_a_stream_is_made_once_and_none_in_vain(tmp_path):
    model = with_kill(stepwise_classifier(**REFERENCE | {"max_epochs": 5}))
    model.set_params(checkpoint=tmp_path)
    Kill.before(5 * 4 + 1)  # in the last of 5 epochs of 5 updates
    with pytest.raises(Killed):
        model.fit(counted)
    n_before = len(CALLS)
    Kill.before(None)
    model.fit(counted)
    assert (n_before, len(CALLS) - n_before) == (5, 2)  # the first one, and the last


def test_an_iterator_is_refused(tmp_path):
    model = stepwise_classifier(checkpoint=tmp_path)
    with pytest.raises(ValueError, match="an iterator cannot be kept in a checkpoint"):
        model.fit(iter([tiny_copy(random_state=0)]))


class Drop(nn.Module):
    """A network that draws from torch's global generator."""

    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_inputs, n_outputs), nn.Dropout(0.5))

    def forward(self, x, lengths):
        return self.layers(x)


class Counting(Callback):
    """A callback with a state of its own, in attributes."""

    def on_train_begin(self, net, **kwargs):
        self.n_batches_, self.seen_ = 0, []
        self.rng_ = np.random.default_rng(0)

    def on_batch_end(self, net, training, **kwargs):
        self.n_batches_ += 1

    def on_epoch_end(self, net, **kwargs):
        self.seen_.append(self.n_batches_)
        net.history.record("n_batches", list(self.seen_))
        net.history.record("drawn", self.rng_.random())


class OwnState(Callback):
    """A callback with a state of its own, which it says itself."""

    def on_train_begin(self, net, **kwargs):
        self.net_, self.half_ = net, 0.5  # no file can hold a net

    def on_epoch_end(self, net, **kwargs):
        self.half_ /= 2
        net.history.record("half", self.half_)

    def state_dict(self):
        return {"half": self.half_}

    def load_state_dict(self, state):
        self.half_ = state["half"]


NET_PARAMS = {
    "scheduler": {"callbacks": [LRScheduler("StepLR", step_size=2)]},
    "plateau": {"callbacks": [LRScheduler("ReduceLROnPlateau", monitor="train_loss")]},
    "cyclic": {
        "callbacks": [
            LRScheduler("CyclicLR", base_lr=1e-3, max_lr=1e-2, cycle_momentum=False)
        ]
    },
    "split": {
        "train_split": ValidSplit(3),
        "callbacks": [EpochScoring("accuracy"), EarlyStopping(patience=2, load_best=True)],
    },
    "own state": {"callbacks": [Counting(), OwnState()]},
    "dropout": {"module": Drop},
    "adam of torch": {"optimizer": torch.optim.Adam, "optimizer__amsgrad": True},
    "loader": {
        "iterator_train": torch.utils.data.DataLoader,
        "iterator_train__shuffle": True,
    },
}


@pytest.mark.parametrize("name", NET_PARAMS)
def test_what_skorch_and_callbacks_of_ones_own_keep_goes_on(sequences, tmp_path, name):
    def make():
        torch.manual_seed(0)
        params = REFERENCE | {"max_epochs": 5, "schedule": "constant"}
        return with_kill(small_classifier(**params, net_params=NET_PARAMS[name]))

    check(make, sequences, tmp_path)


def test_a_warm_start_goes_on_from_where_it_began(sequences, tmp_path):
    X, y = sequences

    def make():
        params = REFERENCE | {"warm_start": True, "early_stopping": True}
        return with_kill(small_classifier(**params)).fit(X, y)

    check(make, (X, y), tmp_path)


class Keeps(Callback):
    def on_train_begin(self, net, **kwargs):
        self.anything_ = object()


def test_a_callback_that_no_file_can_hold_is_refused_at_the_start(sequences, tmp_path):
    net_params = {"callbacks": [Keeps()]}
    model = small_classifier(checkpoint=tmp_path, net_params=net_params)
    with pytest.raises(TypeError, match=r"'Keeps'.*'anything_'.*give|state_dict"):
        model.fit(*sequences)
    assert not hasattr(model, "net_")
    assert SMALL["max_epochs"] == model.set_params(checkpoint=None).fit(*sequences).n_iter_


def test_a_seed_of_none_goes_on_with_the_seeds_that_the_killed_fit_drew(
    sequences, tmp_path
):
    model = with_kill(small_classifier(**REFERENCE | {"random_state": None}))
    model.set_params(checkpoint=tmp_path)
    np.random.seed(1)
    Kill.before(9)
    with pytest.raises(Killed):
        model.fit(*sequences)
    Kill.before(None)
    np.random.seed(2)
    model.fit(*sequences)
    np.random.seed(1)
    model_of_1 = small_classifier(**REFERENCE | {"random_state": None}).fit(*sequences)
    assert_same_fit(model, model_of_1, sequences[0])


def test_a_generator_as_random_state_counts_by_its_state(sequences, tmp_path):
    def make(seed):
        params = REFERENCE | {"random_state": np.random.RandomState(seed)}
        return with_kill(small_classifier(**params))

    killed = make(3).set_params(checkpoint=tmp_path)
    Kill.before(9)
    with pytest.raises(Killed):
        killed.fit(*sequences)
    Kill.before(None)
    other = make(4).set_params(checkpoint=tmp_path).fit(*sequences)
    assert_same_fit(other, make(4).fit(*sequences), sequences[0])
    assert len(files_in(tmp_path)) == 1
    again = make(3).set_params(checkpoint=tmp_path).fit(*sequences)
    assert_same_fit(again, make(3).fit(*sequences), sequences[0])
    assert files_in(tmp_path) == []


def test_a_bar_goes_on_where_it_was(sequences, tmp_path, capsys):
    model = with_kill(small_classifier(**REFERENCE | {"max_epochs": 4}))
    model.set_params(checkpoint=tmp_path)
    Kill.before(9)
    with pytest.raises(Killed):
        model.fit(*sequences)
    Kill.before(None)
    capsys.readouterr()
    model.set_params(verbose=1).fit(*sequences)  # which is the same fit
    assert "4/4" in capsys.readouterr().err


def test_partial_fit_is_not_kept(sequences, tmp_path):
    X, y = sequences
    small_classifier(checkpoint=tmp_path).partial_fit(X, y, classes=["down", "up"])
    assert files_in(tmp_path) == []
