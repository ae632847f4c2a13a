"""Writing a file as a whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress

MODE = 0o666
"""Permissions of a new file, less what the process masks out."""


def write_atomically(path: str, parts: Iterable[bytes | bytearray]) -> None:
    """Write a file that is there completely, under its name, or not at all.

    An earlier file of that name stays whole until the new one takes its place, whatever
    happens in the meantime: an error, a full disk, an interrupt, a killed process. Where
    the system has files without a name (Linux), even a killed process leaves no rest.

    Parameters
    ----------
    path : str
        Where a symbolic link leads to is written.
    parts : iterable of bytes
        The content.

    Raises
    ------
    OSError
        If its directory does not exist, or it cannot be written there.
    """
    given, path = path, os.path.realpath(path)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "a directory, not the name of a file", given)
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        reason = f"there is no directory {folder!r}; create it first"
        raise FileNotFoundError(errno.ENOENT, reason, given)
    temporary = os.path.join(folder, f".{name[:200]}.{secrets.token_hex(6)}.tmp")
    descriptor, is_named = _open(folder, temporary)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
            if not is_named:
                _give_name(file.fileno(), folder, temporary)
                is_named = True
        os.replace(temporary, path)
        is_named = False
    finally:
        if is_named:
            with suppress(OSError):
                os.unlink(temporary)
    _sync(folder)


def _open(folder: str, temporary: str) -> tuple[int, bool]:
    """Open a file for writing; return its descriptor, and whether it has a name."""
    if hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd"):
        with suppress(OSError):  # this file system has no files without a name
            return os.open(folder, os.O_TMPFILE | os.O_WRONLY, MODE), False
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    return os.open(temporary, flags, MODE), True


def _give_name(descriptor: int, folder: str, temporary: str) -> None:
    at = os.open(folder, os.O_RDONLY)
    try:  # with a descriptor of the folder, the link below /proc is followed
        os.link(f"/proc/self/fd/{descriptor}", os.path.basename(temporary), dst_dir_fd=at)
    finally:
        os.close(at)


def _sync(folder: str) -> None:
    """Make the new name survive a loss of power, where folders can be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
