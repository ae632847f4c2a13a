"""The classes that files may name, and how their objects are taken apart and rebuilt.

Nothing else is ever looked up for a file: a name that is not listed here is refused. To
list a class is to say that its constructor only stores its arguments, and that none of its
methods imports, evaluates or calls what an attribute names.
"""

from importlib import import_module
from typing import Any

from sklearn.base import BaseEstimator

ESTIMATORS: dict[str, tuple[str, ...]] = {
    "sknt": ("NTMSequenceClassifier", "NTMSequenceRegressor"),
    "sklearn.compose": ("ColumnTransformer", "TransformedTargetRegressor"),
    "sklearn.decomposition": (
        *("FactorAnalysis", "FastICA", "IncrementalPCA", "NMF", "PCA", "TruncatedSVD"),
    ),
    "sklearn.feature_selection": ("VarianceThreshold",),
    "sklearn.impute": ("KNNImputer", "MissingIndicator", "SimpleImputer"),
    "sklearn.kernel_approximation": ("Nystroem", "RBFSampler"),
    "sklearn.pipeline": ("FeatureUnion", "Pipeline"),
    "sklearn.preprocessing": (
        *("Binarizer", "FunctionTransformer", "KBinsDiscretizer", "LabelBinarizer"),
        *("LabelEncoder", "MaxAbsScaler", "MinMaxScaler", "Normalizer"),
        *("OneHotEncoder", "OrdinalEncoder", "PolynomialFeatures", "PowerTransformer"),
        *("QuantileTransformer", "RobustScaler", "StandardScaler", "TargetEncoder"),
    ),
    "sklearn.random_projection": ("GaussianRandomProjection",),
}
"""Rebuilt by their constructors, from their parameters; other attributes are then set.

To these come all public transformers of ``sknt.preprocessing``.
"""

TRANSFORMERS = "sknt.preprocessing"

VALUES: dict[str, tuple[str, ...]] = {
    "sknt.callbacks": ("LengthCurriculum",),
    "sknt.convolutions.features": ("Bank",),
    "sknt.convolutions.ridge": ("Ridge",),
    "sknt.training.scaling": ("Scaling",),
    "sklearn.compose": ("make_column_selector",),
    "skorch.callbacks": ("EarlyStopping", "EpochScoring", "LRScheduler"),
    "skorch.dataset": ("ValidSplit",),
    "torch.nn": ("Sigmoid",),
}
"""Rebuilt by their constructors, from the arguments that are not the defaults."""

STATES: dict[str, tuple[str, ...]] = {
    "sknt.convolutions.features": ("RandomConvolutions",),
    "sknt.convolutions.model": ("ConvolutionalRidge",),
}
"""Made without their constructors, which would fit them, and given their attributes."""

CLASSES: dict[str, tuple[str, ...]] = {
    "builtins": ("bool", "float", "int", "object", "str"),
    "numpy": (
        *("bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64"),
        *("object_", "str_", "uint8", "uint16", "uint32", "uint64"),
    ),
    "sknt.training.adam": ("Adam", "AdamW"),
    "sknt.training.optimizers": ("Muon",),
    "torch.nn": (
        *("BCEWithLogitsLoss", "CrossEntropyLoss", "HuberLoss", "L1Loss", "MSELoss"),
        *("NLLLoss", "PoissonNLLLoss", "SmoothL1Loss", "SoftMarginLoss"),
    ),
    "torch.optim": (
        *("ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam"),
        *("RMSprop", "Rprop", "SGD"),
    ),
    "torch.utils.data": ("DataLoader",),
}
"""Not rebuilt: values that are classes themselves."""

SCHEDULES = (
    *("ConstantLR", "CosineAnnealingLR", "CyclicLR", "ExponentialLR", "LinearLR"),
    *("MultiStepLR", "OneCycleLR", "ReduceLROnPlateau", "StepLR", "WarmRestartLR"),
)
"""Policies of skorch's LRScheduler, which looks them up by name."""


def name_of(cls: type, listed: dict[str, tuple[str, ...]]) -> str | None:
    """Return the name that stands for a class in files, or None if it is not listed."""
    for module, names in listed.items():
        if cls.__name__ in names and getattr(import_module(module), cls.__name__) is cls:
            return f"{module}.{cls.__name__}"
    if listed is ESTIMATORS and _own_transformer(cls.__name__) is cls:
        return f"{TRANSFORMERS}.{cls.__name__}"
    return None


def class_of(name: Any, listed: dict[str, tuple[str, ...]]) -> type:
    """Return the class that a name in a file stands for.

    Raises
    ------
    ValueError
        If it is not listed.
    """
    module, _, own = str(name).rpartition(".")
    if own in listed.get(module, ()):
        return getattr(import_module(module), own)
    found = _own_transformer(own) if module == TRANSFORMERS else None
    if listed is ESTIMATORS and found is not None:
        return found
    raise ValueError(f"it names {name!r}, which is not among the classes that are loaded")


def _own_transformer(name: str) -> type | None:
    found = vars(import_module(TRANSFORMERS)).get(name)
    is_estimator = isinstance(found, type) and issubclass(found, BaseEstimator)
    return found if is_estimator and found.__module__.startswith("sknt.") else None


def is_listed(name: str, listed: dict[str, tuple[str, ...]]) -> bool:
    """Return whether a name in a file stands for one of some classes."""
    try:
        class_of(name, listed)
    except ValueError:
        return False
    return True
