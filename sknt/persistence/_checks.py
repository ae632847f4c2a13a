"""Whether the parts of a loaded model fit one another.

Compiled code, torch's and sknt's own, relies on sizes and positions that fit. What a file
says about them is compared with what is there before anything of that size is made.
"""

from typing import Any

import numpy as np

from sknt.convolutions.features import TAPS, Bank, RandomConvolutions
from sknt.convolutions.model import ConvolutionalRidge

MAX_DILATION = 2**24
"""Steps between the taps of a convolution at most."""


def check_convolutions(made: ConvolutionalRidge) -> None:
    """Check what the kernels of the convolutions rely on."""
    convolutions = made.convolutions
    if not isinstance(convolutions, RandomConvolutions) or not isinstance(
        made.factor, float
    ):
        raise ValueError("a regression on convolutions has none, or no factor")
    scales, banks = convolutions._scales, convolutions._banks
    if len(banks) != 2 or len(scales) != 2:
        raise ValueError("convolutions of other than values and differences")
    for scale, bank in zip(scales, banks, strict=True):
        n_inputs = len(scales[0])
        _check_array(scale, "f", (n_inputs,))
        _check_bank(bank, n_inputs)
    widths = [len(ridge.coefficients) for ridge in made._regressions]
    if not widths or any(width != convolutions.n_features for width in widths):
        raise ValueError("the regression is not that of its convolutions")


def _check_bank(bank: Bank, n_inputs: int) -> None:
    n_dilations, n_thresholds = len(bank.dilations), len(bank.thresholds)
    n_kernels = len(TAPS)
    _check_array(bank.thresholds, "f", (n_thresholds,))
    _check_array(bank.dilations, "i", (n_dilations,), 1, MAX_DILATION)
    most = bank.channels.shape[-1]
    _check_array(bank.channels, "i", (n_dilations, n_kernels, most), 0, n_inputs - 1)
    _check_array(bank.n_channels, "i", (n_dilations, n_kernels), 1, most)
    _check_array(bank.first, "i", (n_dilations, n_kernels + 1), 0, n_thresholds)
    if (np.diff(bank.first, axis=1) < 0).any():
        raise ValueError("the thresholds of the convolutions are out of order")


def check_estimator(estimator: Any) -> None:
    """Check that the parts of an estimator fit one another, if it is fitted."""
    attributes = vars(estimator)
    net = attributes.get("net_")
    if net is None:
        return
    n_inputs, n_outputs = estimator._n_inputs, estimator._n_outputs
    sizes = net.module__n_inputs, net.module__n_outputs, net.n_outputs
    fits = sizes == (n_inputs, n_outputs, n_outputs)
    fits = fits and _is_parameters(attributes["_fitted_params"], estimator)
    for part in estimator._scaling:
        _check_array(part, "f", (n_inputs,))
    if "classes_" in attributes:
        fits = fits and estimator.classes_.shape == (n_outputs,)
    else:
        _check_array(estimator.target_mean_, "f", (n_outputs,))
        _check_array(estimator.target_scale_, "f", (n_outputs,))
    convolutions, share = estimator.convolutions_, estimator.network_share_
    if convolutions is None:
        fits = fits and share == 1
    else:
        fits = (
            fits
            and 0 <= share <= 1
            and len(convolutions.convolutions._scales[0]) == n_inputs
        )
    if not fits:
        raise ValueError(
            f"the parts of a {type(estimator).__name__} do not fit one another"
        )


def _is_parameters(fitted: Any, estimator: Any) -> bool:
    return isinstance(fitted, dict) and set(fitted) <= set(estimator.get_params(deep=False))


def _check_array(
    array: Any,
    kind: str,
    shape: tuple[int, ...],
    lowest: float = -np.inf,
    highest: float = np.inf,
) -> None:
    """Check the type and the shape of an array, and the range of its numbers."""
    fits = isinstance(array, np.ndarray) and array.dtype == np.dtype(f"{kind}8")
    if not fits or array.shape != shape or not array.flags.c_contiguous:
        raise ValueError(f"an array of shape {shape} is missing")
    if kind == "i" and array.size and (array.min() < lowest or array.max() > highest):
        raise ValueError(f"an array has numbers beyond {lowest} to {highest}")
