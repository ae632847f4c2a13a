"""How the D-NTM's heads choose single rows, forward and backward.

Letters and layout are those of ``sknt.kernels.memories.dntm``.
"""

from sknt.kernels._compile import helper, stage
from sknt.kernels.functions import largest, log, softmax_backward
from sknt.kernels.pointers import at, copy, number
from sknt.ops.draws import EVEN, LIMIT

TINY = 1e-30
"""Smaller probabilities count as this in logarithms; it is no subnormal number."""

_MASK = 2**32 - 1


@helper
def _scramble(bits):
    """Permute the whole numbers below 2**32, as ``sknt.ops.draws`` does."""
    bits = ((bits ^ (bits >> 16)) * 0x21F0AAAD) & _MASK
    bits = ((bits ^ (bits >> 15)) * 0x735A2D97) & _MASK
    return bits ^ (bits >> 15)


@helper
def draw(n, probabilities, key, count, head):
    """Return the row on which the number of a key, a count and a head falls."""
    bits = _scramble(_scramble(_scramble(int(key)) ^ int(count)) ^ head)
    drawn = (2 * (bits >> 9) + 1) / LIMIT
    row, end = 0, probabilities[0] + 0.0  # in double precision
    while row < n - 1 and end <= drawn:
        row += 1
        end += probabilities[row]
    return row


@helper
def _most_probable(n, probabilities):
    """Return the first of the most probable rows, as ``sknt.ops.draws`` does."""
    row, least = 0, largest(n, probabilities) * number(probabilities, 1 - EVEN)
    while row < n and probabilities[row] < least:  # not of NaN
        row += 1
    return row


@helper
def _log(p):
    """Return the logarithm of a probability that may be 0, and NaN of NaN."""
    tiny = p * 0 + TINY
    return log(tiny if p < tiny else p)


@helper
def _entropy(n, probabilities):
    """Return the entropy of a weighting, in nats."""
    entropy = number(probabilities, 0.0)
    for i in range(n):
        entropy -= probabilities[i] * _log(probabilities[i])
    return entropy


@stage
def choose(d, state, history):
    """Choose a row for each head, unless the weightings are soft, and count the draw."""
    n, zero, one = d.rows, number(state.draw, 0.0), number(state.draw, 1.0)
    key, count = state.draw[0], state.draw[1]
    for head in range(d.heads):
        probabilities = at(history.probabilities, head * n)
        weights = at(history.weights, head * n)
        if key == -one:
            copy(n, probabilities, weights)
            continue
        if key > zero:
            row = draw(n, probabilities, key, count, head)
            state.log_probability[head] += _log(probabilities[row])
            state.entropy[head] += _entropy(n, probabilities)
        else:
            row = _most_probable(n, probabilities)
        for i in range(n):
            weights[i] = zero
        weights[row] = one
    if key > zero:
        count += one
        state.draw[1] = zero if count == number(state.draw, LIMIT) else count


@stage
def choose_backward(d, head, key, history, d_state, d_focus, d_logits):
    """Backpropagate from a head's weighting and the sums to its logits.

    Nothing goes through a choice. Of a drawn one, the gradient of log p is one at the row
    less p, and that of the entropy H is -p (log p + H).
    """
    n, zero, one = d.rows, number(d_focus, 0.0), number(d_focus, 1.0)
    probabilities = at(history.probabilities, head * n)
    if d.is_hard == 0 or key == -one:
        copy(n, d_focus, d_logits)
        softmax_backward(n, probabilities, d_logits, d_logits)
    elif key > zero:
        chosen, entropy = at(history.weights, head * n), _entropy(n, probabilities)
        d_log, d_entropy = d_state.log_probability[head], d_state.entropy[head]
        for i in range(n):
            p = probabilities[i]
            d_logits[i] = d_log * (chosen[i] - p) - d_entropy * p * (_log(p) + entropy)
    else:
        for i in range(n):
            d_logits[i] = zero
