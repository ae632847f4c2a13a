"""Learning: the schedule, streams, curricula, what the guard does, and the copy task."""

import math
import pickle
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.callbacks import Consolidation, LengthCurriculum, Schedule
from sknt.callbacks import _schedule as schedule_module
from sknt.datasets import make_copy
from sknt.metrics import bit_error_rate, bits_per_sequence
from sknt.nn import SequenceNetwork, gradient_norms

SMALL = {
    "memory_size": 6,
    "word_size": 4,
    "hidden_size": 8,
    "max_epochs": 3,
    "random_state": 0,
}
tiny_copy = partial(make_copy, 20, n_bits=2, max_length=3)


def small_classifier(**params):
    return NTMSequenceClassifier(**{**SMALL, "return_sequences": True, **params})


def weights_of(model):
    return torch.cat([p.detach().flatten() for p in model.net_.module_.parameters()])


# The copy task, through the public estimator with its defaults


def test_copy_is_learned_from_a_stream_and_kept_beyond_the_training_length():
    model = NTMSequenceClassifier(return_sequences=True, max_epochs=60, random_state=0)
    model.fit(partial(make_copy, 100))
    X, y = make_copy(200, random_state=1)
    assert bits_per_sequence(y, model.predict_proba(X)) < 0.1
    X, y = make_copy(20, min_length=60, max_length=60, random_state=2)
    assert bit_error_rate(y, model.predict(X)) < 0.01
    assert model.history_[-1]["n_sequences"] <= 6000
    phases = [epoch["phase"] for epoch in model.history_]
    assert phases[0] == "learning"
    assert "consolidating" in phases


# Streams


def test_a_stream_is_partial_fits_of_its_parts():
    rng = np.random.RandomState(0)
    parts = [make_copy(20, n_bits=2, max_length=3, random_state=rng) for _ in range(3)]
    model = small_classifier(schedule="constant").fit(iter(parts))
    by_hand = small_classifier(schedule="constant")
    for X, y in parts:
        by_hand.partial_fit(X, y)
    assert torch.equal(weights_of(model), weights_of(by_hand))
    assert model.n_iter_ == 3
    assert [epoch["n_sequences"] for epoch in model.history_] == [20, 40, 60]


def test_a_function_is_called_for_each_epoch_with_fresh_numbers():
    seen = []

    def stream(random_state):
        seen.append(random_state.get_state()[1][:5].tolist())
        return tiny_copy(random_state=random_state)

    model = small_classifier(warm_start=True).fit(stream)
    assert len({tuple(state) for state in seen}) == 3
    again = small_classifier().fit(stream)
    assert torch.equal(weights_of(model), weights_of(again))
    model.fit(stream)  # goes on with new ones
    assert len({tuple(state) for state in seen}) == 6


def test_a_stream_that_ends_ends_the_training():
    parts = [tiny_copy(random_state=i) for i in range(2)]
    assert small_classifier(max_epochs=9).fit(iter(parts)).n_iter_ == 2


def test_labels_and_values_are_streamed_as_well():
    def labelled(random_state):
        X = random_state.normal(size=(20, 4, 1))
        return X, np.where(X[:, 0, 0] > 0, "up", "down")

    model = NTMSequenceClassifier(**SMALL).fit(labelled)
    assert set(model.classes_) == {"up", "down"}

    def valued(random_state):
        X = random_state.normal(size=(20, 4, 1))
        return X, X[:, 0, 0]

    assert NTMSequenceRegressor(**SMALL).fit(valued).predict(np.zeros((2, 3, 1))).size == 2


class Broken:
    def __init__(self, good):
        self.parts = iter(good)

    def __iter__(self):
        return self

    def __next__(self):
        for part in self.parts:
            return part
        raise OSError("the disk is gone")


def test_a_stream_that_fails_leaves_the_estimator_as_it_was():
    model = small_classifier(warm_start=True).fit(tiny_copy)
    before, history = weights_of(model).clone(), list(model.history_)
    schedule = replace(model.net_.schedule_)
    with pytest.raises(OSError, match="the disk is gone"):
        model.fit(Broken([tiny_copy(random_state=9)]))
    assert torch.equal(weights_of(model), before)
    assert model.history_ == history
    assert model.net_.schedule_ == schedule
    fresh = small_classifier()
    with pytest.raises(OSError, match="the disk is gone"):
        fresh.fit(Broken([tiny_copy(random_state=9)]))
    assert not hasattr(fresh, "net_")


@pytest.mark.parametrize(
    ("params", "args", "message"),
    [
        ({}, (iter([]),), "the stream is empty"),
        ({}, (iter([1]),), "gave a int"),
        ({}, (tiny_copy, [1]), "y cannot be used"),
        ({"early_stopping": True}, (tiny_copy,), "early_stopping=True cannot be used"),
        ({"class_weight": "balanced"}, (tiny_copy,), "class_weight='balanced' cannot"),
        (
            {"net_params": {"callbacks": [LengthCurriculum(3)]}},
            (iter([tiny_copy(random_state=0)] * 3),),
            "an iterator does not take",
        ),
    ],
)
def test_what_a_stream_cannot_do_is_refused(params, args, message):
    model = small_classifier(**params)
    with pytest.raises(ValueError, match=message):
        model.fit(*args)
    assert not hasattr(model, "net_")


# A curriculum


def test_a_curriculum_gives_longer_sequences_as_they_are_learned():
    curriculum = LengthCurriculum(4, learned=1e9)  # each epoch is good enough
    model = small_classifier(max_epochs=6, net_params={"callbacks": [curriculum]})
    lengths = []

    def stream(random_state, max_length=9):
        lengths.append(max_length)
        return make_copy(20, n_bits=2, max_length=max_length, random_state=random_state)

    model.fit(stream)
    assert lengths == [1, 2, 3, 4, 4, 4]
    assert [epoch["curriculum"] for epoch in model.history_] == [1, 2, 3, 4, 4, 4]
    never = LengthCurriculum(4, start=2, learned=1e-9)
    model.set_params(net_params={"callbacks": [never]}).fit(stream)
    assert lengths[6:] == [2] * 6
    assert model.net_.schedule_.held


@pytest.mark.parametrize("wrong", [{"start": 5}, {"step": 0}, {"learned": 0}])
def test_a_curriculum_that_is_none_is_refused(wrong):
    model = small_classifier(net_params={"callbacks": [LengthCurriculum(4, **wrong)]})
    with pytest.raises(ValueError, match="is no curriculum"):
        model.fit(partial(tiny_copy))


# The schedule


class Rates(Callback):
    """Record the rate, the penalty and the noise of each update."""

    def __init__(self):
        self.rows = []

    def __deepcopy__(self, memo):
        return self

    def on_grad_computed(self, net, **kwargs):
        rate = net.optimizer_.param_groups[0]["lr"]
        self.rows.append((rate, net.penalty_, net.noise_))


class Put(Callback):
    """Set an attribute of the net before each batch."""

    def __init__(self, name, value):
        self.name, self.value = name, value

    def on_batch_begin(self, net, **kwargs):
        setattr(net, self.name, self.value)


def rates_of(monkeypatch, learned, exact, *callbacks, **params):
    monkeypatch.setattr(schedule_module, "LEARNED", learned)
    monkeypatch.setattr(schedule_module, "EXACT", exact)
    monkeypatch.setattr(schedule_module, "LOST", math.inf)
    rates = Rates()
    params = {"learning_rate": 0.01, "batch_size": 1, **params}
    model = small_classifier(net_params={"callbacks": [rates, *callbacks]}, **params)
    model.fit(partial(tiny_copy))
    return model, np.array(rates.rows)


def test_the_rate_warms_up_and_falls_at_the_end_of_what_is_planned(monkeypatch):
    _, rows = rates_of(monkeypatch, 0.0, 0.0, max_epochs=20)
    rate, penalty, noise = rows.T
    assert len(rows) == 400
    assert_allclose(rate[:100], 0.01 * np.arange(1, 101) / 100)
    assert_allclose(rate[100:240], 0.01)
    assert (np.diff(rate[241:]) <= 0).all()
    assert_allclose(rate[240 + 80], 0.005, rtol=1e-6)  # half of a cosine over 160
    assert rate[-1] < 0.00021
    assert (penalty == 0).all()
    assert (noise == 0).all()


def test_once_learned_it_is_consolidated_and_then_ends(monkeypatch):
    model, rows = rates_of(monkeypatch, 1e9, 1e9, max_epochs=50)
    # Learned at the first sequence: 2 more, in one of which the penalty is on.
    assert model.n_iter_ == 1
    assert model.history_[-1]["phase"] == "learned"
    assert rows[-1, 0] == pytest.approx(0.01 * 0.02)
    assert model.net_.penalty_ == model.net_.noise_ == 0


def test_what_is_learned_late_goes_on_from_the_rate_that_is_left(monkeypatch):
    class LearnedLate(Callback):
        def on_epoch_end(self, net, **kwargs):
            if net.schedule_.n_sequences == 320:
                monkeypatch.setattr(schedule_module, "LEARNED", math.inf)

    model, rows = rates_of(monkeypatch, 0.0, math.inf, LearnedLate(), max_epochs=20)
    assert model.net_.schedule_.learned_at == 321
    rate, penalty, noise = rows.T
    assert len(rows) == 400
    assert_allclose(rate[320], 0.005, rtol=1e-6)  # where the rate was half down
    assert (np.diff(rate[240:]) <= 0).all()
    assert rate[-1] == pytest.approx(0.01 * 0.02, rel=0.1)
    # As large a part as there is of the rate, and of a consolidation's sequences.
    assert 0 < penalty.max() <= 0.5 * 79 / math.ceil(1.4 * 321)
    assert_allclose(noise, 0.4 * penalty)


def test_what_is_not_exact_is_annealed_again_three_times_at_most(monkeypatch):
    model, rows = rates_of(monkeypatch, 1e9, 0.0, max_epochs=50, consolidation=40)
    assert model.net_.schedule_.n_rounds == schedule_module.MAX_ROUNDS == 3
    assert model.history_[-1]["phase"] == "learned"
    rate, penalty, noise = rows[1:101].T  # after the first update: 40, thrice 20
    assert_allclose(rate[[0, 20]], [0.01, 0.005])
    assert_allclose(rate[[40, 50, 60, 70, 80]], [1e-3, 5e-4, 1e-3, 5e-4, 1e-3])
    assert_allclose(penalty[[0, 3, 6, 19, 23, 26]], [0, 0.5, 1, 1, 0.5, 0], atol=1e-12)
    assert not penalty[26:].any()
    assert_allclose(noise, 0.4 * penalty)


@pytest.mark.parametrize("optimizer", ["muon", "muon-adam"])
def test_muon_adam_turns_to_adam_once_a_task_is_learned(monkeypatch, optimizer):
    class Kinds(Rates):
        def on_grad_computed(self, net, **kwargs):
            self.rows.append(net.optimizer_.param_groups[0]["orthogonal"])

    kinds = Kinds()
    params = {"optimizer": optimizer, "consolidation": 40, "warm_start": True}
    model, _ = rates_of(monkeypatch, 1e9, 1e9, kinds, **params)  # learned at once
    assert kinds.rows[:3] == [True, *[optimizer == "muon"] * 2]
    assert kinds.rows[-1] == (optimizer == "muon")
    model.set_params(schedule="constant").fit(partial(tiny_copy))
    assert model.net_.optimizer_.param_groups[0]["orthogonal"]


@pytest.mark.parametrize(
    ("mean_loss", "noise"), [(0, 0.4), (0.05, 0.2), (0.1, 0), (0.4, 0)]
)
def test_noise_shrinks_where_a_task_does_not_bear_it(mean_loss, noise):
    schedule = Schedule(
        n_sequences=140,
        n_updates=200,
        mean_loss=mean_loss,
        learned_at=100,
        length=100,
        whole_length=100,
    )
    net = SimpleNamespace(schedule_=schedule)
    net.scale_learning_rate = net.take_orthogonal_steps = lambda value: None
    Consolidation().on_batch_begin(net, training=True)
    assert net.penalty_ == 1
    assert net.noise_ == pytest.approx(noise)


def test_noise_is_a_part_of_what_varies_and_of_nothing_else():
    net = small_classifier(max_epochs=1).fit(*tiny_copy(random_state=0)).net_
    net.noise_ = 0.3
    random_state = np.random.RandomState(0)
    lengths = torch.tensor([4000, 1000])
    values = torch.tensor(random_state.randn(2, 4000, 4) * [1, 100, 0, 1e-30])
    values[..., 2] = 7
    values[1, 1000:] = 1e6  # padding tells nothing
    before = torch.get_rng_state()
    noisy = net._with_noise(values.float(), lengths)
    assert torch.equal(before, torch.get_rng_state())
    added = (noisy - values)[0].std(0)
    assert_allclose(added, [0.3, 30, 0, 3e-31], rtol=0.06)
    assert torch.equal(noisy, net._with_noise(values.float(), lengths))
    net.schedule_.n_updates += 1
    assert not torch.equal(noisy, net._with_noise(values.float(), lengths))
    huge = torch.tensor([[[3e38], [-3e38], [3e38]]])
    assert net._with_noise(huge, torch.tensor([3])).isfinite().all()


def test_noise_is_in_the_inputs_of_training_alone():
    def losses(noise, memory):
        model = small_classifier(
            schedule="constant", max_epochs=1, memory=memory, learning_rate=1e-12
        )
        model.set_params(net_params={"callbacks": [Put("noise_", noise)]})
        X, y = tiny_copy(random_state=0)
        model.fit(X, y)
        return model.history_[0]["train_loss"], model.predict_proba(X)

    for memory in ("ntm", None):
        (loss, proba), (noisy_loss, same_proba) = losses(0.0, memory), losses(0.5, memory)
        assert abs(noisy_loss - loss) > 1e-4 * loss
        assert_allclose(np.nan_to_num(same_proba), np.nan_to_num(proba), atol=1e-6)


def test_a_training_that_fails_leaves_no_penalty_and_no_noise_behind(monkeypatch):
    class Fail(Callback):
        armed = False

        def __deepcopy__(self, memo):
            return self

        def on_grad_computed(self, net, **kwargs):
            if self.armed and net.penalty_ and net.noise_:
                raise RuntimeError("on purpose")

    monkeypatch.setattr(schedule_module, "LEARNED", 1e9)  # at once
    monkeypatch.setattr(schedule_module, "LOST", math.inf)
    fail = Fail()
    model = small_classifier(consolidation=400, net_params={"callbacks": [fail]})
    model.partial_fit(*tiny_copy(random_state=0))
    fail.armed = True
    with pytest.raises(RuntimeError, match="on purpose"):
        model.partial_fit(*tiny_copy(random_state=1))
    assert model.net_.penalty_ == model.net_.noise_ == 0


def test_a_lapse_spoils_exactness_for_15_percent_of_the_consolidation():
    schedule = Schedule(n_late=1, length=100, n_sequences=1000, last_lapse=985)
    assert schedule.exact
    assert not replace(schedule, last_lapse=986).exact
    assert not replace(schedule, late_loss=0.002).exact
    assert not replace(schedule, n_late=0).exact


def test_what_is_exact_is_told_by_the_mean_of_the_last_15_percent():
    schedule = Schedule(n_sequences=50)
    schedule.consolidate(100)
    losses = np.random.RandomState(0).rand(50) / 100
    for loss in losses:
        schedule.count(2, loss)
    late = losses[2 * (np.arange(50) + 1) > 85]
    assert schedule.n_late == len(late) == 8
    assert schedule.late_loss == pytest.approx(late.mean())
    schedule.consolidate(50)
    assert schedule.n_late == 0


def test_the_schedule_counts_and_tells_learned_from_lost():
    schedule = Schedule()
    for _ in range(200):
        schedule.count(4, 0.0)
    schedule.count(4, math.nan)  # a batch without a finite loss is none
    assert schedule.n_sequences == 804
    assert schedule.n_updates == 201
    assert schedule.mean_loss == 0
    schedule.count(4, 1.0)
    assert schedule.mean_loss == pytest.approx(0.05)
    assert schedule.phase == "learning"


def test_auto_is_to_consolidate_for_labels_of_steps_alone(sequences):
    X, y = sequences
    plain = NTMSequenceClassifier(**SMALL).fit(X, y)
    assert "phase" not in plain.history_[0]
    assert plain.history_[0]["train_batch_count"] == math.ceil(60 / 16)
    stepwise = small_classifier().fit(*tiny_copy(random_state=0))
    assert stepwise.history_[0]["phase"] == "learning"
    assert stepwise.history_[0]["train_batch_count"] == 20 / 4


def test_two_and_two_partial_fits_are_four_with_the_schedule_too():
    data = tiny_copy(random_state=0)
    whole, halves = small_classifier(), small_classifier()
    for _ in range(4):
        whole.partial_fit(*data)
    for _ in range(2):
        halves.partial_fit(*data)
    assert vars(halves.net_.schedule_) == {
        **vars(whole.net_.schedule_),
        "n_sequences": 40,
        "n_updates": 10,
        "mean_loss": halves.net_.schedule_.mean_loss,
        "last_lapse": 40,
        "factor": 0.1,
    }
    halves = pickle.loads(pickle.dumps(halves))
    for _ in range(2):
        halves.partial_fit(*data)
    assert torch.equal(weights_of(whole), weights_of(halves))
    assert whole.net_.schedule_ == halves.net_.schedule_


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, 3e-4),
        ({"max_grad_norm": "auto", "return_sequences": False}, 6e-4),
        ({"max_grad_norm": 5}, 1e-3),
        ({"max_grad_norm": 5, "optimizer": "adamw"}, 1e-3),
        ({"max_grad_norm": 5, "optimizer": "muon"}, 2.5e-3),
        ({"max_grad_norm": None}, 3e-4),
        ({"net_params": {"optimizer__eps": 1e-5}}, 1e-5),
        ({"net_params": {"optimizer": torch.optim.Adam}}, 1e-8),
        ({"optimizer": "sgd"}, None),
    ],
)
def test_epsilon_goes_by_the_clip_unless_it_is_given(params, expected):
    model = small_classifier(max_epochs=1, **params)
    X, y = tiny_copy(random_state=0)
    model.fit(X, y if model.return_sequences else np.arange(len(X)) % 2)
    assert model.net_.optimizer_.param_groups[0].get("eps") == pytest.approx(expected)


def test_a_constant_schedule_does_not_keep_the_rate_of_another_one():
    model = small_classifier(warm_start=True).fit(*tiny_copy(random_state=0))
    assert model.net_.optimizer_.param_groups[0]["lr"] < 0.01
    model.set_params(schedule="constant").fit(*tiny_copy(random_state=0))
    assert model.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(0.01)


def test_a_penalty_is_in_the_gradient_but_not_in_the_loss():
    torch.manual_seed(0)
    model = small_classifier(schedule="constant", max_epochs=1)
    data = tiny_copy(random_state=0)

    def first_epoch(height):
        other = clone(model).set_params(
            batch_size=20, net_params={"callbacks": [Put("penalty_", height)]}
        )
        other.fit(*data)
        return other.history_[0]["train_loss"], other.history_[0]["grad_norm"]

    loss, norm = first_epoch(0.0)
    same_loss, other_norm = first_epoch(1.0)
    assert same_loss == pytest.approx(loss, rel=1e-5)
    assert abs(other_norm - norm) > 1e-3 * norm


def test_the_memorys_penalty_is_that_of_writing_looking_up_and_doubtful_shifts():
    network = SequenceNetwork(3, 2, memory_size=6, n_read_heads=2, n_write_heads=2)
    x, lengths = torch.randn(3, 5, 3), torch.tensor([5, 2, 4])
    for backend in ("reference", "fused"):
        network.backend = backend
        _, _, trace = network(x, lengths, return_states="heads")
        assert trace.states.memory.memory.shape == (3, 5, 0, 20)
        _, _, whole = network(x, lengths, return_states=True)
        expected = torch.zeros(3)
        for i, n_steps in enumerate(lengths):
            for t in range(n_steps):
                step = [part[i, t] for part in whole.interfaces]
                expected[i] += 0.03 * (step[5].square().sum() + step[6].square().sum())
                expected[i] += 1e-3 * step[1].square().sum()
                expected[i] += 0.01 * (step[4] - 1).square().sum()
                expected[i] += 0.3 * (1 - step[3].square().sum(-1)).sum()
        torch.testing.assert_close(network.penalty(trace), expected, rtol=1e-4, atol=1e-5)


# Heads in the beginning


def test_heads_begin_as_a_tape():
    network = SequenceNetwork(3, 2, memory_size=9, n_read_heads=2, n_write_heads=1)
    memory = network.cell.memory
    weights = memory.split_interface(memory.projection.weight.detach().T)
    biases = memory.split_interface(memory.projection.bias.detach())
    assert torch.equal(weights.key[:, 0], weights.add[:, 0])
    assert torch.equal(biases.key[0], biases.add[0])
    assert not torch.equal(weights.key[:, 1], weights.add[:, 0])
    expected = [("gate", 2, 2, -2), ("strength", 3, 3, 0)]
    for name, *values in expected:
        found = getattr(biases, name).flatten()
        torch.testing.assert_close(found, torch.tensor(values).float(), rtol=0, atol=0.06)
    torch.testing.assert_close(
        biases.shift[2], torch.tensor([0.0, 0.0, 2.0]), rtol=0, atol=0.06
    )
    network(torch.zeros(1, 2, 3))
    SequenceNetwork(3, 2, memory_size=1, memory_params={"shift_range": 0})


@pytest.mark.parametrize("n_rows", [16, 128, 1024])
def test_heads_find_as_much_of_a_row_among_more_of_them(n_rows):
    """A row alone in being like the key gets about e^3 / (e^3 + 127) of a look-up."""
    torch.manual_seed(0)
    memory = SequenceNetwork(3, 2, memory_size=n_rows, n_read_heads=8).cell.memory
    biases = memory.split_interface(memory.projection.bias.detach())
    likeness = math.exp(biases.strength[:8].mean())
    part = likeness / (likeness + max(n_rows, 128) - 1)
    assert part == pytest.approx(math.exp(3) / (math.exp(3) + 127), rel=0.03)
    first = memory.initial_state(1).read_weights[0, 0, 0].item()
    assert 1 - first == pytest.approx((min(n_rows, 128) - 1) * math.exp(-10), rel=0.02)


# Where gradients come from


def test_norms_of_the_parts_add_up_and_name_heads_by_their_rows():
    torch.manual_seed(0)
    network = SequenceNetwork(3, 2, memory_size=9, n_read_heads=2, n_write_heads=2)
    network(torch.randn(4, 6, 3))[0].square().sum().backward()
    norms = gradient_norms(network)
    whole = torch.nn.utils.get_total_norm([p.grad for p in network.parameters()])
    assert_allclose(math.hypot(*norms.values()), float(whole), rtol=1e-5)
    for part in ("weight", "bias"):
        getattr(network.cell.memory.projection, part).grad.zero_()
    # Columns: 4 keys of 20, 4 strengths, 4 gates, ...: column 86 is the third head's gate.
    network.cell.memory.projection.weight.grad[86] = 1.0
    norms = gradient_norms(network)
    assert norms["write head 0: gate"] == pytest.approx(10)
    assert all(v == 0 for k, v in norms.items() if "head" in k and k[-4:] != "gate")


def test_history_names_the_gate_of_a_large_gradient(sequences):
    class Pull(Callback):
        def on_train_begin(self, net, **kwargs):
            # Columns: 2 keys of 4, 2 strengths, 2 gates: that of the write head.
            large = torch.zeros(28)
            large[11] = 1e4
            net.module_.cell.memory.projection.bias.register_hook(lambda g: g + large)

    X, y = sequences
    model = NTMSequenceClassifier(**SMALL, net_params={"callbacks": [Pull()]}).fit(X, y)
    for epoch in model.history_:
        assert epoch["grad_norm"] == pytest.approx(1e4, rel=0.01)
        assert epoch["grad_source"] == "write head 0: gate"
        assert epoch["n_clipped"] == epoch["train_batch_count"] == 4
        assert epoch["n_skipped"] == 0


def test_updates_of_no_use_are_left_out_and_counted(sequences):
    class Blow(torch.nn.BCEWithLogitsLoss):
        calls = 0

        def forward(self, *args):
            Blow.calls += 1
            return super().forward(*args) * (math.nan if Blow.calls == 2 else 1.0)

    data = tiny_copy(random_state=0)
    model = small_classifier(net_params={"criterion": Blow}).fit(*data)
    assert [epoch["n_skipped"] for epoch in model.history_] == [1, 0, 0]
    assert all(np.isfinite(epoch["train_loss"]) for epoch in model.history_)
    assert torch.isfinite(weights_of(model)).all()


def test_a_training_without_any_use_stops_and_says_so_in_the_history():
    class Never(torch.nn.BCEWithLogitsLoss):
        def forward(self, *args):
            return super().forward(*args) * math.nan

    model = small_classifier(net_params={"criterion": Never})
    with pytest.warns(ConvergenceWarning, match="the gradient became non-finite"):
        model.fit(*tiny_copy(random_state=0))
    assert model.n_iter_ == 0
    assert model.history_[0]["guard"].startswith("the gradient became non-finite")
    assert torch.isfinite(weights_of(model)).all()
    assert np.isfinite(model.predict_proba(tiny_copy(random_state=0)[0][:, :3])).all()


def test_a_gradient_whose_square_overflows_is_clipped(sequences):
    class Loud(torch.nn.BCEWithLogitsLoss):
        def forward(self, *args):
            return super().forward(*args) * 1e25

    model = small_classifier(net_params={"criterion": Loud}, schedule="constant")
    model.fit(*tiny_copy(random_state=0))
    first = model.history_[0]
    assert first["n_skipped"] == 0
    assert first["n_clipped"] == first["train_batch_count"]
    assert 1e20 < first["grad_norm"] < math.inf


# Never NaN


STRESS = {
    "large inputs": ({}, lambda X, rng: X * 1e30),
    "small inputs": ({}, lambda X, rng: X * 1e-30),
    "mixed inputs": ({}, lambda X, rng: X * 10.0 ** rng.randint(-30, 31, X.shape)),
    "constant inputs": ({}, lambda X, rng: np.where(np.isnan(X), X, 1.0)),
    "zero inputs": ({}, lambda X, rng: X * 0),
    "one row": ({"memory_size": 1, "memory_params": {"shift_range": 0}}, None),
    "one column": ({"word_size": 1}, None),
    "one row and column": (
        {"memory_size": 1, "word_size": 1, "memory_params": {"shift_range": 0}},
        None,
    ),
    "64 heads": ({"n_read_heads": 64, "n_write_heads": 64, "memory_size": 8}, None),
    "constant memory": ({"memory_params": {"memory_init": "constant"}}, None),
    "no clip": ({"max_grad_norm": None, "memory_params": {"interface_clip": None}}, None),
}


@pytest.mark.filterwarnings("ignore:Training stopped:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize("learning_rate", [1e-2, 10.0])
@pytest.mark.parametrize("stress", STRESS)
def test_nothing_becomes_non_finite_under_stress(stress, learning_rate, optimizer):
    params, change = STRESS[stress]
    rng = np.random.RandomState(0)
    X, y = make_copy(40, n_bits=3, max_length=5, random_state=0)
    if change is not None:
        X = change(X, rng)
    model = small_classifier(
        learning_rate=learning_rate, optimizer=optimizer, max_epochs=5, **params
    )
    model.fit(X, y)
    assert torch.isfinite(weights_of(model)).all()
    assert np.isfinite(model.predict_proba(X)[~np.isnan(X).all(axis=2)]).all()
    for epoch in model.history_:
        assert math.isfinite(epoch["train_loss"])
        assert math.isfinite(epoch["grad_norm"])
        assert epoch["n_skipped"] >= 0


@pytest.mark.filterwarnings("ignore:Training stopped:sklearn.exceptions.ConvergenceWarning")
def test_twenty_thousand_steps_stay_finite():
    X, y = make_copy(400, n_bits=1, max_length=2, random_state=0)
    model = small_classifier(
        batch_size=1, max_epochs=50, schedule="constant", learning_rate=1.0
    )
    model.fit(X, y)
    assert sum(epoch["train_batch_count"] for epoch in model.history_) == 20_000
    assert torch.isfinite(weights_of(model)).all()
    assert np.isfinite([epoch["train_loss"] for epoch in model.history_]).all()
    assert np.isfinite([epoch["grad_norm"] for epoch in model.history_]).all()
