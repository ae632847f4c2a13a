"""Files of values: what saved models and checkpoints of fits have in common.

``container`` is the file, ``writing`` writes one as a whole or not at all. ``encoding``
turns values into JSON and tensors, ``decoding`` does the reverse, and ``numbers`` has
arrays of any type. Nothing here knows an estimator or a network.
"""
