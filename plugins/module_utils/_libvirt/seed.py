# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a guest is told at its first boot: the files of its seed. Pure; PyYAML is not needed, since JSON is YAML.

A seed is an image labelled `cidata` (see iso.py) that holds two tellings of the same:

- for cloud-init (NoCloud): `meta-data`, `user-data` and, when it was said, `network-config`;
- for a small guest without cloud-init, files that a shell can read without knowing YAML. Each is there on every seed and ends with a
  newline, except where it says otherwise:

    hostname          one line
    user              one line: whom SSH lets in
    authorized-keys   one public key a line; it becomes ~/.ssh/authorized_keys of that user; empty when there are none
    host-key          the SSH host key, in OpenSSH's form; for dropbear: dropbearconvert openssh dropbear host-key FILE
    host-key.pub      its public half, one line
    run               only when it was said: a script for /bin/sh, run as root at the end of the first boot

  and whatever else was said to be on it, as it was said: the engine's certificates, for example.

  Such a guest mounts the seed read-only, puts `host-key` in place before its SSH server starts, makes no other host key, gives nobody a
  password, and lets the user become root without one. All files belong to root and nobody else may read them.

The seed is taken out after the first boot. Without one, cloud-init may take the next boot for another instance's first and replace the
host keys; the file KEEP in the guest tells it that the instance stays what it is.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._converge.desired import join, quote
from . import iso

HEADER = "#cloud-config\n"
LABEL = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")  # RFC 1123
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")  # as useradd has it
KEY_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
LONGEST_NAME = 64  # of a Linux host
OURS = (
    "meta-data",
    "user-data",
    "network-config",
    "vendor-data",
    "hostname",
    "user",
    "authorized-keys",
    "host-key",
    "host-key.pub",
    "run",
)
LARGEST = 1 << 20  # bytes of a file: it is sent with the task
KEEP = "/etc/cloud/cloud.cfg.d/99_slipway.cfg"

# What the user may say of cloud-init, and what not: a machine is entered with keys, and known by the key that we made.
ONE_VALUE = {
    "ssh_pwauth": (False, "passwords stay off; give keys in ssh_keys"),
    "ssh_deletekeys": (False, "the machine is known by the host key on its seed, which must stay"),
}
NEVER = {
    "chpasswd": "passwords stay off; give keys in ssh_keys",
    "password": "passwords stay off; give keys in ssh_keys",
    "ssh_keys": "the host key is made for the machine and pinned; public keys of users are the option ssh_keys",
}
NEVER_FOR_A_USER = ("passwd", "hashed_passwd", "plain_text_passwd")
# Characters that YAML does not take as they are, or takes for the end of a line.
NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def files(seed: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of a seed that `check` finds nothing wrong with.

    Its keys: instance_id, hostname, user (default root), ssh_keys (public keys), host_key and host_key_public (texts),
    user_data and network_config (mappings), run (a text) and files (more of them, texts by name); the last four may be absent or None.
    """
    user = seed.get("user") or "root"
    keys = _keys(seed)
    found = {
        "meta-data": _json({"instance-id": seed["instance_id"], "local-hostname": seed["hostname"]}),
        "user-data": HEADER + _json(_merged(_ours(seed, user, keys), mapping(seed.get("user_data")))),
        "hostname": _lines([seed["hostname"]]),
        "user": _lines([user]),
        "authorized-keys": _lines(keys),
        "host-key": _text(seed["host_key"]),
        "host-key.pub": _text(seed["host_key_public"]),
    }
    if seed.get("network_config"):
        found["network-config"] = _json(seed["network_config"])
    if seed.get("run"):
        found["run"] = _text(seed["run"])
    found.update(seed.get("files") or {})
    return {name: text.encode() for name, text in found.items()}


def _ours(seed: Mapping[str, Any], user: str, keys: Sequence[str]) -> dict[str, Any]:
    """The part of the user data that makes the machine reachable, and by keys alone."""
    person: dict[str, Any] = {"name": user, "lock_passwd": True, "ssh_authorized_keys": list(keys)}
    if user != "root":
        person.update(shell="/bin/sh", sudo="ALL=(ALL) NOPASSWD:ALL")
    keep: dict[str, Any] = {"manual_cache_clean": True, "ssh_deletekeys": False}
    if user == "root":
        keep["disable_root"] = False
    document: dict[str, Any] = {
        "users": [person],
        "ssh_pwauth": False,
        "ssh_deletekeys": False,
        "ssh_keys": {"ed25519_private": _text(seed["host_key"]), "ed25519_public": _text(seed["host_key_public"])},
        "write_files": [{"path": KEEP, "content": _json(keep)}],
    }
    if user == "root":
        document["disable_root"] = False
    if seed.get("run"):
        document["runcmd"] = [["/bin/sh", "-c", _text(seed["run"])]]
    return document


def _merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings key by key, lists one after the other, a user of the same name as one; of anything else, theirs."""
    document = dict(ours)
    for key, value in theirs.items():
        there = document.get(key)
        if isinstance(there, Mapping) and isinstance(value, Mapping):
            document[key] = _merged(there, value)
        elif key == "users" and isinstance(there, list) and isinstance(value, list):
            document[key] = _with_users(there, value)
        elif isinstance(there, list) and isinstance(value, list):
            document[key] = [*there, *value]
        else:
            document[key] = value
    return document


def _with_users(ours: list, theirs: list) -> list:
    people = list(ours)
    for person in theirs:
        name = person.get("name") if isinstance(person, Mapping) else None
        for index, there in enumerate(ours):
            if name == there["name"]:
                people[index] = _merged(people[index], person)
                break
        else:
            people.append(person)
    return people


def mapping(value: Any) -> dict[str, Any]:
    """User data as a mapping; a text may be one, in JSON. Raises ValueError for any other."""
    if value is None:
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value[len(HEADER) :] if value.startswith(HEADER) else value)
        except ValueError:
            value = None
    if not isinstance(value, Mapping):
        raise ValueError(
            "is not a mapping, and only a mapping can be merged with what makes the machine reachable; write "
            "`user_data: {packages: [...]}`, or read a file of cloud-config with lookup('file', ...) | from_yaml"
        )
    return dict(value)


def _keys(seed: Mapping[str, Any]) -> list[str]:
    """The public keys, each once."""
    return list(dict.fromkeys(" ".join(key.split()) for key in seed.get("ssh_keys") or ()))


def _lines(lines: Sequence[str]) -> str:
    return "".join(line + "\n" for line in lines)


def _text(text: str) -> str:
    """A text with one newline at its end, without which OpenSSH reads no key."""
    return text.rstrip("\n") + "\n"


def _json(document: Mapping[str, Any]) -> str:
    """JSON that a reader of YAML 1.1 understands in the same way."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True)
    return NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


# -- what the user wrote ---------------------------------------------------------------------------------------


def check(seed: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the user's part of a seed, as (option, sentence); no sentence shows a key or a password."""
    yield from _check_hostname(seed.get("hostname"))
    user = seed.get("user") or "root"
    if not isinstance(user, str) or not USER.fullmatch(user):
        yield "user", f"{quote(user)} is not a user's name; write up to 32 of a-z, 0-9, `_` and `-`, a letter first"
    keys = seed.get("ssh_keys") or ()
    for number, key in enumerate([keys] if isinstance(keys, str) else keys):
        sentence = _wrong_key(key)
        if sentence:
            yield f"ssh_keys[{number}]", sentence
    yield from _check_user_data(seed.get("user_data"), user)
    yield from _check_network_config(seed.get("network_config"))
    run = seed.get("run")
    if run is not None and (not isinstance(run, str) or "\0" in run or not _writable(run)):
        yield "run", "is not a text; write a script for /bin/sh"
    yield from _check_files(seed.get("files"))


def _check_files(files: Any) -> Iterator[tuple[str, str]]:
    if files is not None and not isinstance(files, Mapping):
        yield "files", "is not a mapping; write `files: {NAME: \"{{ lookup('file', ...) }}\"}`"
        return
    for name, content in (files or {}).items():
        if not isinstance(name, str) or not iso.NAME.fullmatch(name):
            yield "files", f"{quote(name)} cannot be a name on a seed; use up to 64 of a-z, 0-9, `.`, `_` and `-`"
        elif name in OURS:
            yield join("files", name), "is written by us; the other options of the seed say what is in it"
        elif not isinstance(content, str) or not _writable(content):
            yield join("files", name), "is not a text; write what is in the file, with lookup('file', ...)"
        elif len(content.encode()) > LARGEST:
            yield join("files", name), f"has {len(content.encode())} bytes; a file on a seed has {LARGEST} at most"


def _check_hostname(name: Any) -> Iterator[tuple[str, str]]:
    labels = name.split(".") if isinstance(name, str) else [""]
    if not all(LABEL.fullmatch(label) for label in labels) or (labels[-1].isdigit() and len(labels) > 1):
        yield (
            "hostname",
            f"{quote(name)} is not a host's name; write letters, digits and `-`, with dots between its parts",
        )
    elif len(name) > LONGEST_NAME:
        yield "hostname", f"{quote(name)} has {len(name)} characters; a Linux host's name has {LONGEST_NAME} at most"


def _wrong_key(key: Any) -> str:
    """What is wrong with a line that should be a public key; empty when nothing is."""
    if not isinstance(key, str):
        return "is not a text; write `ssh-ed25519 AAAA... comment`"
    if "PRIVATE KEY" in key:
        return "is a private key, and may be one that is in use; give the public one, the file that ends in .pub"
    words = key.strip().split(None, 2)
    if key.strip().endswith(".pub") and len(words) == 1:
        return "is a path; give what is in that file, with lookup('file', ...)"
    if not key.strip().isprintable() or len(words) < 2 or words[0] not in KEY_TYPES or not _is_blob(*words[:2]):
        return (
            "is not a public key; write one line, `ssh-ed25519 AAAA... comment`, as it is in the file that ends in .pub"
        )
    return ""


def _is_blob(kind: str, body: str) -> bool:
    """Whether it is base64 of a key that says the same type of itself, in parts that fill it exactly."""
    try:
        blob = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return False
    parts = []
    while len(blob) >= 4:
        (length,) = struct.unpack(">I", blob[:4])
        if len(blob) < 4 + length:
            return False
        parts.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return not blob and len(parts) > 1 and parts[0] == kind.encode()


def _check_user_data(value: Any, user: str) -> Iterator[tuple[str, str]]:
    try:
        document = mapping(value)
    except ValueError as error:
        yield "user_data", str(error)
        return
    if not _writable(document):
        yield "user_data", "holds something that JSON cannot say, such as NaN, a date or half a character"
    for key, (only, why) in ONE_VALUE.items():
        if key in document and document[key] is not only:
            yield join("user_data", key), f"{quote(document[key])} is refused: {why}"
    for key, why in NEVER.items():
        if key in document:
            yield join("user_data", key), f"is refused: {why}"
    if user == "root" and "disable_root" in document and document["disable_root"] is not False:
        yield (
            "user_data.disable_root",
            "would lock out root, who is this machine's user; name another in the option user",
        )
    if not isinstance(document.get("users", []), list):
        yield "user_data.users", "is not a list; write `users: [{name: ...}]`"
    else:
        for number, person in enumerate(document.get("users", [])):
            yield from _check_person(f"user_data.users[{number}]", person)
    yield from _check_person("user_data.user", document.get("user"))


def _check_person(place: str, person: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(person, Mapping):
        return
    said = {str(key).replace("-", "_"): value for key, value in person.items()}  # as cloud-init reads them
    for key in NEVER_FOR_A_USER:
        if key in said:
            yield join(place, key), "is refused: passwords stay off; write ssh_authorized_keys"
    if said.get("lock_passwd", True) is not True:
        yield join(place, "lock_passwd"), f"{quote(said['lock_passwd'])} is refused: passwords stay off"


def _check_network_config(value: Any) -> Iterator[tuple[str, str]]:
    if value is None or value == {}:
        return
    if not isinstance(value, Mapping) or value.get("version") != 2:
        yield (
            "network_config",
            "is not cloud-init's network configuration of version 2; write `{version: 2, ethernets: ...}`",
        )
    elif not _writable(value):
        yield "network_config", "holds something that JSON cannot say, such as NaN, a date or half a character"


def _writable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):
        return False
    return True
