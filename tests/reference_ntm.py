"""A slow, independent Neural Turing Machine: one sequence, NumPy, float64, loops.

Written from the equations of Graves, Wayne & Danihelka (2014, arXiv:1410.5401), not from
sknt's code, so that the two agree only where both are right. ``plain_weights`` alone knows
how sknt names and lays out its parameters; everything below it takes plain arrays.
"""

import numpy as np

from sknt.ops.addressing import EPSILON


def plain_weights(
    state_dict,
    controller,
    n_read_heads=0,
    n_write_heads=0,
    word_size=0,
    shift_range=1,
    interface_clip=20.0,
):
    """Sort a network's state_dict into plain float64 arrays, one entry per head."""
    arrays = {name: tensor.double().numpy() for name, tensor in state_dict.items()}
    part = "cell.controller."
    layers = []
    if controller == "feedforward":
        while f"{part}{2 * len(layers)}.weight" in arrays:  # a tanh between two
            name = f"{part}{2 * len(layers)}"
            layers.append((arrays[f"{name}.weight"], arrays[f"{name}.bias"]))
    else:
        while f"{part}weight_ih_l{len(layers)}" in arrays:
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            layers.append([arrays[f"{part}{name}_l{len(layers)}"] for name in names])
    weights = {
        "controller": controller,
        "layers": layers,
        "hidden": arrays.get(f"{part}initial_hidden"),
        "cell": arrays.get(f"{part}initial_cell"),
        "readout": (arrays["readout.weight"], arrays["readout.bias"]),
    }
    if not n_read_heads:
        return weights

    n_heads = n_read_heads + n_write_heads
    heads = [{} for _ in range(n_heads)]
    matrix = arrays["cell.memory.projection.weight"]
    bias = arrays["cell.memory.projection.bias"]
    row = 0
    for field, writes_only, width in (
        ("key", False, word_size),
        ("strength", False, 1),
        ("gate", False, 1),
        ("shift", False, 2 * shift_range + 1),
        ("gamma", False, 1),
        ("erase", True, word_size),
        ("add", True, word_size),
    ):
        for head in heads[n_read_heads:] if writes_only else heads:
            head[field] = matrix[row : row + width], bias[row : row + width]
            row += width
    assert row == len(matrix)
    weights |= {
        "heads": heads,
        "n_read_heads": n_read_heads,
        "interface_clip": interface_clip,
        "memory": arrays["cell.memory.initial_memory"],
        "logits": arrays["cell.memory.initial_logits"],
        "reads": arrays["cell.initial_reads"],
    }
    return weights


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log(1 + np.exp(x))


def softmax(x):
    return np.exp(x) / np.sum(np.exp(x))


def lstm(layers, x, hidden, cell):
    new_hidden, new_cell = [], []
    for layer, (w_ih, w_hh, b_ih, b_hh) in enumerate(layers):
        i, f, g, o = np.split(w_ih @ x + b_ih + w_hh @ hidden[layer] + b_hh, 4)
        c = sigmoid(f) * cell[layer] + sigmoid(i) * np.tanh(g)
        x = sigmoid(o) * np.tanh(c)
        new_hidden.append(x)
        new_cell.append(c)
    return x, np.array(new_hidden), np.array(new_cell)


def gru(layers, x, hidden):
    new_hidden = []
    for layer, (w_ih, w_hh, b_ih, b_hh) in enumerate(layers):
        input_r, input_z, input_n = np.split(w_ih @ x + b_ih, 3)
        hidden_r, hidden_z, hidden_n = np.split(w_hh @ hidden[layer] + b_hh, 3)
        r = sigmoid(input_r + hidden_r)
        z = sigmoid(input_z + hidden_z)
        n = np.tanh(input_n + r * hidden_n)
        x = (1 - z) * n + z * hidden[layer]
        new_hidden.append(x)
    return x, np.array(new_hidden)


def feedforward(layers, x):
    for matrix, bias in layers:
        x = np.tanh(matrix @ x + bias)
    return x


def cosine(key, row):
    """NTM eq. 6."""
    dot = sum(k * m for k, m in zip(key, row, strict=True))
    key_norm = np.sqrt(sum(k * k for k in key))
    row_norm = np.sqrt(sum(m * m for m in row))
    return dot / (key_norm * row_norm + EPSILON)


def content(key, strength, memory):
    """NTM eq. 5."""
    powers = [np.exp(strength * cosine(key, row)) for row in memory]
    return np.array([power / sum(powers) for power in powers])


def interpolate(content, previous, gate):
    """NTM eq. 7."""
    return np.array(
        [gate * c + (1 - gate) * p for c, p in zip(content, previous, strict=True)]
    )


def shift(weighting, distribution):
    """NTM eq. 8: the shifts are -reach ... +reach."""
    n_rows, reach = len(weighting), len(distribution) // 2
    shifted = np.zeros(n_rows)
    for row in range(n_rows):
        for j in range(-reach, reach + 1):
            shifted[row] += weighting[(row - j) % n_rows] * distribution[j + reach]
    return shifted


def sharpen(weighting, gamma):
    """NTM eq. 9, as exp(γ log(ŵ + ε)) before it is normalised."""
    powers = [np.exp(gamma * np.log(w + EPSILON)) for w in weighting]
    return np.array([power / sum(powers) for power in powers])


def read(weighting, memory):
    """NTM eq. 2."""
    return sum(w * row for w, row in zip(weighting, memory, strict=True))


def write(memory, weighting, erase, add):
    """NTM eq. 3-4."""
    memory = memory.copy()
    for row in range(memory.shape[0]):
        for column in range(memory.shape[1]):
            memory[row, column] *= 1 - weighting[row] * erase[column]
            memory[row, column] += weighting[row] * add[column]
    return memory


def interface(head, hidden, clip):
    """Compute one head's instructions from the controller's output."""
    raw = {name: matrix @ hidden + bias for name, (matrix, bias) in head.items()}
    if clip is not None:
        raw = {name: np.clip(value, -clip, clip) for name, value in raw.items()}
    told = {
        "key": np.tanh(raw["key"]),
        "strength": softplus(raw["strength"]),
        "gate": sigmoid(raw["gate"]),
        "shift": softmax(raw["shift"]),
        "gamma": 1 + softplus(raw["gamma"]),
    }
    if "erase" in raw:
        told |= {"erase": sigmoid(raw["erase"]), "add": np.tanh(raw["add"])}
    return told


def run(weights, sequence):
    """Run over one sequence of shape (n_timesteps, n_inputs).

    Returns a dict of arrays with a row for each step: outputs, hidden and, where there
    are any, cell, reads, memory, weightings, and the told fields of all heads.
    """
    layers = weights["layers"]
    hidden, cell = weights["hidden"], weights["cell"]
    has_memory = "heads" in weights
    if has_memory:
        memory, reads = weights["memory"], weights["reads"]
        weightings = [softmax(logits) for logits in weights["logits"]]
    history = {}

    def remember(**values):
        for name, value in values.items():
            history.setdefault(name, []).append(np.array(value))

    for x in np.asarray(sequence, dtype=float):
        if has_memory:
            x = np.concatenate([x, *reads])
        if weights["controller"] == "lstm":
            features, hidden, cell = lstm(layers, x, hidden, cell)
            remember(hidden=hidden, cell=cell)
        elif weights["controller"] == "gru":
            features, hidden = gru(layers, x, hidden)
            remember(hidden=hidden)
        else:
            features = feedforward(layers, x)

        if has_memory:
            told = [
                interface(head, features, weights["interface_clip"])
                for head in weights["heads"]
            ]
            before, new_weightings = memory, []
            for head, previous in zip(told, weightings, strict=True):
                w = content(head["key"], head["strength"][0], before)
                w = interpolate(w, previous, head["gate"][0])
                w = shift(w, head["shift"])
                new_weightings.append(sharpen(w, head["gamma"][0]))
            weightings = new_weightings
            n_read = weights["n_read_heads"]
            # Reads see the memory before this step's writes; heads write in order.
            reads = [read(w, before) for w in weightings[:n_read]]
            for head, w in zip(told[n_read:], weightings[n_read:], strict=True):
                memory = write(memory, w, head["erase"], head["add"])
            remember(reads=reads, memory=memory, weightings=weightings)
            for field in ("key", "strength", "gate", "shift", "gamma"):
                remember(**{field: [head[field] for head in told]})
            for field in ("erase", "add"):
                remember(**{field: [head[field] for head in told[n_read:]]})
            features = np.concatenate([features, *reads])

        matrix, bias = weights["readout"]
        remember(outputs=matrix @ features + bias)
    return {name: np.array(values) for name, values in history.items()}
