"""The twin that belongs to a `Sees`, and the small sizes that the head tests share."""

from twins.heads import AuditorTwin, DecoderTwin, EvidenceTwin, PatchTwin, PooledTwin, PoolTwin

from tipai_jax.heads import Sees

D, K, HIDDEN, WIDTH, HEADS = 16, 9, 12, 8, 4
EVERYTHING = Sees(products=True, global_image=True, position=True, attention=True, scale_inputs=True)


def patch_inputs(sees: Sees) -> list[str]:
    """What the plain patch head would concatenate, in order."""
    inputs = ["text"] if sees.text else []
    inputs += ["patch"] if sees.image else []
    inputs += ["text*patch"] if sees.products else []
    if sees.global_image:
        inputs += ["image", "text*image"] if sees.products else ["image"]
    return inputs


def evidence_twin(sees: Sees) -> EvidenceTwin:
    return EvidenceTwin(D, K, WIDTH, HEADS, patch_inputs(sees), sees.position, sees.scale_inputs)


def pooled_twin(sees: Sees, outputs: int, *, own: bool = True) -> PooledTwin:
    inputs = [name for name, on in (("text", sees.text), ("image", sees.image), ("text*image", sees.products)) if on]
    if not sees.attention:
        return PooledTwin(D, outputs, HIDDEN, inputs, sees.scale_inputs)
    pool = PoolTwin(D, WIDTH, HEADS, sees.text, sees.scale_inputs)
    return PooledTwin(D, outputs, HIDDEN, inputs, sees.scale_inputs, evidence_twin(sees) if own else None, pool, WIDTH)


def patch_twin(sees: Sees, *, own: bool = True) -> PatchTwin:
    if sees.attention:
        return PatchTwin(D, K, HIDDEN, evidence=evidence_twin(sees) if own else None, width=WIDTH)
    return PatchTwin(D, K, HIDDEN, patch_inputs(sees), sees.position, sees.scale_inputs)


def auditor_twin(*, global_sees: Sees, patch_sees: Sees, reason_sees: Sees, decoder: bool) -> AuditorTwin:
    shared = next((sees for sees in (global_sees, patch_sees, reason_sees) if sees.attention), None)
    return AuditorTwin(
        pooled_twin(global_sees, 1, own=False),
        patch_twin(patch_sees, own=False),
        pooled_twin(reason_sees, 5, own=False),
        None if shared is None else evidence_twin(shared),
        DecoderTwin(D, 16, 32) if decoder else None,
    )
