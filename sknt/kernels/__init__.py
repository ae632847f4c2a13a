"""Compiled kernels: forward and backward over whole sequences of unequal length.

Each mirrors, stage by stage, what ``sknt.memories``, ``sknt.ops`` and ``sknt.nn`` say in
torch, which is the specification. Nothing here is imported before it is used, for numba
takes a while to load. ``engine`` is what the rest of the package calls, with ``blocks``
(threads) and ``buffers``; ``sequences`` has the loops over time; ``ntm`` and
``controllers`` the stages of a step; ``products`` the matrix products; ``functions`` the
elementary functions; ``layout`` and ``parameters`` say what is where.
"""
