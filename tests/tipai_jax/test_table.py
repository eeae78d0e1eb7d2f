"""Runs side by side: every figure of each, by name, and a dash where a run has none."""

from tipai_jax.table import compare


def record(value, *, judged=True):
    figure = {"value": value, "ci95": [value - 0.01, value + 0.01], "n": 10}
    return {
        "global_pair_auc": figure,
        "pair_auc_by_category": {"object": figure},
        "pair_auc_by_difficulty": {"hard": figure},
        "unseen_combination_pair_auc": {"value": None, "ci95": None, "n": 0},
        "patch_pair_auc": figure,
        "patch_pair_auc_within_rejected": figure,
        "heatmap": {"auc_judd": figure} if judged else None,
        "ece": figure,
        "ece_before": figure,
        "ece_equal_mass": figure,
        "control": {"alarm_rate": figure, "alarm_rate_faithful": figure, "alarm_rate_broken": figure},
        "category_roc_auc": {"object": figure},
        "category_roc_auc_within_pairs": {"object": figure},
        "baselines": {
            "zero_shot_cosine": {"global_pair_auc": figure},
            "text_only": {"global_pair_auc": figure, "category_roc_auc": {"object": figure}},
            "image_only": {
                "global_pair_auc": figure,
                "patch_pair_auc": figure,
                "patch_pair_auc_within_rejected": figure,
                "heatmap": None,
            },
        },
        "split": "test",
    }


def test_a_column_a_run_and_a_row_a_figure():
    lines = compare({"a": record(0.5), "b": record(0.75, judged=False)}).splitlines()
    assert lines[0] == "| test split | a | b |"
    assert "| global pair AUC | 0.500 (0.490 to 0.510) | 0.750 (0.740 to 0.760) |" in lines
    assert "| pair AUC of zero shot cosine | 0.500 (0.490 to 0.510) | 0.750 (0.740 to 0.760) |" in lines
    assert "| the same from the prompt alone, object | 0.500 (0.490 to 0.510) | 0.750 (0.740 to 0.760) |" in lines
    assert "| patch pair AUC of image only | 0.500 (0.490 to 0.510) | 0.750 (0.740 to 0.760) |" in lines
    assert "| heatmap, AUC-Judd | 0.500 (0.490 to 0.510) | - |" in lines
    assert "| pair AUC, unseen combinations | - | - |" in lines
