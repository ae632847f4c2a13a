"""Tasks: the algorithms that memory networks are asked to learn, and real look-ups.

The generators return sequences padded with NaN and their targets, NaN where there is none,
as the estimators take them. The sizes of a task are parameters. The defaults are those to
train a network on; larger ones show whether it has learned the algorithm.
``load_source_variables`` reads real sequences from Python's standard library.
"""

from sknt.datasets._copying import make_copy, make_repeat_copy
from sknt.datasets._ngrams import make_dynamic_ngrams
from sknt.datasets._recall import make_associative_recall
from sknt.datasets._sorting import make_priority_sort
from sknt.datasets._variables import load_source_variables

__all__ = [
    "load_source_variables",
    "make_associative_recall",
    "make_copy",
    "make_dynamic_ngrams",
    "make_priority_sort",
    "make_repeat_copy",
]
