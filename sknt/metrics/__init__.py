"""Scores on the steps and entries that have a target, and scorers for searches."""

from sknt.metrics._bits import (
    bit_error_rate,
    bits_per_sequence,
    decode_vectors,
    neg_bits_scorer,
    optimal_ngram_proba,
    repeat_copy_errors,
    sequence_error_rate,
)
from sknt.metrics._masked import entry_weights, masked_accuracy, masked_r2
from sknt.metrics._scorers import SequenceScorer, make_sequence_scorer

__all__ = [
    "SequenceScorer",
    "bit_error_rate",
    "bits_per_sequence",
    "decode_vectors",
    "entry_weights",
    "make_sequence_scorer",
    "masked_accuracy",
    "masked_r2",
    "neg_bits_scorer",
    "optimal_ngram_proba",
    "repeat_copy_errors",
    "sequence_error_rate",
]
