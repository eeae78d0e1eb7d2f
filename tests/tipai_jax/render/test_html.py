"""A page loads and runs nothing; its tables scroll in their own box; a verdict is a word and not a colour alone."""

import re
from html.parser import HTMLParser

from tipai_jax.render.html import image, note, notes, page, section, table, verdict
from tipai_jax.render.markup import element


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)


def test_a_browser_is_told_to_load_and_run_nothing():
    tags = Tags(page("a <title>", section("one", "First", element("p", "text")))).tags
    (policy,) = [found["content"] for tag, found in tags if found.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script" not in policy and "img-src data:" in policy
    assert ("html", {"lang": "en"}) in tags and not any(tag in ("script", "link") for tag, _ in tags)


def test_cells_are_escaped_and_headed():
    rows = [("<script>", "1 < 2"), ("b", element("b", "2"))]
    found = Tags(table(("name", "value"), rows, caption="A & B", numbers=(1,)))
    head, row = ["thead", "tr", "th", "th"], ["tr", "th", "td"]
    assert [tag for tag, _ in found.tags] == ["div", "table", "caption", *head, "tbody", *row, *row, "b"]
    assert {"<script>", "1 < 2", "2", "A & B"} <= set(found.words)
    assert found.tags[0][1]["class"] == "scroll" and found.tags[0][1]["tabindex"] == "0"
    assert found.tags[10][1] == {"class": "number"} and found.tags[9][1] == {"scope": "row"}


def rules(style, selector):
    """The declarations of every rule for a selector, outside of blocks such as `@media`, then inside of them."""
    blocks = re.findall(r"@media ([^{]+)\{((?:[^{}]*\{[^{}]*\})*[^{}]*)\}", style)
    plain = re.sub(r"@media [^{]+\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", style)

    def within(text):
        found = re.findall(r"([^{}]+)\{([^{}]*)\}", text)
        return " ".join(body for names, body in found if selector in [name.strip() for name in names.split(",")])

    return {"": within(plain), **{name.strip(): within(text) for name, text in blocks}}


def test_the_name_of_a_row_stays_in_sight_while_its_table_scrolls_sideways():
    """Else a number on a narrow screen belongs to nothing. A border of a collapsed table would scroll away from it."""
    (style,) = re.findall(r"<style>(.*?)</style>", page("t"), re.DOTALL)
    assert "overflow-x: auto" in rules(style, "div.scroll")[""]
    for cell in ("tbody th", "thead th:first-child"):
        found = rules(style, cell)
        assert "position: sticky; left: 0" in found[""]
        widest = re.search(r"max-width: (\d+)px", found["(max-width: 600px)"])
        assert widest and int(widest[1]) <= 160, "the numbers need the rest of 390"
        assert "position: static" in found["print"]
    assert "background: #fff" in rules(style, "tbody th")[""], "what passes under it must not show through"
    assert "background:" in rules(style, "thead th")[""] and "background:" in rules(style, "tbody tr:hover th")[""]
    assert "border-collapse: separate" in rules(style, "table")[""]
    assert "white-space: nowrap" in rules(style, "td")[""], "a number is never broken"


def test_notes_are_numbered_and_found():
    text = notes(["first", "second <b>"])
    items = [("li", {"id": "note-1"}), ("li", {"id": "note-2"})]
    assert Tags(text).tags == [("ol", {"class": "notes"}), *items] and "&lt;b&gt;" in text
    assert ("a", {"href": "#note-2", "aria-label": "note 2"}) in Tags(note(2)).tags


def test_a_verdict_is_a_word():
    words = [Tags(verdict(met)).words for met in (True, False, None)]
    assert words == [["✓ met"], ["✗ missed"], ["– not measured"]]


def test_a_picture_lies_inside():
    assert image(b"\x00\xff", kind="webp", alt='"a"') == '<img src="data:image/webp;base64,AP8=" alt="&quot;a&quot;">'
