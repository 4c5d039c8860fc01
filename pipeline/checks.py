"""All that can be known to be wrong before a run begins, found before anything is written or anybody is asked, and told
at once.

In: the verb, the run folder and the configuration. Out: nothing, or one UserError with every finding and its remedy.
Each check is a generator of findings; what the stages ask again later (a file may vanish in between) is asked by the
same functions here. Cheap: of many files a few are opened.
"""

import dataclasses
import functools
import os
import resource
import ssl
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from pipeline.config import RunConfig
from pipeline.dedup.evaluation import evaluation_files
from pipeline.hosts import host_of
from pipeline.image.clip_score import ClipScore
from pipeline.image.further import register
from pipeline.image.hooks import load_edits, load_scorers
from pipeline.image.turbo import decode_scaled
from pipeline.keeping.folder import RunFolder, shards_of
from pipeline.keeping.manifest import is_complete, iter_batches, read_made, read_manifest
from pipeline.keeping.space import free_bytes, guess, nearest_folder
from pipeline.net.address import is_loopback_name
from pipeline.own import load, own_rules
from pipeline.read.frontier import seed_frontier
from pipeline.read.inputs import inputs_of
from pipeline.read.url_list import first_addresses
from pipeline.text.detectors import detect
from pipeline.text.phrases import read_phrases
from query_builder.lists import check_list
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.progress import human_bytes

__all__ = ["check"]

# What a verb goes on from: a property of RunFolder, and the verb that makes it.
NEEDED = {
    "rules": (("candidates", "extract"),),
    "curate": (("candidates", "extract"),),
    "fetch": (("selected", "curate"),),
    "package": (("selected", "curate"), ("images", "fetch")),
    "report": (("shards", "package"),),
}
SOURCES_GONE = "correct extract.inputs; pairs that were extracted before are gone on with by curate, fetch and package"
LOOKED_AT = 10  # input files whose first rows are read
LEAST_ADDRESS_SPACE = 3 << 30  # bytes; much of it is never used
LEAST_SPACE = 32 << 20  # bytes with which no run comes far
# How the names of inputs end, by their source; what ends like those of another one is taken for a mistake.
ENDINGS = {
    "warc": (".warc", ".warc.gz", ".arc", ".arc.gz"),
    "wat": (".wat", ".wat.gz"),
    "crawl_index": (".cdx", ".cdx.gz", ".parquet"),
    "url_list": (".parquet", ".csv", ".tsv", ".jsonl", ".json", ".csv.gz", ".tsv.gz", ".jsonl.gz", ".json.gz"),
}

Findings = Iterator[UserError]
Inputs = Callable[[], list[str]]
Addresses = Callable[[str], list[str]]  # of images, in the first rows of a list


def check(
    verb: str,
    run: RunFolder,
    config: RunConfig,
    *,
    engine: Callable[[], object] = int,
    store: Callable[[], object] = int,
    extracted: Callable[[], bool] = bool,
) -> None:
    """Raises one UserError that tells all that stands in the way of ``verb``.

    ``engine`` and ``store`` are checks of the engine's options and of the image store, which raise their own.
    ``extracted`` answers whether the pairs were extracted from the present sources, which are then not needed any more.
    """
    # With the wrong options, or in a folder that nobody may write, there is no telling what else is wrong.
    for first in (_address_space(), _tried(engine), _output(run)):
        _tell(list(_caught([first])))
    whole = verb == "run"
    # Several checks look at the inputs: they are listed once, and of each the first rows are read once.
    inputs = functools.cache(partial(inputs_of, config.extract))
    addresses = functools.cache(partial(first_addresses, extract=config.extract))
    checks = [_stages_before(verb, run)]
    if (whole or verb == "extract") and not extracted():
        checks += [_sources(config, inputs, addresses), _room(run, config, inputs)]
    if whole or verb in ("rules", "curate", "package"):
        checks.append(_queries(run, config))
    if whole or verb in ("curate", "package"):
        checks.append(_earlier_runs(config))
    if whole or verb in ("rules", "curate"):
        checks.append(_texts(config))
    if whole or verb in ("extract", "fetch", "package"):
        checks += [_tried(store), _asking(verb, run, config, inputs, addresses)]
    if whole or verb == "package":
        checks += [_evaluation_sets(config), _hooks(config)]
    _tell(list(_caught(checks)))


def _tell(found: list[UserError]) -> None:
    told = {(error.problem, error.remedy): error for error in found}  # two checks may find the same
    if len(told) == 1:
        raise found[0]
    if told:
        lines = []
        for number, (problem, remedy) in enumerate(told, 1):
            lines += [f"  {number}. {problem}", *([f"     {remedy}"] if remedy else [])]
        raise UserError("\n".join([f"{len(told)} things have to be mended before anything is done", *lines]))


def _caught(checks: Iterable[Findings]) -> Findings:
    """The findings of all checks, those included that end one."""
    for findings in checks:
        try:
            yield from findings
        except UserError as error:
            yield error


def _tried(call: Callable[[], object]) -> Findings:
    try:
        call()
    except UserError as error:
        yield error


def _address_space() -> Findings:
    """Whether the engine's threads find room: without it a library would abort the process."""
    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    if allowed != resource.RLIM_INFINITY and allowed < LEAST_ADDRESS_SPACE:
        problem = f"this process may have {human_bytes(allowed)} of address space, and the engine's threads take "
        problem += human_bytes(LEAST_ADDRESS_SPACE)
        yield UserError(problem, "raise the limit before the command: ulimit -v unlimited")


def _output(run: RunFolder) -> Findings:
    """Whether the run folder can be written; what cannot be told of a store before, the first write tells."""
    if files.is_url(run.root):
        files.read(run.config)
        return
    place = nearest_folder(run.root)
    if not os.path.isdir(place):
        yield UserError(f"--output {run.root}: {place} is a file", "give a folder, or a name that is not taken yet")
    elif not os.access(place, os.W_OK | os.X_OK):
        yield UserError(f"--output {run.root}: nothing may be written in {place}", "give a folder of your own")


def _stages_before(verb: str, run: RunFolder) -> Findings:
    missing = [(name, stage) for name, stage in NEEDED.get(verb, ()) if read_made(getattr(run, name)) is None]
    if missing:
        name, stage = missing[0]
        problem = (
            f"{run.root}: {name}/ is not finished" if files.exists(run.config) else f"{run.root}: there is no run here"
        )
        remedy = (
            f"`pipeline {verb}` goes on from {name}/, which `pipeline {stage}` makes; `pipeline run` runs all stages"
        )
        yield UserError(problem, remedy)


def _sources(config: RunConfig, inputs: Inputs, addresses: Addresses) -> Findings:
    """Seeds and inputs: that they are there, are of their kind and have the columns that the settings name."""
    extract = config.extract
    if extract.source == "pages":
        seed_frontier(extract)
        return
    paths = inputs()
    if extract.reader:
        load("extract.reader", extract.reader)
    own = ENDINGS[extract.source]
    others = () if extract.reader else tuple(end for ends in ENDINGS.values() for end in ends if end not in own)
    if wrong := [path for path in paths if path.lower().endswith(others)]:
        remedy = f"name files of the kind {' '.join(own)} in extract.inputs, or set extract.source to what they are"
        yield UserError(f"{wrong[0]}: no file for extract.source = {extract.source!r}", remedy)
        return
    missing = [path for path in paths if not files.is_url(path) and not os.path.exists(path)]
    missing += [path for path in _few([path for path in paths if _is_store(path)]) if not files.exists(path)]
    yield from (UserError(f"{path}: no such file", SOURCES_GONE) for path in missing[:LOOKED_AT])
    if extract.source == "url_list" and not missing:
        for path in _few(paths):
            yield from _tried(partial(addresses, path))


def _few(paths: list[str]) -> list[str]:
    """At most LOOKED_AT of the paths, spread over all."""
    return paths[:: -(-len(paths) // LOOKED_AT) or 1]


def _is_store(path: str) -> bool:
    return files.is_url(path) and not path.startswith(("http://", "https://"))


def _room(run: RunFolder, config: RunConfig, inputs: Inputs) -> Findings:
    """Whether the disk has room; one that has less than is guessed is only named."""
    if files.is_url(run.root):
        return
    try:
        paths = inputs()
    except UserError:
        paths = []  # told by another check
    need, free = guess(config, paths), free_bytes(run.root)
    said = f"--output {run.root}: {human_bytes(free)} are free there"
    if free < max(LEAST_SPACE, need.tables):
        remedy = "free some space, give another --output, or begin with a share: extract.sample, extract.max_pages"
        yield UserError(f"{said}, and the tables alone take about {human_bytes(max(LEAST_SPACE, need.tables))}", remedy)
    elif free < need.total:
        print(f"note: {said}; all pictures may take {human_bytes(need.total)}, at a guess", file=sys.stderr)


def _queries(run: RunFolder, config: RunConfig) -> Findings:
    """The list's form; that all its entries are matchable takes longer, and is known where it was matched already."""
    if not is_complete(run.matched) or not files.exists(config.queries):
        yield from _tried(partial(check_list, config.queries, config.matching))


def _texts(config: RunConfig) -> Findings:
    text = config.text
    for path in (text.boilerplate_file, text.blocked_words):
        if path:
            yield from _tried(partial(read_phrases, path))
    yield from _tried(partial(own_rules, "text.rules", text.rules))
    yield from _tried(partial(_load_all, "steps.candidates", config.steps.candidates))
    yield from _tried(partial(_load_all, "steps.matched", config.steps.matched))
    if text.detector != "off":
        detect(text.detector, ["a picture"], text.language)


def _load_all(setting: str, names: Iterable[str]) -> None:
    for name in names:
        load(setting, name)


def _asking(verb: str, run: RunFolder, config: RunConfig, inputs: Inputs, addresses: Addresses) -> Findings:
    """What is needed where somebody's server is going to be asked."""
    http = config.http
    if http.ca_file:
        if not os.path.isfile(http.ca_file):
            yield UserError(f"http.ca_file: {http.ca_file}: no such file")
        else:
            try:
                ssl.create_default_context(cafile=http.ca_file)
            except (ssl.SSLError, OSError) as error:
                yield UserError(f"http.ca_file: {http.ca_file}: holds no certificates: {error}", "give a PEM file")
    yield from _tried(partial(register, config.image.formats))
    if config.image.decoder == "turbo":
        yield from _tried(partial(decode_scaled, b"", "", (1, 1), (1, 1)))
    if not http.contact and (host := _public_host(verb, run, config, inputs, addresses)):
        remedy = "set http.contact to a web page or e-mail address at which the site's owner can reach you"
        yield UserError(f"http.contact: is not set, and {host} is going to be asked", remedy)


def _public_host(verb: str, run: RunFolder, config: RunConfig, inputs: Inputs, addresses: Addresses) -> str:
    """A host beyond this machine that is certainly going to be asked; "" where that is not known."""
    extract = config.extract
    urls: Iterable[str] = ()
    if verb in ("run", "extract") and extract.source == "pages":
        urls = seed_frontier(extract).column("url").to_pylist() if extract.seeds else ()
    elif verb == "run" and extract.source == "url_list":
        urls = _first_of_lists(inputs, addresses)
    elif verb == "run" and extract.source in ("wat", "crawl_index"):
        return "" if config.http.allow_loopback else "each image's own site"
    elif verb in ("fetch", "package") and extract.source != "warc":  # an archive may hold all that is wanted
        urls = _first_wanted(run, verb, config.balance.top_up_rounds)
    return next((host for url in urls if (host := host_of(url)) and not is_loopback_name(host)), "")


def _first_of_lists(inputs: Inputs, addresses: Addresses) -> list[str]:
    try:
        return [url for path in _few(inputs()) for url in addresses(path)]
    except UserError:
        return []  # told by another check


def _first_wanted(run: RunFolder, verb: str, rounds: int) -> list[str]:
    """Image addresses that fetching, or topping up, is going to want."""
    folder = run.selected if verb == "fetch" else run.reserve
    if not is_complete(run.selected) or (verb == "package" and not rounds):
        return []
    entries = [entry for entry in read_manifest(folder).to_pylist() if entry["rows"]]
    names = [str(entry["file"]) for entry in entries[:1]]
    first = next(iter_batches(folder, ["url"], names, rows=1000), None)
    return [] if first is None else [str(url) for url in first.column("url").to_pylist()]


def _earlier_runs(config: RunConfig) -> Findings:
    for run, shards in zip(config.earlier_runs, shards_of(config.earlier_runs)[::2], strict=True):
        if not is_complete(shards):
            yield UserError(f"earlier_runs: {run}: no finished run", "name the folders (--output) of runs with shards")


def _evaluation_sets(config: RunConfig) -> Findings:
    for path in config.package.evaluation_sets:
        if files.exists(path):
            yield from _tried(partial(evaluation_files, [path]))
        else:
            yield UserError(f"{path}: no such file or folder", "correct package.evaluation_sets")


def _hooks(config: RunConfig) -> Findings:
    hooks = config.package.hooks
    yield from _tried(partial(load_scorers, dataclasses.replace(hooks, clip_checkpoint="", minimum={}, maximum={})))
    yield from _tried(partial(load_edits, hooks))
    yield from _tried(partial(own_rules, "package.hooks.rules", hooks.rules))
    yield from _tried(partial(_load_all, "package.steps", config.package.steps))
    if hooks.clip_checkpoint:
        if files.is_folder(hooks.clip_checkpoint):
            remedy = "give the file in it whose name ends in .pt"
            yield UserError(f"package.hooks.clip_checkpoint: {hooks.clip_checkpoint}: is a folder", remedy)
        else:
            yield from _tried(partial(ClipScore, hooks.clip_checkpoint))
