"""The inputs and stores of other folders' tests, for faults in every program."""

from tests.query_builder.conftest import small_dump, wordnet_folder
from tests.stores.conftest import bucket, environment, gs, s3, store
from tests.trainer.conftest import shapes, tiny_model

__all__ = ["bucket", "environment", "gs", "s3", "shapes", "small_dump", "store", "tiny_model", "wordnet_folder"]
