"""`make demo`: a push becomes a running service, hop by hop; a broken one leaves it running.

python -m local.demo [--keep]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local.accounts import client_of
from local.down import take_down
from local.hops import Hop, Sight, Sources, Watch, table_rows
from local.http import fetch, served_commit
from local.machine.possible import obstacle
from local.plan import Options
from local.progress import Progress
from local.push import Pushed, push_release
from local.slack import SlackMessage
from local.state import State, read_state
from local.up import AlreadyRunning, bring_up
from local.waiting import wait_for, wait_until
from local.workplace import Workplace, write_json
from slipway.cli.user.ending import ended_by_signals, exit_code
from slipway.contracts.errors import SlipwayError, WorldFailed
from slipway.contracts.installation import Installation, load_installation

PIPELINE = "sample"
CHAIN_SECONDS = 90.0
SLEEP_SECONDS = 90.0
LOOK_SECONDS = 0.15


@dataclass(frozen=True)
class Watched:
    """A push that was followed to its end."""

    pushed: Pushed
    sight: Sight


class Demo:
    """The story, told on a console."""

    def __init__(self, workplace: Workplace, console: Console) -> None:
        self._workplace = workplace
        self._console = console
        self._began = time.monotonic()

    def run(self, *, keep: bool) -> None:
        """Up, a push that works, one that does not build, the table, down (unless `keep`)."""
        self._headline("1. Bring it up: the same CDK app, Lambdas and agent that go to AWS")
        found = self._bring_up()
        took_up = time.monotonic() - self._began
        try:
            working, broken = self._story()
        except BaseException:
            if not keep and not found:
                take_down(self._workplace, Progress(self._console))
            raise
        self._headline("5. Every hop and its time")
        self._console.print(hop_table(working.sight))
        report = self._report(working, broken, took_up)
        self._say_split(report)
        if keep or found:
            self._what_next()
        else:
            self._headline("6. Bring it down: every process and container that it started")
            take_down(self._workplace, Progress(self._console))
        report["total_seconds"] = round(time.monotonic() - self._began, 1)
        write_json(self._workplace.demo_file, report)
        self._console.print(
            f"\n{report['total_seconds']} s in all; the table is in {self._workplace.demo_file}"
        )

    def _story(self) -> tuple[Watched, Watched]:
        state = read_state(self._workplace)
        installation = load_installation(self._workplace.installation_file)
        with Progress(self._console).step("the build host has nothing to do and falls asleep"):
            await_sleep(state)
        self._headline("2. Push a commit")
        working = self._push(state, installation, f"hello at {_clock_text()}", "works")
        self._headline("3. Ask the service")
        self._show_answer(state, working.pushed.commit_id)
        self._show_slack(working.sight.message)
        self._headline("4. Push a commit that does not build")
        broken = self._push(state, installation, "this one is broken", "build")
        self._show_broken(broken)
        self._show_answer(state, working.pushed.commit_id)
        self._show_slack(broken.sight.message)
        return working, broken

    def _bring_up(self) -> bool:
        """Whether a run was there already, which is then left running."""
        progress = Progress(self._console)
        why_not = obstacle(self._workplace)
        progress.say(
            "the build host is a machine that boots: systemd, cloud-init, Docker inside"
            if why_not is None
            else f"the build host is a process, since no machine can run here: {why_not}"
        )
        try:
            bring_up(self._workplace, Options(machine=why_not is None), progress)
        except AlreadyRunning as running:
            progress.say(f"{running}; the demo uses it and leaves it running")
            return True
        progress.say("ready: a push would be deployed")
        return False

    def _push(
        self, state: State, installation: Installation, message: str, behaviour: str
    ) -> Watched:
        """Push and print each hop as it is seen, until Slack has it and the host sleeps again."""
        sources = Sources(state, installation)
        pushed = push_release(self._workplace, PIPELINE, message, behaviour)
        self._console.print(f"git push   {pushed.commit_id}  “{pushed.message}”\n")
        watch = Watch(sources, pushed)
        self._print_hop(watch.sight.hops["push"], pushed.began_at)
        expected = "steady" if behaviour == "works" else "failed"

        def over() -> bool:
            for hop in watch.look():
                self._print_hop(hop, pushed.began_at)
            seen = watch.sight.hops
            return {"host stopped", "Slack", "close"} <= seen.keys()

        if not wait_until(over, seconds=CHAIN_SECONDS, poll=LOOK_SECONDS):
            raise WorldFailed(
                f"the push was not through after {CHAIN_SECONDS:g} s; last seen:"
                f" {watch.sight.ordered[-1].name} (logs: {state.log_dir})"
            )
        if expected not in watch.sight.hops:
            raise WorldFailed(
                f"the deployment ended otherwise than expected: {_cause(watch.sight)}"
            )
        return Watched(pushed, watch.sight)

    def _print_hop(self, hop: Hop, began_at: float) -> None:
        since = Text(f"{hop.at - began_at:8.2f} s  ", style="dim")
        line = Text.assemble(since, (f"{hop.name:18}", "bold"), f" {hop.detail[:70]}")
        line.append(f"   ({hop.source})", style="dim")
        self._console.print(line, soft_wrap=True)

    def _show_answer(self, state: State, commit_id: str) -> None:
        """The service's answer, which must name the commit; WorldFailed if it does not."""
        url = state.pipelines[PIPELINE].service_url
        answer = fetch(f"{url}/version.json")
        self._console.print(f"GET {url}/version.json\n  {(answer or 'no answer').strip()}")
        if served_commit(url) != commit_id:
            raise WorldFailed(f"the service does not serve commit {commit_id}: {answer}")
        self._console.print(f"[green]the answer names commit {commit_id}[/green]")

    def _show_slack(self, message: SlackMessage | None) -> None:
        text = Text(message.shown if message else "")
        self._console.print(Panel(text, title="Slack", title_align="left", expand=False))

    def _show_broken(self, broken: Watched) -> None:
        self._console.print(f"\n[red]it failed, as it should:[/red] {_cause(broken.sight)}")
        self._console.print("the version before still answers:")

    def _say_split(self, report: dict[str, Any]) -> None:
        self._console.print(
            f"From push to the answer over HTTP {report['push_to_http_seconds']} s, of which"
            f" docker build {report['build_seconds']} s, waking the host"
            f" {report['wake_seconds']} s.",
            soft_wrap=True,
        )

    def _report(self, working: Watched, broken: Watched, took_up: float) -> dict[str, Any]:
        hops = working.sight.hops
        pushed = working.pushed.began_at
        deployment = working.sight.deployment
        result = deployment.result if deployment else None
        timings = result.timings if result else {}
        return {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": working.pushed.commit_id,
            "up_seconds": round(took_up, 1),
            "push_to_http_seconds": round(hops["answers over HTTP"].at - pushed, 2),
            "build_seconds": round(timings.get("build", 0.0), 2),
            "wake_seconds": round(hops["agent"].at - hops["request"].at, 2),
            "timings": {stage: round(seconds, 3) for stage, seconds in timings.items()},
            "hops": table_rows(working.sight.ordered),
            "broken": {
                "commit": broken.pushed.commit_id,
                "cause": _cause(broken.sight),
                "hops": table_rows(broken.sight.ordered),
            },
        }

    def _what_next(self) -> None:
        state = read_state(self._workplace)
        pipeline = state.pipelines[PIPELINE]
        self._headline("It is left running")
        for what, how in (
            ("the service", f"{pipeline.service_url}/"),
            ("Slack", f"{state.slack_url}/"),
            ("push again", ".venv/bin/slipway local push --message 'your words'"),
            ("break it", ".venv/bin/slipway local push --break build|crash|health"),
            ("by hand", f"git clone {pipeline.git_url}"),
            ("what runs", ".venv/bin/slipway local status"),
            ("end it", ".venv/bin/slipway local down"),
        ):
            self._console.print(f"  {what:12} {how}", soft_wrap=True)

    def _headline(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/bold]")


def await_sleep(state: State) -> None:
    """Until every build host is stopped."""
    ec2 = client_of("ec2", state.endpoint_url, state.prod_account, state.region)
    ids = [host.instance_id for host in state.hosts]
    if not ids:
        return

    def asleep() -> bool:
        answer = ec2.describe_instances(InstanceIds=ids)
        found = [i["State"]["Name"] for r in answer["Reservations"] for i in r["Instances"]]
        return all(name == "stopped" for name in found)

    wait_for("the build host's stop", asleep, seconds=SLEEP_SECONDS)


def hop_table(sight: Sight) -> Table:
    """The hops of one push as a table."""
    table = Table(box=None, pad_edge=False)
    for name in ("hop", "since push", "since hop before", "source"):
        table.add_column(name, justify="right" if name.startswith("since") else "left")
    for row in table_rows(sight.ordered):
        seconds = (f"{row['since_push']:.2f} s", f"{row['since_hop_before']:.2f} s")
        table.add_row(row["hop"], *seconds, row["source"])
    return table


def _cause(sight: Sight) -> str:
    result = sight.deployment.result if sight.deployment else None
    return (result.cause or result.status) if result else "no deployment was recorded"


def _clock_text() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S")


@click.command()
@click.option("--keep", is_flag=True, help="Leave it running at the end.")
def main(keep: bool) -> None:
    """Show the whole chain on this machine."""
    console = Console(highlight=False)
    with ended_by_signals():
        _exit_with(lambda: Demo(Workplace.default(), console).run(keep=keep), console)


def _exit_with(action: Callable[[], None], console: Console) -> NoReturn:
    try:
        action()
    except SlipwayError as error:
        console.print(Text(f"demo: {error}", style="red"), soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt as ended:
        console.print("interrupted")
        sys.exit(exit_code(ended))
    sys.exit(0)


if __name__ == "__main__":
    main()
