"""From a store to batches: which examples, in which order, gathered where; generic over the columns that a task
declares.
"""
