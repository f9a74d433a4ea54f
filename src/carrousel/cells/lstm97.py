"""The memory-cell block of 1997: an input and an output gate around constant error carrousels."""

from __future__ import annotations

from carrousel.contracts import Cell


def lstm97(
    blocks: int,
    block_size: int = 1,
    *,
    g: str = "[-2,2]",
    h: str = "[-1,1]",
    output_gate: bool = True,
) -> Cell:
    """Describe a hidden layer of memory-cell blocks without forget gates.

    The state of cell ``c`` in block ``j`` is a self-connected linear unit of fixed weight 1, so an
    error inside it flows back unscaled for any number of steps:

        s_c(t) = s_c(t-1) + y_in_j(t) g(net_c(t)),     y_c(t) = y_out_j(t) h(s_c(t))

    Args:
        blocks: number of blocks; each has an input gate and an output gate of its own.
        block_size: cells of a block, which share its gates.
        g: range of the cell-input squashing; eq. (5) is ``"[-2,2]"``.
        h: range of the cell-output squashing; eq. (4) is ``"[-1,1]"``.
        output_gate: Experiment 2a does without.

    Raises:
        SettingError: a number is not a whole number from 1 to 4096.
        UnknownNameError: a range is not in ``carrousel.contracts.SQUASHES``.

    Source: Hochreiter & Schmidhuber 1997, section 4, equations (3) to (9).

    >>> lstm97(2, 2).n_cells
    4
    """
    return Cell(blocks, block_size, g=g, h=h, output_gate=output_gate)
