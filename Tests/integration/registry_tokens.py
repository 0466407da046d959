"""Docker's token server, small: what it is asked, what it gives, and for how long."""

import base64
import json
import math
import time
import urllib.parse
import uuid
from pathlib import Path

from registry_servers import Handler, Server, openssl


class TokenServer(Server):
    """Docker's token server: GET with Basic or nothing, POST with a refresh token or a password.

    `users` are names and passwords, `identities` refresh tokens and their users. Without a user only `public` actions
    are given. A token works for `lifetime` seconds, and `told` is what its `expires_in` says (None: nothing).
    `scopes` has one list of the asked scopes for each token.
    """

    def __init__(self, folder, users=None, identities=None, public=("pull",), lifetime=300, told=300, post=True,
                 field="token", service="stave-test", authority=None):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.users, self.identities, self.public = users or {}, identities or {}, public
        self.lifetime, self.told, self.post, self.field, self.service = lifetime, told, post, field, service
        self.issuer, self.scopes, self.callers, self.issued = "stave-test-issuer", [], [], {}
        self.key, self.certificate = folder / "token.key", folder / "token.crt"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=stave token server",
                "-keyout", self.key, "-out", self.certificate)
        self.chain = base64.b64encode(openssl("x509", "-in", self.certificate, "-outform", "DER")).decode()
        super().__init__(TokenHandler, authority)
        self.realm = self.url + "/token"

    def challenge(self, scope=None, error=None):
        text = f'Bearer realm="{self.realm}",service="{self.service}"'
        return text + (f',scope="{scope}"' if scope else "") + (f',error="{error}"' if error else "")

    def sign(self, user, access):
        """A token as docker-registry verifies it, also kept for `allows`."""
        now = time.time()
        # docker-registry lets a token live a minute beyond its end.
        claims = {"iss": self.issuer, "sub": user or "", "aud": self.service,
                  "exp": math.ceil(now + self.lifetime - 60), "nbf": int(now - 60), "iat": int(now),
                  "jti": uuid.uuid4().hex, "access": access}
        head = {"typ": "JWT", "alg": "RS256", "x5c": [self.chain]}
        text = ".".join(plain64(json.dumps(part).encode()) for part in (head, claims))
        token = text + "." + plain64(openssl("dgst", "-sha256", "-sign", self.key, stdin=text.encode()))
        self.issued[token] = (now + self.lifetime, access)
        return token

    def allows(self, authorization, name, action):
        """Whether an Authorization field gives the action on the repository."""
        kind, _, token = (authorization or "").partition(" ")
        end, access = self.issued.get(token, (0, []))
        return kind.lower() == "bearer" and time.time() < end and any(
            entry["name"] == name and action in entry["actions"] for entry in access)


class TokenHandler(Handler):
    def serve(self):
        if self.words != "/token":
            return self.answer(404)
        form = self.query
        if self.command == "POST":
            form = urllib.parse.parse_qs(self.body().decode(), keep_blank_values=True)
            if not self.owner.post:
                return self.answer(404)
            user = self.poster(form)
        else:
            user = self.caller()
        if user is None:
            return self.answer_json(401, {"details": "incorrect username or password"})
        scopes = [scope for value in form.get("scope", []) for scope in value.split()]
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            given = [a for a in actions.split(",") if user or a in self.owner.public]
            if given:
                access.append({"type": kind, "name": name, "actions": given})
        self.owner.scopes.append(scopes)
        self.owner.callers.append((self.command, user))
        document = {self.owner.field: self.owner.sign(user, access)}
        if self.owner.told is not None:
            document["expires_in"] = self.owner.told
        if form.get("offline_token") == ["true"] and user:
            self.owner.identities.setdefault("offline-" + user, user)
            document["refresh_token"] = "offline-" + user
        self.answer_json(200, document)

    def caller(self):
        """The user of a GET: "" without any, None when the password is wrong."""
        field = self.headers.get("Authorization")
        if not field:
            return ""
        user, _, password = base64.b64decode(field.partition(" ")[2]).decode().partition(":")
        return user if self.owner.users.get(user) == password else None

    def poster(self, form):
        if form.get("grant_type") == ["refresh_token"]:
            return self.owner.identities.get(form.get("refresh_token", [""])[0])
        user = form.get("username", [""])[0]
        return user if user and self.owner.users.get(user) == form.get("password", [""])[0] else None


def plain64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
