"""The regressor: values for sequences, or for each of their steps."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin

from sknt._base import SequenceEstimator
from sknt._declaration import declares_parameters
from sknt._private import fit_context
from sknt.data.cells import refuse_dates
from sknt.data.doubts import warn_if_value_looks_like_a_mark
from sknt.data.outputs import Values
from sknt.data.targets import check_every_output
from sknt.data.validation import pair_of_validation
from sknt.metrics import masked_r2
from sknt.online import Session
from sknt.training.data import TrainingData


@declares_parameters
class NTMSequenceRegressor(RegressorMixin, SequenceEstimator):
    """Predict values for sequences, or for each of their steps, with a memory network.

    Targets are standardised internally; predictions are in the targets' own units.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    backend_ : {"fused", "reference"}
        Backend that ran the sequences.
    convolutions_ : ConvolutionalRidge or None
        The regression on random convolutions that the network is blended with.
    history_ : list of dict
        A record for each epoch: ``epoch``, ``train_loss`` (squared error of the
        standardised targets, summed over a sequence), ``dur`` (seconds), ``n_sequences``
        (seen so far), ``grad_norm`` (the largest before clipping), ``grad_source`` (the
        part of the network that it came from), ``n_clipped``, ``n_skipped`` (updates
        skipped because they were not finite) and ``guard`` (what was done after a stop);
        with `early_stopping` or data to validate on, ``valid_loss`` and ``valid_score``
        (R²); with the schedule "consolidate", its ``phase``; and whatever skorch and its
        callbacks record.
    input_mean_, input_scale_ : ndarray of shape (n_inputs,)
        What is subtracted from the features of every step, and what they are then divided
        by; 0 and 1 for features that are left as they are.
    n_features_in_ : int
        Number of features per step; for a two-dimensional X, its number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X was a data frame.
    n_iter_ : int
        Number of epochs, over all calls that continued from one another.
    net_ : SequenceNet
        The skorch net; ``net_.module_`` is the torch network.
    network_share_ : float
        The network's share s of the outputs, (1 − s) times the regression's plus s times
        the network's: 1 without a regression, 0 if the network adds nothing to it.
    patch_size_ : int
        Number of successive steps that the network takes in together.
    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        Mean and standard deviation of the targets of the first fit. A constant target
        has scale 0, and the constant is predicted.

    See Also
    --------
    NTMSequenceClassifier : The same for labels.

    References
    ----------
    .. [1] Graves, Wayne & Danihelka (2014), "Neural Turing Machines", arXiv:1410.5401.
    .. [2] Collier & Beel (2018), "Implementing Neural Turing Machines",
       arXiv:1807.08518.

    Examples
    --------
    >>> import numpy as np
    >>> from sknt import NTMSequenceRegressor
    >>> X = np.random.RandomState(0).normal(size=(40, 6))
    >>> y = 10 * X[:, 0]
    >>> model = NTMSequenceRegressor(memory_size=8, max_epochs=20, random_state=0)
    >>> model.fit(X, y).predict(X).shape
    (40,)
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        validation_data: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> "NTMSequenceRegressor":
        """Fit to sequences and their values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps, n_features) or \
                (n_samples, n_timesteps), or list of array-like of shape \
                (length_i, n_features) or (length_i,)
            Sequences. A step that is all NaN is absent.
            Or an endless stream instead of X and y: an iterator of pairs ``(X, y)``, or
            a function such as :func:`sknt.datasets.make_copy`, called as
            ``stream(random_state=...)`` for each pair. Each pair is one epoch.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs); with \
                `return_sequences` (n_samples, n_timesteps) or \
                (n_samples, n_timesteps, n_outputs), or a list of such samples
            Values.
        sample_weight : array-like of shape (n_samples,) or, with `return_sequences`, \
                (n_samples, n_timesteps), a list of array-like of shape (length_i,), or \
                None, default=None
            Weight of each sequence. Whole-number weights are equivalent to repeating the
            sequences. Or the weight of each step's targets; a weight of 0 is equivalent to
            `missing_target`.
        groups : array-like of shape (n_samples,) or None, default=None
            Group of each sequence, such as the person it is of. Where a part of X is held
            out, for early stopping or for the blend with a regression, whole groups are.
        validation_data : tuple (X, y) or (X, y, sample_weight), or None, default=None
            Sequences to validate each epoch on, in the layouts of X and y; nothing is then
            held out of X for `early_stopping`. They may be longer or shorter.
        X_val, y_val, sample_weight_val : array-like or None, default=None
            The parts of `validation_data`, one by one, for a pipeline with
            ``transform_input=["X_val"]``.

        Returns
        -------
        self : NTMSequenceRegressor

        Raises
        ------
        ValueError
            If a parameter or an argument is invalid; the estimator is then left as it
            was.
        """
        validation = pair_of_validation(validation_data, X_val, y_val, sample_weight_val)
        context = self._begin_callbacks(X, y)
        self._fit(
            X, y, sample_weight, context=context, groups=groups, validation=validation
        )
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> "NTMSequenceRegressor":
        """Train for one epoch on the data given, continuing from the last call.

        The targets' mean and scale are those of the first call, whose targets must not
        be constant.

        Parameters
        ----------
        X, y
            As in `fit`. Sequences may be longer or shorter than in earlier calls; only the
            number of columns of a table that is not padded is fixed.
        sample_weight : array-like of shape (n_samples,), with `return_sequences` also \
                (n_samples, n_timesteps) or a list, or None, default=None
            As in `fit`.

        Returns
        -------
        self : NTMSequenceRegressor

        Raises
        ------
        ValueError
            As in `fit`; also with ``early_stopping``, which needs all the data at once.
        """
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        return self._fit(X, y, sample_weight, partial=True)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict values.

        Parameters
        ----------
        X : array-like or list
            As in `fit`. Sequences may be longer or shorter, but a table must have the
            same number of columns.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs); with \
                `return_sequences` (n_samples, n_timesteps) or \
                (n_samples, n_timesteps, n_outputs)
            In the targets' units; `missing_target` at absent steps.
        """
        sequences, outputs = self._predict_outputs(X)
        values = self._meaning().predict(outputs)
        return self._like_X(values, sequences, self.missing_target)

    def start(self, n_sequences: int | None = None) -> Session:
        """Start a session that takes sequences step by step.

        Parameters
        ----------
        n_sequences : int or None, default=None
            Number of sequences side by side; None is one, given without an axis for it.

        Returns
        -------
        session : Session
            With the method `predict`, which takes the next steps.

        Raises
        ------
        ValueError
            If outputs depend on later steps, or on whole sequences: with
            ``bidirectional=True``, and where the network is blended with a regression on
            convolutions (`network_share_` below 1).
        """
        return Session(
            *self._online_parts(n_sequences),
            self._meaning(),
            per_step=self.net_.per_step,
            missing_target=self.missing_target,
        )

    def _meaning(self) -> Values:
        return Values(self.target_mean_, self.target_scale_, self._single_output)

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return R² on the targets that are not missing, averaged over the outputs.

        Parameters
        ----------
        X, y
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), with `return_sequences` also \
                (n_samples, n_timesteps) or a list, or None, default=None
            Weight of each sequence, or of each step. Targets of weight 0 do not count.

        Returns
        -------
        r2 : float
        """
        sequences, outputs = self._predict_outputs(X)
        y, valid = self._check_y(y, sequences, per_step=self.net_.per_step)
        weights, valid = self._weigh_known(sample_weight, sequences, valid)
        y, valid = self._with_output_axis(y, valid)
        values = outputs * self.target_scale_ + self.target_mean_
        self._check_same_shape(y, values)
        return masked_r2(y, values, valid, sample_weight=weights)

    # Targets

    def _criterion(self) -> Any:
        return torch.nn.MSELoss

    def _with_output_axis(
        self, y: NDArray[Any], valid: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return floats, zero where a target is missing, with an axis of outputs."""
        refuse_dates(y, "y")
        try:
            if y.dtype.kind not in "biufO":
                raise ValueError(f"it is of dtype {y.dtype}")
            values = np.where(valid, y, 0).astype(np.float64)
        except (OverflowError, TypeError, ValueError) as error:
            raise ValueError(
                f"y is not numeric: {error}. Give numbers, or use NTMSequenceClassifier "
                "for labels"
            ) from error
        if self.missing_target != self.missing_target:  # it has not been set
            warn_if_value_looks_like_a_mark(values[valid])
        if values.ndim == 1:
            return values[..., np.newaxis], valid[..., np.newaxis]
        return values, valid

    def _encode_targets(
        self,
        y: NDArray[Any],
        valid: NDArray[np.bool_],
        *,
        reset: bool,
        partial: bool,
        classes: Any,
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        single_output = y.ndim == 1
        y, valid = self._with_output_axis(y, valid)
        if reset:
            self._single_output = single_output
            self._n_outputs = y.shape[-1]
        elif single_output != self._single_output or y.shape[-1] != self._n_outputs:
            raise ValueError(
                f"y has {y.shape[-1]} outputs, but the last fit had {self._n_outputs} "
                "(or y's number of dimensions changed); use warm_start=False or a clone "
                "to start anew"
            )
        return y, valid

    def _scale_targets(
        self, data: TrainingData, *, reset: bool, partial: bool, learns: bool
    ) -> TrainingData:
        """Standardise the targets, by the mean and scale of the first fit."""
        if reset:
            mean, scale = _mean_and_scale(data.targets, data.weights)
            if partial and not scale.all():
                raise ValueError(
                    f"output {np.flatnonzero(scale == 0)[0]} of y is constant in the first "
                    "call to partial_fit, which sets the targets' scale; begin with a "
                    "batch of several different targets"
                )
            self.target_mean_, self.target_scale_ = mean, scale
        elif learns and not self.target_scale_.all():
            raise ValueError(
                f"output {np.flatnonzero(self.target_scale_ == 0)[0]} of y was constant in "
                "the last fit, so its targets have no scale; use warm_start=False or a "
                "clone to start anew"
            )
        scale = np.where(self.target_scale_ == 0, 1.0, self.target_scale_)
        targets = (data.targets - self.target_mean_) / scale
        return data._replace(targets=np.where(data.weights > 0, targets, 0.0))

    def _chance_loss(self, data: TrainingData) -> float:
        """Return the variance of the standardised targets: the loss of guessing."""
        squares = (data.weights * data.targets**2).sum()
        return float(squares / data.weights.sum())

    def _codes(self, data: TrainingData) -> NDArray[np.float64]:
        return data.targets

    def _losses(
        self, outputs: NDArray[np.float64], data: TrainingData
    ) -> NDArray[np.float64]:
        """Return each sequence's squared error, summed over its targets."""
        return (data.weights * (outputs - data.targets) ** 2).sum(axis=1)

    def _log_likelihood(self, losses: NDArray[np.float64]) -> float:
        """Return it for normally distributed errors of the best variance."""
        mean = max(float(losses.mean()), np.finfo(np.float64).tiny)
        return -0.5 * len(losses) * float(np.log(mean))

    def _validation_score(
        self,
        target: NDArray[Any],
        outputs: NDArray[Any],
        valid: NDArray[np.bool_],
        weights: NDArray[Any] | None,
    ) -> float:
        if weights is not None:
            weights = weights.max(axis=1)  # of its outputs, those without a target have 0
        return masked_r2(target, outputs, valid, sample_weight=weights)


def _mean_and_scale(
    targets: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each output's weighted mean and standard deviation, exactly 0 if constant."""
    targets = targets.reshape(-1, targets.shape[-1])
    weights = weights.reshape(targets.shape)
    check_every_output(weights > 0)
    total = weights.sum(axis=0)
    # In units of the largest target, so that squares neither overflow nor vanish.
    unit = np.abs(np.where(weights > 0, targets, 0)).max(axis=0)
    unit[unit == 0] = 1.0
    targets = targets / unit
    mean = (weights * targets).sum(axis=0) / total
    scale = np.sqrt((weights * (targets - mean) ** 2).sum(axis=0) / total)
    scale[scale <= 10 * np.finfo(np.float64).eps] = 0.0
    return mean * unit, scale * unit
