"""A file that is not as it was written is refused with a clear error, whatever it is."""

import itertools
import json
import pickle
import random
import struct
import textwrap
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from helpers import in_subprocess, small_classifier, small_regressor
from sklearn.pipeline import make_pipeline

import sknt
from sknt.preprocessing import StepwiseTransformer
from sknt.storage import container

TINY = {"memory_size": 3, "word_size": 2, "hidden_size": 3, "max_epochs": 1}


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a saved pipeline."""
    X = np.random.RandomState(0).normal(size=(12, 3, 2))
    y = (X[:, 0, 0] > 0).astype(int)
    model = make_pipeline(StepwiseTransformer(), small_classifier(**TINY)).fit(X, y)
    path = tmp_path_factory.mktemp("saved") / "model"
    sknt.save(model, path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The bytes of a saved transformer."""
    path = tmp_path_factory.mktemp("saved") / "model"
    sknt.save(StepwiseTransformer().fit(np.ones((1, 2, 3))), path)
    return path.read_bytes()


@pytest.fixture
def refuses(tmp_path):
    """A function that asserts that a file of some bytes is refused."""
    path = tmp_path / "model"

    def check(content, match="cannot be loaded"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=match):
            sknt.load(path)

    return check


def n_header(content):
    return 8 + struct.unpack("<Q", content[:8])[0]


def opened(content):
    """Return the structure and the tensors of a file."""
    header = json.loads(content[8 : n_header(content)])
    return json.loads(header["__metadata__"]["model"]), safetensors.numpy.load(content)


def sealed(model, tensors):
    """Return a file with a checksum that fits, as only a forger makes it."""
    return bytes(container.to_bytes(model, tensors, "0.1.0"))


def test_a_flipped_bit_anywhere_in_the_header_is_found(content, small, refuses):
    for whole, step in ((small, 1), (content, 37)):
        for place in range(0, n_header(whole), step):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << random.Random(place).randrange(8)
            refuses(damaged)


def test_a_changed_byte_anywhere_behind_it_is_found(content, refuses):
    for place in range(n_header(content), len(content), 17):
        damaged = bytearray(content)
        damaged[place] = (damaged[place] + 1 + place % 255) % 256
        refuses(damaged, "damaged")


def test_a_truncated_file_is_found(content, refuses):
    for length in (*range(0, len(content), 64), 1, 7, 8, 9, len(content) - 1):
        refuses(content[:length])


def test_appended_bytes_are_found(content, refuses):
    refuses(content + b"\0", "damaged")
    refuses(content + content)


def test_swapped_tensors_are_found(content, refuses):
    header = json.loads(content[8 : n_header(content)])
    names = [name for name in header if name != "__metadata__"]
    for first, second in itertools.pairwise(names):
        swapped = header | {first: header[second], second: header[first]}
        text = json.dumps(swapped, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        rest = content[n_header(content) :]
        refuses(struct.pack("<Q", len(text)) + text + rest, "damaged")


def test_changed_values_of_the_structure_are_found(content, refuses):
    rng = random.Random(0)
    text = content[:].decode("latin-1")
    digits = [i for i in range(8, n_header(content)) if text[i].isdigit()]
    for place in rng.sample(digits, 300):
        changed = str((int(text[place]) + rng.randrange(1, 10)) % 10)
        refuses((text[:place] + changed + text[place + 1 :]).encode("latin-1"))


@pytest.mark.parametrize("n_bytes", [2**63, 2**64 - 1, 2**32, 10**8 + 1])
def test_a_header_that_claims_to_be_huge_is_refused(content, refuses, n_bytes):
    refuses(struct.pack("<Q", n_bytes) + content[8:], "not a file that sknt.save")


@pytest.mark.parametrize("shape", [[2**62], [2**40, 2**40], [-1], [1.5], "x", None])
def test_a_tensor_that_claims_to_be_huge_is_refused(content, refuses, shape):
    header = json.loads(content[8 : n_header(content)])
    name = next(name for name in header if name != "__metadata__")
    header[name]["shape"] = shape
    header["__metadata__"]["sha256"] = container.NO_CHECKSUM
    text = json.dumps(header, separators=(",", ":")).encode()
    forged = bytearray(struct.pack("<Q", len(text)) + text + content[n_header(content) :])
    place = container._place_of_checksum(bytes(forged), container.NO_CHECKSUM)
    forged[place] = container.hashlib.sha256(forged).hexdigest().encode()
    refuses(forged)


def test_files_of_others_are_refused_with_the_way_out(refuses):
    weights = {"a": torch.zeros(3)}
    foreign = "not a file that sknt.save has written"
    refuses(safetensors.torch.save(weights), f"{foreign}.*load_state_dict")
    refuses(safetensors.torch.save(weights, {"format": "pt"}), f"{foreign}.*load_file")
    refuses(pickle.dumps(weights), f"{foreign}.*pickle.load or joblib.load")
    for other in (b"", b"{}", b"PK\x03\x04" * 40, b"\0" * 1000, b"[" * 10**6):
        refuses(other, foreign)
    for text in (b"[" * 10**5, b'{"__metadata__":' * 10**4, b"\xff" * 90, b'"x"', b"nul"):
        refuses(struct.pack("<Q", len(text)) + text, foreign)


def test_a_newer_format_is_refused_with_the_way_out(content, refuses):
    newer = content.replace(b'"format_version":"1"', b'"format_version":"2"')
    refuses(newer, "format 2, and this release reads formats up to 1; upgrade sknt")


def test_what_is_no_estimator_is_refused(refuses):
    refuses(sealed({"versions": {}, "model": {"dict": {}}}, {}), "not hold an estimator")
    refuses(sealed({"versions": {}, "model": None, "more": 1}, {}), "estimator")
    refuses(sealed([1, 2], {}), "not valid")
    deep = json.loads("[" * 900 + "]" * 900)
    refuses(sealed({"versions": {}, "model": deep}, {}))


NAMES = [
    "os.system",
    "builtins.eval",
    "builtins.exec",
    "sklearn.utils.os.system",
    "sklearn.preprocessing._data.StandardScaler",
    "sklearn.preprocessing.power_transform",
    "sknt.preprocessing.available_if",
    "sknt.preprocessing.StandardScaler",
    "sknt.preprocessing.np.load",
    "pathlib.Path",
    "",
    None,
    ["os", "system"],
]


@pytest.mark.parametrize("name", NAMES, ids=str)
@pytest.mark.parametrize("fields", [{"params": {}}, {"fitted": {}}, {}], ids=str)
def test_a_class_that_is_not_listed_is_refused(refuses, name, fields):
    for node in ({"object": name, **fields}, {"class": name}):
        refuses(sealed({"versions": {}, "model": node}, {}))


@pytest.mark.parametrize(
    "policy", ["sys", "np", "LambdaLR", "LRScheduler", 3, {"dict": {}}]
)
def test_a_schedule_is_looked_up_only_in_its_list(refuses, policy):
    callback = {"object": "skorch.callbacks.LRScheduler", "params": {"policy": policy}}
    params = {"net_params": {"dict": {"callbacks": [callback]}}}
    model = {"object": "sknt.NTMSequenceClassifier", "params": params, "fitted": {}}
    refuses(sealed({"versions": {}, "model": model}, {}))


@pytest.mark.parametrize("name", ["transform", "__class__", "__dict__", "a b", "", "fit"])
def test_attributes_that_would_shadow_the_class_are_refused(refuses, name):
    model = {"object": "sknt.preprocessing.ToSequence", "params": {}, "fitted": {name: 1}}
    refuses(sealed({"versions": {}, "model": model}, {}), "cannot have an attribute")


def classifier_of(model):
    return model["model"]["params"]["steps"][1]["tuple"][1]


def changes():
    """Name changes of the structure that no damage makes, only a forger."""

    def set_size(name, value):
        def change(model, tensors):
            classifier_of(model)["fitted"]["net_"]["net"]["params"][f"module__{name}"] = (
                value
            )

        return change

    for name in ("memory_size", "word_size", "hidden_size", "n_read_heads", "n_inputs"):
        yield f"{name} is huge", set_size(name, 10**7)
        yield f"{name} is 5", set_size(name, 5)
    yield "many layers", set_size("n_layers", 1000)
    yield "another controller", set_size("controller", "gru")
    yield "a memory that is not known", set_size("memory", "mine")
    yield "a list for a memory", set_size("memory", ["ntm"])

    def of_weights(kind, what, change):
        def changed(model, tensors):
            for name in tensors:
                if name.split("'")[1:2] == [kind] and what in name:
                    tensors[name] = change(tensors[name])
                    return
            raise AssertionError

        return changed

    for kind, what in (("module", "weight_ih"), ("optimizer", "exp_avg")):
        yield f"{what} is longer", of_weights(kind, what, lambda t: np.vstack([t, t]))
        yield f"{what} is flat", of_weights(kind, what, np.ravel)
        yield f"{what} is one number", of_weights(kind, what, lambda t: t.ravel()[:1])
        yield f"{what} is double", of_weights(kind, what, lambda t: t.astype(float))
        yield f"{what} is empty", of_weights(kind, what, lambda t: t[:0])

    def more(model, tensors):
        tensors["more"] = np.zeros(3)

    def fewer(model, tensors):
        del tensors[next(iter(tensors))]

    def unknown(model, tensors):
        classifier_of(model)["more"] = {}

    def unknown_parameter(model, tensors):
        classifier_of(model)["params"]["colour"] = 1

    def cache(model, tensors):
        model["model"]["params"]["memory"] = "folder"

    def hidden_cache(model, tensors):
        model["model"]["fitted"]["memory"] = "folder"

    def position(model, tensors):
        params = classifier_of(model)["fitted"]["net_"]["net"]["params"]
        params["iterator_train__random_state"]["random_state"][1] = 10**6

    yield from {
        "a tensor more": more,
        "a tensor fewer": fewer,
        "an unknown field": unknown,
        "an unknown parameter": unknown_parameter,
        "a cache of pickles": cache,
        "a hidden cache of pickles": hidden_cache,
        "a position beyond a generator's state": position,
    }.items()


CHANGES = dict(changes())


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_parts_that_do_not_fit_are_refused(content, refuses, change):
    model, tensors = opened(content)
    tensors = {name: tensor.copy() for name, tensor in tensors.items()}
    change(model, tensors)
    for name, tensor in tensors.items():
        tensors[name] = np.ascontiguousarray(tensor)
    refuses(sealed(model, tensors))


@pytest.mark.slow
def test_a_forged_file_with_a_checksum_is_refused_or_gives_a_model(tmp_path):
    """In a process that may take 1 GiB more: no crash, no huge array, no other error."""
    X = np.random.RandomState(0).normal(size=(30, 20, 2))
    model = small_regressor(**TINY, n_convolutions=168, return_sequences=False)
    sknt.save(model.fit(X, X[:, 0, 0]), tmp_path / "model")
    code = """
        import random, resource, sys, warnings
        import numpy as np, sknt
        sys.path.insert(0, TESTS)
        from test_damaged_files import opened, sealed, forge
        warnings.simplefilter("ignore")
        content = open(PATH, "rb").read()
        X = np.random.RandomState(0).normal(size=(3, 20, 2))
        expected = sknt.load(PATH).predict(X)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, -1))
        n_refused = n_same = 0
        for seed in range(300):
            forged = sealed(*forge(random.Random(seed), *opened(content)))
            open(PATH, "wb").write(forged)
            try:
                model = sknt.load(PATH)
            except ValueError as error:
                n_refused += 1
                continue
            try:
                n_same += bool(np.array_equal(model.predict(X), expected))
            except Exception as error:
                if isinstance(error, MemoryError):
                    raise
        print(n_refused, n_same)
        """
    code = textwrap.dedent(code).replace("TESTS", repr(str(Path(__file__).parent)))
    done = in_subprocess(code.replace("PATH", repr(str(tmp_path / "model"))))
    n_refused, n_same = map(int, done.stdout.split())
    assert n_refused > 50
    assert n_same > 25


def forge(rng, model, tensors):
    """Change a random entry of the structure, or a random tensor."""
    tensors = {name: tensor.copy() for name, tensor in tensors.items()}
    if rng.random() < 0.4:
        name = rng.choice(sorted(tensors))
        tensor = tensors[name]
        rolled = rng.choice(
            [
                lambda t: t[..., :-1] if t.ndim else t,
                lambda t: t.astype("f4"),
                lambda t: t * 0 - 1 if t.dtype.kind in "if" else t,
                lambda t: t * 0 + 2**30 if t.dtype.kind in "if" else t,
                lambda t: t[::-1] if t.ndim else t,
                lambda t: np.full_like(t, np.nan) if t.dtype.kind == "f" else t,
                lambda t: t[np.newaxis],
            ]
        )
        tensors[name] = np.ascontiguousarray(rolled(tensor))
        return model, tensors
    places = []

    def collect(node):
        pairs = enumerate(node) if isinstance(node, list) else node.items()
        for key, part in pairs:
            places.append((node, key))
            if isinstance(part, list | dict):
                collect(part)

    collect(model)
    node, key = rng.choice(places)
    other, other_key = rng.choice(places)
    if isinstance(node, dict) and rng.random() < 0.2:
        del node[key]
        return model, tensors
    values = [None, True, 0, -1, 1, 2**40, 10**30, 1e300, "x", "", [], {}, {"float": "nan"}]
    value = rng.choice([*values, json.loads(json.dumps(other[other_key]))])
    node[key] = value
    return model, tensors
