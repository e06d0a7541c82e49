from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

# In a process of its own: what libtiff prints goes past sys.stderr, and its silence lasts as long as the process.
_READ = """
import sys
from pathlib import Path
from brainslice.errors import UnreadableScanError
from brainslice.scan.read import read_scan
try:
    read_scan(Path(sys.argv[1]))
except UnreadableScanError:
    print("refused")
"""
_READ_BY_PILLOW = """
import sys
from PIL import Image
try:
    Image.open(sys.argv[1]).load()
except OSError:
    print("refused")
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not (Path(PIL.__file__).parents[1] / "pillow.libs").is_dir(),
    reason="elsewhere the library is out of reach, or not Pillow's own",
)


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "TIFF", compression="tiff_lzw")
    data = bytearray(buffer.getvalue())
    data[500:560] = bytes([255]) * 60
    path = tmp_path / "damaged.tif"
    path.write_bytes(data)
    return path


def said(script: str, path: Path) -> tuple[str, str]:
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def test_a_damaged_tiff_is_refused_and_nothing_is_printed_beside(damaged: Path) -> None:
    assert said(_READ, damaged) == ("refused\n", "")


def test_pillow_alone_would_let_the_library_talk(damaged: Path) -> None:
    out, error = said(_READ_BY_PILLOW, damaged)
    assert out == "refused\n"
    assert "not yet in table" in error
