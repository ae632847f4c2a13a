"""Compiled kernels: forward and backward over whole sequences of unequal length.

Each mirrors, stage by stage, what ``sknt.memories``, ``sknt.ops`` and ``sknt.nn`` say in
torch, which is the specification. Nothing here is imported before it is used, because numba
takes a while to load. ``engine`` is what the rest of the package calls, with ``blocks``
(threads) and ``buffers``. ``driver`` has the loops over time, ``controllers`` and
``memories`` the stages of a step, ``ops`` those that memories share, ``products`` the
matrix products and ``functions`` the elementary functions. ``layout``, ``states`` and
``parameters`` define where everything is in memory.
"""
