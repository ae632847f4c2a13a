"""A slow, independent D-NTM: one sequence, NumPy, float64, loops.

Written from the equations of Gulcehre et al. (2016, arXiv:1607.00036), not from sknt's
code, so that the two agree only where both are right. ``plain_weights`` alone knows how
sknt names and lays out its parameters. What does not differ from the NTM is taken from
:mod:`reference_ntm`.
"""

import numpy as np
from reference_ntm import (
    cosine,
    feedforward,
    gru,
    interpolate,
    lstm,
    read,
    sharpen,
    shift,
    sigmoid,
    softmax,
    softplus,
    write,
)
from reference_ntm import plain_weights as controller_and_readout

MASK = 0xFFFFFFFF


def plain_weights(state_dict, controller, memory):
    """Sort a network's state_dict into plain float64 arrays, one entry per head."""
    weights = controller_and_readout(state_dict, controller)
    arrays = {name: tensor.double().numpy() for name, tensor in state_dict.items()}
    part = "cell.memory."
    matrix, bias = arrays[part + "projection.weight"], arrays[part + "projection.bias"]
    of_inputs = arrays[part + "input_projection.weight"]
    n_read, n_write = memory.n_read_heads, memory.n_write_heads
    content_size = memory.word_size - memory.address_size
    fields = [("key", False, memory.word_size), ("strength", False, 1)]
    fields += [("recency", False, 1)]
    if memory.shift_range:
        n_shifts = 2 * memory.shift_range + 1
        fields += [("gate", False, 1), ("shift", False, n_shifts), ("gamma", False, 1)]
    fields += [("erase", True, content_size), ("candidate", True, content_size)]
    fields += [("mix", True, 1)]
    heads, row = [{} for _ in range(n_read + n_write)], 0
    for field, writes_only, width in fields:
        for head in heads[n_read:] if writes_only else heads:
            head[field] = matrix[row : row + width], bias[row : row + width]
            row += width
    assert row == len(matrix)
    row = 0
    for field, width in (("mix from inputs", 1), ("given", content_size)):
        for head in heads[n_read:]:
            head[field] = of_inputs[row : row + width]
            row += width
    if memory.addressing == "hard":
        weights["baseline"] = of_inputs[row]
        row += 1
    assert row == len(of_inputs)
    return weights | {
        "heads": heads,
        "n_read_heads": n_read,
        "clip": memory.interface_clip,
        "addresses": arrays[part + "addresses"],
        "logits": arrays.get(part + "initial_logits"),
        "reads": arrays["cell.initial_reads"],
        "content_size": content_size,
        "n_hops": memory.n_hops,
        "nop": memory.nop,
    }


def clipped(values, clip):
    return values if clip is None else np.clip(values, -clip, clip)


def instructions(head, hidden, x, clip):
    """Compute what one head receives from the controller's output and the inputs."""
    raw = {}
    for name in head.keys() - {"given", "mix from inputs"}:
        matrix, bias = head[name]
        raw[name] = matrix @ hidden + bias
    if "mix" in raw:
        raw["mix"] = raw["mix"] + head["mix from inputs"] @ x
        raw["given"] = head["given"] @ x
    raw = {name: clipped(value, clip) for name, value in raw.items()}
    told = dict(raw)
    for name in {"recency", "gate", "erase", "mix"} & raw.keys():
        told[name] = sigmoid(raw[name])
    for name in {"strength", "gamma"} & raw.keys():
        told[name] = 1 + softplus(raw[name])
    if "shift" in raw:
        told["shift"] = softmax(raw["shift"])
    return told


def scramble(number):
    number = (number ^ number >> 16) * 0x21F0AAAD & MASK
    number = (number ^ number >> 15) * 0x735A2D97 & MASK
    return number ^ number >> 15


def draw(probabilities, key, count, head):
    """Draw a row with the number that belongs to a key, a count and a head."""
    bits = scramble(scramble(scramble(key) ^ count) ^ head) >> 9
    number, total = (2 * bits + 1) / 2**24, 0.0
    for row, probability in enumerate(probabilities):
        total += probability
        if number < total:
            return row
    return len(probabilities) - 1


def most_probable(probabilities):
    """Return the first row that is as probable as any other, but for 0.1 %."""
    for row, probability in enumerate(probabilities):
        if probability >= 0.999 * max(probabilities):
            return row
    return 0


def run(weights, sequence, key=-1):
    """Run over one sequence of shape (n_timesteps, n_inputs).

    Weightings are soft if ``key`` is -1, the most probable row if it is 0, and otherwise
    drawn. Returns a dict of arrays with a row for each step: outputs, hidden, reads,
    content, usage, weightings, log_probability and entropy (sums over the steps so far),
    and the instructions of all heads.
    """
    layers, heads = weights["layers"], weights["heads"]
    hidden, cell = weights["hidden"], weights["cell"]
    n_rows, n_heads = len(weights["addresses"]), len(heads)
    content = np.zeros((n_rows, weights["content_size"]))
    reads, usage = weights["reads"], np.zeros((n_heads, n_rows))
    weightings = [np.zeros(n_rows)] * n_heads
    if weights["logits"] is not None:
        weightings = [softmax(logits) for logits in weights["logits"]]
    log_probability, entropy, count = np.zeros(n_heads), np.zeros(n_heads), 0
    acting_rows = range(n_rows - 1) if weights["nop"] else range(n_rows)
    history = {}

    def remember(**values):
        for name, value in values.items():
            history.setdefault(name, []).append(np.array(value))

    for x in np.asarray(sequence, dtype=float):
        for _ in range(weights["n_hops"]):
            seen = np.concatenate([x, *reads])
            if weights["controller"] == "lstm":
                features, hidden, cell = lstm(layers, seen, hidden, cell)
            elif weights["controller"] == "gru":
                features, hidden = gru(layers, seen, hidden)
            else:
                features = feedforward(layers, seen)
            told = [instructions(head, features, x, weights["clip"]) for head in heads]
            rows = np.concatenate([weights["addresses"], content], axis=1)
            new_weightings, new_usage = [], []
            for number, head in enumerate(told):
                scores = np.array(
                    [head["strength"][0] * cosine(head["key"], row) for row in rows]
                )
                w = softmax(scores - head["recency"][0] * usage[number])
                new_usage.append(0.1 * usage[number] + 0.9 * scores)
                if "gate" in head:
                    w = interpolate(w, weightings[number], head["gate"][0])
                    w = sharpen(shift(w, head["shift"]), head["gamma"][0])
                if key >= 0:
                    row = most_probable(w) if key == 0 else draw(w, key, count, number)
                    if key > 0:
                        log_probability[number] += np.log(w[row])
                        entropy[number] -= sum(p * np.log(p) for p in w)
                    w = np.eye(n_rows)[row]
                new_weightings.append(w)
            weightings, usage = new_weightings, np.array(new_usage)
            count += key > 0
            acting = list(acting_rows)
            n_read = weights["n_read_heads"]
            reads = [read(w[acting], rows[acting]) for w in weightings[:n_read]]
            for w, head in zip(weightings[n_read:], told[n_read:], strict=True):
                new = np.maximum(0, head["candidate"] + head["mix"][0] * head["given"])
                content = content.copy()
                content[acting] = write(content[acting], w[acting], head["erase"], new)
        matrix, bias = weights["readout"]
        outputs = matrix @ np.concatenate([features, *reads]) + bias
        remember(outputs=outputs, hidden=features, reads=reads, content=content)
        remember(usage=usage, weightings=weightings)
        remember(log_probability=log_probability, entropy=entropy)
        for field in ("key", "strength", "recency"):
            remember(**{field: [head[field] for head in told]})
        for field in ("erase", "candidate", "mix", "given"):
            remember(**{field: [head[field] for head in told[n_read:]]})
    return {name: np.array(steps) for name, steps in history.items()}
