"""The inputs of other tests, which the kills use too."""

from tests.query_builder.conftest import small_dump, wordnet_folder
from tests.trainer.conftest import tiny_model

__all__ = ["small_dump", "tiny_model", "wordnet_folder"]
