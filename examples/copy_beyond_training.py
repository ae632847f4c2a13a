"""
Copy: generalising beyond the training length
=============================================

This is the first task of the Neural Turing Machine (Graves 2014, section 4.1): read a
sequence of random bits, then output it. A network that has learned the algorithm, rather
than the examples, copies sequences several times longer than any in training.
"""

import os
import time
from functools import partial

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from sknt import NTMSequenceClassifier
from sknt.datasets import make_copy
from sknt.inspection import MemoryTraceDisplay

n_chunks = int(os.environ.get("SKNT_EXAMPLE_CHUNKS", "60"))

# %%
# The sequences have 1 to 20 steps of 8 bits, and every epoch uses new ones. Where there is
# nothing to recall, y is NaN; those steps count neither in the loss nor in the score.
# Training ends by itself once the task is learned and consolidated.

model = NTMSequenceClassifier(return_sequences=True, max_epochs=n_chunks, random_state=0)
start = time.perf_counter()
model.fit(partial(make_copy, 100))
seconds = time.perf_counter() - start
print(f"{model.history_[-1]['n_sequences']} sequences in {seconds:.0f} s")

# %%
# Count the wrong bits within the lengths of training and beyond them.

for length in (10, 20, 40, 80, 120):
    X_new, y_new = make_copy(
        n_samples=50, min_length=length, max_length=length, random_state=1
    )
    has_target = ~np.isnan(y_new)
    wrong = np.mean(model.predict(X_new)[has_target] != y_new[has_target])
    print(f"length {length:3d}: {100 * wrong:.2f} % of the bits are wrong")

# %%
# The heads show how the network does it: the write head moves on by one row at each step,
# then the read head returns to the first row and follows the same path.

X_long, y_long = make_copy(n_samples=1, min_length=40, max_length=40, random_state=2)
trace = MemoryTraceDisplay.from_estimator(model, X_long[0]).plot()
trace.figure_.suptitle("Copying 40 steps after training on 1 to 20")
trace.figure_.savefig("copy_heads.png", dpi=120)
plt.close("all")
print("Figure: copy_heads.png")
