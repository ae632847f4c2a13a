"""The kernels of the memories, one module each; see :mod:`sknt.kernels.contract`."""
