"""The page in a real browser, a headless Chromium, which drives the real server.

A test fails if the server or the browser asks another machine for anything, or if the browser's console has an error.
"""

import io
import os
import re
import shutil
from contextlib import contextmanager

import pytest
from auditor_world import draw_image, make_bundle, tiny_fingerprint
from catalog_world import PROMPTS, write_prompts
from demo_world import Server
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from precompute.generate import generate
from precompute.generators.scenes import SceneGenerator
from precompute.prompt_file import read_prompts

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FIRST_EXAMPLE, PROMPT = "a red car on the beach", "a yellow car on the beach"
HOSTILE = 'a photo of <img src=x onerror="window.broken=1"> ${window.broken=1} {{1+1}}'
WAIT = 60_000
"""Milliseconds that anything may take on a busy machine; nothing here measures time."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium, as .ci/run does for root"
    ),
]


@pytest.fixture(scope="module")
def auditor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auditor")
    make_bundle(tiny_fingerprint()).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def server(auditor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    generate(read_prompts(write_prompts(folder / "prompts.json")), SceneGenerator(), folder / "poc", per_prompt=2)
    running = Server(folder, "--auditor", auditor, "--data", str(folder / "poc"))
    yield running
    running.stop()
    assert "OUTSIDE" not in running.output and "Traceback" not in running.output, running.output


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        yield chromium
        chromium.close()


@contextmanager
def watched(browser, server, *, width: int = 1280, scheme: str = "light"):
    """The page with what it asked for elsewhere and what it complained of, both of which should stay empty."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(WAIT)
    outside, complaints = [], []
    page.on(
        "request",
        lambda request: (
            outside.append(request.url) if not request.url.startswith((server.url + "/", "data:", "blob:")) else None
        ),
    )
    page.on(
        "console", lambda event: complaints.append(f"{event.text} {event.location}") if event.type == "error" else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        page.goto(server.url)
        page.locator("#images img").first.wait_for()  # of the worked example
        yield page, outside, complaints
    finally:
        page.close()


@pytest.fixture
def page(browser, server):
    with watched(browser, server) as (found, outside, complaints):
        yield found
        found.wait_for_timeout(
            300
        )  # for whatever is still on its way; the page holds one connection open, so it is never idle
        assert outside == [] and complaints == []


def as_file(name: str, data: bytes) -> list[dict]:
    return [{"name": name, "mimeType": "image/png", "buffer": data}]


def png_image(*, seed: int = 1) -> bytes:
    file = io.BytesIO()
    Image.fromarray(draw_image(seed, size=(300, 200))).save(file, "PNG")
    return file.getvalue()


def generated(page) -> None:
    page.locator("#prompt textarea, #prompt input").fill(PROMPT)
    page.locator("#generate").click()
    expect(page.locator("#images h2")).to_have_text(f"Four images for “{PROMPT}”", timeout=WAIT)
    page.locator("#details .tp-patches").wait_for()


def test_a_worked_example_is_there_without_a_click(page):
    expect(page.locator("#images h2")).to_contain_text(FIRST_EXAMPLE, timeout=WAIT)
    assert page.locator("#prompt textarea, #prompt input").input_value() == FIRST_EXAMPLE
    assert page.locator("#images li img").count() == 4 and page.locator("#details .tp-patches td").count() == 49
    expect(page.locator("#trouble .tp-message")).to_have_count(0)
    page.locator("#threshold input[type=range]").press("Home")
    expect(page.locator("#details .tp-analysis figcaption").first).to_contain_text("risk from 0.01 on", timeout=WAIT)
    page.locator("#others").click()
    expect(page.locator("#images .tp-quiet").first).to_contain_text("seeds 4 to 7", timeout=WAIT)


def test_type_a_prompt_and_see_four_images_and_where_the_worst_fails(page):
    generated(page)
    assert page.locator("#images h2").inner_text() == f"Four images for “{PROMPT}”"
    scores = [float(text) for text in page.locator("#images strong").all_inner_texts()]
    best = page.locator("#images li").filter(has=page.get_by_text("best", exact=True))
    assert len(scores) == 4 and best.locator("strong").inner_text() == f"{max(scores):.2f}"
    assert (
        page.locator("#details .tp-versus img").count() == 4 and page.locator("#details .tp-patches td").count() == 49
    )
    heat = page.locator("#details img.tp-heat")
    assert heat.count() == 3 and all(
        heat.nth(n).evaluate("img => img.complete && img.naturalWidth === 480") for n in range(3)
    )
    page.locator("#others").click()
    expect(page.locator("#images .tp-quiet").first).to_contain_text("seeds 4 to 7", timeout=WAIT)


def test_the_slider_moves_overlay_and_boxes(page):
    generated(page)
    overlay, title = page.locator("#details .tp-analysis img").first, page.locator("#images strong").all_inner_texts()
    before = overlay.get_attribute("src")
    page.locator("#threshold input[type=range]").press("Home")
    caption = page.locator("#details .tp-analysis figcaption").first
    expect(caption).to_contain_text("risk from 0.01 on", timeout=WAIT)
    assert overlay.get_attribute("src") != before
    shown = lambda: [float(row.split("\t")[1]) for row in page.locator(".tp-boxes tbody tr").all_inner_texts()]
    kept = page.locator("#details").get_by_text("None: by its score the image keeps the prompt.")
    low = shown()
    assert low or kept.count()
    page.locator("#threshold input[type=range]").press("End")
    expect(caption).to_contain_text("risk from 0.99 on", timeout=WAIT)
    high = shown()
    assert all(risk >= 0.99 for risk in high) and (len(high) < len(low) or not low)
    assert page.locator("#images strong").all_inner_texts() == title, "nothing is scored again"


def test_an_emptied_threshold_is_the_fitted_one_and_a_wrong_one_the_nearest(page):
    generated(page)
    number, caption = page.locator("#threshold input[type=number]"), page.locator("#details .tp-analysis figcaption")
    for text, risk in (("0.3", "0.30"), ("", "0.50"), ("5", "0.99"), ("0", "0.01")):
        number.fill(text)
        expect(caption.first).to_contain_text(f"risk from {risk} on", timeout=WAIT)
    assert page.get_by_text("Error", exact=True).count() == 0


def test_four_others_are_made_for_the_prompt_as_it_is_now(page):
    generated(page)
    page.locator("#prompt textarea, #prompt input").fill("three red apples")
    page.locator("#others").click()
    expect(page.locator("#images h2")).to_contain_text("three red apples", timeout=WAIT)
    expect(page.locator("#images .tp-quiet").first).to_contain_text("seeds 0 to 3", timeout=WAIT)


def test_an_error_takes_the_results_before_it_away(page):
    generated(page)
    page.locator("#prompt textarea, #prompt input").fill("a photo of Paris")
    page.locator("#generate").click()
    expect(page.locator("#trouble [role=alert]")).to_contain_text("the small world cannot draw it", timeout=WAIT)
    for place in ("#images img", "#details img"):
        expect(page.locator(place)).to_have_count(0, timeout=WAIT)
    for place in ("#threshold", "#others"):
        expect(page.locator(place)).to_be_hidden(timeout=WAIT)


@pytest.mark.parametrize("width", [1280, 1000, 390])
def test_the_patch_scores_fit_in_their_cells(browser, server, width):
    with watched(browser, server, width=width) as (page, _, _):
        generated(page)
        cells = "cells => cells.map(cell => [cell.scrollWidth, cell.clientWidth])"
        sizes = page.locator("#details .tp-patches td").evaluate_all(cells)
        assert len(sizes) == 49 and all(text <= cell for text, cell in sizes), sizes


def test_an_example_is_one_click(page):
    page.locator("#examples button", has_text="three red apples").click()
    expect(page.locator("#images h2")).to_contain_text("three red apples", timeout=WAIT)


def test_a_prompt_that_cannot_be_drawn_gets_a_line_and_is_never_markup(page):
    page.locator("#prompt textarea, #prompt input").fill("")
    page.locator("#generate").click()
    trouble = page.locator("#trouble [role=alert]")
    expect(trouble).to_contain_text("no prompt yet", timeout=WAIT)
    page.locator("#prompt textarea, #prompt input").fill(HOSTILE)
    page.locator("#generate").click()
    expect(trouble).to_contain_text("the small world cannot draw it", timeout=WAIT)
    assert HOSTILE in trouble.inner_text() and trouble.locator("*").count() == 0
    assert page.evaluate("window.broken") is None
    generated(page)
    expect(trouble).to_have_count(0, timeout=WAIT)


def test_upload_an_image(page):
    page.get_by_role("tab", name="Upload").click()
    prompt, details = page.locator("#own-prompt textarea, #own-prompt input"), page.locator("#own-details")
    page.locator("#file input[type=file]").set_input_files(as_file("<b>own</b>.png", png_image()))
    expect(page.locator("#own-trouble")).to_contain_text("Now type the prompt that the image should keep", timeout=WAIT)
    thumbnail = page.locator("#own-thumbnail img")
    assert thumbnail.evaluate("img => [img.naturalWidth, img.naturalHeight]") == [160, 107] and thumbnail.is_visible()
    prompt.fill(HOSTILE)
    page.locator("#score").click()
    expect(details).to_contain_text("(at level 90 %)", timeout=WAIT)
    assert HOSTILE in details.inner_text() and page.evaluate("window.broken") is None
    assert (
        details.locator("img").count() == 2
        and details.locator(".tp-patches td").count() == 49
        and "vocabulary does not hold" in details.inner_text()
    )
    page.locator("#level label", has_text="95 %").click()
    expect(details).to_contain_text("(at level 95 %)", timeout=WAIT)
    page.locator("#own-threshold input[type=range]").press("Home")
    expect(details).to_contain_text("risk from 0.01 on", timeout=WAIT)


def test_a_bad_file_gets_a_line_and_a_good_one_mends_it(page):
    page.get_by_role("tab", name="Upload").click()
    trouble = page.locator("#own-trouble [role=alert]")
    page.locator("#score").click()
    expect(trouble).to_contain_text("no image yet", timeout=WAIT)
    page.locator("#own-prompt textarea, #own-prompt input").fill(PROMPT)
    page.locator("#file input[type=file]").set_input_files(as_file("bad.png", b"not an image at all"))
    expect(trouble).to_contain_text(
        "this file cannot be scored: neither JPEG, PNG nor WEBP; choose a whole", timeout=WAIT
    )
    page.locator("#file").get_by_role("button", name=re.compile("clear|remove", re.I)).first.click()
    expect(page.locator("#own-thumbnail img")).to_have_count(0, timeout=WAIT)
    page.locator("#file input[type=file]").set_input_files(as_file("good.png", png_image()))
    expect(page.locator("#own-thumbnail img")).to_have_count(1, timeout=WAIT)
    expect(page.locator("#own-details img")).to_have_count(2, timeout=WAIT)
    expect(trouble).to_have_count(0, timeout=WAIT)


def test_browse_the_catalogue(page):
    page.get_by_role("tab", name="Catalogue").click()
    for row in PROMPTS[:2]:
        expect(page.locator("#catalogue h2")).to_have_text(f"“{row['prompt']}”", timeout=WAIT)
        assert page.locator("#catalogue li img").count() == 2 and page.locator("#catalogue .tp-truth").count() == 2
        page.locator("#next").click()


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out(browser, server, width):
    sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    with watched(browser, server, width=width) as (page, outside, complaints):
        generated(page)
        assert page.evaluate(sideways) == 0
        page.get_by_role("tab", name="Catalogue").click()
        page.locator("#catalogue img").first.wait_for()
        assert page.evaluate(sideways) == 0
        assert outside == [] and complaints == []


def test_results_come_before_a_list_of_examples_fills_a_telephone(browser, server):
    with watched(browser, server, width=390) as (page, _, _):
        assert page.locator("#images img").first.bounding_box()["y"] < 900, "the first image begins on the first screen"
        page.locator("#examples button").last.click()  # the last example can be reached
        expect(page.locator("#images h2")).to_contain_text("a red bus", timeout=WAIT)


CONTRAST = """element => {
    const channels = text => text.match(/[\\d.]+/g).map(Number)
    const linear = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
    const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255)
    const background = each => channels(getComputedStyle(each).backgroundColor)
    let behind = element
    while (behind.parentElement && background(behind)[3] === 0) behind = behind.parentElement
    const text = light(channels(getComputedStyle(element).color)), below = light(background(behind))
    return (Math.max(text, below) + 0.05) / (Math.min(text, below) + 0.05)
}"""
"""The contrast of an element's text by WCAG 2."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark_mode(browser, server, scheme):
    with watched(browser, server, scheme=scheme) as (page, _, _):
        for selector in (
            "[role=tab]",
            ".tp-head p",
            "#images .tp-quiet",
            "#images .tp-truth",
            "#examples button",
            "#images .tp-badge",
        ):
            texts = page.locator(selector)
            assert texts.count() > 0
            for n in range(texts.count()):
                assert texts.nth(n).evaluate(CONTRAST) >= 4.5, (selector, n)


def test_the_browser_itself_refuses_what_lies_elsewhere(browser, server):
    """And the watch is awake: a request to elsewhere is seen, and refused before it leaves."""
    with watched(browser, server) as (page, outside, complaints):
        assert page.evaluate("fetch('http://192.0.2.1/').then(() => 'sent', () => 'refused')") == "refused"
        page.evaluate(
            "document.head.appendChild(Object.assign(document.createElement('script'), {src: 'http://192.0.2.1/x.js'}))"
        )
        page.wait_for_timeout(500)
        assert any("192.0.2.1" in url for url in outside) or any(
            "Content Security Policy" in line for line in complaints
        )
        assert complaints and all("Content Security Policy" in line for line in complaints)


def test_only_this_machines_names_are_answered(server):
    import httpx

    with httpx.Client(trust_env=False) as client:
        assert client.get(server.url).status_code == 200
        assert client.get(server.url, headers={"host": "elsewhere.example"}).status_code == 400


def test_it_ends_cleanly_under_an_open_page_and_leaves_nothing(browser, auditor, tmp_path):
    running = Server(tmp_path, "--auditor", auditor, "--data", str(tmp_path / "none"))
    (folder,) = running.temporary.glob("tipai-demo-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    with watched(browser, running) as (page, _, _):
        page.get_by_role("tab", name="Catalogue").click()
        expect(page.locator("#catalogue-trouble [role=alert]")).to_contain_text("no catalogue here", timeout=WAIT)
        assert running.stop() == 0, running.output
    assert (
        running.output.rstrip().endswith("stopped")
        and "Traceback" not in running.output
        and "ERROR" not in running.output
    ), running.output
    assert list(running.temporary.glob("tipai-demo-*")) == []
