"""Sequences, targets and streams as data: NumPy alone, no network.

``sequences`` has padding, masks and packing; ``targets`` the layouts of y; ``inputs`` the
checks of X that estimators and transformers share; ``streams`` endless training data.
"""
