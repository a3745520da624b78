"""Learn at the start what fired while the receiver was away: Alertmanager tells nobody twice what it has told."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from roadie.errors import TriggerError
from roadie.triggers.config import Model
from roadie.triggers.events import Event
from roadie.triggers.journal.recorder import Recorder
from roadie.triggers.rules.matching import concerned

_log = logging.getLogger(__name__)
_LONGEST_WAIT = 60.0


async def catch_up(
    ask: Callable[[], Sequence[Event]], recorder: Recorder, models: Mapping[str, Model], wait: float = 1.0
) -> None:
    """Record the alerts that fire now and concern a model; ask again until Alertmanager has answered once.

    Alertmanager's API tells the alerts of all its receivers: those that concern no model are left out.

    Args:
        ask: Gives what fires. It may block.
        recorder: Where it is stored; what had arrived before is known there.
        models: The models of the configuration.
        wait: Seconds until it is asked a second time; twice as many each time after that, up to a minute.
    """
    while True:
        try:
            events = [event for event in await asyncio.to_thread(ask) if concerned(event, models)]
            receipts = await recorder.record(events) if events else []
        except TriggerError as error:
            _log.warning("not caught up", extra={"fields": {"why": error, "again_in_s": wait}})
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
        else:
            new = sum(receipt.new for receipt in receipts)
            _log.info("caught up", extra={"fields": {"firing": len(events), "new": new}})
            return
