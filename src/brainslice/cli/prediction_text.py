"""Predictions as text on a terminal, the verdict first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from brainslice.cli.console import can_print, in_brackets, print_fields, print_line
from brainslice.decision import Verdict
from brainslice.scan import printable

if TYPE_CHECKING:
    from brainslice.inference import Prediction, VolumePrediction
    from brainslice.remote import ScanPath

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_DIGITS: Final = "012345678"


def print_prediction(path: ScanPath, answer: Prediction) -> None:
    """Print a prediction: the verdict, and below it what it rests on."""
    fields = [("scan", printable(str(path)))]
    if not answer.rejected:
        fields += _probability_fields(answer)
    fields += [("reason", reason.message) for reason in answer.reasons]
    fields += [("note", remark.message) for remark in answer.remarks]
    if answer.mutual_information is not None:
        nats = f"entropy {answer.entropy:.3f}, mutual information {answer.mutual_information:.3f} nats"
        fields.append(("uncertainty", nats))
    if answer.warnings:
        fields.append(("model", in_brackets(answer.warnings).strip()))
    print_fields(_verdict_line(answer), fields, answer.verdict)


def _verdict_line(answer: Prediction | VolumePrediction) -> str:
    """Format the verdict with the class; without one where the input was rejected."""
    verdict = "refer to a person" if answer.verdict is Verdict.REFER else answer.verdict.value
    return verdict if answer.predicted_class is None else f"{verdict}: {answer.predicted_class}"


def _probability_fields(answer: Prediction | VolumePrediction) -> list[tuple[str, str]]:
    """List P(tumour) and the probability of each class, the most probable first."""
    shares = sorted(answer.probabilities.items(), key=lambda each: -each[1])
    classes = [(name, f"{share:.3f}") for name, share in shares]
    if answer.labels.healthy is None:
        return classes
    return [("P(tumour)", f"{answer.tumour_probability:.3f}, threshold {answer.threshold:g}"), *classes]


def print_row(path: ScanPath, answer: Prediction) -> None:
    """Print a prediction among many as one aligned line."""
    width = max(map(len, answer.labels.names))
    share = "-" if answer.rejected or answer.labels.healthy is None else f"{answer.tumour_probability:.3f}"
    why = "".join(f"; {reason.message}" for reason in answer.reasons)
    why += "".join(f"; {remark.message}" for remark in answer.remarks)
    if answer.mutual_information is not None:
        why += f"; mutual information {answer.mutual_information:.3f} nats"
    print_line(
        f"{answer.verdict.value:<9}  P(tumour) {share:<5}  {answer.predicted_class or '-':<{width}}  "
        f"{printable(str(path))}{in_brackets(answer.warnings)}{why}",
        answer.verdict,
    )


def print_volume(path: Path, answer: VolumePrediction) -> None:
    """Print the prediction for a volume: the verdict, and below it what it rests on."""
    from brainslice.inference import NOT_CALIBRATED

    numbers = [each.number for each in answer.decisive_slices]
    fields = [("volume", str(path))]
    if answer.predicted_class is not None:
        fields += _probability_fields(answer)
    fields += [("reason", reason.message) for reason in answer.reasons]
    fields += [
        ("pooled", f"mean of slices {numbers[0]} to {numbers[-1]} of {answer.total}, {NOT_CALIBRATED}"),
        ("slices", f"{answer.slices[0].number} to {answer.slices[-1].number}, inferior to superior: {_curve(answer)}"),
        *(("note", note.message) for note in answer.notes),
    ]
    if warnings := answer.slices[0].prediction.warnings:
        fields.append(("model", in_brackets(warnings).strip()))
    print_fields(_verdict_line(answer), fields, answer.verdict)


def _curve(answer: VolumePrediction) -> str:
    blocks = _BLOCKS if can_print(_BLOCKS) else _DIGITS
    highest = len(_BLOCKS) - 1
    return "".join(blocks[round(highest * each.prediction.tumour_probability)] for each in answer.slices)
