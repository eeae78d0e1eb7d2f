"""The page: three tabs of boxes, buttons and places for markup, and what happens when they are used.

Owns the layout and the wiring, in Gradio. Whatever a request can do wrong comes back as one line in the page
(`UserError`); what the user typed goes to no file
component and into no file name. Knows nothing of how pictures are judged or how markup is made.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from precompute.prompt_file import Prompt
from scripts.demo_app import cards
from scripts.demo_app.desk import LEVELS, LONGEST, Desk, Round, Shown
from scripts.demo_app.shelf import read_shelf
from tipai_jax.errors import UserError

__all__ = ["build_page"]

KEPT = 3600
"""Seconds that an abandoned visitor's pictures and uploads are kept."""
LIVE: dict[str, Any] = {"trigger_mode": "always_last", "show_progress": "hidden"}
"""For what follows a slider."""


def build_page(desk: Desk, examples: Sequence[Prompt], data: Path) -> gr.Blocks:
    """The page of a desk.

    Args:
        desk: makes and judges pictures.
        examples: prompts to choose from.
        data: folder of the catalogue to browse; it need not be there.
    """
    with gr.Blocks(
        title="TiPAI: does the picture keep its prompt?", analytics_enabled=False, delete_cache=(600, KEPT)
    ) as page:
        _markup(cards.head(desk))
        with gr.Tab("Generate"):
            _generate_tab(desk, examples)
        with gr.Tab("Upload"):
            _upload_tab(desk)
        with gr.Tab("Catalogue") as tab:
            _browse_tab(data, page, tab)
        _markup(cards.about(desk))
    return page


def _generate_tab(desk: Desk, examples: Sequence[Prompt]) -> None:
    found = gr.State(time_to_live=KEPT)
    with gr.Row(elem_classes="tp-ask"):
        prompt = gr.Textbox(
            label="Prompt",
            placeholder="a red car on the beach",
            lines=1,
            max_lines=1,
            max_length=LONGEST,
            scale=5,
            min_width=280,
            elem_id="prompt",
        )
        go = gr.Button("Generate", variant="primary", scale=1, min_width=130, elem_id="generate")
        more = gr.Button("Four others", scale=1, min_width=130, elem_id="others", visible=False)
    chosen = gr.Dataset(
        components=["textbox"],
        samples=[[each.prompt] for each in examples],
        label="Examples",
        samples_per_page=len(examples),
        type="index",
        elem_id="examples",
    )
    trouble = _markup(elem_id="trouble")
    pictures = _markup(elem_id="pictures")
    with gr.Column(visible=False) as results:
        threshold = _threshold(desk, "threshold")
        details = _markup(elem_id="details")

    def answer(make: Callable[[gr.Progress], Round], share: float, progress: gr.Progress) -> dict[Any, Any]:
        try:
            made = make(progress)
        except UserError as error:
            return {trouble: cards.message(str(error))}
        return {
            found: made,
            trouble: "",
            pictures: cards.candidates(made),
            details: _details(made, share),
            results: gr.update(visible=True),
            more: gr.update(visible=True),
        }

    def start(words: str, share: float, progress: gr.Progress = gr.Progress()) -> dict[Any, Any]:  # noqa: B008
        return answer(lambda tell: desk.make_round(words, tell=tell), share, progress)

    def go_on(before: Round | None, words: str, share: float, progress: gr.Progress = gr.Progress()) -> dict[Any, Any]:  # noqa: B008
        first = before.next_seed if before else 0
        return answer(
            lambda tell: desk.make_round(before.prompt if before else words, first=first, tell=tell), share, progress
        )

    outputs = [found, trouble, pictures, details, results, more]
    shared: dict[str, Any] = {
        "outputs": outputs,
        "api_visibility": "private",
        "show_progress_on": [trouble],
        "concurrency_id": "desk",
    }
    gr.on([go.click, prompt.submit], start, [prompt, threshold], **shared)
    more.click(go_on, [found, prompt, threshold], **shared)
    chosen.click(
        lambda index: examples[index].prompt, chosen, prompt, api_visibility="private", show_progress="hidden"
    ).then(start, [prompt, threshold], **shared)
    threshold.change(
        lambda made, share: _details(made, share) if made else "",
        [found, threshold],
        details,
        api_visibility="private",
        **LIVE,
    )


def _details(made: Round, share: float) -> str:
    title = f"The worst, seed {made.worst.seed}: where and why"
    return cards.comparison(made, share) + cards.analysis(made.worst, share, title=title)


def _upload_tab(desk: Desk) -> None:
    shown = gr.State(time_to_live=KEPT)
    with gr.Row(elem_classes="tp-hand"):
        with gr.Column(scale=2, min_width=260):
            file = gr.File(label="Picture (JPEG, PNG or WEBP)", type="binary", height=150, elem_id="file")
        with gr.Column(scale=3, min_width=260):
            prompt = gr.Textbox(
                label="What was it to show?",
                placeholder="a red car on the beach",
                lines=1,
                max_lines=1,
                max_length=LONGEST,
                elem_id="own-prompt",
            )
            judge = gr.Button("Judge", variant="primary", elem_id="judge")
    trouble = _markup(elem_id="own-trouble")
    with gr.Column(visible=False) as results:
        with gr.Row():
            threshold = _threshold(desk, "own-threshold")
            level = gr.Radio(
                [(f"{each:.0%}", each) for each in LEVELS],
                value=desk.auditor.level if desk.auditor.level in LEVELS else LEVELS[1],
                label="Level of the prediction",
                info="share of right answers asked for; a higher level abstains more often",
                min_width=280,
                elem_id="level",
            )
        details = _markup(elem_id="own-details")

    def look(data: bytes | None, words: str, share: float, wanted: float) -> dict[Any, Any]:
        try:
            judged = desk.at_level(desk.judge(data, words), wanted)
        except UserError as error:
            return {trouble: cards.message(str(error)), results: gr.update(visible=False), shown: None}
        return {shown: judged, trouble: "", details: cards.single(judged, share), results: gr.update(visible=True)}

    def taken(data: bytes | None, words: str, share: float, wanted: float) -> dict[Any, Any]:
        if not words.strip():
            return {
                trouble: cards.message("Now say what the picture was to show, then press Judge.", kind="hint"),
                results: gr.update(visible=False),
                shown: None,
            }
        return look(data, words, share, wanted)

    def again(judged: Shown | None, share: float, wanted: float) -> str:
        return cards.single(desk.at_level(judged, wanted), share) if judged else ""

    inputs, outputs = [file, prompt, threshold, level], [shown, trouble, details, results]
    shared: dict[str, Any] = {
        "outputs": outputs,
        "api_visibility": "private",
        "show_progress_on": [trouble],
        "concurrency_id": "desk",
    }
    gr.on([judge.click, prompt.submit], look, inputs, **shared)
    file.upload(taken, inputs, **shared)
    file.clear(
        lambda: {shown: None, trouble: "", results: gr.update(visible=False)},
        None,
        [shown, trouble, results],
        api_visibility="private",
    )
    gr.on([threshold.change, level.change], again, [shown, threshold, level], details, api_visibility="private", **LIVE)


def _browse_tab(data: Path, page: gr.Blocks, tab: gr.Tab) -> None:
    with gr.Row(elem_classes="tp-ask"):
        prompt = gr.Dropdown([], label="Prompt", scale=5, min_width=280, elem_id="catalogue-prompt", interactive=True)
        back = gr.Button("Previous", scale=1, min_width=110, elem_id="previous")
        onward = gr.Button("Next", scale=1, min_width=110, elem_id="next")
    trouble = _markup(elem_id="catalogue-trouble")
    exhibits = _markup(elem_id="catalogue")

    def show(wanted: str | None, step: int = 0) -> dict[Any, Any]:
        try:
            shelf = read_shelf(data)
        except UserError as error:
            return {trouble: cards.message(str(error)), exhibits: "", prompt: gr.update(choices=[], value=None)}
        chosen = shelf.near(wanted, step)
        choices = [(f"{prompt_id}: {words}", prompt_id) for prompt_id, words in shelf.prompts]
        return {
            trouble: "",
            exhibits: cards.shelf_page(shelf, chosen),
            prompt: gr.update(choices=choices, value=chosen),
        }

    shared: dict[str, Any] = {
        "outputs": [trouble, exhibits, prompt],
        "api_visibility": "private",
        "show_progress": "hidden",
    }
    gr.on([page.load, tab.select, prompt.input], show, prompt, **shared)
    back.click(lambda wanted: show(wanted, -1), prompt, **shared)
    onward.click(lambda wanted: show(wanted, 1), prompt, **shared)


def _markup(value: str = "", *, elem_id: str | None = None) -> gr.HTML:
    """A place for markup that brings its own look."""
    return gr.HTML(value, elem_id=elem_id, apply_default_css=False, padding=False)


def _threshold(desk: Desk, elem_id: str) -> gr.Slider:
    fitted = desk.fitted_threshold
    info = f"From which risk on a region counts; {fitted:.2f} was fitted on the validation split. Lower shows more."
    return gr.Slider(
        0.01,
        0.99,
        value=round(fitted, 2),
        step=0.01,
        label="Threshold",
        info=info,
        elem_id=elem_id,
        scale=3,
        min_width=280,
    )
