"""The page ``docs/foreign.md``: results of other packages with our layers and with torch's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.pages.render import render

from carrousel.experiments.report.markdown import escaped, table

EQUAL = "equal"


def foreign_page(measured: Mapping[str, Any]) -> str:
    """Write the page from the results of ``make foreign``."""
    packages = measured["packages"]
    return render(
        "foreign.md",
        equal=sum(found["status"] == EQUAL for found in packages.values()),
        count=len(packages),
        torch=", ".join(sorted(_versions_of_torch(packages))),
        packages=table(
            ["package", "version", "layers", "exchanged by", "largest difference", "result"],
            [_package(name, found) for name, found in packages.items()],
            "llllrl",
        ),
        problems=[
            (name, found["status"], escaped(found["reason"]))
            for name, found in packages.items()
            if "reason" in found
        ],
        values=table(
            ["package", "value", "difference", "tolerance", "wrong weights"],
            [
                [
                    *(name, row["value"]),
                    *(_number(row[key]) for key in ("difference", "tolerance")),
                    _number(row["wrong"]) if "wrong" in row else "",
                ]
                for name, found in packages.items()
                for row in found.get("rows", ())
            ],
            "llr",
        ),
        learn=_learn(measured.get("learn")),
    )


def _versions_of_torch(packages: Mapping[str, Any]) -> set[str]:
    """Versions without the part after the plus sign, which names the build."""
    versions = (found["versions"]["torch"] for found in packages.values() if "versions" in found)
    return {version.partition("+")[0] for version in versions}


def _package(name: str, found: Mapping[str, Any]) -> list[str]:
    if "rows" not in found:
        version = found.get("versions", {}).get(name, "–")  # noqa: RUF001
        return [name, version, "–", "–", "–", f"**{found['status']}**"]  # noqa: RUF001
    version = "<br>".join(
        number if of == name else f"{of} {number}"
        for of, number in found["versions"].items()
        if of != "torch"
    )
    status = found["status"]
    return [
        name,
        version,
        ", ".join(f"{count} {kind}" for kind, count in found["layers"].items()),
        found["swap"],
        _number(max(row["difference"] for row in found["rows"])),
        status if status == EQUAL else f"**{status}**",
    ]


def _learn(learn: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The times of RecurrentPPO, as variables of the template."""
    if not learn or "rows" not in learn:
        return None
    rows = [
        [
            str(row["units"]),
            f"{row['torch_s']:.2f}",
            f"{row['carrousel_s']:.2f}",
            "{1:.2f} ({0:.2f} to {2:.2f})".format(*row["ratio"]),
        ]
        for row in learn["rows"]
    ]
    heads = ["units", "torch, s", "carrousel, s", "carrousel / torch"]
    return {
        "steps": f"{learn['steps']:,}",
        "repeats": learn["repeats"],
        "processor": learn["machine"]["processor"],
        "table": table(heads, rows, "r"),
    }


def _number(value: float) -> str:
    return f"{value:.1g}" if value else "0"
