"""The story of a pair: where it came from, what each step made of it, and where it is now; or why it went.

In: a run folder, by path or URL, and an image's address or a pair's key. Out: a :class:`Story` for each pair of it.
What a step decided is what it stored: its tables, its ledger, its plan, its settings. The rules are asked once more, by
those settings, for the numbers that no table holds; where they say otherwise than the ledger, a note tells it.
"""

import re
from functools import cached_property

import pyarrow as pa

from pipeline.audit.queries import read_single
from pipeline.balance.config import BalanceConfig
from pipeline.balance.plan import read_plan
from pipeline.balance.select import Plan
from pipeline.config import RunConfig
from pipeline.explaining.draws import drawn_queries, least_t
from pipeline.explaining.rows import FILE, PLACE, Row, find_rows
from pipeline.explaining.rules import Change, Verdict, ask_rules, change_for
from pipeline.explaining.story import Drawn, Outcome, Source, Story
from pipeline.image.config import ImageRulesConfig
from pipeline.image.rules import image_rules
from pipeline.keeping.folder import RunFolder, key_of
from pipeline.keeping.manifest import is_complete, read_made, read_table, stored_settings
from pipeline.read.choose import choose, words_in
from pipeline.read.crawls import current_crawl, round_folder
from pipeline.read.noted import input_of
from pipeline.read.urls import picture_url, spelling
from pipeline.reasons import may_pass
from pipeline.tables.schema import CANDIDATES, FREQUENT_CAPTIONS, JOINED, SITE_LANGUAGES
from pipeline.text.config import TextConfig
from pipeline.text.rules import read_rules
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.settings import from_dict, from_toml

__all__ = ["explain"]

KEY = re.compile("[0-9a-f]{16}")
CONFIG_STEPS = ("candidates", "matched", "selected", "images", "joined", "shards")
PART = "_part"
BEYOND_RULES = ("no_query",)  # what is said of texts that pass the rules
_STAGES = ("extract", "match", "balance", "package")


def explain(root: str, asked: str) -> list[Story]:
    """The stories of the pairs with a key, or of an image's address; none where the run knows nothing of it. Raises
    UserError where there is no run."""
    run = RunFolder(root)
    if not any(read_made(run.path(name)) for name in CONFIG_STEPS):
        raise UserError(f"{root}: there is no run in it", "give the folder (--output) of a run")
    return _Telling(run).stories(asked)


class _Telling:
    """What is read once for all pairs that are told of."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run

    @cached_property
    def settings(self) -> Row:
        """The settings of all steps, a later step's word counting."""
        return stored_settings(map(self.run.path, CONFIG_STEPS))

    @cached_property
    def plan(self) -> Plan | None:
        """What the balance went by; None where it has not run."""
        return read_plan(self.run.plan) if files.exists(self.run.plan) else None

    @cached_property
    def names(self) -> list[str]:
        """The query of each id."""
        table = read_single(self.run, self.run.counts, self.run.selected)
        return [] if table is None else table.column("query").to_pylist()

    def stories(self, asked: str) -> list[Story]:
        keys = [asked.lower()] if KEY.fullmatch(asked.lower()) else []
        urls = [] if keys else list(dict.fromkeys([asked, picture_url(asked) or asked, spelling(asked)]))
        pairs = {int(key, 16) for key in keys}
        candidates = {row["pair_id"]: row for row in find_rows(self.run.candidates, pair_id=pairs, url=urls)}
        known = [*keys, *urls, *map(key_of, candidates)]
        ledger = [row for stage in _STAGES for row in find_rows(self.run.rejects(stage), key=known, url=urls)]
        of_pairs: dict[str, list[Row]] = {key_of(pair): [] for pair in candidates}
        lone = []
        for row in ledger:
            if row["subject"] == "pair":
                of_pairs.setdefault(row["key"], []).append(row)
            elif row["key"] in urls:
                lone.append(row)
        for row in self._in_shards(keys, urls):
            of_pairs.setdefault(row["key"], [])
        told = [self._pair(key, candidates.get(int(key, 16)), rows) for key, rows in sorted(of_pairs.items())]
        return told or self._without_pair(urls, lone)

    def _in_shards(self, keys: list[str], urls: list[str]) -> list[Row]:
        parts = ("shards", "holdout")
        return [{**row, PART: part} for part in parts for row in find_rows(self.run.path(part), key=keys, url=urls)]

    def _without_pair(self, urls: list[str], lone: list[Row]) -> list[Story]:
        """An address that no pair came of: an image without a text, or a page."""
        for row in lone:
            why = _of_ledger(row, self.settings)
            return [Story("", row["key"], "", why, notes=[f"a {row['subject']}, of which no pair came"])]
        page = self._page(urls)
        if page is None:
            return []
        good = page["status"] == "success"
        state = Outcome("open" if good else "dropped", "crawl", "" if good else page["status"], "")
        found = find_rows(self.run.candidates, page_url=[page["url"]])
        notes = [f"a page with {page['images'] or 0:,} images, of which {page['pairs'] or 0:,} pairs came"]
        notes += [f"{key_of(row['pair_id'])}  {row['url']}" for row in found]
        return [
            Story("", page["url"], "", state, self._source({"page_url": page["url"], "source": "pages"}), notes=notes)
        ]

    def _page(self, urls: list[str]) -> Row | None:
        """A page's row of the crawl, with its round."""
        folder, number = current_crawl(self.run), 0
        while folder and files.exists(files.join(round_folder(folder, number, "pages"), "_SUCCESS")):
            for row in find_rows(round_folder(folder, number, "pages"), url=urls, final_url=urls):
                return {**row, "round": number}
            number += 1
        return None

    def _source(self, row: Row, again: int = 0) -> Source:
        page = self._page([row["page_url"]]) if row.get("source") == "pages" and row.get("page_url") else None
        given = ""
        if row.get("source") not in (None, "pages") and row.get("pair_id") is not None:
            found = find_rows(self.run.path("sources", "candidates"), pair_id=[row["pair_id"]])
            given = input_of(self.run, found[0][FILE]) if found else ""
        return Source(
            kind=row.get("source") or "",
            page=row.get("page_url") or "",
            page_language=row.get("page_language") or "",
            depth=page["depth"] if page else None,
            round=page["round"] if page else None,
            input=given,
            consent=row.get("consent") or "",
            evidence=row.get("consent_evidence") or "",
            again=again,
        )

    def _pair(self, key: str, candidate: Row | None, ledger: list[Row]) -> Story:
        run, pair = self.run, int(key, 16)
        shard, matched = self._in_shards([key], []), find_rows(run.matched, pair_id=[pair])
        drops = [row for row in ledger if row["reason"] != "duplicate_pair" or candidate is None]
        again = len(ledger) - len(drops)
        known: Row = candidate or (shard[0] if shard else {}) or drops[0]
        caption = known.get("caption") or (candidate is None and known.get("detail")) or ""
        taken = self._taken(pair)
        images = find_rows(run.images, url=[known["url"]]) if taken is not None else []
        text_rules, notes = self._text_rules(candidate, drops)
        texts = known.get("texts") or []
        return Story(
            key=key,
            url=known["url"],
            caption=caption,
            outcome=self._outcome(key, drops, text_rules, shard, matched, taken),
            source=self._source(known, again),
            texts=texts,
            why_this_text=_why(texts, caption),
            text_rules=text_rules,
            queries=self._queries(pair, matched),
            t=self.plan.t if self.plan and matched else None,
            limit=self.plan.limit if self.plan and matched else None,
            mode=self.plan.mode if self.plan and matched else "",
            round=taken,
            image=_image(images),
            image_rules=self._image_rules(images, candidate),
            scores={each["name"]: each["score"] for each in (shard[0] if shard else {}).get("scores") or ()},
            place=_place(shard[0]) if shard else {},
            notes=notes,
        )

    def _taken(self, pair: int) -> int | None:
        """The round of packaging that wanted the pair's picture; None where none did."""
        if find_rows(self.run.selected, pair_id=[pair]):
            return 0
        number = 1
        while is_complete(table := self.run.packing(number, "pairs")):
            if find_rows(table, pair_id=[pair]):
                return number
            number += 1
        return None

    def _text_rules(self, candidate: Row | None, drops: list[Row]) -> tuple[list[Verdict], list[str]]:
        """What each text rule says, by the settings and tables that the step went by."""
        made = read_made(self.run.matched)
        if candidate is None or made is None:
            return [], []
        config = from_dict(TextConfig, made["settings"]["text"], where=self.run.matched)
        repeated = read_table(self.run.frequent_captions, FREQUENT_CAPTIONS)
        sites = read_table(self.run.site_languages, SITE_LANGUAGES) if config.detector != "off" else None
        try:
            rules = read_rules(config, self._query_list(), repeated, sites)
        except UserError as error:
            return [], [f"the text rules cannot be asked again: {error.problem}"]
        row = pa.RecordBatch.from_pylist([{name: candidate[name] for name in CANDIDATES.names}], schema=CANDIDATES)
        found = ask_rules(rules, row, {"text": made["settings"]["text"]}, "match")
        said = next((verdict.reason for verdict in found if verdict.reason), "")
        stored = next((drop["reason"] for drop in drops if drop["stage"] == "match"), "")
        by_rules = "" if stored in BEYOND_RULES else stored
        differs = said != by_rules and not stored.startswith("earlier_")
        words = [reason or "that it passes" for reason in (said, by_rules)]
        return found, [f"asked again, the text rules say {words[0]}; the step said {words[1]}"] if differs else []

    def _query_list(self) -> str:
        """The list that the run's captions were matched with."""
        if files.exists(self.run.own_queries):
            return self.run.own_queries
        return from_toml(RunConfig, self.run.config).queries

    def _queries(self, pair: int, matched: list[Row]) -> list[Drawn]:
        return list(drawn_queries(pair, matched[0]["query_ids"], self.plan, self.names)) if matched else []

    def _image_rules(self, images: list[Row], candidate: Row | None) -> list[Verdict]:
        """What the rules on pictures say of the stored one."""
        package = (read_made(self.run.joined) or {}).get("settings", {}).get("package")
        stored = [row for row in images if row["status"] == "success"]
        if package is None or not stored or candidate is None:
            return []
        known = {**candidate, **stored[0]}
        row = pa.RecordBatch.from_pylist([{**dict.fromkeys(JOINED.names), **_of(JOINED, known)}], schema=_loose(JOINED))
        rules = image_rules(from_dict(ImageRulesConfig, package["rules"], where=self.run.joined))
        return ask_rules(rules, row, {"package": package}, "package")

    def _outcome(
        self,
        key: str,
        drops: list[Row],
        text_rules: list[Verdict],
        shard: list[Row],
        matched: list[Row],
        taken: int | None,
    ) -> Outcome:
        if shard:
            return Outcome("kept", "shards")
        by_stage = {row["stage"]: row for row in drops}
        for stage in ("package", "join", "balance", "match", "extract"):
            if stage not in by_stage:
                continue
            outcome = _of_ledger(by_stage[stage], self.settings)
            if stage == "match" and (needed := [verdict.change for verdict in text_rules if verdict.change]):
                return Outcome("dropped", stage, outcome.reason, outcome.detail, needed)
            if stage == "balance":
                return Outcome("dropped", stage, outcome.reason, outcome.detail, [self._raise_t(key, matched)])
            return outcome
        if find_rows(self.run.reserve, pair_id=[int(key, 16)]) and taken is None:
            return Outcome("reserve", "balance", changes=[self._raise_t(key, matched)])
        reached = [name for name in ("candidates", "matched", "selected", "joined") if self._reached(name, key)]
        return Outcome("open", reached[-1] if reached else "")

    def _reached(self, table: str, key: str) -> bool:
        return bool(find_rows(self.run.path(table), pair_id=[int(key, 16)]))

    def _raise_t(self, key: str, matched: list[Row]) -> Change:
        """The least whole t at which one of the pair's queries draws it; of capped mode about."""
        balance = from_dict(BalanceConfig, self.settings["balance"], where=self.run.selected)
        found = next((name for name in ("tail_share", "wanted_total") if getattr(balance, name) is not None), "")
        value = self.plan.t if found and self.plan else balance.t
        return Change("balance.t", value, least_t(self._queries(int(key, 16), matched)))


def _of_ledger(row: Row, settings: Row) -> Outcome:
    reason, stage = row["reason"], row["stage"]
    detail = row["detail"] or ""
    change = change_for(reason, settings, {}, stage)
    return Outcome("dropped", stage, reason, detail, [change] if change else [], may_pass(reason))


def _why(texts: list[dict[str, str]], caption: str) -> str:
    """Why the caption is this one of an image's texts."""
    if choose((each["kind"], each["text"]) for each in texts)[1] != caption:
        return ""
    if len(texts) == 1:
        return "it is the only one"
    words = min(3, words_in(caption))
    return {3: "the first of three words or more", 2: "none has three words; the first of two"}.get(words, "the first")


def _image(rows: list[Row]) -> Row:
    """What counts of the answers for an image's address: its picture, else the last one."""
    if not rows:
        return {}
    best = next((row for row in rows if row["status"] == "success"), rows[-1])
    left_out = {FILE, PLACE, "url", "sketch", "decided_by"}
    told = {name: value for name, value in best.items() if name not in left_out and value is not None}
    if best.get("phash") is not None:
        told["phash"] = key_of(best["phash"])
    return told


def _place(row: Row) -> Row:
    return {"part": row[PART], "table": row[FILE], "row": row[PLACE]}


def _of(schema: pa.Schema, row: Row) -> Row:
    return {name: row[name] for name in schema.names if name in row}


def _loose(schema: pa.Schema) -> pa.Schema:
    """The schema with every column allowed to be null."""
    return pa.schema([field.with_nullable(True) for field in schema])
