"""
``python plots.py RESULTS.JSON FOLDER``: the pictures of the last run. Runs in the harness's
environment.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

_OURS, _TARGET = "#2a7f9e", "#c0392b"
_SHAPES = ("messages", "tools", "references", "chunks")


def ratios(verdicts: list[dict[str, Any]], path: Path) -> None:
    """Ours divided by the raw SDK's, with quartiles, targets, and every peer's median."""
    rows = [
        found
        for found in verdicts
        if not found["absolute"] and found["ratio"] and found["figures"].get("raw SDK")
    ]
    rows.reverse()
    figure, axes = plt.subplots(figsize=(10, 0.36 * len(rows) + 1.6))
    peers = sorted({name for row in rows for name in row["figures"]} - {"aigc-kit", "raw SDK"})
    colors = dict(zip(peers, plt.get_cmap("tab10").colors, strict=False))
    for place, row in enumerate(rows):
        low, middle, high = row["ratio"]
        axes.barh(place, middle, color=_OURS, height=0.62, label="aigc-kit" if place == 0 else None)
        axes.errorbar(
            middle, place, xerr=[[middle - low], [high - middle]], color="black", linewidth=1
        )
        label = "target" if place == 0 else None
        axes.plot(
            [row["target"]] * 2,
            [place - 0.42, place + 0.42],
            color=_TARGET,
            linewidth=2,
            label=label,
        )
        for name in peers:
            if name in row["figures"]:
                ratio = row["figures"][name][1] / row["figures"]["raw SDK"][1]
                axes.plot(ratio, place, "o", color=colors[name], markersize=5)
    for name in peers:
        axes.plot([], [], "o", color=colors[name], label=name)
    axes.axvline(1, color="grey", linestyle=":", linewidth=1)
    axes.set_yticks(range(len(rows)), [row["work"] for row in rows])
    axes.set_xscale("log")
    axes.set_xlabel("CPU time, the raw SDK = 1 (less is better)")
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.3, -0.9 / len(rows) * 1.6), ncols=4, frameon=False
    )
    figure.savefig(path, dpi=110, bbox_inches="tight")


def growth(curves: dict[str, list[dict[str, float]]], path: Path) -> None:
    """CPU over the size of the work, on double logarithmic scales."""
    shapes = [shape for shape in _SHAPES if any(name.startswith(shape) for name in curves)]
    figure, grid = plt.subplots(1, len(shapes), figsize=(3.8 * len(shapes), 3.6), squeeze=False)
    for axes, shape in zip(grid[0], shapes, strict=True):
        for name, points in curves.items():
            if name.startswith(shape):
                sizes = [point["n"] for point in points]
                axes.loglog(
                    sizes, [point["cpu"] * 1e3 for point in points], "o-", label=name.split(", ")[1]
                )
        left, right = axes.get_xlim()
        bottom, top = axes.get_ylim()
        axes.loglog([left, right], [top * left / right, top], ":", color="grey", label="linear")
        axes.set(xlabel=shape, xlim=(left, right), ylim=(bottom, top))
        axes.legend(frameon=False, fontsize=8)
    grid[0][0].set_ylabel("CPU of one call or stream, ms")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    facts = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    ratios(facts["verdicts"], folder / "ratios.png")
    if facts["growth"]:
        growth(facts["growth"], folder / "growth.png")


if __name__ == "__main__":
    main()
