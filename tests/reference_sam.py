"""A slow, independent sparse access memory: one sequence, NumPy, float64, loops.

Written from the equations of Rae et al. (2016, arXiv:1610.09027), not from sknt's code, so
that the two agree only where both are right. It keeps every weighting over all rows, and
for each row a list of the steps at which it was accessed. ``plain_heads`` alone knows how
sknt lays out the projection.
"""

import numpy as np
from reference_ntm import cosine, sigmoid, softplus

DELTA = 0.005


def plain_heads(matrix, bias, n_read_heads, n_write_heads, word_size):
    """Sort a projection's weight and bias by field and head."""
    fields, row = {}, 0
    for field, n_heads, width in (
        ("key", n_read_heads, word_size),
        ("strength", n_read_heads, 1),
        ("write_gate", n_write_heads, 1),
        ("interpolation_gate", n_write_heads, 1),
        ("add", n_write_heads, word_size),
    ):
        fields[field] = []
        for _ in range(n_heads):
            fields[field].append((matrix[row : row + width], bias[row : row + width]))
            row += width
    assert row == len(matrix)
    return fields


def told(fields, hidden, clip):
    """Compute the heads' instructions from the controller's output."""
    activations = {
        "key": np.tanh,
        "strength": softplus,
        "write_gate": sigmoid,
        "interpolation_gate": sigmoid,
        "add": np.tanh,
    }
    instructions = {}
    for field, heads in fields.items():
        raw = [matrix @ hidden + bias for matrix, bias in heads]
        if clip is not None:
            raw = [np.clip(r, -clip, clip) for r in raw]
        instructions[field] = [activations[field](r) for r in raw]
    return instructions


def nearest(key, memory, n_nearest):
    """Take the most similar row, then the most similar of the others, and so on."""
    similarity = [cosine(key, row) for row in memory]
    left, chosen = list(range(len(memory))), []
    for _ in range(n_nearest):
        best = left[0]
        for row in left:
            if similarity[row] > similarity[best]:
                best = row
        left.remove(best)
        chosen.append(best)
    return chosen, similarity


class Reference:
    """The memory of one sequence, from its first step on."""

    def __init__(self, memory_size, word_size, n_read_heads, n_nearest):
        self.memory = np.zeros((memory_size, word_size))
        self.accesses = [[0] for _ in range(memory_size)]
        self.reading = [np.zeros(memory_size) for _ in range(n_read_heads)]
        self.n_nearest = n_nearest
        self.n_steps = 0

    def least_recent(self, n_write_heads):
        """Take as many rows as there are write heads, longest unused first."""
        rows = sorted(
            range(len(self.memory)), key=lambda row: (self.accesses[row][-1], row)
        )
        return rows[:n_write_heads]

    def step(self, instructions):
        """Write, then read; returns the reads and the weightings over all rows."""
        n_rows, self.n_steps = len(self.memory), self.n_steps + 1
        memory = self.memory.copy()
        n_write_heads = len(instructions["add"])
        unused = self.least_recent(n_write_heads)
        memory[unused] = 0
        writing = []
        for head in range(n_write_heads):
            alpha = instructions["write_gate"][head][0]
            gamma = instructions["interpolation_gate"][head][0]
            previous = self.reading[head % len(self.reading)]
            weighting = np.zeros(n_rows)
            for row in range(n_rows):
                is_unused = float(row == unused[head])
                weighting[row] = alpha * (gamma * previous[row] + (1 - gamma) * is_unused)
                memory[row] += weighting[row] * instructions["add"][head]
            writing.append(weighting)

        reads, reading = [], []
        for key, (strength,) in zip(
            instructions["key"], instructions["strength"], strict=True
        ):
            chosen, similarity = nearest(key, memory, self.n_nearest)
            powers = {row: np.exp(strength * similarity[row]) for row in chosen}
            weighting = np.zeros(n_rows)
            for row, power in powers.items():
                weighting[row] = power / sum(powers.values())
            reading.append(weighting)
            reads.append(sum(weighting[row] * memory[row] for row in range(n_rows)))

        for row in range(n_rows):
            if sum(w[row] for w in writing) + sum(w[row] for w in reading) > DELTA:
                self.accesses[row].append(self.n_steps)
        self.memory, self.reading = memory, reading
        return {
            "reads": np.array(reads),
            "memory": memory,
            "unused": unused,
            "writing": np.array(writing),
            "reading": np.array(reading),
            "last_access": np.array([steps[-1] for steps in self.accesses]),
        }
