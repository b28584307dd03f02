"""The `muyun` command: run, ui, versions, rollback, release, check-data, template and the home."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; every expected failure is one line that says what to do."""
    parser = argparse.ArgumentParser(prog="muyun", description="Muyun: from feeds to published scores.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run", help="run the main job once: feeds, warehouse, models, publication, report"
    )
    run.add_argument("--no-wait", action="store_true", help="fail when another run is at work in this home")
    commands.add_parser("ui", help="start Dagster, MLflow, the API and the docs until Ctrl-C")
    commands.add_parser("versions", help="list the published versions")
    back = commands.add_parser("rollback", help="make readers see an older published version")
    back.add_argument("version", nargs="?", help="a version; the one before the current when left out")
    commands.add_parser("release", help="end a rollback: serve the newest version again, and every new one")
    commands.add_parser(
        "forget-source", help="set all state of this home aside, so that it may take another source"
    )
    commands.add_parser(
        "adopt-source", help="say that MUYUN_DATA is what this home holds: its folder was moved"
    )
    look = commands.add_parser("check-data", help="say what a run would make of a folder of files")
    look.add_argument("folder", nargs="?", help="the folder; MUYUN_DATA when left out")
    look.add_argument("--json", action="store_true", help="for machines")
    example = commands.add_parser("template", help="write an example folder of files")
    example.add_argument("folder", help="a folder that is empty or does not exist")
    limits = commands.add_parser("limits", help="list the plausibility limits, or accept a new level")
    limits.add_argument("action", nargs="?", choices=["list", "accept"], default="list")
    limits.add_argument("table", nargs="?", help="for accept: the table whose next batch sets the level")
    refused = commands.add_parser("quarantine", help="rank what was refused, or try it again after a fix")
    refused.add_argument("action", nargs="?", choices=["list", "replay"], default="list")
    refused.add_argument("table", nargs="?", help="for replay: this table and what hangs on it")
    options = parser.parse_args(arguments)

    from pydantic import ValidationError

    from pipelines.lake import LakeError
    from pipelines.limits.document import LimitsError
    from pipelines.questions import ApiNotReadyError
    from pipelines.run.environment import Embedded, RunError
    from pipelines.settings import Settings
    from pipelines.sources.contract import SourceError
    from pipelines.ui import PortsTakenError
    from serving.errors import ServingError

    try:
        settings = Settings()
        if options.command in ("check-data", "template"):
            from pipelines.check_data.command import on_files

            text, status = on_files(options, settings)
            print(text)
            return status
        with Embedded(patience_s=10.0 if options.command == "ui" else 0.0):
            return _dispatch(options, settings)
    except ValidationError as error:
        for item in error.errors():
            name = f"MUYUN_{str(item['loc'][0]).upper()}: " if item["loc"] else ""
            print(f"error: {name}{item['msg']}", file=sys.stderr)
    except (
        RunError,
        SourceError,
        LakeError,
        LimitsError,
        ServingError,
        PortsTakenError,
        ApiNotReadyError,
    ) as error:
        print("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]), file=sys.stderr)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        print(
            f"error: the disk is full ({error.filename or settings.home}); free space or set MUYUN_HOME to a "
            "larger disk, then run it again: finished steps are kept",
            *getattr(error, "__notes__", ()),
            sep="\n",
            file=sys.stderr,
        )
    except KeyboardInterrupt:
        print("stopped; run it again to go on from the last finished step", file=sys.stderr)
        return 130
    return 1


def _dispatch(options: argparse.Namespace, settings: Settings) -> int:
    from pipelines import run

    if options.command == "run":
        return run.main(settings, wait=not options.no_wait)
    if options.command in ("forget-source", "adopt-source"):
        from pipelines.home.commands import adopt_source, forget_source

        print(forget_source(settings) if options.command == "forget-source" else adopt_source(settings))
        return 0
    if options.command == "limits":
        from pipelines.run import limits

        return limits.accept(settings, options.table) if options.action == "accept" else limits.show(settings)
    if options.command == "quarantine":
        from pipelines.run import quarantine

        if options.action == "replay":
            return quarantine.replay(settings, options.table)
        return quarantine.show(settings)
    from pipelines.run.environment import prepare

    prepare(settings)
    if options.command == "ui":
        from pipelines.home.lock import UI, home_lock
        from pipelines.ui import serve

        with home_lock(settings.home, "muyun ui", name=UI, wait=False):
            return serve(settings)
    from pipelines.home.commands import release, rollback, versions

    if options.command == "rollback":
        print(rollback(options.version))
    else:
        print(release() if options.command == "release" else versions())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
