"""Addresses that answer for studies: whole volumes, and their slices one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from brainslice.inference.predictor import Predictor
from brainslice.inference.volume import VolumePrediction, predict_volume
from brainslice.scan.volume.reader import decode_volume
from brainslice.service.concurrency_limit import RequestSlot, within
from brainslice.service.context import ServiceContext, get_context
from brainslice.service.openapi import file_form
from brainslice.service.responses import SliceResponse, VolumeResponse
from brainslice.service.settings import Limits
from brainslice.service.studies import Study
from brainslice.service.uploads.archive import unpacked
from brainslice.service.uploads.multipart import UploadedFile
from brainslice.service.uploads.receive import receive

router = APIRouter(tags=["volumes"])


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which of several volumes is meant: a series by how its name begins, or the first of each place."""

    series: str | None
    first: bool


StudyId = Annotated[str, Path(max_length=100, description="the handle that /volume gave")]


@router.post("/volume", response_model=VolumeResponse, openapi_extra=file_form("files", several=True))
async def volume(
    request: Request,
    series: Annotated[
        str | None, Query(max_length=64, description="which of several series, by the name a refusal gave it")
    ] = None,
    first: Annotated[bool, Query(description="take the first of several volumes: times, echoes, kinds")] = False,  # noqa: FBT002 - as the address has it
) -> dict[str, Any]:
    """Answer for one study: a NIfTI file, the files of a DICOM series, or a zip of either."""
    service = get_context(request)
    files, ticket = await receive(request, "files", service.settings.limits.study_files)
    work = _answer(service, files, ticket, _Wanted(series, first))
    return await within(service.settings.limits.answer_seconds, ticket, work)


@router.get("/volume/{study_id}/slices/{number}", response_model=SliceResponse)
async def volume_slice(
    request: Request,
    study_id: StudyId,
    number: Annotated[int, Path(ge=1, le=100_000, description="from 1, inferior to superior")],
) -> dict[str, Any]:
    """Give one axial slice of a study with its answer, pictures and maps."""
    service = get_context(request)
    study = service.studies.get(study_id)
    seconds = service.settings.limits.answer_seconds
    return await within(seconds, service.concurrency_limit.enter(), _slice_answer(service, study, number))


@router.delete("/volume/{study_id}", status_code=204)
async def forget_volume(request: Request, study_id: StudyId) -> Response:
    """Forget a study now."""
    get_context(request).studies.forget(study_id)
    return Response(status_code=204)


async def _answer(
    service: ServiceContext, files: list[UploadedFile], ticket: RequestSlot, wanted: _Wanted
) -> dict[str, Any]:
    limits = service.settings.limits
    study, answer = await service.worker.in_study_thread(_judge, service.predictor, files, limits, ticket, wanted)
    return {
        **answer.to_json(),
        "viewer": {"id": service.studies.add(study), "slices": study.slices, "expires_in": int(limits.study_seconds)},
        "model": service.predictor.bundle.info.digest,
    }


def _judge(
    predictor: Predictor, files: list[UploadedFile], limits: Limits, ticket: RequestSlot, wanted: _Wanted
) -> tuple[Study, VolumePrediction]:
    name = files[0].name if len(files) == 1 else f"{len(files)} files"
    members = unpacked(files, limits, ticket.hold)
    # Files of one name may come from several folders.
    data = {f"{place} {file.name}": file.data for place, file in enumerate(members, 1)}
    decoded = decode_volume(data, name, series=wanted.series, first=wanted.first)
    answer = predict_volume(predictor, decoded, name)
    return Study(name, decoded, answer.total), answer


async def _slice_answer(service: ServiceContext, study: Study, number: int) -> dict[str, Any]:
    cut = await service.worker.in_thread(study.slice_at, number)
    explained = await service.worker.explain_slice(cut, f"{study.name}, slice {number}")
    return {**explained, "slice": number}
