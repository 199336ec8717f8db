"""The page of `nacre report --html` in a headless browser.

The browser loads a file, runs its scripts, prints the DOM and ends: no driver and no
protocol. The page reads `#kernel=…&search=…`, so a test gets to each state by an address.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[2] / "tools" / "nacre" / "report.html"
# (Debian's chromium-headless-shell, see tools/dev/packages.txt; a developer's own will do too)
NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
# Elements without an end in HTML; SVG's are ended by the browser's serializer.
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())


@dataclass
class Element:
    """An element of the DOM as the browser printed it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    def __getitem__(self, attribute: str) -> str:
        return self.attributes[attribute]

    def all(self, tag: str | None = None, classed: str | None = None, **attributes: str) -> list[Element]:
        """All elements inside, in order; `data_kernel="3"` asks for data-kernel."""
        found = []
        for child in self.children:
            if isinstance(child, str):
                continue
            if (
                (tag is None or child.tag == tag)
                and (classed is None or classed in child.classes)
                and all(child.attributes.get(k.replace("_", "-")) == v for k, v in attributes.items())
            ):
                found.append(child)
            found += child.all(tag, classed, **attributes)
        return found

    def by_id(self, name: str) -> Element:
        found = self.all(id=name)
        assert len(found) == 1, f"{len(found)} elements have the id {name}"
        return found[0]


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {k: v or "" for k, v in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> ends <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


@dataclass(frozen=True)
class Page:
    """A page after its scripts have run."""

    root: Element
    # What the page's own handlers caught, and what the browser's console said.
    errors: str
    console: str


def browser() -> str:
    """The path of the browser; that there is none is a fault of the machine's setup."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    raise FileNotFoundError(f"no browser of {', '.join(NAMES)}: tools/dev/setup installs one")


def filled(report: dict) -> str:
    """The page with this report in it, put in as the command does."""
    template = TEMPLATE.read_text(encoding="utf-8")
    assert template.count("REPORT") == 1
    return template.replace("REPORT", json.dumps(report).replace("<", "\\u003c"))


def open_file(path: Path, fragment: str = "", *, options: tuple[str, ...] = ()) -> Page:
    """Opens a written page, say the command's, at `#fragment`."""
    with tempfile.TemporaryDirectory() as profile:
        ran = subprocess.run(
            [
                browser(),
                "--headless",
                "--no-sandbox",  # tests run as root in containers
                "--disable-gpu",
                "--disable-dev-shm-usage",
                f"--user-data-dir={profile}",
                "--window-size=1280,1000",
                "--enable-logging=stderr",
                "--virtual-time-budget=5000",
                *options,
                "--dump-dom",
                path.resolve().as_uri() + ("#" + fragment if fragment else ""),
            ],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    builder = _Builder()
    builder.feed(ran.stdout)
    builder.close()
    (html,) = builder.root.all("html")
    assert html.attributes.get("data-ready") == "yes", f"the page's script did not end: {ran.stderr}"
    console = "\n".join(line for line in ran.stderr.splitlines() if "CONSOLE" in line)
    return Page(html, html.attributes.get("data-errors", ""), console)


def open_page(report: dict, fragment: str = "") -> Page:
    """Opens the page with this report in it, at `#fragment`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(filled(report), encoding="utf-8")
        return open_file(path, fragment)
