"""A page for people: one HTML file that needs no other file, no script and no network, and forbids itself to load any.

In: a title, a lead and the body of each section, as HTML that is escaped already. Out: the page, with a list of its
sections.
"""

from collections.abc import Mapping
from html import escape
from importlib import resources
from string import Template

__all__ = ["page"]


def page(title: str, lead: str, sections: Mapping[str, str]) -> str:
    """The page. Sections without a body are left out."""
    present = {name: body for name, body in sections.items() if body}
    form = Template(resources.files("webimagetext").joinpath("page.html").read_text(encoding="utf-8"))
    return form.substitute(
        title=escape(title),
        lead=lead,
        contents="".join(f'<li><a href="#{_anchor(name)}">{escape(name)}</a></li>' for name in present),
        sections="\n".join(
            f'<section id="{_anchor(name)}"><h2>{escape(name)}</h2>\n{body}\n</section>'
            for name, body in present.items()
        ),
    )


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")
