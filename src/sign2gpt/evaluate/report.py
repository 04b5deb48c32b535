"""The report of a run as one page that needs nothing but its own folder."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #22303c; max-width: 62rem; margin: 2rem auto;
       padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .35rem .9rem; border-bottom: 1px solid #d9dfe4; text-align: right; }
th.text, td.text { text-align: left; }
img, video { max-width: 100%; border-radius: 6px; }
figure { margin: 1rem 0 2rem; } .clip { display: flex; gap: 1.2rem; align-items: flex-start; }
.clip video { width: 14rem; flex: none; } .note { color: #5b6b78; }
dt { color: #5b6b78; font-size: .85rem; } dd { margin: 0 0 .6rem; }
"""


@dataclass(frozen=True)
class Example:
    """A translated clip, with paths relative to the page."""

    clip: str
    reference: str
    hypothesis: str
    picture: str


def table(head: Sequence[str], rows: Sequence[Sequence[str | float]]) -> str:
    """An HTML table, words to the left and numbers, one decimal or two below 1, to the right."""

    def cell(value: str | float) -> str:
        if isinstance(value, str):
            return html.escape(value)
        return f"{value:.2f}" if abs(value) < 1 else f"{value:.1f}"

    def is_word(value: str | float) -> bool:
        return isinstance(value, str) and not value[:1].isdigit()

    marks = [
        ' class="text"' if any(map(is_word, column)) else "" for column in zip(*rows, strict=True)
    ]
    marks = marks or [""] * len(head)

    def line(tag: str, cells: Iterable[str]) -> str:
        return "".join(f"<{tag}{mark}>{c}</{tag}>" for mark, c in zip(marks, cells, strict=True))

    parts = [line("th", map(html.escape, head)), *(line("td", map(cell, row)) for row in rows)]
    return "<table>" + "".join(f"<tr>{part}</tr>" for part in parts) + "</table>"


def write_report(
    folder: Path,
    title: str,
    introduction: str,
    tables: Mapping[str, str],
    examples: Sequence[Example],
    curves: str,
    command: str,
) -> Path:
    """Write ``index.html`` into the report's folder.

    Args:
        introduction: a paragraph of plain text.
        tables: heading and HTML of each table.
        examples: translated clips.
        curves: path of the picture of training curves, relative to the page.
        command: the shell command that the reader can try next.
    """
    sections = [f"<h2>{html.escape(name)}</h2>{body}" for name, body in tables.items()]
    shown = [
        f'<div class="clip"><video src="{e.clip}" controls loop muted></video><dl>'
        f"<dt>reference</dt><dd>{html.escape(e.reference)}</dd>"
        f"<dt>translation</dt><dd>{html.escape(e.hypothesis)}</dd></dl></div>"
        f'<figure><img src="{e.picture}" alt="where each word was found"></figure>'
        for e in examples
    ]
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(introduction)}</p>"
        + "".join(sections)
        + "<h2>Clips never seen in training</h2>"
        + "".join(shown)
        + f'<h2>Training</h2><figure><img src="{curves}" alt="training curves"></figure>'
        + f"<h2>Try it</h2><pre>{html.escape(command)}</pre></html>"
    )
    path = folder / "index.html"
    path.write_text(page, encoding="utf-8")
    return path
