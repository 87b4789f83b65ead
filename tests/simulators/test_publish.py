"""Whatever happens to the broker, what pumps measured arrives, and nothing is forgotten that did not."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulators.broker import broker_of
from simulators.faults import Timeline
from simulators.fleet import fleet_of
from simulators.journal import Journal
from simulators.publish import Publisher
from simulators.simulation import Message, Simulation
from simulators.wire import Encoding
from tests.servers import MosquittoServer, eventually
from tests.simulators.desk import SEQ_BITS, Desk

START_MS = 1_795_290_526_000
BOTH = [Encoding.JSON, Encoding.MSGPACK]


def simulation(prefix: str, pumps: int = 8) -> Simulation:
    timeline = Timeline(START_MS, 60_000, 1000, 60_000)
    return Simulation(7, fleet_of(7, pumps, prefix=prefix), [], timeline, boot=5, encodings=BOTH)


@contextlib.asynccontextmanager
async def publishing(made: Simulation, url: str, journal: Path, **options: Any) -> AsyncIterator[Publisher]:
    ids = [pump.pump_id for pump in made.fleet]
    with Journal(journal) as written:
        pumps = Publisher(ids, broker_of(url), written, connections=2, **options)
        await pumps.start()
        try:
            yield pumps
        finally:
            await pumps.stop()


def measured(journal: Path) -> dict[str, dict[int, Any]]:
    """What the journal says that each pump measured: by position, its values."""
    found: dict[str, dict[int, Any]] = {}
    for line in journal.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["kind"] != "measured":
            continue
        message = entry["message"]
        count = len(message["time_ms"]) if isinstance(message["time_ms"], list) else 1
        for index in range(count):
            position = message["boot"] << SEQ_BITS | message["seq"] + index
            of_pump = found.setdefault(entry["pump_id"], {})
            assert position not in of_pump
            of_pump[position] = values(message, index)
    return found


def kept(desk: Desk) -> dict[str, dict[int, Any]]:
    return {
        pump_id: {position: values(*kept) for position, kept in of_pump.items()}
        for pump_id, of_pump in desk.kept.items()
    }


def values(message: dict[str, Any], index: int) -> Any:
    return {
        key: value[index] if isinstance(value, list) else value
        for key, value in message.items()
        if key not in {"seq", "held_from"}
    }


@pytest.fixture
def own_desk(mosquitto_server: MosquittoServer) -> Iterator[Desk]:
    desk = Desk(mosquitto_server.url, "desk")
    assert desk.subscribed.wait(10)
    yield desk
    desk.close()


@pytest.mark.parametrize("fixture", ["nats_url", "mosquitto_url"])
async def test_everything_measured_arrives_once_and_is_receipted(
    fixture: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    prefix = f"trip-{fixture}-"
    desk = Desk(request.getfixturevalue(fixture), f"desk-{fixture}")
    assert desk.subscribed.wait(10)
    made = simulation(prefix)
    async with publishing(made, request.getfixturevalue(fixture), tmp_path / "journal", max_rate=2000) as pumps:
        for _ in range(10):
            for message in made.messages(made.measure(60_000, 6)):
                pumps.hold(message)
            await pumps.room()

        assert await pumps.drained(20)
        await pumps.say_goodbye(5)
    await eventually(lambda: len(desk.statuses) >= 8 and not any(desk.statuses.values()))
    desk.close()

    mine = {pump_id: positions for pump_id, positions in kept(desk).items() if pump_id.startswith(prefix)}
    assert mine == measured(tmp_path / "journal")
    assert pumps.tally.resent == 0
    assert pumps.tally.receipted_items == 8 * 61
    assert pumps.tally.sent == pumps.tally.settled == 8 * 11


async def test_a_broker_that_forgets_when_it_is_killed_loses_nothing(
    mosquitto_server: MosquittoServer, own_desk: Desk, tmp_path: Path
) -> None:
    made = simulation("kill-")
    said: list[str] = []
    async with publishing(made, mosquitto_server.url, tmp_path / "journal", say=said.append) as pumps:
        for kill in range(3):
            settled = pumps.tally.settled
            for _ in range(40):
                for message in made.messages(made.measure(60_000, 1)):
                    pumps.hold(message)
            await eventually(lambda settled=settled: pumps.is_linked and pumps.tally.settled > settled + 50)
            mosquitto_server.kill()
            mosquitto_server.start()
            await eventually(lambda kill=kill: pumps.tally.disconnects == 2 * (kill + 1))
        # What is measured later shows the service what is missing before.
        while not await pumps.drained(1.0):
            assert made.next_seq[0] < 200
            for message in made.messages(made.measure(60_000, 1)):
                pumps.hold(message)

    assert kept(own_desk) == measured(tmp_path / "journal")
    assert sum(len(positions) for positions in own_desk.kept.values()) == sum(made.next_seq)
    assert pumps.tally.given_up_items == pumps.tally.overwritten_items == 0
    assert pumps.tally.resent > 0
    # Once each time, for all connections; one outage where the next kill came before all were back.
    assert [line.endswith("connected again") for line in said] == [False, True] * (len(said) // 2)
    assert 2 <= len(said) <= 6


async def test_what_the_broker_lost_unnoticed_is_sent_again(
    mosquitto_server: MosquittoServer, own_desk: Desk, tmp_path: Path
) -> None:
    """The service hears nothing of one message although the broker settled it; the receipt that ends there says so."""
    made = simulation("hole-", pumps=2)
    async with publishing(made, mosquitto_server.url, tmp_path / "journal") as pumps:
        own_desk.lose_once.add(("hole-000001", 20))
        for _ in range(50):
            for message in made.messages(made.measure(60_000, 1)):
                pumps.hold(message)

        assert await pumps.drained(30)

    assert kept(own_desk) == measured(tmp_path / "journal")
    assert 1 <= pumps.tally.resent <= 8


async def test_a_pump_out_of_reach_goes_on_holding_and_tells_all_when_it_is_back(
    mosquitto_server: MosquittoServer, own_desk: Desk, tmp_path: Path
) -> None:
    made = simulation("away-", pumps=2)
    async with publishing(made, mosquitto_server.url, tmp_path / "journal") as pumps:
        pumps.unlink(0)
        for message in made.messages(made.measure(60_000, 10)):
            pumps.hold(message)

        assert await pumps.drained(20)
        assert pumps.held_items(linked_only=True) == 0
        assert pumps.held_items() == 11
        assert "away-000001" not in own_desk.kept
        pumps.relink(0)
        assert await pumps.drained(20)
    assert len(own_desk.kept["away-000001"]) == 11


async def test_receipts_for_others_and_receipts_that_are_none_are_passed_over(
    mosquitto_server: MosquittoServer, tmp_path: Path
) -> None:
    made = simulation("calm-", pumps=1)
    async with publishing(made, mosquitto_server.url, tmp_path / "journal") as pumps:
        pumps.hold(Message(0, False, 5, 0, 1, 0, b"{}"))  # noqa: FBT003

        for topic, payload in (
            (b"receipts/v1/calm-000002", b'{"boot": 9, "through": 99}'),
            (b"receipts/v1/calm-000001", b"not a receipt"),
            (b"receipts/v1/calm-000001", b'{"boot": 4, "through": 99}'),
        ):
            pumps.receipt(topic, payload)

        assert pumps.held_items() == 1
