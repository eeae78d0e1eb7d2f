"""Stage A exactly as planned (seeds/stage_a_auditor_scorer.md, table of hyperparameters).

Command:  python -m tipai_jax.train --config base.py --store store/scenes --workdir runs/base
Minutes:  3 on two cores, for the 28,000 training pairs of the quickstart
Numbers:  test split: pair AUC .891, patch AUC .917, AUC-Judd .927, ECE .012; all of the plan's targets met (README)

Both scorers read the prompt's and the image's (the patch's) embedding side by side, the risk map is the enlarged
1 - score, the four losses weigh 1.0 / 1.0 / 0.5 / 0.1 on probabilities. The reason head is ours: the plan only asks
that
each reason be told apart. It sees products besides, and shares no parameter with the rest, so it changes nothing of the
plan. The plan names a curriculum without numbers: here the
first epoch draws from the half of the pairs with the greatest margin, the sixth from all.
"""

from tipai_jax.config import (
    CheckpointConfig,
    Config,
    DataConfig,
    LogConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    SeesConfig,
)


def get_config() -> Config:
    return Config(
        store="store/scenes",
        workdir="runs/base",
        seed=0,
        model=ModelConfig(
            hidden=256,
            dropout=0.0,
            global_sees=SeesConfig(),
            patch_sees=SeesConfig(),
            reason_sees=SeesConfig(products=True, scale_inputs=True),
            saliency="interpolate",
        ),
        loss=LossConfig(
            pair=1.0,
            patch=1.0,
            faithfulness=0.5,
            saliency=0.1,
            reason=0.1,
            score_space="probability",
            patch_over="all",
            faithfulness_over="rejected",
        ),
        optim=OptimConfig(peak_lr=1e-4, weight_decay=0.01, warmup_steps=500, schedule="cosine", clip_norm=None),
        data=DataConfig(batch_size=32, epochs=20, start_fraction=0.5, full_at_epoch=5),
        checkpoint=CheckpointConfig(),
        log=LogConfig(),
    )
