"""docs/cli.md, from the commands' own help: `python -m slipway.cli.reference` writes it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from slipway.cli.main import VERBS, main

TARGET = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
WIDTH = 96
ELSEWHERE = {
    "deploy": "[ecs-deploy.md](ecs-deploy.md)",
    "taskdef": "[codepipeline/](codepipeline/)",
    "config": "[configuration.md](configuration.md)",
    "local": "[architecture.md](architecture.md)",
}
"""Verbs that have a page of their own."""

INTRODUCTION = """\
# The command line

`slipway` answers from the deployments table and AWS; it needs no server of its own. This page is
written by `python -m slipway.cli.reference` from what `slipway VERB --help` says.

## Which installation

The first of these that is there:

1. `--installation FILE`, or the file that `SLIPWAY_INSTALLATION` names: an `installation.json`, or a
   `cdk.json` with the context key `slipway`;
2. a local run that is up: `.local/` in this folder or one above (or what `SLIPWAY_LOCAL` names);
3. the `cdk.json` of this folder or one above, with the context key `slipway`.

`slipway status` says in its first line which it is, and whether it is a local run.

Credentials are found as for the AWS CLI: `--profile`, `AWS_PROFILE`, keys in the environment, SSO,
the instance's role. They must be the prod account's. They are had before anything else is done: what
is wrong with them is said with the command that helps, and nothing was changed. An MFA code is asked
for on a terminal only. The region is the installation's; `--region` overrides it. (`slipway deploy`
and `slipway taskdef`, which know no installation, take `-r`, `AWS_REGION`, `AWS_DEFAULT_REGION`, the
profile's region, in this order: that of the AWS CLI's version 2 and of the SDKs.) `AWS_ENDPOINT_URL` is honoured. A local run is asked at its own address with its own
keys, so that no real key is sent to the emulator.

## Exit codes

| Code | Meaning |
|---|---|
| 0 | done; the commit runs |
| 1 | the deployment failed; `doctor` found something wrong; `redrive` left something |
| 2 | wrong use: options, names, credentials, permissions, this machine's clock. Nothing was changed; trying again does not help |
| 3 | AWS or the network failed, or `--timeout` passed. Also whatever is refused *after* something was changed: then it is said what stands and goes on |
| 130, 143, 129 | interrupted: Control-C, SIGTERM, SIGHUP. What the command holds (the lock, dead letters) is given back, and what goes on is said |

Errors are one sentence on standard error. With `--json` the answer is JSON on standard output;
`watch`, `push-to-live`, `redeploy`, `rollback` and `logs` print one JSON object a line, `result`
being the last. Where a command ends early after it has begun something, the last one has `error`
and `left` (what stands or goes on). Colours are for terminals only, and `NO_COLOR` turns them off.

Losing the output (`| head`, a closed stream, a full disk) ends nothing that was begun, and the exit
code is of what was done. Only where the answer is all that was wanted (`status`, `history`, `report`,
`logs`, `doctor`, `config check`) a full disk is 3. Characters that the output's encoding lacks are
replaced.

## Completion in the shell

Verbs, options and pipeline names are completed after

```sh
eval "$(_SLIPWAY_COMPLETE=bash_source slipway)"    # bash; zsh_source and fish_source likewise
```

## The figures of `report`

| Figure | From the deployments that ended in the period |
|---|---|
| deployment frequency | successes a day |
| lead time | commit time to steady, of what a push (or the drift check for it) made run |
| push to steady | from the push until it ran, of the same |
| change failure rate | of the changes that reached production, those that were rolled back, failed in their rollout, or were taken back later by `slipway rollback`. A build that fails never reached production and is counted apart |
| time to restore | from the failure (for what an operator took back: from its going live) until the pipeline's next success; failures in a row count once, from the first |

Medians and 90th percentiles are durations that occurred (nearest rank). Plots need matplotlib.

## What the verbs cost

`status` reads four small partitions of the table, two queues' counts, the hosts, and the tips; a
pipeline that is being deployed costs one query of its last 20 deployments. `history` reads as many
rows as it shows, `--failed` and `report` those of their period, and of each row only what is shown.
None grows with the number of recorded deployments, and nothing scans. What they take at 10,000 is
in [benchmarks.md](benchmarks.md).
"""  # noqa: E501 - tables


def document() -> str:
    """The whole page."""
    return INTRODUCTION + "".join(_sections())


def _sections() -> Iterator[str]:
    yield "\n## Verbs\n"
    for verb in VERBS:
        if verb in ELSEWHERE:
            continue
        command = main.get_command(click.Context(main), verb)
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                yield _section(f"{verb} {name}", inner)
        elif command is not None:
            yield _section(verb, command)
    yield "\n## Verbs with a page of their own\n\n"
    yield from (f"- `slipway {verb}`: {page}\n" for verb, page in ELSEWHERE.items())


def _section(name: str, command: click.Command) -> str:
    parent = click.Context(main, info_name="slipway", help_option_names=["-h", "--help"])
    with click.Context(command, info_name=name, parent=parent, terminal_width=WIDTH) as context:
        text = command.get_help(context)
    return f"\n### {name}\n\n```text\n{text}\n```\n"


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
