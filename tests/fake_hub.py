"""A hub that answers as a test says. Its methods have the real client's signatures, so that a call which the client
would refuse fails here too.
"""

from pathlib import Path
from typing import Any
from unittest import mock

import huggingface_hub
from huggingface_hub import constants

__all__ = ["out_of_reach", "replaced"]


def replaced(monkeypatch: Any, method: str, **how: Any) -> mock.Mock:
    """`HfApi.METHOD` replaced, with the network allowed; `how` as of `create_autospec` (`return_value`, `side_effect`).

    Returns:
        The replacement; its first argument in every call is the client.
    """
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    fake = mock.create_autospec(getattr(huggingface_hub.HfApi, method), **how)
    monkeypatch.setattr(huggingface_hub.HfApi, method, fake)
    return fake


def out_of_reach(monkeypatch: Any, cache: Path) -> mock.Mock:
    """An empty cache and no route to the hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return replaced(monkeypatch, "model_info", side_effect=ConnectionError("Network is unreachable\nat all"))
