"""The HTTP service; public names are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.service.app import create_app
    from brainslice.service.server import run_server
    from brainslice.service.settings import Batching, Limits, Settings

__getattr__ = lazy_names(__name__)
