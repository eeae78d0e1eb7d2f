"""Small trainable heads on frozen embeddings. Plain arrays in, logits out; no config, no losses."""

from tipai_jax.heads.auditor_heads import AuditorHeads, AuditorOutput
from tipai_jax.heads.evidence import Evidence, EvidencePool
from tipai_jax.heads.global_head import GlobalHead
from tipai_jax.heads.joint_linear import JointLinear
from tipai_jax.heads.patch_head import PatchHead
from tipai_jax.heads.reason_head import ReasonHead
from tipai_jax.heads.saliency_head import DecoderSaliency, InterpolateSaliency, upsample
from tipai_jax.heads.sees import Sees

__all__ = [
    "AuditorHeads",
    "AuditorOutput",
    "DecoderSaliency",
    "Evidence",
    "EvidencePool",
    "GlobalHead",
    "InterpolateSaliency",
    "JointLinear",
    "PatchHead",
    "ReasonHead",
    "Sees",
    "upsample",
]
