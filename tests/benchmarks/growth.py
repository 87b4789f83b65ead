"""How does it grow: with the number of pumps, with what is stored, with readings a message and the kind of payload?"""

from collections.abc import Sequence

import asyncpg

from tests.benchmarks import ingest
from tests.benchmarks.filled import fill
from tests.benchmarks.ground import MOSQUITTO, Ground
from tests.benchmarks.long_messages import JSON, MESSAGEPACK
from tests.benchmarks.results import Results

FEW_READINGS = 10
INGESTER, DATABASE, BROKER = "ingester", "database", "broker"


async def with_pumps(ground: Ground, results: Results, counts: Sequence[int], messages: int) -> float:
    """The last of `counts` beside the first, of messages a second once each pump is known."""
    rates = []
    for pumps in counts:
        told = ingest.Load(messages, pumps=pumps, known=True)
        ingested = await ingest.measure(ground, MOSQUITTO, told)
        results.draw("pumps", INGESTER, pumps, ingested.messages_a_second)
        results.draw("pumps_us", INGESTER, pumps, ingested.cpu_us_a_message)
        results.draw("pumps_us", DATABASE, pumps, ingested.database_us_a_message)
        results.draw("pumps_us", BROKER, pumps, ingested.broker_us_a_message)
        rates.append(ingested.messages_a_second)
    return rates[-1] / rates[0]


async def with_history(ground: Ground, results: Results, rows: Sequence[int], messages: int) -> float:
    rates = []
    for stored in rows:
        async with ground.database() as database_url:
            connection = await asyncpg.connect(database_url)
            filled = await fill(connection, stored)
            await connection.close()
            ingested = await ingest.measure(ground, MOSQUITTO, ingest.Load(messages), database_url=database_url)
        results.draw("history", INGESTER, filled, ingested.messages_a_second)
        rates.append(ingested.messages_a_second)
    return rates[-1] / rates[0]


async def with_readings(ground: Ground, results: Results, lengths: Sequence[int], messages: int) -> None:
    for form in (JSON, MESSAGEPACK):
        for readings in lengths:
            told = ingest.Load(max(messages // readings, FEW_READINGS), readings, form=form)
            ingested = await ingest.measure(ground, MOSQUITTO, told)
            results.draw("readings", form, readings, ingested.messages_a_second * readings)
            results.draw("readings_us", form, readings, ingested.cpu_us_a_message / readings)
