from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from brainslice.bundle.signature import check_signature, sign_bundle
from brainslice.bundle.store import open_bundle, update_bundle
from brainslice.cli.main import main
from brainslice.errors import BundleError, UsageError
from brainslice.inference.default_bundle import DEFAULT_BUNDLE
from brainslice.inference.predictor import Predictor


def write_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a private and a public key."""
    key, private, public = Ed25519PrivateKey.generate(), folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return write_keys(tmp_path, "own")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEFAULT_BUNDLE, tmp_path / "bundle"))


def test_a_signed_bundle_is_accepted_until_it_changes(bundle: Path, keys: tuple[Path, Path]) -> None:
    private, public = keys
    assert sign_bundle(bundle, private) == bundle.with_name("bundle.sig")
    check_signature(open_bundle(bundle), public)
    assert Predictor.open(bundle, require_signature=public)
    update_bundle(bundle, threshold=0.31)
    with pytest.raises(BundleError, match="is no signature of"):
        Predictor.open(bundle, require_signature=public)


def test_another_key_or_no_signature_is_refused(bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    with pytest.raises(BundleError, match=r"has no signature bundle\.sig"):
        check_signature(open_bundle(bundle), public)
    sign_bundle(bundle, private)
    with pytest.raises(BundleError, match="is no signature of"):
        check_signature(open_bundle(bundle), write_keys(tmp_path, "other")[1])
    for content in (b"", b"\xff" * 5000, b"!!!", b"AAAA\n"):
        bundle.with_name("bundle.sig").write_bytes(content)
        with pytest.raises(BundleError, match="is no signature of"):
            check_signature(open_bundle(bundle), public)


def test_files_that_hold_no_such_key_are_refused(bundle: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "rsa.pem"
    rsa = generate_private_key(65537, 2048)
    other.write_bytes(rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for wrong in (keys[1], other, tmp_path / "absent.pem"):
        with pytest.raises(UsageError, match="Ed25519 private key"):
            sign_bundle(bundle, wrong)
    for wrong in (keys[0], other, tmp_path / "absent.pem"):
        with pytest.raises(UsageError, match="Ed25519 public key"):
            check_signature(open_bundle(bundle), wrong)


@pytest.mark.parametrize("command", ["predict", "worklist", "predict-volume", "serve"])
def test_commands_require_signatures(
    command: str, bundle: Path, keys: tuple[Path, Path], prepared_scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = () if command == "serve" else (str(prepared_scan),)
    with pytest.raises(SystemExit) as ended:
        main(command, *scans, "--bundle", str(bundle), "--require-signature", str(keys[1]))
    assert ended.value.code == 4
    assert "has no signature" in capsys.readouterr().err


def test_the_command_signs(bundle: Path, keys: tuple[Path, Path], prepared_scan: Path) -> None:
    for words in (
        ("sign", str(bundle), "--key", str(keys[0])),
        ("predict-volume", str(prepared_scan), "--bundle", str(bundle), "--require-signature", str(keys[1])),
    ):
        with pytest.raises(SystemExit) as ended:
            main(*words)
        assert not ended.value.code


@pytest.fixture
def prepared_scan(tmp_path: Path) -> Path:
    """A volume of one slice, which every command reads."""
    import nibabel as nib
    import numpy as np

    path = tmp_path / "head.nii.gz"
    values = np.random.default_rng(1).integers(0, 900, (64, 64, 6)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    return path
