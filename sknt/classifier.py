"""The classifier: labels for sequences, or for each of their steps."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, log_softmax
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from sknt._base import SequenceEstimator
from sknt._declaration import declares_parameters, parameter
from sknt._private import StrOptions, fit_context
from sknt.data.arrays import is_missing
from sknt.data.doubts import warn_if_label_looks_like_a_mark
from sknt.data.outputs import Labels
from sknt.data.targets import check_every_output, typed_labels
from sknt.data.validation import pair_of_validation
from sknt.metrics import masked_accuracy
from sknt.online import ClassifierSession
from sknt.training.data import TrainingData


@declares_parameters
class NTMSequenceClassifier(ClassifierMixin, SequenceEstimator):
    """Classify sequences, or each of their steps, with a memory network.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    backend_ : {"fused", "reference"}
        Backend that ran the sequences.
    classes_ : ndarray of shape (n_classes,)
        Class labels; for 0/1 indicator targets, the indices of the outputs.
    convolutions_ : ConvolutionalRidge or None
        The regression on random convolutions that the network is blended with.
    history_ : list of dict
        A record for each epoch: ``epoch``, ``train_loss`` (nats per sequence), ``dur``
        (seconds), ``n_sequences`` (seen so far), ``grad_norm`` (the largest before
        clipping), ``grad_source`` (the part of the network that it came from),
        ``n_clipped``, ``n_skipped`` (updates skipped because they were not finite) and
        ``guard`` (what was done after a stop); with `early_stopping` or data to validate
        on, ``valid_loss`` and ``valid_score``; with the schedule "consolidate", its
        ``phase``; and whatever skorch and its callbacks record.
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

    See Also
    --------
    NTMSequenceRegressor : The same for values.

    References
    ----------
    .. [1] Graves, Wayne & Danihelka (2014), "Neural Turing Machines", arXiv:1410.5401.
    .. [2] Collier & Beel (2018), "Implementing Neural Turing Machines",
       arXiv:1807.08518.

    Examples
    --------
    >>> import numpy as np
    >>> from sknt import NTMSequenceClassifier, pad_sequences
    >>> rng = np.random.RandomState(0)
    >>> sequences = [rng.normal(size=(n, 2)) for n in rng.randint(3, 8, size=40)]
    >>> y = np.where([s[0, 0] > 0 for s in sequences], "up", "down")
    >>> X = pad_sequences(sequences)
    >>> model = NTMSequenceClassifier(memory_size=8, max_epochs=20, random_state=0)
    >>> model.fit(X, y).predict(X).shape
    (40,)
    """

    class_weight: dict[Any, float] | str | None = parameter(
        default=None,
        constraint=[dict, StrOptions({"balanced"}), None],
        after="warm_start",
        doc="""dict, "balanced" or None, default=None
        Weights of the classes in the loss; with "balanced", all classes have the same
        total weight. Not for 0/1 indicator targets.""",
    )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        validation_data: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> "NTMSequenceClassifier":
        """Fit to sequences and their labels.

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
            Labels; or, with an axis of outputs, 0/1 indicators.
        sample_weight : array-like of shape (n_samples,) or, with `return_sequences`, \
                (n_samples, n_timesteps), a list of array-like of shape (length_i,), or \
                None, default=None
            Weight of each sequence. Whole-number weights are equivalent to repeating the
            sequences. Or the weight of each step's targets; a weight of 0 is equivalent to
            `missing_target`.
        classes : array-like of shape (n_classes,) or None, default=None
            All labels, in case y (or, for a stream, the y of its first pair) lacks some
            of them. Not for 0/1 indicator targets.
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
        self : NTMSequenceClassifier

        Raises
        ------
        ValueError
            If a parameter or an argument is invalid; the estimator is then left as it
            was.
        """
        validation = pair_of_validation(validation_data, X_val, y_val, sample_weight_val)
        context = self._begin_callbacks(X, y)
        self._fit(
            X,
            y,
            sample_weight,
            context=context,
            classes=classes,
            groups=groups,
            validation=validation,
        )
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "NTMSequenceClassifier":
        """Train for one epoch on the data given, continuing from the last call.

        Parameters
        ----------
        X, y
            As in `fit`. Sequences may be longer or shorter than in earlier calls; only the
            number of columns of a table that is not padded is fixed.
        classes : array-like of shape (n_classes,) or None, default=None
            All labels that will ever occur. Required in the first call; not for 0/1
            indicator targets.
        sample_weight : array-like of shape (n_samples,), with `return_sequences` also \
                (n_samples, n_timesteps) or a list, or None, default=None
            As in `fit`.

        Returns
        -------
        self : NTMSequenceClassifier

        Raises
        ------
        ValueError
            As in `fit`; also with ``early_stopping`` or ``class_weight="balanced"``,
            which need all the data at once.
        """
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if self.class_weight == "balanced":
            raise ValueError(
                "partial_fit does not support class_weight='balanced', which needs all "
                "labels at once; give the weights of the classes as a dictionary"
            )
        return self._fit(X, y, sample_weight, partial=True, classes=classes)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict labels.

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
            `missing_target` at absent steps. Integers become floats if it does not fit
            among them.
        """
        sequences, outputs = self._predict_outputs(X)
        labels = self._meaning().predict(outputs)
        return self._like_X(labels, sequences, self.missing_target)

    def start(self, n_sequences: int | None = None) -> ClassifierSession:
        """Start a session that takes sequences step by step.

        Parameters
        ----------
        n_sequences : int or None, default=None
            Number of sequences side by side; None is one, given without an axis for it.

        Returns
        -------
        session : ClassifierSession
            With the methods `predict`, `predict_proba` and `decision_function`, which take
            the next steps.

        Raises
        ------
        ValueError
            If outputs depend on later steps, or on whole sequences: with
            ``bidirectional=True``, and where the network is blended with a regression on
            convolutions (`network_share_` below 1).
        """
        return ClassifierSession(
            *self._online_parts(n_sequences),
            self._meaning(),
            per_step=self.net_.per_step,
            missing_target=self.missing_target,
        )

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict probabilities.

        Parameters
        ----------
        X : array-like or list
            As in `predict`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes); with \
                `return_sequences` (n_samples, n_timesteps, n_classes)
            In the order of `classes_`, NaN at absent steps; for 0/1 indicator targets
            the probability of a 1 for each output.
        """
        sequences, outputs = self._predict_outputs(X)
        return self._like_X(self._meaning().predict_proba(outputs), sequences)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Compute the logits from which the labels are chosen.

        Parameters
        ----------
        X : array-like or list
            As in `predict`.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes); with \
                `return_sequences` (n_samples, n_timesteps) or \
                (n_samples, n_timesteps, n_classes)
            For two classes, one score: above 0 where the second class is predicted. NaN
            at absent steps.
        """
        sequences, outputs = self._predict_outputs(X)
        return self._like_X(self._meaning().decision_function(outputs), sequences)

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy on the targets that are not missing.

        Parameters
        ----------
        X, y
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), with `return_sequences` also \
                (n_samples, n_timesteps) or a list, or None, default=None
            Weight of each sequence, or of each step. Targets of weight 0 do not count.

        Returns
        -------
        accuracy : float
            For 0/1 indicator targets, the fraction of sequences (with
            `return_sequences`, of steps) in which all of them are right.
        """
        sequences, outputs = self._predict_outputs(X)
        y, valid = self._check_y(y, sequences, per_step=self.net_.per_step)
        weights, valid = self._weigh_known(sample_weight, sequences, valid)
        labels = self._meaning().predict(outputs)
        if y.ndim == labels.ndim + 1 and y.shape[-1] == 1:
            y, valid = y[..., 0], valid[..., 0]
        known = typed_labels(y[valid])
        if (known.dtype.kind == "U") != (self.classes_.dtype.kind == "U"):
            raise ValueError(
                f"y is of dtype {known.dtype}, but the classes are "
                f"{self.classes_.tolist()}; give labels of the same kind as in fit"
            )
        if not np.isin(known, self.classes_).all():
            self._doubt_labels(known, per_step=self.net_.per_step)
        self._check_same_shape(y, labels)
        return masked_accuracy(
            y, labels, valid, multilabel=self._multilabel, sample_weight=weights
        )

    def _meaning(self) -> Labels:
        return Labels(self.classes_, self._multilabel)

    # Targets

    def _encode_targets(
        self,
        y: NDArray[Any],
        valid: NDArray[np.bool_],
        *,
        reset: bool,
        partial: bool,
        classes: Any,
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        if not self.return_sequences and y.ndim == 2 and y.shape[1] == 1:
            y, valid = column_or_1d(y, warn=True), valid[:, 0]
        multilabel = y.ndim == 2
        known = typed_labels(y[valid])
        if multilabel:
            self._check_indicators(known, valid)
            if reset and not partial:
                check_every_output(valid)
            all_classes = np.arange(y.shape[-1])
        else:
            check_classification_targets(known)
            all_classes = self._check_classes(known, classes, reset=reset, partial=partial)
            if reset and classes is None:
                self._doubt_labels(known, per_step=self.return_sequences)
        if reset:
            self.classes_ = all_classes
            self._multilabel = multilabel
            self._n_outputs = len(all_classes)
        elif multilabel != self._multilabel or len(all_classes) != self._n_outputs:
            raise ValueError(
                "y has a different kind or number of outputs than in the last fit; use "
                "warm_start=False or a clone to start anew"
            )
        encoded = np.zeros(y.shape, np.float64 if multilabel else np.int64)
        encoded[valid] = known if multilabel else np.searchsorted(all_classes, known)
        return encoded, valid

    def _doubt_labels(self, known: NDArray[Any], *, per_step: bool) -> None:
        """Warn of a label that looks like a mark, unless missing_target has been set."""
        if self.missing_target != self.missing_target:
            warn_if_label_looks_like_a_mark(known, per_step=per_step)

    def _check_indicators(self, known: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        shape = valid.shape
        if known.dtype.kind not in "biuf" or not np.isin(known, (0, 1)).all():
            if not self.return_sequences:
                advice = (
                    "for a label for each step, use return_sequences=True; for several "
                    "outputs of several classes, MultiOutputClassifier"
                )
            elif shape[-1] == 1:
                advice = "for one label for each step, leave the last axis out"
            else:
                advice = "fit a classifier for each output"
            other = next(v for v in np.unique(known).tolist() if v not in (0, 1))
            raise ValueError(
                f"y of shape {shape} should hold 0/1 indicators, a column for each "
                f"output, but has other values, such as {other!r}; {advice}. If it marks "
                "entries without a target, set missing_target to it"
            )

    def _check_classes(
        self, known: NDArray[Any], classes: Any, *, reset: bool, partial: bool
    ) -> NDArray[Any]:
        """Return all classes, from those in y and those that the caller announced."""
        found = np.unique(known)
        announced = None
        if classes is not None:
            announced = np.asarray(classes)
            if announced.ndim != 1 or is_missing(announced).any():
                raise ValueError(
                    f"classes={classes!r} is not a list of labels; give all labels that "
                    "will ever be seen, without missing ones"
                )
            announced = np.unique(typed_labels(announced))
        if not reset:
            allowed = self.classes_
            if announced is not None and not np.array_equal(announced, allowed):
                raise ValueError(
                    f"classes={announced.tolist()} is not {allowed.tolist()}, the classes "
                    "of the first call; leave it out or start anew with a clone"
                )
        elif announced is not None:
            allowed = announced
        elif partial:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: all labels "
                "that will ever be seen"
            )
        else:
            allowed = found
        unknown = found[~np.isin(found, allowed)]
        if len(unknown):
            raise ValueError(
                f"y has classes {unknown.tolist()} that are not among {allowed.tolist()}, "
                "the classes announced or those of the first fit or a stream's first pair; "
                "start anew with classes=[...], all of them"
            )
        if len(allowed) < 2:
            raise ValueError(
                f"y has one class only: {allowed.tolist()}; a classifier needs at least "
                "two classes"
            )
        return allowed

    def _weigh_targets(self, data: TrainingData, *, learns: bool) -> TrainingData:
        """Multiply the targets' weights by those of their classes in what is learned."""
        if learns:
            self._class_weights = self._find_class_weights(data)
        if self._class_weights is None:
            return data
        factors = self._class_weights[data.targets]
        return data._replace(weights=data.weights * factors)

    def _find_class_weights(self, data: TrainingData) -> NDArray[np.float64] | None:
        if self.class_weight is None:
            return None
        if self._multilabel:
            raise ValueError(
                "class_weight has no meaning for 0/1 indicator targets; use "
                "class_weight=None, or sample_weight"
            )
        valid = data.weights > 0
        labels = self.classes_[data.targets[valid]]
        if self.class_weight == "balanced" and len(np.unique(labels)) < len(self.classes_):
            raise ValueError(
                "class_weight='balanced' needs a target of positive weight in each of the "
                f"classes {self.classes_.tolist()}; give the weights as a dictionary"
            )
        weights = compute_class_weight(
            self.class_weight,
            classes=self.classes_,
            y=labels,
            sample_weight=data.weights[valid],
        )
        unusable = ~(np.isfinite(weights) & (weights >= 0))
        if unusable.any() or not weights[data.targets[valid]].any():
            raise ValueError(
                f"class_weight={self.class_weight!r} gives the classes "
                f"{self.classes_.tolist()} the weights {weights.tolist()}; use finite "
                "weights of at least 0, not all of them 0"
            )
        return weights

    def _chance_loss(self, data: TrainingData) -> float:
        """Return the entropy of the labels in nats: the loss of guessing by frequency."""
        n_outputs = self._n_outputs if self._multilabel else 1
        weights = data.weights.reshape(-1, n_outputs)
        if not self._multilabel:
            labels = data.targets.ravel()
            shares = np.bincount(labels, weights.ravel(), minlength=self._n_outputs)
            return float(entr(shares / shares.sum()).sum())
        ones = (weights * data.targets.reshape(-1, n_outputs)).sum(axis=0)
        totals = weights.sum(axis=0)
        shares = np.divide(ones, totals, out=np.zeros(n_outputs), where=totals > 0)
        return float((totals * (entr(shares) + entr(1 - shares))).sum() / totals.sum())

    def _codes(self, data: TrainingData) -> NDArray[np.float64]:
        """Return 1 for the class or for a 1, and otherwise −1: (n_samples, n_outputs)."""
        if self._multilabel:
            return 2 * data.targets - 1
        return 2.0 * (data.targets[:, np.newaxis] == np.arange(self._n_outputs)) - 1

    def _losses(
        self, outputs: NDArray[np.float64], data: TrainingData
    ) -> NDArray[np.float64]:
        """Return the cross-entropy of each sequence's targets, of shape (n_samples,)."""
        if self._multilabel:
            signs = 2 * data.targets - 1
            return (data.weights * np.logaddexp(0, -signs * outputs)).sum(axis=1)
        logits = log_softmax(outputs, axis=1)
        return -data.weights * logits[np.arange(len(logits)), data.targets]

    def _log_likelihood(self, losses: NDArray[np.float64]) -> float:
        return -float(losses.sum())

    def _criterion(self) -> Any:
        if self._multilabel:
            return torch.nn.BCEWithLogitsLoss
        return torch.nn.CrossEntropyLoss

    def _validation_score(
        self,
        target: NDArray[Any],
        outputs: NDArray[Any],
        valid: NDArray[np.bool_],
        weights: NDArray[Any] | None,
    ) -> float:
        labels = outputs > 0 if self._multilabel else outputs.argmax(axis=-1)
        if weights is not None:
            weights = self._without_class_weights(weights, target)
        return masked_accuracy(
            target, labels, valid, multilabel=self._multilabel, sample_weight=weights
        )

    def _without_class_weights(
        self, weights: NDArray[Any], targets: NDArray[Any]
    ) -> NDArray[Any]:
        """Return the weight of each entry as the user gave it, up to a factor."""
        if self._multilabel:
            return weights.max(axis=1)  # of its outputs, those without a target have 0
        if self._class_weights is None:
            return weights
        factors = self._class_weights[targets]
        return np.divide(weights, factors, out=np.zeros_like(weights), where=factors > 0)
