"""Tasks: one file wires heads, losses and metrics to a batch. The loop above knows only what a task offers."""
