"""`python -m serving.watch.record check|verify`: a parcel's record offline; a database's whole record."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from serving.db.connect import ready_database
from serving.db.operations import Operations
from serving.errors import ServingError
from serving.ledger.chain import read_anchors
from serving.settings import Settings
from serving.watch.record.checking import check
from serving.watch.record.sealing import anchors_of, verify


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when everything is proven, 1 when something is not or cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m serving.watch.record")
    commands = parser.add_subparsers(dest="command", required=True)
    offline = commands.add_parser("check", help="check the record of a parcel as the API gave it, offline")
    offline.add_argument("file", type=Path, help="answer of GET /v1/parcels/{shipment_id}/record")
    offline.add_argument("anchors", type=Path, nargs="?", help="file of anchors to compare blocks with")
    commands.add_parser("verify", help="recompute the whole chain and compare it with the anchors")
    options = parser.parse_args(arguments)
    try:
        told = _check(options.file, options.anchors) if options.command == "check" else _verify()
    except (ServingError, ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(told)
    return 0


def _check(file: Path, anchors: Path | None) -> str:
    known = {one.block_no: one.hash.hex() for one in read_anchors(anchors)} if anchors else None
    found = check(file.read_text(encoding="utf-8"), known)
    blocks = "".join(f"block {block_no} {digest}\n" for block_no, digest in sorted(found.blocks.items()))
    return f"{found.proven} records proven, {found.unsealed} not sealed yet\n{blocks}"


def _verify() -> str:
    settings = Settings()
    anchors = anchors_of(settings.home, settings.tenant)
    with (
        Operations(ready_database(settings), size=1) as operations,
        operations.transaction(settings.tenant) as conn,
    ):
        head = verify(conn, settings.tenant, anchors)
    return f"block {head.block_no} {head.hash.hex()}\n"


if __name__ == "__main__":
    raise SystemExit(main())
