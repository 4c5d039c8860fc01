"""The pool of the benchmark on curation: photographs as a crawl would bring them, most with texts that are of no use.

In: the two sets of labelled photographs and the captions of a real crawl beside the checkout (shared/data), and a seed.
Out: pairs of a small JPEG and a text, and held-out photographs with their classes. Photographs, product descriptions
and stray texts are real, and so is how many photographs a class has (16 to 795); which text a photograph gets is drawn:
a right one in English (SHARES), a right one in German, the English one of another photograph, the text of some picture
on the web, or a camera's name of the file.
"""

import csv
import io
import json
import random
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from webimagetext.errors import UserError

__all__ = ["SETS", "SHARES", "Photograph", "Pools", "photographs", "texts_for", "write_shards"]

DATA = Path(__file__).parents[2] / "shared" / "data"
GROCERIES, CLOTHES = (DATA / "classification" / f"{name}.tar" for name in ("grocery_store_81", "clothing_small_10"))
STRAYS = DATA / "captions" / "laion_test_10000.parquet"
SETS = ("groceries", "clothes")
SIDE = 40  # pixels of the shorter side
# Of the web's pairs a small part is in English and fits: curation of real pools keeps a tenth to a third.
SHARES = {"english": 0.4, "german": 0.2, "other": 0.1, "stray": 0.15, "file": 0.15}
CLOTHES_NAMES = {
    "dress": "dress", "hat": "hat", "longsleeve": "long-sleeved shirt", "outwear": "jacket", "pants": "pair of pants",
    "shirt": "buttoned shirt", "shoes": "pair of shoes", "shorts": "pair of shorts", "skirt": "skirt",
    "t-shirt": "t-shirt",
}  # fmt: skip
GERMAN = {
    "dress": "Kleid", "hat": "Hut", "longsleeve": "Langarmshirt", "outwear": "Jacke", "pants": "Hose", "shirt": "Hemd",
    "shoes": "Schuhe", "shorts": "kurze Hose", "skirt": "Rock", "t-shirt": "T-Shirt", "Apple": "Äpfel",
    "Asparagus": "Spargel", "Aubergine": "Aubergine", "Avocado": "Avocado", "Banana": "Bananen", "Cabbage": "Kohl",
    "Carrots": "Karotten", "Cucumber": "Gurke", "Garlic": "Knoblauch", "Ginger": "Ingwer", "Juice": "Saft",
    "Kiwi": "Kiwi", "Leek": "Lauch", "Lemon": "Zitrone", "Lime": "Limette", "Mango": "Mango", "Melon": "Melone",
    "Milk": "Milch", "Mushroom": "Pilze", "Nectarine": "Nektarine", "Oat-Milk": "Hafermilch",
    "Oatghurt": "Haferjoghurt", "Onion": "Zwiebel", "Orange": "Orange", "Papaya": "Papaya",
    "Passion-Fruit": "Passionsfrucht", "Peach": "Pfirsich", "Pear": "Birnen", "Pepper": "Paprika",
    "Pineapple": "Ananas", "Plum": "Pflaumen", "Pomegranate": "Granatapfel", "Potato": "Kartoffeln",
    "Red-Beet": "Rote Bete", "Red-Grapefruit": "Grapefruit", "Satsumas": "Satsumas", "Sour-Cream": "saure Sahne",
    "Sour-Milk": "Sauermilch", "Soy-Milk": "Sojamilch", "Soyghurt": "Sojajoghurt", "Tomato": "Tomaten",
    "Yoghurt": "Joghurt", "Zucchini": "Zucchini",
}  # fmt: skip
ENGLISH_FORMS = {
    "groceries": ("{} in the store", "fresh {} on the shelf", "a photo of {}, bought today", "{} from our shop"),
    "clothes": ("a {} on the floor", "second-hand {} for sale", "a photo of my new {}", "{}, worn once"),
}
GERMAN_FORMS = ("{} im Laden um die Ecke", "ein Foto von heute: {}", "günstig zu verkaufen: {}", "das ist {} von uns")
FILE_FORMS = ("IMG_{:04d}.JPG", "DSC{:05d}", "photo {:d}", "{:08d}_large.jpg")


@dataclass(frozen=True)
class Photograph:
    """A photograph of a set, small, with the name of its class, its word in German, and a real description or none."""

    set: str
    data: bytes
    name: str
    german: str
    description: str


@dataclass(frozen=True)
class Pools:
    """What is trained on, what is held out, and the names of the classes of each set."""

    training: list[Photograph]
    held_out: list[Photograph]
    names: dict[str, list[str]]


def _small(data: bytes) -> bytes:
    """The picture with its shorter side at SIDE pixels."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    scale = SIDE / min(image.size)
    small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BOX)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=92)
    return stream.getvalue()


def photographs() -> Pools:
    """All photographs, in a fixed order. Raises UserError where the data is not there."""
    for path in (GROCERIES, CLOTHES, STRAYS):
        if not path.exists():
            raise UserError(f"{path}: is not there", "this benchmark needs the larger data beside the checkout")
    training: list[Photograph] = []
    held_out: list[Photograph] = []
    with tarfile.open(GROCERIES) as archive:
        content = {member.name: member for member in archive if member.isfile()}

        def read(name: str) -> bytes:
            stream = archive.extractfile(content[name])
            assert stream is not None
            return stream.read()

        table = list(csv.DictReader(io.StringIO(read("dataset/classes.csv").decode())))
        known = {}
        for row in table:
            text = " ".join(read(f"dataset{row['Product Description Path (str)']}").decode().split())
            name, coarse = row["Class Name (str)"], row["Coarse Class Name (str)"]
            known[name] = (name.replace("-", " "), GERMAN[coarse], text.partition(". ")[0].rstrip(".") + ".")
        for name in sorted(content):
            parts = name.split("/")
            if name.endswith(".jpg") and parts[1] in ("train", "test"):
                found = Photograph(SETS[0], _small(read(name)), *known[parts[-2]])
                (training if parts[1] == "train" else held_out).append(found)
        groceries = [words for words, _, _ in known.values()]
    with tarfile.open(CLOTHES) as archive:
        for member in sorted(archive, key=lambda member: member.name):
            if member.name.endswith(".jpg"):
                split, kind, _ = member.name.split("/")
                stream = archive.extractfile(member)
                assert stream is not None
                found = Photograph(SETS[1], _small(stream.read()), CLOTHES_NAMES[kind], GERMAN[kind], "")
                (training if split == "train" else held_out).append(found)
    return Pools(training, held_out, {SETS[0]: groceries, SETS[1]: list(CLOTHES_NAMES.values())})


def texts_for(pool: Sequence[Photograph], seed: int) -> list[tuple[str, str]]:
    """For each photograph the kind of its text and the text."""
    draw = random.Random(f"pool {seed}")
    strays = [text for text in pq.read_table(STRAYS).column("TEXT").to_pylist() if text]
    draw.shuffle(strays)
    found = []
    for number, photograph in enumerate(pool):
        (kind,) = draw.choices(list(SHARES), list(SHARES.values()))
        if kind in ("english", "other"):
            shown = photograph if kind == "english" else draw.choice(pool)
            forms = [form.format(shown.name) for form in ENGLISH_FORMS[shown.set]]
            text = draw.choice([*forms, shown.description or forms[0]])
        elif kind == "german":
            text = draw.choice(GERMAN_FORMS).format(photograph.german)
        elif kind == "stray":
            text = strays[number % len(strays)]
        else:
            text = draw.choice(FILE_FORMS).format(draw.randrange(1000, 9999))
        found.append((kind, text))
    return found


def write_shards(folder: Path, pairs: Iterable[tuple[bytes, str, str]]) -> str:
    """One tar of (picture, text, label), in the layout of a run's shards; returns its address."""
    folder.mkdir(parents=True)
    with tarfile.open(folder / "00000.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        for number, (picture, text, label) in enumerate(pairs):
            about = json.dumps({"label": label}).encode()
            for suffix, data in ((".jpg", picture), (".txt", text.encode()), (".json", about)):
                member = tarfile.TarInfo(f"{number:06d}{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return str(folder / "00000.tar")
