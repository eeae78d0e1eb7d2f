"""How the figures of the auditor are shown: labels, sections, notes. The definitions stand in
`evaluation/auditor_figures.py`.
"""

from dataclasses import replace

from tipai_jax.tasks.task import FigureSpec, Layout, Section

__all__ = ["LAYOUT"]

ALL = ("zero_shot_cosine", "zero_shot_phrases", "ridge_probe", "text_only", "image_only")
PLACES = ("zero_shot_cosine", "zero_shot_phrases", "ridge_probe", "image_only")
MASKED = (*PLACES, "object_mask")
COSINES = ("zero_shot_cosine", "zero_shot_phrases")
GUESSED = ("zero_shot_phrases", "phrase_rates")
RANKING, CALIBRATION, WHERE, WHY, SHIFTS = "ranking", "calibration", "where", "why", "shifts"

SECTIONS = (
    Section(
        key=RANKING,
        title="Ranking",
        text="How often the chosen image of a pair scores higher than the rejected one.",
        notes=(
            (
                "Pair AUC: the share of pairs whose chosen image scores higher; a tie counts half, controls are left "
                "out. Guessing earns 0.5."
            ),
            (
                "Margin: the score of the chosen image minus that of the rejected one as the data give them; four "
                "bins of about equal size, equal margins in one bin. A pair that breaks two categories counts in "
                "both."
            ),
            (
                "Zero-shot cosine: of the frozen encoder's embeddings, no head; zero-shot phrases: each phrase by its "
                "highest cosine with a patch, the image by their mean. Ridge probe: ridge regression on the embeddings "
                "of prompt and image. Text-only and image-only ablation: heads that read the prompt alone or the image "
                "alone; in data without a shortcut their pair AUC is 0.5. A difference is paired: ours is better "
                "beyond chance where its interval lies above 0."
            ),
        ),
    ),
    Section(
        key=CALIBRATION,
        title="Calibration",
        text=(
            "Where the dots of the reliability diagram lie on the dashed line, a score of 0.8 keeps the prompt eight "
            "times in ten."
        ),
        notes=(
            (
                "The calibrator was fitted on the validation split. ECE, expected calibration error: over 15 bins of "
                "equal width (or of about as many images each), the distance between the mean score and the share of "
                "images that keep the prompt, weighted by the images in a bin, without what noise adds to it. Chosen "
                "images count as keeping it, rejected ones as not, controls are left out."
            ),
            (
                "Control: a pair whose two images both keep the prompt and differ in what it does not name. An image "
                "is flagged where its score is below 0.5; the second image of a control should not be flagged more "
                "often than a chosen one."
            ),
            (
                "Conformal prediction gives a set of answers, keeps the prompt or breaks it, that is to hold the true"
                " one as often as the level asks. Where the set holds both or neither, the auditor abstains."
            ),
            (
                "Score and worst patch: the calibrated score, and the probability judged by the worst patch alone; "
                "they agree where both fall on the same side of 0.5."
            ),
        ),
    ),
    Section(
        key=WHERE,
        title="Where it fails",
        text="Whether the patches that are wrong stand out, and how the heatmaps lie on the true regions.",
        notes=(
            (
                "Object AUC: among the objects of a rejected image, how often one that breaks the prompt has a higher"
                " risk than one that does not; the risk of an object is the mean over its box. Guessing earns 0.5, "
                "and so does a map of where objects are. Hottest object: the object of the highest risk is a wrong "
                "one."
            ),
            (
                "AP: average precision of the found boxes as COCO defines it, at an overlap (IoU) of 0.25 and 0.5, "
                "over chosen and rejected images together (at most 2,000 pairs), so that a box in a chosen image "
                "counts as a false alarm; boxes go by the number printed on them, the highest risk in them. An image "
                "that keeps its prompt by its score gets no box. A box lies around a peak of the risk; from which risk "
                "on there is one, and how far it reaches, was best on validation (F1 over both images of a pair). "
                "Chosen and rejected images in which something is marked: those with a box; in a chosen one nothing "
                "is wrong."
            ),
            (
                "Patch AUC at the same place: the share of the cells that are unfaithful in the rejected image alone "
                "in which the chosen image has the higher score. Patch pair AUC: the chance that a random faithful "
                "patch scores higher than a random unfaithful one, over all images, or over the rejected images "
                "alone."
            ),
            (
                "Heatmaps: means over the rejected images with pixels to blame (at most 2,000), at 224 by 224, "
                "against the true boxes. IoU and Dice at the threshold of the boxes; correlation of the map with the "
                "mask; AUC-Judd: how well the risk tells the pixels inside from those outside (0.5 is chance). Box "
                "overlap: the box of the highest risk of the map shares a pixel with the true one; pointing game: the "
                "hottest cell has its centre in it. Mask of all objects: 1 where any object lies, right or wrong; what "
                "is not above it only tells objects from background."
            ),
        ),
    ),
    Section(
        key=WHY,
        title="Why it fails",
        text="Whether the reasons are the right ones.",
        notes=(
            (
                "Phrase AUC: among the phrases of a rejected image, how often a kept one has a higher score than a "
                "broken one; and of a broken phrase, how often the chosen image has the higher score for it. Named "
                "phrase right: where the verdict is that the image breaks its prompt, the phrase that it keeps least "
                "is truly broken. Guess from the prompt: how often phrases of that kind and count are broken in the "
                "training split, in prompts of as many phrases; it looks at no image."
            ),
            (
                "Named alternative: a broken phrase that the auditor calls failing is judged again with another "
                "colour, number or relation in it, and the most probable wording is named if it is more likely than "
                "not. Right: it is what the image shows, another colour, number or relation; the usual alternative: "
                "what training images most often show where the prompt says the same. At most 500 phrases of each "
                "kind. Alternative is named: the share of these phrases that get one."
            ),
            (
                "Macro-F1 of the reason within pairs: a pair names a reason if exactly one of its images gets one, "
                "and is right if that is the rejected image and the reason the true one. The prompt alone earns 0."
            ),
            (
                "ROC-AUC of each reason: images broken in that category against all others, or against the chosen "
                "images of the same pairs, where a guess from the kind of the prompt earns nothing. Beside it the "
                "same of the text-only ablation, which never reads the image."
            ),
        ),
    ),
    Section(
        key=SHIFTS,
        title="Unlike training",
        text="The same heads and the same calibration on the shifted splits: images that training had nothing like.",
        notes=(
            (
                "The splits called shift-NAME of the data were used for nothing but these figures, neither for the "
                "heads nor for the calibration (in the small world nor for the encoder): shift-style is drawn in two "
                "styles that were held out, shift-background before photographs, shift-renderer by other code."
            ),
        ),
    ),
)

FIGURES = (
    FigureSpec(key="global_pair_auc", label="global pair AUC", section=RANKING, baselines=ALL, headline=True),
    FigureSpec(
        key="pair_auc_by_category.*",
        label="pair AUC, {}",
        section=RANKING,
        baselines=COSINES,
        plot="By what is broken",
        chance=0.5,
    ),
    FigureSpec(
        key="pair_auc_by_difficulty.*",
        label="pair AUC, {}",
        section=RANKING,
        baselines=COSINES,
        plot="By difficulty",
        chance=0.5,
    ),
    FigureSpec(
        key="pair_auc_by_margin.*",
        label="pair AUC, margin {}",
        section=RANKING,
        baselines=COSINES,
        plot="By margin",
        chance=0.5,
    ),
    FigureSpec(
        key="unseen_combination_pair_auc",
        label="pair AUC, unseen combinations",
        section=RANKING,
        baselines=COSINES,
    ),
    FigureSpec(key="baselines.*.global_pair_auc_difference", label="pair AUC above {}", section=RANKING, format="+.4f"),
    FigureSpec(key="ece_before", label="ECE before calibration", section=CALIBRATION, better="lower"),
    FigureSpec(key="ece", label="ECE", section=CALIBRATION, better="lower", baselines=ALL, headline=True),
    FigureSpec(key="ece_equal_mass", label="ECE, bins of equal mass", section=CALIBRATION, better="lower"),
    FigureSpec(key="conformal.*.coverage", label="conformal coverage at {}", section=CALIBRATION, better="neither"),
    FigureSpec(
        key="conformal.*.coverage_keeps",
        label="of images that keep the prompt, at {}",
        section=CALIBRATION,
        better="neither",
    ),
    FigureSpec(
        key="conformal.*.coverage_breaks", label="of images that break it, at {}", section=CALIBRATION, better="neither"
    ),
    FigureSpec(
        key="conformal.*.coverage_controls", label="of control images, at {}", section=CALIBRATION, better="neither"
    ),
    FigureSpec(key="conformal.*.abstains", label="abstains at {}", section=CALIBRATION, better="lower"),
    FigureSpec(
        key="consistency.inconsistent_rate", label="score and worst patch disagree", section=CALIBRATION, better="lower"
    ),
    FigureSpec(key="consistency.accuracy_consistent", label="score right where they agree", section=CALIBRATION),
    FigureSpec(key="consistency.accuracy_inconsistent", label="score right where they disagree", section=CALIBRATION),
    FigureSpec(key="control.alarm_rate", label="control images flagged", section=CALIBRATION, better="lower"),
    FigureSpec(key="control.alarm_rate_faithful", label="chosen images flagged", section=CALIBRATION, better="lower"),
    FigureSpec(key="control.alarm_rate_broken", label="rejected images flagged", section=CALIBRATION),
    FigureSpec(key="control.score_gap", label="score gap of a control", section=CALIBRATION, better="neither"),
    FigureSpec(
        key="calibration_gap",
        label="largest calibration gap over prompts",
        section=CALIBRATION,
        better="lower",
        baselines=COSINES,
    ),
    FigureSpec(key="objects.auc", label="object AUC", section=WHERE, baselines=PLACES, headline=True, chance=0.5),
    FigureSpec(key="objects.auc_against_named", label="object AUC against named ones", section=WHERE, baselines=PLACES),
    FigureSpec(
        key="objects.auc_against_unnamed", label="object AUC against unnamed ones", section=WHERE, baselines=PLACES
    ),
    FigureSpec(
        key="objects.auc_by_category.*",
        label="object AUC, {}",
        section=WHERE,
        baselines=PLACES,
        plot="Objects, by what is broken",
        chance=0.5,
    ),
    FigureSpec(
        key="objects.auc_by_difficulty.*",
        label="object AUC, {} pairs",
        section=WHERE,
        baselines=PLACES,
        plot="Objects, by difficulty",
        chance=0.5,
    ),
    FigureSpec(key="objects.hottest_right", label="hottest object is wrong", section=WHERE, baselines=PLACES),
    FigureSpec(key="objects.hottest_by_chance", label="hottest object by chance", section=WHERE, better="neither"),
    FigureSpec(key="boxes.ap25", label="AP at overlap 0.25", section=WHERE, baselines=PLACES),
    FigureSpec(key="boxes.ap50", label="AP at overlap 0.5", section=WHERE, baselines=PLACES),
    FigureSpec(
        key="boxes.marked_in_chosen",
        label="chosen images in which something is marked",
        section=WHERE,
        better="lower",
        baselines=PLACES,
    ),
    FigureSpec(
        key="boxes.marked_in_rejected",
        label="rejected images in which something is marked",
        section=WHERE,
        better="neither",
        baselines=PLACES,
    ),
    FigureSpec(key="patch_auc_same_place", label="patch AUC at the same place", section=WHERE, baselines=PLACES),
    FigureSpec(key="patch_pair_auc", label="patch pair AUC", section=WHERE, baselines=MASKED, headline=True),
    FigureSpec(
        key="patch_pair_auc_within_rejected",
        label="patch pair AUC within rejected images",
        section=WHERE,
        baselines=MASKED,
    ),
    FigureSpec(key="heatmap.iou", label="heatmap, IoU", section=WHERE, baselines=PLACES),
    FigureSpec(key="heatmap.dice", label="heatmap, Dice", section=WHERE, baselines=PLACES),
    FigureSpec(key="heatmap.cc", label="heatmap, correlation", section=WHERE, baselines=PLACES),
    FigureSpec(key="heatmap.auc_judd", label="heatmap, AUC-Judd", section=WHERE, baselines=MASKED, headline=True),
    FigureSpec(key="heatmap.box_overlap", label="heatmap, box overlap", section=WHERE, baselines=MASKED),
    FigureSpec(key="heatmap.pointing_game", label="heatmap, pointing game", section=WHERE, baselines=PLACES),
    FigureSpec(key="phrases.auc", label="phrase AUC", section=WHY, baselines=GUESSED, headline=True, chance=0.5),
    FigureSpec(key="phrases.auc_same_phrase", label="phrase AUC of the same phrase", section=WHY, chance=0.5),
    FigureSpec(key="phrases.named_right", label="named phrase right", section=WHY, baselines=GUESSED),
    FigureSpec(key="phrases.named_by_chance", label="named phrase by chance", section=WHY, better="neither"),
    FigureSpec(key="phrases.alternative_right.*", label="named alternative right, {}", section=WHY),
    FigureSpec(
        key="phrases.alternative_guessed.*",
        label="the usual alternative is right, {}",
        section=WHY,
        better="neither",
    ),
    FigureSpec(key="phrases.alternative_named.*", label="alternative is named, {}", section=WHY, better="neither"),
    FigureSpec(
        key="reason_macro_f1", label="macro-F1 of the reason within pairs", section=WHY, baselines=("text_only",)
    ),
    FigureSpec(key="category_roc_auc.*", label="category ROC-AUC, {}", section=WHY, baselines=("text_only",)),
    FigureSpec(
        key="category_roc_auc_within_pairs.*",
        label="category ROC-AUC within pairs, {}",
        section=WHY,
        baselines=("text_only",),
    ),
)

AWAY = (
    "global_pair_auc",
    "ece",
    "calibration_gap",
    "objects.auc",
    "objects.hottest_right",
    "boxes.ap25",
    "boxes.marked_in_chosen",
    "phrases.auc",
    "phrases.auc_same_phrase",
    "phrases.named_right",
    "reason_macro_f1",
)
"""Figures that are shown of the shifted splits as well."""


def _away(spec: FigureSpec) -> FigureSpec:
    label, plot = f"{spec.label}, {{}}", "Object AUC, by split" if spec.key == "objects.auc" else ""
    return replace(spec, key=f"shifts.*.{spec.key}", label=label, section=SHIFTS, headline=False, plot=plot)


SHIFT_FIGURES = (
    *(_away(spec) for name in AWAY for spec in FIGURES if spec.key == name),
    FigureSpec(
        key="baselines.*.shifts.*.global_pair_auc_difference",
        label="pair AUC above {}, {}",
        section=SHIFTS,
        format="+.4f",
    ),
)

LAYOUT = Layout(
    title="evaluation of an auditor of text-to-image faithfulness",
    intervals="95 %, with whole prompt groups (pairs.group) as the unit (docs/metrics.md)",
    sections=SECTIONS,
    figures=(*FIGURES, *SHIFT_FIGURES),
    baselines={
        "zero_shot_cosine": "zero-shot cosine",
        "zero_shot_phrases": "zero-shot phrases",
        "ridge_probe": "ridge probe",
        "text_only": "text-only ablation",
        "image_only": "image-only ablation",
        "phrase_rates": "guess from the prompt",
        "object_mask": "mask of all objects",
    },
    names={"0.8": "80 %", "0.9": "90 %", "0.95": "95 %"},
    reference="zero_shot_cosine",
    reliability=CALIBRATION,
    positives="share of images that keep the prompt",
    best_and_worst=(
        "The pairs whose chosen image stands furthest above the rejected one in calibrated score, and those where it"
        " stands lowest or below (where a calibrator of few steps makes that equal, by the logits). Controls are left"
        " out. These pairs are no sample: they show the auditor at its best and at its worst. On a sheet, from left:"
        " the chosen image, its heatmap, the rejected image with the true boxes in black (dashed: something is missing"
        " there), its heatmap with the found boxes in violet. Of heads that read phrases, the prompt stands there for"
        " each image with the probability that the image keeps each phrase; one below 0.5 is underlined."
    ),
)
