"""The speaker identification example with other seeds of the folds and the network.

Run ``python benchmarks/speakers.py > benchmarks/speakers.md`` from the project's root
(about a minute a seed on two cores; needs the ``examples`` extra).
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "speaker_identification.py"
PATTERNS = {
    "memory_size": r"'ntmsequenceclassifier__memory_size': (\d+)",
    "n_read_heads": r"'ntmsequenceclassifier__n_read_heads': (\d+)",
    "test accuracy": r"memory network: ([\d.]+)",
    "bare LSTM": r"bare LSTM: +([\d.]+)",
    "search, s": r"Search: (\d+) s",
}


def main():
    """Print the table."""
    print("# Speaker identification over seeds\n")
    print("Made by `python benchmarks/speakers.py`: the example as it stands, with the")
    print("seed of the folds and of the networks' weights and shuffling. Size and heads")
    print("are chosen by cross-validation on the training part alone.\n")
    print("| seed | " + " | ".join(PATTERNS) + " |")
    print("|---" * (len(PATTERNS) + 1) + "|")
    for seed in range(5):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, EXAMPLE],
                cwd=folder,
                env={**os.environ, "SKNT_EXAMPLE_SEED": str(seed)},
                capture_output=True,
                text=True,
                check=True,
            )
        found = [re.search(pattern, done.stdout)[1] for pattern in PATTERNS.values()]
        print(f"| {seed} | " + " | ".join(found) + " |", flush=True)


if __name__ == "__main__":
    main()
