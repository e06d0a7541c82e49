"""Where a project keeps what: one folder, the same layout everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from brainslice.config import Config


@dataclass(frozen=True, slots=True)
class ProjectPaths:
    """The files and folders of one project under one protocol.

    The clean protocol's results lie where everyone looks for them; the official protocol's lie one folder deeper, so
    that nobody takes one for the other.

    Attributes:
        root: The project's folder.
        data: The prepared set.
        cache: Decoded scans and activations; may be deleted at any time.
        models: The bundle and ``best.keras``.
        reports: Figures, tables, histories.
        logs: TensorBoard and CSV logs.
        test_access_log: How often each test set was opened; one for all protocols.
    """

    root: Path
    data: Path
    cache: Path
    models: Path
    reports: Path
    logs: Path
    test_access_log: Path

    @classmethod
    def of(cls, root: Path, config: Config, protocol: str | None = None) -> ProjectPaths:
        """Lay out a project.

        Args:
            root: The project's folder; relative places in the configuration start here.
            config: Says where data, cache and logs are.
            protocol: ``clean`` or ``official``; the configuration's own where None.
        """
        deeper = "official" if (protocol or config.data.protocol) == "official" else ""
        return cls(
            root=root,
            data=root / config.data.root,
            cache=root / config.data.cache,
            models=root / "models" / deeper,
            reports=root / "reports" / deeper,
            logs=root / config.log.folder / deeper,
            test_access_log=root / "reports" / "test_ledger.jsonl",
        )

    @property
    def bundle(self) -> Path:
        """The folder that predictions need, and nothing else."""
        return self.models / "bundle"

    @property
    def best(self) -> Path:
        """The network as Keras reads it."""
        return self.models / "best.keras"

    @property
    def workspace(self) -> Path:
        """Checkpoints of a training that is under way."""
        return self.models / "unfinished"
