"""The schema of every table that passes from one stage to the next: the only place where columns are named.

Rows travel as Arrow record batches of these schemas. ``pair_id`` is the 64-bit content hash of (url, caption), see
hashing.py.
"""

import pyarrow as pa

__all__ = [
    "CANDIDATES",
    "CAPTION_PAIRS",
    "COUNTS",
    "FETCH_PLAN",
    "FREQUENT_CAPTIONS",
    "FRONTIER",
    "IMAGES",
    "JOINED",
    "MANIFEST",
    "MATCHED",
    "PAGES",
    "REJECTS",
    "SCORES",
    "SELECTED",
    "SHARD",
    "SITE_LANGUAGES",
    "TEXTS",
    "empty",
]

# Every text found for an image, with its kind: alt, title, figcaption, aria-label, og:title … in page order.
TEXTS = pa.list_(pa.struct([pa.field("kind", pa.string()), pa.field("text", pa.string())]))

# What models said of a pair's picture: the name of each score, in order of name, and its value.
SCORES = pa.list_(pa.struct([pa.field("name", pa.string()), pa.field("score", pa.float32())]))

FRONTIER = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),  # canonical
        pa.field("host", pa.string(), nullable=False),  # by hosts.py, the unit of politeness
        pa.field("depth", pa.int32(), nullable=False),  # links followed from a seed
    ]
)

PAGES = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),  # canonical, as asked for
        pa.field("final_url", pa.string()),  # after redirects, canonical
        pa.field("host", pa.string(), nullable=False),
        pa.field("depth", pa.int32(), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # "success" or the reason of the failure
        pa.field("error_message", pa.string()),
        pa.field("http_status", pa.int16()),
        pa.field("bytes", pa.int64()),
        pa.field("title", pa.string()),
        pa.field("language", pa.string()),  # of the page's text, else as it declares
        pa.field("images", pa.int32()),  # with or without a usable text
        pa.field("pairs", pa.int32()),
        pa.field("links", pa.int32()),
        pa.field("consent", pa.string()),
        pa.field("consent_evidence", pa.string()),
    ]
)

CANDIDATES = pa.schema(
    [
        pa.field("pair_id", pa.uint64(), nullable=False),
        pa.field("url", pa.string(), nullable=False),  # of the image, absolute, without fragment
        pa.field("caption", pa.string(), nullable=False),  # the text chosen for the pair
        pa.field("texts", TEXTS),
        pa.field("page_url", pa.string()),
        pa.field("source", pa.string()),  # pages, warc, wat or url_list
        pa.field("declared_width", pa.int32()),  # from the page's markup, pixels
        pa.field("declared_height", pa.int32()),
        pa.field("page_language", pa.string()),  # of the page's text, else as the page declares
        pa.field("consent", pa.string()),  # what the page's own signals say: "allowed", or the signal that binds
        pa.field("consent_evidence", pa.string()),  # where that was read, e.g. "robots.txt: allow; meta robots: none"
        pa.field("columns", pa.string()),  # JSON object: further columns of a list, those that the settings keep
    ]
)

CAPTION_PAIRS = pa.schema(
    [
        pa.field("hash", pa.uint64(), nullable=False),  # of the caption's normal form
        pa.field("pair_id", pa.uint64(), nullable=False),  # a pair that carries it
    ]
)

FREQUENT_CAPTIONS = pa.schema(
    [
        pa.field("hash", pa.uint64(), nullable=False),  # of the normal form of a caption with too many pairs
        pa.field("last_pair", pa.uint64(), nullable=False),  # the largest id of those that stay
    ]
)

SITE_LANGUAGES = pa.schema(
    [
        pa.field("site", pa.uint64(), nullable=False),  # hash of the host; 0 for all sites with one caption
        pa.field("captions", pa.int64(), nullable=False),  # whose page's language is not known
        pa.field("wanted", pa.int64(), nullable=False),  # sum of their probabilities, in units of 1 / 65,535
    ]
)

MATCHED = pa.schema(
    [
        *CANDIDATES,
        pa.field("p_english", pa.float32()),  # probability of the wanted language, by the language rule
        pa.field("p_context", pa.float32()),  # the same by the caption's surroundings alone
        pa.field("marks", pa.list_(pa.string())),  # what a rule marked without dropping: email, phone …
        pa.field("query_ids", pa.list_(pa.uint32()), nullable=False),  # every query in the caption, ascending
    ]
)

SELECTED = pa.schema(
    [
        *MATCHED,
        pa.field("drawn_by", pa.list_(pa.uint32())),  # the queries whose draw kept the pair
        pa.field("probability", pa.float64()),  # with which the balance keeps such a pair
        pa.field("priority", pa.float64()),  # the smaller, the earlier the pair is drawn when t rises
    ]
)

COUNTS = pa.schema(
    [
        pa.field("query_id", pa.uint32(), nullable=False),
        pa.field("query", pa.string(), nullable=False),
        pa.field("matched", pa.int64(), nullable=False),  # matched pairs that hold the query
        pa.field("drawn", pa.int64(), nullable=False),  # pairs kept by this query's own draw
        pa.field("selected", pa.int64(), nullable=False),  # selected pairs that hold the query (incidence)
    ]
)

IMAGES = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # "success" or the reason of the failure
        pa.field("error_message", pa.string()),
        pa.field("http_status", pa.int16()),
        pa.field("file", pa.string()),  # tar in the image store; null without an image
        pa.field("offset", pa.int64()),  # of the image's bytes in the tar
        pa.field("length", pa.int64()),
        pa.field("crc32", pa.uint32()),  # of those bytes
        pa.field("width", pa.int32()),  # as stored, pixels
        pa.field("height", pa.int32()),
        pa.field("original_width", pa.int32()),
        pa.field("original_height", pa.int32()),
        pa.field("exif", pa.string()),  # JSON
        pa.field("sha256", pa.string()),  # of the bytes as received, hexadecimal
        pa.field("md5", pa.string()),  # likewise; null where image.md5 did not ask for it
        pa.field("phash", pa.uint64()),  # 64-bit DCT perceptual hash
        pa.field("sketch", pa.string()),  # 32 x 32 grey levels, in base64
        pa.field("animated", pa.bool_()),
        pa.field("spread", pa.float32()),  # standard deviation of the grey levels, 0 for a blank picture
        pa.field("consent", pa.string()),
        pa.field("consent_evidence", pa.string()),
        pa.field(
            "decided_by", pa.string()
        ),  # JSON: the settings that this answer hangs on (fetch/decided.py); null: none
    ]
)

_OF_THE_ANSWER = ("url", "status", "error_message", "consent", "consent_evidence", "decided_by")
_FETCHED = [field for field in IMAGES if field.name not in _OF_THE_ANSWER]
JOINED = pa.schema(
    [
        *SELECTED,
        *_FETCHED,
        pa.field("image_consent", pa.string()),
        pa.field("image_consent_evidence", pa.string()),
        pa.field("scores", SCORES),
    ]
)

# The columns up to sha256 are those of img2dataset, in its order, so that its users' tools read our Parquet files.
SHARD = pa.schema(
    [
        pa.field("url", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("key", pa.string(), nullable=False),
        pa.field("status", pa.string()),
        pa.field("error_message", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("original_width", pa.int32()),
        pa.field("original_height", pa.int32()),
        pa.field("exif", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("page_url", pa.string()),
        pa.field("texts", TEXTS),
        pa.field("queries", pa.list_(pa.string())),
        pa.field("query_ids", pa.list_(pa.uint32())),
        pa.field("drawn_by", pa.list_(pa.uint32())),
        pa.field("probability", pa.float64()),
        pa.field("p_english", pa.float32()),
        pa.field("p_context", pa.float32()),
        pa.field("page_language", pa.string()),
        pa.field("marks", pa.list_(pa.string())),
        pa.field("phash", pa.string()),  # 16 hexadecimal digits: many readers hold no number of 64 bits without a sign
        pa.field("sketch", pa.string()),  # 32 x 32 grey levels, in base64; not in KEY.json
        pa.field("scores", SCORES),
        pa.field("consent", pa.string()),
        pa.field("consent_evidence", pa.string()),
        pa.field("source", pa.string()),
        pa.field("columns", pa.string()),
    ]
)

# What one host's bucket is to fetch, and what the image store already holds of it.
FETCH_PLAN = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),
        pa.field("known", pa.bool_(), nullable=False),
    ]
)

REJECTS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),  # the pair's key, or the URL of a page or image
        pa.field("subject", pa.string(), nullable=False),  # "page", "image" or "pair"
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("detail", pa.string()),  # the caption, or the error's words
    ]
)

MANIFEST = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),  # relative to the manifest's folder
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)


def empty(schema: pa.Schema) -> pa.RecordBatch:
    """A batch of ``schema`` without rows."""
    return pa.RecordBatch.from_pylist([], schema=schema)
