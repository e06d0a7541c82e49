"""What is answered, field by field: the schema that programs read, and the shape that every answer is held to."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from brainslice.scan.unfit import Unfit

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class ReasonAnswer(_Answer):
    """Why a person has to look."""

    code: str
    words: str


class PredictionAnswer(_Answer):
    """The answer to one scan."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="allow")

    source: str
    predicted: str = Field(alias="class")
    probabilities: dict[str, Share]
    tumour_probability: Share
    threshold: Share
    tumour: bool
    verdict: str
    reasons: list[ReasonAnswer]
    prediction_set: list[str]
    coverage: float | None
    strangeness: float | None
    entropy: float
    mutual_information: float | None
    marks: list[str]
    bundle: str


class RefusalAnswer(_Answer):
    """Why there is no answer to one scan."""

    source: str
    refused: str


class PredictionsAnswer(_Answer):
    """An answer or a refusal for each scan, in their order."""

    predictions: list[PredictionAnswer | RefusalAnswer]
    model: str


class ExplanationAnswer(_Answer):
    """A scan's answer with its pictures and class maps."""

    prediction: PredictionAnswer
    seen: str = Field(description="the picture the network saw, as a PNG data address")
    original: str = Field(description="the slice as it was decoded, as a PNG data address")
    maps: dict[str, list[list[float]]] = Field(
        description="class to rows of its map, top to bottom, over what was seen"
    )
    map_note: str
    model: str


class SliceAnswer(ExplanationAnswer):
    """The same, of one slice of a study."""

    number: int = Field(alias="slice", description="from 1, inferior to superior")


class ViewerAnswer(_Answer):
    """The handle under which a study's slices can be looked at."""

    id: str
    slices: int
    expires_in: int = Field(description="seconds after the last look")


class VolumeAnswer(_Answer):
    """The answer to one study."""

    model_config = ConfigDict(frozen=True, extra="allow")

    viewer: ViewerAnswer
    model: str


class StatusAnswer(_Answer):
    """How the service is."""

    status: str


class FieldFaultAnswer(_Answer):
    """What is wrong with one parameter."""

    where: str
    what: str


class SeriesAnswer(_Answer):
    """One of several series that may be chosen."""

    name: str
    slices: int
    rows: int
    columns: int
    plane: str


class UnfitAnswer(_Answer):
    """What stands between a scan and its answer, and what there is to choose from."""

    code: Unfit
    frames: int | None = Field(None, description="how many there are to choose from")
    volume: bool | None = Field(None, description="whether they may be a volume, which /volume answers for")
    series: list[SeriesAnswer] | None = None
    plane: str | None = Field(None, description="the plane the scanner took its slices in")
    row: float | None = Field(None, description="millimetres from row to row of an axial slice cut from them")
    column: float | None = Field(None, description="millimetres from column to column of one")


class ProblemAnswer(_Answer):
    """What is wrong with a request (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldFaultAnswer] | None = None
    unfit: UnfitAnswer | None = None
