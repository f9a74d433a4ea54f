"""A small font of mathematics for a web page: without one on the system, MathML looks bad.

It is a part of STIX Two Math (SIL Open Font License), which the package ziamath contains.
"""

from __future__ import annotations

import base64
import io
import re
from importlib.resources import files

from carrousel.errors import MissingExtraError

_MATH = re.compile(r"<math.*?</math>", flags=re.DOTALL)
_FONT = "fonts/STIXTwoMath-Regular.ttf"
_UPRIGHT = range(0x20, 0x7F)
_ITALIC = (*range(0x1D434, 0x1D468), 0x210E, *range(0x1D6FC, 0x1D716))
"""Letters, ``h`` and Greek letters, to which a browser maps variables of one letter."""


def style_of(page: str) -> str:
    """Return a style sheet with the font of all formulas of an HTML page.

    Raises:
        MissingExtraError: ziamath or fontTools is not installed.
    """
    try:
        import ziamath
        from fontTools.subset import Options, Subsetter
        from fontTools.ttLib import TTFont
    except ImportError as error:
        raise MissingExtraError(
            f"the paper needs {error.name}; install it with: pip install 'carrousel[docs]'"
        ) from error
    written = "".join(re.sub(r"<[^>]*>", "", formula) for formula in _MATH.findall(page))
    file = io.BytesIO(files(ziamath).joinpath(_FONT).read_bytes())
    font = TTFont(file, recalcTimestamp=False)
    subsetter = Subsetter(Options(layout_features=["ssty", "kern"], hinting=False))
    subsetter.populate(unicodes={*map(ord, written), *_UPRIGHT, *_ITALIC})
    subsetter.subset(font)
    font.flavor = "woff"
    part = io.BytesIO()
    font.save(part)
    data = base64.b64encode(part.getvalue()).decode()
    return (
        '@font-face { font-family: "Paper Math"; src: url("data:font/woff;base64,'
        f'{data}") format("woff"); }}\nmath {{ font-family: "Paper Math", math; }}\n'
    )
