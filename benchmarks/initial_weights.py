"""How large should a controller's first weights be? Two tasks, three sizes, four seeds.

Run ``python benchmarks/initial_weights.py > benchmarks/initial_weights.md`` (about a
quarter of an hour on one core; needs the ``examples`` extra).
"""

import sys
import time

import numpy as np
from sklearn.pipeline import make_pipeline
from sktime.datasets import load_japanese_vowels

import sknt.nn.controllers
from sknt import NTMSequenceClassifier, pad_sequences
from sknt.datasets import make_copy
from sknt.preprocessing import StepwiseTransformer

SEEDS = range(4)
BITS = np.log(2)


def speakers(seed, **params):
    """Return the test accuracy on the Japanese vowels after 40 epochs."""
    parts = {}
    for part in ("train", "test"):
        utterances, labels = load_japanese_vowels(part, return_type="df-list")
        parts[part] = pad_sequences(utterances), labels
    model = make_pipeline(
        StepwiseTransformer(),
        NTMSequenceClassifier(memory_size=16, max_epochs=40, random_state=seed, **params),
    )
    return model.fit(*parts["train"]).score(*parts["test"])


def copy(seed):
    """Return sequences until solved (< 0.1 bit, to the end) and wrong bits at 40."""
    X, y = make_copy(n_samples=3000, random_state=seed)
    model = NTMSequenceClassifier(
        return_sequences=True, schedule="constant", max_epochs=1, random_state=seed
    ).fit(X, y)
    losses = [batch["train_loss"] / BITS for batch in model.net_.history[-1, "batches"]]
    means = np.mean(np.reshape(losses, (-1, 25)), axis=1)  # of 100 sequences
    unsolved = np.flatnonzero(means >= 0.1)
    solved = 100 * (unsolved[-1] + 1) if len(unsolved) else 0
    X_long, y_long = make_copy(100, min_length=40, max_length=40, random_state=1000)
    has_target = ~np.isnan(y_long)
    wrong = np.mean(model.predict(X_long)[has_target] != y_long[has_target])
    return solved if solved < len(X) else np.nan, wrong


def main():
    """Print the table."""
    start = time.perf_counter()
    print("# The size of a controller's first weights\n")
    print("Made by `python benchmarks/initial_weights.py`. Weights start from")
    print("U(±gain/√(inputs + units)); everything else is the default.\n")
    print("- speakers: test accuracy on the Japanese vowels, memory_size=16, 40 epochs")
    print("- copy: sequences until the training loss is under 0.1 bit a sequence and stays")
    print("  so to the end (batches of 4, 3,000 sequences; – where it is not), and wrong")
    print("  bits at length 40\n")
    print("| gain | seed | speakers | copy: solved after | copy: wrong at 40 |")
    print("|---|---|---|---|---|")
    for gain in (1.0, 2.5, 5.0):
        sknt.nn.controllers.WEIGHT_GAIN = gain
        for seed in SEEDS:
            accuracy, (solved, wrong) = speakers(seed), copy(seed)
            shown = "–" if np.isnan(solved) else f"{solved:.0f}"
            print(f"| {gain} | {seed} | {accuracy:.4f} | {shown} | {wrong:.2%} |")
            sys.stdout.flush()
    for seed in SEEDS:
        print(f"| bare LSTM | {seed} | {speakers(seed, memory=None):.4f} | | |")
    print(f"\nIn all {time.perf_counter() - start:.0f} s on one thread.")


if __name__ == "__main__":
    main()
