"""
Who is speaking? A memory network on spoken vowels
==================================================

Nine men say two Japanese vowels. An utterance is 7 to 29 steps of 12 numbers (the
coefficients of a linear prediction of the sound), and the task is to tell who spoke.
The utterances are of unequal length, which a padded array holds as it is: absent steps
are NaN. Memory size and number of read heads are chosen by cross-validation on the
training part; the test part is looked at once, at the end.

Data: M. Kudo, J. Toyama and M. Shimbo (1999), "Multidimensional curve classification
using passing-through regions", Pattern Recognition Letters 20, 1103-1111.
"""

import os
import time

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sktime.datasets import load_japanese_vowels

from sknt import NTMSequenceClassifier, pad_sequences
from sknt.inspection import MemoryTraceDisplay
from sknt.preprocessing import StepwiseTransformer

max_epochs = int(os.environ.get("SKNT_EXAMPLE_EPOCHS", "40"))
seed = int(os.environ.get("SKNT_EXAMPLE_SEED", "0"))

# %%
# The utterances come as a list of tables of unequal length. Padded, the shorter ones end
# in steps of NaN.

utterances_train, y_train = load_japanese_vowels("train", return_type="df-list")
utterances_test, y_test = load_japanese_vowels("test", return_type="df-list")
X_train, X_test = pad_sequences(utterances_train), pad_sequences(utterances_test)
print(f"Training part: {X_train.shape}, test part: {X_test.shape}")

# %%
# A pipeline of a scaler, which is fitted to the present steps alone, and the network,
# whose controller is a GRU; and a search over its memory size and number of read heads.

pipeline = make_pipeline(
    StepwiseTransformer(StandardScaler()),
    NTMSequenceClassifier(controller="gru", max_epochs=max_epochs, random_state=seed),
)
search = GridSearchCV(
    pipeline,
    {
        "ntmsequenceclassifier__memory_size": [16, 64],
        "ntmsequenceclassifier__n_read_heads": [1, 2],
    },
    cv=StratifiedKFold(n_splits=3, shuffle=True, random_state=seed),
    n_jobs=2,
)
search.set_callbacks(ProgressBar(max_propagation_depth=0))
start = time.perf_counter()
search.fit(X_train, y_train)
seconds = time.perf_counter() - start

print(f"Search: {seconds:.0f} s")
results = search.cv_results_
for params, mean in zip(results["params"], results["mean_test_score"], strict=True):
    shown = ", ".join(f"{name.split('__')[1]}={value}" for name, value in params.items())
    print(f"  {shown}: cross-validated accuracy {mean:.3f}")

# %%
# The test part, and a bare LSTM of the same size: the same estimator without a memory.

baseline = clone(search.best_estimator_).set_params(
    ntmsequenceclassifier__memory=None, ntmsequenceclassifier__controller="lstm"
)
baseline.fit(X_train, y_train)
print(f"Chosen: {search.best_params_}")
print(f"Test accuracy, memory network: {search.score(X_test, y_test):.4f}")
print(f"Test accuracy, bare LSTM:      {baseline.score(X_test, y_test):.4f}")

# %%
# Which speakers are taken for which others?

display = ConfusionMatrixDisplay.from_estimator(search, X_test, y_test, colorbar=False)
display.ax_.set_title("Speakers of the test part")
display.figure_.savefig("speaker_confusion.png", dpi=120)

# %%
# What the heads attended to in the first utterance of the test part: which rows of the
# memory were written and read at each step.

trace = MemoryTraceDisplay.from_estimator(search, utterances_test[0]).plot()
trace.figure_.suptitle("One utterance: inputs, and where the heads wrote and read")
trace.figure_.savefig("speaker_attention.png", dpi=120)
plt.close("all")
print("Pictures: speaker_confusion.png, speaker_attention.png")
