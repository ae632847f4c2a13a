"""Sequences, targets and streams as data: NumPy alone, no network.

``sequences`` has padding, masks and packing, ``targets`` the layouts of y, ``inputs`` what
estimators and transformers share in taking X, ``streams`` endless training data.
"""
