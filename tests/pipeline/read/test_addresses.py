"""Where a picture lies: sets, sources, late loading, stand-ins; and that the quick way agrees with the thorough one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from pipeline.read.addresses import address_of, is_placeholder, thorough_address
from pipeline.read.media import matches_screen
from pipeline.read.pages import extract_page
from pipeline.read.srcset import best_of_srcset

BASE = "http://h/"
DATA = "data:image/gif;base64,R0lGOD"


def found(html: str) -> list[str]:
    return [pair.url.removeprefix(BASE) for pair in extract_page(html.encode(), BASE).pairs]


@pytest.mark.parametrize(
    ("attributes", "address"),
    [
        ("data-src=deer.jpg", "deer.jpg"),
        ("srcset='hare.jpg 1x'", "hare.jpg"),
        ("src=/blank.gif data-src=/owl.jpg", "owl.jpg"),
        (f"src='{DATA}' data-lazy-srcset='a.jpg 400w, b.jpg 1100w'", "b.jpg"),
        ("src=s.jpg data-unheard-of='a.jpg 400w, b.jpg 1100w'", "b.jpg"),
        ("src=s.jpg srcset='lqip.jpg 20w' data-srcset='b.jpg 1100w'", "b.jpg"),
        (f"src='{DATA}' srcset='{DATA} 1w' data-never-seen='//k/deer.webp?w=9'", "http://k/deer.webp?w=9"),
        ("src=spinner.gif data-image=/pictures/17", "pictures/17"),
        ('src=s.jpg data-dynamic=\'{"/a.jpg":[400,300],"/b.jpg":[1100,800],"/c.jpg":[1300,900]}\'', "b.jpg"),
        ('src=s.jpg data-dynamic=\'{"/a.jpg":[400,300],"/b.jpg":[700,800]}\' data-broken=\'{"/x": [9\'', "b.jpg"),
        ("src=small.jpg data-orig-file=full.jpg", "full.jpg"),
        ("src=deer.jpg data-share-image=other.jpg data-link=/x data-thumb=t.jpg", "deer.jpg"),
        ("src=deer.jpg data-url=/article/5", "deer.jpg"),
        ("src=deer.jpg data-src='/{width}/deer.jpg' data-srcset='/{w}.jpg 300w'", "deer.jpg"),
        ("src=deer.jpg data-placeholder=blur.jpg data-hover-src=hare.jpg", "deer.jpg"),
        ("src=deer.jpg srcset='/my deer 1.jpg 600w, /my deer 2.jpg 1200w'", "deer.jpg"),
        ("src=deer.jpg srcset='deer.svg, deer.jxl 2x'", "deer.jpg"),
        ("src=' deer.jpg ' data-title='a deer.jpg that runs'", "deer.jpg"),
    ],
)
def test_the_address_is_known_by_its_form(attributes: str, address: str) -> None:
    assert found(f"<img {attributes} alt='a roe deer'>") == [address]


@pytest.mark.parametrize(
    ("picture", "address"),
    [
        ("<source type=image/jxl srcset=d.jxl><source type=image/svg+xml srcset=d.svg><img src=d.jpg {}>", "d.jpg"),
        ("<source type='image/webp; q=1' srcset=d.webp><img src=d.jpg {}>", "d.webp"),
        ("<source srcset=d.heic><source srcset=d.avif><img src=d.jpg {}>", "d.avif"),
        (
            "<source media='(max-width: 480px)' srcset='s.jpg 240w'><source srcset='l.jpg 1600w'><img src=d.jpg {}>",
            "l.jpg",
        ),
        ("<source media='(min-width: 800px)' srcset=w.jpg><source srcset=n.jpg><img src=d.jpg {}>", "w.jpg"),
        ("<source media=print srcset=p.jpg><img src=d.jpg srcset='e.jpg 2x' {}>", "e.jpg"),
        (f"<source srcset=d.webp><a href=x><span><img src='{DATA}' {{}}></span></a>", "d.webp"),
        ("<source data-srcset='d.webp 9w'><img src=loading.gif {}>", "d.webp"),
        ("<source><img src=d.jpg {}>", "d.jpg"),
        ("<img src=d.jpg {}><source srcset=d.webp>", "d.jpg"),
        ("<source media=print srcset=p.jpg><img src=d.jpg {}><source srcset=d.webp>", "d.jpg"),
    ],
)
def test_sources_of_a_picture(picture: str, address: str) -> None:
    assert found("<picture>" + picture.format("alt='a roe deer'") + "</picture>") == [address]


def test_an_image_without_a_picture_is_said_so() -> None:
    page = extract_page(
        b"<img alt=x><img src='data:,' alt=x><img src=/img/spacer.gif alt=x><img src=1x1.png alt=x>"
        b"<img src=deer.jpg width=1 height=1 alt=x><img src=/i/sprite-2.png alt=x><img src=deer.jpg role=none alt=x>"
        b"<img src=deer.jpg width=1 height=20 alt=x><img src=sprites-in-a-garden.jpg alt=x>"
        b"<img src=owl.jpg style='height: 1px; border: 0; WIDTH:0px' alt=x><img src=fox.jpg style='width:1px' alt=x>",
        BASE,
    )
    reasons = [reason for _, reason in page.skipped]
    assert reasons == [
        *("no_address", "data_uri", "placeholder", "placeholder", "tracking_pixel", "sprite", "decorative"),
        "tracking_pixel",
    ]
    assert [pair.url.removeprefix(BASE) for pair in page.pairs] == ["deer.jpg", "sprites-in-a-garden.jpg", "fox.jpg"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/i/blank.gif", True),
        ("https://h/a/Placeholder_300x200.png?v=1", True),
        ("/t.gif", True),
        ("/pixel.jpg", False),
        ("/blank-verse.jpg", False),
        ("/white.jpg", False),
        ("/loading-dock.jpg", False),
        ("/placeholder/deer.jpg", False),
    ],
)
def test_stand_ins(address: str, expected: bool) -> None:
    assert is_placeholder(address) == expected


@pytest.mark.parametrize(
    ("value", "width", "best"),
    [
        ("a.jpg 1.5x, b.jpg 3x", 1, "b.jpg"),
        ("a.jpg 100w 50h, b.jpg 200w 100h", 150, "b.jpg"),
        ("a.jpg 100w, b.jpg 200w 2x", 150, "a.jpg"),
        ("a.jpg 100w,b.jpg 200w", 150, "b.jpg"),
        ("a,b.jpg,, c.jpg 2x", 1, "c.jpg"),
        ("a.jpg (x, y) 2x, b.jpg", 1, "b.jpg"),
        ("a.jpg -1w, b.jpg 0w, c.jpg 1h", 1, None),
        ("a.jpg 010w, b.jpg 9w", 1, "b.jpg"),
        ("a.jpg?x=1,2 100w", 1, "a.jpg?x=1,2"),
    ],
)
def test_sets_as_the_standard_reads_them(value: str, width: int, best: str | None) -> None:
    assert best_of_srcset(value, width) == best


@pytest.mark.parametrize(
    ("media", "holds"),
    [
        ("", True),
        ("screen and (min-width: 60em)", True),
        ("(min-width: 100em)", False),
        ("(max-width: 480px), (orientation: landscape)", True),
        ("not all and (min-width: 1px)", False),
        ("(400px <= width)", False),
        ("(width >= 400px)", True),
        ("(width < 1280px)", False),
        ("(-webkit-min-device-pixel-ratio: 2)", False),
        ("(min-resolution: 1dppx)", True),
        ("(prefers-color-scheme: dark)", False),
        ("(min-aspect-ratio: 4/3)", True),
        ("print", False),
        ("(unheard: of)", False),
        ("((", False),
    ],
)
def test_media_on_an_ordinary_screen(media: str, holds: bool) -> None:
    assert matches_screen(media) == holds


NAMES = ("src", "alt", "title", "width", "class", "srcset", "data-src", "data-srcset", "data-url", "data-x", "sizes")
VALUES = ("", " ", "a.jpg", " b.png ", "blank.gif", DATA, "DATA:,x", "a.jpg 2x", "/c 3w, d.webp 9w", "x y", "#", "/p")


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES)), st.booleans())
def test_the_quick_way_gives_what_the_thorough_one_does(attributes: dict[str, str], in_picture: bool) -> None:
    written = "".join(f' {name}="{value}"' for name, value in attributes.items())
    html = f"<img{written}>"
    if in_picture:
        html = f"<picture><source srcset=e.jpg>{html}</picture>"
    (node,) = LexborHTMLParser(html).css("img")
    quick = address_of(node, node.attributes, 1024, pictures=in_picture)
    assert quick == thorough_address(node, node.attributes, 1024)
    assert bool(quick[0]) != bool(quick[1])
