"""The `muyun` command: run, refresh, explain, ui, versions, rollback, erase, check-data, template, home."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.messages import Texts, language_of
from pipelines.messages.errors import in_words

if TYPE_CHECKING:
    from pipelines.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; every expected failure is one line that says what to do."""
    text = Texts(language_of(os.environ))
    parser = argparse.ArgumentParser(prog="muyun", description=text("cli.description"))
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help=text("cli.run"))
    run.add_argument("--force", nargs="?", const="true", default="", help=text("cli.force"))
    run.add_argument("--no-wait", action="store_true", help=text("cli.no_wait"))
    commands.add_parser("ui", help=text("cli.ui"))
    tick = commands.add_parser("refresh", help=text("cli.refresh"))
    tick.add_argument("--follow", action="store_true", help=text("cli.follow"))
    commands.add_parser("versions", help=text("cli.versions"))
    back = commands.add_parser("rollback", help=text("cli.rollback"))
    back.add_argument("version", nargs="?", help=text("cli.rollback_version"))
    commands.add_parser("release", help=text("cli.release"))
    gone = commands.add_parser("erase", help=text("cli.erase"))
    gone.add_argument("--apply", action="store_true", help=text("cli.erase_apply"))
    commands.add_parser("forget-source", help=text("cli.forget_source"))
    commands.add_parser("adopt-source", help=text("cli.adopt_source"))
    look = commands.add_parser("check-data", help=text("cli.check_data"))
    look.add_argument("folder", nargs="?", help=text("cli.check_folder"))
    look.add_argument("--json", action="store_true", help=text("cli.json"))
    example = commands.add_parser("template", help=text("cli.template"))
    example.add_argument("folder", help=text("cli.template_folder"))
    feeds = commands.add_parser("connectors", help=text("cli.connectors"))
    feeds.add_argument("action", nargs="?", choices=["list", "try", "pull", "reference"], default="list")
    feeds.add_argument("name", nargs="?", help=text("cli.connectors_name"))
    limits = commands.add_parser("limits", help=text("cli.limits"))
    limits.add_argument("action", nargs="?", choices=["list", "accept"], default="list")
    limits.add_argument("table", nargs="?", help=text("cli.limits_table"))
    why = commands.add_parser("explain", help=text("cli.explain"))
    why.add_argument("entity", choices=["consumer", "merchant", "agent", "sku", "supplier"])
    why.add_argument("id", help=text("cli.explain_id"))
    why.add_argument("--tag", help=text("cli.explain_tag"))
    why.add_argument("--as-of", help=text("cli.explain_as_of"))
    why.add_argument("--rows", type=int, help=text("cli.explain_rows"))
    why.add_argument("--json", action="store_true", help=text("cli.json"))
    commands.add_parser("catalogue", help=text("cli.catalogue"))
    groups = commands.add_parser("segments", help=text("cli.segments"))
    groups.add_argument("action", choices=["preview"])
    groups.add_argument("what", help=text("cli.segments_what"))
    groups.add_argument("--json", action="store_true", help=text("cli.json"))
    refused = commands.add_parser("quarantine", help=text("cli.quarantine"))
    refused.add_argument("action", nargs="?", choices=["list", "replay"], default="list")
    refused.add_argument("table", nargs="?", help=text("cli.quarantine_table"))
    options = parser.parse_args(arguments)

    from pydantic import ValidationError

    from feature_store.errors import FeatureStoreError
    from pipelines.lake.tables import LakeError
    from pipelines.limits.document import LimitsError
    from pipelines.run.environment import Embedded, RunError
    from pipelines.settings import Settings
    from pipelines.sources.contract import SourceError
    from serving.errors import ServingError

    try:
        settings = Settings()
        if options.command in ("check-data", "template"):
            from pipelines.check_data.command import on_files

            answer, status = on_files(options, settings)
            print(answer)
            return status
        if options.command == "connectors":
            from pipelines.console.connectors import on_connectors

            answer, status = on_connectors(options.action, options.name, settings)
            print(answer)
            return status
        with Embedded(settings, patience_s=10.0 if options.command == "ui" else 0.0):
            return _dispatch(options, settings)
    except ValidationError as error:
        for item in error.errors():
            name = f"MUYUN_{str(item['loc'][0]).upper()}: " if item["loc"] else ""
            print(text("cli.error", error=f"{name}{item['msg']}"), file=sys.stderr)
    except (
        RunError,
        SourceError,
        LakeError,
        LimitsError,
        ServingError,
        FeatureStoreError,
    ) as error:
        said = text("cli.error", error=in_words(str(error), text.language))
        print(said, *getattr(error, "__notes__", ()), sep="\n", file=sys.stderr)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        full = text("cli.disk_full", place=error.filename or settings.home)
        print(
            text("cli.error", error=full),
            *getattr(error, "__notes__", ()),
            sep="\n",
            file=sys.stderr,
        )
    except KeyboardInterrupt:
        print(text("cli.stopped"), file=sys.stderr)
        return 130
    return 1


def _dispatch(options: argparse.Namespace, settings: Settings) -> int:
    from pipelines import run
    from pipelines.home.lock import say
    from pipelines.run.other_clock import other_clock

    if options.command in ("run", "ui") and (line := other_clock(settings)):
        say(line)

    if options.command == "run":
        return run.main(settings, wait=not options.no_wait, force=options.force)
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
    if options.command == "catalogue":
        from pipelines.report.catalogue import write_catalogue

        print(write_catalogue(settings))
        return 0
    from pipelines.run.environment import prepare

    prepare(settings)
    if options.command == "ui":
        from pipelines.console.ui import serve
        from pipelines.home.lock import UI, home_lock

        with home_lock(settings.home, "muyun ui", name=UI, wait=False):
            return serve(settings)
    if options.command == "refresh":
        from pipelines.live.command import refresh

        return refresh(settings, follow=options.follow)
    if options.command == "explain":
        from pipelines.explain.command import explained

        print(
            explained(
                settings,
                options.entity,
                options.id,
                tag=options.tag,
                as_of=options.as_of,
                rows=options.rows,
                json=options.json,
            )
        )
        return 0
    if options.command == "segments":
        from pipelines.segments.command import preview_segments

        print(preview_segments(settings, options.what, json=options.json))
        return 0
    if options.command == "erase":
        from pipelines.erasure.command import erase

        print(erase(settings, apply=options.apply))
        return 0
    from pipelines.home.commands import release, rollback, versions

    if options.command == "rollback":
        print(rollback(options.version))
    else:
        print(release() if options.command == "release" else versions())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
