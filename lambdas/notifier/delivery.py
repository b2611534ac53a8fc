"""Bring one notice to Slack: claim it, post it, mark it; or say when to try again.

A notice is posted by whoever holds its claim, and marked when Slack has taken it, so that a doubled
or concurrent delivery makes no second notice. (Only where Slack's answer or the mark is lost can
one appear twice.) Whatever fails gives the claim back and leaves the message in the queue, which
keeps it for days: an outage of Slack delays notices and loses none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lambdas.notifier.blocks import slack_message, text_message
from lambdas.notifier.slack import Answer, Post
from lambdas.notifier.webhooks import Webhooks
from slipway.contracts import sentences
from slipway.contracts.installation import Installation, PipelineSettings
from slipway.contracts.messages import CloseNotice
from slipway.contracts.table.notices import Notices

CLAIM = 180.0
"""Seconds that a claim is honoured: longer than the function can live (its timeout is 50)."""
SHORT_WAIT = 15.0
"""Seconds of a Retry-After that are waited out inside the invocation."""
RESERVE = 20.0
"""Seconds of the invocation that must be left for a post and the mark after a wait."""
MOST_WAITS = 3


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`done`: the message may go. Else it is to come back, not before `wait` seconds (0: any).

    `posted`: Slack has just taken it. `unreadable`: no later try can help.
    """

    done: bool
    why: str
    wait: float = 0.0
    posted: bool = False
    unreadable: bool = False


class Delivery:
    """Everything that lives as long as the function's process.

    `clock` gives seconds since the epoch, `sleep` waits seconds.
    """

    def __init__(
        self,
        *,
        installation: Installation,
        notices: Notices,
        webhooks: Webhooks,
        post: Post,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._installation = installation
        self._notices = notices
        self._webhooks = webhooks
        self._post_to = post
        self._clock = clock
        self._sleep = sleep
        self._limited_until: dict[str, float] = {}

    def deliver(self, notice: CloseNotice, remaining: Callable[[], float]) -> Verdict:
        """Post the notice unless it was posted; `remaining`: seconds left of the invocation.

        Errors of AWS and WorldFailed pass through, with the claim given back.
        """
        pipeline = pipeline_of(self._installation, notice)
        reason = unwanted(self._installation, notice, pipeline)
        if reason:
            return Verdict(done=True, why=reason)
        if remaining() < RESERVE:
            return Verdict(done=False, why="too little time is left in this invocation")
        match self._notices.claim(notice.notice_id, self._clock(), ttl=CLAIM):
            case "posted":
                return Verdict(done=True, why="was posted before")
            case "busy":
                return Verdict(done=False, why="another delivery is posting it", wait=CLAIM)
        return self._post_claimed(notice, pipeline, remaining)

    def _post_claimed(
        self,
        notice: CloseNotice,
        pipeline: PipelineSettings | None,
        remaining: Callable[[], float],
    ) -> Verdict:
        verdict = None
        try:
            verdict = judge(self._post(notice, pipeline, remaining))
        finally:
            if verdict is None or not verdict.done:
                self._notices.give_back(notice.notice_id)
        if verdict.posted:
            self._notices.mark_posted(notice.notice_id, self._clock())
        return verdict

    def _post(
        self,
        notice: CloseNotice,
        pipeline: PipelineSettings | None,
        remaining: Callable[[], float],
    ) -> Answer:
        """Slack's last word on the notice, after the remedies that help at once."""
        parameter = webhook_parameter(self._installation, pipeline)
        url = self._webhooks.url(parameter)
        payload = slack_message(notice, pipeline)
        answer = self._post_patiently(url, payload, remaining)
        if answer.status in (403, 404):  # revoked: perhaps it was replaced just now
            renewed = self._webhooks.url(parameter)
            if renewed != url:
                url = renewed
                answer = self._post_patiently(url, payload, remaining)
        if answer.status == 400:  # Slack refuses the blocks: the words still arrive
            answer = self._post_patiently(url, text_message(notice), remaining)
        return answer

    def _post_patiently(
        self, url: str, payload: Mapping[str, Any], remaining: Callable[[], float]
    ) -> Answer:
        """Post; a short 429 is waited out, a long one holds every later post to this webhook."""
        left = self._limited_until.get(url, 0.0) - self._clock()
        if left > 0:
            return Answer(status=429, text="limited a moment ago", retry_after=left)
        answer = self._post_to(url, payload)
        for _ in range(MOST_WAITS):
            wait = answer.retry_after
            if answer.status != 429 or wait > SHORT_WAIT or remaining() < wait + RESERVE:
                break
            self._sleep(wait)
            answer = self._post_to(url, payload)
        if answer.status == 429:
            self._limited_until[url] = self._clock() + answer.retry_after
        return answer


def judge(answer: Answer) -> Verdict:
    """What Slack's answer means for the message."""
    if 200 <= answer.status < 300:
        return Verdict(done=True, why="posted", posted=True)
    if answer.status == 429:
        return Verdict(done=False, why="Slack limits the rate", wait=answer.retry_after)
    said = f"Slack answered {answer.status} {answer.text}".strip()
    if answer.status in (403, 404, 410):
        said += "; if the webhook was replaced: slipway webhook set"
    return Verdict(done=False, why=said)


def unwanted(
    installation: Installation, notice: CloseNotice, pipeline: PipelineSettings | None
) -> str | None:
    """Why a notice is not posted at all, or None."""
    if not installation.slack:
        return "Slack is switched off in the configuration"
    if notice.kind == "idle":
        return "an idle host is nobody's news"
    superseded = notice.result is not None and notice.result.status == "superseded"
    if superseded and not (pipeline and pipeline.notify_superseded):
        return "superseded deployments are shown in the history only"
    told = pipeline is not None and pipeline.notify_untouched
    if notice.result is not None and sentences.is_silent(notice.result, told=told):
        return "a push that concerns another pipeline is shown in the history only"
    return None


def pipeline_of(installation: Installation, notice: CloseNotice) -> PipelineSettings | None:
    """The settings of the pipeline that a notice is about; None if it is about none that is known.

    A pipeline that was taken out of the configuration can still have notices in the queue.
    """
    about = notice.result.pipeline if notice.result else None
    if notice.alert is not None:
        about = notice.alert.subject
    return next((p for p in installation.pipelines if p.name == about), None)


def webhook_parameter(installation: Installation, pipeline: PipelineSettings | None) -> str:
    """The pipeline's own webhook parameter, or the installation's."""
    own = pipeline.webhook_parameter if pipeline else None
    return own or installation.names.webhook_parameter()
