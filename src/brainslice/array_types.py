"""Array types with shapes for annotations: those of jaxtyping where it is in use, otherwise plain arrays.

Type checkers always see jaxtyping. At run time only the tests, which import it first, check shapes; elsewhere its
import would take longer than the prediction of a scan, and it need not be installed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Float16, Float32, Float64, Int, Int64, Real, Shaped, UInt8, UInt16
else:

    class _Unchecked:
        """An array type without its shape: ``Unchecked[np.ndarray, "h w"]`` is ``np.ndarray``."""

        def __class_getitem__(cls, parameters: tuple[Any, str]) -> Any:  # noqa: ANN401 - any array type
            return parameters[0]

    Bool = Float = Float16 = Float32 = Float64 = Int = Int64 = Real = Shaped = UInt8 = UInt16 = _Unchecked

__all__ = ["Bool", "Float", "Float16", "Float32", "Float64", "Int", "Int64", "Real", "Shaped", "UInt8", "UInt16"]
