"""Errors of the network name the parameter and the way out."""

import numpy as np
import pytest
import torch
from network_helpers import ANY_MEMORY, HIDDEN, N_INPUTS, N_ROWS, WORD

from sknt.memories import MEMORIES, make_memory
from sknt.nn import CONTROLLERS, SequenceNetwork

pytestmark = pytest.mark.usefixtures("backend")

NOT_SIZES = [0, -1, 1.5, 2.0, True, "3", None]


@pytest.mark.parametrize("value", NOT_SIZES)
@pytest.mark.parametrize(
    "name",
    [
        "n_inputs",
        "n_outputs",
        "memory_size",
        "word_size",
        "n_read_heads",
        "n_write_heads",
        "hidden_size",
        "n_layers",
    ],
)
def test_a_size_that_is_not_a_positive_integer_is_refused(name, value):
    sizes = {"n_inputs": 3, "n_outputs": 2, name: value}
    with pytest.raises(ValueError, match=f"^{name}={value!r} .*positive integer"):
        SequenceNetwork(**sizes)


@pytest.mark.parametrize("memory", [*MEMORIES, None])
def test_numpys_integers_from_a_parameter_grid_are_accepted_as_sizes(memory):
    sizes = dict.fromkeys(("memory_size", "word_size", "hidden_size"), np.int64(4))
    network = SequenceNetwork(3, 2, memory=memory, n_layers=np.int64(1), **sizes)
    assert network(torch.zeros(1, 2, 3))[0].shape == (1, 2, 2)


def test_an_unknown_memory_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"memory='tape'.*ntm.*None") as error:
        SequenceNetwork(3, 2, memory="tape")
    assert all(repr(name) in str(error.value) for name in MEMORIES)
    with pytest.raises(ValueError, match=r"memory='tape'.*ntm.*None"):
        make_memory("tape", HIDDEN, N_ROWS, WORD, 1, 1)


def test_an_unknown_controller_is_refused_with_the_known_ones():
    for memory in [*MEMORIES, None]:
        with pytest.raises(ValueError, match="controller='rnn'") as error:
            SequenceNetwork(3, 2, memory=memory, controller="rnn")
        assert all(repr(name) in str(error.value) for name in CONTROLLERS)


@ANY_MEMORY
def test_unknown_options_are_refused_with_those_a_memory_knows(memory):
    options = {"reach": 1, "colour": 2}
    expected = f"memory_params.*'colour', 'reach'.*memory='{memory}'.*it knows"
    with pytest.raises(ValueError, match=expected):
        make_memory(memory, HIDDEN, N_ROWS, WORD, 1, 1, memory_params=options)
    with pytest.raises(ValueError, match=expected):
        SequenceNetwork(3, 2, memory=memory, memory_params=options)


def test_the_sizes_of_a_memory_are_not_its_options():
    expected = "'word_size'.*shift_range.*memory_init.*interface_clip"
    with pytest.raises(ValueError, match=expected):
        SequenceNetwork(3, 2, memory_params={"word_size": 4})


def test_options_of_a_memory_have_no_meaning_without_one():
    with pytest.raises(ValueError, match=r"memory_params=.*shift_range.*memory=None"):
        SequenceNetwork(3, 2, memory=None, memory_params={"shift_range": 1})
    SequenceNetwork(3, 2, memory=None, memory_params={})


@pytest.mark.parametrize("value", [-1, 1.0, True, "1", None])
def test_a_shift_range_that_is_not_a_number_of_rows_is_refused(value):
    with pytest.raises(ValueError, match=f"^shift_range={value!r} .*at least 0"):
        SequenceNetwork(3, 2, memory_params={"shift_range": value})


@pytest.mark.parametrize(("n_rows", "widest"), [(1, 0), (2, 0), (5, 2), (6, 2)])
def test_more_shifts_than_rows_are_refused_with_the_widest_that_fits(n_rows, widest):
    def make(shift_range):
        return SequenceNetwork(
            N_INPUTS, 2, memory_size=n_rows, memory_params={"shift_range": shift_range}
        )

    expected = f"shift_range={widest + 1} .*memory_size={n_rows} .*range.*= ?{widest} in "
    with pytest.raises(ValueError, match=expected):
        make(widest + 1)
    assert make(widest)(torch.zeros(1, 2, N_INPUTS))[0].isfinite().all()


@pytest.mark.parametrize("value", ["zeros", None, 0])
def test_an_unknown_memory_init_is_refused_with_the_known_ones(value):
    expected = f"^memory_init={value!r} .*constant.*learned.*random"
    with pytest.raises(ValueError, match=expected):
        SequenceNetwork(3, 2, memory_params={"memory_init": value})


@pytest.mark.parametrize("value", [0, -1.5, float("nan")])
def test_an_interface_clip_that_is_not_positive_is_refused(value):
    with pytest.raises(ValueError, match=f"^interface_clip={value!r} .*None"):
        SequenceNetwork(3, 2, memory_params={"interface_clip": value})


@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 2), (2, 4, 3, 1), (0, 4, 3), (2, 0, 3)])
def test_inputs_of_another_shape_are_refused(shape):
    network = SequenceNetwork(3, 2, memory=None, hidden_size=HIDDEN)
    with pytest.raises(ValueError, match=r"x has shape .*n_inputs=3") as error:
        network(torch.zeros(shape))
    assert str(shape) in str(error.value)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([4], r"lengths has shape \(1,\).*\(2,\)"),
        ([[4, 4]], r"lengths has shape \(1, 2\).*\(2,\)"),
        ([0, 4], "lengths range from 0 to 4.*use 1 to 4"),
        ([-1, 4], "lengths range from -1 to 4.*use 1 to 4"),
        ([2, 5], "lengths range from 2 to 5.*use 1 to 4"),
    ],
)
def test_lengths_that_do_not_fit_the_inputs_are_refused(lengths, message):
    network = SequenceNetwork(3, 2, memory=None, hidden_size=HIDDEN)
    with pytest.raises(ValueError, match=message):
        network(torch.zeros(2, 4, 3), torch.tensor(lengths))


@ANY_MEMORY
def test_names_and_options_of_a_wrong_type_are_refused_by_name(memory):
    with pytest.raises(ValueError, match="memory_params=.* is not a dictionary"):
        SequenceNetwork(3, 2, memory=memory, memory_params=["shift_range"])
    with pytest.raises(ValueError, match=r"memory=\['ntm'\]"):
        SequenceNetwork(3, 2, memory=["ntm"])
    with pytest.raises(ValueError, match=r"controller=\['lstm'\]"):
        SequenceNetwork(3, 2, memory=memory, controller=["lstm"])


@pytest.mark.parametrize("interface_clip", ["20", True, 0, -1.0])
def test_a_clip_that_is_not_a_positive_number_is_refused(interface_clip):
    with pytest.raises(ValueError, match="interface_clip="):
        SequenceNetwork(3, 2, memory_params={"interface_clip": interface_clip})


@pytest.mark.parametrize("memory", [*MEMORIES, None])
@pytest.mark.parametrize("n_other", [2, 5])
def test_a_state_of_other_sequences_is_refused_with_both_numbers(memory, n_other):
    network = SequenceNetwork(3, 2, memory=memory, memory_size=4)
    _, state = network(torch.zeros(n_other, 2, 3))
    with pytest.raises(ValueError, match=f"state is of {n_other} sequences, but x has 3"):
        network(torch.zeros(3, 2, 3), state=state)


def test_lengths_that_are_not_integers_are_refused():
    network = SequenceNetwork(3, 2, memory_size=4)
    with pytest.raises(ValueError, match="one integer for each sequence"):
        network(torch.zeros(3, 4, 3), lengths=torch.tensor([2.5, 4.0, 3.0]))
