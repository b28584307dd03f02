"""A QR code of an address as SVG."""

from __future__ import annotations

import io

import segno


def svg_of(address: str) -> str:
    """The code, error correction level M, as one SVG document without scripts or outside references.

    Args:
        address: What it carries.
    """
    buffer = io.BytesIO()
    segno.make(address, error="m", micro=False).save(buffer, kind="svg", scale=8, border=4, xmldecl=False)
    return buffer.getvalue().decode()
