"""Error codes that an operation of AWS can answer with."""

from __future__ import annotations

from typing import Any

COMMON = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InvalidClientTokenId",
        "InvalidParameterValue",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SignatureDoesNotMatch",
        "Throttling",
        "ThrottlingException",
        "UnrecognizedClientException",
        "ValidationError",
        "ValidationException",
    }
)
"""What any operation may answer ('Common errors' of the API references), in the spellings that the
query, JSON and S3 protocols use; no model lists them."""

OF_SERVICES = {
    "ec2": frozenset(
        {
            "IncorrectInstanceState",
            "IncorrectState",
            "InsufficientAddressCapacity",
            "InsufficientCapacity",
            "InsufficientFreeAddressesInSubnet",
            "InsufficientHostCapacity",
            "InsufficientInstanceCapacity",
            "InsufficientReservedInstanceCapacity",
            "InstanceLimitExceeded",
            "InvalidInstanceID.Malformed",
            "InvalidInstanceID.NotFound",
            "InvalidInstanceType",
            "PendingVerification",
            "RequestLimitExceeded",
            "ReservationCapacityExceeded",
            "Unavailable",
            "UnauthorizedOperation",
            "Unsupported",
            "VcpuLimitExceeded",
        }
    ),
    "sqs": frozenset({"AWS.SimpleQueueService.NonExistentQueue"}),
    "codedeploy": frozenset(),
}
"""EC2's model lists no errors at all: these are of 'Error codes for the Amazon EC2 API'. SQS still
gives the old code beside the new one (header x-amzn-query-error), and botocore shows the old."""


def codes_of(service: str, operation: Any) -> frozenset[str]:
    """Codes that `operation`, a botocore.model.OperationModel, may be answered with."""
    codes = set(COMMON | OF_SERVICES.get(service, frozenset()))
    for shape in operation.error_shapes:
        codes |= {shape.name, shape.error_code}
    return frozenset(codes)
