"""Studies of an archive (PACS), fetched over DICOMweb or received by C-STORE, answered in their own study.

No message or log holds patient data: a study is named by the beginning of the sha256 of its UID.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from brainslice.lazy import lazy_names

if TYPE_CHECKING:
    from brainslice.pacs.dicomweb import DicomWebArchive, read_credentials
    from brainslice.pacs.listener import ListenerSettings, Peer, listen, send_by_c_store
    from brainslice.pacs.retrieval import FAILED, RetrievalOptions, answer_archive
    from brainslice.pacs.spool import Deliver, Spool, StudyQueue
    from brainslice.pacs.study import EventLog, StudyRules
    from brainslice.pacs.tls import TlsFiles


# Their log messages quote UIDs and values.
for _name in ("dicomweb_client", "pynetdicom", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

__getattr__ = lazy_names(__name__)
