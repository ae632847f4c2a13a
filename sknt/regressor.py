"""The regressor: values for sequences, or for each of their steps."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin, _fit_context

from sknt._base import SequenceEstimator
from sknt._fitting import TrainingData
from sknt._targets import check_every_output
from sknt.metrics import masked_r2


class NTMSequenceRegressor(RegressorMixin, SequenceEstimator):
    """Predict values for sequences, or for each of their steps, with a memory network.

    Targets are standardised inside, and predictions given back in the targets' units.

    Parameters
    ----------
    memory : {"ntm"} or None, default="ntm"
        Kind of external memory; None is the bare controller, the baseline that tells
        whether memory helps.
    memory_size : int, default=128
        Number of memory rows N. Heads begin by writing a row a step, so that sequences of
        which all is to be remembered want as many rows as they have steps.
    word_size : int, default=20
        Width W of a memory row.
    n_read_heads : int, default=1
        Number of read heads.
    n_write_heads : int, default=1
        Number of write heads.
    controller : {"lstm", "gru", "feedforward"}, default="lstm"
        Kind of controller.
    hidden_size : int, default=100
        Number of units of each of the controller's layers.
    n_layers : int, default=1
        Number of the controller's layers.
    memory_params : dict or None, default=None
        Options of the memory alone; for ``"ntm"`` these are ``shift_range`` (1),
        ``memory_init`` ("random", "constant" or "learned") and ``interface_clip`` (20).
        A search reaches them as ``memory_params__shift_range``.
    return_sequences : bool, default=False
        Whether there is a target for each step, rather than one for each sequence,
        which is read at its last step.
    missing_target : object, default=nan
        What y holds where there is no target: such entries take no part in loss and
        score. Predictions hold it at absent steps.
    optimizer : {"adam", "adamw", "muon", "muon-adam", "rmsprop", "sgd"}, default="adam"
        Kind of optimizer. Muon moves weight matrices as far in each direction, all else as
        Adam does: an update takes longer, and some tasks take fewer of them. "muon-adam"
        turns to Adam once a task is learned, where the schedule is "consolidate".
    learning_rate : float, default=0.01
        Step size of the optimizer.
    max_epochs : int, default=50
        Number of passes over the training data in a call of `fit`.
    batch_size : int or "auto", default="auto"
        Number of sequences in a step of the optimizer; "auto" is 4 with
        `return_sequences`, and 16 otherwise.
    schedule : {"auto", "constant", "consolidate"}, default="auto"
        Course of the training. "constant" is `max_epochs` at one learning rate.
        "consolidate" waits for the task to be learned (the running mean of the loss falls
        below 5 % of that of guessing); then, for `consolidation` times as many sequences
        as that took, the rate falls to 2 %, inputs have noise and heads a penalty for a
        while, and `fit` ends. If `max_epochs` are nearly over before that, the rate falls
        over the last 40 % of them. "auto" is "consolidate" for a classifier with
        `return_sequences`, and "constant" otherwise.
    consolidation : float, default=1.4
        How long the schedule "consolidate" goes on, relative to the number of sequences
        that learning took. A longer one leaves fewer errors.
    max_grad_norm : float, "auto" or None, default="auto"
        Gradients of a larger global norm are scaled down to it; ε of Adam is 2e-4 of it.
        "auto" is 1.5 with `return_sequences`, and 3 otherwise.
    early_stopping : bool, default=False
        Whether to hold out a part of the training data, stop when its score does not
        improve any more, and keep the weights with which it was best.
    validation_fraction : float, default=0.1
        Part of the training data held out by `early_stopping`.
    n_iter_no_change : int, default=10
        Number of epochs without improvement after which `early_stopping` stops.
    tol : float, default=1e-4
        What `early_stopping` takes for an improvement of the validation score.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit's weights; sizes and units of the
        targets then stay.
    device : str, default="cpu"
        Where torch computes, such as "cuda".
    backend : {"auto", "fused", "reference"}, default="auto"
        How sequences are run: "reference" is step by step in torch's operations, "fused"
        in compiled kernels, many times faster and with the same results but for rounding;
        "auto" takes the kernels wherever there are some (an NTM on a CPU). The first use
        on a machine compiles them, which takes about 30 seconds.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the shuffling and the held-out part.
    verbose : int, default=0
        Whether to show a progress bar with loss, validation score and time left.
    net_params : dict or None, default=None
        Any other argument of skorch's net, such as ``{"optimizer__eps": 1e-3,
        "callbacks": [...]}``. A search reaches them as ``net_params__optimizer__eps``.

    Attributes
    ----------
    backend_ : {"fused", "reference"}
        What ran.
    history_ : list of dict
        A record for each epoch: ``epoch``, ``train_loss`` (squared error of the
        standardised targets, summed over a sequence), ``dur`` (seconds), ``n_sequences``
        (shown so far), ``grad_norm`` (the largest before clipping), ``grad_source`` (the
        part of the network that it came from), ``n_clipped``, ``n_skipped`` (updates left
        out because they were not finite), ``guard`` (what was done after a stop), with
        `early_stopping` ``valid_loss`` and ``valid_score`` (R²), with the schedule
        "consolidate" its ``phase``, and what skorch and its callbacks record.
    n_features_in_ : int
        Number of features of a step; for a two-dimensional X its number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X was a data frame.
    n_iter_ : int
        Number of epochs, over all calls that went on from each other.
    net_ : SequenceNet
        The skorch net; ``net_.module_`` is the torch network.
    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        Mean and standard deviation of the targets of the first fit. Of a constant
        target the scale is 0, and the constant is predicted.

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

    def __init__(
        self,
        *,
        memory="ntm",
        memory_size=128,
        word_size=20,
        n_read_heads=1,
        n_write_heads=1,
        controller="lstm",
        hidden_size=100,
        n_layers=1,
        memory_params=None,
        return_sequences=False,
        missing_target=np.nan,
        optimizer="adam",
        learning_rate=0.01,
        max_epochs=50,
        batch_size="auto",
        schedule="auto",
        consolidation=1.4,
        max_grad_norm="auto",
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        warm_start=False,
        device="cpu",
        backend="auto",
        random_state=None,
        verbose=0,
        net_params=None,
    ):
        super().__init__(
            memory=memory,
            memory_size=memory_size,
            word_size=word_size,
            n_read_heads=n_read_heads,
            n_write_heads=n_write_heads,
            controller=controller,
            hidden_size=hidden_size,
            n_layers=n_layers,
            memory_params=memory_params,
            return_sequences=return_sequences,
            missing_target=missing_target,
            optimizer=optimizer,
            learning_rate=learning_rate,
            max_epochs=max_epochs,
            batch_size=batch_size,
            schedule=schedule,
            consolidation=consolidation,
            max_grad_norm=max_grad_norm,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            warm_start=warm_start,
            device=device,
            backend=backend,
            random_state=random_state,
            verbose=verbose,
            net_params=net_params,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
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
            ``stream(random_state=...)`` for each pair. Each is one epoch.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs); with \
                `return_sequences` (n_samples, n_timesteps) or \
                (n_samples, n_timesteps, n_outputs), or a list of such samples
            Values.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight of each sequence; if all are whole numbers, each is worth as many
            repetitions.

        Returns
        -------
        self : NTMSequenceRegressor

        Raises
        ------
        ValueError
            If a parameter, X, y or sample_weight is not usable; the estimator then stays
            as it was.
        """
        context = self._begin_callbacks(X, y)
        self._fit(X, y, sample_weight, context=context)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None
    ) -> "NTMSequenceRegressor":
        """Do one epoch over the data given, from where the last call ended.

        The targets' mean and scale are those of the first call, whose targets must not
        be constant.

        Parameters
        ----------
        X, y
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or None, default=None
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
            As in `fit`; sequences may be longer or shorter, but for a table of the same
            number of columns.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs); with \
                `return_sequences` (n_samples, n_timesteps) or \
                (n_samples, n_timesteps, n_outputs)
            In the targets' units; at absent steps NaN, or `missing_target`.
        """
        sequences, outputs = self._outputs(X)
        values = outputs * self.target_scale_ + self.target_mean_
        if self._single_output:
            values = values[..., 0]
        return self._like_X(values, sequences, self.missing_target)

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return R² on the targets that are there, averaged over the outputs.

        Parameters
        ----------
        X, y
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight of each sequence.

        Returns
        -------
        r2 : float
        """
        sequences, outputs = self._outputs(X)
        y, valid = self._check_y(y, sequences, per_step=self.net_.per_step)
        y, valid = self._with_output_axis(y, valid, per_step=self.net_.per_step)
        values = outputs * self.target_scale_ + self.target_mean_
        values = self._like_X(values, sequences)
        self._check_same_shape(y, values)
        return masked_r2(y, values, valid, sample_weight=sample_weight)

    # Targets

    _criterion = torch.nn.MSELoss

    def _with_output_axis(
        self, y: NDArray[Any], valid: NDArray[np.bool_], *, per_step: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return floats, zero where there is no target, of one more axis if need be."""
        try:
            if y.dtype.kind not in "biufO":
                raise ValueError(f"it is of dtype {y.dtype}")
            values = np.where(valid, y, 0).astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"y is not numeric: {error}. Give numbers, or use NTMSequenceClassifier "
                "for labels"
            ) from error
        if values.ndim == 1 + per_step:
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
        single_output = y.ndim == 1 + self.return_sequences
        y, valid = self._with_output_axis(y, valid, per_step=self.return_sequences)
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

    def _finish_targets(
        self, data: TrainingData, *, reset: bool, partial: bool
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
        elif not self.target_scale_.all():
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

    def _validation_score(
        self, target: NDArray[Any], outputs: NDArray[Any], valid: NDArray[np.bool_]
    ) -> float:
        return masked_r2(target, outputs, valid)


def _mean_and_scale(
    targets: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean and standard deviation of each output, exactly 0 for a constant."""
    targets = targets.reshape(-1, targets.shape[-1])
    weights = weights.reshape(targets.shape)
    check_every_output(weights > 0)
    total = weights.sum(axis=0)
    # In units of the largest target, whose square neither overflows nor vanishes.
    unit = np.abs(np.where(weights > 0, targets, 0)).max(axis=0)
    unit[unit == 0] = 1.0
    targets = targets / unit
    mean = (weights * targets).sum(axis=0) / total
    scale = np.sqrt((weights * (targets - mean) ** 2).sum(axis=0) / total)
    scale[scale <= 10 * np.finfo(np.float64).eps] = 0.0
    return mean * unit, scale * unit
