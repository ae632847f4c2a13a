"""The compiled functions that are called from Python."""

from sknt.kernels import sequences


def load(dtype):
    return sequences
