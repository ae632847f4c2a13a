"""The parameters of an estimator: nested ones, fixed ones, and what "auto" stands for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier

from sknt._parameters import SequenceParameters
from sknt.training.automatic import n_convolutions_for, n_epochs_for, patch_size_for
from sknt.training.data import TrainingData

NESTED = ("memory_params", "net_params")
"""Dictionaries whose keys are parameters too: ``memory_params__shift_range``."""

MIN_DIFFERENT = 3
"""Different sequences that random convolutions need: two of them are held out."""


class Settings(SequenceParameters, BaseEstimator):
    """The parameters of both estimators, as the rest of an estimator asks for them."""

    _fitted_params: dict[str, Any]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, including those inside memory_params and net_params.

        Parameters
        ----------
        deep : bool, default=True
            Whether to list the entries of the two dictionaries as
            ``memory_params__<name>`` and ``net_params__<name>``.

        Returns
        -------
        params : dict
        """
        params = super().get_params(deep=deep)
        if deep:
            for name in NESTED:
                entries = getattr(self, name)
                if isinstance(entries, dict):
                    params |= {f"{name}__{key}": v for key, v in entries.items()}
        return params

    def set_params(self, **params: Any) -> "Settings":
        """Set parameters, including those inside memory_params and net_params.

        Parameters
        ----------
        **params : dict
            ``memory_params__shift_range=2`` sets one entry in a copy of the dictionary,
            as a grid search does.

        Returns
        -------
        self : estimator
        """
        plain = {k: v for k, v in params.items() if k.split("__")[0] not in NESTED}
        plain |= {name: params[name] for name in NESTED if name in params}
        super().set_params(**plain)
        for name in NESTED:
            prefix = f"{name}__"
            entries = {
                key.removeprefix(prefix): value
                for key, value in params.items()
                if key.startswith(prefix)
            }
            if entries:
                present = getattr(self, name)
                if not isinstance(present, dict | None):
                    raise ValueError(
                        f"{name}={present!r} is not a dictionary, so {sorted(entries)} "
                        "cannot be set in it"
                    )
                setattr(self, name, {**(present or {}), **entries})
        return self

    def _fixed_params(self) -> dict[str, Any]:
        fixed = (name for name, p in self._parameters.items() if p.fixed)
        return {name: getattr(self, name) for name in fixed}

    def _check_unchanged(self) -> None:
        fitted = self._fitted_params
        changed = [n for n, value in self._fixed_params().items() if value != fitted[n]]
        if changed:
            raise ValueError(
                f"{', '.join(changed)} changed since the last fit, from which warm_start "
                "and partial_fit continue; use warm_start=False or a clone to start anew"
            )

    def _schedule(self) -> str:
        """Return the schedule, with "auto" resolved."""
        if self.schedule != "auto":
            return self.schedule
        learns_steps = is_classifier(self) and self.return_sequences
        return "consolidate" if learns_steps else "cosine"

    def _batch_size(self) -> int:
        """Return the batch size, with "auto" resolved."""
        if isinstance(self.batch_size, str):
            return 4 if self.return_sequences else 16
        return self.batch_size

    def _clip(self) -> float | None:
        """Return the largest gradient norm, with "auto" resolved."""
        if isinstance(self.max_grad_norm, str):
            return 1.5 if self.return_sequences else 3.0
        return self.max_grad_norm

    def _max_epochs(self, n_sequences: int) -> int:
        """Return the number of epochs, with "auto" resolved."""
        if not isinstance(self.max_epochs, str):
            return self.max_epochs
        per_step = self.return_sequences
        return n_epochs_for(n_sequences, self._batch_size(), per_step=per_step)

    def _patch_size(self, lengths: NDArray[np.int64]) -> int:
        """Return the number of steps in a patch, with "auto" resolved."""
        if not isinstance(self.patch_size, str):
            if self.return_sequences and self.patch_size > 1:
                raise ValueError(
                    f"patch_size={self.patch_size} needs a target for each sequence; with "
                    "return_sequences=True use patch_size=1"
                )
            return min(self.patch_size, int(lengths.max()))
        return patch_size_for(lengths, per_step=self.return_sequences)

    def _n_convolutions(self, data: TrainingData, groups: NDArray[np.int64]) -> int:
        """Return the number of convolutions, with "auto" resolved."""
        if isinstance(self.n_convolutions, str):
            has_own = {"module", "criterion"} & set(self.net_params or {})
            if self.return_sequences or has_own:
                return 0
            return n_convolutions_for(data.lengths, groups.max() + 1)
        if self.n_convolutions and self.return_sequences:
            raise ValueError(
                f"n_convolutions={self.n_convolutions} needs a target for each sequence; "
                "with return_sequences=True use n_convolutions=0"
            )
        if self.n_convolutions and (n_different := int(groups.max()) + 1) < MIN_DIFFERENT:
            raise ValueError(
                f"n_convolutions={self.n_convolutions} needs at least {MIN_DIFFERENT} "
                f"different sequences with a target, of which 2 are held out, but there "
                f"are {n_different}; give more sequences or use n_convolutions=0"
            )
        return self.n_convolutions

    def _pooling(self) -> str | None:
        """Return the pooling, with "auto" resolved; None is an output for every step."""
        if self.return_sequences:
            if self.pooling != "auto":
                raise ValueError(
                    f"pooling={self.pooling!r} has no meaning with return_sequences=True, "
                    "where each step has an output; leave it at 'auto'"
                )
            return None
        return "concat" if self.pooling == "auto" else self.pooling
