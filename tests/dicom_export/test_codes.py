from __future__ import annotations

import pytest

pytest.importorskip("highdicom", reason="needs the extra brainslice[dicom-out]")


def test_no_code_of_ours_passes_for_a_standard_one() -> None:
    from brainslice.dicom_export.codes import SCHEME, coding_scheme, make_code

    assert make_code("tumour", "Tumour").scheme_designator == SCHEME == coding_scheme().CodingSchemeDesignator
    assert SCHEME.startswith("99")


def test_a_long_meaning_is_cut_to_what_dicom_holds() -> None:
    from brainslice.dicom_export.codes import make_code

    assert make_code("a", "x" * 64).meaning == "x" * 64
    assert make_code("a", "x" * 65).meaning == "x" * 61 + "..."
    assert make_code("a", "ü" * 33).meaning == "ü" * 30 + "..."
