"""The regression on random convolutions, as a torch module.

It computes what :mod:`sknt.convolutions` does. Whole numbers are held in double precision,
where their sums are exact as well: the features are the same to the bit.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sknt.convolutions.features import BITS, LARGEST, LIMIT, N_TAPS, TAPS
from sknt.nn.pooling import step_mask

LOWEST, HIGHEST = -1000, 340
"""Exponents of two between which the largest number of a sequence is looked for."""


class Convolutions(nn.Module):
    """A fitted regression on random convolutions.

    Parameters
    ----------
    regression : ConvolutionalRidge
    """

    factor: Tensor

    def __init__(self, regression: Any):
        super().__init__()
        bank = regression.convolutions
        self.banks = nn.ModuleList(
            Bank(scale, bank) for scale, bank in zip(bank._scales, bank._banks, strict=True)
        )
        self.regressions = nn.ModuleList(map(Linear, regression._regressions))
        factor = torch.tensor(regression.factor, dtype=torch.float64)
        self.register_buffer("factor", factor)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Return the outputs for packed sequences of float64, (batch, n_outputs)."""
        before = torch.cat([values[:, :1], values], 1)[:, :-1]
        both = (values, values - before)
        features = [
            part
            for bank, series in zip(self.banks, both, strict=True)
            for part in bank(series, lengths)
        ]
        rounded = torch.cat(features, 1).float()
        outputs = torch.cat([linear(rounded) for linear in self.regressions], 1)
        return self.factor * outputs


class Bank(nn.Module):
    """Convolutions of the values, or of the differences."""

    scale: Tensor
    powers: Tensor
    units: Tensor
    limit: Tensor
    largest: Tensor

    def __init__(self, scale: NDArray[np.float64], bank: Any):
        super().__init__()
        exponents = np.arange(LOWEST, HIGHEST)
        units = np.ldexp(1.0, (BITS - np.arange(LOWEST, HIGHEST + 1)).clip(max=1000))
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("powers", torch.tensor(np.ldexp(1.0, exponents)))
        self.register_buffer("units", torch.tensor(units))
        # Numbers beside tensors would be in single precision in ONNX.
        self.register_buffer("limit", torch.tensor(LIMIT, dtype=torch.float64))
        self.register_buffer("largest", torch.tensor(LARGEST, dtype=torch.float64))
        self.dilated = nn.ModuleList(
            Dilated(bank, d, len(scale)) for d in range(len(bank.dilations))
        )

    def forward(self, series: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return shares and means, as RandomConvolutions does."""
        present = step_mask(lengths, series.shape[1])
        scaled = (series / self.scale).clamp(-self.limit, self.limit)
        scaled = torch.where(present, scaled, 0)
        largest = scaled.abs().amax((1, 2))
        # As frexp has it, which not all runtimes have: the first power above the largest.
        units = self.units[(self.powers <= largest[:, None]).sum(1)]
        whole = torch.round(scaled * units[:, None, None])
        found = [dilated(whole, present, units) for dilated in self.dilated]
        counts, sums = (torch.cat(parts, 1) for parts in zip(*found, strict=True))
        n_steps = lengths[:, None].double()
        return counts / n_steps, (sums / units[:, None] / n_steps).clamp(max=self.largest)


class Dilated(nn.Module):
    """All convolutions with one dilation."""

    weights: Tensor
    thresholds: Tensor
    owners: Tensor

    def __init__(self, bank: Any, place: int, n_inputs: int):
        super().__init__()
        self.dilation = int(bank.dilations[place])
        weights = np.zeros((N_TAPS, n_inputs, len(TAPS)))
        for kernel, taps in enumerate(TAPS):
            chosen = bank.channels[place, kernel, : bank.n_channels[place, kernel]]
            weights[:, chosen, kernel] = -1
            weights[taps[:, None], chosen, kernel] = 2
        first = bank.first[place]
        owners = np.repeat(np.arange(len(TAPS)), np.diff(first))
        thresholds = bank.thresholds[first[0] : first[-1]]
        self.register_buffer("weights", torch.tensor(weights).flatten(0, 1))
        self.register_buffer("thresholds", torch.tensor(thresholds))
        self.register_buffer("owners", torch.tensor(owners))

    def forward(
        self, whole: Tensor, present: Tensor, units: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Count the steps above each threshold, and sum what is positive."""
        n_steps, reach = whole.shape[1], self.dilation * (N_TAPS // 2)
        padded = F.pad(whole, (0, 0, reach, reach))
        starts = range(0, N_TAPS * self.dilation, self.dilation)
        taps = torch.cat([padded[:, start : start + n_steps] for start in starts], 2)
        responses = taps @ self.weights
        thresholds = torch.floor(self.thresholds * units[:, None])
        above = responses[..., self.owners] > thresholds[:, None]
        counts = (above & present).sum(1).double()
        return counts, torch.where(present, responses.clamp(min=0), 0).sum(1)


class Linear(nn.Module):
    """A ridge regression, within the range of the features that it was fitted to."""

    coefficients: Tensor
    intercept: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, ridge: Any):
        super().__init__()
        for name, values in ridge._asdict().items():
            self.register_buffer(name, torch.tensor(values))

    def forward(self, features: Tensor) -> Tensor:
        """Return predictions for features of float32."""
        within = features.clamp(self.lowest, self.highest).double()
        return within @ self.coefficients.double() + self.intercept
