"""The form of the pictures in an image store: a store has one, and is claimed for it before the first picture comes
in."""

import contextlib
import dataclasses
from typing import Any, Literal

from pipeline.fetch.decided import FORM, stored_form
from pipeline.image.config import ImageConfig
from pipeline.image.turbo import is_installed
from pipeline.keeping.damage import damaged
from pipeline.keeping.folder import MANIFEST_FILE, RunFolder
from pipeline.keeping.manifest import read_made, write_manifest
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.sealed import seal, unseal
from webimagetext.settings import fingerprint

__all__ = ["SETTINGS_FILE", "check_store", "claim_form", "claim_store", "stated_form", "with_decoder"]
SETTINGS_FILE = "_SETTINGS"  # in the image store: the fingerprint of the settings that its pictures were made with

DAMAGE = "its content is not what was written"
DECODERS: tuple[Literal["pillow", "turbo"], ...] = ("pillow", "turbo")


def with_decoder(run: RunFolder, image: ImageConfig) -> ImageConfig:
    """The settings with the decoder that "auto" stands for: what the pictures in the image store were made with, for a
    store has one form, wherever it is gone on with; for a new one the faster one, where that is installed.

    A store that cannot be read is no finding here: :func:`check_store` tells of it.
    """
    if image.decoder != "auto":
        return image
    choices = {decoder: dataclasses.replace(image, decoder=decoder) for decoder in DECODERS}
    with contextlib.suppress(UserError, OSError):
        sealed = files.read(files.join(run.images, SETTINGS_FILE))
        form = unseal(sealed) if sealed else None
        if sealed and form is None and (stated := stated_form(run)) is not None:
            form = fingerprint(stated).encode()
        for choice in choices.values():
            if form == fingerprint(stored_form(choice)).encode():
                return choice
    return choices["turbo" if is_installed() else "pillow"]


def check_store(run: RunFolder, image: ImageConfig) -> None:
    """Raises UserError where the pictures in the image store have another form than the settings ask for."""
    form = stored_form(image)
    sealed = files.read(files.join(run.images, SETTINGS_FILE))
    if sealed is None:
        return
    if unseal(sealed) is None:
        damaged(run.images, SETTINGS_FILE, DAMAGE)  # noted, and mended when the run begins
        return
    if unseal(sealed) != fingerprint(form).encode():
        raise UserError(
            f"{run.images}: these images were stored with another of {', '.join(f'image.{name}' for name in form)}",
            "use the old settings, another --output, or delete this folder to fetch all images again",
        )


def claim_store(run: RunFolder, image: ImageConfig) -> None:
    """Makes an empty image store, or checks that the pictures in it have the form that the settings ask for."""
    check_store(run, image)
    sealed = files.read(files.join(run.images, SETTINGS_FILE))
    if sealed is None:
        claim_form(run, stored_form(image))
    elif unseal(sealed) is None:
        raise damaged(run.images, SETTINGS_FILE, DAMAGE)
    if not files.exists(files.join(run.images, MANIFEST_FILE)):
        write_manifest(run.images, [])


def claim_form(run: RunFolder, form: dict[str, Any]) -> None:
    """Notes the form of the pictures in the image store."""
    with files.write_atomic(files.join(run.images, SETTINGS_FILE), safe=True) as stream:
        stream.write(seal(fingerprint(form).encode()))


def stated_form(run: RunFolder) -> dict[str, Any] | None:
    """The form of the store's pictures by the marker of the step that filled it; None where no marker says it."""
    for folder in (run.images, run.candidates):
        image: dict[str, Any] | None = ((read_made(folder) or {}).get("settings") or {}).get("image")
        if image is not None:
            return {name: image.get(name) for name in FORM}
    return None
