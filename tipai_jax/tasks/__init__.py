"""What is trained: a task says which columns, head, losses, validation figures and order; the loop knows none of
them.

`task.py` is the protocol, `build.py` finds the task of a config, and every other file is one task.
"""
