"""The page's templates: whatever is put into one is escaped, unless it is HTML already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from local.slack_page.mrkdwn import mrkdwn_html, plain_html
from slipway.contracts import wording

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    undefined=StrictUndefined,
)
_PAGES.filters |= {
    "counted": wording.counted,
    "duration": wording.duration,
    "person": wording.person,
    "short": wording.short,
    "tidy": wording.tidy,
    # These two escape by themselves: what they give is HTML.
    "mrkdwn": lambda text, now: Markup(mrkdwn_html(text, now)),  # noqa: S704
    "plain": lambda text, emoji: Markup(plain_html(text, emoji=emoji)),  # noqa: S704
}


def page(name: str, **values: Any) -> Markup:
    """The HTML of `templates/<name>.html` with these values."""
    return Markup(_PAGES.get_template(f"{name}.html").render(values))  # noqa: S704 - escaped there
