"""The packages, what each needs besides torch, and where its check is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
FOLDER = ROOT / "build" / "foreign"
RESULTS = ROOT / "benchmarks" / "results" / "foreign.json"


@dataclass(frozen=True)
class Package:
    """A package from PyPI.

    Attributes:
        requirements: what pip installs; the first has the name of the package.
        module: module of ``foreign.packages`` with the check.
        versions: distributions whose versions are saved, besides that of the package.
        removed: files to delete after installing, as patterns below ``site-packages``.
    """

    requirements: tuple[str, ...]
    module: str
    versions: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


PACKAGES = {
    "skorch": Package(("skorch",), "skorch"),
    "captum": Package(("captum",), "captum"),
    "sb3-contrib": Package(("sb3-contrib",), "sb3_contrib", ("stable-baselines3", "gymnasium")),
    "darts": Package(
        ("darts[torch]", "onnx", "onnxruntime", "onnxscript"), "darts", ("onnxruntime",)
    ),
    "torchrl": Package(("torchrl",), "torchrl", ("tensordict",)),
    # The libraries of torchaudio on PyPI need CUDA; torchaudio works without them.
    "speechbrain": Package(
        ("speechbrain",), "speechbrain", ("torchaudio",), ("torchaudio/lib/*.so",)
    ),
    "stanza": Package(("stanza",), "stanza"),
    "torchinfo": Package(("torchinfo",), "torchinfo"),
    "opacus": Package(("opacus",), "opacus"),
    "pytorch-forecasting": Package(("pytorch-forecasting",), "pytorch_forecasting", ("lightning",)),
}
