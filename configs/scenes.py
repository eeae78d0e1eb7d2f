"""The quickstart's config: phrases instead of the prompt alone, and a term for each of score, patches and phrases.

Command:  python -m tipai_jax.train --config scenes.py --store store/scenes --workdir runs/quickstart
Minutes:  4 on two cores that nobody else uses (epochs of a minute), for the 28,000 training pairs of the quickstart
Figures:  test split: pair AUC .971, patch AUC .986, AUC-Judd .960, ECE .000, object AUC .944 (docs/results.md)

One transformer reads the image, its patches and the phrases of the prompt ("a red car"), each embedded by the frozen
text tower, and their similarity maps. The global logit learns the order of a pair and whether each image keeps its
prompt, the patches whether they are faithful (an unfaithful one weighs five), the phrases whether they are kept.
"""

from tipai_jax.config import AuditorConfig, DataConfig, LossConfig, ModelConfig, OptimConfig, TargetsConfig


def get_config() -> AuditorConfig:
    return AuditorConfig(
        workdir="runs/quickstart",
        model=ModelConfig(heads="phrases"),
        loss=LossConfig(
            pair=1.0,
            pointwise=0.5,
            patch=0.0,
            faithfulness=3.0,
            faithfulness_over="both",
            unfaithful_weight=5.0,
            saliency=0.0,
            reason=0.5,
            phrase=0.5,
            score_space="logit",
        ),
        optim=OptimConfig(peak_lr=1e-3, warmup_steps=200, weight_decay=0.02, clip_norm=1.0),
        data=DataConfig(batch_size=128, epochs=4, start_fraction=1.0, full_at_epoch=0),
        targets=TargetsConfig(
            pair_auc=0.97,
            patch_pair_auc=0.92,
            category_roc_auc=0.85,
            ece=0.03,
            auc_judd=0.90,
            beats_baselines=True,
            conformal=0.02,
        ),
    )
