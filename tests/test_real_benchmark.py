"""The benchmark on real series reads, cuts, compares and continues as it says."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import ROOT


@pytest.fixture(scope="module")
def benchmark():
    # Importing the script limits the threads of processes started later; not in the tests.
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        import _real_data
        import _real_rivals
        import _real_steps
        import _real_tables
        import real

        os.environ.clear()
        os.environ.update(before)
        yield SimpleNamespace(
            data=_real_data,
            rivals=_real_rivals,
            steps=_real_steps,
            tables=_real_tables,
            real=real,
        )


def test_ts_files_keep_channels_and_unequal_lengths(benchmark):
    text = "# a: note\n@classLabel true a b\n@data\n1,2,3:4,5,6:a\n7,8:9,10:b\n"
    sequences, labels = benchmark.data.parse_ts(text)
    np.testing.assert_array_equal(sequences[0], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(sequences[1], [[7, 9], [8, 10]])
    assert labels.tolist() == ["a", "b"]


def test_targets_of_ts_files_that_are_values_are_numbers(benchmark):
    _, values = benchmark.data.parse_ts("@targetlabel true\n@data\n1,2:0.5\n3,4:-2e-1")
    np.testing.assert_array_equal(values, [0.5, -0.2])


@pytest.mark.parametrize(
    ("music", "played"),
    [
        ("CD|EF|", "CDEF"),
        ("CD:|EF:|", "CDCDEFEF"),
        ("C|:D:|E", "CDDE"),
        ("C:|:D:|", "CCDD"),
        ("C::D:|", "CCDD"),
        ("C||D:|", "CDD"),  # the repeat goes back to the double bar only
        ("CD|1 E:|2 F||G", "CDECDFG"),
        ("CD|[1 E:|[2 F|]", "CDECDF"),
        ("c2d/2|1/2e", "cde"),  # durations
        ('"Am"C{ga}D!trill!E|%D', "CDE"),
        ("C\nd:|", "CdCd"),  # not a field called d
    ],
)
def test_tunes_are_played_with_their_repeats(benchmark, music, played):
    text = f"X:1\nT:A reel\nK:D\n{music}\nw:Ca-da\n"
    assert benchmark.steps.parse_tune(text) == list(played)


def test_notes_in_other_octaves_are_other_notes(benchmark):
    assert benchmark.steps.parse_tune("K:C\nC,,^C=c'2 c") == ["C,,", "C", "c'", "c"]


def test_windows_have_the_next_value_as_target_and_do_not_share_test_steps(benchmark):
    values = np.arange(100.0)
    data = benchmark.steps.next_value(values, n_train=60, width=12)
    for x, y in zip(data.X_train + data.X_test, data.y_train + data.y_test, strict=True):
        np.testing.assert_array_equal(y, x[:, 0] + 1)
    assert max(map(np.max, data.y_train)) < min(map(np.min, data.X_test))
    steps = np.concatenate(data.X_test)
    assert len(np.unique(steps)) == len(steps)


def naive_warping(a, b, width):
    """Minimise over all alignments, by the recursion without limits or saved rows."""
    total = np.full((len(a) + 1, len(b) + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(len(a)):
        for j in range(len(b)):
            if abs(i - j) <= width:
                before = min(total[i, j], total[i, j + 1], total[i + 1, j])
                total[i + 1, j + 1] = np.sum((a[i] - b[j]) ** 2) + before
    return total[-1, -1]


@pytest.mark.parametrize("lengths", [(20, 20), (20, 13), (9, 20), (1, 5)])
@pytest.mark.parametrize("window", [0.0, 0.1, 0.3, 1.0])
def test_warping_equals_the_naive_recursion(benchmark, lengths, window):
    rng = np.random.RandomState(0)
    a, b = (rng.normal(size=(length, 2)) for length in lengths)
    width = max(int(np.ceil(window * max(lengths))), abs(lengths[0] - lengths[1]))
    distance = benchmark.rivals.warping_distance.py_func
    expected = naive_warping(a, b, width)
    assert distance(a, b, window, np.inf) == pytest.approx(expected)
    assert distance(a, b, window, expected + 1e-9) == pytest.approx(expected)
    assert distance(a, b, window, expected / 3) > expected / 3


@pytest.mark.parametrize("symbols", ["abcab", "abxcabxc", "bxabcbxab", "aaaaa", "c"])
def test_the_longest_match_equals_a_search_for_it(benchmark, symbols):
    alphabet = "abcx"
    sequence = benchmark.steps.one_hot(list(symbols), list(alphabet))
    train = benchmark.steps.one_hot(list("abcaxc"), list(alphabet))
    targets = np.append(train.argmax(axis=1)[1:], np.nan)
    model = benchmark.rivals.LongestMatch().fit([train], [targets])
    expected = []
    for t in range(len(symbols)):
        answer = {"a": "b", "b": "c", "c": "a", "x": "c"}[symbols[t]]  # as in training
        for length in range(1, t + 1):
            at = symbols[:t].rfind(symbols[t - length + 1 : t + 1])
            if at >= 0:
                answer = symbols[at + length]
        expected.append(answer)
    assert [alphabet[i] for i in model.predict([sequence])[0]] == expected


class Recorder:
    """An estimator that keeps what it was fitted on, and predicts its first column."""

    def fit(self, X, y):
        self.X, self.y = X, y

    def predict(self, X):
        return X[:, 0]


def test_windows_around_steps_are_zero_beyond_the_ends(benchmark):
    recorder = Recorder()
    X = [np.array([[1.0], [2.0], [3.0]]), np.array([[4.0], [5.0]])]
    y = [np.array([0.1, np.nan, 0.3]), np.array([0.4, 0.5])]
    model = benchmark.rivals.Window(recorder, before=1, after=1).fit(X, y)
    expected = [
        [0, 1, 2],
        [2, 3, 0],
        [0, 4, 5],
        [4, 5, 0],
    ]  # the step without target left out
    np.testing.assert_array_equal(recorder.X, expected)
    np.testing.assert_array_equal(recorder.y, [0.1, 0.3, 0.4, 0.5])
    first, second = model.predict(X)
    assert first.tolist() == [0, 1, 2]
    assert second.tolist() == [0, 4]


def test_rows_are_cut_or_padded_to_the_longest_training_sequence(benchmark):
    recorder = Recorder()
    X = [np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0]])]
    model = benchmark.rivals.Flat(recorder).fit(X, np.zeros(2))
    np.testing.assert_array_equal(recorder.X, [[1, 2, 3, 4], [5, 6, np.nan, np.nan]])
    assert model.predict([np.full((3, 2), 7.0)]).tolist() == [7]


def results(**scores):
    rows = [
        {"model": model, "seed": seed, "score": score, "fit": 1.0, "predict": 0.5}
        for model, of_model in scores.items()
        for seed, score in enumerate(of_model)
    ]
    known = {"n_train": 2, "n_test": 2, "shortest": 3, "longest": 3, "n_features": 1}
    return {"facts": known, "results": rows}


def test_equal_scores_share_their_ranks_and_sets_with_gaps_do_not_count(benchmark):
    sets = [
        results(a=[0.9, 0.7], b=[0.8]),  # equal means
        results(a=[0.5], b=[0.6]),
        results(a=[0.5]),
    ]
    assert benchmark.tables.mean_ranks(sets, ["a", "b"]) == ([1.75, 1.25], 2)


def test_a_model_that_lacks_a_set_has_no_mean_in_the_table(benchmark):
    sets = {
        "one": results(a=[0.9, 0.7], b=[1.0], c=[0.2]),
        "two": results(a=[0.5], c=[0.4]),
    }
    lines = list(benchmark.tables.score_table(sets, ["a", "b", "c"], ["one", "two"]))
    cells = [[cell.strip() for cell in line.split("|")[4:-1]] for line in lines]
    assert cells[2] == ["0.800 (0.700–0.900)", "1.000", "0.200"]
    assert cells[3] == ["0.500", "–", "0.400"]
    assert cells[4] == ["0.650", "–", "0.300"]
    assert cells[5] == ["1.00", "–", "2.00"]


class Majority:
    """A model that always predicts what it saw most, and counts its fits."""

    n_fits = 0

    def fit(self, X, y):
        type(self).n_fits += 1
        self.answer = max(set(y.tolist()), key=y.tolist().count)
        return self

    def predict(self, X):
        return np.full(len(X), self.answer)

    def get_params(self, deep=True):
        return {}

    def set_params(self, **params):
        return self


def test_runs_go_on_where_they_were(benchmark, monkeypatch, tmp_path, capsys):
    real = benchmark.real
    y_train, y_test = np.array(list("aabbb")), np.array(list("abbb"))
    X = np.zeros((5, 2, 1))
    data = benchmark.data.Data(list(X[:5]), y_train, list(X[:4]), y_test)
    Majority.n_fits = 0
    model = real.Model(lambda source, seed: Majority(), True, ("numpy",))
    monkeypatch.setattr(real, "RESULTS", tmp_path)
    monkeypatch.setattr(real, "SETS", {"tiny": real.Source(lambda: data)})
    monkeypatch.setattr(real, "MODELS", {"majority": model})
    real.run("tiny", ["majority"], range(2), again=False)
    fits_of_two = Majority.n_fits
    real.run("tiny", ["majority"], range(2), again=False)
    assert Majority.n_fits == fits_of_two
    real.run("tiny", ["majority"], range(1, 3), again=False)
    assert 2 * Majority.n_fits == 3 * fits_of_two
    real.run("tiny", ["majority"], range(3), again=True)
    assert Majority.n_fits == 3 * fits_of_two
    saved = json.loads((tmp_path / "tiny.json").read_text())
    assert [row["seed"] for row in saved["results"]] == [0, 1, 2]
    assert {row["score"] for row in saved["results"]} == {0.75}
    assert saved["facts"]["guessing"] == 0.75
