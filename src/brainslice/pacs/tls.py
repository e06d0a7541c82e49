"""TLS for DICOM connections: the certificate of this side, and those that the other side is checked against."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from brainslice.errors import UsageError

_HANDSHAKE_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files of PEM certificates and keys.

    Attributes:
        certificate: The certificate of this side, and those between it and its authority.
        key: Its private key without a password; None where the file of the certificate holds it.
        authority: The authorities that the other side is checked against. A listener then accepts only callers with a
            certificate; a sender without this file trusts the authorities of the system.
    """

    certificate: Path
    key: Path | None = None
    authority: Path | None = None

    def for_listener(self) -> ssl.SSLContext:
        """Return the settings of connections that are accepted.

        Raises:
            UsageError: A file is missing or invalid.
        """
        context = _ListenerContext(ssl.PROTOCOL_TLS_SERVER)
        if self.authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return self._load(context)

    def for_sender(self) -> ssl.SSLContext:
        """Return the settings of connections that are opened; certificate and host of the receiver are checked.

        Raises:
            UsageError: A file is missing or invalid.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.authority is None:
            context.load_default_certs()
        return self._load(context)

    def _load(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        names = f"{self.certificate}{f' and {self.key}' if self.key else ''}"
        try:
            # Without a password here, OpenSSL would ask for it on the terminal.
            context.load_cert_chain(self.certificate, self.key, password="")
            if self.authority is not None:
                names = str(self.authority)
                context.load_verify_locations(self.authority)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            msg = f"{names}: no usable certificate or key ({reason}); give PEM files, the key without a password"
            raise UsageError(msg) from error
        return context


class _ListenerContext(ssl.SSLContext):
    """The handshake is left to the thread of the connection: a silent caller must not hold up the others."""

    def wrap_socket(self, sock: socket.socket, *arguments: Any, **options: Any) -> ssl.SSLSocket:  # noqa: ANN401
        sock.settimeout(_HANDSHAKE_SECONDS)
        return super().wrap_socket(sock, *arguments, **(options | {"do_handshake_on_connect": False}))
