"""Layer indexes of made and changed tars, mounted and compared with what `tar x` and the layer rules make."""

import ctypes
import hashlib
import io
import os
import shutil
import stat
import subprocess
import tarfile
import time

LIBC = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MNT_DETACH = 1, 2, 4, 8, 2
NAMES = ["a", "b", "c", "n" * 255, "größe", "-x", "..d", ".e", "longer-name-for-the-block-borders"]
KINDS = [tarfile.REGTYPE] * 5 + [tarfile.DIRTYPE] * 4 + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE,
                                                         tarfile.BLKTYPE, tarfile.FIFOTYPE]


def make_tar(dice):
    """A tar whose few names collide: replaced members, changed types, links and whiteouts in any order."""
    buffer = io.BytesIO()
    form = dice.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
    paths = []
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for _ in range(dice.choice([1, 5, 20, 200])):
            parent = dice.choice(paths) if paths and dice.random() < 0.6 else ""
            name = dice.choice(NAMES) if dice.random() < 0.8 else f"f{dice.randrange(1000)}"
            path = f"{parent}/{name}".strip("/")
            info = tarfile.TarInfo(path)
            info.type = dice.choice(KINDS)
            info.mode = dice.choice([0o644, 0o755, 0o4755, 0o1777, 0, 0o7777])
            info.uid, info.gid = dice.choice([(0, 0), (1, 2), (70000, 4000000)])
            info.mtime = dice.choice([0, 1, 1_700_000_000, 1_700_000_000.123456789, 5_000_000_000])
            if form == tarfile.PAX_FORMAT and dice.random() < 0.1:
                info.mtime = -1.5
            content = bytes([dice.randrange(256)]) * dice.choice([0, 1, 511, 512, 513, 5000])
            if dice.random() < 0.15:
                info.name = dice.choice([f"{parent}/.wh.{name}", f"{parent}/.wh..wh..opq"]).strip("/")
                info.type, content = tarfile.REGTYPE, b""
            elif info.type == tarfile.SYMTYPE:
                info.linkname = dice.choice(["a", "b/c", "d" * dice.randrange(1, 700), "missing"])
            elif info.type == tarfile.LNKTYPE:
                info.linkname = dice.choice(paths) if paths else "a"
            elif info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
                info.devmajor, info.devminor = dice.choice([(1, 3), (8, 1_000), (0, 0)])
            if info.type not in (tarfile.REGTYPE, tarfile.LNKTYPE):
                content = b""
            if form == tarfile.PAX_FORMAT and dice.random() < 0.2 and info.type in (tarfile.REGTYPE, tarfile.DIRTYPE):
                info.pax_headers = {"SCHILY.xattr.user.x": "v" * dice.choice([0, 1, 100, 600])}
            if info.type == tarfile.LNKTYPE:
                content = b""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            if info.type == tarfile.DIRTYPE and len(path) < 2000:
                paths.append(path)
            if info.type == tarfile.REGTYPE and dice.random() < 0.3 and info.name == path:
                paths.append(path)
    return buffer.getvalue()


def change_tar(dice, data):
    """Random bytes in headers, their checksums made right again, so that the reader goes on."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(out) // 512) * 512
        for _ in range(dice.randint(1, 3)):
            out[at + dice.choice([dice.randrange(512), 0, 100, 124, 135, 156, 157, 257, 345])] = dice.choice(
                [0, 0x2F, 0x2E, 0x30, 0x37, 0x35, 0x80, 0xFF, dice.randrange(256)])
        name = bytes(out[at:at + 100]).split(b"\0")[0]
        if out[at + 156] in b"07" and (not name or name.endswith(b"/")):
            # GNU tar makes a directory of a file whose name ends with a slash, Go's reader and ours make a file.
            out[at + 156] = ord("5")
        if bytes(out[at + 257:at + 262]) == b"ustar":
            out[at + 148:at + 156] = b" " * 8
            out[at + 148:at + 156] = b"%06o\0 " % sum(out[at:at + 512])
    return bytes(out)


def mount(index, tar, place):
    data = b"device=" + tar
    if LIBC.mount(bytes(index), bytes(place), b"erofs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, data):
        raise OSError(ctypes.get_errno(), "mount: " + os.strerror(ctypes.get_errno()))


def apply_layer_rules(root):
    """Turns the whiteouts that tar unpacked as files into overlayfs' form."""
    for folder, _, names in list(os.walk(root, topdown=False)):
        times = os.lstat(folder)
        for name in sorted(n for n in os.listdir(folder) if n.startswith(b".wh.")):
            path = os.path.join(folder, name)
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
            hidden = os.path.join(folder, name[4:])
            if name == b".wh..wh..opq":
                os.setxattr(folder, "trusted.overlay.opaque", b"y")
            elif name.startswith(b".wh..wh.") or name[4:] in (b"", b".", b".."):
                continue
            elif not os.path.lexists(hidden):
                os.mknod(hidden, stat.S_IFCHR, 0)
                os.chown(hidden, 0, 0)
            elif stat.S_ISDIR(os.lstat(hidden).st_mode):
                os.setxattr(hidden, "trusted.overlay.opaque", b"y", follow_symlinks=False)
        os.utime(folder, ns=(times.st_atime_ns, times.st_mtime_ns))


def snapshot(root, members):
    """Everything that is compared, by path; what unpacking makes by itself has no time and no mode."""
    out, firsts = {}, {}

    def add(path):
        name, s = os.path.relpath(path, root), os.lstat(path)
        kind, whiteout = stat.S_IFMT(s.st_mode), stat.S_ISCHR(s.st_mode) and s.st_rdev == 0
        implied = kind == stat.S_IFDIR and name not in members
        xattrs = {x: os.getxattr(path, x, follow_symlinks=False) for x in os.listxattr(path, follow_symlinks=False)
                  if x != "trusted.overlay.implied"}
        out[name] = {
            "mode": kind if implied or whiteout else s.st_mode, "owner": (s.st_uid, s.st_gid), "links": s.st_nlink,
            "mtime": 0 if implied or whiteout else s.st_mtime_ns, "xattrs": xattrs,
            "device": s.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0,
            "link": os.readlink(path) if kind == stat.S_IFLNK else b"",
            "file": firsts.setdefault(s.st_ino, name),
            "content": hashlib.sha256(open(path, "rb").read()).hexdigest() if kind == stat.S_IFREG else ""}
        if kind == stat.S_IFDIR:
            for child in sorted(os.listdir(path)):
                add(os.path.join(path, child))

    add(root)
    return out


def member_names(tar):
    listed = subprocess.run(["tar", "--quoting-style=literal", "-tf", tar], capture_output=True).stdout
    return {os.path.normpath(x.strip(b"/") or b".") for x in listed.split(b"\n") if x}


def is_comparable(tar):
    """Whether tar unpacks links as they are: it delays those that lead out, and may then put them over later members."""
    listed = subprocess.run(["tar", "--quoting-style=literal", "-tvf", tar], capture_output=True).stdout
    return not any(b" -> /" in x or b".." in x.partition(b" -> ")[2] for x in listed.split(b"\n") if x[:1] == b"l")


def differences(ours, theirs, started):
    """Where the trees differ. tar leaves directories that it touches again with the time of doing so: no difference."""
    out = []
    for name in sorted(set(ours) | set(theirs)):
        a, b = ours.get(name), theirs.get(name)
        if a and b and b["mtime"] >= started and stat.S_ISDIR(b["mode"]):
            b = {**b, "mtime": a["mtime"]}
        if a != b:
            out.append((name[-40:], *({k: v for k, v in (x or {}).items() if (y or {}).get(k) != v}
                                      for x, y in ((a, b), (b, a)))))
    return out


def index_round(stave, folder, data, compare):
    """Indexes `data`, mounts that and, if `compare`, compares it with `tar x`. Gives (what, data, result, complaint)."""
    tar, index, place, other = (os.fsencode(folder) + b"/" + x for x in (b"tar", b"index", b"mounted", b"unpacked"))
    with open(tar, "wb") as file:
        file.write(data)
    result = stave("debug", "index", stdin=data, timeout=60)
    if result.code != 0:
        return "debug index", data, result, None
    with open(index, "wb") as file:
        file.write(result.raw_out)
    os.makedirs(place, exist_ok=True)
    complaint = None
    try:
        mount(index, tar, place)
        members = member_names(tar)
        ours = snapshot(place, members)
        if compare and is_comparable(tar):
            shutil.rmtree(other, ignore_errors=True)
            started = time.time_ns() - 10**9
            os.mkdir(other)
            unpacked = subprocess.run(
                ["tar", "--xattrs", "--xattrs-include=user.*", "--xattrs-exclude=user.overlay.*", "--numeric-owner",
                 "-pxf", tar, "-C", other], capture_output=True)
            if unpacked.returncode == 0 and not unpacked.stderr:
                apply_layer_rules(other)
                found = differences(ours, snapshot(other, members), started)
                complaint = f"unlike tar x: {found[0]}" if found else None
    except OSError as error:
        complaint = f"the index can't be read: {error}"
    finally:
        LIBC.umount2(place, MNT_DETACH)
    return "debug index", data, result, complaint
