"""Saving models to files that are safe to load: ``save`` and ``load``.

A file holds tensors, in the safetensors format, and JSON (``sknt.storage``). A model is
taken apart by ``_encoding`` and put together again by ``_decoding``; ``_classes`` lists the
classes that may occur, and ``_checks`` compares sizes before anything relies on them.
"""

from sknt.persistence._load import load
from sknt.persistence._save import save
from sknt.storage.container import FORMAT_VERSION

__all__ = ["FORMAT_VERSION", "load", "save"]
