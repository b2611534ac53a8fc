"""Which files are reports, what they count, and what hostile ones come to."""

from __future__ import annotations

import io
import tarfile
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build_agent.image.junit import NAMES_KEPT, Failed, Tally
from build_agent.image.report_paths import absolute, bases, is_named
from build_agent.image.reports import FILE_BYTES, MOST_FILES, Reader, TooMuch

GOOD = b'<testsuite><testcase classname="a.B" name="c"/></testsuite>'


@pytest.mark.parametrize(
    ("pattern", "path", "named"),
    [
        ("/app/*.xml", "/app/a.xml", True),
        ("/app/*.xml", "/app/b/a.xml", False),
        ("/app/**/*.xml", "/app/a.xml", True),
        ("/app/**/*.xml", "/app/b/c/a.xml", True),
        ("/app/**/target/**/T-?.xml", "/app/b/target/T-1.xml", True),
        ("/app/**/target/**/T-?.xml", "/app/b/target/target/c/T-1.xml", True),
        ("/app/**/target/T.xml", "/app/target/b/T.xml", False),
        ("/app/**", "/app/b/c", True),
        ("/app/a.xml", "/app/a.xml", True),
        ("/app/[ab].xml", "/app/b.xml", True),
        ("/app/*.xml", "/app/a.XML", False),
        ("/app", "/app/a", False),
    ],
)
def test_a_pattern_names_files(pattern: str, path: str, named: bool) -> None:
    assert is_named(path, [pattern]) is named


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "*", "**", "?b"]), max_size=6),
    st.lists(st.sampled_from(["a", "b", "ab"]), max_size=7),
)
def test_stars_fit_as_they_do_tried_one_by_one(wanted: list[str], parts: list[str]) -> None:
    def fits(parts: list[str], wanted: list[str]) -> bool:
        if not wanted:
            return not parts
        if wanted[0] == "**":
            return any(fits(parts[n:], wanted[1:]) for n in range(len(parts) + 1))
        return bool(parts) and fnmatchcase(parts[0], wanted[0]) and fits(parts[1:], wanted[1:])

    assert is_named("/".join(["x", *parts]), ["/".join(["x", *wanted])]) is fits(parts, wanted)


def test_patterns_begin_at_the_workdir_and_share_what_is_copied() -> None:
    patterns = [
        absolute(one, "/work") for one in ("out/*.xml", "/app/r.xml", "out/b/**/x.xml", "*")
    ]
    assert patterns == ["/work/out/*.xml", "/app/r.xml", "/work/out/b/**/x.xml", "/work/*"]
    assert bases(patterns) == {
        "/app/r.xml": ["/app/r.xml"],
        "/work": ["/work/*", "/work/out/*.xml", "/work/out/b/**/x.xml"],
    }
    assert absolute("x/*.xml", "") == "/x/*.xml"


# --- what they say


def tally_of(*contents: bytes) -> Tally:
    tally = Tally()
    for number, content in enumerate(contents):
        tally.read(f"/r/{number}.xml", content)
    return tally


def test_cases_are_counted_wherever_they_stand() -> None:
    tally = tally_of(
        b'<testsuites tests="99"><testsuite><testcase name="a"><skipped/></testcase>'
        b'<testsuite><testcase classname="x" name="b"><error>first line\nsecond</error></testcase>'
        b"</testsuite></testsuite></testsuites>",
        GOOD,
    )
    assert (tally.reports, tally.tests, tally.skipped, tally.failures) == (2, 3, 1, 1)
    assert tally.failed == [Failed("x.b", "first line")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain text",
        b"<html/>",
        b"<testsuite><testcase></testsuite>",
        b'<?xml version="1.0" encoding="no-such"?><testsuite/>',
        b'<!DOCTYPE t [<!ENTITY e "x">]><testsuite><testcase name="&e;"/></testsuite>',
        b'<!DOCTYPE t SYSTEM "http://127.0.0.1/x.dtd"><testsuite/>',
        b'<!DOCTYPE t [<!ENTITY e SYSTEM "file:///etc/passwd">]><testsuite>&e;</testsuite>',
        b"<testsuite>" * 20_000 + b"</testsuite>" * 20_000,
        bytes(range(256)) * 9,
    ],
)
def test_what_is_no_report_is_noted_and_counts_nothing(content: bytes) -> None:
    tally = tally_of(content, GOOD)
    assert (tally.reports, tally.tests) == (1, 1)
    assert tally.notes == ["/r/0.xml is no JUnit XML"]


def test_of_many_failures_the_first_are_kept_and_names_are_one_line() -> None:
    cases = b"".join(
        b'<testcase name="t%d&#10;x%s"><failure message="%s"/></testcase>'
        % (number, b"y" * 500, b"z" * 5000)
        for number in range(100)
    )
    tally = tally_of(b"<testsuite>" + cases + b"</testsuite>")
    assert (tally.failures, len(tally.failed)) == (100, NAMES_KEPT)
    assert all(len(one.name) <= 120 and "\n" not in one.name for one in tally.failed)
    assert max(len(one.message) for one in tally.failed) <= 300


# --- what docker copies out


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    return member, b""


def test_links_are_passed_over_and_no_path_leads_out() -> None:
    reader = Reader()
    stream = tar_of(
        link("out/a.xml", "/etc/passwd"),
        link("out/b.xml", "out/good.xml", tarfile.LNKTYPE),
        link("out/f.xml", "", tarfile.FIFOTYPE),
        (tarfile.TarInfo("out/../../etc/x.xml"), GOOD),
        (tarfile.TarInfo("out/good.xml"), GOOD),
    )
    assert reader.read(stream, "/work/out", ["/work/out/*.xml"]) == 1
    assert (reader.tally.tests, reader.tally.notes) == (1, [])


def test_size_and_number_are_bounded() -> None:
    big = (tarfile.TarInfo("out/big.xml"), b" " * (FILE_BYTES + 1))
    many = [(tarfile.TarInfo(f"out/{n}.xml"), GOOD) for n in range(MOST_FILES)]
    reader = Reader()
    with pytest.raises(TooMuch, match="more than 500 reports"):
        reader.read(tar_of(big, *many), "/out", ["/out/*.xml"])
    assert reader.tally.tests == MOST_FILES - 1
    assert reader.tally.notes == ["/out/big.xml has more than 8 MiB and is not read"]


def test_a_folder_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("build_agent.image.reports.STREAM_BYTES", 1 << 20)
    reader = Reader()
    stream = tar_of(
        (tarfile.TarInfo("out/a.xml"), GOOD), (tarfile.TarInfo("out/x"), b" " * (2 << 20))
    )
    with pytest.raises(TooMuch, match="more than 1 MiB"):
        reader.read(stream, "/out", ["/out/*.xml"])
    assert reader.tally.tests == 1
