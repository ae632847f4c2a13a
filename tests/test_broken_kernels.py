"""Kernels that do not fit their memory are refused before they run."""

import sys
from types import ModuleType

import pytest
import torch

from sknt.kernels import contract
from sknt.kernels.memories import ntm
from sknt.memories import MEMORIES, NTMInterface, NTMMemory, register_memory
from sknt.nn import SequenceNetwork


def without(name):
    return {k: v for k, v in vars(ntm).items() if k != name and not k.startswith("__")}


@pytest.fixture
def run(monkeypatch):
    """Run a network whose memory is an NTM with a kernel of one's own."""

    def run_with(functions, interface_type=NTMInterface):
        module = ModuleType("some_kernel")
        vars(module).update({"__file__": ntm.__file__, **functions})
        monkeypatch.setitem(sys.modules, "some_kernel", module)
        monkeypatch.setattr(contract, "loaded", {})
        own = {"kernel": "some_kernel", "interface_type": interface_type}
        monkeypatch.setitem(MEMORIES, "own", None)
        register_memory("own", type("Own", (NTMMemory,), own))
        SequenceNetwork(3, 2, memory="own", memory_size=7, word_size=4)(
            torch.zeros(1, 2, 3)
        )

    return run_with


@pytest.mark.parametrize("name", ["dims", "scratch", "step_backward"])
def test_a_missing_function_is_named(run, name):
    with pytest.raises(TypeError, match=f"some_kernel does not define {name};"):
        run(without(name))


def test_a_state_of_other_parts_is_refused(run):
    def state(d):
        return dict(reversed(ntm.state(d).items()))

    with pytest.raises(TypeError, match="some_kernel has a state of .*; the memory's is"):
        run({**without("state"), "state": state})


def test_a_state_of_other_shapes_is_refused(run):
    with pytest.raises(
        TypeError, match=r"state of \{'memory': \(4, 7\).*'memory': \(7, 4\)"
    ):
        run(without("transposed"))


@pytest.mark.parametrize("interface_type", [None, tuple])
def test_an_interface_of_other_fields_is_refused(run, interface_type):
    with pytest.raises(TypeError, match="an interface of .* but the fields of Own"):
        run(without(""), interface_type)


def test_functions_that_are_in_no_file_are_refused(run):
    with pytest.raises(TypeError, match="some_kernel is not in a file"):
        run({**without(""), "__file__": None})


def test_a_projection_to_other_columns_is_refused(run):
    def interface(d):
        return {**ntm.interface(d), "add": (d.write_heads, d.width + 1)}

    with pytest.raises(TypeError, match="some_kernel has 29 columns .* projection has 28"):
        run({**without("interface"), "interface": interface})


def test_a_module_that_is_not_there_is_named(run, monkeypatch):
    own = {"kernel": "no_such_kernel", "interface_type": NTMInterface}
    monkeypatch.setitem(MEMORIES, "own", None)
    register_memory("own", type("Own", (NTMMemory,), own))
    with pytest.raises(ImportError, match="no_such_kernel"):
        SequenceNetwork(3, 2, memory="own", memory_size=7)(torch.zeros(1, 2, 3))


def test_a_function_with_other_arguments_is_named(run):
    @contract.stage
    def step(d, interface, state, reads, history):
        pass

    with pytest.raises(
        TypeError, match=r"some_kernel\.step takes 5 arguments instead of 6"
    ):
        run({**without("step"), "step": step})


def test_a_function_that_is_not_compiled_is_named(run):
    def activate(d, raw, interface, scratch):
        pass

    with pytest.raises(TypeError, match=r"some_kernel\.activate is not compiled; decorate"):
        run({**without("activate"), "activate": activate})


@pytest.mark.parametrize("history", [None, {"content": (2.0, 7)}, {"content": 14}])
def test_shapes_that_are_none_are_refused(run, history):
    with pytest.raises(
        TypeError, match=r"some_kernel\.history returned .* tuples of integers"
    ):
        run({**without("history"), "history": lambda d: history})


def test_a_projection_without_a_bias_is_refused(run):
    def projection(memory):
        return memory.projection.weight

    with pytest.raises(TypeError, match=r"some_kernel\.projection returned Parameter"):
        run({**without(""), "projection": projection})
