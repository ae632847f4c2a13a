"""The file: tensors and the structure that refers to them, in the safetensors format.

The metadata of its header has five texts: ``format`` ("sknt"), ``format_version``,
``sknt_version``, ``model`` (the structure, as JSON) and ``sha256``, the checksum of all
bytes of the file, taken with zeros in the place of the checksum itself.
"""

import hashlib
import json
import os
import re
import struct
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

FORMAT, FORMAT_VERSION = "sknt", 1

MAX_HEADER = 100_000_000
"""Bytes of the header that safetensors reads at most."""

NO_CHECKSUM = "0" * 64

KEYS = {"format", "format_version", "sknt_version", "model", "sha256"}

DTYPES = {
    "BOOL": "|b1",
    **{f"{kind}8": f"|{kind.lower()}1" for kind in "IU"},
    **{f"{kind}{8 * n}": f"<{kind.lower()}{n}" for kind in "IU" for n in (2, 4, 8)},
    **{f"F{8 * n}": f"<f{n}" for n in (2, 4, 8)},
}
"""safetensors' names of the types of numbers that are written, and NumPy's."""


def to_bytes(model: Any, tensors: dict[str, NDArray[Any]], sknt_version: str) -> bytearray:
    """Return the content of a file.

    Parameters
    ----------
    model : JSON value
    tensors : dict of ndarray
        Contiguous in C's order, of the types in DTYPES.
    sknt_version : str

    Raises
    ------
    ValueError
        If the structure is too large.
    """
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "sknt_version": sknt_version,
        "model": json.dumps(model, allow_nan=False, separators=(",", ":")),
        "sha256": NO_CHECKSUM,
    }
    written = safetensors.numpy.save(tensors, metadata=metadata)
    (n,) = struct.unpack("<Q", written[:8])
    # The library writes the metadata in another order each time.
    header = json.loads(written[8 : 8 + n]) | {"__metadata__": metadata}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise ValueError(
            f"what is not a tensor takes {len(text) / 1e6:.0f} MB, and "
            f"{MAX_HEADER / 1e6:.0f} MB are possible; keep this model with pickle"
        )
    content = bytearray(struct.pack("<Q", len(text)) + text + written[8 + n :])
    place = _place_of_checksum(content[: 8 + len(text)], NO_CHECKSUM)
    content[place] = hashlib.sha256(content).hexdigest().encode()
    return content


def read(path: str) -> tuple[Any, dict[str, NDArray[Any]], str]:
    """Read a file, once it is certain that it is as it was written.

    Returns
    -------
    model : JSON value
    tensors : dict of ndarray
    sknt_version : str

    Raises
    ------
    ValueError
        If the file is not one of :func:`to_bytes`, or not whole.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        n = struct.unpack("<Q", start)[0] if len(start) == 8 else MAX_HEADER + 1
        if n > min(MAX_HEADER, size - 8):
            raise ValueError(
                "it is not a file that sknt.save has written, or it has been cut off. A "
                "pickle is opened by pickle.load or joblib.load, if you trust its source"
            )
        header = file.read(n)
        metadata = _check_metadata(header)
        content = b"".join([start, header, file.read(size - 8 - n)])
    _check_whole(content, 8 + n, metadata["sha256"])
    return _parse(metadata["model"]), _tensors(content), metadata["sknt_version"]


def _check_metadata(header: bytes) -> dict[str, str]:
    try:
        metadata = _parse(header.decode())["__metadata__"]
        form = metadata["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        form = None
    if form != FORMAT:
        raise ValueError(
            "it is not a file that sknt.save has written. If it holds weights in the "
            "safetensors format of another library, read them with "
            "safetensors.torch.load_file, and give them to net_.module_.load_state_dict"
        )
    version = str(metadata.get("format_version"))
    if re.fullmatch(r"[0-9]{1,9}", version) and int(version) > FORMAT_VERSION:
        raise ValueError(
            f"sknt {metadata.get('sknt_version')} has written it in format {version}, and "
            f"this release reads formats up to {FORMAT_VERSION}; upgrade sknt"
        )
    as_written = set(metadata) == KEYS and all(type(v) is str for v in metadata.values())
    if not as_written or version != str(FORMAT_VERSION):
        raise ValueError(_DAMAGED)
    return metadata


_DAMAGED = (
    "it is damaged: its content is not what sknt.save wrote. Take a copy of the file from "
    "where it was written, or save the model again"
)


def _check_whole(content: bytes, n_header: int, checksum: str) -> None:
    """Compare the checksum."""
    try:
        place = _place_of_checksum(content[:n_header], checksum)
    except ValueError:
        raise ValueError(_DAMAGED) from None
    whole = memoryview(content)
    found = hashlib.sha256(whole[: place.start])
    found.update(NO_CHECKSUM.encode())
    found.update(whole[place.stop :])
    if found.hexdigest() != checksum:
        raise ValueError(_DAMAGED)


def _place_of_checksum(header: bytes | bytearray, checksum: str) -> slice:
    """Return where the checksum is; quotes inside of texts have a backslash before them."""
    pattern = b'"sha256":"' + re.escape(checksum.encode()) + b'"'
    found = [match.end() for match in re.finditer(pattern, header)]
    if len(found) != 1 or len(checksum) != 64:
        raise ValueError("no single place of the checksum")
    return slice(found[0] - 65, found[0] - 1)


def _tensors(content: bytes) -> dict[str, NDArray[Any]]:
    tensors = {}
    for name, found in safetensors.deserialize(content):
        if found["dtype"] not in DTYPES:
            raise ValueError(f"its tensor {name!r} is of the unknown type {found['dtype']}")
        flat = np.frombuffer(found["data"], DTYPES[found["dtype"]])
        if flat.dtype == bool and (flat.view(np.uint8) > 1).any():
            raise ValueError(f"its tensor {name!r} holds booleans other than 0 and 1")
        tensors[name] = flat.reshape(found["shape"]).copy()
    return tensors


def _parse(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("it has an entry twice")
    return result


def _refuse(constant: str) -> Any:
    raise ValueError(f"it has the number {constant}, which JSON does not have")
