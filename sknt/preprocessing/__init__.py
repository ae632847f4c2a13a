"""What comes before a model: transformers for sequences, and layouts of other libraries.

``StepwiseTransformer``, ``NestedToSequence`` and ``ToSequence`` are steps of a pipeline.
The functions turn what people have (long and nested frames, channels first, one long
series) into sequences, and back. What makes arrays of sequences, and checks them, is in
``sknt.data``.
"""

from sknt.preprocessing._layouts_channels import from_channels_first, to_channels_first
from sknt.preprocessing._layouts_data import Columns, SequenceData
from sknt.preprocessing._layouts_long import from_long_frame
from sknt.preprocessing._layouts_nested import from_nested
from sknt.preprocessing._layouts_to_long import to_long_frame
from sknt.preprocessing._layouts_windows import Windows, to_windows
from sknt.preprocessing._nested_to_sequence import NestedToSequence
from sknt.preprocessing._stepwise import StepwiseTransformer
from sknt.preprocessing._to_sequence import ToSequence

__all__ = [
    "Columns",
    "NestedToSequence",
    "SequenceData",
    "StepwiseTransformer",
    "ToSequence",
    "Windows",
    "from_channels_first",
    "from_long_frame",
    "from_nested",
    "to_channels_first",
    "to_long_frame",
    "to_windows",
]
