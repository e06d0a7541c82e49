from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from brainslice.inference.prediction import Prediction
from brainslice.inference.predictor import Predictor
from brainslice.paths import ProjectPaths
from stand_in import config, prepare_project, write_bundle_for

PATIENT = "Müller^Zoë"


@pytest.fixture(scope="session")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    root = prepare_project(tmp_path_factory.mktemp("dicom") / "project")
    write_bundle_for(ProjectPaths.of(root, config()), config())
    return Predictor.open(root / "models" / "bundle")


@pytest.fixture
def write_source(tmp_path: Path) -> Callable[..., Path]:
    """Write a drawn head as a scanner would, with a made-up patient."""
    pytest.importorskip("highdicom", reason="needs the extra brainslice[dicom-out]")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    from brainslice.phantom import draw_phantom

    def write(**elements: object) -> Path:
        pixels = draw_phantom("glioma", patient=1, slice_number=0, seed=7).pixels.astype(np.uint16)
        made = FileDataset("head.dcm", {}, file_meta=FileMetaDataset(), preamble=bytes(128))
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.SpecificCharacterSet = "ISO_IR 100"
        made.SOPClassUID, made.SOPInstanceUID = MRImageStorage, generate_uid(None)
        made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(None), generate_uid(None)
        made.FrameOfReferenceUID = generate_uid(None)
        made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = PATIENT, "4711", "19700101", "F"
        made.StudyID, made.StudyDate, made.StudyTime = "1", "20250301", "120000"
        made.AccessionNumber = made.ReferringPhysicianName = ""
        made.Modality, made.SeriesNumber, made.InstanceNumber = "MR", 1, 1
        made.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        made.Manufacturer = "nobody"
        made.ImagePositionPatient, made.ImageOrientationPatient = [-80, -100, 12.5], [1, 0, 0, 0, 1, 0]
        made.PixelSpacing, made.SliceThickness = [0.75, 0.5], 3
        made.Rows, made.Columns = pixels.shape
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
        made.PixelData = pixels.tobytes()
        for name, value in elements.items():
            if value is None:
                delattr(made, name)
            else:
                setattr(made, name, value)
        path = tmp_path / "head.dcm"
        made.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def ask(predictor: Predictor) -> Callable[..., Prediction]:
    """Let the predictor answer for one picture of a file."""
    from brainslice.scan.read import read_scan

    def answer(path: Path, frame: int | None = None) -> Prediction:
        return predictor.predict_inputs([path.name], [predictor.recipe(read_scan(path, frame))])[0]

    return answer
