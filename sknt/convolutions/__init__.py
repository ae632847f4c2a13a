"""Random convolutions of sequences, and ridge regression on them.

``features`` makes the features, ``ridge`` fits and applies the regression, and ``model`` is
both together.
"""
