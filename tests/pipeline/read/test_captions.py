"""The texts of images: whose caption it is, and what of it a reader of the page sees."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from pipeline.read.choose import choose, plain, words_in
from pipeline.read.pages import Page, extract_page
from pipeline.read.rendered import text_of, thorough_text_of

BASE = "http://h/"
IMAGE = "<img src=deer.jpg alt=deer>"
WORDS = "a roe deer by the pond in May"


def read(html: str) -> Page:
    return extract_page(html.encode(), BASE)


def captions(html: str) -> list[tuple[str, str]]:
    return [(pair.url.removeprefix(BASE), pair.caption) for pair in read(html).pairs]


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        (
            "<p>A roe deer</p><p>by the pond</p>in May<br>at dawn<style>.c{color:red}</style>",
            "A roe deer by the pond in May at dawn",
        ),
        ("A <b>roe</b>deer<td>in</td>May<script>x()</script><button>Zoom</button>", "A roedeerinMay"),
        ("<table><tr><td>A roe deer</td><td>in May</td></tr></table>", "A roe deer in May"),
        ("<ul><li>A roe</li><li>deer in</li></ul>May", "A roe deer in May"),
        ("A roe deer in May<a class=headerlink href='#f'>¶</a>", "A roe deer in May"),
        ("A roe deer<sup><a href='#fn1'>1</a></sup> in May", "A roe deer in May"),
        ("A roe deer in May<sup class=reference><a href='#c'>[2]</a></sup>", "A roe deer in May"),
        ("A deer of 10 m<sup>2</sup> in <a href=x>May</a>", "A deer of 10 m2 in May"),
        ("A roe deer in May <a href='#back'>↩</a><span class='sr-only'>back</span>", "A roe deer in May"),
        ("A roe deer <span style='display: none'>not</span><i hidden>nor</i>in May", "A roe deer in May"),
        ("A roe deer see <a href='#f2'>Figure 2</a>", "A roe deer see Figure 2"),
        ("A roe deer in May <a role=button href=x>Buy</a>", "A roe deer in May"),
        ("<ruby>鹿<rt>しか</rt></ruby>の写真です", "鹿の写真です"),
        ("A roe&shy;bell deer&#8203; in\u200e May\x07 now", "A roebell deer in May now"),
        ("Tom &amp;amp; Jerry&amp;#39;s roe deer", "Tom & Jerry's roe deer"),
        ("A roe &amp; deer &amp;c; R&amp;D", "A roe & deer &c; R&D"),
    ],
)
def test_text_is_as_rendered(inner: str, text: str) -> None:
    assert captions(f"<figure><img src=a.jpg alt=''><figcaption>{inner}</figcaption></figure>") == [("a.jpg", text)]


def test_a_text_that_is_cut_says_so() -> None:
    words = "a deer " * 1000
    assert plain(words[:2000]) == words[:2000].strip()
    assert plain("x" * 2000) == "x" * 2000
    assert plain("x" * 2001) == "x" * 1998 + " …"
    for length in (2001, 3998, 4000, 4001, 4002, 7000):
        cut = plain(words[:length])
        assert cut == words[:1996] + " …" and plain(cut) == cut
    assert plain("a deer stands" + " " * 5000 + "still") == "a deer …"
    caption = f"<figure><img src=a.jpg><figcaption>{words}</figcaption></figure>"
    (pair,) = read(f"<meta property=og:image content=b.jpg><meta property=og:title content='{words}'>{caption}").pairs[
        :1
    ]
    assert all(text.endswith(" …") and 1990 < len(text) <= 2000 for _, text in pair.texts)


@pytest.mark.parametrize(
    "html",
    [
        "<div class=os-figure><figure>{i}</figure><div class=os-caption-container>"
        "<span class=os-caption>{w}</span></div></div>",
        "<figure>{i}</figure><figcaption>{w}</figcaption>",
        "<div class=figure><div class=figure-contents><div class=mediaobject>{i}<div class=caption>{w}"
        "</div></div></div></div>",
        "<div class=figure><p class=title><b>{w}</b></p><div class=figure-contents>"
        "<div class=mediaobject>{i}</div></div></div>",
        "<div class='figure align-default' id=f>{i}<p class=caption><span class=caption-text>{w}</span>"
        "<a class=headerlink href=#f title='Permalink'>¶</a></p></div>",
        "<div class='imageblock left'><div class=content>{i}</div><div class=title>{w}</div></div>",
        "<div class='thumb tright'><div class=thumbinner><a class=image>{i}</a><div class=thumbcaption>"
        "<div class=magnify><a href=x>Enlarge</a></div>{w}</div></div></div>",
        "<ul><li class=gallerybox><div class=thumb><a>{i}</a></div><div class=gallerytext><p>{w}</p></div></li></ul>",
        "<figure typeof=mw:File/Thumb><a class=mw-file-description>{i}</a><figcaption>{w}</figcaption></figure>",
        "<div class=wp-caption><a href=x>{i}</a><p class=wp-caption-text>{w}</p></div>",
        "<dl class=gallery-item><dt class=gallery-icon><a>{i}</a></dt>"
        "<dd class='wp-caption-text gallery-caption'>{w}</dd></dl>",
        "<table class=tr-caption-container><tr><td><a>{i}</a></td></tr><tr><td class=tr-caption>{w}</td></tr></table>",
        "<table class=image><caption>{w}</caption><tr><td>{i}</td></tr></table>",
        "<div class=float>{i}<div class=caption>{w}</div></div>",
        "<div class=media><div>{i}</div><span class=articleCaption>{w}</span></div>",
        "<div itemscope itemtype='https://schema.org/ImageObject'>{i}<span itemprop=caption>{w}</span></div>",
        "<p id=t>{w}</p><img src=deer.jpg alt=deer aria-labelledby='none t'>",
        "<figure>{i}<noscript>{i}</noscript></figure><p class=caption>{w}</p>",
        "<div class=picture>{i}</div> <div class=caption>{w}</div>",
        "<div><span><a href=x>{i}</a></span></div><p class=caption>{w}</p>",
    ],
)
def test_captions_of_books_and_of_content_systems(html: str) -> None:
    other = "<figure><img src=other.jpg alt=''><figcaption>another picture of something else</figcaption></figure>"
    found = captions(other + html.format(i=IMAGE, w=WORDS) + other.replace("other", "third"))
    assert found[:1] == [("other.jpg", "another picture of something else")]
    assert set(found[1:-1]) == {("deer.jpg", WORDS)}


def test_every_figure_has_its_own_caption() -> None:
    nested = (
        "<figure><img src=outer.jpg alt=''><figure><img src=inner.jpg alt=''><figcaption>the small picture inside"
        "</figcaption></figure><figcaption>the large picture outside</figcaption></figure>"
    )
    assert captions(nested) == [
        ("outer.jpg", "the large picture outside"),
        ("inner.jpg", "the small picture inside"),
    ]
    inner = "<figure><img src={}.jpg></figure>"
    gallery = (
        "<figure>" + "".join(map(inner.format, range(5))) + "<figcaption>five pictures of deer</figcaption></figure>"
    )
    assert captions(gallery) == [], "a caption of many is nobody's"
    pair = "<figure>" + inner.format(1) + inner.format(2) + "<figcaption>two pictures of deer</figcaption></figure>"
    assert captions(pair) == [("1.jpg", "two pictures of deer"), ("2.jpg", "two pictures of deer")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a deer", 2),
        ("池のほとりの鹿", 4),
        ("鹿", 1),
        ("鹿 photo 池", 2),
        ("กวางโรริมสระ", 6),
        ("косуля у пруда", 3),
        ("노루 한 마리", 3),
    ],
)
def test_words_are_counted_by_script(text: str, words: int) -> None:
    assert words_in(text) == words


def test_a_text_without_blanks_is_not_lost_to_one_with() -> None:
    html = "<figure><img src=a.jpg alt=池のほとりの鹿><figcaption>Photo: some agency</figcaption></figure>"
    assert captions(html) == [("a.jpg", "池のほとりの鹿")]
    assert choose([("alt", "鹿"), ("title", "roe deer there")])[1] == "roe deer there"


PIECES = ("<p>", "</p>", "a deer", " ", "in May", "<b>", "</b>", "<br>", "<i class=sr-only>", "</i>", "<sup>", "</sup>")


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_the_quick_way_reads_what_the_thorough_one_does(inner: str) -> None:
    (caption,) = LexborHTMLParser(f"<figcaption>{inner}</figcaption>").css("figcaption")
    assert text_of(caption).split() == thorough_text_of(caption).split()


def test_what_joins_letters_stays() -> None:
    assert (
        plain("\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645")
        == "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    )
    assert plain("👩\u200d🚀 in space") == "👩\u200d🚀 in space"


def test_images_that_a_page_names_apart_from_its_text() -> None:
    html = """<meta property=og:title content='The pond'>
    <meta property=og:image content=/1.jpg><meta property=og:image:alt content='a roe deer drinks'>
    <meta property=og:image:width content=640>
    <meta property=og:image content=/2.jpg><meta property=og:image:alt content='a hare runs off'>
    <meta property=og:image content=/3.jpg>
    <meta name=twitter:image content=/4.jpg><meta name=twitter:image:alt content='an owl looks on'>
    <script type=application/ld+json>{"@graph": [{"@type": ["Thing", "ImageObject"], "contentUrl": "/5.jpg",
      "caption": ["a fox sleeps there"], "width": {"@value": 300}}, {"@type": "ImageObject", "url": "/6.jpg"},
      {"@type": "Person", "url": "/7.jpg", "name": "somebody of that name"}]}</script>
    <script type=application/ld+json>{broken</script>
    <script type="application/ld+json; x">//<![CDATA[
      {"@type": "http://schema.org/ImageObject", "url": "/8.jpg", "name": "<p>a <b>wolf</b></p><p>goes\nby</p>"}
    //]]></script>"""
    page = read(html)
    assert [(pair.url.removeprefix(BASE), pair.caption, pair.width) for pair in page.pairs] == [
        ("1.jpg", "a roe deer drinks", 640),
        ("2.jpg", "a hare runs off", None),
        ("3.jpg", "The pond", None),
        ("4.jpg", "an owl looks on", None),
        ("5.jpg", "a fox sleeps there", 300),
        ("8.jpg", "a wolf goes by", None),
    ]


def test_other_elements_that_show_a_picture() -> None:
    html = (
        f"<amp-img src=a.jpg alt='{WORDS}'></amp-img><figure><video poster=b.jpg></video>"
        f"<figcaption>{WORDS}</figcaption></figure><object data=c.png type=image/png>{WORDS}</object>"
        f"<object data=d.swf type=x/flash>{WORDS}</object><object data=e.webp>{WORDS}</object><object data=f></object>"
        f"<amp-img src=g.jpg width=1 height=1 layout=responsive alt='{WORDS}'></amp-img>"
        "<video src=e.mp4></video>"
    )
    assert captions(html) == [(name, WORDS) for name in ("a.jpg", "b.jpg", "c.png", "e.webp", "g.jpg")]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("number", [2, 5])
def test_several_images_with_a_caption_each(first: bool, number: int) -> None:
    image, caption = (
        "<p><img src={0}.jpg alt=x></p>",
        "<div class=caption><p class=caption-text>deer {0} in May</p></div>",
    )
    pair = caption + image if first else image + caption
    html = "<div class='image row'>" + "".join(pair.format(place) for place in range(number)) + "</div>"
    assert captions(html) == [(f"{place}.jpg", f"deer {place} in May") for place in range(number)]


def test_captions_of_some_of_the_images() -> None:
    plain = "<p><img src={}.jpg alt=y></p>"
    html = "<div class=image>" + plain.format("a") + plain.format("b") + "<p class=caption>the first two deer</p>"
    html += "<p><img src=c.jpg></p><p class=caption>the third of them</p>" + plain.format("d") + "</div>"
    assert captions(html) == [
        ("a.jpg", "the first two deer"),
        ("b.jpg", "the first two deer"),
        ("c.jpg", "the third of them"),
        ("d.jpg", "y"),
    ]


def test_an_image_among_other_things_has_no_caption_from_behind() -> None:
    assert captions(f"<div>words before {IMAGE}</div><p class=caption>{WORDS}</p>") == [("deer.jpg", "deer")]
    assert captions(f"<div>{IMAGE} words behind</div><p class=caption>{WORDS}</p>") == [("deer.jpg", "deer")]


def test_an_image_object_of_links() -> None:
    kind = "itemscope itemtype='https://schema.org/ImageObject'"
    html = (
        f"<div {kind}><link itemprop=url href=l.jpg><meta itemprop=caption content='{WORDS}'></div>"
        f"<div {kind}><a itemprop=contentUrl href=m.jpg>x</a><p itemprop=description>{WORDS}</p></div>"
        f"<div {kind}><link itemprop=url href=n.jpg></div>"
        f"<div {kind}>{IMAGE}<meta itemprop=caption content='{WORDS}'></div>"
    )
    assert captions(html) == [("deer.jpg", WORDS), ("l.jpg", WORDS), ("m.jpg", WORDS)]


def test_where_a_page_says_it_is_and_sends_its_reader() -> None:
    page = read("<link rel='alternate' href=/x><link rel='shortlink canonical' href=/own?a=%2F>")
    assert (page.canonical, page.refresh) == ("http://h/own?a=%2F", "")
    assert read("<meta http-equiv=Refresh content='0; URL=\"next.html\"'>").refresh == "http://h/next.html"
    assert read("<meta http-equiv=refresh content=30>").refresh == ""
