"""The description of a bundle, as stored in ``bundle.json``, validated strictly by pydantic."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field, JsonValue, PositiveInt, model_validator

from brainslice.bundle.fields import (
    UNSIGNED,
    Ensemble,
    Fraction,
    HalfPrecisionParity,
    Line,
    NotNegative,
    PlainName,
    Sha256,
    StoredConformalSets,
    StoredModel,
    StoredOodDetector,
    stored_text,
)
from brainslice.decision import MAX_TEMPERATURE, MIN_TEMPERATURE, OperatingPoint
from brainslice.labels import LabelSet

FORMAT: Final = 2
"""The current format version of a bundle."""

INFO_FILE = "bundle.json"
"""The file of the description."""

GRAPH_FILE = "model.onnx"
"""The ONNX graph, which every bundle has."""

IMPORTED: Final = "imported"
"""The training recipe and the backbone of a network that was trained elsewhere."""


class Classes(StoredModel):
    """The classes of a model.

    Attributes:
        names: Class names in the order of the model's outputs.
        healthy: The class without tumour, if any.
    """

    names: Annotated[tuple[Line, ...], Field(min_length=2)]
    healthy: Line | None

    @model_validator(mode="after")
    def _check_names(self) -> Classes:
        if len(set(self.names)) != len(self.names) or self.healthy not in (None, *self.names):
            msg = f"class names must differ and include {self.healthy!r}, got {list(self.names)}"
            raise ValueError(msg)
        return self

    @classmethod
    def of(cls, labels: LabelSet) -> Classes:
        """Convert from a label set."""
        return cls(names=labels.names, healthy=labels.healthy)

    def label_set(self) -> LabelSet:
        """Convert to a label set."""
        return LabelSet(names=self.names, healthy=self.healthy)

    def digest_with(self, weights_digest: str) -> str:
        """Compute the digest that binds the names, their order and the healthy class to a network's weights."""
        return hashlib.sha256(json.dumps([weights_digest, self.names, self.healthy]).encode()).hexdigest()


class Provenance(StoredModel):
    """Data, settings and library versions of the training.

    Attributes:
        dataset: The data set's name.
        manifest_digest: sha256 over scans, labels, groups and splits.
        split_digest: sha256 over the training, validation and test scans.
        weights_digest: sha256 over the network's arrays, equal for bit-identical trainings.
        protocol: The split: ``clean`` by group, or the data set's own, ``official``.
        leaky: Whether groups cross that split, so that test scores are optimistic.
        phantom: Whether the scans are drawn.
        seed: Seed of the training.
        training_recipe: The recipe; ``imported`` for a network that was trained elsewhere.
        train_images: The number of training scans; of an imported network, those of the split, which fitted the
            out-of-distribution detector only.
        train_groups: The number of patients, or groups of related scans, they come from.
        validation_images: The number of validation scans.
        validation_groups: The number of groups those come from.
        versions: Library name to version.
    """

    dataset: Line
    manifest_digest: Sha256
    split_digest: Sha256
    weights_digest: Sha256
    protocol: Literal["clean", "official"]
    leaky: bool
    phantom: bool
    seed: int
    training_recipe: Literal["quick", "full", "imported"]
    train_images: PositiveInt
    train_groups: PositiveInt
    validation_images: PositiveInt
    validation_groups: PositiveInt
    versions: dict[Line, Line]


class Validation(StoredModel):
    """Results on the validation scans, which chose the temperature and are therefore optimistic.

    Attributes:
        n: The number of scans.
        accuracy: The share of correct predictions.
        nll: Mean negative log-likelihood of the true class, after temperature.
        ece: Expected calibration error, after temperature.
    """

    n: PositiveInt
    accuracy: Fraction
    nll: NotNegative
    ece: Fraction


class GraphParity(StoredModel):
    """Differences of the exported graph from the network.

    Attributes:
        n: The number of scans compared.
        logits: Largest absolute difference of any logit.
        class_maps: Largest absolute difference of any position of any class map.
    """

    n: PositiveInt
    logits: NotNegative
    class_maps: NotNegative


class BundleDraft(StoredModel):
    """The description of a bundle before its files are hashed.

    Attributes:
        name: The model's name.
        created: When training ended, with a time zone.
        labels: The classes, in the order of the graph's outputs.
        recipe: The preprocessing, from ``Recipe.to_json``.
        temperature: The divisor of logits before the softmax, 0.05 to 20.
        threshold: P(tumour) from which a scan is predicted as a tumour.
        backbone: The backbone's name, such as ``efficientnetv2-b0``.
        head: ``pyramid`` if class maps are pooled by log-mean-exp; None if logits are their means.
        contralateral: The share of the evidence for a tumour at the mirrored position that the graph subtracts.
        second_size: Rows and columns of the enlarged scan that the graph also sees; None if it sees one size.
        second_network: Digest of the weights that see the enlarged scan; None if they are the same.
        class_map_shape: Rows and columns of a class map.
        class_map_bias: The bias of each class map.
        provenance: Data and settings of the training.
        validation: Results on the validation scans.
        parity: Differences of graph and network.
        conformal: The prediction sets, if any.
        ood_detector: The out-of-distribution detector, if any.
        ensemble: The members, if it is an ensemble.
        operating_points: Thresholds with targets and measured rates.
        half_precision: The effect of 16-bit weights; None for 32 bits, or where 32 bits are lost.
        labels_digest: ``labels.digest_with`` the weights' digest; None in bundles of older versions.
    """

    name: Line
    created: AwareDatetime
    labels: Classes
    recipe: dict[str, JsonValue]
    temperature: Annotated[float, Field(ge=MIN_TEMPERATURE, le=MAX_TEMPERATURE)]
    threshold: Fraction = 0.5
    backbone: Line
    head: Literal["pyramid"] | None = None
    contralateral: Annotated[float, Field(ge=0, lt=1)] = 0.0
    second_size: PositiveInt | None = None
    second_network: Sha256 | None = None
    class_map_shape: tuple[PositiveInt, PositiveInt]
    class_map_bias: tuple[float, ...]
    provenance: Provenance
    validation: Validation
    parity: GraphParity
    conformal: StoredConformalSets | None = None
    ood_detector: StoredOodDetector | None = None
    ensemble: Ensemble | None = None
    operating_points: tuple[OperatingPoint, ...] = ()
    half_precision: HalfPrecisionParity | None = None
    labels_digest: Sha256 | None = None

    @model_validator(mode="after")
    def _check_bias(self) -> BundleDraft:
        if (numbers := len(self.class_map_bias)) != (classes := len(self.labels.names)):
            msg = f"class_map_bias must hold {classes} numbers, one for each class, got {numbers}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _check_labels_digest(self) -> BundleDraft:
        if self.labels_digest not in {None, self.labels.digest_with(self.provenance.weights_digest)}:
            msg = f"labels must be those that the weights were trained with, in their order, got {self.labels.names}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _check_conformal(self) -> BundleDraft:
        classes, sets = len(self.labels.names), self.conformal
        if sets is not None and not len(sets.quantiles) == len(sets.counts) == len(sets.groups) == classes:
            numbers = (len(sets.quantiles), len(sets.counts), len(sets.groups))
            msg = f"conformal must hold {classes} quantiles, counts and groups, one for each class, got {numbers}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _check_point_names(self) -> BundleDraft:
        names = [point.name for point in self.operating_points]
        if len(set(names)) != len(names):
            msg = f"operating_points must differ in their names, got {names}"
            raise ValueError(msg)
        return self

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings to show with every prediction: "phantom", "leaky", "imported", "no_heat_map"."""
        true = {
            "phantom": self.provenance.phantom,
            "leaky": self.provenance.leaky,
            "imported": self.imported,
            "no_heat_map": not self.has_heat_maps,
        }
        return tuple(name for name, holds in true.items() if holds)

    @property
    def imported(self) -> bool:
        """Whether the network was trained elsewhere, on scans that are not known."""
        return self.provenance.training_recipe == IMPORTED

    @property
    def has_heat_maps(self) -> bool:
        """Whether class maps have more than one position, and so show where the evidence is."""
        return self.class_map_shape != (1, 1)


class BundleInfo(BundleDraft):
    """A bundle's description with the hash of every file, and of itself.

    Attributes:
        format: The format version.
        files: File name to sha256, for every file except the description.
        digest: sha256 over the rest of this description except ``created`` and ``seal``, which identifies the bundle:
            equal trainings give equal digests. In bundles without a seal it covers ``created`` too.
        seal: sha256 over the rest of this description, which shows that it is unaltered; None in older bundles.
    """

    format: Literal[2] = FORMAT
    files: dict[PlainName, Sha256]
    digest: Sha256 = UNSIGNED
    seal: Sha256 | None = None

    @model_validator(mode="after")
    def _check_files(self) -> BundleInfo:
        if GRAPH_FILE not in self.files or INFO_FILE in self.files:
            msg = f"files must list {GRAPH_FILE} and not {INFO_FILE}, got {sorted(self.files)}"
            raise ValueError(msg)
        return self

    @classmethod
    def sign(cls, draft: BundleDraft, files: dict[str, str]) -> BundleInfo:
        """Complete a draft with the hashes of its files, its own digest and its seal."""
        fields = {name: getattr(draft, name) for name in BundleDraft.model_fields}
        unsigned = cls(**fields, files=dict(sorted(files.items())), seal=UNSIGNED)
        identified = unsigned.model_copy(update={"digest": unsigned.expected_digest()})
        return identified.model_copy(update={"seal": identified.expected_seal()})

    def expected_digest(self) -> str:
        """Compute what ``digest`` must be."""
        left_out = () if self.seal is None else ("created", "seal")
        return self._hash_without("digest", left_out)

    def expected_seal(self) -> str | None:
        """Compute what ``seal`` must be; None for a bundle without one."""
        return None if self.seal is None else self._hash_without("seal", ())

    def to_text(self) -> str:
        """Return the JSON text as stored; equal descriptions give equal bytes."""
        return stored_text(self._stored_fields())

    def _hash_without(self, itself: str, left_out: tuple[str, ...]) -> str:
        fields = {name: value for name, value in self._stored_fields().items() if name not in left_out}
        return hashlib.sha256(stored_text(fields | {itself: UNSIGNED}).encode()).hexdigest()

    def _stored_fields(self) -> dict[str, JsonValue]:
        return {name: value for name, value in self.model_dump(mode="json").items() if value or name not in OPTIONAL}


OPTIONAL: Final = frozenset(name for name, field in BundleInfo.model_fields.items() if not field.default)
"""Fields that are empty by default; left out of the JSON if empty, so that older bundles keep their digests."""
