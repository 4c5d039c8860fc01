"""One definition of a host: for the pace, the budget of pages and the bucket alike."""

import pyarrow as pa
import pytest
from yarl import URL

from pipeline.hashing import hash64
from pipeline.hosts import by_host, host_name, host_of, hosts_of, origin_of
from pipeline.read.config import ExtractConfig
from pipeline.read.frontier import admit, frontier_table

SAME = ["http://Example.org/a", "https://example.org:8443/b", "https://example.org./c", "http://u@example.org/d"]


def test_scheme_port_case_and_final_dot_make_no_other_host() -> None:
    assert {host_of(url) for url in SAME} == {"example.org"}
    assert {host_name(URL(url)) for url in SAME} == {"example.org"}
    assert len(set(by_host(pa.record_batch({"url": SAME})).tolist())) == 1


@pytest.mark.parametrize("url", ["https://bücher.example/a", "https://xn--bcher-kva.example/b"])
def test_an_international_name_has_one_form(url: str) -> None:
    assert host_of(url) == host_name(URL(url)) == "xn--bcher-kva.example"


def test_a_column_has_the_hosts_that_its_addresses_have() -> None:
    odd = ["http://[::1", "", "http://[2001:DB8::1]:80/x", "https://bücher.example/a", "http://a.org:x/", "//b.org/c"]
    plain = ["https://a.org", "http://a-b.c.org:80?x", "http://a.org#y", "http://a.org./z", "http://a..org/"]
    urls = [*SAME, *odd, *plain, *SAME]
    assert hosts_of(pa.array(urls)).tolist() == [hash64(host_of(url)) for url in urls]
    assert hosts_of(pa.array([], pa.string())).tolist() == []


def test_what_has_no_host() -> None:
    assert [host_of(url) for url in ("http://[::1", "", "no address", "http:///x")] == [""] * 4
    assert host_of("http://[2001:DB8::1]:80/x") == "2001:db8::1"


def test_other_names_are_other_hosts() -> None:
    assert len(set(by_host(pa.record_batch({"url": ["http://a.org/", "http://b.org/", "http://www.a.org/"]})))) == 3


def test_an_origin_has_a_scheme_and_a_port() -> None:
    assert origin_of(URL("https://h:443/a?b")) == "https://h"
    assert origin_of(URL("https://h:8443/a/b?c")) == "https://h:8443"


def test_the_budget_of_a_host_holds_over_schemes_and_ports() -> None:
    links = frontier_table(
        [(f"{root}/{n}", 1) for root in ("http://h.org", "https://h.org", "https://h.org:8443") for n in range(3)]
    )
    config = ExtractConfig(seeds=("https://h.org/",), scope="any", max_pages_per_host=2)
    assert admit(links, (), config).num_rows == 2
