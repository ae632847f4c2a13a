"""Memories that break the contract are refused when they are built, with the reason."""

import numpy as np
import pytest
import torch
from foreign_memories import Register, ShiftRegister
from helpers import stepwise_classifier, tiny_copy

from sknt.memories import MEMORIES, Memory, make_memory


def step_in_place(self, interface, state):
    state.clock.add_(1)
    return ShiftRegister.step(self, interface, state)


def step_that_scales_zeros(self, interface, state):
    state.cells.mul_(0.5)
    return ShiftRegister.step(self, interface, state)


def step_that_remembers(self, interface, state):
    self.last = interface
    return ShiftRegister.step(self, interface, state)


def step_across_the_batch(self, interface, state):
    reads, state = ShiftRegister.step(self, interface, state)
    return reads - reads.mean(0, keepdim=True), state


def state_of_the_first(self, interface, state):
    reads, state = ShiftRegister.step(self, interface, state)
    return reads, state._replace(cells=state.cells[:1].expand_as(state.cells))


def interface_that_remembers(self, hidden):
    self.last = hidden
    return ShiftRegister.interface(self, hidden)


def step_that_learns(self, interface, state):
    self.speak.bias.data.add_(1)
    return ShiftRegister.step(self, interface, state)


def reads_that_are(change):
    def step(self, interface, state):
        reads, state = ShiftRegister.step(self, interface, state)
        return change(reads), state

    return step


def parts_of_rows(**rows):
    return {"parts": lambda self: {n: {"speak.weight": some} for n, some in rows.items()}}


BROKEN = {
    "bulky of unknown fields": ({"bulky": ("nope",)}, "bulky is .*cells, clock"),
    "bulky is text": ({"bulky": "cells"}, "bulky is 'cells'; it should be a tuple"),
    "state is a plain tuple": (
        {"initial_state": lambda self, n: (torch.zeros(n, 7, 4), torch.zeros(n))},
        "initial_state returned tuple; it should return a NamedTuple",
    ),
    "state has no batch": (
        {"initial_state": lambda self, n: Register(torch.zeros(7, 4), torch.zeros(n))},
        r"initial_state returned 'cells' of shape \(7, 4\) for a batch of 2",
    ),
    "interface is a tensor": (
        {"interface": lambda self, hidden: hidden},
        "interface returned shape .*NamedTuple",
    ),
    "step returns no pair": (
        {"step": lambda self, interface, state: state.cells},
        "step returned shape .*the reads and the new state",
    ),
    "reads of another shape": (
        {"step": lambda self, interface, state: (state.cells, state)},
        r"step returned reads of shape \(2, 7, 4\).*here \(2, 2, 4\)",
    ),
    "state changes its kind": (
        {"step": lambda self, i, s: (s.cells[:, :2], Register(s.cells, s.clock + 0.5))},
        "step returned a state of .*keep the types",
    ),
    "step changes the state in place": (
        {"step": step_in_place},
        "step changed its arguments in place; it should return new tensors",
    ),
    "step changes zeros in place": (
        {
            "initial_state": lambda self, n: Register(torch.zeros(n, 7, 4), torch.zeros(n)),
            "step": step_that_scales_zeros,
        },
        "step changed its arguments in place",
    ),
    "step assigns to self": (
        {"step": step_that_remembers},
        r"step assigned to self\.last; it should keep in the state",
    ),
    "sequences depend on each other": (
        {"step": step_across_the_batch},
        "step gives a sequence other results alone than in a batch",
    ),
    "all take over the state of the first": (
        {"step": state_of_the_first},
        "step gives a sequence other results alone than in a batch",
    ),
    "states begin differently": (
        {
            "initial_state": lambda self, n: Register(
                self.blank + torch.arange(n)[:, None, None], torch.zeros(n)
            )
        },
        "initial_state differs from sequence to sequence",
    ),
    "states begin at random": (
        {"initial_state": lambda self, n: Register(torch.randn(n, 7, 4), torch.zeros(n))},
        "initial_state differs from sequence to sequence",
    ),
    "interface assigns to self": (
        {"interface": interface_that_remembers},
        r"interface assigned to self\.last",
    ),
    "step changes parameters": (
        {"step": step_that_learns},
        "step changed parameters; it should leave that to the optimizer",
    ),
    "reads are integers": (
        {"step": reads_that_are(torch.Tensor.long)},
        "step returned reads of torch.int64, with parameters of torch.float32",
    ),
    "reads are in double precision": (
        {"step": reads_that_are(torch.Tensor.double)},
        "step returned reads of torch.float64",
    ),
    "reads are NaN": (
        {"step": reads_that_are(lambda reads: reads * torch.nan)},
        "step returned reads that are NaN",
    ),
    "penalty is one number": (
        {"penalty": lambda self, trace: trace.states.cells.sum()},
        r"penalty returned shape \(\); .*here \(2,\)",
    ),
    "penalty is missing": (
        {"penalty": lambda self, trace: None},
        "penalty returned NoneType",
    ),
    "weightings are a list": (
        {"weightings": lambda self, trace: []},
        "weightings returned",
    ),
    "weightings of one step": (
        {"weightings": lambda self, trace: {"look": trace.interfaces.look[:, 0]}},
        "weightings returned shape .* for 'look'",
    ),
    "parts are a list": ({"parts": lambda self: ["speak"]}, "parts returned list"),
    "a part is a list": (
        {"parts": lambda self: {"a": ["speak"]}},
        "parts has list for 'a'",
    ),
    "a part is a number": (parts_of_rows(a=3), "parts has 3 for speak.weight in 'a'"),
    "parts overlap": (
        parts_of_rows(a=slice(0, 3), b=slice(2, 4)),
        r"parts has slice\(2, 4, None\) for speak.weight in 'b'.* in no other part",
    ),
    "a part has more than all rows": (
        parts_of_rows(a=slice(5)),
        r"parts has slice\(None, 5, None\) .* some of its 4 rows",
    ),
    "parts of nothing": (
        {"parts": lambda self: {"read head 0": {"nope": slice(1)}}},
        r"parts has \['nope'\] in 'read head 0'",
    ),
}


@pytest.mark.parametrize(("members", "message"), BROKEN.values(), ids=BROKEN)
def test_a_memory_that_breaks_the_contract_is_refused_when_it_is_built(
    monkeypatch, members, message
):
    monkeypatch.setitem(MEMORIES, "broken", type("Broken", (ShiftRegister,), members))
    with pytest.raises(TypeError, match=f"Broken.{message}"):
        make_memory("broken", 5, 7, 4, 2, 1)


def test_a_memory_may_begin_with_zeros_of_torchs_own_dtype(monkeypatch):
    def initial_state(self, n):
        blank = torch.zeros(n, *self.blank.shape)
        return Register(blank, torch.zeros(n, dtype=torch.int64))

    def step(self, interface, state):  # looks before the first word is there
        _, after = ShiftRegister.step(self, interface, state)
        return interface.look @ state.cells, after

    members = {"initial_state": initial_state, "step": step}
    monkeypatch.setitem(MEMORIES, "zeros", type("Zeros", (ShiftRegister,), members))
    X, y = tiny_copy(random_state=0)
    proba = stepwise_classifier(memory="zeros").fit(X, y).predict_proba(X)
    assert np.isfinite(proba[~np.isnan(X).all(axis=2)]).all()


@pytest.mark.parametrize("attribute", ["n_read_heads", "word_size"])
def test_a_memory_that_does_not_read_as_asked_is_refused(monkeypatch, attribute):
    class Stubborn(ShiftRegister):
        def __init__(self, *args):
            super().__init__(*args)
            setattr(self, attribute, 9)

    class Forgetful(Memory):
        def __init__(self, *args):
            super().__init__()

    monkeypatch.setitem(MEMORIES, "broken", Stubborn)
    with pytest.raises(TypeError, match=f"Stubborn has {attribute}=9 instead of "):
        make_memory("broken", 5, 7, 4, 2, 1)
    monkeypatch.setitem(MEMORIES, "broken", Forgetful)
    with pytest.raises(TypeError, match="Forgetful has n_read_heads=None instead of 2"):
        make_memory("broken", 5, 7, 4, 2, 1)


def test_a_memory_that_sees_inputs_has_to_be_told_how_many(monkeypatch):
    members = {"uses_inputs": True}
    monkeypatch.setitem(MEMORIES, "broken", type("Broken", (ShiftRegister,), members))
    with pytest.raises(
        TypeError, match="Broken.uses_inputs is True, .* parameter n_inputs"
    ):
        make_memory("broken", 5, 7, 4, 2, 1, n_inputs=3)
