"""The exception tree, with the exit code of each error.

BrainsliceError
├── UsageError            a command or an argument is invalid                      exit code 2
│   ├── ConfigError       the configuration is invalid                             exit code 2
│   ├── LeakError         groups cross a split, and that was not accepted          exit code 2
│   ├── ForgettingError   adaptation loses too much on the source                  exit code 2
│   └── MissingExtraError an optional library is not installed                     exit code 2
├── UnreadableScanError   a file cannot be read as a scan                          exit code 3
│   └── DatasetError      a folder or archive is not a usable data set             exit code 3
├── BundleError           a bundle is incomplete, altered or of another version    exit code 4
├── ResourceError         the disk or the memory is full                           exit code 5
│   ├── TimeLimitError    the time allowed for this work has passed                exit code 5
│   └── WorkerDiedError   a process of ours was killed or crashed                  exit code 5
├── CalibrationError      held-out scores allow no calibration                     exit code 6
│   └── ParityError       the exported graph disagrees with the network            exit code 6
└── DownloadError         a download failed                                        exit code 7

A file or folder that may not be read or written ends a command with exit code 8.
Each message is one line: what is wrong, where, what to do.
"""

from __future__ import annotations


class BrainsliceError(Exception):
    """The base class of errors that a user can act on."""

    exit_code = 1


class UsageError(BrainsliceError):
    """A command or an argument is invalid."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration is invalid."""


class LeakError(UsageError):
    """Groups of related scans cross the split, and that was not accepted."""


class ForgettingError(UsageError):
    """An adapted network loses more on its source than allowed."""


class MissingExtraError(UsageError):
    """A library of an optional extra is not installed."""


class UnreadableScanError(BrainsliceError):
    """A file is not a scan that can be read."""

    exit_code = 3


class DatasetError(UnreadableScanError):
    """A folder or an archive is not a usable data set."""


class BundleError(BrainsliceError):
    """A bundle is incomplete, altered, or written by another version."""

    exit_code = 4


class ResourceError(BrainsliceError):
    """The disk or the memory is full."""

    exit_code = 5


class TimeLimitError(ResourceError):
    """The time allowed for this work has passed."""


class WorkerDiedError(ResourceError):
    """A process that did a part of the work was killed or crashed."""


class CalibrationError(BrainsliceError):
    """Held-out scores allow no calibration."""

    exit_code = 6


class ParityError(CalibrationError):
    """The exported graph disagrees with the network."""


class DownloadError(BrainsliceError):
    """A download failed: no network, no permission, or an unexpected file."""

    exit_code = 7
