"""Tests of what stands between a name and a host: registries.conf, mirrors, TLS, certificates, names."""

from registry_images import Wire, runnable, small
from registry_servers import basic


def conf(stave, text):
    stave.write("registries.conf", text)


def test_mirror_of_docker_hub(t):
    """`FROM busybox` and `pull hello` as a user types them, with a mirror in place of Docker Hub."""
    upstream = t.own()
    image = Wire(upstream).put("library/hello", runnable(t.bases), "latest")
    Wire(upstream).put("team/hello", image, "2")
    for mirror in (t.debian(mirror_of=upstream.url), upstream):
        stave = t.client()
        conf(stave, f'[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n[[registry.mirror]]\n'
                    f'location = "{mirror.host}"\ninsecure = true\n')
        stave.ok("pull", "hello")
        t.has("hello", image, stave)
        t.has("docker.io/library/hello:latest", image, stave)
        stave.ok("pull", "team/hello:2")
        stave.ok("pull", f"hello@{image.digest}")
        t.equal(stave.ok("run", "--rm", "hello").out, "hello\n")
        folder = t.context("FROM hello\nRUN cat /hello > /again\n")
        fresh = t.client()
        conf(fresh, (stave.home / "registries.conf").read_text())
        fresh.ok("build", "-q", "-t", "made", folder)
        t.equal(fresh.ok("run", "--rm", "made", "cat", "/again").out, "hello\n")


def test_dockers_own_mirror_setting(t):
    """The mirrors that users of docker have in daemon.json, in the user's place for it."""
    mirror = t.own()
    image = Wire(mirror).put("library/hello", small(1), "latest")
    t.stave.write(".config/docker/daemon.json", {"registry-mirrors": [mirror.url]})
    if t.rootless:
        t.stave.ok("pull", "hello")
        t.has("hello", image)


def test_next_mirror(t):
    empty, broken, good = t.own(), t.own(), t.own()
    image = Wire(good).put("library/a", small(2), "1")
    broken.before = lambda handler: handler.answer(500) or True
    closed = t.own()
    closed.close()
    text = '[[registry]]\nlocation = "docker.io"\n'
    for one in (empty, closed, broken, good):
        text += f'[[registry.mirror]]\nlocation = "{one.host}"\ninsecure = true\n'
    conf(t.stave, text)
    t.stave.ok("pull", "a:1")
    t.has("a:1", image)
    conf(t.stave, text.replace("docker.io", good.host).replace(f'mirror]]\nlocation = "{good.host}"',
                                                               f'mirror]]\nlocation = "{empty.host}"'))
    good.forget()
    Wire(good).put("b", image, "1")
    t.stave.ok("pull", f"{good.host}/b:1")


def test_a_mirror_that_lies(t):
    """A mirror's wrong bytes are noticed by their digest, and the registry itself is asked."""
    liar, good = t.own(), t.own()
    image = Wire(good).put("a", small(3), "1")
    Wire(liar).put("a", image, "1")
    blob = image.layers[1]["digest"]
    liar.blobs[blob] = bytes(len(liar.blobs[blob]))
    conf(t.stave, f'[[registry]]\nlocation = "{good.host}"\ninsecure = true\n[[registry.mirror]]\n'
                  f'location = "{liar.host}"\ninsecure = true\n')
    result = t.stave("pull", f"{good.host}/a:1")
    if result.code == 0:
        t.has(f"{good.host}/a:1", image)
    else:
        t.fails(result, blob[7:19])
        t.lacks(f"{good.host}/a:1")
    t.whole()


def test_push_goes_past_mirrors(t):
    mirror, registry = t.own(), t.own()
    conf(t.stave, f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n[[registry.mirror]]\n'
                  f'location = "{mirror.host}"\ninsecure = true\n')
    image = Wire(registry).put("a", small(4), "1")
    t.stave.ok("pull", f"{registry.host}/a:1")
    mirror.forget()
    t.stave.ok("tag", f"{registry.host}/a:1", f"{registry.host}/a:2")
    t.stave.ok("push", f"{registry.host}/a:2")
    t.equal(registry.tags["a", "2"], image.digest)
    t.equal(mirror.requests, [], "requests to the mirror")


def test_rewriting_blocking_aliases(t):
    registry = t.own()
    image = Wire(registry).put("inner/deep/a", small(5), "1")
    conf(t.stave, '[[registry]]\nprefix = "example.invalid/outer"\n'
                  f'location = "{registry.host}/inner"\ninsecure = true\n'
                  f'[[registry]]\nprefix = "*.wild.invalid"\nlocation = "{registry.host}/inner"\ninsecure = true\n'
                  '[[registry]]\nlocation = "example.invalid/outer/bad"\nblocked = true\n'
                  '[aliases]\n"short" = "example.invalid/outer/deep/a"\n')
    t.stave.ok("pull", "example.invalid/outer/deep/a:1")
    t.has("example.invalid/outer/deep/a:1", image)
    t.fails(t.stave("pull", "example.invalid/outer/bad/a:1"), "blocked")
    t.stave.ok("pull", "some.wild.invalid/deep/a:1")
    t.stave.ok("pull", "short:1")


def test_bad_settings(t):
    registry = t.own()
    Wire(registry).put("a", small(6), "1")
    for text in ("[[registry]\n", "x = \n", '[[registry]]\nlocation = "a b"\n', '"' * 50000, "a = " + "[" * 5000,
                 '[[registry]]\nprefix = "x"\n' * 2):
        conf(t.stave, text)
        result = t.stave("pull", f"{registry.host}/a:1")
        t.true(not result.crashed and "Fatal error" not in result.err, f"registries.conf {text[:20]!r}: died")
        if result.code:
            t.says(result, "registries.conf")
    conf(t.stave, "")
    t.stave.ok("pull", f"{registry.host}/a:1")


def test_tls(t):
    authority, other = t.authority(), t.authority()
    registry = t.debian(authority=authority)
    wire = Wire(registry, authority=authority)
    image = wire.put("a", small(7), "1")
    name = f"{registry.host}/a:1"
    t.fails(t.stave("pull", name), "certificate")
    t.fails(t.stave("pull", name, env={"SSL_CERT_FILE": str(other.certificate)}), "certificate")
    t.lacks(name)
    for stave, env, flags in (
            (t.client(), {"SSL_CERT_FILE": str(authority.certificate)}, []),
            (t.client(), {}, ["--tls-verify=false"])):
        stave.ok("pull", *flags, name, env=env)
        t.has(name, image, stave)
        stave.ok("tag", name, f"{registry.host}/b:1")
        stave.ok("push", *flags, f"{registry.host}/b:1", env=env)
        t.equal(wire.manifest("b", "1")[0], image.digest)
    stave = t.client()
    stave.write(f".config/containers/certs.d/{registry.host}/ca.crt", authority.certificate.read_text())
    stave.ok("pull", name)
    stave = t.client()
    conf(stave, f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n')
    stave.ok("pull", name)
    stave.ok("tag", name, f"localhost:{registry.port}/c:1")
    t.client().ok("pull", f"localhost:{registry.port}/a:1", env={"SSL_CERT_FILE": str(authority.certificate)})


def test_client_certificates(t):
    authority, clients = t.authority(), t.authority()
    registry = t.debian(authority=authority, clients=clients)
    build = t.own()
    image = Wire(build).put("a", small(8), "1")
    t.stave.ok("pull", f"{build.host}/a:1")
    t.stave.ok("tag", f"{build.host}/a:1", f"{registry.host}/a:1")
    folder = f".config/containers/certs.d/{registry.host}/"
    t.stave.write(folder + "ca.crt", authority.certificate.read_text())
    t.fails(t.stave("push", f"{registry.host}/a:1"))
    certificate, key = clients.issue("somebody", "clientAuth")
    t.stave.write(folder + "client.cert", certificate.read_text())
    t.fails(t.stave("push", f"{registry.host}/a:1"), "client.")
    t.stave.write(folder + "client.key", key.read_text(), 0o600)
    t.stave.ok("push", f"{registry.host}/a:1")
    t.stave.ok("rmi", f"{registry.host}/a:1", f"{build.host}/a:1")
    t.stave.ok("pull", f"{registry.host}/a:1")
    t.has(f"{registry.host}/a:1", image)


def test_tls_everywhere_with_tokens(t):
    """The private authority counts for the token server and the other host too."""
    authority = t.authority()
    tokens = t.tokens(users={"anna": "s3cret"}, authority=authority)
    registry = t.own(tokens=tokens, authority=authority, cdn=True)
    right = [{"type": "repository", "name": "a", "actions": ["pull", "push"]}]
    image = Wire(registry, "Bearer " + tokens.sign("anna", right), authority).put("a", small(9), "1")
    t.stave.ok("pull", f"{registry.host}/a:1", env={"SSL_CERT_FILE": str(authority.certificate)})
    t.has(f"{registry.host}/a:1", image)
    t.equal(registry.cdn.leaks, [])


def test_no_way_down_from_tls(t):
    """https never leads to http: neither by a redirect nor by a fallback where TLS is there but wrong."""
    authority = t.authority()
    plain = t.own()
    registry = t.own(authority=authority, users={"anna": "s3cret"})
    image = Wire(registry, basic("anna", "s3cret"), authority).put("a", small(10), "1")
    for digest, data in image.blobs.items():
        plain.add_blob("a", data, digest)

    def down(handler):
        if handler.command == "GET" and "/blobs/" in handler.words:
            handler.answer(307, b"", {"Location": plain.url + handler.words})
            return True
        return False
    registry.before = down
    t.fails(t.stave("pull", "--creds", "anna:s3cret", f"{registry.host}/a:1",
                    env={"SSL_CERT_FILE": str(authority.certificate)}))
    t.equal(plain.requests, [], "requests over plain HTTP")


def test_names(t):
    registry = t.own()
    image = Wire(registry).put("a", small(11), "latest")
    port = registry.host.rpartition(":")[2]
    for name in (f"localhost:{port}/a", f"127.0.0.1:{port}/a", f"localhost:{port}/a:latest"):
        t.stave.ok("pull", name)
        t.has(name, image)
    t.fails(t.stave("pull", "registry.invalid/a:1"), "registry.invalid")
    tags = [line for line in t.stave.ok("images", "--format", "{{.Repository}}:{{.Tag}}").out.split()]
    t.equal(sorted(tags), [f"127.0.0.1:{port}/a:latest", f"localhost:{port}/a:latest"])


def test_a_name_that_no_host_has(t):
    """Without a mirror a short name is Docker Hub's; the error names it."""
    result = t.fails(t.stave("pull", "busybox", env={"https_proxy": "http://127.0.0.1:9"}), "docker.io")
    t.true(len(result.err.strip().splitlines()) <= 8, "an error of many lines")
