"""Tests of `login`, `logout` and of where credentials come from and go to."""

import base64
import json
import os
import stat

from registry_faults import Fault
from registry_images import Wire, small
from registry_servers import basic

HELPER = """#!/bin/sh
# Credentials in one file for each server, and a log of what was asked.
store="$HOME/helper-store"
mkdir -p "$store"
echo "$1" >> "$HOME/helper-log"
case "$1" in
store)
    said=$(cat)
    server=$(printf %s "$said" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/')
    printf %s "$said" > "$store/$(printf %s "$server" | tr /: __)" ;;
get)
    server=$(cat)
    if [ -n "$HELPER_BREAKS" ]; then echo "the key ring is on fire"; exit 1; fi
    cat "$store/$(printf %s "$server" | tr /: __)" 2>/dev/null || {
        echo "credentials not found in native keychain"; exit 1; } ;;
erase)
    rm -f "$store/$(cat | tr /: __)" ;;
esac
"""


def guarded(t, **more):
    """An htpasswd registry with an image, whose name is the second."""
    registry = t.debian(users={"anna": "s3cret", "bob": "b0b"}, **more)
    Wire(registry, basic("anna", "s3cret")).put("team/a", small(1), "1")
    return registry, f"{registry.host}/team/a:1"


def encoded(user, password):
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def hidden(t, result, *secrets):
    for secret in secrets:
        t.true(secret not in result.text, f"{secret!r} is printed by {result.argv[3]}")
    return result


def test_login_pull_logout(t):
    registry, name = guarded(t)
    t.fails(t.stave("pull", name), "login")
    said = t.stave.ok("login", "-u", "anna", "--password-stdin", registry.host, stdin=b"s3cret\n")
    hidden(t, t.says(said, "Login Succeeded"), "s3cret")
    path = t.stave.home / ".docker/config.json"
    t.equal(stat.S_IMODE(path.stat().st_mode), 0o600, "mode of config.json")
    t.true(registry.host in json.loads(path.read_text())["auths"], "host in config.json")
    t.stave.ok("pull", name)
    t.stave.ok("logout", registry.host)
    t.true(registry.host not in json.loads(path.read_text()).get("auths", {}), "credentials after logout")
    t.fails(t.client()("pull", name))
    t.stave("rmi", name)
    t.fails(t.stave("pull", name))


def test_wrong_passwords(t):
    registry, name = guarded(t)
    result = t.fails(t.stave("login", "-u", "anna", "--password-stdin", registry.host, stdin=b"wr0ng"))
    hidden(t, result, "wr0ng")
    t.true(not (t.stave.home / ".docker/config.json").exists()
           or registry.host not in (t.stave.home / ".docker/config.json").read_text(), "a wrong password is stored")
    hidden(t, t.fails(t.stave("pull", "--creds", "anna:wr0ng", name), registry.host), "wr0ng")
    hidden(t, t.fails(t.stave("-D", "pull", "--creds", "anna:wr0ng", name)), "wr0ng", encoded("anna", "wr0ng")["auth"])
    t.fails(t.stave("login", "-u", "anna", "--password-stdin", registry.host, stdin=b""))
    t.true(t.stave("login", "--password-stdin", registry.host, stdin=b"x").code != 0, "--password-stdin without -u")


def test_creds(t):
    registry, name = guarded(t)
    t.stave.ok("pull", "--creds", "anna:s3cret", name)
    t.stave.ok("tag", name, f"{registry.host}/other:1")
    t.fails(t.stave("push", f"{registry.host}/other:1"))
    t.stave.ok("push", "--creds=anna:s3cret", f"{registry.host}/other:1")


def test_login_keeps_the_rest_of_the_file(t):
    registry, name = guarded(t)
    before = {"psFormat": "table", "auths": {"https://index.docker.io/v1/": encoded("x", "y")},
              "HttpHeaders": {"A": "b"}}
    path = t.stave.write(".docker/config.json", before, 0o600)
    t.stave.ok("login", "-u", "anna", "--password-stdin", registry.host, stdin=b"s3cret")
    after = json.loads(path.read_text())
    t.equal({k: v for k, v in after.items() if k != "auths"}, {k: v for k, v in before.items() if k != "auths"})
    t.equal(after["auths"]["https://index.docker.io/v1/"], before["auths"]["https://index.docker.io/v1/"])
    t.stave.ok("logout", registry.host)
    t.equal(json.loads(path.read_text()), before)
    path.write_text("{ not json")
    t.fails(t.stave("login", "-u", "anna", "--password-stdin", registry.host, stdin=b"s3cret"), "config.json")
    t.equal(path.read_text(), "{ not json", "a malformed file")


def test_authfiles(t):
    registry, name = guarded(t)
    file = t.stave.write("elsewhere.json", {"auths": {registry.host: encoded("anna", "s3cret")}})
    t.stave.ok("pull", "--authfile", file, name)
    t.stave.ok("rmi", name)
    t.stave.ok("pull", name, env={"REGISTRY_AUTH_FILE": str(file)})
    for place in (".config/containers/auth.json", ".docker/config.json"):
        stave = t.client()
        stave.write(place, {"auths": {registry.host: encoded("anna", "s3cret")}})
        stave.ok("pull", name)
    if os.geteuid() != 0:
        stave = t.client()
        stave.write("run/containers/auth.json", {"auths": {registry.host: encoded("anna", "s3cret")}})
        stave.ok("pull", name)
    t.stave.ok("login", "--authfile", t.stave.home / "new.json", "-u", "anna", "--password-stdin", registry.host,
               stdin=b"s3cret")
    t.stave.ok("pull", "--authfile", t.stave.home / "new.json", name)
    t.true(t.stave("pull", "--authfile", t.stave.home / "absent.json", name).code != 0, "an absent --authfile")


def test_most_specific_key_wins(t):
    registry, name = guarded(t)
    wrong, right = encoded("anna", "wr0ng"), encoded("anna", "s3cret")
    for keys in ({f"{registry.host}/team/a": right, f"{registry.host}/team": wrong, registry.host: wrong},
                 {f"{registry.host}/team": right, registry.host: wrong},
                 {registry.host: right, f"{registry.host}/tea": wrong, f"{registry.host}/team/b": wrong},
                 {f"https://{registry.host}/v2/": right}, {f"https://{registry.host}": right}):
        stave = t.client()
        stave.write(".config/containers/auth.json", {"auths": keys})
        stave.ok("pull", name)


def test_helpers(t):
    registry, name = guarded(t)
    for settings in ({"credsStore": "fake"}, {"credHelpers": {registry.host: "fake"}}):
        stave = t.client()
        helper = stave.write("bin/docker-credential-fake", HELPER, 0o755)
        env = {"PATH": f"{helper.parent}:{os.environ['PATH']}"}
        path = stave.write(".docker/config.json", settings, 0o600)
        t.fails(stave("pull", name, env=env))
        stave.ok("login", "-u", "anna", "--password-stdin", registry.host, stdin=b"s3cret", env=env)
        t.true("s3cret" not in path.read_text() and encoded("anna", "s3cret")["auth"] not in path.read_text(),
               "the password is in config.json beside the helper")
        t.true("store" in (stave.home / "helper-log").read_text(), "the helper stores")
        stave.ok("pull", name, env=env)
        broken = stave("pull", f"{registry.host}/team/a:none", env={**env, "HELPER_BREAKS": "1"})
        t.fails(broken, "docker-credential-fake")
        stave.ok("logout", registry.host, env=env)
        t.true("erase" in (stave.home / "helper-log").read_text(), "the helper erases")
        stave.ok("rmi", name)
        t.fails(stave("pull", name, env=env))
    stave = t.client()
    stave.write(".docker/config.json", {"credsStore": "absent"})
    t.fails(stave("pull", name), "docker-credential-absent")


def test_tokens(t):
    for field, told, post in (("token", 300, True), ("access_token", None, False)):
        tokens = t.tokens(users={"anna": "s3cret"}, field=field, told=told, post=post)
        for registry in (t.own(tokens=tokens), t.debian(tokens=tokens)):
            right = [{"type": "repository", "name": "a", "actions": ["pull", "push"]}]
            image = Wire(registry, "Bearer " + tokens.sign("anna", right)).put("a", small(2), "1")
            tokens.scopes.clear(), tokens.callers.clear()
            stave = t.client()
            stave.ok("pull", f"{registry.host}/a:1")
            t.has(f"{registry.host}/a:1", image, stave)
            t.equal({scope for scopes in tokens.scopes for scope in scopes}, {"repository:a:pull"}, "scopes")
            t.true(len(tokens.scopes) <= 2, f"{len(tokens.scopes)} tokens for one pull")
            t.equal({user for _, user in tokens.callers}, {""}, "callers")
            t.fails(stave("push", f"{registry.host}/a:1"), registry.host)


def test_identity_tokens(t):
    for post in (True, False):
        tokens = t.tokens(users={"anna": "s3cret"}, identities={"identity-xyz": "anna"}, public=(), post=post)
        registry = t.own(tokens=tokens)
        right = [{"type": "repository", "name": "a", "actions": ["pull", "push"]}]
        Wire(registry, "Bearer " + tokens.sign("anna", right)).put("a", small(3), "1")
        stave = t.client()
        t.fails(stave("pull", f"{registry.host}/a:1"))
        stave.write(".docker/config.json", {"auths": {registry.host: {**encoded("anna", "s3cret"),
                                                                      "identitytoken": "identity-xyz"}}})
        tokens.callers.clear()
        result = stave("pull", f"{registry.host}/a:1")
        hidden(t, result, "identity-xyz")
        if post:
            t.equal(result.code, 0, f"pull with an identity token ({result.error_line()})")
            t.true(("POST", "anna") in tokens.callers, f"callers {tokens.callers}")


def test_helper_with_an_identity_token(t):
    tokens = t.tokens(identities={"identity-xyz": "anna"}, public=())
    registry = t.own(tokens=tokens)
    right = [{"type": "repository", "name": "a", "actions": ["pull", "push"]}]
    Wire(registry, "Bearer " + tokens.sign("anna", right)).put("a", small(4), "1")
    said = json.dumps({"ServerURL": registry.host, "Username": "<token>", "Secret": "identity-xyz"})
    helper = t.stave.write("bin/docker-credential-id", f"#!/bin/sh\ncat >/dev/null\necho '{said}'\n", 0o755)
    t.stave.write(".docker/config.json", {"credHelpers": {registry.host: "id"}})
    t.stave.ok("pull", f"{registry.host}/a:1", env={"PATH": f"{helper.parent}:{os.environ['PATH']}"})


def test_token_that_ends_in_the_middle(t):
    """Tokens of one second and blobs that take longer: refreshed as often as needed, on pull and push."""
    tokens = t.tokens(users={"anna": "s3cret"}, lifetime=1, told=300)
    registry = t.own(tokens=tokens)
    right = [{"type": "repository", "name": "a", "actions": ["pull", "push"]}]
    tokens.lifetime = 300
    image = Wire(registry, "Bearer " + tokens.sign("anna", right)).put("a", small(5, count=5, size=60000), "1")
    tokens.lifetime = 1
    proxy = t.proxy(registry, Fault("stall", "GET .*/blobs/", times=99, after=1000, seconds=0.5),
                    Fault("close", "GET .*/blobs/", nth=3, times=2, after=20000))
    t.stave.ok("pull", f"{proxy.host}/a:1")
    t.has(f"{proxy.host}/a:1", image)
    target = t.own(tokens=tokens)
    slow = t.proxy(target, Fault("stall", "(HEAD|POST) ", times=99, seconds=0.6))

    def late(handler):
        import time
        time.sleep(0.3)
        return False
    target.before = late
    t.stave.ok("tag", f"{proxy.host}/a:1", f"{slow.host}/b:1")
    t.stave.ok("push", "--creds", "anna:s3cret", f"{slow.host}/b:1")
    t.equal(target.tags["b", "1"], image.digest)


def test_unauthorized_in_the_middle(t):
    registry = t.own()
    image = Wire(registry).put("a", small(6), "1")
    for nth in (1, 2, 3, 5, 6):
        proxy = t.proxy(registry, Fault("unauthorized", "GET ", nth=nth))
        stave = t.client()
        stave.ok("pull", f"{proxy.host}/a:1")
        t.has(f"{proxy.host}/a:1", image, stave)
    proxy = t.proxy(registry, Fault("unauthorized", ".", times=9999))
    t.fails(t.stave("pull", f"{proxy.host}/a:1"))
    t.true(len(proxy.requests) < 20, f"401 without end: {len(proxy.requests)} requests")


def test_credentials_stay_at_their_host(t):
    """A token server and a redirect elsewhere see nothing that is not theirs."""
    tokens = t.tokens(users={"anna": "s3cret"}, public=())
    registry = t.own(tokens=tokens, cdn=True)
    right = [{"type": "repository", "name": "a", "actions": ["pull", "push"]}]
    Wire(registry, "Bearer " + tokens.sign("anna", right)).put("a", small(7), "1")
    registry.forget()
    t.stave.ok("pull", "--creds", "anna:s3cret", f"{registry.host}/a:1")
    t.equal(registry.cdn.leaks, [])
    sent = [one.headers["authorization"] for one in registry.requests if "authorization" in one.headers]
    t.true(all(one.startswith("Bearer ") for one in sent), "the password goes to a registry that wants tokens")
    other = t.own(users={"anna": "s3cret"})
    t.stave.write(".docker/config.json", {"auths": {registry.host: encoded("anna", "s3cret")}})
    t.fails(t.stave("pull", f"{other.host}/a:1"))
    t.true(not any("authorization" in one.headers for one in other.requests), "credentials of another host are sent")


def test_challenges_in_every_form(t):
    """Several challenges, odd spaces, commas in quotes, both schemes at once."""
    tokens = t.tokens()
    registry = t.own()
    image = Wire(registry).put("a", small(8), "1")
    forms = [f'Bearer realm="{tokens.realm}",service="a, b",scope="repository:a:pull"',
             f'bearer  realm="{tokens.realm}" , service="stave-test" ,scope="repository:a:pull"',
             f'Negotiate, Bearer realm="{tokens.realm}",service="x"', f'Basic realm="x", Bearer realm="{tokens.realm}"',
             f'Bearer realm="{tokens.realm}",error="a \\"quoted\\" one",scope="repository:a:pull"',
             f'Bearer realm={tokens.realm},service=x']
    for form in forms:
        def demand(handler):
            if handler.headers.get("Authorization", "").startswith("Bearer "):
                return False
            handler.answer(401, b"{}", {"WWW-Authenticate": form})
            return True
        registry.before = demand
        stave = t.client()
        result = stave("pull", f"{registry.host}/a:1")
        t.equal(result.code, 0, f"{form}: {result.error_line()}")
        t.has(f"{registry.host}/a:1", image, stave)
    for form in ("", "Bearer", 'Bearer realm="', 'Bearer realm="not a url"', "=,=,=", "Bearer realm=\"" + "x" * 60000,
                 'Bearer realm="file:///etc/passwd"', "\\" * 1000):
        registry.before = lambda handler: handler.answer(401, b"{}", {"WWW-Authenticate": form[:60000]}) or True
        t.fails(t.client()("pull", f"{registry.host}/a:1"))
