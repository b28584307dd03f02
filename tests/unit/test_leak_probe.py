"""The probe of `score_2m_skus` sees another merchant's goods when a server gives them away."""

import argparse
import asyncio
import random

import pytest

from benchmarks.web.leak_probe import probe, request


def probed(sold_by, requests=40):
    """Probe a server that answers everything with one sku of `sold_by`."""
    body = b'{"items":[{"sku_id":"m%d-s1"}]}' % sold_by
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    async def serve(reader, writer):
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(answer)

    async def run():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            options = argparse.Namespace(
                host="127.0.0.1", port=server.sockets[0].getsockname()[1], requests=requests,
                merchants=9, skus=5, consumers=50, connections=2, seed=1,
            )  # fmt: skip
            return await probe(options, {3: "key"})

    return asyncio.run(run())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("sold_by", "leaks"), [(3, 0), (4, 40)])
def test_a_strange_sku_is_a_leak(sold_by, leaks):
    found = probed(sold_by)
    assert (found.items, found.leaks, dict(found.statuses)) == (40, leaks, {200: 40})
    assert bool(found.example) is bool(leaks)


def test_merchants_try_their_own_and_others_goods():
    random_ = random.Random(1)
    paths = [request(random_, 9, 5, 50, 3) for _ in range(400)]
    assert any("merchant_id=m3&" in path for path in paths)
    assert any("recommendations" in path and "merchant_id=m3&" not in path for path in paths)
    assert any(path.startswith("/v1/prices/m3/m3-") for path in paths)
    assert any(path.startswith("/v1/prices/m3/") and "/m3-" not in path for path in paths)
