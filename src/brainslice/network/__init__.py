"""The network. Keras is imported here and in ``train``, nowhere else.

What TensorFlow has to know before it is imported is said here, whichever door led to it: use the fast kernels, give the
same numbers every time, and keep the chatter from the screen. What the user has set stays.
"""

import os

for _name, _value in {
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_DETERMINISTIC_OPS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GRPC_VERBOSITY": "ERROR",
}.items():
    os.environ.setdefault(_name, _value)
