"""A few shapes and labels of SVG, enough for the paper's drawings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

FONT = "New Computer Modern, Latin Modern Roman, Georgia, serif"
INK, FAINT, GREY = "#222222", "#dddddd", "#777777"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"
_HEAD = 7.0
"""Length of the head of an arrow."""
_SMALL = 0.72
"""Size of an index relative to its letter."""

Point = tuple[float, float]


@dataclass
class Drawing:
    """A picture under construction.

    Args:
        width: in pixels.
        height: in pixels.
        title: a description for readers who do not see the picture.
    """

    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def line(
        self, *points: Point, colour: str = INK, width: float = 1.2, dashed: bool = False
    ) -> None:
        """Draw a line through points."""
        along = " ".join(f"{x:g},{y:g}" for x, y in points)
        dashes = ' stroke-dasharray="5 3"' if dashed else ""
        self.parts.append(
            f'<polyline points="{along}" fill="none" stroke="{colour}" '
            f'stroke-width="{width:g}"{dashes}/>'
        )

    def arrow(self, *points: Point, colour: str = INK, dashed: bool = False) -> None:
        """Draw a line with a head at its last point; the last part must be parallel to an axis."""
        (x0, y0), (x, y) = points[-2:]
        across, down = _sign(x - x0), _sign(y - y0)
        base = (x - across * _HEAD, y - down * _HEAD)
        self.line(*points[:-1], base, colour=colour, dashed=dashed)
        half = _HEAD / 2
        corners = [
            (x, y),
            (base[0] + down * half, base[1] + across * half),
            (base[0] - down * half, base[1] - across * half),
        ]
        along = " ".join(f"{a:g},{b:g}" for a, b in corners)
        self.parts.append(f'<polygon points="{along}" fill="{colour}"/>')

    def circle(
        self, x: float, y: float, radius: float, *, fill: str = "#ffffff", colour: str = INK
    ) -> None:
        self.parts.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}" stroke="{colour}" '
            f'stroke-width="1.2"/>'
        )

    def box(
        self, x: float, y: float, width: float, height: float, *, fill: str, colour: str = "none"
    ) -> None:
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" '
            f'stroke="{colour}" stroke-width="1.2"/>'
        )

    def path(self, shape: str, *, colour: str = INK) -> None:
        self.parts.append(f'<path d="{shape}" fill="none" stroke="{colour}" stroke-width="1.2"/>')

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        anchor: str = "middle",
        size: float = 13,
        colour: str = INK,
    ) -> None:
        """Write words; ``anchor`` is ``start``, ``middle`` or ``end``."""
        self._write(x, y, escape(words), anchor, size, colour)

    def formula(
        self,
        x: float,
        y: float,
        pieces: Sequence[tuple[str, str]],
        *,
        anchor: str = "middle",
        size: float = 14,
        colour: str = INK,
    ) -> None:
        """Write pieces of a formula.

        Args:
            pieces: each with its style: ``it`` for italics, ``up`` for upright, ``sub`` and ``sup``
                for indices.
        """
        shift, written = 0.0, []
        for style, words in pieces:
            wanted = {"sub": 0.28, "sup": -0.42}.get(style, 0.0) * size
            dy = f' dy="{wanted - shift:.2f}"' if wanted != shift else ""
            small = f' font-size="{size * _SMALL:.1f}"' if style in ("sub", "sup") else ""
            slant = ' font-style="italic"' if style == "it" else ""
            written.append(f"<tspan{dy}{small}{slant}>{escape(words)}</tspan>")
            shift = wanted
        self._write(x, y, "".join(written), anchor, size, colour)

    def _write(
        self, x: float, y: float, inside: str, anchor: str, size: float, colour: str
    ) -> None:
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size:g}" '
            f'fill="{colour}">{inside}</text>'
        )

    def svg(self) -> str:
        """The picture as a file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" '
            f'height="{self.height}" viewBox="0 0 {self.width} {self.height}" '
            f'font-family="{FONT}" role="img">'
        )
        return "\n".join([head, f"<title>{escape(self.title)}</title>", *self.parts, "</svg>", ""])


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
