"""Fixtures of other folders' tests that those of damage share."""

from tests.query_builder.conftest import wordnet_folder

__all__ = ["wordnet_folder"]
