"""Studies of an archive (PACS), fetched over DICOMweb or received by C-STORE, answered in their own study.

No message or log holds patient data: a study is named by the beginning of the sha256 of its UID.
"""

from __future__ import annotations

import logging

from brainslice.lazy import lazy_names

_MODULES = {
    "dicomweb": "DicomWebArchive",
    "listener": "listen",
    "retrieval": "answer_archive",
    "spool": "StudyQueue",
}

# Their log messages quote UIDs and values.
for _name in ("dicomweb_client", "pynetdicom", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

__getattr__ = lazy_names(__name__, _MODULES)
