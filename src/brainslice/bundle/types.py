"""What a bundle says about the model inside it, as ``bundle.json`` stores it.

These are border types: every field is checked strictly when the file is read, unknown fields are refused, and
nothing can be changed afterwards.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field, JsonValue, PositiveInt, model_validator

from brainslice.bundle.abstention import StoredConformalSets, StoredOodDetector
from brainslice.bundle.ensemble import Ensemble
from brainslice.bundle.fields import Fraction, Line, NotNegative, PlainName, Sha256, StoredModel
from brainslice.decision.operating_point import OperatingPoint
from brainslice.decision.temperature import COLDEST, HOTTEST
from brainslice.labels import LabelSet

FORMAT: Final = 2
"""The newest layout of a bundle that this version writes and reads."""

INFO_FILE = "bundle.json"
"""The file that describes all others."""

GRAPH_FILE = "model.onnx"
"""The graph that predictions run on; the one file no bundle can do without."""

_UNSIGNED = "0" * 64

OPTIONAL: Final = frozenset({"head", "conformal", "ood_detector", "operating_points", "ensemble", "half_precision"})
"""Parts that a description leaves out where the bundle lacks them, so that older bundles keep their digests."""


class Classes(StoredModel):
    """The classes a model tells apart.

    Attributes:
        names: Class names in the order of the model's outputs.
        healthy: The one of them that is no tumour; None where none is.
    """

    names: Annotated[tuple[Line, ...], Field(min_length=2)]
    healthy: Line | None

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Classes:
        if len(set(self.names)) != len(self.names) or self.healthy not in (None, *self.names):
            msg = f"class names must differ and include {self.healthy!r}, got {list(self.names)}"
            raise ValueError(msg)
        return self

    @classmethod
    def of(cls, labels: LabelSet) -> Classes:
        """Store a label set."""
        return cls(names=labels.names, healthy=labels.healthy)

    def label_set(self) -> LabelSet:
        """Make the label set they were stored from."""
        return LabelSet(names=self.names, healthy=self.healthy)


class Provenance(StoredModel):
    """Where a model comes from: enough to train it again.

    Attributes:
        dataset: The data set's name.
        manifest_digest: sha256 over the scans, labels, groups and splits it was trained with.
        split_digest: sha256 over which of the scans trained, validated and were kept for testing.
        weights_digest: sha256 over the network's arrays: equal where two trainings came to the same, to the last bit.
        protocol: Which split: ``clean`` by group, or the data set's own, ``official``.
        leaky: Whether groups cross that split, so that its test scores flatter the model.
        phantom: Whether the scans are drawn rather than measured.
        seed: The one seed of the training.
        training_recipe: How thoroughly it was trained.
        train_images: Scans trained on.
        train_groups: How many patients, or groups of related scans, they come from.
        validation_images: Scans that chose temperature and stopping time.
        validation_groups: How many groups those come from.
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
    training_recipe: Literal["quick", "full"]
    train_images: PositiveInt
    train_groups: PositiveInt
    validation_images: PositiveInt
    validation_groups: PositiveInt
    versions: dict[Line, Line]


class Validation(StoredModel):
    """How the model did on the scans that chose its temperature; flattering, and never a test result.

    Attributes:
        n: How many scans.
        accuracy: Share judged rightly.
        nll: Mean negative log-likelihood of the true class, after temperature.
        ece: Expected calibration error, after temperature.
    """

    n: PositiveInt
    accuracy: Fraction
    nll: NotNegative
    ece: Fraction


class GraphParity(StoredModel):
    """How closely the exported graph repeats the network it came from.

    Attributes:
        n: How many scans were compared.
        logits: Largest absolute difference of any logit.
        class_maps: Largest absolute difference of any position of any class map.
    """

    n: PositiveInt
    logits: NotNegative
    class_maps: NotNegative


class HalfPrecisionParity(StoredModel):
    """How closely a graph of 16-bit weights repeats the one of 32 bits that it was made from.

    Attributes:
        n: How many validation scans were compared.
        probabilities: Largest absolute difference of any probability.
        same_class: The share of the scans whose most probable class is the same.
        source: The digest of the bundle with the weights of 32 bits.
    """

    n: PositiveInt
    probabilities: NotNegative
    same_class: Fraction
    source: Sha256


class BundleDraft(StoredModel):
    """All that training knows of a bundle before its files are hashed.

    Attributes:
        name: What the model is called.
        created: When training ended, with a time zone.
        labels: The classes, in the order of the graph's outputs.
        recipe: The preprocessing, as ``Recipe.to_json`` tells it.
        temperature: What logits are divided by before the softmax, 0.05 to 20.
        threshold: The probability of any tumour from which a scan is called one.
        backbone: The network's family name, such as ``efficientnetv2-b0``.
        head: ``pyramid`` where class maps are pooled by log-mean-exp; None where the logits are their means.
        class_map_shape: Rows and columns of a class map.
        class_map_bias: What each class map holds where the features say nothing; one number a class.
        provenance: Where the model comes from.
        validation: How it did on its validation scans.
        parity: How closely the graph repeats the network.
        conformal: What makes prediction sets; None in bundles that make none.
        ood_detector: What tells strange pictures; None in bundles that take any.
        ensemble: The networks it is made of; None where there is one network alone.
        operating_points: Thresholds that were found for it, with what they promise; none before any was looked for.
        half_precision: What storing the weights in 16 bits changed; None where they have 32.
    """

    name: Line
    created: AwareDatetime
    labels: Classes
    recipe: dict[str, JsonValue]
    temperature: Annotated[float, Field(ge=COLDEST, le=HOTTEST)]
    threshold: Fraction = 0.5
    backbone: Line
    head: Literal["pyramid"] | None = None
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

    @model_validator(mode="after")
    def _has_a_bias_for_each_class(self) -> BundleDraft:
        if len(self.class_map_bias) != len(self.labels.names):
            classes, numbers = len(self.labels.names), len(self.class_map_bias)
            msg = f"class_map_bias must hold {classes} numbers, one for each class, got {numbers}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _has_a_quantile_for_each_class(self) -> BundleDraft:
        classes, sets = len(self.labels.names), self.conformal
        if sets is not None and not len(sets.quantiles) == len(sets.counts) == len(sets.groups) == classes:
            numbers = (len(sets.quantiles), len(sets.counts), len(sets.groups))
            msg = f"conformal must hold {classes} quantiles, counts and groups, one for each class, got {numbers}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _has_one_operating_point_a_name(self) -> BundleDraft:
        names = [point.name for point in self.operating_points]
        if len(set(names)) != len(names):
            msg = f"operating_points must differ in their names, got {names}"
            raise ValueError(msg)
        return self

    @property
    def warnings(self) -> tuple[str, ...]:
        """What must be said wherever this model's answers are shown."""
        said = (("phantom", self.provenance.phantom), ("leaky", self.provenance.leaky))
        return tuple(mark for mark, holds in said if holds)


class BundleInfo(BundleDraft):
    """A bundle's description with the hash of every file, and of itself.

    Attributes:
        format: The layout's number.
        files: File name to sha256, for every file but the description.
        digest: sha256 over all the rest of this description; it names the bundle.
    """

    format: Literal[2] = FORMAT
    files: dict[PlainName, Sha256]
    digest: Sha256 = _UNSIGNED

    @model_validator(mode="after")
    def _lists_the_graph(self) -> BundleInfo:
        if GRAPH_FILE not in self.files or INFO_FILE in self.files:
            msg = f"files must list {GRAPH_FILE} and not {INFO_FILE}, got {sorted(self.files)}"
            raise ValueError(msg)
        return self

    @classmethod
    def sign(cls, draft: BundleDraft, files: dict[str, str]) -> BundleInfo:
        """Complete a draft with the hashes of its files, and seal it with its own."""
        fields = {name: getattr(draft, name) for name in BundleDraft.model_fields}
        unsigned = cls(**fields, files=dict(sorted(files.items())))
        return unsigned.model_copy(update={"digest": unsigned.sealed_digest()})

    def sealed_digest(self) -> str:
        """Hash all that this description says apart from ``digest`` itself."""
        unsigned = self.model_copy(update={"digest": _UNSIGNED})
        return hashlib.sha256(unsigned.to_text().encode()).hexdigest()

    def to_text(self) -> str:
        """Spell the description in the one way it is stored: equal descriptions give equal bytes."""
        said = {name: value for name, value in self.model_dump(mode="json").items() if value or name not in OPTIONAL}
        return json.dumps(said, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
