"""Typesets the paper: ``docs/paper/paper.md`` as HTML and PDF, in ``docs/paper``.

    python -m tools.typeset [FOLDER]

Pandoc reads the Markdown. Its HTML has equations in MathML and contains all pictures, styles and a
font of mathematics, so the file can be moved. For the PDF, Pandoc writes Typst, which has its own
fonts. All programs are wheels of PyPI with everything they need. The same Markdown gives the same
bytes: no date is written, and system fonts are not used.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import cast

from tools.typeset.font import style_of

from carrousel.errors import MissingExtraError
from carrousel.files import write_whole

HERE = Path(__file__).parent
PAPER = HERE.parents[1] / "docs" / "paper"
SOURCE = "paper.md"
_MARKDOWN = "markdown-implicit_figures-auto_identifiers-citations"
"""Pandoc's Markdown, without what other readers of the page would not show."""
_COMMON = ("--shift-heading-level-by=-1", "--columns=140", "--metadata=lang:en")
"""Sections are headings of the first level. Tables with longer lines have columns of relative
widths; in the others, columns are as wide as their text."""


def html(source: Path) -> str:
    """Convert the paper to one HTML file that contains its pictures.

    Raises:
        MissingExtraError: Pandoc, ziamath or fontTools is not installed.
    """
    options = ["--standalone", "--embed-resources", "--mathml", f"--css={HERE / 'style.css'}"]
    page = _pandoc(source, "html5", options)
    return page.replace("</head>", f"<style>\n{style_of(page)}</style>\n</head>", 1)


def pdf(source: Path) -> bytes:
    """Typeset the paper as PDF.

    Raises:
        MissingExtraError: Pandoc or Typst is not installed.
    """
    try:
        import typst
    except ImportError as error:
        raise _missing(error) from error
    options = ["--standalone", f"--include-in-header={HERE / 'style.typ'}"]
    text = _pandoc(source, "typst", [*options, f"--metadata-file={HERE / 'page.yaml'}"])
    folder = source.parent
    with NamedTemporaryFile("w", suffix=".typ", dir=folder, encoding="utf-8") as file:
        file.write(text)
        file.flush()  # paths of pictures are relative to this file, which must be below the root
        compiler = typst.Compiler(file.name, root=folder.parent, ignore_system_fonts=True)
        return cast(bytes, compiler.compile(format="pdf"))


def _pandoc(source: Path, target: str, options: list[str]) -> str:
    try:
        import pypandoc
    except ImportError as error:
        raise _missing(error) from error
    title, author, body = source.read_text(encoding="utf-8").split("\n\n", 2)
    about = [f"--metadata=title:{title.removeprefix('# ')}", f"--metadata=author:{author}"]
    paths = [f"--resource-path={source.parent}"]
    every = [*_COMMON, *about, *paths, *options]
    return pypandoc.convert_text(body, target, format=_MARKDOWN, extra_args=every)


def _missing(error: ImportError) -> MissingExtraError:
    return MissingExtraError(
        f"the paper needs {error.name}; install it with: pip install 'carrousel[docs]'"
    )


def main(arguments: list[str] | None = None) -> int:
    """Write ``paper.html`` and ``paper.pdf`` next to the Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=PAPER, help="folder of paper.md")
    folder = parser.parse_args(arguments).folder
    try:
        made = {"paper.html": html(folder / SOURCE).encode(), "paper.pdf": pdf(folder / SOURCE)}
    except MissingExtraError as error:
        print(error, file=sys.stderr)
        return 2
    for name, data in made.items():
        write_whole(folder / name, data)
        print(f"written: {folder / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
