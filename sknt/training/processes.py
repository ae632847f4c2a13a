"""One fit by several processes: each runs its share of every batch.

Every process is given the same data and the same seeds, and draws the same batches. It runs
the sequences of its share, and the outputs of all are then put together: loss, penalties
and whatever callbacks see are those of the whole batch. The gradients, to which each
process has contributed those of its sequences, are averaged, so that every process takes
the same step. Nothing else is shared: validation is done by each of them.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sknt._private import unflatten_dense_tensors
from sknt.training.batches import SequenceDataset

ONLY = {"mixed_precision": "no", "gradient_accumulation_steps": 1}
"""Settings of an Accelerator that are not supported otherwise."""


class Share(NamedTuple):
    """The sequences of a batch that a process runs."""

    first: int
    n_own: int  # without the one that stands in where there are fewer than processes
    n_all: int

    @property
    def rows(self) -> slice:
        """The sequences to run: at least one."""
        first = min(self.first, self.n_all - 1)
        return slice(first, first + max(1, self.n_own))


class Processes:
    """The processes of a fit, as an ``accelerate.Accelerator`` knows them.

    Parameters
    ----------
    accelerator : Accelerator
        It starts the processes, and sums what they have computed. Mixed precision and the
        accumulation of gradients are refused.
    """

    def __init__(self, accelerator: Any):
        for name, value in ONLY.items():
            if getattr(accelerator, name) != value:
                raise ValueError(
                    f"net_params has an accelerator with {name}="
                    f"{getattr(accelerator, name)!r}; sknt supports {value!r} alone"
                )
        self.accelerator = accelerator
        self.count: int = accelerator.num_processes
        self.is_first: bool = accelerator.is_main_process

    def share(self, n_sequences: int) -> Share:
        """Return the sequences of a batch that this process runs: an even share."""
        index = self.accelerator.process_index
        first, end = (n_sequences * i // self.count for i in (index, index + 1))
        return Share(first, end - first, n_sequences)

    def run(
        self, run: Callable[..., tuple[Any, ...]], x: Tensor, lengths: Tensor, **params: Any
    ) -> tuple[Any, ...]:
        """Run a module on this process's share of a batch, and put all results together.

        Parameters
        ----------
        run : callable
            Takes x, lengths and the other parameters; returns the outputs, first in a
            tuple that ends with the trace if it was asked for.
        x : Tensor of shape (batch, n_timesteps, n_features)
        lengths : Tensor of shape (batch,)
        **params
            Those of ``run``. The ``state`` is that of the whole batch.

        Returns
        -------
        results : tuple
            As ``run`` returns them, of the whole batch.
        """
        share = self.share(len(x))
        if "state" in params:
            state = _map_tensors(lambda part: part[share.rows], params["state"])
            params = {**params, "state": state}
        results = run(x[share.rows], lengths[share.rows], **params)

        def gather(part: Tensor) -> Tensor:
            return _Gather.apply(part, share, self)

        outputs, *rest = results
        if rest and params.get("return_states"):
            rest[-1] = _map_tensors(gather, rest[-1])
        return (_map_tensors(gather, outputs), *rest)

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes, the same to the bit in each."""
        return self.accelerator.reduce(tensor, reduction="sum")

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace the gradients of the parameters by their means over all processes."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        flat = self.sum(flat) / self.count
        for gradient, mean in zip(
            gradients, unflatten_dense_tensors(flat, gradients), strict=True
        ):
            gradient.copy_(mean)

    def check_alike(self, module: torch.nn.Module, *datasets: SequenceDataset) -> None:
        """Refuse to train if weights or data differ among the processes.

        They would wait for each other in vain, or learn something that is nobody's data:
        data to validate on decide when each of them stops.

        Parameters
        ----------
        module : Module
        *datasets : SequenceDataset
            What is trained on, and what is validated on.
        """
        digest = hashlib.blake2b(digest_size=8)
        for dataset in datasets:
            digest.update(str(len(dataset)).encode())
            _update_with(digest, dataset.contents())
        _update_with(digest, module.state_dict().values())
        own = torch.from_numpy(np.frombuffer(digest.digest(), np.int64).copy())
        every = self.accelerator.gather(own.to(self.accelerator.device))
        if (every != every[0]).any():
            raise ValueError(
                "the processes of this fit differ in their data or in the weights that "
                "they begin with; give each the same X, y, sample_weight and "
                "validation_data, and an integer as random_state"
            )


def _update_with(digest: Any, contents: Iterable[Any]) -> None:
    """Let a digest depend on the tensors among some values."""
    for tensor in contents:
        if isinstance(tensor, Tensor):
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())


class _Gather(torch.autograd.Function):
    """Put the processes' parts of a batch together, in the order of the batch."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, share: Share, processes: Processes) -> Tensor:
        """Return the whole batch: each process adds its own part to zeros."""
        ctx.share, ctx.shape, ctx.count = share, part.shape, processes.count
        whole = part.new_zeros(share.n_all, *part.shape[1:])
        whole[share.first : share.first + share.n_own] = part[: share.n_own]
        return processes.sum(whole)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the own part, for a sum that will become a mean."""
        share, own = ctx.share, gradient.new_zeros(ctx.shape)
        rows = slice(share.first, share.first + share.n_own)
        own[: share.n_own] = gradient[rows] * ctx.count
        return own, None, None


def _map_tensors(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """Apply a function to the tensors of nested NamedTuples."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, tuple):
        parts = [_map_tensors(function, part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return tree


def processes_of(accelerator: Any) -> Processes | None:
    """Return the processes of an accelerator, or None if there is only this one.

    Raises
    ------
    ValueError
        If it is none, or has settings that are not supported.
    """
    if accelerator is None:
        return None
    needed = ("num_processes", "process_index", "reduce", "gather")
    if isinstance(accelerator, type) or not all(hasattr(accelerator, n) for n in needed):
        raise ValueError(
            f"net_params has accelerator={accelerator!r}; give an accelerate.Accelerator()"
        )
    processes = Processes(accelerator)
    return processes if processes.count > 1 else None
