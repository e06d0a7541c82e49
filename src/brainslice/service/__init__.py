"""The HTTP service; public names are loaded on first use."""

from __future__ import annotations

from brainslice.lazy import lazy_names

_HOMES = {"server": "run_server", "settings": "Limits Settings"}

__getattr__ = lazy_names(__name__, _HOMES)
