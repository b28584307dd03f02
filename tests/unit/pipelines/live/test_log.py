"""The log of ticks: what is written is read again, it stays bounded, half a line hurts nobody."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.live.log import KEPT, Comparison, Tick, TickLog

BEGAN = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def _tick(number: int) -> Tick:
    return Tick(
        number=number,
        generation="g",
        as_of=BEGAN + timedelta(minutes=5 * number),
        began_at=BEGAN + timedelta(minutes=5 * number, seconds=1),
        rows={"events": number},
        comparison=Comparison(rows=7, differences={"tags.consumer_15m": 1}) if number == 2 else None,
    )


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    log = TickLog(tmp_path)
    assert log.last() is None
    for number in (1, 2):
        log.append(_tick(number))
    assert log.ticks() == [_tick(1), _tick(2)]
    assert log.last() == _tick(2)


def test_the_oldest_go_and_the_newest_stay(tmp_path: Path) -> None:
    log = TickLog(tmp_path)
    most = KEPT + KEPT // 4
    for number in range(most + 1):
        log.append(_tick(number))
    numbers = [tick.number for tick in log.ticks()]
    assert numbers == list(range(most + 1 - KEPT, most + 1))


def test_half_a_line_of_a_killed_process_is_passed_over(tmp_path: Path) -> None:
    log = TickLog(tmp_path)
    log.append(_tick(1))
    with (tmp_path / "ticks.jsonl").open("a") as file:
        file.write('{"number": 2, "gener\n')
    log.append(_tick(3))
    assert [tick.number for tick in log.ticks()] == [1, 3]
