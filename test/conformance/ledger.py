"""The ledger: what each case of the suite does today, in git.

One line per case, `<group>/<name> pass` or `<group>/<name> refused: <reason>`.
Nothing else is ever an accepted entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pool import FAULTS, Result

REASON_LENGTH = 240
HEADER = """\
# What each case of ONNX's backend suite, and of our own, does in {form} form: pass, or refused
# with the reason. Written by `test/conformance/run.py --update`; see test/conformance/README.md.
"""


def entry(result: Result) -> str:
    """The ledger's words for a result that is acceptable."""
    return "pass" if result.status == "pass" else f"refused: {reason(result.detail)}"


def reason(message: str) -> str:
    """A refusal in one line: parts that repeat once, without the model's name."""
    parts: dict[str, None] = {}
    for line in message.splitlines():
        line = re.sub(r"\s+", " ", line).strip().removeprefix("<memory>: ")
        if line:
            parts[line] = None
    text = "; ".join(parts)
    return text if len(text) <= REASON_LENGTH else text[: REASON_LENGTH - 1] + "…"


def read(path: Path) -> dict[str, str]:
    """Case -> entry. Raises ValueError on an entry that is never accepted."""
    entries: dict[str, str] = {}
    if not path.exists():
        return entries
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        case, _, text = line.partition(" ")
        if text != "pass" and not re.fullmatch(r"refused: \S.*", text):
            raise ValueError(f"{path}:{number}: '{text}' is not an entry (pass, refused: reason)")
        if case in entries:
            raise ValueError(f"{path}:{number}: {case} stands here twice")
        entries[case] = text
    return entries


def write(path: Path, form: str, entries: dict[str, str]) -> None:
    lines = [f"{case} {text}\n" for case, text in sorted(entries.items())]
    path.write_text(HEADER.format(form=form) + "".join(lines))


@dataclass
class Verdict:
    """How results compare with the ledger; each difference fails the run."""

    agree: int = 0
    differences: list[str] = field(default_factory=list)


def check(entries: dict[str, str], results: Iterable[Result]) -> Verdict:
    verdict = Verdict()
    for result in results:
        recorded = entries.get(result.case)
        if result.status in FAULTS:
            verdict.differences.append(f"{result.case}: {result.status} (never accepted)")
            continue
        found = entry(result)
        if found == recorded:
            verdict.agree += 1
        elif recorded is None:
            verdict.differences.append(f"{result.case}: {found} (not in the ledger)")
        elif recorded == "pass":
            verdict.differences.append(f"{result.case}: broke, passed before: {found}")
        elif found == "pass":
            verdict.differences.append(f"{result.case}: mended, was {recorded}")
        else:
            verdict.differences.append(f"{result.case}: {found}, was {recorded}")
    return verdict


def update(entries: dict[str, str], results: Iterable[Result], all_cases: set[str]) -> None:
    """Brings entries up to date; cases at fault or gone lose theirs."""
    for result in results:
        if result.status in FAULTS:
            entries.pop(result.case, None)
        else:
            entries[result.case] = entry(result)
    for case in set(entries) - all_cases:
        del entries[case]
