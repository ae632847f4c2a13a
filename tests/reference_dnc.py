"""A slow, independent differentiable neural computer: one sequence, NumPy, float64, loops.

Written from the equations of Graves et al. (2016, Nature 538) and Csordás & Schmidhuber
(2019, arXiv:1904.10278), not from sknt's code, so that the two agree only where both are
right. Everything takes and returns plain arrays of one sequence: rows are lists, and with
``epsilon=0`` there is nothing but the papers' equations.
"""

import numpy as np

from sknt.ops.addressing import EPSILON


def retained(free_gates, read_weights):
    """ψ: what no read head frees."""
    psi = np.ones(len(read_weights[0]))
    for gate, weights in zip(free_gates, read_weights, strict=True):
        for row in range(len(psi)):
            psi[row] *= 1 - gate * weights[row]
    return psi


def usage(u, write_weights, psi):
    """A row is used if it was, or is written by any head, unless it is freed."""
    new = np.zeros(len(u))
    for row in range(len(u)):
        untouched = 1.0
        for weights in write_weights:
            untouched *= 1 - weights[row]
        written = 1 - untouched
        new[row] = (u[row] + written - u[row] * written) * psi[row]
    return new


def allocation(u):
    """Weight of each row: it is free, and all that come before it in the list are not."""
    free_list = sorted(range(len(u)), key=lambda row: (u[row], row))
    weights, left = np.zeros(len(u)), 1.0
    for row in free_list:
        weights[row] = (1 - u[row]) * left
        left *= u[row]
    return weights


def precedence(p, w):
    return np.array([(1 - sum(w)) * p[i] + w[i] for i in range(len(p))])


def links(L, w, p):
    new = np.zeros((len(w), len(w)))
    for i in range(len(w)):
        for j in range(len(w)):
            if i != j:
                new[i, j] = (1 - w[i] - w[j]) * L[i][j] + w[i] * p[j]
    return new


def forward(L, w):
    return np.array([sum(L[i][j] * w[j] for j in range(len(w))) for i in range(len(w))])


def backward(L, w):
    return np.array([sum(L[i][j] * w[i] for i in range(len(w))) for j in range(len(w))])


def content(key, strength, memory, mask=None, epsilon=0.0):
    if mask is None:
        mask = np.ones(len(key))
    scores = []
    for row in memory:
        dot = sum(k * m * r * m for k, r, m in zip(key, row, mask, strict=True))
        key_norm = np.sqrt(
            sum((k * m) ** 2 for k, m in zip(key, mask, strict=True)) + epsilon
        )
        row_norm = np.sqrt(
            sum((r * m) ** 2 for r, m in zip(row, mask, strict=True)) + epsilon
        )
        scores.append(strength * dot / (key_norm * row_norm))
    return np.exp(scores) / np.sum(np.exp(scores))


def sharpen(f, s, epsilon=0.0):
    powers = np.array([(x / (max(f) + epsilon)) ** s for x in f])
    return powers / (sum(powers) + epsilon)


def step(told, state, deallocate=False, epsilon=EPSILON):
    """One step of one sequence.

    ``told`` has an entry per head in each field of ``sknt.memories.DNCInterface``; keys of
    read heads come first. An empty mask or sharpness means that the repair is off. Returns
    the reads and the new state.
    """
    told = {field: np.asarray(values, dtype=float) for field, values in told.items()}
    n_read, n_write = len(told["free_gate"]), len(told["write_gate"])
    before = state["memory"]

    def look_up(head, memory):
        mask = told["mask"][head] if told["mask"].size else None
        key, strength = told["key"][head], told["strength"][head][0]
        return content(key, strength, memory, mask, epsilon)

    psi = retained(told["free_gate"][:, 0], state["read_weights"])
    u = usage(state["usage"], state["write_weights"], psi)
    in_use, write_weights = u, []
    for head in range(n_write):
        free = allocation(in_use)
        write_gate = told["write_gate"][head][0]
        allocation_gate = told["allocation_gate"][head][0]
        found = look_up(n_read + head, before)
        write_weights.append(
            write_gate * (allocation_gate * free + (1 - allocation_gate) * found)
        )
        in_use = in_use + write_gate * allocation_gate * free

    memory = np.array(before, dtype=float)
    for row in range(len(memory)):
        for column in range(len(memory[row])):
            if deallocate:
                memory[row, column] *= psi[row]
            for head in range(n_write):
                w = write_weights[head][row]
                memory[row, column] *= 1 - w * told["erase"][head][column]
                memory[row, column] += w * told["add"][head][column]

    new_links = [
        links(state["links"][v], write_weights[v], state["precedence"][v])
        for v in range(n_write)
    ]
    new_precedence = [
        precedence(state["precedence"][v], write_weights[v]) for v in range(n_write)
    ]

    read_weights = []
    for head in range(n_read):
        last = state["read_weights"][head]
        before_it = [backward(L, last) for L in new_links]
        after_it = [forward(L, last) for L in new_links]
        if told["sharpness"].size:
            of_backward, of_forward = told["sharpness"][head]
            before_it = [sharpen(b, of_backward, epsilon) for b in before_it]
            after_it = [sharpen(f, of_forward, epsilon) for f in after_it]
        choices = [*before_it, look_up(head, memory), *after_it]
        read_weights.append(
            sum(pi * c for pi, c in zip(told["modes"][head], choices, strict=True))
        )
    reads = [sum(w[n] * memory[n] for n in range(len(memory))) for w in read_weights]
    return np.array(reads), {
        "memory": memory,
        "links": np.array(new_links),
        "usage": u,
        "precedence": np.array(new_precedence),
        "read_weights": np.array(read_weights),
        "write_weights": np.array(write_weights),
    }
