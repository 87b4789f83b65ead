"""What is copied from columns is what was in them."""

import asyncpg
import numpy as np

from service.postgres.binary import copy_columns, in_us


async def test_columns_come_out_of_the_table_as_they_were(connection: asyncpg.Connection) -> None:
    await connection.execute("CREATE TEMPORARY TABLE said (a integer, b real, c boolean, d timestamptz, e smallint)")
    kinds = {"a": ">i4", "b": ">f4", "c": "?", "d": ">i8", "e": ">i2"}
    columns = {
        "a": np.array([-1, 2**31 - 1]),
        "b": np.array([0.5, np.nan]),
        "c": np.array([True, False]),
        "d": in_us(np.array([0, 1_793_491_200_123])),
        "e": np.array([-1, 5], np.int8),
    }
    await copy_columns(connection, "said", kinds, columns)
    rows = await connection.fetch(
        "SELECT a, b::text AS b, c, extract(epoch FROM d) * 1000 AS d, e FROM said ORDER BY a"
    )
    assert [tuple(row) for row in rows] == [(-1, "0.5", True, 0, -1), (2**31 - 1, "NaN", False, 1_793_491_200_123, 5)]
