"""mrkdwn as HTML, by example; and nothing posted gets out of its text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.notifier import blocks as notifier_blocks
from local.slack_page.emoji import CHARACTERS
from local.slack_page.mrkdwn import mrkdwn_html, plain_html

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MORNING = int(datetime(2026, 11, 21, 10, 20, 7, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*bold* _italic_ ~gone~", "<b>bold</b> <i>italic</i> <s>gone</s>"),
        ("some `code`", "some <code>code</code>"),
        ("*a _b_*", "<b>a <i>b</i></b>"),
        ("2*3*4 my_file_name a~b~c", "2*3*4 my_file_name a~b~c"),
        ("* not bold * _ nor _", "* not bold * _ nor _"),
        ("`*raw* <x>`", "<code>*raw* &lt;x&gt;</code>"),
        ("```\n*raw*\n  kept\n```", "<pre>*raw*\n  kept</pre>"),
        ("one\ntwo", "one<br>two"),
        ("&gt; quoted\nnot", "<q>quoted</q>not"),
        ("a &amp; b &lt;c&gt; &quot;", "a &amp; b &lt;c&gt; &amp;quot;"),
        ("<https://a/?x&amp;y|*l*>", '<a href="https://a/?x&amp;y" rel="noreferrer">*l*</a>'),
        ("*<https://a|x> y*", '<b><a href="https://a" rel="noreferrer">x</a> y</b>'),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        ("<!here> <@U0123> <!subteam^S1|ops> <#C1|general>",
         '<span class="mention">@here</span> <span class="mention">@U0123</span> '
         '<span class="mention">@ops</span> <span class="mention">#general</span>'),
        (":tada: :unknown_one:", '<span class="emoji" title=":tada:">🎉</span> :unknown_one:'),
        (f"<!date^{MORNING}^{{date_short_pretty}} {{time_secs}}|x>", "<time>Today 10:20:07</time>"),
        (f"<!date^{MORNING - 86400}^{{date_short_pretty}}|then>", "<time>Yesterday</time>"),
        (f"<!date^{MORNING - 9 * 86400}^{{date_short_pretty}}|then>", "<time>Nov 12, 2026</time>"),
        (f"<!date^{MORNING}^{{another_token}}|then>", "<time>then</time>"),
        ("<!date^999999999999^{time}|then>", "<time>then</time>"),
    ],
)  # fmt: skip
def test_mrkdwn_by_example(text: str, shown: str) -> None:
    assert mrkdwn_html(text, NOW) == shown


def test_plain_text_knows_emoji_and_no_markup() -> None:
    assert plain_html(":x: *a* <b>\nc", emoji=True) == (
        '<span class="emoji" title=":x:">❌</span> *a* &lt;b&gt;<br>c'
    )
    assert plain_html(":x:", emoji=False) == ":x:"


ALLOWED = {"b", "i", "s", "q", "br", "a", "code", "pre", "span", "time"}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs


hostile = st.text("<>&\"'*_~`|:!@#^/\n\ue000\ue0010ahtps", max_size=60) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '<https://a" onmouseover="x|y>',
        "<https://a|<img src=x onerror=y>>",
        '`"><script>`',
        "<!date^1^{time}|<script>>",
        "<|>",
        "\ue0000\ue001 <https://a|b>",
    ]
)


@given(hostile)
def test_nothing_posted_becomes_a_tag_or_an_attribute_of_its_own(text: str) -> None:
    for shown in (mrkdwn_html(text, NOW), plain_html(text, emoji=True)):
        parser = Tags()
        parser.feed(shown)
        assert parser.seen <= ALLOWED
        assert {name for name, _ in parser.attributes} <= {"href", "rel", "class", "title"}
        hrefs = [value or "" for name, value in parser.attributes if name == "href"]
        assert all(re.match(r"https?://|mailto:", href, re.IGNORECASE) for href in hrefs)


def test_the_page_knows_every_emoji_that_notices_use() -> None:
    used = {
        *notifier_blocks._EMOJI.values(),
        *notifier_blocks._ALERT_EMOJI.values(),
        notifier_blocks._RECOVERED,
        notifier_blocks._TROUBLE,
        notifier_blocks._OVER,
        ":zzz:",
    }
    assert {emoji.strip(":") for emoji in used} <= CHARACTERS.keys()
