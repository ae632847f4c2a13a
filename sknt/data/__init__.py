"""Sequences, targets and streams as data: NumPy alone, no network.

What users pass: ``reading`` (containers, with ``arrays``, ``frames`` and ``cells``) and
``padding``. What becomes of it: ``sequences`` (masks and packing), ``targets`` (the layouts
of y), ``weights``, ``inputs`` (the checks of X that estimators and transformers share),
``streams`` (endless training data) and ``choices`` (words as parameters). ``doubts`` has
the warnings about data that look wrong.
"""

from sknt.data.doubts import DataWarning

__all__ = ["DataWarning"]
