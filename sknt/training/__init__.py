"""Training: from checked data to a trained net.

``data`` and ``batches`` say what is trained on; ``building`` makes the net; ``net`` has its
loss and training step, ``perturbations`` what a consolidation adds to them, ``prediction``
and ``state`` what the names say. ``progress`` decides what each update is. ``loop`` trains,
in one transaction. ``guard``, ``epochs`` and ``curriculum`` are callbacks of skorch,
``interrupts`` tells their way to stop from Ctrl-C, and ``optimizers`` has Muon and the
settings of the others.
"""
