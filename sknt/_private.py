"""Private names of scikit-learn and torch that the package relies on, all of them.

Nothing else imports a private name of scikit-learn, skorch or torch; those of numba are in
``sknt.kernels._compile``. They may change with any release, so ``pyproject.toml`` sets
upper bounds, and ``tests/test_private_apis.py`` names any that has gone.
``CONTRIBUTING.md``
says what each is for.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.metrics._scorer import _BaseScorer as BaseScorer
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from torch import _foreach_add_ as foreach_add_
from torch import _foreach_addcdiv_ as foreach_addcdiv_
from torch import _foreach_addcmul_ as foreach_addcmul_
from torch import _foreach_div as foreach_div
from torch import _foreach_lerp_ as foreach_lerp_
from torch import _foreach_mul_ as foreach_mul_
from torch import _foreach_norm as foreach_norm
from torch import _foreach_sqrt_ as foreach_sqrt_
from torch import _fused_adam_ as fused_adam_
from torch import _fused_adamw_ as fused_adamw_
from torch._higher_order_ops import scan
from torch._utils import _unflatten_dense_tensors as unflatten_dense_tensors

__all__ = [
    "BaseScorer",
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_matplotlib_support",
    "check_sample_weight",
    "fit_context",
    "foreach_add_",
    "foreach_addcdiv_",
    "foreach_addcmul_",
    "foreach_div",
    "foreach_lerp_",
    "foreach_mul_",
    "foreach_norm",
    "foreach_sqrt_",
    "fused_adam_",
    "fused_adamw_",
    "safe_indexing",
    "scan",
    "unflatten_dense_tensors",
]
