"""Files are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from carrousel.errors import SettingError


def write_text(path: str | Path, text: str) -> None:
    """Write a file under a temporary name and move it into place.

    What is no ordinary file, as ``/dev/stdout``, is written to directly.

    Raises:
        SettingError: it cannot be written.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            _replace(path.resolve(), text)  # a link stays a link
    except OSError as error:
        raise SettingError(
            f"{path} cannot be written ({error.strerror}); choose another file"
        ) from error


def _replace(path: Path, text: str) -> None:
    file = tempfile.NamedTemporaryFile(  # noqa: SIM115  (closed before it is moved)
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    )
    temporary = Path(file.name)
    try:
        with file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The permissions that new files do without; a temporary file starts with fewer."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
