"""The page in Gradio: its three tabs, and what happens when they are used.

Whatever is wrong with a request comes back as one line in the page (`UserError`). What the user typed goes into no file
component and into no file name.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from precompute.prompt_file import Prompt
from tipai_jax.auditor.verdict import percent
from tipai_jax.demo import cards
from tipai_jax.demo.catalog_view import read_catalog
from tipai_jax.demo.service import LEVELS, MAX_PROMPT_LENGTH, CandidateSet, DemoService, ScoredImage, Upload
from tipai_jax.errors import UserError

__all__ = ["build_page"]

KEPT = 3600
"""Seconds that the results and uploads of a page that was closed are kept."""
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
LIVE: dict[str, Any] = {**PRIVATE, "trigger_mode": "always_last", "show_progress": "hidden"}
"""For what follows a slider."""
ONE_BY_ONE: dict[str, Any] = {**PRIVATE, "concurrency_id": "service"}
"""For what uses the auditor or the generator."""
LOWEST, HIGHEST = 0.01, 0.99
"""Thresholds that can be chosen."""
DROPPED = "These results are not kept any longer, because many other pages were opened since; ask for them again."


def build_page(service: DemoService, examples: Sequence[Prompt], data: Path) -> gr.Blocks:
    """The page of a service.

    Args:
        service: makes and scores images.
        examples: prompts to choose from; the first is the worked example.
        data: folder of the catalogue to browse; it need not exist.
    """
    title = "TiPAI: does the image keep its prompt?"
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=(600, KEPT)) as page:
        _markup(cards.head(service))
        with gr.Tab("Generate"):
            _generate_tab(service, examples, page)
        with gr.Tab("Upload"):
            _upload_tab(service)
        with gr.Tab("Catalogue") as tab:
            _catalog_tab(data, page, tab)
        _markup(cards.about(service))
    return page


def _generate_tab(service: DemoService, examples: Sequence[Prompt], page: gr.Blocks) -> None:
    found = gr.State(time_to_live=KEPT)
    with gr.Row(elem_classes="tp-form"):
        prompt = _prompt("Prompt", "prompt", value=examples[0].prompt)
        generate = gr.Button("Generate", variant="primary", scale=1, min_width=130, elem_id="generate")
        more = gr.Button("Four others", scale=1, min_width=130, elem_id="others", visible=False)
    chosen = gr.Dataset(
        components=["textbox"],
        samples=[[each.prompt] for each in examples],
        label="Examples",
        samples_per_page=len(examples),
        type="index",
        elem_id="examples",
    )
    trouble = _markup(cards.message("One moment, an example is being made ...", kind="hint"), elem_id="trouble")
    images = _markup(elem_id="images")
    with gr.Column(visible=False) as results:
        threshold = _threshold(service, "threshold")
        details = _markup(elem_id="details")

    outputs = [found, trouble, images, details, results, more]

    def show(made: CandidateSet, share: float) -> dict[Any, Any]:
        return {
            found: made,
            trouble: "",
            images: cards.candidates(made),
            details: _details(made, share),
            results: gr.update(visible=True),
            more: gr.update(visible=True),
        }

    def answer(make: Callable[[], CandidateSet], share: float) -> dict[Any, Any]:
        try:
            return show(make(), share)
        except UserError as error:
            hidden = gr.update(visible=False)
            return {
                found: None,
                trouble: cards.message(str(error)),
                images: "",
                details: "",
                results: hidden,
                more: hidden,
            }

    def landing(share: float) -> dict[Any, Any]:
        example = service.worked_example()
        if example is None:
            return {trouble: cards.message("Type a prompt, or choose one of the examples.", kind="hint")}
        return show(example, share)

    def first_four(words: str, share: float, progress: gr.Progress = gr.Progress()) -> dict[Any, Any]:  # noqa: B008
        return answer(lambda: service.make_candidates(words, progress=progress), share)

    def four_others(
        before: CandidateSet | None,
        words: str,
        share: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:
        return answer(lambda: service.make_others(before, words, progress=progress), share)

    def update(made: CandidateSet | None, share: float) -> str:
        return _details(made, share) if made else cards.message(DROPPED, kind="hint")

    wiring = {**ONE_BY_ONE, "outputs": outputs, "show_progress_on": [trouble]}
    page.load(landing, threshold, outputs, show_progress="hidden", **ONE_BY_ONE)
    gr.on([generate.click, prompt.submit], first_four, [prompt, threshold], **wiring)
    more.click(four_others, [found, prompt, threshold], **wiring)
    fill = chosen.click(lambda index: examples[index].prompt, chosen, prompt, show_progress="hidden", **PRIVATE)
    fill.then(first_four, [prompt, threshold], **wiring)
    threshold.change(update, [found, threshold], details, **LIVE)


def _details(made: CandidateSet, share: float) -> str:
    title = f"The worst, seed {made.worst.seed}: where and why"
    return cards.comparison(made, share) + cards.analysis(made.worst, share, title=title)


def _upload_tab(service: DemoService) -> None:
    shown = gr.State(time_to_live=KEPT)
    with gr.Row(elem_classes="tp-upload"):
        with gr.Column(scale=2, min_width=260):
            file = gr.File(label="Image (JPEG, PNG or WEBP)", type="binary", height=150, elem_id="file")
            thumbnail = _markup(elem_id="own-thumbnail")
        with gr.Column(scale=3, min_width=260):
            prompt = _prompt("Prompt that the image should keep", "own-prompt")
            button = gr.Button("Score", variant="primary", elem_id="score")
    trouble = _markup(elem_id="own-trouble")
    with gr.Column(visible=False) as results:
        with gr.Row():
            threshold = _threshold(service, "own-threshold")
            default = service.auditor.level if service.auditor.level in LEVELS else LEVELS[1]
            level = gr.Radio(
                [(percent(each), each) for each in LEVELS],
                value=default,
                label="Level of the prediction",
                info="share of right predictions asked for; a higher level abstains more often",
                min_width=280,
                elem_id="level",
            )
        details = _markup(elem_id="own-details")

    def without_results(message: str) -> dict[Any, Any]:
        return {trouble: message, results: gr.update(visible=False), shown: None}

    def score_upload(upload: Upload, words: str, share: float, wanted: float) -> dict[Any, Any]:
        scored = service.at_level(service.score(upload, words), wanted)
        return {shown: scored, trouble: "", details: cards.single(scored, share), results: gr.update(visible=True)}

    def score(data: bytes | None, words: str, share: float, wanted: float) -> dict[Any, Any]:
        try:
            return score_upload(service.read(data), words, share, wanted)
        except UserError as error:
            return without_results(cards.message(str(error)))

    def uploaded(data: bytes | None, words: str, share: float, wanted: float) -> dict[Any, Any]:
        small = ""
        try:
            upload = service.read(data)
            small = cards.thumbnail(upload.thumbnail)
            if words.strip():
                return {thumbnail: small, **score_upload(upload, words, share, wanted)}
            hint = cards.message("Now type the prompt that the image should keep, then press Score.", kind="hint")
            return {thumbnail: small, **without_results(hint)}
        except UserError as error:
            return {thumbnail: small, **without_results(cards.message(str(error)))}

    def update(scored: ScoredImage | None, share: float, wanted: float) -> str:
        if not scored:
            return cards.message(DROPPED, kind="hint")
        return cards.single(service.at_level(scored, wanted), share)

    def cleared() -> dict[Any, Any]:
        return {thumbnail: "", **without_results("")}

    inputs = [file, prompt, threshold, level]
    wiring = {**ONE_BY_ONE, "outputs": [shown, trouble, details, results], "show_progress_on": [trouble]}
    gr.on([button.click, prompt.submit], score, inputs, **wiring)
    file.upload(uploaded, inputs, **{**wiring, "outputs": [thumbnail, *wiring["outputs"]]})
    file.clear(cleared, None, [thumbnail, shown, trouble, results], **PRIVATE)
    gr.on([threshold.change, level.change], update, [shown, threshold, level], details, **LIVE)


def _catalog_tab(data: Path, page: gr.Blocks, tab: gr.Tab) -> None:
    with gr.Row(elem_classes="tp-form"):
        prompt = gr.Dropdown([], label="Prompt", scale=5, min_width=280, elem_id="catalogue-prompt", interactive=True)
        back = gr.Button("Previous", scale=1, min_width=110, elem_id="previous")
        forward = gr.Button("Next", scale=1, min_width=110, elem_id="next")
    trouble = _markup(elem_id="catalogue-trouble")
    entries = _markup(elem_id="catalogue")

    def show(prompt_id: str | None, step: int = 0) -> dict[Any, Any]:
        try:
            view = read_catalog(data)
        except UserError as error:
            return {trouble: cards.message(str(error)), entries: "", prompt: gr.update(choices=[], value=None)}
        chosen = view.neighbour(prompt_id, step)
        choices = [(f"{name}: {words}", name) for name, words in view.prompts]
        return {
            trouble: "",
            entries: cards.catalog_page(view, chosen),
            prompt: gr.update(choices=choices, value=chosen),
        }

    wiring = {**PRIVATE, "outputs": [trouble, entries, prompt], "show_progress": "hidden"}
    gr.on([page.load, tab.select, prompt.input], show, prompt, **wiring)
    back.click(lambda prompt_id: show(prompt_id, -1), prompt, **wiring)
    forward.click(lambda prompt_id: show(prompt_id, 1), prompt, **wiring)


def _markup(value: str = "", *, elem_id: str | None = None) -> gr.HTML:
    """A place for markup that brings its own style."""
    return gr.HTML(value, elem_id=elem_id, apply_default_css=False, padding=False)


def _prompt(label: str, elem_id: str, *, value: str = "") -> gr.Textbox:
    return gr.Textbox(
        value,
        label=label,
        placeholder="a red car on the beach",
        lines=1,
        max_lines=1,
        max_length=MAX_PROMPT_LENGTH,
        scale=5,
        min_width=280,
        elem_id=elem_id,
    )


def _threshold(service: DemoService, elem_id: str) -> gr.Slider:
    fitted = service.fitted_threshold
    info = f"Risk from which a region counts; {fitted:.2f} was fitted on the validation split. Lower shows more."
    slider = gr.Slider(
        LOWEST,
        HIGHEST,
        value=round(fitted, 2),
        step=0.01,
        label="Threshold",
        info=info,
        elem_id=elem_id,
        scale=3,
        min_width=280,
    )

    def allowed(number: float | None) -> float:
        """While a number is typed, the field may be empty or out of range; Gradio would refuse both with an error."""
        return fitted if number is None else min(max(number, LOWEST), HIGHEST)

    # Not a class of its own: Gradio writes a stub file beside every module that has one.
    slider.preprocess = allowed  # pyright: ignore[reportAttributeAccessIssue]
    return slider
