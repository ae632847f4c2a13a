"""The file of a fit in progress, under a name that tells it from all other fits."""

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sknt._version import __version__
from sknt.storage.container import read, to_bytes
from sknt.storage.decoding import ValueDecoder
from sknt.storage.encoding import ValueEncoder
from sknt.storage.writing import write_atomically

ABANDONED = 600.0
"""Seconds after which a temporary file is that of a process that has been killed."""


class CheckpointFile:
    """A file that holds the state of one fit.

    Parameters
    ----------
    folder : str or path-like
        It is made if it does not exist.
    key : str
        Hexadecimal digits that stand for the fit; they are the file's name, and in it.

    Attributes
    ----------
    path : str

    Raises
    ------
    ValueError
        If no file can be written there.
    """

    def __init__(self, folder: str | os.PathLike[str], key: str):
        try:
            os.makedirs(folder, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise ValueError(
                f"checkpoint={os.fspath(folder)!r} is not a directory that can be written "
                f"to ({error}); give another one, or checkpoint=None"
            ) from error
        self.key = key
        # Absolute, because the working directory may change while a fit runs.
        self.path = os.path.join(os.path.abspath(folder), f"fit-{key}.sknt")

    def read(self) -> dict[str, Any] | None:
        """Return the state, or None if there is no file.

        Raises
        ------
        ValueError, OSError
            If the file is not a whole checkpoint of this fit. Errors of other types mean
            the same.
        """
        try:
            structure, tensors, _ = read(self.path)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ValueError("it is damaged, or not a checkpoint") from error
        if set(structure) != {"checkpoint", "state"} or structure["checkpoint"] != self.key:
            raise ValueError("it is not a checkpoint of this fit")
        return ValueDecoder(tensors).decode(structure["state"])

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state.

        Raises
        ------
        TypeError
            If the state holds what only running code could bring back.
        OSError
            If it cannot be written; the earlier state is then still there.
        """
        encoder = _StateEncoder()
        encoded = {"checkpoint": self.key, "state": encoder.encode(state, "state")}
        write_atomically(self.path, [to_bytes(encoded, encoder.tensors, __version__)])

    def remove(self) -> None:
        """Remove the file, and what processes that were killed while writing it left."""
        with suppress(OSError):
            os.unlink(self.path)
        path = Path(self.path)
        for left in path.parent.glob(f".{path.name}.*.tmp"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > ABANDONED:
                    left.unlink()


class _StateEncoder(ValueEncoder):
    def _way_out(self, value: Any) -> str:
        return (
            "a checkpoint holds numbers, text, arrays, tensors and containers of them. "
            "Give the callback methods state_dict and load_state_dict, which return and "
            "take such values, or fit with checkpoint=None"
        )


def can_be_kept(value: Any) -> bool:
    """Return whether a checkpoint can hold a value."""
    try:
        _StateEncoder().encode(value, "")
    except TypeError:
        return False
    return True
