"""Validation data of the user's own, in either of the ways in which they are given."""

from typing import Any


def pair_of_validation(
    validation_data: Any, X_val: Any, y_val: Any, sample_weight_val: Any
) -> tuple[Any, Any, Any] | None:
    """Return validation data as X, y and weights, or None if there are none.

    Parameters
    ----------
    validation_data : tuple (X, y) or (X, y, sample_weight), or None
    X_val, y_val, sample_weight_val : object
        The same, one by one.

    Raises
    ------
    ValueError
        If they are given in both ways, or in part.
    """
    singly = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
    given = [name for name, value in singly.items() if value is not None]
    if validation_data is None:
        if given and not {"X_val", "y_val"} <= {*given}:
            raise ValueError(
                f"{' and '.join(given)} given, but validation needs X_val and y_val; give "
                "both, or validation_data=(X, y)"
            )
        return (X_val, y_val, sample_weight_val) if given else None
    if given:
        raise ValueError(
            f"validation_data and {', '.join(given)} are both given; leave one of them out"
        )
    is_pair = isinstance(validation_data, tuple | list) and len(validation_data) in (2, 3)
    if not is_pair:
        found = type(validation_data).__name__
        if isinstance(validation_data, tuple | list):
            found += f" of {len(validation_data)}"
        raise ValueError(
            f"validation_data is a {found}; give a tuple (X, y) or (X, y, sample_weight), "
            "or a data set of pairs as net_params={'train_split': "
            "skorch.helper.predefined_split(dataset)}"
        )
    X, y, *weights = validation_data
    return X, y, weights[0] if weights else None
