"""The form of a store's pictures, and which decoder "auto" stands for."""

import dataclasses
from pathlib import Path

import pytest

from pipeline.fetch import store
from pipeline.fetch.decided import stored_form
from pipeline.fetch.store import SETTINGS_FILE, check_store, claim_store, with_decoder
from pipeline.image.config import ImageConfig
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import read_made
from webimagetext.errors import UserError

AUTO = ImageConfig(quality=80)
PILLOW, TURBO = (dataclasses.replace(AUTO, decoder="pillow"), dataclasses.replace(AUTO, decoder="turbo"))


@pytest.fixture(params=[True, False], ids=["installed", "not installed"])
def best(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ImageConfig:
    """What a new store gets, where the packages of the faster decoder are installed and where they are not."""
    monkeypatch.setattr(store, "is_installed", lambda: request.param)
    return TURBO if request.param else PILLOW


def test_a_new_store_gets_the_faster_decoder_that_is_installed(tmp_path: Path, best: ImageConfig) -> None:
    assert with_decoder(RunFolder(str(tmp_path)), AUTO) == best


@pytest.mark.parametrize("begun", [PILLOW, TURBO])
def test_a_store_goes_on_with_the_decoder_it_was_begun_with(
    tmp_path: Path, best: ImageConfig, begun: ImageConfig
) -> None:
    run = RunFolder(str(tmp_path))
    claim_store(run, begun)
    assert with_decoder(run, AUTO) == begun
    check_store(run, with_decoder(run, AUTO))
    # What else makes the bytes is not excused.
    with pytest.raises(UserError, match="stored with another of"):
        check_store(run, with_decoder(run, dataclasses.replace(AUTO, quality=90)))


def test_who_names_a_decoder_gets_it(tmp_path: Path, best: ImageConfig) -> None:
    run = RunFolder(str(tmp_path))
    claim_store(run, PILLOW)
    assert with_decoder(run, TURBO) == TURBO and with_decoder(run, PILLOW) == PILLOW


def test_a_damaged_note_of_the_form_is_made_up_for_by_the_marker(
    tmp_path: Path, best: ImageConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(str(tmp_path))
    claim_store(run, PILLOW)
    (tmp_path / "images" / SETTINGS_FILE).write_bytes(b"torn")
    assert with_decoder(run, AUTO) == best  # nobody knows
    assert read_made(run.images) is None
    monkeypatch.setattr(store, "read_made", lambda _: {"settings": {"image": stored_form(TURBO)}})
    assert with_decoder(run, AUTO) == TURBO
