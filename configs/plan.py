"""The plan exactly as given (docs/plan.md): the values of `AuditorConfig`, which are its table of hyperparameters.

Command:  python -m tipai_jax.train --config plan.py --store store/scenes --workdir runs/plan
Minutes:  3 on two cores, for the 28,000 training pairs of the quickstart
Figures:  test split: pair AUC .769, patch AUC .905, AUC-Judd .921, ECE .004 (docs/results.md)

Both scorers read the prompt's and the image's (the patch's) embedding side by side, the risk map is the enlarged
1 - score, the four losses weigh 1.0 / 1.0 / 0.5 / 0.1 on probabilities. The reason head is ours: the plan only asks
that each reason be told apart. It reads products besides, and shares no parameter with the rest, so it changes nothing
of the plan. The plan names a curriculum without numbers: here the first epoch draws from the half of the pairs with the
greatest margin, the sixth from all.
"""

from tipai_jax.config import AuditorConfig


def get_config() -> AuditorConfig:
    return AuditorConfig(workdir="runs/plan")
