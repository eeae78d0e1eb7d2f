"""The public API of a trained auditor, and its form as a folder of two files."""
