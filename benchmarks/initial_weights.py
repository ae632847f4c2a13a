"""How large should a controller's first weights be? Two tasks, three sizes, three seeds.

Run ``python benchmarks/initial_weights.py > benchmarks/initial_weights.md`` (about five
minutes on one core; needs the ``examples`` extra).
"""

import time

import torch
from learning import TASKS, run
from sklearn.pipeline import make_pipeline
from sktime.datasets import load_japanese_vowels

import sknt.nn.controllers
from sknt import NTMSequenceClassifier, pad_sequences
from sknt.preprocessing import StepwiseTransformer

SEEDS = range(500, 503)


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


def main():
    """Print the table."""
    start = time.perf_counter()
    torch.set_num_threads(1)
    print("# The size of a controller's first weights\n")
    print("Made by `python benchmarks/initial_weights.py`. Weights start from")
    print("U(±gain/√(inputs + units)); everything else is as in the record.\n")
    print("- speakers: test accuracy on the Japanese vowels, memory_size=16, 40 epochs")
    print("- recall: sequences until the loss is under 0.1 bit for good, sequences in all,")
    print("  bits a sequence in the end and with 15 items\n")
    print("| gain | seed | speakers | recall: solved at | in all | bits | 15 items |")
    print("|---" * 7 + "|")
    for gain in (1.0, 1.5, 2.5):
        sknt.nn.controllers.WEIGHT_GAIN = gain
        for seed in SEEDS:
            accuracy, found = speakers(seed), run("recall", TASKS["recall"], seed)
            cells = [found["solved"] or "–", found["shown"], found["final"]]
            cells.append(found["beyond"]["15 items"]["bits"])
            row = [gain, seed, f"{accuracy:.4f}", *cells]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
    for seed in SEEDS:
        print(f"| bare LSTM | {seed} | {speakers(seed, memory=None):.4f} | | | | |")
    print(f"\nIn all {time.perf_counter() - start:.0f} s on one thread.")


if __name__ == "__main__":
    main()
