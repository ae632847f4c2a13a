"""Taking a model apart: objects of listed classes, beside plain values.

The nodes of values are listed in :mod:`sknt.storage.encoding`.
"""

from typing import Any

from sklearn.base import BaseEstimator

from sknt._base import SequenceEstimator
from sknt.persistence._classes import (
    CLASSES,
    ESTIMATORS,
    STATES,
    VALUES,
    name_of,
)
from sknt.persistence._networks import is_own_memory
from sknt.persistence._parts import (
    NET_DEFAULTS,
    arguments_of,
    history_is_that_of_net,
    is_default,
)
from sknt.storage.encoding import ValueEncoder, describe
from sknt.training.net import SequenceNet

WAY_OUT = (
    "load could rebuild it only by running code. Leave it out, or keep the model with "
    "pickle, joblib, cloudpickle or skops"
)


class Encoder(ValueEncoder):
    """Turns a model into JSON and tensors."""

    def _encode_object(self, value: Any, path: str) -> dict[str, Any] | None:
        """Return the node of an object that is known by its identity, or None."""
        kind = type(value)
        if kind is SequenceNet:
            return {"net": self._encode_net(value, path)}
        if name := name_of(kind, ESTIMATORS):
            return {"object": name} | self._encode_estimator(value, path)
        if name := name_of(kind, VALUES):
            return {"object": name, "params": self._attributes(arguments_of(value), path)}
        if name := name_of(kind, STATES):
            return {"object": name, "fitted": self._attributes(vars(value), path)}
        return super()._encode_object(value, path)

    def _encode_class(self, cls: type) -> dict[str, Any] | None:
        name = name_of(cls, CLASSES)
        return None if name is None else {"class": name}

    def _way_out(self, value: Any) -> str:
        is_search = hasattr(value, "best_estimator_")
        return "save its best_estimator_" if is_search else WAY_OUT

    def _attributes(self, attributes: dict[str, Any], path: str) -> dict[str, Any]:
        return {k: self.encode(v, f"{path}.{k}") for k, v in attributes.items()}

    def _encode_estimator(self, estimator: BaseEstimator, path: str) -> dict[str, Any]:
        """Return parameters, other attributes and, if any, requests of metadata."""
        params = estimator.get_params(deep=False)
        if params.get("memory") is not None and type(estimator).__name__ == "Pipeline":
            raise TypeError(
                f"{path}.memory is a cache, whose pickles a later fit would open; set "
                "memory=None before saving"
            )
        if "memory_size" in params and not is_own_memory(params["memory"]):
            raise TypeError(
                f"{path}.memory is {params['memory']!r}, a memory of your own, which "
                f"cannot be saved: {WAY_OUT}"
            )
        rest = {k: v for k, v in vars(estimator).items() if k not in params}
        if isinstance(estimator, SequenceEstimator):
            # A file must not decide where a later fit writes.
            params = {k: v for k, v in params.items() if k != "checkpoint"}
        requests = rest.pop("_metadata_request", None)
        if isinstance(estimator, SequenceEstimator) and history_is_that_of_net(rest):
            del rest["history_"]
        if "_skl_callbacks" in rest:
            raise TypeError(
                f"{path} has callbacks of scikit-learn, which cannot be saved; remove them "
                "with set_callbacks() first"
            )
        node: dict[str, Any] = {
            "params": self._attributes(params, path),
            "fitted": self._attributes(rest, path),
        }
        if requests is not None:
            by_method = {
                method: part.requests
                for method, part in vars(requests).items()
                if method != "owner" and part.requests
            }
            node["requests"] = self.encode(by_method, f"{path}._metadata_request")
        return node

    def _encode_net(self, net: SequenceNet, path: str) -> dict[str, Any]:
        """Return the net's own state, less what its constructor sets anyway."""
        state = net.__getstate__()
        params = state["params"]
        if params["module"] is not NET_DEFAULTS["module"]:
            raise TypeError(
                f"{path}.module is {describe(params['module'])}, a network of your own, "
                f"which cannot be saved: {WAY_OUT}"
            )
        del params["_params_to_validate"]
        params = {k: v for k, v in params.items() if not is_default(k, v, NET_DEFAULTS)}
        return {
            "params": self._attributes(params, path),
            "history": self.encode(state["history"], f"{path}.history"),
            "weights": self.encode(state["weights"], f"{path}.weights"),
        }
