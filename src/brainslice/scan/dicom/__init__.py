"""DICOM reading."""
