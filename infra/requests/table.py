"""The deployments table. Its rows are described in slipway/contracts/table."""

from __future__ import annotations

from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.findings import accept_checkov
from infra.kept import KEPT


class DeploymentsTable(Construct):
    """On demand, restorable to any second of the last 35 days, kept when the stack goes."""

    def __init__(self, scope: Construct, construct_id: str, *, name: str) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.CfnTable(
            self,
            "Table",
            table_name=name,
            billing_mode="PAY_PER_REQUEST",
            attribute_definitions=[
                dynamodb.CfnTable.AttributeDefinitionProperty(
                    attribute_name=key, attribute_type="S"
                )
                for key in ("pk", "sk")
            ],
            key_schema=[
                dynamodb.CfnTable.KeySchemaProperty(attribute_name="pk", key_type="HASH"),
                dynamodb.CfnTable.KeySchemaProperty(attribute_name="sk", key_type="RANGE"),
            ],
            time_to_live_specification=dynamodb.CfnTable.TimeToLiveSpecificationProperty(
                attribute_name="expires", enabled=True
            ),
            point_in_time_recovery_specification=(
                dynamodb.CfnTable.PointInTimeRecoverySpecificationProperty(
                    point_in_time_recovery_enabled=True
                )
            ),
            deletion_protection_enabled=False,
        )
        self.table.apply_removal_policy(KEPT)
        accept_checkov(self.table, {"CKV_AWS_119": "DynamoDB's own key; rows hold no secret."})
