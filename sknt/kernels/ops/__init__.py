"""Stages of a step that memories' kernels share, as ``sknt.ops`` has them in torch.

All are for one sequence. Letters: N memory rows (``d.rows``), W row width (``d.width``). A
memory matrix is kept transposed, (W, N), so that loops run over adjacent numbers.
"""
