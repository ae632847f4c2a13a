"""Where gradients come from, and what the history says about them."""

import math

import numpy as np
import pytest
import torch
from helpers import SMALL, stepwise_classifier, tiny_copy, weights_of
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from sknt import NTMSequenceClassifier
from sknt.nn import SequenceNetwork, gradient_norms


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


def test_non_finite_updates_are_skipped_and_counted(sequences):
    class Blow(torch.nn.BCEWithLogitsLoss):
        calls = 0

        def forward(self, *args):
            Blow.calls += 1
            return super().forward(*args) * (math.nan if Blow.calls == 2 else 1.0)

    data = tiny_copy(random_state=0)
    model = stepwise_classifier(net_params={"criterion": Blow}).fit(*data)
    assert [epoch["n_skipped"] for epoch in model.history_] == [1, 0, 0]
    assert all(np.isfinite(epoch["train_loss"]) for epoch in model.history_)
    assert torch.isfinite(weights_of(model)).all()


def test_training_whose_updates_are_all_skipped_stops_and_says_so_in_the_history():
    class Never(torch.nn.BCEWithLogitsLoss):
        def forward(self, *args):
            return super().forward(*args) * math.nan

    model = stepwise_classifier(net_params={"criterion": Never})
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

    model = stepwise_classifier(net_params={"criterion": Loud}, schedule="constant")
    model.fit(*tiny_copy(random_state=0))
    first = model.history_[0]
    assert first["n_skipped"] == 0
    assert first["n_clipped"] == first["train_batch_count"]
    assert 1e20 < first["grad_norm"] < math.inf
