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
    "local": "[local-emulator.md](local-emulator.md)",
}
"""Verbs that have a page of their own."""

INTRODUCTION = """\
# The command line

`slipway` asks the deployments table and AWS. It needs no server of its own. This page is made from what
`slipway VERB --help` says (`make docs`).

## Which installation

`slipway` takes the first of these that is there:

1. `--installation FILE`, or the file that `SLIPWAY_INSTALLATION` names. It is an `installation.json`, a configuration, or a
   `cdk.json` with the context key `slipway`.
2. A local run that is up: `.local/` in this folder or in one above it. `SLIPWAY_LOCAL` names another.
3. The `cdk.json` of this folder or of one above it, if it has the context key `slipway`.

The first line of `slipway status` says which it is, and whether it is a local run.

## Credentials and region

Credentials are found as the AWS CLI finds them: `--profile`, `AWS_PROFILE`, keys in the environment, SSO, the instance's
role. They must be the prod account's. `slipway` gets them before it does anything else. If that fails, it says which command
helps, and nothing was changed. It asks for an MFA code on a terminal only.

The region is the installation's; `--region` gives another. `slipway deploy` and `slipway taskdef` know no installation. They take
the first of `-r`, `AWS_REGION`, `AWS_DEFAULT_REGION` and the profile's region, as the AWS CLI's version 2 does.
If no option and no variable says who calls or where AWS is, they go to a local run that is up, and say so.

`AWS_ENDPOINT_URL` is honoured. A local run is asked at its own address with its own keys, so the emulator never sees a real key.

## Exit codes

| Code | Meaning |
|---|---|
| 0 | Done; the commit runs |
| 1 | The deployment failed, or was cancelled. `doctor` found something wrong. `redrive` left something. What `cancel` was to end had ended already |
| 2 | Wrong use: options, names, credentials, permissions, or this machine's clock. Nothing was changed. The same command fails again |
| 3 | AWS or the network failed, or `--timeout` passed. Or something was refused *after* a change: then `slipway` says what stands and what goes on |
| 130, 143, 129 | Interrupted by Control-C, SIGTERM or SIGHUP. `slipway` gives back what it holds (the lock, dead letters), and says what goes on |

## What is printed

An error is one sentence on standard error.

With `--json` the answer is JSON on standard output. `watch`, `push-to-live`, `redeploy`, `rollback`, `cancel` and `logs` print one
JSON object a line. The last line has `result`; where `watch` follows several pipelines, there is
such a line for each that ends. If the command ends early after it began something, the last line has `error` and `left`:
what stands, or what goes on.

Colours are for terminals. `NO_COLOR` turns them off. A character that the output's encoding does not have is replaced.

A command goes on to its end if nobody reads its output any more: `| head`, a closed stream, a full disk. Its exit code says how
the work ended. Some commands only answer: `status`, `history`, `report`, `logs`, `doctor` and `config check`. They end with 3 on a
full disk.

## Completion in the shell

This completes verbs, options and names of pipelines:

```sh
eval "$(_SLIPWAY_COMPLETE=bash_source slipway)"    # bash; zsh_source and fish_source likewise
```

## The figures of `report`

Each figure is made of the deployments that ended in the period.

| Figure | How it is made |
|---|---|
| deployment frequency | successes a day |
| lead time | from the commit's time until it is steady; of what a push made run, or the drift check for a push |
| push to steady | from the push until it is steady; of the same |
| change failure rate | Of the changes that reached production: the share that was rolled back, failed in its rollout, or was taken back later by `slipway rollback`. A build that fails never reached production and is counted apart |
| time to restore | From the failure until the pipeline's next success. What an operator took back counts from when it went live. Failures in a row count once, from the first |

Medians and 90th percentiles are durations that occurred (nearest rank). Plots need matplotlib (`slipway[report]`).

## What the verbs cost

| Verb | Reads |
|---|---|
| `status` | four small partitions of the table, the counts of two queues, the hosts, the tips; for a pipeline that is being deployed also its last 20 deployments |
| `history` | as many rows as it shows |
| `history --failed`, `report` | the rows of their period, and of each only what is shown |

None grows with the number of recorded deployments, and none scans the table. What they take with 10,000 deployments:
[benchmarks.md](benchmarks.md#answers-at-10000-recorded-deployments).
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
