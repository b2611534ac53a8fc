"""Keys and secrets: what a role may decrypt and read, under whatever key it is."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from infra.permissions.building import secret_forms
from tests.infra.templates import Stacks
from tests.infra.test_permissions import statement_of


def test_the_agents_archive_is_decrypted_under_whatever_key_the_account_was_bootstrapped_with(
    example: Stacks,
) -> None:
    bucket = "arn:aws:s3:::cdk-hnb659fds-assets-222222222222-eu-central-1"
    statement = statement_of(example, "slipway-host", "DecryptObjects")
    assert statement.actions == ["kms:Decrypt"]
    assert statement.resources == ["arn:aws:kms:eu-central-1:*:key/*"]
    assert statement.raw["Condition"]["StringEquals"] == {
        "kms:ViaService": "s3.eu-central-1.amazonaws.com"
    }
    # AND nothing else of that bucket, or of any other
    context = "kms:EncryptionContext:aws:s3:arn"
    assert statement.conditions.endswith(f"StringLike {context} = {bucket}/<hash>.tar, {bucket}")


def test_build_secrets_are_read_under_whatever_key_they_are_and_no_others(full: Stacks) -> None:
    role, prefix = "slipway-stage-host", "arn:aws:secretsmanager:eu-central-1:222222222222:secret:"
    secrets = [f"{prefix}build/licence-??????", f"{prefix}pypi-AbCdEf"]
    secrets.append(f"{prefix}pypi-AbCdEf-??????")
    assert statement_of(full, role, "ReadBuildSecrets").resources == secrets
    for sid, context, things in (
        ("DecryptSecrets", "SecretARN", secrets),
        (
            "DecryptParameters",
            "PARAMETER_ARN",
            ["arn:aws:ssm:eu-central-1:222222222222:parameter/build/npm-token"],
        ),
    ):
        like = statement_of(full, role, sid).raw["Condition"]["StringLike"]
        assert like == {f"kms:EncryptionContext:{context}": things}


@pytest.mark.parametrize(
    ("configured", "asked"),
    [
        ("build/licence", "build/licence-AbC123"),
        ("npm-secret", "npm-secret-AbC123"),
        ("pypi-AbCdEf", "pypi-AbCdEf"),
    ],
)
def test_a_secret_named_without_its_suffix_is_the_one_that_iam_asks_for(
    configured: str, asked: str
) -> None:
    assert any(fnmatchcase(asked, form) for form in secret_forms(configured))
    assert not any(fnmatchcase(f"{asked}-more", form) for form in secret_forms(configured))
