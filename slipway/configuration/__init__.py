"""The configuration: context key `slipway` of cdk.json, or a file of the same shape.

Keys are camelCase. Everything is checked before a stack is made. Nothing here knows the CDK, so
that `slipway config check` is quick.
"""

from slipway.configuration.builders import BuilderNetwork
from slipway.configuration.hosts import BuildHost
from slipway.configuration.parts import Configuration
from slipway.configuration.pipeline import Image, ImageRepository, Pipeline, Rollout
from slipway.configuration.protocol import LimitSettings
from slipway.configuration.reading import CONTEXT_KEY, load, parse, read
from slipway.configuration.services import Service
from slipway.configuration.values import is_uri

__all__ = [
    "CONTEXT_KEY",
    "BuildHost",
    "BuilderNetwork",
    "Configuration",
    "Image",
    "ImageRepository",
    "LimitSettings",
    "Pipeline",
    "Rollout",
    "Service",
    "is_uri",
    "load",
    "parse",
    "read",
]
