"""Detached signatures of bundles: Ed25519, in a file ``.sig`` beside the bundle's folder."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from brainslice.bundle.store import ModelBundle, open_bundle
from brainslice.errors import BundleError, UsageError
from brainslice.files import write_text
from brainslice.lazy import require_extra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_MAX_BYTES = 4096


def sign_bundle(folder: Path, key: Path) -> Path:
    """Sign a bundle, whose bytes are verified before, and write the signature beside its folder.

    Args:
        folder: The bundle.
        key: An Ed25519 private key in PEM, not encrypted.

    Returns:
        The signature's file.

    Raises:
        MissingExtraError: ``cryptography`` is not installed.
        UsageError: The file holds no such key.
        BundleError: The bundle is incomplete or altered.
    """
    signature = _private_key(key).sign(_message(open_bundle(folder)))
    path = _signature_path(folder)
    write_text(path, base64.b64encode(signature).decode() + "\n")
    return path


def check_signature(bundle: ModelBundle, key: Path) -> None:
    """Check that the signature beside a bundle was made by a key for this very bundle.

    Args:
        bundle: The bundle, verified by ``open_bundle``.
        key: The Ed25519 public key in PEM.

    Raises:
        MissingExtraError: ``cryptography`` is not installed.
        UsageError: The file holds no such key.
        BundleError: There is no signature, or it belongs to another bundle or key.
    """
    public, path = _public_key(key), _signature_path(bundle.folder)
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - of the optional extra "sign"

    try:
        public.verify(base64.b64decode(_read(path).strip(), validate=True), _message(bundle))
    except FileNotFoundError as error:
        msg = f"{bundle.folder}: has no signature {path.name} beside it; get it from the source of the bundle"
        raise BundleError(msg) from error
    except (ValueError, InvalidSignature) as error:
        msg = f"{path}: is no signature of {bundle.folder} by the key {key}; use the bundle as its author signed it"
        raise BundleError(msg) from error


def _message(bundle: ModelBundle) -> bytes:
    # The seal covers the description, which lists the hash of every file; older bundles have only a digest, which does.
    return f"brainslice bundle {bundle.info.seal or bundle.info.digest}\n".encode()


def _signature_path(folder: Path) -> Path:
    place = folder.resolve()
    return place.with_name(f"{place.name}.sig")


def _private_key(path: Path) -> Ed25519PrivateKey:
    require_extra("sign", "a signature", "cryptography")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - optional
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - optional

    try:
        key = load_pem_private_key(_read(path), None)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(_key_fault(path, "private")) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(_key_fault(path, "private"))
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    require_extra("sign", "a signature", "cryptography")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - optional
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - optional

    try:
        key = load_pem_public_key(_read(path))
    except (OSError, ValueError) as error:
        raise UsageError(_key_fault(path, "public")) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(_key_fault(path, "public"))
    return key


def _key_fault(path: Path, kind: str) -> str:
    return f"{path}: must be a readable Ed25519 {kind} key in PEM, unencrypted; make one with openssl genpkey"


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_MAX_BYTES)
