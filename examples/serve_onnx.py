"""
Serving a model without sknt
============================

A fitted classifier is written to an ONNX file. A second process, which loads onnxruntime
and NumPy alone, answers requests over HTTP: sequences of any length as JSON, probabilities
back.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import numpy as np

N_REQUESTS, SECONDS = 3, 60  # after so many requests, or so long, the server stops
n_epochs = int(os.environ.get("SKNT_EXAMPLE_EPOCHS", "20"))

# %%
# The server: a whole program of its own. Sequences are padded at their ends, and their
# lengths say how many steps count. It listens on this machine alone, at a free port that it
# prints.

SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import onnxruntime

path, n_requests, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
n_features = session.get_inputs()[0].shape[2]


def predict(sequences):
    lengths = np.array([len(s) for s in sequences], np.int64)
    x = np.zeros((len(sequences), lengths.max(), n_features), np.float32)
    for row, sequence in zip(x, sequences):
        row[: len(sequence)] = sequence
    probabilities = session.run(None, {"x": x, "lengths": lengths})[0]
    if not np.isfinite(probabilities).all():
        raise ValueError("empty sequences, or values that are not finite")
    return probabilities.tolist()


class Handler(BaseHTTPRequestHandler):
    timeout = seconds

    def do_POST(self):
        try:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            answer = {"classes": classes, "probabilities": predict(json.loads(content))}
            status = 200
        except (TypeError, ValueError) as error:
            answer, status = {"error": str(error)}, 400
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


with HTTPServer(("127.0.0.1", 0), Handler) as server:
    server.timeout = seconds
    print(server.server_port, flush=True)
    for _ in range(n_requests):
        server.handle_request()
assert not {"torch", "sknt", "sklearn"} & set(sys.modules)
"""


def post(port, sequences):
    """Send sequences to the server, and return its answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}",
        json.dumps([sequence.tolist() for sequence in sequences]).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        return json.load(response)


# %%
# Fit a classifier and export it. The labels depend on the first step.


def main():
    """Fit, export, serve and compare."""
    import sknt

    rng = np.random.RandomState(0)
    sequences = [rng.normal(size=(n, 2)) for n in rng.randint(1, 20, size=120)]
    y = np.where([s[0, 0] > 0 for s in sequences], "up", "down")
    model = sknt.NTMSequenceClassifier(
        memory_size=16,
        hidden_size=16,
        max_epochs=n_epochs,
        n_convolutions=0,
        random_state=0,
    )
    model.fit(sequences[:100], y[:100])

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        sknt.export_onnx(model, path)
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")
        command = [sys.executable, "-c", SERVER, path, str(N_REQUESTS), str(SECONDS)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                port = int(server.stdout.readline())
                # Longer sequences than in training, too: any number of steps is served.
                longer = [rng.normal(size=(n, 2)) for n in (1, 50, 33)]
                batches = [sequences[100:], sequences[100:101], longer]
                assert len(batches) == N_REQUESTS
                for batch in batches:
                    answer = post(port, batch)
                    served = np.array(answer["probabilities"])
                    expected = model.predict_proba(batch)
                    assert answer["classes"] == model.classes_.tolist()
                    np.testing.assert_allclose(served, expected, rtol=1e-3, atol=1e-5)
                    difference = np.abs(served - expected).max()
                    print(f"{len(batch)} sequences: differences up to {difference:.1e}")
                assert server.wait(SECONDS) == 0
            finally:
                server.kill()


if __name__ == "__main__":
    main()
