"""The tables of ``real.py``."""

import platform
import re
from functools import cache
from pathlib import Path
from statistics import mean

import torch
from scipy.stats import rankdata


@cache
def describe_machine():
    """Return the processor's name, and the vector instructions that torch uses."""
    about = Path("/proc/cpuinfo")
    text = about.read_text() if about.exists() else ""
    name = re.search(r"model name\s*:\s*(.+)", text)
    name = name[1] if name else platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def of_model(saved, model, what):
    """Return what was measured with a model on a data set, one number per seed."""
    return [row[what] for row in saved["results"] if row["model"] == model]


def score_cell(scores):
    """Format the mean and the range of scores."""
    if not scores:
        return "–"
    if len(scores) == 1:
        return f"{scores[0]:.3f}"
    return f"{mean(scores):.3f} ({min(scores):.3f}–{max(scores):.3f})"


def mean_scores(saved, models):
    """Return each model's mean score, or None if any model has none."""
    scores = [of_model(saved, model, "score") for model in models]
    return [mean(of_one) for of_one in scores] if all(scores) else None


def mean_ranks(sets, models):
    """Return each model's mean rank over the sets that all of them have, and their number.

    The best has rank 1; equal scores share the mean of their ranks.
    """
    scores = [mean_scores(saved, models) for saved in sets]
    ranks = [rankdata([-score for score in row]) for row in scores if row]
    return [mean(column) for column in zip(*ranks, strict=True)], len(ranks)


def row(cells):
    """Return a line of a table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def head(cells):
    """Return the first two lines of a table."""
    return [row(cells), "|---" * len(cells) + "|"]


def describe(name, saved):
    """Return a data set's name, and its sizes."""
    known = saved["facts"]
    steps = f"{known['shortest']}–{known['longest']}"
    if known["shortest"] == known["longest"]:
        steps = str(known["longest"])
    sizes = f"{known['n_train']} + {known['n_test']}, {steps}, {known['n_features']}"
    guess = "R²"
    if "n_classes" in known:
        guess = f"{known['n_classes']} classes, {known['guessing']:.3f}"
    return [name, sizes, guess]


def score_table(sets, models, averaged):
    """Yield the lines of a table of scores, with their means and mean ranks."""
    yield from head(["set", "train + test, steps, features", "guessing", *models])
    for name, saved in sets.items():
        cells = [score_cell(of_model(saved, model, "score")) for model in models]
        yield row([*describe(name, saved), *cells])
    some = [sets[name] for name in averaged if name in sets]
    if some:
        cells = []
        for model in models:
            scores = [of_model(saved, model, "score") for saved in some]
            done = len(some) == len(averaged) and all(scores)
            cells.append(f"{mean(map(mean, scores)):.3f}" if done else "–")
        yield row([f"mean accuracy of the first {len(averaged)}", "", "", *cells])
    complete = [m for m in models if all(of_model(s, m, "score") for s in sets.values())]
    ranks, _ = mean_ranks(sets.values(), complete)
    of = dict(zip(complete, ranks, strict=True)) if len(complete) > 1 else {}
    cells = [f"{of[model]:.2f}" if model in of else "–" for model in models]
    yield row([f"mean rank over {len(sets)} sets", "", "", *cells])


def time_table(sets, models):
    """Yield the lines of a table of times."""
    yield from head(["set", *models])
    for name, saved in sets.items():
        cells = []
        for model in models:
            times = [of_model(saved, model, what) for what in ("fit", "predict")]
            both = " / ".join(f"{mean(t):.2f}" for t in times) if all(times) else "–"
            cells.append(both)
        yield row([name, *cells])


def used(sets, models):
    """Return the models that have a result on any of the sets."""
    return [m for m in models if any(of_model(s, m, "score") for s in sets.values())]


def print_tables(sets, models, averaged):
    """Print the page; ``sets`` maps names to what was saved, in the order of the rows."""
    sets = {name: saved for name, saved in sets.items() if saved["results"]}
    # Models that predict whole sequences only have no result on sets with targets per step.
    whole = {name: saved for name, saved in sets.items() if not saved["facts"]["steps"]}
    stepwise = {name: saved for name, saved in sets.items() if saved["facts"]["steps"]}
    print("# Ordinary real series\n")
    print(NOTE)
    print("\n## One target per sequence\n")
    print("\n".join(score_table(whole, used(whole, models), averaged)))
    print("\n## A target at every step\n")
    print("\n".join(score_table(stepwise, used(stepwise, models), [])))
    print("\n## CPU seconds to fit / to predict the test set\n")
    print("\n".join(time_table(sets, models)))
    print("\n## Measured with\n")
    everything = [result for saved in sets.values() for result in saved["results"]]
    for model in models:
        of_one = [result for result in everything if result["model"] == model]
        seen = {f"{result['versions']} ({result['machine']})" for result in of_one}
        print(f"- {model}: {'; '.join(sorted(seen)) or '–'}")


NOTE = """\
Generated by `python benchmarks/real.py` from the results in `benchmarks/real/`;
`python benchmarks/real.py run` repeats them, and the script's first lines say where the data
come from. Numbers are accuracies, or R² where the table says so: the mean and, for models
with a random seed, the range over the seeds. Nothing is tuned, and no scaler is put in front.

- `sknt` and `memory=None` are the estimators of this package with nothing set but
  `random_state`, `return_sequences` where each step has a target, and `memory=None`.
  `bidirectional` is `sknt` with `bidirectional=True`, where later steps may help.
- MiniRocket is sktime's, with its features scaled to unit variance and a ridge, whose
  penalty is chosen by generalised cross-validation.
- 1-NN DTW compares steps at most a tenth of the length apart.
- Boosting is scikit-learn's histogram gradient boosting, and linear is a logistic regression
  or a ridge, both on all steps side by side. If each step has a target, they see seven steps:
  three before, the step and three after where later steps may help (stress, gait), otherwise
  the last seven. Unless bidirectional, the estimators of this package see only the steps so
  far.
- Longest match predicts the note that followed when the latest notes, as many as possible,
  occurred before in the same tune. It has nothing to learn but which note follows which.

The splits are the official ones, except for these:

| set | what it is |
|---|---|
| digits | scikit-learn's images row by row, a stratified quarter for the test |
| watch | seglearn's seven shoulder exercises, recorded by a smart watch; trained on subjects 1 to 7, tested on 8 to 10 |
| stress | the CMU dictionary: the sounds of a word, and the stress of each of its vowels |
| tunes | Ryan's Mammoth Collection of fiddle tunes, played with their repeats: the next note's letter and octave |
| sunspots | the next year's number of sunspots; trained on 1700 to 1919 |
| elnino | the next month's temperature of the sea; trained on 1950 to 1989 |
| gait | the trunk's vertical acceleration of a walking patient, from ankle and thigh; trained on the first 70 % |

"Guessing" is the accuracy of always predicting the most frequent class of the training set."""  # noqa: E501
