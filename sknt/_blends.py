"""What is held out from training, and the blend of the network with a regression."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from sknt._reading import ReadsData, RowGroups
from sknt.training.blending import (
    LAST_PART,
    MIN_JUDGED,
    Blend,
    blended,
    calibrate,
    choose_share,
    fit_regression,
)
from sknt.training.data import TrainingData, choose_held_out, rows_apart
from sknt.training.groups import choose_held_out_groups
from sknt.training.ongoing import OngoingFit


class Blends(ReadsData):
    """Holds sequences out, fits the regression, and judges the network's share."""

    convolutions_: Any  # ConvolutionalRidge or None
    network_share_: float

    def _codes(self, data: TrainingData) -> NDArray[np.float64]:
        """Return the targets as numbers of mean square about 1: (n_samples, n_outputs)."""
        raise NotImplementedError

    def _losses(
        self, outputs: NDArray[np.float64], data: TrainingData
    ) -> NDArray[np.float64]:
        """Return the loss of each sequence's targets, of shape (n_samples,)."""
        raise NotImplementedError

    def _log_likelihood(self, losses: NDArray[np.float64]) -> float:
        """Return the log-likelihood that losses stand for."""
        raise NotImplementedError

    def _choose_held_out(
        self, data: TrainingData, rows: RowGroups, fraction: float | None
    ) -> NDArray[np.bool_]:
        """Return which rows to hold out; with None, none."""
        if fraction is None:
            return np.zeros(len(data.lengths), bool)
        seed = self._held_out_seed
        if rows.joined is None:
            return choose_held_out(data, rows.equal, fraction, seed)
        return choose_held_out_groups(data, rows.equal, rows.joined, fraction, seed)

    @staticmethod
    def _judged_apart(
        watched: TrainingData | None, data: TrainingData
    ) -> TrainingData | None:
        """Return sequences validated on from which a blend can be judged, if there are any.

        Those that are trained on as well say nothing about new ones.
        """
        if watched is None:
            return None
        apart = rows_apart(watched, data)
        return watched.take(apart) if apart.sum() >= MIN_JUDGED else None

    def _begin_blend(
        self,
        data: TrainingData,
        rows: RowGroups,
        is_held_out: NDArray[np.bool_],
        judged: TrainingData | None,
        n_thresholds: int,
        seed: int,
    ) -> Blend:
        """Fit the regression that the network is to be blended with."""

        def fit(data: TrainingData, equal: NDArray[np.int64]) -> tuple[Any, Any]:
            return fit_regression(
                data,
                equal,
                self._codes(data),
                n_thresholds=n_thresholds,
                seed=seed,
                backend=self.backend,
            )

        self.convolutions_, outputs = fit(data, rows.equal)
        has_groups = rows.joined is not None and judged is None
        of_held_out: Any = None
        if judged is None:
            judged, of_held_out = data.take(is_held_out), outputs[is_held_out]
        if has_groups:  # others of a sequence's group were in the fit that left it out
            rest, _ = fit(data.take(~is_held_out), rows.equal[~is_held_out])
            of_held_out = rest.predict(judged.inputs)
        if is_classifier(self):
            learned = judged if has_groups else data
            losses = functools.partial(self._losses, data=learned)
            by = of_held_out if has_groups else outputs
            self.convolutions_.factor = calibrate(by, losses)
        factor = self.convolutions_.factor
        if of_held_out is None:
            of_judged = self.convolutions_.predict(judged.inputs)
        else:
            of_judged = factor * of_held_out
        return Blend(data, factor * outputs, is_held_out, judged, of_judged, has_groups)

    def _parts_of_blend(
        self, blend: Blend, n_epochs: int, ongoing: OngoingFit
    ) -> tuple[Iterator[tuple[TrainingData, int]], int]:
        """Train without the held-out part, and if the network has a share, with it.

        Returns
        -------
        parts : iterator of TrainingData and int
        n_planned : int
            The sequences shown in all parts.
        """
        rest = blend.data.take(~blend.is_held_out)
        # A later fit judges the share again, on what the network must not have seen.
        n_last = 0 if self.warm_start else int(LAST_PART * n_epochs)
        n_first = n_epochs - n_last

        def parts() -> Iterator[tuple[TrainingData, int]]:
            yield rest, n_first
            if ongoing.judged is None:
                self._choose_share(blend)
                ongoing.judged = self.network_share_, blend.mean_loss
            else:  # before this call
                self.network_share_, blend.mean_loss = ongoing.judged
            if n_last and self.network_share_:
                yield blend.data, n_last

        return parts(), n_first * len(rest.lengths) + n_last * len(blend.data.lengths)

    def _choose_share(self, blend: Blend) -> None:
        apart, outputs = blend.judged, blend.judged_outputs
        of_network = self.net_.predict_outputs(apart.inputs)
        losses = functools.partial(self._losses, data=apart)
        share = choose_share(outputs, of_network, losses, self._log_likelihood)
        judged, by = blend.data, blend.outputs  # the regression has been left out of each
        if share > 0 or blend.has_groups:
            judged, by = apart, blended(outputs, of_network, share) if share else outputs
        blend.mean_loss = self._losses(by, judged).sum() / judged.weights.sum()
        self.network_share_ = share
