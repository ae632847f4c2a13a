"""Training: from checked data to a trained net.

``data`` and ``batches`` hold the training data. ``building`` makes the net; ``net`` has its
loss and training step, ``perturbations`` what consolidation adds to them, ``prediction``
its outputs in batches, ``updates`` the loop over the batches of an epoch, and ``state``
its snapshots and pickles. ``progress`` decides what each update is. ``loop`` trains, in one
transaction; ``checkpoint`` holds what is restored if it fails. ``ongoing`` keeps a fit in a
file and goes on from it, ``running`` has the state that takes, and ``identity`` a digest of
what determines a fit. ``guard``, ``epochs`` and
``curriculum`` are skorch callbacks, ``interrupts`` distinguishes a callback's request to
stop from Ctrl-C, ``clipping`` has the norm of a gradient, ``adam`` torch's Adam with
less overhead, ``optimizers`` Muon and all settings, and ``devices`` tells which
devices can be used.
"""
