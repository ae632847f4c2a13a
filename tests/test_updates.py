"""What surrounds the network in an update equals torch's and skorch's own, to the bit."""

import copy

import numpy as np
import pytest
import torch
from helpers import small_classifier
from skorch.callbacks import Callback
from torch.utils.data import DataLoader, Subset

from sknt.data.ragged import Ragged
from sknt.training.adam import Adam, AdamW
from sknt.training.batches import BatchSampler, SequenceDataset, sequence_loader
from sknt.training.clipping import global_norm, scale_down
from sknt.training.optimizers import Muon

SHAPES = [(40, 13), (7,), (1, 9), (), (128, 20)]


def make_parameters(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(s, generator=generator, dtype=dtype) for s in SHAPES]
    return [torch.nn.Parameter(values) for values in made]


def gradients_of(update, scale=1.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(update)
    return [scale * torch.randn(s, generator=generator, dtype=dtype) for s in SHAPES]


def run(optimizer_class, n_updates=6, dtype=torch.float32, skips=True, **params):
    """Return parameters and state after updates in which some have no gradient."""
    parameters = make_parameters(dtype)
    optimizer = optimizer_class(parameters, lr=0.01, **params)
    for update in range(n_updates):
        for i, gradient in enumerate(gradients_of(update, dtype=dtype)):
            parameters[i].grad = None if skips and i == update % 4 else gradient
        optimizer.step()
    return parameters, optimizer


def assert_same(run, other):
    for one, two in zip(run[0], other[0], strict=True):
        assert torch.equal(one, two)
        states = [optimizer.state[p] for (_, optimizer), p in ((run, one), (other, two))]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("pair", [(Adam, torch.optim.Adam), (AdamW, torch.optim.AdamW)])
@pytest.mark.parametrize(
    "params",
    [
        {"fused": True},
        {"fused": True, "weight_decay": 0.1, "maximize": True, "betas": (0.5, 0.7)},
        {"fused": True, "amsgrad": True},
        {"fused": False},
        {"foreach": True},
        {"fused": True, "dtype": torch.float64},
    ],
)
def test_adam_is_that_of_torch(pair, params):
    assert_same(*(run(optimizer_class, **params) for optimizer_class in pair))


def test_adam_continues_from_a_state_of_torch():
    (parameters, optimizer), other = (
        run(Adam, fused=True),
        run(torch.optim.Adam, fused=True),
    )
    optimizer.load_state_dict(copy.deepcopy(other[1].state_dict()))
    for ours, theirs, gradient in zip(parameters, other[0], gradients_of(9), strict=True):
        ours.grad, theirs.grad = gradient, gradient.clone()
    optimizer.step()
    other[1].step()
    assert_same((parameters, optimizer), other)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_hooks_of_the_optimizer_are_called_once_an_update(amsgrad):
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])  # torch wraps its `step` then
    parameters, calls = make_parameters(), []
    optimizer = Adam(parameters, fused=True, amsgrad=amsgrad)
    optimizer.register_step_pre_hook(lambda *args: calls.append("before"))
    optimizer.register_step_post_hook(lambda *args: calls.append("after"))
    optimizer.step()
    assert calls == ["before", "after"]


@pytest.mark.parametrize("orthogonal", [True, False])
def test_parameters_of_a_muon_group_move_as_each_would_alone(orthogonal):
    together, alone = make_parameters(), make_parameters()
    optimizers = [Muon(together), *(Muon([parameter]) for parameter in alone)]
    for optimizer in optimizers:
        optimizer.param_groups[0]["orthogonal"] = orthogonal
    for update in range(5):
        for i, gradient in enumerate(gradients_of(update)):
            absent = i == update
            together[i].grad = None if absent else gradient
            alone[i].grad = None if absent else gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert all(map(torch.equal, together, alone))


@pytest.mark.parametrize("scale", [1e-30, 0.1, 3.7, 1e25])
@pytest.mark.parametrize("max_norm", [1e-3, 1, 0.3, 17.0])
def test_gradients_are_clipped_as_by_torch(scale, max_norm):
    parameters = make_parameters()
    for parameter, gradient in zip(parameters, gradients_of(0, scale), strict=True):
        parameter.grad = gradient.clone()
    gradients = gradients_of(0, scale)
    norm = global_norm(gradients)
    theirs = torch.nn.utils.get_total_norm(gradients)
    if torch.isfinite(theirs):
        assert norm == float(theirs)
    if norm > max_norm:
        scale_down(gradients, max_norm, norm)
    torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, torch.tensor(norm))
    for parameter, gradient in zip(parameters, gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)


def test_a_norm_beyond_single_precision_leaves_no_gradient():
    gradients = [torch.full((9,), 3e38)]
    scale_down(gradients, 1.0, global_norm(gradients))
    assert not gradients[0].any()


def make_dataset(per_step):
    rng = np.random.RandomState(0)
    values, lengths = rng.normal(size=(11, 6, 2)), rng.randint(1, 6, size=11)
    n_targets = lengths.sum() if per_step else 11
    return SequenceDataset(
        Ragged.in_blocks(values, lengths),
        rng.randint(3, size=n_targets),
        rng.rand(n_targets).astype(np.float32),
        per_step=per_step,
    )


@pytest.mark.parametrize("per_step", [True, False])
@pytest.mark.parametrize("rows", [None, np.array([7, 2, 3, 9, 0])])
def test_batches_are_those_of_a_data_loader(per_step, rows):
    dataset = make_dataset(per_step)
    if rows is not None:
        dataset = Subset(dataset, rows)
    sampler = BatchSampler(len(dataset), 4, np.random.RandomState(1))
    loader = sequence_loader(dataset, 4, np.random.RandomState(1))
    assert len(loader) == len(sampler)
    for _ in range(2):  # each epoch has an order of its own
        expected = list(DataLoader(dataset, batch_size=None, sampler=sampler))
        for batch, other in zip(loader, expected, strict=True):
            for name in ("x", "lengths", "weight"):
                assert torch.equal(batch[0][name], other[0][name])
            assert torch.equal(batch[1], other[1])


def test_arguments_of_a_data_loader_are_for_one():
    loader = sequence_loader(make_dataset(False), 4, pin_memory=False)
    assert isinstance(loader, DataLoader)
    assert [len(y) for _, y in loader] == [4, 4, 3]


def test_callbacks_hear_every_event_that_they_listen_to(sequences):
    class Changes(Callback):
        """Listens by a method of its own, which it gets when training begins."""

        def on_train_begin(self, net, **kwargs):
            self.sizes = []
            self.on_batch_end = self._on_batch_end

        def _on_batch_end(self, net, batch, training, **kwargs):
            self.sizes.append(len(batch[1]))
            assert net.history[-1, "batches", -1, "train_batch_size"] == len(batch[1])

        def on_grad_computed(self, net, named_parameters, **kwargs):
            assert all(p.grad is not None for _, p in named_parameters)

    model = small_classifier(net_params={"callbacks": [Changes()]}).fit(*sequences)
    [callback] = [c for _, c in model.net_.callbacks_ if isinstance(c, Changes)]
    n_batches = sum(epoch["train_batch_count"] for epoch in model.history_)
    assert len(callback.sizes) == n_batches > 0


def test_every_update_is_in_training_mode_whatever_callbacks_do(sequences):
    class Evaluates(Callback):
        def on_batch_begin(self, net, **kwargs):
            net.module_.readout.eval()

        def on_grad_computed(self, net, **kwargs):
            assert all(module.training for module in net.module_.modules())

    small_classifier(net_params={"callbacks": [Evaluates()]}).fit(*sequences)


def test_an_optimizer_forgets_gradients_in_its_own_way(sequences):
    class Counts(torch.optim.SGD):
        calls = 0

        def zero_grad(self, set_to_none=True):
            Counts.calls += 1
            super().zero_grad(set_to_none)

    model = small_classifier(net_params={"optimizer": Counts}).fit(*sequences)
    n_batches = sum(epoch["train_batch_count"] for epoch in model.history_)
    assert Counts.calls == n_batches > 0
