"""The build, step by step: count the dump's shards, sum the page views, merge, choose, write.

In: the settings. Out: ``queries.parquet`` and the near misses beside it. Every step leaves its results in the work
folder, so the same command after a kill takes up where it was; the result doesn't depend on that, nor on the number of
workers.
"""

import contextlib
import dataclasses
import math
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from query_builder.config import BuildConfig
from query_builder.corpus import Thresholds, Totals, merge_corpus, pages_of, read_totals
from query_builder.count.shard import ShardTask, count_shard, shard_folder
from query_builder.inputs import checksum
from query_builder.job import Job, is_current, plan, work_folder
from query_builder.kept import is_kept, is_kept_folder
from query_builder.merge.bigram_rules import BigramRules
from query_builder.merge.titles import TitleName, TitleStatistics, rank_titles
from query_builder.normalize import normalize
from query_builder.published import published_rows
from query_builder.reuse import adopt
from query_builder.rows import write_queries
from query_builder.schema import candidates_path, read_metadata
from query_builder.select import choose
from query_builder.sources.dump import PAGE_KINDS, Shard
from query_builder.sources.pageviews import FORMATS, ROW_KINDS, ViewsTask, count_views, read_ledger, views_path
from query_builder.sources.synset import Synset
from query_builder.sources.wordnet import read_wordnet
from query_builder.summary import print_summary
from query_builder.wordnet_only import build_from_wordnet
from query_builder.workers import Workers
from query_builder.write import Knowledge, write_candidates
from webimagetext.errors import UserError
from webimagetext.files import is_url
from webimagetext.lock import locked
from webimagetext.progress import Progress
from webimagetext.settings import fingerprint
from webimagetext.temporary import remove_temporary_of

__all__ = ["build"]

MERGING_VERSION = 2  # raise it when the same counts would be merged differently
NEAR_WORDS = 10  # words down to this fraction of the threshold are kept as near misses


def build(config: BuildConfig) -> None:
    """Builds the query list. Raises UserError for unusable inputs or settings."""
    if config.download:
        from query_builder.sources.download import download_all

        fetched = download_all(config)
        config = dataclasses.replace(
            config, dump=fetched.dump, pageviews=(*config.pageviews, *fetched.pageviews), wordnet=fetched.wordnet
        )
    if not config.dump:
        build_from_wordnet(config)
        return
    job = plan(config)
    known = read_metadata(config.output)
    if is_current(known, job):
        print(f"{config.output} is up to date: the same inputs and settings made it")
        if not config.keep_work and os.path.isdir(work_folder(config)):
            # A build was killed when only this was left to do; one that is under way there goes on.
            with contextlib.suppress(UserError), locked(work_folder(config), "`build`"):
                shutil.rmtree(work_folder(config), ignore_errors=True)
        return
    work = job.work()
    with locked(os.path.dirname(work), "`build`"):
        _build(config, job, work)
        if not config.keep_work:
            shutil.rmtree(os.path.dirname(work), ignore_errors=True)


def _build(config: BuildConfig, job: Job, work: str) -> None:
    """Counts, chooses, and writes the list."""
    for folder in ("shards", "views", "checksums"):
        os.makedirs(os.path.join(work, folder), exist_ok=True)
    _clear_leftovers(work)
    if not is_url(config.output):
        remove_temporary_of((config.output, candidates_path(config.output)))
    with Workers(config.workers or os.cpu_count() or 1) as workers:
        # These need nothing of the counts, so they are done beside the counting.
        read = partial(read_wordnet, language=config.language)
        synsets_read = workers.begin(read, config.wordnet) if config.wordnet else list[Synset]
        checksums = [
            workers.begin(checksum, (url, os.path.join(work, "checksums", str(number))))
            for number, url in enumerate(job.files)
        ]
        totals = _count(job, work, workers)
        views = _check_ledgers(job, work, totals)
        titles, title_statistics = rank_titles(
            work,
            len(job.shards),
            len(job.view_shards),
            has_views=bool(job.view_shards),
            keep=max(config.size + len(job.excluded), 1000),
        )
        noted = title_statistics.articles + title_statistics.redirects
        _all_accounted("articles and redirects", totals.ledger["articles"] + totals.ledger["redirects"], noted)
        synsets = synsets_read()
        merge = os.path.join(work, f"merge-{fingerprint(MERGING_VERSION, job.settings)[:12]}")
        os.makedirs(merge, exist_ok=True)
        knowledge = _know(job, merge, totals, titles, synsets, workers)
        inputs = [found() for found in checksums]
    metadata = job.metadata(inputs=inputs, totals=_totals(totals, title_statistics, views))
    if config.compat == "metaclip":
        rows = published_rows(knowledge, titles, synsets)
        chosen: Mapping[str, str] = {row.query: row.admitted for row in rows}
    else:
        chosen = _choose(job, knowledge, titles)
        rows = knowledge.rows(chosen)
        metadata["rules"] = knowledge.rules()
    write_candidates(candidates_path(config.output), knowledge, chosen, metadata)
    write_queries(config.output, rows, metadata)
    print_summary(config, rows, totals, title_statistics, views, knowledge, synsets)


def _count(job: Job, work: str, workers: Workers) -> Totals:
    """Counts the dump and the page views, shard by shard. Raises UserError for a dump without any text."""
    config, skip = job.config, job.config.on_corrupt == "skip"
    if came := adopt(work, job.decided_by()):
        print(f"{came:,} of {len(job.shards) + len(job.view_shards):,} shards are counted already, for another list")
    tasks = [ShardTask(shard, job.rules, work, skip) for shard in job.shards]
    _run_shards("dump", "articles", workers, count_shard, tasks, lambda n: is_kept_folder(shard_folder(work, n)))
    project = f"{config.language}.wikipedia"
    views = [ViewsTask(shard, project, work, skip) for shard in job.view_shards]
    _run_shards("page views", "titles", workers, count_views, views, lambda n: is_kept(views_path(work, n)))
    totals = read_totals(work, len(job.shards))
    if not totals.words:
        raise UserError(f"{config.dump[0]}: no article with any text in it", "give the pages-articles file of a dump")
    return totals


def _check_ledgers(job: Job, work: str, totals: Totals) -> Counter[str]:
    """Compares what was read with what came of it; returns the rows of the page views, by kind, and their damage.

    Raises UserError for a file that gave nothing, unless damage is to be left out: then a line says so.
    """
    project = f"{job.config.language}.wikipedia"
    ledgers = [read_ledger(work, shard.number) for shard in job.view_shards]
    views = sum(ledgers, Counter[str]())
    _all_accounted("pages", totals.ledger.get("pages", 0), sum(totals.ledger.get(kind, 0) for kind in PAGE_KINDS))
    _all_accounted("rows of page views", views["rows"], sum(views[kind] for kind in ROW_KINDS))
    given: Counter[str] = Counter()
    for shard in job.shards:
        given[shard.url] += pages_of(work, shard.number)
    for shard, ledger in zip(job.view_shards, ledgers, strict=True):
        given[shard.url] += ledger["taken"]
    for url in [*job.config.dump, *job.config.pageviews]:
        if given[url]:
            continue
        of_views = url in job.config.pageviews
        problem = f"{url}: {f'not one row of {project} that can be read' if of_views else 'not one page'} in it"
        if job.config.on_corrupt != "skip":
            views_wanted = f"give page views of {project} ({FORMATS}), or another --language"
            remedy = views_wanted if of_views else "leave the file out"
            raise UserError(problem, remedy)
        print(f"warning: {problem}", file=sys.stderr)
    return views


def _all_accounted(what: str, read: int, counted: int) -> None:
    """Raises UserError where some of what was read is in no count: a defect, whose list nobody should use."""
    if read != counted:
        problem = f"{read:,} {what} were read, and {counted:,} are accounted for: this is a defect of the program"
        raise UserError(problem, "please report it; no list was written")


def _clear_leftovers(work: str) -> None:
    """Removes what a killed run left half written."""
    for folder, folders, names in os.walk(work):
        for name in [name for name in folders if name.endswith(".tmp")]:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
            folders.remove(name)
        for name in names:
            if ".tmp" in name:
                os.unlink(os.path.join(folder, name))


def _run_shards(
    label: str,
    unit: str,
    workers: Workers,
    function: Callable[[Any], int],
    tasks: list[Any],
    is_done: Callable[[int], bool],
) -> None:
    """Runs the shards that have no result yet, with progress in bytes of the files; ``function`` returns a number of
    ``unit``, ``is_done`` is asked for a shard's number."""
    shards: list[Shard] = [task.shard for task in tasks]
    missing = [task for task in tasks if not is_done(task.shard.number)]
    if not missing:
        return
    total = sum(shard.end - shard.start for shard in shards)
    left = sum(task.shard.end - task.shard.start for task in missing)
    with Progress(label, "B", total) as progress:
        if left < total:
            progress.resume_at(total - left)
        items = 0
        for task, found in workers.map(function, missing):
            items += found
            progress.advance(task.shard.end - task.shard.start, f"{items:,} {unit}")


def _know(
    job: Job, folder: str, totals: Totals, titles: list[TitleName], synsets: list[Synset], workers: Workers
) -> Knowledge:
    """Merges the counts, with numbers for all names of titles and synsets."""
    by_name: dict[str, list[Synset]] = {}
    for synset in synsets:
        if name := normalize(synset.head):
            by_name.setdefault(name, []).append(synset)
    config = job.config
    published = config.compat == "metaclip"
    thresholds = Thresholds(
        kept_word=1 if published else max(1, config.min_word_count // NEAR_WORDS),
        kinds=job.kinds,
        bigrams=BigramRules(
            word=1 if published else config.min_word_count,
            bigram=1 if published else config.min_bigram_count,
            pmi=config.min_pmi,
            log_likelihood=-math.inf if published else config.min_log_likelihood,
            published=published,
        ),
        keep_bigrams=max(2 * config.size + len(job.excluded), 1000),
    )
    names = dict.fromkeys([*(title.name for title in titles), *by_name])
    corpus = merge_corpus(folder, totals, names, thresholds, workers)
    return Knowledge(
        corpus, {title.name: title for title in titles}, by_name,
        config.min_word_count, config.min_page_views, job.excluded,
    )  # fmt: skip


def _choose(job: Job, knowledge: Knowledge, titles: list[TitleName]) -> dict[str, str]:
    config, corpus = job.config, knowledge.corpus
    most = config.size + len(job.excluded)
    names = list(knowledge.synsets)
    counts = dict(zip(names, corpus.counts_of(names).tolist(), strict=True))
    ranked = {
        "word": corpus.ranked_words(config.min_word_count, most),
        "bigram": corpus.ranked_bigrams(most),
        "title": (title.name for title in titles if title.views is None or title.views >= config.min_page_views),
        "synset": sorted(names, key=lambda name: (-counts[name], -len(knowledge.synsets[name]), name)),
    }
    left = {source: (name for name in found if name not in job.excluded) for source, found in ranked.items()}
    return choose(left, job.budgets, config.size)


def _totals(totals: Totals, titles: TitleStatistics, views: Mapping[str, int]) -> dict[str, int]:
    return {
        **totals.ledger,
        **{f"page views: {name}": count for name, count in sorted(views.items())},
        "words": totals.words,
        "names of titles": titles.names,
        "lost redirects": titles.lost_redirects,
    }
