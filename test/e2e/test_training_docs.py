"""docs/training.md lists what there is: each loss, optimiser, schedule and metric, with each setting
and its default."""

from __future__ import annotations

import re

import pytest

from support import ROOT, nacre


def table(listed: str) -> dict[str, dict[str, str]]:
    """Names and their settings with defaults, as `nacre train --list-...` prints them."""
    entries: dict[str, dict[str, str]] = {}
    for line in listed.splitlines():
        if line.startswith("      "):
            key, _, default = line.split()[0].partition("=")
            entries[name][key] = default
        else:
            name = re.match(r"  ([\w:-]+):", line)[1]
            entries[name] = {}
    return entries


@pytest.mark.parametrize("kind", ["losses", "optimizers", "schedules", "metrics"])
def test_documented(kind: str) -> None:
    entries = table(nacre("train", f"--list-{kind}").out)
    assert len(entries) >= 9
    rows = [row for row in (ROOT / "docs/training.md").read_text().splitlines() if row.startswith("| `")]
    common = {"warmup", "warmup_start", "by"}
    missing = []
    for name, settings in entries.items():
        if name == "output:NAME":
            continue
        row = next((row for row in rows if f"`{name}`" in row.split("|")[1]), None)
        if row is None:
            missing.append(name)
            continue
        inherited = "as adam" in row
        for key, default in settings.items():
            found = re.search(rf"`{key}(=[^`]*)?`", row)
            if key in common or (inherited and not found):
                continue
            if not found:
                missing.append(f"{name}: {key}")
            elif re.fullmatch(r"[-\d.e]+", default) and found[1] and float(found[1][1:]) != float(default):
                missing.append(f"{name}: {key} is {default}")
    assert not missing
