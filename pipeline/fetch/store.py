"""The form of the pictures in an image store: a store has one, and is claimed for it before the first picture comes
in."""

from typing import Any

from pipeline.fetch.decided import stored_form
from pipeline.image.config import ImageConfig
from pipeline.keeping.damage import damaged
from pipeline.keeping.folder import MANIFEST_FILE, RunFolder
from pipeline.keeping.manifest import write_manifest
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.sealed import seal, unseal
from webimagetext.settings import fingerprint

__all__ = ["SETTINGS_FILE", "check_store", "claim_form", "claim_store"]
SETTINGS_FILE = "_SETTINGS"  # in the image store: the fingerprint of the settings that its pictures were made with

DAMAGE = "its content is not what was written"


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
