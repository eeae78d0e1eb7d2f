"""What an auditor found, drawn: heatmaps, overlays, boxes and sheets, with numpy, scipy and Pillow only."""

from tipai_jax.render.boxes import FOUND, Mark, Region, draw_marks, regions_of_grid
from tipai_jax.render.colours import risk_colours, shown_risk
from tipai_jax.render.heatmap import enlarge
from tipai_jax.render.images import to_rgb
from tipai_jax.render.overlay import overlay
from tipai_jax.render.phrases import Run, captioned, runs_of, words_image, words_markup
from tipai_jax.render.sheets import Panel, contact_sheet, legend, panel_sheet
from tipai_jax.render.words import draw_lines, wrap

__all__ = [
    "FOUND",
    "Mark",
    "Panel",
    "Region",
    "Run",
    "captioned",
    "contact_sheet",
    "draw_lines",
    "draw_marks",
    "enlarge",
    "legend",
    "overlay",
    "panel_sheet",
    "regions_of_grid",
    "risk_colours",
    "runs_of",
    "shown_risk",
    "to_rgb",
    "words_image",
    "words_markup",
    "wrap",
]
