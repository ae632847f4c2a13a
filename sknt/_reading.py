"""The checks of X, y and weights that both estimators share, and the data made of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from torch.utils.data import Dataset

from sknt._resuming import Resuming
from sknt.data.doubts import (
    warn_if_axes_look_swapped,
    warn_if_differences_are_lost,
    warn_if_labels_look_like_those_of_steps,
)
from sknt.data.groups import check_groups
from sknt.data.inputs import SequenceInputMixin
from sknt.data.ragged import Ragged
from sknt.data.sequences import Sequences, check_sequences
from sknt.data.targets import check_targets
from sknt.data.weights import (
    are_of_steps,
    check_weights,
    split_step_weights,
    weigh_targets,
)
from sknt.training.data import (
    TrainingData,
    canonical_data,
    order_of_steps,
    weigh_steps,
)
from sknt.training.groups import join_groups
from sknt.training.net import SequenceNet
from sknt.training.scaling import Scaling, find_scaling


class RowGroups(NamedTuple):
    """Which rows of training data belong together, by numbers from 0 on."""

    equal: NDArray[np.int64]  # rows of the same content
    joined: NDArray[np.int64] | None  # and those of the same group, if there are groups


class ReadsData(Resuming, SequenceInputMixin):
    """Checks the arguments of ``fit`` and ``predict``, and makes data of them."""

    net_: SequenceNet
    _scaling: Scaling

    def _check_sequences(
        self, X: Any, *, reset: bool, has_targets: bool = False
    ) -> Sequences:
        """Check sequences; with ``reset``, remember their number of features."""
        table = self._validate_table(X, reset=reset, has_targets=has_targets)
        sequences = check_sequences(table)
        self._check_n_inputs(sequences.inputs.n_features, reset=reset)
        if reset:
            warn_if_axes_look_swapped(sequences.inputs)
        return sequences

    def _check_y(
        self, y: Any, sequences: Sequences, *, per_step: bool
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return targets, those of steps in a row, and which there are."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the "
                "target y is None"
            )
        return check_targets(
            y,
            sequences.layout,
            per_step=per_step,
            missing_target=self.missing_target,
        )

    def _check_same_shape(self, y: NDArray[Any], predicted: NDArray[Any]) -> None:
        if y.shape != predicted.shape:
            first = ["n_samples", "n_timesteps"] if self.net_.per_step else ["n_samples"]
            shapes = [", ".join(map(str, [*first, *a.shape[1:]])) for a in (y, predicted)]
            raise ValueError(
                f"y has shape ({shapes[0]}), but predictions have shape ({shapes[1]})"
            )

    def _training_data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        reset: bool,
        partial: bool = False,
        classes: Any = None,
        groups: Any = None,
        learns: bool = True,
    ) -> tuple[TrainingData, RowGroups]:
        """Check and encode the arguments of fit; also return which rows belong together.

        Without ``learns``, the data are only validated on.
        """
        sequences = self._check_sequences(X, reset=reset, has_targets=True)
        y, valid = self._check_y(y, sequences, per_step=self.return_sequences)
        given = None if groups is None else check_groups(groups, len(sequences.lengths))
        sample_weight, step_weights, valid = self._check_weights(
            sample_weight, sequences, valid
        )
        targets, valid = self._encode_targets(
            y, valid, reset=reset, partial=partial, classes=classes
        )
        if reset:
            self._doubt_shape_of(y, sequences)
        data = TrainingData(
            sequences.inputs, targets, valid.astype(np.float64), self.return_sequences
        )
        if reset:
            self._set_scaling(data.inputs, sample_weight * data.has_target())
        data = data._replace(inputs=self._scaling.of(data.inputs))
        as_one, tie_breaker = sample_weight, None
        if step_weights is not None:
            as_one = (sample_weight > 0).astype(np.float64)
            tie_breaker = order_of_steps(step_weights)
        data, equal, rows = canonical_data(data, as_one, tie_breaker=tie_breaker)
        if step_weights is not None:
            data = weigh_steps(data, step_weights.take(rows), sample_weight[rows])
        joined = None if given is None else join_groups(equal, given[rows])
        data = self._scale_targets(data, reset=reset, partial=partial, learns=learns)
        return self._weigh_targets(data, learns=learns), RowGroups(equal, joined)

    def _doubt_shape_of(self, y: NDArray[Any], sequences: Sequences) -> None:
        """Warn of labels that look like those of steps; a table has no steps."""
        labels = is_classifier(self) and y.ndim == 2 and not self.return_sequences
        if labels and not self._fitted_on_table:
            n_timesteps = sequences.layout.n_timesteps
            warn_if_labels_look_like_those_of_steps(y.shape[1], n_timesteps)

    def _check_weights(
        self, sample_weight: Any, sequences: Sequences, valid: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], Ragged | None, NDArray[np.bool_]]:
        """Return the weights of sequences, those of steps, and which targets count.

        The weights of steps are None if those of sequences say as much.
        """
        if not (self.return_sequences and are_of_steps(sample_weight)):
            return check_weights(sample_weight, sequences.lengths), None, valid
        weights, valid = weigh_targets(sample_weight, sequences.layout, valid)
        of_sequences, of_steps = split_step_weights(weights, sequences.lengths)
        return of_sequences, of_steps, valid

    def _set_scaling(self, inputs: Ragged, weights: NDArray[np.float64]) -> None:
        if not weights.any():  # refused later
            weights = np.ones(len(weights))
        self._scaling = find_scaling(inputs, weights, self.standardize)
        self.input_mean_, self.input_scale_ = self._scaling
        warn_if_differences_are_lost(
            inputs.take(weights > 0), self._scaling.apply, standardize=self.standardize
        )

    def _encode_targets(
        self,
        y: NDArray[Any],
        valid: NDArray[np.bool_],
        *,
        reset: bool,
        partial: bool,
        classes: Any,
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        raise NotImplementedError

    def _scale_targets(
        self, data: TrainingData, *, reset: bool, partial: bool, learns: bool
    ) -> TrainingData:
        """Return the data with targets in the units that are learned."""
        return data

    def _weigh_targets(self, data: TrainingData, *, learns: bool) -> TrainingData:
        """Return the data with all factors of a target's weight multiplied in."""
        return data

    def _validation_data(self, validation: Sequence[Any] | None) -> TrainingData | None:
        """Check and encode the user's own data to validate on: X, y and weights."""
        if validation is None:
            return None
        try:
            data, _ = self._training_data(*validation, reset=False, learns=False)
            n_targets = (data.weights > 0).reshape(-1, data.weights.shape[-1]).sum(axis=0)
            if not is_classifier(self) and n_targets.max() < 2:
                raise ValueError(
                    "each output of y has a single target, but R² needs at least two; "
                    "give more sequences"
                )
        except (TypeError, ValueError) as error:
            kind = ValueError if isinstance(error, ValueError) else TypeError
            raise kind(f"validation_data: {error}") from error
        return data

    def _encode_dataset(self, dataset: Dataset) -> Dataset:
        """Turn a data set of pairs (X, y), such as skorch's, into packed sequences."""
        samples = [dataset[i] for i in range(len(dataset))]  # type: ignore[arg-type]
        X, y = zip(*samples, strict=True)
        data, _ = self._training_data(list(X), list(y), reset=False, learns=False)
        return data.dataset()
