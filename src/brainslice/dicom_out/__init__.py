"""A prediction goes back to where its scan came from: a DICOM report and a DICOM map.

The patient of a source is copied here from data set to data set, as objects of one study must have it, and goes nowhere
else: into no value, no message, no log.
"""

import logging

# Both quote what they stumble over, and that may be a patient's name.
for _name in ("highdicom", "pydicom"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)
