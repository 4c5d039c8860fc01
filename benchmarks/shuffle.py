"""The cut of a shuffle into few parts and into very many: what a row takes on its way, and what cutting it costs.

In: candidates with captions recombined from real ones, in the batches of 8,192 rows in which tables are read. Out, for
1, 400, 4,000 and 40,000 parts: bytes a row of the elements as an engine is handed them, rows a second of processor time
to cut and to encode them, and rows a second to make tables of them again, once for an engine's own shuffle and once
through the files of a local run. ``ratio`` is the rate at 40,000 parts over that at 400, and ``bytes_per_row`` is at
40,000. The peer is one Arrow stream for each piece of each batch, at 40,000 parts. ``equal`` says that all rows came
back, each in its part.
"""

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from apache_beam.coders import BytesCoder, TupleCoder, VarIntCoder

from benchmarks.curate import recombined
from benchmarks.table import Row, figure, times
from pipeline.tables.batches import BatchCoder, split
from pipeline.tables.schema import CANDIDATES
from pipeline.tables.sink import by_pair
from pipeline.tables.spill import Cut, Piece, Spill, read_cut, read_spilled

__all__ = ["rows", "run"]

ROWS = int(os.environ.get("SHUFFLE_BENCHMARK_ROWS", "500000"))
PEER_ROWS = 3 * 8192  # one stream a row and part: slow
BATCH = 8192
PARTS = (1, 400, 4_000, 40_000)
FEW, MANY = 400, 40_000
Parts = Iterable[tuple[int, list[pa.RecordBatch]]]


def _candidates(count: int) -> list[pa.RecordBatch]:
    """Rows as a crawl gives them: with their page and the text that the caption was chosen from."""
    table = pa.Table.from_batches(list(recombined(count)))
    captions = table.column("caption").to_pylist()
    given = {
        "texts": [[{"kind": "alt", "text": caption}] for caption in captions],
        "page_url": [f"https://site-{row % 977}.example/a-page-of-it/{row}.html" for row in range(count)],
        "source": ["pages"] * count,
        "page_language": ["en"] * count,
        "consent": ["allowed"] * count,
        "consent_evidence": ["robots.txt: allow"] * count,
    }
    for name, values in given.items():
        place = CANDIDATES.get_field_index(name)
        table = table.set_column(place, CANDIDATES.field(name), pa.array(values, CANDIDATES.field(name).type))
    return list(table.combine_chunks().to_batches(max_chunksize=BATCH))


def _elements(work: Cut | Spill, batches: list[pa.RecordBatch]) -> Iterator[tuple[int, Any]]:
    work.start_bundle()
    for batch in batches:
        yield from work.process(batch)
    for value in work.finish_bundle():
        yield value.value


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.process_time()
    return work(), time.process_time() - begun


def _holds_all(found: Parts, batches: list[pa.RecordBatch], parts: int) -> bool:
    """Whether each part has its rows, and all together are those of the batches."""
    right, back = True, []
    for part, rows_of_part in found:
        for batch in rows_of_part:
            right &= bool((by_pair(batch) % np.uint64(parts) == part).all())
            back.append(batch)
    order = [("pair_id", "ascending")]
    ours, theirs = (pa.Table.from_batches(some).sort_by(order).combine_chunks() for some in (back, batches))
    return right and ours.equals(theirs)


def _cut(batches: list[pa.RecordBatch], parts: int) -> dict[str, Any]:
    """What one number of parts costs."""
    coder, count = TupleCoder((VarIntCoder(), BytesCoder())), sum(batch.num_rows for batch in batches)
    encoded, seconds = _timed(
        lambda: [coder.encode(element) for element in _elements(Cut(by_pair, parts, CANDIDATES), batches)]
    )
    values: dict[int, list[bytes]] = defaultdict(list)
    for element in encoded:
        part, packed = coder.decode(element)
        values[part].append(packed)
    found, reading = _timed(lambda: [(part, read_cut(packed, CANDIDATES)) for part, packed in values.items()])
    equal = _holds_all(found, batches, parts)
    with tempfile.TemporaryDirectory() as folder:
        written, spilling = _timed(lambda: list(_elements(Spill(by_pair, parts, CANDIDATES, folder), batches)))
        groups: dict[int, list[Piece]] = defaultdict(list)
        for group, piece in written:
            groups[group].append(piece)
        schemas = {"rows": CANDIDATES}
        found, unspilling = _timed(
            lambda: [part for pieces in groups.values() for part in read_spilled({"rows": pieces}, schemas)]
        )
        equal &= _holds_all(((part, sides["rows"]) for part, sides in found), batches, parts)
    return {
        "parts": parts,
        "bytes_per_row": round(sum(map(len, encoded)) / count, 1),
        "rows_per_second": round(count / seconds),
        "read_per_second": round(count / reading),
        "through_files_per_second": round(count / (spilling + unspilling)),
        "pieces_in_files": len(written),
        "equal": equal,
    }


def _streams(batches: list[pa.RecordBatch]) -> dict[str, float]:
    """The peer: one Arrow stream for each piece of each batch."""
    coder = TupleCoder((VarIntCoder(), BatchCoder()))
    count = sum(batch.num_rows for batch in batches)
    encoded, seconds = _timed(
        lambda: [coder.encode(piece) for batch in batches for piece in split(batch, by_pair, MANY)]
    )
    return {"bytes_per_row": round(sum(map(len, encoded)) / count, 1), "rows_per_second": round(count / seconds)}


def run() -> dict[str, Any]:
    """The measurement."""
    batches = _candidates(ROWS)
    _cut(batches[:1], FEW)  # compiles
    sizes = [_cut(batches, parts) for parts in PARTS]
    few, many = (next(found for found in sizes if found["parts"] == parts) for parts in (FEW, MANY))
    peer = _streams(batches[: -(-PEER_ROWS // BATCH)])
    return {
        "ours": many["rows_per_second"],
        "peer": peer["rows_per_second"],
        "ratio": round(many["rows_per_second"] / few["rows_per_second"], 2),
        "unit": "rows a CPU-second, into 40,000 parts",
        "equal": all(found["equal"] for found in sizes),
        "bytes_per_row": many["bytes_per_row"],
        "peer_bytes_per_row": peer["bytes_per_row"],
        "rows": ROWS,
        "sizes": sizes,
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    return [
        Row(
            f"rows cut into 40,000 parts of a shuffle: {figure(result['ours'])} a second, "
            f"{figure(result['bytes_per_row'])} bytes each",
            f"one Arrow stream a piece: {figure(result['peer'])} a second, "
            f"{figure(result['peer_bytes_per_row'])} bytes each",
            f"{times(result['ours'] / result['peer'])}; {times(result['ratio'])} of the rate at 400 parts",
        )
    ]
