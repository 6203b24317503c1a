# Copyright: Contributors to the Slipway project
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What images are made from: digests of build contexts and archives on this host, and of tags in registries."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .._converge.desired import Resource, quote
from .._converge.errors import EngineError, SpecError
from . import image, values
from .engine import Engine, path, sdk


def facts(engine: Engine, desired: Sequence[Resource], objects: Mapping[tuple, Any]) -> dict[str, Any]:
    """Digests that decide whether an image is up to date: ``sources`` of what we make, ``registry`` of what is offered.

    ``unasked`` says, for images whose registry could not be asked, why.
    """
    found: dict[str, dict] = {"sources": {}, "registry": {}, "unasked": {}}
    mistakes = []
    for resource in desired:
        if resource.kind is not image.KIND or resource.intent.get("state") == "absent":
            continue
        how = image.source_of(resource)
        try:
            if how != "pull":
                found["sources"][resource.name] = _digest(how, resource.intent)
        except OSError as error:
            place = {"build": "build.path", "load": "load_path", "import": "import_path"}[how]
            where = f"{quote(error.filename or '')} cannot be read on this host: {error.strerror}"
            mistakes.append(f"{resource.place}.{place}: {where}; correct the path")
        except ValueError as error:
            mistakes.append(f"{resource.place}: {error}")
        for reference in _in_question(resource, how, ("image", resource.name) in objects):
            try:
                found["registry"][reference] = registry_digest(engine, reference)
            except EngineError as error:
                found["unasked"][reference] = str(error)
    if mistakes:
        raise SpecError(mistakes)
    return found


def _in_question(resource: Resource, how: str, present: bool) -> Iterator[str]:
    """References whose digest in the registry decides: of images always pulled, and of images to push."""
    intent = resource.intent
    fixed = "@" in resource.name or resource.name.startswith("sha256:")
    if how == "pull" and intent.get("pull") == "always" and present and not fixed:
        yield resource.name
    if intent.get("push"):
        yield resource.name
        yield from (values.reference(tag) for tag in intent.get("tag") or ())


def registry_digest(engine: Engine, reference: str) -> str:
    """Ask the registry, through the engine, for the digest of a tag. Raises EngineError."""
    answer = engine.call("GET", path("distribution", reference, "json"), headers=credentials(reference))
    return ((answer or {}).get("Descriptor") or {}).get("digest") or ""


def credentials(reference: str) -> dict[str, str]:
    """The X-Registry-Auth header for a reference, from the CLI's configuration and its helpers; empty when there is none."""
    folder = os.environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")
    if not os.path.exists(os.path.join(folder, "config.json")):
        return {}
    auth = sdk().auth
    registry, _name = auth.resolve_repository_name(reference.partition("@")[0])
    try:
        found = auth.resolve_authconfig(auth.load_config(), registry)
    except Exception as error:  # a broken helper is the user's to mend, whatever it raises
        raise EngineError(f"the credentials for {registry} in {folder}/config.json cannot be read: {error}") from None
    return {"X-Registry-Auth": auth.encode_header(found).decode()} if found else {}


def _digest(how: str, intent: Mapping[str, Any]) -> str:
    if how == "build":
        return context_digest(intent["build"])
    if how == "load":
        return archive_id(intent["load_path"])
    digest = hashlib.sha256(repr(intent.get("import_changes") or []).encode())
    with open(intent["import_path"], "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return "sha256:" + digest.hexdigest()


def context_digest(build: Mapping[str, Any]) -> str:
    """A digest of what a build sees: the files' names, modes and contents, and the build's own options; no times, no owners."""
    digest = hashlib.sha256()
    options = {
        key: build.get(key) for key in sorted(build) if key not in ("path", "nocache", "pull") and build.get(key)
    }
    digest.update(json.dumps(options, sort_keys=True, default=str).encode())
    for name in context_files(build):
        full = os.path.join(build["path"], name)
        state = os.lstat(full)
        digest.update(f"\0{name}\0{stat.S_IMODE(state.st_mode) & 0o755:o}\0".encode())
        if stat.S_ISLNK(state.st_mode):
            digest.update(os.readlink(full).encode())
        elif stat.S_ISREG(state.st_mode):
            with open(full, "rb") as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    digest.update(block)
    return "sha256:" + digest.hexdigest()


def context_files(build: Mapping[str, Any]) -> list[str]:
    """Names of the files a build sends, sorted, .dockerignore obeyed."""
    root = build["path"]
    dockerfile = build.get("dockerfile") or "Dockerfile"
    if not os.path.isdir(root):
        raise FileNotFoundError(2, "no such directory", root)
    if not os.path.isfile(os.path.join(root, dockerfile)):
        raise FileNotFoundError(2, "no such file", os.path.join(root, dockerfile))
    ignored = os.path.join(root, ".dockerignore")
    if not os.path.exists(ignored):
        return sorted(_walk(root))
    with open(ignored, encoding="utf-8") as file:
        patterns = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    return sorted(
        sdk().utils.exclude_paths(root, [*patterns, f"!{dockerfile}", "!.dockerignore"], dockerfile=dockerfile)
    )


def _walk(root: str) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        for name in files + folders:
            yield os.path.relpath(os.path.join(folder, name), root)


def archive_id(archive: str) -> str:
    """The ID of the first image in an archive of `docker save`, read without loading it."""
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("manifest.json")
            manifest = json.load(member) if member else []
    except (tarfile.TarError, KeyError, ValueError):
        raise ValueError(f"load_path: {quote(archive)} is not an archive made by docker save") from None
    config = manifest[0]["Config"] if manifest else ""
    return "sha256:" + os.path.basename(config).replace(".json", "")
