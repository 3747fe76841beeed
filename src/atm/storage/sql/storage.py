"""The `StorageInterface` on a database, composed of its stores."""

from __future__ import annotations

from sqlalchemy.engine import URL

from atm.storage.sql.access import SqlAudit, SqlSessions
from atm.storage.sql.api_keys import SqlApiKeys
from atm.storage.sql.database import Database
from atm.storage.sql.deliveries import SqlDeliveries
from atm.storage.sql.leases import SqlLeases
from atm.storage.sql.retention import SqlUpkeep
from atm.storage.sql.runs import SqlRuns
from atm.storage.sql.schedules import SqlSchedules
from atm.storage.sql.schema import check
from atm.storage.sql.series import SqlSeries
from atm.storage.sql.test_configs import SqlTestConfigs
from atm.storage.sql.test_files import SqlTestFiles


class SqlStorage:
    """SQLite or PostgreSQL; created by `open`, which checks the schema."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.runs = SqlRuns(database)
        self.series = SqlSeries(database)
        self.leases = SqlLeases(database, self.series)
        self.tests = SqlTestConfigs(database)
        self.files = SqlTestFiles(database)
        self.keys = SqlApiKeys(database)
        self.sessions = SqlSessions(database)
        self.audit = SqlAudit(database)
        self.schedules = SqlSchedules(database)
        self.deliveries = SqlDeliveries(database)
        self.upkeep = SqlUpkeep(database, self.runs, self.series, self.schedules, self.audit)

    @classmethod
    async def open(cls, url: URL, *, echo: bool = False) -> SqlStorage:
        """Open a database. Raises SchemaError for another revision than this version's, StorageUnavailableError."""
        database = Database(url, echo=echo)
        try:
            await check(database)
        except BaseException:
            await database.close()
            raise
        return cls(database)

    async def close(self) -> None:
        await self._database.close()
