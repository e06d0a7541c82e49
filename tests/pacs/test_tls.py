"""TLS on loopback, with certificates made here."""

from __future__ import annotations

import contextlib
import gc
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest

from brainslice.errors import DownloadError, UsageError
from brainslice.inference.predictor import Predictor
from command import call
from hospital import axial_images
from orthanc import free_port

pytest.importorskip("highdicom", reason="needs the extra brainslice[pacs]")
pytest.importorskip("pynetdicom", reason="needs the extra brainslice[pacs]")
pytest.importorskip("cryptography", reason="makes certificates")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydicom.uid import Comprehensive3DSRStorage
from pynetdicom import AE, evt

from brainslice.pacs.listener import VERIFICATION, ListenerSettings, Peer, listen, send_by_c_store
from brainslice.pacs.spool import Spool, StudyQueue
from brainslice.pacs.study import StudyRules, answer_study, save_image
from brainslice.pacs.tls import TlsFiles

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """pynetdicom leaves sockets of refused connections open: collect them here, where the warning is ignored."""
    # Objects of before are left out: there are millions of them where other tests ran.
    gc.freeze()
    yield
    gc.collect()
    gc.unfreeze()


class Authority:
    """Signs certificates for 127.0.0.1, or for another address."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name, self.key = folder, name, ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._certificate(name, self.key, None).public_bytes(PEM))

    def files(self, name: str, address: str = "127.0.0.1", authority: Authority | None = None) -> TlsFiles:
        key, stem = ec.generate_private_key(ec.SECP256R1()), self.folder / f"{self.name}_{name}"
        certificate, secret = stem.with_suffix(".pem"), stem.with_suffix(".key")
        certificate.write_bytes(self._certificate(name, key, address).public_bytes(PEM))
        secret.write_bytes(key.private_bytes(PEM, PKCS8, PLAIN))
        return TlsFiles(certificate, secret, (authority or self).file)

    def _certificate(self, name: str, key: ec.EllipticCurvePrivateKey, address: str | None) -> x509.Certificate:
        subject, issuer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, n)]) for n in (name, self.name))
        now, usage = (
            datetime.now(UTC),
            dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False),
        )
        made = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        made = made.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        made = made.add_extension(x509.BasicConstraints(ca=address is None, path_length=None), critical=True)
        own, signer = (x509.SubjectKeyIdentifier.from_public_key(each.public_key()) for each in (key, self.key))
        made = made.add_extension(own, critical=False)
        if address is None:
            signs = x509.KeyUsage(
                digital_signature=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
                **usage,
            )  # fmt: skip
            made = made.add_extension(signs, critical=True)
        else:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
            identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer)
            made = made.add_extension(names, critical=False).add_extension(identifier, critical=False)
        return made.sign(self.key, hashes.SHA256())


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "hospital")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"), "stranger")


@contextlib.contextmanager
def listening(predictor: Predictor, folder: Path, tls: TlsFiles) -> Iterator[tuple[int, list[str]]]:
    lines: list[str] = []
    started, stop, port = threading.Event(), threading.Event(), free_port()

    def report(line: str) -> None:
        lines.append(line)
        started.set()

    queue = StudyQueue(Spool(folder / "spool", 1 << 30), predictor, lambda _: None, report, quiet_seconds=3600.0)
    settings = ListenerSettings("127.0.0.1", port, "BRAINSLICE", ("SCANNER",), tls=tls)
    thread = threading.Thread(target=listen, args=(queue, settings, stop))
    thread.start()
    assert started.wait(30)
    try:
        yield port, lines
    finally:
        stop.set()
        thread.join(30)


def echoes(port: int, context: ssl.SSLContext | None) -> bool:
    """Whether a caller gets an answer."""
    entity = AE(ae_title="SCANNER")
    entity.acse_timeout = entity.network_timeout = entity.connection_timeout = 10
    entity.add_requested_context(VERIFICATION)
    tls_args = (context, "127.0.0.1") if context else None
    association = entity.associate("127.0.0.1", port, ae_title="BRAINSLICE", tls_args=tls_args)
    if not association.is_established:
        return False
    status = association.send_c_echo()
    association.release()
    return status.get("Status") == 0


def test_only_callers_with_a_certificate_of_the_authority_are_heard(
    predictor: Predictor, hospital: Authority, stranger: Authority, tmp_path: Path
) -> None:
    nameless = ssl.create_default_context(cafile=hospital.file)
    with listening(predictor, tmp_path, hospital.files("listener")) as (port, lines):
        assert lines[0].endswith(f"127.0.0.1:{port} with TLS")
        with contextlib.ExitStack() as silent:
            for _ in range(4):
                silent.enter_context(socket.create_connection(("127.0.0.1", port)))
            assert echoes(port, hospital.files("scanner").for_sender())
            assert not echoes(port, None)
        assert not echoes(port, nameless)
        assert not echoes(port, stranger.files("scanner", authority=hospital).for_sender())
        assert not echoes(port, hospital.files("scanner", authority=stranger).for_sender())
    with listening(predictor, tmp_path, replace(hospital.files("listener"), authority=None)) as (port, _):
        assert echoes(port, nameless)


def test_answers_are_sent_only_to_the_receiver_that_the_certificate_names(
    predictor: Predictor, hospital: Authority, stranger: Authority, tmp_path: Path
) -> None:
    for uid, data in axial_images("1.2.3"):
        save_image(tmp_path / "study", "1.2.3", uid, data)
    files = answer_study(predictor, tmp_path / "study", tmp_path / "results", StudyRules()).objects
    sender, taken = hospital.files("sender"), []

    def store(event: evt.Event) -> int:
        taken.append(event.dataset.SOPClassUID)
        return 0

    def send(tls: TlsFiles, receiver: TlsFiles) -> None:
        port = free_port()
        archive = AE(ae_title="ARCHIVE")
        archive.add_supported_context(Comprehensive3DSRStorage)
        address = ("127.0.0.1", port)
        archive.start_server(
            address, block=False, ssl_context=receiver.for_listener(), evt_handlers=[(evt.EVT_C_STORE, store)]
        )
        try:
            send_by_c_store("BRAINSLICE", Peer("ARCHIVE", *address), [].append, tls)(files)
        finally:
            archive.shutdown()

    send(sender, hospital.files("archive"))
    assert taken == [Comprehensive3DSRStorage]
    for receiver in (
        hospital.files("elsewhere", "127.0.0.2"),
        stranger.files("archive", authority=hospital),
        hospital.files("suspicious", authority=stranger),
    ):
        with pytest.raises(DownloadError, match="cannot be reached, or one side does not accept the other's cert"):
            send(sender, receiver)
    assert taken == [Comprehensive3DSRStorage]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("no certificate")])
@pytest.mark.parametrize("which", ["certificate", "key", "authority"])
def test_unusable_files_are_named(spoil: Callable[[Path], object], which: str, tmp_path: Path) -> None:
    files = Authority(tmp_path, "hospital").files("listener")
    spoil(getattr(files, which))
    for context in (files.for_listener, files.for_sender):
        with pytest.raises(UsageError, match=rf"{getattr(files, which).name}.*: no usable certificate or key \(.+\)"):
            context()


def test_key_with_a_password_is_refused_without_asking(hospital: Authority) -> None:
    files = hospital.files("locked")
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(key.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"secret")))
    with pytest.raises(UsageError, match="the key without a password"):
        files.for_listener()


def test_key_needs_a_certificate(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--allow-ae", "SCANNER", "--send-to", "ARCHIVE@127.0.0.1:4242", "--spool", tmp_path / "spool")
    assert call("pacs", "listen", "--project-root", project, *words, "--tls-key", tmp_path / "key.pem") == 2
    assert "--tls-key belongs to a certificate" in capsys.readouterr().err
