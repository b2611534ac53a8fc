"""One notice to Slack: once, late rather than never."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdas.notifier.delivery import CLAIM, Verdict
from lambdas.notifier.slack import Answer
from slipway.contracts.errors import WorldFailed
from tests.unit.lambdas.notifier.conftest import (
    INSTALLATION,
    PARAMETER,
    SILENCE,
    WEBHOOK,
    Notifier,
    plenty,
)
from tests.unit.lambdas.notifier.samples import NOTICES, alert
from tests.unit.lambdas.notifier.test_blocks import PIPELINE

NOTICE = NOTICES["succeeded"]
NEW_WEBHOOK = "https://hooks.slack.example/services/T000/B111/NEW"


def test_a_notice_is_posted_and_marked(notifier: Notifier) -> None:
    verdict = notifier.delivery().deliver(NOTICE, plenty)
    assert verdict == Verdict(done=True, why="posted", posted=True)
    ((url, payload),) = notifier.slack.posts
    assert url == WEBHOOK
    assert payload["blocks"][0]["type"] == "header"


def test_a_doubled_delivery_makes_no_second_notice(notifier: Notifier) -> None:
    # GIVEN a notice that was posted
    notifier.delivery().deliver(NOTICE, plenty)
    # WHEN it is delivered again, much later, to another process
    notifier.clock.now += 10 * CLAIM
    verdict = notifier.delivery().deliver(NOTICE, plenty)
    # THEN it is done without a post
    assert verdict.done
    assert len(notifier.slack.posts) == 1


def test_a_concurrent_delivery_waits_instead_of_posting(notifier: Notifier) -> None:
    # GIVEN a post that is under way WHEN the same notice is delivered meanwhile
    seen: list[Verdict] = []

    def meanwhile() -> None:
        notifier.slack.during = None
        seen.append(notifier.delivery().deliver(NOTICE, plenty))

    notifier.slack.during = meanwhile
    first = notifier.delivery().deliver(NOTICE, plenty)
    # THEN one posts, the other comes back after the claim and finds it posted
    assert first.posted
    assert [v.done for v in seen] == [False]
    assert len(notifier.slack.posts) == 1
    notifier.clock.now += CLAIM
    assert notifier.delivery().deliver(NOTICE, plenty).why == "was posted before"


def test_a_notifier_that_died_in_the_middle_does_not_hold_the_notice_for_ever(
    notifier: Notifier,
) -> None:
    notifier.table.notices.claim(NOTICE.notice_id, notifier.clock(), ttl=CLAIM)
    assert not notifier.delivery().deliver(NOTICE, plenty).done
    notifier.clock.now += CLAIM
    assert notifier.delivery().deliver(NOTICE, plenty).posted


@pytest.mark.parametrize("status", [500, 503, 410, 302])
def test_a_refusal_gives_the_claim_back_so_that_the_next_try_posts(
    notifier: Notifier, status: int
) -> None:
    notifier.slack.script = [Answer(status=status, text="no")]
    refused = notifier.delivery().deliver(NOTICE, plenty)
    assert not refused.done
    assert str(status) in refused.why
    assert notifier.delivery().deliver(NOTICE, plenty).posted


def test_a_silent_slack_is_a_failed_world_and_the_next_try_posts(notifier: Notifier) -> None:
    notifier.slack.script = [SILENCE]
    with pytest.raises(WorldFailed, match="did not answer"):
        notifier.delivery().deliver(NOTICE, plenty)
    assert notifier.delivery().deliver(NOTICE, plenty).posted


def test_a_short_retry_after_is_waited_out(notifier: Notifier) -> None:
    notifier.slack.script = [Answer(status=429, retry_after=2), Answer(status=429, retry_after=1)]
    assert notifier.delivery().deliver(NOTICE, plenty).posted
    assert notifier.clock.waits == [2, 1]


@pytest.mark.parametrize(("retry_after", "left"), [(60.0, 50.0), (10.0, 25.0)])
def test_a_retry_after_that_does_not_fit_sends_the_message_back_for_that_long(
    notifier: Notifier, retry_after: float, left: float
) -> None:
    notifier.slack.script = [Answer(status=429, retry_after=retry_after)]
    verdict = notifier.delivery().deliver(NOTICE, lambda: left)
    assert (verdict.done, verdict.wait) == (False, retry_after)
    assert notifier.clock.waits == []


def test_after_a_long_retry_after_other_notices_do_not_ask_slack(notifier: Notifier) -> None:
    delivery = notifier.delivery()
    notifier.slack.script = [Answer(status=429, retry_after=60)]
    delivery.deliver(NOTICE, plenty)
    notifier.clock.now += 20
    verdict = delivery.deliver(NOTICES["alarm"], plenty)
    assert (verdict.done, verdict.wait) == (False, 40)
    assert len(notifier.slack.posts) == 1
    notifier.clock.now += 41
    assert delivery.deliver(NOTICES["alarm"], plenty).posted


def test_endless_429_ends_with_the_message_back_in_the_queue(notifier: Notifier) -> None:
    notifier.slack.script = [Answer(status=429, retry_after=1)] * 20
    assert not notifier.delivery().deliver(NOTICE, plenty).done
    assert len(notifier.slack.posts) < 6


def test_too_little_time_left_posts_nothing(notifier: Notifier) -> None:
    assert not notifier.delivery().deliver(NOTICE, lambda: 5.0).done
    assert notifier.slack.posts == []
    assert notifier.delivery().deliver(NOTICE, plenty).posted


def test_the_next_notice_goes_to_the_webhook_that_was_set(notifier: Notifier) -> None:
    # GIVEN a process that has posted to the old webhook, which still works
    delivery = notifier.delivery()
    delivery.deliver(NOTICE, plenty)
    # WHEN another one is set
    notifier.ssm.values[PARAMETER] = NEW_WEBHOOK
    # THEN the next notice goes there, as `slipway webhook set` says
    assert delivery.deliver(NOTICES["alarm"], plenty).posted
    assert [url for url, _ in notifier.slack.posts] == [WEBHOOK, NEW_WEBHOOK]


@pytest.mark.parametrize("status", [403, 404])
def test_a_webhook_that_is_replaced_meanwhile_is_read_again(
    notifier: Notifier, status: int
) -> None:
    # GIVEN a webhook that is replaced while its notice is posted, so that Slack refuses it
    notifier.slack.during = lambda: notifier.ssm.values.update({PARAMETER: NEW_WEBHOOK})
    notifier.slack.script = [Answer(status=status, text="no_service")]
    # WHEN, THEN the new one is used at once
    assert notifier.delivery().deliver(NOTICES["alarm"], plenty).posted
    assert [url for url, _ in notifier.slack.posts] == [WEBHOOK, NEW_WEBHOOK]


def test_a_revoked_webhook_that_was_not_replaced_is_tried_once_and_said(
    notifier: Notifier,
) -> None:
    notifier.slack.script = [Answer(status=404, text="no_service")]
    verdict = notifier.delivery().deliver(NOTICE, plenty)
    assert not verdict.done
    assert "slipway webhook set" in verdict.why
    assert len(notifier.slack.posts) == 1


def test_the_webhook_is_read_only_for_what_is_posted(notifier: Notifier) -> None:
    delivery = notifier.delivery()
    del notifier.ssm.values[PARAMETER]
    assert delivery.deliver(NOTICES["idle"], plenty).done
    with pytest.raises(WorldFailed, match="there is no Slack webhook in /slipway/slack-webhook"):
        delivery.deliver(NOTICE, plenty)
    notifier.ssm.values[PARAMETER] = f" {WEBHOOK}\n"
    assert delivery.deliver(NOTICE, plenty).posted


@pytest.mark.parametrize(
    "value",
    [
        "http://hooks.slack.example/secret",
        "http://127.0.0.1:80/secret",
        "ftp://hooks/secret",
        "secret",
        "https://user:secret@hooks.example/",
        "https://[secret",
        "https:///secret",
        "https://hooks.example/se cret",
    ],
)
def test_a_webhook_that_is_none_is_refused_without_being_told(
    notifier: Notifier, value: str
) -> None:
    notifier.ssm.values[PARAMETER] = value
    with pytest.raises(WorldFailed) as caught:
        notifier.delivery().deliver(NOTICE, plenty)
    assert "secret" not in str(caught.value).replace("/slipway/", "")
    assert notifier.slack.posts == []


def test_the_local_installation_may_post_to_the_slack_page() -> None:
    notifier = Notifier(replace(INSTALLATION, mode="local"))
    page = "http://127.0.0.1:8300/services/local"
    notifier.ssm.values[PARAMETER] = page
    assert notifier.delivery().deliver(NOTICE, plenty).posted
    assert notifier.slack.posts[0][0] == page


def test_blocks_that_slack_refuses_are_followed_by_the_words_alone(notifier: Notifier) -> None:
    notifier.slack.script = [Answer(status=400, text="invalid_blocks")]
    assert notifier.delivery().deliver(NOTICE, plenty).posted
    assert set(notifier.slack.posts[1][1]) == {"text"}
    assert "commit 3f2a9c41 is live" in notifier.slack.posts[1][1]["text"]


def test_a_pipeline_with_a_channel_of_its_own_gets_its_notices_there() -> None:
    own = replace(PIPELINE, webhook_parameter="/slipway/slack-webhook/shop")
    notifier = Notifier(replace(INSTALLATION, pipelines=(own,)))
    notifier.ssm.values["/slipway/slack-webhook/shop"] = NEW_WEBHOOK
    delivery = notifier.delivery()
    delivery.deliver(NOTICE, plenty)
    delivery.deliver(NOTICES["drift skipped"], plenty)
    delivery.deliver(alert(kind="awake_long", subject="i-0abc"), plenty)
    assert [url for url, _ in notifier.slack.posts] == [NEW_WEBHOOK, NEW_WEBHOOK, WEBHOOK]


def test_superseded_is_told_only_if_asked_for() -> None:
    asked = replace(INSTALLATION, pipelines=(replace(PIPELINE, notify_superseded=True),))
    notifier = Notifier()
    assert notifier.delivery().deliver(NOTICES["superseded"], plenty).done
    assert notifier.slack.posts == []
    notifier.installation = asked
    assert notifier.delivery().deliver(NOTICES["superseded"], plenty).posted


def test_a_push_that_concerns_others_is_told_only_if_asked_for() -> None:
    asked = replace(INSTALLATION, pipelines=(replace(PIPELINE, notify_untouched=True),))
    notifier = Notifier()
    assert notifier.delivery().deliver(NOTICES["untouched"], plenty).done
    assert notifier.slack.posts == []
    notifier.installation = asked
    assert notifier.delivery().deliver(NOTICES["untouched"], plenty).posted


def test_without_slack_a_notice_is_done_and_says_so() -> None:
    notifier = Notifier(replace(INSTALLATION, slack=False))
    verdict = notifier.delivery().deliver(NOTICE, plenty)
    assert verdict == Verdict(done=True, why="Slack is switched off in the configuration")


def test_a_pipeline_that_is_not_configured_any_more_is_still_told() -> None:
    notifier = Notifier(replace(INSTALLATION, pipelines=()))
    assert notifier.delivery().deliver(NOTICE, plenty).posted
