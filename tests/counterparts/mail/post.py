"""pymap (IMAP) and aiosmtpd (SMTP) on 127.0.0.1 with one mailbox; GET / on $PORT tells their ports. What SMTP takes lies in the INBOX at once."""

from __future__ import annotations

import imaplib
import json
import os
import signal
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

USER, PASSWORD = "firma@firma.test", "pw"


def free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Deliver:
    """Puts what came into the mailbox. Recipients `nobody@…` are refused; the session of `lost@…` breaks after the mail was taken."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 no such person"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server, session, envelope):
        box = imaplib.IMAP4("127.0.0.1", IMAP)
        box.login(USER, PASSWORD)
        box.append("INBOX", None, None, envelope.content)
        box.logout()
        if any(one.startswith("lost@") for one in envelope.rcpt_tos):
            server.transport.abort()
        return "250 taken"


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"imap": IMAP, "smtp": SMTP}).encode()
        try:
            socket.create_connection(("127.0.0.1", IMAP), 1).close()
            self.send_response(200)
        except OSError:
            self.send_response(503)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return None


def known(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()))


IMAP, SMTP = int(os.environ.get("IMAP_PORT", 0)) or free(), int(os.environ.get("SMTP_PORT", 0)) or free()
box = [str(Path(sys.executable).parent / "pymap"), "--host", "127.0.0.1", "--port", str(IMAP), "--no-tls"]
# Without a folder of demo data there is no INBOX; its mails are older than anything that is asked for.
running = subprocess.Popen([*box, "--no-service", "admin", "dict", "--demo-data", "--demo-user", USER, "--demo-password", PASSWORD])
sending = Controller(Deliver(), "127.0.0.1", SMTP, authenticator=known, auth_required=True, auth_require_tls=False)
sending.start()
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
try:
    HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3200"))), Ready).serve_forever()
finally:
    running.terminate()
    sending.stop()
