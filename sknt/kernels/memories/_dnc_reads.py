"""Where the DNC reads, forward and backward: by content, or along the links.

Letters and layout are those of ``sknt.kernels.memories.dnc``.
"""

from sknt.kernels._compile import helper, stage
from sknt.kernels.ops.linkage import (
    link_and_follow,
    links_backward,
    precede,
    precede_backward,
)
from sknt.kernels.ops.lookup import (
    compare,
    look_up_backward,
    lookup_room,
    weigh,
)
from sknt.kernels.ops.sharpening import sharpen, sharpen_again, sharpen_backward
from sknt.kernels.pointers import at, copy, number, plain
from sknt.kernels.products import multiply, multiply_transposed


@helper
def targets_of(d, targets, mode):
    """Return a pointer to where a mode leads the read heads."""
    return at(targets, mode * d.read_heads * d.rows)


@stage
def follow_links(d, state, history):
    """Link what was written, and move read heads along the links."""
    n = d.rows
    for v in range(d.write_heads):
        focus, precedence = at(history.write_weights, v * n), at(state.precedence, v * n)
        link_and_follow(
            n,
            d.read_heads,
            focus,
            precedence,
            at(state.links, v * n * n),
            state.read_weights,
            targets_of(d, history.targets, v),
            targets_of(d, history.targets, d.write_heads + 1 + v),
        )
        precede(n, focus, precedence, precedence)


@stage
def place_reads(d, interface, memory, history, scratch):
    """Weigh where each read head reads: by content, or along the links."""
    n, one, put = d.rows, plain(1), plain(False)
    key, mask, masks = interface.key, interface.mask, d.masks != 0
    room = lookup_room(d, plain(0), history, scratch)
    compare(d, d.read_heads, key, mask, masks, memory, room)
    content = targets_of(d, history.targets, d.write_heads)
    weigh(d, d.read_heads, interface.strength, room.cosines, content)
    targets = _sharpen(d, interface, history, scratch)
    for r in range(d.read_heads):
        modes, of_head = at(interface.modes, r * d.modes), at(targets, r * n)
        focus, stride = at(history.read_weights, r * n), d.read_heads * n
        multiply(one, n, d.modes, modes, d.modes, one, of_head, stride, focus, n, put)


@helper
def _direction(d, forth, history, scratch):
    """Return pointers to what links lead to, backwards (0) or forwards (1), and more.

    These are the weightings, their logarithms, the totals and the sharpened weightings.
    """
    first = forth * (d.write_heads + 1) * d.read_heads * d.rows
    totals = at(history.totals, forth * d.write_heads * d.read_heads)
    followed, logs = at(history.targets, first), at(history.logs, first)
    return followed, logs, totals, at(scratch.sharpened, first)


@stage
def _sharpen(d, interface, history, scratch):
    """Return where the modes lead after sharpening, if there is any."""
    if not d.sharpens:
        return history.targets
    for forth in range(2):
        followed, logs, totals, sharpened = _direction(d, forth, history, scratch)
        sharpness = at(interface.sharpness, forth)
        sharpen(
            d.rows,
            d.write_heads,
            d.read_heads,
            sharpness,
            followed,
            logs,
            sharpened,
            totals,
        )
    return _beside_contents(d, history, scratch)


@helper
def _beside_contents(d, history, scratch):
    """Copy the contents' weightings, which nothing sharpens, beside the sharpened ones."""
    content = targets_of(d, history.targets, d.write_heads)
    copy(d.read_heads * d.rows, content, targets_of(d, scratch.sharpened, d.write_heads))
    return scratch.sharpened


@stage
def read_backward(d, memory, history, d_state, d_reads):
    """Backpropagate from what was read to the weightings and the memory."""
    one, accumulate, n, width = plain(1), plain(True), d.rows, d.width
    multiply(
        d.read_heads,
        n,
        width,
        d_reads,
        width,
        one,
        memory,
        n,
        d_state.read_weights,
        n,
        accumulate,
    )
    multiply(
        width,
        n,
        d.read_heads,
        d_reads,
        one,
        width,
        history.read_weights,
        n,
        d_state.memory,
        n,
        accumulate,
    )


@stage
def place_reads_backward(d, interface, memory, history, d_state, gradient, scratch):
    """Backpropagate from read weightings to contents and to what links lead to.

    The gradients of the latter go to ``scratch.targets_gradient``.
    """
    n, reads, modes, one = d.rows, d.read_heads, d.modes, plain(1)
    put, accumulate, stride = plain(False), plain(True), reads * n
    targets = _sharpen_again(d, interface, history, scratch)
    for r in range(reads):
        mode, d_mode = at(interface.modes, r * modes), at(gradient.modes, r * modes)
        d_focus, target = at(d_state.read_weights, r * n), at(targets, r * n)
        d_target = at(scratch.targets_gradient, r * n)
        multiply_transposed(
            one, modes, n, d_focus, n, target, stride, d_mode, modes, accumulate
        )
        multiply(modes, n, one, mode, one, one, d_focus, n, d_target, stride, put)
    _sharpen_backward(d, interface, history, gradient, scratch)
    look_up_backward(
        d,
        plain(False),
        interface,
        memory,
        history,
        targets_of(d, history.targets, d.write_heads),
        targets_of(d, scratch.targets_gradient, d.write_heads),
        d_state.memory,
        gradient,
        scratch,
    )


@stage
def _sharpen_again(d, interface, history, scratch):
    """Return where the modes lead after sharpening, as :func:`_sharpen` does."""
    if not d.sharpens:
        return history.targets
    for forth in range(2):
        followed, logs, totals, sharpened = _direction(d, forth, history, scratch)
        sharpness = at(interface.sharpness, forth)
        powers = targets_of(d, scratch.powers, forth * (d.write_heads + 1))
        sharpen_again(
            d.rows,
            d.write_heads,
            d.read_heads,
            sharpness,
            followed,
            logs,
            totals,
            sharpened,
            powers,
        )
    return _beside_contents(d, history, scratch)


@stage
def _sharpen_backward(d, interface, history, gradient, scratch):
    """Backpropagate through the sharpening of what links lead to, if there is any."""
    if not d.sharpens:
        return
    for forth in range(2):
        followed, logs, totals, sharpened = _direction(d, forth, history, scratch)
        sharpness = at(interface.sharpness, forth)
        powers = targets_of(d, scratch.powers, forth * (d.write_heads + 1))
        slopes = targets_of(d, scratch.targets_gradient, forth * (d.write_heads + 1))
        sharpen_backward(
            d.rows,
            d.write_heads,
            d.read_heads,
            sharpness,
            followed,
            logs,
            totals,
            sharpened,
            powers,
            slopes,
            at(gradient.sharpness, forth),
        )


@stage
def follow_links_backward(d, before, history, d_state, scratch):
    """Backpropagate from what links led to, and from links and precedence.

    Gradients with respect to the read weightings replace those after the step.
    """
    n, zero, slopes = d.rows, number(before.links, 0.0), scratch.slopes_of_links
    part = d.read_heads * n
    copy(part, before.read_weights, at(slopes, part))
    for i in range(d.read_heads * n):
        d_state.read_weights[i] = zero
    for v in range(d.write_heads):
        focus, d_focus = at(history.write_weights, v * n), at(d_state.write_weights, v * n)
        precedence = at(before.precedence, v * n)
        d_precedence = at(d_state.precedence, v * n)
        copy(part, targets_of(d, scratch.targets_gradient, v), slopes)
        forward = targets_of(d, scratch.targets_gradient, d.write_heads + 1 + v)
        copy(part, forward, at(slopes, 2 * part))
        precede_backward(n, focus, precedence, d_precedence, d_focus)
        links_backward(
            n,
            d.read_heads,
            focus,
            precedence,
            at(before.links, v * n * n),
            slopes,
            d_state.read_weights,
            at(d_state.links, v * n * n),
            d_focus,
            d_precedence,
            scratch.links,
        )
