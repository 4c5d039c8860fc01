"""Finding altered copies among pictures in Beam: what stages that thin out, or keep apart, share (dedup/copies.py)."""

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.dedup.altered import KEYS
from pipeline.dedup.copies import PROPOSED, SKETCHED, VIEWS, copies, proposed, views, with_sketches
from pipeline.dedup.pictures import by_key
from pipeline.tables.batches import combine
from pipeline.tables.gather import Gather, Meet
from pipeline.tables.outputs import parts_for
from webimagetext.hashing import mix

__all__ = ["FindCopies"]

Sides = tuple[int, dict[str, Iterable[pa.RecordBatch]]]
_SCHEMAS = {"pairs": PROPOSED, "pictures": SKETCHED}
_VIEWS_RATIO = 8  # a row of VIEWS takes so many times less memory than one of JOINED


class FindCopies(beam.PTransform):
    """Pictures (SKETCHED, ``rows`` of them) in, the pairs of which one is an altered copy of the other out (COPIES).

    Views go through one shuffle, 136 rows of 34 bytes a picture; sketches only meet the few pairs that are proposed.
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows = rows

    def expand(self, pictures: beam.PCollection) -> beam.PCollection[pa.RecordBatch]:
        parts = parts_for(self.rows)
        found = pictures | "Views" >> beam.Map(views).with_output_types(pa.RecordBatch)
        groups = found | "By key" >> Gather(by_key, parts_for(self.rows * KEYS // _VIEWS_RATIO), VIEWS, ["key"])
        pairs = groups | "Propose" >> beam.Map(lambda group: proposed(group[1])).with_output_types(pa.RecordBatch)
        wholes = {"pairs": pairs, "pictures": pictures} | "Wholes" >> Meet(
            {"pairs": _by_whole, "pictures": _by_content}, parts, _SCHEMAS
        )
        pairs = wholes | "Sketches" >> beam.FlatMap(_sketch).with_output_types(pa.RecordBatch)
        others = {"pairs": pairs, "pictures": pictures} | "Others" >> Meet(
            {"pairs": _by_other, "pictures": _by_content}, parts, _SCHEMAS
        )
        return others | "Prove" >> beam.FlatMap(_prove).with_output_types(pa.RecordBatch)


def _by_content(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    return mix(batch.column("content").to_numpy())


def _by_whole(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    return mix(batch.column("whole_content").to_numpy())


def _by_other(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    return mix(batch.column("other_content").to_numpy())


def _sketch(group: Sides) -> Iterator[pa.RecordBatch]:
    _, sides = group
    pairs = combine(sides["pairs"], PROPOSED)
    if pairs.num_rows:
        yield with_sketches(pairs, combine(sides["pictures"], SKETCHED))


def _prove(group: Sides) -> Iterator[pa.RecordBatch]:
    _, sides = group
    pairs = combine(sides["pairs"], PROPOSED)
    if pairs.num_rows:
        yield copies(pairs, combine(sides["pictures"], SKETCHED))
