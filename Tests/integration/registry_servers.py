#!/usr/bin/env python3
"""Servers of the registry tests, all on 127.0.0.1: Debian's docker-registry in every mode, and what all
servers share.

    registry_servers.py --selftest [--only SUBSTRING]

The self-test proves these servers and those of registry_oci.py and registry_faults.py with plain HTTP, skopeo and
podman; Stave is not needed for it.
"""

import base64
import ctypes
import ctypes.util
import http.server
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from pathlib import Path

from harness import Problem


class Missing(Problem):
    """A program that is not installed: the test is skipped."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def openssl(*words, stdin=None):
    done = subprocess.run(["openssl", *map(str, words)], input=stdin, capture_output=True)
    if done.returncode:
        raise Problem(f"openssl {words[0]}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout


def bcrypt(password):
    """The bcrypt hash of a password: libcrypt has it, the standard library has lost it."""
    library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    salt = base64.b64encode(uuid.uuid4().bytes, b"./").decode().rstrip("=")[:21] + "u"
    hashed = library.crypt(password.encode(), f"$2b$05${salt}".encode())
    if not hashed or not hashed.startswith(b"$2b$"):
        raise Problem("bcrypt: this machine's libcrypt does not know it")
    return hashed.decode().replace("$2b$", "$2y$", 1)


class Authority:
    """A private certificate authority; `certificate` is its own, for clients to trust."""

    def __init__(self, folder, name="stave test authority"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate, self.key = self.folder / "ca.crt", self.folder / "ca.key"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}", "-keyout",
                self.key, "-out", self.certificate, "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
                "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, usage="serverAuth", names="IP:127.0.0.1,DNS:localhost"):
        """A certificate and its key, as two paths."""
        certificate, key = self.folder / f"{name}.cert", self.folder / f"{name}.key"
        request, extra = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        extra.write_text(f"subjectAltName={names}\nextendedKeyUsage={usage}\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days",
                "30", "-extfile", extra, "-out", certificate)
        return certificate, key


class Exchange:
    """One request as a server's log keeps it; header names are in lower case."""

    def __init__(self, handler):
        path, _, self.query = handler.path.partition("?")
        self.method, self.path = handler.command, urllib.parse.unquote(path)
        self.headers = {key.lower(): value for key, value in handler.headers.items()}
        self.status, self.received, self.sent, self.time = None, 0, 0, time.monotonic()

    def __repr__(self):
        more = "?" + self.query if self.query else ""
        return f"{self.method} {self.path}{more} {self.status} in {self.received} out {self.sent}"


class Handler(http.server.BaseHTTPRequestHandler):
    """HTTP/1.1 with a log; a subclass has `serve()`, and answers once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, *_):
        pass

    @property
    def owner(self):
        return self.server.owner

    def route(self):
        self.exchange = Exchange(self)
        self.owner.requests.append(self.exchange)
        path, _, query = self.path.partition("?")
        self.words = urllib.parse.unquote(path)
        self.query = urllib.parse.parse_qs(query, keep_blank_values=True)
        self.left = 0
        self.chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        if not self.chunked:
            self.left = int(self.headers.get("Content-Length") or 0)
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        self.serve()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = route

    def read_some(self, most=1 << 16):
        """The next bytes of the request's body; empty at its end, ConnectionError when it is cut."""
        if self.chunked and self.left == 0:
            line = self.rfile.readline(100)
            if not line:
                raise ConnectionResetError("cut in a chunk")
            self.left = int(line.split(b";")[0], 16)
            if self.left == 0:
                while self.rfile.readline(8192) not in (b"\r\n", b"\n", b""):
                    pass
                self.chunked = False
                return b""
        if self.left == 0:
            return b""
        data = self.rfile.read1(min(most, self.left))
        if not data:
            raise ConnectionResetError("the request's body is cut")
        self.left -= len(data)
        self.exchange.received += len(data)
        if self.chunked and self.left == 0:
            self.rfile.readline(8)
        return data

    def body(self):
        parts = []
        while data := self.read_some():
            parts.append(data)
        return b"".join(parts)

    def answer(self, status, data=b"", headers=()):
        """The whole answer. A HEAD gives the length without the bytes."""
        if self.left or self.chunked:
            self.body()
        self.exchange.status = status
        self.send_response(status)
        fields = dict(headers)
        fields.setdefault("Content-Length", str(len(data)))
        for key, value in fields.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            for start in range(0, len(data), 1 << 16):
                part = data[start:start + (1 << 16)]
                self.wfile.write(part)
                self.exchange.sent += len(part)

    def answer_json(self, status, document, headers=()):
        self.answer(status, json.dumps(document).encode(), {"Content-Type": "application/json", **dict(headers)})

    def reset(self):
        """Ends the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.hang_up()

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except ValueError:
            # A file of a connection that was ended here.
            if not self.close_connection:
                raise

    def hang_up(self):
        self.close_connection = True
        try:
            self.wfile.flush()
            self.connection.close()
            self.rfile.close()
            self.wfile.close()
        except OSError:
            pass


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError, ssl.SSLError, OSError)):
            self.owner.errors.append(repr(error))


class Server:
    """A server on a port of its own; `requests` is its log, `errors` what went wrong in itself."""

    def __init__(self, handler, authority=None, port=0):
        self.requests, self.errors = [], []
        self.listener = Listener(("127.0.0.1", port), handler)
        self.listener.owner = self
        self.scheme = "http"
        if authority:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*authority.issue(f"server-{self.listener.server_port}"))
            self.listener.socket = context.wrap_socket(self.listener.socket, server_side=True,
                                                       do_handshake_on_connect=False)
            self.scheme = "https"
        self.host = f"127.0.0.1:{self.listener.server_port}"
        self.url = f"{self.scheme}://{self.host}"
        threading.Thread(target=self.listener.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.listener.shutdown()
        self.listener.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def asked(self, method=None, part=""):
        """The logged requests of that method with `part` in their path."""
        return [one for one in list(self.requests) if method in (None, one.method) and part in one.path]

    def forget(self):
        self.requests.clear()


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class DebianRegistry:
    """Debian's docker-registry with a store below `folder`.

    `authority` gives TLS, `users` htpasswd, `tokens` (a TokenServer) bearer tokens, `mirror_of` a URL makes it a
    pull-through cache; `clients` an Authority whose client certificates are demanded.
    """

    program = shutil.which("docker-registry")

    def __init__(self, folder, authority=None, users=None, tokens=None, mirror_of=None, clients=None, port=None):
        self.folder = Path(folder)
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        self.scheme = "https" if authority else "http"
        self.settings = {"version": "0.1", "log": {"level": "info"}, "http": {},
                         "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")},
                                     "delete": {"enabled": True}}}
        if authority:
            certificate, key = authority.issue("registry-" + self.folder.name)
            self.settings["http"]["tls"] = {"certificate": str(certificate), "key": str(key)}
            if clients:
                self.settings["http"]["tls"]["clientcas"] = [str(clients.certificate)]
        if users:
            (self.folder / "htpasswd").write_text("".join(f"{u}:{bcrypt(p)}\n" for u, p in users.items()))
            self.settings["auth"] = {"htpasswd": {"realm": "stave test", "path": str(self.folder / "htpasswd")}}
        if tokens:
            self.settings["auth"] = {"token": {
                "realm": tokens.realm, "service": tokens.service, "issuer": tokens.issuer,
                "rootcertbundle": str(tokens.certificate)}}
        if mirror_of:
            self.settings["proxy"] = {"remoteurl": mirror_of}
        self.start(port)

    def start(self, port=None):
        if not self.program:
            raise Missing("docker-registry is not installed")
        for _ in range(5):
            self.port = port or free_port()
            self.settings["http"]["addr"] = f"127.0.0.1:{self.port}"
            # JSON is YAML too.
            (self.folder / "config.yml").write_text(json.dumps(self.settings))
            with open(self.folder / "log", "ab") as log:
                self.child = subprocess.Popen([self.program, "serve", str(self.folder / "config.yml")], stdout=log,
                                              stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                                              env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder),
                                                   "OTEL_TRACES_EXPORTER": "none"})
            self.host = f"127.0.0.1:{self.port}"
            self.url = f"{self.scheme}://{self.host}"
            if self.answers():
                return
            self.close()
        raise Problem("docker-registry does not start: " + (self.folder / "log").read_text()[-400:])

    def answers(self):
        for _ in range(200):
            if self.child.poll() is not None:
                return False
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return True
            except OSError:
                time.sleep(0.02)
        return False

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


if __name__ == "__main__":
    import registry_selftest
    sys.exit(registry_selftest.main())
