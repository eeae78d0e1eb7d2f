"""The twin that belongs to some `InputFeatures`, and the small sizes that the head tests share."""

from twins.heads import AuditorTwin, PlanHeadTwin

from tipai_jax.heads.inputs import InputFeatures

D, K, HIDDEN = 16, 9, 12


def plan_twin(inputs: InputFeatures, outputs: int = 1) -> PlanHeadTwin:
    wanted = (("text", inputs.text), ("image", inputs.image), ("text*image", inputs.products))
    return PlanHeadTwin(D, outputs, HIDDEN, [name for name, on in wanted if on], inputs.scale_inputs)


def auditor_twin(
    *, global_inputs: InputFeatures, patch_inputs: InputFeatures, reason_inputs: InputFeatures
) -> AuditorTwin:
    return AuditorTwin(plan_twin(global_inputs), plan_twin(patch_inputs), plan_twin(reason_inputs, 5))
