"""The classifier: labels for sequences, or for each of their steps."""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, expit, softmax
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets

from sknt._base import SequenceEstimator
from sknt._fitting import TrainingData
from sknt._targets import check_every_output, typed_labels
from sknt.metrics import masked_accuracy
from sknt.sequences import Sequences, is_missing


class NTMSequenceClassifier(ClassifierMixin, SequenceEstimator):
    """Classify sequences, or each of their steps, with a memory network.

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
        Tasks that look up what they read are learned more reliably with 5.
    early_stopping : bool, default=False
        Whether to hold out a part of the training data, stop when its score does not
        improve any more, and keep the weights with which it was best.
    validation_fraction : float, default=0.1
        Part of the training data held out by `early_stopping`, of each class if
        possible.
    n_iter_no_change : int, default=10
        Number of epochs without improvement after which `early_stopping` stops.
    tol : float, default=1e-4
        What `early_stopping` takes for an improvement of the validation score.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit's weights; sizes and classes then stay.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss; "balanced" makes all weigh the same. Not for
        0/1 indicator targets.
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
    classes_ : ndarray of shape (n_classes,)
        Class labels; for 0/1 indicator targets the numbers of the outputs.
    history_ : list of dict
        A record for each epoch: ``epoch``, ``train_loss`` (nats a sequence), ``dur``
        (seconds), ``n_sequences`` (shown so far), ``grad_norm`` (the largest before
        clipping), ``grad_source`` (the part of the network that it came from),
        ``n_clipped``, ``n_skipped`` (updates left out because they were not finite),
        ``guard`` (what was done after a stop), with `early_stopping` ``valid_loss`` and
        ``valid_score``, with the schedule "consolidate" its ``phase``, and what skorch
        and its callbacks record.
    n_features_in_ : int
        Number of features of a step; for a two-dimensional X its number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X was a data frame.
    n_iter_ : int
        Number of epochs, over all calls that went on from each other.
    net_ : SequenceNet
        The skorch net; ``net_.module_`` is the torch network.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **SequenceEstimator._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

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
        class_weight=None,
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
        self.class_weight = class_weight

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
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
            ``stream(random_state=...)`` for each pair. Each is one epoch.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs); with \
                `return_sequences` (n_samples, n_timesteps) or \
                (n_samples, n_timesteps, n_outputs), or a list of such samples
            Labels, or with an axis of outputs 0/1 indicators. A stream's labels are
            those of its first pair.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight of each sequence; if all are whole numbers, each is worth as many
            repetitions.

        Returns
        -------
        self : NTMSequenceClassifier

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
        self,
        X: Any,
        y: Any,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "NTMSequenceClassifier":
        """Do one epoch over the data given, from where the last call ended.

        Parameters
        ----------
        X, y
            As in `fit`.
        classes : array-like of shape (n_classes,) or None, default=None
            All labels that will ever be seen. Needed in the first call; not for 0/1
            indicator targets.
        sample_weight : array-like of shape (n_samples,) or None, default=None
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
            As in `fit`; sequences may be longer or shorter, but for a table of the same
            number of columns.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs); with \
                `return_sequences` (n_samples, n_timesteps) or \
                (n_samples, n_timesteps, n_outputs)
            At absent steps `missing_target`, for which integers become floats if need
            be.
        """
        sequences, outputs = self._outputs(X)
        return self._labels(outputs, sequences)

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
        sequences, outputs = self._outputs(X)
        probabilities = expit(outputs) if self._multilabel else softmax(outputs, axis=-1)
        return self._like_X(probabilities, sequences)

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Compute the logits that the labels are chosen by.

        Parameters
        ----------
        X : array-like or list
            As in `predict`.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes); with \
                `return_sequences` (n_samples, n_timesteps) or \
                (n_samples, n_timesteps, n_classes)
            Of two classes, only the second one's, above 0 where it is predicted. NaN at
            absent steps.
        """
        sequences, outputs = self._outputs(X)
        if not self._multilabel and len(self.classes_) == 2:
            outputs = outputs[..., 1] - outputs[..., 0]
        return self._like_X(outputs, sequences)

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy on the targets that are there.

        Parameters
        ----------
        X, y
            As in `fit`.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight of each sequence.

        Returns
        -------
        accuracy : float
            Of 0/1 indicator targets, the part of the sequences (with
            `return_sequences`, of the steps) of which all are right.
        """
        sequences, outputs = self._outputs(X)
        y, valid = self._check_y(y, sequences, per_step=self.net_.per_step)
        labels = self._labels(outputs, sequences)
        if y.ndim == labels.ndim + 1 and y.shape[-1] == 1:
            y, valid = y[..., 0], valid[..., 0]
        if (y.dtype.kind == "U") != (self.classes_.dtype.kind == "U") and y.dtype != object:
            raise ValueError(
                f"y is of dtype {y.dtype}, but the classes are {self.classes_.tolist()}; "
                "give labels of the same kind as in fit"
            )
        self._check_same_shape(y, labels)
        return masked_accuracy(
            y, labels, valid, multilabel=self._multilabel, sample_weight=sample_weight
        )

    def _labels(self, outputs: NDArray[np.float64], sequences: Sequences) -> NDArray[Any]:
        if self._multilabel:
            labels = (outputs > 0).astype(np.int64)
        else:
            labels = self.classes_[outputs.argmax(axis=-1)]
        return self._like_X(labels, sequences, self.missing_target)

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
        multilabel = y.ndim == 2 + self.return_sequences
        known = typed_labels(y[valid])
        if multilabel:
            self._check_indicators(known, valid)
            all_classes = np.arange(y.shape[-1])
        else:
            check_classification_targets(known)
            all_classes = self._check_classes(known, classes, reset=reset, partial=partial)
        if reset:
            self.classes_ = all_classes
            self._multilabel = multilabel
            self._n_outputs = len(all_classes)
        elif multilabel != self._multilabel or len(all_classes) != self._n_outputs:
            raise ValueError(
                "y is of another kind or number of outputs than in the last fit; use "
                "warm_start=False or a clone to start anew"
            )
        encoded = np.zeros(y.shape, np.float64 if multilabel else np.int64)
        encoded[valid] = known if multilabel else np.searchsorted(all_classes, known)
        return encoded, valid

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
            raise ValueError(
                f"y of shape {shape} should hold 0/1 indicators, a column for each "
                f"output, but has other values; {advice}"
            )
        check_every_output(valid)

    def _check_classes(
        self, known: NDArray[Any], classes: Any, *, reset: bool, partial: bool
    ) -> NDArray[Any]:
        """Return all classes, given those in y and those that the caller announced."""
        found = np.unique(known)
        announced = None
        if classes is not None:
            announced = typed_labels(np.asarray(classes))
            if announced.ndim != 1 or is_missing(announced).any():
                raise ValueError(
                    f"classes={classes!r} is no list of labels; give all labels that will "
                    "ever be seen, without missing ones"
                )
            announced = np.unique(announced)
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
                "the classes announced or of the first fit; start anew with all of them"
            )
        if len(allowed) < 2:
            raise ValueError(
                f"y has one class only: {allowed.tolist()}; a classifier needs at least "
                "two classes"
            )
        return allowed

    def _finish_targets(
        self, data: TrainingData, *, reset: bool, partial: bool
    ) -> TrainingData:
        """Multiply the weights of the classes into those of the targets."""
        if self.class_weight is None:
            return data
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
                "ones of at least 0, not all of them 0"
            )
        return data._replace(weights=data.weights * weights[data.targets])

    def _chance_loss(self, data: TrainingData) -> float:
        """Return the entropy of the labels in nats: the loss of guessing their shares."""
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

    @property
    def _criterion(self) -> Any:
        if self._multilabel:
            return torch.nn.BCEWithLogitsLoss
        return torch.nn.CrossEntropyLoss

    def _validation_score(
        self, target: NDArray[Any], outputs: NDArray[Any], valid: NDArray[np.bool_]
    ) -> float:
        labels = outputs > 0 if self._multilabel else outputs.argmax(axis=-1)
        return masked_accuracy(target, labels, valid, multilabel=self._multilabel)
