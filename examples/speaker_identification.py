"""
Who is speaking? A memory network on spoken vowels
==================================================

Nine men say two Japanese vowels. Each utterance has 7 to 29 steps of 12 numbers (linear
prediction coefficients of the sound), and the task is to identify the speaker. The
utterances have unequal lengths, so they are padded: absent steps are NaN. Memory size and
number of read heads are selected by cross-validation on the training set. The test set is
used only once, at the end.

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
# The utterances are loaded as a list of tables of unequal length. After padding, the
# shorter ones end in steps of NaN.

utterances_train, y_train = load_japanese_vowels("train", return_type="df-list")
utterances_test, y_test = load_japanese_vowels("test", return_type="df-list")
X_train, X_test = pad_sequences(utterances_train), pad_sequences(utterances_test)
print(f"Training set: {X_train.shape}, test set: {X_test.shape}")

# %%
# The pipeline consists of a scaler, which is fitted only to the steps that are present, and
# a network with a GRU controller. The search covers the memory size and the number of read
# heads. With ``n_convolutions=0`` the network predicts alone, so networks are compared.

network = NTMSequenceClassifier(
    controller="gru", n_convolutions=0, max_epochs=max_epochs, random_state=seed
)
pipeline = make_pipeline(StepwiseTransformer(StandardScaler()), network)
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
# Evaluate on the test set, and compare with a bare LSTM of the same size, which is the same
# estimator without a memory, and with the network beside a regression on random
# convolutions, which is the default.

baseline = clone(search.best_estimator_).set_params(
    ntmsequenceclassifier__memory=None, ntmsequenceclassifier__controller="lstm"
)
baseline.fit(X_train, y_train)
blend = clone(search.best_estimator_).set_params(
    ntmsequenceclassifier__n_convolutions="auto"
)
blend.fit(X_train, y_train)
print(f"Selected: {search.best_params_}")
print(f"Test accuracy, memory network: {search.score(X_test, y_test):.4f}")
print(f"Test accuracy, bare LSTM:      {baseline.score(X_test, y_test):.4f}")
print(f"Test accuracy, blend:          {blend.score(X_test, y_test):.4f}")

# %%
# Which speakers are mistaken for which others?

display = ConfusionMatrixDisplay.from_estimator(search, X_test, y_test, colorbar=False)
display.ax_.set_title("Speakers in the test set")
display.figure_.savefig("speaker_confusion.png", dpi=120)

# %%
# What the heads attended to in the first utterance of the test set: which rows of the
# memory were written and read at each step.

trace = MemoryTraceDisplay.from_estimator(search, X_test[0]).plot()
trace.figure_.suptitle("One utterance: inputs, and where the heads wrote and read")
trace.figure_.savefig("speaker_attention.png", dpi=120)
plt.close("all")
print("Figures: speaker_confusion.png, speaker_attention.png")
