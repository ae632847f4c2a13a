"""What a D-NTM carries from step to step and receives in one, and the order of it all."""

from typing import NamedTuple

from torch import Tensor

from sknt.memories._heads import split_columns

_OF_ALL_HEADS = ("key", "strength", "recency", "gate", "shift", "gamma")


class DNTMState(NamedTuple):
    """What the memory carries from step to step.

    The read heads come first wherever there is one number or row for each head. Addresses
    stay as they are at first. The sums grow only where rows are drawn at random.
    """

    memory: Tensor  # rows [a_i ; c_i], address and content (batch, memory_size, word_size)
    usage: Tensor  # v (batch, n_heads, memory_size), without a gradient
    read_weights: Tensor  # (batch, n_read_heads, memory_size), one-hot if it is hard
    write_weights: Tensor  # (batch, n_write_heads, memory_size), likewise
    log_probability: Tensor  # Σ log p of the rows drawn so far (batch, n_heads)
    entropy: Tensor  # Σ H of what they were drawn from (batch, n_heads)
    draw: Tensor  # key, or SOFT or ARGMAX, and count of the draws so far (batch, 2)


class DNTMInterface(NamedTuple):
    """What the heads receive: read heads first, then write heads.

    ``gate``, ``shift`` and ``gamma`` have no columns without shifts, and ``baseline`` has
    none if addressing is soft.
    """

    key: Tensor  # k (batch, n_heads, word_size)
    strength: Tensor  # β (batch, n_heads, 1), >= 1
    recency: Tensor  # γ (batch, n_heads, 1), in [0, 1]: how much usage counts
    gate: Tensor  # g (batch, n_heads, 1), in [0, 1]
    shift: Tensor  # s (batch, n_heads, 2 * shift_range + 1), on the simplex
    gamma: Tensor  # exponent of sharpening (batch, n_heads, 1), >= 1
    erase: Tensor  # e (batch, n_write_heads, word_size - address_size), in [0, 1]
    candidate: Tensor  # W_m h + b, of erase's shape
    mix: Tensor  # α (batch, n_write_heads, 1), in [0, 1]
    given: Tensor  # W_x x, of erase's shape
    baseline: Tensor  # b(x) (batch, 1, 1)


class Fields(NamedTuple):
    """Sizes of the interface's fields, and where their columns come from.

    The columns come from the controller's output up to and including ``mix``, and from the
    step's inputs from ``mix`` on: both take part in ``mix``.
    """

    shapes: tuple[tuple[int, int], ...]  # (count, width) of each, in their order
    n_before: int  # columns before mix
    n_mix: int
    n_after: int  # columns after mix

    @property
    def sizes(self) -> list[int]:
        """Numbers of columns of the fields."""
        return [count * width for count, width in self.shapes]

    def split(self, columns: Tensor) -> DNTMInterface:
        """Split columns, (..., n_columns), into the fields."""
        return DNTMInterface(*split_columns(columns, self.shapes))

    def parts(self, n_read_heads: int) -> dict[str, dict[str, slice]]:
        """Name the rows of both projections by head and field: "read head 0: key"."""
        parts, start = {}, 0
        for field, (count, width) in zip(DNTMInterface._fields, self.shapes, strict=True):
            n_read = n_read_heads if field in _OF_ALL_HEADS else 0
            for head in range(count if width else 0):
                name = f"{_owner(field, head, n_read)}{field}"
                parts[name] = self._rows(start, start + width)
                start += width
        return parts

    def _rows(self, start: int, stop: int) -> dict[str, slice]:
        """Return the rows of the projections that columns of the interface come from."""
        rows: dict[str, slice] = {}
        if start < self.n_before + self.n_mix:
            of_hidden = slice(start, stop)
            rows |= {"projection.weight": of_hidden, "projection.bias": of_hidden}
        if stop > self.n_before:
            of_inputs = slice(start - self.n_before, stop - self.n_before)
            rows["input_projection.weight"] = of_inputs
        return rows


def make_fields(
    *,
    n_read_heads: int,
    n_write_heads: int,
    word_size: int,
    address_size: int,
    shift_range: int,
    is_hard: bool,
) -> Fields:
    """Return the sizes of the interface's fields."""
    n_heads, content_size = n_read_heads + n_write_heads, word_size - address_size
    moves = bool(shift_range)
    shapes = {
        "key": (n_heads, word_size),
        "strength": (n_heads, 1),
        "recency": (n_heads, 1),
        "gate": (n_heads, int(moves)),
        "shift": (n_heads, 2 * shift_range + 1 if moves else 0),
        "gamma": (n_heads, int(moves)),
        "erase": (n_write_heads, content_size),
        "candidate": (n_write_heads, content_size),
        "mix": (n_write_heads, 1),
        "given": (n_write_heads, content_size),
        "baseline": (1, int(is_hard)),
    }
    ordered = tuple(shapes[name] for name in DNTMInterface._fields)
    sizes = [count * width for count, width in ordered]
    mix = DNTMInterface._fields.index("mix")
    return Fields(ordered, sum(sizes[:mix]), sizes[mix], sum(sizes[mix + 1 :]))


def _owner(field: str, head: int, n_read: int) -> str:
    if field == "baseline":
        return ""
    return f"read head {head}: " if head < n_read else f"write head {head - n_read}: "
