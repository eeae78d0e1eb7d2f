"""From a store to batches: which rows, in which order, gathered where. Rooms above hand the batches to a task."""
