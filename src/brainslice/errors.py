"""Everything that can go wrong for a user, as one tree.

BrainsliceError
├── UsageError            the command or a value on it cannot be meant             exit code 2
│   ├── ConfigError       the configuration file cannot be meant                   exit code 2
│   ├── LeakError         a split that groups cross, and nobody accepted that      exit code 2
│   └── ForgettingError   adapting cost too much of what was known before          exit code 2
├── UnreadableScanError   a file is no scan we can read                            exit code 3
│   └── DatasetError      a folder or archive is no data set we can use            exit code 3
├── BundleError           a bundle is incomplete, altered or of another version    exit code 4
├── ResourceError         the disk or the memory is full                           exit code 5
├── CalibrationError      held-out scores allow no calibration                     exit code 6
│   └── ParityError       the exported graph disagrees with the network            exit code 6
└── DownloadError         the network or the archive's owner said no               exit code 7

Each message is one line: what came, what was expected, what to do about it.
"""

from __future__ import annotations


class BrainsliceError(Exception):
    """The root of every error a user can act on."""

    exit_code = 1


class UsageError(BrainsliceError):
    """The command, or a value on it, cannot be meant."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration file cannot be meant."""


class LeakError(UsageError):
    """Groups of related scans cross the borders of a split, and nobody accepted that."""


class ForgettingError(UsageError):
    """An adapted network does worse on its source than was allowed, and nobody accepted that."""


class UnreadableScanError(BrainsliceError):
    """A file is not a scan that can be read."""

    exit_code = 3


class DatasetError(UnreadableScanError):
    """A folder or an archive is not a data set that can be used."""


class BundleError(BrainsliceError):
    """A bundle is incomplete, altered, or written by another version."""

    exit_code = 4


class ResourceError(BrainsliceError):
    """The disk or the memory is full."""

    exit_code = 5


class CalibrationError(BrainsliceError):
    """Held-out scores allow no calibration."""

    exit_code = 6


class ParityError(CalibrationError):
    """The exported graph gives other numbers than the network it came from."""


class DownloadError(BrainsliceError):
    """A download failed: no network, no permission, or not the file that was promised."""

    exit_code = 7
