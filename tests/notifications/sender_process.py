"""A process that delivers until it is killed: `python -m tests.notifications.sender_process DATA_DIR NOW`."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path

from atm.config import Settings
from atm.notifications.deliverer import Deliverer
from atm.notifications.webhook import WebhookChannel
from atm.plan.targets import TargetRules
from atm.storage import open_storage
from atm.storage.seal import Sealer
from tests.schedules.wall_clock import WallClock


async def deliver(data_dir: Path, now: datetime) -> None:
    settings = Settings(data_dir=data_dir)
    channel = WebhookChannel(TargetRules(), timeout_seconds=60)
    storage = await open_storage(settings)
    await Deliverer(storage, Sealer(settings), {"webhook": channel}, clock=WallClock(now)).deliver_due()


if __name__ == "__main__":
    asyncio.run(deliver(Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2])))
