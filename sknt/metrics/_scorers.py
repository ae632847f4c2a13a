"""Scorers for searches, which see only the steps that have a target."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer, make_scorer
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from sknt._private import BaseScorer
from sknt.data.arrays import fill_masked, is_missing
from sknt.data.sequences import layout_of
from sknt.data.targets import align_targets, typed_labels
from sknt.data.weights import are_of_steps, check_weights, weigh_targets


def make_sequence_scorer(
    metric: str | Callable[..., float],
    *,
    missing_target: Any = np.nan,
    **kwargs: Any,
) -> "SequenceScorer":
    """Make a scorer for per-step targets from a metric for plain ones.

    The steps that are present and have a target are laid out one after the other, as
    if each were a sample, before the metric sees them. Use it as ``scoring=`` wherever
    scikit-learn takes a scorer: ``scoring="accuracy"`` would count absent steps.

    Parameters
    ----------
    metric : str or callable
        The name of one of scikit-learn's scorers (``sklearn.metrics.get_scorer_names``),
        a scorer, or a function ``metric(y_true, y_pred, **kwargs)``.
    missing_target : object, default=nan
        The value that marks a missing target in y, as in the estimator.
    **kwargs
        For a function, arguments of ``sklearn.metrics.make_scorer``
        (``greater_is_better``, ``response_method``) and of the metric itself.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)``; a sample's weight goes to each
        of its steps, unless there is a weight for each step, of shape (n_samples,
        n_timesteps). Steps of weight 0 do not count.

    Raises
    ------
    ValueError
        If the name is not known, or arguments are given along with a name. When scoring,
        if no step has a target, or some outputs of a step have one and others do not.

    Examples
    --------
    >>> from sklearn.metrics import f1_score
    >>> from sknt.metrics import make_sequence_scorer
    >>> make_sequence_scorer(f1_score, average="macro")
    make_sequence_scorer(make_scorer(f1_score, response_method='predict', average=macro))
    """
    if isinstance(metric, str | BaseScorer):
        if kwargs:
            raise ValueError(
                f"metric={metric!r} is a scorer already and takes no {sorted(kwargs)}; "
                "give the metric's function to set them"
            )
        return SequenceScorer(get_scorer(metric), missing_target)
    return SequenceScorer(make_scorer(metric, **kwargs), missing_target)


class SequenceScorer(BaseScorer):
    """What :func:`make_sequence_scorer` returns."""

    def __init__(self, scorer: Any, missing_target: Any):
        super().__init__(
            scorer._score_func, scorer._sign, scorer._kwargs, scorer._response_method
        )
        self.scorer = scorer
        self.missing_target = missing_target

    def _score(
        self,
        method_caller: Any,
        estimator: Any,
        X: Any,
        y_true: Any,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Score the estimator on the steps that have a target."""
        layout = layout_of(_as_seen(estimator, X))
        samples, steps = layout.places()
        y = align_targets(fill_masked(y_true, self.missing_target), layout)
        counted = ~is_missing(y, self.missing_target)
        if y.ndim == 2:
            partly = counted.any(axis=1) & ~counted.all(axis=1)
            if partly.any():
                sample, step = layout.place(int(partly.argmax()))
                raise ValueError(
                    f"y has targets for part of the outputs at sample {sample}, step "
                    f"{step}; give all of a step's outputs or none, or score by the "
                    "estimator's own score, which leaves out single entries"
                )
            counted = np.asarray(counted.all(axis=1))
        if not counted.any():
            raise ValueError("y has no target at any present step; nothing to score")
        plain = {}
        if are_of_steps(sample_weight):
            weights, counted = weigh_targets(sample_weight, layout, counted)
            plain = {"sample_weight": weights[counted]}
        elif sample_weight is not None:
            weights = check_weights(sample_weight, layout.given)
            plain = {"sample_weight": weights[samples[counted]]}
        is_counted = np.zeros((len(layout.given), layout.n_timesteps), bool)
        is_counted[samples[counted], steps[counted]] = True
        targets = typed_labels(y[counted])
        return self.scorer(
            _StepsAsSamples(estimator, is_counted, y.shape[1:]), X, targets, **plain
        )

    def __repr__(self) -> str:
        return f"make_sequence_scorer({self.scorer!r})"


def _as_seen(estimator: Any, X: Any) -> Any:
    """Return X as the last step of a pipeline gets it, where steps may be elsewhere."""
    if not isinstance(estimator, Pipeline) or len(estimator.steps) == 1:
        return X
    return estimator[:-1].transform(X)


class _StepsAsSamples(BaseEstimator):
    """A fitted estimator whose predictions are reduced to the steps that count."""

    def __init__(
        self, estimator: Any, counted: NDArray[np.bool_], outputs: tuple[int, ...]
    ):
        self.estimator = estimator
        self.counted = counted
        self.outputs = outputs  # (n_outputs,), or () for one label per step

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "estimator" not in vars(self):
            raise AttributeError(name)
        attribute = getattr(self.estimator, name)
        if name == "classes_" and self.outputs:
            # As scikit-learn expects them for indicators: two classes for each output.
            return [np.array([0, 1])] * self.outputs[0]
        if name not in ("predict", "predict_proba", "decision_function"):
            return attribute

        @functools.wraps(attribute)  # scikit-learn looks at the method's name
        def on_counted_steps(X: Any) -> NDArray[Any]:
            steps = np.asarray(attribute(X))
            if steps.shape[:2] != self.counted.shape:
                raise ValueError(
                    f"{name} returned shape {steps.shape}, but y has a target for each of "
                    f"{self.counted.shape} (samples, steps); make_sequence_scorer needs "
                    "return_sequences=True"
                )
            return typed_labels(steps[self.counted])

        return on_counted_steps
