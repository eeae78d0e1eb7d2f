"""A page loads nothing and runs nothing; its tables scroll in their own box; a verdict is a word and not a colour
alone.
"""

from html.parser import HTMLParser

from tipai_jax.render.markup import element
from tipai_jax.render.page import note, notes, page, picture, section, table, verdict


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.said = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.said.append(data)


def test_a_browser_is_told_to_load_and_run_nothing():
    tags = Tags(page("a <title>", section("one", "First", element("p", "text")))).tags
    (policy,) = [found["content"] for tag, found in tags if found.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script" not in policy and "img-src data:" in policy
    assert ("html", {"lang": "en"}) in tags and not any(tag in ("script", "link") for tag, _ in tags)


def test_cells_are_escaped_and_headed():
    found = Tags(
        table(("name", "value"), [("<script>", "1 < 2"), ("b", element("b", "2"))], caption="A & B", numbers=(1,))
    )
    assert [tag for tag, _ in found.tags] == [
        "div",
        "table",
        "caption",
        "thead",
        "tr",
        "th",
        "th",
        "tbody",
        "tr",
        "th",
        "td",
        "tr",
        "th",
        "td",
        "b",
    ]
    assert {"<script>", "1 < 2", "2", "A & B"} <= set(found.said)
    assert found.tags[0][1]["class"] == "scroll" and found.tags[0][1]["tabindex"] == "0"
    assert found.tags[10][1] == {"class": "number"} and found.tags[9][1] == {"scope": "row"}


def test_notes_are_numbered_and_found():
    text = notes(["first", "second <b>"])
    assert (
        Tags(text).tags == [("ol", {"class": "notes"}), ("li", {"id": "note-1"}), ("li", {"id": "note-2"})]
        and "&lt;b&gt;" in text
    )
    assert ("a", {"href": "#note-2", "aria-label": "note 2"}) in Tags(note(2)).tags


def test_a_verdict_is_a_word():
    assert [Tags(verdict(met)).said for met in (True, False, None)] == [["✓ met"], ["✗ missed"], ["– not measured"]]


def test_a_picture_lies_inside():
    assert picture(b"\x00\xff", kind="webp", alt='"a"') == '<img src="data:image/webp;base64,AP8=" alt="&quot;a&quot;">'
