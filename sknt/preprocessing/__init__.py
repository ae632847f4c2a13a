"""What comes before a model: transformers for sequences, and layouts of other libraries.

``StepwiseTransformer`` and ``ToSequence`` are steps of a pipeline. The functions turn what
people have (long and nested frames, channels first, one long series) into sequences, and
back. What makes arrays of sequences, and checks them, is in ``sknt.data``.
"""

from sknt.preprocessing._stepwise import StepwiseTransformer
from sknt.preprocessing._to_sequence import ToSequence

__all__ = ["StepwiseTransformer", "ToSequence"]
