"""The twin that belongs to some `InputFeatures`, and the small sizes that the head tests share."""

from twins.heads import AuditorTwin, DecoderTwin, EvidenceTwin, PatchTwin, PooledTwin, PoolTwin

from tipai_jax.heads.inputs import InputFeatures

D, K, HIDDEN, WIDTH, HEADS = 16, 9, 12, 8, 4
EVERYTHING = InputFeatures(products=True, global_image=True, position=True, attention=True, scale_inputs=True)


def patch_blocks(inputs: InputFeatures) -> list[str]:
    """What the plain patch head would concatenate, in order."""
    blocks = ["text"] if inputs.text else []
    blocks += ["patch"] if inputs.image else []
    blocks += ["text*patch"] if inputs.products else []
    if inputs.global_image:
        blocks += ["image", "text*image"] if inputs.products else ["image"]
    return blocks


def evidence_twin(inputs: InputFeatures) -> EvidenceTwin:
    return EvidenceTwin(D, K, WIDTH, HEADS, patch_blocks(inputs), inputs.position, inputs.scale_inputs)


def pooled_twin(inputs: InputFeatures, outputs: int) -> PooledTwin:
    wanted = (("text", inputs.text), ("image", inputs.image), ("text*image", inputs.products))
    blocks = [name for name, on in wanted if on]
    if not inputs.attention:
        return PooledTwin(D, outputs, HIDDEN, blocks, inputs.scale_inputs)
    pool = PoolTwin(D, WIDTH, HEADS, inputs.text, inputs.scale_inputs)
    return PooledTwin(D, outputs, HIDDEN, blocks, inputs.scale_inputs, pool, WIDTH)


def patch_twin(inputs: InputFeatures) -> PatchTwin:
    if inputs.attention:
        return PatchTwin(D, K, HIDDEN, width=WIDTH)
    return PatchTwin(D, K, HIDDEN, patch_blocks(inputs), inputs.position, inputs.scale_inputs)


def auditor_twin(
    *, global_inputs: InputFeatures, patch_inputs: InputFeatures, reason_inputs: InputFeatures, decoder: bool
) -> AuditorTwin:
    shared = next((each for each in (global_inputs, patch_inputs, reason_inputs) if each.attention), None)
    return AuditorTwin(
        pooled_twin(global_inputs, 1),
        patch_twin(patch_inputs),
        pooled_twin(reason_inputs, 5),
        None if shared is None else evidence_twin(shared),
        DecoderTwin(D, 16, 32) if decoder else None,
    )
