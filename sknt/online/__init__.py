"""Sequences taken step by step: sessions, and the networks that they run.

A session is made by an estimator's ``start``. What belongs to training or to predictions
for whole sequences is elsewhere.
"""

from sknt.online.session import ClassifierSession, Session

__all__ = ["ClassifierSession", "Session"]
