"""Every parameter that the estimators share, declared once.

A new parameter is declared here, or in the one estimator that has it. If it goes to the
network (``network=True``), it is used in ``SequenceNetwork``, otherwise in
``SequenceEstimator``.
"""

import os
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch

from sknt._declaration import declares_parameters, parameter
from sknt._private import Interval, StrOptions
from sknt.memories import MEMORIES
from sknt.nn import BACKENDS, CONTROLLERS, POOLINGS
from sknt.training.optimizers import OPTIMIZERS

_COUNT = [Interval(Integral, 1, None, closed="left")]


class _MemoryNames(StrOptions):
    """The names of the memories, and in the error how to add one."""

    def __str__(self) -> str:
        known = super().__str__()
        return f"{known} (in this process; register_memory of sknt.memories adds others)"


@declares_parameters
class SequenceParameters:
    """The parameters of both estimators."""

    memory: str | None = parameter(
        default="ntm",
        # A view of the keys, so that memories registered later are included.
        constraint=[_MemoryNames(MEMORIES.keys()), None],
        network=True,
        doc="""{"ntm", "dnc", "dntm", "sam"}, the name of a registered memory, or None, \
            default="ntm"
        Kind of external memory: a Neural Turing Machine, a Differentiable Neural Computer,
        a dynamic NTM or a sparse access memory. None is the bare controller, the baseline
        that shows whether memory helps. Where a fit ends with a `network_share_` of 0, the
        memory has no effect.""",
    )
    memory_size: int = parameter(
        default=128,
        constraint=_COUNT,
        network=True,
        doc="""int, default=128
        Number of memory rows N. Heads start out writing to a new row at each step, so
        remembering a whole sequence takes as many rows as it has steps. "dnc" keeps a link
        from each row to each other one; "sam" can have millions of rows.""",
    )
    word_size: int = parameter(
        default=20,
        constraint=_COUNT,
        network=True,
        doc="""int, default=20
        Width W of a memory row; for "dntm", its address included. "sam" learns more
        reliably with 64 to 128.""",
    )
    n_read_heads: int = parameter(
        default=1,
        constraint=_COUNT,
        network=True,
        doc="""int, default=1
        Number of read heads.""",
    )
    n_write_heads: int = parameter(
        default=1,
        constraint=_COUNT,
        network=True,
        doc="""int, default=1
        Number of write heads.""",
    )
    controller: str = parameter(
        default="lstm",
        constraint=[StrOptions(set(CONTROLLERS))],
        network=True,
        doc="""{"lstm", "gru", "feedforward"}, default="lstm"
        Kind of controller.""",
    )
    hidden_size: int = parameter(
        default=100,
        constraint=_COUNT,
        network=True,
        doc="""int, default=100
        Number of units in each layer of the controller.""",
    )
    n_layers: int = parameter(
        default=1,
        constraint=_COUNT,
        network=True,
        doc="""int, default=1
        Number of layers of the controller.""",
    )
    patch_size: int | str = parameter(
        default="auto",
        constraint=[*_COUNT, StrOptions({"auto"})],
        network=True,
        doc="""int or "auto", default="auto"
        Number of successive steps that controller and memory see as one; "auto" divides
        the longest sequence of the first fit into 28 patches (one of more than three times
        the median length counts as so long), and is 1 with `return_sequences`, where it
        cannot be more.""",
    )
    pooling: str = parameter(
        default="auto",
        constraint=[StrOptions({"auto", *POOLINGS})],
        network=True,
        doc="""{"auto", "last", "mean", "max", "concat"}, default="auto"
        How the output for a sequence is read from its steps: at the last one, as the mean
        or the largest of 64 features, or from all three side by side. "auto" is "concat".
        It has no meaning with `return_sequences`.""",
    )
    bidirectional: bool = parameter(
        default=False,
        constraint=["boolean"],
        network=True,
        doc="""bool, default=False
        Whether a second controller and memory run from each sequence's end to its
        beginning, so that the output at a step may depend on later steps.""",
    )
    memory_params: dict[str, Any] | None = parameter(
        default=None,
        constraint=[dict, None],
        network=True,
        doc="""dict or None, default=None
        Options specific to the memory; for ``"ntm"`` these are ``shift_range`` (1),
        ``memory_init`` ("random", "constant" or "learned"), ``interface_clip`` (20),
        ``key_activation`` and ``add_activation`` ("tanh" or "linear"). A search sets them
        as ``memory_params__shift_range``. Those of the others are documented with
        :class:`sknt.memories.DNCMemory`, :class:`~sknt.memories.DNTMMemory` and
        :class:`~sknt.memories.SAMMemory`.""",
    )
    return_sequences: bool = parameter(
        default=False,
        constraint=["boolean"],
        fixed=True,
        doc="""bool, default=False
        Whether there is a target for each step. Otherwise there is one for each
        sequence.""",
    )
    standardize: bool | str = parameter(
        default="auto",
        constraint=["boolean", StrOptions({"auto"})],
        fixed=True,
        doc="""bool or "auto", default="auto"
        Whether to standardise the features of the steps, by mean and standard deviation in
        the first fit. "auto" does it for features that training would fail on: those with
        values beyond ±10, only within ±0.1, or far from 0 compared to their spread.""",
    )
    n_convolutions: int | str = parameter(
        default="auto",
        constraint=[Interval(Integral, 0, None, closed="left"), StrOptions({"auto"})],
        doc="""int or "auto", default="auto"
        Number of random convolutions whose ridge regression is blended with the network,
        which then trains on 80 % of the sequences; its share, `network_share_`, is what
        predicts the others best. 0 is the network alone. "auto" is 10,000 where each
        sequence has one target, the longest (at most three times the median) has 16 steps
        or more and 10 or more differ
        (beyond 10,000 steps fewer, but at least 3,024), and otherwise 0. Streams, a first
        `partial_fit` and a module or criterion in `net_params` go without.""",
    )
    missing_target: Any = parameter(
        default=np.nan,
        constraint=[Real, str, None],
        doc="""object, default=nan
        The value that marks a missing target in y: such entries count in neither the
        loss nor the score. Predictions hold it at absent steps.""",
    )
    optimizer: str = parameter(
        default="adam",
        constraint=[StrOptions(set(OPTIMIZERS))],
        fixed=True,
        doc="""{"adam", "adamw", "muon", "muon-adam", "rmsprop", "sgd"}, default="adam"
        Kind of optimizer. Muon orthogonalises the update of a weight matrix, and updates
        everything else as Adam does: an update takes longer, but some tasks need fewer of
        them. "muon-adam" switches to Adam once a task is learned, if the schedule is
        "consolidate".""",
    )
    learning_rate: float = parameter(
        default=0.01,
        # Above this, the optimizers' own arithmetic overflows single precision.
        constraint=[Interval(Real, 0, 1e30, closed="right")],
        doc="""float, default=0.01
        Step size of the optimizer.""",
    )
    max_epochs: int | str = parameter(
        default="auto",
        constraint=[*_COUNT, StrOptions({"auto"})],
        doc="""int or "auto", default="auto"
        Number of passes over the training data in one call to `fit`. "auto" is 50, but at
        least as many as make 600 updates, and without `return_sequences` at most as many
        as make 2,500 (and no fewer than 10).""",
    )
    batch_size: int | str = parameter(
        default="auto",
        constraint=[*_COUNT, StrOptions({"auto"})],
        doc="""int or "auto", default="auto"
        Number of sequences per update; "auto" is 4 with `return_sequences`, and 16
        otherwise.""",
    )
    schedule: str = parameter(
        default="auto",
        constraint=[StrOptions({"auto", "constant", "cosine", "consolidate"})],
        doc="""{"auto", "constant", "cosine", "consolidate"}, default="auto"
        Learning-rate schedule. "constant" is `max_epochs` at one learning rate. With
        "cosine" it rises over 60 updates and falls along a cosine to 2 %.
        "consolidate" waits until the task is learned: the running mean of the loss falls
        below 5 % of the loss of guessing. Then, over `consolidation` times as many
        sequences as learning took, the rate decays to 2 %, with noise on the inputs and a
        penalty on the heads for part of that time, and `fit` ends. If the task is not
        learned in time, the rate decays over the last 40 % of `max_epochs`. "auto" is
        "consolidate" for a classifier with `return_sequences`, and "cosine"
        otherwise.""",
    )
    consolidation: float = parameter(
        default=1.4,
        constraint=[Interval(Real, 0, None, closed="neither")],
        doc="""float, default=1.4
        How long the schedule "consolidate" continues once the task is learned, relative
        to the number of sequences that learning took. Longer leaves fewer errors.""",
    )
    max_grad_norm: float | str | None = parameter(
        default="auto",
        constraint=[
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
            None,
        ],
        doc="""float, "auto" or None, default="auto"
        Gradients of a larger global norm are scaled down to it; Adam's ε is 2e-4 times
        it. "auto" is 1.5 with `return_sequences`, and 3 otherwise. Tasks that look up
        what was read earlier are learned more reliably with 5.""",
    )
    input_noise: float = parameter(
        default=0.0,
        constraint=[Interval(Real, 0, None, closed="left")],
        doc="""float, default=0.0
        Standard deviation of the noise added to the inputs in training, as a fraction of
        the inputs' own in a batch.""",
    )
    early_stopping: bool = parameter(
        default=False,
        constraint=["boolean"],
        doc="""bool, default=False
        Whether to hold out part of the training data (or take the `validation_data` of
        `fit`), stop when the score on it no longer improves, and restore the weights that
        scored best.""",
    )
    validation_fraction: float = parameter(
        default=0.1,
        constraint=[Interval(Real, 0, 1, closed="neither")],
        doc="""float, default=0.1
        Fraction of the training data that `early_stopping` holds out, stratified by
        class where possible, and by whole groups if `fit` has `groups`.""",
    )
    n_iter_no_change: int = parameter(
        default=10,
        constraint=_COUNT,
        doc="""int, default=10
        Number of epochs without improvement after which `early_stopping` stops.""",
    )
    tol: float = parameter(
        default=1e-4,
        constraint=[Interval(Real, 0, None, closed="left")],
        doc="""float, default=1e-4
        The smallest increase of the validation score that `early_stopping` counts as an
        improvement.""",
    )
    warm_start: bool = parameter(
        default=False,
        constraint=["boolean"],
        doc="""bool, default=False
        Whether `fit` continues from the weights of the last fit; sizes and classes must
        then stay the same.""",
    )
    device: Any = parameter(
        default="cpu",
        constraint=[str, torch.device],
        fixed=True,
        doc="""str, default="cpu"
        Device that torch computes on, such as "cuda".""",
    )
    backend: str = parameter(
        default="auto",
        constraint=[StrOptions(set(BACKENDS))],
        network=True,
        doc="""{"auto", "fused", "reference"}, default="auto"
        How sequences are run: "reference" goes step by step with torch's operations;
        "fused" uses compiled kernels, which are many times faster and give the same
        results up to rounding; "auto" uses the kernels wherever they are available (on a
        CPU). The first use on a machine compiles them, which takes about a
        minute.""",
    )
    checkpoint: Any = parameter(
        default=None,
        constraint=[str, os.PathLike, None],
        doc="""str, path-like or None, default=None
        Directory in which `fit` keeps its state while it trains. If it is killed or
        interrupted, the same call goes on from there, and gives the same result as if it
        had not been.""",
    )
    on_interrupt: str = parameter(
        default="undo",
        constraint=[StrOptions({"undo", "keep"})],
        doc="""{"undo", "keep"}, default="undo"
        What an interrupt (Ctrl-C) leaves of `fit`: "undo" is the estimator as it was
        before; "keep" is a fitted one, with the best weights so far by validation or, if
        nothing is held out, the last ones. ``KeyboardInterrupt`` is raised in either
        case.""",
    )
    random_state: Any = parameter(
        default=None,
        constraint=["random_state"],
        doc="""int, RandomState instance or None, default=None
        Seed of the initial weights, the shuffling, the convolutions and the choice of
        held-out data.""",
    )
    verbose: int = parameter(
        default=0,
        constraint=["verbose"],
        doc="""int, default=0
        Whether to show a progress bar with the loss, also as a percentage of that of
        guessing, the validation score and the time left.""",
    )
    net_params: dict[str, Any] | None = parameter(
        default=None,
        constraint=[dict, None],
        fixed=True,
        doc="""dict or None, default=None
        Other arguments of skorch's net, such as ``{"optimizer__eps": 1e-3,
        "callbacks": [...]}``. A search sets them as ``net_params__optimizer__eps``.""",
    )
