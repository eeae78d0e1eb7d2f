"""The exam by style."""

import numpy as np
import pytest
import torch

from precompute.tiny_clip.exam import examine, style_table, styles_of, table, trials
from precompute.tiny_clip.shape import build_model, build_tokenizer


def test_pictures_with_a_style_have_rows_of_their_own(monkeypatch):
    """The style of the first picture of each square is thin, that of the second has two words."""
    monkeypatch.setattr(
        "precompute.tiny_clip.exam.styles_of", lambda square: [["outline=thin"], ["outline=no", "flat"]]
    )
    tokenizer = build_tokenizer()
    torch.manual_seed(0)
    rows = examine(build_model(tokenizer).eval(), tokenizer, trials(2))
    styled = {row["style"]: row for row in rows if "style" in row}
    assert {style: row["n"] for style, row in styled.items()} == {"flat": 30, "outline=no": 30, "outline=thin": 30}
    total = np.mean([row["pair_auc"] for row in rows if "category" in row])
    assert (styled["flat"]["pair_auc"] + styled["outline=thin"]["pair_auc"]) / 2 == pytest.approx(total, abs=1e-3)
    assert "| outline=no | 30 |" in style_table(rows) and "style" not in table(rows, "pair_auc")
    assert style_table([row for row in rows if "category" in row]) == ""


def test_a_style_is_said_as_the_data_record_it():
    first, _ = styles_of(trials(1)[0].squares[0])
    assert {word.split("=")[0] for word in first} >= {"outline", "fill", "palette", "background"}
    assert all("=" in word and not word.startswith("rotate") for word in first)
