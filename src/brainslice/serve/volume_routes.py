"""Addresses that answer for studies: whole volumes, and their slices one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from brainslice.infer.predictor import Predictor
from brainslice.infer.volume import VolumePrediction, judge_volume
from brainslice.scan.volume import decode_volume
from brainslice.serve.admission import Ticket, within
from brainslice.serve.answers import SliceAnswer, VolumeAnswer
from brainslice.serve.archive import unpacked
from brainslice.serve.receiving import receive
from brainslice.serve.schema import file_form
from brainslice.serve.service import Service, service_of
from brainslice.serve.settings import Limits
from brainslice.serve.studies import Study
from brainslice.serve.upload import Upload

router = APIRouter(tags=["volumes"])

StudyId = Annotated[str, Path(max_length=100, description="the handle that /volume gave")]


@router.post("/volume", response_model=VolumeAnswer, openapi_extra=file_form("files", several=True))
async def volume(request: Request) -> dict[str, Any]:
    """Answer for one study: a NIfTI file, the files of a DICOM series, or a zip of either."""
    service = service_of(request)
    files, ticket = await receive(request, "files", service.settings.limits.study_files)
    return await within(service.settings.limits.answer_seconds, ticket, _answer(service, files, ticket))


@router.get("/volume/{study_id}/slices/{number}", response_model=SliceAnswer)
async def volume_slice(
    request: Request,
    study_id: StudyId,
    number: Annotated[int, Path(ge=1, le=100_000, description="from 1, inferior to superior")],
) -> dict[str, Any]:
    """Give one axial slice of a study with its answer, pictures and maps."""
    service = service_of(request)
    study = service.studies.look_at(study_id)
    seconds = service.settings.limits.answer_seconds
    return await within(seconds, service.admission.enter(), _slice_answer(service, study, number))


@router.delete("/volume/{study_id}", status_code=204)
async def forget_volume(request: Request, study_id: StudyId) -> Response:
    """Forget a study now."""
    service_of(request).studies.forget(study_id)
    return Response(status_code=204)


async def _answer(service: Service, files: Sequence[Upload], ticket: Ticket) -> dict[str, Any]:
    study, answer = await service.desk.in_study_thread(
        _judge, service.predictor, list(files), service.settings.limits, ticket
    )
    limits = service.settings.limits
    return {
        **answer.to_json(),
        "viewer": {"id": service.studies.keep(study), "slices": study.slices, "expires_in": int(limits.study_seconds)},
        "model": service.predictor.bundle.info.digest,
    }


def _judge(predictor: Predictor, files: list[Upload], limits: Limits, ticket: Ticket) -> tuple[Study, VolumePrediction]:
    name = files[0].name if len(files) == 1 else f"{len(files)} files"
    members = unpacked(files, limits, ticket.hold)
    # Files of one name may come from several folders.
    decoded = decode_volume({f"{place} {file.name}": file.data for place, file in enumerate(members, 1)}, name)
    answer = judge_volume(predictor, decoded, name)
    return Study(name, decoded, answer.total), answer


async def _slice_answer(service: Service, study: Study, number: int) -> dict[str, Any]:
    cut = await service.desk.in_thread(study.slice_at, number)
    explained = await service.desk.explain_slice(cut, f"{study.name}, slice {number}")
    return {**explained, "slice": number}
