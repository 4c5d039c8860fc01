"""The form of the pictures in an image store: a store has one, and is claimed for it before the first picture comes
in."""

from pipeline.fetch.decided import stored_form
from pipeline.image.config import ImageConfig
from pipeline.keeping.folder import MANIFEST_FILE, RunFolder
from pipeline.keeping.manifest import write_manifest
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.settings import fingerprint

__all__ = ["check_store", "claim_store"]
SETTINGS_FILE = "_SETTINGS"  # in the image store: the fingerprint of the settings that its pictures were made with


def check_store(run: RunFolder, image: ImageConfig) -> None:
    """Raises UserError where the pictures in the image store have another form than the settings ask for."""
    form = stored_form(image)
    if files.read(files.join(run.images, SETTINGS_FILE)) not in (None, fingerprint(form).encode()):
        raise UserError(
            f"{run.images}: these images were stored with another of {', '.join(f'image.{name}' for name in form)}",
            "use the old settings, another --output, or delete this folder to fetch all images again",
        )


def claim_store(run: RunFolder, image: ImageConfig) -> None:
    """Makes an empty image store, or checks that the pictures in it have the form that the settings ask for."""
    check_store(run, image)
    url = files.join(run.images, SETTINGS_FILE)
    if not files.exists(url):
        with files.write_atomic(url, "w") as stream:
            stream.write(fingerprint(stored_form(image)))
    if not files.exists(files.join(run.images, MANIFEST_FILE)):
        write_manifest(run.images, [])
