"""A difference as Markdown: read back by a parser, no text of a document is anything but a code span."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from stack import difference_markdown
from stack.difference import between
from stack.lock import Lock
from tests.locked import component, deb, facts, graph, known, lock, node, os_lock, side, uses

ABOUT = facts(spack={"zlib": known()}, debian={"bash": known()})
EVIL = "zqx"  # in every text of a document of these tests, and in no word of ours


def tokens(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        yield token
        yield from token.children or ()


def render(before: Lock, after: Lock, *, build: bool = False) -> str:
    return difference_markdown.render(between(side(before, ABOUT, "a"), side(after, ABOUT, "b")), build=build)


pieces = st.sampled_from(
    [
        *(
            "`",
            "``",
            "|",
            "\\",
            "\\|",
            "<script>",
            "</details>",
            "<!--",
            "-->",
            "*",
            "_",
            "~~",
            "&amp;",
            "$",
            " ",
            "---",
        ),
        *(
            "[x](http://evil.example)",
            "![y](z)",
            "http://evil.example",
            "www.evil.example",
            "a@evil.example",
            "@all",
            "#1",
        ),
        *("!2", "\n", "\r\n", "\u202e", "\x1b[31m", ":smile:", "'", '"'),
    ]
)
hostile = st.lists(pieces, max_size=8).map(lambda parts: EVIL.join(["", *parts, ""]))
lines = hostile.map(lambda text: "".join(c for c in text if c >= " " and c != "\u202e"))  # as a lock lets it through


@given(hostile, hostile, lines, lines, lines)
@settings(max_examples=150, deadline=None)
def test_no_text_of_a_document_is_markup(where: str, layer: str, spec: str, value: str, asked: str) -> None:
    old = lock(deb("bash"), components=(component("x", "1", role="blas", spec=spec),))
    made = node("zlib", parameters={"flags": value}, external=f"/{value}")
    new = lock(
        spack=graph(made, target=spec or "x"),
        components=(component("y", "1", "site", role="blas", spec=value),),
        os=os_lock(requested=(asked,)),
    )
    levels = {layer: 1}, {layer: 2}
    found = between(side(old, ABOUT, where, levels=levels[0]), side(new, ABOUT, asked, levels=levels[1]))
    text = difference_markdown.render(found)
    for token in tokens(text):
        if token.type in ("html_block", "html_inline"):
            assert EVIL not in token.content
            assert set(token.content.split()[0].split(">")[0].split()) <= {"<details", "</details", "<summary"}
        assert token.type not in ("link_open", "image", "em_open", "s_open")
        assert EVIL not in token.content or token.type in ("code_inline", "inline"), token
    assert_tables_are_whole(text)


def assert_tables_are_whole(text: str) -> None:
    width, cells = 0, 0
    for token in tokens(text):
        if token.type == "tr_open":
            cells = 0
        elif token.type in ("td_open", "th_open"):
            cells += 1
        elif token.type == "thead_close":
            width = cells
        elif token.type == "tr_close" and width:
            assert cells == width
        elif token.type == "table_close":
            width = 0
    # A line of a table that the parser took for something else would be a paragraph that begins with a bar.
    assert not any(t.type == "inline" and t.content.startswith("|") for t in tokens(text))


@given(st.text(alphabet="a`|\\ <>[]", max_size=12))
@settings(max_examples=300, deadline=None)
def test_a_code_span_in_a_table_reads_back_as_the_text(text: str) -> None:
    table = f"| a | b |\n| --- | --- |\n| {difference_markdown.cell(text)} | end |"
    read = [t.content for t in tokens(table) if t.type == "code_inline"]
    plain = " ".join(text.split())
    assert read == ([plain] if plain else [])
    assert [t.content for t in tokens(table) if t.type == "text"][-1] == "end"


def test_the_whole_of_a_small_difference() -> None:
    old, new = lock(deb("bash"), deb("tar")), lock(deb("bash", "2"), deb("blob"))
    digests = [made.digest[:12] for made in (old, new)]
    assert render(old, new).splitlines() == [
        "### What changed between two locks",
        "",
        "|  | before | after |",
        "| --- | --- | --- |",
        "| cell | `some/site/tux1-x86_64_v3` | `some/site/tux1-x86_64_v3` |",
        "| read | `a` | `b` |",
        f"| lock | `{digests[0]}` | `{digests[1]}` |",
        "",
        "**1 added, 1 removed, 1 changed; 1 to look at, marked !**",
        "",
        "#### To look at",
        "",
        "|  | package | before | after | what differs |",
        "| --- | --- | --- | --- | --- |",
        "| **!** + | `blob` |  | `1` | licence unknown; ! class unknown; ! source redistribution unknown; "
        "! binary redistribution unknown |",
        "",
        "<details>",
        "<summary>OS packages: 1 added, 1 removed, 1 changed</summary>",
        "",
        "|  | package | before | after | what differs |",
        "| --- | --- | --- | --- | --- |",
        "| **!** + | `blob` |  | `1` | licence unknown; ! class unknown; ! source redistribution unknown; "
        "! binary redistribution unknown |",
        "| ~ | `bash` | `1` | `2` |  |",
        "| - | `tar` | `1` |  |  |",
        "",
        "</details>",
    ]


def test_equal_locks_are_said_to_be_the_same() -> None:
    one = lock(deb("bash"))
    assert render(one, one).endswith("\n\n**the locks are the same**")


def test_components_stand_open_and_settings_are_folded() -> None:
    old = lock(components=(component("openblas", "0.3", role="blas"),))
    new = lock(components=(component("mkl", "2025", "site", role="blas", spec="openblas"),), profile="there")
    text = render(old, new)
    assert "#### components: 1 changed" in text
    assert "| ~ | `blas` | `openblas` `0.3` from `source` | `mkl` `2025` from `site` |" in text
    assert "<summary>settings</summary>" in text
    assert "| `profile` | `site` | `there` |" in text
    assert "these are locks of different profiles" in text


def test_a_table_has_an_end_and_what_must_be_looked_at_stands_in_it() -> None:
    many = [deb(f"a{n}", source="bash") for n in range(difference_markdown.MANY + 20)]
    text = render(lock(), lock(*many, deb("zz-unknown")))
    assert "and 21 more: `sovstack diff --json` has all" in text
    assert text.count("| + | ") == difference_markdown.MANY - 1
    assert text.count("| **!** + | `zz-unknown` |") == 2  # at the top, and in its group


@pytest.mark.parametrize("build", [False, True])
def test_what_only_building_needs_is_counted_unless_asked_for(build: bool) -> None:
    tool = node("cmake", "3")
    top = node("zlib", "1", uses(tool, "build"))
    text = render(lock(), lock(spack=graph(top, tool, roots=[top])), build=build)
    assert ("`cmake`" in text) == build
    assert ("1 more that only building needs, 1 of them marked !; --build shows them" in text) != build
