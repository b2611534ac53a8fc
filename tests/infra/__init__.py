"""The templates. What imports the CDK starts a node: the one that a synth runs with."""

import os

from local.node import node_binary

os.environ.setdefault("JSII_NODE", str(node_binary()))
