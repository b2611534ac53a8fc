"""The CDK app: reads the configuration, wires the stacks."""

from __future__ import annotations

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.slipway_app import add_stacks, configuration_of
from slipway.contracts.errors import InvalidConfiguration


def main() -> int:
    """Synthesize; a wrong configuration is told by path, value and what is allowed."""
    app = cdk.App()
    try:
        add_stacks(app, configuration_of(app))
    except InvalidConfiguration as error:
        for sentence in error.told():
            print(f"configuration: {sentence}", file=sys.stderr)
        return error.exit_code
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
