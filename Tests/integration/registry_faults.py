"""An HTTP proxy before a registry that breaks what passes, by a script or by dice; the same seed breaks the same."""

import collections
import http.client
import random
import re
import threading
import time

from registry_oci import CDN
from registry_servers import Handler, Server

# What a fault does. Those of an answer's body need one that is longer than `after`.
KINDS = {
    "reset": "the connection is reset before an answer",
    "cut": "reset after `after` bytes of the answer's body",
    "close": "a clean close after `after` bytes, the length promised being longer",
    "truncate": "an answer of `after` bytes that says that this is all",
    "corrupt": "one byte of the answer is another",
    "stall": "after `after` bytes nothing for `seconds`, then the rest",
    "slow": "`after` bytes at a time, `seconds` between them",
    "status": "`status` in place of an answer, with `fields`",
    "unauthorized": "401 with a Bearer challenge; any token is good",
    "redirect": "307 to another host, which refuses credentials",
    "cut-request": "reset after `after` bytes of the request's body have been passed on",
    "lost-answer": "the request is passed on, its answer is lost by a reset",
}


class Fault:
    """One fault; `where` matches `METHOD path`; it is done at the `nth` match and `times` - 1 further ones."""

    def __init__(self, kind, where=r".", nth=1, times=1, after=0, seconds=0.3, status=503, fields=None, body=None):
        if kind not in KINDS:
            raise ValueError(f"no fault {kind}")
        self.kind, self.where, self.nth, self.times = kind, re.compile(where), nth, times
        self.after, self.seconds, self.status, self.fields, self.body = after, seconds, status, fields or {}, body
        self.seen = 0

    def __repr__(self):
        more = f" {self.status}" if self.kind == "status" else f" after {self.after}" if self.after else ""
        return self.kind + more


class Script:
    """Faults at the n-th request that matches."""

    def __init__(self, *faults):
        self.faults, self.done, self.lock = list(faults), [], threading.Lock()

    def choose(self, method, path):
        with self.lock:
            matching = [fault for fault in self.faults if fault.where.search(f"{method} {path}")]
            for fault in matching:
                fault.seen += 1
            due = [fault for fault in matching if fault.nth <= fault.seen < fault.nth + fault.times]
            if due:
                self.done.append((method, path, due[0]))
            return due[0] if due else None


class Dice:
    """Faults at random. The choice for the n-th request of an address depends on the seed and on nothing else, so the
    order in which parallel requests come does not matter. An address has `each` faults at the most, all have `most`."""

    def __init__(self, seed, rate=0.3, kinds=None, each=2, most=8, longest=4096):
        self.seed, self.rate, self.each, self.most, self.longest = seed, rate, each, most, longest
        self.kinds = list(kinds or KINDS)
        self.count, self.faulty = collections.Counter(), collections.Counter()
        self.done, self.lock = [], threading.Lock()

    def choose(self, method, path):
        # The name that a registry gives an upload is chance.
        place = re.sub(r"/uploads/[^/]+", "/uploads/*", path)
        with self.lock:
            number = self.count[method, place]
            self.count[method, place] += 1
            dice = random.Random(f"{self.seed} {method} {place} {number}")
            if dice.random() >= self.rate or self.faulty[method, place] >= self.each or len(self.done) >= self.most:
                return None
            fault = self.fault(dice, method, place)
            if fault:
                self.faulty[method, place] += 1
                self.done.append((method, place, fault))
            return fault

    def fault(self, dice, method, place):
        kind = dice.choice(self.kinds)
        body = method == "GET"
        if kind in ("cut", "close", "truncate", "corrupt", "stall", "slow") and not body:
            return None
        if kind == "redirect" and not (body and "/blobs/" in place and "/uploads/" not in place):
            return None
        if kind == "cut-request" and method not in ("PUT", "PATCH"):
            return None
        # Few bytes for manifests and ends of blobs, many for the middle of large ones.
        after = min(int(dice.expovariate(4 / self.longest)), self.longest)
        status = dice.choice([408, 425, 429, 429, 500, 502, 503, 504])
        fields = {"Retry-After": dice.choice(["0", "1"])} if status == 429 and dice.random() < 0.8 else {}
        seconds = dice.choice([0.02, 0.1, 0.3])
        return Fault(kind, after=max(after, 1 if kind == "slow" else 0), seconds=seconds, status=status, fields=fields)


class FaultProxy(Server):
    """The proxy. `backend` is host:port of a plain HTTP registry, `plan` a Script or Dice; `cdn` the other host."""

    def __init__(self, backend, plan=None, read=None):
        self.backend, self.plan = backend, plan or Script()
        super().__init__(ProxyHandler)
        self.cdn = CDN(read or (lambda digest: None))

    def close(self):
        super().close()
        self.cdn.close()

    def blob_bytes(self, digest):
        """The bytes of a blob that went out, over both hosts."""
        return sum(one.sent for server in (self, self.cdn) for one in server.asked("GET", digest))


HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"}


class Cut(Exception):
    """The fault ends this connection."""


class ProxyHandler(Handler):
    def serve(self):
        if self.words == "/__token":
            return self.answer_json(200, {"token": "fault-proxy-token", "expires_in": 300})
        fault = self.owner.plan.choose(self.command, self.words)
        self.exchange.fault = fault
        kind = fault.kind if fault else None
        if kind == "reset":
            return self.reset()
        if kind == "status":
            later = b'{"errors":[{"code":"UNAVAILABLE","message":"try later"}]}'
            body = later if fault.body is None else fault.body
            return self.answer(fault.status, body, {"Content-Type": "application/json", **fault.fields})
        if kind == "unauthorized":
            scope = "/".join(self.words.split("/")[2:-2])
            return self.answer(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"token expired"}]}', {
                "Content-Type": "application/json", "WWW-Authenticate": f'Bearer realm="{self.owner.url}/__token",'
                f'service="proxy",scope="repository:{scope}:pull,push",error="invalid_token"'})
        if kind == "redirect":
            return self.answer(307, b"", {"Location": self.owner.cdn.address(self.words.rpartition("/")[2])})
        upstream = http.client.HTTPConnection(self.owner.backend, timeout=60)
        try:
            self.ask(upstream, fault)
            answer = upstream.getresponse()
            if kind == "lost-answer":
                answer.read()
                raise Cut
            self.pass_back(answer, fault)
        except Cut:
            self.reset()
        except (ConnectionError, TimeoutError, http.client.HTTPException):
            self.hang_up()
        finally:
            upstream.close()

    def ask(self, upstream, fault):
        """Passes the request on, with the host that the client named: a Location leads back here."""
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for key, value in self.headers.items():
            if key.lower() not in HOP:
                upstream.putheader(key, value)
        chunked = self.chunked
        if chunked:
            upstream.putheader("Transfer-Encoding", "chunked")
        upstream.endheaders()
        passed, end = 0, fault.after if fault and fault.kind == "cut-request" else None
        while True:
            data = self.read_some()
            if not data:
                break
            data = data if end is None else data[:max(end - passed, 0)]
            passed += len(data)
            if chunked and data:
                upstream.send(b"%x\r\n%s\r\n" % (len(data), data))
            elif data:
                upstream.send(data)
            if end is not None and passed >= end:
                raise Cut
        if chunked:
            upstream.send(b"0\r\n\r\n")

    def pass_back(self, answer, fault):
        kind = fault.kind if fault else None
        length = int(answer.headers.get("Content-Length", -1))
        whole = self.command == "HEAD" or answer.status in (204, 304)
        self.exchange.status = answer.status
        self.send_response_only(answer.status)
        for key, value in answer.headers.items():
            if key.lower() not in HOP and key.lower() != "content-length":
                self.send_header(key, value)
        if length >= 0:
            short = kind == "truncate" and not whole and fault.after < length
            self.send_header("Content-Length", str(fault.after if short else length))
        elif not whole:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if not whole:
            self.pass_body(answer, fault, kind)

    def pass_body(self, answer, fault, kind):
        size = 1 << 16
        if kind == "slow":
            size = max(fault.after, 1024)
        position = 0
        while data := answer.read(size):
            first, last = position, position + len(data)
            position = last
            at = fault.after - first if fault else -1
            inside = 0 <= at < len(data)
            if inside and kind in ("cut", "close", "truncate"):
                self.send(data[:at])
                if kind == "truncate":
                    return
                if kind == "cut":
                    raise Cut
                return self.hang_up()
            if inside and kind == "corrupt":
                data = data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1:]
            if inside and kind == "stall":
                self.send(data[:at])
                time.sleep(fault.seconds)
                data = data[at:]
            self.send(data)
            if kind == "slow":
                time.sleep(min(fault.seconds, 0.05))

    def send(self, data):
        self.wfile.write(data)
        self.exchange.sent += len(data)
