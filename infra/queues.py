"""Queues as Slipway has them: encrypted, kept for 14 days, TLS only."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.findings import accept, accept_checkov
from infra.local_differences import Differences

SSE_SQS = {"CKV_AWS_27": "Encrypted by SQS itself; checkov knows KMS keys only."}
RETENTION = cdk.Duration.days(14)
"""The longest that SQS allows."""


def dead_letter_queue(
    scope: Construct,
    construct_id: str,
    *,
    name: str,
    differences: Differences,
    key: kms.IKey | None = None,
) -> sqs.Queue:
    """A queue for what was given up on: nothing reads it but a person, an alarm watches it.

    `key`: the customer's; None: SQS's own.
    """
    queue = sqs.Queue(
        scope,
        construct_id,
        queue_name=name,
        encryption=_encryption(key),
        encryption_master_key=key,
        retention_period=RETENTION,
        enforce_ssl=differences.tls_only,
    )
    accept(queue, "SQS3", "It is itself where events end that were given up on.")
    if key is None:
        accept_checkov(queue, SSE_SQS)
    differences.accept_plain_http(queue)
    return queue


def work_queue(
    scope: Construct,
    construct_id: str,
    *,
    name: str,
    visibility: cdk.Duration,
    dead_letters: sqs.Queue,
    max_receive_count: int,
    differences: Differences,
    key: kms.IKey | None = None,
) -> sqs.Queue:
    """A queue that somebody works on; `key` as above."""
    queue = sqs.Queue(
        scope,
        construct_id,
        queue_name=name,
        encryption=_encryption(key),
        encryption_master_key=key,
        retention_period=RETENTION,
        visibility_timeout=visibility,
        dead_letter_queue=sqs.DeadLetterQueue(
            queue=dead_letters, max_receive_count=max_receive_count
        ),
        enforce_ssl=differences.tls_only,
    )
    if key is None:
        accept_checkov(queue, SSE_SQS)
    differences.accept_plain_http(queue)
    return queue


def _encryption(key: kms.IKey | None) -> sqs.QueueEncryption:
    return sqs.QueueEncryption.SQS_MANAGED if key is None else sqs.QueueEncryption.KMS
