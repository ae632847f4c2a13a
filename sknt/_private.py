"""Private names of scikit-learn that the package relies on, all of them.

Nothing else imports a private name of scikit-learn, skorch or torch; those of numba are in
``sknt.kernels._compile``. They may change with any release, so ``pyproject.toml`` sets
upper bounds, and ``tests/test_private_apis.py`` names any that has gone.
``CONTRIBUTING.md``
says what each is for.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.metrics._scorer import _BaseScorer as BaseScorer
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "BaseScorer",
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_matplotlib_support",
    "check_sample_weight",
    "fit_context",
]
