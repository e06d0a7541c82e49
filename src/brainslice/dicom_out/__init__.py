"""A prediction goes back to where its scan came from: a DICOM report and a DICOM map."""
