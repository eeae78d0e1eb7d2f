"""A page that needs nothing but itself: its style, tables in boxes of their own, figures, images inside the file.

The look of a document: one accent colour, dark letters on white, wide and narrow screens, paper. A browser is
    told to load
nothing from anywhere and to run nothing.
"""

import base64
from collections.abc import Sequence

from tipai_jax.render import svg
from tipai_jax.render.markup import Markup, element, join

__all__ = ["code", "figure", "image", "note", "notes", "page", "section", "table", "verdict"]

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --faint: #57606a; --line: #dde2e8; --pale: #f5f7f9; --accent: #0b5cad; }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: #fff; color: var(--ink); overflow-wrap: break-word; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 1152px; margin: 0 auto; padding: 40px 16px 64px; }
h1 { font-size: clamp(30px, 5vw, 44px); line-height: 1.15; letter-spacing: -.015em; margin: 4px 0 12px; }
h2 { font-size: 24px; line-height: 1.25; margin: 0 0 12px; }
h3 { font-size: 17px; margin: 32px 0 8px; }
p { margin: 0 0 12px; max-width: 84ch; }
a { color: var(--accent); }
a:focus-visible, div.scroll:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.over { color: var(--faint); margin: 0; max-width: none; }
.stamp {
  display: inline-block; border: 1.5px solid var(--ink); border-radius: 4px; padding: 5px 12px;
  margin: 4px 0 14px; font-weight: 600;
}
nav ul {
  list-style: none; display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 16px 0 0; padding: 12px 0 0;
  border-top: 1px solid var(--line);
}
nav a { display: inline-block; padding: 4px 0; }
section { margin-top: 56px; scroll-margin-top: 16px; }
div.scroll { overflow-x: auto; margin: 16px 0 20px; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: separate; border-spacing: 0; width: 100%; }
table { font-variant-numeric: tabular-nums; font-size: 14.5px; }
caption { text-align: left; padding: 10px 12px 4px; color: var(--faint); font-size: 14px; }
th, td { padding: 9px 12px; text-align: left; border-top: 1px solid var(--line); white-space: nowrap; }
thead th {
  white-space: normal; border-top: 0; color: var(--faint); font-weight: 600; font-size: 13.5px;
  background: var(--pale);
}
caption + thead th { border-top: 1px solid var(--line); }
tbody th { font-weight: 500; white-space: normal; min-width: 120px; }
tbody th, thead th:first-child { position: sticky; left: 0; }
tbody th { background: #fff; }
td.number, th.number { text-align: right; }
td.words { white-space: normal; min-width: 220px; }
tbody tr:hover, tbody tr:hover th { background: var(--pale); }
.verdict { display: inline-block; border-radius: 999px; padding: 1px 11px; border: 1.5px solid var(--accent); }
.verdict { color: var(--accent); font-weight: 600; font-size: 14px; }
.verdict.missed { background: var(--ink); border-color: var(--ink); color: #fff; }
.verdict.open { border: 1.5px dashed var(--faint); color: var(--faint); }
.plots {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr)); gap: 24px;
  margin: 16px 0 20px;
}
figure { margin: 0; max-width: 480px; }
figcaption { font-size: 14.5px; margin-bottom: 6px; font-weight: 600; }
figure.sheet { max-width: none; margin: 20px 0 32px; }
figure.sheet figcaption { font-weight: 400; font-size: 15.5px; }
figure.sheet img {
  display: block; width: 100%; max-width: 1258px; height: auto; border: 1px solid var(--line);
  border-radius: 8px;
}
.quiet { color: var(--faint); font-size: 14.5px; }
code { font: 13.5px/1.5 ui-monospace, "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace; }
code { overflow-wrap: anywhere; white-space: pre-wrap; }
sup a { text-decoration: none; padding: 0 2px; }
ol.notes { padding-left: 24px; } ol.notes li { margin-bottom: 8px; max-width: 84ch; }
ul.plain { padding-left: 20px; } ul.plain li { margin-bottom: 4px; max-width: 84ch; }
@media (max-width: 600px) {
  main { padding-top: 24px; } section { margin-top: 44px; } th, td { padding: 8px 11px; }
  tbody th, thead th:first-child { min-width: 112px; max-width: 140px; border-right: 1px solid var(--line); }
  table { font-size: 13.5px; } td.number, th.number { padding: 8px; }
}
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
@media print {
  @page { margin: 14mm; }
  body {
    font-size: 10.5pt; } main { max-width: none; padding: 0; } nav { display: none; } a { color: inherit;
    text-decoration: none;
  }
  section { margin-top: 26pt; } h2, h3 { break-after: avoid; } figure, tr { break-inside: avoid; }
  div.scroll { overflow: visible; border: 0; }
  tbody th, thead th:first-child { position: static; }
  th, td { white-space: normal; padding: 3pt 5pt; } table { font-size: 9.5pt; }
  .verdict.missed { background: none; color: var(--ink); border-width: 2.5px; }
}
"""


def page(title: str, *body: str) -> str:
    """A whole document.

    Args:
        title: of the browser's tab.
        body: what stands in it; words are escaped.
    """
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(_STYLE + svg.STYLE)),
    ]
    lines = [
        Markup("<!DOCTYPE html>"),
        element("html", element("head", *head), "\n", element("body", element("main", *body)), lang="en"),
        "",
    ]
    return "\n".join(lines)


def section(name: str, title: str, *body: str) -> Markup:
    """A part of the page with a heading that `#name` leads to."""
    return element(
        "section", element("h2", title, id=f"{name}-title"), *body, "\n", id=name, aria_labelledby=f"{name}-title"
    )


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    caption: str,
    numbers: Sequence[int] = (),
    words: Sequence[int] = (),
) -> Markup:
    """A table in a box that scrolls sideways where the screen is narrow. The first cell of a row names the row.

    Args:
        head: names of the columns.
        rows: their cells; words are escaped.
        caption: what the table holds.
        numbers: columns set to the right.
        words: columns that may break into lines.
    """
    look = lambda column: "number" if column in numbers else "words" if column in words else None
    top = element("tr", *(element("th", cell, scope="col", class_=look(i)) for i, cell in enumerate(head)))
    lines = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", cell, class_=look(i)) for i, cell in enumerate(row[1:], start=1)),
        )
        for row in rows
    ]
    whole = element("table", element("caption", caption), element("thead", top), element("tbody", *lines))
    return join(["\n", element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)])


def figure(title: str, content: Markup) -> Markup:
    """A plot under its title."""
    return element("figure", element("figcaption", title), content)


def image(data: bytes, *, kind: str, alt: str) -> Markup:
    """An image inside the file; `kind` is what follows `image/` in its type."""
    return element("img", src=f"data:image/{kind};base64,{base64.b64encode(data).decode()}", alt=alt)


def verdict(met: bool | None) -> Markup:
    """Whether a target is met, in a sign, a word and a form; None: not measured."""
    words, look = {
        True: ("✓ met", "verdict"),
        False: ("✗ missed", "verdict missed"),
        None: ("– not measured", "verdict open"),
    }[met]
    return element("span", words, class_=look)


def code(text: str) -> Markup:
    """Something that is typed."""
    return element("code", text)


def note(number: int) -> Markup:
    """The sign of a footnote."""
    return element("sup", element("a", str(number), href=f"#note-{number}", aria_label=f"note {number}"))


def notes(texts: Sequence[str]) -> Markup:
    """The footnotes, in the order of their numbers from 1."""
    return element(
        "ol", *(element("li", text, id=f"note-{number}") for number, text in enumerate(texts, start=1)), class_="notes"
    )
